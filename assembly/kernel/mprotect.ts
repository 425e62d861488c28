// mprotect (mm/mprotect.c, do_mprotect_pkey(), mprotect_fixup()).
//
// Guarantees: when it has returned, no CPU accesses the range with rights that were taken away; a right that was given may still cost a fault. VMAs that
// reach over an edge of the range are split there, STATUS_NO_MEMORY if there is no block for it. STATUS_HOLE where no VMA is (Linux's -ENOMEM; what
// lies before it is changed, as in Linux); STATUS_NOT_ALLOWED for a right that the VMA may not have (VM_MAYWRITE).
//
// Locks: mmap_lock for writing, over the flush in tlb_finish_mmu(); the page-table lock of one table after the other. Options of path.ts:
// PATH_NO_FLUSH (G1), PATH_FLUSH_IN_PTL, PATH_NO_NESTED, PATH_PLAIN.

import {
  CHANGE_TRY_WRITABLE,
  PATH_PASSED,
  STATUS_HOLE,
  STATUS_NO_MEMORY,
  STATUS_NOT_ALLOWED,
  STATUS_OK,
  VM_EXEC,
  VM_MAYWRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { Mm } from "../mm/mm";
import { Prot } from "../mm/prot";
import { Split } from "../mm/split";
import { Vma } from "../mm/vma";
import { VmaLock } from "../mm/vma_lock";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";
import { ChangeProtection } from "./change_protection";

const RIGHTS: u32 = VM_READ | VM_WRITE | VM_EXEC;

export abstract class Mprotect {
  /** [first, last] of `mm`, both page-aligned but for the low bits of `last`, get `rights` (VM_READ, VM_WRITE, VM_EXEC). From CPU `cpu`. */
  static range<F>(cpu: usize, mm: usize, first: u64, last: u64, rights: u32, path: usize, options: u32): i32 {
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    Mm.writeLock(mm);
    let status: i32 = Split.edges(mm, first, last) ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
      Gathered.begin(path, false);
      status = Mprotect.vmas<F>(path, mm, first, last, rights & RIGHTS);
      Gathered.finish(path);
    }
    Mm.writeUnlock(mm);
    Path.finish(path);
    return status;
  }

  private static vmas<F>(path: usize, mm: usize, first: u64, last: u64, rights: u32): i32 {
    let next = first;
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      if (Vma.start(vma) != next) return STATUS_HOLE;
      next = Vma.end(vma);
      const flags = Shared.load<u32>(vma + VMA_FLAGS);
      if ((rights & VM_WRITE) != 0 && (flags & (VM_SHARED | VM_MAYWRITE)) == VM_SHARED) return STATUS_NOT_ALLOWED;
      Mprotect.fixup<F>(path, vma, flags, (flags & ~RIGHTS) | rights);
    }
    return next - 1 == last ? STATUS_OK : STATUS_HOLE;
  }

  /** mprotect_fixup() */
  private static fixup<F>(path: usize, vma: usize, old: u32, flags: u32): void {
    if (flags == old) {
      Path.count(path, PATH_PASSED);
      return;
    }
    VmaLock.startWrite(vma);
    Shared.store<u32>(vma + VMA_FLAGS, flags);
    // vma_wants_manual_pte_write_upgrade()
    const shared = (flags & VM_SHARED) != 0;
    const upgrade = (flags & VM_WRITE) != 0 && (!shared || Prot.wantsWritenotify(flags));
    const change: u32 = upgrade ? CHANGE_TRY_WRITABLE : 0;
    ChangeProtection.range<F>(path, vma, Vma.start(vma), Vma.end(vma) - 1, Prot.ofVma(flags), change);
  }
}
