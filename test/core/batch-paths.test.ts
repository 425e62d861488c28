// What the fast paths of a batch must not take for alike, example by example: one odd leaf among many good ones, at every place of a vector.

import { beforeAll, describe, expect, test } from 'vitest';
import type { Access, Processor } from '../oracle/x86.ts';
import { layout } from '../support/core.ts';
import { accessFlags, wordOf } from '../support/result.ts';
import { agrees, ask, BUFFER, leafBefore, makeStage, type Stage, setStage } from '../support/stage.ts';
import { addressOf, BASE_PFN, random, type Tables } from '../support/tables.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await makeStage();
});

const CPU: Processor = {
  cr3: BigInt(BASE_PFN) << 12n,
  levels: 4,
  physicalBits: 40,
  gigabytePages: true,
  wp: true,
  nxe: true,
  smep: false,
  smap: false,
  ac: false,
  pke: false,
  pkru: 0,
};

/** P RW US A D */
const GOOD = 0x67n;
const SLOT_IN_A_RUN = 256;
/** What is odd about a leaf: its bits turned round. */
const ODD: Record<string, bigint> = {
  'reserved, at MAXPHYADDR': 1n << 40n,
  'reserved, at the top of the frame field': 1n << 51n,
  'not present': 1n,
  'read-only': 2n,
  'of the supervisor': 4n,
  'no A': 0x20n,
  'no D': 0x40n,
  'neither A nor D': 0x60n,
  'no execution': 1n << 63n,
  global: 0x100n,
};

/** Table 0 leads to 1, that to 2, every slot of that to 3, whose leaves are good but for those at `slots`. */
function scene(bits: bigint, slots: readonly number[], put: (tables: Tables) => void = () => {}): void {
  const tables: Tables = { entries: [] };
  for (let slot = 0; slot < 512; slot++) {
    for (const table of [0, 1, 2])
      tables.entries.push({ table, slot, entry: (BigInt(BASE_PFN + table + 1) << 12n) | GOOD });
    const odd = slots.includes(slot) ? bits : 0n;
    tables.entries.push({ table: 3, slot, entry: ((BigInt(0x4000 + 3 * slot) << 12n) | GOOD) ^ odd });
  }
  put(tables);
  setStage(stage, tables, CPU);
}

/** Results of the core, written by `call`, against the oracle's, address by address. */
function compare(vas: readonly bigint[], kind: Access['kind'], touch: boolean, call: (flags: number) => number): void {
  const flags = accessFlags({ va: 0n, kind, user: true }) | (touch ? layout.ACCESS_TOUCH : 0);
  const mapped = call(flags);
  let wanted = 0;
  for (const [i, va] of vas.entries()) {
    const access = { va, kind, user: true };
    const before = touch ? undefined : leafBefore(stage, CPU, access);
    const want = wordOf(ask(stage, CPU, access, touch), touch, before);
    if (((want >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n) wanted++;
    const word = stage.rig.u64[stage.output / 8 + i];
    if (word !== want) expect({ i, va, word }).toEqual({ i, va, word: want });
  }
  expect(mapped).toBe(wanted);
  expect(agrees(stage)).toBe(true);
}

function batch(vas: readonly bigint[], kind: Access['kind'], touch: boolean): void {
  const { core, u64 } = stage.rig;
  u64.set(vas, stage.input / 8);
  compare(vas, kind, touch, (flags) => core.translateBatch(stage.space, stage.input, stage.output, vas.length, flags));
}

function range(first: bigint, pages: number, kind: Access['kind'], touch: boolean): void {
  const vas = Array.from({ length: pages }, (_, i) => first + BigInt(i) * 4096n);
  const vpn = Number(first >> 12n);
  compare(vas, kind, touch, (flags) => stage.rig.core.translateRange(stage.space, vpn, pages, stage.output, flags));
}

const FIRST = addressOf(4, [0, 3, 2, 1], 0);
const row = Array.from({ length: 512 }, (_, i) => FIRST + BigInt(i) * 4096n + BigInt(i));
const next = random(7);
/** More regions than `near` likes, few enough for the cache by region. */
const someRegions = Array.from({ length: 4096 }, () => addressOf(4, [next(512), next(40), 2, 1], next(4096)));
/** More regions than the cache by region has room for. */
const manyRegions = Array.from({ length: 4096 }, () => addressOf(4, [next(512), next(512), next(16), 1], next(4096)));

describe.each(Object.entries(ODD))('a leaf that is %s in the middle of a run', (_, bits) => {
  const modes = [
    ['read', false],
    ['write', false],
    ['execute', false],
    ['read', true],
    ['write', true],
  ] as const;

  test.each(modes)('range, %s, touch %s: at every place of a row', (kind, touch) => {
    for (let lane = 0; lane < 17; lane++) {
      scene(bits, [SLOT_IN_A_RUN + lane]);
      range(FIRST, 512, kind, touch);
    }
  });

  test.each(modes)('batch of neighbours, %s, touch %s: at every place of a vector', (kind, touch) => {
    for (let lane = 0; lane < 5; lane++) {
      scene(bits, [SLOT_IN_A_RUN + lane]);
      batch(row, kind, touch);
    }
  });

  test.each(modes)('batch over some and over many regions, %s, touch %s', (kind, touch) => {
    for (const vas of [someRegions, manyRegions]) {
      scene(bits, [1, 100, 101, 255, 301, 302, 303, 510]);
      batch(vas, kind, touch);
    }
  });
});

test('each leaf of a row lacks A and D in turn: every place of a vector, with good leaves around it', () => {
  for (let period = 1; period <= 9; period++) {
    const slots = Array.from({ length: 512 }, (_, i) => i).filter((i) => i % period === 0);
    for (const bits of [0x20n, 0x40n, 0x60n]) {
      for (const vas of [row, someRegions, manyRegions]) {
        scene(bits, slots);
        batch(vas, 'write', true);
      }
      scene(bits, slots);
      range(FIRST, 2048, 'write', true);
    }
  }
});

describe('2 MiB pages', () => {
  /** P RW US A D PS */
  const LARGE = 0xe7n;
  const flags: [string, bigint][] = [
    ['good', LARGE],
    ['without A and D', LARGE & ~0x60n],
    ['without D', LARGE & ~0x40n],
    ['read-only', LARGE & ~2n],
    ['not present', LARGE & ~1n],
    ['with PAT', LARGE | 0x1000n],
    ['with a reserved bit below the frame', LARGE | 0x2000n],
    ['with a reserved bit above the frame', LARGE | (1n << 40n)],
  ];
  /** Level-1 entries with `every`th slot a large page. */
  const mixed = (entry: bigint, every: number) => (tables: Tables) => {
    for (let slot = 0; slot < 512; slot += every)
      tables.entries.push({ table: 2, slot, entry: entry | (BigInt(slot + 5) << 21n) });
  };
  const sweep = Array.from({ length: 4096 }, (_, i) => FIRST - 0x1000n * 700n + BigInt(i) * 4096n + BigInt(i & 4095));

  test.each(flags)('%s, alone and among small ones, by batch and by range', (_, entry) => {
    for (const every of [1, 2, 3]) {
      for (const [kind, touch] of [
        ['read', false],
        ['write', false],
        ['read', true],
        ['write', true],
      ] as const) {
        for (const vas of [sweep, row, someRegions, manyRegions]) {
          scene(0n, [], mixed(entry, every));
          batch(vas, kind, touch);
        }
        scene(0n, [], mixed(entry, every));
        range(FIRST - 0x1000n * 700n, BUFFER - 1, kind, touch);
      }
    }
  });

  test.each(Object.entries(ODD))('one that is %s among many good ones, over some and over many regions', (_, bits) => {
    const some = [1, 7, 20, 21, 255, 301, 302, 510];
    for (const every of [1, 2]) {
      const good = mixed(LARGE, every);
      const odd = (tables: Tables) => {
        good(tables);
        for (const slot of some)
          tables.entries.push({ table: 2, slot, entry: (LARGE | (BigInt(slot + 5) << 21n)) ^ bits });
      };
      for (const [kind, touch] of [
        ['read', false],
        ['write', false],
        ['execute', false],
        ['write', true],
      ] as const) {
        for (const vas of [someRegions, manyRegions]) {
          scene(0n, [], odd);
          batch(vas, kind, touch);
        }
      }
    }
  });

  test('the rights above a large page count: a GiB that may not be written among others', () => {
    for (const [kind, touch] of [
      ['read', false],
      ['write', false],
      ['write', true],
    ] as const) {
      for (const vas of [someRegions, manyRegions]) {
        scene(0n, [], (tables) => {
          mixed(LARGE, 1)(tables);
          for (const slot of [0, 2, 5])
            tables.entries.push({ table: 1, slot, entry: ((BigInt(BASE_PFN + 2) << 12n) | GOOD) & ~2n });
        });
        batch(vas, kind, touch);
      }
    }
  });

  test('a 1 GiB page in a range: its end, and what follows', () => {
    const gigabyte = (entry: bigint) => (tables: Tables) =>
      tables.entries.push({ table: 1, slot: 2, entry: entry | (7n << 30n) });
    for (const entry of [LARGE, LARGE & ~0x60n, LARGE | 0x2000n]) {
      for (const touch of [false, true]) {
        scene(0n, [], gigabyte(entry));
        range(addressOf(4, [500, 511, 1, 1], 0), 2048, 'write', touch);
        scene(0n, [], gigabyte(entry));
        range(addressOf(4, [100, 510, 2, 1], 0), 2048, 'write', touch);
      }
    }
  });
});
