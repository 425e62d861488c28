// An address space: translate, access, explain, map, unmap, protect, list.
//
// Guarantees: what can happen (mapped, fault, refused) is returned; what must not (a misaligned address, a disposed space)
// throws, naming argument and value. All calls may run beside those of other threads that joined the memory. `…Page` calls
// take and return doubles and allocate nothing.

import {
  ACCESS_TOUCH,
  PROT_EXECUTE,
  PROT_PKEY_SHIFT,
  PROT_READ,
  PROT_USER,
  PROT_WRITE,
  SPACE_FORMAT,
  SPACE_GENERATION,
  SPACE_ROOT,
  STATUS_MAPPED,
  STATUS_NO_MEMORY,
  STATUS_NON_CANONICAL,
  STATUS_OK,
  STATUS_RESERVED,
  STATUS_UNBACKED,
  STATUS_UNREPRESENTABLE,
  TRAIL_ENTERED,
  TRAIL_ENTRY,
  TRAIL_INDEX,
  TRAIL_STATE,
  TRAIL_STRIDE,
  TRAIL_TABLE,
} from '../../assembly/layout.ts';
import {
  type AddressLike,
  hex,
  PAGE_BYTES,
  type Pfn,
  type PhysicalAddress,
  physicalAddress,
  type VirtualAddress,
  type Vpn,
  virtualAddress,
} from '../units.ts';
import { Batch } from './batch.ts';
import { type DecodedEntry, decodeEntry, FORMATS, type Format } from './formats.ts';
import {
  type Hole,
  type ListOptions,
  listMappings,
  listWithProgress,
  type Mapping,
  type Progress,
} from './mappings.ts';
import type { PhysicalMemory } from './memory.ts';
import { type Protection, protectionBits } from './protection.ts';
import type { PteAddress } from './pte.ts';
import { RangeOperations, type RangeOptions } from './ranges.ts';
import { DEFAULT_REGIME, type Regime, regimeBits } from './regime.ts';
import {
  type Access,
  type AccessBits,
  accessBits,
  decodeResult,
  NO_ACCESS,
  type PageResult,
  type Translation,
} from './results.ts';
import { ReverseMap } from './reverse.ts';
import { SoftTlb } from './softtlb.ts';

/** Brings a table page that is not in memory; undefined if there is none at that address. */
export type Fetch = (table: PhysicalAddress) => Uint8Array | undefined;

/** The largest page that `map` may use. */
export type PageSize = '4KiB' | '2MiB' | '1GiB';

/** What became of a change to the tables. */
export type Change =
  | { readonly kind: 'done' /** Leaf entries that were made, removed or changed. */; readonly leaves: number }
  | {
      readonly kind: 'refused';
      readonly why:
        | 'already-mapped'
        | 'no-memory'
        | 'table-not-in-memory'
        | 'reserved-bit'
        | 'unrepresentable'
        | 'non-canonical';
      /** The address it is about. */
      readonly va: VirtualAddress;
    };

/** One step of an explained walk. */
export interface ExplainedLevel extends DecodedEntry {
  /** Physical address of the table. */
  readonly table: PhysicalAddress;
  /** Index of the entry in it. */
  readonly index: number;
}

/** A walk, level by level. */
export interface Explanation {
  readonly result: Translation;
  /** The entries it met, root first. */
  readonly levels: readonly ExplainedLevel[];
  /** The table that is not in memory, if that stopped the walk. */
  readonly missing: PhysicalAddress | undefined;
}

const PAGE_LEVELS: Readonly<Record<PageSize, number>> = { '4KiB': 0, '2MiB': 1, '1GiB': 2 };

const REFUSALS: Readonly<Record<number, Extract<Change, { kind: 'refused' }>['why']>> = {
  [STATUS_MAPPED]: 'already-mapped',
  [STATUS_NO_MEMORY]: 'no-memory',
  [STATUS_UNBACKED]: 'table-not-in-memory',
  [STATUS_RESERVED]: 'reserved-bit',
  [STATUS_UNREPRESENTABLE]: 'unrepresentable',
  [STATUS_NON_CANONICAL]: 'non-canonical',
};

export class AddressSpace {
  readonly memory: PhysicalMemory;
  readonly format: Format;
  /** Address of the space's block in linear memory; another thread opens it with `AddressSpace.at`. */
  readonly handle: number;
  readonly #ownsTables: boolean;
  readonly #ownsBlock: boolean;
  #regime: Regime;
  #disposed = false;

  private constructor(
    memory: PhysicalMemory,
    format: Format,
    handle: number,
    regime: Regime,
    ownsBlock: boolean,
    ownsTables: boolean,
  ) {
    this.memory = memory;
    this.format = format;
    this.handle = handle;
    this.#regime = regime;
    this.#ownsBlock = ownsBlock;
    this.#ownsTables = ownsTables;
  }

  /** See `PhysicalMemory.createAddressSpace`. @internal */
  static create(memory: PhysicalMemory, format: Format, regime: Partial<Regime> = {}): AddressSpace {
    const handle = memory.core.createSpace(format.id) >>> 0;
    if (handle === 0) throw new RangeError('no frame or no heap is left for an address space');
    const space = new AddressSpace(memory, format, handle, DEFAULT_REGIME, true, true);
    space.setRegime(regime);
    return space;
  }

  /** See `PhysicalMemory.openAddressSpace`. @internal */
  static open(memory: PhysicalMemory, format: Format, root: AddressLike, regime: Partial<Regime> = {}): AddressSpace {
    const handle = memory.core.openSpace(format.id, virtualAddress(root, 'root')) >>> 0;
    if (handle === 0) throw new RangeError('no heap is left for an address space');
    const space = new AddressSpace(memory, format, handle, DEFAULT_REGIME, true, false);
    space.setRegime(regime);
    return space;
  }

  /**
   * The space that another thread made in the same memory, by its `handle`. Disposing of this view frees nothing.
   * Its `regime` reads as the default until it is set: the rules in force are those the memory holds.
   */
  static at(memory: PhysicalMemory, handle: number): AddressSpace {
    const id = memory.view.getUint32(handle + SPACE_FORMAT, true);
    const format = Object.values(FORMATS).find((f) => f.id === id);
    if (format === undefined) throw new RangeError(`"handle" ${hex(handle)} is no address space of this memory`);
    return new AddressSpace(memory, format, handle, DEFAULT_REGIME, false, false);
  }

  /** Value of the root register. */
  get root(): PhysicalAddress {
    return this.memory.view.getBigUint64(this.handle + SPACE_ROOT, true) as PhysicalAddress;
  }

  /** Grows with every change of a live entry through this library: a software TLB that saw another value is stale. */
  get generation(): number {
    return this.memory.view.getUint32(this.handle + SPACE_GENERATION, true);
  }

  get regime(): Regime {
    return this.#regime;
  }

  /** Changes the rules by which tables are read; not while other threads walk them. */
  setRegime(changes: Partial<Regime>): void {
    const regime = { ...this.#regime, ...changes };
    this.memory.core.setRegime(this.handle, regimeBits(regime), regime.pkru, regime.physicalBits);
    this.#regime = regime;
  }

  // ---- one address

  /**
   * Where `va` leads, without side effects. Without `access`, the mapping, whoever may use it; with one, also whether that
   * access is allowed. `fetch` brings tables that are not in memory.
   */
  translate(va: AddressLike, access?: Access, fetch?: Fetch): Translation {
    const address = virtualAddress(va);
    const bits = accessBits(access);
    while (true) {
      const result = decodeResult(this.memory.core.translateWord(this.handle, address, bits));
      if (!this.#fetched(result, address, fetch)) return result;
    }
  }

  /** An access as hardware makes it: sets A on the way, and D in the leaf for a write, and returns where it went. */
  access(va: AddressLike, access: Access): Translation {
    const bits = accessBits(access) | ACCESS_TOUCH;
    return decodeResult(this.memory.core.accessWord(this.handle, virtualAddress(va), bits));
  }

  /** Every entry on the way to `va`, decoded. */
  explain(va: AddressLike, access?: Access, fetch?: Fetch): Explanation {
    const address = virtualAddress(va);
    const { core, view, trail } = this.memory;
    let result = decodeResult(core.explain(this.handle, address, accessBits(access)));
    while (this.#fetched(result, address, fetch)) {
      result = decodeResult(core.explain(this.handle, address, accessBits(access)));
    }
    const levels: ExplainedLevel[] = [];
    let missing: PhysicalAddress | undefined;
    for (let level = this.format.levelNames.length - 1; level >= 0; level--) {
      const at = trail + level * TRAIL_STRIDE;
      const state = view.getUint32(at + TRAIL_STATE, true);
      if (state === 0) break;
      const table = view.getBigUint64(at + TRAIL_TABLE, true) as PhysicalAddress;
      if (state === TRAIL_ENTERED) {
        missing = table;
        break;
      }
      const entry = view.getBigUint64(at + TRAIL_ENTRY, true);
      const index = view.getUint32(at + TRAIL_INDEX, true);
      levels.push({ ...decodeEntry(this.format, entry, level), table, index });
    }
    return { result, levels, missing };
  }

  /**
   * As `translate`, of a page, without allocating: read the result with `isMappedPage` and `frameOfPage`. `access` is what
   * `accessBits` made of an access, once; 0 asks for the mapping, whoever may use it.
   */
  translatePage(page: Vpn, access: AccessBits = NO_ACCESS): PageResult {
    return this.memory.core.translate(this.handle, page, access) as PageResult;
  }

  /** As `access`, of a page, without allocating. */
  accessPage(page: Vpn, access: AccessBits): PageResult {
    return this.memory.core.access(this.handle, page, access | ACCESS_TOUCH) as PageResult;
  }

  /** Where the entry for `va` at `level` stands, for `PhysicalMemory.pte`; undefined if the walk ends above it. */
  entryAddress(va: AddressLike, level = 0): PteAddress | undefined {
    const at = this.memory.core.entryAddress(this.handle, virtualAddress(va), level) >>> 0;
    return at === 0 ? undefined : (at as PteAddress);
  }

  // ---- many addresses

  /** Buffers for `capacity` translations at once, over shared memory. Dispose of them. */
  batch(capacity: number): Batch {
    return new Batch(this, capacity);
  }

  /** A software TLB in front of this space. */
  softTlb(entries = 4096): SoftTlb {
    return new SoftTlb(this, entries);
  }

  /** Operations on the entries of a range: write-protect, clean and record, clear soft-dirty, age, harvest. Dispose of them. */
  ranges(options: RangeOptions = {}): RangeOperations {
    return new RangeOperations(this, options);
  }

  // ---- changes

  /**
   * Maps `sizeBytes` from `va` to physical memory from `pa`, which need not be RAM, with pages as large as alignment and `pages`
   * allow. Refused if anything is mapped there; the tables are then as before.
   */
  map(
    va: AddressLike,
    pa: AddressLike,
    sizeBytes: AddressLike,
    protection: Protection,
    pages: PageSize = '4KiB',
  ): Change {
    const level = PAGE_LEVELS[pages];
    if (level === undefined) throw new RangeError(`"pages" must be 4KiB, 2MiB or 1GiB, got ${String(pages)}`);
    const from = aligned(virtualAddress(va), 'va');
    const to = aligned(physicalAddress(pa), 'pa');
    const bytes = aligned(virtualAddress(sizeBytes, 'sizeBytes'), 'sizeBytes');
    const { core } = this.memory;
    return this.#change(core.map(this.live(), from, to, bytes, protectionBits(protection), level));
  }

  /** Removes every mapping of the range, splitting pages that reach over its edges, and frees tables that become empty. */
  unmap(va: AddressLike, sizeBytes: AddressLike): Change {
    const from = aligned(virtualAddress(va), 'va');
    const bytes = aligned(virtualAddress(sizeBytes, 'sizeBytes'), 'sizeBytes');
    return this.#change(this.memory.core.unmap(this.live(), from, bytes));
  }

  /** Gives every page of the range the rights of `protection` (read, write, execute, user, pkey); attributes stay. */
  protect(va: AddressLike, sizeBytes: AddressLike, protection: Protection): Change {
    const from = aligned(virtualAddress(va), 'va');
    const bytes = aligned(virtualAddress(sizeBytes, 'sizeBytes'), 'sizeBytes');
    const rights = protectionBits(protection) & RIGHTS;
    return this.#change(this.memory.core.protect(this.live(), from, bytes, rights));
  }

  /** Breaks a large page around `va` into pages of `pages`. */
  split(va: AddressLike, pages: PageSize = '4KiB'): Change {
    const from = virtualAddress(va) & ~0xfffn;
    return this.#change(this.memory.core.split(this.live(), from, PAGE_LEVELS[pages]));
  }

  // ---- listing

  /** All mappings in ascending order, folded into runs unless asked otherwise, and the holes where tables could not be followed. */
  mappings(options: ListOptions = {}): Generator<Mapping | Hole> {
    return listMappings(this, options);
  }

  /** As `mappings`, with a word on how far it is every few milliseconds, for whoever must stay responsive. */
  mappingsWithProgress(options: ListOptions = {}): Generator<Mapping | Hole | Progress> {
    return listWithProgress(this, options);
  }

  /** Who maps frame `frame`: a scan of the tables. For many frames, make a `reverseMap`. */
  *mappingsOf(frame: Pfn): Generator<Mapping> {
    const first = BigInt(frame) * 4096n;
    for (const mapping of this.mappings({ fold: false, pa: { first, last: first + 4095n } })) {
      if (mapping.kind === 'mapping') yield mapping;
    }
  }

  /** An index from frames to the pages that map them, as of now. */
  reverseMap(): ReverseMap {
    return ReverseMap.of(this);
  }

  // ---- the end

  /** Frees the tables and the block, where this object made them. Frames that were mapped are their owners'. */
  dispose(): void {
    if (this.#disposed) return;
    const { core } = this.memory;
    if (this.#ownsTables) {
      const half = 1n << BigInt(this.format.addressBits - 1);
      core.unmap(this.handle, 0n, half);
      core.unmap(this.handle, (1n << 64n) - half, half);
      core.freeRoot(this.handle);
    }
    if (this.#ownsBlock) core.closeSpace(this.handle);
    this.#disposed = true;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The handle, of a space that is not disposed. @internal */
  live(): number {
    if (this.#disposed) throw new Error('this address space was disposed of');
    return this.handle;
  }

  #change(status: number): Change {
    const { view, reply } = this.memory;
    if (status === STATUS_OK) return { kind: 'done', leaves: Number(view.getBigUint64(reply, true)) };
    const why = REFUSALS[status];
    if (why === undefined) throw new Error(`the core returned status ${status}: a defect of pagewalk`);
    return { kind: 'refused', why, va: view.getBigUint64(reply + 8, true) as VirtualAddress };
  }

  /** Brings the table that stopped the walk, if there is a way; true if the walk is to be tried again. */
  #fetched(result: Translation, va: VirtualAddress, fetch: Fetch | undefined): boolean {
    if (fetch === undefined || result.kind === 'mapped' || result.cause !== 'table-not-in-memory') return false;
    const { core, view, trail } = this.memory;
    core.explain(this.handle, va, 0);
    const table = view.getBigUint64(trail + result.level * TRAIL_STRIDE + TRAIL_TABLE, true) as PhysicalAddress;
    const bytes = fetch(table);
    if (bytes === undefined) return false;
    this.memory.insertPage(table, bytes);
    return true;
  }
}

/** What `protect` changes. */
const RIGHTS = PROT_READ | PROT_WRITE | PROT_EXECUTE | PROT_USER | (15 << PROT_PKEY_SHIFT);

function aligned<T extends bigint>(value: T, name: string): T {
  if (value % BigInt(PAGE_BYTES) !== 0n) throw new RangeError(`"${name}" must be page-aligned, got ${hex(value)}`);
  return value;
}
