// Whether a page may become writable as it is, in place of a copy, and how that is done (wp_can_reuse_anon_folio(), wp_page_reuse(), mm/memory.c).
//
// Guarantees: `may` is called with the page-table lock and returns with it; where the old rule waits for the page lock, the lock was away meanwhile, and
// the answer is CHANGED if the entry is no longer what it was. `entry` makes the entry writable, dirty and young, and lets go of the lock.
//
// The rules, by who else might have a claim to the page (HANDLER_REUSE_*):
//   exclusive  PG_ANON_EXCLUSIVE says that nobody shares it (6c287605fd56); else as `count`. A page that was ever shared loses the mark, and
//              whoever wants to keep the page as it is takes the mark away first (KSM, fork).
//   count      one reference, the entry's (and the swap cache's): who looks at the page has one, and so forces a copy (09854ba94c6a)
//   mapcount   one entry, whoever looks at it: the page lock, which is waited for, is all that keeps it (reuse_swap_page() before v5.9)
//   unlocked   the same without the page lock
//
// PG_KSM pages are never reused, by any rule but `unlocked`.

import {
  HANDLER_REUSE,
  HANDLER_REUSE_COUNT,
  HANDLER_REUSE_EXCLUSIVE,
  HANDLER_REUSE_MAPCOUNT,
  HANDLER_REUSE_UNLOCKED,
  HANDLER_UNPEND,
  PG_ANON_EXCLUSIVE,
  PG_KSM,
  PG_SWAPCACHE,
  VM_WRITE,
} from "../layout";
import { Deferred } from "../flush/deferred";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { SwapArea } from "../mm/swap";
import { Entry } from "../pte/entry";
import { Vmf } from "./vmf";

/** What `may` answers. */
export const NO: u32 = 0;
export const YES: u32 = 1;
export const CHANGED: u32 = 2;

export abstract class Reuse {
  /** The folio of VMF_FOLIO, which VMF_ORIG maps. */
  static may<F>(vmf: usize): u32 {
    const folio = Vmf.folio(vmf);
    if (!Folio.isAnon(folio)) return NO;
    const rule = Vmf.choice(vmf, HANDLER_REUSE);
    if (rule == HANDLER_REUSE_EXCLUSIVE) return Reuse.exclusive(folio) ? YES : NO;
    if (rule == HANDLER_REUSE_COUNT) return Reuse.onlyReference(folio) ? YES : NO;
    if (rule == HANDLER_REUSE_MAPCOUNT) return Reuse.onlyEntry<F>(vmf, folio);
    return rule == HANDLER_REUSE_UNLOCKED && Folio.mapcount(folio) == 1 ? YES : NO;
  }

  private static exclusive(folio: usize): bool {
    if (Folio.test(folio, PG_ANON_EXCLUSIVE)) return true;
    if (!Reuse.onlyReference(folio)) return false;
    Folio.set(folio, PG_ANON_EXCLUSIVE);
    return true;
  }

  /** wp_can_reuse_anon_folio() */
  private static onlyReference(folio: usize): bool {
    // Without the page lock these are guesses, to save it (the swap cache and a lookup may have a reference each).
    if (Folio.refs(folio) > (Folio.test(folio, PG_SWAPCACHE) ? <u32>2 : 1)) return false;
    if (!Folio.tryLock(folio)) return false;
    SwapArea.freeSwap(folio);
    const only = !Folio.test(folio, PG_KSM) && Folio.refs(folio) == 1;
    Folio.unlock(folio);
    return only;
  }

  /** reuse_swap_page() under the page lock, for which the page-table lock is given up if it is taken. */
  private static onlyEntry<F>(vmf: usize, folio: usize): u32 {
    if (!Folio.tryLock(folio)) {
      Folio.get(folio);
      Vmf.unlockPte(vmf);
      Folio.lock(folio);
      Vmf.lockPte(vmf);
      const same = Vmf.same<F>(vmf);
      if (!same) Folio.unlock(folio);
      Folio.put(folio);
      if (!same) return CHANGED;
    }
    let only = !Folio.test(folio, PG_KSM) && Folio.mapcount(folio) == 1;
    if (only && Folio.test(folio, PG_SWAPCACHE)) only = SwapArea.freeSwap(folio);
    Folio.unlock(folio);
    return only ? YES : NO;
  }

  /** wp_page_reuse(): no flush for RO to RW, for a TLB with the old entry only faults once more (ptep_set_access_flags()). */
  static entry<F>(vmf: usize): void {
    Reuse.unpend(vmf);
    Entry.store<F>(Vmf.slot(vmf), Reuse.mayWrite<F>(vmf, changetype<F>(0).pteMkyoung(Vmf.orig(vmf))));
    Vmf.unlockPte(vmf);
  }

  /** maybe_mkwrite(pte_mkdirty(pte)) */
  static mayWrite<F>(vmf: usize, pte: u64): u64 {
    const format = changetype<F>(0);
    const dirty = format.pteMkdirty(pte);
    return (Vmf.vmFlags(vmf) & VM_WRITE) != 0 ? format.pteMkwrite(dirty) : dirty;
  }

  /**
   * A migration that kept both frames has left its flush for later, on the condition that nobody could write: before somebody can, it is done
   * (migrc's answer to S2, in the place where it is sufficient: inside the page-table lock, before W=1).
   */
  static unpend(vmf: usize): void {
    const folio = Vmf.folio(vmf);
    const deferred = Mm.deferred(Vmf.mm(vmf));
    if (folio == 0 || deferred == 0 || !Vmf.does(vmf, HANDLER_UNPEND)) return;
    Deferred.settle(deferred, Vmf.cpu(vmf), folio, Vmf.shoot(vmf));
  }
}
