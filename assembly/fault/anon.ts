// The first touch of anonymous memory: do_anonymous_page() (mm/memory.c).
//
// Guarantees: of CPUs that touch a page at once one installs a page, and the others find it there; what they had made is freed. A load gets the zero
// page, which the first store replaces (cow.ts), unless the policy or the memory has none.
//
// Locks: the page-table lock, around the look and the installation.

import {
  HANDLER_NO_ZERO_PAGE,
  PROT_ACCESSED,
  PROT_SPECIAL,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_SHARED,
  VM_WRITE,
  VMF_SLOT,
  VMF_WRITE,
} from "../layout";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { PteAlloc } from "../mm/pte_alloc";
import { Vma } from "../mm/vma";
import { ZeroPage } from "../mm/zero";
import { Entry } from "../pte/entry";
import { Vmf } from "./vmf";

export abstract class AnonFault {
  static handle<F>(vmf: usize): u32 {
    if ((Vmf.vmFlags(vmf) & VM_SHARED) != 0) return VM_FAULT_SIGBUS;
    if (!AnonFault.makeTable<F>(vmf)) return VM_FAULT_OOM;
    if (!Vmf.is(vmf, VMF_WRITE) && !Vmf.does(vmf, HANDLER_NO_ZERO_PAGE) && ZeroPage.is()) {
      AnonFault.mapZero<F>(vmf);
      return 0;
    }
    const folio = Folio.allocate();
    if (folio == 0) return VM_FAULT_OOM;
    if (!AnonFault.install<F>(vmf, folio)) Folio.put(folio);
    return 0;
  }

  /** pte_alloc(): the leaf table, and the slot in it. False if no frame is left. */
  static makeTable<F>(vmf: usize): bool {
    if (Vmf.slot(vmf) != 0) return true;
    const slot = PteAlloc.slot<F>(Mm.space(Vmf.mm(vmf)), Vmf.address(vmf));
    store<u32>(vmf, <u32>slot, VMF_SLOT);
    return slot != 0;
  }

  private static mapZero<F>(vmf: usize): void {
    const prot = Vmf.pageProt(vmf) | PROT_ACCESSED | PROT_SPECIAL;
    Vmf.lockPte(vmf);
    if (Vmf.same<F>(vmf)) Entry.store<F>(Vmf.slot(vmf), changetype<F>(0).makeLeaf(ZeroPage.physical(), 0, prot));
    Vmf.unlockPte(vmf);
  }

  /** False if somebody else was faster. The reference becomes the entry's. */
  private static install<F>(vmf: usize, folio: usize): bool {
    const format = changetype<F>(0);
    let pte = format.makeLeaf(Folio.physical(folio), 0, Vmf.pageProt(vmf) | PROT_ACCESSED);
    if ((Vmf.vmFlags(vmf) & VM_WRITE) != 0) pte = format.pteMkwrite(format.pteMkdirty(pte));
    Vmf.lockPte(vmf);
    const first = Vmf.unchanged<F>(vmf);
    if (first) {
      Folio.addNewAnonRmap(folio, Vma.anon(Vmf.vma(vmf)), Vmf.pgoff(vmf));
      Entry.store<F>(Vmf.slot(vmf), pte);
    }
    Vmf.unlockPte(vmf);
    return first;
  }
}
