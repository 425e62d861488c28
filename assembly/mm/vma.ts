// A VMA: a range of one mm with one set of flags, and what file stands behind it (struct vm_area_struct, include/linux/mm_types.h).
//
// Guarantees: it stands in two interval trees, that of its mm by address and that of its mapping by page offset, from `insert` to
// `remove`. Who inserts or removes holds mmap_lock and, for a VMA with a mapping, i_mmap_rwsem, both for writing; in that order.

import {
  MAPPING_VMAS,
  MM_VMAS,
  VMA_BY_ADDRESS,
  VMA_BY_OFFSET,
  VMA_BYTES,
  VMA_END,
  VMA_FLAGS,
  VMA_MAPPING,
  VMA_MM,
  VMA_PGOFF,
  VMA_START,
} from "../layout";
import { Heap } from "../heap";
import { RwLock } from "../lock/rwlock";
import { Interval } from "./interval";
import { Mapping } from "./mapping";
import { Mm } from "./mm";

export abstract class Vma {
  /**
   * Makes a VMA for [start, end) of `mm`, over `mapping` from page `pgoff` or anonymous, and puts it into its trees under their locks: the part
   * of mmap_region() that is about VMAs. 0 if something is there already, or no heap is left.
   */
  static declare(mm: usize, start: u64, end: u64, flags: u32, mapping: usize, pgoff: u64): usize {
    const vma = Vma.create(mm, start, end, flags, mapping, pgoff);
    if (vma == 0) return 0;
    Vma.lockTrees(vma);
    const inserted = Vma.insert(vma);
    Vma.unlockTrees(vma);
    if (inserted) return vma;
    Vma.free(vma);
    return 0;
  }

  /** Takes a VMA out of its trees and frees it. What it maps stays in the tables: zap it first. */
  static withdraw(vma: usize): void {
    Vma.lockTrees(vma);
    Vma.remove(vma);
    Vma.unlockTrees(vma);
    Vma.free(vma);
  }

  private static lockTrees(vma: usize): void {
    RwLock.writeLock(Mm.mmapLock(Vma.mm(vma)));
    if (Vma.mapping(vma) != 0) RwLock.writeLock(Mapping.lock(Vma.mapping(vma)));
  }

  private static unlockTrees(vma: usize): void {
    if (Vma.mapping(vma) != 0) RwLock.writeUnlock(Mapping.lock(Vma.mapping(vma)));
    RwLock.writeUnlock(Mm.mmapLock(Vma.mm(vma)));
  }

  /** A VMA for [start, end), both page-aligned, over `mapping` (0: anonymous) from page `pgoff`. 0 if no heap is left. */
  static create(mm: usize, start: u64, end: u64, flags: u32, mapping: usize, pgoff: u64): usize {
    const vma = Heap.allocate(VMA_BYTES);
    if (vma == 0) return 0;
    memory.fill(vma, 0, VMA_BYTES);
    store<u32>(vma, <u32>mm, VMA_MM);
    store<u32>(vma, <u32>mapping, VMA_MAPPING);
    store<u32>(vma, flags, VMA_FLAGS);
    store<u64>(vma, start, VMA_START);
    store<u64>(vma, end, VMA_END);
    store<u64>(vma, pgoff, VMA_PGOFF);
    return vma;
  }

  /** Puts it into its trees; false, and nothing is changed, if its mm has something there. */
  static insert(vma: usize): bool {
    const vmas = Vma.mm(vma) + MM_VMAS;
    const last = Vma.end(vma) - 1;
    if (Interval.find(vmas, Vma.start(vma), last) != 0) return false;
    Interval.insert(vmas, vma + VMA_BY_ADDRESS, Vma.start(vma), last);
    const mapping = Vma.mapping(vma);
    if (mapping != 0) {
      const pgoff = Vma.pgoff(vma);
      Interval.insert(mapping + MAPPING_VMAS, vma + VMA_BY_OFFSET, pgoff, pgoff + Vma.pages(vma) - 1);
    }
    return true;
  }

  static remove(vma: usize): void {
    Interval.remove(Vma.mm(vma) + MM_VMAS, vma + VMA_BY_ADDRESS);
    if (Vma.mapping(vma) != 0) Interval.remove(Vma.mapping(vma) + MAPPING_VMAS, vma + VMA_BY_OFFSET);
  }

  static free(vma: usize): void {
    Heap.free(vma);
  }

  /** The VMA of `mm` that holds `va`, or 0: vma_lookup(). */
  static lookUp(mm: usize, va: u64): usize {
    const node = Interval.find(mm + MM_VMAS, va, va);
    return node == 0 ? 0 : node - VMA_BY_ADDRESS;
  }

  /** The first VMA over `mapping` that holds a page of [first, last], in order of page offset, or 0. */
  static firstOf(mapping: usize, first: u64, last: u64): usize {
    const node = Interval.find(mapping + MAPPING_VMAS, first, last);
    return node == 0 ? 0 : node - VMA_BY_OFFSET;
  }

  /** The next such VMA after `vma`: vma_interval_tree_foreach(). */
  static nextOf(mapping: usize, vma: usize, first: u64, last: u64): usize {
    const node = Interval.next(mapping + MAPPING_VMAS, vma + VMA_BY_OFFSET, first, last);
    return node == 0 ? 0 : node - VMA_BY_OFFSET;
  }

  // ---- fields: fixed while the VMA is in its trees, the flags apart

  @inline
  static mm(vma: usize): usize {
    return load<u32>(vma, VMA_MM);
  }

  @inline
  static mapping(vma: usize): usize {
    return load<u32>(vma, VMA_MAPPING);
  }

  @inline
  static start(vma: usize): u64 {
    return load<u64>(vma, VMA_START);
  }

  /** First byte after it; 0 at the end of the address space. */
  @inline
  static end(vma: usize): u64 {
    return load<u64>(vma, VMA_END);
  }

  /** Page of the mapping that `start` shows. */
  @inline
  static pgoff(vma: usize): u64 {
    return load<u64>(vma, VMA_PGOFF);
  }

  @inline
  static pages(vma: usize): u64 {
    return (Vma.end(vma) - Vma.start(vma)) >> 12;
  }
}
