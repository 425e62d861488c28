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
      for (let at = vpns; at < end; at += 8) {
        const first = (<u64>(<i64>load<f64>(at))) << FRAME_SHIFT;
        Tracker.add(tracker, first, first | low, strideShift);
      }
      return;
    }
    // The span of all of them is one range.
    let first: u64 = ~(<u64>0);
    let last: u64 = 0;
    for (let at = vpns; at < end; at += 8) {
      const page = (<u64>(<i64>load<f64>(at))) << FRAME_SHIFT;
      first = min(first, page);
      last = max(last, page);
    }
    if (count == 0) return;
    Tracker.add(tracker, first, last | low, strideShift);
    store<u32>(tracker, load<u32>(tracker, TRACK_ADDS) + count - 1, TRACK_ADDS);
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

  /** The general case of `add` with the exact policy: merge with what it touches, or put it in between. */
  private static insert(tracker: usize, first: u64, last: u64): void {
    const ranges = tracker + TRACK_RANGES;
    let count = load<u32>(tracker, TRACK_COUNT);
    // [from, to): the ranges that overlap it or touch it.
    let from: u32 = 0;
    while (from < count && Tracker.endsBefore(ranges, from, first)) ++from;
    let to = from;
    while (to < count && !Tracker.beginsAfter(ranges, to, last)) ++to;
    const slot = ranges + <usize>from * RANGE_BYTES;
    if (to > from) {
      const end = load<u64>(ranges + <usize>(to - 1) * RANGE_BYTES, LAST);
      if (first < load<u64>(slot)) store<u64>(slot, first);
      store<u64>(slot, max(last, end), LAST);
      const tail = ranges + <usize>to * RANGE_BYTES;
      if (to > from + 1) Tracker.close(slot + RANGE_BYTES, tail, ranges + <usize>count * RANGE_BYTES);
      store<u32>(tracker, count - (to - from - 1), TRACK_COUNT);
      return;
    }
    for (let at = ranges + <usize>count * RANGE_BYTES; at > slot; at -= RANGE_BYTES) {
      v128.store(at, v128.load(at - RANGE_BYTES));
    }
    store<u64>(slot, first);
    store<u64>(slot, last, LAST);
    store<u32>(tracker, ++count, TRACK_COUNT);
    if (count > load<u32>(tracker, TRACK_LIMIT)) Tracker.mergeClosest(tracker);
  }

  /** Merges the two neighbours with the smallest gap, the lowest such pair. */
  private static mergeClosest(tracker: usize): void {
    const ranges = tracker + TRACK_RANGES;
    const count = load<u32>(tracker, TRACK_COUNT);
    let best: u32 = 0;
    let smallest: u64 = ~(<u64>0);
    for (let n: u32 = 0; n + 1 < count; ++n) {
      const range = ranges + <usize>n * RANGE_BYTES;
      const gap = load<u64>(range, RANGE_BYTES) - load<u64>(range, LAST);
      if (gap < smallest) {
        smallest = gap;
        best = n;
      }
    }
    const range = ranges + <usize>best * RANGE_BYTES;
    store<u64>(range, load<u64>(range, RANGE_BYTES + LAST), LAST);
    Tracker.close(range + RANGE_BYTES, range + 2 * RANGE_BYTES, ranges + <usize>count * RANGE_BYTES);
    store<u32>(tracker, count - 1, TRACK_COUNT);
  }

  /** Moves the ranges [from, end) down to `to`. A loop of its own: memory.copy leaves V8's code, which costs more than a few ranges. */
  @inline
  private static close(to: usize, from: usize, end: usize): void {
    for (let at = from; at < end; at += RANGE_BYTES) v128.store(to + (at - from), v128.load(at));
  }

  /** Range `n` ends before `first`, and not at the byte before. */
  @inline
  private static endsBefore(ranges: usize, n: u32, first: u64): bool {
    const last = load<u64>(ranges + <usize>n * RANGE_BYTES, LAST);
    return last < first && last + 1 < first;
  }

  /** Range `n` begins after `last`, and not at the byte after. */
  @inline
  private static beginsAfter(ranges: usize, n: u32, last: u64): bool {
    const first = load<u64>(ranges + <usize>n * RANGE_BYTES);
    return first > last && first - 1 > last;
  }
}
