// What the kernel paths share: how they count the flush they owe, carry it out, and tell what they did.
//
// A path is a function that the kernel runs from beginning to end: it takes locks, changes entries, flushes. Its block (PATH_*, layout.ts)
// belongs to the caller and, while it runs, to it alone: plain memory, no scheduling points. Its options word selects variants; 0 is
// what Linux does today. The ones here are about the flush that a change of entries leaves owed:
//
//   begin                     forgets what the block told last
//   enterMm                   from here on in another mm: nothing is owed there
//     countUp                 inc_tlb_flush_pending(), before the entries change       [PATH_COUNT_LATE: after, PATH_UNCOUNTED: never]
//       touched               under the page-table lock: an entry was changed, widens what is owed
//       beforeUnlock          PATH_FLUSH_IN_PTL: flushes what is owed so far, and owes no more
//     countUpLate             where PATH_COUNT_LATE counts
//     flushTouched            the span from the lowest to the highest that is owed     [PATH_NO_FLUSH: stays owed]
//     countDown               dec_tlb_flush_pending()
//   finish                    PATH_FLUSH: none, done or owed
//
// Counting late still comes before the flush; what is wrong about it is that it comes after a page-table lock was released.

import {
  FLUSH_DONE,
  FLUSH_NONE,
  FLUSH_OWED,
  FRAME_SHIFT,
  PATH_AT,
  PATH_COUNT_LATE,
  PATH_CPU,
  PATH_FIRST,
  PATH_FLUSH,
  PATH_FLUSH_IN_PTL,
  PATH_FLUSHES,
  PATH_FROM,
  PATH_HUGE,
  PATH_INTERRUPTED,
  PATH_LAST,
  PATH_MM,
  PATH_NO_FLUSH,
  PATH_OPTIONS,
  PATH_PASSED,
  PATH_SCAN,
  PATH_SHOOT,
  PATH_TO,
  PATH_TOUCHED,
  PATH_UNCOUNTED,
  PATH_VMA,
  PATH_WARNED,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_ORIGIN,
  SCAN_START,
} from "../layout";
import { Shootdown } from "../flush/shootdown";
import { Mm } from "../mm/mm";
import { Entry } from "../pte/entry";

const NOWHERE: u64 = 0xffffffffffffffff;

export abstract class Path {
  static begin(path: usize, cpu: usize, options: u32): void {
    store<u32>(path, <u32>cpu, PATH_CPU);
    store<u32>(path, options, PATH_OPTIONS);
    store<u32>(path, 0, PATH_MM);
    store<u32>(path, 0, PATH_VMA);
    store<u32>(path, FLUSH_NONE, PATH_FLUSH);
    store<u32>(path, 0, PATH_FLUSHES);
    store<u32>(path, 0, PATH_INTERRUPTED);
    store<u32>(path, 0, PATH_PASSED);
    store<u32>(path, 0, PATH_WARNED);
    store<u32>(path, 0, PATH_HUGE);
    store<u64>(path, 0, PATH_TOUCHED);
    store<u64>(path, NOWHERE, PATH_FIRST);
    store<u64>(path, 0, PATH_LAST);
    store<u64>(path, 0, PATH_AT);
    Path.owesNothing(path);
  }

  static enterMm(path: usize, mm: usize, vma: usize): void {
    store<u32>(path, <u32>mm, PATH_MM);
    store<u32>(path, <u32>vma, PATH_VMA);
    Path.owesNothing(path);
  }

  /** Once more than the paths that end without having flushed, some of what was changed is owed. */
  static finish(path: usize): void {
    if (load<u32>(path, PATH_FLUSH) == FLUSH_NONE && load<u32>(path, PATH_FLUSHES) != 0) {
      store<u32>(path, FLUSH_DONE, PATH_FLUSH);
    }
  }

  // ---- fields

  @inline
  static has(path: usize, option: u32): bool {
    return (load<u32>(path, PATH_OPTIONS) & option) != 0;
  }

  @inline
  static cpu(path: usize): usize {
    return load<u32>(path, PATH_CPU);
  }

  @inline
  static mm(path: usize): usize {
    return load<u32>(path, PATH_MM);
  }

  @inline
  static vma(path: usize): usize {
    return load<u32>(path, PATH_VMA);
  }

  /** One more in a counter of u32. */
  @inline
  static count(path: usize, field: usize): void {
    store<u32>(path + field, load<u32>(path + field) + 1);
  }

  // ---- what was changed

  /** The entry that maps [first, last] was changed: a flush is owed for it. */
  @inline
  static touched(path: usize, first: u64, last: u64): void {
    Path.note(path, 1, first, last);
    Path.owe(path, first, last);
  }

  @inline
  static owe(path: usize, first: u64, last: u64): void {
    if (first < load<u64>(path, PATH_FROM)) store<u64>(path, first, PATH_FROM);
    if (last > load<u64>(path, PATH_TO)) store<u64>(path, last, PATH_TO);
  }

  /** Tells of entries, and owes nothing. */
  @inline
  static note(path: usize, entries: u64, first: u64, last: u64): void {
    store<u64>(path, load<u64>(path, PATH_TOUCHED) + entries, PATH_TOUCHED);
    if (first < load<u64>(path, PATH_FIRST)) store<u64>(path, first, PATH_FIRST);
    if (last > load<u64>(path, PATH_LAST)) store<u64>(path, last, PATH_LAST);
  }

  @inline
  static owes(path: usize): bool {
    return load<u64>(path, PATH_FROM) <= load<u64>(path, PATH_TO);
  }

  @inline
  private static owesNothing(path: usize): void {
    store<u64>(path, NOWHERE, PATH_FROM);
    store<u64>(path, 0, PATH_TO);
  }

  /** The bit of the page at `va` in the caller's bitmap, if there is one; start and end widen as in clean_record_pte(). */
  static setBit(path: usize, va: u64): void {
    const scan = path + PATH_SCAN;
    const bitmap: usize = load<u32>(scan, SCAN_BITMAP);
    if (bitmap == 0) return;
    const bit = (va >> FRAME_SHIFT) - load<u64>(scan, SCAN_ORIGIN);
    const word = bitmap + ((<usize>(bit >> 6)) << 3);
    store<u64>(word, load<u64>(word) | ((<u64>1) << (bit & 63)));
    if (bit < load<u64>(scan, SCAN_START)) store<u64>(scan, bit, SCAN_START);
    if (bit + 1 > load<u64>(scan, SCAN_END)) store<u64>(scan, bit + 1, SCAN_END);
  }

  // ---- tlb_flush_pending

  static countUp(path: usize): void {
    if (!Path.has(path, PATH_UNCOUNTED | PATH_COUNT_LATE)) Mm.incFlushPending(Path.mm(path));
  }

  static countUpLate(path: usize): void {
    if (Path.has(path, PATH_COUNT_LATE) && !Path.has(path, PATH_UNCOUNTED)) Mm.incFlushPending(Path.mm(path));
  }

  static countDown(path: usize): void {
    if (!Path.has(path, PATH_UNCOUNTED)) Mm.decFlushPending(Path.mm(path));
  }

  // ---- flushes

  /** The page-table lock is held still. */
  @inline
  static beforeUnlock(path: usize): void {
    if (Path.has(path, PATH_FLUSH_IN_PTL)) Path.flushTouched(path);
  }

  /** flush_tlb_range() of what is owed, if anything is. */
  static flushTouched(path: usize): void {
    if (!Path.owes(path)) return;
    Path.flush(path, load<u64>(path, PATH_FROM), load<u64>(path, PATH_TO), FRAME_SHIFT);
    Path.owesNothing(path);
  }

  /**
   * ptep_clear_flush(), under the page-table lock: takes the entry that maps [first, last] out and flushes it, if a TLB may have it (pte_accessible():
   * PROTNONE is in none, unless it became so and the flush is still owed). Returns what it was.
   */
  static clearFlush<F>(path: usize, slot: usize, first: u64, last: u64): u64 {
    const format = changetype<F>(0);
    const old = Entry.getAndClear<F>(slot);
    const accessible = format.present(old) || (format.pteProtnone(old) && Mm.flushPending(Path.mm(path)));
    if (accessible) Path.flush(path, first, last, FRAME_SHIFT);
    return old;
  }

  /** flush_tlb_range() of [first, last], in steps of 2^`stride`; REQUEST_ALL: flush_tlb_mm(). */
  static flush(path: usize, first: u64, last: u64, stride: u32): void {
    if (Path.has(path, PATH_NO_FLUSH)) {
      store<u32>(path, FLUSH_OWED, PATH_FLUSH);
      return;
    }
    const shoot = load<u32>(path, PATH_SHOOT);
    const interrupted = Shootdown.flush(Path.cpu(path), Path.mm(path), first, last, stride, false, shoot);
    store<u32>(path, load<u32>(path, PATH_INTERRUPTED) + interrupted, PATH_INTERRUPTED);
    Path.count(path, PATH_FLUSHES);
  }
}
