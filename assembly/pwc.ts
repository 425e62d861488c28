// One CPU's paging-structure cache: where the walk for an address may begin below the root.
//
// Guarantees: an entry is what a walk of this CPU found under its ASID and nothing newer: a pointer to a table, and the rights that
// the levels above leave. It may point to a table that was unhooked and freed since; that is no fault of the cache but of who
// freed it without an invalidation (scenario L). `find` prefers the entry nearest to the leaf.
//
// The caches (x86: PDE, PDPTE and PML4E caches, Intel SDM vol. 3A, 4.10.3; arm64: walk cache) are arrays in the CPU's TLB block whose
// sizes are levels of table entries: the array for level 1 holds entries that refer to tables of level 0. No entry is global (SDM
// 4.10.3.1 tags them with the PCID alone). tlb.ts invalidates them: INVLPG drops all of its PCID, whatever the address (4.10.4.1).

import { ARRAY_HITS, ENTRY_RESULT, ENTRY_RIGHTS, TLB_STRUCTURES } from "./layout";
import { Assoc, Count, Sequence, Tag } from "./assoc";

/** Levels that have entries which refer to tables: 1 to 4. */
const TOP: u32 = 4;
/** A table begins on a page, so that the level of the entry that refers to it has room under its address. */
const LEVEL_BITS: i32 = 7;

export abstract class Pwc {
  /** The entry nearest to the leaf for `va`, or 0. */
  static find<S>(block: usize, va: u64, asid: u32): usize {
    Sequence.look<S>(block);
    const space = Tag.asid(asid);
    for (let level: u32 = 1; level <= TOP; ++level) {
      const array = Pwc.array(block, level);
      if (array == 0) continue;
      const shift = Assoc.shift(block, level);
      const entry = Assoc.find(array, Assoc.set(array, va, shift), Tag.of(va, shift, space));
      if (entry == 0) continue;
      Assoc.touch(block, array, entry);
      Count.one(array + ARRAY_HITS);
      return entry;
    }
    return 0;
  }

  /** Level of the table that the entry leads to. As the table, it is read from what only the owner writes: the tag may be going. */
  @inline
  static level(entry: usize): i32 {
    return (<i32>load<u32>(entry, ENTRY_RESULT) & LEVEL_BITS) - 1;
  }

  @inline
  static table(entry: usize): u64 {
    return load<u64>(entry, ENTRY_RESULT) & ~(<u64>LEVEL_BITS);
  }

  @inline
  static rights(entry: usize): u64 {
    return load<u64>(entry, ENTRY_RIGHTS);
  }

  /**
   * Remembers that the entry of `level` for `va` refers to `table`. `begun` is what `Sequence.begin` said before the walk. Returns false if
   * there is no cache for that level or an invalidation overtook the walk.
   */
  static fill<S>(block: usize, va: u64, asid: u32, level: u32, table: u64, rights: u64, begun: u64): bool {
    Sequence.change<S>(block);
    return Pwc.put<S>(block, va, asid, level, table, rights, begun);
  }

  /** As `fill`, within a step that the caller began. */
  static put<S>(block: usize, va: u64, asid: u32, level: u32, table: u64, rights: u64, begun: u64): bool {
    const array = Pwc.array(block, level);
    if (array == 0) return false;
    const shift = Assoc.shift(block, level);
    const tag = Tag.of(va, shift, Tag.asid(asid));
    const entry = Assoc.room(block, array, Assoc.set(array, va, shift), tag);
    Assoc.put<S>(block, array, entry, tag, table | level, rights);
    if (Sequence.settled<S>(block, begun)) return true;
    Assoc.refuse<S>(block, array, entry);
    return false;
  }

  /** Has this CPU one at all? */
  @inline
  static any(block: usize): bool {
    return (
      (load<u64>(block, TLB_STRUCTURES) |
        load<u64>(block, TLB_STRUCTURES + 8) |
        load<u64>(block, TLB_STRUCTURES + 16)) !=
      0
    );
  }

  /** The array for entries of `level`, or 0. */
  @inline
  static array(block: usize, level: u32): usize {
    return load<u32>(block + ((<usize>level) << 2), TLB_STRUCTURES);
  }
}
