// The explorer is tested by counting: programs whose states, paths and outcomes are known by hand or in closed form.

import { describe, expect, test } from 'vitest';
import { type ExploreResult, explore } from '../../src/explore/explore.ts';
import type { LitmusProgram } from '../../src/litmus/program.ts';
import { EMPTY_WORLD, load, makeCpu, makeProgram, ops, set, store, words } from '../support/litmus.ts';

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
  /** Each CPU takes the locks in its order, and gives them back. */
  function nested(orders: readonly (readonly [number, number])[]): LitmusProgram {
    return makeProgram({
      world: {
        ...EMPTY_WORLD,
        locks: [0, 1, 2].map((n) => ({ name: `fork${n}`, kind: 'spin' as const })),
      },
      symbols: [0, 1, 2].map((n) => ({ of: 'lock' as const, name: `fork${n}` })),
      cpus: orders.map(([first, second], n) =>
        makeCpu(`P${n}`, [
          { op: ops.OP_SPIN_LOCK, c: first },
          { op: ops.OP_SPIN_LOCK, c: second },
          { op: ops.OP_SPIN_UNLOCK, c: second },
          { op: ops.OP_SPIN_UNLOCK, c: first },
        ]),
      ),
    });
  }

  test.each([true, false])('three philosophers who begin on their left starve (reduced: %s)', async (reduce) => {
    const result = await explore(
      nested([
        [0, 1],
        [1, 2],
        [2, 0],
      ]),
      { reduce },
    );
    expect(verdictOf(result, 'DEADLOCK')).toBe('violated');
    const schedule = result.verdicts.find(({ invariant }) => invariant === 'DEADLOCK')?.schedule;
    expect(schedule?.length).toBe(3);
  });

  test.each([true, false])('with one of them left-handed, they eat (reduced: %s)', async (reduce) => {
    const result = await explore(
      nested([
        [0, 1],
        [1, 2],
        [0, 2],
      ]),
      { reduce },
    );
    expect(verdictOf(result, 'DEADLOCK')).toBe('holds');
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
