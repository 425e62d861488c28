// A contiguous range: one address a page, along leaf tables as they come, 16 entries in one step, and along large pages.
//
// Guarantees: as batch/translate.ts says; addresses that nobody wrote need not be read.

import { BUILD_RELEASE, FRAME_SHIFT, RESULT_LEVEL_SHIFT, RESULT_SHIFT } from "../layout";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Large } from "./large";
import { Long } from "./long";
import { NO_REGION } from "./near";
import { Pattern } from "./pattern";

export abstract class PageRange {
  /** As `Batch.translateRange`; the caller holds an RCU section and has ordered plain loads behind it. */
  static walk<F>(space: usize, va: u64, pages: u32, output: usize, access: u32): u32 {
    const format = changetype<F>(0);
    const regime = Space.regime(space);
    const quick = BUILD == BUILD_RELEASE && format.entryShift == 3 && format.batchable(access, regime);
    const tableTest = format.tableTest(access, regime);
    const tableNeed = format.tableNeed(access);
    let done: u32 = 0;
    let faults: u32 = 0;
    // The level-1 table that the range runs through, of which GiB it is, and the rights above it.
    let upper: usize = 0;
    let upperTag = NO_REGION;
    let above: u64 = 0;
    while (done < pages) {
      const at = va + ((<u64>done) << FRAME_SHIFT);
      const out = output + ((<usize>done) << 3);
      if (quick && at >> format.shift(2) == upperTag) {
        const slot = upper + format.offset(at, 1);
        const entry = load<u64>(slot);
        const page = Long.below<F>(entry, tableTest, tableNeed);
        const rights = format.packRights(format.narrow(above, entry));
        const walked =
          page != 0
            ? PageRange.row<F>(page + format.offset(at, 0), out, pages - done, rights, access, regime)
            : PageRange.large<F>(slot, entry, above, 1, at, out, pages - done, access, regime);
        done += walked;
        // At the end of a table or a large page: the next one. Else something is in the way.
        if (walked != 0 && ((at + ((<u64>walked) << FRAME_SHIFT)) & (format.span(1) - 1)) == 0) continue;
        if (done == pages) break;
      }
      // One page the long way, which sets the A bits above the leaf.
      const next = va + ((<u64>done) << FRAME_SHIFT);
      const result = Long.walk<F>(space, next, access);
      store<u64>(output + ((<usize>done) << 3), result);
      ++done;
      if (!Long.mapped(result)) ++faults;
      if (!quick) continue;
      const level = <i32>(result >> (RESULT_SHIFT + RESULT_LEVEL_SHIFT)) & 7;
      if (Long.mapped(result) && level > 1) {
        const place = Walk.survey<F>(space, next);
        if (Place.level(place) != level) continue;
        const slot = Place.slot(place);
        const rest = <u32>min<u64>(pages - done, (~next & (format.span(level) - 1)) >> FRAME_SHIFT);
        const rights = Long.rights<F>(level);
        const more = output + ((<usize>done) << 3);
        done += PageRange.large<F>(
          slot,
          load<u64>(slot),
          rights,
          level,
          next + format.span(0),
          more,
          rest,
          access,
          regime,
        );
      } else if (next >> format.shift(2) != upperTag) {
        upper = Long.table<F>(space, next, 1, access);
        upperTag = next >> format.shift(2);
        above = Long.rights<F>(1);
      }
    }
    return pages - faults;
  }

  /** Along the large page that `entry` of `level` in `slot` maps, from `va` on. Returns how many pages, at most `pages`. */
  private static large<F>(
    slot: usize,
    entry: u64,
    above: u64,
    level: i32,
    va: u64,
    out: usize,
    pages: u32,
    access: u32,
    regime: usize,
  ): u32 {
    const inside = va & (changetype<F>(0).span(level) - 1);
    const rest = (changetype<F>(0).span(level) - inside) >> FRAME_SHIFT;
    const first = Large.result<F>(entry, above, level, access, regime);
    return first == 0 ? 0 : Large.pages(slot, entry, first | inside, out, <u32>min<u64>(pages, rest));
  }

  /** Along one leaf table, from `slot` up to its end or an entry that must go the long way. Returns how many pages, at most `pages`. */
  private static row<F>(slot: usize, out: usize, pages: u32, rights: u32, access: u32, regime: usize): u32 {
    const format = changetype<F>(0);
    const test = format.leafTest(access, regime);
    const need = format.leafNeed(access, regime);
    const touch = format.touchBits(access);
    const pattern = load<u64>(slot);
    const change = Pattern.change<F>(pattern, rights, test, need);
    const fixed = i64x2.splat(Pattern.fixed<F>(test));
    const patternV = i64x2.splat(pattern);
    const changeV = i64x2.splat(change);
    const start = slot;
    const end = slot + <usize>min<u32>(0x1000 - (<u32>slot & 0xfff), pages << 3);
    while (slot < end) {
      while (change != 0 && slot + 128 <= end) {
        const entry0 = v128.load(slot);
        const entry1 = v128.load(slot, 16);
        const entry2 = v128.load(slot, 32);
        const entry3 = v128.load(slot, 48);
        const entry4 = v128.load(slot, 64);
        const entry5 = v128.load(slot, 80);
        const entry6 = v128.load(slot, 96);
        const entry7 = v128.load(slot, 112);
        const any0 = v128.or(v128.or(entry0, entry1), v128.or(entry2, entry3));
        const any1 = v128.or(v128.or(entry4, entry5), v128.or(entry6, entry7));
        const all0 = v128.and(v128.and(entry0, entry1), v128.and(entry2, entry3));
        const all1 = v128.and(v128.and(entry4, entry5), v128.and(entry6, entry7));
        // All agree with the pattern if what any of them has and what all of them have do.
        const other = Pattern.differ(v128.or(any0, any1), v128.and(all0, all1), patternV);
        if (v128.any_true(v128.and(other, fixed))) break;
        v128.store(out, v128.xor(entry0, changeV));
        v128.store(out, v128.xor(entry1, changeV), 16);
        v128.store(out, v128.xor(entry2, changeV), 32);
        v128.store(out, v128.xor(entry3, changeV), 48);
        v128.store(out, v128.xor(entry4, changeV), 64);
        v128.store(out, v128.xor(entry5, changeV), 80);
        v128.store(out, v128.xor(entry6, changeV), 96);
        v128.store(out, v128.xor(entry7, changeV), 112);
        slot += 128;
        out += 128;
      }
      const stop = min(end, slot + 128);
      for (; slot < stop; slot += 8) {
        if (!Pattern.single<F>(slot, rights, 0, out, test, need, touch)) return <u32>(slot - start) >> 3;
        out += 8;
      }
    }
    return <u32>(end - start) >> 3;
  }
}
