// Per-VMA locks: a fault takes the lock of its VMA for reading and leaves mmap_lock alone (include/linux/mm.h of v6.4, vma_start_read() and below;
// mm/memory.c, lock_vma_under_rcu()).
//
// Guarantees: while a VMA is read-locked, its range and flags do not change, and it stays in its trees. Who changes one holds mmap_lock for writing
// and calls `startWrite` first; letting go of mmap_lock (Mm.writeUnlock, Mm.downgrade) unlocks all of them at once:
//
//   writer                                    fault
//   ------                                    -----
//   mmap_lock for writing
//   startWrite: vm_lock for writing           vm_lock_seq == mm_lock_seq? then no
//     vm_lock_seq = mm_lock_seq               trylock vm_lock for reading; if not, no
//   vm_lock released                          vm_lock_seq == mm_lock_seq? then unlock, no
//   changes the VMA
//   mm_lock_seq + 1, mmap_lock released       "no" means: take mmap_lock for reading instead
//
// `startRead` never waits. Order: mmap_lock before the lock of a VMA; a fault holds one of the two.

import {
  MM_LOCK_SEQ,
  MM_VMAS,
  MM_VMAS_LOCKED,
  MM_VMAS_SEQ,
  VMA_BY_ADDRESS,
  VMA_DETACHED,
  VMA_END,
  VMA_LOCK,
  VMA_LOCK_SEQ,
  VMA_MM,
  VMA_START,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Interval } from "./interval";

export abstract class VmaLock {
  /** lock_vma_under_rcu(): the VMA of `mm` that holds `va`, read-locked, or 0: take mmap_lock. Without any lock. */
  static lookUp(mm: usize, va: u64): usize {
    const sequence = Shared.load<u32>(mm + MM_VMAS_SEQ);
    if ((sequence & 1) != 0) return 0;
    const node = Interval.findRacing(mm + MM_VMAS, va);
    if (Shared.load<u32>(mm + MM_VMAS_SEQ) != sequence || node == 0) return 0;
    const vma = node - VMA_BY_ADDRESS;
    if (!VmaLock.startRead(mm, vma)) return 0;
    // It may have gone, and be another mm's by now (pool.ts): look again under its lock.
    const is =
      Shared.quietLoad<u32>(vma + VMA_MM) == <u32>mm &&
      Shared.quietLoad<u32>(vma + VMA_DETACHED) == 0 &&
      Shared.quietLoad<u64>(vma + VMA_START) <= va &&
      va <= Shared.quietLoad<u64>(vma + VMA_END) - 1;
    if (is) return vma;
    VmaLock.endRead(vma);
    return 0;
  }

  /** vma_start_read(): false if it is, or is about to be, write-locked. */
  static startRead(mm: usize, vma: usize): bool {
    if (VmaLock.writeLocked(mm, vma)) return false;
    if (!RwLock.tryReadLock(vma + VMA_LOCK)) return false;
    if (!VmaLock.writeLocked(mm, vma)) return true;
    RwLock.readUnlock(vma + VMA_LOCK);
    return false;
  }

  /** vma_end_read() */
  @inline
  static endRead(vma: usize): void {
    RwLock.readUnlock(vma + VMA_LOCK);
  }

  /** vma_start_write(): waits until nobody has it read-locked, and locks it until mmap_lock, which is held for writing, is let go. */
  static startWrite(vma: usize): void {
    const mm = <usize>Shared.quietLoad<u32>(vma + VMA_MM);
    const sequence = Shared.quietLoad<u32>(mm + MM_LOCK_SEQ);
    if (Shared.quietLoad<u32>(vma + VMA_LOCK_SEQ) == sequence) return;
    RwLock.writeLock(vma + VMA_LOCK);
    Shared.store<u32>(vma + VMA_LOCK_SEQ, sequence);
    Shared.quietStore<u32>(mm + MM_VMAS_LOCKED, 1);
    RwLock.writeUnlock(vma + VMA_LOCK);
  }

  @inline
  private static writeLocked(mm: usize, vma: usize): bool {
    return Shared.load<u32>(vma + VMA_LOCK_SEQ) == Shared.load<u32>(mm + MM_LOCK_SEQ);
  }
}
