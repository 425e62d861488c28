// How a scan changes one entry: by one atomic, by a transaction, or by a plain store.
//
// Guarantees: hardware goes on beside it: walkers in other agents set A and D at any moment, and no such bit is lost or invented. The caller
// holds the lock that keeps other software out. An entry changes by
//   one atomic       a compare-exchange of what it was into what it becomes, or, where bits are only cleared, an `and` (which V8 makes a
//                    compare-exchange of too)
//   a transaction    with SCAN_TRANSACTION: exchange with none, then store (ptep_modify_prot_start and commit); a walk in between faults
//   a plain store    with SCAN_SETTLED, if the entry is settled: present with A, and with D or without the right to write
// Why the last is sound: a walker writes an entry only to set an A or D that is missing and allowed, by compare-exchange against what it
// read. A settled entry lacks none. A walker that read it earlier, unsettled, finds it changed and begins again; one that reads it
// after the store sees what was stored. What it leans on: that machine (`recheck` of the dirty-bit machines; one that sets D
// without looking at RW again, `nowcheck`, needs the atomics), the lock, and that an aligned store of 8 bytes, also as half of a
// vector store, does not tear, which V8 on x64 and arm64 does and the WebAssembly specification does not promise. So it is a flag.

import { BUILD_RELEASE, SCAN_SETTLED, SCAN_TRANSACTION } from "../layout";
import { Entry } from "../pte/entry";

export abstract class Change {
  /** Does the operation to one entry, which was `entry` a moment ago. False if there is nothing to do. */
  @inline
  static touch<F, V>(slot: usize, entry: u64, flags: u32, regime: usize): bool {
    const visitor = changetype<V>(0);
    if (!visitor.hit<F>(entry)) return false;
    if (visitor.changes) Change.entry<F, V>(slot, entry, flags, regime);
    return true;
  }

  /** Changes an entry that is hit, in the manner that the flags ask for. */
  @inline
  static entry<F, V>(slot: usize, entry: u64, flags: u32, regime: usize): void {
    const visitor = changetype<V>(0);
    if ((flags & SCAN_SETTLED) != 0 && changetype<F>(0).settled(entry, regime)) {
      Change.put<F>(slot, visitor.after<F>(entry));
    } else if ((flags & SCAN_TRANSACTION) != 0) {
      Change.put<F>(slot, visitor.after<F>(Entry.modifyProtStart<F>(slot)));
    } else {
      Change.replace<F, V>(slot, entry);
    }
  }

  /** Do these flags ask for plain stores where they are sound? */
  @inline
  static settles(flags: u32): bool {
    return (flags & SCAN_SETTLED) != 0;
  }

  /** By compare-exchange: a hardware update that comes in between makes it begin again. */
  @inline
  static replace<F, V>(slot: usize, entry: u64): void {
    let old = entry;
    while (!Entry.replace<F>(slot, old, changetype<V>(0).after<F>(old))) old = Entry.load<F>(slot);
  }

  /** set_pte() of an entry that nobody else writes now. V8 makes an exchange of an atomic store, five times as dear. */
  @inline
  private static put<F>(slot: usize, entry: u64): void {
    if (BUILD == BUILD_RELEASE && changetype<F>(0).entryShift == 3) store<u64>(slot, entry);
    else Entry.store<F>(slot, entry);
  }
}
