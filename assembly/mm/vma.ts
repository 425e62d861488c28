// A VMA: a range of one mm with one set of flags, and what file stands behind it (struct vm_area_struct, include/linux/mm_types.h).
//
// Guarantees: it stands in its interval trees from `insert` to `remove`: that of its mm by address, that of its mapping by page offset, and, if it
// is private, that of its anon_vma. Who inserts or removes holds mmap_lock, i_mmap_rwsem and anon_vma->rwsem, as far as it has them, for
// writing; in that order. Its block stays a VMA for ever (pool.ts).

import {
  CONTROL_POOL_VMAS,
  FRAME_SHIFT,
  MAPPING_VMAS,
  MM_VMAS,
  VM_SHARED,
  VMA_ANON,
  VMA_BY_ADDRESS,
  VMA_BY_ANON,
  VMA_BY_OFFSET,
  VMA_BYTES,
  VMA_DETACHED,
  VMA_END,
  VMA_FLAGS,
  VMA_LOCK_SEQ,
  VMA_MAPPING,
  VMA_MM,
  VMA_PGOFF,
  VMA_START,
} from "../layout";
import { Shared } from "../atomic";
import { Control } from "../control";
import { RwLock } from "../lock/rwlock";
import { AnonVma } from "./anon_vma";
import { Interval } from "./interval";
import { Mapping } from "./mapping";
import { Mm } from "./mm";
import { Pool } from "./pool";
import { VmaLock } from "./vma_lock";

export abstract class Vma {
  /**
   * Makes a VMA for [start, end) of `mm`, over `mapping` from page `pgoff` or anonymous (0), and puts it into its trees under their locks: the
   * part of mmap_region() that is about VMAs. A private one gets an anon_vma now, not with its first fault (anon_vma_prepare()), so that
   * no fault allocates. 0 if something is there already, or no heap is left.
   */
  static declare(mm: usize, start: u64, end: u64, flags: u32, mapping: usize, pgoff: u64): usize {
    const isPrivate = (flags & VM_SHARED) == 0;
    const anon = isPrivate ? AnonVma.create() : 0;
    if (isPrivate && anon == 0) return 0;
    // vma_set_anonymous(): pages of anonymous memory are numbered by their address.
    const offset = mapping == 0 ? start >> FRAME_SHIFT : pgoff;
    const vma = Vma.place(Vma.create(mm, start, end, flags, mapping, offset, anon));
    if (vma == 0 && isPrivate) AnonVma.free(anon);
    return vma;
  }

  /** The VMA of a fork: as `vma`, which is in its trees, in `mm`, and in the same anon_vma (anon_vma_fork()). 0 as for `declare`. */
  static fork(vma: usize, mm: usize): usize {
    const flags = Shared.quietLoad<u32>(vma + VMA_FLAGS);
    const anon = Vma.anon(vma);
    return Vma.place(Vma.create(mm, Vma.start(vma), Vma.end(vma), flags, Vma.mapping(vma), Vma.pgoff(vma), anon));
  }

  /** Puts a VMA that was just made into its trees; 0, and the VMA is no more, if it cannot be. */
  private static place(vma: usize): usize {
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
    const mm = Vma.mm(vma);
    Mm.writeLock(mm);
    Vma.detach(vma);
    Mm.writeUnlock(mm);
  }

  /** The same of who holds mmap_lock for writing. */
  static detach(vma: usize): void {
    const anon = Vma.anon(vma);
    VmaLock.startWrite(vma);
    Vma.lockReverse(vma);
    const last = Vma.remove(vma);
    Vma.unlockReverse(vma);
    if (last) AnonVma.free(anon);
    Vma.free(vma);
  }

  private static lockTrees(vma: usize): void {
    Mm.writeLock(Vma.mm(vma));
    VmaLock.startWrite(vma);
    Vma.lockReverse(vma);
  }

  private static unlockTrees(vma: usize): void {
    Vma.unlockReverse(vma);
    Mm.writeUnlock(Vma.mm(vma));
  }

  /** The trees of the reverse map: i_mmap_rwsem and anon_vma->rwsem, as far as the VMA has them. */
  static lockReverse(vma: usize): void {
    if (Vma.mapping(vma) != 0) RwLock.writeLock(Mapping.lock(Vma.mapping(vma)));
    if (Vma.anon(vma) != 0) RwLock.writeLock(AnonVma.lock(Vma.anon(vma)));
  }

  static unlockReverse(vma: usize): void {
    if (Vma.anon(vma) != 0) RwLock.writeUnlock(AnonVma.lock(Vma.anon(vma)));
    if (Vma.mapping(vma) != 0) RwLock.writeUnlock(Mapping.lock(Vma.mapping(vma)));
  }

  /** A VMA for [start, end), both page-aligned, over `mapping` (0: anonymous) from page `pgoff`. 0 if no heap is left. */
  static create(mm: usize, start: u64, end: u64, flags: u32, mapping: usize, pgoff: u64, anon: usize): usize {
    const vma = Pool.take(Control.word(CONTROL_POOL_VMAS), VMA_BYTES);
    if (vma == 0) return 0;
    Shared.quietStore<u32>(vma + VMA_MAPPING, <u32>mapping);
    Shared.quietStore<u32>(vma + VMA_FLAGS, flags);
    Shared.quietStore<u64>(vma + VMA_START, start);
    Shared.quietStore<u64>(vma + VMA_END, end);
    Shared.quietStore<u64>(vma + VMA_PGOFF, pgoff);
    Shared.quietStore<u32>(vma + VMA_ANON, <u32>anon);
    Shared.quietStore<u32>(vma + VMA_MM, <u32>mm);
    Shared.quietStore<u32>(vma + VMA_DETACHED, 1);
    // Not write-locked, whatever it was before (vma_lock_alloc(), vma_lock_init()).
    Shared.store<u32>(vma + VMA_LOCK_SEQ, Mm.lockSequence(mm) - 1);
    return vma;
  }

  /** Puts it into its trees; false, and nothing is changed, if its mm has something there. */
  static insert(vma: usize): bool {
    const vmas = Vma.mm(vma) + MM_VMAS;
    const last = Vma.end(vma) - 1;
    if (Interval.find(vmas, Vma.start(vma), last) != 0) return false;
    Mm.beginVmaChange(Vma.mm(vma));
    Interval.insert(vmas, vma + VMA_BY_ADDRESS, Vma.start(vma), last);
    Shared.quietStore<u32>(vma + VMA_DETACHED, 0);
    Mm.endVmaChange(Vma.mm(vma));
    const pgoff = Vma.pgoff(vma);
    const lastPage = pgoff + Vma.pages(vma) - 1;
    if (Vma.mapping(vma) != 0) {
      Interval.insert(Vma.mapping(vma) + MAPPING_VMAS, vma + VMA_BY_OFFSET, pgoff, lastPage);
    }
    if (Vma.anon(vma) != 0) AnonVma.insert(Vma.anon(vma), vma + VMA_BY_ANON, pgoff, lastPage);
    return true;
  }

  /** True if its anon_vma has no VMA left. */
  static remove(vma: usize): bool {
    Mm.beginVmaChange(Vma.mm(vma));
    Interval.remove(Vma.mm(vma) + MM_VMAS, vma + VMA_BY_ADDRESS);
    Shared.quietStore<u32>(vma + VMA_DETACHED, 1);
    Mm.endVmaChange(Vma.mm(vma));
    if (Vma.mapping(vma) != 0) Interval.remove(Vma.mapping(vma) + MAPPING_VMAS, vma + VMA_BY_OFFSET);
    return Vma.anon(vma) != 0 && AnonVma.remove(Vma.anon(vma), vma + VMA_BY_ANON);
  }

  static free(vma: usize): void {
    Shared.quietStore<u32>(vma + VMA_MM, 0);
    Pool.give(Control.word(CONTROL_POOL_VMAS), vma);
  }

  /** The VMA of `mm` that holds `va`, or 0: vma_lookup(). */
  static lookUp(mm: usize, va: u64): usize {
    const node = Interval.find(mm + MM_VMAS, va, va);
    return node == 0 ? 0 : node - VMA_BY_ADDRESS;
  }

  /** The first VMA of `mm` that holds a byte of [first, last], in order of address, or 0: find_vma_intersection(). */
  static firstIn(mm: usize, first: u64, last: u64): usize {
    const node = Interval.find(mm + MM_VMAS, first, last);
    return node == 0 ? 0 : node - VMA_BY_ADDRESS;
  }

  /** The next such VMA after `vma`: for_each_vma_range(). */
  static nextIn(mm: usize, vma: usize, first: u64, last: u64): usize {
    const node = Interval.next(mm + MM_VMAS, vma + VMA_BY_ADDRESS, first, last);
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

  // ---- fields: fixed while the VMA is in its trees, the flags apart; plain accesses, for who reads them has the VMA locked one way or another

  @inline
  static mm(vma: usize): usize {
    return Shared.quietLoad<u32>(vma + VMA_MM);
  }

  @inline
  static mapping(vma: usize): usize {
    return Shared.quietLoad<u32>(vma + VMA_MAPPING);
  }

  /** Its anon_vma, 0 if it is shared. */
  @inline
  static anon(vma: usize): usize {
    return Shared.quietLoad<u32>(vma + VMA_ANON);
  }

  @inline
  static start(vma: usize): u64 {
    return Shared.quietLoad<u64>(vma + VMA_START);
  }

  /** First byte after it; 0 at the end of the address space. */
  @inline
  static end(vma: usize): u64 {
    return Shared.quietLoad<u64>(vma + VMA_END);
  }

  /** Page of the mapping that `start` shows. */
  @inline
  static pgoff(vma: usize): u64 {
    return Shared.quietLoad<u64>(vma + VMA_PGOFF);
  }

  @inline
  static pages(vma: usize): u64 {
    return (Vma.end(vma) - Vma.start(vma)) >> 12;
  }
}
