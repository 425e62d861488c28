// One CPU's TLB as people use it: a model of its arrays, look-ups, fills, invalidations, and what it holds.
//
// Guarantees: what assembly/tlb.ts guarantees. A model is checked before anything is allocated. Entries and statistics are read from the
// block as they stand, so another thread may join with the same handle and see the same TLB; only its owner looks up and fills.

import {
  ARRAY_BYTES,
  ARRAY_ENTRIES,
  ARRAY_EVICTIONS,
  ARRAY_FILLS,
  ARRAY_HITS,
  ARRAY_INVALIDATED,
  ENTRY_BYTES,
  ENTRY_RESULT,
  ENTRY_RIGHTS,
  ENTRY_SLOT,
  FLUSH_ALL,
  FLUSH_ASID,
  FLUSH_NOT_GLOBAL,
  FLUSH_PAGE,
  FLUSH_RANGE,
  INCLUSION_EXCLUSIVE,
  INCLUSION_INCLUSIVE,
  INCLUSION_NONE,
  POLICY_LRU,
  POLICY_RANDOM,
  POLICY_TREE,
  RESULT_ACCESSED,
  RESULT_DIRTY,
  RESULT_LEVEL_SHIFT,
  RESULT_MAPPED,
  RESULT_NO_EXECUTE,
  RESULT_SHIFT,
  RESULT_UNREADABLE,
  RESULT_USER,
  RESULT_WRITABLE,
  SCOPE_GLOBAL,
  SCOPE_STRUCTURES,
  SCOPE_WAY,
  SERVES_DATA,
  SERVES_FETCH,
  TLB_ACCESSES,
  TLB_DESCRIPTORS,
  TLB_FLUSHES,
  TLB_MAX_ARRAYS,
  TLB_MISSES,
  TLB_REFUSED,
} from '../../assembly/layout.ts';
import type { PhysicalAddress, VirtualAddress } from '../units.ts';
import { vpnOf } from '../units.ts';
import type { PhysicalMemory } from './memory.ts';
import type { PteAddress } from './pte.ts';
import { decodeResult, type Mapped } from './results.ts';

export type Replacement = 'lru' | 'tree-plru' | 'random';

/** One set-associative array. */
export interface TlbArray {
  readonly name: string;
  /** 1 or 2, or a paging-structure cache. */
  readonly level: 1 | 2 | 'structures';
  /** What accesses it serves; a paging-structure cache serves all. Default both. */
  readonly serves?: 'data' | 'fetch' | 'both';
  /** Levels of page it takes, 0 the smallest; of a paging-structure cache: levels of the entries that refer to tables, 1 and up. */
  readonly pages: readonly number[];
  /** A power of two; 1: fully associative. */
  readonly sets: number;
  /** 1 to 128; for tree-plru a power of two up to 64. */
  readonly ways: number;
  /** Default lru. */
  readonly replacement?: Replacement;
}

export interface TlbModel {
  readonly arrays: readonly TlbArray[];
  /**
   * `none`: a fill goes into both levels and each evicts as it likes. `inclusive`: what level 2 evicts leaves level 1 too. `exclusive`: a
   * fill goes into level 1, and what that evicts moves to level 2. Default none.
   */
  readonly inclusion?: 'none' | 'inclusive' | 'exclusive';
  /** log2 of the smallest page. Default 12. */
  readonly pageShift?: number;
  /** log2 of the entries of a table. Default 9. */
  readonly levelShift?: number;
}

export interface TlbOptions {
  /** Seed of random replacement, not 0. Default 1. */
  readonly seed?: number;
  /** Other CPUs invalidate in it: fills are checked against them. Default false. */
  readonly broadcast?: boolean;
}

/** An address space tag: PCID on x86, ASID elsewhere; 0 to 65535. */
export type AsidTag = number;

export interface TlbEntry {
  readonly kind: 'translation';
  /** Name of its array. */
  readonly array: string;
  readonly set: number;
  readonly way: number;
  /** First byte that it covers, without sign bits above bit 56. */
  readonly va: VirtualAddress;
  readonly sizeBytes: number;
  readonly asid: AsidTag | 'global';
  /** Where its first byte lies, and the rights it was filled with. `level` is that of the page, of which the entry may be a piece. */
  readonly mapped: Mapped;
  /** The PTE that it came from. */
  readonly slot: PteAddress;
}

export interface StructureEntry {
  readonly kind: 'structure';
  readonly array: string;
  readonly set: number;
  readonly way: number;
  readonly va: VirtualAddress;
  readonly sizeBytes: number;
  readonly asid: AsidTag;
  /** Where the table lies that it leads to: it may have been freed since. */
  readonly table: PhysicalAddress;
  /** Rights that the levels above leave, as the format packs them. */
  readonly rights: bigint;
}

export type LookUp = { readonly kind: 'hit'; readonly entry: TlbEntry } | { readonly kind: 'miss' };

/** What a fill brings in. */
export interface Fill {
  readonly va: VirtualAddress;
  readonly asid: AsidTag;
  readonly mapped: Mapped;
  readonly global?: boolean;
  /** For an instruction fetch. Default false. */
  readonly fetch?: boolean;
  readonly slot?: PteAddress;
  /** What `begin` returned before the walk: needed where other CPUs invalidate. */
  readonly begun?: number;
}

/** Which entries an invalidation by address takes. Default: those of x86 INVLPG. */
export interface Scope {
  /** Global entries too. Default true. */
  readonly global?: boolean;
  /** Paging-structure entries: `all` of the ASID (INVLPG), those `on-the-way` (TLBI VAE1), or `none` (TLBI VALE1). Default all. */
  readonly structures?: 'all' | 'on-the-way' | 'none';
}

export interface ArrayStatistics {
  readonly name: string;
  readonly hits: number;
  /** Entries written where none for that page stood. */
  readonly fills: number;
  readonly evictions: number;
  readonly invalidated: number;
  /** fills − evictions − invalidated. */
  readonly valid: number;
}

export interface TlbStatistics {
  readonly accesses: number;
  /** Accesses that found nothing in any level; each other one is a hit in one array. */
  readonly misses: number;
  /** Fills that an invalidation overtook. */
  readonly refused: number;
  readonly flushes: {
    readonly page: number;
    readonly range: number;
    readonly asid: number;
    readonly notGlobal: number;
    readonly all: number;
  };
  readonly arrays: readonly ArrayStatistics[];
}

const POLICIES: Readonly<Record<Replacement, number>> = {
  lru: POLICY_LRU,
  'tree-plru': POLICY_TREE,
  random: POLICY_RANDOM,
};
const SERVES = { data: SERVES_DATA, fetch: SERVES_FETCH, both: SERVES_DATA | SERVES_FETCH } as const;
const INCLUSIONS = { none: INCLUSION_NONE, inclusive: INCLUSION_INCLUSIVE, exclusive: INCLUSION_EXCLUSIVE } as const;
const STRUCTURES = { all: SCOPE_STRUCTURES, 'on-the-way': SCOPE_WAY, none: 0 } as const;
const PAGES = (1n << 57n) - (1n << 12n);
const MARKED = (1n << 57n) - (1n << 11n);
const GLOBAL = 1n << 9n;

export class Tlb {
  /** Address of its block. @internal */
  readonly handle: number;
  readonly model: TlbModel;
  readonly broadcast: boolean;
  readonly #memory: PhysicalMemory;
  #disposed = false;

  /** An empty TLB. @throws RangeError naming what does not fit in `model`, or if the heap is full. */
  constructor(memory: PhysicalMemory, model: TlbModel, options: TlbOptions = {}) {
    const { seed = 1, broadcast = false } = options;
    checkModel(model);
    if (!Number.isInteger(seed) || seed < 1 || seed > 0xffff_ffff) {
      throw new RangeError(`"seed" must be from 1 to 2^32-1, got ${seed}`);
    }
    this.#memory = memory;
    this.model = model;
    this.broadcast = broadcast;
    this.handle = createTlbBlock(memory, model, seed);
  }

  /** What the CPU that owns it finds for `va`. Counts as an access. */
  lookUp(va: VirtualAddress, asid: AsidTag, access: 'data' | 'fetch' = 'data'): LookUp {
    checkAsid(asid);
    const fetch = access === 'fetch' ? 1 : 0;
    const entry = this.#core.tlbLookUp(this.handle, vpnOf(va), asid, fetch, this.broadcast) >>> 0;
    if (entry === 0) return { kind: 'miss' };
    const found = this.#decode(entry);
    if (found.kind !== 'translation') throw new Error('a look-up ended in a paging-structure cache');
    return { kind: 'hit', entry: found };
  }

  /** To be called before the walk whose result `fill` gets. */
  begin(): number {
    return this.#core.tlbBegin(this.handle, this.broadcast);
  }

  /** Takes in what a walk found. `overtaken`: an invalidation came meanwhile, nothing was filled, walk again. */
  fill(fill: Fill): 'filled' | 'overtaken' {
    const { va, asid, mapped, global = false, fetch = false, slot = 0 } = fill;
    checkAsid(asid);
    if (this.broadcast && fill.begun === undefined) {
      throw new Error('"begun" is missing: where other CPUs invalidate, a fill says when its walk began');
    }
    const begun = fill.begun ?? 0;
    const entry = this.#core.tlbFill(
      this.handle,
      va,
      asid,
      fetch ? 1 : 0,
      global,
      encodeMapped(mapped),
      slot,
      begun,
      this.broadcast,
    );
    return entry === 0 ? 'overtaken' : 'filled';
  }

  // ---- invalidation

  /** Drops what covers `va` in one ASID. */
  invalidatePage(va: VirtualAddress, asid: AsidTag, scope: Scope = {}): void {
    checkAsid(asid);
    this.#core.tlbInvalidatePage(this.handle, va, asid, scopeBits(scope), this.broadcast);
  }

  /** Drops what covers `first`, `first` + `strideBytes`, ... up to `last`, inclusive. `strideBytes` is a power of two. */
  invalidateRange(
    first: VirtualAddress,
    last: VirtualAddress,
    asid: AsidTag,
    options: Scope & { readonly strideBytes?: number } = {},
  ): void {
    checkAsid(asid);
    const { strideBytes = 4096 } = options;
    const stride = Math.log2(strideBytes);
    if (!Number.isInteger(stride) || stride < 0) {
      throw new RangeError(`"strideBytes" must be a power of two, got ${strideBytes}`);
    }
    if (last < first) throw new RangeError(`"last" must not lie before "first", got ${last} before ${first}`);
    this.#core.tlbInvalidateRange(this.handle, first, last, stride, asid, scopeBits(options), this.broadcast);
  }

  /** Drops one ASID but globals, paging structures included. */
  invalidateAsid(asid: AsidTag): void {
    checkAsid(asid);
    this.#core.tlbInvalidateAsid(this.handle, asid, this.broadcast);
  }

  invalidateNotGlobal(): void {
    this.#core.tlbInvalidateNotGlobal(this.handle, this.broadcast);
  }

  invalidateAll(): void {
    this.#core.tlbInvalidateAll(this.handle, this.broadcast);
  }

  /** Evicts the `n`-th of `entries`, as hardware may at any time. False if there are not so many. */
  evict(n: number): boolean {
    if (!Number.isInteger(n) || n < 0) throw new RangeError(`"n" must be 0 or more, got ${n}`);
    return this.#core.tlbEvict(this.handle, n, this.broadcast) !== 0;
  }

  // ---- what it holds

  /** Its valid entries, array by array, set by set. */
  *entries(): Generator<TlbEntry | StructureEntry> {
    const { core } = this.#memory;
    for (let entry = core.tlbNext(this.handle, 0) >>> 0; entry !== 0; entry = core.tlbNext(this.handle, entry) >>> 0) {
      yield this.#decode(entry);
    }
  }

  get validEntries(): number {
    return this.#core.tlbCountValid(this.handle) >>> 0;
  }

  statistics(): TlbStatistics {
    const at = (offset: number) => Number(this.#memory.view.getBigUint64(this.handle + offset, true));
    const flushes = (kind: number) => at(TLB_FLUSHES + 8 * kind);
    const arrays = this.model.arrays.map(({ name }, n) => {
      const array = TLB_DESCRIPTORS + n * ARRAY_BYTES;
      const fills = at(array + ARRAY_FILLS);
      const evictions = at(array + ARRAY_EVICTIONS);
      const invalidated = at(array + ARRAY_INVALIDATED);
      const valid = fills - evictions - invalidated;
      return { name, hits: at(array + ARRAY_HITS), fills, evictions, invalidated, valid };
    });
    return {
      accesses: at(TLB_ACCESSES),
      misses: at(TLB_MISSES),
      refused: at(TLB_REFUSED),
      flushes: {
        page: flushes(FLUSH_PAGE),
        range: flushes(FLUSH_RANGE),
        asid: flushes(FLUSH_ASID),
        notGlobal: flushes(FLUSH_NOT_GLOBAL),
        all: flushes(FLUSH_ALL),
      },
      arrays,
    };
  }

  /** Gives its block back. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#memory.core.disposeTlb(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #core() {
    if (this.#disposed) throw new Error('this TLB was disposed of');
    return this.#memory.core;
  }

  #decode(entry: number): TlbEntry | StructureEntry {
    const { view, core } = this.#memory;
    const tag = view.getBigUint64(entry, true);
    const descriptor = core.tlbArrayOf(this.handle, entry) >>> 0;
    const array = this.model.arrays[(descriptor - this.handle - TLB_DESCRIPTORS) / ARRAY_BYTES] as TlbArray;
    const place = (entry - view.getUint32(descriptor + ARRAY_ENTRIES, true)) / ENTRY_BYTES;
    const position = { array: array.name, set: Math.floor(place / array.ways), way: place % array.ways };
    const { va, sizeBytes, asid } = decodeTag(tag);
    const word = view.getBigUint64(entry + ENTRY_RESULT, true);
    if (array.level === 'structures') {
      const rights = view.getBigUint64(entry + ENTRY_RIGHTS, true);
      // Under the address stands the level of the entry that refers to the table.
      const table = (word & ~7n) as PhysicalAddress;
      return { kind: 'structure', ...position, va, sizeBytes, asid: asid as AsidTag, table, rights };
    }
    const mapped = decodeResult(word) as Mapped;
    const slot = view.getUint32(entry + ENTRY_SLOT, true) as PteAddress;
    return { kind: 'translation', ...position, va, sizeBytes, asid, mapped, slot };
  }
}

/** Makes the block of a checked model. */
function createTlbBlock(memory: PhysicalMemory, model: TlbModel, seed: number): number {
  const { arrays, inclusion = 'none', pageShift = 12, levelShift = 9 } = model;
  const entries = arrays.reduce((sum, { sets, ways }) => sum + sets * ways, 0);
  const { core } = memory;
  const block = core.createTlb(arrays.length, entries, pageShift, levelShift, INCLUSIONS[inclusion], seed) >>> 0;
  if (block === 0) throw new RangeError(`the heap has no room for a TLB of ${entries} entries`);
  for (const [n, { level, serves = 'both', pages, sets, ways, replacement = 'lru' }] of arrays.entries()) {
    const structures = level === 'structures';
    const sizes = pages.reduce((bits, page) => bits | (1 << page), 0);
    const kinds = structures ? 0 : SERVES[serves];
    core.setTlbArray(block, n, sets, ways, sizes, structures ? 0 : level, kinds, POLICIES[replacement]);
  }
  return block;
}

/** @throws RangeError naming the array and what is wrong with it */
function checkModel(model: TlbModel): void {
  const { arrays, inclusion = 'none', pageShift = 12, levelShift = 9 } = model;
  if (arrays.length < 1 || arrays.length > TLB_MAX_ARRAYS) {
    throw new RangeError(`"arrays" must be 1 to ${TLB_MAX_ARRAYS}, got ${arrays.length}`);
  }
  if (!Number.isInteger(pageShift) || pageShift < 12 || pageShift > 16) {
    throw new RangeError(`"pageShift" must be from 12 to 16, got ${pageShift}`);
  }
  if (!Number.isInteger(levelShift) || levelShift < 9 || levelShift > 13) {
    throw new RangeError(`"levelShift" must be from 9 to 13, got ${levelShift}`);
  }
  const taken = new Map<string, string>();
  for (const array of arrays) {
    checkArray(array);
    for (const page of array.pages) {
      if (pageShift + page * levelShift > 52) {
        throw new RangeError(`array "${array.name}": no page of level ${page} fits 57 address bits`);
      }
      for (const kind of array.level === 'structures' ? ['walk'] : kindsOf(array)) {
        const place = `${array.level} ${kind} ${page}`;
        const other = taken.get(place);
        if (other !== undefined) {
          throw new RangeError(`arrays "${other}" and "${array.name}" both take pages of level ${page} for ${kind}`);
        }
        taken.set(place, array.name);
      }
    }
  }
  for (const kind of ['data', 'fetch']) {
    if (!taken.has(`1 ${kind} 0`)) throw new RangeError(`no array of level 1 takes the smallest page for ${kind}`);
    for (let page = 0; inclusion === 'inclusive' && page < 5; page++) {
      if (taken.has(`1 ${kind} ${page}`) && !taken.has(`2 ${kind} ${page}`)) {
        throw new RangeError(`inclusive, but level 2 does not take pages of level ${page} for ${kind}`);
      }
    }
  }
}

function checkArray({ name, level, pages, sets, ways, replacement = 'lru' }: TlbArray): void {
  const wrong = (what: string) => new RangeError(`array "${name}": ${what}`);
  if (!isPowerOfTwo(sets) || sets > 65536) throw wrong(`"sets" must be a power of two up to 65536, got ${sets}`);
  if (!Number.isInteger(ways) || ways < 1 || ways > 128) throw wrong(`"ways" must be from 1 to 128, got ${ways}`);
  if (replacement === 'tree-plru' && (!isPowerOfTwo(ways) || ways > 64)) {
    throw wrong(`"ways" must be a power of two up to 64 for tree-plru, got ${ways}`);
  }
  const lowest = level === 'structures' ? 1 : 0;
  const bad = pages.find((page) => !Number.isInteger(page) || page < lowest || page > 4);
  if (bad !== undefined || pages.length === 0) {
    throw wrong(`"pages" must be levels from ${lowest} to 4, got ${bad ?? 'none'}`);
  }
}

function kindsOf({ serves = 'both' }: TlbArray): string[] {
  return serves === 'both' ? ['data', 'fetch'] : [serves];
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(n) && n > 0 && 2 ** Math.round(Math.log2(n)) === n;
}

function checkAsid(asid: AsidTag): void {
  if (!Number.isInteger(asid) || asid < 0 || asid > 0xffff) {
    throw new RangeError(`"asid" must be from 0 to 65535, got ${asid}`);
  }
}

function scopeBits({ global = true, structures = 'all' }: Scope): number {
  return (global ? SCOPE_GLOBAL : 0) | STRUCTURES[structures];
}

/** Reads a tag as assembly/assoc.ts packs it. */
export function decodeTag(tag: bigint): { va: VirtualAddress; sizeBytes: number; asid: AsidTag | 'global' } {
  const marked = tag & MARKED;
  const marker = marked & -marked;
  const va = ((marked ^ marker) & PAGES) as VirtualAddress;
  const asid = Number((tag & 0x1ffn) | ((tag >> 57n) << 9n));
  return { va, sizeBytes: Number(marker * 2n), asid: (tag & GLOBAL) !== 0n ? 'global' : asid };
}

/** The result word of a translation. */
function encodeMapped({ pa, level, rights, accessed, dirty }: Mapped): bigint {
  const flags =
    RESULT_MAPPED |
    (rights.read ? 0 : RESULT_UNREADABLE) |
    (rights.write ? RESULT_WRITABLE : 0) |
    (rights.user ? RESULT_USER : 0) |
    (rights.execute ? 0 : RESULT_NO_EXECUTE) |
    (accessed ? RESULT_ACCESSED : 0) |
    (dirty ? RESULT_DIRTY : 0) |
    (level << RESULT_LEVEL_SHIFT);
  return pa | (BigInt(flags) << BigInt(RESULT_SHIFT));
}
