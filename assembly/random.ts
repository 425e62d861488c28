// Seeded pseudo-random numbers: xorshift32 (Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003).
//
// Guarantees: the same seed gives the same numbers. Each instance of the core has a state of its own, which nobody else needs to see.

/** 0 while no seed was given. */
let state: u32 = 0;

export abstract class Random {
  static seed(value: u32): void {
    state = value;
  }

  @inline
  static seeded(): bool {
    return state != 0;
  }

  /** The next number of this instance, never 0; 0 while it has no seed. */
  @inline
  static next(): u32 {
    state = Random.after(state);
    return state;
  }

  /** A number below `n`; 0 while there is no seed. */
  @inline
  static below(n: u32): u32 {
    return Random.scale(Random.next(), n);
  }

  /** What follows `x`. */
  @inline
  static after(x: u32): u32 {
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ (x << 5);
  }

  /** `x` of 32 random bits as a number below `n`. */
  @inline
  static scale(x: u32, n: u32): u32 {
    return <u32>((<u64>x * n) >> 32);
  }
}
