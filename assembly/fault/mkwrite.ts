// The first store to a page of a shared mapping whose file wants to hear of it: wp_page_shared(), wp_pfn_shared(), do_page_mkwrite(),
// finish_mkwrite_fault(), fault_dirty_shared_page() (mm/memory.c).
//
// Guarantees: entered with the page-table lock, left without any lock. The file has heard of the store before the entry is writable. The entry becomes
// writable only if it is what it was before the file was asked (pte_same()).
//
// Between the file's record and the writable entry there is a window, and what closes it is the lock that the file keeps over it (scenario A): a
// page_mkwrite() returns with the page lock held (VM_FAULT_LOCKED), and core mm keeps it until the entry is writable. For pfn_mkwrite()
// nothing is kept: who takes the record between the two, and write-protects an entry that is not writable yet, uploads too early (A2).
//
//   store fault                          the driver's cycle
//   -----------                          ------------------
//   [lock] record the page [/lock]
//                                        [lock] write-protect: W=0 already, nothing to do; flush
//                                               take the record, upload [/lock]
//   entry writable: pte_same() holds
//   the store, of which no record tells
//
// HANDLER_MKWRITE_* chooses how long the lock is held.

import { HANDLER_MKWRITE, HANDLER_MKWRITE_HELD, PG_DIRTY, VM_FAULT_NOPAGE } from "../layout";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Mapping } from "../mm/mapping";
import { Vma } from "../mm/vma";
import { Driver } from "./driver";
import { Reuse } from "./reuse";
import { Vmf } from "./vmf";

export abstract class MkwriteFault {
  /** wp_page_shared(): a page with a folio, VMF_FOLIO. */
  static page<F>(vmf: usize): u32 {
    const folio = Vmf.folio(vmf);
    const driver = MkwriteFault.driver(vmf);
    Folio.get(folio);
    if (driver == 0) {
      Reuse.entry<F>(vmf);
      Folio.lock(folio);
      MkwriteFault.dirtyAndUnlock(folio);
      Folio.put(folio);
      return 0;
    }
    Vmf.unlockPte(vmf);
    let result = MkwriteFault.ask(vmf, driver);
    if (result == 0) {
      result = MkwriteFault.finish<F>(vmf);
      if (result == 0) MkwriteFault.dirtyAndUnlock(folio);
      else Folio.unlock(folio);
    }
    Folio.put(folio);
    return result & ~VM_FAULT_NOPAGE;
  }

  /**
   * do_page_mkwrite(): the file has recorded the page, and its page lock is held; or VM_FAULT_NOPAGE: the page left the file meanwhile. The
   * page lock is taken here if the file did not keep it.
   */
  static ask(vmf: usize, driver: usize): u32 {
    const folio = Vmf.folio(vmf);
    if (!Driver.pageMkwrite(driver, folio, Vmf.pgoff(vmf), Vmf.choice(vmf, HANDLER_MKWRITE))) Folio.lock(folio);
    if (Folio.mapping(folio) != 0) return 0;
    Folio.unlock(folio);
    return VM_FAULT_NOPAGE;
  }

  /** wp_pfn_shared(): a page without a folio. */
  static pfn<F>(vmf: usize): u32 {
    const driver = MkwriteFault.driver(vmf);
    if (driver == 0) {
      Reuse.entry<F>(vmf);
      return 0;
    }
    Vmf.unlockPte(vmf);
    const rule = Vmf.choice(vmf, HANDLER_MKWRITE);
    Driver.pfnMkwrite(driver, Vmf.pgoff(vmf), rule);
    MkwriteFault.finish<F>(vmf);
    if (rule == HANDLER_MKWRITE_HELD) Spinlock.unlock(Driver.lock(driver));
    return 0;
  }

  /** finish_mkwrite_fault() */
  private static finish<F>(vmf: usize): u32 {
    Vmf.lockPte(vmf);
    if (Vmf.unchanged<F>(vmf)) {
      Reuse.entry<F>(vmf);
      return 0;
    }
    Vmf.unlockPte(vmf);
    return VM_FAULT_NOPAGE;
  }

  /** fault_dirty_shared_page() of a locked folio. */
  static dirtyAndUnlock(folio: usize): void {
    Folio.set(folio, PG_DIRTY);
    Folio.unlock(folio);
  }

  /** Who wants to hear of it, or 0. */
  @inline
  static driver(vmf: usize): usize {
    return Mapping.driver(Vma.mapping(Vmf.vma(vmf)));
  }
}
