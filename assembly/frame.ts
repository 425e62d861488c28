// Physical frames: allocate, count, free, poison, and where a physical address lies in linear memory.
//
// Guarantees: a frame is handed out to one owner at a time; freeing it twice is refused and counted; a freed frame is
// filled with POISON and checked when it is handed out again, and one that was written to meanwhile is counted and never
// handed out again. A frame that was never handed out was never touched, so it costs nothing and reads as zero.
//
// Free frames form a stack through their metadata whose head carries a tag against ABA (Treiber 1986).
// An island (litmus/island.ts) has a stack and counts of its own: what one instance of a scenario frees, no other allocates.
// Physical memory is the window [CONTROL_BASE_PFN, + CONTROL_FRAMES), and, for images of machines whose tables lie all
// over a large memory, a directory of further frames by PFN.

import {
  BUILD_EXPLORE,
  CONTROL_BAD_FREE,
  CONTROL_BAD_PFN,
  CONTROL_BAD_POISON,
  CONTROL_BASE_PFN,
  CONTROL_DIRECTORY,
  CONTROL_DIRECTORY_MASK,
  CONTROL_DIRECTORY_USED,
  CONTROL_FRAMES,
  CONTROL_FREE_HEAD,
  CONTROL_LIVE,
  CONTROL_META,
  CONTROL_ORIGIN,
  CONTROL_RAM,
  CONTROL_VIRGIN,
  EXPLORED_BYTES,
  FRAME_BAD,
  FRAME_BYTES,
  FRAME_DATA,
  FRAME_FREE,
  FRAME_SHIFT,
  FRAME_VIRGIN,
  FRAME_WAITING,
  META_BYTES,
  META_GENERATION,
  META_NEXT,
  META_REFS,
  META_STATE,
  POISON,
  STATUS_NO_MEMORY,
  STATUS_NOT_LIVE,
  STATUS_OK,
  STATUS_UNBACKED,
} from "./layout";
import { Shared } from "./atomic";
import { Control } from "./control";
import { Heap } from "./heap";

/** No frame: the index of a full memory. */
export const NO_FRAME: u32 = 0xffffffff;

export abstract class Frames {
  // The window does not move while a memory lives, so its bounds are plain loads and no scheduling points.

  @inline
  static count(): u32 {
    return load<u32>(CONTROL_FRAMES);
  }

  @inline
  static basePfn(): u64 {
    return load<u64>(CONTROL_BASE_PFN);
  }

  @inline
  static meta(index: u32): usize {
    return <usize>load<u32>(CONTROL_META) + <usize>index * META_BYTES;
  }

  /** Linear address of frame `index`. */
  @inline
  static address(index: u32): usize {
    return <usize>load<u32>(CONTROL_RAM) + ((<usize>index) << FRAME_SHIFT);
  }

  /** Index of the frame at physical address `pa` in the window, or NO_FRAME. */
  @inline
  static indexOf(pa: u64): u32 {
    const index = (pa >> FRAME_SHIFT) - Frames.basePfn();
    return index < <u64>Frames.count() ? <u32>index : NO_FRAME;
  }

  /** Index of the frame that holds the linear address `at`, or NO_FRAME. */
  @inline
  static indexAt(at: usize): u32 {
    const index = (<u32>at - load<u32>(CONTROL_RAM)) >> FRAME_SHIFT;
    return at >= <usize>load<u32>(CONTROL_RAM) && index < Frames.count() ? index : NO_FRAME;
  }

  @inline
  static physical(index: u32): u64 {
    return (Frames.basePfn() + index) << FRAME_SHIFT;
  }

  /** Linear address of the page at physical address `pa`, a multiple of 4 KiB, or 0 if nothing backs it. */
  @inline
  static backing(pa: u64): usize {
    const index = (pa >> FRAME_SHIFT) - Frames.basePfn();
    // One addition, for this is what a walk waits for at each level.
    if (index < <u64>Frames.count()) return <usize>pa + load<u32>(CONTROL_ORIGIN);
    return load<u32>(CONTROL_DIRECTORY) == 0 ? 0 : Frames.lookUp(pa >> FRAME_SHIFT);
  }

  /** Moves `count` frames that were never used to the island at `island`. False if there are not so many. */
  static endow(island: usize, count: u32): bool {
    const virgin = Shared.load<u32>(CONTROL_VIRGIN);
    if (count > Frames.count() - virgin) return false;
    if (Shared.compareExchange<u32>(CONTROL_VIRGIN, virgin, virgin + count) != virgin)
      return Frames.endow(island, count);
    Control.enter(island);
    // No frame beyond those: what is left is all there is.
    Shared.store<u32>(Control.word(CONTROL_VIRGIN), Frames.count());
    for (let index = virgin + count; index > virgin; --index) Frames.push(index - 1);
    Control.enter(0);
    return true;
  }

  /** Of an island a frame's first words only are used, as in the explore build: to empty it takes no time. */
  @inline
  private static isSmall(): bool {
    return BUILD == BUILD_EXPLORE || Control.isIsland();
  }

  /** The head of the free list, by which the explorer tells who allocates. */
  @inline
  static freeList(): usize {
    return Control.word(CONTROL_FREE_HEAD);
  }

  /** Hands out one frame in `state`, its bytes zero. Returns its index, or NO_FRAME. */
  static allocate(state: u32): u32 {
    while (true) {
      const head = Shared.load<u64>(Control.word(CONTROL_FREE_HEAD));
      const top = <u32>head;
      if (top == 0) return Frames.allocateVirgin(1, 1, state);
      const meta = Frames.meta(top - 1);
      const next = Shared.load<u32>(meta + META_NEXT);
      const tagged = (((head >> 32) + 1) << 32) | <u64>next;
      if (Shared.compareExchange<u64>(Control.word(CONTROL_FREE_HEAD), head, tagged) != head) continue;
      const virgin = Shared.load<u32>(meta + META_STATE) == FRAME_VIRGIN;
      if (!virgin) {
        if (!Frames.isSmall() && !Frames.poisonIntact(top - 1)) {
          Shared.store<u32>(meta + META_STATE, FRAME_BAD);
          Shared.count<u32>(Control.word(CONTROL_BAD_POISON), 1);
          Shared.store<u32>(Control.word(CONTROL_BAD_PFN), top - 1);
          continue;
        }
        Frames.fill(top - 1, 0);
      }
      Frames.take(top - 1, state);
      return top - 1;
    }
  }

  /**
   * Hands out `count` frames in a row that were never used, the first PFN a multiple of `align` (a power of two).
   * Returns the index of the first, or NO_FRAME. Frames skipped for the alignment become free.
   */
  static allocateVirgin(count: u32, align: u32, state: u32): u32 {
    while (true) {
      const virgin = Shared.load<u32>(Control.word(CONTROL_VIRGIN));
      const pfn = Frames.basePfn() + virgin;
      const first = <u64>virgin + (((pfn + align - 1) & ~(<u64>align - 1)) - pfn);
      if (first + count > <u64>Frames.count()) return NO_FRAME;
      const end = <u32>first + count;
      if (Shared.compareExchange<u32>(Control.word(CONTROL_VIRGIN), virgin, end) != virgin) continue;
      for (let index = virgin; index < <u32>first; ++index) Frames.push(index);
      for (let index = <u32>first; index < end; ++index) Frames.take(index, state);
      return <u32>first;
    }
  }

  /** One more reference to a live frame. */
  static get(index: u32): i32 {
    if (index >= Frames.count()) return STATUS_UNBACKED;
    const refs = Frames.meta(index) + META_REFS;
    while (true) {
      if (!Frames.isLive(Shared.load<u32>(Frames.meta(index) + META_STATE))) return Frames.refuse(index);
      const old = Shared.load<u32>(refs);
      if (old == 0) return Frames.refuse(index);
      if (Shared.compareExchange<u32>(refs, old, old + 1) == old) return STATUS_OK;
    }
  }

  /** One reference less; the last one frees the frame. A free frame is refused and counted. */
  static put(index: u32): i32 {
    if (index >= Frames.count()) return STATUS_UNBACKED;
    const refs = Frames.meta(index) + META_REFS;
    while (true) {
      if (!Frames.isLive(Shared.load<u32>(Frames.meta(index) + META_STATE))) return Frames.refuse(index);
      const old = Shared.load<u32>(refs);
      if (old == 0) return Frames.refuse(index);
      if (Shared.compareExchange<u32>(refs, old, old - 1) != old) continue;
      if (old == 1) Frames.release(index);
      return STATUS_OK;
    }
  }

  /** Marks a live frame as unhooked (rcu.ts frees it). False if it was not live: a double free. */
  static markWaiting(index: u32): bool {
    const state = Frames.meta(index) + META_STATE;
    const old = Shared.load<u32>(state);
    if (Frames.isLive(old) && Shared.compareExchange<u32>(state, old, FRAME_WAITING) == old) return true;
    Frames.refuse(index);
    return false;
  }

  /** The link of a waiting frame, its owner's to use: a list through index + 1. */
  @inline
  static link(index: u32, next: u32): void {
    Shared.quietStore<u32>(Frames.meta(index) + META_NEXT, next);
  }

  @inline
  static linkOf(index: u32): u32 {
    return Shared.quietLoad<u32>(Frames.meta(index) + META_NEXT);
  }

  /** Poisons frame `index` and makes it free. The caller owns it. */
  static release(index: u32): void {
    const meta = Frames.meta(index);
    Frames.fill(index, POISON);
    Shared.quietStore<u32>(meta + META_REFS, 0);
    Shared.store<u32>(meta + META_STATE, FRAME_FREE);
    Shared.count<u32>(Control.word(CONTROL_LIVE), -1);
    Frames.push(index);
  }

  /** Looks at every free frame. Returns how many were written to since they were freed. */
  static countSpoiled(): u32 {
    let spoiled: u32 = 0;
    const end = Shared.load<u32>(Control.word(CONTROL_VIRGIN));
    for (let index: u32 = 0; index < end; ++index) {
      if (load<u32>(Frames.meta(index) + META_STATE) != FRAME_FREE || Frames.poisonIntact(index)) continue;
      if (spoiled++ == 0) Shared.store<u32>(Control.word(CONTROL_BAD_PFN), index);
    }
    return spoiled;
  }

  /** The first live frame from `index` on, or NO_FRAME: what leaks when all owners are gone. */
  static nextLive(index: u32): u32 {
    const end = Shared.load<u32>(Control.word(CONTROL_VIRGIN));
    for (; index < end; ++index) {
      if (Frames.isLive(load<u32>(Frames.meta(index) + META_STATE))) return index;
    }
    return NO_FRAME;
  }

  // ---- the sparse directory: open addressing, 16 bytes a slot: PFN + 1, linear address, 0

  /** Makes room for `capacity` pages outside the window (doubled for short probes). */
  static openDirectory(capacity: u32): i32 {
    let slots: u32 = 16;
    while (slots < capacity * 2) slots <<= 1;
    const at = Heap.allocate(slots * 16);
    if (at == 0) return STATUS_NO_MEMORY;
    memory.fill(at, 0, slots * 16);
    store<u32>(CONTROL_DIRECTORY_MASK, slots - 1);
    store<u32>(CONTROL_DIRECTORY_USED, 0);
    store<u32>(CONTROL_DIRECTORY, <u32>at);
    return STATUS_OK;
  }

  /** Backs `pfn` with frame `index` of the window. */
  static back(pfn: u64, index: u32): i32 {
    const mask = load<u32>(CONTROL_DIRECTORY_MASK);
    const used = load<u32>(CONTROL_DIRECTORY_USED);
    if (load<u32>(CONTROL_DIRECTORY) == 0 || used >= mask - (mask >> 2)) return STATUS_NO_MEMORY;
    const slot = Frames.slotOf(pfn);
    if (load<u64>(slot) == 0) store<u32>(CONTROL_DIRECTORY_USED, used + 1);
    store<u64>(slot, pfn + 1);
    store<u32>(slot + 8, <u32>Frames.address(index));
    return STATUS_OK;
  }

  private static lookUp(pfn: u64): usize {
    const slot = Frames.slotOf(pfn);
    return load<u64>(slot) == 0 ? 0 : load<u32>(slot + 8);
  }

  private static slotOf(pfn: u64): usize {
    const base: usize = load<u32>(CONTROL_DIRECTORY);
    const mask = load<u32>(CONTROL_DIRECTORY_MASK);
    let probe = <u32>((pfn * 0x9e3779b97f4a7c15) >> 40) & mask;
    while (true) {
      const slot = base + <usize>probe * 16;
      const key = load<u64>(slot);
      if (key == 0 || key == pfn + 1) return slot;
      probe = (probe + 1) & mask;
    }
  }

  @inline
  private static isLive(state: u32): bool {
    return state >= <u32>FRAME_DATA;
  }

  private static take(index: u32, state: u32): void {
    const meta = Frames.meta(index);
    Shared.quietStore<u32>(meta + META_REFS, 1);
    // Of a table the word is its page-table lock from here on (Mm.ptl): free.
    Shared.quietStore<u32>(meta + META_NEXT, 0);
    Shared.quietStore<u32>(meta + META_GENERATION, Shared.quietLoad<u32>(meta + META_GENERATION) + 1);
    Shared.store<u32>(meta + META_STATE, state);
    Shared.count<u32>(Control.word(CONTROL_LIVE), 1);
  }

  /**
   * Fills a frame that nobody else may touch now. Explore and islands: its first EXPLORED_BYTES only, each word told of, for all that can
   * differ between two states has to be known; what is explored uses no more of a frame.
   */
  private static fill(index: u32, byte: u32): void {
    const page = Frames.address(index);
    if (!Frames.isSmall()) memory.fill(page, <u8>byte, FRAME_BYTES);
    else
      for (let at = page; at < page + EXPLORED_BYTES; at += 8) {
        Shared.quietStore<u64>(at, <u64>byte * 0x0101010101010101);
      }
  }

  private static push(index: u32): void {
    const next = Frames.meta(index) + META_NEXT;
    while (true) {
      const head = Shared.load<u64>(Control.word(CONTROL_FREE_HEAD));
      Shared.store<u32>(next, <u32>head);
      const tagged = (((head >> 32) + 1) << 32) | (<u64>index + 1);
      if (Shared.compareExchange<u64>(Control.word(CONTROL_FREE_HEAD), head, tagged) == head) return;
    }
  }

  private static refuse(index: u32): i32 {
    Shared.count<u32>(Control.word(CONTROL_BAD_FREE), 1);
    Shared.store<u32>(Control.word(CONTROL_BAD_PFN), index);
    return STATUS_NOT_LIVE;
  }

  private static poisonIntact(index: u32): bool {
    const page = Frames.address(index);
    const poison = i8x16.splat(<i8>POISON);
    let difference = i64x2.splat(0);
    const end = page + (BUILD == BUILD_EXPLORE ? EXPLORED_BYTES : FRAME_BYTES);
    for (let at = page; at < end; at += 16) {
      difference = v128.or(difference, v128.xor(v128.load(at), poison));
    }
    return !v128.any_true(difference);
  }
}
