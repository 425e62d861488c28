// Write-protect, and clean and record, the pages of a file range in every address space that maps them: wp_shared_mapping_range() and
// clean_record_shared_mapping_range() of mm/mapping_dirty_helpers.c, and apply_as_wrprotect() and apply_as_clean() of S1, which they come from.
//
// Guarantees: when a call has returned, each entry that it changed was flushed from the TLBs of the mm it belongs to, and so were the
// entries that somebody else had changed in the same mm without having flushed yet (the nested case: there may be a writable entry
// in a TLB for a PTE that was found write-protected already). VMAs that do not qualify are passed over; large pages in the others are
// left and counted, with a warning if they are writable or dirty. Overlapping VMAs count their pages once each.
//
// In each VMA, in the kernel's order (wp_clean_pre_vma() and wp_clean_post_vma()): notifier start, count up, the entries table by table,
// flush, notifier end, count down. flush_cache_range() does nothing on x86 and arm64. Options: those of path.ts, and MAPPING_*.
//
// Locks, in the kernel's order: i_mmap_rwsem for reading, and the page-table lock of one leaf table after the other. mmap_lock is not taken, for
// callers hold locks that nest inside it; so the flags of a VMA are read as they stand, and its tables stay because taking a VMA out
// of the mapping's tree needs i_mmap_rwsem for writing. The lock that keeps page_mkwrite() away over all of this is the caller's.
//
// Where walk_page_mapping() ends the whole walk at the first VMA that does not qualify (a positive test_walk breaks the loop, mm/pagewalk.c),
// this goes on with the next one, as the series did; MAPPING_BREAK does as the kernel does.

import {
  FORMAT_X86_64_LA57,
  FRAME_SHIFT,
  MAPPING_ATOMIC,
  MAPPING_BREAK,
  MAPPING_EVERY_PTE,
  MAPPING_SETTLED,
  MAPPING_V4,
  MMU_NOTIFY_PROTECTION_PAGE,
  PATH_HUGE,
  PATH_LOSE_DIRTY,
  PATH_NO_NESTED,
  PATH_PASSED,
  PATH_PGOFF,
  PATH_PLAIN,
  PATH_SCAN,
  PATH_WARNED,
  SCAN_FINAL,
  SCAN_FIRST,
  SCAN_FLAGS,
  SCAN_HUGE,
  SCAN_LAST,
  SCAN_ORIGIN,
  SCAN_SETTLED,
  SCAN_TOUCHED,
  SCAN_TRANSACTION,
  SCAN_VA,
  SCAN_WARNED,
  VM_HUGETLB,
  VM_IO,
  VM_MAYWRITE,
  VM_SHARED,
  VM_WRITE,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Mapping } from "../mm/mapping";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { X86_64, X86_64_LA57 } from "../pte/x86_64";
import { Space } from "../space";
import { Apply, LARGE_NEVER } from "./apply";
import { Clean } from "./clean";
import { Path } from "./path";
import { Scan } from "./scan";
import { Wrprotect } from "./wrprotect";

/** Variants that go entry by entry, without vectors. */
const ONE_BY_ONE: u32 = MAPPING_EVERY_PTE | PATH_PLAIN | PATH_LOSE_DIRTY;

export abstract class MappingDirty {
  /** wp_shared_mapping_range(): pages [first, last] of `mapping`, from CPU `cpu`, which is not in user mode. */
  static writeProtect(cpu: usize, mapping: usize, first: u64, last: u64, path: usize, options: u32): void {
    MappingDirty.apply<Wrprotect>(cpu, mapping, first, last, path, options);
  }

  /** clean_record_shared_mapping_range(): with the bitmap of PATH_SCAN, whose bit 0 stands for page PATH_PGOFF of the mapping. */
  static cleanRecord(cpu: usize, mapping: usize, first: u64, last: u64, path: usize, options: u32): void {
    MappingDirty.apply<Clean>(cpu, mapping, first, last, path, options);
  }

  private static apply<V>(cpu: usize, mapping: usize, first: u64, last: u64, path: usize, options: u32): void {
    Path.begin(path, cpu, options);
    const scan = path + PATH_SCAN;
    const atomic: u32 = (options & MAPPING_ATOMIC) != 0 ? 0 : (SCAN_TRANSACTION as u32);
    store<u32>(scan, atomic | ((options & MAPPING_SETTLED) != 0 ? SCAN_SETTLED : 0), SCAN_FLAGS);
    RwLock.readLock(Mapping.lock(mapping));
    for (let vma = Vma.firstOf(mapping, first, last); vma != 0; vma = Vma.nextOf(mapping, vma, first, last)) {
      if (!MappingDirty.qualifies(path, Shared.load<u32>(vma + VMA_FLAGS))) {
        Path.count(path, PATH_PASSED);
        if ((options & MAPPING_BREAK) != 0) break;
        continue;
      }
      // Clip to the VMA, and over to addresses.
      const pgoff = Vma.pgoff(vma);
      const from = max(first, pgoff) - pgoff;
      const to = min(last, pgoff + Vma.pages(vma) - 1) - pgoff;
      const start = Vma.start(vma) + (from << FRAME_SHIFT);
      const end = Vma.start(vma) + (to << FRAME_SHIFT) + ((1 << FRAME_SHIFT) - 1);
      store<u64>(scan, (Vma.start(vma) >> FRAME_SHIFT) - pgoff + load<u64>(path, PATH_PGOFF), SCAN_ORIGIN);
      Path.enterMm(path, Vma.mm(vma), vma);
      MappingDirty.inVma<V>(path, start, end);
    }
    RwLock.readUnlock(Mapping.lock(mapping));
    Path.finish(path);
  }

  /** wp_clean_test_walk(); or the two tests of apply_as_range(), the second of which warns. */
  private static qualifies(path: usize, flags: u32): bool {
    if (!Path.has(path, MAPPING_V4)) {
      return (flags & (VM_SHARED | VM_MAYWRITE | VM_HUGETLB)) == (VM_SHARED | VM_MAYWRITE);
    }
    if ((flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE)) return false;
    if ((flags & (VM_HUGETLB | VM_IO)) == VM_IO) return true;
    Path.count(path, PATH_WARNED);
    return false;
  }

  /** The part [start, end] of one VMA. */
  private static inVma<V>(path: usize, start: u64, end: u64): void {
    const mm = Path.mm(path);
    Notifiers.start(mm, MMU_NOTIFY_PROTECTION_PAGE, start, end);
    Path.countUp(path);
    if (Path.has(path, ONE_BY_ONE)) Apply.toPfnRange<X86_64, OnePte<V>>(path, start, end, false);
    else if (Space.format(Mm.space(mm)) == FORMAT_X86_64_LA57) MappingDirty.scan<X86_64_LA57, V>(path, start, end);
    else MappingDirty.scan<X86_64, V>(path, start, end);
    Path.countUpLate(path);
    // wp_clean_post_vma(). v4 looked at nothing but its own range.
    if (!Path.has(path, PATH_NO_NESTED) && Mm.flushNested(mm)) Path.flush(path, start, end, FRAME_SHIFT);
    else Path.flushTouched(path);
    Notifiers.end(mm, MMU_NOTIFY_PROTECTION_PAGE, start, end);
    Path.countDown(path);
  }

  /** Table by table, with vectors: the present entries. */
  private static scan<F, V>(path: usize, start: u64, end: u64): void {
    const scan = path + PATH_SCAN;
    const mm = Path.mm(path);
    const region = changetype<F>(0).span(1);
    for (let at = start; ; at = (at & ~(region - 1)) + region) {
      const rest = at | (region - 1);
      store<u64>(scan, at, SCAN_VA);
      store<u64>(scan, min(rest, end), SCAN_LAST);
      const ptl = Mm.ptl(mm, Apply.leafTable(mm, at));
      Spinlock.lock(ptl);
      Scan.run<F, V>(Mm.space(mm), scan);
      const touched = load<u64>(scan, SCAN_TOUCHED);
      if (touched != 0) MappingDirty.tell(path, touched, load<u64>(scan, SCAN_FIRST), load<u64>(scan, SCAN_FINAL));
      Path.beforeUnlock(path);
      Spinlock.unlock(ptl);
      store<u32>(path, load<u32>(path, PATH_HUGE) + load<u32>(scan, SCAN_HUGE), PATH_HUGE);
      store<u32>(path, load<u32>(path, PATH_WARNED) + load<u32>(scan, SCAN_WARNED), PATH_WARNED);
      if (rest >= end) break;
    }
  }

  /** Entries of this VMA for [first, last] were changed. The range that is told is one of pages of the file. */
  @inline
  static tell(path: usize, entries: u64, first: u64, last: u64): void {
    const vma = Path.vma(path);
    const shift = Vma.pgoff(vma) - (Vma.start(vma) >> FRAME_SHIFT);
    Path.owe(path, first, last);
    Path.note(path, entries, (first >> FRAME_SHIFT) + shift, (last >> FRAME_SHIFT) + shift);
  }
}

/**
 * wp_pte() and clean_record_pte() (apply_pt_wrprotect(), apply_pt_clean()), for the variants. As they stand (MAPPING_EVERY_PTE), they ask pte_write() or
 * pte_dirty() of any entry, present or not. In a swap entry of x86-64 bit 1 is soft-dirty and not RW (arch/x86/include/asm/pgtable_64.h), and is
 * taken away. That hurts nobody in a VMA of device memory, where no such entries are, and in one of a file it does.
 */
class OnePte<V> {
  @inline
  get large(): i32 {
    return LARGE_NEVER;
  }

  @inline
  enter(_path: usize): void {}

  pte<F>(path: usize, slot: usize, va: u64, end: u64, _level: i32): i32 {
    const visitor = changetype<V>(0);
    const entry = Entry.load<F>(slot);
    if (!(Path.has(path, MAPPING_EVERY_PTE) ? visitor.of<F>(entry) : visitor.hit<F>(entry))) return 0;
    const old = Path.has(path, PATH_PLAIN) ? entry : Entry.modifyProtStart<F>(slot);
    const now = visitor.after<F>(old);
    Entry.modifyProtCommit<F>(slot, Path.has(path, PATH_LOSE_DIRTY) ? changetype<F>(0).pteMkclean(now) : now);
    MappingDirty.tell(path, 1, va, end);
    Path.setBit(path, va);
    return 0;
  }

  @inline
  leave(path: usize): void {
    Path.beforeUnlock(path);
  }
}
