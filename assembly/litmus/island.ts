// Islands: an instance of a scenario has CPUs, free frames, a heap and all else of its own that a memory has one of (control.ts), so that a
// thousand of them fit into one memory.
//
// Guarantees: what an instance of the core that entered an island allocates, frees and looks up is the island's, and nothing that happens
// there is seen in another one. Who enters is one agent; several may be in one island at a time.

import { CONTROL_EPOCH, CONTROL_HEAP, CONTROL_HEAP_END, ISLAND_BYTES } from "../layout";
import { Control } from "../control";
import { Frames } from "../frame";
import { Heap } from "../heap";

export abstract class Island {
  /** An island with `frames` frames that were never used and a heap of `heap` bytes, a multiple of 64; 0 if there is no room. */
  static create(frames: u32, heap: u32): usize {
    const island = Heap.allocate(ISLAND_BYTES + heap);
    if (island == 0) return 0;
    memory.fill(island, 0, ISLAND_BYTES + heap);
    if (!Frames.endow(island, frames)) return 0;
    Control.enter(island);
    store<u32>(Control.word(CONTROL_HEAP), <u32>island + ISLAND_BYTES);
    store<u32>(Control.word(CONTROL_HEAP_END), <u32>island + ISLAND_BYTES + heap);
    store<u32>(Control.word(CONTROL_EPOCH), 1);
    Heap.initialize();
    Control.enter(0);
    return island;
  }

  /** 0: back to what the memory has for all. */
  @inline
  static enter(island: usize): void {
    Control.enter(island);
  }
}
