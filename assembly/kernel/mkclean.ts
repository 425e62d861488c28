// Write-back of one page of a file: folio_mkclean() through the reverse map (mm/rmap.c), folio_clear_dirty_for_io() (mm/page-writeback.c), and the
// copy to the backing store.
//
// Guarantees: when `mkclean` has returned, no CPU can store to the page without a fault, in any mm that maps it shared; every store that came before is on the
// page, and is told of by the return value or was told of by PG_DIRTY. So `writeBack`, which asks first and copies then, copies it.
//
// What decides whether an entry is looked at any further is what S0 is about:
//   0                  D or W is set (page_vma_mkclean_one())
//   MKCLEAN_WRITE      W only (D2, D4)          MKCLEAN_DIRTY      D only (D3, D5)
//   MKCLEAN_PENDING    in addition: somebody owes this mm a flush, who may have taken both (proposed in S0, never merged: F1)
//
// Locks, in the order of mm/rmap.c: the page lock, from the test of PG_DIRTY to the start of write-back (page_mkwrite() holds it until its entry is writable);
// i_mmap_rwsem for reading; the page-table lock, over the flush (ptep_clear_flush()). WRITEBACK_UNLOCKED leaves the page lock out (F7).
// Options of path.ts: PATH_NO_FLUSH.

import {
  FOLIO_FLAGS,
  FRAME_BYTES,
  MKCLEAN_DIRTY,
  MKCLEAN_PENDING,
  MKCLEAN_WRITE,
  MMU_NOTIFY_PROTECTION_PAGE,
  PATH_PASSED,
  PATH_TOUCHED,
  PG_DIRTY,
  PG_WRITEBACK,
  VM_SHARED,
  VMA_FLAGS,
  WRITEBACK_ANYWAY,
  WRITEBACK_UNLOCKED,
} from "../layout";
import { Shared } from "../atomic";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Page } from "../mm/page";
import { Rmap } from "../mm/rmap";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Path } from "../range/path";

export abstract class Writeback {
  /**
   * Writes `folio`, a page of a file, back to its words in the backing store, as write_cache_pages() and a file's writepages do: false if it was clean.
   * WRITEBACK_ANYWAY looks at the entries of a clean one too. From CPU `cpu`, who has a reference.
   */
  static folio(cpu: usize, folio: usize, path: usize, options: u32): bool {
    Path.begin(path, cpu, options);
    const locked = !Path.has(path, WRITEBACK_UNLOCKED);
    if (locked) Folio.lock(folio);
    Writeback.wait(folio);
    const dirty =
      (Path.has(path, WRITEBACK_ANYWAY) || Folio.test(folio, PG_DIRTY)) && Writeback.clearDirtyForIo(folio, path);
    if (dirty) Folio.set(folio, PG_WRITEBACK);
    if (locked) Folio.unlock(folio);
    if (dirty) {
      Page.copy(Folio.backing(folio), Folio.address(folio));
      Folio.clear(folio, PG_WRITEBACK);
      Shared.wake(folio + FOLIO_FLAGS);
    }
    Path.finish(path);
    return dirty;
  }

  /** folio_clear_dirty_for_io(): what the entries know goes to PG_DIRTY, and PG_DIRTY to the caller. The page lock is held. */
  static clearDirtyForIo(folio: usize, path: usize): bool {
    if (Mkclean.folio(folio, path)) Folio.set(folio, PG_DIRTY);
    return Folio.testAndClear(folio, PG_DIRTY);
  }

  /** folio_wait_writeback() */
  private static wait(folio: usize): void {
    let flags = Folio.flags(folio);
    while ((flags & PG_WRITEBACK) != 0) flags = Shared.awaitChange<u32>(folio + FOLIO_FLAGS, flags);
  }
}

export abstract class Mkclean {
  /** folio_mkclean(): true if an entry was cleaned. The page lock is held; the path was begun. */
  static folio(folio: usize, path: usize): bool {
    const before = load<u64>(path, PATH_TOUCHED);
    Rmap.walk<MkcleanOne>(folio, path);
    return load<u64>(path, PATH_TOUCHED) != before;
  }
}

class MkcleanOne {
  /** page_vma_mkclean_one(), and invalid_mkclean_vma() before it. */
  one<F>(folio: usize, vma: usize, va: u64, path: usize): bool {
    if ((Shared.load<u32>(vma + VMA_FLAGS) & VM_SHARED) == 0) {
      Path.count(path, PATH_PASSED);
      return true;
    }
    const mm = Vma.mm(vma);
    const end = va + (FRAME_BYTES - 1);
    Path.enterMm(path, mm, vma);
    Notifiers.start(mm, MMU_NOTIFY_PROTECTION_PAGE, va, end);
    const slot = Rmap.pageOf<F>(mm, va, folio, false);
    if (slot != 0) {
      if (MkcleanOne.wanted<F>(path, Entry.load<F>(slot))) {
        const format = changetype<F>(0);
        const old = Path.clearFlush<F>(path, slot, va, end);
        Entry.store<F>(slot, format.pteMkclean(format.pteWrprotect(old)));
        Path.note(path, 1, va, end);
      }
      Rmap.done(mm, slot);
    }
    Notifiers.end(mm, MMU_NOTIFY_PROTECTION_PAGE, va, end);
    return true;
  }

  private static wanted<F>(path: usize, pte: u64): bool {
    const format = changetype<F>(0);
    if (format.pteDirty(pte) && !Path.has(path, MKCLEAN_WRITE)) return true;
    if (format.pteWrite(pte) && !Path.has(path, MKCLEAN_DIRTY)) return true;
    return Path.has(path, MKCLEAN_PENDING) && Mm.flushPending(Path.mm(path));
  }
}
