// What a space maps, one record after another.
//
// Guarantees: ascending order, every mapping once (see assembly/list.ts). A list in progress holds a block of the heap and gives it
// back when the loop over it ends, however it ends.

import {
  CURSOR_BYTES,
  CURSOR_FOLD,
  CURSOR_LAST,
  CURSOR_LOOPS,
  CURSOR_NEXT,
  CURSOR_PA,
  CURSOR_PA_LAST,
  CURSOR_STATE,
  CURSOR_USED,
  HOLE_LOOP,
  HOLE_RESERVED,
  HOLE_UNBACKED,
  LIST_DONE,
  LIST_MISSING,
  RUN_BYTES,
  RUN_ENTRY,
  RUN_FLAGS,
  RUN_HOLE,
  RUN_PA,
  RUN_SIZE,
  RUN_VA,
} from '../../assembly/layout.ts';
import {
  type AddressLike,
  type PhysicalAddress,
  physicalAddress,
  type VirtualAddress,
  virtualAddress,
} from '../units.ts';
import type { Format } from './formats.ts';
import { isAccessed, isDirty, levelOf, type Rights, rightsOf } from './results.ts';
import type { AddressSpace, Fetch } from './space.ts';

/** A page, or with folding a run of pages in a row that map frames in a row with the same rights and attributes. */
export interface Mapping {
  readonly kind: 'mapping';
  /** First byte, as the CPU sees it. */
  readonly va: VirtualAddress;
  /** Where the first byte lies. */
  readonly pa: PhysicalAddress;
  readonly sizeBytes: bigint;
  /** The first leaf entry. */
  readonly entry: bigint;
  /** Level of the leaves; 0 is 4 KiB pages. */
  readonly level: number;
  /** What all levels together allow. */
  readonly rights: Rights;
  /** A of the first leaf. */
  readonly accessed: boolean;
  /** D of the first leaf. */
  readonly dirty: boolean;
}

/** Addresses that could not be followed. */
export interface Hole {
  readonly kind: 'hole';
  readonly why: 'table-not-in-memory' | 'loop' | 'reserved-bits';
  readonly va: VirtualAddress;
  readonly sizeBytes: bigint;
  /** The table that is not there, or that is its own ancestor; 0 for reserved bits. */
  readonly table: PhysicalAddress;
  /** The entry that leads there; 0 for the root register. */
  readonly entry: bigint;
}

export interface ListOptions {
  /** First address. Default 0. */
  readonly from?: AddressLike;
  /** Last address, inclusive. Default 2^64-1. */
  readonly to?: AddressLike;
  /** Fold into runs. Default true. */
  readonly fold?: boolean;
  /** Only what reaches into this range of physical addresses, both ends inclusive. */
  readonly pa?: { readonly first: AddressLike; readonly last: AddressLike };
  /** Walk into tables that are their own ancestors (recursive mappings) instead of reporting them. Default false. */
  readonly followLoops?: boolean;
  /** Brings tables that are not in memory. */
  readonly fetch?: Fetch;
}

/** Where a list stands, a few milliseconds after the last record: shared tables can make it long where nothing is mapped. */
export interface Progress {
  readonly kind: 'progress';
  /** The address it goes on from. */
  readonly va: VirtualAddress;
}

const WHYS: Readonly<Record<number, Hole['why']>> = {
  [HOLE_UNBACKED]: 'table-not-in-memory',
  [HOLE_LOOP]: 'loop',
  [HOLE_RESERVED]: 'reserved-bits',
};

/** Records taken from the core at once. */
const CAPACITY = 1024;

/** The list that `AddressSpace.mappings` returns. */
export function* listMappings(space: AddressSpace, options: ListOptions): Generator<Mapping | Hole> {
  for (const record of listWithProgress(space, options)) if (record.kind !== 'progress') yield record;
}

/** The list that `AddressSpace.mappingsWithProgress` returns. */
export function* listWithProgress(space: AddressSpace, options: ListOptions): Generator<Mapping | Hole | Progress> {
  const { memory } = space;
  const { core, view } = memory;
  const from = virtualAddress(options.from ?? 0n, 'from');
  const to = virtualAddress(options.to ?? (1n << 64n) - 1n, 'to');
  const paFirst = physicalAddress(options.pa?.first ?? 0n, 'pa.first');
  const paLast = physicalAddress(options.pa?.last ?? (1n << 52n) - 1n, 'pa.last');
  const cursor = memory.heapAllocate(CURSOR_BYTES + CAPACITY * RUN_BYTES);
  const records = cursor + CURSOR_BYTES;
  try {
    for (const [first, last] of halves(space.format, from, to)) {
      view.setBigUint64(cursor + CURSOR_NEXT, first, true);
      view.setBigUint64(cursor + CURSOR_LAST, last, true);
      view.setBigUint64(cursor + CURSOR_PA, paFirst, true);
      view.setBigUint64(cursor + CURSOR_PA_LAST, paLast, true);
      view.setUint32(cursor + CURSOR_FOLD, options.fold === false ? 0 : 1, true);
      view.setUint32(cursor + CURSOR_LOOPS, options.followLoops ? 1 : 0, true);
      view.setUint32(cursor + CURSOR_USED, 0, true);
      for (let done = false; !done; ) {
        core.list(space.handle, cursor, records, CAPACITY);
        let used = view.getUint32(cursor + CURSOR_USED, true);
        const state = view.getUint32(cursor + CURSOR_STATE, true);
        done = state === LIST_DONE;
        if (state === LIST_MISSING) {
          const hole = records + (used - 1) * RUN_BYTES;
          const table = view.getBigUint64(hole + RUN_PA, true) as PhysicalAddress;
          const bytes = options.fetch?.(table);
          if (bytes !== undefined) {
            memory.insertPage(table, bytes);
            used -= 1;
          } else {
            const next = view.getBigUint64(hole + RUN_VA, true) + view.getBigUint64(hole + RUN_SIZE, true);
            done = next > last;
            view.setBigUint64(cursor + CURSOR_NEXT, BigInt.asUintN(64, next), true);
          }
        }
        // The last record may grow in the next call: it waits, as the first of that.
        const ready = done ? used : Math.max(0, used - 1);
        for (let n = 0; n < ready; n++) yield decodeRun(view, records + n * RUN_BYTES);
        if (ready < used && ready > 0) {
          new Uint8Array(view.buffer).copyWithin(records, records + ready * RUN_BYTES, records + used * RUN_BYTES);
        }
        view.setUint32(cursor + CURSOR_USED, used - ready, true);
        if (!done) yield { kind: 'progress', va: view.getBigUint64(cursor + CURSOR_NEXT, true) as VirtualAddress };
      }
    }
  } finally {
    core.heapFree(cursor);
  }
}

/** The parts of [from, to] in the canonical halves of the address space. */
function halves(format: Format, from: bigint, to: bigint): [bigint, bigint][] {
  const half = 1n << BigInt(format.addressBits - 1);
  const parts: [bigint, bigint][] = [
    [0n, half - 1n],
    [(1n << 64n) - half, (1n << 64n) - 1n],
  ];
  return parts
    .map(([first, last]): [bigint, bigint] => [from > first ? from & ~0xfffn : first, to < last ? to : last])
    .filter(([first, last]) => first <= last);
}

function decodeRun(view: DataView, at: number): Mapping | Hole {
  const va = view.getBigUint64(at + RUN_VA, true) as VirtualAddress;
  const pa = view.getBigUint64(at + RUN_PA, true) as PhysicalAddress;
  const sizeBytes = view.getBigUint64(at + RUN_SIZE, true);
  const entry = view.getBigUint64(at + RUN_ENTRY, true);
  const why = WHYS[view.getUint32(at + RUN_HOLE, true)];
  if (why !== undefined) return { kind: 'hole', why, va, sizeBytes, table: pa, entry };
  const flags = view.getUint32(at + RUN_FLAGS, true);
  return {
    kind: 'mapping',
    va,
    pa,
    sizeBytes,
    entry,
    level: levelOf(flags),
    rights: rightsOf(flags),
    accessed: isAccessed(flags),
    dirty: isDirty(flags),
  };
}
