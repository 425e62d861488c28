// Folios: what the mm knows of a frame that holds data (struct folio, include/linux/mm_types.h; page-flags.h). One frame each.
//
// Guarantees: a folio is found from its frame by arithmetic, and lives as long as the memory; `allocate` hands it out with one reference, no
// flag and no mapping. Flags change by atomics, one bit or several at a time. The reference count is the frame's: who has none may not
// touch the folio, except by `tryGet`. The page lock names its holder.
//
// What guards what: FOLIO_MAPPING, FOLIO_INDEX, FOLIO_SWAP and FOLIO_BACKING change under the page lock, and before the folio can be found; the
// map count changes under the page-table lock of the entry that comes or goes; flags under whatever their user says.
//
// Lock order (mm/rmap.c): mmap_lock, page lock, i_mmap_rwsem or anon_vma->rwsem, page-table lock.

import {
  CONTROL_FOLIOS,
  FOLIO_ANON,
  FOLIO_BACKING,
  FOLIO_BYTES,
  FOLIO_FLAGS,
  FOLIO_INDEX,
  FOLIO_LOCK,
  FOLIO_MAPCOUNT,
  FOLIO_MAPPING,
  FOLIO_SWAP,
  FRAME_DATA,
  FRAME_FOLIO,
  META_REFS,
  META_STATE,
  PG_ANON_EXCLUSIVE,
  PG_SWAPBACKED,
  PG_UPTODATE,
  STATUS_NO_MEMORY,
  STATUS_OK,
} from "../layout";
import { Shared } from "../atomic";
import { Frames, NO_FRAME } from "../frame";
import { Heap } from "../heap";
import { Spinlock } from "../lock/spinlock";

export abstract class Folio {
  /** Makes the folios of all frames, once, at set-up. */
  static open(): i32 {
    if (load<u32>(CONTROL_FOLIOS) != 0) return STATUS_OK;
    const bytes = <u64>Frames.count() * FOLIO_BYTES;
    if (bytes > 0xffffffff) return STATUS_NO_MEMORY;
    const folios = Heap.allocate(<u32>bytes);
    if (folios == 0) return STATUS_NO_MEMORY;
    store<u32>(CONTROL_FOLIOS, <u32>folios);
    return STATUS_OK;
  }

  /** The folio of frame `index`. There must be folios. */
  @inline
  static of(index: u32): usize {
    return <usize>load<u32>(CONTROL_FOLIOS) + <usize>index * FOLIO_BYTES;
  }

  /** The frame of a folio. */
  @inline
  static frame(folio: usize): u32 {
    return <u32>(folio - load<u32>(CONTROL_FOLIOS)) / FOLIO_BYTES;
  }

  /** vm_normal_page(): the folio of the frame at `pa`, or 0 if the mm does not count it: device memory, a page table, another's frame. */
  static normal(pa: u64): usize {
    const index = Frames.indexOf(pa);
    if (index == NO_FRAME || Shared.load<u32>(Frames.meta(index) + META_STATE) != FRAME_FOLIO) return 0;
    return Folio.of(index);
  }

  /** A folio of zeros with one reference, the caller's, or 0 if no frame is left. */
  static allocate(): usize {
    const index = Frames.allocate(FRAME_DATA);
    if (index == NO_FRAME) return 0;
    const folio = Folio.of(index);
    for (let n: usize = 0; n < <usize>FOLIO_BYTES; n += 8) Shared.quietStore<u64>(folio + n, 0);
    Shared.store<u32>(Frames.meta(index) + META_STATE, FRAME_FOLIO);
    return folio;
  }

  // ---- references

  @inline
  private static refsAt(folio: usize): usize {
    return Frames.meta(Folio.frame(folio)) + META_REFS;
  }

  /** folio_ref_count() */
  @inline
  static refs(folio: usize): u32 {
    return Shared.load<u32>(Folio.refsAt(folio));
  }

  /** folio_get(): of who has a reference already, or holds a lock under which there is one. */
  @inline
  static get(folio: usize): void {
    Shared.count<u32>(Folio.refsAt(folio), 1);
  }

  /** folio_try_get(): false if it is free, or about to be. */
  static tryGet(folio: usize): bool {
    const refs = Folio.refsAt(folio);
    while (true) {
      const old = Shared.load<u32>(refs);
      if (old == 0) return false;
      if (Shared.compareExchange<u32>(refs, old, old + 1) == old) return true;
    }
  }

  /** folio_put(): the last reference frees the frame. */
  static put(folio: usize): void {
    const refs = Folio.refsAt(folio);
    const old = Shared.sub<u32>(refs, 1);
    if (old == 1) Frames.release(Folio.frame(folio));
    else if (old == 0) {
      // Somebody gave up a reference that was none: undone, refused and counted as a double free.
      Shared.count<u32>(refs, 1);
      Frames.put(Folio.frame(folio));
    }
  }

  /** folio_ref_freeze(): takes the references away if they are as many as expected, so that nobody gets another. */
  @inline
  static freezeRefs(folio: usize, expected: u32): bool {
    return Shared.compareExchange<u32>(Folio.refsAt(folio), expected, 0) == expected;
  }

  @inline
  static unfreezeRefs(folio: usize, refs: u32): void {
    Shared.store<u32>(Folio.refsAt(folio), refs);
  }

  // ---- the page lock

  @inline
  static lock(folio: usize): void {
    Spinlock.lock(folio + FOLIO_LOCK);
  }

  /** folio_trylock() */
  @inline
  static tryLock(folio: usize): bool {
    return Spinlock.tryLock(folio + FOLIO_LOCK);
  }

  @inline
  static unlock(folio: usize): void {
    Spinlock.unlock(folio + FOLIO_LOCK);
  }

  // ---- flags: `mask` is PG_*

  @inline
  static test(folio: usize, mask: u32): bool {
    return (Shared.load<u32>(folio + FOLIO_FLAGS) & mask) != 0;
  }

  @inline
  static set(folio: usize, mask: u32): void {
    Shared.or<u32>(folio + FOLIO_FLAGS, mask);
  }

  @inline
  static clear(folio: usize, mask: u32): void {
    Shared.and<u32>(folio + FOLIO_FLAGS, ~mask);
  }

  /** folio_test_set_*() */
  @inline
  static testAndSet(folio: usize, mask: u32): bool {
    return (Shared.or<u32>(folio + FOLIO_FLAGS, mask) & mask) != 0;
  }

  /** folio_test_clear_*() */
  @inline
  static testAndClear(folio: usize, mask: u32): bool {
    return (Shared.and<u32>(folio + FOLIO_FLAGS, ~mask) & mask) != 0;
  }

  @inline
  static flags(folio: usize): u32 {
    return Shared.load<u32>(folio + FOLIO_FLAGS);
  }

  // ---- how many entries map it

  /** folio_mapcount() */
  @inline
  static mapcount(folio: usize): u32 {
    return Shared.load<u32>(folio + FOLIO_MAPCOUNT);
  }

  // ---- where it belongs

  /** The word at FOLIO_MAPPING. */
  @inline
  static mapping(folio: usize): u32 {
    return Shared.load<u32>(folio + FOLIO_MAPPING);
  }

  @inline
  static isAnon(folio: usize): bool {
    return (Folio.mapping(folio) & FOLIO_ANON) != 0;
  }

  @inline
  static index(folio: usize): u64 {
    return Shared.quietLoad<u64>(folio + FOLIO_INDEX);
  }

  /** Page `index` of `mapping`, a word as FOLIO_MAPPING has it. */
  @inline
  static setMapping(folio: usize, mapping: u32, index: u64): void {
    Shared.quietStore<u64>(folio + FOLIO_INDEX, index);
    Shared.store<u32>(folio + FOLIO_MAPPING, mapping);
  }

  @inline
  static swap(folio: usize): u64 {
    return Shared.quietLoad<u64>(folio + FOLIO_SWAP);
  }

  @inline
  static setSwap(folio: usize, entry: u64): void {
    Shared.quietStore<u64>(folio + FOLIO_SWAP, entry);
  }

  /** Address of its page's words in the backing store, or 0. */
  @inline
  static backing(folio: usize): usize {
    return Shared.quietLoad<u32>(folio + FOLIO_BACKING);
  }

  @inline
  static setBacking(folio: usize, words: usize): void {
    Shared.quietStore<u32>(folio + FOLIO_BACKING, <u32>words);
  }

  /** Linear address of its bytes. */
  @inline
  static address(folio: usize): usize {
    return Frames.address(Folio.frame(folio));
  }

  @inline
  static physical(folio: usize): u64 {
    return Frames.physical(Folio.frame(folio));
  }

  // ---- entries that come and go: folio_add_*_rmap_pte(), folio_remove_rmap_pte(); under the page-table lock

  /** folio_add_new_anon_rmap(): nobody else can see it yet. `anon` is the ANON_* of its VMA, `index` its page offset there. */
  static addNewAnonRmap(folio: usize, anon: usize, index: u64): void {
    Folio.setMapping(folio, <u32>anon | FOLIO_ANON, index);
    Folio.set(folio, PG_UPTODATE | PG_SWAPBACKED | PG_ANON_EXCLUSIVE);
    Shared.count<u32>(folio + FOLIO_MAPCOUNT, 1);
  }

  /** __folio_set_anon(): it is page `index` of `anon` from here on. */
  static joinAnon(folio: usize, anon: usize, index: u64): void {
    Folio.setMapping(folio, <u32>anon | FOLIO_ANON, index);
    Folio.set(folio, PG_SWAPBACKED);
  }

  /** folio_add_anon_rmap_pte() (RMAP_EXCLUSIVE if `exclusive`), folio_add_file_rmap_pte() and folio_dup_*_rmap_pte(): one entry more. */
  static addRmap(folio: usize, exclusive: bool): void {
    if (exclusive) Folio.set(folio, PG_ANON_EXCLUSIVE);
    Shared.count<u32>(folio + FOLIO_MAPCOUNT, 1);
  }

  /** folio_remove_rmap_pte(); returns true if no entry is left. */
  static removeRmap(folio: usize): bool {
    return Shared.sub<u32>(folio + FOLIO_MAPCOUNT, 1) == 1;
  }
}
