// A lock over one word: 0 free, 1 held, 2 held and somebody sleeps.
//
// Guarantees: mutual exclusion, and that a waiter does not burn the machine: it spins for about as long as a wake-up
// takes, then sleeps on the word (Drepper, "Futexes Are Tricky", mutex 2). An agent that may not block, like the main
// thread of a page, goes on spinning. Lock order: a space's lock before the RCU lock before the heap lock.

import { POINT_LOCK } from "../layout";
import { Agent } from "../agent";
import { Shared } from "../atomic";
import { Point } from "../point";

/** Longer than the 10 µs a wake-up takes: below that, one sleep makes every later hand-over sleep too. */
const SPINS = 20000;

export abstract class Spinlock {
  @inline
  static lock(p: usize): void {
    Point.at(p, POINT_LOCK);
    if (atomic.cmpxchg<u32>(p, 0, 1) != 0) Spinlock.wait(p);
  }

  @inline
  static unlock(p: usize): void {
    if (Shared.exchange<u32>(p, 0) == 2) atomic.notify(p, 1);
  }

  private static wait(p: usize): void {
    for (let n = 0; n < SPINS; ++n) {
      if (atomic.load<u32>(p) == 0) {
        Point.at(p, POINT_LOCK);
        if (atomic.cmpxchg<u32>(p, 0, 1) == 0) return;
      }
    }
    while (true) {
      Point.at(p, POINT_LOCK);
      if (atomic.xchg<u32>(p, 2) == 0) return;
      if (Agent.mayBlock()) atomic.wait<i32>(p, 2, -1);
    }
  }
}
