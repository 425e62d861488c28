// change_protection() and change_pte_range() (mm/mprotect.c): gives the entries of a part of one VMA other rights. What mprotect and
// userfaultfd's write-protection have in common.
//
// Guarantees: each present entry changes in a transaction under its page-table lock, so no A or D is lost; the gather is told of those whose old rights a TLB
// may not keep (pte_needs_flush()). Migration entries lose the right to write, which their page would get back otherwise. Entries
// become writable here only if no store to the page has to be noticed first (can_change_pte_writable(), 64fe24a3e05e).
//
// With PATH_DEFERRED, a page whose old frame is still read by some CPU is flushed before its entry becomes writable. Under each page-table lock, first, what
// reclaim unmapped in a batch is flushed, for there may be writable entries in TLBs for entries that are gone (3ea277194daa; PATH_NO_BATCHED: K1).
//
// Locks: the caller holds mmap_lock; the page-table lock of one table after the other. The notifiers hear of it before the flush, which is the caller's
// gather's.

import {
  CHANGE_TRY_WRITABLE,
  CHANGE_UFFD_WP,
  CHANGE_UFFD_WP_RESOLVE,
  FRAME_SHIFT,
  MMU_NOTIFY_PROTECTION_VMA,
  PATH_CHANGE,
  PATH_DEFERRED,
  PATH_PLAIN,
  PATH_PROT,
  PATH_SHOOT,
  PG_ANON_EXCLUSIVE,
  SWP_MIGRATION_READ,
  SWP_MIGRATION_READ_EXCLUSIVE,
  VM_SHARED,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { Deferred } from "../flush/deferred";
import { Folio } from "../mm/folio";
import { Notifiers } from "../mm/notifier";
import { Prot } from "../mm/prot";
import { Swap } from "../mm/swapops";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Apply, LARGE_WHOLE } from "../range/apply";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";

export abstract class ChangeProtection {
  /** Entries of [first, last], which lies in `vma`, get the rights `prot` (PROT_*); `change` is CHANGE_*. The path has a gather. */
  static range<F>(path: usize, vma: usize, first: u64, last: u64, prot: u32, change: u32): void {
    Path.enterMm(path, Vma.mm(vma), vma);
    store<u32>(path, prot, PATH_PROT);
    store<u32>(path, change, PATH_CHANGE);
    Notifiers.start(Vma.mm(vma), MMU_NOTIFY_PROTECTION_VMA, first, last);
    Apply.toPfnRange<F, ChangePte>(path, first, last, false);
    Notifiers.end(Vma.mm(vma), MMU_NOTIFY_PROTECTION_VMA, first, last);
  }

  /** can_change_pte_writable() of an entry that is not writable yet. */
  static mayBeWritable<F>(vma: usize, pte: u64): bool {
    const format = changetype<F>(0);
    const flags = Shared.load<u32>(vma + VMA_FLAGS);
    if (format.pteProtnone(pte)) return false;
    // The first store is to be noticed: pte_needs_soft_dirty_wp(), userfaultfd_pte_wp().
    if (Prot.tracksSoftDirty(flags) && !format.pteSoftDirty(pte)) return false;
    if (format.pteUffdWp(pte)) return false;
    if ((flags & VM_SHARED) != 0) return format.pteDirty(pte);
    const folio = format.pteSpecial(pte) ? <usize>0 : Folio.normal(format.ptePfn(pte) << FRAME_SHIFT);
    return folio != 0 && Folio.isAnon(folio) && Folio.test(folio, PG_ANON_EXCLUSIVE);
  }
}

/** change_pte_range(), change_huge_pmd() */
class ChangePte {
  @inline
  get large(): i32 {
    return LARGE_WHOLE;
  }

  @inline
  enter(path: usize): void {
    Gathered.afterLock(path);
  }

  pte<F>(path: usize, slot: usize, va: u64, end: u64, level: i32): i32 {
    const format = changetype<F>(0);
    const entry = Entry.load<F>(slot);
    if (format.ptePresent(entry)) ChangePte.present<F>(path, slot, entry, va, end, level);
    else if (!format.pteNone(entry)) ChangePte.swap<F>(path, slot, entry, va, end);
    return 0;
  }

  private static present<F>(path: usize, slot: usize, entry: u64, va: u64, end: u64, level: i32): void {
    const format = changetype<F>(0);
    const change = load<u32>(path, PATH_CHANGE);
    const old = Path.has(path, PATH_PLAIN) ? entry : Entry.modifyProtStart<F>(slot);
    let now = format.pteModify(old, load<u32>(path, PATH_PROT));
    if ((change & CHANGE_UFFD_WP) != 0) now = format.pteMkuffdWp(now);
    else if ((change & CHANGE_UFFD_WP_RESOLVE) != 0) now = format.pteClearUffdWp(now);
    if ((change & CHANGE_TRY_WRITABLE) != 0 && !format.pteWrite(now)) {
      if (ChangeProtection.mayBeWritable<F>(Path.vma(path), now)) now = format.pteMkwrite(now);
    }
    if (format.pteWrite(now) && !format.pteWrite(old)) ChangePte.settle<F>(path, now);
    Entry.modifyProtCommit<F>(slot, now);
    if (now != old) Path.note(path, 1, va, end);
    if (format.pteNeedsFlush(old, now)) Gathered.changed(path, va, format.shift(level), level);
  }

  /** Before an entry becomes writable: is there a CPU that reads the frame its page was migrated from? Then its flush is due now (G6). */
  private static settle<F>(path: usize, pte: u64): void {
    const deferred: usize = load<u32>(path, PATH_DEFERRED);
    if (deferred == 0) return;
    const folio = Folio.normal(changetype<F>(0).ptePfn(pte) << FRAME_SHIFT);
    if (folio != 0) Deferred.settle(deferred, Path.cpu(path), folio, load<u32>(path, PATH_SHOOT));
  }

  private static swap<F>(path: usize, slot: usize, entry: u64, va: u64, end: u64): void {
    const format = changetype<F>(0);
    const change = load<u32>(path, PATH_CHANGE);
    let now = entry;
    if (Swap.isMigration<F>(entry) && Swap.isWritableMigration<F>(entry)) {
      const folio = Folio.normal(Swap.migrationPfn<F>(entry) << FRAME_SHIFT);
      const anon = folio != 0 && Folio.isAnon(folio);
      const type = anon ? SWP_MIGRATION_READ_EXCLUSIVE : SWP_MIGRATION_READ;
      now = format.swpEntry(type, format.swpOffset(entry));
      if (format.pteSwpSoftDirty(entry)) now = format.pteSwpMksoftDirty(now);
    }
    if ((change & CHANGE_UFFD_WP) != 0) now = format.pteSwpMkuffdWp(now);
    else if ((change & CHANGE_UFFD_WP_RESOLVE) != 0) now = format.pteSwpClearUffdWp(now);
    if (format.pteSame(now, entry)) return;
    Entry.store<F>(slot, now);
    Path.note(path, 1, va, end);
  }

  @inline
  leave(path: usize): void {
    Gathered.beforeUnlock(path);
  }
}
