// Set-associative arrays of one CPU: what a TLB and a paging-structure cache are made of.
//
// Guarantees: a tag stands at most once in an array, unless two CPUs broke the rule that only the owner fills. An entry is valid if its
// tag is not 0; the tag is the one word that another CPU may change, and only to 0. So the owner, once it read a tag, may read
// the rest at leisure: it stays until the owner itself fills again. A fill writes the tag last.
//
// Replacement: an invalid way first, the lowest; then true LRU, tree-PLRU (a binary tree of "older half" bits, as in So and
// Rechtschaffen, "Cache Operations by MRU Change", 1988), or random.
//
// **An invalidation by another CPU is never lost.** What races with it is a fill, whose source (a PTE, a level-2 entry, a cached
// pointer to a table) may have been read before that source was changed or dropped:
//
//   owner                                  another CPU, after it changed the PTE
//   -----                                  -------------------------------------
//   s = Sequence.begin
//   read the source
//                                          Sequence.open      (started + 1, in progress + 1)
//   store the tag                          drop every match
//   s still stands, none in progress?      Sequence.close     (in progress - 1)
//     no: clear the tag, refuse the fill   return
//
// All are sequentially consistent. If the owner's check comes before `open`, the tag is stored before the scan, which finds it. If
// it comes after, it sees another number and refuses. An invalidation that was in progress at `begin` is why that number alone
// would not do: its scan may be past the set already, while the source, a level-2 entry, is still to be dropped.
//
// One-map, and atomic.ts: tags are accessed here, not through Shared, because look-up, fill and invalidation are one step each to
// the scheduler (scenarios.md 1.2): one point, on TLB_SEQUENCE, stands for the whole block. Only where a visitor writes D back does an
// invalidation take several steps: whoever goes on in the block after that does so behind a point of its own. The chaos build has further
// points inside, where the races are. `Own` has none and takes no locked instruction: for a TLB that no other CPU invalidates (IPIs).

import {
  ARRAY_BYTES,
  ARRAY_ENTRIES,
  ARRAY_EVICTIONS,
  ARRAY_FILLS,
  ARRAY_INVALIDATED,
  ARRAY_LEVEL,
  ARRAY_POLICY,
  ARRAY_SET_MASK,
  ARRAY_WAYS,
  BUILD_CHAOS,
  BUILD_EXPLORE,
  ENTRY_BYTES,
  ENTRY_RESULT,
  ENTRY_RIGHTS,
  ENTRY_STAMP,
  POINT_LOAD,
  POINT_STORE,
  POINT_UPDATE,
  POLICY_LRU,
  POLICY_TREE,
  TLB_CLOCK,
  TLB_DESCRIPTORS,
  TLB_LEVEL_SHIFT,
  TLB_PAGE_SHIFT,
  TLB_RANDOM,
  TLB_REFUSED,
  TLB_SEQUENCE,
} from "./layout";
import { Point } from "./point";
import { Random } from "./random";

/** Page number and the size marker: bits 11 to 56. */
const PAGE_BITS: u64 = 0x01fffffffffff800;
const GLOBAL: u64 = 1 << 9;
const ASID_BITS: u64 = 0xfe000000000001ff;

/** Nobody but its owner touches the block: no scheduling points, no locked instructions. */
export class Own {
  @inline
  get shared(): bool {
    return false;
  }
}

/** Other CPUs invalidate in it (arm64 TLBI …IS, AMD INVLPGB): each operation is a scheduling point. */
export class Broadcast {
  @inline
  get shared(): bool {
    return true;
  }
}

/**
 * Tag of an entry: bits 12-56 of the address, under them a 1 that says the size (the lowest bit set of bits 11-56 is the one below the
 * page's own bits), the ASID in bits 0-8 and 57-63, bit 9 for a global entry, which has no ASID. Never 0. The sign bits of an
 * address are not compared: callers look up canonical ones.
 */
export abstract class Tag {
  @inline
  static of(va: u64, shift: u64, space: u64): u64 {
    return Tag.page(va, shift) | ((<u64>1) << (shift - 1)) | space;
  }

  /** The bits of `va` that a tag of that size has. */
  @inline
  static page(va: u64, shift: u64): u64 {
    return va & PAGE_BITS & ~(((<u64>1) << shift) - 1);
  }

  @inline
  static asid(asid: u32): u64 {
    return (<u64>asid & 0x1ff) | ((<u64>(asid >> 9)) << 57);
  }

  @inline
  static get global(): u64 {
    return GLOBAL;
  }

  @inline
  static isGlobal(tag: u64): bool {
    return (tag & GLOBAL) != 0;
  }

  /** The bits that `asid` or `global` made. */
  @inline
  static space(tag: u64): u64 {
    return tag & (ASID_BITS | GLOBAL);
  }

  /** log2 of its bytes. */
  @inline
  static shift(tag: u64): u64 {
    return ctz(tag & PAGE_BITS) + 1;
  }

  /** First byte of the page, without its sign bits. */
  @inline
  static address(tag: u64): u64 {
    const pages = tag & PAGE_BITS;
    return pages & (pages - 1);
  }
}

/** What an invalidation adds to TLB_SEQUENCE, and the bits of it that count those under way. */
const STARTED: u64 = 256;
const IN_PROGRESS: u64 = STARTED - 1;

/** The explore build has a mark in place of the number of those that started, or states would differ by how many there were. */
export abstract class Sequence {
  /** What `settled` compares, to be taken before the source of a fill is read. */
  @inline
  static begin<S>(block: usize): u64 {
    if (!changetype<S>(0).shared) return 0;
    if (BUILD == BUILD_EXPLORE) {
      Point.quiet(block + TLB_SEQUENCE, POINT_STORE);
      const now = load<u64>(block + TLB_SEQUENCE) & IN_PROGRESS;
      store<u64>(block + TLB_SEQUENCE, now);
      return now;
    }
    return atomic.load<u64>(block + TLB_SEQUENCE);
  }

  /** Did no invalidation overlap with what was done since `begin`? */
  @inline
  static settled<S>(block: usize, begun: u64): bool {
    if (!changetype<S>(0).shared) return true;
    Windows.widen(block);
    return (begun & IN_PROGRESS) == 0 && atomic.load<u64>(block + TLB_SEQUENCE) == begun;
  }

  @inline
  static open<S>(block: usize): void {
    if (!changetype<S>(0).shared) return;
    Point.at(block + TLB_SEQUENCE, POINT_UPDATE);
    if (BUILD == BUILD_EXPLORE)
      store<u64>(block + TLB_SEQUENCE, STARTED | ((load<u64>(block + TLB_SEQUENCE) & IN_PROGRESS) + 1));
    else atomic.add<u64>(block + TLB_SEQUENCE, STARTED + 1);
    Windows.widen(block);
  }

  /** In the step of the last look at the block. */
  @inline
  static close<S>(block: usize): void {
    if (!changetype<S>(0).shared) return;
    Windows.widen(block);
    atomic.sub<u64>(block + TLB_SEQUENCE, 1);
  }

  /** The owner looks within a step that it began elsewhere. */
  @inline
  static glance<S>(block: usize): void {
    if (changetype<S>(0).shared) Point.quiet(block + TLB_SEQUENCE, POINT_LOAD);
  }

  /** The scheduling point of a look-up. */
  @inline
  static look<S>(block: usize): void {
    if (changetype<S>(0).shared) Point.at(block + TLB_SEQUENCE, POINT_LOAD);
  }

  /** The owner changes an entry within a step that it began elsewhere. */
  @inline
  static join<S>(block: usize): void {
    if (changetype<S>(0).shared) Point.quiet(block + TLB_SEQUENCE, POINT_UPDATE);
  }

  /** The scheduling point of a fill, and of an invalidation that goes on. */
  @inline
  static change<S>(block: usize): void {
    if (changetype<S>(0).shared) Point.at(block + TLB_SEQUENCE, POINT_UPDATE);
  }
}

/** Delays of the chaos build between the steps of the protocol above. */
abstract class Windows {
  @inline
  static widen(block: usize): void {
    if (BUILD == BUILD_CHAOS) Point.at(block + TLB_SEQUENCE, POINT_LOAD);
  }
}

export abstract class Assoc {
  @inline
  static descriptor(block: usize, n: u32): usize {
    return block + TLB_DESCRIPTORS + <usize>n * ARRAY_BYTES;
  }

  /** log2 of what an entry of `level` of the tables covers. */
  @inline
  static shift(block: usize, level: u32): u64 {
    return <u64>(load<u32>(block, TLB_PAGE_SHIFT) + load<u32>(block, TLB_LEVEL_SHIFT) * level);
  }

  /** First entry of the set for `va` among pages of 2^`shift`. */
  @inline
  static set(array: usize, va: u64, shift: u64): usize {
    const n = <usize>((va >> shift) & load<u32>(array, ARRAY_SET_MASK));
    return <usize>load<u32>(array, ARRAY_ENTRIES) + n * Assoc.setBytes(array);
  }

  @inline
  static setBytes(array: usize): usize {
    return <usize>load<u32>(array, ARRAY_WAYS) * ENTRY_BYTES;
  }

  /** Whoever asks: the scan of an invalidation must not be taken before its `open`. */
  @inline
  static tag(entry: usize): u64 {
    return atomic.load<u64>(entry);
  }

  /**
   * The owner asks. A plain load, for V8 gives an atomic one bounds and alignment checks of its own; aligned and of 8 bytes it does not tear
   * on any host of 64 bits. What it may miss is a tag that another CPU is clearing just now.
   */
  @inline
  static mine(entry: usize): u64 {
    return load<u64>(entry);
  }

  /** The entry with `tag` in a set, or 0. The owner asks. */
  @inline
  static find(array: usize, set: usize, tag: u64): usize {
    const end = set + Assoc.setBytes(array);
    for (let entry = set; entry != end; entry += ENTRY_BYTES) if (Assoc.mine(entry) == tag) return entry;
    return 0;
  }

  /** Where a translation for `tag` goes: over itself, into an invalid way, or in place of the one that the policy gives up. */
  static room(block: usize, array: usize, set: usize, tag: u64): usize {
    const end = set + Assoc.setBytes(array);
    let invalid: usize = 0;
    let oldest = set;
    for (let entry = set; entry != end; entry += ENTRY_BYTES) {
      const each = Assoc.mine(entry);
      if (each == tag) return entry;
      if (each == 0 && invalid == 0) invalid = entry;
      if (load<u64>(entry, ENTRY_STAMP) < load<u64>(oldest, ENTRY_STAMP)) oldest = entry;
    }
    if (invalid != 0) return invalid;
    const policy = load<u32>(array, ARRAY_POLICY);
    if (policy == POLICY_LRU) return oldest;
    const ways = load<u32>(array, ARRAY_WAYS);
    const way = policy == POLICY_TREE ? Tree.oldest(load<u64>(set, ENTRY_STAMP), ways) : Chance.choose(block, ways);
    return set + <usize>way * ENTRY_BYTES;
  }

  /** Writes a translation into `entry`, which `room` chose; `payload` and `tail` are the words after the tag. */
  static put<S>(block: usize, array: usize, entry: usize, tag: u64, payload: u64, tail: u64): void {
    const old = Assoc.take<S>(entry);
    if (old != tag) {
      Count.one(array + ARRAY_FILLS);
      if (old != 0) Count.one(array + ARRAY_EVICTIONS);
    }
    if (changetype<S>(0).shared) Windows.widen(block);
    store<u64>(entry, payload, ENTRY_RESULT);
    store<u64>(entry, tail, ENTRY_RIGHTS);
    if (changetype<S>(0).shared) atomic.store<u64>(entry, tag);
    else store<u64>(entry, tag);
    Assoc.touch(block, array, entry);
  }

  /** Clears an entry that an invalidation overtook. Its payload stays for the look-up that is under way. */
  static refuse<S>(block: usize, array: usize, entry: usize): void {
    Count.one(block + TLB_REFUSED);
    Assoc.evict<S>(array, entry);
  }

  /** Drops an entry unasked. */
  static evict<S>(array: usize, entry: usize): void {
    if (Assoc.take<S>(entry) != 0) Count.one(array + ARRAY_EVICTIONS);
  }

  /**
   * Drops an entry because it was asked for, if its tag is still `tag`. A visitor that wants to hear of the translation is told:
   * `dropped(block, tag, result, slot)`.
   */
  @inline
  static invalidate<S, V>(block: usize, array: usize, entry: usize, tag: u64): void {
    const result = load<u64>(entry, ENTRY_RESULT);
    const tail = load<u64>(entry, ENTRY_RIGHTS);
    if (changetype<S>(0).shared) {
      // The owner may have filled meanwhile: then what stands there is younger than this invalidation, or its fill is refused.
      if (atomic.cmpxchg<u64>(entry, tag, 0) != tag) return;
      if (BUILD != BUILD_EXPLORE) atomic.add<u64>(array + ARRAY_INVALIDATED, 1);
    } else {
      store<u64>(entry, 0);
      Count.one(array + ARRAY_INVALIDATED);
    }
    // Before anybody is told, who may be suspended meanwhile: the owner may fill the entry anew.
    Assoc.wipe(entry);
    const slot = <usize>(<u32>tail);
    if (!changetype<V>(0).hears(result, slot) || load<u32>(array, ARRAY_LEVEL) == 0) return;
    changetype<V>(0).dropped(block, tag, result, slot);
    // What the caller looks at next may be another's doing meanwhile.
    Sequence.change<S>(block);
  }

  /** Notes a use of `entry`. */
  @inline
  static touch(block: usize, array: usize, entry: usize): void {
    const policy = load<u32>(array, ARRAY_POLICY);
    if (policy == POLICY_LRU) {
      if (BUILD == BUILD_EXPLORE) Ranks.touch(array, entry);
      else {
        const now = load<u64>(block, TLB_CLOCK) + 1;
        store<u64>(block, now, TLB_CLOCK);
        store<u64>(entry, now, ENTRY_STAMP);
      }
    } else if (policy == POLICY_TREE) Tree.touch(array, entry);
  }

  @inline
  static setOf(array: usize, entry: usize): usize {
    const first = <usize>load<u32>(array, ARRAY_ENTRIES);
    const bytes = Assoc.setBytes(array);
    return first + ((entry - first) / bytes) * bytes;
  }

  @inline
  private static take<S>(entry: usize): u64 {
    if (changetype<S>(0).shared) return atomic.xchg<u64>(entry, 0);
    const old = load<u64>(entry);
    store<u64>(entry, 0);
    return old;
  }

  /** What an invalid entry held is no part of the state that the explorer compares. */
  @inline
  private static wipe(entry: usize): void {
    if (BUILD != BUILD_EXPLORE) return;
    store<u64>(entry, 0, ENTRY_RESULT);
    store<u64>(entry, 0, ENTRY_RIGHTS);
  }
}

/** Counters of the owner. The explore build has none, or every state would differ from every other by its past. */
export abstract class Count {
  @inline
  static one(p: usize): void {
    if (BUILD != BUILD_EXPLORE) store<u64>(p, load<u64>(p) + 1);
  }
}

/** The explore build's LRU: ranks 0 (oldest) to ways - 1 in place of times, so that equal orders are equal states. */
abstract class Ranks {
  static touch(array: usize, entry: usize): void {
    const set = Assoc.setOf(array, entry);
    const end = set + Assoc.setBytes(array);
    const rank = load<u64>(entry, ENTRY_STAMP);
    for (let each = set; each != end; each += ENTRY_BYTES) {
      const other = load<u64>(each, ENTRY_STAMP);
      if (other > rank) store<u64>(each, other - 1, ENTRY_STAMP);
    }
    store<u64>(entry, load<u32>(array, ARRAY_WAYS) - 1, ENTRY_STAMP);
  }
}

/** Tree-PLRU: bit n of the tree says for node n (the root is 1, the children of n are 2n and 2n + 1) that its right half is older. */
export abstract class Tree {
  @inline
  static touch(array: usize, entry: usize): void {
    const set = Assoc.setOf(array, entry);
    const ways = load<u32>(array, ARRAY_WAYS);
    let tree = load<u64>(set, ENTRY_STAMP);
    const way = <u32>((entry - set) / ENTRY_BYTES);
    let node: u64 = 1;
    for (let half = ways >> 1; half != 0; half >>= 1) {
      const right = <u64>((way & half) != 0);
      tree = (tree & ~((<u64>1) << node)) | ((right ^ 1) << node);
      node = 2 * node + right;
    }
    store<u64>(set, tree, ENTRY_STAMP);
  }

  static oldest(tree: u64, ways: u32): u32 {
    let node: u64 = 1;
    for (let half = ways >> 1; half != 0; half >>= 1) node = 2 * node + ((tree >> node) & 1);
    return <u32>node - ways;
  }
}

export abstract class Chance {
  /** A number below `n`, from the block's own generator; the explorer tries them all. */
  @inline
  static choose(block: usize, n: u32): u32 {
    if (BUILD == BUILD_EXPLORE) return Point.choose(n);
    const x = Random.after(load<u32>(block, TLB_RANDOM));
    store<u32>(block, x, TLB_RANDOM);
    return Random.scale(x, n);
  }
}
