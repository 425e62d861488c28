// The path for addresses all over a large space, where each costs a cache miss or two: in groups, so that the misses of a group overlap.
//
// A group goes through the last two levels step by step: look up and load all level-1 entries, load all leaf entries for nothing
// but to have them under way (WebAssembly has no prefetch; a sum that is stored keeps the loads), and finish.
// Guarantees: as batch/translate.ts says. What is judged is loaded anew in the last step. It gives up after FAR_GROUPS groups, so that
// other paths get their turn, and where the path for neighbours would do better.

import { BATCH_WALKS, FRAME_SHIFT } from "../layout";
import { Agent } from "../agent";
import { Frames } from "../frame";
import { Space } from "../space";
import { Cached } from "./cache";
import { Large } from "./large";
import { Long } from "./long";
import { BURST, NEIGHBOURS, NO_REGION } from "./near";
import { Pattern } from "./pattern";

/** Groups that are walked before the other paths are tried again: these give up after some 10 µs, which so is below 1 %. */
const FAR_GROUPS: u32 = 128;
/** Groups that go without the short cut after it failed in one. */
const PATIENCE: u32 = 8;
/** Bits of a slot that hold packed rights: entries are 8 bytes, so the slot leaves them clear. */
const RIGHTS = 7;
/** A slot that no walk has, and that may be loaded from. */
const DONE: u32 = 8;

export abstract class Far {
  /** Walks for the addresses from `from` up to `to`, or less; see `Batch.translate`. */
  static walk<F>(space: usize, input: usize, output: usize, from: u32, to: u32, access: u32): u64 {
    let i = from;
    let faults: u32 = 0;
    let wait: u32 = 1;
    for (let group: u32 = 0; group < FAR_GROUPS && i < to; ++group) {
      i = Large.run<F>(input, output, i, to);
      if (i == to) break;
      const end = min(to, i + BATCH_WALKS);
      // Both steps return how many addresses they looked up and, in the high word, how many are in the region of one before them.
      const alike = --wait == 0 ? Far.lookUpAlike<F>(space, input, i, end, access) : 0;
      if (wait == 0) wait = i + <u32>alike + 4 <= end ? PATIENCE : 1;
      const others = Far.lookUp<F>(space, input, output, i + <u32>alike, <u32>alike, end, access);
      Far.fetch(end - i);
      faults += Far.finish<F>(space, input, output, i, <u32>alike, end, access);
      i = end;
      if (<u32>(alike >> 32) + <u32>(others >> 32) > NEIGHBOURS) break;
    }
    return ((<u64>faults) << 32) | (i - from);
  }

  /**
   * The slots of leaf entries, four at a time, each with the packed rights above it in its low bits, for addresses from `i` on while
   * their level-1 entries agree in flags, and the rights above those agree, with those of the first.
   */
  private static lookUpAlike<F>(space: usize, input: usize, i: u32, end: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const tableTest = format.tableTest(access, Space.regime(space));
    const regionShift = format.shift(1);
    const tableShift = format.shift(2);
    const tables = Agent.tables();
    const base = Frames.basePfn() << FRAME_SHIFT;
    const bytes = (<u64>Frames.count()) << FRAME_SHIFT;
    const frameBits = format.table(~(<u64>0));
    const fixed = ~frameBits | tableTest;
    const start = load<u64>(input + ((<usize>i) << 3));
    const cached = Cached.gibibyte(tables, start >> tableShift);
    if (Cached.differ(cached, start >> tableShift) != 0) return 0;
    const pattern = load<u64>(Cached.page(cached) + format.offset(start, 1));
    if ((pattern & tableTest) != format.tableNeed(access)) return 0;
    const wanted = Cached.tagged(Cached.rights(cached));
    // Rights and the address of frame 0 in one addition.
    const origin = <u32>Frames.address(0) + format.narrowPacked(Cached.rights(cached), pattern);
    let walk = Agent.walks();
    let same: u32 = 0;
    let k = i;
    for (; k + 4 <= end; k += 4) {
      const at = (<usize>k) << 3;
      const va0 = load<u64>(input + at);
      const va1 = load<u64>(input + at, 8);
      const va2 = load<u64>(input + at, 16);
      const va3 = load<u64>(input + at, 24);
      const cached0 = Cached.gibibyte(tables, va0 >> tableShift);
      const cached1 = Cached.gibibyte(tables, va1 >> tableShift);
      const cached2 = Cached.gibibyte(tables, va2 >> tableShift);
      const cached3 = Cached.gibibyte(tables, va3 >> tableShift);
      const entry0 = load<u64>(Cached.page(cached0) + format.offset(va0, 1));
      const entry1 = load<u64>(Cached.page(cached1) + format.offset(va1, 1));
      const entry2 = load<u64>(Cached.page(cached2) + format.offset(va2, 1));
      const entry3 = load<u64>(Cached.page(cached3) + format.offset(va3, 1));
      const miss01 =
        Cached.differRightly(cached0, va0 >> tableShift, wanted) |
        Cached.differRightly(cached1, va1 >> tableShift, wanted);
      const miss23 =
        Cached.differRightly(cached2, va2 >> tableShift, wanted) |
        Cached.differRightly(cached3, va3 >> tableShift, wanted);
      const other = ((entry0 ^ pattern) | (entry1 ^ pattern) | (entry2 ^ pattern) | (entry3 ^ pattern)) & fixed;
      const frame0 = (entry0 & frameBits) - base;
      const frame1 = (entry1 & frameBits) - base;
      const frame2 = (entry2 & frameBits) - base;
      const frame3 = (entry3 & frameBits) - base;
      const outside = u32(frame0 >= bytes) | u32(frame1 >= bytes) | u32(frame2 >= bytes) | u32(frame3 >= bytes);
      if ((miss01 | miss23 | other | <u64>outside) != 0) break;
      store<u32>(walk, <u32>frame0 + origin + <u32>format.offset(va0, 0));
      store<u32>(walk, <u32>frame1 + origin + <u32>format.offset(va1, 0), 4);
      store<u32>(walk, <u32>frame2 + origin + <u32>format.offset(va2, 0), 8);
      store<u32>(walk, <u32>frame3 + origin + <u32>format.offset(va3, 0), 12);
      same += (va0 ^ va3) >> regionShift == 0 ? 4 : 0;
      walk += 16;
    }
    return ((<u64>same) << 32) | (k - i);
  }

  /**
   * The same for the addresses from `k` up to `end`, `n` of the group being done, one at a time. Slot 0 means the long way, DONE that the
   * result was found on the way: a large page.
   */
  private static lookUp<F>(space: usize, input: usize, output: usize, k: u32, n: u32, end: u32, access: u32): u64 {
    const format = changetype<F>(0);
    const tableTest = format.tableTest(access, Space.regime(space));
    const tableNeed = format.tableNeed(access);
    const regionShift = format.shift(1);
    const tableShift = format.shift(2);
    const tables = Agent.tables();
    const ram = <u32>Frames.address(0);
    const frames = <u64>Frames.count();
    const basePfn = Frames.basePfn();
    let walk = Agent.walks() + ((<usize>n) << 2);
    let same: u32 = 0;
    let last = NO_REGION;
    let unlike = NO_REGION;
    while (k < end) {
      let va: u64 = 0;
      for (; k < end; ++k) {
        va = load<u64>(input + ((<usize>k) << 3));
        const cached = Cached.gibibyte(tables, va >> tableShift);
        if (Cached.differ(cached, va >> tableShift) != 0) break;
        same += (va ^ last) >> regionShift == 0 ? 1 : 0;
        last = va;
        const entry = load<u64>(Cached.page(cached) + format.offset(va, 1));
        const frame = (format.table(entry) >> FRAME_SHIFT) - basePfn;
        const good = ((entry & tableTest) == tableNeed) & (frame < frames);
        if (good) {
          const slot = ram + ((<u32>frame) << FRAME_SHIFT) + <u32>format.offset(va, 0);
          store<u32>(walk, slot | format.narrowPacked(Cached.rights(cached), entry));
        } else {
          const result = Large.like<F>(entry, Cached.rights(cached), va);
          if (result != 0) store<u64>(output + ((<usize>k) << 3), result);
          else unlike = va;
          store<u32>(walk, result != 0 ? DONE : 0);
        }
        walk += 4;
      }
      if (k == end) break;
      // The long way sets the A bits above a new table.
      if (format.touchBits(access) != 0) Long.walk<F>(space, va, access);
      const page = Long.table<F>(space, va, 1, access);
      const rights = format.packRights(Long.rights<F>(1));
      Cached.remember(Cached.gibibyte(tables, va >> tableShift), va >> tableShift, page, rights);
    }
    if (unlike != NO_REGION) Large.learn<F>(space, unlike, access);
    return (<u64>same) << 32;
  }

  /** Touches the leaf entries of `n` walks: all misses are under way before the first is waited for. */
  private static fetch(n: u32): void {
    const walks = Agent.walks();
    const end = walks + ((<usize>n) << 2);
    let sum: u32 = 0;
    for (let walk = walks; walk < end; walk += 4) sum += load<u32>(load<u32>(walk) & ~RIGHTS);
    store<u32>(Agent.reply(), sum);
  }

  /** Judges the leaves for the addresses from `i` up to `end`, of which `alike` have the same rights. Returns how many are not mapped. */
  private static finish<F>(space: usize, input: usize, output: usize, i: u32, alike: u32, end: u32, access: u32): u32 {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const test = format.leafTest(access, regime);
    const need = format.leafNeed(access, regime);
    const touch = format.touchBits(access);
    const vectors = i + alike;
    let walk = Agent.walks();
    const slot = load<u32>(walk);
    const pattern = load<u64>(slot & ~RIGHTS);
    const change = Pattern.change<F>(pattern, slot & RIGHTS, test, need);
    const fixed = i64x2.splat(Pattern.fixed<F>(test));
    const inPage = i64x2.splat(format.span(0) - 1);
    const patternV = i64x2.splat(pattern);
    const changeV = i64x2.splat(change);
    let faults: u32 = 0;
    while (i < end) {
      while (change != 0 && i + 4 <= vectors) {
        const at = (<usize>i) << 3;
        const entry01 = Pattern.pair(load<u32>(walk) & ~RIGHTS, load<u32>(walk, 4) & ~RIGHTS);
        const entry23 = Pattern.pair(load<u32>(walk, 8) & ~RIGHTS, load<u32>(walk, 12) & ~RIGHTS);
        if (v128.any_true(v128.and(Pattern.differ(entry01, entry23, patternV), fixed))) break;
        const va01 = v128.load(input + at);
        const va23 = v128.load(input + at, 16);
        v128.store(output + at, v128.or(v128.xor(entry01, changeV), v128.and(va01, inPage)));
        v128.store(output + at, v128.or(v128.xor(entry23, changeV), v128.and(va23, inPage)), 16);
        i += 4;
        walk += 16;
      }
      const stop = min(end, i + BURST);
      for (; i < stop; ++i) {
        const va = load<u64>(input + ((<usize>i) << 3));
        const slot = load<u32>(walk);
        if (slot == DONE) {
          walk += 4;
          continue;
        }
        const out = output + ((<usize>i) << 3);
        if (!Pattern.single<F>(slot & ~RIGHTS, slot & RIGHTS, va, out, test, need, touch)) break;
        walk += 4;
      }
      if (i == stop) continue;
      faults += Long.one<F>(space, input, output, i++, access);
      walk += 4;
    }
    return faults;
  }
}
