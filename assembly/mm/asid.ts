// Which tag an mm's translations have in the TLBs: x86's few PCIDs of each CPU, and arm64's numbers that all CPUs share.
//
// **x86** (arch/x86/mm/tlb.c). A CPU has PCID_SLOTS slots, each of which says whose translations stand under its PCID, and up to which flush of
// that mm they are current. An mm that comes back finds its slot, and need not be flushed unless a flush went by meanwhile. A slot
// belongs to its CPU alone: plain memory.
//
// **arm64** (arch/arm64/mm/context.c; the same on RISC-V). An mm has one number on all CPUs, so that an invalidation that is broadcast names it.
// When all numbers are given away, a new generation begins: every number is free again, but for those that CPUs are running now
// (reserved), and **every CPU flushes all before it uses its next number**. Without that flush, which ASIDS_NO_FLUSH leaves out, the
// translations of who had the number before answer for who has it now; and a gather that elides the flush of a dying mm
// (SHOOT_ELIDE_FULLMM) stands on it.
//
// When is the number of an mm that goes free again? With the next roll-over, as on arm64: until then nothing asks for its flush, so
// exit_mmap() may elide it. Or at once (ASIDS_RECYCLE), as on powerpc (destroy_context(), arch/powerpc/mm/book3s64/mmu_context.c), so that few numbers
// last long; then the next owner stands on the flush of exit_mmap(), and eliding that is wrong.
//
//   CPU that switches, no lock                     CPU that begins a generation, cpu_asid_lock held
//   --------------------------                     -----------------------------------------------
//   active[c] is not 0?                            generation + 1
//   the mm's generation is the present one?        reserved[c] = exchange active[c] with 0 (or what it was, if that is 0)
//   active[c]: compare-exchange with the mm's      flush pending: all CPUs
//
// Whoever loses that race finds 0 and takes the lock. Lock order: the lock of the ASIDs is a leaf.
//
// Not modelled: pinned ASIDs, user and kernel ASIDs of page-table isolation, global ASIDs of x86 beside the PCIDs of a CPU.

import {
  ASIDS_ACTIVE,
  ASIDS_BITS,
  ASIDS_CURRENT,
  ASIDS_FLAGS,
  ASIDS_FLUSH_PENDING,
  ASIDS_GENERATION,
  ASIDS_LOCK,
  ASIDS_MAP,
  ASIDS_NO_FLUSH,
  ASIDS_RECYCLE,
  ASIDS_RESERVED,
  ASIDS_ROLLOVERS,
  CPU_NEXT_SLOT,
  CPU_SLOTS,
  MM_ASID,
  MM_ASIDS,
  MM_CTX_ID,
  PCID_SLOTS,
} from "../layout";
import { Shared } from "../atomic";
import { Heap } from "../heap";
import { Spinlock } from "../lock/spinlock";

const SLOT_GENERATION: usize = 8;
const CPUS: u32 = 64;
/** Where the generation begins in a context: above the widest ASID, whatever the allocator's width. */
const GENERATION_SHIFT: u64 = 16;
const ONE_GENERATION: u64 = 1 << GENERATION_SHIFT;
const NUMBER: u64 = ONE_GENERATION - 1;
const NONE: u32 = 0xffffffff;

/** The PCIDs of one CPU: `cpu` is its block. */
export abstract class Pcid {
  /** choose_new_asid(): the slot for `mm`, and NEED_FLUSH if what stands under it is not current to `generation`. */
  static choose(cpu: usize, mm: usize, generation: u64): u32 {
    const context = load<u64>(mm, MM_CTX_ID);
    for (let slot: u32 = 0; slot < <u32>PCID_SLOTS; ++slot) {
      if (load<u64>(Pcid.at(cpu, slot)) != context) continue;
      return load<u64>(Pcid.at(cpu, slot), SLOT_GENERATION) < generation ? slot | Pcid.needFlush : slot;
    }
    let slot = load<u32>(cpu, CPU_NEXT_SLOT);
    if (slot >= <u32>PCID_SLOTS) slot = 0;
    store<u32>(cpu, slot + 1, CPU_NEXT_SLOT);
    return slot | Pcid.needFlush;
  }

  /** Beside the slot that `choose` returns. */
  @inline
  static get needFlush(): u32 {
    return 0x100;
  }

  /** Under `slot` stand translations of `mm`, current to `generation`. */
  @inline
  static note(cpu: usize, slot: u32, mm: usize, generation: u64): void {
    store<u64>(Pcid.at(cpu, slot), load<u64>(mm, MM_CTX_ID));
    store<u64>(Pcid.at(cpu, slot), generation, SLOT_GENERATION);
  }

  @inline
  static generation(cpu: usize, slot: u32): u64 {
    return load<u64>(Pcid.at(cpu, slot), SLOT_GENERATION);
  }

  /** kern_pcid(): PCID 0 is special. */
  @inline
  static tag(slot: u32): u32 {
    return slot + 1;
  }

  @inline
  private static at(cpu: usize, slot: u32): usize {
    return cpu + CPU_SLOTS + ((<usize>slot) << 4);
  }
}

/** The numbers that all CPUs share: `asids` is the block. */
export abstract class Asids {
  /** An allocator of 2^`bits` numbers, of which 0 is never given away; 0 if no heap is left. There have to be more than CPUs. */
  static create(bits: u32, flags: u32): usize {
    const bytes = Asids.bytes(bits);
    const asids = Heap.allocate(bytes);
    if (asids == 0) return 0;
    memory.fill(asids, 0, bytes);
    store<u32>(asids, bits, ASIDS_BITS);
    store<u32>(asids, flags, ASIDS_FLAGS);
    store<u64>(asids, ONE_GENERATION, ASIDS_GENERATION);
    store<u32>(asids, 1, ASIDS_CURRENT);
    return asids;
  }

  static bytes(bits: u32): u32 {
    return ASIDS_MAP + (((((<u32>1) << bits) + 63) >> 6) << 3);
  }

  static free(asids: usize): void {
    Heap.free(asids);
  }

  /** What an invalidation of `mm` names. */
  @inline
  static of(mm: usize): u32 {
    return <u32>(Shared.load<u64>(mm + MM_ASID) & NUMBER);
  }

  /** Gives `mm` a number by hand. */
  static assign(mm: usize, asid: u32): void {
    if (Asids.of(mm) != asid) Shared.store<u64>(mm + MM_ASID, asid);
  }

  /**
   * check_and_switch_context() for CPU number `cpu`: its number, and NEED_FLUSH if the CPU flushes all before it uses it. A CPU that has to flush
   * calls `switched` after that; until then the lock is held.
   */
  static activate(asids: usize, mm: usize, cpu: u32): u32 {
    const active = asids + ASIDS_ACTIVE + ((<usize>cpu) << 3);
    let context = Shared.load<u64>(mm + MM_ASID);
    const old = Shared.load<u64>(active);
    if (old != 0 && Asids.present(asids, context) && Shared.compareExchange<u64>(active, old, context) == old) {
      return <u32>(context & NUMBER);
    }
    Spinlock.lock(asids + ASIDS_LOCK);
    context = Shared.load<u64>(mm + MM_ASID);
    if (!Asids.present(asids, context)) {
      context = Asids.renew(asids, context);
      Shared.store<u64>(mm + MM_ASID, context);
      if ((load<u32>(asids, ASIDS_FLAGS) & ASIDS_RECYCLE) != 0) store<u32>(mm, <u32>asids, MM_ASIDS);
    }
    Shared.store<u64>(active, context);
    const bit = (<u64>1) << cpu;
    const pending = Shared.quietLoad<u64>(asids + ASIDS_FLUSH_PENDING);
    if ((pending & bit) != 0) {
      Shared.quietStore<u64>(asids + ASIDS_FLUSH_PENDING, pending & ~bit);
      if ((load<u32>(asids, ASIDS_FLAGS) & ASIDS_NO_FLUSH) == 0) return <u32>(context & NUMBER) | Asids.needFlush;
    }
    Spinlock.unlock(asids + ASIDS_LOCK);
    return <u32>(context & NUMBER);
  }

  @inline
  static get needFlush(): u32 {
    return 0x10000;
  }

  /** The flush that `activate` asked for is done. */
  @inline
  static switched(asids: usize): void {
    Spinlock.unlock(asids + ASIDS_LOCK);
  }

  /** destroy_context() of an mm that nobody runs any more, nor keeps as a lazy TLB. */
  static release(mm: usize): void {
    const asids: usize = load<u32>(mm, MM_ASIDS);
    if (asids == 0) return;
    Spinlock.lock(asids + ASIDS_LOCK);
    const context = Shared.load<u64>(mm + MM_ASID);
    // A number of an older generation went back with the roll-over, and may be another's by now.
    if (Asids.present(asids, context)) Asids.give(asids, <u32>(context & NUMBER));
    Spinlock.unlock(asids + ASIDS_LOCK);
  }

  /** asid_gen_match() */
  @inline
  private static present(asids: usize, context: u64): bool {
    return (context ^ Shared.load<u64>(asids + ASIDS_GENERATION)) >> GENERATION_SHIFT == 0;
  }

  /** new_context(): a context of the present generation, or of a new one. The lock is held. */
  private static renew(asids: usize, context: u64): u64 {
    let generation = Shared.quietLoad<u64>(asids + ASIDS_GENERATION);
    if (context != 0) {
      const renewed = generation | (context & NUMBER);
      // It was running when the numbers ran out, so the number is its own still.
      if (Asids.keepReserved(asids, context, renewed)) return renewed;
      // The number that it had, if nobody has taken it since.
      if (Asids.take(asids, <u32>(context & NUMBER))) return renewed;
    }
    let number = Asids.findFree(asids, Shared.quietLoad<u32>(asids + ASIDS_CURRENT));
    if (number == NONE) {
      generation += ONE_GENERATION;
      Shared.store<u64>(asids + ASIDS_GENERATION, generation);
      Asids.rollOver(asids);
      number = Asids.findFree(asids, 1);
      if (number == NONE) unreachable();
    }
    Asids.take(asids, number);
    Shared.quietStore<u32>(asids + ASIDS_CURRENT, number);
    return generation | number;
  }

  /** flush_context() */
  private static rollOver(asids: usize): void {
    const words = (Asids.bytes(load<u32>(asids, ASIDS_BITS)) - ASIDS_MAP) >> 3;
    for (let n: u32 = 0; n < words; ++n) Shared.quietStore<u64>(asids + ASIDS_MAP + ((<usize>n) << 3), 0);
    for (let cpu: u32 = 0; cpu < CPUS; ++cpu) {
      const at = (<usize>cpu) << 3;
      // A CPU that never ran anything has nothing to keep, and is no step of an exploration.
      const reserved = Shared.quietLoad<u64>(asids + ASIDS_RESERVED + at);
      if (reserved == 0 && Shared.quietLoad<u64>(asids + ASIDS_ACTIVE + at) == 0) continue;
      let context = Shared.exchange<u64>(asids + ASIDS_ACTIVE + at, 0);
      // It went through a roll-over already and has run nothing since: that trace of what it runs is all there is.
      if (context == 0) context = reserved;
      Asids.take(asids, <u32>(context & NUMBER));
      Shared.quietStore<u64>(asids + ASIDS_RESERVED + at, context);
    }
    Shared.quietStore<u64>(asids + ASIDS_FLUSH_PENDING, 0xffffffffffffffff);
    Shared.quietStore<u32>(asids + ASIDS_ROLLOVERS, Shared.quietLoad<u32>(asids + ASIDS_ROLLOVERS) + 1);
  }

  /** check_update_reserved_asid(): every copy has to say the new generation, or the next roll-over would not know it. */
  private static keepReserved(asids: usize, context: u64, renewed: u64): bool {
    let kept = false;
    for (let cpu: u32 = 0; cpu < CPUS; ++cpu) {
      const at = asids + ASIDS_RESERVED + ((<usize>cpu) << 3);
      if (Shared.quietLoad<u64>(at) != context) continue;
      Shared.quietStore<u64>(at, renewed);
      kept = true;
    }
    return kept;
  }

  /** __test_and_set_bit(): false if somebody has it. */
  private static take(asids: usize, number: u32): bool {
    const word = asids + ASIDS_MAP + ((<usize>(number >> 6)) << 3);
    const bit = (<u64>1) << (number & 63);
    const map = Shared.quietLoad<u64>(word);
    if ((map & bit) != 0) return false;
    Shared.quietStore<u64>(word, map | bit);
    return true;
  }

  /** __clear_bit(): free to be given away, and looked for first. */
  private static give(asids: usize, number: u32): void {
    const word = asids + ASIDS_MAP + ((<usize>(number >> 6)) << 3);
    Shared.quietStore<u64>(word, Shared.quietLoad<u64>(word) & ~((<u64>1) << (number & 63)));
    if (number < Shared.quietLoad<u32>(asids + ASIDS_CURRENT)) Shared.quietStore<u32>(asids + ASIDS_CURRENT, number);
  }

  /** find_next_zero_bit(): a free number from `from` on, or NONE. */
  private static findFree(asids: usize, from: u32): u32 {
    const count = (<u32>1) << load<u32>(asids, ASIDS_BITS);
    for (let number = from; number < count; ++number) {
      const map = Shared.quietLoad<u64>(asids + ASIDS_MAP + ((<usize>(number >> 6)) << 3));
      if (((map >> (number & 63)) & 1) == 0) return number;
    }
    return NONE;
  }
}
