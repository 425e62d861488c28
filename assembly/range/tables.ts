// Table pages that a range does not need any more: free_pgtables(), free_pgd_range() (mm/memory.c).
//
// Guarantees: a table goes if no VMA has a byte that it translates (the kernel says so by `floor` and `ceiling`, the ends of the neighbouring VMAs),
// so that nobody else's entries are in it. The entry that refers to it is cleared, the gather gets the table, and frees it after the
// flush and a grace period: a walker may be in it, and a paging-structure cache may know it. Lower levels go first.
//
// Locks: the caller holds mmap_lock for writing, and the VMAs of the range are out of the trees of the reverse map: no kernel path is in these
// tables. The space's lock is held over each level, for its count of tables.

import { FORMAT_X86_64_LA57, FRAME_SHIFT, PATH_GATHER } from "../layout";
import { Gather } from "../flush/gather";
import { Mm } from "../mm/mm";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { X86_64, X86_64_LA57 } from "../pte/x86_64";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { Path } from "./path";
import { Range } from "./walk";

export abstract class Tables {
  /** Frees the tables of [first, last] of the path's mm that no VMA uses. The root stays. */
  static free(path: usize, first: u64, last: u64): void {
    if (Space.format(Mm.space(Path.mm(path))) == FORMAT_X86_64_LA57) Tables.freeLevels<X86_64_LA57>(path, first, last);
    else Tables.freeLevels<X86_64>(path, first, last);
  }

  private static freeLevels<F>(path: usize, first: u64, last: u64): void {
    const space = Mm.space(Path.mm(path));
    Space.lock(space);
    for (let level = 1; level < changetype<F>(0).levels; ++level) Tables.freeBelow<F>(path, space, first, last, level);
    Space.unlock(space, true);
  }

  /** The tables that entries of `level` refer to: free_pte_range(), free_pmd_range(), ... */
  private static freeBelow<F>(path: usize, space: usize, first: u64, last: u64, level: i32): void {
    const format = changetype<F>(0);
    const span = format.span(level);
    for (let at = first & ~(span - 1); ; at += span) {
      const place = Walk.seek<F>(space, at, level);
      const slot = Place.slot(place);
      if (slot != 0 && Place.level(place) == level && Vma.firstIn(Path.mm(path), at, at + (span - 1)) == 0) {
        const entry = Entry.load<F>(slot);
        if (Range.passable<F>(space, entry, level)) {
          Entry.exchange<F>(slot, 0);
          Gather.removeTable(path + PATH_GATHER, at, FRAME_SHIFT, <u32>level, format.table(entry));
        }
      }
      if (at + (span - 1) >= last) break;
    }
  }
}
