// Loads, stores and exchanges of words that several agents share, each behind a scheduling point.
//
// Guarantees: sequential consistency (WebAssembly has no weaker atomics), and no access to a shared word outside this
// file, save where a file says why: batch/ and the scans of table pages in the release build.
//
// **Waiting for a word.** Who waits spins for a while and then sleeps; so whoever changes a word that others wait for wakes them after it
// (`wake`, `storeAndWake`). That is one load while nobody sleeps:
//
//   who waits                              who writes
//   ---------                              ----------
//   asleep + 1                             store the word
//   sleep if the word is still `seen`      asleep > 0?  notify
//
// Either the writer sees the count, or its store came before the sleeper looks at the word once more.

import {
  BUILD_EXPLORE,
  CONTROL_ASLEEP,
  POINT_ADD,
  POINT_CHANGE,
  POINT_CHANGE_WIDE,
  POINT_LOAD,
  POINT_NARROW,
  POINT_STORE,
  POINT_UPDATE,
} from "./layout";
import { Nap } from "./nap";
import { Point } from "./point";

/**
 * Loads of a word before a thread sleeps: as many as paid lately, and never less than the 10 µs that a wake-up takes. Below that, one sleep makes
 * every later hand-over sleep too (competitive spinning: Karlin, Li, Manasse, Owicki, "Empirical Studies of Competitive Spinning for a
 * Shared-Memory Multiprocessor", SOSP 1991).
 */
const FEWEST_SPINS: u32 = 20_000;
const MOST_SPINS: u32 = 1_000_000;

/** Loads before a thread sleeps where there are more threads than processors: another may need its processor to get on. */
const SHARING_SPINS: u32 = 500;

/** Longest sleep: then a thread looks at its word again. */
const NAP_NS: i64 = 5000000;

/** May the thread of this instance sleep? The main thread of a page may not. */
let sleeps: bool = false;

/** Are there more threads than processors? */
let sharing: bool = false;

/** How often this instance halves MOST_SPINS before it sleeps. */
let tired: u32 = 0;

/** How often this instance slept since somebody asked. */
let naps: u32 = 0;

/** Where this instance says for which word it sleeps; 0: nowhere. */
let note: usize = 0;

export abstract class Shared {
  /** Beside a kind: how much of the 8 bytes around it an access to a T touches. */
  @inline
  private static narrow<T>(): i32 {
    return sizeof<T>() == 8 ? 0 : POINT_NARROW;
  }

  @inline
  static load<T>(p: usize): T {
    Point.at(p, POINT_LOAD | Shared.narrow<T>());
    return atomic.load<T>(p);
  }

  @inline
  static store<T>(p: usize, value: T): void {
    Point.at(p, POINT_STORE | Shared.narrow<T>());
    atomic.store<T>(p, value);
  }

  @inline
  static exchange<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    return atomic.xchg<T>(p, value);
  }

  /** Stores `value` if the word is `expected`; returns what the word was. */
  @inline
  static compareExchange<T>(p: usize, expected: T, value: T): T {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    return atomic.cmpxchg<T>(p, expected, value);
  }

  @inline
  static add<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    return atomic.add<T>(p, value);
  }

  /** Adds `value`, which may be negative, and makes nothing of what the word was: to the explorer, two of them commute. */
  @inline
  static count<T>(p: usize, value: T): void {
    Point.at(p, POINT_UPDATE | POINT_ADD | Shared.narrow<T>());
    atomic.add<T>(p, value);
  }

  /** As `add`, of a program of which the explorer knows whether it makes anything of the result. */
  @inline
  static fetchAdd<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE | POINT_ADD | Shared.narrow<T>());
    return atomic.add<T>(p, value);
  }

  @inline
  static sub<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    return atomic.sub<T>(p, value);
  }

  @inline
  static and<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    return atomic.and<T>(p, value);
  }

  @inline
  static or<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    return atomic.or<T>(p, value);
  }

  /**
   * As `or`, of a word that is 0 as a rule and was written by another CPU last. V8 makes a load and a compare-and-exchange of an `or`, which takes the
   * line twice; this begins with the exchange.
   */
  @inline
  static raise<T>(p: usize, value: T): void {
    Point.at(p, POINT_UPDATE | Shared.narrow<T>());
    let seen: T = 0;
    for (let now = atomic.cmpxchg<T>(p, seen, value); now != seen; now = atomic.cmpxchg<T>(p, seen, seen | value))
      seen = now;
  }

  // ---- words that a protocol gives to one CPU for the time being: plain accesses, and part of the step that runs

  @inline
  static quietLoad<T>(p: usize): T {
    Point.quiet(p, POINT_LOAD | Shared.narrow<T>());
    return load<T>(p);
  }

  @inline
  static quietStore<T>(p: usize, value: T): void {
    Point.quiet(p, POINT_STORE | Shared.narrow<T>());
    store<T>(p, value);
  }

  // ---- waiting for a word

  /**
   * Waits until the word at `p` is something else than `seen`, which the caller read there and which did not do; returns what it is then:
   *
   *     let value = Shared.load<u32>(p);
   *     while (value != wanted) value = Shared.awaitChange<u32>(p, value);
   *
   * Explore: the CPU is not runnable while the word is what it was when it suspended here.
   */
  static awaitChange<T>(p: usize, seen: T): T {
    if (BUILD == BUILD_EXPLORE) {
      const change = sizeof<T>() == 8 ? POINT_CHANGE_WIDE : POINT_CHANGE;
      // Looked at once more, for there may have been a point since the caller read it: what it waits for may have happened.
      Point.quiet(p, POINT_LOAD | Shared.narrow<T>());
      Point.at(p, (atomic.load<T>(p) == seen ? change : POINT_LOAD) | Shared.narrow<T>());
      return atomic.load<T>(p);
    }
    Point.at(p, POINT_CHANGE);
    const most = sharing ? SHARING_SPINS : max<u32>(MOST_SPINS >> tired, FEWEST_SPINS);
    for (let n: u32 = 0; n < most; ++n) {
      const value = atomic.load<T>(p);
      if (value == seen) continue;
      if (n >= most / 2 && tired > 0) --tired;
      return value;
    }
    if (MOST_SPINS >> tired > FEWEST_SPINS) ++tired;
    return Shared.sleep<T>(p, seen);
  }

  /** After the word at `p`, which others may wait for, was changed. */
  @inline
  static wake(p: usize): void {
    if (BUILD != BUILD_EXPLORE && atomic.load<u32>(Shared.asleep(p)) != 0) atomic.notify(p, -1);
  }

  @inline
  static storeAndWake<T>(p: usize, value: T): void {
    Shared.store<T>(p, value);
    Shared.wake(p);
  }

  /** Says whether the thread of this instance may sleep. */
  static maySleep(may: bool): void {
    sleeps = may;
  }

  /** Says whether there are more threads than processors. */
  static share(are: bool): void {
    sharing = are;
  }

  @inline
  static shares(): bool {
    return sharing;
  }

  /** How often this instance went to sleep since this was called last. */
  static naps(): u32 {
    const count = naps;
    naps = 0;
    return count;
  }

  /** Says where the address of the word is written for which this instance sleeps, so that a hang can be explained. */
  static noteSleepAt(at: usize): void {
    note = at;
  }

  private static sleep<T>(p: usize, seen: T): T {
    const asleep = Shared.asleep(p);
    if (note != 0) atomic.store<u32>(note, <u32>p);
    while (true) {
      if (sleeps) {
        atomic.add<u32>(asleep, 1);
        Shared.nap(p, <u64>seen, sizeof<T>() == 8);
        atomic.sub<u32>(asleep, 1);
      }
      const value = atomic.load<T>(p);
      if (value == seen) continue;
      if (note != 0) atomic.store<u32>(note, 0);
      return value;
    }
  }

  /** Sleeps while the u32 (`wide`: u64) at `p` is `seen`, until somebody notifies, or for `ns` nanoseconds. */
  static nap(p: usize, seen: u64, wide: bool, ns: i64 = NAP_NS): void {
    if (wide ? atomic.load<u64>(p) != seen : atomic.load<u32>(p) != <u32>seen) return;
    ++naps;
    Nap.take(p, seen, wide, ns);
  }

  /** The count of those who sleep on this word, and on others that share it. */
  @inline
  private static asleep(p: usize): usize {
    return CONTROL_ASLEEP + (p & 0x3c);
  }
}
