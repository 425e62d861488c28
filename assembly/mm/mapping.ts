// A file: the VMAs over it, of any mm, by page offset, and its pages as far as they are cached (struct address_space, include/linux/fs.h).
//
// Guarantees: a page that stands here has a reference of this file (the page cache's). The VMAs are under i_mmap_rwsem. A page comes and goes
// under its page lock; who looks one up without it takes a reference and looks again (`find`).

import {
  MAPPING_BYTES,
  MAPPING_COUNT,
  MAPPING_DRIVER,
  MAPPING_LOCK,
  MAPPING_PAGES,
  MAPPING_STORE,
  MAPPING_STRIDE,
} from "../layout";
import { Shared } from "../atomic";
import { Heap } from "../heap";
import { Folio } from "./folio";
import { Page } from "./page";

export abstract class Mapping {
  /** Without pages; 0 if no heap is left. */
  static create(): usize {
    const mapping = Heap.allocate(MAPPING_BYTES);
    if (mapping != 0) memory.fill(mapping, 0, MAPPING_BYTES);
    return mapping;
  }

  /** Gives it room for `count` cached pages, once, at set-up; false if no heap is left. */
  static open(mapping: usize, count: u32): bool {
    const pages = Heap.allocate(count << 2);
    if (pages == 0) return false;
    memory.fill(pages, 0, (<usize>count) << 2);
    store<u32>(mapping, <u32>pages, MAPPING_PAGES);
    store<u32>(mapping, count, MAPPING_COUNT);
    return true;
  }

  /** No VMA is over it any more, and nobody looks pages up. Its pages lose the file's reference. */
  static free(mapping: usize): void {
    for (let n: u32 = 0; n < Mapping.count(mapping); ++n) {
      const folio = Mapping.peek(mapping, n);
      if (folio == 0) continue;
      Mapping.remove(mapping, folio);
      Folio.put(folio);
    }
    if (Mapping.count(mapping) != 0) Heap.free(load<u32>(mapping, MAPPING_PAGES));
    if (load<u32>(mapping, MAPPING_STORE) != 0) Heap.free(load<u32>(mapping, MAPPING_STORE));
    Heap.free(mapping);
  }

  /** Who hears of the first store to a page (DRIVER_*), or 0; set at set-up. */
  @inline
  static driver(mapping: usize): usize {
    return mapping == 0 ? 0 : <usize>load<u32>(mapping, MAPPING_DRIVER);
  }

  @inline
  static setDriver(mapping: usize, driver: usize): void {
    store<u32>(mapping, <u32>driver, MAPPING_DRIVER);
  }

  /** i_mmap_rwsem */
  @inline
  static lock(mapping: usize): usize {
    return mapping + MAPPING_LOCK;
  }

  // ---- the backing store

  /** Gives it a backing store for its pages, all zeros, once, at set-up; false if no heap is left. */
  static openStore(mapping: usize): bool {
    const stride = Page.words() << 3;
    const bytes = <u64>stride * Mapping.count(mapping);
    const words = bytes > 0xffffffff ? <usize>0 : Heap.allocate(<u32>bytes);
    if (words == 0) return false;
    memory.fill(words, 0, <usize>bytes);
    store<u32>(mapping, <u32>words, MAPPING_STORE);
    store<u32>(mapping, stride, MAPPING_STRIDE);
    return true;
  }

  /** Address of the words of page `index` in the backing store, 0 without one. */
  @inline
  static stored(mapping: usize, index: u64): usize {
    const words = <usize>load<u32>(mapping, MAPPING_STORE);
    return words == 0 ? 0 : words + <usize>index * load<u32>(mapping, MAPPING_STRIDE);
  }

  // ---- cached pages

  @inline
  static count(mapping: usize): u32 {
    return load<u32>(mapping, MAPPING_COUNT);
  }

  @inline
  private static slot(mapping: usize, index: u64): usize {
    return <usize>load<u32>(mapping, MAPPING_PAGES) + ((<usize>index) << 2);
  }

  /** The folio of page `index`, or 0; without a reference: of who holds its lock, or nobody can take it away. */
  static peek(mapping: usize, index: u64): usize {
    if (index >= <u64>Mapping.count(mapping)) return 0;
    const frame = Shared.load<u32>(Mapping.slot(mapping, index));
    return frame == 0 ? 0 : Folio.of(frame - 1);
  }

  /** filemap_get_folio(): with a reference, or 0. Between the look-up and the reference it may have been freed and reused: look again. */
  static find(mapping: usize, index: u64): usize {
    while (true) {
      const folio = Mapping.peek(mapping, index);
      if (folio == 0) return 0;
      if (!Folio.tryGet(folio)) continue;
      if (Mapping.peek(mapping, index) == folio) return folio;
      Folio.put(folio);
    }
  }

  /** filemap_add_folio(): false, and nothing is changed, if a page is there already. The page cache takes a reference. */
  static add(mapping: usize, index: u64, folio: usize): bool {
    Folio.get(folio);
    Folio.setMapping(folio, <u32>mapping, index);
    const slot = Mapping.slot(mapping, index);
    if (Shared.compareExchange<u32>(slot, 0, Folio.frame(folio) + 1) == 0) return true;
    Folio.setMapping(folio, 0, 0);
    Folio.put(folio);
    return false;
  }

  /** filemap_remove_folio(), under the page lock; the reference is the caller's to put. */
  static remove(mapping: usize, folio: usize): void {
    Shared.store<u32>(Mapping.slot(mapping, Folio.index(folio)), 0);
    Folio.setMapping(folio, 0, 0);
  }

  /** The part of folio_migrate_mapping() that is about the page cache: `to` takes the place of `from`, both locked. */
  static replace(mapping: usize, from: usize, to: usize): void {
    const index = Folio.index(from);
    Folio.get(to);
    Folio.setMapping(to, <u32>mapping, index);
    Shared.store<u32>(Mapping.slot(mapping, index), Folio.frame(to) + 1);
    Folio.setMapping(from, 0, 0);
  }
}
