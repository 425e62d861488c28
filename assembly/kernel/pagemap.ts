// /proc/PID/pagemap, as far as it tells of soft-dirty (fs/proc/task_mmu.c, pagemap_read(), pte_to_pagemap_entry(), PM_SOFT_DIRTY).
//
// Guarantees: a page has a bit if its entry, present or not, has soft-dirty, or if its VMA is new since the last clear_refs (VM_SOFTDIRTY), whether
// anything is mapped there or not (pagemap_pte_hole()). Nothing is changed and no flush is owed. A page outside all VMAs has none.
//
// Locks: mmap_lock for reading, the page-table lock of one table after the other. So the answer of one table is about one moment; a store that came
// before the call and through a fault is in it.

import { FRAME_SHIFT, VM_SOFTDIRTY, VMA_FLAGS } from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Mm } from "../mm/mm";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Apply, LARGE_ALWAYS } from "../range/apply";
import { Path } from "../range/path";

const PAGE: u64 = 1 << FRAME_SHIFT;

export abstract class Pagemap {
  /** Sets the bits of the soft-dirty pages of [first, last] in the path's bitmap; PATH_TOUCHED says how many entries they are. */
  static softDirty<F>(cpu: usize, mm: usize, first: u64, last: u64, path: usize): void {
    Path.begin(path, cpu, 0);
    RwLock.readLock(Mm.mmapLock(mm));
    for (let vma = Vma.firstIn(mm, first, last); vma != 0; vma = Vma.nextIn(mm, vma, first, last)) {
      const from = max(first, Vma.start(vma));
      const to = min(last, Vma.end(vma) - 1);
      Path.enterMm(path, mm, vma);
      if ((Shared.load<u32>(vma + VMA_FLAGS) & VM_SOFTDIRTY) == 0) Apply.toPfnRange<F, NotePte>(path, from, to, false);
      else NotePte.note(path, from, to);
    }
    RwLock.readUnlock(Mm.mmapLock(mm));
    Path.finish(path);
  }
}

class NotePte {
  static note(path: usize, first: u64, last: u64): void {
    Path.note(path, 1, first, last);
    for (let va = first; ; va += PAGE) {
      Path.setBit(path, va);
      if (last - va < PAGE) break;
    }
  }

  @inline
  get large(): i32 {
    return LARGE_ALWAYS;
  }

  @inline
  enter(_path: usize): void {}

  pte<F>(path: usize, slot: usize, va: u64, end: u64, _level: i32): i32 {
    const format = changetype<F>(0);
    const entry = Entry.load<F>(slot);
    const swapped = !format.ptePresent(entry) && !format.pteNone(entry);
    const dirty = swapped ? format.pteSwpSoftDirty(entry) : format.ptePresent(entry) && format.pteSoftDirty(entry);
    if (dirty) NotePte.note(path, va, end);
    return 0;
  }

  @inline
  leave(_path: usize): void {}
}
