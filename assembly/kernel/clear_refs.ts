// clear_refs_write() for soft-dirty (`echo 4 > /proc/PID/clear_refs`, fs/proc/task_mmu.c): from here on, which pages are written to?
//
// Guarantees: when it has returned, every page of these VMAs is clean of soft-dirty and write-protected, in tables and TLBs: a store after it
// faults, and the fault sets soft-dirty. Pages that were written through and are not present (swapped out, being migrated) count
// as clean too. VMAs over PFNs are passed over.
//
// Locks: mmap_lock for writing from beginning to end, which keeps faults out that would copy a page or make it writable; the page-table lock of one table
// after the other. The flush is owed from the first change to flush_tlb_mm(), which comes before the lock is released
// (29a951dfb3c3, 912efa17e512). The variants are those that S0 and S4 argue about: CLEAR_REFS_*, and the options of path.ts.
//
// Not modelled: the other types of clear_refs (RangeOperations.age is 1), pages that are pinned (pte_is_pinned()).

import {
  CLEAR_REFS_AFTER_UNLOCK,
  CLEAR_REFS_COUNT_VMAS,
  CLEAR_REFS_DOWNGRADE,
  CLEAR_REFS_GATHER,
  CLEAR_REFS_NO_VMA_LOCK,
  CLEAR_REFS_READ,
  FLUSH_OWED,
  MMU_NOTIFY_SOFT_DIRTY,
  PATH_FLUSH,
  PATH_FLUSH_IN_PTL,
  PATH_FLUSHES,
  PATH_LOSE_DIRTY,
  PATH_PASSED,
  PATH_PLAIN,
  REQUEST_ALL,
  VM_PFNMAP,
  VM_SOFTDIRTY,
  VMA_FLAGS,
  VMA_FLUSH_PENDING,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Vma } from "../mm/vma";
import { VmaLock } from "../mm/vma_lock";
import { Entry } from "../pte/entry";
import { Apply, LARGE_WHOLE } from "../range/apply";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";

const ALL: u64 = 0xffffffffffffffff;

export abstract class ClearRefs {
  /** The VMAs of `mm` that have a byte of [first, last]; Linux knows only all of them. From CPU `cpu`. */
  static softDirty<F>(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): void {
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    ClearRefs.lock(mm, first, last, options);
    // PGWALK_WRLOCK (49b0638502da)
    const locksVmas = (options & (CLEAR_REFS_READ | CLEAR_REFS_DOWNGRADE | CLEAR_REFS_NO_VMA_LOCK)) == 0;
    const gather = Path.has(path, CLEAR_REFS_GATHER);
    if (gather) Gathered.begin(path, true);
    else Path.countUp(path);
    if (Path.has(path, CLEAR_REFS_COUNT_VMAS)) ClearRefs.countVmas(mm, first, last, 1);
    Notifiers.start(mm, MMU_NOTIFY_SOFT_DIRTY, 0, ALL);
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      if ((Shared.load<u32>(vma + VMA_FLAGS) & VM_PFNMAP) != 0) {
        Path.count(path, PATH_PASSED);
        continue;
      }
      if (locksVmas) VmaLock.startWrite(vma);
      Apply.toPfnRange<F, ClearPte>(path, Vma.start(vma), Vma.end(vma) - 1, false);
    }
    Notifiers.end(mm, MMU_NOTIFY_SOFT_DIRTY, 0, ALL);
    const early = !Path.has(path, CLEAR_REFS_AFTER_UNLOCK);
    if (early) ClearRefs.flush(path, gather);
    if (Path.has(path, CLEAR_REFS_COUNT_VMAS)) ClearRefs.countVmas(mm, first, last, -1);
    if ((options & (CLEAR_REFS_READ | CLEAR_REFS_DOWNGRADE)) == 0) Mm.writeUnlock(mm);
    else RwLock.readUnlock(Mm.mmapLock(mm));
    if (!early) ClearRefs.flush(path, gather);
    Path.finish(path);
  }

  /**
   * Takes mmap_lock as the options say, and VM_SOFTDIRTY from VMAs, in which every page counts as soft-dirty since they were made. Flags change
   * under the lock for writing; who has it for reading gives it back first and goes on with what he downgraded.
   */
  private static lock(mm: usize, first: u64, last: u64, options: u32): void {
    const lock = Mm.mmapLock(mm);
    if ((options & CLEAR_REFS_READ) == 0) {
      Mm.writeLock(mm);
      ClearRefs.forgetNew(mm, first, last);
      if ((options & CLEAR_REFS_DOWNGRADE) != 0) Mm.downgrade(mm);
      return;
    }
    RwLock.readLock(lock);
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      if ((Shared.load<u32>(vma + VMA_FLAGS) & VM_SOFTDIRTY) == 0) continue;
      RwLock.readUnlock(lock);
      Mm.writeLock(mm);
      ClearRefs.forgetNew(mm, first, last);
      Mm.downgrade(mm);
      return;
    }
  }

  private static forgetNew(mm: usize, first: u64, last: u64): void {
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      const flags = Shared.load<u32>(vma + VMA_FLAGS);
      if ((flags & VM_SOFTDIRTY) == 0) continue;
      VmaLock.startWrite(vma);
      Shared.store<u32>(vma + VMA_FLAGS, flags & ~VM_SOFTDIRTY);
    }
  }

  /** wrprotect_tlb_flush_pending of each VMA (S4): by the rules of the mm's count, and while mmap_lock is held. */
  private static countVmas(mm: usize, first: u64, last: u64, by: u32): void {
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      if ((Shared.load<u32>(vma + VMA_FLAGS) & VM_PFNMAP) == 0) Shared.count<u32>(vma + VMA_FLUSH_PENDING, by);
    }
  }

  /** flush_tlb_mm() and dec_tlb_flush_pending(); or tlb_finish_mmu() of a gather that was told of no entry. */
  private static flush(path: usize, gather: bool): void {
    if (gather) {
      Gathered.finish(path);
      if (Path.owes(path) && load<u32>(path, PATH_FLUSHES) == 0) store<u32>(path, FLUSH_OWED, PATH_FLUSH);
      return;
    }
    Path.countUpLate(path);
    if (!Path.has(path, PATH_FLUSH_IN_PTL)) Path.flush(path, 0, ALL, REQUEST_ALL);
    Path.countDown(path);
  }
}

/** clear_soft_dirty() and clear_soft_dirty_pmd() */
class ClearPte {
  @inline
  get large(): i32 {
    return LARGE_WHOLE;
  }

  @inline
  enter(_path: usize): void {}

  pte<F>(path: usize, slot: usize, va: u64, end: u64, _level: i32): i32 {
    const format = changetype<F>(0);
    const entry = Entry.load<F>(slot);
    if (format.ptePresent(entry)) {
      const old = Path.has(path, PATH_PLAIN) ? entry : Entry.modifyProtStart<F>(slot);
      let now = format.pteClearSoftDirty(format.pteWrprotect(old));
      if (Path.has(path, PATH_LOSE_DIRTY)) now = format.pteMkclean(now);
      Entry.modifyProtCommit<F>(slot, now);
      if (now != old) Path.touched(path, va, end);
    } else if (!format.pteNone(entry)) {
      const now = format.pteSwpClearSoftDirty(entry);
      if (now == entry) return 0;
      Entry.store<F>(slot, now);
      Path.note(path, 1, va, end);
    }
    return 0;
  }

  @inline
  leave(path: usize): void {
    Path.beforeUnlock(path);
  }
}
