// Many walks at once: addresses in, result words out, with their cache misses overlapped.
//
// Guarantees: each result is one that `Walk.translate` or, with ACCESS_TOUCH, `Walk.access` could have returned for that
// address during the call. Tables above the leaf are remembered within a call, never across calls, as a processor's
// paging-structure cache would; leaf entries are read anew for each address (a large page's for every four). A and D are set by
// compare-exchange against the entry that was judged. The caller holds an RCU section for the whole call.
//
// One entry point adapts to what it sees, window by window:
//   near    the last leaf table, or large page, is remembered         sequential, hot
//   cached  a direct-mapped cache of leaf tables, by 2 MiB region     a few hundred regions in any order
//   far     group by group through the last two levels                everything else
// The latter two judge large pages by one of them and by a cache of the tables they are in.
// Whatever a fast path cannot judge by comparing (a fault, a table outside the window) goes the long way through walk.ts.
// No loop calls anything while it stays fast: V8 would spill every local around the call.
// Builds other than release, and formats with 4-byte entries, only know the long way: there every access has its scheduling point.
//
// A path returns how many addresses it walked and, in the high word, how many of them are not mapped.

import { BUILD_RELEASE } from "../layout";
import { Agent } from "../agent";
import { Shared } from "../atomic";
import { Space } from "../space";
import { Cached } from "./cache";
import { ByRegion } from "./cached";
import { Far } from "./far";
import { Large } from "./large";
import { Long } from "./long";
import { Near } from "./near";
import { PageRange } from "./range";

export abstract class Batch {
  /**
   * Walks for the `count` virtual addresses (u64) at `input` and writes as many result words (u64) to `output`.
   * `access` as for a single walk. Returns how many are mapped.
   */
  static translate<F>(space: usize, input: usize, output: usize, count: u32, access: u32): u32 {
    const format = changetype<F>(0);
    if (BUILD != BUILD_RELEASE || format.entryShift != 3 || !format.batchable(access, Space.regime(space))) {
      let faults: u32 = 0;
      for (let i: u32 = 0; i < count; ++i) faults += Long.one<F>(space, input, output, i, access);
      return count - faults;
    }
    Batch.order();
    let walked = Near.walk<F>(space, input, output, 0, count, access);
    if (<u32>walked < count) {
      Cached.forget();
      Large.forget();
    }
    while (<u32>walked < count) {
      walked += ByRegion.walk<F>(space, input, output, <u32>walked, count, access);
      if (<u32>walked >= count) break;
      walked += Far.walk<F>(space, input, output, <u32>walked, count, access);
      if (<u32>walked >= count) break;
      walked += Near.walk<F>(space, input, output, <u32>walked, count, access);
    }
    return count - <u32>(walked >> 32);
  }

  /**
   * Walks for `pages` addresses in a row, one every 4 KiB from `va`, and writes as many result words to `output`.
   * Returns how many are mapped.
   */
  static translateRange<F>(space: usize, va: u64, pages: u32, output: usize, access: u32): u32 {
    Batch.order();
    return PageRange.walk<F>(space, va, pages, output, access);
  }

  /**
   * An atomic load: plain loads that follow it come after the opening of the RCU section. The exchange that opens it does not see to that
   * on an Arm without LSE atomics, where its store may become visible after later plain loads, but not after a later atomic one.
   */
  @inline
  private static order(): void {
    if (BUILD == BUILD_RELEASE) Shared.load<u32>(Agent.epoch());
  }
}
