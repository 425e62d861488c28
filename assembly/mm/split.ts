// Splits a VMA in two, as mprotect and munmap do at the edges of their range (__split_vma(), mm/vma.c).
//
// Guarantees: afterwards one VMA ends where the next begins, with the same flags, mapping and anon_vma, and whoever walks a tree under its lock sees
// either the one or the two. Entries are not touched.
//
// Locks: the caller holds mmap_lock for writing; i_mmap_rwsem and anon_vma->rwsem, as far as the VMA has them, are taken for writing.

import { FRAME_SHIFT, VMA_END, VMA_FLAGS } from "../layout";
import { Shared } from "../atomic";
import { Vma } from "./vma";
import { VmaLock } from "./vma_lock";

export abstract class Split {
  /** Makes `first` the beginning of a VMA and `last` the end of one, wherever a VMA of `mm` reaches over them. False if no block was left. */
  static edges(mm: usize, first: u64, last: u64): bool {
    const before = Vma.lookUp(mm, first);
    if (before != 0 && Vma.start(before) < first && !Split.at(before, first)) return false;
    const after = Vma.lookUp(mm, last);
    return after == 0 || Vma.end(after) - 1 == last || Split.at(after, last + 1);
  }

  /** `va`, page-aligned and inside `vma`, begins the second of the two; `vma` is the first. */
  static at(vma: usize, va: u64): bool {
    const flags = Shared.load<u32>(vma + VMA_FLAGS);
    const pgoff = Vma.pgoff(vma) + ((va - Vma.start(vma)) >> FRAME_SHIFT);
    const second = Vma.create(Vma.mm(vma), va, Vma.end(vma), flags, Vma.mapping(vma), pgoff, Vma.anon(vma));
    if (second == 0) return false;
    VmaLock.startWrite(vma);
    Vma.lockReverse(vma);
    Vma.remove(vma);
    Shared.quietStore<u64>(vma + VMA_END, va);
    Vma.insert(vma);
    Vma.insert(second);
    Vma.unlockReverse(vma);
    return true;
  }
}
