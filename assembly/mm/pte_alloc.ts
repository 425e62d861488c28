// Tables that a fault needs and that are not there yet (__pte_alloc(), __pmd_alloc() and above, mm/memory.c).
//
// Guarantees: a table is hung up once, whoever comes first; it is empty before anybody can reach it. No heap, only a frame. The lock is the
// space's, in the place of mm->page_table_lock for the levels above the leaf; no page-table lock is held by who calls.

import { Frames, NO_FRAME } from "../frame";
import { Entry } from "../pte/entry";
import { Space } from "../space";
import { Place, Walk } from "../walk";

export abstract class PteAlloc {
  /** The slot of the entry of level 0 for `va`, with tables made on the way; 0 if no frame is left, or a large page is there. */
  static slot<F>(space: usize, va: u64): usize {
    while (true) {
      const place = Walk.seek<F>(space, va, 0);
      const slot = Place.slot(place);
      const level = Place.level(place);
      if (slot == 0 || level == 0) return slot;
      const entry = Entry.load<F>(slot);
      if (!changetype<F>(0).pteNone(entry)) {
        // Somebody else hung a table up there since: go into it.
        if (changetype<F>(0).present(entry) && !changetype<F>(0).leaf(entry, level)) continue;
        return 0;
      }
      if (!PteAlloc.table<F>(space, va, level)) return 0;
    }
  }

  /** A table below the entry of `level` for `va`, unless somebody else was faster. False if no frame is left. */
  static table<F>(space: usize, va: u64, level: i32): bool {
    const format = changetype<F>(0);
    Space.lock(space);
    const place = Walk.seek<F>(space, va, level);
    const slot = Place.slot(place);
    let good = true;
    if (slot != 0 && Place.level(place) == level && format.pteNone(Entry.load<F>(slot))) {
      const table = Space.allocateTable(space);
      good = table != NO_FRAME;
      if (good) Entry.store<F>(slot, format.makeTable(Frames.physical(table)));
    }
    Space.unlock(space, false);
    return good;
  }
}
