// Counterexamples: what the explorer reports is replayed from its token alone, or the token says where the program differs.

import { describe, expect, test } from 'vitest';
import { explore } from '../../src/explore/explore.ts';
import { replay } from '../../src/explore/replay.ts';
import { trace } from '../../src/explore/trace.ts';
import type { CpuProgram, Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { EMPTY_WORLD, load, makeCpu, makeProgram, ops, set, store, words } from '../support/litmus.ts';
import { cleanRace } from '../support/races.ts';

async function counterexample(program: LitmusProgram, invariant: string, options = {}) {
  const { verdicts } = await explore(program, options);
  const found = verdicts.find((verdict) => verdict.invariant === invariant)?.counterexample;
  if (found === undefined) throw new Error(`${invariant} is not violated`);
  return found;
}

const RACES: readonly (readonly [string, LitmusProgram])[] = [
  ['flush after the act', cleanRace({ flush: 'after' })],
  ['no flush', cleanRace({ flush: 'none' })],
  ['no flush, clean at the start', cleanRace({ flush: 'none', dirty: false })],
  ['with bystanders', cleanRace({ flush: 'after', bystanders: 2 })],
];

describe.each(RACES)('%s', (_, program) => {
  test.each([
    ['exhaustively', {}],
    ['without reduction', { reduce: false }],
    ['without looking for a shortest schedule', { shortest: false }],
    ['by random walks', { random: { kind: 'walk', seed: 1, runs: 2000 } }],
    ['by PCT', { random: { kind: 'pct', seed: 1, runs: 2000 } }],
    ['with two preemptions', { preemptions: 2 }],
  ])('what is found %s is reproduced by its token', async (_, options) => {
    const { token, schedule, steps } = await counterexample(program, 'WRITEBACK', options);
    const result = await replay(program, token);
    expect(result).toMatchObject({ kind: 'reproduced', invariant: 'WRITEBACK', changed: false });
    if (result.kind !== 'reproduced') return;
    expect(result.trace.steps.length).toBe(steps);
    expect(result.trace).toEqual(await trace(program, schedule));
    expect(result.trace.violated).toEqual(['WRITEBACK']);
  });

  test('the token is the same every time', async () => {
    expect((await counterexample(program, 'WRITEBACK')).token).toBe((await counterexample(program, 'WRITEBACK')).token);
  });
});

describe('violations of the last state', () => {
  const eat = (first: number, second: number): Instruction[] => [
    { op: ops.OP_SPIN_LOCK, c: first },
    { op: ops.OP_SPIN_LOCK, c: second },
    { op: ops.OP_SPIN_UNLOCK, c: second },
    { op: ops.OP_SPIN_UNLOCK, c: first },
  ];
  const locks = [0, 1].map((n) => ({ name: `fork${n}`, kind: 'spin' as const }));
  const deadlock = makeProgram({
    world: { ...EMPTY_WORLD, locks },
    symbols: locks.map(({ name }) => ({ of: 'lock', name })),
    cpus: [makeCpu('P0', eat(0, 1)), makeCpu('P1', eat(1, 0))],
  });

  test('a deadlock is reproduced, and says who waits for what', async () => {
    const { token, steps } = await counterexample(deadlock, 'DEADLOCK');
    expect(steps).toBe(2);
    expect(await replay(deadlock, token)).toMatchObject({
      kind: 'reproduced',
      invariant: 'DEADLOCK',
      trace: {
        violated: ['DEADLOCK'],
        waiting: [
          { cpu: 0, place: { of: 'lock', name: 'fork1' } },
          { cpu: 1, place: { of: 'lock', name: 'fork0' } },
        ],
      },
    });
  });

  test('a condition is reproduced with all CPUs at their end', async () => {
    const { words: list, symbols } = words(2);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), store(0, 1), load(2, 1)]),
        makeCpu('P1', [set(1, 1n), store(1, 1), load(2, 0)]),
        makeCpu('P2', [load(3, 0)]),
      ],
      observed: [{ of: 'register', cpu: 0, register: 2, name: 'P0:r2' }],
      condition: {
        quantifier: '~exists',
        text: '~exists P0:r2 = 0',
        term: { kind: 'compare', operator: '==', left: { observed: 0 }, right: { value: 0n } },
      },
    });
    const { token, steps, preemptions } = await counterexample(program, '~exists P0:r2 = 0');
    expect({ steps, preemptions }).toEqual({ steps: 5, preemptions: 0 });
    expect(await replay(program, token)).toMatchObject({ kind: 'reproduced', invariant: '~exists P0:r2 = 0' });
  });

  test('what fails before the first step is reproduced by no steps', async () => {
    const program = makeProgram({
      invariants: ['NEVER'],
      cpus: [makeCpu('P0', [{ op: ops.OP_ASSERT, a: 0, c: ops.FIRST_INVARIANT }])],
    });
    const { token, steps } = await counterexample(program, 'NEVER');
    expect(steps).toBe(0);
    expect(await replay(program, token)).toMatchObject({ kind: 'reproduced', invariant: 'NEVER', changed: false });
  });
});

describe('choices of the environment', () => {
  const { words: list, symbols } = words(1);
  const program = makeProgram({
    invariants: ['TWO'],
    world: { ...EMPTY_WORLD, words: list },
    symbols,
    cpus: [
      makeCpu('P0', [
        { op: ops.OP_CHOOSE, d: 1, immediate: 5n },
        { op: ops.OP_CHOOSE, d: 2, immediate: 3n },
        { op: ops.OP_MUL, d: 3, a: 1, b: 2 },
        store(0, 3),
        set(4, 6n),
        { op: ops.OP_NE, d: 5, a: 3, b: 4 },
        { op: ops.OP_ASSERT, a: 5, c: ops.FIRST_INVARIANT },
      ]),
      makeCpu('P1', [load(1, 0)]),
    ],
  });

  test('are in the token', async () => {
    const { token, schedule } = await counterexample(program, 'TWO');
    expect(schedule).toEqual([{ cpu: 0, points: 3, choices: [3, 2] }]);
    const result = await replay(program, token);
    expect(result).toMatchObject({ kind: 'reproduced', trace: { steps: [{ choice: 3 }, { choice: 2 }, {}] } });
  });

  test('that there are no more are told', async () => {
    const { token } = await counterexample(program, 'TWO');
    const [p0, p1] = program.cpus as [CpuProgram, CpuProgram];
    const fewer = { ...p0, code: p0.code.map((each, n) => (n === 0 ? { ...each, immediate: 2n } : each)) };
    expect(await replay({ ...program, cpus: [fewer, p1] }, token)).toMatchObject({
      kind: 'differs',
      step: 1,
      why: { kind: 'no-choice', cpu: 'P0' },
      changed: true,
    });
  });
});

describe('another program', () => {
  const program = cleanRace({ flush: 'after' });
  const [p0, p1] = program.cpus as [CpuProgram, CpuProgram];
  const token = async () => (await counterexample(program, 'WRITEBACK')).token;
  const withCleaner = (code: readonly Instruction[]) => ({ ...program, cpus: [p0, { ...p1, code }] });

  test('of another name or variant is foreign', async () => {
    expect(await replay({ ...program, name: 'another' }, await token())).toEqual({ kind: 'foreign' });
    const variant = { ...program.variant, flush: 'none' };
    expect(await replay({ ...program, variant }, await token())).toEqual({ kind: 'foreign' });
  });

  test('a text that is no token is malformed', async () => {
    expect(await replay(program, 'hello')).toEqual({
      kind: 'malformed',
      why: 'its version is "h", and this program reads version "2"',
    });
  });

  test('that accesses something else says in which steps', async () => {
    // P1 begins with the lock where it began with the count: its stretch begins at step 4.
    const [first, second, third, ...rest] = p1.code as [Instruction, Instruction, Instruction];
    const result = await replay(withCleaner([first, third, second, ...rest]), await token());
    expect(result).toMatchObject({
      kind: 'differs',
      step: 4,
      why: { kind: 'other-accesses', cpu: 'P1', last: 16 },
      changed: true,
    });
    if (result.kind === 'differs') expect(result.trace.steps.length).toBe(16);
  });

  test('that ends sooner says where', async () => {
    const shorter = withCleaner([...p1.code.slice(0, 3), { op: ops.OP_HALT }]);
    expect(await replay(shorter, await token())).toMatchObject({
      kind: 'differs',
      step: 6,
      why: { kind: 'has-ended', cpu: 'P1' },
    });
  });

  test('that waits where it did not says for what', async () => {
    // P0 takes the lock before its stores, and keeps it.
    const locked: CpuProgram = {
      ...p0,
      mode: 'user',
      code: [...p0.code.slice(0, 3), { op: ops.OP_SPIN_LOCK, c: 2 }, ...p0.code.slice(3)],
      handler: (p0.handler ?? 0) + 1,
    };
    expect(await replay({ ...program, cpus: [locked, p1] }, await token())).toMatchObject({
      kind: 'differs',
      step: 1,
      why: { kind: 'other-accesses', cpu: 'P0', last: 3 },
    });
  });

  test('in which the same steps violate nothing says so at the end', async () => {
    // The check asks for less: the copy may be anything.
    const after = program.afterwards as CpuProgram;
    const code = after.code.map((each) => (each.op === ops.OP_EQ ? { ...each, op: ops.OP_LE } : each));
    const result = await replay({ ...program, afterwards: { ...after, code } }, await token());
    expect(result).toMatchObject({
      kind: 'differs',
      why: { kind: 'not-violated', invariant: 'WRITEBACK' },
      changed: true,
    });
    if (result.kind === 'differs') expect(result.step).toBe(result.trace.steps.length + 1);
  });

  test('whose steps are the same reproduces it, and says that it is another', async () => {
    const world = { ...program.world, words: [...program.world.words, { name: 'spare', value: 0n }] };
    expect(await replay({ ...program, world }, await token())).toMatchObject({ kind: 'reproduced', changed: true });
  });
});

test('a schedule that does not fit is refused', async () => {
  const program = cleanRace();
  await expect(trace(program, [{ cpu: 9, points: 1, choices: [] }])).rejects.toThrow(/"schedule" does not fit: CPU 9/);
  await expect(trace(program, [{ cpu: 2, points: 1, choices: [] }])).rejects.toThrow(/CPU 2 cannot make step 1/);
});
