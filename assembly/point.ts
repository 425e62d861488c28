// The scheduling points: every access to memory that another agent can see calls `Point.at` first. And the choices of the environment.
//
// Guarantees: in the release build nothing of `at` is left in the module. In the chaos build a point spends a
// seeded random time, so that races meet. In the explore build it suspends: Asyncify unwinds the stack of the simulated
// CPU into linear memory and returns to the explorer, which goes on with whichever CPU it likes.

import { BUILD_CHAOS, BUILD_EXPLORE, BUILD_RELEASE, CONTROL, POINT_JOINED } from "./layout";
import { Nap } from "./nap";
import { Random } from "./random";

/** Imported as `point.suspend` by the explore build only. */
declare function suspend(address: usize, kind: i32): void;
/** Imported as `point.choose` by the explore build only; suspends like the other and returns the alternative to take. */
declare function choose(n: u32): u32;

/** Chaos: a point delays once in 2^rarity times, and then for up to `spins` loads. */
let rarity: u32 = 4;
let spins: u32 = 256;

/** Chaos: does a thread sleep instead, once at the point of this number? Points are counted from the last `plan`. */
let planned: bool = false;
let sleepAt: u32 = 0;
let met: u32 = 0;
/** It asks for 5 µs and gets what timers of the host make of it, some 60 on Linux. */
const NAP_NS: i64 = 5000;

/** Nothing suspends while it is set, so it is no state of a CPU. */
let joined: bool = false;

export abstract class Point {
  /** About to access the word at `address` in the manner of `kind` (POINT_*). */
  @inline
  static at(address: usize, kind: i32): void {
    if (BUILD == BUILD_EXPLORE) suspend(address, joined ? kind | POINT_JOINED : kind);
    else if (BUILD == BUILD_CHAOS && !joined) Point.delay();
  }

  /** About to access a word in the step that runs: others have no business there now. The explorer is told, and goes on. */
  @inline
  static quiet(address: usize, kind: i32): void {
    if (BUILD == BUILD_EXPLORE) suspend(address, kind | POINT_JOINED);
  }

  /** From here on, until it is called with false, accesses belong to the step that runs: what an observer notes, and atomic blocks. */
  @inline
  static join(on: bool): void {
    if (BUILD != BUILD_RELEASE) joined = on;
  }

  /** Do accesses belong to the step that runs? */
  @inline
  static isJoined(): bool {
    return joined;
  }

  /**
   * What follows, up to `done`, is one access to the explorer, in the manner of `kind` to the word at `address`: a locked update that hardware
   * makes at once and the host does not have. The chaos build has its delays inside.
   */
  @inline
  static atOnce(address: usize, kind: i32): void {
    if (BUILD != BUILD_EXPLORE) return;
    suspend(address, kind);
    joined = true;
  }

  @inline
  static done(): void {
    if (BUILD == BUILD_EXPLORE) joined = false;
  }

  /**
   * Which of `n` things happens that nobody in the machine decides: does the TLB evict now, does the walker prefetch? Explore takes each in turn;
   * others need not run in between. Elsewhere it is seeded, and 0 while no seed was given: alternative 0 is "nothing happens".
   */
  @inline
  static choose(n: u32): u32 {
    return BUILD == BUILD_EXPLORE ? choose(n) : Random.below(n);
  }

  /** Chaos: seeds this instance; a point then delays once in 2^`oneIn` times for up to `longest` loads. */
  static tune(seed: u32, oneIn: u32, longest: u32): void {
    Random.seed(seed);
    rarity = oneIn;
    spins = longest;
  }

  /** Chaos: how often and how long a point delays from here on, as for `tune`. */
  @inline
  static strengthen(oneIn: u32, longest: u32): void {
    if (BUILD != BUILD_CHAOS) return;
    rarity = oneIn;
    spins = longest;
    planned = false;
  }

  /**
   * Chaos: from here on the thread sleeps once, at the `at`th point that it meets (0: at none), for as long as others take for several whole
   * functions; where there are more threads than processors, one that had none runs meanwhile. Not for the main thread of a page.
   */
  @inline
  static plan(at: u32): void {
    if (BUILD != BUILD_CHAOS) return;
    planned = true;
    sleepAt = at;
    met = 0;
  }

  /** Chaos: points that this instance met since `plan`. */
  @inline
  static met(): u32 {
    return met;
  }

  /** Chaos: sleeps for as long as at a point. */
  static sleep(): void {
    if (BUILD == BUILD_CHAOS) Nap.take(CONTROL, atomic.load<u32>(CONTROL), false, NAP_NS);
  }

  private static delay(): void {
    if (planned) {
      if (++met == sleepAt) Point.sleep();
      return;
    }
    if (!Random.seeded()) return;
    const x = Random.next();
    if ((x & ((1 << rarity) - 1)) != 0) return;
    // Atomic loads of a word that nobody writes: a delay that the optimiser cannot remove.
    for (let n = (x >> 16) % (spins + 1); n > 0; --n) atomic.load<u32>(CONTROL);
  }
}
