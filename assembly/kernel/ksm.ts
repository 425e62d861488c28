// KSM merges two pages with the same contents: try_to_merge_one_page(), write_protect_page(), replace_page() (mm/ksm.c).
//
// Guarantees: if `mergeOne` returns true, the entry that mapped `folio` maps `kfolio`, which has the same words, and no store to `folio` was lost: from the
// time when the words were compared nobody could store to it. The old folio loses the entry's reference after the flush.
//
// Whether an entry that is neither writable nor dirty may be taken as write-protected in TLBs too is what b3a81d0841a95 is about: two others may have taken the
// two bits and not have flushed yet, which tlb_flush_pending tells:
//   KSM_NO_PENDING         does not ask (E0)
//   KSM_NO_EXCLUSIVE       knows nothing of PG_ANON_EXCLUSIVE, as before v5.19: with it, a page that was writable is always flushed
//   KSM_REPLACE_NO_FLUSH   replace_page() without a flush (E19)
//
// Locks: mmap_lock for reading. The page lock, tried only: a write fault that meets it, or the reference, copies in place of reusing. The page-table lock, over
// the flush of each step; between the two steps the words are compared without it.
//
// Not modelled: the trees of stable and unstable pages, and how a page is found to be worth it (cmp_and_merge_page()); the zero page.

import {
  FRAME_BYTES,
  FRAME_SHIFT,
  KSM_NO_EXCLUSIVE,
  KSM_NO_PENDING,
  KSM_REPLACE_NO_FLUSH,
  MMU_NOTIFY_CLEAR,
  PATH_PTE,
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_KSM,
  PG_SWAPCACHE,
  PROT_ACCESSED,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Page } from "../mm/page";
import { Prot } from "../mm/prot";
import { SwapArea } from "../mm/swap";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Apply } from "../range/apply";
import { Path } from "../range/path";

export abstract class Ksm {
  /**
   * Merges the page at `va` of `mm` with `kfolio`, a write-protected anonymous page; with 0, makes a page of the first kind of it: write-protected,
   * and never reused. True if it was done. From CPU `cpu`.
   */
  static merge<F>(cpu: usize, mm: usize, va: u64, kfolio: usize, path: usize, options: u32): bool {
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    RwLock.readLock(Mm.mmapLock(mm));
    const vma = Vma.lookUp(mm, va);
    const folio = vma == 0 ? <usize>0 : Ksm.pageAt<F>(mm, va);
    const merged = folio != 0 && Ksm.mergeOne<F>(path, vma, va, folio, kfolio);
    if (folio != 0) Folio.put(folio);
    RwLock.readUnlock(Mm.mmapLock(mm));
    Path.finish(path);
    return merged;
  }

  /** get_mergeable_page(): the anonymous page that is mapped there, with a reference, or 0. */
  private static pageAt<F>(mm: usize, va: u64): usize {
    const format = changetype<F>(0);
    const slot = Apply.lockSlot<F>(mm, va);
    if (slot == 0) return 0;
    const pte = Entry.load<F>(slot);
    let folio: usize = 0;
    if (format.ptePresent(pte) && !format.pteSpecial(pte)) folio = Folio.normal(format.ptePfn(pte) << FRAME_SHIFT);
    if (folio != 0 && !Folio.isAnon(folio)) folio = 0;
    if (folio != 0) Folio.get(folio);
    Spinlock.unlock(Mm.ptl(mm, slot));
    return folio;
  }

  /** try_to_merge_one_page() */
  private static mergeOne<F>(path: usize, vma: usize, va: u64, folio: usize, kfolio: usize): bool {
    if (folio == kfolio) return true;
    if (!Folio.tryLock(folio)) return false;
    let merged = false;
    if (Ksm.writeProtectPage<F>(path, vma, va, folio)) {
      if (kfolio == 0) {
        Folio.set(folio, PG_DIRTY | PG_KSM);
        merged = true;
      } else if (Page.same(Folio.address(folio), Folio.address(kfolio))) {
        merged = Ksm.replacePage<F>(path, vma, va, folio, kfolio);
      }
    }
    Folio.unlock(folio);
    return merged;
  }

  /** write_protect_page(): false if somebody else has the page. The entry as it was left goes to PATH_PTE. */
  private static writeProtectPage<F>(path: usize, vma: usize, va: u64, folio: usize): bool {
    const format = changetype<F>(0);
    const mm = Vma.mm(vma);
    const end = va + (FRAME_BYTES - 1);
    Notifiers.start(mm, MMU_NOTIFY_CLEAR, va, end);
    const slot = Ksm.lockPage<F>(mm, va, folio);
    let good = slot != 0;
    if (good) {
      let entry = Entry.load<F>(slot);
      const exclusive = !Path.has(path, KSM_NO_EXCLUSIVE) && Folio.test(folio, PG_ANON_EXCLUSIVE);
      if (format.pteWrite(entry) || format.pteDirty(entry) || exclusive || Ksm.pending(path)) {
        const references: u32 = Folio.test(folio, PG_SWAPCACHE) ? 2 : 1;
        // So that nobody gets another reference through the entry, or stores, before it is looked at.
        entry = Path.clearFlush<F>(path, slot, va, end);
        good = Folio.mapcount(folio) + references == Folio.refs(folio);
        if (good) {
          // folio_try_share_anon_rmap_pte(): nobody reuses it any more.
          if (exclusive) Folio.clear(folio, PG_ANON_EXCLUSIVE);
          if (format.pteDirty(entry)) Folio.set(folio, PG_DIRTY);
          entry = format.pteWrprotect(format.pteMkclean(entry));
          Path.note(path, 1, va, end);
        }
        Entry.store<F>(slot, entry);
      }
      store<u64>(path, entry, PATH_PTE);
      Spinlock.unlock(Mm.ptl(mm, slot));
    }
    Notifiers.end(mm, MMU_NOTIFY_CLEAR, va, end);
    return good;
  }

  /** page_vma_mapped_walk(): the slot for `va` if its entry maps the folio, its page-table lock held; else 0, and no lock. */
  private static lockPage<F>(mm: usize, va: u64, folio: usize): usize {
    const format = changetype<F>(0);
    const slot = Apply.lockSlot<F>(mm, va);
    if (slot == 0) return 0;
    const pte = Entry.load<F>(slot);
    if (format.ptePresent(pte) && format.ptePfn(pte) << FRAME_SHIFT == Folio.physical(folio)) return slot;
    Spinlock.unlock(Mm.ptl(mm, slot));
    return 0;
  }

  @inline
  private static pending(path: usize): bool {
    return !Path.has(path, KSM_NO_PENDING) && Mm.flushPending(Path.mm(path));
  }

  /** replace_page(): false if the entry is not what write_protect_page() left. */
  private static replacePage<F>(path: usize, vma: usize, va: u64, folio: usize, kfolio: usize): bool {
    const format = changetype<F>(0);
    const mm = Vma.mm(vma);
    const end = va + (FRAME_BYTES - 1);
    Notifiers.start(mm, MMU_NOTIFY_CLEAR, va, end);
    const slot = Apply.lockSlot<F>(mm, va);
    const same = slot != 0 && format.pteSame(Entry.load<F>(slot), load<u64>(path, PATH_PTE));
    if (same) {
      const prot = Prot.ofVma(Shared.load<u32>(vma + VMA_FLAGS)) | PROT_ACCESSED;
      Folio.get(kfolio);
      Folio.addRmap(kfolio, false);
      // Nobody looks at what the entry was.
      if (Path.has(path, KSM_REPLACE_NO_FLUSH)) Entry.getAndClear<F>(slot);
      else Path.clearFlush<F>(path, slot, va, end);
      Entry.store<F>(slot, format.pteModify(format.makeLeaf(Folio.physical(kfolio), 0, prot), prot));
      Path.note(path, 1, va, end);
      if (Folio.removeRmap(folio)) SwapArea.freeSwap(folio);
      Folio.put(folio);
    }
    if (slot != 0) Spinlock.unlock(Mm.ptl(mm, slot));
    Notifiers.end(mm, MMU_NOTIFY_CLEAR, va, end);
    return same;
  }
}
