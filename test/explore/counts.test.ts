// The explorer is tested by counting: programs whose states, paths and outcomes are known by hand or in closed form.

import { describe, expect, test } from 'vitest';
import { type ExploreResult, explore } from '../../src/explore/explore.ts';
import { trace } from '../../src/explore/trace.ts';
import type { CpuProgram, Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { interleave, interleaveShared } from '../oracle/interleave.ts';
import { EMPTY_WORLD, I, load, makeCpu, makeProgram, ops, set, store, words } from '../support/litmus.ts';

const verdictOf = ({ verdicts }: ExploreResult, name: string) =>
  verdicts.find(({ invariant }) => invariant === name)?.verdict;
const textsOf = ({ outcomes }: ExploreResult) => outcomes.map(({ text }) => text);

/** P0 stores 1 to n to a, P1 stores 1 to m to b; each then reads the other's word, so that both words are shared. */
function grid(n: number, m: number): LitmusProgram {
  const code = (own: number, other: number, steps: number) => [
    ...Array.from({ length: steps }, (_, k) => [set(1, BigInt(k + 1)), store(own, 1)]).flat(),
    load(2, other),
  ];
  const { words: list, symbols } = words(2);
  return makeProgram({
    world: { ...EMPTY_WORLD, words: list },
    symbols,
    cpus: [makeCpu('P0', code(0, 1, n)), makeCpu('P1', code(1, 0, m))],
    observed: [
      { of: 'register', cpu: 0, register: 2, name: 'P0:r2' },
      { of: 'register', cpu: 1, register: 2, name: 'P1:r2' },
    ],
  });
}

describe('states', () => {
  // (i, j) with i <= n, j <= m stores done and nobody has read: (n+1)(m+1). P0 has read: what it read, v <= j: j from v to m, so the sum over
  // j of j + 1; likewise P1. Both have: one of them read last and saw all: (n, v) or (v, m), which share (n, m).
  test.each([
    [1, 1],
    [3, 5],
    [6, 6],
  ])('of %i and %i stores, each CPU reading the other at the end', async (n, m) => {
    const sum = (k: number) => ((k + 1) * (k + 2)) / 2;
    const want = (n + 1) * (m + 1) + sum(m) + sum(n) + (n + m + 1);
    const { states, exhaustive, outcomes } = await explore(grid(n, m), { reduce: false });
    expect({ states, exhaustive }).toEqual({ states: want, exhaustive: true });
    expect(outcomes.length).toBe(n + m + 1);
  });

  test('the reduced search finds the same outcomes', async () => {
    const program = grid(4, 3);
    expect(textsOf(await explore(program))).toEqual(textsOf(await explore(program, { reduce: false })));
  });

  test('store buffering has three outcomes under sequential consistency', async () => {
    const result = await explore(grid(1, 1));
    expect(textsOf(result)).toEqual(['P0:r2=0 P1:r2=1', 'P0:r2=1 P1:r2=0', 'P0:r2=1 P1:r2=1']);
  });

  test('words that only one CPU touches, and words that nobody writes, are no steps', async () => {
    const { words: list, symbols } = words(3);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), store(0, 1), load(2, 0), load(3, 2)]),
        makeCpu('P1', [set(1, 1n), store(1, 1), load(2, 1), load(3, 2)]),
      ],
    });
    const { states, transitions } = await explore(program, { reduce: false });
    expect({ states, transitions }).toEqual({ states: 1, transitions: 0 });
  });
});

describe('locks', () => {
  /** Each of the philosophers takes two forks, and puts them back. */
  function philosophers(n: number, orders: (n: number) => readonly [number, number]): LitmusProgram {
    const forks = Array.from({ length: n }, (_, k) => `fork${k}`);
    return makeProgram({
      world: { ...EMPTY_WORLD, locks: forks.map((name) => ({ name, kind: 'spin' as const })) },
      symbols: forks.map((name) => ({ of: 'lock' as const, name })),
      cpus: forks.map((_, k) => {
        const [first, second] = orders(k);
        return makeCpu(`P${k}`, [
          { op: ops.OP_SPIN_LOCK, c: first },
          { op: ops.OP_SPIN_LOCK, c: second },
          { op: ops.OP_SPIN_UNLOCK, c: second },
          { op: ops.OP_SPIN_UNLOCK, c: first },
        ]);
      }),
    });
  }

  /**
   * States of philosophers, counted without the explorer: each has made 0 to 4 of its steps, and no fork is in two hands. Those that are reached
   * are all of these, for whoever holds something can have come first.
   */
  function countStates(n: number, orders: (n: number) => readonly [number, number]): number {
    const seen = new Set<string>();
    const visit = (steps: readonly number[]): void => {
      const key = steps.join();
      if (seen.has(key)) return;
      seen.add(key);
      const held = new Set(steps.flatMap((made, k) => heldAfter(made, orders(k))));
      for (const [k, made] of steps.entries()) {
        const [first, second] = orders(k);
        const wanted = made === 0 ? first : made === 1 ? second : -1;
        if (made < 4 && !held.has(wanted)) visit(steps.map((each, other) => (other === k ? each + 1 : each)));
      }
    };
    visit(Array<number>(n).fill(0));
    return seen.size;
  }
  const heldAfter = (made: number, [first, second]: readonly [number, number]) =>
    made === 2 ? [first, second] : made === 1 || made === 3 ? [first] : [];

  describe.each([2, 3, 4, 5])('%i philosophers', (n) => {
    const leftFirst = (k: number) => [k, (k + 1) % n] as const;
    const lowFirst = (k: number) => [Math.min(k, (k + 1) % n), Math.max(k, (k + 1) % n)] as const;

    test.each([true, false])('who begin on their left starve (reduced: %s)', async (reduce) => {
      const result = await explore(philosophers(n, leftFirst), { reduce });
      if (!reduce) expect(result.states).toBe(countStates(n, leftFirst));
      const deadlock = result.verdicts.find(({ invariant }) => invariant === 'DEADLOCK');
      expect(deadlock?.verdict).toBe('violated');
      // Each has taken one fork, and waits for that of the next.
      expect(deadlock?.schedule?.map(({ cpu }) => cpu).sort()).toEqual(Array.from({ length: n }, (_, k) => k));
      const { waiting } = await trace(result.program, deadlock?.counterexample?.schedule ?? []);
      expect(waiting.map(({ cpu, place }) => [cpu, place])).toEqual(
        Array.from({ length: n }, (_, k) => [k, { of: 'lock', name: `fork${(k + 1) % n}` }]),
      );
    });

    test.each([true, false])('who begin with the lower fork eat (reduced: %s)', async (reduce) => {
      const result = await explore(philosophers(n, lowFirst), { reduce });
      if (!reduce) expect(result.states).toBe(countStates(n, lowFirst));
      expect(result.verdicts.filter(({ verdict }) => verdict !== 'holds')).toEqual([]);
    });
  });

  test('a lock that is not given back is found at the end of the program', async () => {
    const program = makeProgram({
      world: { ...EMPTY_WORLD, locks: [{ name: 'l', kind: 'spin' }] },
      symbols: [{ of: 'lock', name: 'l' }],
      cpus: [makeCpu('P0', [{ op: ops.OP_PAUSE }, { op: ops.OP_SPIN_LOCK, c: 0 }])],
    });
    expect(verdictOf(await explore(program), 'LOCKS')).toBe('violated');
  });
});

describe('executions', () => {
  // Two CPUs of n and m steps that touch nothing in common (the same two words all the time, each its own, and another reads both at the end).
  // Every interleaving is a path through a grid: (n+1)(m+1) states, and C(n+m, n) ways through it, which the dull generator counts.
  test.each([
    [1, 1],
    [2, 3],
    [4, 4],
    [5, 3],
  ])('of %i and %i steps: C(n+m, n), of which the reduced search makes one', async (n, m) => {
    const { words: list, symbols } = words(2);
    const steps = (own: number, count: number) =>
      Array.from({ length: count }, (_, k) => [set(1, BigInt(k + 1)), store(own, 1)]).flat();
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [makeCpu('P0', steps(0, n)), makeCpu('P1', steps(1, m))],
      afterwards: makeCpu('afterwards', [load(1, 0), load(2, 1)]),
    });
    const paths = (k: number, l: number): number => (k === 0 || l === 0 ? 1 : paths(k - 1, l) + paths(k, l - 1));
    const alone = { ...program, afterwards: undefined };
    expect(interleave(alone).executions).toBe(paths(n, m));
    const full = await explore(program, { reduce: false });
    // The grid, and behind its end the two loads.
    expect({ states: full.states, transitions: full.transitions }).toEqual({
      states: (n + 1) * (m + 1) + 2,
      transitions: n * (m + 1) + m * (n + 1) + 2,
    });
    const reduced = await explore(program);
    expect({ states: reduced.states, transitions: reduced.transitions }).toEqual({
      states: n + m + 3,
      transitions: n + m + 2,
    });
  });
});

describe('mutual exclusion', () => {
  /** In the critical section each counts itself in and out; `ALONE` says that it is the only one. */
  const section = (n: number): readonly Instruction[] => [
    set(7, 1n),
    I(ops.OP_FETCH_ADD64, { d: 6, c: IN, a: 7 }),
    I(ops.OP_NOT, { d: 6, a: 6 }),
    I(ops.OP_ASSERT, { a: 6, c: ops.FIRST_INVARIANT }),
    set(7, -1n & ((1n << 64n) - 1n)),
    I(ops.OP_FETCH_ADD64, { d: 6, c: IN, a: 7 }),
    set(6, BigInt(n)),
  ];
  const IN = 0;
  const [FLAG0, FLAG1, TURN] = [1, 2, 3];

  /** Peterson 1981: says that it wants, lets the other go first, and waits. */
  function peterson(order: 'flag first' | 'turn first' | 'no turn'): LitmusProgram {
    const cpus = [0, 1].map((n) => {
      const [own, other] = n === 0 ? [FLAG0, FLAG1] : [FLAG1, FLAG0];
      const flag = [set(1, 1n), store(own, 1)];
      const turn = order === 'no turn' ? [] : [set(2, BigInt(1 - n)), store(TURN, 2)];
      const entry = order === 'flag first' ? [...flag, ...turn] : [...turn, ...flag];
      const at = entry.length;
      const body = section(n);
      return makeCpu(`P${n}`, [
        ...entry,
        load(3, other),
        I(ops.OP_IF_ZERO, { a: 3, c: at + (order === 'no turn' ? 3 : 6) }),
        ...(order === 'no turn'
          ? [I(ops.OP_JUMP, { c: at })]
          : [load(4, TURN), set(5, BigInt(n)), I(ops.OP_NE, { d: 5, a: 4, b: 5 }), I(ops.OP_IF_NOT, { a: 5, c: at })]),
        ...body,
        set(1, 0n),
        store(own, 1),
      ]);
    });
    return withWords(cpus, ['in', 'flag0', 'flag1', 'turn']);
  }

  /** Takes a number, and waits until it is served; `torn`: the number is read and counted up in two steps. */
  function tickets(n: number, torn: boolean): LitmusProgram {
    const [NEXT, SERVED] = [1, 2];
    const cpus = Array.from({ length: n }, (_, k) =>
      makeCpu(`P${k}`, [
        set(2, 1n),
        ...(torn
          ? [load(1, NEXT), I(ops.OP_ADD, { d: 3, a: 1, b: 2 }), store(NEXT, 3)]
          : [I(ops.OP_FETCH_ADD64, { d: 1, c: NEXT, a: 2 })]),
        set(4, (1n << 64n) - 1n),
        I(ops.OP_AWAIT64, { c: SERVED, a: 1, immediate: 4n }),
        ...section(k),
        set(2, 1n),
        I(ops.OP_FETCH_ADD64, { d: 3, c: SERVED, a: 2 }),
      ]),
    );
    return withWords(cpus, ['in', 'next', 'served']);
  }

  function withWords(cpus: readonly CpuProgram[], names: readonly string[]): LitmusProgram {
    return makeProgram({
      world: { ...EMPTY_WORLD, words: names.map((name) => ({ name, value: 0n })) },
      symbols: names.map((name) => ({ of: 'word' as const, name })),
      cpus,
      invariants: ['ALONE'],
      // All registers, for those that nobody needs any more are no part of the explorer's states, and are of the dull generator's.
      observed: cpus.flatMap((_, cpu) =>
        [1, 2, 3, 4, 5, 6, 7].map((register) => ({
          of: 'register' as const,
          cpu,
          register,
          name: `${cpu}:r${register}`,
        })),
      ),
    });
  }

  test.each([
    ['Peterson: the flag, then the turn', peterson('flag first'), 'holds', 'holds'],
    ['broken: the turn, then the flag', peterson('turn first'), 'violated', 'holds'],
    ['two tickets', tickets(2, false), 'holds', 'holds'],
    ['three tickets', tickets(3, false), 'holds', 'holds'],
    ['tickets that are taken in two steps', tickets(2, true), 'violated', 'violated'],
  ] as const)('%s', async (_, program, alone, deadlock) => {
    const full = await explore(program, { reduce: false });
    const reduced = await explore(program);
    for (const result of [full, reduced]) {
      expect({ alone: verdictOf(result, 'ALONE'), deadlock: verdictOf(result, 'DEADLOCK') }).toEqual({
        alone,
        deadlock,
      });
    }
    expect(full.states).toBe(interleaveShared(program).states);
    expect(reduced.states).toBeLessThanOrEqual(full.states);
  });

  test('both want and nobody gives way: no violation, and no deadlock either, for they run in circles', async () => {
    const program = peterson('no turn');
    const result = await explore(program, { reduce: false });
    expect(verdictOf(result, 'ALONE')).toBe('holds');
    expect(interleave(program).executions).toBe(Number.POSITIVE_INFINITY);
    expect(result.states).toBe(interleaveShared(program).states);
  });
});
