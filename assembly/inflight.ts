// What a CPU has in flight: who invalidates in its TLB unasked (HW_BROADCAST) waits for it.
//
// Guarantees: CPU_IN_FLIGHT counts up, and is odd from `begin`, which comes before LOOK, until `complete`, which comes after DATA; and of a walk
// that no access needs, from before it looks for a table that it knows until after it filled. The completion of an invalidation waits for
// both (Arm ARM D8.13: also for the memory accesses of walks that use what was invalidated), so a table may be freed after it. In the explore build
// the word is 1 or 0, for the past is no state. Of a TLB of which nobody else invalidates anything (`Own`) nothing is said.

import { BUILD_EXPLORE, CPU_IN_FLIGHT, CPU_TLB, POINT_UPDATE, TLB_SEQUENCE } from "./layout";
import { Shared } from "./atomic";
import { Point } from "./point";
import { StoreBuffer } from "./storebuffer";

export abstract class InFlight {
  /** Before LOOK, with which it is one step to the explorer: a CPU that has not looked yet is not waited for. */
  @inline
  static begin<S>(cpu: usize): void {
    if (!changetype<S>(0).shared) return;
    const p = cpu + CPU_IN_FLIGHT;
    if (BUILD == BUILD_EXPLORE) {
      Point.atOnce(<usize>load<u32>(cpu, CPU_TLB) + TLB_SEQUENCE, POINT_UPDATE);
      Shared.quietStore<u32>(p, 1);
    } else if ((load<u32>(p) & 1) == 0) {
      atomic.store<u32>(p, load<u32>(p) + 1);
      // The plain loads of LOOK come after this atomic one, which comes after the store.
      atomic.load<u32>(p);
    }
  }

  @inline
  static begun<S>(): void {
    if (changetype<S>(0).shared) Point.done();
  }

  /** After DATA, in its step. */
  @inline
  static complete<S>(cpu: usize): void {
    if (!changetype<S>(0).shared) return;
    const p = cpu + CPU_IN_FLIGHT;
    if (BUILD == BUILD_EXPLORE) Shared.quietStore<u32>(p, 0);
    else if ((load<u32>(p) & 1) != 0) {
      atomic.store<u32>(p, load<u32>(p) + 1);
      Shared.wake(p);
    }
  }

  /** Waits until nothing of `cpu` that began before this call is in flight. */
  static drain(cpu: usize): void {
    const p = cpu + CPU_IN_FLIGHT;
    const seen = Shared.load<u32>(p);
    if ((seen & 1) != 0) Shared.awaitChange<u32>(p, seen);
    StoreBuffer.settle(cpu);
  }
}
