// A simulated CPU: user loads, stores and exchanges through its TLB, and the interrupts that ask it to invalidate.
//
// Guarantees: an access is what hardware does, in steps that those of other CPUs fall between (LOOK, WALK, ADSET, DATA):
// look up; on a miss walk, set A, fill; for the first store through an entry set D in the PTE, by the rule of the dirty-bit machine;
// load or store the word in the frame the entry named. Interrupts are taken between accesses only, so an acknowledged invalidation means
// that no access through the entry is in flight (Intel SDM vol. 3A, 4.10.5; Linux flush_tlb_func).
//
// One agent at a time runs a CPU. In user mode it answers interrupts between any two accesses; outside user mode it makes no user
// access, so a request may wait until it returns, and nobody waits for it: what a kernel path does with a TLB is not seen.
//
// Not modelled: accesses across a page boundary, access sizes other than 8 bytes, caches and store buffers.

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_TOUCH,
  ACCESS_USER,
  ACCESS_WRITE,
  CONTROL_CPUS,
  CPU_ASID,
  CPU_BYTES,
  CPU_FAULTS,
  CPU_GENERATION,
  CPU_ID,
  CPU_LAZY,
  CPU_MACHINE,
  CPU_MM,
  CPU_MODE,
  CPU_PENDING,
  CPU_TLB,
  DONE,
  FAULTED,
  MACHINE_BLIND,
  MACHINE_LAZY_LOST,
  MACHINE_LAZY_WB,
  MACHINE_NOWCHECK,
  MACHINE_SWDIRTY,
  MODE_KERNEL,
  MODE_USER,
  RESULT_DIRTY,
  RESULT_LEVEL_SHIFT,
  RESULT_MAPPED,
  RESULT_NO_EXECUTE,
  RESULT_SHIFT,
  RESULT_USER,
  RESULT_WRITABLE,
} from "./layout";
import { Agent } from "./agent";
import { Own } from "./assoc";
import { Shared } from "./atomic";
import { Frames } from "./frame";
import { Heap } from "./heap";
import { Interrupts } from "./interrupt";
import { Mm } from "./mm/mm";
import { Entry } from "./pte/entry";
import { Rcu } from "./rcu";
import { Silent, Tlb } from "./tlb";
import { Place, Walk } from "./walk";

const WRITABLE: u64 = (<u64>RESULT_WRITABLE) << RESULT_SHIFT;
const DIRTY: u64 = (<u64>RESULT_DIRTY) << RESULT_SHIFT;
const MAPPED: u64 = (<u64>RESULT_MAPPED) << RESULT_SHIFT;

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
    return <usize>CONTROL_CPUS + ((<usize>id) << 2);
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

  // ---- one user access; each returns DONE or FAULTED, what was read in the agent's reply block

  static load<F>(cpu: usize, va: u64): u32 {
    const word = Cpu.translate<F>(cpu, va, ACCESS_READ | ACCESS_USER);
    if (word == 0) return FAULTED;
    store<u64>(Agent.reply(), Shared.load<u64>(word));
    return DONE;
  }

  static store<F>(cpu: usize, va: u64, value: u64): u32 {
    const word = Cpu.translate<F>(cpu, va, ACCESS_WRITE | ACCESS_USER);
    if (word == 0) return FAULTED;
    Shared.store<u64>(word, value);
    return DONE;
  }

  static exchange<F>(cpu: usize, va: u64, value: u64): u32 {
    const word = Cpu.translate<F>(cpu, va, ACCESS_WRITE | ACCESS_USER);
    if (word == 0) return FAULTED;
    store<u64>(Agent.reply(), Shared.exchange<u64>(word, value));
    return DONE;
  }

  /** LOOK, WALK and ADSET: the linear address of the word that DATA will access, or 0 after a fault. */
  static translate<F>(cpu: usize, va: u64, access: u32): usize {
    const tlb = Cpu.tlb(cpu);
    const asid = Cpu.asid(cpu);
    const fetch: u32 = (access & ACCESS_EXECUTE) != 0 ? 1 : 0;
    const write = (access & ACCESS_WRITE) != 0;
    while (true) {
      Cpu.takeInterrupts(cpu);
      const entry = Tlb.lookUp<Own>(tlb, va, asid, fetch);
      if (entry == 0) {
        if (!Cpu.fill<F>(cpu, va, access, fetch)) return Cpu.fault(cpu, va);
        continue;
      }
      const result = Tlb.resultAt(tlb, entry, va);
      if (!Cpu.allows(result, access)) return Cpu.fault(cpu, va);
      if (write && (result & DIRTY) == 0 && !Cpu.setDirty<F>(cpu, entry)) return Cpu.fault(cpu, va);
      const page = Frames.backing(result & 0x000ffffffffff000);
      return page == 0 ? Cpu.fault(cpu, va) : page + <usize>(va & 0xff8);
    }
  }

  @inline
  private static allows(result: u64, access: u32): bool {
    const flags = <u32>(result >> RESULT_SHIFT);
    if ((flags & RESULT_USER) == 0) return false;
    if ((access & ACCESS_EXECUTE) != 0) return (flags & RESULT_NO_EXECUTE) == 0;
    return (access & ACCESS_WRITE) == 0 || (flags & RESULT_WRITABLE) != 0;
  }

  /** WALK: reads the tables, sets A, takes the entry into the TLB. False if the walk faults; results that deny are not cached. */
  static fill<F>(cpu: usize, va: u64, access: u32, fetch: u32): bool {
    const space = Mm.space(Cpu.mm(cpu));
    const tlb = Cpu.tlb(cpu);
    Rcu.readLock();
    const begun = Tlb.begin<Own>(tlb);
    let result = Walk.access<F>(space, va, (access & ~ACCESS_WRITE) | ACCESS_READ | ACCESS_TOUCH);
    // Without hardware D an entry is writable only if it was dirty when it was filled: the handler sets D (arm64 without DBM, Svade).
    if (load<u32>(cpu, CPU_MACHINE) == MACHINE_SWDIRTY && (result & DIRTY) == 0) result &= ~WRITABLE;
    const good = (result & MAPPED) != 0 && Cpu.allows(result, access);
    if (good) {
      const slot = Place.slot(Walk.seek<F>(space, va, 0));
      const global = slot != 0 && changetype<F>(0).pteGlobal(Entry.load<F>(slot));
      Tlb.fill<Own>(tlb, va, Cpu.asid(cpu), fetch, global, result, slot, begun);
    }
    Rcu.readUnlock();
    return good;
  }

  /**
   * ADSET, by the machine: whether the store may go on. The PTE is re-read and changed in one locked step; `recheck` needs it present and
   * writable still (x86 with shadow stacks, arm64 HAFDBS, Svadu), `nowcheck` present only (x86 before them), `blind` changes whatever
   * stands there (the stray updates of Knights Landing), the lazy ones only the entry.
   */
  private static setDirty<F>(cpu: usize, entry: usize): bool {
    const format = changetype<F>(0);
    const machine = load<u32>(cpu, CPU_MACHINE);
    const slot = Tlb.slot(entry);
    const result = Tlb.result(entry);
    if (machine == MACHINE_BLIND) Shared.or<u64>(slot, format.touch(0, true));
    else if (machine != MACHINE_LAZY_LOST && machine != MACHINE_LAZY_WB) {
      while (true) {
        const pte = Entry.load<F>(slot);
        const level = <i32>(result >> (RESULT_SHIFT + RESULT_LEVEL_SHIFT)) & 7;
        const rights = format.narrow(format.allRights, pte);
        const writable = (format.flags(pte, rights, level) & RESULT_WRITABLE) != 0;
        if (!format.present(pte) || !(writable || machine == MACHINE_NOWCHECK)) return false;
        if (Entry.replace<F>(slot, pte, format.touch(pte, true))) break;
      }
    }
    Tlb.setResult(entry, result | DIRTY);
    return true;
  }

  /** The entry for the address is gone when the handler runs (SDM 4.10.4.1). */
  private static fault(cpu: usize, va: u64): usize {
    Tlb.dropFaulted<Own, Silent>(Cpu.tlb(cpu), va, Cpu.asid(cpu));
    store<u64>(cpu, load<u64>(cpu, CPU_FAULTS) + 1, CPU_FAULTS);
    return 0;
  }

  // ---- modes and interrupts

  /** From here on requests wait for this CPU to answer. */
  static enterUser(cpu: usize): void {
    Shared.exchange<u32>(cpu + CPU_MODE, MODE_USER);
    Cpu.takeInterrupts(cpu);
  }

  /**
   * From here on nobody waits for this CPU: requests are answered when it returns to user mode. Who saw it in user mode waits for an answer, so
   * what came until now gets one.
   */
  static leaveUser(cpu: usize): void {
    Shared.store<u32>(cpu + CPU_MODE, MODE_KERNEL);
    Cpu.takeInterrupts(cpu);
  }

  // ---- which mm

  /**
   * Makes `mm` (0: none) the one whose tables user accesses walk, tagged `asid`: switch_mm_irqs_off(). The CPU is in its mask before it
   * reads its generation, so a flush either finds it there or is seen. The ASID is flushed: entries kept across a switch by PCID are
   * not modelled here.
   */
  static loadMm(cpu: usize, mm: usize, asid: u32): void {
    const before = Cpu.mm(cpu);
    if (before != 0) Mm.clearCpu(before, Cpu.id(cpu));
    store<u32>(cpu, <u32>mm, CPU_MM);
    store<u32>(cpu, asid, CPU_ASID);
    Shared.store<u32>(cpu + CPU_LAZY, 0);
    if (mm != 0) Mm.setCpu(mm, Cpu.id(cpu));
    Interrupts.catchUp(cpu);
  }

  /** Runs a kernel thread, and keeps the mm for later: enter_lazy_tlb(). */
  static enterLazy(cpu: usize): void {
    Shared.store<u32>(cpu + CPU_LAZY, 1);
  }

  /** Back to the mm that was kept; false if an interrupt took it away meanwhile. First the flag, then the generation. */
  static leaveLazy(cpu: usize): bool {
    Cpu.takeInterrupts(cpu);
    Shared.exchange<u32>(cpu + CPU_LAZY, 0);
    const mm = Cpu.mm(cpu);
    if (mm == 0) return false;
    if (Mm.tlbGen(mm) != load<u64>(cpu, CPU_GENERATION)) Interrupts.catchUp(cpu);
    return true;
  }

  @inline
  static takeInterrupts(cpu: usize): void {
    if (Shared.load<u64>(cpu + CPU_PENDING) != 0) Interrupts.take(cpu);
  }
}
