// An address space as the kernel keeps it (struct mm_struct, include/linux/mm_types.h): tables, VMAs, locks, and what is known of the TLBs
// that may hold its translations.
//
// Lock order: mmap_lock, then i_mmap_rwsem, then a page-table lock (mm/rmap.c, "Lock ordering in mm"). Fields that several CPUs change
// without a lock are words behind scheduling points.
//
// `tlb_flush_pending` counts the flushes that are owed: entries changed, TLBs not yet invalidated. Its rules, from
// include/linux/mm_types.h (inc_tlb_flush_pending and mm_tlb_flush_pending):
//   1. count up before taking the page-table lock under which an entry changes;
//   2. count down only after the flush is complete;
//   3. read it after acquiring the page-table lock of the entry in question: the answer is about that lock's entries only;
//   4. `flushNested` likewise; the lock must have been acquired, it need not be held any more.

import {
  CONTROL_CONTEXTS,
  META_NEXT,
  MM_BYTES,
  MM_CPUMASK,
  MM_CTX_ID,
  MM_DEFERRED,
  MM_FLUSH_PENDING,
  MM_LOCK_SEQ,
  MM_MMAP_LOCK,
  MM_PTL,
  MM_SPACE,
  MM_SPLIT_PTL,
  MM_TLB_GEN,
  MM_USERS,
  MM_VMAS_LOCKED,
  MM_VMAS_SEQ,
} from "../layout";
import { Shared } from "../atomic";
import { Frames, NO_FRAME } from "../frame";
import { Heap } from "../heap";
import { RwLock } from "../lock/rwlock";
import { Asids } from "./asid";

export abstract class Mm {
  /**
   * An mm over the tables of `space`, one user, no VMA. With `splitPtl` each leaf table has a page-table lock of its own
   * (CONFIG_SPLIT_PTE_PTLOCKS), else the mm has one. 0 if no heap is left.
   */
  static create(space: usize, splitPtl: bool): usize {
    const mm = Heap.allocate(MM_BYTES);
    if (mm == 0) return 0;
    memory.fill(mm, 0, MM_BYTES);
    store<u32>(mm, <u32>space, MM_SPACE);
    store<u32>(mm, splitPtl ? 1 : 0, MM_SPLIT_PTL);
    store<u32>(mm, 1, MM_USERS);
    store<u64>(mm, Shared.add<u64>(CONTROL_CONTEXTS, 1) + 1, MM_CTX_ID);
    store<u64>(mm, 1, MM_TLB_GEN); // init_new_context(): a CPU that has seen nothing is at 0
    return mm;
  }

  /** __mmdrop(): the VMAs are gone, nobody uses it, and no CPU runs it. */
  static free(mm: usize): void {
    Asids.release(mm);
    Heap.free(mm);
  }

  @inline
  static space(mm: usize): usize {
    return load<u32>(mm, MM_SPACE);
  }

  /** mmap_lock itself: of who takes it in a way of its own, or asks about it. */
  @inline
  static mmapLock(mm: usize): usize {
    return mm + MM_MMAP_LOCK;
  }

  // ---- mmap_lock. Who takes it for writing by these also ends the write locks of VMAs (vma_lock.ts)

  @inline
  static readLock(mm: usize): void {
    RwLock.readLock(mm + MM_MMAP_LOCK);
  }

  @inline
  static readUnlock(mm: usize): void {
    RwLock.readUnlock(mm + MM_MMAP_LOCK);
  }

  @inline
  static writeLock(mm: usize): void {
    RwLock.writeLock(mm + MM_MMAP_LOCK);
  }

  /** mmap_write_unlock() */
  static writeUnlock(mm: usize): void {
    Mm.endVmaWrites(mm);
    RwLock.writeUnlock(mm + MM_MMAP_LOCK);
  }

  /** mmap_write_downgrade() */
  static downgrade(mm: usize): void {
    Mm.endVmaWrites(mm);
    RwLock.downgrade(mm + MM_MMAP_LOCK);
  }

  /** vma_end_write_all(): one store unlocks all VMAs that were write-locked. */
  private static endVmaWrites(mm: usize): void {
    if (Shared.quietLoad<u32>(mm + MM_VMAS_LOCKED) == 0) return;
    Shared.quietStore<u32>(mm + MM_VMAS_LOCKED, 0);
    Shared.store<u32>(mm + MM_LOCK_SEQ, Shared.quietLoad<u32>(mm + MM_LOCK_SEQ) + 1);
  }

  /** mm_lock_seq, of who holds mmap_lock or makes a VMA. */
  @inline
  static lockSequence(mm: usize): u32 {
    return Shared.load<u32>(mm + MM_LOCK_SEQ);
  }

  /** Around every change of the VMA tree, under mmap_lock for writing: for look-ups without it. */
  static beginVmaChange(mm: usize): void {
    Shared.store<u32>(mm + MM_VMAS_SEQ, Shared.quietLoad<u32>(mm + MM_VMAS_SEQ) + 1);
  }

  static endVmaChange(mm: usize): void {
    Mm.beginVmaChange(mm);
  }

  // ---- page-table locks

  /** The lock over the entries of the leaf table at linear address `table`: ptlock_ptr(). */
  static ptl(mm: usize, table: usize): usize {
    if (load<u32>(mm, MM_SPLIT_PTL) == 0) return mm + MM_PTL;
    const index = Frames.indexAt(table);
    // A frame that is handed out does not use its link: the word is the lock, as in struct ptdesc.
    return index == NO_FRAME ? mm + MM_PTL : Frames.meta(index) + META_NEXT;
  }

  // ---- tlb_flush_pending

  @inline
  static incFlushPending(mm: usize): void {
    Shared.count<u32>(mm + MM_FLUSH_PENDING, 1);
  }

  @inline
  static decFlushPending(mm: usize): void {
    Shared.count<u32>(mm + MM_FLUSH_PENDING, -1);
  }

  /** mm_tlb_flush_pending() */
  @inline
  static flushPending(mm: usize): bool {
    return Shared.load<u32>(mm + MM_FLUSH_PENDING) != 0;
  }

  /** mm_tlb_flush_nested(): somebody else, too, owes a flush. Rule 4. */
  @inline
  static flushNested(mm: usize): bool {
    return Shared.load<u32>(mm + MM_FLUSH_PENDING) > 1;
  }

  /** The list of migrations whose flush is deferred, which who makes an entry writable settles first (flush/deferred.ts); 0 without one. */
  @inline
  static deferred(mm: usize): usize {
    return load<u32>(mm, MM_DEFERRED);
  }

  /** Set at set-up. */
  @inline
  static setDeferred(mm: usize, pages: usize): void {
    store<u32>(mm, <u32>pages, MM_DEFERRED);
  }

  // ---- tlb_gen and the CPUs that may hold translations

  /** inc_mm_tlb_gen(): after the entries changed and before the CPU mask is read. Returns the new generation. */
  @inline
  static incTlbGen(mm: usize): u64 {
    return Shared.add<u64>(mm + MM_TLB_GEN, 1) + 1;
  }

  @inline
  static tlbGen(mm: usize): u64 {
    return Shared.load<u64>(mm + MM_TLB_GEN);
  }

  @inline
  static setCpu(mm: usize, cpu: u32): void {
    Shared.or<u64>(mm + MM_CPUMASK, (<u64>1) << cpu);
  }

  @inline
  static clearCpu(mm: usize, cpu: u32): void {
    Shared.and<u64>(mm + MM_CPUMASK, ~((<u64>1) << cpu));
  }

  @inline
  static cpuMask(mm: usize): u64 {
    return Shared.load<u64>(mm + MM_CPUMASK);
  }

  // ---- mm_users

  static get(mm: usize): void {
    Shared.count<u32>(mm + MM_USERS, 1);
  }

  /** mmput(): true for the last user, who tears it down. */
  static put(mm: usize): bool {
    return Shared.sub<u32>(mm + MM_USERS, 1) == 1;
  }

  @inline
  static users(mm: usize): u32 {
    return Shared.load<u32>(mm + MM_USERS);
  }
}
