// `memory = tso`: the verdicts of x86-TSO, on the examples of the paper that defines it, and on random programs against the dull generator.
//
// Source: Owens, Sarkar and Sewell, "A Better x86 Memory Model: x86-TSO", TPHOLs 2009; its examples of the Intel manual (vol. 3A, 8.2.3) are called
// by their numbers there. RUNS and SEED in the environment make the random part longer, and repeat one run.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ExploreResult, explore } from '../../src/explore/explore.ts';
import { compile, type LitmusProgram, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { bufferProgram, type Instruction, type World } from '../../src/litmus/program.ts';
import { interleave } from '../oracle/interleave.ts';
import { EMPTY_WORLD, I, makeCpu, makeProgram, ops, set } from '../support/litmus.ts';

const RUNS = Number(process.env['RUNS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

interface Example {
  readonly name: string;
  readonly cpus: readonly string[];
  /** Of the end. */
  readonly exists: string;
  readonly sc: 'holds' | 'violated';
  readonly tso: 'holds' | 'violated';
}

const never = { sc: 'violated', tso: 'violated' } as const;
const buffered = { sc: 'violated', tso: 'holds' } as const;

const EXAMPLES: readonly Example[] = [
  {
    name: 'SB (8.2.3.4)',
    cpus: ['*x = 1; r0 = *y;', '*y = 1; r0 = *x;'],
    exists: 'P0:r0 = 0 /\\ P1:r0 = 0',
    ...buffered,
  },
  {
    name: 'SB with mfence on both sides',
    cpus: ['*x = 1; mfence(); r0 = *y;', '*y = 1; mfence(); r0 = *x;'],
    exists: 'P0:r0 = 0 /\\ P1:r0 = 0',
    ...never,
  },
  {
    name: 'SB with mfence on one side',
    cpus: ['*x = 1; mfence(); r0 = *y;', '*y = 1; r0 = *x;'],
    exists: 'P0:r0 = 0 /\\ P1:r0 = 0',
    ...buffered,
  },
  {
    name: 'SB with locked exchanges (8.2.3.9)',
    cpus: ['xchg(x, 1); r0 = *y;', 'xchg(y, 1); r0 = *x;'],
    exists: 'P0:r0 = 0 /\\ P1:r0 = 0',
    ...never,
  },
  { name: 'MP (8.2.3.2)', cpus: ['*x = 1; *y = 1;', 'r0 = *y; r1 = *x;'], exists: 'P1:r0 = 1 /\\ P1:r1 = 0', ...never },
  { name: 'LB (8.2.3.3)', cpus: ['r0 = *x; *y = 1;', 'r0 = *y; *x = 1;'], exists: 'P0:r0 = 1 /\\ P1:r0 = 1', ...never },
  {
    name: 'a load sees the own store (8.2.3.4)',
    cpus: ['*x = 1; r0 = *x;', 'r0 = *x;'],
    exists: 'P0:r0 = 0',
    ...never,
  },
  {
    name: 'forwarding within a processor (8.2.3.5)',
    cpus: ['*x = 1; r0 = *x; r1 = *y;', '*y = 1; r0 = *y; r1 = *x;'],
    exists: 'P0:r0 = 1 /\\ P0:r1 = 0 /\\ P1:r0 = 1 /\\ P1:r1 = 0',
    ...buffered,
  },
  {
    name: 'stores are transitively visible (8.2.3.6)',
    cpus: ['*x = 1;', 'r0 = *x; *y = 1;', 'r0 = *y; r1 = *x;'],
    exists: 'P1:r0 = 1 /\\ P2:r0 = 1 /\\ P2:r1 = 0',
    ...never,
  },
  {
    name: 'IRIW (8.2.3.7)',
    cpus: ['*x = 1;', '*y = 1;', 'r0 = *x; r1 = *y;', 'r0 = *y; r1 = *x;'],
    exists: 'P2:r0 = 1 /\\ P2:r1 = 0 /\\ P3:r0 = 1 /\\ P3:r1 = 0',
    ...never,
  },
  {
    name: 'IRIW with locked exchanges (8.2.3.8)',
    cpus: ['xchg(x, 1);', 'xchg(y, 1);', 'r0 = *x; r1 = *y;', 'r0 = *y; r1 = *x;'],
    exists: 'P2:r0 = 1 /\\ P2:r1 = 0 /\\ P3:r0 = 1 /\\ P3:r1 = 0',
    ...never,
  },
  {
    name: 'stores are not reordered with locked instructions (8.2.3.10)',
    cpus: ['xchg(x, 1); *y = 1;', 'r0 = *y; r1 = *x;'],
    exists: 'P1:r0 = 1 /\\ P1:r1 = 0',
    ...never,
  },
  { name: 'CoRR', cpus: ['*x = 1;', 'r0 = *x; r1 = *x;'], exists: 'P1:r0 = 1 /\\ P1:r1 = 0', ...never },
  {
    name: 'n6',
    cpus: ['*x = 1; r0 = *x; r1 = *y;', '*y = 2; *x = 2;'],
    exists: 'P0:r0 = 1 /\\ P0:r1 = 0 /\\ X = 1',
    ...buffered,
  },
  { name: 'n5', cpus: ['*x = 1; r0 = *x;', '*x = 2; r0 = *x;'], exists: 'P0:r0 = 2 /\\ P1:r0 = 1', ...never },
  { name: 'n4b', cpus: ['r0 = *x; *x = 1;', 'r0 = *x; *x = 2;'], exists: 'P0:r0 = 2 /\\ P1:r0 = 1', ...never },
  {
    name: 'amd3',
    cpus: ['*x = 1; *x = 2; r0 = *y;', '*y = 1; *y = 2; r0 = *x;'],
    exists: 'P0:r0 = 1 /\\ P1:r0 = 1',
    ...buffered,
  },
];

describe.each(EXAMPLES)('$name', ({ cpus, exists, sc, tso }) => {
  test.each([
    ['sc', sc],
    ['tso', tso],
  ] as const)('%s', async (memory, want) => {
    const program = compiled(cpus, exists, memory);
    const result = await explore(program);
    expect(result.exhaustive).toBe(true);
    expect(result.verdicts.find(({ invariant }) => invariant.startsWith('exists'))?.verdict).toBe(want);
    expect(result.verdicts.filter(({ verdict }) => verdict === 'violated').length).toBe(want === 'violated' ? 1 : 0);
  });
});

function compiled(cpus: readonly string[], exists: string, memory: 'sc' | 'tso'): LitmusProgram {
  const entries = cpus.map((_, n) => `tlb P${n} : x W D; tlb P${n} : y W D;`);
  const bodies = cpus.map((body, n) => `P${n} user A { ${body} }`);
  const text = `litmus example "of the paper"
    init { mm A; frame X = 0; frame Y = 0; page x in A -> X : W A D; page y in A -> Y : W A D; ${entries.join(' ')} }
    ${bodies.join('\n')}
    exists (${exists})`;
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return compile(parsed.scenario, { memory });
}

// 1.6 of the catalogue's description: every ordering that matters goes through a locked update, a lock, or an interrupt.
describe('store buffers change no verdict of a cleaned mapping, for who flushes waits until they are empty', () => {
  const parsed = parseScenario(readFileSync('src/scenarios/clean-against-writer.litmus', 'utf8'));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { scenario } = parsed;
  test.each(['ipi', 'broadcast'])('%s', async (shootdown) => {
    for (const { variant } of variantsOf(scenario)) {
      const of = async (memory: string) =>
        (await explore(compile(scenario, { ...variant, shootdown, memory }), { shortest: false })).verdicts.map(
          ({ invariant, verdict }) => `${invariant} ${verdict}`,
        );
      expect(await of('tso')).toEqual(await of('sc'));
    }
  });
});

describe(`random programs of seed ${SEED}`, () => {
  test.each(['sc', 'tso'] as const)('%s', async (memory) => {
    let buffers = 0;
    await fc.assert(
      fc.asyncProperty(programs(memory), async (program) => {
        const want = truthOf(program);
        const full = await explore(program, { reduce: false, shortest: false });
        expect({ ...said(full), exhaustive: full.exhaustive }).toEqual({ ...want, exhaustive: true });
        const reduced = await explore(program, { shortest: false });
        expect({ ...said(reduced), exhaustive: reduced.exhaustive }).toEqual({ ...want, exhaustive: true });
        if (want.outcomes.length > truthOf({ ...program, world: { ...program.world, memory: 'sc' } }).outcomes.length)
          buffers++;
      }),
      { numRuns: RUNS, seed: SEED },
    );
    // Or the programs could not tell the memory models apart.
    expect(buffers > 0).toBe(memory === 'tso');
  });
});

/** Two or three user CPUs that load, store, exchange and fence two pages, now and then use a word or a lock, and assert what they loaded. */
function programs(memory: World['memory']): fc.Arbitrary<LitmusProgram> {
  const page = fc.constantFrom(0, 1);
  const value = fc.bigInt(1n, 2n);
  const access: fc.Arbitrary<readonly Instruction[]> = fc.oneof(
    {
      weight: 14,
      arbitrary: fc
        .tuple(page, value)
        .map(([c, v]) => [va(c), set(2, v), I(ops.OP_USER_STORE, { a: 1, b: 2, c: 4 + c })]),
    },
    {
      weight: 14,
      arbitrary: fc
        .tuple(page, register())
        .map(([c, d]) => [va(c), I(ops.OP_USER_LOAD, { d, a: 1, c: ops.NO_SYMBOL })]),
    },
    fc
      .tuple(page, register(), value)
      .map(([c, d, v]) => [va(c), set(2, v), I(ops.OP_USER_EXCHANGE, { d, a: 1, b: 2, c: 4 + c })]),
    fc.constant([I(ops.OP_USER_FENCE)]),
    value.map((v) => [set(2, v), I(ops.OP_STORE64, { c: 2, a: 2 })]),
    register().map((d) => [I(ops.OP_LOAD64, { d, c: 2 })]),
    value.map((v) => [I(ops.OP_ATOMIC), set(2, v), I(ops.OP_FETCH_ADD64, { c: 2, d: 2, a: 2 }), I(ops.OP_JOINED_END)]),
    fc.constant([I(ops.OP_SPIN_LOCK, { c: 3 }), I(ops.OP_SPIN_UNLOCK, { c: 3 })]),
    register().map((a) => [I(ops.OP_NOT, { d: 2, a }), I(ops.OP_ASSERT, { a: 2, c: ops.FIRST_INVARIANT })]),
  );
  const code = fc.array(access, { minLength: 2, maxLength: 4 }).map((blocks) => blocks.flat());
  return fc.array(code, { minLength: 2, maxLength: 3 }).map((cpus) => {
    const users = cpus.map((each, n) => makeCpu(`P${n}`, each, { mode: 'user', mm: 'A' }));
    const buffers = memory === 'tso' ? users.map(({ name }, n) => bufferProgram(name, n, 6 + n)) : [];
    return makeProgram({
      world: {
        ...EMPTY_WORLD,
        memory,
        mms: [{ name: 'A', splitPtl: false }],
        frames: ['X', 'Y'].map((name) => ({ name, value: 0n, owner: undefined, references: 1 })),
        pages: PAGES.map((name, n) => ({
          name,
          mm: 'A',
          va: 0x400000n + BigInt(n) * 0x1000n,
          entry: { kind: 'mapped', frame: 'XY'[n] as string, ...RIGHTS },
        })),
        words: [{ name: 'w', value: 0n }],
        locks: [{ name: 'l', kind: 'spin' }],
        entries: cpus.flatMap((_, cpu) => PAGES.map((page) => ({ cpu, page, write: true, dirty: true }))),
      },
      symbols: [
        ...PAGES.map((name) => ({ of: 'page' as const, name, field: 'va' as const })),
        { of: 'word', name: 'w' },
        { of: 'lock', name: 'l' },
        ...PAGES.map((name) => ({ of: 'page' as const, name, field: 'last' as const })),
        ...cpus.map((_, number) => ({ of: 'cpu' as const, number, field: 'buffer' as const })),
        { of: 'frame', name: 'X', field: 'data' },
        { of: 'frame', name: 'Y', field: 'data' },
      ],
      cpus: [...users, ...buffers],
      invariants: ['ZERO'],
      observed: [
        ...cpus.flatMap((_, cpu) =>
          [3, 4].map((r) => ({ of: 'register' as const, cpu, register: r, name: `${cpu}:r${r}` })),
        ),
        ...['X', 'Y'].map((name, n) => ({
          of: 'symbol' as const,
          symbol: 6 + cpus.length + n,
          bytes: 8 as const,
          name,
        })),
        { of: 'symbol', symbol: 2, bytes: 8, name: 'w' },
      ],
    });
  });
}

const PAGES = ['x', 'y'];
const RIGHTS = { write: true, dirty: true, accessed: true, softDirty: false, uffdWp: false, special: false };
const register = () => fc.constantFrom(3, 4);
const va = (c: number): Instruction => I(ops.OP_SYMBOL, { d: 1, c });

function said({ outcomes, verdicts }: ExploreResult) {
  return {
    outcomes: outcomes.map(({ text }) => text),
    violated: verdicts.flatMap(({ verdict, invariant }) => (verdict === 'violated' ? [invariant] : [])).sort(),
  };
}

/** The dull generator has the buffers in itself. */
function truthOf(program: LitmusProgram) {
  const { outcomes, violated, deadlock } = interleave({
    ...program,
    cpus: program.cpus.filter(({ drains }) => drains === undefined),
  });
  return { outcomes, violated: [...violated.map(() => 'ZERO'), ...(deadlock ? ['DEADLOCK'] : [])].sort() };
}
