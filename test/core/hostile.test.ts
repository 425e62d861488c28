// Walks over tables that another thread scribbles on: whatever stands there from one load to the next, they end, stay inside linear
// memory, and write nowhere but to physical memory. The window ends where linear memory ends, so that a load behind the last table traps.

import { expect, test } from 'vitest';
import { layout, makeRig, makeSpace } from '../support/core.ts';
import { type Part, run, type World } from '../support/crew.ts';

const SEED = Number(process.env['PAGEWALK_SEED'] ?? Date.now() & 0xffffff);
const TABLES = 8;
const BASE_PFN = 0x40;
const WASM_PAGE = 65536;

/** As many frames as make physical memory end with a page of linear memory. */
async function makeGround() {
  const probe = await makeRig({ frames: 64, basePfn: BASE_PFN });
  const short = probe.ram + 64 * layout.FRAME_BYTES;
  const frames = 64 + (Math.ceil(short / WASM_PAGE) * WASM_PAGE - short) / layout.FRAME_BYTES;
  const rig = await makeRig({ frames, basePfn: BASE_PFN });
  expect(rig.ram + frames * layout.FRAME_BYTES).toBe(rig.bytes.length);
  return rig;
}

for (const levels of [4, 5] as const) {
  test(`${levels} levels: no walk leaves memory, whatever becomes of its tables`, { timeout: 60_000 }, async () => {
    console.log(`PAGEWALK_SEED=${SEED}`);
    const rig = await makeGround();
    const space = makeSpace(rig, levels);
    rig.core.setRegime(space, layout.CR_NXE | layout.CR_GBPAGES, 0, 46);
    const ground = { ram: rig.ram, basePfn: BASE_PFN, frames: rig.frames, tables: TABLES };
    const world: World = { space, regions: 0, frames: [0, 0], ground };
    const guard = rig.core.heapAllocate(4096) >>> 0;
    rig.bytes.fill(0x5a, guard, guard + 4096);
    const fixed = () => [
      rig.bytes.slice(guard, guard + 4096),
      rig.bytes.slice(layout.CONTROL, layout.CONTROL + 0x1c),
      rig.bytes.slice(rig.meta, rig.meta + rig.frames * layout.META_BYTES),
      rig.bytes.slice(space, space + layout.SPACE_BYTES),
      rig.bytes.slice(0, layout.CONTROL),
    ];
    const before = fixed();
    const parts: Part[] = [
      { role: 'scribbler', seed: SEED, rounds: 15_000_000 },
      { role: 'stray', seed: SEED + 1, rounds: 0 },
      { role: 'stray', seed: SEED + 2, rounds: 0 },
    ];
    const reports = await run(rig, parts, world);
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    for (const { role, counts } of reports) {
      if (role === 'stray') expect(counts['batches']).toBeGreaterThan(0);
    }
    expect(fixed()).toEqual(before);
    // Nobody is left in a section, and the tables are walked as ever.
    expect(rig.core.reclaim()).toBe(0);
  });
}
