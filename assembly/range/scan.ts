// Scans: one operation on the leaf entries of a range, with vectors where many entries can be judged at once.
//
// Guarantees: the operation sees each present leaf entry of [SCAN_VA, SCAN_LAST] once and leaves every other entry alone, none and swap
// entries among them: Linux's wp_pte() tests pte_write() without pte_present(), and in a swap entry that bit is soft-dirty
// (arch/x86/include/asm/pgtable_64.h). An entry above level 0 is never split: an operation acts on the whole of it or leaves
// it and counts it. The block (SCAN_*) tells how many entries were touched, from which byte to which, and in a bitmap which pages; the
// tracker, if there is one, covers exactly them.
//
// The caller holds the lock that keeps other software out of these tables (the page-table lock; a space's lock for now). How an entry
// changes beside hardware says range/change.ts; how a table is judged by vectors, range/lanes.ts; what is told, range/hits.ts.
//
// Builds other than release, and formats with 4-byte entries, go entry by entry, each access behind its scheduling point.

import {
  BUILD_RELEASE,
  FRAME_SHIFT,
  SCAN_FLAGS,
  SCAN_HITS,
  SCAN_HUGE,
  SCAN_LAST,
  SCAN_TOUCHED,
  SCAN_VA,
  SCAN_WARNED,
} from "../layout";
import { Frames, NO_FRAME } from "../frame";
import { Entry } from "../pte/entry";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Change } from "./change";
import { Hits } from "./hits";
import { Lanes, SPARSE } from "./lanes";
import { Range } from "./walk";

/**
 * So many tables are looked at together for whether there is anything to do: at first as many as fit into a first-level cache, for where there
 * is they are read again; and each time that there was not twice as many.
 */
const SHORT_RUN: u32 = 8;
const LONG_RUN: u32 = 64;

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
    // How many entries of the table before were hit: the next is likely to be like it.
    let before: u32 = 0;
    let run = SHORT_RUN;
    // How many more are not looked at together with others.
    let singly: u32 = 0;
    store<u32>(scan, 0, SCAN_HUGE);
    store<u32>(scan, 0, SCAN_WARNED);
    Hits.clear(scan);
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
              if (Scan.quick<F>() && before == 0) {
                if (singly == 0) {
                  const row = at & ~(format.span(1) - 1);
                  singly = Scan.adjacent<F>(space, slot, page, min(<u32>((end - row) >> format.shift(1)), run));
                  const passed = row + <u64>singly * format.span(1);
                  // What finds nothing is bound by memory; atomics would only wait for it.
                  if (passed != end) Scan.approach<F>(slot + singly * step, scan);
                  if (singly > 1 && Lanes.none<F, V>(page, page + <usize>singly * 4096)) {
                    at = passed;
                    slot += singly * step;
                    singly = 0;
                    run = min(run * 2, LONG_RUN);
                    continue;
                  }
                  run = SHORT_RUN;
                }
                --singly;
              }
              const whole = final - at == format.span(1) - 1;
              const some = Scan.table<F, V>(space, scan, page, format.index(at, 0), format.index(final, 0), before);
              before = some ? Hits.table<V>(scan, at & ~(format.span(1) - 1), whole) : 0;
            }
          }
        }
        at = next;
        slot += step;
      } while (at != end);
    } while (at != 0 && at <= last);
    return changetype<V>(0).changes && load<u64>(scan, SCAN_TOUCHED) != 0;
  }

  /** Are tables judged by vectors? */
  @inline
  private static quick<F>(): bool {
    return BUILD == BUILD_RELEASE && changetype<F>(0).entryShift == 3;
  }

  /** How many tables, of the entries of level 1 from `slot` on, lie one behind the other in memory, from `page` on; at most `most`. */
  @inline
  private static adjacent<F>(space: usize, slot: usize, page: usize, most: u32): u32 {
    const format = changetype<F>(0);
    let n: u32 = 1;
    for (; n < most; ++n) {
      const entry = load<u64>(slot + ((<usize>n) << format.entryShift));
      if (
        !Range.passable<F>(space, entry, 1) ||
        Frames.backing(format.table(entry)) != page + ((<usize>n) << FRAME_SHIFT)
      )
        break;
    }
    return n;
  }

  /** Has the table under way that the entry of level 1 in `slot` refers to, if it does so. */
  @inline
  private static approach<F>(slot: usize, scan: usize): void {
    const index = Frames.indexOf(changetype<F>(0).table(load<u64>(slot)));
    if (index != NO_FRAME) Lanes.approach(Frames.address(index), scan + SCAN_HITS);
  }

  /**
   * Entries [from, to] of the leaf table at `page`. Notes those that were hit in SCAN_HITS, a bit each; false if there are none.
   * `before` is how many there were in the table before: whether to look first if there are none in this one, or nothing else.
   */
  private static table<F, V>(space: usize, scan: usize, page: usize, from: u32, to: u32, before: u32): bool {
    const flags = load<u32>(scan, SCAN_FLAGS);
    const regime = Space.regime(space);
    const hits = scan + SCAN_HITS;
    if (!Scan.quick<F>()) {
      Scan.entries<F, V>(scan, page, from, to, flags, regime);
      return true;
    }
    if (changetype<V>(0).changes && flags != 0) {
      Lanes.change<F, V>(page, hits, from, to, flags, regime);
      return true;
    }
    if (before == 0 && Lanes.none<F, V>(page, page + 4096)) return false;
    if (!changetype<V>(0).changes) Lanes.find<F, V>(page, hits, from, to);
    else if (before > SPARSE && to - from == 511) Lanes.replaceByWords<F, V>(page, hits);
    else Lanes.replace<F, V>(page, hits, from, to);
    return true;
  }

  /** The same, one entry after the other. */
  private static entries<F, V>(scan: usize, page: usize, from: u32, to: u32, flags: u32, regime: usize): void {
    const format = changetype<F>(0);
    memory.fill(scan + SCAN_HITS, 0, 64);
    for (let i = from; i <= to; ++i) {
      const slot = page + ((<usize>i) << format.entryShift);
      if (!Change.touch<F, V>(slot, Entry.load<F>(slot), flags, regime)) continue;
      const word = scan + ((<usize>(i >> 6)) << 3);
      store<u64>(word, load<u64>(word, SCAN_HITS) | ((<u64>1) << (i & 63)), SCAN_HITS);
    }
  }

  /** An entry above level 0 that maps a page: [first, last] is the part of it in the range. */
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
    if (!Change.touch<F, V>(slot, entry, load<u32>(scan, SCAN_FLAGS), Space.regime(space))) return;
    Hits.large<V>(scan, first, last, <u32>format.shift(level));
  }
}
