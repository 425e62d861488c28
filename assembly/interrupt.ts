// Requests to invalidate that CPUs send each other, and how a CPU answers one.
//
// Guarantees: when the state of a request is REQUEST_IDLE again, the CPU's TLB holds nothing that this one and those of its sender before it cover.
// No request is lost: a CPU has a slot for each sender, which the sender writes while it is idle; a request that comes before
// the last one is answered (nobody waited for it) makes the CPU invalidate all. CPU_PENDING says which slots to look at; it may
// say so once too often.
//
// The rules by which a request is answered in part, in full or not at all are those of flush_tlb_func() (arch/x86/mm/tlb.c):
// `tlb_gen` counts the flushes that an mm asked for, a CPU remembers up to which it is current. A partial flush is enough only if
// it is the very next one and nobody has asked for another since; a CPU that is current already has nothing to do.
//
//   why "nobody has asked since": CPU at 1, flushes 2 (of page A) and 3 (full) are under way. If 3 arrives first, the CPU becomes
//   current to 3. If 2 arrived first and only page A were dropped, it could not say that it is current to 3, nor would it be
//   wrong to: but when it then skips 3 as old, the rest stays. So it drops all, and is current to what it read.

import {
  BUILD_EXPLORE,
  CPU_ASID,
  CPU_AVOIDED,
  CPU_FULL,
  CPU_GENERATION,
  CPU_ID,
  CPU_INTERRUPTS,
  CPU_LAZY,
  CPU_MM,
  CPU_MODE,
  CPU_PARTIAL,
  CPU_PENDING,
  CPU_REQUESTS,
  MODE_USER,
  REQUEST_ALL,
  REQUEST_BYTES,
  REQUEST_EARLY,
  REQUEST_FIRST,
  REQUEST_GENERATION,
  REQUEST_IDLE,
  REQUEST_LAST,
  REQUEST_MM,
  REQUEST_ONE,
  REQUEST_SEVERAL,
  REQUEST_STATE,
  REQUEST_STRIDE,
  SCOPE_GLOBAL,
  SCOPE_STRUCTURES,
} from "./layout";
import { Agent } from "./agent";
import { Count } from "./assoc";
import { Shared } from "./atomic";
import { Invalidation } from "./invalidation";
import { Mm } from "./mm/mm";
import { StoreBuffer } from "./storebuffer";
import { Walker } from "./walker";

/** CPUs that this instance runs in turns, u32 each, and how many: they answer while one of them waits. */
let crowd: usize = 0;
let crowded: u32 = 0;

/** How often such an instance looks whether it was answered before it sleeps for moments: others wait for its CPUs. */
const PATIENCE: u32 = 5000;
const MOMENT_NS: i64 = 20000;

export abstract class Interrupts {
  /** The `count` CPUs whose addresses stand at `cpus` are run by this instance, one at a time between two instructions (litmus/crowd.ts). */
  static setCrowd(cpus: usize, count: u32): void {
    crowd = cpus;
    crowded = count;
  }

  /** Has the CPUs of this instance that stand between two accesses in user mode answer. */
  static answerForOthers(): void {
    for (let n: u32 = 0; n < crowded; ++n) {
      const cpu = <usize>load<u32>(crowd + ((<usize>n) << 2));
      if (Shared.load<u32>(cpu + CPU_MODE) == MODE_USER) Interrupts.poll(cpu);
    }
  }

  /**
   * Sends `cpu` a request of CPU `sender`, whose agent calls; without an mm: to come up to date with whatever it has loaded. `early` allows it
   * to acknowledge before it carries it out.
   */
  static send(
    cpu: usize,
    sender: u32,
    mm: usize,
    first: u64,
    last: u64,
    stride: u32,
    generation: u64,
    early: bool,
  ): void {
    const request = Interrupts.slot(cpu, sender);
    const idle = Shared.load<u32>(request + REQUEST_STATE) == REQUEST_IDLE;
    if (idle) {
      Shared.quietStore<u32>(request + REQUEST_MM, <u32>mm);
      Shared.quietStore<u32>(request + REQUEST_STRIDE, stride);
      Shared.quietStore<u64>(request + REQUEST_FIRST, first);
      Shared.quietStore<u64>(request + REQUEST_LAST, last);
      Shared.quietStore<u64>(request + REQUEST_GENERATION, generation);
      Shared.quietStore<u32>(request + REQUEST_EARLY, early ? 1 : 0);
    }
    Shared.store<u32>(request + REQUEST_STATE, idle ? REQUEST_ONE : REQUEST_SEVERAL);
    Shared.raise<u64>(cpu + CPU_PENDING, (<u64>1) << sender);
  }

  /** Waits until `cpu`, which is in user mode or on its way out, has answered what CPU `sender`, whose agent calls, sent it. */
  static awaitAnswer(cpu: usize, sender: u32): void {
    const p = Interrupts.slot(cpu, sender) + REQUEST_STATE;
    let state = Shared.load<u32>(p);
    for (let n: u32 = 0; BUILD != BUILD_EXPLORE && crowded > 1 && state != REQUEST_IDLE; ++n) {
      Interrupts.answerForOthers();
      state = Shared.load<u32>(p);
      // The thread that is to answer may want the processor.
      if (n >= PATIENCE && Agent.mayBlock()) Shared.nap(p, state, false, MOMENT_NS);
    }
    while (state != REQUEST_IDLE) state = Shared.awaitChange<u32>(p, state);
  }

  /** Between two accesses: answers what is pending, if anything is. */
  @inline
  static poll(cpu: usize): void {
    if (Shared.load<u64>(cpu + CPU_PENDING) != 0) Interrupts.take(cpu);
  }

  /** Answers all that is pending. The agent that runs `cpu` calls, between two accesses. */
  static take(cpu: usize): void {
    StoreBuffer.drain(cpu);
    for (let pending = Shared.exchange<u64>(cpu + CPU_PENDING, 0); pending != 0; pending &= pending - 1) {
      Interrupts.respond(cpu, Interrupts.slot(cpu, <u32>ctz(pending)));
    }
  }

  /**
   * Answers one sender. The state stays REQUEST_ONE meanwhile, so that REQUEST_SEVERAL in its place says that a request came after this
   * answer began.
   *
   * An early acknowledgement says that the CPU has no access in flight and will make none before it has invalidated. That is all that who
   * changed an entry has to know, not who frees a table: the hardware walker may still go through it (Amit, "x86/mm/tlb: Improve
   * TLB flushing", 2019-2021; flush_tlb_func is acknowledged early unless freed_tables).
   */
  private static respond(cpu: usize, request: usize): void {
    const p = request + REQUEST_STATE;
    let state = Shared.load<u32>(p);
    while (state != REQUEST_IDLE) {
      Count.one(cpu + CPU_INTERRUPTS);
      if (state == REQUEST_ONE && Shared.quietLoad<u32>(request + REQUEST_EARLY) != 0) {
        state = Interrupts.respondEarly(cpu, request);
        if (state == REQUEST_ONE) return;
        continue;
      }
      if (state == REQUEST_ONE) {
        Interrupts.answer(
          cpu,
          Shared.quietLoad<u32>(request + REQUEST_MM),
          Shared.quietLoad<u64>(request + REQUEST_FIRST),
          Shared.quietLoad<u64>(request + REQUEST_LAST),
          Shared.quietLoad<u32>(request + REQUEST_STRIDE),
          Shared.quietLoad<u64>(request + REQUEST_GENERATION),
        );
      } else {
        Shared.store<u32>(p, REQUEST_ONE);
        Interrupts.catchUp(cpu);
      }
      state = Shared.compareExchange<u32>(p, REQUEST_ONE, REQUEST_IDLE);
      if (state == REQUEST_ONE) break;
    }
    Shared.wake(p);
  }

  /** Acknowledges, then carries out. Returns REQUEST_ONE if that is done, or what the state is instead. */
  private static respondEarly(cpu: usize, request: usize): u32 {
    const p = request + REQUEST_STATE;
    // From the acknowledgement on the sender may write its slot.
    const mm = <usize>Shared.quietLoad<u32>(request + REQUEST_MM);
    const first = Shared.quietLoad<u64>(request + REQUEST_FIRST);
    const last = Shared.quietLoad<u64>(request + REQUEST_LAST);
    const stride = Shared.quietLoad<u32>(request + REQUEST_STRIDE);
    const generation = Shared.quietLoad<u64>(request + REQUEST_GENERATION);
    const state = Shared.compareExchange<u32>(p, REQUEST_ONE, REQUEST_IDLE);
    if (state != REQUEST_ONE) return state;
    Shared.wake(p);
    Walker.interlude(cpu);
    Interrupts.answer(cpu, mm, first, last, stride, generation);
    return state;
  }

  /** Invalidates a range, or all for REQUEST_ALL, of the mm that `cpu` has loaded, as far as it is not current: flush_tlb_func(). */
  static flush(cpu: usize, first: u64, last: u64, stride: u32, generation: u64): void {
    const mm = <usize>load<u32>(cpu, CPU_MM);
    const current = load<u64>(cpu, CPU_GENERATION);
    if (generation <= current) {
      Count.one(cpu + CPU_AVOIDED);
      return;
    }
    const latest = Mm.tlbGen(mm);
    if (stride == REQUEST_ALL || generation != current + 1 || generation != latest) {
      Interrupts.catchUp(cpu);
      return;
    }
    Count.one(cpu + CPU_PARTIAL);
    Invalidation.range(cpu, first, last, stride, load<u32>(cpu, CPU_ASID), SCOPE_GLOBAL | SCOPE_STRUCTURES);
    store<u64>(cpu, generation, CPU_GENERATION);
  }

  /** Invalidates all of the loaded mm; the CPU is then current to what the mm's generation was before. */
  static catchUp(cpu: usize): void {
    const mm = <usize>load<u32>(cpu, CPU_MM);
    const latest = mm == 0 ? 0 : Mm.tlbGen(mm);
    Count.one(cpu + CPU_FULL);
    Invalidation.asid(cpu, load<u32>(cpu, CPU_ASID));
    store<u64>(cpu, latest, CPU_GENERATION);
  }

  /** As `catchUp`, if a flush went by that the CPU has not seen. */
  static catchUpIfBehind(cpu: usize): void {
    const mm = <usize>load<u32>(cpu, CPU_MM);
    if (mm == 0) return;
    if (Mm.tlbGen(mm) != load<u64>(cpu, CPU_GENERATION)) Interrupts.catchUp(cpu);
    else Count.one(cpu + CPU_AVOIDED);
  }

  private static answer(cpu: usize, asked: usize, first: u64, last: u64, stride: u32, generation: u64): void {
    const mm = <usize>load<u32>(cpu, CPU_MM);
    if (mm == 0 || (asked != 0 && asked != mm)) return;
    // Its own word, which nobody else writes.
    if (Shared.quietLoad<u32>(cpu + CPU_LAZY) != 0) {
      // It runs a kernel thread and keeps the mm for later: it gives it up instead (switch_mm(init_mm)).
      Mm.clearCpu(mm, load<u32>(cpu, CPU_ID));
      Interrupts.catchUp(cpu);
      store<u32>(cpu, 0, CPU_MM);
    } else if (asked == 0) Interrupts.catchUpIfBehind(cpu);
    else Interrupts.flush(cpu, first, last, stride, generation);
  }

  @inline
  private static slot(cpu: usize, sender: u32): usize {
    return cpu + CPU_REQUESTS + <usize>sender * REQUEST_BYTES;
  }
}
