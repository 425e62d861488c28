// Range operations: write-protect, clean and record, clear soft-dirty, age, harvest.
//
// Guarantees: each acts on the present leaf entries of a range and on nothing else; entries change atomically beside walkers that set A
// and D, so no such bit is lost; large pages are never split (see assembly/range/scan.ts). What was touched is told exactly, and
// the flush that is owed for it adds up until `flushed` says that it was done. An object belongs to one thread; dispose of it.

import {
  HARVEST_DIRTY,
  HARVEST_SOFT_DIRTY,
  HARVEST_WRITTEN,
  HARVEST_YOUNG,
  SCAN_BITMAP,
  SCAN_BYTES,
  SCAN_END,
  SCAN_FINAL,
  SCAN_FIRST,
  SCAN_FLAGS,
  SCAN_HUGE,
  SCAN_LAST,
  SCAN_ORIGIN,
  SCAN_SETTLED,
  SCAN_START,
  SCAN_TOUCHED,
  SCAN_TRACKER,
  SCAN_TRANSACTION,
  SCAN_VA,
  SCAN_WARNED,
} from '../../assembly/layout.ts';
import { type AddressLike, hex, PAGE_BYTES, type VirtualAddress, type Vpn, virtualAddress, vpn } from '../units.ts';
import { type FlushPlan, type FlushPolicy, type FlushRange, FlushTracker } from './flushtracker.ts';
import type { PhysicalMemory } from './memory.ts';
import type { AddressSpace } from './space.ts';

export interface RangeOptions extends FlushPolicy {
  /**
   * How an entry changes. `atomic`: one atomic instruction. `transaction`: exchange with none, then store, as Linux's
   * ptep_modify_prot_start and commit; an access in between faults. Default `atomic`.
   */
  readonly update?: 'atomic' | 'transaction';
  /**
   * Change entries that no walker can write (A set, and D set or no right to write) by plain stores, many times faster. It needs
   * hardware that looks at the right to write again before it sets D, as this library's walks do. Default false.
   */
  readonly settled?: boolean;
}

/** Which pages `harvest` looks for; `written` are those not write-protected by userfaultfd. */
export type HarvestKind = 'dirty' | 'soft-dirty' | 'young' | 'written';

/** What an operation did. */
export interface RangeResult {
  /** Leaf entries that were changed; of a harvest, that were found. */
  readonly touched: number;
  /** From the first byte that they map to the last; undefined if there are none. */
  readonly range: FlushRange | undefined;
  /** Large pages that were left as they were: the operation does not act on them, or the range takes in a part only. */
  readonly largeLeft: number;
  /** Those of them that are writable or dirty: the kernel warns of each. */
  readonly largeWarned: number;
  /** What to invalidate for this and all operations since `flushed`. */
  readonly flush: FlushPlan;
}

const KINDS = {
  dirty: HARVEST_DIRTY,
  'soft-dirty': HARVEST_SOFT_DIRTY,
  young: HARVEST_YOUNG,
  written: HARVEST_WRITTEN,
} as const;
const ALL_BITS = (1n << 64n) - 1n;
const MOST_PAGES = 2 ** 31;

/** One bit for each page of a range, in memory that the core shares. Operations add bits and never clear one; dispose of it. */
export class PageBitmap {
  /** The page that bit 0 stands for. */
  readonly first: Vpn;
  readonly pages: number;
  /** 64 pages a word, lowest bit first. */
  readonly words: BigUint64Array;
  /** The same memory, 32 pages a word. */
  readonly halfWords: Uint32Array;
  /** No bit below was set by an operation ... */
  start: number;
  /** ... and none from here on. `start >= end`: none at all. */
  end = 0;
  /** Address of the bits in linear memory. @internal */
  readonly handle: number;
  readonly #memory: PhysicalMemory;
  #disposed = false;

  /** @throws RangeError if the heap of `memory` has no room. */
  constructor(memory: PhysicalMemory, first: Vpn, pages: number) {
    if (!Number.isInteger(pages) || pages < 1 || pages > MOST_PAGES) {
      throw new RangeError(`"pages" must be from 1 to 2^31, got ${pages}`);
    }
    this.first = vpn(first, 'first');
    this.pages = pages;
    this.start = pages;
    this.#memory = memory;
    const words = Math.ceil(pages / 64);
    this.handle = memory.heapAllocate(8 * words);
    this.words = new BigUint64Array(memory.view.buffer, this.handle, words);
    this.halfWords = new Uint32Array(memory.view.buffer, this.handle, 2 * words);
    this.halfWords.fill(0);
  }

  has(page: Vpn): boolean {
    const bit = page - this.first;
    if (!(bit >= 0 && bit < this.pages)) return false;
    return (((this.halfWords[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1;
  }

  /** How many bits are set. */
  count(): number {
    let count = 0;
    for (let word of this.halfWords) for (; word !== 0; word &= word - 1) count++;
    return count;
  }

  /** The pages whose bits are set, ascending. */
  *[Symbol.iterator](): Generator<Vpn> {
    for (let n = 0; n < this.halfWords.length; n++) {
      for (let word = this.halfWords[n] as number; word !== 0; word &= word - 1) {
        yield (this.first + 32 * n + (31 - Math.clz32(word & -word))) as Vpn;
      }
    }
  }

  clear(): void {
    this.halfWords.fill(0);
    this.start = this.pages;
    this.end = 0;
  }

  /** Gives the memory of the words back: do not use them afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#memory.core.heapFree(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  live(): this {
    if (this.#disposed) throw new Error('this bitmap was disposed of');
    return this;
  }
}

export class RangeOperations {
  readonly #space: AddressSpace;
  readonly #tracker: FlushTracker;
  readonly #scan: number;
  readonly #flags: number;
  #disposed = false;

  /** See `AddressSpace.ranges`. @internal */
  constructor(space: AddressSpace, options: RangeOptions) {
    const { update = 'atomic', settled = false } = options;
    if (update !== 'atomic' && update !== 'transaction') {
      throw new RangeError(`"update" must be atomic or transaction, got ${String(update)}`);
    }
    this.#space = space;
    this.#flags = (update === 'transaction' ? SCAN_TRANSACTION : 0) | (settled ? SCAN_SETTLED : 0);
    this.#tracker = new FlushTracker(space.memory, options);
    this.#scan = space.memory.heapAllocate(SCAN_BYTES);
  }

  /** Takes the right to write from every page that has it: wp_shared_mapping_range(). Dirty pages stay dirty. Leaves large pages alone. */
  writeProtect(va: AddressLike, sizeBytes: AddressLike): RangeResult {
    return this.#run(va, sizeBytes, undefined, (core, space, scan) => core.wrprotectRange(space, scan));
  }

  /** Makes dirty pages clean and sets their bits: clean_record_shared_mapping_range(). Leaves large pages alone. */
  cleanAndRecord(va: AddressLike, sizeBytes: AddressLike, bitmap: PageBitmap): RangeResult {
    return this.#run(va, sizeBytes, bitmap, (core, space, scan) => core.cleanRange(space, scan));
  }

  /** Takes soft-dirty and the right to write from every page; with a bitmap, sets the bits of those that had either. */
  clearSoftDirty(va: AddressLike, sizeBytes: AddressLike, bitmap?: PageBitmap): RangeResult {
    return this.#run(va, sizeBytes, bitmap, (core, space, scan) => core.clearSoftDirtyRange(space, scan));
  }

  /** Counts the pages that were accessed since the last time, and forgets it. x86 kernels do not flush for this. */
  age(va: AddressLike, sizeBytes: AddressLike, bitmap?: PageBitmap): RangeResult {
    return this.#run(va, sizeBytes, bitmap, (core, space, scan) => core.ageRange(space, scan));
  }

  /** Sets the bits of the pages of a kind, and changes nothing. */
  harvest(kind: HarvestKind, va: AddressLike, sizeBytes: AddressLike, bitmap: PageBitmap): RangeResult {
    const id = KINDS[kind];
    if (id === undefined) {
      throw new RangeError(`"kind" must be one of ${Object.keys(KINDS).join(', ')}, got ${String(kind)}`);
    }
    return this.#run(va, sizeBytes, bitmap, (core, space, scan) => core.harvestRange(space, scan, id));
  }

  /** What to invalidate for all operations since `flushed`. */
  get owed(): FlushPlan {
    return this.#tracker.plan();
  }

  /** The flush was done: nothing is owed. */
  flushed(): void {
    this.#tracker.reset();
  }

  /** Gives its memory back; call once, last. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#tracker.dispose();
    this.#space.memory.core.heapFree(this.#scan);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #run(
    va: AddressLike,
    sizeBytes: AddressLike,
    bitmap: PageBitmap | undefined,
    operation: (core: PhysicalMemory['core'], space: number, scan: number) => void,
  ): RangeResult {
    if (this.#disposed) throw new Error('these range operations were disposed of');
    const { first, last } = this.#range(va, sizeBytes);
    const { core, view } = this.#space.memory;
    const scan = this.#scan;
    view.setBigUint64(scan + SCAN_VA, first, true);
    view.setBigUint64(scan + SCAN_LAST, last, true);
    view.setUint32(scan + SCAN_FLAGS, this.#flags, true);
    view.setUint32(scan + SCAN_TRACKER, this.#tracker.handle, true);
    view.setUint32(scan + SCAN_BITMAP, 0, true);
    if (bitmap !== undefined) {
      const from = Number(first >> 12n) - bitmap.first;
      const to = Number(last >> 12n) - bitmap.first;
      if (from < 0 || to >= bitmap.pages) {
        const have = `${bitmap.pages} pages from page ${hex(bitmap.first)}`;
        throw new RangeError(`"bitmap" must hold pages ${hex(first >> 12n)} to ${hex(last >> 12n)}, got ${have}`);
      }
      view.setUint32(scan + SCAN_BITMAP, bitmap.live().handle, true);
      view.setBigUint64(scan + SCAN_ORIGIN, BigInt(bitmap.first), true);
      const none = bitmap.start >= bitmap.end;
      view.setBigUint64(scan + SCAN_START, none ? ALL_BITS : BigInt(bitmap.start), true);
      view.setBigUint64(scan + SCAN_END, none ? 0n : BigInt(bitmap.end), true);
    }
    operation(core, this.#space.live(), scan);
    const touched = Number(view.getBigUint64(scan + SCAN_TOUCHED, true));
    if (bitmap !== undefined && touched > 0) {
      bitmap.start = Number(view.getBigUint64(scan + SCAN_START, true));
      bitmap.end = Number(view.getBigUint64(scan + SCAN_END, true));
    }
    return {
      touched,
      range: touched === 0 ? undefined : { first: this.#word(SCAN_FIRST), last: this.#word(SCAN_FINAL) },
      largeLeft: view.getUint32(scan + SCAN_HUGE, true),
      largeWarned: view.getUint32(scan + SCAN_WARNED, true),
      flush: this.#tracker.plan(),
    };
  }

  /** Checks a range: page-aligned, not empty, in one canonical half. */
  #range(va: AddressLike, sizeBytes: AddressLike): FlushRange {
    const first = virtualAddress(va);
    const bytes = virtualAddress(sizeBytes, 'sizeBytes');
    for (const [name, value] of [['va', first] as const, ['sizeBytes', bytes] as const]) {
      if (value % BigInt(PAGE_BYTES) !== 0n) throw new RangeError(`"${name}" must be page-aligned, got ${hex(value)}`);
    }
    const last = (first + bytes - 1n) as VirtualAddress;
    const half = 1n << BigInt(this.#space.format.addressBits - 1);
    const inLower = last < half;
    const inUpper = first >= (1n << 64n) - half && last < 1n << 64n;
    if (bytes === 0n || !(inLower || inUpper)) {
      throw new RangeError(
        `"sizeBytes" must keep the range in one canonical half, got ${hex(bytes)} from ${hex(first)}`,
      );
    }
    return { first, last };
  }

  #word(field: number): VirtualAddress {
    return this.#space.memory.view.getBigUint64(this.#scan + field, true) as VirtualAddress;
  }
}
