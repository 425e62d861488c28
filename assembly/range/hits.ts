// What a scan tells about the entries that it hit: their number, their exact range, their bits in a bitmap, and the tracker.
//
// Guarantees: of a table, the eight words of SCAN_HITS say which entries were hit, a bit each; they are taken into all four. Tables come in
// ascending order. Words of the bitmap that lie wholly outside the range are not touched.
//
// Bitmap, block and tracker are the caller's own: plain memory, no scheduling points.

import {
  FRAME_SHIFT,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_FINAL,
  SCAN_FIRST,
  SCAN_HITS,
  SCAN_ORIGIN,
  SCAN_START,
  SCAN_TOUCHED,
  SCAN_TRACKER,
  TRACK_EXACT,
  TRACK_POLICY,
} from "../layout";
import { Tracker } from "../flush/track";
import { Lanes } from "./lanes";

const ALL: u64 = 0xffffffffffffffff;
const WORDS: u32 = 8;

export abstract class Hits {
  static clear(scan: usize): void {
    store<u64>(scan, 0, SCAN_TOUCHED);
    store<u64>(scan, ALL, SCAN_FIRST);
    store<u64>(scan, 0, SCAN_FINAL);
  }

  /**
   * Takes in SCAN_HITS of the table whose first entry maps `va`; all bits outside the range are clear, and `whole` says that the table is
   * all inside. Returns how many are set.
   */
  static table<V>(scan: usize, va: u64, whole: bool): u32 {
    const words = Lanes.words(scan + SCAN_HITS);
    if (words == 0) return 0;
    const low: u32 = ctz(words) >> 1;
    const high: u32 = (31 - clz(words)) >> 1;
    const first = (low << 6) + <u32>ctz(Hits.word(scan, low));
    const last = (high << 6) + 63 - <u32>clz(Hits.word(scan, high));
    const bitmap: usize = load<u32>(scan, SCAN_BITMAP);
    const tracker: usize = changetype<V>(0).changes ? load<u32>(scan, SCAN_TRACKER) : 0;
    // Bit of entry 0; below 0 if the bitmap begins within the table.
    const base = (va >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    let count: u64 = 0;
    if (bitmap != 0 && whole && (base & 63) == 0) {
      // Its words are words of the bitmap; which of them are 0 is hard to predict.
      let to = bitmap + ((<usize>(base >> 6)) << 3);
      for (let from = scan + SCAN_HITS; from < scan + SCAN_HITS + WORDS * 8; from += 16, to += 16) {
        const hits = v128.load(from);
        v128.store(to, v128.or(v128.load(to), hits));
        count += popcnt(load<u64>(from)) + popcnt(load<u64>(from, 8));
      }
    } else {
      for (let n = low; n <= high; ++n) {
        const hits = Hits.word(scan, n);
        count += popcnt(hits);
        if (bitmap != 0) Hits.setBits(bitmap, base + ((<u64>n) << 6), hits);
      }
    }
    const firstByte = va + ((<u64>first) << FRAME_SHIFT);
    const lastByte = va + ((<u64>last) << FRAME_SHIFT) + ((1 << FRAME_SHIFT) - 1);
    Hits.count(scan, count, firstByte, lastByte);
    if (bitmap != 0) Hits.widen(scan, base + first, base + last + 1);
    if (tracker == 0) return <u32>count;
    if (load<u32>(tracker, TRACK_POLICY) != TRACK_EXACT) Tracker.add(tracker, firstByte, lastByte, FRAME_SHIFT);
    else
      for (let n = low; n <= high; ++n)
        Hits.trackRuns(tracker, va + ((<u64>n) << (6 + FRAME_SHIFT)), Hits.word(scan, n));
    return <u32>count;
  }

  /** Takes in one entry above level 0, of which [first, last] is the part in the range. */
  static large<V>(scan: usize, first: u64, last: u64, shift: u32): void {
    Hits.count(scan, 1, first, last);
    const tracker: usize = load<u32>(scan, SCAN_TRACKER);
    if (changetype<V>(0).changes && tracker != 0) Tracker.add(tracker, first, last, shift);
    const bitmap: usize = load<u32>(scan, SCAN_BITMAP);
    if (bitmap == 0) return;
    const from = (first >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    const to = (last >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    Hits.widen(scan, from, to + 1);
    for (let word = from >> 6; word <= to >> 6; ++word) {
      const bits = (ALL << (word == from >> 6 ? from & 63 : 0)) & (ALL >> (word == to >> 6 ? ~to & 63 : 0));
      const at = bitmap + ((<usize>word) << 3);
      store<u64>(at, load<u64>(at) | bits);
    }
  }

  @inline
  private static word(scan: usize, n: u32): u64 {
    return load<u64>(scan + ((<usize>n) << 3), SCAN_HITS);
  }

  @inline
  private static count(scan: usize, entries: u64, first: u64, last: u64): void {
    store<u64>(scan, load<u64>(scan, SCAN_TOUCHED) + entries, SCAN_TOUCHED);
    if (first < load<u64>(scan, SCAN_FIRST)) store<u64>(scan, first, SCAN_FIRST);
    store<u64>(scan, last, SCAN_FINAL);
  }

  /** Bits [from, to) were set: `start` and `end` of clean_record_shared_mapping_range(). */
  @inline
  private static widen(scan: usize, from: u64, to: u64): void {
    if (from < load<u64>(scan, SCAN_START)) store<u64>(scan, from, SCAN_START);
    if (to > load<u64>(scan, SCAN_END)) store<u64>(scan, to, SCAN_END);
  }

  /** ORs 64 bits into the bitmap from bit `at` on, which may lie below 0 if the lowest of them are clear. */
  @inline
  private static setBits(bitmap: usize, at: u64, bits: u64): void {
    const word = bitmap + ((<usize>(<i64>at >> 6)) << 3);
    const shift = at & 63;
    if (bits == 0) return;
    if (shift == 0) {
      store<u64>(word, load<u64>(word) | bits);
      return;
    }
    const low = bits << shift;
    const high = bits >> (64 - shift);
    if (low != 0) store<u64>(word, load<u64>(word) | low);
    if (high != 0) store<u64>(word, load<u64>(word, 8) | high, 8);
  }

  /** Each run of set bits is one range; a run that goes on in the next word grows there. */
  private static trackRuns(tracker: usize, va: u64, hits: u64): void {
    let left = hits;
    while (left != 0) {
      const first = ctz(left);
      // Carry out of the run: the bits above it.
      const above = left & (left + (left & -left));
      const last = 63 - clz(left ^ above);
      Tracker.add(
        tracker,
        va + (first << FRAME_SHIFT),
        va + (last << FRAME_SHIFT) + ((1 << FRAME_SHIFT) - 1),
        FRAME_SHIFT,
      );
      left = above;
    }
  }
}
