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
// Source: flush_tlb_mm_range(), native_flush_tlb_multi() in arch/x86/mm/tlb.c; the options after "x86/mm/tlb: Flush remote and local
// TLBs concurrently" (4ce94eabac16, 2021) and the early acknowledgement of the same series.
// The order is Linux's: the entries have changed, then the generation grows, then the CPU mask is read (inc_mm_tlb_gen), and last of all secondary
// TLBs hear of it (mmu_notifier_arch_invalidate_secondary_tlbs).

import {
  CPU_FLUSHES,
  CPU_LAZY,
  CPU_MODE,
  CPU_SENT,
  MODE_USER,
  REQUEST_ALL,
  SHOOT_CEILING,
  SHOOT_CONCURRENT,
  SHOOT_EARLY_ACK,
  SHOOT_EARLY_ACK_TABLES,
  SHOOT_POSTED,
  SHOOT_SKIP_LAZY,
  SHOOT_SKIP_LAZY_TABLES,
} from "../layout";
import { Count } from "../assoc";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Interrupts } from "../interrupt";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Broadcasts } from "./broadcast";

/** Of a request for whatever a CPU has loaded. */
const ANY_GENERATION: u64 = 0xffffffffffffffff;
const EVERYTHING: u64 = 0xffffffffffffffff;

export abstract class Shootdown {
  /**
   * Flushes [first, last] of `mm`, in steps of 2^`stride`, from CPU `self`, which must not be in user mode. More single invalidations than
   * the ceiling make it a full flush. `options` is SHOOT_* and the ceiling above SHOOT_CEILING; `freedTables` says that
   * table pages go, which lazy CPUs must hear of too. Returns the number of CPUs that were interrupted, or invalidated in.
   */
  static flush(self: usize, mm: usize, first: u64, last: u64, stride: u32, freedTables: bool, options: u32): u32 {
    Count.one(self + CPU_FLUSHES);
    const ceiling = <u64>(options >> SHOOT_CEILING);
    const all = stride == REQUEST_ALL || (ceiling != 0 && ((last - first) >> stride) + 1 > ceiling);
    const step = all ? REQUEST_ALL : stride;
    if (Cpu.broadcast(self)) return Broadcasts.flush(self, mm, first, last, step, freedTables, options);
    const generation = Mm.incTlbGen(mm);
    const targets = Mm.cpuMask(mm) & ~((<u64>1) << Cpu.id(self));
    const local = Cpu.mm(self) == mm;
    const concurrent = (options & SHOOT_CONCURRENT) != 0;
    if (local && !concurrent) Interrupts.flush(self, first, last, step, generation);
    const asked = Shootdown.ask(self, targets, mm, first, last, step, generation, freedTables, options);
    if (local && concurrent) Interrupts.flush(self, first, last, step, generation);
    if ((options & SHOOT_POSTED) == 0) Shootdown.await(self, asked);
    Notifiers.invalidateSecondary(mm, all ? 0 : first, all ? EVERYTHING : last);
    return <u32>popcnt(asked);
  }

  /**
   * Has the CPUs of `targets` come up to date with whatever mm each of them has loaded: arch_tlbbatch_flush(). Returns the number of CPUs that
   * were interrupted. Not for CPUs that others invalidate in. Secondary TLBs heard of each page when it was put into the batch.
   */
  static catchUp(self: usize, targets: u64, options: u32): u32 {
    Count.one(self + CPU_FLUSHES);
    const own = (<u64>1) << Cpu.id(self);
    const local = (targets & own) != 0;
    const concurrent = (options & SHOOT_CONCURRENT) != 0;
    if (local && !concurrent) Interrupts.catchUpIfBehind(self);
    const asked = Shootdown.ask(self, targets & ~own, 0, 0, 0, REQUEST_ALL, ANY_GENERATION, false, options);
    if (local && concurrent) Interrupts.catchUpIfBehind(self);
    if ((options & SHOOT_POSTED) == 0) Shootdown.await(self, asked);
    return <u32>popcnt(asked);
  }

  /** Sends all of `targets` the request, before the first is waited for. Returns who got one. */
  private static ask(
    self: usize,
    targets: u64,
    mm: usize,
    first: u64,
    last: u64,
    stride: u32,
    generation: u64,
    freedTables: bool,
    options: u32,
  ): u64 {
    const sender = Cpu.id(self);
    const skips = (options & SHOOT_SKIP_LAZY) != 0 && (!freedTables || (options & SHOOT_SKIP_LAZY_TABLES) != 0);
    const early = (options & SHOOT_EARLY_ACK) != 0 && (!freedTables || (options & SHOOT_EARLY_ACK_TABLES) != 0);
    let asked: u64 = 0;
    for (let left = targets; left != 0; left &= left - 1) {
      const id = <u32>ctz(left);
      const cpu = Cpu.at(id);
      // A lazy CPU makes no user access, and compares generations before it makes one again (leaveLazy).
      if (cpu == 0 || (skips && Shared.load<u32>(cpu + CPU_LAZY) != 0)) continue;
      Interrupts.send(cpu, sender, mm, first, last, stride, generation, early);
      Count.one(self + CPU_SENT);
      asked |= (<u64>1) << id;
    }
    return asked;
  }

  private static await(self: usize, asked: u64): void {
    for (let left = asked; left != 0; left &= left - 1) {
      const cpu = Cpu.at(<u32>ctz(left));
      if (Shared.load<u32>(cpu + CPU_MODE) == MODE_USER) Interrupts.awaitAnswer(cpu, Cpu.id(self));
    }
  }
}
