// Islands: an instance of a scenario has CPUs and free frames of its own, so that a thousand of them fit into one memory.
//
// Guarantees: an instance of the core that entered an island finds CPUs by its table and allocates and frees by its books; nothing that
// happens there is seen in another one. Who enters is one agent; several may be in one island at a time.

import { ISLAND_BOOKS, ISLAND_BYTES, ISLAND_CPUS } from "../layout";
import { Cpu } from "../cpu";
import { Frames } from "../frame";
import { Heap } from "../heap";

export abstract class Island {
  /** An island with `frames` frames that were never used; 0 if there is no room. */
  static create(frames: u32): usize {
    const island = Heap.allocate(ISLAND_BYTES);
    if (island == 0) return 0;
    memory.fill(island, 0, ISLAND_BYTES);
    return Frames.endow(island + ISLAND_BOOKS, frames) ? island : 0;
  }

  /** 0: back to what the memory has for all. */
  @inline
  static enter(island: usize): void {
    Cpu.consult(island == 0 ? 0 : island + ISLAND_CPUS);
    Frames.keepBooks(island == 0 ? 0 : island + ISLAND_BOOKS);
  }
}
