// The long way of a batch: one walk for one address, and the tables that it went through, for the fast paths to remember.
//
// Guarantees: what `walk` returns is what walk.ts returns. A table is handed out only if, where A bits are asked for, every
// entry on the way to it has its own: whoever remembers it need not go that way again.

import { ACCESS_TOUCH, RESULT_MAPPED, RESULT_SHIFT } from "../layout";
import { Frames } from "../frame";
import { Place, Trail, Walk } from "../walk";

export abstract class Long {
  static walk<F>(space: usize, va: u64, access: u32): u64 {
    return (access & ACCESS_TOUCH) != 0 ? Walk.access<F>(space, va, access) : Walk.translate<F>(space, va, access);
  }

  /** Address `i` of a batch. Returns 1 if it is not mapped. */
  static one<F>(space: usize, input: usize, output: usize, i: u32, access: u32): u32 {
    const result = Long.walk<F>(space, load<u64>(input + ((<usize>i) << 3)), access);
    store<u64>(output + ((<usize>i) << 3), result);
    return Long.mapped(result) ? 0 : 1;
  }

  @inline
  static mapped(result: u64): bool {
    return ((result >> RESULT_SHIFT) & RESULT_MAPPED) != 0;
  }

  /**
   * Linear address of the table of `level` that a walk for `va` goes through; `rights` then says what the levels above leave. 0 if there
   * is none: at linear address 0 stand entries that no test passes.
   */
  static table<F>(space: usize, va: u64, level: i32, access: u32): usize {
    const format = changetype<F>(0);
    if (!format.canonical(va)) return 0;
    const place = Walk.survey<F>(space, va);
    const bottom = Place.slot(place) == 0 ? Place.level(place) + 1 : Place.level(place);
    if (bottom > level) return 0;
    for (let up = format.levels - 1; up > level; --up) {
      const entry = Trail.entry(up);
      // The tables are others than those that the last walk touched.
      if ((access & ACCESS_TOUCH) != 0 && format.touch(entry, false) != entry) return 0;
    }
    return Frames.backing(Trail.table(level));
  }

  /** The rights that the entries above `level` left on the way that `table` or a survey took last. */
  static rights<F>(level: i32): u64 {
    const format = changetype<F>(0);
    let rights = format.allRights;
    for (let up = format.levels - 1; up > level; --up) rights = format.narrow(rights, Trail.entry(up));
    return rights;
  }

  /** The leaf table that `entry`, of level 1, refers to, or 0 if the walk must say what it is. */
  @inline
  static below<F>(entry: u64, tableTest: u64, tableNeed: u64): usize {
    return (entry & tableTest) == tableNeed ? Frames.backing(changetype<F>(0).table(entry)) : 0;
  }
}
