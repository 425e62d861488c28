// A batched translation is many single ones: each path of it (near, cached, far, ranges) agrees with the oracle, A and D included.

import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { Access, Processor } from '../oracle/x86.ts';
import { layout } from '../support/core.ts';
import { accessFlags, wordOf } from '../support/result.ts';
import { agrees, ask, BUFFER, leafBefore, makeStage, type Stage, setStage } from '../support/stage.ts';
import { addressOf, BASE_PFN, density, processor, random, SLOTS, type Tables, tables } from '../support/tables.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await makeStage();
});

/** How the addresses of a batch follow each other; each mix drives another path. */
type Mix = 'sequential' | 'hot' | 'few regions' | 'random' | 'changing';
const MIXES: Mix[] = ['sequential', 'hot', 'few regions', 'random', 'changing'];

/** Half of the time a few entries of all kinds, half of the time a full tree in which most addresses are mapped. */
const scene = fc.oneof(
  fc.record({ cpu: processor, tables, full: fc.constant(false) }),
  fc.record({
    cpu: processor.map((cpu) => ({ ...cpu, cr3: BigInt(BASE_PFN + (cpu.levels === 5 ? 8 : 0)) << 12n })),
    tables: density,
    full: fc.constant(true),
  }),
);

const batch = (largest: number) =>
  fc.record({
    scene,
    mix: fc.constantFrom(...MIXES),
    count: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 200, max: largest })),
    kind: fc.constantFrom('read' as const, 'write' as const, 'execute' as const),
    user: fc.boolean(),
    seed: fc.integer(),
  });

const PLAIN: Processor = {
  cr3: BigInt(BASE_PFN) << 12n,
  levels: 4,
  physicalBits: 46,
  gigabytePages: true,
  wp: true,
  nxe: true,
  smep: false,
  smap: false,
  ac: false,
  pke: false,
  pkru: 0,
};

function addresses(levels: 4 | 5, full: boolean, mix: Mix, count: number, seed: number): bigint[] {
  const next = random(seed);
  const pick = () => (full ? next(512) : (SLOTS[next(SLOTS.length)] as number));
  const damage = () => (next(100) === 0 ? BigInt(next(65536)) : undefined);
  const anywhere = () => addressOf(levels, [pick(), pick(), pick(), pick(), pick()], next(4096), damage());
  const upper = [pick(), pick(), pick(), pick(), pick()];
  const near = (regions: number) => {
    const slots = upper.slice();
    slots[0] = pick();
    slots[1] = ((upper[1] as number) + next(regions)) % 512;
    return addressOf(levels, slots, next(4096));
  };
  const start = anywhere();
  return Array.from({ length: count }, (_, i) => {
    const now = mix === 'changing' ? (MIXES[(i >> 9) % 4] as Mix) : mix;
    if (now === 'sequential') return BigInt.asUintN(64, start + BigInt(i) * 4096n);
    if (now === 'hot') return near(1);
    return now === 'few regions' ? near(40) : anywhere();
  });
}

function run(cpu: Processor, vas: bigint[], kind: Access['kind'], user: boolean, touch: boolean): void {
  const { core, u64 } = stage.rig;
  const words = u64.subarray(stage.input / 8, stage.input / 8 + BUFFER);
  const results = u64.subarray(stage.output / 8, stage.output / 8 + BUFFER);
  words.set(vas);
  results.fill(0x5555n);
  const flags = accessFlags({ va: 0n, kind, user }) | (touch ? layout.ACCESS_TOUCH : 0);
  const mapped = core.translateBatch(stage.space, stage.input, stage.output, vas.length, flags);
  let wanted = 0;
  const seen = new Map<bigint, bigint>();
  for (const [i, va] of vas.entries()) {
    const access = { va, kind, user };
    let want = touch ? undefined : seen.get(va);
    if (want === undefined) {
      const answer = ask(stage, cpu, access, touch);
      want = wordOf(answer, touch, touch ? undefined : leafBefore(stage, cpu, access));
      if (!touch) seen.set(va, want);
    }
    if (((want >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n) wanted++;
    if (results[i] !== want) expect({ i, va, word: results[i] }).toEqual({ i, va, word: want });
  }
  expect(mapped).toBe(wanted);
  expect(results[vas.length]).toBe(0x5555n);
  expect(agrees(stage)).toBe(true);
}

test('translateBatch finds what single translations find and changes nothing', () => {
  fc.assert(
    fc.property(batch(BUFFER - 1), ({ scene: { cpu, tables, full }, mix, count, kind, user, seed }) => {
      setStage(stage, tables, cpu);
      run(cpu, addresses(cpu.levels, full, mix, count, seed), kind, user, false);
    }),
    { numRuns: 250 },
  );
});

test('translateBatch with ACCESS_TOUCH sets every A and D bit that single accesses set, and no other', () => {
  fc.assert(
    fc.property(batch(4000), ({ scene: { cpu, tables, full }, mix, count, kind, user, seed }) => {
      setStage(stage, tables, cpu);
      run(cpu, addresses(cpu.levels, full, mix, count, seed), kind, user, true);
    }),
    { numRuns: 250 },
  );
});

test('access 0 in a batch asks for the mapping, whoever may use it', () => {
  fc.assert(
    fc.property(batch(2000), ({ scene: { cpu, tables, full }, mix, count, seed }) => {
      setStage(stage, tables, cpu);
      const anyone = { ...cpu, smap: false, pke: false };
      const vas = addresses(cpu.levels, full, mix, count, seed);
      const { core, u64 } = stage.rig;
      u64.set(vas, stage.input / 8);
      core.translateBatch(stage.space, stage.input, stage.output, count, 0);
      for (const [i, va] of vas.entries()) {
        const access = { va, kind: 'read', user: false } as const;
        const want = wordOf(ask(stage, anyone, access, false), false, leafBefore(stage, anyone, access));
        if (u64[stage.output / 8 + i] !== want) expect(u64[stage.output / 8 + i]).toBe(want);
      }
    }),
    { numRuns: 100 },
  );
});

test('a batch over many 1 GiB regions sets A at every level, also where the last two levels have it already', () => {
  const tables: Tables = { entries: [] };
  const put = (table: number, slot: number, pfn: number, flags: bigint) =>
    tables.entries.push({ table, slot, entry: (BigInt(pfn) << 12n) | flags });
  for (let slot = 0; slot < 512; slot++) {
    put(0, slot, BASE_PFN + 1, 7n);
    put(1, slot, BASE_PFN + 2, 7n);
    put(2, slot, BASE_PFN + 3, 0x27n);
    put(3, slot, 0x100 + slot, 0x27n);
  }
  setStage(stage, tables, PLAIN);
  run(PLAIN, addresses(4, true, 'random', 4000, 1), 'read', true, true);
});

for (const touch of [false, true]) {
  test(`translateRange finds what single ${touch ? 'accesses' : 'translations'} find, page after page`, () => {
    fc.assert(
      fc.property(batch(BUFFER - 1), ({ scene: { cpu, tables, full }, count, kind, user, seed }) => {
        setStage(stage, tables, cpu);
        const { core, u64 } = stage.rig;
        const next = random(seed);
        const pick = () => (full ? next(512) : (SLOTS[next(SLOTS.length)] as number));
        // Begin a little before a slot in use, so that rows of absent, small and large pages all come up.
        const start = addressOf(cpu.levels, [pick(), pick(), pick(), pick(), pick()], 0) - BigInt(next(600)) * 4096n;
        const first = BigInt.asUintN(64, start) >> 12n;
        const flags = accessFlags({ va: 0n, kind, user }) | (touch ? layout.ACCESS_TOUCH : 0);
        const pages = Math.min(count, Number((1n << 52n) - first));
        const mapped = core.translateRange(stage.space, Number(first), pages, stage.output, flags);
        let wanted = 0;
        for (let i = 0; i < pages; i++) {
          const access = { va: (first + BigInt(i)) << 12n, kind, user };
          const before = touch ? undefined : leafBefore(stage, cpu, access);
          const want = wordOf(ask(stage, cpu, access, touch), touch, before);
          if (((want >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n) wanted++;
          const got = u64[stage.output / 8 + i];
          if (got !== want) expect({ i, word: got }).toEqual({ i, word: want });
        }
        expect(mapped).toBe(wanted);
        expect(agrees(stage)).toBe(true);
      }),
      { numRuns: 120 },
    );
  });
}
