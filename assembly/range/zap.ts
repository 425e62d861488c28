// Zap: takes the pages of a range out of an mm and frees them, through the path's gather (unmap_page_range() and zap_pte_range(), mm/memory.c).
//
// Guarantees: each entry is exchanged with none under the page-table lock of its table; what the hardware noted in it goes to the folio; its page loses
// its reference after the flush, never before, unless PATH_FREE_EARLY says so. Entries that are not present go too. Leaf entries of level 0
// only: large pages are left and counted.
//
// When the gather has no room, the pages so far are flushed and freed outside the lock, and the walk goes on behind the entry it came to
// (force_flush). Not modelled: a file page's reverse mapping is given up before the flush (delay_rmap, 5df397dec7c4, defers it).

import { FRAME_SHIFT, PATH_AT, PATH_FREE_EARLY, PATH_GATHER, PG_DIRTY } from "../layout";
import { Gather } from "../flush/gather";
import { Frames, NO_FRAME } from "../frame";
import { Folio } from "../mm/folio";
import { SwapArea } from "../mm/swap";
import { Swap } from "../mm/swapops";
import { Entry } from "../pte/entry";
import { Apply, LARGE_NEVER } from "./apply";
import { Gathered } from "./gathered";
import { Path } from "./path";

const GO_ON: i32 = 0;
const FLUSH_DUE: i32 = 1;

export abstract class Zap {
  /** The pages of [first, last] of the path's mm, both page-aligned but for the low bits of `last`. */
  static range<F>(path: usize, first: u64, last: u64): void {
    let at = first;
    while (Apply.toPfnRange<F, ZapPte>(path, at, last, false) == FLUSH_DUE) {
      Gather.flush(path + PATH_GATHER);
      at = load<u64>(path, PATH_AT) + ((1 << FRAME_SHIFT) as u64);
      if (at == 0 || at > last) break;
    }
  }
}

class ZapPte {
  @inline
  get large(): i32 {
    return LARGE_NEVER;
  }

  @inline
  enter(path: usize): void {
    Gathered.afterLock(path);
  }

  pte<F>(path: usize, slot: usize, va: u64, end: u64, _level: i32): i32 {
    const format = changetype<F>(0);
    if (Entry.load<F>(slot) == 0) return GO_ON;
    const gone = Entry.getAndClear<F>(slot);
    if (!format.ptePresent(gone)) {
      if (Swap.isSlot<F>(gone)) SwapArea.freeAndCache(Swap.slot<F>(gone));
      else Swap.wakeWaiters(slot);
      return GO_ON;
    }
    Path.note(path, 1, va, end);
    Gathered.changed(path, va, FRAME_SHIFT, 0);
    // vm_normal_page(): of a special entry the mm does not count the page.
    const index = format.pteSpecial(gone) ? NO_FRAME : Frames.indexOf(format.ptePfn(gone) << FRAME_SHIFT);
    if (index == NO_FRAME) return GO_ON;
    const folio = Folio.normal(Frames.physical(index));
    if (folio != 0) {
      if (format.pteDirty(gone) && !Folio.isAnon(folio)) Folio.set(folio, PG_DIRTY);
      Folio.removeRmap(folio);
    }
    if (Path.has(path, PATH_FREE_EARLY)) {
      Frames.put(index);
      return GO_ON;
    }
    return Gather.removePage(path + PATH_GATHER, index) ? FLUSH_DUE : GO_ON;
  }

  @inline
  leave(path: usize): void {
    Gathered.beforeUnlock(path);
  }
}
