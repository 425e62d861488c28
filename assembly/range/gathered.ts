// A path whose flush a gather collects: mprotect, madvise, unmap, the reaper.
//
// Guarantees: from `begin` to `finish` the gather at PATH_GATHER is the path's. Entries that changed are told to it (`changed`); what it owes at the
// end is flushed, pages and tables that it holds are freed after that, and the count goes down. Options of path.ts, with which
// a gather that holds pages breaks its word:
//   PATH_NO_FLUSH        the flush stays owed
//   PATH_FLUSH_IN_PTL    tlb_flush_mmu_tlbonly() before each page-table lock is released
//   PATH_NO_NESTED       tlb_finish_mmu() does not ask whether somebody else owes a flush (before 99baac21e458)
//   PATH_NESTED_FULLMM   if somebody does, the gather becomes one of the whole mm and frees no table (before 7a30df49f63a)

import {
  FLUSH_OWED,
  GATHER_CLEARED,
  GATHER_FLUSHES,
  GATHER_INTERRUPTED,
  PATH_FLUSH,
  PATH_FLUSH_IN_PTL,
  PATH_FLUSHES,
  PATH_GATHER,
  PATH_INTERRUPTED,
  PATH_NESTED_FULLMM,
  PATH_NO_BATCHED,
  PATH_NO_FLUSH,
  PATH_NO_NESTED,
  PATH_SHOOT,
} from "../layout";
import { Batched } from "../flush/batched";
import { Gather } from "../flush/gather";
import { Mm } from "../mm/mm";
import { Path } from "./path";

export abstract class Gathered {
  /** tlb_gather_mmu() of the path's mm, or tlb_gather_mmu_fullmm(). */
  static begin(path: usize, fullmm: bool): void {
    Gather.prepare(path + PATH_GATHER, Path.mm(path), Path.cpu(path), fullmm, load<u32>(path, PATH_SHOOT));
    Path.countUp(path);
  }

  /** The entry of `level` for the page of 2^`shift` bytes at `va` was changed: tlb_flush_pte_range(), tlb_remove_tlb_entry(). */
  @inline
  static changed(path: usize, va: u64, shift: u64, level: i32): void {
    Gather.removeEntry(path + PATH_GATHER, va, <u32>shift, level);
  }

  /** flush_tlb_batched_pending(), with a page-table lock just taken: entries that are gone may be in TLBs still. */
  static afterLock(path: usize): void {
    if (Path.has(path, PATH_NO_BATCHED)) return;
    Batched.flushPending(Path.cpu(path), Path.mm(path), load<u32>(path, PATH_SHOOT));
  }

  @inline
  static beforeUnlock(path: usize): void {
    if (Path.has(path, PATH_FLUSH_IN_PTL) && !Path.has(path, PATH_NO_FLUSH)) Gather.flushTlbOnly(path + PATH_GATHER);
  }

  /** tlb_finish_mmu() */
  static finish(path: usize): void {
    const tlb = path + PATH_GATHER;
    Path.countUpLate(path);
    if (!Path.has(path, PATH_NO_NESTED) && Mm.flushNested(Path.mm(path))) {
      Gather.widenNested(tlb, !Path.has(path, PATH_NESTED_FULLMM));
    }
    if (Path.has(path, PATH_NO_FLUSH)) {
      if (load<u32>(tlb, GATHER_CLEARED) != 0) store<u32>(path, FLUSH_OWED, PATH_FLUSH);
      Gather.forget(tlb);
    }
    Gather.flush(tlb);
    Path.countDown(path);
    store<u32>(path, load<u32>(path, PATH_FLUSHES) + load<u32>(tlb, GATHER_FLUSHES), PATH_FLUSHES);
    store<u32>(path, load<u32>(path, PATH_INTERRUPTED) + load<u32>(tlb, GATHER_INTERRUPTED), PATH_INTERRUPTED);
  }
}
