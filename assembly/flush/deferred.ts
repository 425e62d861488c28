// Migration with the flush put off: the page has moved, both frames are kept, and until one flush for many a CPU may read the old one
// (Byungchul Park, "mm: Defer TLB flush by keeping both src and dst folios at migration", v3 of Nov 2023; scenario G).
//
// Guarantees: a frame given to `keep` stays as it is until a flush that covers every stale translation of it is complete. Until then its new
// folio says so (PG_FLUSH_DEFERRED), from before `keep` returns until after that flush: so **whoever is about to make an entry of it
// writable calls `settle` first, under the page-table lock**, or a CPU reads the old frame after another wrote the new one.
// That goes for a fault and for mprotect alike. Only for entries that are not writable when they move (G9).
//
// How migration uses it, all under the page-table lock of the entry:
//
//   ptep: migration entry, copy, then the new entry, not writable
//   Deferred.keep(pages, self, mm, va, old, folio)   in place of flush and put of the old folio; false: no room, then `flush` first
//
// and how a write upgrade does:
//
//   Deferred.settle(pages, self, folio, options)     before the entry becomes writable
//
// Under pressure, or when it is full, `flush` gives up all old frames after one flush. Lock order: page-table lock, then the lock of this
// list; who holds that waits for CPUs in user mode only, which hold no lock.

import {
  BUILD_EXPLORE,
  DEFER_CAPACITY,
  DEFER_COUNT,
  DEFER_CPUS,
  DEFER_FLAGS,
  DEFER_FLUSHES,
  DEFER_FREE_EARLY,
  DEFER_LOCK,
  DEFER_PAGE_BYTES,
  DEFER_PAGES,
  PG_FLUSH_DEFERRED,
} from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Heap } from "../heap";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Broadcasts } from "./broadcast";
import { Shootdown } from "./shootdown";

const PAGE_SHIFT: u32 = 12;
const PAGE_LAST: u64 = (1 << PAGE_SHIFT) - 1;
const EVERYTHING: u64 = 0xffffffffffffffff;

export abstract class Deferred {
  /** Room for `capacity` pages; 0 if no heap is left. `flags` is DEFER_*. */
  static create(capacity: u32, flags: u32): usize {
    const bytes = DEFER_PAGES + capacity * DEFER_PAGE_BYTES;
    const pages = Heap.allocate(bytes);
    if (pages == 0) return 0;
    memory.fill(pages, 0, bytes);
    store<u32>(pages, capacity, DEFER_CAPACITY);
    store<u32>(pages, flags, DEFER_FLAGS);
    return pages;
  }

  /** Nothing is deferred any more. */
  static free(pages: usize): void {
    Heap.free(pages);
  }

  /**
   * The page at `va` of `mm` has moved from folio `old`, whose reference goes over to the list, to `folio`, which gets one more meanwhile.
   * Under the page-table lock. False, and nothing done, if there is no room.
   */
  static keep(pages: usize, self: usize, mm: usize, va: u64, old: usize, folio: usize): bool {
    Spinlock.lock(pages + DEFER_LOCK);
    const count = Shared.quietLoad<u32>(pages + DEFER_COUNT);
    if (count == load<u32>(pages, DEFER_CAPACITY)) {
      Spinlock.unlock(pages + DEFER_LOCK);
      return false;
    }
    Folio.get(folio);
    Folio.set(folio, PG_FLUSH_DEFERRED);
    const early = (load<u32>(pages, DEFER_FLAGS) & DEFER_FREE_EARLY) != 0;
    const page = Deferred.at(pages, count);
    Shared.quietStore<u32>(page, early ? 0 : <u32>old);
    Shared.quietStore<u32>(page + 4, <u32>folio);
    Shared.quietStore<u32>(pages + DEFER_COUNT, count + 1);
    if (Cpu.broadcast(self)) Broadcasts.post(self, mm, va, va | PAGE_LAST, PAGE_SHIFT, false);
    else {
      Mm.incTlbGen(mm);
      const cpus = Shared.quietLoad<u64>(pages + DEFER_CPUS);
      Shared.quietStore<u64>(pages + DEFER_CPUS, cpus | Mm.cpuMask(mm));
      // As arch_tlbbatch_add_pending() does: whoever has translations of his own may not read the old frame for as long as that.
      Notifiers.invalidateSecondary(mm, 0, EVERYTHING);
    }
    Spinlock.unlock(pages + DEFER_LOCK);
    if (early) Folio.put(old);
    return true;
  }

  /** Is a flush of the frame that `folio` came from deferred? Under the page-table lock of an entry that maps it. */
  @inline
  static pending(folio: usize): bool {
    return Folio.test(folio, PG_FLUSH_DEFERRED);
  }

  /** Before an entry of `folio` becomes writable, under its page-table lock: flushes if that is deferred. Returns whether it was. */
  static settle(pages: usize, self: usize, folio: usize, options: u32): bool {
    if (!Deferred.pending(folio)) return false;
    Deferred.flush(pages, self, options);
    return true;
  }

  /** Flushes for all pages of the list at once, and gives up their old frames. Returns how many there were. */
  static flush(pages: usize, self: usize, options: u32): u32 {
    // Whoever comes second waits for the flush of the first: only then no page is pending any more.
    Spinlock.lock(pages + DEFER_LOCK);
    const count = Shared.quietLoad<u32>(pages + DEFER_COUNT);
    if (count != 0) {
      if (Cpu.broadcast(self)) Broadcasts.complete(self);
      else Shootdown.catchUp(self, Shared.quietLoad<u64>(pages + DEFER_CPUS), options);
      Deferred.release(pages, count);
    }
    Spinlock.unlock(pages + DEFER_LOCK);
    return count;
  }

  private static release(pages: usize, count: u32): void {
    for (let n: u32 = 0; n < count; ++n) {
      const page = Deferred.at(pages, n);
      const old = <usize>Shared.quietLoad<u32>(page);
      const folio = <usize>Shared.quietLoad<u32>(page + 4);
      Folio.clear(folio, PG_FLUSH_DEFERRED);
      Folio.put(folio);
      if (old != 0) Folio.put(old);
      Shared.quietStore<u32>(page, 0);
      Shared.quietStore<u32>(page + 4, 0);
    }
    Shared.quietStore<u32>(pages + DEFER_COUNT, 0);
    Shared.quietStore<u64>(pages + DEFER_CPUS, 0);
    if (BUILD != BUILD_EXPLORE) store<u32>(pages, load<u32>(pages, DEFER_FLUSHES) + 1, DEFER_FLUSHES);
  }

  @inline
  private static at(pages: usize, n: u32): usize {
    return pages + DEFER_PAGES + <usize>n * DEFER_PAGE_BYTES;
  }
}
