// Loads, stores and exchanges of words that several agents share, each behind a scheduling point.
//
// Guarantees: sequential consistency (WebAssembly has no weaker atomics), and no access to a shared word outside this
// file, save where a file says why: batch/ and the scans of table pages in the release build.

import { POINT_LOAD, POINT_STORE, POINT_UPDATE } from "./layout";
import { Point } from "./point";

export abstract class Shared {
  @inline
  static load<T>(p: usize): T {
    Point.at(p, POINT_LOAD);
    return atomic.load<T>(p);
  }

  @inline
  static store<T>(p: usize, value: T): void {
    Point.at(p, POINT_STORE);
    atomic.store<T>(p, value);
  }

  @inline
  static exchange<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE);
    return atomic.xchg<T>(p, value);
  }

  /** Stores `value` if the word is `expected`; returns what the word was. */
  @inline
  static compareExchange<T>(p: usize, expected: T, value: T): T {
    Point.at(p, POINT_UPDATE);
    return atomic.cmpxchg<T>(p, expected, value);
  }

  @inline
  static add<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE);
    return atomic.add<T>(p, value);
  }

  @inline
  static sub<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE);
    return atomic.sub<T>(p, value);
  }

  @inline
  static and<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE);
    return atomic.and<T>(p, value);
  }

  @inline
  static or<T>(p: usize, value: T): T {
    Point.at(p, POINT_UPDATE);
    return atomic.or<T>(p, value);
  }
}
