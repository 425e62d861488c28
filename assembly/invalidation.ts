// How a TLB's owner, or a broadcaster, invalidates: the machine (HW_BROADCAST, lazy-wb) decides which of the compiled forms.

import { CPU_HARDWARE, CPU_MACHINE, CPU_TLB, HW_BROADCAST, MACHINE_LAZY_WB } from "./layout";
import { Broadcast, Own } from "./assoc";
import { WriteBack } from "./dirty";
import { Silent, Tlb } from "./tlb";

export abstract class Invalidation {
  /** [first, last] of `asid` in the TLB of `cpu`, in steps of 2^`stride`. `scope` is SCOPE_*. */
  static range(cpu: usize, first: u64, last: u64, stride: u32, asid: u32, scope: u32): void {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    if (!Invalidation.shared(cpu)) {
      if (Invalidation.writesBack(cpu)) Tlb.invalidateRange<Own, WriteBack>(tlb, first, last, stride, asid, scope);
      else Tlb.invalidateRange<Own, Silent>(tlb, first, last, stride, asid, scope);
    } else if (Invalidation.writesBack(cpu)) {
      Tlb.invalidateRange<Broadcast, WriteBack>(tlb, first, last, stride, asid, scope);
    } else Tlb.invalidateRange<Broadcast, Silent>(tlb, first, last, stride, asid, scope);
  }

  /** All of `asid` but globals. */
  static asid(cpu: usize, asid: u32): void {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    if (!Invalidation.shared(cpu)) {
      if (Invalidation.writesBack(cpu)) Tlb.invalidateAsid<Own, WriteBack>(tlb, asid);
      else Tlb.invalidateAsid<Own, Silent>(tlb, asid);
    } else if (Invalidation.writesBack(cpu)) Tlb.invalidateAsid<Broadcast, WriteBack>(tlb, asid);
    else Tlb.invalidateAsid<Broadcast, Silent>(tlb, asid);
  }

  /** Everything: local_flush_tlb_all(). */
  static all(cpu: usize): void {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    if (!Invalidation.shared(cpu)) {
      if (Invalidation.writesBack(cpu)) Tlb.invalidateAll<Own, WriteBack>(tlb);
      else Tlb.invalidateAll<Own, Silent>(tlb);
    } else if (Invalidation.writesBack(cpu)) Tlb.invalidateAll<Broadcast, WriteBack>(tlb);
    else Tlb.invalidateAll<Broadcast, Silent>(tlb);
  }

  @inline
  private static shared(cpu: usize): bool {
    return (load<u32>(cpu, CPU_HARDWARE) & HW_BROADCAST) != 0;
  }

  @inline
  private static writesBack(cpu: usize): bool {
    return load<u32>(cpu, CPU_MACHINE) == MACHINE_LAZY_WB;
  }
}
