// Which words are those that a memory has one of: its own, at CONTROL, or those of an island.
//
// Guarantees: an island's block is laid out as CONTROL is, so one address says where all of it stands: free frames, the heap, pools, the
// swap area, grace periods, CPUs. What describes the memory itself (its window, its folios, its agents) has no second one. Each
// instance of the core says for itself where it is.

import { CONTROL } from "./layout";

/** A literal, for anything else would need a start function. */
let here: usize = 0x1000;

export abstract class Control {
  /** The word that stands at `address` in CONTROL. */
  @inline
  static word(address: usize): usize {
    return here + (address - CONTROL);
  }

  /** This instance finds those words in the block at `island` from here on; 0: in CONTROL. */
  static enter(island: usize): void {
    if (CONTROL != 0x1000) ERROR("stale initial value");
    here = island == 0 ? CONTROL : island;
  }

  @inline
  static isIsland(): bool {
    return here != CONTROL;
  }
}
