// Flush tracking against a set of pages, and its merge rule against a plain statement of it.
//
// Guarantees checked: the plan covers what was added; exact plans with room for all runs cover nothing else; never more ranges than
// the limit; the two neighbours merge that the rule names; the ends of the address space do not touch.

import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { layout, makeRig, type Rig } from '../support/core.ts';

const MOST = 32;
const LAST_PAGE = 2 ** 52 - 1;
let rig: Rig;
let tracker: number;

beforeAll(async () => {
  rig = await makeRig({ frames: 1 });
  tracker = rig.core.heapAllocate(layout.TRACK_RANGES + 16 * (MOST + 1)) >>> 0;
});

interface PageRun {
  first: number;
  last: number;
}

/** The ranges of the tracker, as page numbers. */
function ranges(): PageRun[] {
  const count = rig.u32[(tracker + layout.TRACK_COUNT) / 4] as number;
  return Array.from({ length: count }, (_, n) => {
    const at = (tracker + layout.TRACK_RANGES) / 8 + 2 * n;
    const [first, last] = [rig.u64[at] as bigint, rig.u64[at + 1] as bigint];
    expect(first & 0xfffn).toBe(0n);
    expect(last & 0xfffn).toBe(0xfffn);
    return { first: Number(first >> 12n), last: Number(last >> 12n) };
  });
}

const start = (policy: number, limit = MOST, ceiling = 0) =>
  rig.core.initializeTracker(tracker, policy, limit, ceiling);
const add = (first: number, pages = 1, shift = 12) => rig.core.trackRange(tracker, first, pages, shift);

/** Runs of a set of pages. */
function runsOf(pages: ReadonlySet<number>): PageRun[] {
  const runs: PageRun[] = [];
  for (const page of [...pages].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run.last + 1 === page) run.last = page;
    else runs.push({ first: page, last: page });
  }
  return runs;
}

/** Runs that overlap or touch as one. */
function joined(runs: readonly PageRun[]): PageRun[] {
  const result: PageRun[] = [];
  for (const { first, last } of [...runs].sort((a, b) => a.first - b.first)) {
    const run = result.at(-1);
    if (run !== undefined && first <= run.last + 1) run.last = Math.max(run.last, last);
    else result.push({ first, last });
  }
  return result;
}

/** The rule, said plainly: join what touches; while there are too many, join the lowest of the closest neighbours. */
function ruled(adds: readonly { at: number; pages: number }[], limit: number): PageRun[] {
  let runs: PageRun[] = [];
  for (const { at, pages } of adds) {
    if (pages > 0) runs = joined([...runs, { first: at, last: at + pages - 1 }]);
    while (runs.length > limit) {
      const gaps = runs.slice(1).map((run, n) => run.first - (runs[n] as PageRun).last);
      const n = gaps.indexOf(Math.min(...gaps));
      runs.splice(n, 2, { first: (runs[n] as PageRun).first, last: (runs[n + 1] as PageRun).last });
    }
  }
  return runs;
}

/** Where the pages lie: at the bottom, in the middle and at the very end of the address space. */
const base = fc.constantFrom(0, 0x7f0000000, LAST_PAGE - 400);
const adds = fc.array(
  fc.record({
    at: fc.oneof(fc.nat({ max: 380 }), fc.constantFrom(0, 400)),
    pages: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 })),
  }),
  { maxLength: 40, size: 'max' },
);
const clip = (base: number, list: { at: number; pages: number }[]) =>
  list.map(({ at, pages }) => ({ at: base + at, pages: Math.min(pages, LAST_PAGE - (base + at) + 1) }));

test('an exact plan is what the rule says: all pages, in at most as many ranges as the limit', () => {
  fc.assert(
    fc.property(base, adds, fc.integer({ min: 1, max: 20 }), (base, list, limit) => {
      const added = clip(base, list);
      start(layout.TRACK_EXACT, limit);
      for (const { at, pages } of added) {
        add(at, pages);
        expect(ranges().length).toBeLessThanOrEqual(limit);
      }
      expect(ranges()).toEqual(ruled(added, limit));
      expect(rig.core.planFlush(tracker)).toBe(added.length === 0 ? layout.PLAN_NONE : layout.PLAN_RANGES);
    }),
    { numRuns: 300 },
  );
});

test('with room for all runs an exact plan covers the pages that were added and no other, in any order', () => {
  fc.assert(
    fc.property(base, fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 60 }), (base, list) => {
      start(layout.TRACK_EXACT, MOST);
      for (const at of list) add(base + at);
      const pages = new Set(list.map((at) => base + at));
      expect(ranges()).toEqual(runsOf(pages));
      expect(rig.core.plannedInvalidations(tracker)).toBe(pages.size);
    }),
    { numRuns: 300 },
  );
});

test('a span plan is one range from the lowest to the highest page', () => {
  fc.assert(
    fc.property(base, adds, (base, list) => {
      const added = clip(base, list);
      start(layout.TRACK_SPAN, 7);
      for (const { at, pages } of added) add(at, pages);
      const first = Math.min(...added.map(({ at }) => at));
      const last = Math.max(...added.map(({ at, pages }) => at + pages - 1));
      expect(ranges()).toEqual(added.length === 0 ? [] : [{ first, last }]);
    }),
  );
});

test('a full plan is full after the first page and none before it', () => {
  start(layout.TRACK_FULL);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_NONE);
  add(5);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_FULL);
});

test('more invalidations than the ceiling make any plan full, exactly as many do not', () => {
  for (const policy of [layout.TRACK_EXACT, layout.TRACK_SPAN]) {
    start(policy, 4, 33);
    add(100, 33);
    expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_RANGES);
    add(133);
    expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_FULL);
  }
  start(layout.TRACK_EXACT, 4, 33);
  add(0, 17);
  add(1000, 16);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_RANGES);
  add(2000);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_FULL);
  // The holes count for a span.
  start(layout.TRACK_SPAN, 1, 33);
  add(0);
  add(33);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_FULL);
});

test('invalidations go by the smallest page that was added', () => {
  start(layout.TRACK_EXACT);
  add(512, 1024, 21);
  expect(rig.core.plannedInvalidations(tracker)).toBe(2);
  add(4096, 512, 21);
  expect(rig.core.plannedInvalidations(tracker)).toBe(3);
  add(9000);
  expect(rig.core.plannedInvalidations(tracker)).toBe(1537);
  // A part of a large page takes one invalidation of it.
  start(layout.TRACK_EXACT);
  add(515, 3, 21);
  expect(rig.core.plannedInvalidations(tracker)).toBe(1);
});

test('pages by their numbers are as large as their stride', () => {
  const list = rig.core.heapAllocate(64) >>> 0;
  new Float64Array(rig.memory.buffer, list, 3).set([1024, 512, 4096]);
  start(layout.TRACK_EXACT);
  rig.core.trackPages(tracker, list, 3, 21);
  expect(ranges()).toEqual([
    { first: 512, last: 1535 },
    { first: 4096, last: 4607 },
  ]);
  rig.core.trackPages(tracker, list, 3, 12);
  expect(ranges()).toHaveLength(2);
  rig.core.heapFree(list);
});

test('a list of pages comes to the same as its pages one by one, under every policy', () => {
  const list = rig.core.heapAllocate(8 * 64) >>> 0;
  const pages = fc.array(fc.oneof(fc.nat({ max: 60 }), fc.constantFrom(7, 8, 9, 10)), { maxLength: 64, size: 'max' });
  const policy = fc.constantFrom(layout.TRACK_EXACT, layout.TRACK_SPAN, layout.TRACK_FULL);
  fc.assert(
    fc.property(base, pages, policy, fc.integer({ min: 1, max: 6 }), (base, offsets, policy, limit) => {
      const vpns = offsets.map((n) => base + n);
      start(policy, limit);
      for (const page of vpns) add(page);
      const one = [ranges(), rig.core.planFlush(tracker), rig.u32[(tracker + layout.TRACK_ADDS) / 4]];
      start(policy, limit);
      new Float64Array(rig.memory.buffer, list, vpns.length).set(vpns);
      rig.core.trackPages(tracker, list, vpns.length, 12);
      expect([ranges(), rig.core.planFlush(tracker), rig.u32[(tracker + layout.TRACK_ADDS) / 4]]).toEqual(one);
    }),
    { numRuns: 300 },
  );
  rig.core.heapFree(list);
});

test('an exact list knows its place in both halves of the address space, among few ranges and many', () => {
  const LIMIT = 80;
  const long = rig.core.heapAllocate(layout.TRACK_RANGES + 16 * (LIMIT + 1)) >>> 0;
  const list = rig.core.heapAllocate(8 * 200) >>> 0;
  const half = fc.constantFrom(0, 2 ** 51 - 200, 2 ** 51, LAST_PAGE - 400);
  const page = fc.tuple(half, fc.nat({ max: 400 })).map(([from, n]) => from + n);
  const own = tracker;
  tracker = long;
  fc.assert(
    fc.property(fc.array(page, { maxLength: 200, size: 'max' }), fc.integer({ min: 1, max: LIMIT }), (vpns, limit) => {
      const ruling = ruled(
        vpns.map((at) => ({ at, pages: 1 })),
        limit,
      );
      start(layout.TRACK_EXACT, limit);
      for (const vpn of vpns) add(vpn);
      expect(ranges()).toEqual(ruling);
      start(layout.TRACK_EXACT, limit);
      new Float64Array(rig.memory.buffer, list, vpns.length).set(vpns);
      rig.core.trackPages(tracker, list, vpns.length, 12);
      expect(ranges()).toEqual(ruling);
    }),
    { numRuns: 200 },
  );
  tracker = own;
  rig.core.heapFree(list);
  rig.core.heapFree(long);
});

test('the last page and page 0 do not touch, whichever comes first', () => {
  for (const order of [
    [LAST_PAGE, 0],
    [0, LAST_PAGE],
  ]) {
    start(layout.TRACK_EXACT);
    for (const page of order) add(page);
    expect(ranges()).toEqual([
      { first: 0, last: 0 },
      { first: LAST_PAGE, last: LAST_PAGE },
    ]);
    add(1);
    add(LAST_PAGE - 1);
    add(LAST_PAGE);
    expect(ranges()).toEqual([
      { first: 0, last: 1 },
      { first: LAST_PAGE - 1, last: LAST_PAGE },
    ]);
  }
});

test('the whole address space is one range of 2^52 pages', () => {
  start(layout.TRACK_EXACT, 2);
  add(7);
  add(LAST_PAGE - 7);
  add(0, 2 ** 52);
  expect(ranges()).toEqual([{ first: 0, last: LAST_PAGE }]);
  expect(rig.core.plannedInvalidations(tracker)).toBe(2 ** 52);
  add(LAST_PAGE);
  add(0);
  expect(ranges()).toHaveLength(1);
});

test('no pages change nothing, wherever they lie', () => {
  start(layout.TRACK_EXACT);
  add(0, 0);
  add(77, 0);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_NONE);
});

test('a reset forgets ranges, stride and count', () => {
  start(layout.TRACK_EXACT, 3, 10);
  add(0, 100);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_FULL);
  rig.core.resetTracker(tracker);
  expect(rig.core.planFlush(tracker)).toBe(layout.PLAN_NONE);
  expect(rig.core.plannedInvalidations(tracker)).toBe(0);
  add(512, 512, 21);
  expect(ranges()).toEqual([{ first: 512, last: 1023 }]);
  expect(rig.core.plannedInvalidations(tracker)).toBe(1);
  expect(rig.u32[(tracker + layout.TRACK_ADDS) / 4]).toBe(1);
});

test('a tracker writes nothing outside its block', () => {
  const limit = 3;
  const bytes = layout.TRACK_RANGES + 16 * (limit + 1);
  const block = rig.core.heapAllocate(bytes + 64) >>> 0;
  rig.bytes.fill(0xee, block + bytes, block + bytes + 64);
  rig.core.initializeTracker(block, layout.TRACK_EXACT, limit, 0);
  for (let n = 0; n < 200; n++) rig.core.trackRange(block, (n * 7919) % 1000, 1 + (n % 3), 12);
  expect(rig.bytes.slice(block + bytes, block + bytes + 64).every((byte) => byte === 0xee)).toBe(true);
  rig.core.heapFree(block);
});
