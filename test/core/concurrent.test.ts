// Walkers on real threads beside threads that map, unmap, protect, split and age: no translation that never existed, no lost A or D,
// no table page used after it was freed, none left over.
//
// Each check is shown to bark at a kernel with a bug (the last tests). Seeds are printed; interleavings are the machine's.

import { expect, test } from 'vitest';
import { control, layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { type Part, type Report, run, type World } from '../support/crew.ts';
import { halves, listAll } from '../support/list.ts';

const REGIONS = 16;
const FRAMES: [number, number] = [0x100000, 0x180000];
const SEED = Number(process.env['PAGEWALK_SEED'] ?? Date.now() & 0xffffff);

function makeWorld(rig: Rig, levels: 4 | 5, regions: number): World {
  return { space: makeSpace(rig, levels), regions, frames: FRAMES };
}

const cast = (mappers: number, walkers: number, rounds: number): Part[] => [
  ...Array.from(
    { length: mappers },
    (_, index): Part => ({ role: 'mapper', seed: SEED + index, rounds, index, of: mappers }),
  ),
  ...Array.from({ length: walkers }, (_, n): Part => ({ role: 'walker', seed: SEED + 100 + n, rounds: 0 })),
];

const sum = (reports: Report[], what: string) => reports.reduce((total, { counts }) => total + (counts[what] ?? 0), 0);
const errorsOf = (reports: Report[]) =>
  reports.flatMap(({ role, seed, errors }) => errors.map((e) => `${role} ${seed}: ${e}`)).join('\n');

function expectClean(rig: Rig, world: World, levels: 4 | 5): void {
  for (const half of halves(levels)) expect(listAll(rig, world.space, half)).toEqual([]);
  expect(rig.core.reclaim()).toBe(0);
  expect(control(rig, layout.CONTROL_RCU_WAITING)).toBe(0);
  expect(rig.u32[(world.space + layout.SPACE_TABLES) / 4]).toBe(1);
  expect(control(rig, layout.CONTROL_LIVE)).toBe(1);
  rig.core.freeRoot(world.space);
  expect(rig.core.nextLiveFrame(rig.basePfn)).toBe(-1);
  expect(rig.core.countSpoiledFrames()).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_POISON)).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(0);
  expect(control(rig, layout.CONTROL_AGENTS)).toBe(1);
}

for (const [build, levels, mappers, walkers, rounds, regions] of [
  ['release', 4, 2, 2, 20000, REGIONS],
  ['release', 5, 1, 3, 12000, REGIONS],
  ['chaos', 4, 2, 2, 4000, REGIONS],
  ['chaos', 4, 1, 2, 60000, 1],
] as const) {
  test(`${build}, ${levels} levels, ${regions} regions: ${walkers} walkers beside ${mappers} mappers see only what was mapped, and lose no A or D`, {
    timeout: 60_000,
  }, async () => {
    console.log(`PAGEWALK_SEED=${SEED}`);
    // Few frames, so that a table page that was freed is soon another table.
    const rig = await makeRig({ frames: 80, build });
    const world = makeWorld(rig, levels, regions);
    const reports = await run(rig, cast(mappers, walkers, rounds), world, build === 'chaos');
    expect(errorsOf(reports)).toBe('');
    for (const what of ['maps', 'unmaps', 'protects', 'splits', 'agings', 'mapped', 'faults', 'claims']) {
      expect({ what, none: sum(reports, what) === 0 }).toEqual({ what, none: false });
    }
    expectClean(rig, world, levels);
  });
}

test('frames that go round between workers have one owner at a time and are all there at the end', {
  timeout: 60_000,
}, async () => {
  const rig = await makeRig({ frames: 12, basePfn: 0x40 });
  const parts = [0, 1, 2, 3].map((index): Part => ({ role: 'allocator', seed: SEED + index, rounds: 60_000, index }));
  const reports = await run(rig, parts);
  expect(errorsOf(reports)).toBe('');
  expect(control(rig, layout.CONTROL_LIVE)).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_POISON)).toBe(0);
  expect(rig.core.countSpoiledFrames()).toBe(0);
  // Each allocation is counted by the frame that it took.
  let generations = 0;
  for (let n = 0; n < 12; n++)
    generations += rig.u32[(rig.meta + n * layout.META_BYTES + layout.META_GENERATION) / 4] ?? 0;
  expect(generations).toBe(sum(reports, 'allocations'));
  const pfns = new Set(Array.from({ length: 12 }, () => rig.core.allocateFrame(layout.FRAME_DATA)));
  expect([...pfns].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => 0x40 + n));
});

test('chaos: frames that go round between workers have one owner at a time', { timeout: 60_000 }, async () => {
  const rig = await makeRig({ frames: 8, build: 'chaos' });
  const parts = [0, 1, 2].map((index): Part => ({ role: 'allocator', seed: SEED + index, rounds: 15_000, index }));
  expect(errorsOf(await run(rig, parts, undefined, true))).toBe('');
  expect(control(rig, layout.CONTROL_LIVE)).toBe(0);
});

// ---- the checks bark

test('a kernel that write-protects by a plain store is caught losing D', { timeout: 60_000 }, async () => {
  const rig = await makeRig({ frames: 80 });
  const world = makeWorld(rig, 4, 1);
  const parts: Part[] = [
    { role: 'plain-store', seed: SEED, rounds: 5_000_000 },
    { role: 'walker', seed: SEED + 1, rounds: 0 },
    { role: 'walker', seed: SEED + 2, rounds: 0 },
  ];
  expect(errorsOf(await run(rig, parts, world))).toContain('D was lost');
});

test('a kernel that frees a table at once is caught: a walker meets a page of another region', {
  timeout: 60_000,
}, async () => {
  const rig = await makeRig({ frames: 80 });
  const world = makeWorld(rig, 4, 4);
  const parts: Part[] = [
    { role: 'free-at-once', seed: SEED, rounds: 1_000_000 },
    { role: 'walker', seed: SEED + 1, rounds: 0 },
    { role: 'walker', seed: SEED + 2, rounds: 0 },
  ];
  expect(errorsOf(await run(rig, parts, world))).toContain('where it never was');
});

test('an owner that writes to a frame after freeing it is caught', { timeout: 60_000 }, async () => {
  const rig = await makeRig({ frames: 64 });
  const parts: Part[] = [
    { role: 'careless', seed: SEED, rounds: 20, index: 0 },
    { role: 'allocator', seed: SEED + 1, rounds: 20_000, index: 1 },
  ];
  const reports = await run(rig, parts);
  const caught = control(rig, layout.CONTROL_BAD_POISON) + rig.core.countSpoiledFrames() + errorsOf(reports).length;
  expect(caught).toBeGreaterThan(0);
});
