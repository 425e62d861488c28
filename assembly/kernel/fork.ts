// fork: a second mm with the same memory, its private pages shared until one of the two stores (dup_mmap(), kernel/fork.c; copy_page_range() and
// below, mm/memory.c).
//
// Guarantees: when it has returned, no CPU can store to a page that both map privately without a fault: their entries are write-protected on both sides,
// and the parent's TLBs were flushed. A page that was exclusive is so no longer. Pages of shared mappings are left to the child's faults.
//
// Locks: mmap_lock of the parent for writing, and its VMAs, over the flush; mmap_lock of the child, nobody's yet, where its VMAs are put in; the
// page-table locks of both entries, the child's first. Not modelled: pinned pages, which are copied here and now (copy_present_page()).

import {
  FRAME_BYTES,
  FRAME_SHIFT,
  MMU_NOTIFY_PROTECTION_PAGE,
  PG_ANON_EXCLUSIVE,
  REQUEST_ALL,
  VM_MAYWRITE,
  VM_SHARED,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { Shootdown } from "../flush/shootdown";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { PteAlloc } from "../mm/pte_alloc";
import { SwapArea } from "../mm/swap";
import { Swap } from "../mm/swapops";
import { Vma } from "../mm/vma";
import { VmaLock } from "../mm/vma_lock";
import { Entry } from "../pte/entry";
import { Place, Walk } from "../walk";

const ALL: u64 = 0xffffffffffffffff;

export abstract class Fork {
  /** Makes `child`, which is empty and runs nowhere, a copy of `parent`; false if there is no room. From CPU `cpu`; `shoot` is SHOOT_*. */
  static mm<F>(cpu: usize, parent: usize, child: usize, shoot: u32): bool {
    let good = true;
    Mm.writeLock(parent);
    for (let vma = Vma.firstIn(parent, 0, ALL); vma != 0 && good; vma = Vma.nextIn(parent, vma, 0, ALL)) {
      VmaLock.startWrite(vma);
      const copy = Vma.fork(vma, child);
      good = copy != 0 && Fork.pages<F>(vma, copy);
    }
    Shootdown.flush(cpu, parent, 0, 0, REQUEST_ALL, false, shoot);
    Mm.writeUnlock(parent);
    return good;
  }

  /** copy_page_range(). What a fault can find again needs no copying (vma_needs_copy()): shared pages of a file. */
  private static pages<F>(from: usize, to: usize): bool {
    const flags = Shared.quietLoad<u32>(from + VMA_FLAGS);
    if ((flags & VM_SHARED) != 0) return true;
    const format = changetype<F>(0);
    const cow = (flags & VM_MAYWRITE) != 0;
    const last = Vma.end(from) - 1;
    let good = true;
    if (cow) Notifiers.start(Vma.mm(from), MMU_NOTIFY_PROTECTION_PAGE, Vma.start(from), last);
    for (let va = Vma.start(from); ; ) {
      const place = Walk.seek<F>(Mm.space(Vma.mm(from)), va, 0);
      const slot = Place.slot(place);
      const level = Place.level(place);
      if (slot != 0 && level == 0 && !format.pteNone(Entry.load<F>(slot))) {
        const target = PteAlloc.slot<F>(Mm.space(Vma.mm(to)), va);
        good = target != 0;
        if (!good) break;
        Fork.entry<F>(from, slot, to, target, cow);
      }
      // Past this page, or past the part that a missing table would translate.
      va = level == 0 ? va + FRAME_BYTES : (va & ~(format.span(level) - 1)) + format.span(level);
      if (va == 0 || va > last) break;
    }
    if (cow) Notifiers.end(Vma.mm(from), MMU_NOTIFY_PROTECTION_PAGE, Vma.start(from), last);
    return good;
  }

  /** copy_pte_range(), for one entry. */
  private static entry<F>(from: usize, source: usize, to: usize, target: usize, cow: bool): void {
    const format = changetype<F>(0);
    const targetPtl = Mm.ptl(Vma.mm(to), target);
    const sourcePtl = Mm.ptl(Vma.mm(from), source);
    Spinlock.lock(targetPtl);
    Spinlock.lock(sourcePtl);
    const pte = Entry.load<F>(source);
    if (format.ptePresent(pte)) Fork.present<F>(source, target, pte, cow);
    else if (!format.pteNone(pte)) Fork.absent<F>(source, target, pte, cow);
    Spinlock.unlock(sourcePtl);
    Spinlock.unlock(targetPtl);
  }

  /** copy_present_pte() */
  private static present<F>(source: usize, target: usize, pte: u64, cow: bool): void {
    const format = changetype<F>(0);
    const folio = format.pteSpecial(pte) ? <usize>0 : Folio.normal(format.ptePfn(pte) << FRAME_SHIFT);
    if (folio != 0) {
      Folio.get(folio);
      // folio_try_dup_anon_rmap_pte()
      if (Folio.test(folio, PG_ANON_EXCLUSIVE)) Folio.clear(folio, PG_ANON_EXCLUSIVE);
      Folio.addRmap(folio, false);
    }
    let copy = pte;
    if (cow && format.pteWrite(pte)) copy = format.pteWrprotect(Entry.setWrprotect<F>(source));
    Entry.store<F>(target, format.pteClearUffdWp(format.pteMkold(copy)));
  }

  /** copy_nonpresent_pte() */
  private static absent<F>(source: usize, target: usize, pte: u64, cow: bool): void {
    const format = changetype<F>(0);
    let copy = pte;
    if (Swap.isSlot<F>(pte)) {
      SwapArea.duplicate(Swap.slot<F>(pte));
      copy = format.pteSwpClearExclusive(pte);
    } else if (cow && Swap.isMigration<F>(pte)) copy = Swap.readable<F>(pte);
    if (copy != pte) Entry.store<F>(source, copy);
    Entry.store<F>(target, format.pteSwpClearUffdWp(copy));
  }
}
