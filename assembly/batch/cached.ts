// The path for some hundreds of regions in any order: their leaf tables are found in the cache by region.
//
// Guarantees: as batch/translate.ts says. It gives up where too many addresses are not in the cache, and where the path for neighbours
// would do better.

import { Agent } from "../agent";
import { Space } from "../space";
import { Cached } from "./cache";
import { Large } from "./large";
import { Long } from "./long";
import { NEIGHBOURS, NO_REGION, WINDOW } from "./near";
import { Pattern } from "./pattern";

/** Addresses in a window that are not in the cache at which this path gives up. Each costs a walk and a survey, 150 ns. */
const TOO_MANY_MISSES: u32 = 24;

export abstract class ByRegion {
  /** Walks for the addresses from `from` up to `to`, or less; see `Batch.translate`. */
  static walk<F>(space: usize, input: usize, output: usize, from: u32, to: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const test = format.leafTest(access, regime);
    const need = format.leafNeed(access, regime);
    const touch = format.touchBits(access);
    const regionShift = format.shift(1);
    const regions = Agent.regions();
    const fixed = i64x2.splat(Pattern.fixed<F>(test));
    const inPage = i64x2.splat(format.span(0) - 1);
    let i = from;
    let faults: u32 = 0;
    let misses: u32 = 0;
    let window = from + WINDOW;
    let pattern: u64 = 0;
    let change: u64 = 0;
    let wanted: u64 = 0;
    // Addresses of the window in the region of the one before them.
    let same: u32 = 0;
    while (i < to) {
      const stop = min(to, window);
      // Four at a time while their regions are known, under the rights of the pattern, and agree with it.
      const patternV = i64x2.splat(pattern);
      const changeV = i64x2.splat(change);
      while (change != 0 && i + 4 <= stop) {
        const at = (<usize>i) << 3;
        const va0 = load<u64>(input + at);
        const va1 = load<u64>(input + at, 8);
        const va2 = load<u64>(input + at, 16);
        const va3 = load<u64>(input + at, 24);
        const region0 = va0 >> regionShift;
        const region1 = va1 >> regionShift;
        const region2 = va2 >> regionShift;
        const region3 = va3 >> regionShift;
        const cached0 = Cached.region(regions, region0);
        const cached1 = Cached.region(regions, region1);
        const cached2 = Cached.region(regions, region2);
        const cached3 = Cached.region(regions, region3);
        const slot0 = Cached.page(cached0) + format.offset(va0, 0);
        const slot1 = Cached.page(cached1) + format.offset(va1, 0);
        const slot2 = Cached.page(cached2) + format.offset(va2, 0);
        const slot3 = Cached.page(cached3) + format.offset(va3, 0);
        const miss01 = Cached.differRightly(cached0, region0, wanted) | Cached.differRightly(cached1, region1, wanted);
        const miss23 = Cached.differRightly(cached2, region2, wanted) | Cached.differRightly(cached3, region3, wanted);
        if ((miss01 | miss23) != 0) break;
        const entry01 = Pattern.pair(slot0, slot1);
        const entry23 = Pattern.pair(slot2, slot3);
        if (v128.any_true(v128.and(Pattern.differ(entry01, entry23, patternV), fixed))) break;
        const va01 = v128.load(input + at);
        const va23 = v128.load(input + at, 16);
        v128.store(output + at, v128.or(v128.xor(entry01, changeV), v128.and(va01, inPage)));
        v128.store(output + at, v128.or(v128.xor(entry23, changeV), v128.and(va23, inPage)), 16);
        same += region0 == region3 ? 4 : 0;
        i += 4;
      }
      // Four at a time while their regions are known and whatever passes.
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
        const cached0 = Cached.region(regions, region0);
        const cached1 = Cached.region(regions, region1);
        const cached2 = Cached.region(regions, region2);
        const cached3 = Cached.region(regions, region3);
        const miss01 = Cached.differ(cached0, region0) | Cached.differ(cached1, region1);
        const miss23 = Cached.differ(cached2, region2) | Cached.differ(cached3, region3);
        if ((miss01 | miss23) != 0) break;
        const entry0 = load<u64>(Cached.page(cached0) + format.offset(va0, 0));
        const entry1 = load<u64>(Cached.page(cached1) + format.offset(va1, 0));
        const entry2 = load<u64>(Cached.page(cached2) + format.offset(va2, 0));
        const entry3 = load<u64>(Cached.page(cached3) + format.offset(va3, 0));
        const leaf0 = format.effective(entry0, Cached.rights(cached0));
        const leaf1 = format.effective(entry1, Cached.rights(cached1));
        const leaf2 = format.effective(entry2, Cached.rights(cached2));
        const leaf3 = format.effective(entry3, Cached.rights(cached3));
        if ((((leaf0 ^ need) | (leaf1 ^ need) | (leaf2 ^ need) | (leaf3 ^ need)) & test) != 0) break;
        store<u64>(output + at, format.leafResult(leaf0, va0));
        store<u64>(output + at, format.leafResult(leaf1, va1), 8);
        store<u64>(output + at, format.leafResult(leaf2, va2), 16);
        store<u64>(output + at, format.leafResult(leaf3, va3), 24);
        same += region0 == region3 ? 4 : 0;
        i += 4;
      }
      // Then singly, A and D set in place.
      let va: u64 = 0;
      let hit = true;
      let last = NO_REGION;
      for (; i < stop; ++i) {
        va = load<u64>(input + ((<usize>i) << 3));
        const region = va >> regionShift;
        const cached = Cached.region(regions, region);
        hit = Cached.differ(cached, region) == 0;
        if (!hit) break;
        same += region == last ? 1 : 0;
        last = region;
        const slot = Cached.page(cached) + format.offset(va, 0);
        const out = output + ((<usize>i) << 3);
        if (!Pattern.single<F>(slot, Cached.rights(cached), va, out, test, need, touch)) break;
      }
      if (i == stop) {
        if (same > NEIGHBOURS) break;
        same = 0;
        misses = 0;
        window = i + WINDOW;
        va = load<u64>(input + ((<usize>(i - 1)) << 3));
        const cached = Cached.region(regions, va >> regionShift);
        const rights = Cached.rights(cached);
        pattern = load<u64>(Cached.page(cached) + format.offset(va, 0));
        change = Pattern.change<F>(pattern, rights, test, need);
        wanted = Cached.tagged(rights);
        continue;
      }
      const far = Large.run<F>(input, output, i, stop);
      if (far != i) {
        i = far;
        continue;
      }
      faults += Long.one<F>(space, input, output, i++, access);
      if (hit) continue;
      const page = Long.table<F>(space, va, 0, access);
      const rights = format.packRights(Long.rights<F>(0));
      if (page == 0) Large.learn<F>(space, va, access);
      Cached.remember(Cached.region(regions, va >> regionShift), va >> regionShift, page, rights);
      if (++misses == TOO_MANY_MISSES) break;
    }
    return ((<u64>faults) << 32) | (i - from);
  }
}
