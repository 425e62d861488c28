// Large pages in batches: one entry serves many addresses, as long as it is bit for bit the one that was judged.
//
// Guarantees: the entry is read anew for every four addresses at least, and each of these results is that of the entry as it was then;
// where A and D are asked for, it had them.
//
// Large pages all over a space are judged as leaves are (pattern.ts): one that passed stands in the agent's block, and those that agree with
// it in all but the frame pass too.

import {
  ACCESS_TOUCH,
  ACCESS_WRITE,
  FRAME_BYTES,
  LARGE_CHANGE,
  LARGE_ENTRY,
  LARGE_FIXED,
  LARGE_RIGHTS,
} from "../layout";
import { Agent } from "../agent";
import { Space } from "../space";
import { Walk } from "../walk";
import { Cached } from "./cache";
import { Long } from "./long";
import { Pattern } from "./pattern";

export abstract class Large {
  /**
   * The result word of the first byte that `entry` of `level` maps under the rights of the levels above; 0 if it maps no page,
   * refuses the access, or lacks A or D.
   */
  static result<F>(entry: u64, above: u64, level: i32, access: u32, regime: usize): u64 {
    const format = changetype<F>(0);
    if (!format.present(entry) || !format.leaf(entry, level)) return 0;
    if (format.reserved(entry, level, true, regime) != 0) return 0;
    const rights = format.narrow(above, entry);
    if (access != 0 && format.refuse(entry, rights, access, regime) != 0) return 0;
    const write = (access & ACCESS_WRITE) != 0;
    if ((access & ACCESS_TOUCH) != 0 && format.touch(entry, write) != entry) return 0;
    return Walk.mapped<F>(entry, rights, level, 0);
  }

  /**
   * The addresses of a batch from `i` on while they lie in the region of `region` and `slot` holds `entry`, whose first byte has the
   * result word `first`. Returns the first that does not.
   */
  static batch<F>(slot: usize, entry: u64, first: u64, region: u64, input: usize, output: usize, i: u32, to: u32): u32 {
    const format = changetype<F>(0);
    const inRegion = format.span(1) - 1;
    const firstV = i64x2.splat(first);
    const regionV = i64x2.splat(region);
    const inRegionV = i64x2.splat(inRegion);
    while (i + 4 <= to && load<u64>(slot) == entry) {
      const at = (<usize>i) << 3;
      const va01 = v128.load(input + at);
      const va23 = v128.load(input + at, 16);
      if (v128.any_true(v128.andnot(Pattern.differ(va01, va23, regionV), inRegionV))) break;
      v128.store(output + at, v128.or(firstV, v128.and(va01, inRegionV)));
      v128.store(output + at, v128.or(firstV, v128.and(va23, inRegionV)), 16);
      i += 4;
    }
    for (; i < to && load<u64>(slot) == entry; ++i) {
      const va = load<u64>(input + ((<usize>i) << 3));
      if (((va ^ region) & ~inRegion) != 0) break;
      store<u64>(output + ((<usize>i) << 3), first | (va & inRegion));
    }
    return i;
  }

  /**
   * One result a page to `out`, at most `pages`, the first being `word`, while `slot` holds `entry`. Returns how many.
   */
  static pages(slot: usize, entry: u64, word: u64, out: usize, pages: u32): u32 {
    let n: u32 = 0;
    let words = i64x2(word, word + FRAME_BYTES);
    for (; n + 2 <= pages && load<u64>(slot) == entry; n += 2) {
      v128.store(out + ((<usize>n) << 3), words);
      words = i64x2.add(words, i64x2.splat(2 * FRAME_BYTES));
    }
    for (; n < pages && load<u64>(slot) == entry; ++n) {
      store<u64>(out + ((<usize>n) << 3), word + <u64>n * FRAME_BYTES);
    }
    return n;
  }

  // ---- large pages all over

  /** Takes the large page of level 1 around `va`, if there is one that passes, for others to be compared with, and the table it is in. */
  static learn<F>(space: usize, va: u64, access: u32): void {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const page = Long.table<F>(space, va, 1, access);
    if (page == 0) return;
    const above = Long.rights<F>(1);
    const packed = format.packRights(above);
    const gibibyte = va >> format.shift(2);
    Cached.remember(Cached.gibibyte(Agent.tables(), gibibyte), gibibyte, page, packed);
    const entry = load<u64>(page + format.offset(va, 1));
    const first = Large.result<F>(entry, above, 1, access, regime);
    if (first == 0) return;
    store<u64>(Agent.large(), entry, LARGE_ENTRY);
    store<u64>(Agent.large(), entry ^ first, LARGE_CHANGE);
    store<u64>(Agent.large(), ~format.page(~(<u64>0), 1) | format.reserved(~(<u64>0), 1, true, regime), LARGE_FIXED);
    store<u32>(Agent.large(), packed, LARGE_RIGHTS);
  }

  static forget(): void {
    store<u64>(Agent.large(), 0, LARGE_CHANGE);
  }

  /** The result for `va` through `entry` of level 1 under packed rights, if that agrees with what was learnt, else 0. */
  @inline
  static like<F>(entry: u64, rights: u32, va: u64): u64 {
    const large = Agent.large();
    const change = load<u64>(large, LARGE_CHANGE);
    const other = (entry ^ load<u64>(large, LARGE_ENTRY)) & load<u64>(large, LARGE_FIXED);
    if (change == 0 || (other | <u64>(rights ^ load<u32>(large, LARGE_RIGHTS))) != 0) return 0;
    return (entry ^ change) | (va & (changetype<F>(0).span(1) - 1));
  }

  /** The addresses of a batch from `i` on while they lie in such large pages, in tables that are remembered. Returns the first that does not. */
  static run<F>(input: usize, output: usize, i: u32, to: u32): u32 {
    const format = changetype<F>(0);
    const tables = Agent.tables();
    const pattern = load<u64>(Agent.large(), LARGE_ENTRY);
    const change = load<u64>(Agent.large(), LARGE_CHANGE);
    const fixed = load<u64>(Agent.large(), LARGE_FIXED);
    const wanted = Cached.tagged(load<u32>(Agent.large(), LARGE_RIGHTS));
    if (change == 0) return i;
    const across = output - input;
    const end = input + ((<usize>to) << 3);
    let at = input + ((<usize>i) << 3);
    for (; at < end; at += 8) {
      const va = load<u64>(at);
      const cached = Cached.gibibyte(tables, va >> format.shift(2));
      const entry = load<u64>(Cached.page(cached) + format.offset(va, 1));
      if ((Cached.differRightly(cached, va >> format.shift(2), wanted) | ((entry ^ pattern) & fixed)) != 0) break;
      store<u64>(at + across, (entry ^ change) | (va & (format.span(1) - 1)));
    }
    return <u32>((at - input) >> 3);
  }
}
