// The scheduling points: every access to memory that another agent can see calls `Point.at` first.
//
// Guarantees: in the release build nothing of this file is left in the module. In the chaos build a point spends a
// seeded random time, so that races meet. In the explore build it suspends: Asyncify unwinds the stack of the simulated
// CPU into linear memory and returns to the explorer, which goes on with whichever CPU it likes.

import { BUILD_CHAOS, BUILD_EXPLORE, CONTROL } from "./layout";

/** Imported as `point.suspend` by the explore build only. */
declare function suspend(address: usize, kind: i32): void;

/** Chaos: state of this instance's generator (xorshift32, Marsaglia 2003), 0 while no seed was given. */
let seed: u32 = 0;
/** Chaos: a point delays once in 2^rarity times, and then for up to `spins` loads. */
let rarity: u32 = 4;
let spins: u32 = 256;

export abstract class Point {
  /** About to access the word at `address` in the manner of `kind` (POINT_*). */
  @inline
  static at(address: usize, kind: i32): void {
    if (BUILD == BUILD_EXPLORE) suspend(address, kind);
    else if (BUILD == BUILD_CHAOS) Point.delay();
  }

  /** Chaos: seeds this instance; a point then delays once in 2^`oneIn` times for up to `longest` loads. */
  static tune(newSeed: u32, oneIn: u32, longest: u32): void {
    seed = newSeed;
    rarity = oneIn;
    spins = longest;
  }

  private static delay(): void {
    if (seed == 0) return;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    if ((seed & ((1 << rarity) - 1)) != 0) return;
    // Atomic loads of a word that nobody writes: a delay that the optimiser cannot remove.
    for (let n = (seed >> 16) % (spins + 1); n > 0; --n) atomic.load<u32>(CONTROL);
  }
}
