// Many walks at once: addresses in, result words out, with their cache misses overlapped.
//
// Guarantees: each result is one that `Walk.translate` or, with ACCESS_TOUCH, `Walk.access` could have returned for that
// address during the call. Tables above the leaf are remembered within a call, never across calls, as a processor's
// paging-structure cache would; leaf entries are read anew for each address. A and D are set by compare-exchange against the
// entry that was judged. The caller holds an RCU section for the whole call.
//
// One entry point adapts to what it sees, window by window:
//   near    the last leaf table is remembered, four addresses an iteration        sequential, hot
//   cached  a direct-mapped cache of leaf tables, by 2 MiB region                  a few hundred regions in any order
//   far     group by group through the last two levels: look up and load all level-1 entries, touch all leaf entries,
//           finish, so that the misses of a level overlap (WebAssembly has no prefetch; a summed load does its work)
// Whatever a fast path cannot judge by one comparison (a fault, a large page, a missing A, a table outside the window) goes
// the long way through walk.ts. No loop calls anything while it stays fast: V8 would spill every local around the call.
// Builds other than release, and formats with 4-byte entries, only know the long way: there every access has its scheduling point.

import {
  ACCESS_TOUCH,
  BATCH_WALKS,
  BUILD_RELEASE,
  CACHED_BYTES,
  CACHED_PAGE,
  CACHED_RIGHTS,
  CACHED_TAG,
  FRAME_SHIFT,
  REGIONS,
  RESULT_LEVEL_SHIFT,
  RESULT_MAPPED,
  RESULT_SHIFT,
  TABLES,
} from "./layout";
import { Agent } from "./agent";
import { Frames } from "./frame";
import { Space } from "./space";
import { Place, Trail, Walk } from "./walk";

/** A region that no canonical address lies in. */
const NO_REGION: u64 = 0x8000000000000000;
/** Addresses after which a path judges whether it still fits. */
const WINDOW: u32 = 256;
/** Changes of region in a window at which `near` gives up. */
const TOO_MANY_CHANGES: u32 = 48;
/** Misses of the region cache in a window at which `cached` gives up. */
const TOO_MANY_MISSES: u32 = 24;
/** Groups that `far` walks before the other paths are tried again. */
const FAR_GROUPS: u32 = 128;
/** Addresses that `near` takes singly before it tries four at a time again. */
const BURST: u32 = 8;

export abstract class Batch {
  /**
   * Walks for the `count` virtual addresses (u64) at `input` and writes as many result words (u64) to `output`.
   * `access` as for a single walk. Returns how many are mapped.
   */
  static translate<F>(space: usize, input: usize, output: usize, count: u32, access: u32): u32 {
    const format = changetype<F>(0);
    if (BUILD != BUILD_RELEASE || format.entryShift != 3 || !format.batchable(access, Space.regime(space))) {
      let faults: u32 = 0;
      for (let i: u32 = 0; i < count; ++i) faults += Batch.long<F>(space, input, output, i, access);
      return count - faults;
    }
    // A path returns how many addresses it walked and, in the high word, how many of them are not mapped.
    let walked = Batch.near<F>(space, input, output, 0, count, access);
    if (<u32>walked < count) Batch.forget();
    while (<u32>walked < count) {
      walked += Batch.cached<F>(space, input, output, <u32>walked, count, access);
      if (<u32>walked >= count) break;
      walked += Batch.far<F>(space, input, output, <u32>walked, count, access);
      if (<u32>walked >= count) break;
      walked += Batch.near<F>(space, input, output, <u32>walked, count, access);
    }
    return count - <u32>(walked >> 32);
  }

  /**
   * Walks for `pages` addresses in a row, one every 4 KiB from `va`, and writes as many result words to `output`.
   * Returns how many are mapped.
   */
  static translateRange<F>(space: usize, va: u64, pages: u32, output: usize, access: u32): u32 {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const quick = BUILD == BUILD_RELEASE && format.entryShift == 3 && format.batchable(access, regime);
    let done: u32 = 0;
    let faults: u32 = 0;
    while (done < pages) {
      const at = va + ((<u64>done) << FRAME_SHIFT);
      const result = Batch.walk<F>(space, at, access);
      store<u64>(output + ((<usize>done) << 3), result);
      const fault = result & RESULT_IS_MAPPED ? 0 : 1;
      faults += fault;
      ++done;
      if (!quick || fault || done == pages) continue;
      const level = <i32>(result >> (RESULT_SHIFT + RESULT_LEVEL_SHIFT)) & 7;
      if (level > 0) {
        // The rest of a large page: the same word, one page further on.
        const rest = (format.span(level) - (at & (format.span(level) - 1))) >> FRAME_SHIFT;
        const end = min(pages, done - 1 + <u32>rest);
        for (let word = result + 0x1000; done < end; ++done, word += 0x1000) {
          store<u64>(output + ((<usize>done) << 3), word);
        }
        continue;
      }
      const found = Batch.findTable<F>(space, at, 0);
      if (found == 0) continue;
      // Once more from this page on, so that vectors are aligned.
      --done;
      const slot = <usize>(<u32>found) + format.offset(at, 0);
      const rights = <u32>(found >> 32);
      const out = output + ((<usize>done) << 3);
      done += max<u32>(1, Batch.row<F>(slot, out, pages - done, result, rights, access, regime));
    }
    return pages - faults;
  }

  /**
   * Along one leaf table, from `slot` up to its end or an entry that must go the long way, 16 entries at a time as long as their
   * flags are those of the first, whose result word was found to be `result`: then what differs between two entries, their frames, is
   * all that differs between their results. The vector loads are no atomics: their halves, aligned and 8 bytes, do not tear on
   * any engine this was run on.
   */
  private static row<F>(
    slot: usize,
    out: usize,
    pages: u32,
    result: u64,
    rights: u32,
    access: u32,
    regime: usize,
  ): u32 {
    const format = changetype<F>(0);
    const test = format.leafTest(access, regime);
    const need = format.leafNeed(access, regime);
    const touch = format.touchBits(access);
    const pattern = atomic.load<u64>(slot);
    const frame = format.leafFrame(pattern);
    // It may have changed since it was judged.
    const good = format.leafResult(format.effective(pattern, rights), 0) == result;
    const flags = i64x2.splat(pattern ^ frame);
    const change = i64x2.splat(pattern ^ result);
    const notFrame = i64x2.splat(~format.leafFrame(~(<u64>0)));
    const end = slot + <usize>min<u32>(0x1000 - (<u32>slot & 0xfff), pages << 3);
    const start = slot;
    let passed = true;
    while (passed && slot < end) {
      while (good && slot + 128 <= end) {
        const entry0 = v128.load(slot);
        const entry1 = v128.load(slot, 16);
        const entry2 = v128.load(slot, 32);
        const entry3 = v128.load(slot, 48);
        const entry4 = v128.load(slot, 64);
        const entry5 = v128.load(slot, 80);
        const entry6 = v128.load(slot, 96);
        const entry7 = v128.load(slot, 112);
        const or0 = v128.or(v128.or(entry0, entry1), v128.or(entry2, entry3));
        const or1 = v128.or(v128.or(entry4, entry5), v128.or(entry6, entry7));
        const and0 = v128.and(v128.and(entry0, entry1), v128.and(entry2, entry3));
        const and1 = v128.and(v128.and(entry4, entry5), v128.and(entry6, entry7));
        // All flags agree with the pattern if what any of them has and what all of them have do.
        const any = v128.xor(v128.or(or0, or1), flags);
        const all = v128.xor(v128.and(and0, and1), flags);
        if (v128.any_true(v128.and(v128.or(any, all), notFrame))) break;
        v128.store(out, v128.xor(entry0, change));
        v128.store(out, v128.xor(entry1, change), 16);
        v128.store(out, v128.xor(entry2, change), 32);
        v128.store(out, v128.xor(entry3, change), 48);
        v128.store(out, v128.xor(entry4, change), 64);
        v128.store(out, v128.xor(entry5, change), 80);
        v128.store(out, v128.xor(entry6, change), 96);
        v128.store(out, v128.xor(entry7, change), 112);
        slot += 128;
        out += 128;
      }
      const stop = min(end, slot + 128);
      for (; slot < stop; slot += 8) {
        const entry = atomic.load<u64>(slot);
        let leaf = format.effective(entry, rights);
        if (((leaf ^ need) & test) != 0) {
          if (((leaf ^ need) & test & ~touch) != 0) break;
          if (atomic.cmpxchg<u64>(slot, entry, entry | touch) != entry) break;
          leaf |= touch;
        }
        store<u64>(out, format.leafResult(leaf, 0));
        out += 8;
      }
      passed = slot == stop;
    }
    return <u32>(slot - start) >> 3;
  }

  // ---- the long way

  private static walk<F>(space: usize, va: u64, access: u32): u64 {
    return (access & ACCESS_TOUCH) != 0 ? Walk.access<F>(space, va, access) : Walk.translate<F>(space, va, access);
  }

  /** Address `i`. Returns 1 if it is not mapped. */
  private static long<F>(space: usize, input: usize, output: usize, i: u32, access: u32): u32 {
    const result = Batch.walk<F>(space, load<u64>(input + ((<usize>i) << 3)), access);
    store<u64>(output + ((<usize>i) << 3), result);
    return result & RESULT_IS_MAPPED ? 0 : 1;
  }

  /**
   * The table of `level` that a walk for `va` goes through: its linear address and, in the high word, the packed rights that the levels
   * above leave. 0 if there is none: at linear address 0 stand entries that no test passes.
   */
  private static findTable<F>(space: usize, va: u64, level: i32): u64 {
    const format = changetype<F>(0);
    if (!format.canonical(va)) return 0;
    const place = Walk.survey<F>(space, va);
    const bottom = Place.slot(place) == 0 ? Place.level(place) + 1 : Place.level(place);
    if (bottom > level) return 0;
    let rights = format.allRights;
    for (let up = format.levels - 1; up > level; --up) rights = format.narrow(rights, Trail.entry(up));
    return ((<u64>format.packRights(rights)) << 32) | <u64>Frames.backing(Trail.table(level));
  }

  // ---- near: the last leaf table

  private static near<F>(space: usize, input: usize, output: usize, from: u32, to: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const test = format.leafTest(access, Space.regime(space));
    const need = format.leafNeed(access, Space.regime(space));
    const touch = format.touchBits(access);
    const regionShift = format.shift(1);
    let i = from;
    let faults: u32 = 0;
    let changes: u32 = 0;
    let window = from + WINDOW;
    let region = NO_REGION;
    let page: usize = 0;
    let rights: u32 = 0;
    while (i < to) {
      // Four at a time while they stay in the region and pass.
      while (i + 4 <= to) {
        const at = (<usize>i) << 3;
        const va0 = load<u64>(input + at);
        const va1 = load<u64>(input + at, 8);
        const va2 = load<u64>(input + at, 16);
        const va3 = load<u64>(input + at, 24);
        if (((va0 ^ region) | (va1 ^ region) | (va2 ^ region) | (va3 ^ region)) >> regionShift != 0) break;
        const leaf0 = format.effective(atomic.load<u64>(page + format.offset(va0, 0)), rights);
        const leaf1 = format.effective(atomic.load<u64>(page + format.offset(va1, 0)), rights);
        const leaf2 = format.effective(atomic.load<u64>(page + format.offset(va2, 0)), rights);
        const leaf3 = format.effective(atomic.load<u64>(page + format.offset(va3, 0)), rights);
        if ((((leaf0 ^ need) | (leaf1 ^ need) | (leaf2 ^ need) | (leaf3 ^ need)) & test) != 0) break;
        store<u64>(output + at, format.leafResult(leaf0, va0));
        store<u64>(output + at, format.leafResult(leaf1, va1), 8);
        store<u64>(output + at, format.leafResult(leaf2, va2), 16);
        store<u64>(output + at, format.leafResult(leaf3, va3), 24);
        i += 4;
      }
      // Then a few singly, A and D set in place.
      const stop = min(to, i + BURST);
      let va: u64 = 0;
      for (; i < stop; ++i) {
        va = load<u64>(input + ((<usize>i) << 3));
        if ((va ^ region) >> regionShift != 0) break;
        const slot = page + format.offset(va, 0);
        const entry = atomic.load<u64>(slot);
        let leaf = format.effective(entry, rights);
        if (((leaf ^ need) & test) != 0) {
          if (((leaf ^ need) & test & ~touch) != 0) break;
          if (atomic.cmpxchg<u64>(slot, entry, entry | touch) != entry) break;
          leaf |= touch;
        }
        store<u64>(output + ((<usize>i) << 3), format.leafResult(leaf, va));
      }
      if (i == stop) continue;
      // The long way, which also sets the A bits above the leaf; the table of a new region is then remembered.
      faults += Batch.long<F>(space, input, output, i++, access);
      if ((va ^ region) >> regionShift == 0) continue;
      const found = Batch.findTable<F>(space, va, 0);
      region = va;
      page = <u32>found;
      rights = <u32>(found >> 32);
      if (i >= window) {
        changes = 0;
        window = i + WINDOW;
      }
      if (++changes == TOO_MANY_CHANGES) break;
    }
    return ((<u64>faults) << 32) | (i - from);
  }

  // ---- cached: leaf tables by region

  private static cached<F>(space: usize, input: usize, output: usize, from: u32, to: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const test = format.leafTest(access, Space.regime(space));
    const need = format.leafNeed(access, Space.regime(space));
    const touch = format.touchBits(access);
    const regionShift = format.shift(1);
    const regions = Agent.regions();
    let i = from;
    let faults: u32 = 0;
    let misses: u32 = 0;
    let window = from + WINDOW;
    while (i < to) {
      let va: u64 = 0;
      let hit = true;
      let same: u32 = 0;
      let last: u64 = NO_REGION;
      const stop = min(to, window);
      // Four at a time while their regions are known and they pass.
      while (i + 4 <= stop) {
        const at = (<usize>i) << 3;
        const va0 = load<u64>(input + at);
        const va1 = load<u64>(input + at, 8);
        const va2 = load<u64>(input + at, 16);
        const va3 = load<u64>(input + at, 24);
        const region0 = va0 >> regionShift;
        const region1 = va1 >> regionShift;
        const region2 = va2 >> regionShift;
        const region3 = va3 >> regionShift;
        const cached0 = regions + <usize>(region0 & (REGIONS - 1)) * CACHED_BYTES;
        const cached1 = regions + <usize>(region1 & (REGIONS - 1)) * CACHED_BYTES;
        const cached2 = regions + <usize>(region2 & (REGIONS - 1)) * CACHED_BYTES;
        const cached3 = regions + <usize>(region3 & (REGIONS - 1)) * CACHED_BYTES;
        const miss01 = (load<u64>(cached0, CACHED_TAG) ^ region0) | (load<u64>(cached1, CACHED_TAG) ^ region1);
        const miss23 = (load<u64>(cached2, CACHED_TAG) ^ region2) | (load<u64>(cached3, CACHED_TAG) ^ region3);
        if ((miss01 | miss23) != 0) break;
        const entry0 = atomic.load<u64>(<usize>load<u32>(cached0, CACHED_PAGE) + format.offset(va0, 0));
        const entry1 = atomic.load<u64>(<usize>load<u32>(cached1, CACHED_PAGE) + format.offset(va1, 0));
        const entry2 = atomic.load<u64>(<usize>load<u32>(cached2, CACHED_PAGE) + format.offset(va2, 0));
        const entry3 = atomic.load<u64>(<usize>load<u32>(cached3, CACHED_PAGE) + format.offset(va3, 0));
        const leaf0 = format.effective(entry0, load<u32>(cached0, CACHED_RIGHTS));
        const leaf1 = format.effective(entry1, load<u32>(cached1, CACHED_RIGHTS));
        const leaf2 = format.effective(entry2, load<u32>(cached2, CACHED_RIGHTS));
        const leaf3 = format.effective(entry3, load<u32>(cached3, CACHED_RIGHTS));
        if ((((leaf0 ^ need) | (leaf1 ^ need) | (leaf2 ^ need) | (leaf3 ^ need)) & test) != 0) break;
        store<u64>(output + at, format.leafResult(leaf0, va0));
        store<u64>(output + at, format.leafResult(leaf1, va1), 8);
        store<u64>(output + at, format.leafResult(leaf2, va2), 16);
        store<u64>(output + at, format.leafResult(leaf3, va3), 24);
        same += region0 == region3 ? 4 : 0;
        i += 4;
      }
      for (; i < stop; ++i) {
        va = load<u64>(input + ((<usize>i) << 3));
        const region = va >> regionShift;
        const cached = regions + <usize>(region & (REGIONS - 1)) * CACHED_BYTES;
        hit = load<u64>(cached, CACHED_TAG) == region;
        if (!hit) break;
        same += region == last ? 1 : 0;
        last = region;
        const slot = <usize>load<u32>(cached, CACHED_PAGE) + format.offset(va, 0);
        const entry = atomic.load<u64>(slot);
        let leaf = format.effective(entry, load<u32>(cached, CACHED_RIGHTS));
        if (((leaf ^ need) & test) != 0) {
          if (((leaf ^ need) & test & ~touch) != 0) break;
          if (atomic.cmpxchg<u64>(slot, entry, entry | touch) != entry) break;
          leaf |= touch;
        }
        store<u64>(output + ((<usize>i) << 3), format.leafResult(leaf, va));
      }
      if (i == stop) {
        // A window of neighbours without a break: `near` does better.
        if (same > WINDOW - TOO_MANY_CHANGES) break;
        misses = 0;
        window = i + WINDOW;
        continue;
      }
      faults += Batch.long<F>(space, input, output, i++, access);
      if (hit) continue;
      const cached = regions + <usize>((va >> regionShift) & (REGIONS - 1)) * CACHED_BYTES;
      const found = Batch.findTable<F>(space, va, 0);
      store<u64>(cached, va >> regionShift, CACHED_TAG);
      store<u64>(cached, found, CACHED_PAGE);
      if (++misses == TOO_MANY_MISSES) break;
    }
    return ((<u64>faults) << 32) | (i - from);
  }

  // ---- far: group by group through the last two levels

  private static far<F>(space: usize, input: usize, output: usize, from: u32, to: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const test = format.leafTest(access, regime);
    const need = format.leafNeed(access, regime);
    const touch = format.touchBits(access);
    const tableTest = format.tableTest(access, regime);
    const tableNeed = format.tableNeed(access);
    const regionShift = format.shift(1);
    const tableShift = format.shift(2);
    const tables = Agent.tables();
    const walks = Agent.walks();
    const ram = Frames.address(0);
    const frames = <u64>Frames.count();
    const basePfn = Frames.basePfn();
    let i = from;
    let faults: u32 = 0;
    for (let group: u32 = 0; group < FAR_GROUPS && i < to; ++group) {
      const end = min(to, i + BATCH_WALKS);
      // The slot of each leaf entry, with the packed rights in its low bits; 0 goes the long way.
      let same: u32 = 0;
      let last: u64 = NO_REGION;
      let walk = walks;
      for (let k = i; k < end; ) {
        let va: u64 = 0;
        for (; k < end; ++k) {
          va = load<u64>(input + ((<usize>k) << 3));
          const cached = tables + <usize>((va >> tableShift) & (TABLES - 1)) * CACHED_BYTES;
          if (load<u64>(cached, CACHED_TAG) != va >> tableShift) break;
          same += (va ^ last) >> regionShift == 0 ? 1 : 0;
          last = va;
          const entry = atomic.load<u64>(<usize>load<u32>(cached, CACHED_PAGE) + format.offset(va, 1));
          const frame = (format.table(entry) >> FRAME_SHIFT) - basePfn;
          const good = ((entry & tableTest) == tableNeed) & (frame < frames);
          const slot = <u32>ram + ((<u32>frame) << FRAME_SHIFT) + <u32>format.offset(va, 0);
          store<u32>(walk, good ? slot | format.narrowPacked(load<u32>(cached, CACHED_RIGHTS), entry) : 0);
          walk += 4;
        }
        if (k == end) break;
        const cached = tables + <usize>((va >> tableShift) & (TABLES - 1)) * CACHED_BYTES;
        // A new table: the long way sets the A bits above it.
        if (touch != 0) Batch.walk<F>(space, va, access);
        const found = Batch.findTable<F>(space, va, 1);
        store<u64>(cached, va >> tableShift, CACHED_TAG);
        store<u64>(cached, found, CACHED_PAGE);
      }
      // Touch the leaf entries: all misses are under way before the first is waited for.
      let sum: u32 = 0;
      for (let touched = walks; touched < walk; touched += 4) sum += load<u32>(load<u32>(touched) & ~7);
      store<u32>(Agent.reply(), sum);
      // Finish.
      walk = walks;
      while (i < end) {
        for (; i < end; ++i) {
          const va = load<u64>(input + ((<usize>i) << 3));
          const slot = load<u32>(walk);
          const entry = atomic.load<u64>(slot & ~7);
          let leaf = format.effective(entry, slot & 7);
          if (((leaf ^ need) & test) != 0) {
            if (((leaf ^ need) & test & ~touch) != 0) break;
            if (atomic.cmpxchg<u64>(slot & ~7, entry, entry | touch) != entry) break;
            leaf |= touch;
          }
          store<u64>(output + ((<usize>i) << 3), format.leafResult(leaf, va));
          walk += 4;
        }
        if (i == end) break;
        faults += Batch.long<F>(space, input, output, i++, access);
        walk += 4;
      }
      if (same > WINDOW - TOO_MANY_CHANGES) break;
    }
    return ((<u64>faults) << 32) | (i - from);
  }

  /** Both caches become empty: tags that no address has. */
  private static forget(): void {
    for (let n = 0; n < REGIONS; ++n) store<u64>(Agent.regions() + <usize>n * CACHED_BYTES, NO_REGION, CACHED_TAG);
    for (let n = 0; n < TABLES; ++n) store<u64>(Agent.tables() + <usize>n * CACHED_BYTES, NO_REGION, CACHED_TAG);
  }
}

const RESULT_IS_MAPPED: u64 = (<u64>RESULT_MAPPED) << RESULT_SHIFT;
