// Entries that are neither present nor none: a swap slot, or a page that is being migrated (include/linux/swapops.h).
//
// The format says where type and offset stand (pte/); here is what they mean. A migration entry names the old frame and keeps A and D of the
// entry it replaced above the PFN (2e3468778dbe, v6.1); soft-dirty and uffd-wp are bits of the format.

import {
  SWP_MIGRATION_DIRTY_BIT,
  SWP_MIGRATION_READ,
  SWP_MIGRATION_READ_EXCLUSIVE,
  SWP_MIGRATION_WRITE,
  SWP_MIGRATION_YOUNG_BIT,
  SWP_SWAPFILE,
} from "../layout";
import { Shared } from "../atomic";
import { Entry } from "../pte/entry";

const PFN: u64 = ((<u64>1) << SWP_MIGRATION_YOUNG_BIT) - 1;

export abstract class Swap {
  /** is_swap_pte(): neither present nor none. */
  @inline
  static is<F>(pte: u64): bool {
    const format = changetype<F>(0);
    return !format.ptePresent(pte) && !format.pteNone(pte);
  }

  /** Is it the entry of a swap slot (not non_swap_entry())? */
  static isSlot<F>(pte: u64): bool {
    return Swap.is<F>(pte) && changetype<F>(0).swpType(pte) == SWP_SWAPFILE;
  }

  static isMigration<F>(pte: u64): bool {
    if (!Swap.is<F>(pte)) return false;
    const type = changetype<F>(0).swpType(pte);
    return type >= <u32>SWP_MIGRATION_READ && type <= <u32>SWP_MIGRATION_WRITE;
  }

  /** is_writable_migration_entry() of a migration entry. */
  @inline
  static isWritableMigration<F>(pte: u64): bool {
    return changetype<F>(0).swpType(pte) == SWP_MIGRATION_WRITE;
  }

  @inline
  static isExclusiveMigration<F>(pte: u64): bool {
    return changetype<F>(0).swpType(pte) == SWP_MIGRATION_READ_EXCLUSIVE;
  }

  /** make_readable_migration_entry(): the same page, neither writable nor exclusive. */
  static readable<F>(pte: u64): u64 {
    const format = changetype<F>(0);
    let result = format.swpEntry(SWP_MIGRATION_READ, format.swpOffset(pte));
    if (format.pteSwpSoftDirty(pte)) result = format.pteSwpMksoftDirty(result);
    if (format.pteSwpUffdWp(pte)) result = format.pteSwpMkuffdWp(result);
    return result;
  }

  @inline
  static migrationPfn<F>(pte: u64): u64 {
    return changetype<F>(0).swpOffset(pte) & PFN;
  }

  /** is_migration_entry_young() */
  @inline
  static migrationYoung<F>(pte: u64): bool {
    return ((changetype<F>(0).swpOffset(pte) >> SWP_MIGRATION_YOUNG_BIT) & 1) != 0;
  }

  /** is_migration_entry_dirty() */
  @inline
  static migrationDirty<F>(pte: u64): bool {
    return ((changetype<F>(0).swpOffset(pte) >> SWP_MIGRATION_DIRTY_BIT) & 1) != 0;
  }

  /** The entry that takes the place of the present entry `pte` while its page is migrated: the part of try_to_migrate_one() that makes it. */
  static migrationFor<F>(pte: u64, writable: bool, exclusive: bool): u64 {
    const format = changetype<F>(0);
    const type = writable ? SWP_MIGRATION_WRITE : exclusive ? SWP_MIGRATION_READ_EXCLUSIVE : SWP_MIGRATION_READ;
    let offset = format.ptePfn(pte);
    if (format.pteYoung(pte)) offset |= (<u64>1) << SWP_MIGRATION_YOUNG_BIT;
    if (format.pteDirty(pte)) offset |= (<u64>1) << SWP_MIGRATION_DIRTY_BIT;
    return Swap.inherit<F>(format.swpEntry(type, offset), pte);
  }

  /** The entry of swap slot `slot` in place of the present entry `pte`: the end of try_to_unmap_one(). */
  static slotFor<F>(slot: u64, pte: u64, exclusive: bool): u64 {
    const format = changetype<F>(0);
    const entry = format.swpEntry(SWP_SWAPFILE, slot);
    return Swap.inherit<F>(exclusive ? format.pteSwpMkexclusive(entry) : entry, pte);
  }

  /** The slot of a swap entry. */
  @inline
  static slot<F>(pte: u64): u32 {
    return <u32>changetype<F>(0).swpOffset(pte);
  }

  /**
   * Puts `pte` in the place of an entry that is not present, and wakes who waits for that entry to go: the end of remove_migration_pte(), under
   * the page-table lock. A fault that met a migration entry waits for the word of the entry (fault/swapin.ts), as Linux waits for the page
   * lock (migration_entry_wait_on_locked()).
   */
  @inline
  static restore<F>(slot: usize, pte: u64): void {
    Entry.store<F>(slot, pte);
    Swap.wakeWaiters(slot);
  }

  /** The entry in `slot`, which may have been one of a migration, is gone for good: who waits for it looks again. */
  @inline
  static wakeWaiters(slot: usize): void {
    Shared.wake(slot);
  }

  /** Soft-dirty and uffd-wp of a present entry, in an entry that is not. */
  private static inherit<F>(entry: u64, pte: u64): u64 {
    const format = changetype<F>(0);
    let result = entry;
    if (format.pteSoftDirty(pte)) result = format.pteSwpMksoftDirty(result);
    if (format.pteUffdWp(pte)) result = format.pteSwpMkuffdWp(result);
    return result;
  }
}
