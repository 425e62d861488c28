// A simulated CPU: its block, its user accesses, its modes, and which mm it runs.
//
// One agent at a time runs a CPU, and all that it needs is the block. In user mode it answers interrupts between any two accesses; outside
// user mode it makes no user access, so a request may wait until it returns, and nobody waits for it: what a kernel path does
// with a TLB is not seen. A kernel path that makes a user access enters user mode for it.
//
// Everything that the hardware does unasked in kernel mode (`speculate`) is bracketed in the same way: a walk is under way in user mode only.

import {
  BUILD_EXPLORE,
  CONTROL_CPUS,
  CPU_ASID,
  CPU_AVOIDED,
  CPU_BYTES,
  CPU_FAULT_VA,
  CPU_FAULTS,
  CPU_FULL,
  CPU_GENERATION,
  CPU_HARDWARE,
  CPU_ID,
  CPU_LAZY,
  CPU_MACHINE,
  CPU_MM,
  CPU_MODE,
  CPU_PREFETCH,
  CPU_SLOT,
  CPU_TLB,
  HW_BROADCAST,
  MACHINE_LAZY_WB,
  MODE_KERNEL,
  MODE_USER,
  SCOPE_GLOBAL,
} from "./layout";
import { Access } from "./access";
import { Broadcast, Count, Own } from "./assoc";
import { Shared } from "./atomic";
import { Control } from "./control";
import { WriteBack } from "./dirty";
import { Heap } from "./heap";
import { InFlight } from "./inflight";
import { Interrupts } from "./interrupt";
import { Invalidation } from "./invalidation";
import { Asids, Pcid } from "./mm/asid";
import { Mm } from "./mm/mm";
import { StoreBuffer } from "./storebuffer";
import { Silent, Tlb } from "./tlb";
import { Walker } from "./walker";

export abstract class Cpu {
  /** CPU `id`, 0 to 63, with `tlb` and a dirty-bit machine (MACHINE_*); it runs no mm. 0 if no heap is left. */
  static create(id: u32, tlb: usize, machine: u32): usize {
    const cpu = Heap.allocate(CPU_BYTES);
    if (cpu == 0) return 0;
    memory.fill(cpu, 0, CPU_BYTES);
    store<u32>(cpu, id, CPU_ID);
    store<u32>(cpu, <u32>tlb, CPU_TLB);
    store<u32>(cpu, machine, CPU_MACHINE);
    Shared.store<u32>(Cpu.entry(id), <u32>cpu);
    return cpu;
  }

  static free(cpu: usize): void {
    Shared.store<u32>(Cpu.entry(Cpu.id(cpu)), 0);
    Heap.free(cpu);
  }

  @inline
  private static entry(id: u32): usize {
    return Control.word(CONTROL_CPUS) + ((<usize>id) << 2);
  }

  /** The block of CPU `id`, 0 if there is none. */
  @inline
  static at(id: u32): usize {
    return load<u32>(Cpu.entry(id));
  }

  @inline
  static id(cpu: usize): u32 {
    return load<u32>(cpu, CPU_ID);
  }

  @inline
  static tlb(cpu: usize): usize {
    return load<u32>(cpu, CPU_TLB);
  }

  @inline
  static mm(cpu: usize): usize {
    return load<u32>(cpu, CPU_MM);
  }

  @inline
  static asid(cpu: usize): u32 {
    return load<u32>(cpu, CPU_ASID);
  }

  /** Do others invalidate in its TLB? */
  @inline
  static broadcast(cpu: usize): bool {
    return (load<u32>(cpu, CPU_HARDWARE) & HW_BROADCAST) != 0;
  }

  /** What the hardware does unasked (HW_*). HW_SPECULATE goes for the page at `prefetch`, or if that is 0 for the one of the access to come. */
  static setHardware(cpu: usize, hardware: u32, prefetch: u64): void {
    store<u32>(cpu, hardware, CPU_HARDWARE);
    store<u64>(cpu, prefetch, CPU_PREFETCH);
  }

  // ---- one user access (access.ts); each returns DONE or FAULTED, what was read in the agent's reply block

  static load<F>(cpu: usize, va: u64): u32 {
    return Cpu.broadcast(cpu) ? Access.load<F, Broadcast>(cpu, va) : Access.load<F, Own>(cpu, va);
  }

  static fetch<F>(cpu: usize, va: u64): u32 {
    return Cpu.broadcast(cpu) ? Access.fetch<F, Broadcast>(cpu, va) : Access.fetch<F, Own>(cpu, va);
  }

  static store<F>(cpu: usize, va: u64, value: u64): u32 {
    return Cpu.broadcast(cpu) ? Access.store<F, Broadcast>(cpu, va, value) : Access.store<F, Own>(cpu, va, value);
  }

  static exchange<F>(cpu: usize, va: u64, value: u64): u32 {
    return Cpu.broadcast(cpu) ? Access.exchange<F, Broadcast>(cpu, va, value) : Access.exchange<F, Own>(cpu, va, value);
  }

  /** LOOK, WALK and ADSET: the linear address of the word, after whose access the caller says `complete`; 0 after a fault. */
  @inline
  static translate<F>(cpu: usize, va: u64, access: u32): usize {
    if (Cpu.broadcast(cpu)) return Access.reach<F, Broadcast>(cpu, va, access);
    return Access.reach<F, Own>(cpu, va, access);
  }

  /** The access that `translate` began is performed: in the step of DATA. */
  static complete(cpu: usize): void {
    if (Cpu.broadcast(cpu)) InFlight.complete<Broadcast>(cpu);
  }

  // ---- what the hardware does unasked, when the caller says

  /** SPEC: a walk for a load of `va` that no access needs. */
  static speculate(cpu: usize, va: u64): void {
    const user = Shared.quietLoad<u32>(cpu + CPU_MODE) == MODE_USER;
    if (!user) Cpu.enterUser(cpu);
    if (Cpu.broadcast(cpu)) Walker.speculate<Broadcast>(cpu, va);
    else Walker.speculate<Own>(cpu, va);
    if (!user) Cpu.leaveUser(cpu);
  }

  /** The entries for `va` go, the tables on the way stay. */
  static evict(cpu: usize, va: u64): void {
    if (Cpu.broadcast(cpu)) Cpu.drop<Broadcast>(cpu, va);
    else Cpu.drop<Own>(cpu, va);
  }

  private static drop<S>(cpu: usize, va: u64): void {
    const tlb = Cpu.tlb(cpu);
    const asid = Cpu.asid(cpu);
    if (load<u32>(cpu, CPU_MACHINE) == MACHINE_LAZY_WB) Tlb.dropAt<S, WriteBack>(tlb, va, asid, SCOPE_GLOBAL);
    else Tlb.dropAt<S, Silent>(tlb, va, asid, SCOPE_GLOBAL);
  }

  /**
   * Sees to it that the next access to `va` walks: a fence of this CPU alone. Of use after a fault that was none (flush_tlb_fix_spurious_fault,
   * update_mmu_cache), where the hardware caches what is not present; elsewhere the fault has done that.
   */
  static fence(cpu: usize, va: u64): void {
    if (Cpu.broadcast(cpu)) Access.drop<Broadcast>(cpu, va);
    else Access.drop<Own>(cpu, va);
  }

  // ---- modes and interrupts

  /** From here on requests wait for this CPU to answer. */
  static enterUser(cpu: usize): void {
    // The fault that it comes from, if from one, is dealt with: traces show the next one.
    if (BUILD == BUILD_EXPLORE) memory.fill(cpu + CPU_FAULT_VA, 0, CPU_FAULTS - CPU_FAULT_VA);
    Shared.exchange<u32>(cpu + CPU_MODE, MODE_USER);
    Cpu.takeInterrupts(cpu);
  }

  /**
   * From here on nobody waits for this CPU: requests are answered when it returns to user mode. Who saw it in user mode waits for an answer, so
   * what came until now gets one.
   */
  static leaveUser(cpu: usize): void {
    StoreBuffer.drain(cpu);
    Shared.store<u32>(cpu + CPU_MODE, MODE_KERNEL);
    Cpu.takeInterrupts(cpu);
  }

  // ---- which mm

  /**
   * Makes `mm` (0: none) the one whose tables user accesses walk, tagged `asid`, which is flushed: switch_mm_irqs_off() without PCIDs. The
   * CPU is in the mm's mask before it reads its generation, so a flush either finds it there or is seen. Of a CPU that others
   * invalidate in, all CPUs have to tag an mm alike.
   */
  static loadMm(cpu: usize, mm: usize, asid: u32): void {
    Cpu.leaveMm(cpu);
    Cpu.enterMm(cpu, mm);
    if (mm != 0 && Cpu.broadcast(cpu)) Asids.assign(mm, asid);
    store<u32>(cpu, asid, CPU_ASID);
    Interrupts.catchUp(cpu);
  }

  /** As `loadMm`, but what stands under `asid` is taken to be current: of use for the bug that this is (scenario H3). */
  static loadMmUnflushed(cpu: usize, mm: usize, asid: u32): void {
    Cpu.leaveMm(cpu);
    Cpu.enterMm(cpu, mm);
    if (mm != 0 && Cpu.broadcast(cpu)) Asids.assign(mm, asid);
    store<u32>(cpu, asid, CPU_ASID);
    store<u64>(cpu, mm == 0 ? 0 : Mm.tlbGen(mm), CPU_GENERATION);
  }

  /**
   * switch_mm_irqs_off() with PCIDs: an mm that comes back finds its translations, and is flushed if a flush went by meanwhile. Not to be mixed
   * with `loadMm`, whose tags are the caller's.
   */
  static switchMm(cpu: usize, mm: usize): void {
    const before = Cpu.mm(cpu);
    if (before == mm) {
      if (Shared.quietLoad<u32>(cpu + CPU_LAZY) != 0) Cpu.leaveLazy(cpu);
      return;
    }
    if (before != 0) Pcid.note(cpu, load<u32>(cpu, CPU_SLOT), before, load<u64>(cpu, CPU_GENERATION));
    Cpu.leaveMm(cpu);
    Cpu.enterMm(cpu, mm);
    if (mm == 0) return;
    const generation = Mm.tlbGen(mm);
    const chosen = Pcid.choose(cpu, mm, generation);
    const slot = chosen & 0xff;
    store<u32>(cpu, slot, CPU_SLOT);
    store<u32>(cpu, Pcid.tag(slot), CPU_ASID);
    if ((chosen & Pcid.needFlush) == 0) {
      Count.one(cpu + CPU_AVOIDED);
      store<u64>(cpu, Pcid.generation(cpu, slot), CPU_GENERATION);
      return;
    }
    Pcid.note(cpu, slot, mm, generation);
    Count.one(cpu + CPU_FULL);
    Invalidation.asid(cpu, Pcid.tag(slot));
    store<u64>(cpu, generation, CPU_GENERATION);
  }

  /** check_and_switch_context(): `mm` is tagged by the number that `asids` gives it on all CPUs. For CPUs that others invalidate in. */
  static switchMmAllocated(cpu: usize, mm: usize, asids: usize): void {
    Cpu.leaveMm(cpu);
    Cpu.enterMm(cpu, mm);
    if (mm == 0) return;
    const chosen = Asids.activate(asids, mm, Cpu.id(cpu));
    store<u32>(cpu, chosen & (Asids.needFlush - 1), CPU_ASID);
    if ((chosen & Asids.needFlush) != 0) {
      Count.one(cpu + CPU_FULL);
      Invalidation.all(cpu);
      Asids.switched(asids);
    }
    // Nobody flushes what stands under a tag that the CPU does not run, unless it is told to all.
    if (!Cpu.broadcast(cpu)) Interrupts.catchUp(cpu);
  }

  private static leaveMm(cpu: usize): void {
    const before = Cpu.mm(cpu);
    if (before != 0) Mm.clearCpu(before, Cpu.id(cpu));
  }

  /** Without an mm the tag is 0, under which nothing stands. */
  private static enterMm(cpu: usize, mm: usize): void {
    store<u32>(cpu, <u32>mm, CPU_MM);
    if (mm == 0) store<u32>(cpu, 0, CPU_ASID);
    Shared.store<u32>(cpu + CPU_LAZY, 0);
    if (mm != 0) Mm.setCpu(mm, Cpu.id(cpu));
  }

  /** Runs a kernel thread, and keeps the mm for later: enter_lazy_tlb(). */
  static enterLazy(cpu: usize): void {
    Shared.store<u32>(cpu + CPU_LAZY, 1);
  }

  /**
   * Back to the mm that was kept; false if an interrupt took it away meanwhile. First the flag goes, then the generations are compared: who
   * flushes advances the generation first and reads the flag then. `compareFirst` is the wrong order (scenario L1).
   */
  static leaveLazy(cpu: usize, compareFirst: bool = false): bool {
    Cpu.takeInterrupts(cpu);
    if (compareFirst) Interrupts.catchUpIfBehind(cpu);
    Shared.exchange<u32>(cpu + CPU_LAZY, 0);
    if (!compareFirst) Interrupts.catchUpIfBehind(cpu);
    return Cpu.mm(cpu) != 0;
  }

  @inline
  static takeInterrupts(cpu: usize): void {
    Interrupts.poll(cpu);
  }
}
