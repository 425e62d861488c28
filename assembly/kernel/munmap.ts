// munmap: unhook, flush, free, tables and all (do_vmi_align_munmap(), unmap_region(), mm/vma.c).
//
// Guarantees: when it has returned, no VMA is in the range, no TLB has a translation of it, and its pages and table pages were given up after the
// flush. A VMA that reaches over an edge is split there; STATUS_NO_MEMORY, and nothing is unmapped, if there is no block for it.
//
// Locks: mmap_lock and the VMAs for writing; while VMAs leave the trees of the reverse map, i_mmap_rwsem and anon_vma->rwsem; page-table locks; the space's lock.
// Options: PATH_FREE_EARLY, PATH_FLUSH_IN_PTL, PATH_NO_NESTED. Not modelled: the downgrade of mmap_lock before the entries go.

import { MMU_NOTIFY_UNMAP, STATUS_NO_MEMORY, STATUS_OK } from "../layout";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Split } from "../mm/split";
import { Vma } from "../mm/vma";
import { VmaLock } from "../mm/vma_lock";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";
import { Tables } from "../range/tables";
import { Zap } from "../range/zap";

export abstract class Munmap {
  /** [first, last] of `mm`, both page-aligned but for the low bits of `last`, from CPU `cpu`. */
  static range<F>(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): i32 {
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    Mm.writeLock(mm);
    const good = Split.edges(mm, first, last);
    if (good && Vma.firstIn(mm, first, last) != 0) Munmap.region<F>(path, mm, first, last);
    Mm.writeUnlock(mm);
    Path.finish(path);
    return good ? STATUS_OK : STATUS_NO_MEMORY;
  }

  /** unmap_region(): unmap_vmas(), free_pgtables(). */
  private static region<F>(path: usize, mm: usize, first: u64, last: u64): void {
    Gathered.begin(path, false);
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      VmaLock.startWrite(vma);
      Notifiers.start(mm, MMU_NOTIFY_UNMAP, Vma.start(vma), Vma.end(vma) - 1);
      Zap.range<F>(path, Vma.start(vma), Vma.end(vma) - 1);
      Notifiers.end(mm, MMU_NOTIFY_UNMAP, Vma.start(vma), Vma.end(vma) - 1);
    }
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.firstIn(mm, first, last)) Vma.detach(vma);
    Tables.free(path, first, last);
    Gathered.finish(path);
  }
}
