// Range-flush tracking: ranges that were changed go in, and what to invalidate comes out.
//
// Guarantees: the plan covers every page that was added and is not empty if one was; it never names more ranges than the limit. The
// policy decides how much more it covers:
//   exact   up to `limit` disjoint ranges in ascending order; one too many merges the two neighbours with the smallest gap between
//           them, the lowest pair of those; ranges that touch are one, but the address space does not wrap: 2^64-1 and 0 do not touch
//   span    one range from the lowest to the highest address, holes included (Linux's mmu_gather, __tlb_adjust_range)
//   full    any change flushes the whole address space
// and above `ceiling` invalidations any plan becomes full (tlb_single_page_flush_ceiling, arch/x86/mm/tlb.c).
//
// A tracker belongs to one agent at a time, like the gather on a kernel stack: plain memory, no scheduling points. Its block is drawn in
// layout.ts (TRACK_*).

import {
  FRAME_SHIFT,
  PLAN_FULL,
  PLAN_NONE,
  PLAN_RANGES,
  TRACK_ADDS,
  TRACK_CEILING,
  TRACK_COUNT,
  TRACK_EXACT,
  TRACK_FULL,
  TRACK_LIMIT,
  TRACK_POLICY,
  TRACK_RANGES,
  TRACK_STRIDE,
} from "../layout";

const RANGE_BYTES: usize = 16;
const RANGE_SHIFT: usize = 4;
const LAST: usize = 8;
/** Larger than any. */
const NO_GAP: u64 = 0xffffffffffffffff;

export abstract class Tracker {
  /** An empty tracker in a block of TRACK_RANGES + 16 × (`limit` + 1) bytes, `limit` at least 1. `ceiling` 0 knows no ceiling. */
  static initialize(tracker: usize, policy: u32, limit: u32, ceiling: u32): void {
    store<u32>(tracker, policy, TRACK_POLICY);
    store<u32>(tracker, policy == TRACK_EXACT ? max<u32>(limit, 1) : 1, TRACK_LIMIT);
    store<u32>(tracker, ceiling, TRACK_CEILING);
    Tracker.reset(tracker);
  }

  @inline
  static reset(tracker: usize): void {
    store<u32>(tracker, 0, TRACK_COUNT);
    store<u32>(tracker, 64, TRACK_STRIDE);
    store<u32>(tracker, 0, TRACK_ADDS);
  }

  /**
   * The pages of [first, last], both page-aligned but for the low bits of `last`, were changed; they are mapped by pages of
   * 2^`strideShift` bytes. The plan steps by the smallest stride that was added (tlb_get_unmap_shift, include/asm-generic/tlb.h).
   */
  @inline
  static add(tracker: usize, first: u64, last: u64, strideShift: u32): void {
    store<u32>(tracker, load<u32>(tracker, TRACK_ADDS) + 1, TRACK_ADDS);
    if (strideShift < load<u32>(tracker, TRACK_STRIDE)) store<u32>(tracker, strideShift, TRACK_STRIDE);
    const ranges = tracker + TRACK_RANGES;
    const count = load<u32>(tracker, TRACK_COUNT);
    if (count == 0) {
      store<u64>(ranges, first);
      store<u64>(ranges, last, LAST);
      store<u32>(tracker, 1, TRACK_COUNT);
      return;
    }
    if (load<u32>(tracker, TRACK_POLICY) != TRACK_EXACT) {
      if (first < load<u64>(ranges)) store<u64>(ranges, first);
      if (last > load<u64>(ranges, LAST)) store<u64>(ranges, last, LAST);
      return;
    }
    // Mostly the next page after the highest range, or within it.
    const top = ranges + <usize>(count - 1) * RANGE_BYTES;
    if (first >= load<u64>(top) && first <= load<u64>(top, LAST) + 1 && load<u64>(top, LAST) != ~(<u64>0)) {
      if (last > load<u64>(top, LAST)) store<u64>(top, last, LAST);
      return;
    }
    const from = Tracker.reaching(ranges, count, load<u64>(top, LAST), first);
    if (from <= top && first >= load<u64>(from) && last <= load<u64>(from, LAST)) return;
    Tracker.insert(tracker, from, first, last);
  }

  /** Adds the pages of 2^`strideShift` bytes whose numbers stand at `vpns` as doubles, one after the other. */
  static addPages(tracker: usize, vpns: usize, count: u32, strideShift: u32): void {
    const low = ((<u64>1) << strideShift) - 1;
    const end = vpns + ((<usize>count) << 3);
    if (count == 0) return;
    if (load<u32>(tracker, TRACK_POLICY) == TRACK_EXACT) {
      const page = Tracker.address(load<f64>(vpns));
      Tracker.add(tracker, page, page | low, strideShift);
      Tracker.addEach(tracker, vpns + 8, end, low);
      store<u32>(tracker, load<u32>(tracker, TRACK_ADDS) + count - 1, TRACK_ADDS);
      return;
    }
    // The span of all of them is one range. Page numbers are compared as the doubles that they are.
    let low2 = v128.load_splat<f64>(vpns);
    let high2 = low2;
    let at = vpns;
    for (; at + 32 <= end; at += 32) {
      const a = v128.load(at);
      const b = v128.load(at, 16);
      low2 = f64x2.pmin(low2, f64x2.pmin(a, b));
      high2 = f64x2.pmax(high2, f64x2.pmax(a, b));
    }
    for (; at < end; at += 8) {
      const page = v128.load_splat<f64>(at);
      low2 = f64x2.pmin(low2, page);
      high2 = f64x2.pmax(high2, page);
    }
    const first = Tracker.address(min(f64x2.extract_lane(low2, 0), f64x2.extract_lane(low2, 1)));
    const last = Tracker.address(max(f64x2.extract_lane(high2, 0), f64x2.extract_lane(high2, 1)));
    Tracker.add(tracker, first, last | low, strideShift);
    store<u32>(tracker, load<u32>(tracker, TRACK_ADDS) + count - 1, TRACK_ADDS);
  }

  /**
   * The address of a page number below 2^52. The sum has it in its fraction, which the shift brings to where the page number of an address is;
   * a conversion checks for what cannot be here.
   */
  @inline
  private static address(vpn: f64): u64 {
    return reinterpret<u64>(vpn + 4503599627370496) << FRAME_SHIFT;
  }

  /** What to invalidate: PLAN_NONE, PLAN_RANGES (TRACK_COUNT of them, at TRACK_RANGES) or PLAN_FULL. */
  static plan(tracker: usize): u32 {
    const count = load<u32>(tracker, TRACK_COUNT);
    if (count == 0) return PLAN_NONE;
    if (load<u32>(tracker, TRACK_POLICY) == TRACK_FULL) return PLAN_FULL;
    const ceiling = load<u32>(tracker, TRACK_CEILING);
    return ceiling != 0 && Tracker.invalidations(tracker) > <u64>ceiling ? PLAN_FULL : PLAN_RANGES;
  }

  /** How many single-page invalidations the ranges take, at the smallest stride. */
  static invalidations(tracker: usize): u64 {
    const stride = <u64>load<u32>(tracker, TRACK_STRIDE);
    const count = load<u32>(tracker, TRACK_COUNT);
    let sum: u64 = 0;
    for (let n: u32 = 0; n < count; ++n) {
      const range = tracker + TRACK_RANGES + <usize>n * RANGE_BYTES;
      sum += (load<u64>(range, LAST) >> stride) - (load<u64>(range) >> stride) + 1;
    }
    return sum;
  }

  /** Pages of a list, one after the other, with the exact policy: most carry on the highest range or lie in it, or lie in another. */
  private static addEach(tracker: usize, vpns: usize, end: usize, low: u64): void {
    const ranges = tracker + TRACK_RANGES;
    let at = vpns;
    while (at < end) {
      const count = load<u32>(tracker, TRACK_COUNT);
      const top = ranges + ((<usize>(count - 1)) << RANGE_SHIFT);
      const lowest = load<u64>(top);
      const known = load<u64>(top, LAST);
      let highest = known;
      for (; at < end; at += 8) {
        const first = Tracker.address(load<f64>(at));
        const last = first | low;
        if (first >= lowest && first - 1 <= highest) {
          highest = max(highest, last);
          continue;
        }
        if (highest != known) break;
        const from = Tracker.reaching(ranges, count, highest, first);
        if (from <= top && first >= load<u64>(from) && last <= load<u64>(from, LAST)) continue;
        Tracker.insert(tracker, from, first, last);
        at += 8;
        break;
      }
      if (highest != known) v128.store(top, Tracker.range(lowest, highest));
    }
  }

  /** As it lies in memory. What is loaded as a vector is stored as one: a processor does not forward two halves. */
  @inline
  private static range(first: u64, last: u64): v128 {
    return i64x2.replace_lane(i64x2.splat(first), 1, last);
  }

  /**
   * The first of `count` ranges, the last of which ends at `highest`, that ends at `first` or the byte before, or above; the end if none does. By halves, and the last few all at
   * once: a branch on what is compared would be foretold wrongly each other time. Vectors compare signed numbers, so not across the halves
   * of the address space.
   */
  @inline
  private static reaching(ranges: usize, count: u32, highest: u64, first: u64): usize {
    const before = first == 0 ? 0 : first - 1;
    const few: u32 = <i64>(before | highest) < 0 ? 0 : 16;
    let from = ranges;
    let n = count;
    while (n > few) {
      const half = (n + 1) >> 1;
      const middle = from + ((<usize>half) << RANGE_SHIFT);
      from = select<usize>(middle, from, load<u64>(middle - RANGE_BYTES, LAST) < before);
      n -= half;
    }
    const bound = i64x2.splat(before);
    const last = from + ((<usize>n) << RANGE_SHIFT);
    let less = i64x2.splat(0);
    let at = from;
    for (; at + 8 * RANGE_BYTES <= last; at += 8 * RANGE_BYTES) {
      const a = i64x2.add(i64x2.lt_s(Tracker.lasts(at), bound), i64x2.lt_s(Tracker.lasts(at + 2 * RANGE_BYTES), bound));
      const b = i64x2.add(
        i64x2.lt_s(Tracker.lasts(at + 4 * RANGE_BYTES), bound),
        i64x2.lt_s(Tracker.lasts(at + 6 * RANGE_BYTES), bound),
      );
      less = i64x2.add(less, i64x2.add(a, b));
    }
    let sum = i64x2.extract_lane(less, 0) + i64x2.extract_lane(less, 1);
    for (; at < last; at += RANGE_BYTES) sum -= i64(load<u64>(at, LAST) < before);
    return from - ((<usize>sum) << RANGE_SHIFT);
  }

  /** The last bytes of two ranges. */
  @inline
  private static lasts(ranges: usize): v128 {
    return v128.shuffle<i64>(v128.load(ranges), v128.load(ranges, RANGE_BYTES), 1, 3);
  }

  /** The general case of `add` with the exact policy: merge with what it touches from `from` on, which is the first to reach it, or put it there. */
  private static insert(tracker: usize, from: usize, first: u64, last: u64): void {
    const count = load<u32>(tracker, TRACK_COUNT);
    const end = tracker + TRACK_RANGES + ((<usize>count) << RANGE_SHIFT);
    // The byte after it, or its own at the end of the address space.
    const after = last == ~(<u64>0) ? last : last + 1;
    // What stands at `end` may be read: the block has room for one range more.
    let to = from;
    while (u32(to < end) & u32(load<u64>(to) <= after)) to += RANGE_BYTES;
    if (to > from) {
      const reach = load<u64>(to - RANGE_BYTES, LAST);
      v128.store(from, Tracker.range(min(first, load<u64>(from)), max(last, reach)));
      for (let at = to; at < end; at += RANGE_BYTES) v128.store(from + RANGE_BYTES + (at - to), v128.load(at));
      store<u32>(tracker, count + 1 - <u32>((to - from) >> RANGE_SHIFT), TRACK_COUNT);
    } else if (count == load<u32>(tracker, TRACK_LIMIT)) {
      Tracker.squeeze(tracker, from, first, last);
    } else {
      for (let at = end; at > from; at -= RANGE_BYTES) v128.store(at, v128.load(at - RANGE_BYTES));
      v128.store(from, Tracker.range(first, last));
      store<u32>(tracker, count + 1, TRACK_COUNT);
    }
  }

  /**
   * Puts a range that touches none at `from` in a full list: the two neighbours with the smallest gap become one, the lowest such pair, the new
   * range being a neighbour of two or of one. Only what stands between the pair and `from` moves.
   */
  private static squeeze(tracker: usize, from: usize, first: u64, last: u64): void {
    const ranges = tracker + TRACK_RANGES;
    const highest = ranges + ((<usize>(load<u32>(tracker, TRACK_COUNT) - 1)) << RANGE_SHIFT);
    const below = from - RANGE_BYTES;
    let smallest = NO_GAP;
    let best: usize = 0;
    for (let range = ranges; range < highest; range += RANGE_BYTES) {
      // The gap that the new range parts in two is none.
      const gap = (load<u64>(range, RANGE_BYTES) - load<u64>(range, LAST)) | (0 - u64(range == below));
      if (gap >= smallest) continue;
      smallest = gap;
      best = range;
    }
    const gapBelow = from > ranges ? first - load<u64>(below, LAST) : NO_GAP;
    const gapAbove = from <= highest ? load<u64>(from) - last : NO_GAP;
    const own = min(gapBelow, gapAbove);
    if (own < smallest || (own == smallest && best >= from)) {
      if (gapBelow == own) v128.store(below, Tracker.range(load<u64>(below), last));
      else v128.store(from, Tracker.range(first, load<u64>(from, LAST)));
      return;
    }
    const pair = Tracker.range(load<u64>(best), load<u64>(best, RANGE_BYTES + LAST));
    const added = Tracker.range(first, last);
    if (best < from) {
      v128.store(best, pair);
      for (let at = best + RANGE_BYTES; at < below; at += RANGE_BYTES) v128.store(at, v128.load(at, RANGE_BYTES));
      v128.store(below, added);
    } else {
      for (let at = best; at > from; at -= RANGE_BYTES) v128.store(at, v128.load(at - RANGE_BYTES));
      v128.store(best, pair, RANGE_BYTES);
      v128.store(from, added);
    }
  }
}
