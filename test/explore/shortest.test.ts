// Schedules of violations against a dull search without reduction or estimates: none has fewer scheduling points.
//
// RUNS and SEED in the environment make it longer, and repeat one run.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileCore } from '../../src/core/compile.ts';
import { explore } from '../../src/explore/explore.ts';
import { DEADLOCK, invariantsOf, judgeEnd } from '../../src/explore/invariants.ts';
import { Machine, Restart } from '../../src/explore/machine.ts';
import { choicesOf, type Local, StateSpace } from '../../src/explore/space.ts';
import { compile, variantsOf } from '../../src/litmus/index.ts';
import type { LitmusProgram } from '../../src/litmus/program.ts';
import { type CatalogueEntry, catalogue } from '../../src/scenarios/index.ts';
import { programs, type Shape, textOf } from '../support/programs.ts';

const RUNS = Number(process.env['RUNS'] ?? 100);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

const SHAPES: readonly (readonly [string, Shape])[] = [
  ['two words and a lock', { words: 2, spins: 1, rws: 0, cpus: [2, 3], statements: 3 }],
  ['two words and two locks', { words: 2, spins: 2, rws: 0, cpus: [3, 3], statements: 2 }],
  ['one word and locks of both kinds', { words: 1, spins: 1, rws: 1, cpus: [2, 3], statements: 2 }],
];

test.each(SHAPES)(
  `of %s (seed ${SEED})`,
  async (_, shape) => {
    const met = new Set<string>();
    await fc.assert(
      fc.asyncProperty(programs(shape), async (program) => {
        const { want, got } = await lengths(program);
        for (const invariant of got.keys()) met.add(invariant);
        expect(Object.fromEntries(got), textOf(program)).toEqual(Object.fromEntries(want));
      }),
      { numRuns: RUNS, seed: SEED },
    );
    expect([...met]).toContain('DEADLOCK');
    expect(met.size).toBeGreaterThan(2);
  },
  600_000,
);

test('of a scenario whose invariants are judged when all CPUs have ended', async () => {
  const { scenario } = (await catalogue()).find(({ name }) => name === 'wrprotect-then-clean') as CatalogueEntry;
  const violated = variantsOf(scenario).filter(({ id }) => ['C1', 'C5', 'C9'].includes(id ?? ''));
  expect(violated.length).toBeGreaterThan(2);
  for (const { variant } of violated) {
    const program = compile(scenario, variant);
    const { want, got } = await lengths(program);
    expect(got.size).toBeGreaterThan(0);
    expect(Object.fromEntries(got)).toEqual(Object.fromEntries(want));
  }
}, 120_000);

/** Of each violated invariant, by name, the scheduling points until then: by the dull search, and by what the explorer says. */
async function lengths(program: LitmusProgram) {
  const { verdicts } = await explore(program);
  return settled(program, (space, initial) => {
    // The dull search first: what is a step is known when all shared words are.
    const want = dull(program, space, initial);
    const violated = verdicts.flatMap(({ invariant, schedule }) =>
      schedule === undefined ? [] : [[invariant, pointsOf(space, initial, schedule)] as const],
    );
    return { want, got: new Map(violated) };
  });
}

type Moves = readonly { readonly cpu: number; readonly choice: number }[];

/** Scheduling points that `moves` pass. */
function pointsOf(space: StateSpace, initial: Uint32Array, moves: Moves): number {
  const state = initial.slice();
  let points = 0;
  for (const { cpu, choice } of moves) {
    const effect = space.step(state, 0, cpu, choice);
    points += effect.points;
    space.apply(state, 0, cpu, effect);
  }
  return points;
}

/** Of each invariant that an execution violates, by name, the fewest scheduling points passed until then: Dijkstra's search of all states. */
function dull(program: LitmusProgram, space: StateSpace, initial: Uint32Array): ReadonlyMap<string, number> {
  const fewest = new Map<number, number>();
  const note = (invariant: number, points: number) => {
    if (points < (fewest.get(invariant) ?? Number.POSITIVE_INFINITY)) fewest.set(invariant, points);
  };
  for (let n = 0; n < 32; n++) if ((space.failsAtOnce & (1 << n)) !== 0) note(n, 0);
  const afterwards = program.afterwards === undefined ? -1 : space.cpus - 1;
  const done = new Set<string>();
  const levels: Uint32Array[][] = [[initial]];
  for (let points = 0; points < levels.length; points++) {
    for (let at = 0; at < (levels[points]?.length ?? 0); at++) {
      const state = levels[points]?.[at] as Uint32Array;
      const key = state.join();
      if (done.has(key)) continue;
      done.add(key);
      const locals = Array.from({ length: space.cpus }, (_, c) => space.locals[state[c] as number] as Local);
      const isOver = locals.every(({ cpu, done: ended }) => cpu === afterwards || ended);
      const able = locals.filter(({ cpu }) => (cpu !== afterwards || isOver) && space.runnable(state, 0, cpu));
      if (able.length === 0 && locals.every((local) => local.done)) {
        space.load(state, 0);
        for (const invariant of judgeEnd(space.machine).violated) note(invariant, points);
      } else if (able.length === 0) note(DEADLOCK, points);
      for (const local of able) {
        for (let choice = 0; choice < choicesOf(local); choice++) {
          const effect = space.step(state, 0, local.cpu, choice);
          const then = points + effect.points;
          for (let n = 0; n < 32; n++) if ((effect.fails & (1 << n)) !== 0) note(n, then);
          const next = state.slice();
          space.apply(next, 0, local.cpu, effect);
          while (levels.length <= then) levels.push([]);
          levels[then]?.push(next);
        }
      }
    }
  }
  const names = new Map(invariantsOf(program).map(({ number, name }) => [number, name]));
  return new Map([...fewest].map(([number, points]) => [names.get(number) as string, points]));
}

/** Begins anew where a word turns out to be shared that was not taken for one. */
async function settled<T>(program: LitmusProgram, attempt: (space: StateSpace, initial: Uint32Array) => T): Promise<T> {
  const machine = new Machine(program, await compileCore('explore'));
  for (;;) {
    try {
      machine.reset();
      const space = new StateSpace(machine);
      return attempt(space, space.initial());
    } catch (error) {
      if (!(error instanceof Restart)) throw error;
    }
  }
}
