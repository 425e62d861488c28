// Random small programs: the explorer says what every interleaving says, and counts what it counts.
//
// RUNS and SEED in the environment make it longer, and repeat one run.

import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type ExploreResult, explore } from '../../src/explore/explore.ts';
import { Futures } from '../../src/explore/futures.ts';
import { bitsOf, type Effect, StateSpace } from '../../src/explore/space.ts';
import { Visited } from '../../src/explore/visited.ts';
import type { Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { interleave, interleaveShared } from '../oracle/interleave.ts';
import { EMPTY_WORLD, I, load, makeCpu, makeProgram, ops, set, store } from '../support/litmus.ts';
import { programs, type Shape, textOf } from '../support/programs.ts';

const RUNS = Number(process.env['RUNS'] ?? 200);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

const SHAPES: readonly (readonly [string, Shape])[] = [
  ['two words and a lock', { words: 2, spins: 1, rws: 0, cpus: [2, 3], statements: 3 }],
  ['three words', { words: 3, spins: 0, rws: 0, cpus: [3, 3], statements: 3 }],
  ['two words and two locks', { words: 2, spins: 2, rws: 0, cpus: [3, 3], statements: 3 }],
  ['two words and a reader-writer lock', { words: 2, spins: 0, rws: 1, cpus: [2, 3], statements: 2 }],
  ['one word and locks of both kinds', { words: 1, spins: 1, rws: 1, cpus: [3, 3], statements: 2 }],
];

describe(`programs of seed ${SEED}`, () => {
  test.each(SHAPES)(
    'of %s',
    async (_, shape) => {
      await fc.assert(
        fc.asyncProperty(programs(shape), async (program) => {
          const want = truthOf(program);
          const full = await explore(program, { reduce: false, shortest: false });
          expect({ ...said(full), exhaustive: full.exhaustive }).toEqual({ ...want, exhaustive: true });
          // Unlocking a reader-writer lock is two steps of the core and one of the dull machine.
          if (shape.rws === 0) expect(full.states).toBe(interleaveShared(program).states);
          const reduced = await explore(program, { shortest: false });
          expect({ ...said(reduced), exhaustive: reduced.exhaustive }).toEqual({ ...want, exhaustive: true });
        }),
        { numRuns: RUNS, seed: SEED, reporter },
      );
    },
    3_600_000,
  );
});

describe('what overlooks something is caught', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const mutants: readonly (readonly [string, () => void])[] = [
    [
      'one CPU at a time suffices',
      () => {
        vi.spyOn(Futures.prototype, 'choose').mockImplementation((_state, _at, enabled) => enabled & -enabled);
      },
    ],
    [
      'nobody gets in the way of a read',
      () => {
        const step = StateSpace.prototype.step;
        vi.spyOn(StateSpace.prototype, 'step').mockImplementation(function (this: StateSpace, ...where): Effect {
          const effect = step.apply(this, where);
          return remade(
            effect,
            effect.touched,
            effect.how.map((how) => how & 3),
          );
        });
      },
    ],
    [
      'a step touches the word that it begins with and no other',
      () => {
        const step = StateSpace.prototype.step;
        vi.spyOn(StateSpace.prototype, 'step').mockImplementation(function (this: StateSpace, ...where): Effect {
          const effect = step.apply(this, where);
          return remade(effect, effect.touched.slice(0, 1), effect.how.slice(0, 1));
        });
      },
    ],
    [
      'a lock that is taken is never given back',
      () => {
        const noteEffect = Futures.prototype.noteEffect;
        vi.spyOn(Futures.prototype, 'noteEffect').mockImplementation(function (this: Futures, local, effect, ...where) {
          noteEffect.call(this, local, { ...effect, slots: [], values: [] }, ...where);
          effect.noted = true;
        });
      },
    ],
    [
      'a CPU may be put off for ever on a cycle',
      () => {
        vi.spyOn(Visited.prototype, 'note').mockReturnValue(0);
      },
    ],
    [
      'states of the same 10 bits are the same',
      () => {
        const add = Visited.prototype.add;
        vi.spyOn(Visited.prototype, 'add').mockImplementation(function (this: Visited, a) {
          return add.call(this, a & 0xffc00000, 0, 0);
        });
      },
    ],
    [
      'nobody waits',
      () => {
        vi.spyOn(StateSpace.prototype, 'runnable').mockImplementation(function (this: StateSpace, state, at, c) {
          return this.locals[state[at + c] as number]?.done === false;
        });
      },
    ],
  ];

  test.each(mutants)(
    '%s',
    async (_, mutate) => {
      const sample = [handedOn()];
      for (const program of sample) expect(said(await reduced(program))).toEqual(truthOf(program));
      mutate();
      sample.push(...SHAPES.flatMap(([, shape]) => fc.sample(programs(shape), { numRuns: 200, seed: 1 })));
      for (const program of sample) {
        if (JSON.stringify(said(await reduced(program))) !== JSON.stringify(truthOf(program))) return;
      }
      expect.unreachable(`${sample.length} programs did not tell it from the explorer`);
    },
    600_000,
  );
});

const reduced = (program: LitmusProgram) => explore(program, { shortest: false, maxTransitions: 1e5 });

/**
 * P1 sets `a` and `c` under the lock; P0 hands `a` on to `b` once it has the lock; P2 reads `b`, and then `c`, so that P1 may not go first for sure.
 * While P1 has the lock nobody gets in the way of P2, until P1 gives it back.
 */
function handedOn(): LitmusProgram {
  const [A, B, C, LOCK] = [0, 1, 2, 3];
  const locked = (...code: readonly Instruction[]) => [
    I(ops.OP_SPIN_LOCK, { c: LOCK }),
    ...code,
    I(ops.OP_SPIN_UNLOCK, { c: LOCK }),
  ];
  return makeProgram({
    world: {
      ...EMPTY_WORLD,
      words: ['a', 'b', 'c'].map((name) => ({ name, value: 0n })),
      locks: [{ name: 'l', kind: 'spin' }],
    },
    symbols: [...['a', 'b', 'c'].map((name) => ({ of: 'word' as const, name })), { of: 'lock', name: 'l' }],
    cpus: [
      makeCpu('P0', locked(load(1, A), store(B, 1))),
      makeCpu('P1', locked(set(1, 1n), store(A, 1), store(C, 1))),
      makeCpu('P2', [load(1, B), load(2, C)]),
    ],
    observed: [{ of: 'register', cpu: 2, register: 1, name: 'P2:r1' }],
  });
}

const others = new WeakMap<Effect, Effect>();

/** An effect that says of itself that it touched and wrote something else. */
function remade(effect: Effect, touched: readonly number[], how: readonly number[]): Effect {
  const other = others.get(effect) ?? { ...effect, touched, how, bits: bitsOf(touched, how) };
  others.set(effect, other);
  return other;
}

function said({ outcomes, verdicts }: ExploreResult) {
  return {
    outcomes: outcomes.map(({ text }) => text),
    violated: verdicts.flatMap(({ verdict, invariant }) => (verdict === 'violated' ? [invariant] : [])).sort(),
  };
}

function truthOf(program: LitmusProgram) {
  const { outcomes, violated, deadlock } = interleave(program);
  const names = violated.map((n) => program.invariants[n - ops.FIRST_INVARIANT] ?? 'LOCKS');
  return { outcomes, violated: [...names, ...(deadlock ? ['DEADLOCK'] : [])].sort() };
}

/** The smallest program that fails, as a person would write it. */
function reporter(details: fc.RunDetails<[LitmusProgram]>): void {
  if (!details.failed) return;
  const [program] = details.counterexample ?? [];
  const again = `SEED=${details.seed} RUNS=${details.numRuns}`;
  throw new Error(`${again}\n${program === undefined ? '' : textOf(program)}\n${details.errorInstance}`);
}
