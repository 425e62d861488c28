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
    Tracker.insert(tracker, first, last);
  }

  /** Adds the pages of 2^`strideShift` bytes whose numbers stand at `vpns` as doubles, one after the other. */
  static addPages(tracker: usize, vpns: usize, count: u32, strideShift: u32): void {
    const low = ((<u64>1) << strideShift) - 1;
    const end = vpns + ((<usize>count) << 3);
    if (load<u32>(tracker, TRACK_POLICY) == TRACK_EXACT) {
      let at = vpns;
      while (at < end) {
        const first = Tracker.address(load<f64>(at));
        Tracker.add(tracker, first, first | low, strideShift);
        at = Tracker.extend(tracker, at + 8, end, low);
      }
      return;
    }
    if (count == 0) return;
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

  /** Pages of a list that carry on the highest range, or lie in it, from `at` on. Returns where one does not. */
  @inline
  private static extend(tracker: usize, at: usize, end: usize, low: u64): usize {
    const top = tracker + TRACK_RANGES + <usize>(load<u32>(tracker, TRACK_COUNT) - 1) * RANGE_BYTES;
    const first = load<u64>(top);
    let last = load<u64>(top, LAST);
    let next = at;
    for (; next < end; next += 8) {
      const page = Tracker.address(load<f64>(next));
      if (page < first || page - 1 > last) break;
      last = max(last, page | low);
    }
    store<u64>(top, last, LAST);
    store<u32>(tracker, load<u32>(tracker, TRACK_ADDS) + <u32>((next - at) >> 3), TRACK_ADDS);
    return next;
  }

  /** The general case of `add` with the exact policy: merge with what it touches, or put it in between. */
  private static insert(tracker: usize, first: u64, last: u64): void {
    const ranges = tracker + TRACK_RANGES;
    const count = load<u32>(tracker, TRACK_COUNT);
    const end = ranges + <usize>count * RANGE_BYTES;
    // The bytes before and after it, or its own at the ends of the address space: what reaches neither does not touch it.
    const before = first == 0 ? 0 : first - 1;
    const after = last == ~(<u64>0) ? last : last + 1;
    // [from, to): the ranges that overlap it or touch it. The first of them is looked for by halves, without a branch that depends on
    // what is compared.
    let from = ranges;
    for (let n = count; n > 0; ) {
      const half = (n + 1) >> 1;
      const middle = from + ((<usize>half) << RANGE_SHIFT);
      from = select<usize>(middle, from, load<u64>(middle - RANGE_BYTES, LAST) < before);
      n -= half;
    }
    // What stands at `end` may be read: the block has room for one range more.
    if (u32(from < end) & u32(first >= load<u64>(from)) & u32(last <= load<u64>(from, LAST))) return;
    let to = from;
    while (u32(to < end) & u32(load<u64>(to) <= after)) to += RANGE_BYTES;
    if (to > from) {
      const reach = load<u64>(to - RANGE_BYTES, LAST);
      store<u64>(from, min(first, load<u64>(from)));
      store<u64>(from, max(last, reach), LAST);
      if (to > from + RANGE_BYTES) Tracker.close(from + RANGE_BYTES, to, end);
      store<u32>(tracker, count + 1 - <u32>((to - from) / RANGE_BYTES), TRACK_COUNT);
      return;
    }
    for (let at = end; at > from; at -= RANGE_BYTES) v128.store(at, v128.load(at - RANGE_BYTES));
    store<u64>(from, first);
    store<u64>(from, last, LAST);
    store<u32>(tracker, count + 1, TRACK_COUNT);
    if (count == load<u32>(tracker, TRACK_LIMIT)) Tracker.mergeClosest(tracker);
  }

  /** Merges the two neighbours with the smallest gap, the lowest such pair. */
  private static mergeClosest(tracker: usize): void {
    const count = load<u32>(tracker, TRACK_COUNT);
    const highest = tracker + TRACK_RANGES + <usize>(count - 1) * RANGE_BYTES;
    let best: usize = 0;
    let smallest: u64 = ~(<u64>0);
    for (let range = tracker + TRACK_RANGES; range < highest; range += RANGE_BYTES) {
      const gap = load<u64>(range, RANGE_BYTES) - load<u64>(range, LAST);
      best = gap < smallest ? range : best;
      smallest = min(gap, smallest);
    }
    store<u64>(best, load<u64>(best, RANGE_BYTES + LAST), LAST);
    Tracker.close(best + RANGE_BYTES, best + 2 * RANGE_BYTES, highest + RANGE_BYTES);
    store<u32>(tracker, count - 1, TRACK_COUNT);
  }

  /** Moves the ranges [from, end) down to `to`. A loop of its own: memory.copy leaves V8's code, which costs more than a few ranges. */
  @inline
  private static close(to: usize, from: usize, end: usize): void {
    for (let at = from; at < end; at += RANGE_BYTES) v128.store(to + (at - from), v128.load(at));
  }
}
