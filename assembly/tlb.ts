// One CPU's TLB: look up, fill, evict, invalidate.
//
// Guarantees: a look-up answers from what was filled and neither invalidated nor evicted since, however the tables changed meanwhile: stale
// entries are legal. After an invalidation has returned, no look-up that begins later finds what it covers (assoc.ts says why,
// also against fills that are under way). An invalidation never drops too little; it drops more only where the header of a
// function says so.
//
// Order of look-up: level 1, then level 2; in a level the smallest page first; for a page of one size the entry of the ASID, then a
// global one. Entries of several sizes for one address may coexist (Intel SDM vol. 3A, 4.10.2.3: software must not rely on
// which is used; here it is this order). Statistics: each look-up is one access, and either one hit in one array or one miss.
//
// Where a fill goes: into level 1 and level 2, as on Intel's cores, whose levels are not inclusive (Gras et al., "Translation Leak-aside
// Buffer", USENIX Security 2018, section 6); a hit in level 2 refills level 1. INCLUSION_INCLUSIVE and _EXCLUSIVE are there to
// compare. A page larger than what a level takes is splintered (SDM 4.10.2.3): the entry covers the piece around the address,
// and an invalidation of any address in the page drops all its pieces (4.10.4.1), at the price of looking at every entry.
//
// Not modelled: VMIDs and nested translations, entries that coalesce neighbouring pages (contiguous bit, AMD), hashed set indices.

import {
  ARRAY_ENTRIES,
  ARRAY_HITS,
  ARRAY_LEVEL,
  ARRAY_POLICY,
  ARRAY_SERVES,
  ARRAY_SET_MASK,
  ARRAY_SIZES,
  ARRAY_WAYS,
  BUILD_EXPLORE,
  ENTRY_BYTES,
  ENTRY_HOST,
  ENTRY_RESULT,
  ENTRY_RIGHTS,
  ENTRY_SLOT,
  ENTRY_STAMP,
  FLUSH_ALL,
  FLUSH_ASID,
  FLUSH_NOT_GLOBAL,
  FLUSH_PAGE,
  FLUSH_RANGE,
  FRAME_SHIFT,
  INCLUSION_EXCLUSIVE,
  INCLUSION_INCLUSIVE,
  POLICY_LRU,
  RESULT_LEVEL_SHIFT,
  RESULT_SHIFT,
  SCOPE_GLOBAL,
  SCOPE_STRUCTURES,
  SCOPE_WAY,
  SERVES_DATA,
  SERVES_FETCH,
  TLB_ACCESSES,
  TLB_ARRAYS,
  TLB_DESCRIPTORS,
  TLB_ENTRIES,
  TLB_FILLED,
  TLB_FLUSHES,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
  TLB_INCLUSION,
  TLB_LEVEL_SHIFT,
  TLB_MAX_ARRAYS,
  TLB_MISSES,
  TLB_PAGE_SHIFT,
  TLB_RANDOM,
  TLB_SERVING,
  TLB_SPLINTERED,
  TLB_STRUCTURES,
} from "./layout";
import { Assoc, Count, Sequence, Tag } from "./assoc";
import { Frames } from "./frame";
import { Heap } from "./heap";

const LEVELS: u32 = 8;
const PA_BITS: u64 = 0x000fffffffffffff;
const FEWEST_HINTS: u32 = 64;
const MOST_HINTS: u32 = 1024;

/** A visitor of invalidations that hears nothing. Another has the same two methods and, say, writes a lazy dirty bit back. */
export class Silent {
  /** Is it to be told that a translation went that says `result`, and came from the PTE at `slot`? */
  @inline
  hears(_result: u64, _slot: usize): bool {
    return false;
  }

  @inline
  dropped(_block: usize, _tag: u64, _result: u64, _slot: usize): void {}
}

export abstract class Tlb {
  // ---- making one

  /**
   * A block for `entries` entries in `arrays` arrays, which `setArray` then draws; 0 if the heap is full. `pageShift` and `levelShift` say the
   * sizes: an entry of level n covers 2^(pageShift + n × levelShift) bytes.
   */
  static create(arrays: u32, entries: u32, pageShift: u32, levelShift: u32, inclusion: u32, seed: u32): usize {
    if (arrays > <u32>TLB_MAX_ARRAYS) return 0;
    let hints = FEWEST_HINTS;
    while (hints < MOST_HINTS && hints < 4 * entries) hints <<= 1;
    const ways = TLB_DESCRIPTORS + TLB_MAX_ARRAYS * 128;
    const first = <usize>ways + <usize>hints * 4;
    const bytes = first + <usize>entries * ENTRY_BYTES;
    const tlb = Heap.allocate(<u32>bytes);
    if (tlb == 0) return 0;
    memory.fill(tlb, 0, bytes);
    store<u32>(tlb, arrays, TLB_ARRAYS);
    store<u32>(tlb, entries, TLB_ENTRIES);
    store<u32>(tlb, pageShift, TLB_PAGE_SHIFT);
    store<u32>(tlb, levelShift, TLB_LEVEL_SHIFT);
    store<u32>(tlb, inclusion, TLB_INCLUSION);
    store<u32>(tlb, seed == 0 ? 1 : seed, TLB_RANDOM);
    store<u32>(tlb, <u32>(tlb + ways), TLB_HINTS_AT);
    store<u32>(tlb, (hints - 1) << 2, TLB_HINTS_MASK);
    Tlb.resetHints(tlb, <u32>(tlb + first));
    // The explore build looks for all: what was filled once is no difference between two states.
    if (BUILD == BUILD_EXPLORE) store<u32>(tlb, 0xffff, TLB_FILLED);
    return tlb;
  }

  /**
   * Array `n`, in ascending order of n. `level` 1 or 2 with what it `serves` (SERVES_*), or 0: a paging-structure cache. At each level
   * one array at most takes pages of one size for one kind of access.
   */
  static setArray(tlb: usize, n: u32, sets: u32, ways: u32, sizes: u32, level: u32, serves: u32, policy: u32): void {
    const array = Assoc.descriptor(tlb, n);
    const before = Assoc.descriptor(tlb, n - 1);
    const first =
      n == 0
        ? load<u32>(tlb, TLB_HINTS_AT) + load<u32>(tlb, TLB_HINTS_MASK) + 4
        : load<u32>(before, ARRAY_ENTRIES) + <u32>Tlb.bytes(before);
    store<u32>(array, first, ARRAY_ENTRIES);
    store<u32>(array, sets - 1, ARRAY_SET_MASK);
    store<u32>(array, ways, ARRAY_WAYS);
    store<u32>(array, policy, ARRAY_POLICY);
    store<u32>(array, sizes, ARRAY_SIZES);
    store<u32>(array, level, ARRAY_LEVEL);
    store<u32>(array, serves, ARRAY_SERVES);
    if (level == 1 && (serves & SERVES_DATA) != 0 && (sizes & 1) != 0) Tlb.resetHints(tlb, first);
    for (let size: u32 = 0; size < LEVELS; ++size) {
      if (((sizes >> size) & 1) == 0) continue;
      if (level == 0) store<u32>(tlb + ((<usize>size) << 2), <u32>array, TLB_STRUCTURES);
      if ((serves & SERVES_DATA) != 0) store<u32>(Tlb.serving(tlb, 0, level, size), <u32>array);
      if ((serves & SERVES_FETCH) != 0) store<u32>(Tlb.serving(tlb, 1, level, size), <u32>array);
    }
    if (BUILD != BUILD_EXPLORE || policy != POLICY_LRU) return;
    for (let entry: u32 = 0; entry < sets * ways; ++entry) {
      store<u64>(<usize>first + <usize>entry * ENTRY_BYTES, entry % ways, ENTRY_STAMP);
    }
  }

  static dispose(tlb: usize): void {
    Heap.free(tlb);
  }

  // ---- what an entry says

  /** Result word of the first byte that the entry covers. */
  @inline
  static result(entry: usize): u64 {
    return load<u64>(entry, ENTRY_RESULT);
  }

  /** Result word of `va`, which the entry covers. Its tag, which another CPU may be clearing, is not asked. */
  @inline
  static resultAt(tlb: usize, entry: usize, va: u64): u64 {
    const result = load<u64>(entry, ENTRY_RESULT);
    const within = ((<u64>1) << Assoc.shift(tlb, Tlb.pageLevel(result))) - 1;
    return (result & ~within) | (va & within);
  }

  /** Linear address of the PTE that the entry came from. */
  @inline
  static slot(entry: usize): usize {
    return load<u32>(entry, ENTRY_SLOT);
  }

  /** Linear address of the first byte that the entry covers, 0 if nothing backs it or its frames do not lie in a row. */
  @inline
  static host(entry: usize): usize {
    return load<u32>(entry, ENTRY_HOST);
  }

  /**
   * The entry for `va` that a look-up returned says `result` from here on: D was set, or only in the entry. The owner calls. If another CPU
   * dropped it meanwhile it stays dropped.
   */
  static rewrite<S>(tlb: usize, entry: usize, va: u64, result: u64): void {
    Sequence.join<S>(tlb);
    const tag = Assoc.tag(entry);
    if (tag == 0) return;
    const shift = Tag.shift(tag);
    const piece = Tlb.piece(tlb, va, result, Tlb.pageLevel(result), shift);
    store<u64>(entry, piece, ENTRY_RESULT);
    store<u32>(entry, <u32>Tlb.hostOf(piece & PA_BITS, shift), ENTRY_HOST);
  }

  // ---- look-up and fill

  /**
   * The entry that translates `va` for `asid`, or 0. `fetch` is 1 for an instruction fetch, else 0. What it says stays readable until the
   * owner's next fill, even if another CPU drops the entry meanwhile: such an access is in flight.
   */
  static lookUp<S>(tlb: usize, va: u64, asid: u32, fetch: u32): usize {
    Sequence.look<S>(tlb);
    Count.one(tlb + TLB_ACCESSES);
    const space = Tag.asid(asid);
    if (BUILD != BUILD_EXPLORE && fetch == 0) {
      const shift = <u64>load<u32>(tlb, TLB_PAGE_SHIFT);
      const entry = <usize>load<u32>(Tlb.hint(tlb, va, shift));
      if (Assoc.mine(entry) == Tag.of(va, shift, space)) {
        const array = <usize>load<u32>(Tlb.serving(tlb, 0, 1, 0));
        Assoc.touch(tlb, array, entry);
        Count.one(array + ARRAY_HITS);
        return entry;
      }
    }
    const first = Tlb.probe(tlb, va, space, fetch, 1);
    if (first != 0) return first;
    const begun = Sequence.begin<S>(tlb);
    const second = Tlb.probe(tlb, va, space, fetch, 2);
    if (second != 0) return Tlb.refill<S>(tlb, va, fetch, second, begun);
    Count.one(tlb + TLB_MISSES);
    return 0;
  }

  /** Is there an entry for data at `va`? Asks without using one. */
  static holds(tlb: usize, va: u64, asid: u32): bool {
    const space = Tag.asid(asid);
    for (let level: u32 = 1; level <= 2; ++level) {
      for (let size: u32 = 0; size < LEVELS; ++size) {
        const array = <usize>load<u32>(Tlb.serving(tlb, 0, level, size));
        if (array == 0) continue;
        const shift = Assoc.shift(tlb, size);
        const set = Assoc.set(array, va, shift);
        if (Assoc.find(array, set, Tag.of(va, shift, space)) != 0) return true;
        if (Assoc.find(array, set, Tag.of(va, shift, Tag.global)) != 0) return true;
      }
    }
    return false;
  }

  /** To be called before the walk whose result `fill` will get. */
  @inline
  static begin<S>(tlb: usize): u64 {
    return Sequence.begin<S>(tlb);
  }

  /**
   * Takes in what a walk found for `va`: a mapped result word and the address of its PTE. Returns the entry, or 0 if an invalidation overtook
   * the walk: then walk again.
   */
  static fill<S>(
    tlb: usize,
    va: u64,
    asid: u32,
    fetch: u32,
    global: bool,
    result: u64,
    slot: usize,
    begun: u64,
  ): usize {
    Sequence.change<S>(tlb);
    const space = global ? Tag.global : Tag.asid(asid);
    const exclusive = load<u32>(tlb, TLB_INCLUSION) == INCLUSION_EXCLUSIVE;
    const second = exclusive ? <usize>0 : Tlb.place<S>(tlb, va, space, fetch, 2, result, slot, begun);
    const first = Tlb.place<S>(tlb, va, space, fetch, 1, result, slot, begun);
    if (first == 0 || Sequence.settled<S>(tlb, begun)) return first;
    if (second != 0) Assoc.refuse<S>(tlb, Tlb.arrayOf(tlb, second), second);
    Assoc.refuse<S>(tlb, Tlb.arrayOf(tlb, first), first);
    return 0;
  }

  /** The arrays of one level, each size, smallest first. */
  private static probe(tlb: usize, va: u64, space: u64, fetch: u32, level: u32): usize {
    const filled = load<u32>(tlb, TLB_FILLED);
    const any = (filled | (filled >> LEVELS)) & ((1 << LEVELS) - 1);
    for (let sizes = any; sizes != 0; sizes &= sizes - 1) {
      const size = ctz(sizes);
      const array = <usize>load<u32>(Tlb.serving(tlb, fetch, level, size));
      if (array == 0) continue;
      const shift = Assoc.shift(tlb, size);
      const set = Assoc.set(array, va, shift);
      let entry = Assoc.find(array, set, Tag.of(va, shift, space));
      if (entry == 0) {
        if ((filled >> (LEVELS + size)) & 1) entry = Assoc.find(array, set, Tag.of(va, shift, Tag.global));
      } else if (BUILD != BUILD_EXPLORE && size == 0 && level == 1 && fetch == 0) {
        // A way to try first. Its tag stands once in level 1 and no other entry comes before it, so that a wrong one costs time only.
        store<u32>(Tlb.hint(tlb, va, shift), <u32>entry);
      }
      if (entry == 0) continue;
      Assoc.touch(tlb, array, entry);
      Count.one(array + ARRAY_HITS);
      return entry;
    }
    return 0;
  }

  /** Brings what level 2 holds to level 1. */
  private static refill<S>(tlb: usize, va: u64, fetch: u32, second: usize, begun: u64): usize {
    const tag = Assoc.tag(second);
    const result = load<u64>(second, ENTRY_RESULT);
    const slot = Tlb.slot(second);
    // Cleared since it was found: the access goes on with it, as one in flight.
    if (tag == 0) return second;
    if (load<u32>(tlb, TLB_INCLUSION) == INCLUSION_EXCLUSIVE) Assoc.evict<S>(Tlb.arrayOf(tlb, second), second);
    const first = Tlb.place<S>(tlb, va, Tag.space(tag), fetch, 1, result, slot, begun);
    if (!Sequence.settled<S>(tlb, begun)) Assoc.refuse<S>(tlb, Tlb.arrayOf(tlb, first), first);
    return first;
  }

  /** Writes an entry into the array of `level` that takes the largest size not above the page's; 0 if none does. */
  private static place<S>(
    tlb: usize,
    va: u64,
    space: u64,
    fetch: u32,
    level: u32,
    result: u64,
    slot: usize,
    begun: u64,
  ): usize {
    const page = Tlb.pageLevel(result);
    let size = page;
    let array = <usize>load<u32>(Tlb.serving(tlb, fetch, level, size));
    while (array == 0 && size > 0) array = load<u32>(Tlb.serving(tlb, fetch, level, --size));
    if (array == 0) return 0;
    const shift = Assoc.shift(tlb, size);
    if (size != page) atomic.store<u32>(tlb + TLB_SPLINTERED, 1);
    if (BUILD != BUILD_EXPLORE)
      store<u32>(
        tlb,
        load<u32>(tlb, TLB_FILLED) | ((<u32>1) << (space == Tag.global ? size + LEVELS : size)),
        TLB_FILLED,
      );
    const tag = Tag.of(va, shift, space);
    const entry = Assoc.room(tlb, array, Assoc.set(array, va, shift), tag);
    Tlb.displace<S>(tlb, array, entry, tag, fetch, begun);
    const piece = Tlb.piece(tlb, va, result, page, shift);
    const tail = ((<u64>Tlb.hostOf(piece & PA_BITS, shift)) << 32) | <u64>slot;
    Assoc.put<S>(tlb, array, entry, tag, piece, tail);
    return entry;
  }

  /** What the other level does about the entry that is about to make room. */
  private static displace<S>(tlb: usize, array: usize, entry: usize, tag: u64, fetch: u32, begun: u64): void {
    const inclusion = load<u32>(tlb, TLB_INCLUSION);
    const old = Assoc.tag(entry);
    if (old == 0 || old == tag) return;
    const level = load<u32>(array, ARRAY_LEVEL);
    if (inclusion == INCLUSION_INCLUSIVE && level == 2) Tlb.dropAbove<S>(tlb, old);
    if (inclusion == INCLUSION_EXCLUSIVE && level == 1) Tlb.moveDown<S>(tlb, old, entry, fetch, begun);
  }

  /** Inclusive: level 1 must not hold what level 2 gave up. */
  private static dropAbove<S>(tlb: usize, tag: u64): void {
    const shift = Tag.shift(tag);
    const size = Tlb.levelOf(tlb, shift);
    for (let fetch: u32 = 0; fetch < 2; ++fetch) {
      const array = <usize>load<u32>(Tlb.serving(tlb, fetch, 1, size));
      if (array == 0) continue;
      const entry = Assoc.find(array, Assoc.set(array, Tag.address(tag), shift), tag);
      if (entry != 0) Assoc.evict<S>(array, entry);
    }
  }

  /** Exclusive: what level 1 gives up goes to level 2, if that takes its size. */
  private static moveDown<S>(tlb: usize, tag: u64, entry: usize, fetch: u32, begun: u64): void {
    const shift = Tag.shift(tag);
    const array = <usize>load<u32>(Tlb.serving(tlb, fetch, 2, Tlb.levelOf(tlb, shift)));
    if (array == 0) return;
    const lower = Assoc.room(tlb, array, Assoc.set(array, Tag.address(tag), shift), tag);
    Assoc.put<S>(tlb, array, lower, tag, load<u64>(entry, ENTRY_RESULT), load<u64>(entry, ENTRY_RIGHTS));
    if (!Sequence.settled<S>(tlb, begun)) Assoc.refuse<S>(tlb, array, lower);
  }

  // ---- invalidation: by the owner (Own), or by any CPU (Broadcast). V is told of every entry that goes.

  /**
   * One address in one ASID: x86 INVLPG is SCOPE_GLOBAL | SCOPE_STRUCTURES, INVPCID type 0 SCOPE_STRUCTURES, arm64 TLBI VAE1 SCOPE_GLOBAL |
   * SCOPE_WAY and VALE1 SCOPE_GLOBAL, RISC-V SFENCE.VMA with both registers 0. An entry of any size goes by any address in it.
   */
  static invalidatePage<S, V>(tlb: usize, va: u64, asid: u32, scope: u32): void {
    Sequence.open<S>(tlb);
    Tlb.countFlush<S>(tlb, FLUSH_PAGE);
    if (Tlb.splintered(tlb)) Tlb.sweep<S, V, InRange>(tlb, Tag.asid(asid), va, va, 0, scope);
    else {
      Tlb.dropPage<S, V>(tlb, va, Tag.asid(asid), scope);
      if ((scope & SCOPE_STRUCTURES) != 0) Tlb.sweepStructures<S, V>(tlb, Tag.asid(asid));
    }
    Sequence.close<S>(tlb);
  }

  /**
   * As `invalidatePage` for `first`, `first` + 2^`stride`, ... up to `last`: a stride larger than a page skips pages, as it does on a processor. Takes
   * the shorter way: page by page, or once over all entries.
   */
  static invalidateRange<S, V>(tlb: usize, first: u64, last: u64, stride: u32, asid: u32, scope: u32): void {
    Sequence.open<S>(tlb);
    Tlb.countFlush<S>(tlb, FLUSH_RANGE);
    const space = Tag.asid(asid);
    const steps = last < first ? 0 : ((last - first) >> stride) + 1;
    // A step looks at a set for each size of each array; eight entries are what that costs at least.
    if (Tlb.splintered(tlb) || steps > <u64>(load<u32>(tlb, TLB_ENTRIES) >> 3)) {
      if (steps != 0) Tlb.sweep<S, V, InRange>(tlb, space, first, last, stride, scope);
    } else {
      for (let n: u64 = 0; n < steps; ++n) Tlb.dropPage<S, V>(tlb, first + (n << stride), space, scope);
      if (steps != 0 && (scope & SCOPE_STRUCTURES) != 0) {
        Tlb.sweepStructures<S, V>(tlb, space);
      }
    }
    Sequence.close<S>(tlb);
  }

  /**
   * What hardware drops when it faults on `va`, so that the handler's new entry will be seen: all that the translation would use (SDM
   * 4.10.4.1). By the owner; no flush that somebody asked for.
   */
  static dropFaulted<S, V>(tlb: usize, va: u64, asid: u32): void {
    Tlb.dropAt<S, V>(tlb, va, asid, SCOPE_GLOBAL | SCOPE_WAY);
  }

  /** The owner drops what it has for `va`; nobody asked for it. */
  static dropAt<S, V>(tlb: usize, va: u64, asid: u32, scope: u32): void {
    Sequence.change<S>(tlb);
    if (Tlb.splintered(tlb)) Tlb.sweep<S, V, InRange>(tlb, Tag.asid(asid), va, va, 0, scope);
    else Tlb.dropPage<S, V>(tlb, va, Tag.asid(asid), scope);
  }

  /** All of one ASID but globals, paging structures included (INVPCID type 1, TLBI ASIDE1, MOV to CR3). */
  static invalidateAsid<S, V>(tlb: usize, asid: u32): void {
    Sequence.open<S>(tlb);
    Tlb.countFlush<S>(tlb, FLUSH_ASID);
    Tlb.sweep<S, V, InSpace>(tlb, Tag.asid(asid), 0, 0, 0, 0);
    Sequence.close<S>(tlb);
  }

  /** All of all ASIDs but globals (INVPCID type 3). */
  static invalidateNotGlobal<S, V>(tlb: usize): void {
    Sequence.open<S>(tlb);
    Tlb.countFlush<S>(tlb, FLUSH_NOT_GLOBAL);
    Tlb.sweep<S, V, NotGlobal>(tlb, 0, 0, 0, 0, 0);
    Sequence.close<S>(tlb);
  }

  /** Everything (INVPCID type 2, TLBI VMALLE1, a change of CR4.PGE). */
  static invalidateAll<S, V>(tlb: usize): void {
    Sequence.open<S>(tlb);
    Tlb.countFlush<S>(tlb, FLUSH_ALL);
    Tlb.sweep<S, V, Everything>(tlb, 0, 0, 0, 0, 0);
    if (!changetype<S>(0).shared) {
      if (BUILD != BUILD_EXPLORE) store<u32>(tlb, 0, TLB_FILLED);
      store<u32>(tlb, 0, TLB_SPLINTERED);
    }
    Sequence.close<S>(tlb);
  }

  /** One address in the arrays whose sets it may be in; none of its entries is smaller than its page. */
  private static dropPage<S, V>(tlb: usize, va: u64, space: u64, scope: u32): void {
    const arrays = load<u32>(tlb, TLB_ARRAYS);
    for (let n: u32 = 0; n < arrays; ++n) {
      const array = Assoc.descriptor(tlb, n);
      const structures = load<u32>(array, ARRAY_LEVEL) == 0;
      if (structures && (scope & SCOPE_WAY) == 0) continue;
      for (let sizes = load<u32>(array, ARRAY_SIZES); sizes != 0; sizes &= sizes - 1) {
        const shift = Assoc.shift(tlb, ctz(sizes));
        const set = Assoc.set(array, va, shift);
        const end = set + Assoc.setBytes(array);
        const own = Tag.of(va, shift, space);
        const global = (scope & SCOPE_GLOBAL) != 0 ? Tag.of(va, shift, Tag.global) : own;
        for (let entry = set; entry != end; entry += ENTRY_BYTES) {
          const tag = Assoc.tag(entry);
          if (tag == own || tag == global) Assoc.invalidate<S, V>(tlb, array, entry, tag);
        }
      }
    }
  }

  /** Every entry that the rule R names. */
  private static sweep<S, V, R>(tlb: usize, space: u64, first: u64, last: u64, stride: u32, scope: u32): void {
    const rule = changetype<R>(0);
    const arrays = load<u32>(tlb, TLB_ARRAYS);
    for (let n: u32 = 0; n < arrays; ++n) {
      const array = Assoc.descriptor(tlb, n);
      const structures = load<u32>(array, ARRAY_LEVEL) == 0;
      let entry = <usize>load<u32>(array, ARRAY_ENTRIES);
      for (const end = entry + Tlb.bytes(array); entry != end; entry += ENTRY_BYTES) {
        const tag = Assoc.tag(entry);
        if (tag == 0) continue;
        if (rule.names(tlb, entry, tag, structures, space, first, last, stride, scope)) {
          Assoc.invalidate<S, V>(tlb, array, entry, tag);
        }
      }
    }
  }

  /** Every paging-structure entry of one ASID. Most of a TLB is none, and is not looked at: each flush of a page does this. */
  private static sweepStructures<S, V>(tlb: usize, space: u64): void {
    const arrays = load<u32>(tlb, TLB_ARRAYS);
    for (let n: u32 = 0; n < arrays; ++n) {
      const array = Assoc.descriptor(tlb, n);
      if (load<u32>(array, ARRAY_LEVEL) != 0) continue;
      let entry = <usize>load<u32>(array, ARRAY_ENTRIES);
      for (const end = entry + Tlb.bytes(array); entry != end; entry += ENTRY_BYTES) {
        const tag = Assoc.tag(entry);
        if (tag != 0 && Tag.space(tag) == space) Assoc.invalidate<S, V>(tlb, array, entry, tag);
      }
    }
  }

  // ---- entries, one by one

  /** The valid entry after `entry`, or the first one after 0; 0 after the last. */
  static next(tlb: usize, entry: usize): usize {
    const start = Tlb.first(tlb);
    const end = start + <usize>load<u32>(tlb, TLB_ENTRIES) * ENTRY_BYTES;
    for (let each = entry == 0 ? start : entry + ENTRY_BYTES; each < end; each += ENTRY_BYTES) {
      if (Assoc.tag(each) != 0) return each;
    }
    return 0;
  }

  /** Tells V of every translation as if it went; it stays. The owner calls. */
  static tell<S, V>(tlb: usize): void {
    Sequence.glance<S>(tlb);
    for (let entry = Tlb.next(tlb, 0); entry != 0; entry = Tlb.next(tlb, entry)) {
      const result = Tlb.result(entry);
      const slot = Tlb.slot(entry);
      if (!changetype<V>(0).hears(result, slot) || load<u32>(Tlb.arrayOf(tlb, entry), ARRAY_LEVEL) == 0) continue;
      changetype<V>(0).dropped(tlb, Assoc.tag(entry), result, slot);
      Sequence.look<S>(tlb);
    }
  }

  static countValid(tlb: usize): u32 {
    let count: u32 = 0;
    for (let entry = Tlb.next(tlb, 0); entry != 0; entry = Tlb.next(tlb, entry)) ++count;
    return count;
  }

  /** Hardware evicts the `n`-th valid entry, paging structures included. Returns false if there are not so many. */
  static evict<S>(tlb: usize, n: u32): bool {
    Sequence.change<S>(tlb);
    let entry = Tlb.next(tlb, 0);
    for (; entry != 0 && n != 0; --n) entry = Tlb.next(tlb, entry);
    if (entry == 0) return false;
    const array = Tlb.arrayOf(tlb, entry);
    const inclusive = load<u32>(tlb, TLB_INCLUSION) == INCLUSION_INCLUSIVE && load<u32>(array, ARRAY_LEVEL) == 2;
    if (inclusive) Tlb.dropAbove<S>(tlb, Assoc.tag(entry));
    Assoc.evict<S>(array, entry);
    return true;
  }

  /** The descriptor of the array that holds `entry`. */
  static arrayOf(tlb: usize, entry: usize): usize {
    let n = load<u32>(tlb, TLB_ARRAYS) - 1;
    while (n > 0 && entry < <usize>load<u32>(Assoc.descriptor(tlb, n), ARRAY_ENTRIES)) --n;
    return Assoc.descriptor(tlb, n);
  }

  // ---- where things are

  /** Every hint names an entry of the array that a hint may name. */
  private static resetHints(tlb: usize, entry: u32): void {
    const hints = <usize>load<u32>(tlb, TLB_HINTS_AT);
    const end = hints + load<u32>(tlb, TLB_HINTS_MASK) + 4;
    for (let hint = hints; hint != end; hint += 4) store<u32>(hint, entry);
  }

  /** Address of the word that names the array for accesses of a kind, a level of TLB and a level of page. */
  @inline
  static serving(tlb: usize, fetch: u32, level: u32, size: u32): usize {
    return tlb + TLB_SERVING + (((((<usize>fetch) << 1) + <usize>level - 1) << 5) | ((<usize>size) << 2));
  }

  @inline
  private static hint(tlb: usize, va: u64, shift: u64): usize {
    return <usize>load<u32>(tlb, TLB_HINTS_AT) + (<usize>(va >> (shift - 2)) & <usize>load<u32>(tlb, TLB_HINTS_MASK));
  }

  @inline
  private static first(tlb: usize): usize {
    return load<u32>(Assoc.descriptor(tlb, 0), ARRAY_ENTRIES);
  }

  @inline
  private static bytes(array: usize): usize {
    return <usize>(load<u32>(array, ARRAY_SET_MASK) + 1) * Assoc.setBytes(array);
  }

  @inline
  static pageLevel(result: u64): u32 {
    return <u32>(result >> (RESULT_SHIFT + RESULT_LEVEL_SHIFT)) & 7;
  }

  @inline
  private static levelOf(tlb: usize, shift: u64): u32 {
    return (<u32>shift - load<u32>(tlb, TLB_PAGE_SHIFT)) / load<u32>(tlb, TLB_LEVEL_SHIFT);
  }

  /** The result word of the piece of 2^`shift` around `va` in a page of `level`. */
  @inline
  private static piece(tlb: usize, va: u64, result: u64, level: u32, shift: u64): u64 {
    const within = ((<u64>1) << Assoc.shift(tlb, level)) - 1;
    const pa = (result & PA_BITS & ~within) | (va & within & ~(((<u64>1) << shift) - 1));
    return (result & ~PA_BITS) | pa;
  }

  @inline
  private static hostOf(pa: u64, shift: u64): usize {
    const frames = (<u64>1) << (shift - FRAME_SHIFT);
    if (frames == 1) return Frames.backing(pa);
    const index = (pa >> FRAME_SHIFT) - Frames.basePfn();
    const inside = index < <u64>Frames.count() && frames <= <u64>Frames.count() - index;
    return inside ? Frames.backing(pa) : 0;
  }

  @inline
  private static splintered(tlb: usize): bool {
    return atomic.load<u32>(tlb + TLB_SPLINTERED) != 0;
  }

  @inline
  private static countFlush<S>(tlb: usize, kind: u32): void {
    if (BUILD == BUILD_EXPLORE) return;
    const p = tlb + TLB_FLUSHES + ((<usize>kind) << 3);
    if (changetype<S>(0).shared) atomic.add<u64>(p, 1);
    else Count.one(p);
  }
}

// ---- rules of a sweep: classes without fields

class Everything {
  @inline
  names(
    _tlb: usize,
    _entry: usize,
    _tag: u64,
    _structures: bool,
    _space: u64,
    _first: u64,
    _last: u64,
    _stride: u32,
    _scope: u32,
  ): bool {
    return true;
  }
}

class NotGlobal {
  @inline
  names(
    _tlb: usize,
    _entry: usize,
    tag: u64,
    _structures: bool,
    _space: u64,
    _first: u64,
    _last: u64,
    _stride: u32,
    _scope: u32,
  ): bool {
    return !Tag.isGlobal(tag);
  }
}

class InSpace {
  @inline
  names(
    _tlb: usize,
    _entry: usize,
    tag: u64,
    _structures: bool,
    space: u64,
    _first: u64,
    _last: u64,
    _stride: u32,
    _scope: u32,
  ): bool {
    return Tag.space(tag) == space;
  }
}

/** Entries whose page holds one of the addresses `first`, `first` + 2^`stride`, ... up to `last`. */
class InRange {
  @inline
  names(
    tlb: usize,
    entry: usize,
    tag: u64,
    structures: bool,
    space: u64,
    first: u64,
    last: u64,
    stride: u32,
    scope: u32,
  ): bool {
    const mine = Tag.space(tag) == space;
    if (structures && (scope & SCOPE_STRUCTURES) != 0) return mine;
    if (structures && (scope & SCOPE_WAY) == 0) return false;
    if (!mine && !((scope & SCOPE_GLOBAL) != 0 && Tag.isGlobal(tag))) return false;
    // The page, of which the entry may be a piece.
    let shift = Tag.shift(tag);
    if (!structures) {
      const page = Assoc.shift(tlb, Tlb.pageLevel(load<u64>(entry, ENTRY_RESULT)));
      if (page > shift) shift = page;
    }
    const size = (<u64>1) << shift;
    // The sign bits are in `first` and `last` but not in the tag: the address is compared modulo 2^57.
    const base = Tag.address(tag) & ~(size - 1);
    const from = (base - first) & 0x01ffffffffffffff;
    const length = last - first;
    // Either the page begins before `first` and holds it, or the first step at or after its begin is still in it.
    if (((first - base) & 0x01ffffffffffffff) < size) return true;
    const step = (<u64>1) << stride;
    const reach = (from + step - 1) & ~(step - 1);
    return reach <= length && reach - from < size;
  }
}
