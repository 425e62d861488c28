// Copy-on-write: wp_page_copy() (mm/memory.c).
//
// Guarantees: entered with the page-table lock, left without. The entry gets the copy only if it is still what it was before the copy was made
// (pte_same()), and is none, and flushed from all TLBs, in between (ptep_clear_flush()): nobody sees the old page after somebody has seen the
// new one. Then the old page loses the entry's reference, never before.
//
// The page is copied word by word, each word behind a scheduling point (mm/page.ts): a store that gets through meanwhile makes a copy that is torn, or misses
// it. What keeps such stores out, if anything, is what S4 argues about. Variants: HANDLER_COPY_IN_PTL, HANDLER_COPY_NO_FLUSH.
//
// Locks: the page-table lock, twice, and not while the page is copied. Not modelled: a page that cannot be read because its entry went
// (__wp_page_copy_user() of a PFN mapping): the words of a frame are always there.

import {
  FRAME_BYTES,
  FRAME_SHIFT,
  HANDLER_COPY_IN_PTL,
  HANDLER_COPY_NO_FLUSH,
  MMU_NOTIFY_CLEAR,
  PROT_ACCESSED,
  VM_FAULT_OOM,
  VMF_COPY,
} from "../layout";
import { Frames } from "../frame";
import { Folio } from "../mm/folio";
import { Notifiers } from "../mm/notifier";
import { Page } from "../mm/page";
import { SwapArea } from "../mm/swap";
import { Vma } from "../mm/vma";
import { ZeroPage } from "../mm/zero";
import { Entry } from "../pte/entry";
import { Reuse } from "./reuse";
import { Vmf } from "./vmf";

export abstract class CowFault {
  /** VMF_FOLIO is the page to be copied, 0 if it is not counted: the zero page, or a frame of a PFN mapping. */
  static handle<F>(vmf: usize): u32 {
    const inPtl = Vmf.does(vmf, HANDLER_COPY_IN_PTL);
    const old = Vmf.folio(vmf);
    if (old != 0) Folio.get(old);
    if (!inPtl) Vmf.unlockPte(vmf);
    const copy = Folio.allocate();
    let installed = false;
    if (copy != 0) {
      store<u32>(vmf, <u32>copy, VMF_COPY);
      CowFault.copy<F>(vmf, copy);
      installed = CowFault.install<F>(vmf, copy, inPtl);
      if (!installed) Folio.put(copy);
    } else if (inPtl) Vmf.unlockPte(vmf);
    if (old != 0) {
      if (installed) {
        SwapArea.freeCacheOf(old);
        Folio.put(old);
      }
      Folio.put(old);
    }
    return copy == 0 ? VM_FAULT_OOM : 0;
  }

  /** __wp_page_copy_user() */
  private static copy<F>(vmf: usize, copy: usize): void {
    const pa = changetype<F>(0).ptePfn(Vmf.orig(vmf)) << FRAME_SHIFT;
    if (ZeroPage.isAt(pa)) return;
    const words = Frames.backing(pa);
    if (words != 0) Page.copy(Folio.address(copy), words);
  }

  /** False if the entry is no longer what it was. The page-table lock is taken, unless it is held, and let go. */
  private static install<F>(vmf: usize, copy: usize, locked: bool): bool {
    const va = Vmf.address(vmf);
    const mm = Vmf.mm(vmf);
    Notifiers.start(mm, MMU_NOTIFY_CLEAR, va, va + (FRAME_BYTES - 1));
    if (!locked) Vmf.lockPte(vmf);
    const same = Vmf.unchanged<F>(vmf);
    if (same) {
      const pte = changetype<F>(0).makeLeaf(Folio.physical(copy), 0, Vmf.pageProt(vmf) | PROT_ACCESSED);
      // ptep_clear_flush()
      if (!Vmf.does(vmf, HANDLER_COPY_NO_FLUSH)) {
        Entry.getAndClear<F>(Vmf.slot(vmf));
        Vmf.flush(vmf);
      }
      Folio.addNewAnonRmap(copy, Vma.anon(Vmf.vma(vmf)), Vmf.pgoff(vmf));
      Entry.store<F>(Vmf.slot(vmf), Reuse.mayWrite<F>(vmf, pte));
      const old = Vmf.folio(vmf);
      if (old != 0) Folio.removeRmap(old);
    }
    Vmf.unlockPte(vmf);
    Notifiers.end(mm, MMU_NOTIFY_CLEAR, va, va + (FRAME_BYTES - 1));
    return same;
  }
}
