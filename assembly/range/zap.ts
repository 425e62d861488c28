// Zap: takes the pages of a range out of an mm and frees them, through a gather (zap_pte_range(), mm/memory.c).
//
// Guarantees: each entry is exchanged with none under the page-table lock of its table; its page loses its reference after the flush, never
// before. Leaf entries of level 0 only: large pages are left and counted.

import { FRAME_SHIFT, GATHER_SKIPPED } from "../layout";
import { Gather } from "../flush/gather";
import { Frames, NO_FRAME } from "../frame";
import { Spinlock } from "../lock/spinlock";
import { Mm } from "../mm/mm";
import { Entry } from "../pte/entry";
import { Place, Walk } from "../walk";
import { Range } from "./walk";

export abstract class Zap {
  /** unmap_page_range() of [first, last], both page-aligned but for the low bits of `last`, into the gather `tlb`. */
  static range<F>(tlb: usize, mm: usize, first: u64, last: u64): void {
    const format = changetype<F>(0);
    const step = (<usize>1) << format.entryShift;
    let at = first;
    store<u32>(tlb, 0, GATHER_SKIPPED);
    do {
      const place = Walk.seek<F>(Mm.space(mm), at, 0);
      const level = Place.level(place);
      let slot = Place.slot(place);
      if (level > 0 || slot == 0) {
        if (slot != 0 && format.present(Entry.load<F>(slot))) {
          store<u32>(tlb, load<u32>(tlb, GATHER_SKIPPED) + 1, GATHER_SKIPPED);
        }
        at = Range.after<F>(at, slot == 0 ? level + 1 : level);
        continue;
      }
      const end = Range.rowEnd<F>(at, 0, last);
      let due = false;
      const ptl = Mm.ptl(mm, slot);
      Spinlock.lock(ptl);
      for (; at != end && !due; at += (<u64>1) << FRAME_SHIFT, slot += step) {
        if (Entry.load<F>(slot) == 0) continue;
        const gone = Entry.getAndClear<F>(slot);
        if (!format.present(gone)) continue;
        Gather.removeEntry(tlb, at, FRAME_SHIFT, 0);
        const index = Frames.indexOf(format.page(gone, 0));
        if (index != NO_FRAME) due = Gather.removePage(tlb, index);
      }
      Spinlock.unlock(ptl);
      // No room: the pages so far go, after their flush, outside the lock (force_flush).
      if (due) Gather.flush(tlb);
    } while (at != 0 && at <= last);
  }
}
