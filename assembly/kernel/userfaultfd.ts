// UFFDIO_WRITEPROTECT (mm/userfaultfd.c, mwriteprotect_range(), uffd_wp_range()): pages of a range are write-protected for a monitor in user space, or
// given back.
//
// Guarantees: when a call that protects has returned, a store to a page of the range that is mapped faults, and the fault goes to the monitor. One
// that resolves takes the mark away and makes writable what may be. STATUS_NOT_ALLOWED (Linux's -ENOENT) at the first VMA that is not
// registered (VM_UFFD_WP), or if there is none.
//
// Locks: mmap_lock for reading only, over the flush. So a write fault may run at the same time: it meets an entry that is write-protected while TLBs still
// let stores through, and would copy the page beneath them. do_wp_page() flushes if tlb_flush_pending says so (6ce64428d626);
// UFFD_WP_WRITE is Linus Torvalds' answer in S4, the lock for writing. Options of path.ts: PATH_UNCOUNTED, PATH_COUNT_LATE, PATH_NO_FLUSH,
// PATH_FLUSH_IN_PTL, PATH_NO_NESTED, PATH_PLAIN; UFFD_WP_AFTER_UNLOCK flushes when mmap_lock was released.

import {
  CHANGE_TRY_WRITABLE,
  CHANGE_UFFD_WP,
  CHANGE_UFFD_WP_RESOLVE,
  STATUS_NOT_ALLOWED,
  STATUS_OK,
  UFFD_WP_AFTER_UNLOCK,
  UFFD_WP_RESOLVE,
  UFFD_WP_WRITE,
  VM_UFFD_WP,
  VM_WRITE,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Mm } from "../mm/mm";
import { Prot } from "../mm/prot";
import { Vma } from "../mm/vma";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";
import { ChangeProtection } from "./change_protection";

export abstract class Userfaultfd {
  /** Protects, or with UFFD_WP_RESOLVE resolves, [first, last] of `mm`, both page-aligned but for the low bits of `last`. From CPU `cpu`. */
  static writeProtect<F>(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): i32 {
    const lock = Mm.mmapLock(mm);
    const write = (options & UFFD_WP_WRITE) != 0;
    const late = (options & UFFD_WP_AFTER_UNLOCK) != 0;
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    if (write) RwLock.writeLock(lock);
    else RwLock.readLock(lock);
    Gathered.begin(path, false);
    let status: i32 = STATUS_NOT_ALLOWED;
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      const flags = Shared.load<u32>(vma + VMA_FLAGS);
      status = (flags & VM_UFFD_WP) == 0 ? STATUS_NOT_ALLOWED : STATUS_OK;
      if (status != STATUS_OK) break;
      Userfaultfd.inVma<F>(path, vma, max(first, Vma.start(vma)), min(last, Vma.end(vma) - 1), flags);
    }
    if (!late) Gathered.finish(path);
    if (write) RwLock.writeUnlock(lock);
    else RwLock.readUnlock(lock);
    if (late) Gathered.finish(path);
    Path.finish(path);
    return status;
  }

  /** uffd_wp_range() */
  private static inVma<F>(path: usize, vma: usize, first: u64, last: u64, flags: u32): void {
    let change: u32 = CHANGE_UFFD_WP;
    if (Path.has(path, UFFD_WP_RESOLVE)) {
      // vma_wants_manual_pte_write_upgrade(): private, or shared with write faults, which VM_UFFD_WP asks for.
      change = CHANGE_UFFD_WP_RESOLVE | ((flags & VM_WRITE) != 0 ? CHANGE_TRY_WRITABLE : 0);
    }
    ChangeProtection.range<F>(path, vma, first, last, Prot.ofVma(flags), change);
  }
}
