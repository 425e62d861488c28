// The swap area: slots that hold a page each, how many entries refer to a slot, and the swap cache (mm/swapfile.c, mm/swap_state.c).
//
// Guarantees: a slot is free when no entry refers to it and no folio caches it; the page that stands in it is what was written last. A folio is
// cached by at most one slot, and a slot caches at most one folio, which then has a reference of the cache. Counts change by
// atomics; FOLIO_SWAP and PG_SWAPCACHE under the page lock.
//
// One area, made at set-up. Reads and writes are copies, word by word (page.ts), done when they return: no IO under way.

import {
  CONTROL_SWAP,
  PG_DIRTY,
  PG_SWAPCACHE,
  PG_WRITEBACK,
  SLOT_BYTES,
  SLOT_CACHE,
  SLOT_HAS_CACHE,
  SLOT_MAP,
  SWAP_FIRST,
  SWAP_PAGES,
  SWAP_SLOTS,
  SWAP_STRIDE,
} from "../layout";
import { Shared } from "../atomic";
import { Control } from "../control";
import { Heap } from "../heap";
import { Folio } from "./folio";
import { Page } from "./page";

/** No slot: the number that a full area gives. */
export const NO_SLOT: u32 = 0xffffffff;

export abstract class SwapArea {
  /** Makes the area, once, with `slots` slots; false if no heap is left. */
  static open(slots: u32): bool {
    const stride = Page.words() << 3;
    const head = <u64>SWAP_FIRST + <u64>slots * SLOT_BYTES;
    const bytes = ((head + 7) & ~7) + <u64>slots * stride;
    if (bytes > 0xffffffff) return false;
    const area = Heap.allocate(<u32>bytes);
    if (area == 0) return false;
    memory.fill(area, 0, <usize>bytes);
    store<u32>(area, slots, SWAP_SLOTS);
    store<u32>(area, <u32>area + ((<u32>head + 7) & ~7), SWAP_PAGES);
    store<u32>(area, stride, SWAP_STRIDE);
    store<u32>(Control.word(CONTROL_SWAP), <u32>area);
    return true;
  }

  @inline
  static slots(): u32 {
    return load<u32>(Control.word(CONTROL_SWAP)) == 0
      ? 0
      : load<u32>(<usize>load<u32>(Control.word(CONTROL_SWAP)), SWAP_SLOTS);
  }

  @inline
  private static at(slot: u32): usize {
    return <usize>load<u32>(Control.word(CONTROL_SWAP)) + SWAP_FIRST + <usize>slot * SLOT_BYTES;
  }

  /** Address of the words of the page in `slot`. */
  @inline
  static words(slot: u32): usize {
    const area = <usize>load<u32>(Control.word(CONTROL_SWAP));
    return <usize>load<u32>(area, SWAP_PAGES) + <usize>slot * load<u32>(area, SWAP_STRIDE);
  }

  // ---- swap_map

  /** folio_alloc_swap(), the half of it that finds a slot: marked as cached, referred to by nobody. NO_SLOT if none is free. */
  static allocate(): u32 {
    const slots = SwapArea.slots();
    for (let slot: u32 = 0; slot < slots; ++slot) {
      const map = SwapArea.at(slot) + SLOT_MAP;
      if (Shared.load<u32>(map) != 0) continue;
      if (Shared.compareExchange<u32>(map, 0, SLOT_HAS_CACHE) == 0) return slot;
    }
    return NO_SLOT;
  }

  /** swap_duplicate(): one more entry refers to it; of who knows of one that does, or caches it. */
  @inline
  static duplicate(slot: u32): void {
    Shared.count<u32>(SwapArea.at(slot) + SLOT_MAP, 1);
  }

  /** swap_free(): one entry less. */
  @inline
  static free(slot: u32): void {
    Shared.count<u32>(SwapArea.at(slot) + SLOT_MAP, -1);
  }

  /** swap_swapcount(): entries that refer to it. */
  @inline
  static count(slot: u32): u32 {
    return Shared.load<u32>(SwapArea.at(slot) + SLOT_MAP) & (SLOT_HAS_CACHE - 1);
  }

  /** swapcache_prepare(): false if it is cached, or about to be, or nobody refers to it any more. */
  static prepareCache(slot: u32): bool {
    const map = SwapArea.at(slot) + SLOT_MAP;
    while (true) {
      const old = Shared.load<u32>(map);
      if (old == 0 || (old & SLOT_HAS_CACHE) != 0) return false;
      if (Shared.compareExchange<u32>(map, old, old | SLOT_HAS_CACHE) == old) return true;
    }
  }

  // ---- the swap cache

  /** add_to_swap_cache(): of a slot that `allocate` or `prepareCache` marked, and a locked folio. The cache takes a reference. */
  static addToCache(folio: usize, slot: u32): void {
    Folio.get(folio);
    Folio.setSwap(folio, slot);
    Folio.setBacking(folio, SwapArea.words(slot));
    Folio.set(folio, PG_SWAPCACHE);
    Shared.store<u32>(SwapArea.at(slot) + SLOT_CACHE, Folio.frame(folio) + 1);
  }

  /** delete_from_swap_cache(): of a locked folio; the cache's reference goes. */
  static deleteFromCache(folio: usize): void {
    SwapArea.forget(folio);
    Folio.put(folio);
  }

  /** The same of a folio whose references are frozen (Folio.freezeRefs): __delete_from_swap_cache(). */
  static forget(folio: usize): void {
    const slot = SwapArea.at(<u32>Folio.swap(folio));
    Shared.store<u32>(slot + SLOT_CACHE, 0);
    Folio.clear(folio, PG_SWAPCACHE);
    Folio.setSwap(folio, 0);
    Folio.setBacking(folio, 0);
    Shared.and<u32>(slot + SLOT_MAP, ~SLOT_HAS_CACHE);
  }

  /** swap_cache_get_folio(): with a reference, or 0; looked at again, for it may have been freed and reused meanwhile. */
  static find(slot: u32): usize {
    const cache = SwapArea.at(slot) + SLOT_CACHE;
    while (true) {
      const frame = Shared.load<u32>(cache);
      if (frame == 0) return 0;
      const folio = Folio.of(frame - 1);
      if (!Folio.tryGet(folio)) continue;
      if (Shared.load<u32>(cache) == frame) return folio;
      Folio.put(folio);
    }
  }

  /** folio_free_swap(): a locked folio to whose slot no entry refers leaves the swap cache, and is the only copy then. */
  static freeSwap(folio: usize): bool {
    const flags = Folio.flags(folio);
    if ((flags & PG_SWAPCACHE) == 0 || (flags & PG_WRITEBACK) != 0) return false;
    if (SwapArea.count(<u32>Folio.swap(folio)) != 0) return false;
    SwapArea.deleteFromCache(folio);
    Folio.set(folio, PG_DIRTY);
    return true;
  }

  /**
   * free_swap_cache(): a folio that no entry maps any more leaves the swap cache, if no entry refers to its slot either, unless somebody has it locked
   * (who reclaims it finds it then). Of who has a reference, and gives it up next.
   */
  static freeCacheOf(folio: usize): void {
    if (!Folio.test(folio, PG_SWAPCACHE) || Folio.mapcount(folio) != 0 || !Folio.tryLock(folio)) return;
    SwapArea.freeSwap(folio);
    Folio.unlock(folio);
  }

  /** free_swap_and_cache(): an entry goes; if it was the last one, the cached page does too, unless somebody has it locked. */
  static freeAndCache(slot: u32): void {
    SwapArea.free(slot);
    if (SwapArea.count(slot) != 0) return;
    const folio = SwapArea.find(slot);
    if (folio == 0) return;
    if (Folio.tryLock(folio)) {
      if (Folio.swap(folio) == <u64>slot) SwapArea.freeSwap(folio);
      Folio.unlock(folio);
    }
    Folio.put(folio);
  }

  // ---- IO

  @inline
  static write(folio: usize): void {
    Page.copy(Folio.backing(folio), Folio.address(folio));
  }

  @inline
  static read(folio: usize): void {
    Page.copy(Folio.address(folio), Folio.backing(folio));
  }
}
