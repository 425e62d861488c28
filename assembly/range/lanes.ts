// Scans of a leaf table by vectors, which judge many entries at once: what a release build does where entries have 8 bytes.
//
// Guarantees: as range/scan.ts says. A table is read by plain loads, each of which, and each half of a vector, is aligned and of 8 bytes, and
// so does not tear (batch/pattern.ts); a bit that hardware sets behind them is as if it had been set after the scan passed. That an
// entry is present does not change while the caller holds the lock, so a plain load tells.
//
// What was hit is noted in eight words, a bit for each entry. The loops over entries call nothing and have few locals: what V8 spills, it
// loads again behind each atomic, and loads wait for that: 9.0 ns an entry instead of 7.0. Of the loops over vectors, bodies of more
// than 16 entries spill and are slower.

import { SCAN_HITS, SCAN_SPARE } from "../layout";
import { Shared } from "../atomic";
import { Change } from "./change";

const ALL: u64 = 0xffffffffffffffff;
/** Bytes of the words in which a table's hits are noted. */
const HITS_BYTES = 64;
/** So many hits of a table are few: at 51 of 512 a loop for each word is faster again, for what it foretells wrongly waits beside more atomics. */
export const SPARSE: u32 = 32;

export abstract class Lanes {
  /** Is there no entry in the tables of [page, end) that the operation might hit? */
  @inline
  static none<F, V>(page: usize, end: usize): bool {
    const mask = i64x2.splat(changetype<V>(0).mask<F>());
    let x = i64x2.splat(0);
    let y = i64x2.splat(0);
    for (let at = page; at < end; at += 128) {
      if (changetype<V>(0).inverted) {
        x = v128.or(x, v128.not(v128.and(Lanes.all8(at), Lanes.all8(at + 64))));
      } else {
        x = v128.or(x, Lanes.any8(at));
        y = v128.or(y, Lanes.any8(at + 64));
      }
    }
    return !v128.any_true(v128.and(v128.or(x, y), mask));
  }

  /**
   * Has the beginning of a table under way that is read soon. Processors fetch ahead within a page and not beyond: each table would begin
   * with a wait. WebAssembly has no prefetch, so it is loads, whose sum is stored to keep them.
   */
  @inline
  static approach(page: usize, scratch: usize): void {
    const sum = load<u64>(page) + load<u64>(page, 64) + load<u64>(page, 128) + load<u64>(page, 192);
    store<u64>(scratch, sum);
  }

  /** Notes which of entries [from, to] an operation that changes nothing hits. */
  static find<F, V>(page: usize, hits: usize, from: u32, to: u32): void {
    const mask = i64x2.splat(changetype<V>(0).mask<F>());
    const present = i64x2.splat(changetype<F>(0).presentMask);
    const turn: u32 = changetype<V>(0).inverted ? 0 : 0xffffffff;
    for (let at = hits, entries = page; at < hits + HITS_BYTES; at += 4, entries += 256) {
      store<u32>(at, (Lanes.lack32(entries, mask) ^ turn) & ~Lanes.lack32(entries, present));
    }
    Lanes.clip(hits, from, to);
  }

  /** Are all 64 entries of the block present, each with the lowest bit of the mask? */
  @inline
  private static all<F, V>(block: usize): bool {
    let x = i64x2.splat(ALL);
    for (let at = block; at < block + 512; at += 128) x = v128.and(x, v128.and(Lanes.all8(at), Lanes.all8(at + 64)));
    return !v128.any_true(v128.andnot(i64x2.splat(Lanes.certain<F, V>()), x));
  }

  /** An entry with these bits is hit. */
  @inline
  private static certain<F, V>(): u64 {
    const mask = changetype<V>(0).mask<F>();
    const present = changetype<F>(0).presentMask;
    return (mask & -mask) | (present & -present);
  }

  /** Does the operation to entries [from, to], each by one atomic, and notes which were hit. */
  static replace<F, V>(page: usize, hits: usize, from: u32, to: u32): void {
    const mask = i64x2.splat(changetype<V>(0).mask<F>());
    for (let at = hits, entries = page; at < hits + HITS_BYTES; at += 4, entries += 256) {
      store<u32>(at, ~Lanes.lack32(entries, mask));
    }
    Lanes.clip(hits, from, to);
    const words = Lanes.words(hits);
    let count: i64 = 0;
    for (let word = hits; word < hits + HITS_BYTES; word += 8) count += popcnt(load<u64>(word));
    if (<u32>count <= SPARSE) Lanes.replaceFew<F, V>(page, hits, words, count);
    else Lanes.replaceMany<F, V>(page, hits);
  }

  /**
   * The same to all entries, of which many are hit: 64 by 64, so that the processor fetches the next ones while it waits for atomics. Judged all at
   * once, they would be waited for first, which costs a sixth at 10 % on Intel. The next 64 are judged before the atomics of these, for loads
   * wait behind atomics: after them, it costs a fifth at 10 % on Zen 4.
   */
  static replaceByWords<F, V>(page: usize, hits: usize): void {
    const mask = i64x2.splat(changetype<V>(0).mask<F>());
    let next = Lanes.judge64(page, mask);
    let block = page;
    for (let word = hits; word < hits + HITS_BYTES; word += 8, block += 512) {
      let left = next;
      store<u64>(word, left);
      if (word < hits + HITS_BYTES - 8) next = Lanes.judge64(block + 512, mask);
      if (left == ALL && Lanes.all<F, V>(block)) {
        for (let slot = block; slot < block + 512; slot += 8) {
          if (changetype<V>(0).clears<F>() != 0) Shared.and<u64>(slot, ~changetype<V>(0).clears<F>());
          else Change.replace<F, V>(slot, load<u64>(slot));
        }
        continue;
      }
      for (; left != 0; left &= left - 1) Lanes.replaceLowest<F, V>(block, word, left);
    }
  }

  /** Of 64 entries, a bit each: has it any bit of the mask? */
  @inline
  private static judge64(block: usize, mask: v128): u64 {
    return ~(<u64>Lanes.lack32(block, mask) | ((<u64>Lanes.lack32(block + 256, mask)) << 32));
  }

  /**
   * One loop over the `count` entries of all words, of which `words` says which are not 0: how many a word has, which few words of few hits foretell
   * wrongly, is no branch here.
   */
  @inline
  private static replaceFew<F, V>(page: usize, hits: usize, words: u32, count: i64): void {
    let rest = words;
    let n = <usize>ctz(rest) >> 1;
    let left = load<u64>(hits + (n << 3));
    for (let more = count; more > 0; --more) {
      Lanes.replaceLowest<F, V>(page + (n << 9), hits + (n << 3), left);
      left &= left - 1;
      const done = u32(left == 0);
      rest &= rest - done;
      n = (<usize>ctz(rest) >> 1) & 7;
      left |= load<u64>(hits + (n << 3)) & (0 - <u64>done);
    }
  }

  @inline
  private static replaceMany<F, V>(page: usize, hits: usize): void {
    let block = page;
    for (let word = hits; word < hits + HITS_BYTES; word += 8, block += 512) {
      for (let left = load<u64>(word); left != 0; left &= left - 1) Lanes.replaceLowest<F, V>(block, word, left);
    }
  }

  /** Does the operation to the lowest entry of `left`, of the 64 from `block` on that `word` is about. */
  @inline
  private static replaceLowest<F, V>(block: usize, word: usize, left: u64): void {
    const slot = block + ((<usize>ctz(left)) << 3);
    const entry = load<u64>(slot);
    if ((entry & changetype<F>(0).presentMask) == 0) Lanes.unnote(word, left);
    else if (changetype<V>(0).clears<F>() != 0) Shared.and<u64>(slot, ~changetype<V>(0).clears<F>());
    else Change.replace<F, V>(slot, entry);
  }

  /** The lowest entry of `left` was not hit. */
  @inline
  private static unnote(word: usize, left: u64): void {
    store<u64>(word, load<u64>(word) & ~(left & -left));
  }

  /** Both halves `bits`, by way of memory: V8 makes a constant anew in every turn of a loop, and keeps in a register what was loaded. */
  @inline
  private static held(hits: usize, bits: u64): v128 {
    const spare = hits - (SCAN_HITS - SCAN_SPARE);
    store<u64>(spare, bits);
    return v128.load_splat<u64>(spare);
  }

  /** Not by memory.fill, for which V8 leaves its code. */
  @inline
  private static fill(hits: usize, bits: u64): void {
    for (let at = hits; at < hits + HITS_BYTES; at += 16) v128.store(at, i64x2.splat(bits));
  }

  /** Which of the eight words are not 0: every second bit. */
  @inline
  static words(hits: usize): u32 {
    const zero = i64x2.splat(0);
    const w0 = i64x2.ne(v128.load(hits), zero);
    const w1 = i64x2.ne(v128.load(hits, 16), zero);
    const w2 = i64x2.ne(v128.load(hits, 32), zero);
    const w3 = i64x2.ne(v128.load(hits, 48), zero);
    const low = i16x8.narrow_i32x4_s(w0, w1);
    const high = i16x8.narrow_i32x4_s(w2, w3);
    return <u32>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high)) & 0x5555;
  }

  /** The same in the manner that `flags` ask for: 16 entries by vector stores where all are hit, settled and alike. */
  static change<F, V>(page: usize, hits: usize, from: u32, to: u32, flags: u32, regime: usize): void {
    const mask = i64x2.splat(changetype<V>(0).mask<F>());
    const settling = Change.settles(flags);
    // Whole groups of 16.
    const wholeFrom = (from + 15) & ~15;
    const wholeEnd = (to + 1) & ~15;
    Lanes.fill(hits, 0);
    for (let first = from & ~15; first <= to; first += 16) {
      if (settling && first >= wholeFrom && first < wholeEnd) {
        if (changetype<V>(0).clears<F>() != 0) first = Lanes.clearSettled<F, V>(page, hits, first, wholeEnd);
        else first = Lanes.settled<F, V>(page, hits, first, wholeEnd, regime);
        if (first > to) break;
      }
      const word = hits + (<usize>first >> 3);
      const entries = page + ((<usize>first) << 3);
      let noted = Lanes.lack16(entries, mask) ^ 0xffff;
      if (first < from) noted &= 0xffff << (from & 15);
      if (first + 15 > to) noted &= 0xffff >> (~to & 15);
      for (let left = noted; left != 0; left &= left - 1) {
        const slot = entries + ((<usize>ctz(left)) << 3);
        const entry = load<u64>(slot);
        if ((entry & changetype<F>(0).presentMask) == 0) noted ^= left & -left;
        else Change.entry<F, V>(slot, entry, flags, regime);
      }
      store<u16>(word, <u16>noted);
    }
  }

  /** Entries from `first` up to `end`, 16 at a time, as long as all of them are hit and settled: bits are cleared. Returns the first that it left. */
  @inline
  private static clearSettled<F, V>(page: usize, hits: usize, first: u32, end: u32): u32 {
    const need = Lanes.held(hits, Lanes.certain<F, V>() | changetype<F>(0).settledAlways);
    const keep = Lanes.held(hits, ~changetype<V>(0).clears<F>());
    const stop = page + ((<usize>end) << 3);
    let hit = hits + (<usize>first >> 3);
    let at = page + ((<usize>first) << 3);
    for (; at < stop; at += 128, hit += 2) {
      const e0 = v128.load(at);
      const e1 = v128.load(at, 16);
      const e2 = v128.load(at, 32);
      const e3 = v128.load(at, 48);
      const e4 = v128.load(at, 64);
      const e5 = v128.load(at, 80);
      const e6 = v128.load(at, 96);
      const e7 = v128.load(at, 112);
      const low = v128.and(v128.and(e0, e1), v128.and(e2, e3));
      const high = v128.and(v128.and(e4, e5), v128.and(e6, e7));
      if (v128.any_true(v128.andnot(need, v128.and(low, high)))) break;
      v128.store(at, v128.and(e0, keep));
      v128.store(at, v128.and(e1, keep), 16);
      v128.store(at, v128.and(e2, keep), 32);
      v128.store(at, v128.and(e3, keep), 48);
      v128.store(at, v128.and(e4, keep), 64);
      v128.store(at, v128.and(e5, keep), 80);
      v128.store(at, v128.and(e6, keep), 96);
      v128.store(at, v128.and(e7, keep), 112);
      store<u16>(hit, 0xffff);
    }
    return <u32>(at - page) >> 3;
  }

  /**
   * Entries from `first` up to `end`, 16 at a time, as long as all of them are hit and settled and are like the first in every bit that
   * the operation or `settled` looks at or that may change: then one exclusive-or does it. Returns the first that it left.
   */
  @inline
  private static settled<F, V>(page: usize, hits: usize, first: u32, end: u32, regime: usize): u32 {
    const format = changetype<F>(0);
    const visitor = changetype<V>(0);
    const pattern = load<u64>(page + ((<usize>first) << 3));
    if (!visitor.hit<F>(pattern) || !format.settled(pattern, regime)) return first;
    const looked = visitor.mask<F>() | format.presentMask | format.settledMask;
    // What else the operation may set or clear: it shows when all other bits are clear or set.
    const least = pattern & looked;
    const most = pattern | ~looked;
    const changed = (least ^ visitor.after<F>(least)) | (most ^ visitor.after<F>(most));
    const fixed = i64x2.splat(looked | changed);
    const before = i64x2.splat(pattern);
    const after = i64x2.splat(visitor.after<F>(pattern));
    const stop = page + ((<usize>end) << 3);
    let hit = hits + (<usize>first >> 3);
    let at = page + ((<usize>first) << 3);
    for (; at < stop; at += 128, hit += 2) {
      const e0 = v128.xor(v128.load(at), before);
      const e1 = v128.xor(v128.load(at, 16), before);
      const e2 = v128.xor(v128.load(at, 32), before);
      const e3 = v128.xor(v128.load(at, 48), before);
      const e4 = v128.xor(v128.load(at, 64), before);
      const e5 = v128.xor(v128.load(at, 80), before);
      const e6 = v128.xor(v128.load(at, 96), before);
      const e7 = v128.xor(v128.load(at, 112), before);
      const low = v128.or(v128.or(e0, e1), v128.or(e2, e3));
      const high = v128.or(v128.or(e4, e5), v128.or(e6, e7));
      if (v128.any_true(v128.and(v128.or(low, high), fixed))) break;
      v128.store(at, v128.xor(e0, after));
      v128.store(at, v128.xor(e1, after), 16);
      v128.store(at, v128.xor(e2, after), 32);
      v128.store(at, v128.xor(e3, after), 48);
      v128.store(at, v128.xor(e4, after), 64);
      v128.store(at, v128.xor(e5, after), 80);
      v128.store(at, v128.xor(e6, after), 96);
      v128.store(at, v128.xor(e7, after), 112);
      store<u16>(hit, 0xffff);
    }
    return <u32>(at - page) >> 3;
  }

  /** Clears the bits of all entries but [from, to]. */
  @inline
  private static clip(hits: usize, from: u32, to: u32): void {
    if (from != 0 || to != 511) Lanes.clipWords(hits, hits + HITS_BYTES, 0, from, to);
  }

  /** The same in words [word, end), the first of which is that of entry `n`. */
  private static clipWords(word: usize, end: usize, n: i32, from: u32, to: u32): void {
    for (; word < end; word += 8, n += 64) {
      let keep = <i32>from >= n + 64 || <i32>to < n ? 0 : ALL;
      if (<i32>from > n) keep &= ALL << (from & 63);
      if (<i32>to < n + 63) keep &= ALL >> (~to & 63);
      store<u64>(word, load<u64>(word) & keep);
    }
  }

  @inline
  private static any8(p: usize): v128 {
    return v128.or(v128.or(v128.load(p), v128.load(p, 16)), v128.or(v128.load(p, 32), v128.load(p, 48)));
  }

  @inline
  private static all8(p: usize): v128 {
    return v128.and(v128.and(v128.load(p), v128.load(p, 16)), v128.and(v128.load(p, 32), v128.load(p, 48)));
  }

  /** The same of 32 entries: a word of 64 bits that is loaded before all stores to it are done waits, less so for two than for four. */
  @inline
  private static lack32(p: usize, mask: v128): u32 {
    return Lanes.lack16(p, mask) | (Lanes.lack16(p + 128, mask) << 16);
  }

  /**
   * Of 16 entries, a bit each: has it no bit of the mask? Narrowing saturates, so what is not 0 stays so: two halves of an entry become two
   * of 16 bits, these as one of 32 become one of 16, and that one of 8.
   */
  @inline
  private static lack16(p: usize, mask: v128): u32 {
    const e01 = i16x8.narrow_i32x4_s(v128.and(v128.load(p), mask), v128.and(v128.load(p, 16), mask));
    const e23 = i16x8.narrow_i32x4_s(v128.and(v128.load(p, 32), mask), v128.and(v128.load(p, 48), mask));
    const e45 = i16x8.narrow_i32x4_s(v128.and(v128.load(p, 64), mask), v128.and(v128.load(p, 80), mask));
    const e67 = i16x8.narrow_i32x4_s(v128.and(v128.load(p, 96), mask), v128.and(v128.load(p, 112), mask));
    const low = i16x8.narrow_i32x4_s(e01, e23);
    const high = i16x8.narrow_i32x4_s(e45, e67);
    return <u32>i8x16.bitmask(i8x16.eq(i8x16.narrow_i16x8_s(low, high), i64x2.splat(0)));
  }
}
