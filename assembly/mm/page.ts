// The contents of a page: cleared, copied and compared word by word, each access behind a scheduling point, so that a copy which a store
// falls into can be seen torn (copy_user_highpage(), pages_identical()).
//
// CONTROL_PAGE_WORDS says how many words of a page count: 512 in a real one; an exploration makes do with the few that its CPUs touch, at most
// EXPLORED_BYTES of them, and the rest are not accessed. A setting of the memory, made when nobody runs.

import { BUILD_EXPLORE, CONTROL_PAGE_WORDS, EXPLORED_BYTES, FRAME_BYTES } from "../layout";
import { Shared } from "../atomic";

export abstract class Page {
  /** Words that count. */
  @inline
  static words(): u32 {
    const words = load<u32>(CONTROL_PAGE_WORDS);
    if (words != 0) return words;
    return (BUILD == BUILD_EXPLORE ? EXPLORED_BYTES : FRAME_BYTES) >> 3;
  }

  /** Copies the page at linear address `source`, one load and one store a word. */
  static copy(target: usize, source: usize): void {
    const end = source + ((<usize>Page.words()) << 3);
    for (; source < end; source += 8, target += 8) Shared.store<u64>(target, Shared.load<u64>(source));
  }

  static same(a: usize, b: usize): bool {
    const end = a + ((<usize>Page.words()) << 3);
    for (; a < end; a += 8, b += 8) if (Shared.load<u64>(a) != Shared.load<u64>(b)) return false;
    return true;
  }

  static clear(page: usize): void {
    const end = page + ((<usize>Page.words()) << 3);
    for (; page < end; page += 8) Shared.store<u64>(page, 0);
  }
}
