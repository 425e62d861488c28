// Applies a function to every page-table entry of a range: apply_to_pfn_range() of S1 (29875a52915e, drm-next), which is
// apply_to_page_range() (mm/memory.c) with a closure; and the loop of those kernel paths that go along page tables with their locks.
//
// Guarantees: the visitor sees each slot of a leaf table in the range, in ascending order, once, whatever stands in it: none and swap entries
// too, which is the visitor's to judge. The page-table lock of a table is held around its slots and released between tables. The walk
// ends with the first return that is not 0, and returns it; PATH_AT then says at which address.
//
// Tables that are missing are passed over, or made with `alloc` (pte_alloc()). A large page is shown under the lock of its table (pmd_lock()), as
// the visitor wants it (`large`): never, if the range takes in all of it, or always; others are left and counted, and none is split.
//
// Locks: one page-table lock at a time; for a missing table the space's lock, which stands for the page_table_lock that __pte_alloc() takes. The caller
// sees to it that no table of the range goes away: by mmap_lock, or i_mmap_rwsem.

import { FORMAT_X86_64_LA57, FRAME_SHIFT, PATH_AT, PATH_HUGE, PATH_STOP, STATUS_NO_MEMORY } from "../layout";
import { Frames } from "../frame";
import { Spinlock } from "../lock/spinlock";
import { Mm } from "../mm/mm";
import { PteAlloc } from "../mm/pte_alloc";
import { Entry } from "../pte/entry";
import { X86_64, X86_64_LA57 } from "../pte/x86_64";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Path } from "./path";
import { Range } from "./walk";

const PAGE: u64 = 1 << FRAME_SHIFT;
/** In place of an address to go on from. */
const STOPPED: u64 = 1;

/** `large` of a visitor: which large pages it is shown. */
export const LARGE_NEVER = 0;
export const LARGE_WHOLE = 1;
export const LARGE_ALWAYS = 2;

export abstract class Apply {
  /**
   * Calls visitor `V` for [first, last] of the path's mm: `enter(path)` when a page-table lock was taken, `pte<F>(path, slot, va, end, level)` for each
   * slot, whose part of the range is [va, end], and `leave(path)` before the lock is released. `F` says what entries mean; how many levels there
   * are above them, the space. STATUS_NO_MEMORY if there is no frame for a table.
   */
  static toPfnRange<F, V>(path: usize, first: u64, last: u64, alloc: bool): i32 {
    const five = Space.format(Mm.space(Path.mm(path))) == FORMAT_X86_64_LA57;
    let at = first;
    do {
      const next = five
        ? Apply.step<X86_64_LA57, F, V>(path, at, last, alloc)
        : Apply.step<X86_64, F, V>(path, at, last, alloc);
      if (next == STOPPED) return load<i32>(path, PATH_STOP);
      at = next;
    } while (at != 0 && at <= last);
    return 0;
  }

  /** What hangs below one entry of level 1, or above. Returns where to go on, or STOPPED with the reason in PATH_STOP. */
  private static step<T, F, V>(path: usize, at: u64, last: u64, alloc: bool): u64 {
    const format = changetype<T>(0);
    const space = Mm.space(Path.mm(path));
    const place = Walk.seek<T>(space, at, 1);
    const level = Place.level(place);
    const slot = Place.slot(place);
    if (slot == 0) return Range.after<T>(at, level + 1);
    const entry = Entry.load<T>(slot);
    let stopped: i32 = 0;
    if (level == 1 && Range.passable<T>(space, entry, 1)) {
      const table = Frames.backing(format.table(entry));
      const end = Range.rowEnd<T>(at, 0, last);
      if (table != 0) stopped = Apply.toTable<F, V>(path, table, at, end);
      if (stopped == 0) return end;
    } else if (alloc && format.pteNone(entry)) {
      if (PteAlloc.table<T>(space, at, level)) return at;
      stopped = STATUS_NO_MEMORY;
    } else {
      if (format.present(entry) && format.leaf(entry, level)) {
        stopped = Apply.toLarge<F, V>(path, slot, at, level, min(last, Range.after<T>(at, level) - 1));
      }
      if (stopped == 0) return Range.after<T>(at, level);
    }
    store<i32>(path, stopped, PATH_STOP);
    return STOPPED;
  }

  /** pte_offset_map_lock(): the slot for `va` in its leaf table, its page-table lock held; 0, and no lock, if there is no such table. */
  static lockSlot<F>(mm: usize, va: u64): usize {
    const table = Apply.leafTable(mm, va);
    if (table == 0) return 0;
    Spinlock.lock(Mm.ptl(mm, table));
    return table + changetype<F>(0).offset(va, 0);
  }

  /** Address of the leaf table for `va`, or 0. Its entries are not read. */
  static leafTable(mm: usize, va: u64): usize {
    const space = Mm.space(mm);
    if (Space.format(space) == FORMAT_X86_64_LA57) return Apply.tableBelow<X86_64_LA57>(space, va);
    return Apply.tableBelow<X86_64>(space, va);
  }

  private static tableBelow<T>(space: usize, va: u64): usize {
    const place = Walk.seek<T>(space, va, 1);
    const slot = Place.slot(place);
    if (slot == 0 || Place.level(place) != 1) return 0;
    const entry = Entry.load<T>(slot);
    return Range.passable<T>(space, entry, 1) ? Frames.backing(changetype<T>(0).table(entry)) : 0;
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
    for (let at = va, slot = table + format.offset(va, 0); at != end; at += PAGE, slot += step) {
      stopped = visitor.pte<F>(path, slot, at, at + (PAGE - 1), 0);
      if (stopped == 0) continue;
      store<u64>(path, at, PATH_AT);
      break;
    }
    visitor.leave(path);
    Spinlock.unlock(ptl);
    return stopped;
  }

  private static toLarge<F, V>(path: usize, slot: usize, va: u64, level: i32, end: u64): i32 {
    const visitor = changetype<V>(0);
    const whole = end - va == changetype<F>(0).span(level) - 1;
    if (!(visitor.large == LARGE_ALWAYS || (visitor.large == LARGE_WHOLE && whole))) {
      Path.count(path, PATH_HUGE);
      return 0;
    }
    const ptl = Mm.ptl(Path.mm(path), slot);
    Spinlock.lock(ptl);
    visitor.enter(path);
    // Split meanwhile: a table stands there, and the next walk goes into it (pmd_trans_huge_lock() looks again, too).
    const still = changetype<F>(0).leaf(Entry.load<F>(slot), level);
    const stopped = still ? visitor.pte<F>(path, slot, va, end, level) : 0;
    visitor.leave(path);
    Spinlock.unlock(ptl);
    if (stopped != 0) store<u64>(path, va, PATH_AT);
    return stopped;
  }
}
