// An entry that is neither present nor none: do_swap_page() (mm/memory.c).
//
// Guarantees: a page that comes back from swap is what was written there last, and maps writable only if nobody else can claim it: it was exclusive when
// it went, or nobody else has a reference. A page that is being migrated is waited for: the CPU goes on when the entry has changed.
//
// Locks: the page lock, inside it the page-table lock. While it waits for a migration it holds no lock but the VMA's or mmap_lock. Whoever puts an entry
// back calls Swap.restore, which wakes (mm/swapops.ts). Linux waits for the page lock of the page under migration, without a reference
// (migration_entry_wait_on_locked()).
//
// Not modelled: poisoned and device-private entries (a SIGBUS), swap readahead, pages that are written back under stable writes.

import {
  PG_KSM,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PROT_ACCESSED,
  VM_FAULT_MAJOR,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_UFFD_WP,
  VM_WRITE,
  VMF_WRITE,
} from "../layout";
import { Shared } from "../atomic";
import { Folio } from "../mm/folio";
import { Prot } from "../mm/prot";
import { SwapArea } from "../mm/swap";
import { Swap } from "../mm/swapops";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Vmf } from "./vmf";
import { WpFault } from "./wp";

export abstract class SwapFault {
  static handle<F>(vmf: usize): u32 {
    const pte = Vmf.orig(vmf);
    if (Swap.isMigration<F>(pte)) {
      SwapFault.awaitMigration<F>(vmf);
      return 0;
    }
    if (!Swap.isSlot<F>(pte)) return VM_FAULT_SIGBUS;
    const slot = Swap.slot<F>(pte);
    let result: u32 = 0;
    let folio = SwapArea.find(slot);
    if (folio == 0) {
      folio = SwapFault.readIn(slot);
      // Nobody refers to the slot any more, so the entry has changed: try again. Or there is no frame.
      if (folio == 0) return SwapFault.still<F>(vmf) ? VM_FAULT_OOM : 0;
      result = VM_FAULT_MAJOR;
    }
    Folio.lock(folio);
    // It may have left the swap cache before it was locked.
    const cached = Folio.test(folio, PG_SWAPCACHE) && Folio.swap(folio) == <u64>slot;
    if (cached && Folio.test(folio, PG_UPTODATE)) return result | SwapFault.map<F>(vmf, folio, slot);
    Folio.unlock(folio);
    Folio.put(folio);
    return result;
  }

  /** migration_entry_wait() */
  private static awaitMigration<F>(vmf: usize): void {
    const format = changetype<F>(0);
    const pte = Vmf.orig(vmf);
    Vmf.lockPte(vmf);
    const same = format.pteSame(Entry.load<F>(Vmf.slot(vmf)), pte);
    Vmf.unlockPte(vmf);
    if (!same) return;
    if (format.entryShift == 3) Shared.awaitChange<u64>(Vmf.slot(vmf), pte);
    else Shared.awaitChange<u32>(Vmf.slot(vmf), <u32>pte);
  }

  private static still<F>(vmf: usize): bool {
    return changetype<F>(0).pteSame(Entry.load<F>(Vmf.slot(vmf)), Vmf.orig(vmf));
  }

  /** read_swap_cache_async(): the page that is in the swap cache afterwards, with a reference; 0 if nobody refers to the slot, or without a frame. */
  private static readIn(slot: u32): usize {
    while (true) {
      const folio = Folio.allocate();
      if (folio == 0) return 0;
      if (SwapArea.prepareCache(slot)) {
        Folio.lock(folio);
        SwapArea.addToCache(folio, slot);
        SwapArea.read(folio);
        Folio.set(folio, PG_UPTODATE);
        Folio.unlock(folio);
        return folio;
      }
      Folio.put(folio);
      const other = SwapArea.find(slot);
      if (other != 0) return other;
      if (SwapArea.count(slot) == 0) return 0;
    }
  }

  /** The locked folio takes the place of the entry; its reference becomes the entry's. */
  private static map<F>(vmf: usize, folio: usize, slot: u32): u32 {
    const format = changetype<F>(0);
    const old = Vmf.orig(vmf);
    Vmf.lockPte(vmf);
    if (!Vmf.same<F>(vmf)) {
      Vmf.unlockPte(vmf);
      Folio.unlock(folio);
      Folio.put(folio);
      return 0;
    }
    const ksm = Folio.test(folio, PG_KSM);
    let exclusive = !ksm && format.pteSwpExclusive(old);
    SwapArea.free(slot);
    // should_try_to_free_swap(): it is about to be written to, and this was the last entry.
    if (Vmf.is(vmf, VMF_WRITE) && !ksm) SwapArea.freeSwap(folio);
    exclusive = exclusive || (!ksm && Folio.refs(folio) == 1);
    let pte = format.makeLeaf(Folio.physical(folio), 0, Vmf.pageProt(vmf) | PROT_ACCESSED);
    if (format.pteSwpSoftDirty(old)) pte = format.pteMksoftDirty(pte);
    if (format.pteSwpUffdWp(old)) pte = format.pteMkuffdWp(pte);
    let store = Vmf.is(vmf, VMF_WRITE);
    if (exclusive && SwapFault.mayWrite<F>(vmf, pte)) {
      pte = format.pteMkwrite(pte);
      if (store) pte = format.pteMkdirty(pte);
      store = false;
    }
    SwapFault.addAnonRmap(vmf, folio, exclusive);
    Swap.restore<F>(Vmf.slot(vmf), pte);
    Folio.unlock(folio);
    Vmf.setOrig(vmf, pte);
    // A store to a page that is not writable now is a store to a write-protected page: on with it, under the same lock.
    if (store) return WpFault.handle<F>(vmf);
    Vmf.unlockPte(vmf);
    return 0;
  }

  /** Nobody needs to hear of the first store. */
  private static mayWrite<F>(vmf: usize, pte: u64): bool {
    const format = changetype<F>(0);
    const flags = Vmf.vmFlags(vmf);
    if ((flags & VM_WRITE) == 0) return false;
    if ((flags & VM_UFFD_WP) != 0 && format.pteUffdWp(pte)) return false;
    return !Prot.tracksSoftDirty(flags) || format.pteSoftDirty(pte) || Vmf.is(vmf, VMF_WRITE);
  }

  /** folio_add_anon_rmap_pte(): a page that was read in anew belongs to no VMA yet. */
  private static addAnonRmap(vmf: usize, folio: usize, exclusive: bool): void {
    if (Folio.mapping(folio) == 0) Folio.joinAnon(folio, Vma.anon(Vmf.vma(vmf)), Vmf.pgoff(vmf));
    Folio.addRmap(folio, exclusive);
  }
}
