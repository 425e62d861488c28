// madvise of MADV_DONTNEED and MADV_FREE (mm/madvise.c): pages whose contents nobody needs any more.
//
// Guarantees. dontNeed: when it has returned, no load of this mm sees what was on the pages, not even if another call took them out first and
// has not flushed yet (99baac21e458). free: entries of anonymous pages are old and clean, so reclaim may drop the pages as they
// are (PG_SWAPBACKED goes); a store that comes after the flush sets D again and keeps its page.
//
// Locks: mmap_lock for reading, the page-table lock of one table after the other, and inside it, tried only, the page lock. One gather serves the
// whole call (43c4cfde7e37). Options of path.ts: for both PATH_NO_NESTED and PATH_FLUSH_IN_PTL; for dontNeed PATH_FREE_EARLY; for free
// PATH_UNCOUNTED, PATH_COUNT_LATE, PATH_NO_FLUSH and PATH_PLAIN.
//
// Not modelled: the per-VMA lock in place of mmap_lock (v6.16).

import {
  FRAME_SHIFT,
  MMU_NOTIFY_CLEAR,
  PATH_PASSED,
  PATH_PLAIN,
  PG_DIRTY,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  VM_HUGETLB,
  VM_PFNMAP,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { SwapArea } from "../mm/swap";
import { Swap } from "../mm/swapops";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Apply, LARGE_NEVER } from "../range/apply";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";
import { Zap } from "../range/zap";

export abstract class Madvise {
  /** MADV_DONTNEED for [first, last] of `mm`, both page-aligned but for the low bits of `last`, from CPU `cpu`. */
  static dontNeed<F>(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): void {
    Madvise.begin(cpu, mm, path, options);
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      // madvise_dontneed_free_valid_vma()
      if ((Shared.load<u32>(vma + VMA_FLAGS) & (VM_PFNMAP | VM_HUGETLB)) != 0) {
        Path.count(path, PATH_PASSED);
        continue;
      }
      const from = max(first, Vma.start(vma));
      const to = min(last, Vma.end(vma) - 1);
      // zap_page_range_single_batched()
      Notifiers.start(mm, MMU_NOTIFY_CLEAR, from, to);
      Zap.range<F>(path, from, to);
      Notifiers.end(mm, MMU_NOTIFY_CLEAR, from, to);
    }
    Madvise.end(mm, path);
  }

  /** MADV_FREE, of anonymous memory; other VMAs are passed over. */
  static free<F>(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): void {
    Madvise.begin(cpu, mm, path, options);
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      if (Vma.mapping(vma) != 0) {
        Path.count(path, PATH_PASSED);
        continue;
      }
      const from = max(first, Vma.start(vma));
      const to = min(last, Vma.end(vma) - 1);
      Notifiers.start(mm, MMU_NOTIFY_CLEAR, from, to);
      Apply.toPfnRange<F, FreePte>(path, from, to, false);
      Notifiers.end(mm, MMU_NOTIFY_CLEAR, from, to);
    }
    Madvise.end(mm, path);
  }

  private static begin(cpu: usize, mm: usize, path: usize, options: u32): void {
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    RwLock.readLock(Mm.mmapLock(mm));
    Gathered.begin(path, false);
  }

  private static end(mm: usize, path: usize): void {
    Gathered.finish(path);
    RwLock.readUnlock(Mm.mmapLock(mm));
    Path.finish(path);
  }
}

/** madvise_free_pte_range() */
class FreePte {
  @inline
  get large(): i32 {
    return LARGE_NEVER;
  }

  @inline
  enter(path: usize): void {
    Gathered.afterLock(path);
  }

  pte<F>(path: usize, slot: usize, va: u64, end: u64, _level: i32): i32 {
    const format = changetype<F>(0);
    const entry = Entry.load<F>(slot);
    if (!format.ptePresent(entry)) {
      // What is in swap need not come back.
      if (!Swap.isSlot<F>(entry)) return 0;
      SwapArea.freeAndCache(<u32>format.swpOffset(entry));
      Entry.store<F>(slot, 0);
      Path.note(path, 1, va, end);
      return 0;
    }
    const folio = format.pteSpecial(entry) ? <usize>0 : Folio.normal(format.ptePfn(entry) << FRAME_SHIFT);
    if (folio == 0 || !FreePte.cleanFolio(folio)) return 0;
    if (format.pteYoung(entry) || format.pteDirty(entry)) {
      // clear_young_dirty_ptes()
      const old = Path.has(path, PATH_PLAIN) ? entry : Entry.getAndClear<F>(slot);
      Entry.store<F>(slot, format.pteMkold(format.pteMkclean(old)));
      Path.note(path, 1, va, end);
      Gathered.changed(path, va, FRAME_SHIFT, 0);
    }
    // folio_mark_lazyfree()
    if ((Folio.flags(folio) & (PG_SWAPBACKED | PG_SWAPCACHE)) == PG_SWAPBACKED) Folio.clear(folio, PG_SWAPBACKED);
    return 0;
  }

  /** A folio that is dirty or in the swap cache is left alone, unless it is ours alone and nobody holds its lock. */
  private static cleanFolio(folio: usize): bool {
    if (!Folio.test(folio, PG_DIRTY | PG_SWAPCACHE)) return true;
    if (!Folio.tryLock(folio)) return false;
    let ours = Folio.mapcount(folio) == 1;
    if (ours && Folio.test(folio, PG_SWAPCACHE)) ours = SwapArea.freeSwap(folio);
    if (ours) Folio.clear(folio, PG_DIRTY);
    Folio.unlock(folio);
    return ours;
  }

  @inline
  leave(path: usize): void {
    Gathered.beforeUnlock(path);
  }
}
