// Scans: one operation on the leaf entries of a range, with vectors where many entries can be judged at once.
//
// Guarantees: the operation sees each present leaf entry of [SCAN_VA, SCAN_LAST] once and leaves every other entry alone, none and swap
// entries among them: Linux's wp_pte() tests pte_write() without pte_present(), and in a swap entry that bit is soft-dirty
// (arch/x86/include/asm/pgtable_64.h). An entry above level 0 is never split: an operation acts on the whole of it or leaves
// it and counts it. The block (SCAN_*) tells how many entries were touched, from which byte to which, and in a bitmap which pages; the
// tracker, if there is one, covers exactly them.
//
// The caller holds the lock that keeps other software out of these tables (the page-table lock; a space's lock for now).
// Hardware goes on: walkers in other agents set A and D at any moment, and no such bit is lost or invented. An entry changes by
//   one atomic       a compare-exchange of what it was into what it becomes, which is also what V8 makes of an atomic `and`
//   a transaction    with SCAN_TRANSACTION: exchange with none, then store (ptep_modify_prot_start and commit); a walk in between faults
//   a plain store    with SCAN_SETTLED, if the entry is settled: present with A, and with D or without the right to write
// Why the last is sound: a walker writes an entry only to set an A or D that is missing and allowed, by compare-exchange against what it
// read. A settled entry lacks none. A walker that read it earlier, unsettled, finds it changed and begins again; one that reads it
// after the store sees what was stored. What it leans on: that machine (`recheck` of the dirty-bit machines; one that sets D
// without looking at RW again, `nowcheck`, needs the atomics), the lock, and that an aligned store of 8 bytes, also as half of a
// vector store, does not tear, which V8 on x64 and arm64 does and the WebAssembly specification does not promise. So it is a flag.
//
// Builds other than release, and formats with 4-byte entries, go entry by entry, each access behind its scheduling point. In the release
// build a table is read by plain vector loads, whose halves do not tear either; a bit that is set behind them is as if it had been
// set after the scan passed. Nothing is called from the loops over entries: V8 would spill every local around it.
//
// Bitmap, block and tracker are the caller's own: plain memory, no scheduling points.

import {
  BUILD_RELEASE,
  FRAME_SHIFT,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_FINAL,
  SCAN_FIRST,
  SCAN_FLAGS,
  SCAN_HITS,
  SCAN_HUGE,
  SCAN_LAST,
  SCAN_ORIGIN,
  SCAN_SETTLED,
  SCAN_START,
  SCAN_TOUCHED,
  SCAN_TRACKER,
  SCAN_TRANSACTION,
  SCAN_VA,
  SCAN_WARNED,
  TRACK_EXACT,
  TRACK_POLICY,
} from "../layout";
import { Tracker } from "../flush/track";
import { Frames } from "../frame";
import { Entry } from "../pte/entry";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Range } from "./walk";

const ALL: u64 = 0xffffffffffffffff;

export abstract class Scan {
  /**
   * Runs operation `V` over the range of the block. The range lies in one canonical half. Returns whether entries were changed.
   *
   * Down to level 1 each walk is a descent; from there it is the last step of as many walks as the table of level 1 has entries.
   */
  static run<F, V>(space: usize, scan: usize): bool {
    const format = changetype<F>(0);
    const step = (<usize>1) << format.entryShift;
    const last = load<u64>(scan, SCAN_LAST);
    let at = load<u64>(scan, SCAN_VA);
    let likely = false;
    Scan.clear(scan);
    do {
      const place = Walk.seek<F>(space, at, 1);
      const level = Place.level(place);
      let slot = Place.slot(place);
      if (slot == 0) {
        at = Range.after<F>(at, level + 1);
        continue;
      }
      const end = level == 1 ? Range.rowEnd<F>(at, 1, last) : Range.after<F>(at, level);
      do {
        const entry = Entry.load<F>(slot);
        const next = Range.after<F>(at, level);
        // The last byte of this entry that the range takes in.
        const final = min(last, next - 1);
        if (format.present(entry)) {
          if (format.leaf(entry, level)) {
            Scan.large<F, V>(space, scan, slot, entry, at, final, level);
          } else if (level == 1 && Range.passable<F>(space, entry, 1)) {
            const page = Frames.backing(format.table(entry));
            if (page != 0) {
              const from = format.index(at, 0);
              const to = format.index(final, 0);
              likely = Scan.table<F, V>(space, scan, page, from, to, likely);
              if (likely) Scan.record<V>(scan, at & ~(format.span(1) - 1), from, to);
            }
          }
        }
        at = next;
        slot += step;
      } while (at != end);
    } while (at != 0 && at <= last);
    return changetype<V>(0).changes && load<u64>(scan, SCAN_TOUCHED) != 0;
  }

  private static clear(scan: usize): void {
    store<u32>(scan, 0, SCAN_HUGE);
    store<u32>(scan, 0, SCAN_WARNED);
    store<u64>(scan, 0, SCAN_TOUCHED);
    store<u64>(scan, ALL, SCAN_FIRST);
    store<u64>(scan, 0, SCAN_FINAL);
  }

  // ---- one leaf table

  /**
   * Entries [from, to] of the leaf table at `page`. Notes those that were hit in SCAN_HITS, a bit each; false if there are none.
   * `likely` says that there were some in the table before: then all of this one is not looked at first for nothing.
   */
  private static table<F, V>(space: usize, scan: usize, page: usize, from: u32, to: u32, likely: bool): bool {
    const format = changetype<F>(0);
    const visitor = changetype<V>(0);
    const flags = load<u32>(scan, SCAN_FLAGS);
    const regime = Space.regime(space);
    if (BUILD != BUILD_RELEASE || format.entryShift != 3)
      return Scan.entries<F, V>(scan, page, from, to, flags, regime);
    const mask = i64x2.splat(visitor.mask<F>());
    const settled = visitor.changes && (flags & SCAN_SETTLED) != 0;
    const hitWords = scan + SCAN_HITS;
    if (from == 0 && to == 511) {
      if (settled) {
        const change = Lanes.change<F, V>(page, 4096, regime);
        if (change != 0) {
          Lanes.apply(page, 4096, change);
          for (let word = hitWords; word < hitWords + 64; word += 8) store<u64>(word, ALL);
          return true;
        }
      }
      if (!likely && !v128.any_true(v128.and(Lanes.any<V>(page, 4096), mask))) return false;
    }
    const firstWord = hitWords + ((<usize>(from >> 6)) << 3);
    const lastWord = hitWords + ((<usize>(to >> 6)) << 3);
    let block = page + ((<usize>(from >> 6)) << 9);
    Lanes.note<V>(firstWord, lastWord + 8, block, mask);
    if (!visitor.changes) Lanes.keep(firstWord, lastWord + 8, block, i64x2.splat(format.presentMask));
    store<u64>(firstWord, load<u64>(firstWord) & (ALL << (from & 63)));
    store<u64>(lastWord, load<u64>(lastWord) & (ALL >> (~to & 63)));
    let found: u64 = 0;
    for (let word = firstWord; word <= lastWord; word += 8, block += 512) {
      let hits = load<u64>(word);
      if (visitor.changes && hits != 0) {
        const change = settled && hits == ALL ? Lanes.change<F, V>(block, 512, regime) : 0;
        if (change != 0) {
          Lanes.apply(block, 512, change);
        } else {
          for (let left = hits; left != 0; left &= left - 1) {
            const slot = block + ((<usize>ctz(left)) << 3);
            const entry = atomic.load<u64>(slot);
            // The vectors saw a bit of the mask, and nobody clears it: hit if present.
            if ((entry & format.presentMask) == 0) hits ^= left & -left;
            else if (flags == 0) Scan.replace<F, V>(slot, entry);
            else Scan.change<F, V>(slot, entry, flags, regime);
          }
          store<u64>(word, hits);
        }
      }
      found |= hits;
    }
    return found != 0;
  }

  /** The same, one entry after the other. */
  private static entries<F, V>(scan: usize, page: usize, from: u32, to: u32, flags: u32, regime: usize): bool {
    const format = changetype<F>(0);
    for (let n = from >> 6; n <= to >> 6; ++n) store<u64>(scan + ((<usize>n) << 3), 0, SCAN_HITS);
    let found = false;
    for (let i = from; i <= to; ++i) {
      const slot = page + ((<usize>i) << format.entryShift);
      if (!Scan.touch<F, V>(slot, Entry.load<F>(slot), flags, regime)) continue;
      const word = scan + ((<usize>(i >> 6)) << 3);
      store<u64>(word, load<u64>(word, SCAN_HITS) | ((<u64>1) << (i & 63)), SCAN_HITS);
      found = true;
    }
    return found;
  }

  /** Does the operation to one entry, which was `entry` a moment ago. False if there is nothing to do. */
  @inline
  private static touch<F, V>(slot: usize, entry: u64, flags: u32, regime: usize): bool {
    const visitor = changetype<V>(0);
    if (!visitor.hit<F>(entry)) return false;
    if (visitor.changes) Scan.change<F, V>(slot, entry, flags, regime);
    return true;
  }

  /** Changes an entry that is hit, in the manner that the flags ask for. */
  @inline
  private static change<F, V>(slot: usize, entry: u64, flags: u32, regime: usize): void {
    const visitor = changetype<V>(0);
    if ((flags & SCAN_SETTLED) != 0 && changetype<F>(0).settled(entry, regime)) {
      Scan.put<F>(slot, visitor.after<F>(entry));
    } else if ((flags & SCAN_TRANSACTION) != 0) {
      Scan.put<F>(slot, visitor.after<F>(Entry.modifyProtStart<F>(slot)));
    } else {
      Scan.replace<F, V>(slot, entry);
    }
  }

  /** By compare-exchange: a hardware update that comes in between makes it begin again. */
  @inline
  private static replace<F, V>(slot: usize, entry: u64): void {
    let old = entry;
    while (!Entry.replace<F>(slot, old, changetype<V>(0).after<F>(old))) old = Entry.load<F>(slot);
  }

  /** set_pte() of an entry that nobody else writes now. V8 makes an exchange of an atomic store, five times as dear. */
  @inline
  private static put<F>(slot: usize, entry: u64): void {
    if (BUILD == BUILD_RELEASE && changetype<F>(0).entryShift == 3) store<u64>(slot, entry);
    else Entry.store<F>(slot, entry);
  }

  // ---- an entry above level 0 that maps a page: [first, last] is the part of it in the range

  private static large<F, V>(
    space: usize,
    scan: usize,
    slot: usize,
    entry: u64,
    first: u64,
    last: u64,
    level: i32,
  ): void {
    const format = changetype<F>(0);
    const visitor = changetype<V>(0);
    const whole = last - first == format.span(level) - 1;
    if (visitor.changes && (!visitor.huge || !whole)) {
      store<u32>(scan, load<u32>(scan, SCAN_HUGE) + 1, SCAN_HUGE);
      const warned = format.pteWrite(entry) || format.pteDirty(entry);
      if (warned) store<u32>(scan, load<u32>(scan, SCAN_WARNED) + 1, SCAN_WARNED);
      return;
    }
    if (!Scan.touch<F, V>(slot, entry, load<u32>(scan, SCAN_FLAGS), Space.regime(space))) return;
    Scan.count(scan, 1, first, last);
    const tracker: usize = load<u32>(scan, SCAN_TRACKER);
    if (visitor.changes && tracker != 0) Tracker.add(tracker, first, last, <u32>format.shift(level));
    const bitmap: usize = load<u32>(scan, SCAN_BITMAP);
    if (bitmap == 0) return;
    const from = (first >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    const to = (last >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    Scan.widen(scan, from, to + 1);
    for (let word = from >> 6; word <= to >> 6; ++word) {
      const bits = (ALL << (word == from >> 6 ? from & 63 : 0)) & (ALL >> (word == to >> 6 ? ~to & 63 : 0));
      const at = bitmap + ((<usize>word) << 3);
      store<u64>(at, load<u64>(at) | bits);
    }
  }

  // ---- what is told about the entries that were hit

  /** Takes SCAN_HITS, bits [from, to] of the table whose first entry maps `va`, into count, range, bitmap and tracker. */
  private static record<V>(scan: usize, va: u64, from: u32, to: u32): void {
    const bitmap: usize = load<u32>(scan, SCAN_BITMAP);
    const tracker: usize = changetype<V>(0).changes ? load<u32>(scan, SCAN_TRACKER) : 0;
    const exact = tracker != 0 && load<u32>(tracker, TRACK_POLICY) == TRACK_EXACT;
    // Bit of entry 0; below 0 if the bitmap begins within the table.
    const base = (va >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    let low = from >> 6;
    let high = to >> 6;
    while (load<u64>(scan + ((<usize>low) << 3), SCAN_HITS) == 0) ++low;
    while (load<u64>(scan + ((<usize>high) << 3), SCAN_HITS) == 0) --high;
    const first = (low << 6) + <u32>ctz(load<u64>(scan + ((<usize>low) << 3), SCAN_HITS));
    const last = (high << 6) + 63 - <u32>clz(load<u64>(scan + ((<usize>high) << 3), SCAN_HITS));
    let count: u64 = 0;
    for (let n = low; n <= high; ++n) {
      const hits = load<u64>(scan + ((<usize>n) << 3), SCAN_HITS);
      count += popcnt(hits);
      if (bitmap != 0) Scan.setBits(bitmap, base + ((<u64>n) << 6), hits);
      if (exact) Scan.trackRuns(tracker, va + ((<u64>n) << (6 + FRAME_SHIFT)), hits);
    }
    const firstByte = va + ((<u64>first) << FRAME_SHIFT);
    const lastByte = va + ((<u64>last) << FRAME_SHIFT) + ((1 << FRAME_SHIFT) - 1);
    Scan.count(scan, count, firstByte, lastByte);
    if (bitmap != 0) Scan.widen(scan, base + first, base + last + 1);
    if (tracker != 0 && !exact) Tracker.add(tracker, firstByte, lastByte, FRAME_SHIFT);
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

/** Many entries at once. The loops take 16 entries a turn: longer bodies spill vectors and are slower. */
abstract class Lanes {
  /** The entries in `bytes` from `p`, folded into one vector: bits that any has; for an inverted operation, that any lacks. */
  @inline
  static any<V>(p: usize, bytes: usize): v128 {
    let x = i64x2.splat(0);
    let y = i64x2.splat(0);
    for (let at = p; at < p + bytes; at += 128) {
      if (changetype<V>(0).inverted) {
        x = v128.or(x, v128.not(v128.and(Lanes.all8(at), Lanes.all8(at + 64))));
      } else {
        x = v128.or(x, Lanes.any8(at));
        y = v128.or(y, Lanes.any8(at + 64));
      }
    }
    return v128.or(x, y);
  }

  @inline
  private static any8(p: usize): v128 {
    return v128.or(v128.or(v128.load(p), v128.load(p, 16)), v128.or(v128.load(p, 32), v128.load(p, 48)));
  }

  @inline
  private static all8(p: usize): v128 {
    return v128.and(v128.and(v128.load(p), v128.load(p, 16)), v128.and(v128.load(p, 32), v128.load(p, 48)));
  }

  /**
   * Writes to [word, end) a bit for each entry from `p` on: does it have a bit of the mask, or, for an inverted operation, none?
   */
  @inline
  static note<V>(word: usize, end: usize, p: usize, mask: v128): void {
    const turn: u32 = changetype<V>(0).inverted ? 0 : 0xffff;
    for (let at = word, from = p; at < end; at += 2, from += 128) store<u16>(at, <u16>(Lanes.lacks(from, mask) ^ turn));
  }

  /** Keeps the bits of those entries that have a bit of the mask. */
  @inline
  static keep(word: usize, end: usize, p: usize, mask: v128): void {
    for (let at = word, from = p; at < end; at += 2, from += 128) {
      store<u16>(at, <u16>(load<u16>(at) & ~Lanes.lacks(from, mask)));
    }
  }

  /** Of 16 entries, a bit each: has it no bit of the mask? Comparisons are narrowed from 64 bits to 8 and gathered. */
  @inline
  private static lacks(p: usize, mask: v128): u32 {
    const zero = i64x2.splat(0);
    const e0 = i64x2.eq(v128.and(v128.load(p), mask), zero);
    const e1 = i64x2.eq(v128.and(v128.load(p, 16), mask), zero);
    const e2 = i64x2.eq(v128.and(v128.load(p, 32), mask), zero);
    const e3 = i64x2.eq(v128.and(v128.load(p, 48), mask), zero);
    const e4 = i64x2.eq(v128.and(v128.load(p, 64), mask), zero);
    const e5 = i64x2.eq(v128.and(v128.load(p, 80), mask), zero);
    const e6 = i64x2.eq(v128.and(v128.load(p, 96), mask), zero);
    const e7 = i64x2.eq(v128.and(v128.load(p, 112), mask), zero);
    const low = i16x8.narrow_i32x4_s(i16x8.narrow_i32x4_s(e0, e1), i16x8.narrow_i32x4_s(e2, e3));
    const high = i16x8.narrow_i32x4_s(i16x8.narrow_i32x4_s(e4, e5), i16x8.narrow_i32x4_s(e6, e7));
    return <u32>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
  }

  /**
   * If the operation changes these entries all alike, and all are settled: what to exclusive-or into each; else 0. They are alike if they
   * agree in every bit that the operation or `settled` looks at, and in those that change.
   */
  @inline
  static change<F, V>(p: usize, bytes: usize, regime: usize): u64 {
    const format = changetype<F>(0);
    const visitor = changetype<V>(0);
    const looked = visitor.mask<F>() | format.presentMask | format.settledMask;
    let any2 = i64x2.splat(0);
    let all2 = i64x2.splat(ALL);
    for (let at = p; at < p + bytes; at += 128) {
      const e0 = v128.load(at);
      const e1 = v128.load(at, 16);
      const e2 = v128.load(at, 32);
      const e3 = v128.load(at, 48);
      const e4 = v128.load(at, 64);
      const e5 = v128.load(at, 80);
      const e6 = v128.load(at, 96);
      const e7 = v128.load(at, 112);
      any2 = v128.or(
        any2,
        v128.or(v128.or(v128.or(e0, e1), v128.or(e2, e3)), v128.or(v128.or(e4, e5), v128.or(e6, e7))),
      );
      all2 = v128.and(
        all2,
        v128.and(v128.and(v128.and(e0, e1), v128.and(e2, e3)), v128.and(v128.and(e4, e5), v128.and(e6, e7))),
      );
    }
    const all = i64x2.extract_lane(all2, 0) & i64x2.extract_lane(all2, 1);
    const any = i64x2.extract_lane(any2, 0) | i64x2.extract_lane(any2, 1);
    if (((all ^ any) & looked) != 0 || !visitor.hit<F>(all) || !format.settled(all, regime)) return 0;
    const change = all ^ visitor.after<F>(all);
    return ((all ^ any) & change) == 0 ? change : 0;
  }

  /** Exclusive-ors `change` into entries by vector stores. */
  @inline
  static apply(p: usize, bytes: usize, change: u64): void {
    const bits = i64x2.splat(change);
    for (let at = p; at < p + bytes; at += 128) {
      v128.store(at, v128.xor(v128.load(at), bits));
      v128.store(at, v128.xor(v128.load(at, 16), bits), 16);
      v128.store(at, v128.xor(v128.load(at, 32), bits), 32);
      v128.store(at, v128.xor(v128.load(at, 48), bits), 48);
      v128.store(at, v128.xor(v128.load(at, 64), bits), 64);
      v128.store(at, v128.xor(v128.load(at, 80), bits), 80);
      v128.store(at, v128.xor(v128.load(at, 96), bits), 96);
      v128.store(at, v128.xor(v128.load(at, 112), bits), 112);
    }
  }
}
