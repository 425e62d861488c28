// A driver's cycle: write-protects the pages of its file, takes the record of those that were written to, and copies them to the device
// (vmw_bo_dirty_scan_mkwrite() and vmw_bo_dirty_transfer_to_res(), drivers/gpu/drm/vmwgfx/vmwgfx_page_dirty.c; apply_as_wrprotect() in S1).
//
// Guarantees, if faults keep the lock until their entry is writable (HANDLER_MKWRITE_HELD, or page_mkwrite()): at rest, each page of the device is what
// was stored last, or the page is recorded for the next cycle. The lock is the driver's for frames, the page lock, page by page, for
// pages of the page cache.
//
// Variants: TRANSFER_EARLY acts before the flush (A3), TRANSFER_UNLOCKED takes no lock (A1, A4), and the options of wp_shared_mapping_range().
//
// Locks: the driver's or the page lock, over all; inside it those of range/mapping_dirty.ts.

import { FRAME_SHIFT, PATH_NO_FLUSH, PATH_SHOOT, TRANSFER_EARLY, TRANSFER_UNLOCKED } from "../layout";
import { Driver } from "../fault/driver";
import { Shootdown } from "../flush/shootdown";
import { Frames } from "../frame";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Mapping } from "../mm/mapping";
import { Page } from "../mm/page";
import { Vma } from "../mm/vma";
import { MappingDirty } from "../range/mapping_dirty";

export abstract class Transfer {
  /** One cycle over all pages of `mapping`, which has a driver, from CPU `cpu`. Returns how many pages were copied. */
  static cycle(cpu: usize, mapping: usize, path: usize, options: u32): u32 {
    const driver = Mapping.driver(mapping);
    const pages = Driver.pages(driver);
    if (!Driver.byPfn(driver)) return Transfer.pageByPage(cpu, mapping, driver, path, options);
    const locked = (options & TRANSFER_UNLOCKED) == 0;
    if (locked) Spinlock.lock(Driver.lock(driver));
    const early = (options & TRANSFER_EARLY) != 0;
    MappingDirty.writeProtect(cpu, mapping, 0, <u64>pages - 1, path, early ? options | PATH_NO_FLUSH : options);
    let copied: u32 = 0;
    for (let n: u32 = 0; n << 6 < pages; ++n) {
      for (let bits = Driver.take(driver, n); bits != 0; bits &= bits - 1) {
        const index = ((<u64>n) << 6) + ctz(bits);
        Page.copy(Driver.device(driver, index), Frames.backing(Driver.physical(driver, index)));
        ++copied;
      }
    }
    if (early) Transfer.flush(cpu, mapping, pages, path);
    if (locked) Spinlock.unlock(Driver.lock(driver));
    return copied;
  }

  /** Pages of the page cache, each under its own lock, as write-back does it. A page that is not cached was not written to. */
  private static pageByPage(cpu: usize, mapping: usize, driver: usize, path: usize, options: u32): u32 {
    const pages = Driver.pages(driver);
    const locked = (options & TRANSFER_UNLOCKED) == 0;
    const early = (options & TRANSFER_EARLY) != 0;
    let copied: u32 = 0;
    for (let index: u64 = 0; index < <u64>pages; ++index) {
      const folio = Mapping.find(mapping, index);
      if (folio == 0) continue;
      if (locked) Folio.lock(folio);
      MappingDirty.writeProtect(cpu, mapping, index, index, path, early ? options | PATH_NO_FLUSH : options);
      if (Driver.takeOne(driver, index)) {
        Page.copy(Driver.device(driver, index), Folio.address(folio));
        ++copied;
      }
      if (early) Transfer.flush(cpu, mapping, pages, path);
      if (locked) Folio.unlock(folio);
      Folio.put(folio);
    }
    return copied;
  }

  /** What the walk left out, too late: every VMA over the pages. */
  private static flush(cpu: usize, mapping: usize, pages: u32, path: usize): void {
    const last = <u64>pages - 1;
    RwLock.readLock(Mapping.lock(mapping));
    for (let vma = Vma.firstOf(mapping, 0, last); vma != 0; vma = Vma.nextOf(mapping, vma, 0, last)) {
      const end = Vma.end(vma) - 1;
      Shootdown.flush(cpu, Vma.mm(vma), Vma.start(vma), end, FRAME_SHIFT, false, load<u32>(path, PATH_SHOOT));
    }
    RwLock.readUnlock(Mapping.lock(mapping));
  }
}
