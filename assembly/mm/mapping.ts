// A file's pages as they may be mapped: the VMAs over it, of any mm, by page offset (struct address_space, include/linux/fs.h).

import { MAPPING_BYTES, MAPPING_LOCK } from "../layout";
import { Heap } from "../heap";

export abstract class Mapping {
  /** 0 if no heap is left. */
  static create(): usize {
    const mapping = Heap.allocate(MAPPING_BYTES);
    if (mapping != 0) memory.fill(mapping, 0, MAPPING_BYTES);
    return mapping;
  }

  /** No VMA is over it any more. */
  static free(mapping: usize): void {
    Heap.free(mapping);
  }

  /** i_mmap_rwsem */
  @inline
  static lock(mapping: usize): usize {
    return mapping + MAPPING_LOCK;
  }
}
