// Deferred unmap flushes of reclaim: many pages leave many mms, then one flush for all of them (mm/rmap.c, arch_tlbbatch_*).
//
// Guarantees: after `flush` no CPU makes an access through an entry that was put into the batch before. Until then it may: so the caller
// flushes before a page is written out if a writable entry may be left (`flushDirty`), and before a frame is freed (`flush`).
//
// Whoever finds an entry gone and would flush for it, had he found it, has to flush in the batch's place: `flushPending`, under the page-table
// lock (3ea277194daa). For that an mm counts in one word what was deferred and up to which of it is flushed:
//
//   reclaim                            mprotect, munmap, madvise, mremap: PTL taken
//   -------                            -------------------------------------------
//   [PTL] entry = none                 read: pending 3, flushed 1
//         pending 3 -> 4   [/PTL]      flush the mm
//                                      word still 3 | 1?  then 3 | 3
//                                      no, it is 4 | 1: stays, somebody has to flush again (5ee2fa2f0636)
//
// The batch belongs to whoever reclaims, a block of UBC_BYTES: plain memory (current->tlb_ubc). The words, side by side: the **batch** knows which
// CPUs to flush; the **mm** knows whether something of it waits in any batch.

import { MM_FLUSH_BATCHED, REQUEST_ALL, UBC_BYTES, UBC_CPUS, UBC_REQUIRED, UBC_WRITABLE } from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Broadcasts } from "./broadcast";
import { Shootdown } from "./shootdown";

/** TLB_FLUSH_BATCH_FLUSHED_SHIFT, _PENDING_MASK, _PENDING_LARGE */
const FLUSHED_SHIFT: u32 = 16;
const PENDING: u32 = (1 << (FLUSHED_SHIFT - 1)) - 1;
const LARGE: u32 = PENDING / 2;
const PAGE_SHIFT: u32 = 12;
const EVERYTHING: u64 = 0xffffffffffffffff;

export abstract class Batched {
  static begin(batch: usize): void {
    memory.fill(batch, 0, UBC_BYTES);
  }

  /** arch_tlbbatch_should_defer(): is it worth it, for another CPU than `self` runs `mm`? Broadcasts are always deferred (arm64). */
  static shouldDefer(self: usize, mm: usize): bool {
    return Cpu.broadcast(self) || (Mm.cpuMask(mm) & ~((<u64>1) << Cpu.id(self))) != 0;
  }

  /**
   * set_tlb_ubc_flush_pending(): the entry for the page at `va` in `mm` was cleared, under the page-table lock, which is held still; it was
   * accessible. `writable` says that it may have been: Linux takes it from the dirty bit, for a clean entry is looked at again
   * before it is written through.
   */
  static setPending(batch: usize, self: usize, mm: usize, va: u64, writable: bool): void {
    Batched.addPending(batch, self, mm, va);
    store<u32>(batch, 1, UBC_REQUIRED);
    let word = Shared.load<u32>(mm + MM_FLUSH_BATCHED);
    while (true) {
      // So that pending never catches up with flushed by running over.
      if ((word & PENDING) <= LARGE) {
        Shared.count<u32>(mm + MM_FLUSH_BATCHED, 1);
        break;
      }
      const seen = Shared.compareExchange<u32>(mm + MM_FLUSH_BATCHED, word, 1);
      if (seen == word) break;
      word = seen;
    }
    if (writable) store<u32>(batch, 1, UBC_WRITABLE);
  }

  /**
   * arch_tlbbatch_add_pending(): with broadcasts the invalidation goes out at once, and only its completion is deferred. Secondary TLBs hear of it
   * now, too: of everything, on x86.
   */
  private static addPending(batch: usize, self: usize, mm: usize, va: u64): void {
    if (Cpu.broadcast(self)) {
      Broadcasts.post(self, mm, va, va | ((1 << PAGE_SHIFT) - 1), PAGE_SHIFT, false);
      return;
    }
    Mm.incTlbGen(mm);
    store<u64>(batch, load<u64>(batch, UBC_CPUS) | Mm.cpuMask(mm), UBC_CPUS);
    Notifiers.invalidateSecondary(mm, 0, EVERYTHING);
  }

  /** try_to_unmap_flush(). Returns the CPUs that were interrupted. */
  static flush(batch: usize, self: usize, options: u32): u32 {
    if (load<u32>(batch, UBC_REQUIRED) == 0) return 0;
    let asked: u32 = 0;
    if (Cpu.broadcast(self)) Broadcasts.complete(self);
    else asked = Shootdown.catchUp(self, load<u64>(batch, UBC_CPUS), options);
    Batched.begin(batch);
    return asked;
  }

  /** try_to_unmap_flush_dirty(): before a page of the batch is written out. */
  static flushDirty(batch: usize, self: usize, options: u32): u32 {
    return load<u32>(batch, UBC_WRITABLE) != 0 ? Batched.flush(batch, self, options) : 0;
  }

  /** flush_tlb_batched_pending(): under the page-table lock, by whoever is about to change rights, or to say that a page is gone. */
  static flushPending(self: usize, mm: usize, options: u32): void {
    const word = Shared.load<u32>(mm + MM_FLUSH_BATCHED);
    const pending = word & PENDING;
    if (pending == word >> FLUSHED_SHIFT) return;
    // arch_flush_tlb_batched_pending(): flush_tlb_mm() on x86, a DSB on arm64.
    if (Cpu.broadcast(self)) Broadcasts.complete(self);
    else Shootdown.flush(self, mm, 0, EVERYTHING, REQUEST_ALL, true, options);
    Shared.compareExchange<u32>(mm + MM_FLUSH_BATCHED, word, pending | (pending << FLUSHED_SHIFT));
  }
}
