// The TLB against a dull one: whatever is looked up, filled, invalidated and evicted, both hold the same entries in the same ways.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Replacement, TlbArray, TlbModel } from '../../src/machine/tlb.ts';
import { type OracleEntry, OracleTlb, Xorshift } from '../oracle/tlb.ts';
import { layout, makeRig, type Rig } from '../support/core.ts';
import { counts, makeTlb, mappedWord, type Standing, standing } from '../support/tlb.ts';

const { SCOPE_GLOBAL, SCOPE_STRUCTURES, SCOPE_WAY, RESULT_WRITABLE, RESULT_DIRTY } = layout;
const KiB4 = 0x1000n;
const MiB2 = 0x200000n;
const GiB1 = 0x40000000n;
/** Three neighbouring regions of 1 GiB around the border of the lower half, and the top of the upper half. */
const REGIONS = [0x7fff_8000_0000n, 0x7fff_c000_0000n, 0xffff_ffff_c000_0000n, 0x00ff_ffff_c000_0000n];
const ASIDS = [0, 1, 0x1ff, 0x200, 0xffff];

// ---- any model

const replacement = fc.constantFrom<Replacement>('lru', 'tree-plru', 'random');
const geometry = (most: number) =>
  fc
    .record({
      sets: fc.constantFrom(1, 1, 2, 4),
      ways: fc.integer({ min: 1, max: most }),
      replacement,
    })
    .map(({ sets, ways, replacement }) => ({
      sets,
      replacement,
      ways: replacement === 'tree-plru' ? 2 ** Math.floor(Math.log2(ways)) : ways,
    }));

/** Arrays of one level for one kind of access: one for each group of page levels. */
const side = (
  level: 1 | 2 | 'structures',
  serves: TlbArray['serves'],
  groups: readonly (readonly number[])[],
  most: number,
) =>
  fc.tuple(...groups.map(() => geometry(most))).map((shapes) =>
    shapes.map(
      (shape, n): TlbArray => ({
        name: `${level} ${serves} ${n}`,
        level,
        ...(serves === undefined ? {} : { serves }),
        pages: groups[n] ?? [],
        ...shape,
      }),
    ),
  );

const levelOne = (serves: TlbArray['serves']) =>
  fc
    .constantFrom([[0, 1, 2]], [[0], [1], [2]], [[0], [1, 2]], [[0, 1]], [[0]])
    .chain((groups) => side(1, serves, groups, 4));

const model: fc.Arbitrary<TlbModel> = fc
  .record({
    one: fc.oneof(
      levelOne('both'),
      fc.tuple(levelOne('data'), levelOne('fetch')).map(([data, fetch]) => [...data, ...fetch]),
    ),
    two: fc.constantFrom([[]], [[0, 1, 2]], [[0, 1], [2]], [[0, 1]]).chain((groups) =>
      side(
        2,
        'both',
        groups.filter((group) => group.length > 0),
        6,
      ),
    ),
    structures: fc.constantFrom([], [[1, 2, 3]], [[1], [2], [3]]).chain((g) => side('structures', undefined, g, 4)),
    inclusion: fc.constantFrom('none' as const, 'inclusive' as const, 'exclusive' as const),
  })
  .map(({ one, two, structures, inclusion }) => {
    const covered = one.every(({ pages }) => pages.every((page) => two.some((array) => array.pages.includes(page))));
    return {
      arrays: [...structures, ...one, ...two],
      inclusion: inclusion === 'inclusive' && !covered ? 'none' : inclusion,
    };
  });

// ---- any sequence

const address = fc
  .record({
    region: fc.oneof(
      { weight: 5, arbitrary: fc.constant(0x7fff_c000_0000n) },
      { weight: 1, arbitrary: fc.constantFrom(...REGIONS) },
    ),
    large: fc.nat(2),
    small: fc.nat(3),
    offset: fc.nat(4095),
  })
  .map(({ region, large, small, offset }) => region + BigInt(large) * MiB2 + BigInt(small) * KiB4 + BigInt(offset));
const asid = fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constantFrom(...ASIDS) });
const scope = fc.record({
  global: fc.boolean(),
  structures: fc.constantFrom('all' as const, 'on-the-way' as const, 'none' as const),
});

const command = fc.oneof(
  { weight: 12, arbitrary: fc.record({ op: fc.constant('use' as const), va: address, asid, fetch: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('fill' as const),
      va: address,
      asid,
      fetch: fc.boolean(),
      global: fc.nat(4).map((n) => n === 0),
      level: fc.constantFrom(0, 0, 0, 1, 2),
      pa: fc.nat(7).map((n) => BigInt(n) * 2n * GiB1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('page' as const), va: address, asid, scope }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('range' as const),
      va: address,
      asid,
      scope,
      pages: fc.oneof(fc.nat(6), fc.nat(1200)),
      stride: fc.constantFrom(12, 12, 13, 21, 30),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('faulted' as const), va: address, asid }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('asid' as const), asid }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('not-global' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('all' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('evict' as const), n: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('find' as const), va: address, asid }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('remember' as const),
      va: address,
      asid,
      level: fc.constantFrom(1, 2, 3, 4),
      table: fc.nat(1000).map((n) => BigInt(n) * KiB4),
    }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

const FLAGS = RESULT_WRITABLE | RESULT_DIRTY;
const scopeBits = (s: { global: boolean; structures: 'all' | 'on-the-way' | 'none' }) =>
  (s.global ? SCOPE_GLOBAL : 0) | { all: SCOPE_STRUCTURES, 'on-the-way': SCOPE_WAY, none: 0 }[s.structures];

/** Does `command` to both, and compares what they answer. */
function perform(rig: Rig, tlb: number, oracle: OracleTlb, command: Command, n: number, shared: boolean): void {
  const { core } = rig;
  switch (command.op) {
    case 'use': {
      const { va, asid, fetch } = command;
      const entry = core.tlbLookUp(tlb, Number(va >> 12n), asid, fetch ? 1 : 0, shared) >>> 0;
      expect(entry === 0 ? undefined : entryWords(rig, entry)).toEqual(oracleWords(oracle.lookUp(va, asid, fetch)));
      break;
    }
    case 'fill': {
      const { va, asid, fetch, global, level, pa } = command;
      const word = mappedWord(pa | (va & 0xfffn), level, FLAGS);
      const begun = core.tlbBegin(tlb, shared);
      expect(core.tlbFill(tlb, va, asid, fetch ? 1 : 0, global, word, n, begun, shared)).not.toBe(0);
      oracle.fill(va, global ? 'global' : asid, fetch, { pa, level, flags: mappedWord(0n, level, FLAGS) }, n);
      break;
    }
    case 'page':
      core.tlbInvalidatePage(tlb, command.va, command.asid, scopeBits(command.scope), shared);
      oracle.invalidateRange([command.va], command.asid, command.scope);
      break;
    case 'range': {
      const { va, asid, scope, pages, stride } = command;
      const last = va + BigInt(pages) * KiB4;
      core.tlbInvalidateRange(tlb, va, last, stride, asid, scopeBits(scope), shared);
      const addresses: bigint[] = [];
      for (let at = va; at <= last; at += 1n << BigInt(stride)) addresses.push(at);
      oracle.invalidateRange(addresses, asid, scope);
      break;
    }
    case 'faulted':
      core.tlbDropFaulted(tlb, command.va, command.asid, shared);
      oracle.invalidateRange([command.va], command.asid, { global: true, structures: 'on-the-way' });
      break;
    case 'asid':
      core.tlbInvalidateAsid(tlb, command.asid, shared);
      oracle.invalidateAsid(command.asid);
      break;
    case 'not-global':
      core.tlbInvalidateNotGlobal(tlb, shared);
      oracle.invalidateNotGlobal();
      break;
    case 'all':
      core.tlbInvalidateAll(tlb, shared);
      oracle.invalidateAll();
      break;
    case 'evict':
      expect(core.tlbEvict(tlb, command.n, shared) !== 0).toBe(oracle.evict(command.n));
      break;
    case 'find': {
      const entry = core.pwcFind(tlb, command.va, command.asid, shared) >>> 0;
      const want = oracle.findStructure(command.va, command.asid);
      const found = entry === 0 ? undefined : (rig.u64[entry / 8 + 1] as bigint);
      expect(found === undefined ? undefined : found & ~7n).toBe(want?.table);
      if (want !== undefined) expect(1n << (12n + 9n * ((found as bigint) & 7n))).toBe(want.size);
      break;
    }
    case 'remember': {
      const { va, asid, level, table } = command;
      const begun = core.tlbBegin(tlb, shared);
      const filled = core.pwcFill(tlb, va, asid, level, table, BigInt(n), begun, shared) !== 0;
      expect(filled).toBe(oracle.fillStructure(va, asid, level, table, BigInt(n)));
    }
  }
}

const entryWords = (rig: Rig, entry: number): [bigint, bigint] => [
  rig.u64[entry / 8 + 1] as bigint,
  (rig.u64[entry / 8 + 2] as bigint) & 0xffffffffn,
];

function oracleWords(entry: OracleEntry | undefined): [bigint, bigint] | undefined {
  if (entry === undefined) return undefined;
  const { page, slot, table, rights } = entry;
  return page === undefined ? [table as bigint, rights as bigint] : [page.pa | page.flags, BigInt(slot as number)];
}

function oracleStanding(oracle: OracleTlb): Standing[] {
  return oracle.valid().map(({ array, set, way }) => {
    const entry = set.ways[way] as OracleEntry;
    const { va, size, asid } = entry;
    const words = oracleWords(entry) as [bigint, bigint];
    return { array: array.model.name, set: array.sets.indexOf(set), way, va, size, asid, words };
  });
}

describe.each(['release', 'chaos', 'explore'] as const)('%s build', (build) => {
  test.each([
    ['its owner alone', false],
    ['broadcast', true],
  ])('any sequence leaves the entries and the counts of the dull TLB (%s)', async (_, shared) => {
    // The explorer chooses which way a random replacement gives up: here it chooses as the oracle does.
    let random = new Xorshift(1);
    const points = { suspend() {}, choose: (n: number) => random.below(n) };
    const rig = await makeRig({ frames: 1, build, ...(build === 'explore' ? { points } : {}) });
    fc.assert(
      fc.property(
        model,
        fc.integer({ min: 1, max: 0xffffffff }),
        fc.array(command, { maxLength: 120, size: 'max' }),
        (model, seed, commands) => {
          const tlb = makeTlb(rig, model, seed);
          const oracle = new OracleTlb(model, seed);
          random = new Xorshift(seed);
          for (const [n, command] of commands.entries()) {
            perform(rig, tlb, oracle, command, n, shared);
            expect(standing(rig, tlb, model)).toEqual(oracleStanding(oracle));
          }
          expect(rig.core.tlbCountValid(tlb)).toBe(oracle.valid().length);
          if (build !== 'explore') compareCounts(rig, tlb, model, oracle);
          rig.core.disposeTlb(tlb);
        },
      ),
      { numRuns: build === 'release' ? 300 : 100 },
    );
  });
});

function compareCounts(rig: Rig, tlb: number, model: TlbModel, oracle: OracleTlb): void {
  const got = counts(rig, tlb, model);
  expect(got).toEqual({
    accesses: oracle.accesses,
    misses: oracle.misses,
    refused: 0,
    arrays: oracle.arrays.map(({ hits, fills, evictions, invalidated }) => ({ hits, fills, evictions, invalidated })),
  });
  const translations = got.arrays.filter((_, n) => model.arrays[n]?.level !== 'structures');
  expect(translations.reduce((sum, { hits }) => sum + hits, 0) + got.misses).toBe(got.accesses);
  for (const [n, { fills, evictions, invalidated }] of got.arrays.entries()) {
    const name = model.arrays[n]?.name;
    const valid = oracle.valid().filter(({ array }) => array.model.name === name).length;
    expect(fills - evictions - invalidated).toBe(valid);
  }
}

// ---- by example

const TWO_LEVELS: TlbModel = {
  arrays: [
    { name: 'L1', level: 1, pages: [0, 1, 2], sets: 1, ways: 2 },
    { name: 'L2', level: 2, pages: [0, 1, 2], sets: 1, ways: 4 },
    { name: 'PDE', level: 'structures', pages: [1], sets: 1, ways: 4 },
  ],
};
const INVLPG = SCOPE_GLOBAL | SCOPE_STRUCTURES;
const at = (n: number) => BigInt(n) * KiB4;

async function scene(model = TWO_LEVELS) {
  const rig = await makeRig({ frames: 1 });
  const tlb = makeTlb(rig, model);
  const { core } = rig;
  return {
    rig,
    tlb,
    core,
    fill: (va: bigint, { asid = 1, level = 0, pa = 0n, global = false, fetch = 0 } = {}) =>
      core.tlbFill(tlb, va, asid, fetch, global, mappedWord(pa, level), 0, 0, false),
    /** Physical address of the first byte of the entry that answers, or undefined for a miss. */
    use: (va: bigint, asid = 1, fetch = 0) => {
      const entry = core.tlbLookUp(tlb, Number(va >> 12n), asid, fetch, false) >>> 0;
      return entry === 0 ? undefined : (rig.u64[entry / 8 + 1] as bigint) & 0xfffffffffffffn;
    },
    counts: () => counts(rig, tlb, model),
    names: () => standing(rig, tlb, model).map(({ array, va }) => `${array} ${va.toString(16)}`),
  };
}

test('a stale entry answers until it is invalidated, whatever the tables say', async () => {
  const { fill, use, core, tlb } = await scene();
  fill(at(5), { pa: at(77) });
  expect([use(at(5)), use(at(5))]).toEqual([at(77), at(77)]);
  core.tlbInvalidatePage(tlb, at(5), 1, INVLPG, false);
  expect(use(at(5))).toBeUndefined();
});

test('the least recently used entry of level 1 makes room, and level 2 brings it back', async () => {
  const { fill, use, names, counts } = await scene();
  fill(at(1), { pa: at(101) });
  fill(at(2), { pa: at(102) });
  use(at(1));
  fill(at(3), { pa: at(103) });
  expect(names()).toEqual(['L1 1000', 'L1 3000', 'L2 1000', 'L2 2000', 'L2 3000']);
  expect(use(at(2))).toBe(at(102));
  expect(names().slice(0, 2)).toEqual(['L1 2000', 'L1 3000']);
  expect(counts().arrays.map(({ hits }) => hits)).toEqual([1, 1, 0]);
});

test('tree-PLRU is not LRU: after 0 1 2 3 0 it gives up way 2', async () => {
  const victims = await Promise.all(
    (['tree-plru', 'lru'] as const).map(async (replacement) => {
      const { fill, use, rig, tlb } = await scene({
        arrays: [{ name: 'L1', level: 1, pages: [0], sets: 1, ways: 4, replacement }],
      });
      for (const n of [0, 1, 2, 3]) fill(at(n));
      use(at(0));
      fill(at(9));
      const arrays: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0], sets: 1, ways: 4 }] };
      return standing(rig, tlb, arrays).find(({ va }) => va === at(9))?.way;
    }),
  );
  expect(victims).toEqual([2, 1]);
});

test('an entry of a large page goes by an address anywhere inside it', async () => {
  for (const [level, size] of [
    [1, MiB2],
    [2, GiB1],
  ] as const) {
    for (const inside of [0n, 0x1234n, size - 1n]) {
      const { fill, use, core, tlb } = await scene();
      fill(3n * size, { level });
      expect(use(3n * size + inside)).toBe(0n);
      core.tlbInvalidatePage(tlb, 3n * size + inside, 1, INVLPG, false);
      expect(use(3n * size)).toBeUndefined();
    }
  }
});

test('where a small and a large entry cover one address, the small one answers, and INVLPG drops both', async () => {
  const { fill, use, core, tlb } = await scene();
  fill(MiB2, { level: 1, pa: 8n * MiB2 });
  expect(use(MiB2)).toBe(8n * MiB2);
  fill(MiB2, { level: 0, pa: at(7) });
  expect(use(MiB2)).toBe(at(7));
  expect(use(MiB2 + KiB4)).toBe(8n * MiB2);
  core.tlbInvalidatePage(tlb, MiB2, 1, INVLPG, false);
  expect([use(MiB2), use(MiB2 + KiB4)]).toEqual([undefined, undefined]);
});

test('a global entry serves every ASID, outlives a flush of each, and goes with INVLPG of any', async () => {
  const { fill, use, core, tlb } = await scene();
  fill(at(4), { asid: 1, global: true, pa: at(9) });
  expect([use(at(4), 1), use(at(4), 0xffff)]).toEqual([at(9), at(9)]);
  core.tlbInvalidateAsid(tlb, 1, false);
  core.tlbInvalidateNotGlobal(tlb, false);
  core.tlbInvalidatePage(tlb, at(4), 1, SCOPE_STRUCTURES, false);
  expect(use(at(4), 2)).toBe(at(9));
  core.tlbInvalidatePage(tlb, at(4), 7, INVLPG, false);
  expect(use(at(4), 2)).toBeUndefined();
});

test('ASIDs that differ in one bit do not share entries', async () => {
  for (let bit = 0; bit < 16; bit++) {
    const { fill, use } = await scene();
    fill(at(1), { asid: 0 });
    fill(at(1), { asid: 1 << bit, pa: at(bit + 1) });
    expect([use(at(1), 0), use(at(1), 1 << bit)]).toEqual([0n, at(bit + 1)]);
  }
});

test('INVLPG drops all paging-structure entries of its ASID, VALE none, VAE those on the way', async () => {
  const remember = async () => {
    const { core, tlb } = await scene();
    for (const [va, asid] of [
      [0n, 1],
      [MiB2, 1],
      [0n, 2],
    ] as const)
      core.pwcFill(tlb, va, asid, 1, 0x5000n, 0n, 0, false);
    const left = () =>
      (
        [
          [0n, 1],
          [MiB2, 1],
          [0n, 2],
        ] as const
      ).map(([va, asid]) => core.pwcFind(tlb, va, asid, false) !== 0);
    return { core, tlb, left };
  };
  for (const [scope, want] of [
    [INVLPG, [false, false, true]],
    [SCOPE_GLOBAL, [true, true, true]],
    [SCOPE_GLOBAL | SCOPE_WAY, [false, true, true]],
  ] as const) {
    const { core, tlb, left } = await remember();
    core.tlbInvalidatePage(tlb, at(3), 1, scope, false);
    expect(left()).toEqual(want);
  }
});

test('a paging-structure cache may lead to a table that was freed: it is not told', async () => {
  const { core, tlb, rig } = await scene();
  const pfn = core.allocateFrame(layout.FRAME_TABLE);
  core.pwcFill(tlb, MiB2, 1, 1, BigInt(pfn) << 12n, 0n, 0, false);
  core.putFrame(pfn);
  const entry = core.pwcFind(tlb, MiB2 + 0x7000n, 1, false) >>> 0;
  expect(rig.u64[entry / 8 + 1]).toBe((BigInt(pfn) << 12n) | 1n);
});

test('a stride larger than a page leaves the pages between its steps', async () => {
  const { fill, use, core, tlb } = await scene();
  fill(MiB2);
  fill(MiB2 + KiB4);
  core.tlbInvalidateRange(tlb, MiB2, 3n * MiB2 - 1n, 21, 1, INVLPG, false);
  expect([use(MiB2), use(MiB2 + KiB4)]).toEqual([undefined, 0n]);
});

test('a page larger than an array takes is cut into pieces, and any address in it drops them all', async () => {
  const { fill, use, core, tlb, names } = await scene({
    arrays: [{ name: 'L1', level: 1, pages: [0, 1], sets: 1, ways: 4 }],
  });
  fill(GiB1 + MiB2 + 0x3000n, { level: 2, pa: 4n * GiB1 });
  fill(GiB1 + 5n * MiB2, { level: 2, pa: 4n * GiB1 });
  expect(names()).toEqual([`L1 ${(GiB1 + MiB2).toString(16)}`, `L1 ${(GiB1 + 5n * MiB2).toString(16)}`]);
  expect(use(GiB1 + MiB2)).toBe(4n * GiB1 + MiB2);
  core.tlbInvalidatePage(tlb, GiB1 + 100n * MiB2, 1, INVLPG, false);
  expect(names()).toEqual([]);
});

test('an entry for data does not serve a fetch where the arrays are apart', async () => {
  const { fill, use } = await scene({
    arrays: [
      { name: 'ITLB', level: 1, serves: 'fetch', pages: [0], sets: 1, ways: 2 },
      { name: 'DTLB', level: 1, serves: 'data', pages: [0], sets: 1, ways: 2 },
    ],
  });
  fill(at(1), { pa: at(3), fetch: 0 });
  expect([use(at(1), 1, 0), use(at(1), 1, 1)]).toEqual([at(3), undefined]);
  fill(at(2), { pa: at(4), fetch: 1 });
  expect([use(at(2), 1, 0), use(at(2), 1, 1)]).toEqual([undefined, at(4)]);
});

test('the wrong hint costs nothing but time: two pages that share one are told apart', async () => {
  const { fill, use } = await scene();
  const far = 1024n * 64n * KiB4;
  fill(at(1), { pa: at(10) });
  fill(at(1) + far, { pa: at(20) });
  for (let n = 0; n < 3; n++) expect([use(at(1)), use(at(1) + far)]).toEqual([at(10), at(20)]);
});

test('loads through the TLB read the frame that the entry names, also when the table has moved on', async () => {
  const rig = await makeRig({ frames: 64 });
  const { core } = rig;
  const tlb = makeTlb(rig, TWO_LEVELS);
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_WP | layout.CR_NXE, 0, 46);
  const [old, young] = [core.allocateFrame(layout.FRAME_DATA), core.allocateFrame(layout.FRAME_DATA)];
  const word = (pfn: number) => ((core.frameAddress(pfn) >>> 0) + 0x18) / 8;
  rig.u64[word(old)] = 111n;
  rig.u64[word(young)] = 222n;
  const prot = layout.PROT_READ | layout.PROT_USER;
  core.map(space, at(7), BigInt(old) << 12n, KiB4, prot, 0);
  const buffer = core.heapAllocate(64) >>> 0;
  rig.u64.set([at(7) + 0x18n, at(7) + 0x1fn, at(7) + 0x18n, at(8)], buffer / 8);
  const access = layout.ACCESS_READ | layout.ACCESS_USER;
  const load = () => core.loadThroughTlb(tlb, space, 1, buffer, buffer + 32, 4, access, false);
  const loaded = () => [...rig.u64.slice(buffer / 8 + 4, buffer / 8 + 7)];
  // The fourth faults: nothing is mapped there.
  expect([load(), loaded()]).toEqual([3, [111n, 111n, 111n]]);
  core.unmap(space, at(7), KiB4);
  core.map(space, at(7), BigInt(young) << 12n, KiB4, prot, 0);
  expect([load(), loaded()]).toEqual([3, [111n, 111n, 111n]]);
  core.tlbInvalidatePage(tlb, at(7), 1, INVLPG, false);
  expect([load(), loaded()]).toEqual([3, [222n, 222n, 222n]]);
  const { accesses, misses, arrays } = counts(rig, tlb, TWO_LEVELS);
  expect([accesses, misses]).toEqual([12, 5]);
  expect(arrays.reduce((sum, { hits }) => sum + hits, 0)).toBe(7);
  // A kernel page is refused to the user, entry or not.
  core.protect(space, at(7), KiB4, layout.PROT_READ);
  core.tlbInvalidatePage(tlb, at(7), 1, INVLPG, false);
  expect([load(), load()]).toEqual([0, 0]);
});
