// The reverse map: from a folio to the entries that may map it (mm/rmap.c, mm/page_vma_mapped.c).
//
// Guarantees: `walk` visits every VMA that shows the folio's page offset, of every mm, once, in ascending order; a VMA is there for as long as
// its visit lasts, for the lock of its tree is held for reading. `pageOf` gives the slot only if its entry maps the folio, and then
// with the page-table lock held.
//
// Locks, in the order of mm/rmap.c: the page lock, which the caller holds; i_mmap_rwsem or anon_vma->rwsem; the page-table lock. mmap_lock is not
// taken, so the flags of a VMA are read as they stand.

import { ANON_LOCK, FOLIO_ANON, FORMAT_X86_64_LA57, FRAME_SHIFT, VMA_BY_ANON } from "../layout";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Entry } from "../pte/entry";
import { X86_64, X86_64_LA57 } from "../pte/x86_64";
import { Space } from "../space";
import { Place, Walk } from "../walk";
import { AnonVma } from "./anon_vma";
import { Folio } from "./folio";
import { Mapping } from "./mapping";
import { Mm } from "./mm";
import { Swap } from "./swapops";
import { Vma } from "./vma";

export abstract class Rmap {
  /**
   * rmap_walk(): calls `one<F>(folio, vma, va, argument)` of visitor `V`, F the format of the VMA's mm, for each VMA until it returns false.
   * Returns false if it did. A folio that belongs nowhere has no VMAs.
   */
  static walk<V>(folio: usize, argument: usize): bool {
    const mapping = Folio.mapping(folio);
    if (mapping == 0) return true;
    if ((mapping & FOLIO_ANON) != 0) return Rmap.walkAnon<V>(folio, mapping, argument);
    return Rmap.walkFile<V>(folio, mapping, argument);
  }

  /** rmap_walk_file() */
  private static walkFile<V>(folio: usize, mapping: usize, argument: usize): bool {
    const index = Folio.index(folio);
    const lock = Mapping.lock(mapping);
    let wanted = true;
    RwLock.readLock(lock);
    let vma = Vma.firstOf(mapping, index, index);
    for (; vma != 0 && wanted; vma = Vma.nextOf(mapping, vma, index, index)) {
      wanted = Rmap.visit<V>(folio, vma, index, argument);
    }
    RwLock.readUnlock(lock);
    return wanted;
  }

  /** rmap_walk_anon(). The anon_vma may have got another life before it was locked: then nothing in it maps the folio (pool.ts). */
  private static walkAnon<V>(folio: usize, mapping: u32, argument: usize): bool {
    const index = Folio.index(folio);
    const anon = <usize>(mapping & ~FOLIO_ANON);
    let wanted = true;
    RwLock.readLock(anon + ANON_LOCK);
    let node = AnonVma.first(anon, index, index);
    for (; node != 0 && wanted; node = AnonVma.next(anon, node, index, index)) {
      wanted = Rmap.visit<V>(folio, node - VMA_BY_ANON, index, argument);
    }
    RwLock.readUnlock(anon + ANON_LOCK);
    return wanted;
  }

  private static visit<V>(folio: usize, vma: usize, index: u64, argument: usize): bool {
    const va = Rmap.addressIn(vma, index);
    if (Space.format(Mm.space(Vma.mm(vma))) == FORMAT_X86_64_LA57) {
      return changetype<V>(0).one<X86_64_LA57>(folio, vma, va, argument);
    }
    return changetype<V>(0).one<X86_64>(folio, vma, va, argument);
  }

  /** vma_address(): where page `index`, which it shows, is in the VMA. */
  @inline
  static addressIn(vma: usize, index: u64): u64 {
    return Vma.start(vma) + ((index - Vma.pgoff(vma)) << FRAME_SHIFT);
  }

  /**
   * page_vma_mapped_walk(): the slot of the entry for `va` if it maps the folio, or with `migration` (PVMW_MIGRATION) if it is a migration
   * entry for it, its page-table lock held; else 0, and no lock. Large pages are no folios here.
   */
  static pageOf<F>(mm: usize, va: u64, folio: usize, migration: bool): usize {
    const format = changetype<F>(0);
    const place = Walk.seek<F>(Mm.space(mm), va, 0);
    const slot = Place.slot(place);
    if (slot == 0 || Place.level(place) != 0) return 0;
    const ptl = Mm.ptl(mm, slot);
    Spinlock.lock(ptl);
    const pte = Entry.load<F>(slot);
    const pfn = Folio.physical(folio) >> FRAME_SHIFT;
    const maps = migration
      ? Swap.isMigration<F>(pte) && Swap.migrationPfn<F>(pte) == pfn
      : format.ptePresent(pte) && format.ptePfn(pte) == pfn;
    if (maps) return slot;
    Spinlock.unlock(ptl);
    return 0;
  }

  /** page_vma_mapped_walk_done(): lets go of what `pageOf` returned. */
  @inline
  static done(mm: usize, slot: usize): void {
    Spinlock.unlock(Mm.ptl(mm, slot));
  }
}
