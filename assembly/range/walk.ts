// The walk over a range: one descent for each table that holds part of it, then along that table's slots.
//
// Guarantees: the visitor sees every slot of the range at the level where a walk for its address ends, in ascending
// order and once, unless it changes the tables itself. It is called without any lock; who needs one holds it.

import { Entry } from "../pte/entry";
import { Space } from "../space";
import { Place, Walk } from "../walk";

/** Returned by `Range.each` when the visitor never stopped: not the address of a page. */
export const NOWHERE: u64 = 1;

export abstract class Range {
  /**
   * Calls `entry(slot, entry, va, level, argument)` for each slot of [va, last], and `row(space, va, level)` after each row of
   * them, until one of them returns false. `unbacked(va)` is asked about a table that is not in physical memory.
   * Returns the address at which the visitor stopped, or NOWHERE.
   */
  static each<F, V>(space: usize, va: u64, last: u64, argument: u64): u64 {
    const format = changetype<F>(0);
    const visitor = changetype<V>(0);
    const step = (<usize>1) << format.entryShift;
    let at = va;
    do {
      const place = Walk.seek<F>(space, at, 0);
      const level = Place.level(place);
      let slot = Place.slot(place);
      if (slot == 0) {
        if (!visitor.unbacked(at)) return at;
        at = Range.after<F>(at, level + 1);
        continue;
      }
      const start = at;
      const end = Range.rowEnd<F>(at, level, last);
      do {
        const entry = Entry.load<F>(slot);
        if (Range.passable<F>(space, entry, level)) break; // a table: the next walk goes into it
        if (!visitor.entry<F>(slot, entry, at, level, argument)) return at;
        at = Range.after<F>(at, level);
        slot += step;
      } while (at != end);
      if (at != start && !visitor.row<F>(space, start, level)) return start;
    } while (at != 0 && at <= last);
    return NOWHERE;
  }

  /** First address after what the entry of `level` around `va` covers; 0 at the end of the address space. */
  @inline
  static after<F>(va: u64, level: i32): u64 {
    const span = changetype<F>(0).span(level);
    return (va & ~(span - 1)) + span;
  }

  /** First address after the table of `level` around `va`, or after the entry around `last` if that comes first. */
  @inline
  static rowEnd<F>(va: u64, level: i32, last: u64): u64 {
    const format = changetype<F>(0);
    const rowLast = va | (format.span(level) * format.entries - 1);
    return Range.after<F>(rowLast < last ? rowLast : last, level);
  }

  /** Would a walk go on below this entry? */
  @inline
  static passable<F>(space: usize, entry: u64, level: i32): bool {
    const format = changetype<F>(0);
    return (
      format.present(entry) &&
      !format.leaf(entry, level) &&
      format.reserved(entry, level, false, Space.regime(space)) == 0
    );
  }
}
