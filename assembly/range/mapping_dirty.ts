// Write-protect, and clean and record, the pages of a file range in every address space that maps them: wp_shared_mapping_range() and
// clean_record_shared_mapping_range() of mm/mapping_dirty_helpers.c.
//
// Guarantees: when a call has returned, each entry that it changed was flushed from the TLBs of the mm it belongs to, and so were the
// entries that somebody else had changed in the same mm without having flushed yet (the nested case: there may be a writable entry
// in a TLB for a PTE that was found write-protected already). VMAs that are not shared and writable, and those over huge pages, are
// passed over; large pages in the others are left and counted. Overlapping VMAs count their pages once each.
//
// Locks, in the kernel's order: i_mmap_rwsem for reading, and the page-table lock of one leaf table after the other. mmap_lock is not taken, for
// callers hold locks that nest inside it; so the flags of a VMA are read as they stand, and its tables stay because taking a VMA out
// of the mapping's tree needs i_mmap_rwsem for writing.
//
// Where walk_page_mapping() ends the whole walk at the first VMA that does not qualify (a positive test_walk breaks the loop), this
// goes on with the next one, as the series that it comes from did. MMU notifiers are not modelled yet.

import {
  FORMAT_X86_64_LA57,
  FRAME_SHIFT,
  SCAN_FINAL,
  SCAN_FIRST,
  SCAN_HUGE,
  SCAN_LAST,
  SCAN_ORIGIN,
  SCAN_TOUCHED,
  SCAN_VA,
  SCAN_WARNED,
  VM_HUGETLB,
  VM_MAYWRITE,
  VM_SHARED,
  VMA_FLAGS,
} from "../layout";
import { Agent } from "../agent";
import { Shared } from "../atomic";
import { Shootdown } from "../flush/shootdown";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Mapping } from "../mm/mapping";
import { Mm } from "../mm/mm";
import { Vma } from "../mm/vma";
import { X86_64, X86_64_LA57 } from "../pte/x86_64";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Scan } from "./scan";

const SUITABLE: u32 = VM_SHARED | VM_MAYWRITE;

export abstract class MappingDirty {
  /**
   * Runs operation `V` (wrprotect.ts, clean.ts) over pages [first, last] of `mapping` from CPU `cpu`, which is not in user mode. Of the block
   * `scan` (SCAN_*) flags, bitmap, tracker, start and end are the caller's; with a bitmap, its bit 0 stands for page
   * `bitmapPgoff` of the mapping. Reply: +0 u64 entries touched, +8 u32 VMAs passed over, +12 u32 large pages left, +16 u32 those
   * of them that were writable or dirty, +20 u32 CPUs interrupted.
   */
  static apply<V>(cpu: usize, mapping: usize, first: u64, last: u64, scan: usize, bitmapPgoff: u64, shoot: u32): void {
    const reply = Agent.reply();
    memory.fill(reply, 0, 24);
    RwLock.readLock(Mapping.lock(mapping));
    for (let vma = Vma.firstOf(mapping, first, last); vma != 0; vma = Vma.nextOf(mapping, vma, first, last)) {
      if ((Shared.load<u32>(vma + VMA_FLAGS) & (SUITABLE | VM_HUGETLB)) != SUITABLE) {
        store<u32>(reply, load<u32>(reply, 8) + 1, 8);
        continue;
      }
      // Clip to the VMA, and over to addresses.
      const pgoff = Vma.pgoff(vma);
      const from = max(first, pgoff) - pgoff;
      const to = min(last, pgoff + Vma.pages(vma) - 1) - pgoff;
      const start = Vma.start(vma) + (from << FRAME_SHIFT);
      const end = Vma.start(vma) + (to << FRAME_SHIFT) + ((1 << FRAME_SHIFT) - 1);
      store<u64>(scan, (Vma.start(vma) >> FRAME_SHIFT) - pgoff + bitmapPgoff, SCAN_ORIGIN);
      const interrupted =
        Space.format(Mm.space(Vma.mm(vma))) == FORMAT_X86_64_LA57
          ? MappingDirty.inVma<X86_64_LA57, V>(cpu, Vma.mm(vma), start, end, scan, shoot)
          : MappingDirty.inVma<X86_64, V>(cpu, Vma.mm(vma), start, end, scan, shoot);
      store<u32>(reply, load<u32>(reply, 20) + interrupted, 20);
    }
    RwLock.readUnlock(Mapping.lock(mapping));
  }

  /** The part [start, end] of one VMA, and the flush it takes. Returns the CPUs interrupted. */
  private static inVma<F, V>(cpu: usize, mm: usize, start: u64, end: u64, scan: usize, shoot: u32): u32 {
    const reply = Agent.reply();
    let first: u64 = ~(<u64>0);
    let last: u64 = 0;
    // Rule 1 of mm.ts: counted before the page-table lock is taken.
    Mm.incFlushPending(mm);
    const region = changetype<F>(0).span(1);
    for (let at = start; ; at = (at & ~(region - 1)) + region) {
      const rest = at | (region - 1);
      store<u64>(scan, at, SCAN_VA);
      store<u64>(scan, min(rest, end), SCAN_LAST);
      const ptl = Mm.ptl(mm, Place.slot(Walk.seek<F>(Mm.space(mm), at, 0)));
      Spinlock.lock(ptl);
      Scan.run<F, V>(Mm.space(mm), scan);
      Spinlock.unlock(ptl);
      store<u32>(reply, load<u32>(reply, 12) + load<u32>(scan, SCAN_HUGE), 12);
      store<u32>(reply, load<u32>(reply, 16) + load<u32>(scan, SCAN_WARNED), 16);
      const touched = load<u64>(scan, SCAN_TOUCHED);
      if (touched != 0) {
        store<u64>(reply, load<u64>(reply) + touched);
        first = min(first, load<u64>(scan, SCAN_FIRST));
        last = max(last, load<u64>(scan, SCAN_FINAL));
      }
      if (rest >= end) break;
    }
    // wp_clean_post_vma()
    let interrupted: u32 = 0;
    if (Mm.flushNested(mm)) interrupted = Shootdown.flush(cpu, mm, start, end, FRAME_SHIFT, false, shoot);
    else if (first <= last) interrupted = Shootdown.flush(cpu, mm, first, last, FRAME_SHIFT, false, shoot);
    Mm.decFlushPending(mm);
    return interrupted;
  }
}
