// One user access of a CPU: LOOK, WALK, ADSET, DATA.
//
// Guarantees: an access is what hardware does, in steps that those of other CPUs fall between: look up; on a miss walk, set A, fill (walker.ts);
// for the first store through an entry set D (dirty.ts); load or store the word in the frame that the entry named. Interrupts are
// taken between accesses only, so an acknowledged invalidation means that no access through the entry is in flight (Intel SDM
// vol. 3A, 4.10.5). Where others invalidate without asking (HW_BROADCAST), they wait for what is in flight (inflight.ts).
//
// A fault drops what the TLB holds for the address (SDM 4.10.4.1), unless the hardware caches what is not present: then a fence has to do that
// (Cpu.fence). What the fault was stands in the CPU's block until it enters user mode again.
//
// Not modelled: accesses across a page boundary, access sizes other than 8 bytes, caches and store buffers, protection keys on a
// hit (they are judged by the walk).

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_USER,
  ACCESS_WRITE,
  ARRAY_HITS,
  BUILD_RELEASE,
  CPU_ASID,
  CPU_FAULT_ACCESS,
  CPU_FAULT_CACHED,
  CPU_FAULT_CAUSE,
  CPU_FAULT_CODE,
  CPU_FAULT_LEVEL,
  CPU_FAULT_VA,
  CPU_FAULTS,
  CPU_HARDWARE,
  CPU_MACHINE,
  CPU_MM,
  CPU_PENDING,
  CPU_TLB,
  DONE,
  ENTRY_HOST,
  ENTRY_RESULT,
  FAULT_ABSENT,
  FAULT_PROTECTION,
  FAULT_UNBACKED,
  FAULTED,
  HW_EVICT,
  HW_NEGATIVE,
  HW_SPECULATE,
  MACHINE_LAZY_WB,
  RESULT_DIRTY,
  RESULT_MAPPED,
  RESULT_NO_EXECUTE,
  RESULT_SHIFT,
  RESULT_UNREADABLE,
  RESULT_USER,
  RESULT_WRITABLE,
  TLB_ACCESSES,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
} from "./layout";
import { Agent } from "./agent";
import { Assoc, Count, Tag } from "./assoc";
import { Shared } from "./atomic";
import { Dirty, WriteBack } from "./dirty";
import { Frames } from "./frame";
import { InFlight } from "./inflight";
import { Interrupts } from "./interrupt";
import { Mm } from "./mm/mm";
import { Space } from "./space";
import { Silent, Tlb } from "./tlb";
import { AGAIN, Walk } from "./walk";
import { Walker } from "./walker";

const MAPPED: u64 = (<u64>RESULT_MAPPED) << RESULT_SHIFT;
const DIRTY: u64 = (<u64>RESULT_DIRTY) << RESULT_SHIFT;
const PFN_BITS: u64 = 0x000ffffffffff000;
const WORD_IN_PAGE: u64 = 0xff8;
/** Where the upper half of the result word stands, and its RESULT_* flags in that. */
const FLAGS: usize = ENTRY_RESULT + 4;
const FLAGS_SHIFT: u32 = RESULT_SHIFT - 32;

export abstract class Access {
  // ---- each returns DONE or FAULTED, what was read in the agent's reply block

  static load<F, S>(cpu: usize, va: u64): u32 {
    return Access.read<F, S>(cpu, va, ACCESS_READ | ACCESS_USER);
  }

  /** An instruction fetch, of the 8 bytes around `va`. */
  static fetch<F, S>(cpu: usize, va: u64): u32 {
    return Access.read<F, S>(cpu, va, ACCESS_EXECUTE | ACCESS_USER);
  }

  @inline
  private static read<F, S>(cpu: usize, va: u64, access: u32): u32 {
    const word = Access.reach<F, S>(cpu, va, access);
    if (word == 0) return FAULTED;
    store<u64>(Agent.reply(), Shared.load<u64>(word));
    InFlight.complete<S>(cpu);
    return DONE;
  }

  static store<F, S>(cpu: usize, va: u64, value: u64): u32 {
    const word = Access.reach<F, S>(cpu, va, ACCESS_WRITE | ACCESS_USER);
    if (word == 0) return FAULTED;
    Shared.store<u64>(word, value);
    InFlight.complete<S>(cpu);
    return DONE;
  }

  static exchange<F, S>(cpu: usize, va: u64, value: u64): u32 {
    const word = Access.reach<F, S>(cpu, va, ACCESS_WRITE | ACCESS_USER);
    if (word == 0) return FAULTED;
    store<u64>(Agent.reply(), Shared.exchange<u64>(word, value));
    InFlight.complete<S>(cpu);
    return DONE;
  }

  // ---- from the address to the word

  /** The linear address of the word for DATA, after which comes `complete`; or 0 after a fault. */
  @inline
  static reach<F, S>(cpu: usize, va: u64, access: u32): usize {
    if (BUILD == BUILD_RELEASE && (access & ACCESS_EXECUTE) == 0 && !changetype<S>(0).shared) {
      const word = Access.quickly<F>(cpu, va, access);
      if (word != 0) return word;
    }
    return Access.translate<F, S>(cpu, va, access);
  }

  /** LOOK where the page was found last, if nothing stands in the way of DATA: as `translate`, or 0. */
  @inline
  private static quickly<F>(cpu: usize, va: u64, access: u32): usize {
    if (atomic.load<u64>(cpu + CPU_PENDING) != 0) return 0;
    if ((load<u32>(cpu, CPU_HARDWARE) & (HW_EVICT | HW_SPECULATE)) != 0) return 0;
    const shift = changetype<F>(0).shift(0);
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    const hints = <usize>load<u32>(tlb, TLB_HINTS_AT);
    const entry = <usize>load<u32>(hints + (<usize>(va >> (shift - 2)) & <usize>load<u32>(tlb, TLB_HINTS_MASK)));
    if (load<u64>(entry) != Tag.of(va, shift, Tag.asid(load<u32>(cpu, CPU_ASID)))) return 0;
    const write = (access & ACCESS_WRITE) != 0;
    const need: u32 = RESULT_MAPPED | RESULT_USER | (write ? RESULT_WRITABLE | RESULT_DIRTY : 0);
    const test: u32 = need | (write ? 0 : RESULT_UNREADABLE);
    if ((load<u32>(entry, FLAGS) & (test << FLAGS_SHIFT)) != need << FLAGS_SHIFT) return 0;
    const host = <usize>load<u32>(entry, ENTRY_HOST);
    if (host == 0) return 0;
    const array = <usize>load<u32>(Tlb.serving(tlb, 0, 1, 0));
    Count.one(tlb + TLB_ACCESSES);
    Count.one(array + ARRAY_HITS);
    Assoc.touch(tlb, array, entry);
    return host + <usize>(va & WORD_IN_PAGE);
  }

  /** LOOK, WALK and ADSET. */
  private static translate<F, S>(cpu: usize, va: u64, access: u32): usize {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    const asid = load<u32>(cpu, CPU_ASID);
    const fetch: u32 = (access & ACCESS_EXECUTE) != 0 ? 1 : 0;
    while (true) {
      Interrupts.poll(cpu);
      if ((load<u32>(cpu, CPU_HARDWARE) & (HW_EVICT | HW_SPECULATE)) != 0) Walker.environment<S>(cpu, va);
      InFlight.begin<S>(cpu);
      let entry = Tlb.lookUp<S>(tlb, va, asid, fetch);
      InFlight.begun<S>();
      if (entry == 0) {
        const walked = Walker.walk<F, S>(cpu, va, access);
        if ((walked & MAPPED) == 0) return Access.fault<S>(cpu, va, access, walked, 0);
        entry = <usize>walked;
        if (entry == 0) continue;
      }
      let result = Tlb.resultAt(tlb, entry, va);
      const refused = Access.refuse<F>(cpu, result, access);
      if (refused != 0) return Access.fault<S>(cpu, va, access, refused, 1);
      if ((access & ACCESS_WRITE) != 0 && (result & DIRTY) == 0) {
        result = Dirty.set<F, S>(cpu, entry, va, result);
        if (result == AGAIN) {
          Access.drop<S>(cpu, va);
          continue;
        }
        if ((result & MAPPED) == 0) return Access.fault<S>(cpu, va, access, result, 1);
      }
      const page = Frames.backing(result & PFN_BITS);
      if (page == 0) return Access.fault<S>(cpu, va, access, Walk.fault(FAULT_UNBACKED, 0, 0), 1);
      return page + <usize>(va & WORD_IN_PAGE);
    }
  }

  /** The word of the fault if what the entry says does not allow the access, or 0. */
  private static refuse<F>(cpu: usize, result: u64, access: u32): u64 {
    const flags = <u32>(result >> RESULT_SHIFT);
    const need: u32 = RESULT_MAPPED | RESULT_USER | ((access & ACCESS_WRITE) != 0 ? RESULT_WRITABLE : 0);
    const execute = (access & ACCESS_EXECUTE) != 0;
    const never: u32 = execute ? RESULT_NO_EXECUTE : (access & ACCESS_READ) != 0 ? RESULT_UNREADABLE : 0;
    if ((flags & (need | never)) == need) return 0;
    const regime = Space.regime(Mm.space(load<u32>(cpu, CPU_MM)));
    const format = changetype<F>(0);
    if ((flags & RESULT_MAPPED) == 0) return Walk.fault(FAULT_ABSENT, 0, format.faultCode(access, regime));
    return Walk.fault(FAULT_PROTECTION, Tlb.pageLevel(result), format.protectionCode(access, regime));
  }

  private static fault<S>(cpu: usize, va: u64, access: u32, word: u64, cached: u32): usize {
    Count.one(cpu + CPU_FAULTS);
    store<u64>(cpu, va, CPU_FAULT_VA);
    store<u32>(cpu, access, CPU_FAULT_ACCESS);
    store<u32>(cpu, Walk.cause(word), CPU_FAULT_CAUSE);
    store<u32>(cpu, Walk.faultLevel(word), CPU_FAULT_LEVEL);
    store<u32>(cpu, Walk.faultCode(word), CPU_FAULT_CODE);
    store<u32>(cpu, cached, CPU_FAULT_CACHED);
    if ((load<u32>(cpu, CPU_HARDWARE) & HW_NEGATIVE) == 0) Access.drop<S>(cpu, va);
    InFlight.complete<S>(cpu);
    return 0;
  }

  /** Drops all that the TLB would use for `va`. */
  static drop<S>(cpu: usize, va: u64): void {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    const asid = load<u32>(cpu, CPU_ASID);
    if (load<u32>(cpu, CPU_MACHINE) == MACHINE_LAZY_WB) Tlb.dropFaulted<S, WriteBack>(tlb, va, asid);
    else Tlb.dropFaulted<S, Silent>(tlb, va, asid);
  }
}
