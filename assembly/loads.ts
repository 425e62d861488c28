// Loads through a TLB, many in one call: what the hit path costs, and how often it misses.
//
// Guarantees: each load is a look-up, a check of the rights that the entry carries, and one atomic load of the word in the frame that it
// names; a miss walks like hardware and fills. Stale entries answer as they stand. It stops before the first load that the
// entry refuses or that the walk faults on, or whose frame is not in physical memory.
//
// The loop looks first where the page was found last (a hint). That entry's tag decides: it is read atomically and stands once in
// level 1, so that a wrong hint costs time only.

import {
  ACCESS_EXECUTE,
  ACCESS_TOUCH,
  ACCESS_USER,
  ACCESS_WRITE,
  ARRAY_HITS,
  ARRAY_POLICY,
  BUILD_RELEASE,
  ENTRY_HOST,
  ENTRY_RESULT,
  ENTRY_STAMP,
  POLICY_TREE,
  RESULT_MAPPED,
  RESULT_NO_EXECUTE,
  RESULT_SHIFT,
  RESULT_UNREADABLE,
  RESULT_USER,
  TLB_ACCESSES,
  TLB_CLOCK,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
} from "./layout";
import { Tag, Tree } from "./assoc";
import { Shared } from "./atomic";
import { Frames } from "./frame";
import { Entry } from "./pte/entry";
import { Rcu } from "./rcu";
import { Tlb } from "./tlb";
import { Place, Walk } from "./walk";

/** Where the upper half of the result word stands, and its RESULT_* flags in that. */
const FLAGS: usize = ENTRY_RESULT + 4;
const FLAGS_SHIFT: u32 = RESULT_SHIFT - 32;
const WORD_IN_PAGE: u64 = 0xff8;

export abstract class Loads {
  /** Loads the words around the `count` addresses at `input` into `output`; returns how many it did. `access` without ACCESS_WRITE. */
  static run<F, S>(tlb: usize, space: usize, asid: u32, input: usize, output: usize, count: u32, access: u32): u32 {
    const user = (access & ACCESS_USER) != 0;
    const fetch: u32 = (access & ACCESS_EXECUTE) != 0 ? 1 : 0;
    const refusing: u32 = fetch != 0 ? RESULT_NO_EXECUTE : RESULT_UNREADABLE;
    const need: u32 = RESULT_MAPPED | (user ? RESULT_USER : 0);
    const test = (need | refusing) << FLAGS_SHIFT;
    const wanted = need << FLAGS_SHIFT;

    const array = <usize>load<u32>(Tlb.serving(tlb, fetch, 1, 0));
    let done: u32 = 0;
    let quick: u32 = 0;
    while (true) {
      // A hint names an entry of the array for data.
      if (BUILD == BUILD_RELEASE && fetch == 0) {
        const from = done;
        done =
          load<u32>(array, ARRAY_POLICY) == POLICY_TREE
            ? Loads.quickly<F, Trees>(tlb, array, asid, input, output, done, count, test, wanted)
            : Loads.quickly<F, Stamps>(tlb, array, asid, input, output, done, count, test, wanted);
        quick += done - from;
      }
      if (done == count) break;
      const offset = (<usize>done) << 3;
      if (!Loads.slowly<F, S>(tlb, space, asid, load<u64>(input + offset), output + offset, access, test, wanted))
        break;
      ++done;
    }
    store<u64>(tlb, load<u64>(tlb, TLB_ACCESSES) + quick, TLB_ACCESSES);
    store<u64>(array, load<u64>(array, ARRAY_HITS) + quick, ARRAY_HITS);
    return done;
  }

  /**
   * The loads from number `n` on that a hint serves; returns the first that it does not. Nothing is called here, for V8 would spill every local
   * around it. Tag and word are plain loads: V8 gives an atomic load bounds and alignment checks of its own, which is half the
   * time of a hit; aligned and of 8 bytes, a plain one does not tear on any host of 64 bits.
   */
  @inline
  private static quickly<F, P>(
    tlb: usize,
    array: usize,
    asid: u32,
    input: usize,
    output: usize,
    n: u32,
    count: u32,
    test: u32,
    wanted: u32,
  ): u32 {
    const shift = changetype<F>(0).shift(0);
    const own = Tag.of(0, shift, Tag.asid(asid));
    const hints = <usize>load<u32>(tlb, TLB_HINTS_AT);
    const hintMask = <usize>load<u32>(tlb, TLB_HINTS_MASK);
    let clock = load<u64>(tlb, TLB_CLOCK);
    let from = input + ((<usize>n) << 3);
    let to = output + ((<usize>n) << 3);
    const end = input + ((<usize>count) << 3);
    for (; from != end; from += 8) {
      const va = load<u64>(from);
      const entry = <usize>load<u32>(hints + (<usize>(va >> (shift - 2)) & hintMask));
      if (load<u64>(entry) != (Tag.page(va, shift) | own)) break;
      if ((load<u32>(entry, FLAGS) & test) != wanted) break;
      const host = <usize>load<u32>(entry, ENTRY_HOST);
      if (host == 0) break;
      changetype<P>(0).touch(array, entry, ++clock);
      store<u64>(to, load<u64>(host + <usize>(va & WORD_IN_PAGE)));
      to += 8;
    }
    store<u64>(tlb, clock, TLB_CLOCK);
    return count - (<u32>(end - from) >> 3);
  }

  /** One load, by the whole look-up and if need be by a walk. False if it cannot be done. */
  private static slowly<F, S>(
    tlb: usize,
    space: usize,
    asid: u32,
    va: u64,
    output: usize,
    access: u32,
    test: u32,
    wanted: u32,
  ): bool {
    const fetch: u32 = (access & ACCESS_EXECUTE) != 0 ? 1 : 0;
    let result: u64;
    const entry = Tlb.lookUp<S>(tlb, va, asid, fetch);
    if (entry != 0) result = Tlb.resultAt(tlb, entry, va);
    else {
      const begun = Tlb.begin<S>(tlb);
      Rcu.readLock();
      result = Walk.access<F>(space, va, (access & ~ACCESS_WRITE) | ACCESS_TOUCH);
      // Overtaken by an invalidation, the fill is refused, and the access is one that was in flight.
      if ((result >> RESULT_SHIFT) & RESULT_MAPPED) {
        const slot = Place.slot(Walk.seek<F>(space, va, 0));
        const global = slot != 0 && changetype<F>(0).pteGlobal(Entry.load<F>(slot));
        Tlb.fill<S>(tlb, va, asid, fetch, global, result, slot, begun);
      }
      Rcu.readUnlock();
    }
    if ((<u32>(result >> 32) & test) != wanted) return false;
    const page = Frames.backing(result & 0x000ffffffffff000);
    if (page == 0) return false;
    store<u64>(output, Shared.load<u64>(page + <usize>(va & WORD_IN_PAGE)));
    return true;
  }
}

// ---- how a hit is noted: classes without fields

/** LRU, and random, to which it does no harm. */
class Stamps {
  @inline
  touch(_array: usize, entry: usize, now: u64): void {
    store<u64>(entry, now, ENTRY_STAMP);
  }
}

class Trees {
  @inline
  touch(array: usize, entry: usize, _now: u64): void {
    Tree.touch(array, entry);
  }
}
