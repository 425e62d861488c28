// Blocks that stay what they are: a VMA that is given back is on a list of free VMAs and never becomes anything else.
//
// Guarantees: who reached such a block without the lock that keeps it alive may still take the lock inside it, and then finds out that it is
// not, or no longer, what was looked for (SLAB_TYPESAFE_BY_RCU: lock_vma_under_rcu() of mm/memory.c since v6.15, and
// folio_lock_anon_vma_read() of mm/rmap.c, which look again after taking the lock). The heap gets nothing back.
//
// Blocks are made and given back when mms are set up and torn down, under one lock, which is the last in every order.

import { CONTROL_POOL_LOCK, POOL_NEXT } from "../layout";
import { Shared } from "../atomic";
import { Control } from "../control";
import { Heap } from "../heap";
import { Spinlock } from "../lock/spinlock";

export abstract class Pool {
  /**
   * A block of `bytes` from the list whose head is the word at `list`; 0 if the heap has no room for a new one. A new one is zero, an old one is
   * as it was given back.
   */
  static take(list: usize, bytes: u32): usize {
    Spinlock.lock(Control.word(CONTROL_POOL_LOCK));
    let block: usize = Shared.quietLoad<u32>(list);
    if (block != 0) Shared.quietStore<u32>(list, Shared.quietLoad<u32>(block + POOL_NEXT));
    Spinlock.unlock(Control.word(CONTROL_POOL_LOCK));
    if (block != 0) return block;
    block = Heap.allocate(bytes);
    if (block != 0) memory.fill(block, 0, bytes);
    return block;
  }

  static give(list: usize, block: usize): void {
    Spinlock.lock(Control.word(CONTROL_POOL_LOCK));
    Shared.quietStore<u32>(block + POOL_NEXT, Shared.quietLoad<u32>(list));
    Shared.quietStore<u32>(list, <u32>block);
    Spinlock.unlock(Control.word(CONTROL_POOL_LOCK));
  }
}
