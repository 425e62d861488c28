// The TLB as people use it from TypeScript: a model is checked, results are unions, and what it holds can be read.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Fill,
  type Mapped,
  PhysicalMemory,
  TLB_PRESETS,
  Tlb,
  type TlbArray,
  type TlbEntry,
  type TlbModel,
  type TlbPreset,
} from '../../src/machine/index.ts';
import { physicalAddress, type VirtualAddress, virtualAddress } from '../../src/units.ts';

const RIGHTS = { read: true, write: true, execute: false, user: true };
const mapped = (pa: number, level = 0): Mapped => ({
  kind: 'mapped',
  pa: physicalAddress(pa),
  level,
  rights: RIGHTS,
  accessed: true,
  dirty: false,
});
const va = (value: bigint | number | string) => virtualAddress(value);
const presets = Object.keys(TLB_PRESETS) as TlbPreset[];
const SIZES = [4096, 2 ** 21, 2 ** 30];

let memory: PhysicalMemory;
beforeEach(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 2 ** 20, heapBytes: 2 ** 20 });
});
afterEach(() => memory.dispose());

const small: TlbModel = {
  arrays: [
    { name: 'L1', level: 1, pages: [0, 1], sets: 2, ways: 2 },
    { name: 'L2', level: 2, pages: [0, 1], sets: 4, ways: 4 },
  ],
};
const fillOf = (address: VirtualAddress, rest: Partial<Fill> = {}): Fill => ({
  va: address,
  asid: 3,
  mapped: mapped(0x5000),
  ...rest,
});

test('a fill answers look-ups in its ASID with the rights it was filled with', () => {
  using tlb = new Tlb(memory, small);
  expect(tlb.lookUp(va(0x1234), 3)).toEqual({ kind: 'miss' });
  expect(tlb.fill(fillOf(va(0x1234), { slot: 64 as NonNullable<Fill['slot']> }))).toBe('filled');
  expect(tlb.lookUp(va(0x1fff), 3)).toEqual({
    kind: 'hit',
    entry: {
      kind: 'translation',
      array: 'L1',
      set: 1,
      way: 0,
      va: 0x1000n,
      sizeBytes: 4096,
      asid: 3,
      mapped: mapped(0x5000),
      slot: 64,
    },
  });
  expect(tlb.lookUp(va(0x1234), 4)).toEqual({ kind: 'miss' });
});

test('entries lists what is valid, and evict drops the n-th of it', () => {
  using tlb = new Tlb(memory, small);
  for (const address of [0x1000, 0x2000]) tlb.fill(fillOf(va(address)));
  tlb.fill(fillOf(va(0x600000), { global: true, mapped: mapped(0x200000, 1) }));
  const list = () => [...tlb.entries()].map((entry) => `${entry.array} ${entry.va} ${entry.sizeBytes} ${entry.asid}`);
  const all = list();
  expect(all).toHaveLength(6);
  expect(all).toContain(`L2 ${0x600000} ${2 ** 21} global`);
  expect(tlb.validEntries).toBe(6);
  expect(tlb.evict(4)).toBe(true);
  expect(list()).toEqual(all.filter((_, n) => n !== 4));
  expect(tlb.evict(5)).toBe(false);
});

test('statistics add up: hits and misses are the accesses, and what is left is valid', () => {
  using tlb = new Tlb(memory, small);
  for (let n = 0; n < 500; n++) {
    const address = va(((n * 7) % 24) * 4096);
    if (tlb.lookUp(address, 3).kind === 'miss') tlb.fill(fillOf(address));
    if (n % 50 === 0) tlb.invalidatePage(address, 3);
    if (n % 90 === 0) tlb.invalidateRange(va(0), va(0x7fff), 3);
  }
  tlb.invalidateAsid(9);
  tlb.invalidateNotGlobal();
  tlb.fill(fillOf(va(0)));
  const { accesses, misses, arrays, flushes } = tlb.statistics();
  expect(arrays.reduce((sum, { hits }) => sum + hits, 0) + misses).toBe(accesses);
  expect(accesses).toBe(500);
  expect(arrays.map(({ valid }) => valid)).toEqual([1, 1]);
  expect(flushes).toEqual({ page: 10, range: 6, asid: 1, notGlobal: 1, all: 0 });
});

test('where other CPUs invalidate, a fill that was overtaken says so and leaves nothing', () => {
  using tlb = new Tlb(memory, small, { broadcast: true });
  const begun = tlb.begin();
  tlb.invalidatePage(va(0x9000), 1);
  expect(tlb.fill(fillOf(va(0x1000), { begun }))).toBe('overtaken');
  expect(tlb.validEntries).toBe(0);
  expect(tlb.fill(fillOf(va(0x1000), { begun: tlb.begin() }))).toBe('filled');
  expect(() => tlb.fill(fillOf(va(0x1000)))).toThrow('"begun" is missing');
});

test('a range goes by its stride, and globals and paging structures by the scope', () => {
  using tlb = new Tlb(memory, small);
  const refill = () => {
    tlb.invalidateAll();
    tlb.fill(fillOf(va(0x200000)));
    tlb.fill(fillOf(va(0x201000)));
    tlb.fill(fillOf(va(0x202000), { global: true }));
  };
  const left = () => [0x200000, 0x201000, 0x202000].filter((at) => tlb.lookUp(va(at), 3).kind === 'hit');
  refill();
  tlb.invalidateRange(va(0x200000), va(0x3fffff), 3, { strideBytes: 2 ** 21 });
  expect(left()).toEqual([0x201000, 0x202000]);
  refill();
  tlb.invalidateRange(va(0x200000), va(0x202fff), 3, { global: false });
  expect(left()).toEqual([0x202000]);
  refill();
  tlb.invalidateRange(va(0x200000), va(0x202fff), 3);
  expect(left()).toEqual([]);
});

describe.each(presets)('%s', (preset) => {
  const model: TlbModel = TLB_PRESETS[preset];

  test('serves data and fetches of each page size', () => {
    using tlb = new Tlb(memory, model);
    for (const access of ['data', 'fetch'] as const) {
      for (const [level, size] of SIZES.entries()) {
        const address = va(BigInt(size) * 5n);
        tlb.invalidateAll();
        expect(tlb.lookUp(address, 1, access).kind).toBe('miss');
        tlb.fill({ va: address, asid: 1, mapped: mapped(0, level), fetch: access === 'fetch' });
        const found = tlb.lookUp(address, 1, access) as { kind: string; entry: TlbEntry };
        expect(found.kind).toBe('hit');
        expect(found.entry.sizeBytes).toBeLessThanOrEqual(size);
        expect(found.entry.mapped.level).toBe(level);
      }
    }
  });

  test('holds as many data pages of 4 KiB as its data arrays have entries', () => {
    using tlb = new Tlb(memory, model);
    const capacity = (level: 1 | 2) =>
      model.arrays
        .filter((array: TlbArray) => array.level === level && array.serves !== 'fetch' && array.pages.includes(0))
        .reduce((sum, { sets, ways }) => sum + sets * ways, 0);
    const most = Math.max(capacity(1), capacity(2));
    for (let n = 0; n < most; n++) tlb.fill(fillOf(va(BigInt(n) * 4096n)));
    const before = tlb.statistics();
    for (let n = 0; n < most; n++) tlb.lookUp(va(BigInt(n) * 4096n), 3);
    expect(tlb.statistics().misses).toBe(before.misses);
    tlb.fill(fillOf(va(BigInt(most) * 4096n)));
    tlb.lookUp(va(0), 3);
    // One page too many: in a set of level 2, or in all of level 1 where there is no other, page 0 was the oldest or its like.
    const evictions = tlb.statistics().arrays.reduce((sum, array) => sum + array.evictions, 0);
    expect(evictions).toBeGreaterThan(0);
  });
});

describe('a model that makes no sense is refused by name', () => {
  const L1: TlbArray = { name: 'L1', level: 1, pages: [0], sets: 1, ways: 4 };
  test.each<[string, TlbModel]>([
    ['"arrays" must be 1 to 16, got 0', { arrays: [] }],
    ['array "L1": "sets" must be a power of two up to 65536, got 3', { arrays: [{ ...L1, sets: 3 }] }],
    ['array "L1": "ways" must be from 1 to 128, got 0', { arrays: [{ ...L1, ways: 0 }] }],
    [
      'array "L1": "ways" must be a power of two up to 64 for tree-plru, got 6',
      { arrays: [{ ...L1, ways: 6, replacement: 'tree-plru' }] },
    ],
    ['array "L1": "pages" must be levels from 0 to 4, got 5', { arrays: [{ ...L1, pages: [0, 5] }] }],
    [
      'arrays "L1" and "other" both take pages of level 0 for data',
      { arrays: [L1, { ...L1, name: 'other', serves: 'data' }] },
    ],
    ['no array of level 1 takes the smallest page for fetch', { arrays: [{ ...L1, serves: 'data' }] }],
    ['inclusive, but level 2 does not take pages of level 0 for data', { arrays: [L1], inclusion: 'inclusive' }],
    ['"pageShift" must be from 12 to 16, got 11', { arrays: [L1], pageShift: 11 }],
    [
      'array "PDE": "pages" must be levels from 1 to 4, got 0',
      { arrays: [L1, { name: 'PDE', level: 'structures', pages: [0], sets: 1, ways: 2 }] },
    ],
  ])('%s', (message, model) => {
    expect(() => new Tlb(memory, model)).toThrow(message);
  });

  test('and nothing of it stays in the heap; one that does not fit says so', () => {
    const many: TlbModel = { arrays: [{ ...L1, sets: 65536 }] };
    expect(() => new Tlb(memory, many)).toThrow('the heap has no room for a TLB of 262144 entries');
    const first = new Tlb(memory, small);
    const { handle } = first;
    first.dispose();
    first.dispose();
    using second = new Tlb(memory, small);
    expect(second.handle).toBe(handle);
    expect(() => first.lookUp(va(0), 0)).toThrow('this TLB was disposed of');
  });

  test.each([-1, 65536, 1.5])('"asid" must be from 0 to 65535, got %s', (asid) => {
    using tlb = new Tlb(memory, small);
    expect(() => tlb.lookUp(va(0), asid)).toThrow(`"asid" must be from 0 to 65535, got ${asid}`);
  });
});
