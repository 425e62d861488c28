// An address space: a root table, the format it is in, the rules by which hardware reads it, and a lock for who changes it.
//
// The block is drawn in layout.ts. Root, format and regime do not change while others use the space, so they are plain
// loads; the generation grows with every change of a live entry.

import {
  FRAME_TABLE,
  SPACE_BYTES,
  SPACE_FORMAT,
  SPACE_GENERATION,
  SPACE_LOCK,
  SPACE_REGIME,
  SPACE_ROOT,
  SPACE_TABLES,
} from "./layout";
import { Shared } from "./atomic";
import { Frames, NO_FRAME } from "./frame";
import { Heap } from "./heap";
import { Spinlock } from "./lock/spinlock";
import { Rcu } from "./rcu";

export abstract class Space {
  /** A space over tables that exist already, at `root`. Returns its block, or 0 if the heap is full. */
  static open(format: u32, root: u64): usize {
    const space = Heap.allocate(SPACE_BYTES);
    if (space == 0) return 0;
    memory.fill(space, 0, SPACE_BYTES);
    store<u32>(space, format, SPACE_FORMAT);
    store<u64>(space, root, SPACE_ROOT);
    return space;
  }

  /** A space with an empty root table of its own. Returns its block, or 0 if no frame or no heap is left. */
  static create(format: u32): usize {
    const root = Frames.allocate(FRAME_TABLE);
    if (root == NO_FRAME) return 0;
    const space = Space.open(format, Frames.physical(root));
    if (space == 0) Frames.put(root);
    else store<u32>(space, 1, SPACE_TABLES);
    return space;
  }

  static close(space: usize): void {
    Heap.free(space);
  }

  @inline
  static format(space: usize): u32 {
    return load<u32>(space, SPACE_FORMAT);
  }

  @inline
  static root(space: usize): u64 {
    return load<u64>(space, SPACE_ROOT);
  }

  @inline
  static regime(space: usize): usize {
    return space + SPACE_REGIME;
  }

  @inline
  static lock(space: usize): void {
    Spinlock.lock(space + SPACE_LOCK);
  }

  /** Opens the lock, and tells software TLBs if something live was changed. */
  @inline
  static unlock(space: usize, changed: bool): void {
    if (changed) Shared.count<u32>(space + SPACE_GENERATION, 1);
    Spinlock.unlock(space + SPACE_LOCK);
  }

  /** A zeroed table page for this space: its index, or NO_FRAME. The caller holds the lock. */
  static allocateTable(space: usize): u32 {
    let index = Frames.allocate(FRAME_TABLE);
    if (index == NO_FRAME) {
      Rcu.reclaim();
      index = Frames.allocate(FRAME_TABLE);
      if (index == NO_FRAME) return NO_FRAME;
    }
    Space.count(space, 1);
    return index;
  }

  /** A table of this space goes by another way: it is not counted any more. The caller holds the lock over it. */
  static forgetTable(space: usize): void {
    Space.count(space, -1);
  }

  /** Under a lock over the tables, which of them is the caller's; nothing is decided by it. */
  @inline
  private static count(space: usize, by: i32): void {
    Shared.quietStore<u32>(space + SPACE_TABLES, Shared.quietLoad<u32>(space + SPACE_TABLES) + by);
  }

  /** Frees a table page that is unhooked, after a grace period. A table that is no frame of ours is left alone. */
  static freeTable(space: usize, pa: u64): void {
    const index = Frames.indexOf(pa);
    if (index == NO_FRAME || !Frames.markWaiting(index)) return;
    Space.count(space, -1);
    Rcu.defer(index);
  }
}
