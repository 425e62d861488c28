// How a thread sleeps for a while.
//
// Guarantees: no other file has a wait instruction (test/package/builds.test.ts). It imports nothing, so that locks and scheduling points can use it.

export abstract class Nap {
  /**
   * Sleeps while the u32 (`wide`: u64) at `p` is `seen`, until somebody notifies, or for `ns` nanoseconds.
   *
   * A function of its own that does nothing after the wait: in code of V8's baseline compiler (11.3, Node 20.20) a local variable that lives
   * across memory.atomic.wait had another value after it, so a thread that slept in its first function compared with a wrong word for
   * ever. That it calls itself is what keeps the optimiser from inlining it.
   */
  static take(p: usize, seen: u64, wide: bool, ns: i64, drowsy: i32 = 1): void {
    if (drowsy > 0) Nap.take(p, seen, wide, ns, drowsy - 1);
    else if (wide) atomic.wait<i64>(p, <i64>seen, ns);
    else atomic.wait<i32>(p, <i32>seen, ns);
  }
}
