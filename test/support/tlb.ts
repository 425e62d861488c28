// A TLB block through the core's exports, and what stands in it, read without the core.

import type { TlbModel } from '../../src/machine/tlb.ts';
import { layout, type Rig } from './core.ts';

const POLICIES = { lru: layout.POLICY_LRU, 'tree-plru': layout.POLICY_TREE, random: layout.POLICY_RANDOM };
const SERVES = {
  data: layout.SERVES_DATA,
  fetch: layout.SERVES_FETCH,
  both: layout.SERVES_DATA | layout.SERVES_FETCH,
};
const INCLUSIONS = {
  none: layout.INCLUSION_NONE,
  inclusive: layout.INCLUSION_INCLUSIVE,
  exclusive: layout.INCLUSION_EXCLUSIVE,
};

export function makeTlb(rig: Rig, model: TlbModel, seed = 1): number {
  const { arrays, inclusion = 'none', pageShift = 12, levelShift = 9 } = model;
  const entries = arrays.reduce((sum, { sets, ways }) => sum + sets * ways, 0);
  const { core } = rig;
  const tlb = core.createTlb(arrays.length, entries, pageShift, levelShift, INCLUSIONS[inclusion], seed) >>> 0;
  if (tlb === 0) throw new Error('no room for a TLB');
  for (const [n, { level, serves = 'both', pages, sets, ways, replacement = 'lru' }] of arrays.entries()) {
    const sizes = pages.reduce((bits, page) => bits | (1 << page), 0);
    const structures = level === 'structures';
    const kinds = structures ? 0 : SERVES[serves];
    core.setTlbArray(tlb, n, sets, ways, sizes, structures ? 0 : level, kinds, POLICIES[replacement]);
  }
  return tlb;
}

/** A result word of a mapped leaf of `level` at `pa`. `flags` are further RESULT_* flags. */
export function mappedWord(pa: bigint, level: number, flags = 0): bigint {
  const bits = layout.RESULT_MAPPED | flags | (level << layout.RESULT_LEVEL_SHIFT);
  return pa | (BigInt(bits) << BigInt(layout.RESULT_SHIFT));
}

export interface Standing {
  array: string;
  set: number;
  way: number;
  va: bigint;
  size: bigint;
  asid: number | 'global';
  /** Result word and slot of a translation, table and rights of a structure. */
  words: [bigint, bigint];
}

/** Every valid entry, in the order of memory. */
export function standing(rig: Rig, tlb: number, model: TlbModel): Standing[] {
  const found: Standing[] = [];
  for (const [n, { name, sets, ways, level }] of model.arrays.entries()) {
    const first = rig.u32[(tlb + layout.TLB_DESCRIPTORS + n * layout.ARRAY_BYTES + layout.ARRAY_ENTRIES) / 4] as number;
    for (let place = 0; place < sets * ways; place++) {
      const at = (first + place * layout.ENTRY_BYTES) / 8;
      const tag = Atomics.load(rig.u64, at);
      if (tag === 0n) continue;
      const second = rig.u64[at + layout.ENTRY_RIGHTS / 8] as bigint;
      const payload = rig.u64[at + 1] as bigint;
      const words: [bigint, bigint] = [
        level === 'structures' ? payload & ~7n : payload,
        level === 'structures' ? second : second & 0xffffffffn,
      ];
      found.push({ array: name, set: Math.floor(place / ways), way: place % ways, ...readTag(tag), words });
    }
  }
  return found;
}

/** The drawing at `Tag` in assembly/assoc.ts, bit by bit. */
function readTag(tag: bigint): Pick<Standing, 'va' | 'size' | 'asid'> {
  let marker = 11n;
  while (((tag >> marker) & 1n) === 0n) marker++;
  const size = 2n << marker;
  const va = tag & ((1n << 57n) - 1n) & ~(size - 1n);
  const asid = Number((tag & 0x1ffn) + ((tag >> 57n) << 9n));
  return { va, size, asid: ((tag >> 9n) & 1n) === 1n ? 'global' : asid };
}

export interface Counts {
  accesses: number;
  misses: number;
  refused: number;
  arrays: { hits: number; fills: number; evictions: number; invalidated: number }[];
}

export function counts(rig: Rig, tlb: number, model: TlbModel): Counts {
  const at = (offset: number) => Number(Atomics.load(rig.u64, (tlb + offset) / 8));
  return {
    accesses: at(layout.TLB_ACCESSES),
    misses: at(layout.TLB_MISSES),
    refused: at(layout.TLB_REFUSED),
    arrays: model.arrays.map((_, n) => {
      const array = layout.TLB_DESCRIPTORS + n * layout.ARRAY_BYTES;
      return {
        hits: at(array + layout.ARRAY_HITS),
        fills: at(array + layout.ARRAY_FILLS),
        evictions: at(array + layout.ARRAY_EVICTIONS),
        invalidated: at(array + layout.ARRAY_INVALIDATED),
      };
    }),
  };
}
