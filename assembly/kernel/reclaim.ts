// Reclaim of one page: unmapped everywhere, written out if it is dirty, freed (mm/vmscan.c, shrink_folio_list(); mm/rmap.c, try_to_unmap_one()).
//
// Guarantees: if it returns true, the frame is free, no CPU has a translation of it, and what was stored to the page last is in swap or in its file;
// lazily freed pages (MADV_FREE) are dropped as they are, unless they were stored to again. Otherwise the page stays, entries of it may have
// gone to swap entries, and what is told is which.
//
// Entries are flushed in a batch (TTU_BATCH_FLUSH) where others may have them: before the page is written out if one may have been writable
// (try_to_unmap_flush_dirty()), and before it is freed (try_to_unmap_flush()). Meanwhile whoever finds them gone flushes in the batch's place
// (flush_tlb_batched_pending()). What the variants leave out: RECLAIM_*.
//
// Locks, in the order of mm/rmap.c: the page lock, tried only; i_mmap_rwsem or anon_vma->rwsem for reading; the page-table lock. The caller has a reference.
// Not modelled: lists of pages and their ages, IO that is under way when pageout() returns.

import {
  FOLIO_FLAGS,
  FRAME_BYTES,
  MMU_NOTIFY_CLEAR,
  PATH_BATCH,
  PATH_FLUSHES,
  PATH_INTERRUPTED,
  PATH_SHOOT,
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_WRITEBACK,
  RECLAIM_FLUSH_NOW,
  RECLAIM_NO_FLUSH,
  RECLAIM_NO_FLUSH_DIRTY,
  UBC_REQUIRED,
  UBC_WRITABLE,
} from "../layout";
import { Shared } from "../atomic";
import { Batched } from "../flush/batched";
import { Frames } from "../frame";
import { Folio } from "../mm/folio";
import { Mapping } from "../mm/mapping";
import { Notifiers } from "../mm/notifier";
import { Page } from "../mm/page";
import { Rmap } from "../mm/rmap";
import { NO_SLOT, SwapArea } from "../mm/swap";
import { Swap } from "../mm/swapops";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Path } from "../range/path";

export abstract class Reclaim {
  /** Takes `folio` away, from CPU `cpu`; the caller's reference goes with it. False: it stays, and so does the reference. */
  static folio(cpu: usize, folio: usize, path: usize, options: u32): bool {
    Path.begin(path, cpu, options);
    Batched.begin(path + PATH_BATCH);
    if (!Folio.tryLock(folio)) return false;
    const gone =
      Reclaim.addToSwap(folio) && Reclaim.unmap(folio, path) && Reclaim.pageOut(folio, path) && Reclaim.detach(folio);
    Folio.unlock(folio);
    if (!Path.has(path, RECLAIM_NO_FLUSH) || !gone) Reclaim.flush(path);
    if (gone) Frames.release(Folio.frame(folio));
    Path.finish(path);
    return gone;
  }

  /** An anonymous page that is not lazily free needs a slot in the swap area: add_to_swap(). False if there is none. */
  private static addToSwap(folio: usize): bool {
    if (!Folio.isAnon(folio) || (Folio.flags(folio) & (PG_SWAPBACKED | PG_SWAPCACHE)) != PG_SWAPBACKED) return true;
    const slot = SwapArea.allocate();
    if (slot == NO_SLOT) return false;
    SwapArea.addToCache(folio, slot);
    Folio.set(folio, PG_DIRTY);
    return true;
  }

  /** try_to_unmap() */
  private static unmap(folio: usize, path: usize): bool {
    return Folio.mapcount(folio) == 0 || (Rmap.walk<UnmapOne>(folio, path) && Folio.mapcount(folio) == 0);
  }

  /** pageout(): the page's words go to the backing store. */
  private static pageOut(folio: usize, path: usize): bool {
    if (!Folio.test(folio, PG_DIRTY)) return true;
    const backing = Folio.backing(folio);
    if (backing == 0) return false;
    if (!Path.has(path, RECLAIM_NO_FLUSH_DIRTY) && load<u32>(path + PATH_BATCH, UBC_WRITABLE) != 0) Reclaim.flush(path);
    // is_page_cache_freeable(): the caller's reference and the cache's.
    if (Folio.refs(folio) != 2) return false;
    if (!Folio.testAndClear(folio, PG_DIRTY)) return true;
    Folio.set(folio, PG_WRITEBACK);
    Page.copy(backing, Folio.address(folio));
    Folio.clear(folio, PG_WRITEBACK);
    Shared.wake(folio + FOLIO_FLAGS);
    return true;
  }

  /** __remove_mapping(): if nobody else has a reference, nobody gets one any more. */
  private static detach(folio: usize): bool {
    const mapping = Folio.mapping(folio);
    const cached = Folio.test(folio, PG_SWAPCACHE) || (mapping != 0 && !Folio.isAnon(folio));
    const references: u32 = cached ? 2 : 1;
    if (!Folio.freezeRefs(folio, references)) return false;
    if (Folio.test(folio, PG_DIRTY)) {
      Folio.unfreezeRefs(folio, references);
      return false;
    }
    if (Folio.test(folio, PG_SWAPCACHE)) SwapArea.forget(folio);
    else if (cached) Mapping.remove(mapping, folio);
    return true;
  }

  /** try_to_unmap_flush() */
  private static flush(path: usize): void {
    const batch = path + PATH_BATCH;
    if (load<u32>(batch, UBC_REQUIRED) == 0) return;
    const interrupted = Batched.flush(batch, Path.cpu(path), load<u32>(path, PATH_SHOOT));
    store<u32>(path, load<u32>(path, PATH_INTERRUPTED) + interrupted, PATH_INTERRUPTED);
    Path.count(path, PATH_FLUSHES);
  }
}

class UnmapOne {
  /** try_to_unmap_one(): false if the page cannot go, its entry as it was. */
  one<F>(folio: usize, vma: usize, va: u64, path: usize): bool {
    const mm = Vma.mm(vma);
    const end = va + (FRAME_BYTES - 1);
    Path.enterMm(path, mm, vma);
    Notifiers.start(mm, MMU_NOTIFY_CLEAR, va, end);
    const slot = Rmap.pageOf<F>(mm, va, folio, false);
    let good = true;
    if (slot != 0) {
      const old = UnmapOne.clear<F>(path, mm, slot, va, end);
      if (changetype<F>(0).pteDirty(old)) Folio.set(folio, PG_DIRTY);
      good = !Folio.isAnon(folio) || UnmapOne.leaveBehind<F>(folio, slot, old);
      if (good) {
        Folio.removeRmap(folio);
        Folio.put(folio);
        Path.note(path, 1, va, end);
      }
      Rmap.done(mm, slot);
    }
    Notifiers.end(mm, MMU_NOTIFY_CLEAR, va, end);
    return good;
  }

  /** Takes the entry out, and flushes it now (ptep_clear_flush()) or in the batch (should_defer_flush(), set_tlb_ubc_flush_pending()). */
  private static clear<F>(path: usize, mm: usize, slot: usize, va: u64, end: u64): u64 {
    const format = changetype<F>(0);
    const cpu = Path.cpu(path);
    if (Path.has(path, RECLAIM_FLUSH_NOW) || !Batched.shouldDefer(cpu, mm))
      return Path.clearFlush<F>(path, slot, va, end);
    const old = Entry.getAndClear<F>(slot);
    if (format.present(old)) Batched.setPending(path + PATH_BATCH, cpu, mm, va, format.pteDirty(old));
    return old;
  }

  /** Of an anonymous page: a swap entry; of one that is lazily free: nothing, unless it was stored to again. */
  private static leaveBehind<F>(folio: usize, slot: usize, old: u64): bool {
    if (!Folio.test(folio, PG_SWAPBACKED)) {
      const dirty = Folio.test(folio, PG_DIRTY);
      if (!dirty && Folio.refs(folio) == 1 + Folio.mapcount(folio)) return true;
      Entry.store<F>(slot, old);
      if (dirty) Folio.set(folio, PG_SWAPBACKED);
      return false;
    }
    const number = Folio.swap(folio);
    SwapArea.duplicate(<u32>number);
    // folio_try_share_anon_rmap_pte(): nobody reuses it in place of reading it back.
    const exclusive = Folio.testAndClear(folio, PG_ANON_EXCLUSIVE);
    Entry.store<F>(slot, Swap.slotFor<F>(number, old, exclusive));
    return true;
  }
}
