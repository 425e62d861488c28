// Range operations on one thread beside processors that write on others: no D and no A is lost, no store lands on a page that is
// write-protected, nothing but the bits in question changes, and all in every way of updating.
//
// The check is shown to bark at a kernel that changes entries by a load and a store. Seeds are printed; interleavings are the machine's.

import { expect, test } from 'vitest';
import { layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { type Part, type Report, run, type World } from '../support/crew.ts';

const SEED = Number(process.env['PAGEWALK_SEED'] ?? Date.now() & 0xffffff);
const VPN = 0x40000;
const PAGES = 1024;
const PFN = 0x100000;

async function makeScene(build: 'release' | 'chaos'): Promise<{ rig: Rig; world: World }> {
  const rig = await makeRig({ frames: 16, build });
  const space = makeSpace(rig);
  const prot = layout.PROT_READ | layout.PROT_WRITE;
  const bytes = BigInt(PAGES) << 12n;
  expect(rig.core.map(space, BigInt(VPN) << 12n, BigInt(PFN) << 12n, bytes, prot, 0)).toBe(layout.STATUS_OK);
  // Four regions' worth of notes: roles/ranges.mjs keeps five words for each of its pages there.
  return { rig, world: { space, regions: 4, frames: [PFN, PFN] } };
}

const cast = (role: 'ranger' | 'plain-ranger', rounds: number, writers: number): Part[] => [
  { role, seed: SEED, rounds },
  ...Array.from({ length: writers }, (_, n): Part => ({ role: 'writer', seed: SEED + 1 + n, rounds: 0 })),
];

const errorsOf = (reports: Report[]) =>
  reports.flatMap(({ role, seed, errors }) => errors.map((e) => `${role} ${seed}: ${e}`)).join('\n');
const sum = (reports: Report[], what: string) => reports.reduce((total, { counts }) => total + (counts[what] ?? 0), 0);

for (const [build, rounds, writers] of [
  ['release', 50_000, 2],
  ['chaos', 4_000, 2],
] as const) {
  test(`${build}: no D or A of ${writers} writing processors is lost, and no store lands on a write-protected page`, {
    timeout: 60_000,
  }, async () => {
    console.log(`PAGEWALK_SEED=${SEED}`);
    const { rig, world } = await makeScene(build);
    const reports = await run(rig, cast('ranger', rounds, writers), world, build === 'chaos');
    expect(errorsOf(reports)).toBe('');
    for (const what of [
      'wrprotect',
      'softDirty',
      'clean',
      'age',
      'unprotect',
      'touched',
      'claims',
      'writes',
      'faults',
    ]) {
      expect({ what, none: sum(reports, what) === 0 }).toEqual({ what, none: false });
    }
    for (let page = 0; page < PAGES; page++) {
      expect(Math.floor(rig.core.translate(world.space, VPN + page, 0) / 4096)).toBe(PFN + page);
    }
  });
}

test('a kernel that changes entries by a load and a store is caught', { timeout: 60_000 }, async () => {
  const { rig, world } = await makeScene('release');
  const errors = errorsOf(await run(rig, cast('plain-ranger', 1_000_000, 2), world));
  expect(errors).toMatch(/[AD] was lost|a store landed/);
});
