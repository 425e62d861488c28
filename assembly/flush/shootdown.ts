// Shootdown: an mm's flush, carried out in the TLB of every CPU that may hold its translations.
//
// Guarantees: when a flush returns, no CPU makes another access through an entry that it covers, and none is in flight; unless it was posted,
// which promises nothing (the half-wrong machine of the scenarios). A CPU that flushes is not in user mode, and who is not in user
// mode is not waited for: so two that flush at once do not wait for each other for ever.
//
//   who flushes                       the CPU
//   -----------                       -------
//   note the request                  leaveUser:  mode = kernel         enterUser:  mode = user
//   pending |= sender                             answer what pends                 answer what pends
//   mode user?  wait for the answer                                                 access
//
// Each side writes first and reads then. Whoever flushes and sees user mode has a CPU before it that will see the request: between two
// accesses, or when it leaves. Whoever sees kernel mode knows that it answers before its next access.
//
// Source: flush_tlb_mm_range(), native_flush_tlb_multi() in arch/x86/mm/tlb.c.
// The order is Linux's: the entries have changed, then the generation grows, then the CPU mask is read (inc_mm_tlb_gen).

import { CPU_LAZY, CPU_MODE, MODE_USER, REQUEST_ALL, SHOOT_CEILING, SHOOT_POSTED, SHOOT_SKIP_LAZY } from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Interrupts } from "../interrupt";
import { Mm } from "../mm/mm";

export abstract class Shootdown {
  /**
   * Flushes [first, last] of `mm`, in steps of 2^`stride`, from CPU `self`, which must not be in user mode. More single invalidations than
   * the ceiling make it a full flush. `options` is SHOOT_* and the ceiling above SHOOT_CEILING; `freedTables` says that
   * table pages go, which lazy CPUs must hear of too. Returns the number of CPUs that were interrupted.
   */
  static flush(self: usize, mm: usize, first: u64, last: u64, stride: u32, freedTables: bool, options: u32): u32 {
    const ceiling = <u64>(options >> SHOOT_CEILING);
    const all = stride == REQUEST_ALL || (ceiling != 0 && ((last - first) >> stride) + 1 > ceiling);
    const step = all ? REQUEST_ALL : stride;
    const generation = Mm.incTlbGen(mm);
    const sender = Cpu.id(self);
    let targets = Mm.cpuMask(mm);
    if (Cpu.mm(self) == mm) Interrupts.flush(self, first, last, step, generation);
    targets &= ~((<u64>1) << sender);

    let asked: u32 = 0;
    // All are asked before the first is waited for.
    for (let left = targets; left != 0; left &= left - 1) {
      const id = <u32>ctz(left);
      const cpu = Cpu.at(id);
      // A lazy CPU makes no user access, and compares generations before it makes one again (leaveLazy).
      if (cpu == 0 || (!freedTables && (options & SHOOT_SKIP_LAZY) != 0 && Shared.load<u32>(cpu + CPU_LAZY) != 0)) {
        targets &= ~((<u64>1) << id);
        continue;
      }
      Interrupts.send(cpu, sender, mm, first, last, step, generation);
      ++asked;
    }
    if ((options & SHOOT_POSTED) == 0) {
      for (let left = targets; left != 0; left &= left - 1) {
        const cpu = Cpu.at(<u32>ctz(left));
        if (Shared.load<u32>(cpu + CPU_MODE) == MODE_USER) Interrupts.awaitAnswer(cpu, sender);
      }
    }
    return asked;
  }
}
