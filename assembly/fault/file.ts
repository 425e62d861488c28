// The first touch of a page of a file: do_fault(), do_read_fault(), do_cow_fault(), do_shared_fault(), finish_fault(), set_pte_range() (mm/memory.c), and
// filemap_fault() (mm/filemap.c).
//
// Guarantees: every mm that maps a page shared maps the same frame, that of the page cache, which is read from the backing store at most once at a
// time. A store to a private mapping gets a copy at once. A shared store to a file that wants to hear of it is told before the
// entry is writable (mkwrite.ts).
//
// Locks: the page lock, from filemap_fault() until the entry is set; inside it the page-table lock. Not modelled: fault-around, readahead, truncation.

import {
  PG_UPTODATE,
  PROT_ACCESSED,
  PROT_SPECIAL,
  VM_FAULT_MAJOR,
  VM_FAULT_NOPAGE,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_SHARED,
  VMF_COPY,
  VMF_WRITE,
} from "../layout";
import { Folio } from "../mm/folio";
import { Mapping } from "../mm/mapping";
import { Page } from "../mm/page";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { AnonFault } from "./anon";
import { Driver } from "./driver";
import { MkwriteFault } from "./mkwrite";
import { Reuse } from "./reuse";
import { Vmf } from "./vmf";

export abstract class FileFault {
  static handle<F>(vmf: usize): u32 {
    if (!AnonFault.makeTable<F>(vmf)) return VM_FAULT_OOM;
    const driver = MkwriteFault.driver(vmf);
    if (driver != 0 && Driver.byPfn(driver)) return FileFault.insertPfn<F>(vmf, driver);
    if (!Vmf.is(vmf, VMF_WRITE)) return FileFault.read<F>(vmf);
    if ((Vmf.vmFlags(vmf) & VM_SHARED) == 0) return FileFault.copy<F>(vmf);
    return FileFault.share<F>(vmf, driver);
  }

  /** do_read_fault() */
  private static read<F>(vmf: usize): u32 {
    const result = FileFault.fault(vmf);
    if ((result & (VM_FAULT_SIGBUS | VM_FAULT_OOM)) != 0) return result;
    const folio = Vmf.folio(vmf);
    const set = FileFault.finish<F>(vmf, folio, false);
    Folio.unlock(folio);
    if (!set) Folio.put(folio);
    return result;
  }

  /** do_cow_fault() */
  private static copy<F>(vmf: usize): u32 {
    const copy = Folio.allocate();
    if (copy == 0) return VM_FAULT_OOM;
    store<u32>(vmf, <u32>copy, VMF_COPY);
    const result = FileFault.fault(vmf);
    if ((result & (VM_FAULT_SIGBUS | VM_FAULT_OOM)) != 0) {
      Folio.put(copy);
      return result;
    }
    const folio = Vmf.folio(vmf);
    Page.copy(Folio.address(copy), Folio.address(folio));
    if (!FileFault.finish<F>(vmf, copy, true)) Folio.put(copy);
    Folio.unlock(folio);
    Folio.put(folio);
    return result;
  }

  /** do_shared_fault() */
  private static share<F>(vmf: usize, driver: usize): u32 {
    const result = FileFault.fault(vmf);
    if ((result & (VM_FAULT_SIGBUS | VM_FAULT_OOM)) != 0) return result;
    const folio = Vmf.folio(vmf);
    if (driver != 0) {
      Folio.unlock(folio);
      if (MkwriteFault.ask(vmf, driver) == VM_FAULT_NOPAGE) {
        Folio.put(folio);
        return result;
      }
    }
    if (FileFault.finish<F>(vmf, folio, false)) MkwriteFault.dirtyAndUnlock(folio);
    else {
      Folio.unlock(folio);
      Folio.put(folio);
    }
    return result;
  }

  /** finish_fault() and set_pte_range(): false if somebody else was faster. The reference becomes the entry's. */
  private static finish<F>(vmf: usize, folio: usize, anonymous: bool): bool {
    let pte = changetype<F>(0).makeLeaf(Folio.physical(folio), 0, Vmf.pageProt(vmf) | PROT_ACCESSED);
    if (Vmf.is(vmf, VMF_WRITE)) pte = Reuse.mayWrite<F>(vmf, pte);
    Vmf.lockPte(vmf);
    const first = Vmf.unchanged<F>(vmf);
    if (first) {
      if (anonymous) Folio.addNewAnonRmap(folio, Vma.anon(Vmf.vma(vmf)), Vmf.pgoff(vmf));
      else Folio.addRmap(folio, false);
      if (!anonymous && Vmf.is(vmf, VMF_WRITE)) Reuse.unpend(vmf);
      Entry.store<F>(Vmf.slot(vmf), pte);
    }
    Vmf.unlockPte(vmf);
    return first;
  }

  /** __do_fault() and filemap_fault(): VMF_FOLIO is the page, locked, with a reference. */
  private static fault(vmf: usize): u32 {
    const mapping = Vma.mapping(Vmf.vma(vmf));
    const index = Vmf.pgoff(vmf);
    if (index >= <u64>Mapping.count(mapping)) return VM_FAULT_SIGBUS;
    let result: u32 = 0;
    while (true) {
      let folio = Mapping.find(mapping, index);
      if (folio == 0) {
        folio = FileFault.readIn(mapping, index);
        if (folio == 0) return VM_FAULT_OOM;
        result = VM_FAULT_MAJOR;
      }
      Folio.lock(folio);
      // It may have left the file before it was locked; and who reads it in holds the lock until it is up to date.
      if (Folio.mapping(folio) == <u32>mapping && Folio.test(folio, PG_UPTODATE)) {
        Vmf.setFolio(vmf, folio);
        return result;
      }
      Folio.unlock(folio);
      Folio.put(folio);
    }
  }

  /** page_cache_ra_order() and filemap_read_folio() for one page: the page that is in the page cache afterwards, with a reference; 0 without a frame. */
  private static readIn(mapping: usize, index: u64): usize {
    while (true) {
      const folio = Folio.allocate();
      if (folio == 0) return 0;
      Folio.lock(folio);
      const added = Mapping.add(mapping, index, folio);
      if (added) {
        const words = Mapping.stored(mapping, index);
        Folio.setBacking(folio, words);
        if (words != 0) Page.copy(Folio.address(folio), words);
        Folio.set(folio, PG_UPTODATE);
      }
      Folio.unlock(folio);
      if (added) return folio;
      Folio.put(folio);
      const other = Mapping.find(mapping, index);
      if (other != 0) return other;
    }
  }

  /**
   * A driver's fault() that inserts the frame: vmf_insert_pfn(). A store then faults once more, for the entry is as the VMA says, which wants to hear of
   * it (insert_pfn() without mkwrite).
   */
  private static insertPfn<F>(vmf: usize, driver: usize): u32 {
    const index = Vmf.pgoff(vmf);
    if (index >= <u64>Driver.pages(driver)) return VM_FAULT_SIGBUS;
    const prot = Vmf.pageProt(vmf) | PROT_ACCESSED | PROT_SPECIAL;
    Vmf.lockPte(vmf);
    if (Vmf.same<F>(vmf)) {
      Entry.store<F>(Vmf.slot(vmf), changetype<F>(0).makeLeaf(Driver.physical(driver, index), 0, prot));
    }
    Vmf.unlockPte(vmf);
    return 0;
  }
}
