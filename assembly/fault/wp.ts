// A store to a page that is present and not writable: do_wp_page() (mm/memory.c).
//
// Guarantees: entered with the page-table lock of the entry, which is what VMF_ORIG says; left without it. Afterwards the entry is writable, or a
// private copy stands in its place, or the store has to be tried again, or userfaultfd's monitor has to act.
//
// userfaultfd write-protects under mmap_lock for reading and flushes afterwards, so other CPUs may store to the page still, through their TLBs: before
// it is copied, it is flushed (6ce64428d626). The same question about clear_refs and mprotect is what S4 is about; there, it is answered by
// mmap_lock for writing. HANDLER_NO_UFFD_FLUSH, HANDLER_FLUSH_PENDING and HANDLER_FLUSH_VMA_PENDING choose.

import {
  HANDLER_FLUSH_PENDING,
  HANDLER_FLUSH_VMA_PENDING,
  HANDLER_NO_UFFD_FLUSH,
  VM_FAULT_USER,
  VM_SHARED,
  VM_UFFD_WP,
  VMA_FLUSH_PENDING,
} from "../layout";
import { Shared } from "../atomic";
import { Mm } from "../mm/mm";
import { CowFault } from "./cow";
import { MkwriteFault } from "./mkwrite";
import { NO, Reuse, YES } from "./reuse";
import { Vmf } from "./vmf";

export abstract class WpFault {
  static handle<F>(vmf: usize): u32 {
    const format = changetype<F>(0);
    const flags = Vmf.vmFlags(vmf);
    const pte = Vmf.orig(vmf);
    if ((flags & VM_UFFD_WP) != 0 && format.pteUffdWp(pte)) {
      // handle_userfault(): the thread waits for its monitor; here the access ends, and is made again when the monitor has resolved.
      Vmf.unlockPte(vmf);
      return VM_FAULT_USER;
    }
    if (WpFault.flushOwed(vmf, flags)) Vmf.flush(vmf);
    const folio = Vmf.normalFolio<F>(pte);
    Vmf.setFolio(vmf, folio);
    if ((flags & VM_SHARED) != 0) return folio == 0 ? MkwriteFault.pfn<F>(vmf) : MkwriteFault.page<F>(vmf);
    const reuse = folio == 0 ? NO : Reuse.may<F>(vmf);
    if (reuse == NO) return CowFault.handle<F>(vmf);
    if (reuse == YES) Reuse.entry<F>(vmf);
    else Vmf.unlockPte(vmf);
    return 0;
  }

  /** Did somebody write-protect the page and not flush it yet? Rule 3 of mm.ts: the page-table lock was acquired. */
  private static flushOwed(vmf: usize, flags: u32): bool {
    const uffd = (flags & VM_UFFD_WP) != 0 && !Vmf.does(vmf, HANDLER_NO_UFFD_FLUSH);
    if ((uffd || Vmf.does(vmf, HANDLER_FLUSH_PENDING)) && Mm.flushPending(Vmf.mm(vmf))) return true;
    return Vmf.does(vmf, HANDLER_FLUSH_VMA_PENDING) && Shared.load<u32>(Vmf.vma(vmf) + VMA_FLUSH_PENDING) != 0;
  }
}
