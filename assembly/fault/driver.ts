// A driver, or file system, that keeps a record of the pages of its file that were written to: what page_mkwrite() and pfn_mkwrite() of such do
// (drivers/gpu/drm/vmwgfx/vmwgfx_page_dirty.c, vmw_bo_vm_mkwrite() and vmw_bo_vm_fault()).
//
// Guarantees: a page whose first store was allowed stands in the record. The record is a bit for each page, set by atomics; the lock is there so that
// recording and making the entry writable can be one thing to who takes the record (see mkwrite.ts).
//
// The pages are folios in the page cache (page_mkwrite), or frames of a device in a row (pfn_mkwrite), which no mm counts.

import {
  DRIVER_BY_PFN,
  DRIVER_BYTES,
  DRIVER_DEVICE,
  DRIVER_FLAGS,
  DRIVER_LOCK,
  DRIVER_PAGES,
  DRIVER_PFN,
  DRIVER_RECORD,
  DRIVER_STRIDE,
  FRAME_SHIFT,
  HANDLER_MKWRITE_HELD,
  HANDLER_MKWRITE_INSIDE,
  HANDLER_MKWRITE_LINUX,
  HANDLER_MKWRITE_NONE,
} from "../layout";
import { Shared } from "../atomic";
import { Heap } from "../heap";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Page } from "../mm/page";

export abstract class Driver {
  /** A driver of a file of `pages` pages; `pfn`: its pages are the frames from there on, else -1. 0 if no heap is left. */
  static create(pages: u32, byPfn: bool, pfn: u64): usize {
    const words = (pages + 63) >> 6;
    const stride = Page.words() << 3;
    const bytes = <u64>DRIVER_BYTES + ((<u64>words) << 3) + <u64>pages * stride;
    const driver = bytes > 0xffffffff ? <usize>0 : Heap.allocate(<u32>bytes);
    if (driver == 0) return 0;
    memory.fill(driver, 0, <usize>bytes);
    store<u32>(driver, byPfn ? DRIVER_BY_PFN : 0, DRIVER_FLAGS);
    store<u32>(driver, <u32>driver + DRIVER_BYTES, DRIVER_RECORD);
    store<u32>(driver, pages, DRIVER_PAGES);
    store<u64>(driver, pfn, DRIVER_PFN);
    store<u32>(driver, <u32>driver + DRIVER_BYTES + (words << 3), DRIVER_DEVICE);
    store<u32>(driver, stride, DRIVER_STRIDE);
    return driver;
  }

  static free(driver: usize): void {
    Heap.free(driver);
  }

  /** Address of the word of the external lock. */
  @inline
  static lock(driver: usize): usize {
    return driver + DRIVER_LOCK;
  }

  @inline
  static pages(driver: usize): u32 {
    return load<u32>(driver, DRIVER_PAGES);
  }

  @inline
  static byPfn(driver: usize): bool {
    return (load<u32>(driver, DRIVER_FLAGS) & DRIVER_BY_PFN) != 0;
  }

  /** Physical address of page `index` of a driver whose pages are frames. */
  @inline
  static physical(driver: usize, index: u64): u64 {
    return (load<u64>(driver, DRIVER_PFN) + index) << FRAME_SHIFT;
  }

  /** Address of the device's copy of page `index`. */
  @inline
  static device(driver: usize, index: u64): usize {
    return <usize>load<u32>(driver, DRIVER_DEVICE) + <usize>index * load<u32>(driver, DRIVER_STRIDE);
  }

  // ---- the record

  @inline
  private static recordWord(driver: usize, index: u64): usize {
    return <usize>load<u32>(driver, DRIVER_RECORD) + ((<usize>(index >> 6)) << 3);
  }

  @inline
  static record(driver: usize, index: u64): void {
    Shared.or<u64>(Driver.recordWord(driver, index), (<u64>1) << (index & 63));
  }

  /** Takes the record of pages 64 * `n` to 64 * `n` + 63: their bits, which are clear afterwards. */
  @inline
  static take(driver: usize, n: u32): u64 {
    return Shared.exchange<u64>(Driver.recordWord(driver, (<u64>n) << 6), 0);
  }

  /** Takes page `index` out of the record; false if it was not in it. */
  @inline
  static takeOne(driver: usize, index: u64): bool {
    const bit = (<u64>1) << (index & 63);
    return (Shared.and<u64>(Driver.recordWord(driver, index), ~bit) & bit) != 0;
  }

  // ---- what a fault asks

  /** page_mkwrite(): true if it returns with the page lock held (VM_FAULT_LOCKED). `rule` is HANDLER_MKWRITE_*. */
  static pageMkwrite(driver: usize, folio: usize, index: u64, rule: u32): bool {
    if (rule != HANDLER_MKWRITE_NONE) Folio.lock(folio);
    Driver.record(driver, index);
    const keeps = rule == HANDLER_MKWRITE_LINUX || rule == HANDLER_MKWRITE_HELD;
    if (!keeps && rule != HANDLER_MKWRITE_NONE) Folio.unlock(folio);
    return keeps;
  }

  /** pfn_mkwrite(): returns with the driver's lock held if `rule` says so. */
  static pfnMkwrite(driver: usize, index: u64, rule: u32): void {
    if (rule != HANDLER_MKWRITE_NONE) Spinlock.lock(Driver.lock(driver));
    Driver.record(driver, index);
    if (rule == HANDLER_MKWRITE_LINUX || rule == HANDLER_MKWRITE_INSIDE) Spinlock.unlock(Driver.lock(driver));
  }
}
