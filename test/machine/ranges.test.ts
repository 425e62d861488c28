// Range operations as people call them: results with counts, exact ranges, bitmaps as typed arrays, and the flush that is owed.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PhysicalMemory } from '../../src/machine/memory.ts';
import { PageBitmap } from '../../src/machine/ranges.ts';
import type { AddressSpace } from '../../src/machine/space.ts';
import { MiB, vpn } from '../../src/units.ts';

const VA = 0x7f00_0000_0000n;
const PAGE = 4096n;
const FIRST = vpn(Number(VA / PAGE));
let memory: PhysicalMemory;
let space: AddressSpace;

beforeEach(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 2 * MiB, heapBytes: MiB });
  space = memory.createAddressSpace();
  space.map(VA, 0x1000_0000n, 256n * PAGE, { read: true, write: true, user: true });
});
afterEach(() => {
  space.dispose();
  memory.dispose();
});

const write = (page: number) => space.access(VA + BigInt(page) * PAGE, 'user-write');
const at = (page: number) => VA + BigInt(page) * PAGE;

test('cleanAndRecord tells which pages were written, from where to where, and what to flush', () => {
  using ranges = space.ranges();
  using bitmap = new PageBitmap(memory, FIRST, 256);
  for (const page of [3, 4, 200]) expect(write(page).kind).toBe('mapped');
  const result = ranges.cleanAndRecord(VA, 256n * PAGE, bitmap);
  expect(result).toMatchObject({ touched: 3, range: { first: at(3), last: at(201) - 1n }, largeLeft: 0 });
  expect(result.flush).toMatchObject({
    kind: 'ranges',
    invalidations: 3,
    ranges: [
      { first: at(3), last: at(5) - 1n },
      { first: at(200), last: at(201) - 1n },
    ],
  });
  expect([...bitmap]).toEqual([3, 4, 200].map((page) => FIRST + page));
  expect(bitmap.words[0]).toBe(0x18n);
  expect([bitmap.start, bitmap.end, bitmap.count()]).toEqual([3, 201, 3]);
  expect(bitmap.has(vpn(FIRST + 4))).toBe(true);
  expect(bitmap.has(vpn(FIRST + 5))).toBe(false);
  expect(bitmap.has(vpn(FIRST - 1))).toBe(false);
  expect(ranges.cleanAndRecord(VA, 256n * PAGE, bitmap)).toMatchObject({ touched: 0, range: undefined });
});

test('what is owed adds up until the flush was done, and a bitmap until it is cleared', () => {
  using ranges = space.ranges({ policy: 'span', ceiling: 'linux-x86' });
  using bitmap = new PageBitmap(memory, FIRST, 256);
  write(1);
  ranges.cleanAndRecord(VA, 256n * PAGE, bitmap);
  write(9);
  expect(ranges.cleanAndRecord(VA, 256n * PAGE, bitmap).flush).toMatchObject({ invalidations: 9 });
  expect([bitmap.start, bitmap.end, bitmap.count()]).toEqual([1, 10, 2]);
  write(100);
  ranges.cleanAndRecord(VA, 256n * PAGE, bitmap);
  expect(ranges.owed.kind).toBe('full');
  ranges.flushed();
  expect(ranges.owed.kind).toBe('none');
  bitmap.clear();
  expect([bitmap.start, bitmap.end, bitmap.count()]).toEqual([256, 0, 0]);
});

test('after writeProtect a write faults, dirty pages are still dirty, and cached translations are out of date', () => {
  using ranges = space.ranges();
  using bitmap = new PageBitmap(memory, FIRST, 256);
  write(7);
  const generation = space.generation;
  expect(ranges.writeProtect(VA, 128n * PAGE)).toMatchObject({ touched: 128, flush: { invalidations: 128 } });
  expect(space.generation).not.toBe(generation);
  expect(write(7).kind).toBe('fault');
  expect(write(128).kind).toBe('mapped');
  expect(ranges.harvest('dirty', VA, 256n * PAGE, bitmap)).toMatchObject({ touched: 2 });
  expect([...bitmap]).toEqual([FIRST + 7, FIRST + 128]);
  const before = space.generation;
  expect(ranges.writeProtect(VA, 128n * PAGE).touched).toBe(0);
  expect(space.generation).toBe(before);
});

test('soft-dirty, young and written are harvested and cleared', () => {
  using ranges = space.ranges({ settled: true });
  using bitmap = new PageBitmap(memory, FIRST, 256);
  space.unmap(VA, 16n * PAGE);
  space.map(VA, 0x1000_0000n, 16n * PAGE, { read: true, write: true, softDirty: true });
  expect(ranges.harvest('soft-dirty', VA, 256n * PAGE, bitmap).touched).toBe(16);
  expect(ranges.clearSoftDirty(VA, 256n * PAGE).touched).toBe(256);
  bitmap.clear();
  expect(ranges.harvest('soft-dirty', VA, 256n * PAGE, bitmap).touched).toBe(0);
  space.access(at(20), 'user-read');
  expect(ranges.harvest('young', VA, 256n * PAGE, bitmap).touched).toBe(1);
  expect(ranges.age(VA, 256n * PAGE).touched).toBe(1);
  expect(ranges.age(VA, 256n * PAGE).touched).toBe(0);
  expect(ranges.harvest('written', VA, 256n * PAGE, bitmap).touched).toBe(256);
});

test('a large page is left alone and warned about, and never split', () => {
  using ranges = space.ranges();
  using bitmap = new PageBitmap(memory, vpn(0x40000), 1024);
  space.map(0x4000_0000n, 0x4000_0000n, 4n * BigInt(MiB), { read: true, write: true, user: true }, '2MiB');
  space.access(0x4000_0000n, 'user-write');
  expect(ranges.cleanAndRecord(0x4000_0000n, 4n * BigInt(MiB), bitmap)).toMatchObject({
    touched: 0,
    largeLeft: 2,
    largeWarned: 2,
  });
  expect(ranges.harvest('dirty', 0x4000_0000n, 4n * BigInt(MiB), bitmap).touched).toBe(1);
  expect(bitmap.count()).toBe(512);
  expect(ranges.age(0x4000_0000n, 4096).largeLeft).toBe(1);
  expect(ranges.age(0x4000_0000n, 2 * MiB)).toMatchObject({ touched: 1, flush: { strideBytes: 2 * MiB } });
});

test('a transaction leaves what one atomic leaves', () => {
  const tables = (['atomic', 'transaction'] as const).map((update) => {
    using ranges = space.ranges({ update });
    for (let page = 0; page < 256; page += 3) write(page);
    ranges.writeProtect(VA, 256n * PAGE);
    const entries = [...space.mappings({ fold: false })].map((mapping) => mapping.entry);
    space.unmap(VA, 256n * PAGE);
    space.map(VA, 0x1000_0000n, 256n * PAGE, { read: true, write: true, user: true });
    return entries;
  });
  expect(tables[0]).toHaveLength(256);
  expect(tables[0]).toEqual(tables[1]);
});

describe('what is wrong is named', () => {
  test('ranges', () => {
    using ranges = space.ranges();
    expect(() => ranges.age(1, 4096)).toThrow('"va" must be page-aligned, got 0x1');
    expect(() => ranges.age(0, 1)).toThrow('"sizeBytes" must be page-aligned, got 0x1');
    expect(() => ranges.age(0, 0)).toThrow('"sizeBytes" must keep the range in one canonical half, got 0x0');
    expect(() => ranges.age(0x7fff_ffff_f000n, 8192)).toThrow('one canonical half');
    expect(() => ranges.age(0x8000_0000_0000n, 4096)).toThrow('one canonical half');
    expect(ranges.age(0xffff_ffff_ffff_f000n, 4096).touched).toBe(0);
    expect(ranges.age(0xffff_8000_0000_0000n, 1n << 47n).touched).toBe(0);
  });

  test('options and bitmaps', () => {
    expect(() => space.ranges({ update: 'plain' as 'atomic' })).toThrow('"update" must be atomic or transaction');
    expect(() => new PageBitmap(memory, FIRST, 0)).toThrow('"pages" must be from 1 to 2^31, got 0');
    const ranges = space.ranges();
    const bitmap = new PageBitmap(memory, FIRST, 8);
    expect(() => ranges.harvest('dirty', VA, 9n * PAGE, bitmap)).toThrow(
      '"bitmap" must hold pages 0x7f0000000 to 0x7f0000008',
    );
    expect(() => ranges.harvest('clean' as 'dirty', VA, PAGE, bitmap)).toThrow('"kind" must be one of dirty');
    bitmap.dispose();
    bitmap.dispose();
    expect(() => ranges.harvest('dirty', VA, PAGE, bitmap)).toThrow('this bitmap was disposed of');
    ranges.dispose();
    ranges.dispose();
    expect(() => ranges.age(VA, PAGE)).toThrow('these range operations were disposed of');
  });
});
