// Random page tables and random accesses for fast-check: few tables, few slots, so that walks meet what was written.
//
// Guarantees: every kind of entry a walk can meet occurs often: tables (also the walk's own ancestors, and tables outside memory),
// pages of each size, reserved bits at each level, arbitrary words; addresses mostly go through slots in use, and some are
// not canonical.

import fc from 'fast-check';
import type { Access, Processor } from '../oracle/x86.ts';

export const POOL = 9;
/** PFN of the first table of the pool: not 0, so that physical and linear addresses never agree by chance. */
export const BASE_PFN = 0x1230;
/** PFN that is backed through the sparse directory, by the frame after the pool. */
export const FAR_PFN = 0x7654321;

const SLOTS = [0, 1, 2, 255, 256, 510, 511];
const slot = fc.constantFrom(...SLOTS);

export interface Tables {
  entries: { table: number; slot: number; entry: bigint }[];
}

const RESERVED_SPOTS = [13, 20, 21, 29, 36, 40, 45, 46, 51];

/** Flags of an entry: mostly permissive, so that walks get far. */
const flags = fc
  .record({
    present: fc.constantFrom(1n, 1n, 1n, 1n, 1n, 1n, 1n, 0n),
    rights: fc.constantFrom(6n, 6n, 6n, 2n, 4n, 0n),
    attributes: fc.bigInt({ min: 0n, max: 0x1fn }).map((n) => (n << 3n) & 0x78n),
    global: fc.bigInt({ min: 0n, max: 15n }).map((n) => n << 8n),
    high: fc.constantFrom(0n, 0n, 0n, 0n, 1n << 63n, 1n << 58n, 5n << 59n, 15n << 59n, 1n << 59n),
  })
  .map((f) => f.present | f.rights | f.attributes | f.global | f.high);

const tableTarget = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: POOL - 1 }).map((n) => BigInt(BASE_PFN + n)) },
  { weight: 1, arbitrary: fc.constant(BigInt(FAR_PFN)) },
  { weight: 1, arbitrary: fc.constantFrom(0n, BigInt(BASE_PFN - 1), BigInt(BASE_PFN + POOL + 1), 0x3fffffffn) },
);

const entry = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(flags, tableTarget).map(([f, pfn]) => f | (pfn << 12n)) },
  {
    weight: 4, // a large page of either size
    arbitrary: fc
      .tuple(flags, fc.bigInt({ min: 0n, max: 0xffffn }), fc.constantFrom(30n, 21n), fc.constantFrom(0n, 1n << 12n))
      .map(([f, n, shift, pat]) => f | 0x80n | pat | ((n << shift) & 0x3fffffffffffn)),
  },
  {
    weight: 2, // one bit too many
    arbitrary: fc
      .tuple(flags, tableTarget, fc.constantFrom(...RESERVED_SPOTS), fc.constantFrom(0n, 0x80n))
      .map(([f, pfn, n, ps]) => f | ps | (pfn << 12n) | (1n << BigInt(n))),
  },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) },
);

export const tables: fc.Arbitrary<Tables> = fc.record({
  entries: fc.array(fc.record({ table: fc.integer({ min: 0, max: POOL }), slot, entry }), {
    minLength: 4,
    maxLength: 60,
    size: 'max',
  }),
});

export const processor: fc.Arbitrary<Processor> = fc.record({
  cr3: fc
    .tuple(fc.integer({ min: 0, max: 1 }), fc.constantFrom(0n, 0x18n, 0xfffn, 1n << 61n))
    .map(([n, bits]) => (BigInt(BASE_PFN + n) << 12n) | bits),
  levels: fc.constantFrom(4 as const, 5 as const),
  physicalBits: fc.constantFrom(36, 40, 46, 52),
  gigabytePages: fc.boolean(),
  wp: fc.boolean(),
  nxe: fc.constantFrom(true, true, true, false),
  smep: fc.boolean(),
  smap: fc.boolean(),
  ac: fc.boolean(),
  pke: fc.boolean(),
  pkru: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0x7fffffff }), fc.constantFrom(0xc00, 0x800, 0x3)),
});

/** An address through slots in use; one in sixteen is not canonical. */
export const address = (levels: 4 | 5): fc.Arbitrary<bigint> =>
  fc
    .tuple(
      fc.array(slot, { minLength: 5, maxLength: 5 }),
      fc.integer({ min: 0, max: 4095 }),
      fc.constantFrom(...Array(15).fill(false), true),
      fc.bigInt({ min: 0n, max: 0xffffn }),
    )
    .map(([slots, offset, damaged, noise]) => addressOf(levels, slots, offset, damaged ? noise : undefined));

export function addressOf(levels: 4 | 5, slots: readonly number[], offset: number, noise?: bigint): bigint {
  let va = 0n;
  for (let level = levels - 1; level >= 0; level--) va = (va << 9n) | BigInt(slots[level] as number);
  const width = 12 + 9 * levels;
  va = BigInt.asUintN(64, BigInt.asIntN(width, (va << 12n) | BigInt(offset)));
  return noise === undefined ? va : va ^ ((noise << 48n) & 0xffff000000000000n);
}

export const access = (levels: 4 | 5): fc.Arbitrary<Access> =>
  fc.record({
    va: address(levels),
    kind: fc.constantFrom('read' as const, 'write' as const, 'execute' as const),
    user: fc.boolean(),
  });

/** A small generator with a printed seed, for what is too much for fast-check to shrink (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

/** How likely an entry of a full tree is odd: denied to somebody, a large page, out of memory, reserved, or not there. */
export interface Density {
  seed: number;
  /** One entry in so many lacks A. */
  old: number;
  /** One entry in so many is odd. */
  odd: number;
}

export const density: fc.Arbitrary<Density> = fc.record({
  seed: fc.integer(),
  old: fc.constantFrom(1, 2, 50, 100000),
  odd: fc.constantFrom(10, 300, 100000),
});

/**
 * A full tree: the root (table 0, below table 8 with five levels) leads to table 1, that to tables 2 and 3, every slot of those to one
 * of tables 4 to 7, and every slot of these to a page. Batches need it: they walk many regions fast where all is well.
 */
export function fullTree({ seed, old, odd }: Density): Tables {
  const next = random(seed);
  const entries: Tables['entries'] = [];
  const put = (table: number, slot: number, pfn: number) => {
    let entry = (BigInt(pfn) << 12n) | 7n | (next(old) === 0 ? 0n : 0x20n) | (next(2) === 0 ? 0n : 0x40n);
    if (next(odd) === 0) entry ^= [1n, 2n, 4n, 0x80n, 1n << 63n, 1n << 45n, 3n << 59n, 1n << 59n][next(8)] as bigint;
    entries.push({ table, slot, entry });
  };
  for (let slot = 0; slot < 512; slot++) {
    put(8, slot, BASE_PFN);
    put(0, slot, BASE_PFN + 1);
    put(1, slot, BASE_PFN + 2 + next(2));
    for (const table of [2, 3]) put(table, slot, next(odd) === 0 ? FAR_PFN : BASE_PFN + 4 + next(4));
    for (const table of [4, 5, 6, 7]) put(table, slot, next(1 << 24));
  }
  return { entries };
}

export { SLOTS };
