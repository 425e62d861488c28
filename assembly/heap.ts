// The heap of control blocks: address spaces, batch buffers, the sparse directory.
//
// Guarantees: blocks are 64-byte aligned and do not overlap; neighbours that become free merge. First fit over an address-ordered
// list (Knuth, TAOCP vol. 1, 2.5, algorithms A and B) under one lock: allocations here are rare and long-lived.
//
// A block is preceded by a header of 64 bytes: u32 its size with the header, u32 the next free block, u32 TAKEN while it is
// handed out, so that an address that is no taken block is refused.

import { CONTROL_HEAP, CONTROL_HEAP_END, CONTROL_HEAP_FREE, CONTROL_HEAP_LOCK } from "./layout";
import { Control } from "./control";
import { Spinlock } from "./lock/spinlock";

const HEADER: usize = 64;
const NEXT: usize = 4;
const MARK: usize = 8;
const TAKEN: u32 = 0x7a6b5c4d;

export abstract class Heap {
  /** The whole heap becomes one free block. */
  static initialize(): void {
    const first: usize = load<u32>(Control.word(CONTROL_HEAP));
    store<u32>(first, load<u32>(Control.word(CONTROL_HEAP_END)) - <u32>first);
    store<u32>(first + NEXT, 0);
    store<u32>(Control.word(CONTROL_HEAP_FREE), <u32>first);
  }

  /** Returns a block of `bytes` (contents unspecified), or 0 if none is left. */
  static allocate(bytes: u32): usize {
    const need = ((<u64>bytes + 63) & ~63) + HEADER;
    if (need > 0xffffffff) return 0;
    Spinlock.lock(Control.word(CONTROL_HEAP_LOCK));
    let link: usize = Control.word(CONTROL_HEAP_FREE);
    let block: usize = load<u32>(link);
    while (block != 0 && <u64>load<u32>(block) < need) {
      link = block + NEXT;
      block = load<u32>(link);
    }
    if (block != 0) {
      const rest = load<u32>(block) - <u32>need;
      let next = load<u32>(block + NEXT);
      if (<usize>rest > HEADER) {
        const remainder = block + <usize>need;
        store<u32>(remainder, rest);
        store<u32>(remainder + NEXT, next);
        store<u32>(block, <u32>need);
        next = <u32>remainder;
      }
      store<u32>(link, next);
      store<u32>(block + MARK, TAKEN);
    }
    Spinlock.unlock(Control.word(CONTROL_HEAP_LOCK));
    return block == 0 ? 0 : block + HEADER;
  }

  /** Gives back a block that `allocate` returned; false if it is none, or was given back already. */
  static free(address: usize): bool {
    const block = address - HEADER;
    Spinlock.lock(Control.word(CONTROL_HEAP_LOCK));
    const inside =
      block >= <usize>load<u32>(Control.word(CONTROL_HEAP)) && block < <usize>load<u32>(Control.word(CONTROL_HEAP_END));
    if (!inside || (address & 63) != 0 || load<u32>(block + MARK) != TAKEN) {
      Spinlock.unlock(Control.word(CONTROL_HEAP_LOCK));
      return false;
    }
    store<u32>(block + MARK, 0);
    let before: usize = 0;
    let after: usize = load<u32>(Control.word(CONTROL_HEAP_FREE));
    while (after != 0 && after < block) {
      before = after;
      after = load<u32>(after + NEXT);
    }
    store<u32>(block + NEXT, <u32>after);
    if (after != 0) Heap.merge(block, after);
    if (before == 0) store<u32>(Control.word(CONTROL_HEAP_FREE), <u32>block);
    else {
      store<u32>(before + NEXT, <u32>block);
      Heap.merge(before, block);
    }
    Spinlock.unlock(Control.word(CONTROL_HEAP_LOCK));
    return true;
  }

  /** Joins two neighbours on the free list if they touch. */
  private static merge(first: usize, second: usize): void {
    if (first + load<u32>(first) != second) return;
    store<u32>(first, load<u32>(first) + load<u32>(second));
    store<u32>(first + NEXT, load<u32>(second + NEXT));
  }
}
