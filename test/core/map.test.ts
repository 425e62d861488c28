// map, unmap, protect and split against a dull model: an array with one element for each 4 KiB page.
//
// Guarantees checked after every sequence: list finds exactly the model; the number of table pages is the least that the model needs;
// a refused map changed no byte; when all is unmapped no frame is left over.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { control, framesOf, layout, makeRig, makeSpace, type Rig, reply } from '../support/core.ts';
import { halves, listAll } from '../support/list.ts';

const PAGES = 2048; // four tables' worth
const { PROT_READ, PROT_WRITE, PROT_EXECUTE, PROT_USER } = layout;

interface Page {
  pfn: number;
  prot: number;
  level: 0 | 1;
  accessed: boolean;
  dirty: boolean;
}

/** Windows where carries go wrong: across 1 GiB and 512 GiB, and at every end of the canonical halves. */
const windows = (levels: 4 | 5): bigint[] => {
  const half = 1n << BigInt(levels * 9 + 11);
  const bytes = BigInt(PAGES) << 12n;
  return [
    0n,
    (1n << 30n) - bytes / 2n,
    (1n << 39n) - bytes / 2n,
    half - bytes,
    (1n << 64n) - half,
    (1n << 64n) - bytes,
  ];
};

const place = fc.oneof(fc.nat({ max: PAGES - 1 }), fc.constantFrom(0, 512, 1024, 1536, 511, 513));
const length = fc.oneof(fc.integer({ min: 1, max: 24 }), fc.constantFrom(512, 513, 1024, 2048, 1));
const prot = fc
  .tuple(
    fc.constantFrom(0, PROT_WRITE),
    fc.constantFrom(0, PROT_EXECUTE),
    fc.constantFrom(0, PROT_USER),
    fc.nat({ max: 3 }),
  )
  .map(([w, x, u, key]) => PROT_READ | w | x | u | (key << layout.PROT_PKEY_SHIFT));
const command = fc.oneof(
  fc.record({
    op: fc.constant('map' as const),
    at: place,
    length,
    prot,
    skew: fc.constantFrom(0, 0, 1, 512),
    top: fc.nat({ max: 2 }),
  }),
  fc.record({ op: fc.constant('unmap' as const), at: place, length }),
  fc.record({ op: fc.constant('protect' as const), at: place, length, prot }),
  fc.record({ op: fc.constant('split' as const), at: place }),
  fc.record({ op: fc.constant('touch' as const), at: place, write: fc.boolean() }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;
const scene = fc.record({
  levels: fc.constantFrom(4 as const, 5 as const),
  window: fc.nat({ max: 5 }),
  commands: fc.array(command, { minLength: 1, maxLength: 30, size: 'max' }),
});

class Model {
  readonly pages: (Page | undefined)[] = Array(PAGES).fill(undefined);

  map(at: number, length: number, pfn: number, prot: number, top: number): number {
    let leaves = 0;
    for (let n = 0; n < length; leaves++) {
      const large = top > 0 && (at + n) % 512 === 0 && (pfn + n) % 512 === 0 && length - n >= 512;
      for (const end = n + (large ? 512 : 1); n < end; n++) {
        this.pages[at + n] = { pfn: pfn + n, prot, level: large ? 1 : 0, accessed: false, dirty: false };
      }
    }
    return leaves;
  }

  /** Large pages that reach over `at` become small ones. */
  split(at: number): void {
    if (at % 512 === 0) return;
    this.splitAround(at);
  }

  splitAround(at: number): void {
    if (this.pages[at]?.level !== 1) return;
    for (const page of this.leaf(at)) page.level = 0;
  }

  /** The pages of the leaf around `at`. */
  leaf(at: number): Page[] {
    const page = this.pages[at];
    if (page === undefined) return [];
    const first = page.level === 1 ? at - (at % 512) : at;
    return this.pages.slice(first, first + (page.level === 1 ? 512 : 1)) as Page[];
  }

  /** The first page of each leaf in a range whose edges cut no leaf. */
  leaves(at: number, length: number): Page[] {
    return this.pages
      .slice(at, at + length)
      .filter((page, n): page is Page => page !== undefined && (page.level === 0 || (at + n) % 512 === 0));
  }

  /** Table pages below the root that it takes to map this: one for each part of the address space that holds a leaf below it. */
  tables(base: bigint, levels: number): number {
    const tables = new Set<string>();
    for (const [n, page] of this.pages.entries()) {
      if (page === undefined) continue;
      const va = base + (BigInt(n) << 12n);
      for (let level = page.level; level < levels - 1; level++) tables.add(`${level}:${va >> BigInt(21 + 9 * level)}`);
    }
    return tables.size;
  }
}

function expectListed(rig: Rig, space: number, base: bigint, levels: 4 | 5, model: Model): void {
  const got = halves(levels).flatMap((half) => listAll(rig, space, { ...half, capacity: 4096 }));
  const want: unknown[] = [];
  for (const [n, page] of model.pages.entries()) {
    if (page === undefined || (page.level === 1 && n % 512 !== 0)) continue;
    const flags =
      layout.RESULT_MAPPED |
      (page.prot & PROT_WRITE ? layout.RESULT_WRITABLE : 0) |
      (page.prot & PROT_USER ? layout.RESULT_USER : 0) |
      (page.prot & PROT_EXECUTE ? 0 : layout.RESULT_NO_EXECUTE) |
      (page.accessed ? layout.RESULT_ACCESSED : 0) |
      (page.dirty ? layout.RESULT_DIRTY : 0) |
      (page.level << layout.RESULT_LEVEL_SHIFT);
    const key = page.prot >> layout.PROT_PKEY_SHIFT;
    want.push([base + (BigInt(n) << 12n), BigInt(page.pfn) << 12n, page.level ? 1n << 21n : 4096n, flags, key]);
  }
  expect(got.map((run) => [run.va, run.pa, run.size, run.flags, Number((run.entry >> 59n) & 15n)])).toEqual(want);
}

/** Runs one command on the core and on the model. Returns false if the core had no frame left for it. */
function run(rig: Rig, space: number, base: bigint, model: Model, command: Command): boolean {
  const { core } = rig;
  const { at } = command;
  const length = 'length' in command ? Math.min(command.length, PAGES - at) : 1;
  const va = BigInt.asUintN(64, base + (BigInt(at) << 12n));
  const bytes = BigInt(length) << 12n;
  switch (command.op) {
    case 'map': {
      const pfn = 0x100000 + at + command.skew;
      const taken = model.pages.slice(at, at + length).findIndex((page) => page !== undefined);
      const before = framesOf(rig, 0, rig.frames).slice();
      const live = liveFrames(rig);
      const status = core.map(space, va, BigInt(pfn) << 12n, bytes, command.prot, command.top);
      if (status === layout.STATUS_OK) {
        expect(taken).toBe(-1);
        expect(reply(rig)[0]).toBe(BigInt(model.map(at, length, pfn, command.prot, command.top)));
        return true;
      }
      expect(status).toBe(taken < 0 ? layout.STATUS_NO_MEMORY : layout.STATUS_MAPPED);
      if (taken >= 0) expect(reply(rig)[1]).toBe(va + (BigInt(taken) << 12n));
      core.reclaim();
      expect(liveFrames(rig)).toEqual(live);
      for (const index of live) {
        const was = before.subarray(index * 4096, index * 4096 + 4096);
        expect(Buffer.compare(framesOf(rig, index, 1), was)).toBe(0);
      }
      return taken >= 0;
    }
    case 'unmap': {
      if (core.unmap(space, va, bytes) !== layout.STATUS_OK) return false;
      model.split(at);
      if (at + length < PAGES) model.split(at + length);
      expect(reply(rig)[0]).toBe(BigInt(model.leaves(at, length).length));
      model.pages.fill(undefined, at, at + length);
      return true;
    }
    case 'protect': {
      if (core.protect(space, va, bytes, command.prot) !== layout.STATUS_OK) return false;
      model.split(at);
      if (at + length < PAGES) model.split(at + length);
      const changed = model.leaves(at, length).filter((page) => page.prot !== command.prot);
      expect(reply(rig)[0]).toBe(BigInt(changed.length));
      for (const page of model.pages.slice(at, at + length)) if (page) page.prot = command.prot;
      return true;
    }
    case 'split':
      if (core.split(space, va, 0) !== layout.STATUS_OK) return false;
      model.splitAround(at);
      return true;
    case 'touch': {
      const word = BigInt.asUintN(
        64,
        core.accessWord(space, va, command.write ? layout.ACCESS_WRITE : layout.ACCESS_READ),
      );
      const page = model.pages[at];
      const allowed = page !== undefined && (!command.write || (page.prot & PROT_WRITE) !== 0);
      expect((word >> BigInt(layout.RESULT_SHIFT)) & 1n).toBe(allowed ? 1n : 0n);
      if (!allowed) return true;
      for (const each of model.leaf(at)) {
        each.accessed = true;
        each.dirty ||= command.write;
      }
      return true;
    }
  }
}

function liveFrames(rig: Rig): number[] {
  const live: number[] = [];
  for (let pfn = rig.core.nextLiveFrame(0); pfn >= 0; pfn = rig.core.nextLiveFrame(pfn + 1)) {
    live.push(pfn);
    if (pfn + 1 >= rig.frames) break;
  }
  return live;
}

function expectClean(rig: Rig): void {
  expect(rig.core.reclaim()).toBe(0);
  expect(control(rig, layout.CONTROL_LIVE)).toBe(0);
  expect(rig.core.nextLiveFrame(0)).toBe(-1);
  expect(rig.core.countSpoiledFrames()).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_POISON)).toBe(0);
}

test('any sequence of map, unmap, protect, split and accesses leaves what the model says, in as few tables as it takes', async () => {
  const rig = await makeRig({ frames: 64 });
  fc.assert(
    fc.property(scene, ({ levels, window, commands }) => {
      const base = windows(levels)[window] as bigint;
      const space = makeSpace(rig, levels);
      const model = new Model();
      for (const command of commands) {
        expect(run(rig, space, base, model, command)).toBe(true);
        rig.core.reclaim();
        const tables = 1 + model.tables(base, levels);
        expect(control(rig, layout.CONTROL_LIVE)).toBe(tables);
        expect(rig.u32[(space + layout.SPACE_TABLES) / 4]).toBe(tables);
      }
      expectListed(rig, space, base, levels, model);
      expect(rig.core.unmap(space, base, BigInt(PAGES) << 12n)).toBe(layout.STATUS_OK);
      expect(control(rig, layout.CONTROL_LIVE)).toBe(1);
      rig.core.freeRoot(space);
      rig.core.closeSpace(space);
      expectClean(rig);
    }),
    { numRuns: 250 },
  );
});

test('out of frames, a map changes nothing, and other calls lose no page', async () => {
  let refused = 0;
  for (let spare = 2; spare <= 9; spare++) {
    const rig = await makeRig({ frames: spare });
    fc.assert(
      fc.property(scene, ({ levels, window, commands }) => {
        const base = windows(levels)[window] as bigint;
        const space = makeSpace(rig, levels);
        const model = new Model();
        let whole = true;
        for (const command of commands) {
          if (run(rig, space, base, model, command)) continue;
          refused++;
          // Refused calls but map may have split the page at one edge: the same pages, some of them smaller.
          if (command.op !== 'map') whole = false;
          for (const at of [command.at, command.at + 1]) {
            const word = rig.core.translateWord(space, BigInt.asUintN(64, base + (BigInt(at) << 12n)), 0);
            const pfn = Number((BigInt.asUintN(64, word) & 0xfffffffffffffn) >> 12n);
            const page = model.pages[at];
            if (page !== undefined) expect(pfn).toBe(page.pfn);
          }
          if (!whole) break;
        }
        if (whole) expectListed(rig, space, base, levels, model);
        expect(rig.core.unmap(space, base, BigInt(PAGES) << 12n)).toBe(layout.STATUS_OK);
        rig.core.freeRoot(space);
        rig.core.closeSpace(space);
        expectClean(rig);
      }),
      { numRuns: 60 },
    );
  }
  expect(refused).toBeGreaterThan(100);
});

// ---- by example

test('a gigabyte page is mapped as one leaf, and unmapping a page of it leaves all others', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core } = rig;
  const space = makeSpace(rig);
  const [va, pa, bytes] = [0xffff800000000000n, 0x40000000n, 1n << 30n];
  expect(core.map(space, va, pa, bytes, PROT_READ | PROT_WRITE, 2)).toBe(layout.STATUS_OK);
  expect(reply(rig)[0]).toBe(1n);
  expect(core.unmap(space, va + 0x12345000n, 0x1000n)).toBe(layout.STATUS_OK);
  expect(reply(rig)[0]).toBe(1n);
  const runs = listAll(rig, space, { from: va, last: va + bytes - 1n });
  expect(runs.length).toBe(511 + 511);
  expect(runs.reduce((sum, run) => sum + run.size, 0n)).toBe(bytes - 0x1000n);
  for (const run of runs) expect(run.pa - pa).toBe(run.va - va);
  expect(core.unmap(space, va, bytes)).toBe(layout.STATUS_OK);
  core.freeRoot(space);
  expectClean(rig);
});

test('split goes down to the level that is asked for and no further', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core } = rig;
  const space = makeSpace(rig);
  core.map(space, 0n, 0x80000000n, 1n << 30n, PROT_READ | layout.PROT_PAT, 2);
  expect(core.split(space, 0x200000n, 1)).toBe(layout.STATUS_OK);
  const runs = listAll(rig, space, { from: 0n, last: (1n << 30n) - 1n });
  expect(runs.map((run) => run.size)).toEqual(Array(512).fill(1n << 21n));
  // The PAT bit of a large page is bit 12, of a small one bit 7.
  for (const run of runs) expect(run.entry & 0x1080n).toBe(0x1080n);
  expect(core.split(space, 0x200000n, 0)).toBe(layout.STATUS_OK);
  const [small] = listAll(rig, space, { from: 0x200000n, last: 0x200fffn });
  expect([small?.size, (small?.entry ?? 0n) & 0x1080n]).toEqual([0x1000n, 0x80n]);
});

test('a large page takes the place of tables that hold nothing', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core, u64 } = rig;
  const space = makeSpace(rig);
  core.map(space, 0n, 0x200000n, 0x1000n, PROT_READ, 0);
  u64[(core.entryAddress(space, 0n, 0) >>> 0) / 8] = 0n;
  expect(core.map(space, 0n, 0x200000n, 0x200000n, PROT_READ, 1)).toBe(layout.STATUS_OK);
  expect(listAll(rig, space, { from: 0n, last: 0x1fffffn }).map((run) => run.size)).toEqual([0x200000n]);
  expect(core.unmap(space, 0n, 0x200000n)).toBe(layout.STATUS_OK);
  core.freeRoot(space);
  expectClean(rig);
});

test('a map is refused over an entry that is not none, also one that is not present', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core, u64 } = rig;
  const space = makeSpace(rig);
  core.map(space, 0x1000n, 0x1000n, 0x1000n, PROT_READ, 0);
  u64[(core.entryAddress(space, 0x1000n, 0) >>> 0) / 8] = 0x5678_0000n;
  expect(core.map(space, 0n, 0n, 0x4000n, PROT_READ, 0)).toBe(layout.STATUS_MAPPED);
  expect(reply(rig)).toEqual([0n, 0x1000n]);
});

test('ranges that no table can hold are refused by name, and nothing is allocated', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core } = rig;
  const space = makeSpace(rig);
  const map = (va: bigint, pa: bigint, bytes: bigint) => core.map(space, va, pa, bytes, PROT_READ, 0);
  expect(map(0n, 0n, 0n)).toBe(layout.STATUS_NON_CANONICAL);
  expect(map(0x7ffffffff000n, 0n, 0x2000n)).toBe(layout.STATUS_NON_CANONICAL);
  expect(map(0x800000000000n, 0n, 0x1000n)).toBe(layout.STATUS_NON_CANONICAL);
  expect(map(0xfffffffffffff000n, 0n, 0x2000n)).toBe(layout.STATUS_NON_CANONICAL);
  expect(map(0x7ffffffff000n, 0n, 0xffff800000002000n)).toBe(layout.STATUS_NON_CANONICAL);
  expect(map(0n, 1n << 46n, 0x1000n)).toBe(layout.STATUS_UNREPRESENTABLE);
  expect(map(0n, (1n << 46n) - 0x1000n, 0x2000n)).toBe(layout.STATUS_UNREPRESENTABLE);
  expect(map(0n, (1n << 64n) - 0x1000n, 0x2000n)).toBe(layout.STATUS_UNREPRESENTABLE);
  core.setRegime(space, 0, 0, 46);
  expect(map(0n, 0n, 0x1000n)).toBe(layout.STATUS_UNREPRESENTABLE); // NX where EFER.NXE is clear
  expect(core.map(space, 0n, 0n, 0x1000n, PROT_READ | PROT_EXECUTE, 0)).toBe(layout.STATUS_OK);
  expect(control(rig, layout.CONTROL_LIVE)).toBe(4);
});

test('the last page of the address space can be mapped and unmapped', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core } = rig;
  for (const levels of [4, 5] as const) {
    const space = makeSpace(rig, levels);
    const va = (1n << 64n) - 0x1000n;
    expect(core.map(space, va, 0x5000n, 0x1000n, PROT_READ, 2)).toBe(layout.STATUS_OK);
    expect(core.translate(space, Number(va >> 12n), 0)).toBe(0x5000 + layout.RESULT_MAPPED + layout.RESULT_NO_EXECUTE);
    expect(core.protect(space, va, 0x1000n, PROT_READ | PROT_WRITE)).toBe(layout.STATUS_OK);
    expect(core.unmap(space, va, 0x1000n)).toBe(layout.STATUS_OK);
    core.freeRoot(space);
    expectClean(rig);
  }
});

test('each change of live entries moves the generation, a refused map does not', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core } = rig;
  const space = makeSpace(rig);
  const generation = () => rig.u32[(space + layout.SPACE_GENERATION) / 4] as number;
  core.map(space, 0n, 0n, 0x2000n, PROT_READ, 0);
  const first = generation();
  expect(core.map(space, 0n, 0n, 0x1000n, PROT_READ, 0)).toBe(layout.STATUS_MAPPED);
  expect(generation()).toBe(first);
  core.protect(space, 0n, 0x1000n, PROT_READ | PROT_WRITE);
  expect(generation()).toBeGreaterThan(first);
  const second = generation();
  core.unmap(space, 0n, 0x1000n);
  expect(generation()).toBeGreaterThan(second);
});

test('tables outside memory and entries with reserved bits stop a change by name', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core, u64 } = rig;
  const space = makeSpace(rig);
  core.map(space, 0n, 0n, 0x400000n, PROT_READ, 1);
  const slot = (core.entryAddress(space, 0n, 1) >>> 0) / 8;
  const leaf = u64[slot] as bigint;
  u64[slot] = leaf | (1n << 50n);
  expect(core.unmap(space, 0x1000n, 0x1000n)).toBe(layout.STATUS_RESERVED);
  expect(core.split(space, 0x1000n, 0)).toBe(layout.STATUS_RESERVED);
  u64[slot] = 0x0000_0fff_f000_0007n;
  expect(core.map(space, 0n, 0n, 0x1000n, PROT_READ, 0)).toBe(layout.STATUS_MAPPED);
  expect(core.split(space, 0x1000n, 0)).toBe(layout.STATUS_UNBACKED);
  u64[slot] = leaf;
});
