// The zero page (ZERO_PAGE(), my_zero_pfn()): one frame of zeros that all mms share, mapped special, so that no mm counts it.
//
// Made once, when mms are set up, and kept; nobody stores to it, for entries that map it are never writable.

import { CONTROL_ZERO, FRAME_DATA } from "../layout";
import { Control } from "../control";
import { Frames, NO_FRAME } from "../frame";

export abstract class ZeroPage {
  /** Makes it, if there is none; false if no frame is left. */
  static open(): bool {
    if (ZeroPage.is()) return true;
    const index = Frames.allocate(FRAME_DATA);
    if (index == NO_FRAME) return false;
    store<u32>(Control.word(CONTROL_ZERO), index + 1);
    return true;
  }

  @inline
  static is(): bool {
    return load<u32>(Control.word(CONTROL_ZERO)) != 0;
  }

  @inline
  static physical(): u64 {
    return Frames.physical(load<u32>(Control.word(CONTROL_ZERO)) - 1);
  }

  /** is_zero_pfn() */
  @inline
  static isAt(pa: u64): bool {
    return ZeroPage.is() && pa == ZeroPage.physical();
  }
}
