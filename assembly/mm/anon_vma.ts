// The VMAs that may map an anonymous page: those of one mm and of its forks, by page offset (struct anon_vma, include/linux/rmap.h).
//
// Guarantees: a VMA stands in the tree from `insert` to `remove`; the block is given back with its last VMA, and stays an anon_vma (pool.ts),
// so that a folio that still names it leads to a lock and a tree, never to something else.
//
// One for a VMA and all its forks, as before 5beb49305251 (v2.6.34, anon_vma_chain): a walk may visit VMAs that cannot map the page,
// and finds nothing there. Locks: `lock` for writing to insert and remove, for reading to walk; it nests like i_mmap_rwsem.

import { ANON_BYTES, ANON_COUNT, ANON_LOCK, ANON_VMAS, CONTROL_POOL_ANON } from "../layout";
import { Shared } from "../atomic";
import { Control } from "../control";
import { Interval } from "./interval";
import { Pool } from "./pool";

export abstract class AnonVma {
  /** Without a VMA yet; 0 if no heap is left. */
  static create(): usize {
    return Pool.take(Control.word(CONTROL_POOL_ANON), ANON_BYTES);
  }

  /** anon_vma->rwsem */
  @inline
  static lock(anon: usize): usize {
    return anon + ANON_LOCK;
  }

  /** `node` (NODE_*) of a VMA that shows page offsets [first, last]. The lock is held for writing. */
  static insert(anon: usize, node: usize, first: u64, last: u64): void {
    Interval.insert(anon + ANON_VMAS, node, first, last);
    Shared.quietStore<u32>(anon + ANON_COUNT, Shared.quietLoad<u32>(anon + ANON_COUNT) + 1);
  }

  /** Takes `node` out; true if it was the last one: the caller gives the block back when it has let go of the lock. */
  static remove(anon: usize, node: usize): bool {
    Interval.remove(anon + ANON_VMAS, node);
    const left = Shared.quietLoad<u32>(anon + ANON_COUNT) - 1;
    Shared.quietStore<u32>(anon + ANON_COUNT, left);
    return left == 0;
  }

  static free(anon: usize): void {
    Pool.give(Control.word(CONTROL_POOL_ANON), anon);
  }

  /** The first node that shows a page of [first, last], or 0. */
  @inline
  static first(anon: usize, first: u64, last: u64): usize {
    return Interval.find(anon + ANON_VMAS, first, last);
  }

  @inline
  static next(anon: usize, node: usize, first: u64, last: u64): usize {
    return Interval.next(anon + ANON_VMAS, node, first, last);
  }
}
