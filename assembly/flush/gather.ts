// Gather: unhook pages, flush, free, in this order, with as few flushes as the rules allow (struct mmu_gather, include/asm-generic/tlb.h,
// mm/mmu_gather.c, Linux 6.x).
//
// Guarantees: a page or table that is handed to a gather keeps its frame until a flush that covers it is complete; there is no other way
// from the gather to the allocator. `finish` leaves nothing behind. The words, side by side:
//   gather, gatherFullmm   begin; the second only when nobody uses the mm any more (exit), for then some processors do not flush at all
//   removeEntry            an entry was cleared: widens the range, says at which level (cleared_*)
//   removePage             its page goes with the flush; true if a flush is due now, because there is no room for another
//   removeTable            a table page goes: after the flush and a grace period, for walkers without a lock may be in it
//   flushTlbOnly           flushes the range, if an entry was cleared or a table freed (0758cd830494: a widened range alone does
//                          not count, which is why clear_refs must say so itself)
//   flush                  flushTlbOnly, then frees
//   finish                 as flush; if somebody else owes a flush of this mm, everything is flushed, tables and all, for this gather
//                          may have found their entries gone and gathered nothing (7a30df49f63a)
//
// A gather belongs to one agent, like the one on a kernel stack: plain memory. tlb_flush_pending is counted from begin to finish.
// Not modelled: delayed rmap, hugetlb, tables in batches of their own (each goes to the RCU queue).

import {
  FRAME_DATA,
  FRAME_SHIFT,
  GATHER_BATCH_COUNT,
  GATHER_BUNDLE,
  GATHER_CLEARED,
  GATHER_CPU,
  GATHER_END,
  GATHER_FLUSHES,
  GATHER_FREED,
  GATHER_FREED_TABLES,
  GATHER_FULLMM,
  GATHER_INTERRUPTED,
  GATHER_LAST_BATCH,
  GATHER_LOCAL,
  GATHER_LOCAL_USED,
  GATHER_MAX_BATCH,
  GATHER_MAX_BATCHES,
  GATHER_MM,
  GATHER_NEED_FLUSH_ALL,
  GATHER_SHOOT,
  GATHER_START,
  GATHER_TABLES,
  REQUEST_ALL,
  SHOOT_ELIDE_FULLMM,
} from "../layout";
import { Frames, NO_FRAME } from "../frame";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { SwapArea } from "../mm/swap";
import { Rcu } from "../rcu";
import { Space } from "../space";
import { Shootdown } from "./shootdown";

const NOTHING: u64 = 0xffffffffffffffff;
/** A batch page: u32 the one before it, index + 1; u32 pages in it; from byte 16 on, a word of 8 bytes for each. */
const BATCH_USED: usize = 4;
const BATCH_PAGES: usize = 16;

export abstract class Gather {
  /** tlb_gather_mmu(). `tlb` is a block of GATHER_BYTES; `cpu` carries out the flushes, with SHOOT_* `shoot`. */
  static begin(tlb: usize, mm: usize, cpu: usize, fullmm: bool, shoot: u32): void {
    Gather.prepare(tlb, mm, cpu, fullmm, shoot);
    Mm.incFlushPending(mm);
  }

  /** `begin` without the counting, which is the caller's then, and so is that at the end: `widenNested`, `flush`. */
  static prepare(tlb: usize, mm: usize, cpu: usize, fullmm: bool, shoot: u32): void {
    store<u32>(tlb, <u32>mm, GATHER_MM);
    store<u32>(tlb, <u32>cpu, GATHER_CPU);
    store<u32>(tlb, shoot, GATHER_SHOOT);
    store<u32>(tlb, fullmm ? 1 : 0, GATHER_FULLMM);
    store<u32>(tlb, 0, GATHER_NEED_FLUSH_ALL);
    store<u32>(tlb, 0, GATHER_BATCH_COUNT);
    store<u32>(tlb, 0, GATHER_LAST_BATCH);
    store<u32>(tlb, 0, GATHER_LOCAL_USED);
    store<u32>(tlb, 0, GATHER_TABLES);
    store<u32>(tlb, 0, GATHER_FLUSHES);
    store<u32>(tlb, 0, GATHER_FREED);
    store<u32>(tlb, 0, GATHER_INTERRUPTED);
    Gather.resetRange(tlb);
  }

  /** tlb_remove_tlb_entry(): the entry of `level` for the page at `va` was cleared. */
  @inline
  static removeEntry(tlb: usize, va: u64, pageShift: u32, level: u32): void {
    if (va < load<u64>(tlb, GATHER_START)) store<u64>(tlb, va, GATHER_START);
    const last = va + (((<u64>1) << pageShift) - 1);
    if (last > load<u64>(tlb, GATHER_END)) store<u64>(tlb, last, GATHER_END);
    store<u32>(tlb, load<u32>(tlb, GATHER_CLEARED) | (1 << level), GATHER_CLEARED);
  }

  /** __tlb_remove_page(): frame `index` loses a reference with the flush. True if there is no room for another: flush now. */
  static removePage(tlb: usize, index: u32): bool {
    const used = load<u32>(tlb, GATHER_LOCAL_USED);
    if (used < <u32>GATHER_BUNDLE) {
      store<u32>(tlb + ((<usize>used) << 2), index, GATHER_LOCAL);
      store<u32>(tlb, used + 1, GATHER_LOCAL_USED);
      return used + 1 == GATHER_BUNDLE && !Gather.nextBatch(tlb);
    }
    const batch = Frames.address(load<u32>(tlb, GATHER_LAST_BATCH) - 1);
    const count = load<u32>(batch, BATCH_USED);
    store<u64>(batch + ((<usize>count) << 3), index, BATCH_PAGES);
    store<u32>(batch, count + 1, BATCH_USED);
    return count + 1 == GATHER_MAX_BATCH && !Gather.nextBatch(tlb);
  }

  /** tlb_remove_table(): the table at `pa`, unhooked from `va`, is freed after the flush and a grace period. */
  static removeTable(tlb: usize, va: u64, pageShift: u32, level: u32, pa: u64): void {
    Gather.removeEntry(tlb, va, pageShift, level);
    store<u32>(tlb, 1, GATHER_FREED_TABLES);
    const index = Frames.indexOf(pa);
    if (index == NO_FRAME || !Frames.markWaiting(index)) return;
    // A list through the tables themselves would be seen by walkers: through their metadata.
    Frames.link(index, load<u32>(tlb, GATHER_TABLES));
    store<u32>(tlb, index + 1, GATHER_TABLES);
    Space.forgetTable(Mm.space(load<u32>(tlb, GATHER_MM)));
  }

  /** tlb_flush_mmu_tlbonly() */
  static flushTlbOnly(tlb: usize): void {
    const freedTables = load<u32>(tlb, GATHER_FREED_TABLES) != 0;
    const cleared = load<u32>(tlb, GATHER_CLEARED);
    if (!freedTables && cleared == 0) return;
    const shoot = load<u32>(tlb, GATHER_SHOOT);
    const fullmm = load<u32>(tlb, GATHER_FULLMM) != 0;
    // arm64's tlb_flush(): of a whole mm that goes only the tables matter, its ASID is not used again before a flush.
    if (!(fullmm && !freedTables && (shoot & SHOOT_ELIDE_FULLMM) != 0)) {
      const all = fullmm || load<u32>(tlb, GATHER_NEED_FLUSH_ALL) != 0;
      const stride = all ? REQUEST_ALL : Gather.stride(tlb, cleared);
      const first = all ? 0 : load<u64>(tlb, GATHER_START);
      const last = all ? NOTHING : load<u64>(tlb, GATHER_END);
      const cpu = <usize>load<u32>(tlb, GATHER_CPU);
      const mm = <usize>load<u32>(tlb, GATHER_MM);
      const interrupted = Shootdown.flush(cpu, mm, first, last, stride, freedTables, shoot);
      store<u32>(tlb, load<u32>(tlb, GATHER_FLUSHES) + 1, GATHER_FLUSHES);
      store<u32>(tlb, load<u32>(tlb, GATHER_INTERRUPTED) + interrupted, GATHER_INTERRUPTED);
    }
    Gather.resetRange(tlb);
  }

  /** tlb_flush_mmu() */
  static flush(tlb: usize): void {
    Gather.flushTlbOnly(tlb);
    Gather.freeTables(tlb);
    Gather.freePages(tlb);
  }

  /** tlb_finish_mmu() */
  static finish(tlb: usize): void {
    const mm = <usize>load<u32>(tlb, GATHER_MM);
    if (Mm.flushNested(mm)) Gather.widenNested(tlb, true);
    Gather.flush(tlb);
    Mm.decFlushPending(mm);
  }

  /** Somebody else owes a flush of this mm: flush all. Without the tables, as before 7a30df49f63a, arm64 does not flush at all. */
  static widenNested(tlb: usize, tables: bool): void {
    store<u32>(tlb, 1, GATHER_FULLMM);
    Gather.resetRange(tlb);
    if (tables) store<u32>(tlb, 1, GATHER_FREED_TABLES);
  }

  /** Entries changed and no page goes: the range is forgotten, and the flush stays owed. */
  static forget(tlb: usize): void {
    Gather.resetRange(tlb);
  }

  // ---- parts

  /** __tlb_reset_range(). An empty range is (all ones, 0). */
  private static resetRange(tlb: usize): void {
    store<u64>(tlb, NOTHING, GATHER_START);
    store<u64>(tlb, 0, GATHER_END);
    store<u32>(tlb, 0, GATHER_CLEARED);
    store<u32>(tlb, 0, GATHER_FREED_TABLES);
  }

  /** tlb_get_unmap_shift(): the smallest page that was cleared. */
  private static stride(_tlb: usize, cleared: u32): u32 {
    return cleared == 0 ? FRAME_SHIFT : FRAME_SHIFT + 9 * <u32>ctz(cleared);
  }

  /** tlb_next_batch(): a page to note further pages in; false if there may be no more, or none is free. */
  private static nextBatch(tlb: usize): bool {
    const count = load<u32>(tlb, GATHER_BATCH_COUNT);
    if (count == GATHER_MAX_BATCHES) return false;
    const index = Frames.allocate(FRAME_DATA);
    if (index == NO_FRAME) return false;
    const batch = Frames.address(index);
    store<u32>(batch, load<u32>(tlb, GATHER_LAST_BATCH));
    store<u32>(batch, 0, BATCH_USED);
    store<u32>(tlb, index + 1, GATHER_LAST_BATCH);
    store<u32>(tlb, count + 1, GATHER_BATCH_COUNT);
    return true;
  }

  private static freePages(tlb: usize): void {
    let freed = load<u32>(tlb, GATHER_FREED);
    const used = load<u32>(tlb, GATHER_LOCAL_USED);
    for (let n: u32 = 0; n < used; ++n) Gather.freePage(load<u32>(tlb + ((<usize>n) << 2), GATHER_LOCAL));
    freed += used;
    for (let last = load<u32>(tlb, GATHER_LAST_BATCH); last != 0; ) {
      const batch = Frames.address(last - 1);
      const count = load<u32>(batch, BATCH_USED);
      for (let n: u32 = 0; n < count; ++n) Gather.freePage(<u32>load<u64>(batch + ((<usize>n) << 3), BATCH_PAGES));
      freed += count;
      const before = load<u32>(batch);
      Frames.put(last - 1);
      last = before;
    }
    store<u32>(tlb, 0, GATHER_LOCAL_USED);
    store<u32>(tlb, 0, GATHER_LAST_BATCH);
    store<u32>(tlb, 0, GATHER_BATCH_COUNT);
    store<u32>(tlb, freed, GATHER_FREED);
  }

  /** free_pages_and_swap_cache(), of one page. */
  private static freePage(index: u32): void {
    if (SwapArea.slots() != 0) {
      const folio = Folio.normal(Frames.physical(index));
      if (folio != 0) SwapArea.freeCacheOf(folio);
    }
    Frames.put(index);
  }

  private static freeTables(tlb: usize): void {
    for (let head = load<u32>(tlb, GATHER_TABLES); head != 0; ) {
      const next = Frames.linkOf(head - 1);
      Rcu.defer(head - 1);
      head = next;
    }
    store<u32>(tlb, 0, GATHER_TABLES);
    Rcu.reclaim();
  }
}
