// Range operations against a map of pages: the same tables bit for bit, counts, ranges, bitmaps and flush plans, for all page sizes, every
// build, every way of updating, at every alignment of both ends.

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { changed, type Leaf, OPERATIONS, type Operation, operate } from '../oracle/ranges.ts';
import { framesOf, layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { callScan, NONE_SET, prepareScan, readScan, type ScanOptions } from '../support/scan.ts';
import { random } from '../support/tables.ts';

const MIDDLE = 0x7fff_c000_0000n; // a boundary of level 2
const PAGES = 5 * 512;
const BITMAP_BYTES = 1 << 16;
const LIMIT = 4096;
const { SCAN_SETTLED, SCAN_TRANSACTION } = layout;

interface Bench {
  rig: Rig;
  space: number;
  scan: number;
  bitmap: number;
  tracker: number;
  base: bigint;
}

/** Pages 0 to 511 and 1024 to 1535 small, 512 to 1023 one large page, nothing from 1536 on, small again from 2048. */
async function makeBench(build: 'release' | 'chaos', levels: 4 | 5 = 4, base = MIDDLE - (512n << 12n)): Promise<Bench> {
  const rig = await makeRig({ frames: 64, build });
  const space = makeSpace(rig, levels);
  const prot = layout.PROT_READ | layout.PROT_WRITE;
  for (const [at, pages, top] of [
    [0, 512, 0],
    [512, 512, 1],
    [1024, 512, 0],
    [2048, 512, 0],
  ] as const) {
    const va = base + (BigInt(at) << 12n);
    expect(rig.core.map(space, va, BigInt(0x100000 + at) << 12n, BigInt(pages) << 12n, prot, top)).toBe(
      layout.STATUS_OK,
    );
  }
  const scan = rig.core.heapAllocate(layout.SCAN_BYTES) >>> 0;
  const bitmap = rig.core.heapAllocate(BITMAP_BYTES) >>> 0;
  const tracker = rig.core.heapAllocate(layout.TRACK_RANGES + 16 * (LIMIT + 1)) >>> 0;
  return { rig, space, scan, bitmap, tracker, base };
}

const slotOf = ({ rig, space, base }: Bench, page: number, level: 0 | 1) =>
  (rig.core.entryAddress(space, base + (BigInt(page) << 12n), level) >>> 0) / 8;

/** Index of the word of each leaf entry, by its first page. */
function slotsOf(bench: Bench): Map<number, number> {
  const slots = new Map<number, number>();
  for (const first of [0, 1024, 2048]) {
    const table = slotOf(bench, first, 0);
    for (let n = 0; n < 512; n++) slots.set(first + n, table + n);
  }
  return slots.set(512, slotOf(bench, 512, 1));
}

/** Bits that the operations look at, and some that they must keep. */
const BITS = [0n, 1n, 2n, 5n, 6n, 8n, 9n, 10n, 11n, 58n, 59n, 63n].map((n) => 1n << n);
const FRAME = 0x000f_ffff_ffff_f000n;

/** A leaf entry: mostly present, in the states that tables are in, or any bits at all. */
function entryOf(next: (below: number) => number, style: number): bigint {
  const frame = BigInt(next(1 << 24)) << 12n;
  if (style === 0) return BITS.reduce((entry, bit) => (next(2) === 0 ? entry | bit : entry), frame);
  if (next(style === 1 ? 20 : 400) === 0) return [0n, 0x60n, frame | 0x802n, frame | 0x100n][next(4)] as bigint; // none, stray, swap, PROTNONE
  const state = [1n, 3n, 0x21n, 0x23n, 0x61n, 0x63n, 0x863n, 0x827n, 0x21n | (1n << 58n)];
  // SavedDirty stays behind where a right to write is given back without pte_mkwrite(): neighbours that agree in all else differ in it.
  const saved = style > 1 && next(2) === 0 ? 1n << 58n : 0n;
  return frame | saved | (state[style === 1 ? next(state.length) : style - 2] as bigint);
}

/** Fills the tables; `style` 0: any bits, 1: a mix of states, 2 and up: one state nearly everywhere. */
function fill(bench: Bench, slots: Map<number, number>, seed: number, style: number): Map<number, Leaf> {
  const next = random(seed);
  const leaves = new Map<number, Leaf>();
  const lasting = next(3) === 0 ? 0 : next(512);
  for (const [page, slot] of slots) {
    const large = page === 512;
    let entry = entryOf(next, style > 1 && page % 512 >= lasting ? style : Math.min(style, 1));
    if (large) entry = (entry & ~FRAME) | 0x80n | (BigInt(next(1 << 15)) << 21n) | (next(8) === 0 ? 0n : 1n);
    bench.rig.u64[slot] = entry;
    leaves.set(page, { entry, pages: large ? 512 : 1 });
  }
  return leaves;
}

interface Job {
  operation: Operation;
  from: number;
  to: number;
  flags: number;
  /** The bitmap begins so many pages before the range. */
  lead: number;
  policy: number;
}

/** Runs a job on the core and on the map and compares all there is. */
function check(bench: Bench, slots: Map<number, number>, leaves: Map<number, Leaf>, job: Job): void {
  const { rig, space, scan, bitmap, tracker, base } = bench;
  const { operation, from, to, lead } = job;
  const firstPage = base >> 12n;
  rig.bytes.fill(0, bitmap, bitmap + BITMAP_BYTES);
  rig.core.initializeTracker(tracker, job.policy, LIMIT, 0);
  const origin = firstPage + BigInt(from - lead);
  const va = base + (BigInt(from) << 12n);
  const last = base + (BigInt(to) << 12n) + 0xfffn;
  const before = rig.u32[(space + layout.SPACE_GENERATION) / 4] as number;
  const options: ScanOptions = { va, last, flags: job.flags, bitmap, origin, tracker };
  prepareScan(rig, scan, options);
  callScan(rig.core, operation, space, scan);
  const want = operate(operation, leaves, from, to);
  const got = readScan(rig, scan);

  for (const [page, slot] of slots) {
    if (rig.u64[slot] !== leaves.get(page)?.entry) {
      const what = `page ${page}: 0x${(rig.u64[slot] as bigint).toString(16)}`;
      expect.fail(`${what} instead of 0x${leaves.get(page)?.entry.toString(16)} after ${JSON.stringify(job)}`);
    }
  }
  const at = (page: number) => base + (BigInt(page) << 12n);
  expect({ touched: got.touched, huge: got.huge, warned: got.warned }).toEqual({
    touched: want.touched,
    huge: want.huge,
    warned: want.warned,
  });
  if (want.first !== undefined && want.last !== undefined) {
    expect([got.first, got.last]).toEqual([at(want.first), at(want.last) + 0xfffn]);
    expect([got.start, got.end]).toEqual([BigInt(want.first - from + lead), BigInt(want.last - from + lead + 1)]);
  } else {
    expect([got.start, got.end]).toEqual([NONE_SET, 0n]);
  }
  const bits: number[] = [];
  for (let n = 0; n < BITMAP_BYTES / 4; n++) {
    for (let word = rig.u32[bitmap / 4 + n] as number; word !== 0; word &= word - 1) {
      bits.push(32 * n + 31 - Math.clz32(word & -word) - lead + from);
    }
  }
  expect(bits).toEqual([...want.bits].sort((a, b) => a - b));

  const ranges = Array.from({ length: rig.u32[(tracker + layout.TRACK_COUNT) / 4] as number }, (_, n) => {
    const word = (tracker + layout.TRACK_RANGES) / 8 + 2 * n;
    return [rig.u64[word], rig.u64[word + 1]];
  });
  const runs: [bigint, bigint][] = [];
  for (const page of [...want.flush].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] + 1n === at(page)) run[1] = at(page) + 0xfffn;
    else runs.push([at(page), at(page) + 0xfffn]);
  }
  const span = runs.length === 0 ? [] : [[runs[0]?.[0], runs.at(-1)?.[1]]];
  expect(ranges).toEqual(job.policy === layout.TRACK_EXACT ? runs : span);
  const moved = want.flush.size > 0 ? 1 : 0;
  expect((rig.u32[(space + layout.SPACE_GENERATION) / 4] as number) - before).toBe(moved);
  expect(rig.u32[(space + layout.SPACE_LOCK) / 4]).toBe(0);
}

const edge = fc.oneof(
  fc.nat({ max: PAGES - 1 }),
  fc.constantFrom(0, 63, 64, 65, 127, 128, 511, 512, 513, 1023, 1024, 1087, 1088, 1535, 1536, 2047, 2048, PAGES - 1),
);
const job: fc.Arbitrary<Job> = fc
  .record({
    operation: fc.constantFrom(...OPERATIONS),
    ends: fc.tuple(edge, edge),
    flags: fc.constantFrom(0, SCAN_TRANSACTION, SCAN_SETTLED, SCAN_SETTLED | SCAN_TRANSACTION),
    lead: fc.oneof(fc.constant(0), fc.nat({ max: 200 })),
    policy: fc.constantFrom(layout.TRACK_EXACT, layout.TRACK_SPAN),
  })
  .map(({ ends, ...rest }) => ({ ...rest, from: Math.min(...ends), to: Math.max(...ends) }));
const scene = fc.record({
  seed: fc.integer(),
  style: fc.nat({ max: 10 }),
  jobs: fc.array(job, { minLength: 1, maxLength: 6 }),
});

describe.each([
  ['release', 4, MIDDLE - (512n << 12n), 150],
  ['release', 5, (1n << 64n) - (BigInt(PAGES) << 12n), 40],
  ['chaos', 4, 0n, 40],
] as const)('%s build, %i levels, from 0x%s', (build, levels, base, numRuns) => {
  test('any sequence of operations leaves the tables, counts, ranges, bitmaps and plans that the map says', async () => {
    const bench = await makeBench(build, levels, base);
    const slots = slotsOf(bench);
    fc.assert(
      fc.property(scene, ({ seed, style, jobs }) => {
        const leaves = fill(bench, slots, seed, style);
        for (const job of jobs) check(bench, slots, leaves, job);
      }),
      { numRuns },
    );
  });
});

describe('at every alignment', () => {
  let bench: Bench;
  let slots: Map<number, number>;
  beforeAll(async () => {
    bench = await makeBench('release');
    slots = slotsOf(bench);
  });

  test.each(OPERATIONS)('%s begins and ends exactly where it is told, in every way of updating', (operation) => {
    const table = slotOf(bench, 0, 0);
    const { rig, scan, space, base } = bench;
    const pristine = fill(bench, slots, 7, 7); // all dirty, writable, young
    const entries = Array.from({ length: 512 }, (_, n) => (pristine.get(n) as Leaf).entry);
    for (const flags of [0, SCAN_TRANSACTION, SCAN_SETTLED]) {
      for (let from = 0; from < 512; from += from < 140 || from > 380 ? 1 : 37) {
        for (const to of new Set([from, from + 1, from + 63, from + 64, from + 129, 511])) {
          if (to > 511) continue;
          rig.u64.set(entries, table);
          prepareScan(rig, scan, {
            va: base + (BigInt(from) << 12n),
            last: base + (BigInt(to) << 12n) + 0xfffn,
            flags,
          });
          callScan(rig.core, operation, space, scan);
          const want = entries.map((e, n) => (n >= from && n <= to ? (changed(operation, e) ?? e) : e));
          const wrong = want.findIndex((entry, n) => rig.u64[table + n] !== entry);
          if (wrong >= 0) expect.fail(`entry ${wrong} of [${from}, ${to}], flags ${flags}`);
        }
      }
    }
  });
});

test('what is not present is left alone: swap, migration and none entries whose bits look writable or dirty', async () => {
  const bench = await makeBench('release');
  const table = slotOf(bench, 0, 0);
  const { rig, scan, space, base } = bench;
  // Soft-dirty of a swap entry stands where a present one has RW, and stray A and D may stand in a none entry.
  const entries = Array.from(
    { length: 512 },
    (_, n) => [0x1234_0802n, 0x60n, 0n, (1n << 58n) | 0xc00n][n % 4] as bigint,
  );
  for (const operation of OPERATIONS) {
    for (const flags of [0, SCAN_SETTLED, SCAN_TRANSACTION]) {
      rig.u64.set(entries, table);
      prepareScan(rig, scan, { va: base, last: base + 0x1fffffn, flags });
      callScan(rig.core, operation, space, scan);
      expect(readScan(rig, scan).touched).toBe(0);
      expect([...rig.u64.subarray(table, table + 512)]).toEqual(entries);
    }
  }
});

test('PROTNONE entries are present: they are cleaned and aged', async () => {
  const bench = await makeBench('release');
  const table = slotOf(bench, 0, 0);
  const { rig, scan, space, base } = bench;
  const protnone = 0x100n | 0x20n | (1n << 58n) | 0xfff_0000_0000_0000n;
  rig.u64[table + 5] = protnone & ~1n;
  prepareScan(rig, scan, { va: base + 0x5000n, last: base + 0x5fffn });
  callScan(rig.core, 'clean', space, scan);
  expect(readScan(rig, scan).touched).toBe(1);
  callScan(rig.core, 'age', space, scan);
  expect(readScan(rig, scan).touched).toBe(1);
  expect(rig.u64[table + 5]).toBe(protnone & ~((1n << 58n) | 0x20n | 1n));
});

test('with CR0.WP clear a read-only entry without D is not settled: it takes the atomic, and the result is the same', async () => {
  const bench = await makeBench('release');
  const { rig, space } = bench;
  const slots = slotsOf(bench);
  rig.core.setRegime(space, layout.CR_NXE | layout.CR_GBPAGES, 0, 46);
  const leaves = fill(bench, slots, 3, 4);
  check(bench, slots, leaves, { operation: 'age', from: 0, to: 511, flags: SCAN_SETTLED, lead: 0, policy: 0 });
});

test('a table outside physical memory and a region without tables are passed over', async () => {
  const bench = await makeBench('release');
  const { rig, scan, space } = bench;
  const slot = slotOf(bench, 2048, 1);
  const before = framesOf(rig, 0, rig.frames).slice();
  const kept = rig.u64[slot] as bigint;
  rig.u64[slot] = (kept & 0xfffn) | (0x3fff_ffffn << 12n);
  prepareScan(rig, scan, { va: 0n, last: (1n << 47n) - 1n });
  callScan(rig.core, 'dirty', space, scan);
  expect(readScan(rig, scan)).toMatchObject({ touched: 0 });
  rig.u64[slot] = kept;
  expect(Buffer.compare(before, framesOf(rig, 0, rig.frames))).toBe(0);
});

test('a 1 GiB page is aged as one entry and has a bit for each of its 262,144 pages', async () => {
  const rig = await makeRig({ frames: 16, heapBytes: 1 << 20 });
  const space = makeSpace(rig);
  const va = 5n << 30n;
  const prot = layout.PROT_READ | layout.PROT_ACCESSED;
  expect(rig.core.map(space, va, 1n << 30n, 1n << 30n, prot, 2)).toBe(layout.STATUS_OK);
  const scan = rig.core.heapAllocate(layout.SCAN_BYTES) >>> 0;
  const bitmap = rig.core.heapAllocate(1 << 16) >>> 0;
  const tracker = rig.core.heapAllocate(1024) >>> 0;
  rig.core.initializeTracker(tracker, layout.TRACK_EXACT, 4, 0);
  rig.bytes.fill(0, bitmap, bitmap + (1 << 16));
  // One page less at the end: a part of the page is left alone, and a harvest tells of that part.
  prepareScan(rig, scan, { va, last: va + (1n << 30n) - 4097n, bitmap, origin: va >> 12n, tracker });
  callScan(rig.core, 'age', space, scan);
  expect(readScan(rig, scan)).toMatchObject({ touched: 0, huge: 1, warned: 0 });
  callScan(rig.core, 'young', space, scan);
  expect(readScan(rig, scan)).toMatchObject({ touched: 1, start: 0n, end: 262143n });
  expect(rig.u64[bitmap / 8 + 4095]).toBe((1n << 63n) - 1n);
  prepareScan(rig, scan, { va, last: va + (1n << 30n) - 1n, bitmap, origin: va >> 12n, tracker });
  callScan(rig.core, 'age', space, scan);
  expect(readScan(rig, scan)).toMatchObject({ touched: 1, huge: 0, first: va, last: va + (1n << 30n) - 1n });
  expect(rig.u64.subarray(bitmap / 8, bitmap / 8 + 4096).every((word) => word === (1n << 64n) - 1n)).toBe(true);
  expect(rig.core.plannedInvalidations(tracker)).toBe(1);
  callScan(rig.core, 'age', space, scan);
  expect(readScan(rig, scan).touched).toBe(0);
});
