// An entry of a page table in memory: Linux's ptep_* operations, for entries of 4 or 8 bytes.
//
// Guarantees: each is atomic exactly where Linux's is, and each is one access behind one scheduling point, except where
// Linux's is two (`ptepModifyProtStart` and `Commit`, between which the entry is none).
// Sources: arch/x86/include/asm/pgtable.h, include/linux/pgtable.h.

import { Shared } from "../atomic";

export abstract class Entry {
  /** ptep_get(): READ_ONCE. */
  @inline
  static load<F>(slot: usize): u64 {
    if (changetype<F>(0).entryShift == 3) return Shared.load<u64>(slot);
    return Shared.load<u32>(slot);
  }

  /**
   * set_pte(): a store, no exchange. Hardware updates between the read of an entry and this store are lost, so the caller
   * must know that there are none: the entry is not present, or nobody walks the table.
   */
  @inline
  static store<F>(slot: usize, entry: u64): void {
    if (changetype<F>(0).entryShift == 3) Shared.store<u64>(slot, entry);
    else Shared.store<u32>(slot, <u32>entry);
  }

  @inline
  static exchange<F>(slot: usize, entry: u64): u64 {
    if (changetype<F>(0).entryShift == 3) return Shared.exchange<u64>(slot, entry);
    return Shared.exchange<u32>(slot, <u32>entry);
  }

  /** Compare-exchange: puts `entry` where `expected` still stands. */
  @inline
  static replace<F>(slot: usize, expected: u64, entry: u64): bool {
    if (changetype<F>(0).entryShift == 3) return Shared.compareExchange<u64>(slot, expected, entry) == expected;
    return Shared.compareExchange<u32>(slot, <u32>expected, <u32>entry) == <u32>expected;
  }

  /** native_ptep_get_and_clear(): exchange with zero. */
  @inline
  static getAndClear<F>(slot: usize): u64 {
    return Entry.exchange<F>(slot, 0);
  }

  /** ptep_set_wrprotect(): a try_cmpxchg loop of pte_wrprotect(), as x86 does since shadow stacks (v6.6). */
  static setWrprotect<F>(slot: usize): u64 {
    while (true) {
      const old = Entry.load<F>(slot);
      const now = changetype<F>(0).pteWrprotect(old);
      if (Entry.replace<F>(slot, old, now)) return old;
    }
  }

  /** ptep_test_and_clear_young(): test_and_clear_bit, no flush. */
  static testAndClearYoung<F>(slot: usize): bool {
    const format = changetype<F>(0);
    while (true) {
      const old = Entry.load<F>(slot);
      if (!format.pteYoung(old)) return false;
      if (Entry.replace<F>(slot, old, format.pteMkold(old))) return true;
    }
  }

  /** ptep_modify_prot_start(): from here to the commit the entry is none, and a walk faults. */
  @inline
  static modifyProtStart<F>(slot: usize): u64 {
    return Entry.getAndClear<F>(slot);
  }

  /** ptep_modify_prot_commit(): set_pte. */
  @inline
  static modifyProtCommit<F>(slot: usize, entry: u64): void {
    Entry.store<F>(slot, entry);
  }
}
