// The path for neighbours: the last 2 MiB region is remembered, its leaf table or its large page, and four addresses go in one step.
//
// Guarantees: as batch/translate.ts says. It gives up where addresses change their region too often, at the price of a few hundred
// nanoseconds in each window until then.

import { Space } from "../space";
import { Large } from "./large";
import { Long } from "./long";
import { Pattern } from "./pattern";

/** A region that no canonical address lies in. */
export const NO_REGION: u64 = 0x8000000000000000;
/** Addresses after which a path judges whether it still fits. */
export const WINDOW: u32 = 256;
/**
 * Changes of region in a window at which this path gives up: beyond that the cache by region, which does not mind changes, takes over.
 */
const TOO_MANY_CHANGES: u32 = 48;
/** Addresses of a window in the region of the one before them above which the other paths hand back. */
export const NEIGHBOURS: u32 = 208; // WINDOW - TOO_MANY_CHANGES, as a literal: no start function may compute it
/** Addresses taken singly before four at a time are tried again. */
export const BURST: u32 = 8;
/** What that grows to, doubling, while four at a time do not get on. */
const LONGEST_BURST: u32 = 512;
/** Addresses for which leaves are judged each on its own before the last becomes the pattern. */
const MIXED: u32 = 64;

export abstract class Near {
  /** Walks for the addresses from `from` up to `to`, or less; see `Batch.translate`. */
  static walk<F>(space: usize, input: usize, output: usize, from: u32, to: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const test = format.leafTest(access, regime);
    const need = format.leafNeed(access, regime);
    const touch = format.touchBits(access);
    const tableTest = format.tableTest(access, regime);
    const tableNeed = format.tableNeed(access);
    const regionShift = format.shift(1);
    const tableShift = format.shift(2);
    const fixed = i64x2.splat(Pattern.fixed<F>(test));
    const notRegion = i64x2.splat(~(format.span(1) - 1));
    const inPage = i64x2.splat(format.span(0) - 1);
    let i = from;
    let faults: u32 = 0;
    let changes: u32 = 0;
    let window = from + WINDOW;
    let burst = BURST;
    // The level-1 table above the last region, of which GiB it is, and the rights above it.
    let upper: usize = 0;
    let upperTag = NO_REGION;
    let above: u64 = 0;
    // The last region: its leaf table and the rights above that, or the entry of its large page and the result word of its first byte.
    let region = NO_REGION;
    let page: usize = 0;
    let rights: u32 = 0;
    let entry: u64 = 0;
    let first: u64 = 0;
    let pattern: u64 = 0;
    let change: u64 = 0;
    while (i < to) {
      let va: u64 = 0;
      if (first != 0) {
        i = Large.batch<F>(upper + format.offset(region, 1), entry, first, region, input, output, i, to);
        if (i == to) break;
        va = load<u64>(input + ((<usize>i) << 3));
      } else {
        // Four at a time while they stay in the region and agree with the pattern. Entries are loaded before the region is known:
        // the slots lie in the table whatever the addresses are.
        const regionV = i64x2.splat(region);
        const patternV = i64x2.splat(pattern);
        const changeV = i64x2.splat(change);
        const began = i;
        while (change != 0 && i + 4 <= to) {
          const at = (<usize>i) << 3;
          const slot0 = page + format.offset(load<u64>(input + at), 0);
          const slot1 = page + format.offset(load<u64>(input + at, 8), 0);
          const slot2 = page + format.offset(load<u64>(input + at, 16), 0);
          const slot3 = page + format.offset(load<u64>(input + at, 24), 0);
          const va01 = v128.load(input + at);
          const va23 = v128.load(input + at, 16);
          const entry01 = Pattern.pair(slot0, slot1);
          const entry23 = Pattern.pair(slot2, slot3);
          const away = v128.and(Pattern.differ(va01, va23, regionV), notRegion);
          const other = v128.and(Pattern.differ(entry01, entry23, patternV), fixed);
          if (v128.any_true(v128.or(away, other))) break;
          v128.store(output + at, v128.or(v128.xor(entry01, changeV), v128.and(va01, inPage)));
          v128.store(output + at, v128.or(v128.xor(entry23, changeV), v128.and(va23, inPage)), 16);
          i += 4;
        }
        // Then, if A and D are asked for, those that agree but for them.
        if (touch != 0 && change != 0) {
          const most = min(to, i + LONGEST_BURST);
          i = Near.touching<F>(page, region, input, output, i, most, pattern, change, test, touch);
        }
        // Then, for a while, whatever passes.
        const until = min(to, i + MIXED);
        while (i + 4 <= until) {
          const at = (<usize>i) << 3;
          const va0 = load<u64>(input + at);
          const va1 = load<u64>(input + at, 8);
          const va2 = load<u64>(input + at, 16);
          const va3 = load<u64>(input + at, 24);
          if (((va0 ^ region) | (va1 ^ region) | (va2 ^ region) | (va3 ^ region)) >> regionShift != 0) break;
          const leaf0 = format.effective(load<u64>(page + format.offset(va0, 0)), rights);
          const leaf1 = format.effective(load<u64>(page + format.offset(va1, 0)), rights);
          const leaf2 = format.effective(load<u64>(page + format.offset(va2, 0)), rights);
          const leaf3 = format.effective(load<u64>(page + format.offset(va3, 0)), rights);
          if ((((leaf0 ^ need) | (leaf1 ^ need) | (leaf2 ^ need) | (leaf3 ^ need)) & test) != 0) break;
          store<u64>(output + at, format.leafResult(leaf0, va0));
          store<u64>(output + at, format.leafResult(leaf1, va1), 8);
          store<u64>(output + at, format.leafResult(leaf2, va2), 16);
          store<u64>(output + at, format.leafResult(leaf3, va3), 24);
          i += 4;
        }
        // Then a few singly, A and D set in place.
        burst = i == began ? min(burst << 1, LONGEST_BURST) : BURST;
        const stop = min(to, i + burst);
        for (; i < stop; ++i) {
          va = load<u64>(input + ((<usize>i) << 3));
          if ((va ^ region) >> regionShift != 0) break;
          const out = output + ((<usize>i) << 3);
          if (!Pattern.single<F>(page + format.offset(va, 0), rights, va, out, test, need, touch)) break;
        }
        if (i == stop) {
          pattern = load<u64>(page + format.offset(va, 0)) | touch;
          change = Pattern.change<F>(pattern, rights, test, need);
          continue;
        }
        if (page != 0 && (va ^ region) >> regionShift == 0) {
          faults += Long.one<F>(space, input, output, i++, access);
          continue;
        }
      }
      // Another region, or one that only the walk could judge so far: what the level-1 table says now.
      const changed = (va ^ region) >> regionShift != 0;
      const known = va >> tableShift == upperTag;
      entry = known ? load<u64>(upper + format.offset(va, 1)) : 0;
      page = Long.below<F>(entry, tableTest, tableNeed);
      first = page == 0 ? Large.result<F>(entry, above, 1, access, regime) : 0;
      if (page == 0 && first == 0) {
        // The long way, which sets the A bits above the leaf, and D of a large one.
        faults += Long.one<F>(space, input, output, i++, access);
        if (!known) {
          upper = Long.table<F>(space, va, 1, access);
          upperTag = va >> tableShift;
          above = Long.rights<F>(1);
        }
        entry = load<u64>(upper + format.offset(va, 1));
        page = Long.below<F>(entry, tableTest, tableNeed);
        first = page == 0 ? Large.result<F>(entry, above, 1, access, regime) : 0;
      }
      region = va;
      rights = format.packRights(format.narrow(above, entry));
      pattern = load<u64>(page + format.offset(va, 0)) | touch;
      change = Pattern.change<F>(pattern, rights, test, need);
      if (!changed) continue;
      if (i >= window) {
        changes = 0;
        window = i + WINDOW;
      }
      if (++changes == TOO_MANY_CHANGES) break;
    }
    return ((<u64>faults) << 32) | (i - from);
  }

  /**
   * The addresses from `i` on, four at a time, while they stay in the region and their leaves agree with the pattern, which has the bits
   * `touch`, in all but these; they are set where they are missing. Returns the first that it left. A function of its own, and with what
   * it compares in vectors, for in `walk` it would load most of that from the stack, behind each atomic.
   */
  private static touching<F>(
    page: usize,
    region: u64,
    input: usize,
    output: usize,
    i: u32,
    to: u32,
    pattern: u64,
    change: u64,
    test: u64,
    touch: u64,
  ): u32 {
    const format = changetype<F>(0);
    const judged = i64x2.splat(Pattern.fixed<F>(test) & ~touch);
    const notRegion = i64x2.splat(~(format.span(1) - 1));
    const inPage = i64x2.splat(format.span(0) - 1);
    const regionV = i64x2.splat(region);
    const patternV = i64x2.splat(pattern);
    const changeV = i64x2.splat(change);
    const touchV = i64x2.splat(touch);
    const across = output - input;
    const end = input + ((<usize>to) << 3) - 24;
    let at = input + ((<usize>i) << 3);
    for (; at < end; at += 32) {
      const va01 = v128.load(at);
      const va23 = v128.load(at, 16);
      const slot0 = page + format.offset(i64x2.extract_lane(va01, 0), 0);
      const slot1 = page + format.offset(i64x2.extract_lane(va01, 1), 0);
      const slot2 = page + format.offset(i64x2.extract_lane(va23, 0), 0);
      const slot3 = page + format.offset(i64x2.extract_lane(va23, 1), 0);
      const entry01 = Pattern.pair(slot0, slot1);
      const entry23 = Pattern.pair(slot2, slot3);
      const away = v128.and(Pattern.differ(va01, va23, regionV), notRegion);
      const other = v128.and(Pattern.differ(entry01, entry23, patternV), judged);
      if (v128.any_true(v128.or(away, other))) break;
      const touched01 = v128.or(entry01, touchV);
      const touched23 = v128.or(entry23, touchV);
      const entry0 = i64x2.extract_lane(entry01, 0);
      const set0 = i64x2.extract_lane(touched01, 0);
      if (set0 != entry0) if (atomic.cmpxchg<u64>(slot0, entry0, set0) != entry0) break;
      const entry1 = i64x2.extract_lane(entry01, 1);
      const set1 = i64x2.extract_lane(touched01, 1);
      if (set1 != entry1) if (atomic.cmpxchg<u64>(slot1, entry1, set1) != entry1) break;
      const entry2 = i64x2.extract_lane(entry23, 0);
      const set2 = i64x2.extract_lane(touched23, 0);
      if (set2 != entry2) if (atomic.cmpxchg<u64>(slot2, entry2, set2) != entry2) break;
      const entry3 = i64x2.extract_lane(entry23, 1);
      const set3 = i64x2.extract_lane(touched23, 1);
      if (set3 != entry3) if (atomic.cmpxchg<u64>(slot3, entry3, set3) != entry3) break;
      v128.store(at + across, v128.or(v128.xor(touched01, changeV), v128.and(va01, inPage)));
      v128.store(at + across, v128.or(v128.xor(touched23, changeV), v128.and(va23, inPage)), 16);
    }
    return <u32>((at - input) >> 3);
  }
}
