// Broadcast invalidation: arm64's TLBI and DSB, x86's INVLPGB and TLBSYNC. Nobody is interrupted.
//
// Guarantees: `post` invalidates in the TLB of every CPU, one after the other in any order; accesses that were translated before may still be in
// flight when it returns. `complete` waits for those, so after it no CPU makes an access through an entry that was posted before (Arm
// ARM D8.13, "completion of TLB maintenance instructions"; AMD APM vol. 2, 5.5.3). A CPU says itself that an access or a walk
// may be in flight (inflight.ts).
//
//   who flushes                            the CPU
//   -----------                            -------
//   drop the entries in its TLB            in flight
//   in flight? wait until it changes       look up, access
//                                          not in flight
//
// Each side writes first and reads then: either the CPU's look-up misses, or its access is seen and waited for.
//
// What is invalidated is named by the ASID, which has to be the mm's on all CPUs (mm/asid.ts). The tables on the way are dropped only if tables are
// freed (arm64 VALE1IS and VAE1IS, x86 INVLPGB_FLAG_FINAL_ONLY). CPUs do not compare generations, so none grows. Secondary TLBs hear of it with
// the invalidation, not with its completion (__flush_tlb_page_nosync(), __flush_tlb_range_nosync(), arch/arm64/include/asm/tlbflush.h).

import { REQUEST_ALL, SCOPE_GLOBAL, SCOPE_WAY, SHOOT_POSTED } from "../layout";
import { Cpu } from "../cpu";
import { InFlight } from "../inflight";
import { Invalidation } from "../invalidation";
import { Asids } from "../mm/asid";
import { Notifiers } from "../mm/notifier";
import { Point } from "../point";

const CPUS: u32 = 64;
const EVERYTHING: u64 = 0xffffffffffffffff;

export abstract class Broadcasts {
  /** See Shootdown.flush. Returns the number of other CPUs. */
  static flush(self: usize, mm: usize, first: u64, last: u64, stride: u32, freedTables: bool, options: u32): u32 {
    const others = Broadcasts.post(self, mm, first, last, stride, freedTables);
    if ((options & SHOOT_POSTED) == 0) Broadcasts.complete(self);
    return others;
  }

  /** Invalidates everywhere, and does not wait. */
  static post(self: usize, mm: usize, first: u64, last: u64, stride: u32, freedTables: bool): u32 {
    const asid = Asids.of(mm);
    const scope = freedTables ? SCOPE_GLOBAL | SCOPE_WAY : SCOPE_GLOBAL;
    let others: u32 = 0;
    for (let left = Broadcasts.listeners(); left != 0; ) {
      const id = Broadcasts.pick(left);
      left &= ~((<u64>1) << id);
      const cpu = Cpu.at(id);
      if (stride == REQUEST_ALL) Invalidation.asid(cpu, asid);
      else Invalidation.range(cpu, first, last, stride, asid, scope);
      if (cpu != self) ++others;
    }
    const all = stride == REQUEST_ALL;
    Notifiers.invalidateSecondary(mm, all ? 0 : first, all ? EVERYTHING : last);
    return others;
  }

  /** Waits for the accesses that were in flight when this was called. */
  static complete(self: usize): void {
    for (let left = Broadcasts.listeners(); left != 0; left &= left - 1) {
      const cpu = Cpu.at(<u32>ctz(left));
      if (cpu != self) InFlight.drain(cpu);
    }
  }

  /** The CPUs that hear of it: all that have a TLB, made at set-up. */
  private static listeners(): u64 {
    let mask: u64 = 0;
    for (let id: u32 = 0; id < CPUS; ++id) {
      const cpu = Cpu.at(id);
      if (cpu != 0 && Cpu.tlb(cpu) != 0 && Cpu.broadcast(cpu)) mask |= (<u64>1) << id;
    }
    return mask;
  }

  /** Which of `left` hears of it next. */
  @inline
  private static pick(left: u64): u32 {
    let rest = left;
    const count = <u32>popcnt(left);
    for (let n = count > 1 ? Point.choose(count) : 0; n > 0; --n) rest &= rest - 1;
    return <u32>ctz(rest);
  }
}
