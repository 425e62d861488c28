// Lists what a space maps: leaf by leaf or folded into runs, all of it or what reaches a range of physical memory.
//
// Guarantees: records come in ascending order of virtual address and do not overlap; every address of the cursor's range that a
// walk would map is in exactly one record; what could not be followed is in a record of its own, a hole. A table that is its
// own ancestor (a recursive mapping, or damage) is a hole unless the cursor says to follow it. A call ends after a bounded number
// of table rows, for shared tables can make a list endless, and the next one goes on from the cursor. It runs beside changes: each leaf is reported as it was when it was read.

import {
  CURSOR_FOLD,
  CURSOR_LAST,
  CURSOR_LOOPS,
  CURSOR_NEXT,
  CURSOR_PA,
  CURSOR_PA_LAST,
  CURSOR_STATE,
  CURSOR_USED,
  HOLE_LOOP,
  HOLE_RESERVED,
  HOLE_UNBACKED,
  LIST_DONE,
  LIST_MISSING,
  LIST_MORE,
  RESULT_ACCESSED,
  RESULT_DIRTY,
  RUN_BYTES,
  RUN_ENTRY,
  RUN_FLAGS,
  RUN_HOLE,
  RUN_PA,
  RUN_SIZE,
  RUN_VA,
} from "./layout";
import { Entry } from "./pte/entry";
import { Range } from "./range/walk";
import { Space } from "./space";
import { Place, Trail, Walk } from "./walk";

/** A row is at most 512 slots: a call takes a few milliseconds. */
const ROWS_A_CALL: u32 = 4096;

export abstract class Lister {
  /**
   * Goes on from the cursor and writes records (RUN_*) to `out`, which has room for `capacity`, after the CURSOR_USED that are
   * there already; with folding, the last of those may grow. It may add none and still have more to say. Sets CURSOR_USED and CURSOR_STATE. The cursor's range lies in
   * one canonical half.
   */
  static list<F>(space: usize, cursor: usize, out: usize, capacity: u32): void {
    const last = load<u64>(cursor, CURSOR_LAST);
    let at = load<u64>(cursor, CURSOR_NEXT);
    let state: u32 = LIST_MORE;
    let rows = ROWS_A_CALL;
    do {
      const place = Walk.survey<F>(space, at);
      const level = Place.level(place);
      const loop =
        load<u32>(cursor, CURSOR_LOOPS) != 0 ? -1 : Lister.loopLevel<F>(Place.slot(place) == 0 ? level + 1 : level);
      let next = at;
      if (loop >= 0) {
        next = Lister.hole<F>(cursor, out, capacity, at, loop + 1, Trail.table(loop), HOLE_LOOP);
      } else if (Place.slot(place) == 0) {
        next = Lister.hole<F>(cursor, out, capacity, at, level + 1, Trail.table(level), HOLE_UNBACKED);
        if (next != at) {
          state = LIST_MISSING;
          break;
        }
      } else {
        next = Lister.row<F>(space, cursor, out, capacity, Place.slot(place), at, level);
      }
      if (next == at && load<u32>(cursor, CURSOR_USED) == capacity) break;
      at = next;
      if (at == 0 || at > last) state = LIST_DONE;
    } while (state == LIST_MORE && --rows > 0);
    store<u64>(cursor, at, CURSOR_NEXT);
    store<u32>(cursor, state, CURSOR_STATE);
  }

  /**
   * Along the slots of one table from `at` on. Returns the address to go on from, which is that of the first slot that refers to
   * a table below, or that of a record for which no room was left.
   */
  private static row<F>(
    space: usize,
    cursor: usize,
    out: usize,
    capacity: u32,
    first: usize,
    from: u64,
    level: i32,
  ): u64 {
    const format = changetype<F>(0);
    const step = (<usize>1) << format.entryShift;
    const span = format.span(level);
    const fold = load<u32>(cursor, CURSOR_FOLD) != 0;
    const paFirst = load<u64>(cursor, CURSOR_PA);
    const paLast = load<u64>(cursor, CURSOR_PA_LAST);
    const end = Range.rowEnd<F>(from, level, load<u64>(cursor, CURSOR_LAST));
    let above = format.allRights;
    for (let up = format.levels - 1; up > level; --up) above = format.narrow(above, Trail.entry(up));

    let used = load<u32>(cursor, CURSOR_USED);
    let slot = first;
    let at = from;
    do {
      const entry = Entry.load<F>(slot);
      let next = Range.after<F>(at, level);
      slot += step;
      if (!format.present(entry)) {
        at = next;
        continue;
      }
      if (Range.passable<F>(space, entry, level)) break;
      const reserved = format.reserved(entry, level, format.leaf(entry, level), Space.regime(space)) != 0;
      const pa = reserved ? 0 : format.page(entry, level) | (at & (span - 1));
      if (!reserved && (pa > paLast || pa + (next - at - 1) < paFirst)) {
        at = next;
        continue;
      }
      const flags = reserved ? 0 : <u32>format.flags(entry, format.narrow(above, entry), level);
      let run = out + <usize>(used - 1) * RUN_BYTES;
      if (reserved || !fold || used == 0 || !Lister.joins<F>(run, at, pa, entry, flags, level)) {
        if (used == capacity) break;
        run = out + <usize>used * RUN_BYTES;
        ++used;
        Lister.write(run, at, pa, 0, entry, flags, reserved ? HOLE_RESERVED : 0);
      }
      if (fold && !reserved) {
        // What follows with the same bits one page further on joins without a closer look.
        let expected = format.untouched(entry) + span;
        while (next != end && format.untouched(Entry.load<F>(slot)) == expected && pa + (next - at) <= paLast) {
          expected += span;
          next += span;
          slot += step;
        }
      }
      store<u64>(run, load<u64>(run, RUN_SIZE) + (next - at), RUN_SIZE);
      at = next;
    } while (at != end);
    store<u32>(cursor, used, CURSOR_USED);
    return at;
  }

  /** Does the leaf carry on the run? Then it has the same size, attributes and rights; A and D may differ. */
  @inline
  private static joins<F>(run: usize, va: u64, pa: u64, entry: u64, flags: u32, level: i32): bool {
    const format = changetype<F>(0);
    const size = load<u64>(run, RUN_SIZE);
    return (
      load<u64>(run, RUN_VA) + size == va &&
      load<u64>(run, RUN_PA) + size == pa &&
      load<u32>(run, RUN_HOLE) == 0 &&
      ((load<u32>(run, RUN_FLAGS) ^ flags) & ~(RESULT_ACCESSED | RESULT_DIRTY)) == 0 &&
      format.kind(load<u64>(run, RUN_ENTRY), level) == format.kind(entry, level)
    );
  }

  /** A record for what the entry of level `above` covers. Returns the address after it, or `at` if no room was left. */
  private static hole<F>(cursor: usize, out: usize, capacity: u32, at: u64, above: i32, table: u64, why: u32): u64 {
    const used = load<u32>(cursor, CURSOR_USED);
    if (used == capacity) return at;
    const root = above == changetype<F>(0).levels;
    const end = root ? load<u64>(cursor, CURSOR_LAST) + 1 : Range.after<F>(at, above);
    Lister.write(out + <usize>used * RUN_BYTES, at, table, end - at, root ? 0 : Trail.entry(above), 0, why);
    store<u32>(cursor, used + 1, CURSOR_USED);
    return end;
  }

  /** The highest level whose table stands further up on the same walk, or -1. */
  private static loopLevel<F>(bottom: i32): i32 {
    for (let level = changetype<F>(0).levels - 2; level >= bottom; --level) {
      for (let up = level + 1; up < changetype<F>(0).levels; ++up) {
        if (Trail.table(up) == Trail.table(level)) return level;
      }
    }
    return -1;
  }

  @inline
  private static write(run: usize, va: u64, pa: u64, size: u64, entry: u64, flags: u32, hole: u32): void {
    store<u64>(run, va, RUN_VA);
    store<u64>(run, pa, RUN_PA);
    store<u64>(run, size, RUN_SIZE);
    store<u64>(run, entry, RUN_ENTRY);
    store<u32>(run, flags, RUN_FLAGS);
    store<u32>(run, hole, RUN_HOLE);
  }
}
