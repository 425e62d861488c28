// Range-flush tracking: what was changed goes in, what to invalidate comes out.
//
// Guarantees: the plan covers every page that was added, in never more ranges than the limit; how much more it covers is the policy's
// choice (see assembly/flush/track.ts). A tracker belongs to one thread at a time; dispose of it.

import {
  PLAN_FULL,
  PLAN_NONE,
  TRACK_ADDS,
  TRACK_COUNT,
  TRACK_EXACT,
  TRACK_FULL,
  TRACK_RANGES,
  TRACK_SPAN,
  TRACK_STRIDE,
} from '../../assembly/layout.ts';
import { type AddressLike, hex, PAGE_BYTES, type VirtualAddress, type Vpn, virtualAddress } from '../units.ts';
import type { PhysicalMemory } from './memory.ts';

/**
 * The most single-page invalidations that kernels make before they flush everything instead. Some compare with "more than" a
 * threshold and some with "at least": what stands here is the last number that is still done page by page.
 */
export const FLUSH_CEILINGS = {
  /** 33: full above it. arch/x86/mm/tlb.c, tlb_single_page_flush_ceiling */
  'linux-x86': 33,
  /** 64: full above it. arch/riscv/mm/tlbflush.c, tlb_flush_all_threshold */
  'linux-riscv': 64,
  /** 512: full from it on, without range instructions. arch/arm64/include/asm/tlbflush.h, MAX_DVM_OPS */
  'linux-arm64': 511,
  /** 4096: full from it on. sys/amd64/amd64/pmap.c, PMAP_INVLPG_THRESHOLD */
  'freebsd-amd64': 4095,
  /** 32: full above it. ostd/src/mm/tlb.rs, FLUSH_ALL_RANGE_THRESHOLD */
  asterinas: 32,
} as const satisfies Readonly<Record<string, number>>;

/** Name of a kernel in `FLUSH_CEILINGS`. */
export type FlushCeiling = keyof typeof FLUSH_CEILINGS;

export interface FlushPolicy {
  /** `exact`: disjoint ranges. `span`: one, from the lowest to the highest address. `full`: everything. Default `exact`. */
  readonly policy?: 'exact' | 'span' | 'full';
  /** Most ranges of an exact plan, 1 to 4096; one more merges the two that lie closest. Default 16. */
  readonly limit?: number;
  /** Most single-page invalidations of a plan; more become a full flush. A number, or the kernel that has it. Default: no ceiling. */
  readonly ceiling?: number | FlushCeiling;
}

/** Addresses to invalidate, both ends inclusive. */
export interface FlushRange {
  readonly first: VirtualAddress;
  readonly last: VirtualAddress;
}

/** What to invalidate. */
export type FlushPlan =
  | { readonly kind: 'none'; readonly ranges: readonly []; readonly invalidations: 0 }
  | {
      readonly kind: 'ranges';
      /** Ascending and disjoint. */
      readonly ranges: readonly FlushRange[];
      /** Single-page invalidations they take, one every `strideBytes`. */
      readonly invalidations: number;
      /** The smallest page that was added. */
      readonly strideBytes: number;
    }
  | { readonly kind: 'full'; readonly ranges: readonly [] /** One, of everything. */; readonly invalidations: 1 };

const POLICIES = { exact: TRACK_EXACT, span: TRACK_SPAN, full: TRACK_FULL } as const;
const MOST_RANGES = 4096;
/** Page numbers that cross to the core at once. */
const BUFFER = 512;
const NONE: FlushPlan = { kind: 'none', ranges: [], invalidations: 0 };
const FULL: FlushPlan = { kind: 'full', ranges: [], invalidations: 1 };

export class FlushTracker {
  /** Address of the tracker in linear memory. @internal */
  readonly handle: number;
  readonly #memory: PhysicalMemory;
  readonly #pages: Float64Array;
  #disposed = false;

  /** @throws RangeError naming the option that is wrong, or if the heap is full. */
  constructor(memory: PhysicalMemory, options: FlushPolicy = {}) {
    const { policy = 'exact', limit = 16 } = options;
    if (!(policy in POLICIES)) throw new RangeError(`"policy" must be exact, span or full, got ${String(policy)}`);
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_RANGES) {
      throw new RangeError(`"limit" must be from 1 to ${MOST_RANGES}, got ${limit}`);
    }
    const ceiling = ceilingOf(options.ceiling);
    const ranges = policy === 'exact' ? limit : 1;
    const bytes = TRACK_RANGES + 16 * (ranges + 1);
    this.#memory = memory;
    this.handle = memory.heapAllocate(bytes + 8 * BUFFER);
    this.#pages = new Float64Array(memory.view.buffer, this.handle + bytes, BUFFER);
    memory.core.initializeTracker(this.handle, POLICIES[policy], limit, ceiling);
  }

  /** Ranges that were added since the last reset. */
  get adds(): number {
    return this.#memory.view.getUint32(this.#live() + TRACK_ADDS, true);
  }

  /** The pages of `sizeBytes` from `va` were changed; they are mapped by pages of `pageBytes`. */
  add(va: AddressLike, sizeBytes: AddressLike, pageBytes: number = PAGE_BYTES): void {
    const from = virtualAddress(va);
    const bytes = virtualAddress(sizeBytes, 'sizeBytes');
    for (const [name, value] of [['va', from] as const, ['sizeBytes', bytes] as const]) {
      if (value % BigInt(PAGE_BYTES) !== 0n) throw new RangeError(`"${name}" must be page-aligned, got ${hex(value)}`);
    }
    if (from + bytes > 1n << 64n) throw new RangeError(`"sizeBytes" must end below 2^64, got ${hex(bytes)}`);
    this.#memory.core.trackRange(this.#live(), Number(from >> 12n), Number(bytes >> 12n), shiftOf(pageBytes));
  }

  /** Each of these pages was changed; they are `pageBytes` large and aligned as such. */
  addPages(pages: ArrayLike<Vpn>, pageBytes: number = PAGE_BYTES): void {
    const shift = shiftOf(pageBytes);
    const tracker = this.#live();
    for (let from = 0; from < pages.length; from += BUFFER) {
      const count = Math.min(BUFFER, pages.length - from);
      for (let n = 0; n < count; n++) this.#pages[n] = pages[from + n] as Vpn;
      this.#memory.core.trackPages(tracker, this.#pages.byteOffset, count, shift);
    }
  }

  /** What to invalidate for all that was added since the last reset. */
  plan(): FlushPlan {
    const { core, view } = this.#memory;
    const tracker = this.#live();
    const kind = core.planFlush(tracker);
    if (kind === PLAN_NONE) return NONE;
    if (kind === PLAN_FULL) return FULL;
    const ranges: FlushRange[] = [];
    for (let n = 0; n < view.getUint32(tracker + TRACK_COUNT, true); n++) {
      const at = tracker + TRACK_RANGES + 16 * n;
      const first = view.getBigUint64(at, true) as VirtualAddress;
      ranges.push({ first, last: view.getBigUint64(at + 8, true) as VirtualAddress });
    }
    const strideBytes = 2 ** view.getUint32(tracker + TRACK_STRIDE, true);
    return { kind: 'ranges', ranges, invalidations: core.plannedInvalidations(tracker), strideBytes };
  }

  /** Forgets everything: the flush was done. */
  reset(): void {
    this.#memory.core.resetTracker(this.#live());
  }

  /** Gives its memory back; call once, last. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#memory.core.heapFree(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #live(): number {
    if (this.#disposed) throw new Error('this tracker was disposed of');
    return this.handle;
  }
}

/** 0, which the core reads as none, or a positive number. */
function ceilingOf(ceiling: FlushPolicy['ceiling']): number {
  if (ceiling === undefined) return 0;
  const pages = typeof ceiling === 'number' ? ceiling : FLUSH_CEILINGS[ceiling];
  if (!Number.isInteger(pages) || pages < 1 || pages >= 2 ** 32) {
    const names = Object.keys(FLUSH_CEILINGS).join(', ');
    throw new RangeError(`"ceiling" must be a positive number or one of ${names}, got ${String(ceiling)}`);
  }
  return pages;
}

function shiftOf(pageBytes: number): number {
  const shift = Math.log2(pageBytes);
  if (!Number.isInteger(shift) || shift < 12 || shift > 52) {
    throw new RangeError(`"pageBytes" must be a power of two from 4096, got ${pageBytes}`);
  }
  return shift;
}
