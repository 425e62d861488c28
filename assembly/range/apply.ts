// Applies a function to every page-table entry of a range: apply_to_pfn_range() of S1 (29875a52915e, drm-next), which is
// apply_to_page_range() (mm/memory.c) with a closure; and the loop of those kernel paths that go along page tables with their locks.
//
// Guarantees: the visitor sees each slot of a leaf table in the range, in ascending order, once, whatever stands in it: none and swap entries
// too, which is the visitor's to judge. The page-table lock of a table is held around its slots and released between tables. The walk
// ends with the first return that is not 0, and returns it; PATH_AT then says at which address.
//
// Tables that are missing are passed over, or made with `alloc` (pte_alloc()). A large page is shown to visitors that act on large pages if the
// range takes in all of it, under the lock of its table (pmd_lock()); otherwise it is left and counted, never split.
//
// Locks: one page-table lock at a time; for a missing table the space's lock, which stands for the page_table_lock that __pte_alloc() takes. The caller
// sees to it that no table of the range goes away: by mmap_lock, or i_mmap_rwsem.

import { FRAME_SHIFT, PATH_AT, PATH_HUGE, STATUS_NO_MEMORY } from "../layout";
import { Frames, NO_FRAME } from "../frame";
import { Spinlock } from "../lock/spinlock";
import { Mm } from "../mm/mm";
import { Entry } from "../pte/entry";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Path } from "./path";
import { Range } from "./walk";

export abstract class Apply {
  /**
   * Calls visitor `V` for [first, last] of the path's mm: `enter(path)` when a page-table lock was taken, `pte(path, slot, va, level)` for each
   * slot, `leave(path)` before the lock is released. STATUS_NO_MEMORY if there is no frame for a table.
   */
  static toPfnRange<F, V>(path: usize, first: u64, last: u64, alloc: bool): i32 {
    const format = changetype<F>(0);
    const space = Mm.space(Path.mm(path));
    let at = first;
    do {
      const place = Walk.seek<F>(space, at, 1);
      const level = Place.level(place);
      const slot = Place.slot(place);
      const entry = slot == 0 ? 0 : Entry.load<F>(slot);
      if (level == 1 && Range.passable<F>(space, entry, 1)) {
        const table = Frames.backing(format.table(entry));
        const end = Range.rowEnd<F>(at, 0, last);
        const stopped = table == 0 ? 0 : Apply.toTable<F, V>(path, table, at, end);
        if (stopped != 0) return stopped;
        at = end;
        continue;
      }
      if (alloc && slot != 0 && format.pteNone(entry)) {
        if (!Apply.allocate<F>(space, at, level)) return STATUS_NO_MEMORY;
        continue;
      }
      if (slot != 0 && format.present(entry) && format.leaf(entry, level)) {
        const stopped = Apply.toLarge<F, V>(path, slot, at, level, last);
        if (stopped != 0) return stopped;
      }
      at = Range.after<F>(at, slot == 0 ? level + 1 : level);
    } while (at != 0 && at <= last);
    return 0;
  }

  /** pte_lockptr(): the lock over the leaf table for `va`; without one, the lock over the entry that would refer to it. */
  static ptl<F>(mm: usize, va: u64): usize {
    const space = Mm.space(mm);
    const place = Walk.seek<F>(space, va, 1);
    const slot = Place.slot(place);
    if (slot == 0 || Place.level(place) != 1) return Mm.ptl(mm, slot);
    const entry = Entry.load<F>(slot);
    const table = Range.passable<F>(space, entry, 1) ? Frames.backing(changetype<F>(0).table(entry)) : 0;
    return Mm.ptl(mm, table == 0 ? slot : table);
  }

  /** apply_to_pte_range(): the slots for [va, end) of the leaf table at `table`. */
  private static toTable<F, V>(path: usize, table: usize, va: u64, end: u64): i32 {
    const format = changetype<F>(0);
    const visitor = changetype<V>(0);
    const step = (<usize>1) << format.entryShift;
    const ptl = Mm.ptl(Path.mm(path), table);
    Spinlock.lock(ptl);
    visitor.enter(path);
    let stopped: i32 = 0;
    for (let at = va, slot = table + format.offset(va, 0); at != end; at += (<u64>1) << FRAME_SHIFT, slot += step) {
      stopped = visitor.pte<F>(path, slot, at, 0);
      if (stopped == 0) continue;
      store<u64>(path, at, PATH_AT);
      break;
    }
    visitor.leave(path);
    Spinlock.unlock(ptl);
    return stopped;
  }

  private static toLarge<F, V>(path: usize, slot: usize, va: u64, level: i32, last: u64): i32 {
    const visitor = changetype<V>(0);
    const whole = (va & (changetype<F>(0).span(level) - 1)) == 0 && Range.after<F>(va, level) - 1 <= last;
    if (!visitor.huge || !whole) {
      Path.count(path, PATH_HUGE);
      return 0;
    }
    const ptl = Mm.ptl(Path.mm(path), slot);
    Spinlock.lock(ptl);
    visitor.enter(path);
    // Split meanwhile: a table stands there, and the next walk goes into it (pmd_trans_huge_lock() looks again, too).
    const still = changetype<F>(0).leaf(Entry.load<F>(slot), level);
    const stopped = still ? visitor.pte<F>(path, slot, va, level) : 0;
    visitor.leave(path);
    Spinlock.unlock(ptl);
    if (stopped != 0) store<u64>(path, va, PATH_AT);
    return stopped;
  }

  /** __pte_alloc(): a table below the entry of `level` for `va`, unless somebody else was faster. False if no frame is left. */
  private static allocate<F>(space: usize, va: u64, level: i32): bool {
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
