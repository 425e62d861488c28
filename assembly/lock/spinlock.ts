// A lock over one word: 0 free, else the holder's number (agent + 1), with SLEEPERS set if somebody sleeps on the word.
//
// Guarantees: mutual exclusion, and that a waiter does not burn the machine: it spins for about as long as a wake-up
// takes, then sleeps on the word (Drepper, "Futexes Are Tricky", mutex 2). An agent that may not block, like the main
// thread of a page, goes on spinning. The word says who holds it, and each agent's block says what it holds or wants, so that
// a hang can be explained and the locks of an agent that died can be broken (broken.ts).
//
// Lock order: a space's lock before the RCU lock before the heap lock.

import { BUILD_EXPLORE, LOCK_SLEEPERS, LOCKED_ALONE, POINT_LOCK, POINT_NARROW } from "../layout";
import { Agent } from "../agent";
import { Shared } from "../atomic";
import { Point } from "../point";

/** Longer than the 10 µs a wake-up takes: below that, one sleep makes every later hand-over sleep too. */
const SPINS = 20000;

export abstract class Spinlock {
  @inline
  static lock(p: usize): void {
    Agent.noteLock(p, LOCKED_ALONE);
    Point.at(p, POINT_LOCK | POINT_NARROW);
    if (atomic.cmpxchg<u32>(p, 0, Agent.number()) == 0) return;
    Agent.noteWait(<u32>p | LOCKED_ALONE);
    Spinlock.wait(p);
    Agent.noteWait(0);
  }

  @inline
  static unlock(p: usize): void {
    if ((Shared.exchange<u32>(p, 0) & LOCK_SLEEPERS) != 0) atomic.notify(p, 1);
    Agent.forgetLock(p, LOCKED_ALONE);
  }

  /** Takes the lock if it is free; never waits: spin_trylock(). */
  static tryLock(p: usize): bool {
    if (Shared.compareExchange<u32>(p, 0, Agent.number()) != 0) return false;
    Agent.noteLock(p, LOCKED_ALONE);
    return true;
  }

  private static wait(p: usize): void {
    if (BUILD == BUILD_EXPLORE) {
      // The explorer runs on only when the word is free, so this loop is left at once.
      do Point.at(p, POINT_LOCK | POINT_NARROW);
      while (atomic.cmpxchg<u32>(p, 0, Agent.number()) != 0);
      return;
    }
    for (let n = 0; n < SPINS; ++n) {
      if (atomic.load<u32>(p) != 0) continue;
      Point.at(p, POINT_LOCK | POINT_NARROW);
      if (atomic.cmpxchg<u32>(p, 0, Agent.number()) == 0) return;
    }
    while (true) {
      Point.at(p, POINT_LOCK | POINT_NARROW);
      const holder = atomic.load<u32>(p);
      if (holder == 0) {
        // Others may sleep still: whoever slept takes it with the mark.
        if (atomic.cmpxchg<u32>(p, 0, Agent.number() | LOCK_SLEEPERS) == 0) return;
        continue;
      }
      const marked = holder | LOCK_SLEEPERS;
      if (holder != marked && atomic.cmpxchg<u32>(p, holder, marked) != holder) continue;
      if (Agent.mayBlock()) Shared.nap(p, marked, false);
    }
  }

  /** Frees it if agent `id`, which runs no more, held it. What it guards may be half changed. */
  static breakFor(p: usize, id: i32): bool {
    if ((Shared.load<u32>(p) & ~LOCK_SLEEPERS) != <u32>(id + 1)) return false;
    if ((Shared.exchange<u32>(p, 0) & LOCK_SLEEPERS) != 0) atomic.notify(p, 1);
    return true;
  }
}
