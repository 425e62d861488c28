// User accesses that are handled when they fault: what a thread sees of its memory.
//
// Guarantees: an access returns DONE when it was made, or the signal that ended it, and then it was not made. While its handler runs the CPU is in
// kernel mode: flushes are not answered then, and nobody waits for them (cpu.ts); it is in the mode in which it was before when the access returns.

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_USER,
  ACCESS_WRITE,
  CPU_HARDWARE,
  CPU_MODE,
  CPU_POLICY,
  CPU_SHOOT,
  DONE,
  HW_NEGATIVE,
  MODE_USER,
} from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Fault } from "./fault";

export abstract class User {
  /** How the faults of this CPU are handled (HANDLER_*), and how their flushes are carried out (SHOOT_*). */
  static setPolicy(cpu: usize, policy: u32, shoot: u32): void {
    store<u32>(cpu, policy, CPU_POLICY);
    store<u32>(cpu, shoot, CPU_SHOOT);
  }

  /** Loads the word of 8 bytes at `va`; it stands in the agent's reply block. */
  static load<F>(cpu: usize, va: u64): u32 {
    while (Cpu.load<F>(cpu, va) != DONE) {
      const signal = User.fault<F>(cpu, va, ACCESS_READ);
      if (signal != DONE) return signal;
    }
    return DONE;
  }

  /** Fetches an instruction; its word stands in the agent's reply block. */
  static fetch<F>(cpu: usize, va: u64): u32 {
    while (Cpu.fetch<F>(cpu, va) != DONE) {
      const signal = User.fault<F>(cpu, va, ACCESS_EXECUTE);
      if (signal != DONE) return signal;
    }
    return DONE;
  }

  static store<F>(cpu: usize, va: u64, value: u64): u32 {
    while (Cpu.store<F>(cpu, va, value) != DONE) {
      const signal = User.fault<F>(cpu, va, ACCESS_WRITE);
      if (signal != DONE) return signal;
    }
    return DONE;
  }

  /** Exchanges the word; what it was stands in the agent's reply block. */
  static exchange<F>(cpu: usize, va: u64, value: u64): u32 {
    while (Cpu.exchange<F>(cpu, va, value) != DONE) {
      const signal = User.fault<F>(cpu, va, ACCESS_WRITE);
      if (signal != DONE) return signal;
    }
    return DONE;
  }

  /** exc_page_fault(), from the exception to the return from it. */
  static fault<F>(cpu: usize, va: u64, access: u32): u32 {
    const wasUser = Shared.quietLoad<u32>(cpu + CPU_MODE) == MODE_USER;
    if (wasUser) Cpu.leaveUser(cpu);
    const policy = load<u32>(cpu, CPU_POLICY);
    const signal = Fault.handle<F>(cpu, va, access | ACCESS_USER, policy, load<u32>(cpu, CPU_SHOOT));
    // update_mmu_cache(): what the handler made present may be cached as absent still (RISC-V without Svvptc).
    if ((load<u32>(cpu, CPU_HARDWARE) & HW_NEGATIVE) != 0) Cpu.fence(cpu, va);
    if (wasUser) Cpu.enterUser(cpu);
    return signal;
  }
}
