// A file that several mms map, and the kernel's helpers that track which of its pages are written to.
//
// Guarantees: see assembly/range/mapping_dirty.ts. An object belongs to one thread; dispose of it.

import {
  MAPPING_ATOMIC,
  MAPPING_BREAK,
  MAPPING_EVERY_PTE,
  MAPPING_SETTLED,
  MAPPING_V4,
  PATH_HUGE,
  PATH_LOSE_DIRTY,
  PATH_NO_NESTED,
  PATH_PASSED,
  PATH_PGOFF,
  PATH_PLAIN,
  PATH_SCAN,
  PATH_WARNED,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_START,
} from '../../assembly/layout.ts';
import { PAGE_BYTES } from '../units.ts';
import type { Cpu } from './cpu.ts';
import { openFolios } from './folio.ts';
import type { PhysicalMemory } from './memory.ts';
import { choice, disciplineBits, type FlushDiscipline, type FlushOutcome, PathBlock } from './path.ts';
import type { PageBitmap } from './ranges.ts';

/** Variants of the helpers. The defaults are what Linux does, but for `unsuitable`. */
export interface FileRangeOptions extends FlushDiscipline {
  /**
   * How an entry changes: exchanged with none and then stored (`transaction`), by one atomic instruction, or by a load and a store (`plain`), which
   * loses what hardware sets in between. Default `transaction`.
   */
  readonly update?: 'transaction' | 'atomic' | 'plain';
  /** Change entries that no walker can write by plain stores; see `RangeOptions.settled`. Default false. */
  readonly settled?: boolean;
  /** Flush the whole range when somebody else owes a flush of the mm, too. The series did not, up to v4. Default true. */
  readonly nested?: boolean;
  /**
   * Which VMAs qualify: `merged`, shared and VM_MAYWRITE, not of huge pages; `v4`, shared and VM_WRITE, and a warning for those that are not VM_IO.
   * Default `merged`.
   */
  readonly rule?: 'merged' | 'v4';
  /** What a VMA that does not qualify does: it is passed over, or ends the walk, as in the kernel. Default `continue`. */
  readonly unsuitable?: 'continue' | 'break';
  /** Judge entries that are not present too, as the kernel does, which takes soft-dirty from swap entries. Default false. */
  readonly everyPte?: boolean;
  /** Write-protecting loses D, as on arm64 before ff1712f953e2. Default false. */
  readonly losesDirty?: boolean;
}

/** What an operation on a file range did. */
export interface FileRangeResult {
  /** Entries that were changed, in all mms: more than there are pages if several map one. */
  readonly touched: number;
  /** First and last page of the file that they map; undefined if there are none. */
  readonly pages: { readonly first: number; readonly last: number } | undefined;
  /** VMAs that were passed over: private, not writable, or of huge pages. */
  readonly passedOver: number;
  /** Large pages that were left. */
  readonly largeLeft: number;
  /** VMAs and large pages for which the kernel warns. */
  readonly warned: number;
  readonly flush: FlushOutcome;
}

const UPDATES = { transaction: 0, atomic: MAPPING_ATOMIC, plain: PATH_PLAIN } as const;
const RULES = { merged: 0, v4: MAPPING_V4 } as const;
const UNSUITABLE = { continue: 0, break: MAPPING_BREAK } as const;

/** A file's pages as several mms may map them, at offsets of their own (struct address_space). */
export class SharedFile {
  readonly memory: PhysicalMemory;
  readonly handle: number;
  /** How many pages faults find in it; 0: it was made without, and its pages are mapped by hand. */
  readonly pages: number;
  readonly #path: PathBlock;

  /**
   * With `pages`, faults bring its pages into a page cache from a backing store of zeros (`stored`).
   * @throws RangeError if `pages` is none, or there is no room.
   */
  constructor(memory: PhysicalMemory, options: { readonly pages?: number } = {}) {
    const { pages = 0 } = options;
    if (!Number.isInteger(pages) || pages < 0 || pages > 2 ** 20) {
      throw new RangeError(`"pages" must be from 0 to 2^20, got ${pages}`);
    }
    this.memory = memory;
    this.pages = pages;
    this.handle = memory.core.createMapping() >>> 0;
    if (this.handle === 0) throw new RangeError('no heap is left for a file');
    this.#path = new PathBlock(memory);
    if (pages === 0) return;
    openFolios(memory);
    const { core } = memory;
    if (core.openMapping(this.handle, pages) === 0 || core.openStore(this.handle) === 0) {
      throw new RangeError(`the heap has no room for a file of ${pages} pages`);
    }
  }

  /** Page `page` in the backing store, live: words of 8 bytes. @throws RangeError if there is no such page. */
  stored(page: number): BigUint64Array {
    const at = this.memory.core.storedPage(this.handle, this.checkPage(page)) >>> 0;
    return new BigUint64Array(this.memory.view.buffer, at, PAGE_BYTES / 8);
  }

  /** @internal */
  checkPage(page: number): number {
    if (!Number.isInteger(page) || page < 0 || page >= this.pages) {
      throw new RangeError(`"page" must be below the ${this.pages} pages of the file, got ${page}`);
    }
    return page;
  }

  /**
   * Write-protects pages `first` to `last` in every mm that maps them shared and writable, and flushes (wp_shared_mapping_range). From `cpu`,
   * which is not in user mode.
   */
  writeProtect(cpu: Cpu, first: number, last: number, options: FileRangeOptions = {}): FileRangeResult {
    const path = this.#path.prepare(options);
    const bits = optionBits(options);
    this.memory.core.writeProtectMapping(cpu.handle, this.handle, BigInt(first), BigInt(last), path, bits);
    return this.#result();
  }

  /**
   * Cleans the dirty entries of pages `first` to `last` in every mm, records the pages in `bitmap`, whose first page is a page of the file,
   * and flushes (clean_record_shared_mapping_range).
   */
  cleanAndRecord(
    cpu: Cpu,
    first: number,
    last: number,
    bitmap: PageBitmap,
    options: FileRangeOptions = {},
  ): FileRangeResult {
    if (first < bitmap.first || last >= bitmap.first + bitmap.pages) {
      throw new RangeError(
        `"bitmap" holds pages ${bitmap.first} to ${bitmap.first + bitmap.pages - 1} of the file only`,
      );
    }
    const path = this.#path.prepare(options);
    const bits = optionBits(options);
    this.#path.setU32(PATH_SCAN + SCAN_BITMAP, bitmap.live().handle);
    this.#path.setU64(PATH_SCAN + SCAN_START, BigInt(bitmap.start));
    this.#path.setU64(PATH_SCAN + SCAN_END, BigInt(bitmap.end));
    this.#path.setU64(PATH_PGOFF, BigInt(bitmap.first));
    this.memory.core.cleanRecordMapping(cpu.handle, this.handle, BigInt(first), BigInt(last), path, bits);
    bitmap.start = Number(this.#path.u64(PATH_SCAN + SCAN_START));
    bitmap.end = Number(this.#path.u64(PATH_SCAN + SCAN_END));
    return this.#result();
  }

  /** No mm maps it any more. */
  dispose(): void {
    this.#path.dispose();
    this.memory.core.freeMapping(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #result(): FileRangeResult {
    const path = this.#path;
    const { range } = path;
    return {
      touched: path.touched,
      pages: range && { first: Number(range.first), last: Number(range.last) },
      passedOver: path.u32(PATH_PASSED),
      largeLeft: path.u32(PATH_HUGE),
      warned: path.u32(PATH_WARNED),
      flush: path.flush,
    };
  }
}

function optionBits(options: FileRangeOptions): number {
  const { update = 'transaction', rule = 'merged', unsuitable = 'continue', nested = true } = options;
  return (
    disciplineBits(options) |
    choice('update', update, UPDATES) |
    choice('rule', rule, RULES) |
    choice('unsuitable', unsuitable, UNSUITABLE) |
    (nested ? 0 : PATH_NO_NESTED) |
    (options.settled ? MAPPING_SETTLED : 0) |
    (options.everyPte ? MAPPING_EVERY_PTE : 0) |
    (options.losesDirty ? PATH_LOSE_DIRTY : 0)
  );
}
