// Random small programs: what threads show is among what the explorer found.
//
// RUNS and SEED in the environment make it longer, and repeat one run.

import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { explore } from '../../src/explore/explore.ts';
import type { LitmusProgram } from '../../src/litmus/program.ts';
import { agreementOf, RacerPool, stress } from '../../src/stress/index.ts';
import { programs, type Shape, textOf } from '../support/programs.ts';
import { useRacers } from '../support/racers.ts';

const BUILDS = ['release', 'chaos'] as const;
const RUNS = Number(process.env['RUNS'] ?? 40);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

const SHAPES: readonly (readonly [string, Shape])[] = [
  ['three words', { words: 3, spins: 0, rws: 0, cpus: [3, 3], statements: 4, tame: true }],
  ['two words and a lock', { words: 2, spins: 1, rws: 0, cpus: [2, 3], statements: 3, tame: true }],
  ['two words and a reader-writer lock', { words: 2, spins: 0, rws: 1, cpus: [2, 2], statements: 3, tame: true }],
];

const racers = useRacers();
const pool = new RacerPool(racers.spawn);

afterAll(() => pool.close());

/** Programs that always come to an end: those that wait for ever are another test's. */
async function explored(program: LitmusProgram) {
  const result = await explore(program, { shortest: false, maxStates: 20_000 });
  const starves = result.verdicts.some(({ invariant, verdict }) => invariant === 'DEADLOCK' && verdict === 'violated');
  // What is never written is waited for in circles.
  return result.exhaustive && !starves && result.outcomes.length > 0 ? result : undefined;
}

describe(`programs of seed ${SEED}`, () => {
  test.each(SHAPES)(
    'of %s',
    async (_, shape) => {
      let raced = 0;
      await fc.assert(
        fc.asyncProperty(
          programs(shape),
          fc.constantFrom('release', 'chaos'),
          fc.nat(1e6),
          async (program, build, seed) => {
            const truth = await explored(program);
            fc.pre(truth !== undefined);
            if (truth === undefined) return;
            const workers = 1 + (seed % 3);
            const race = await stress(program, {
              spawn: pool.spawn,
              workers,
              seed,
              build,
              budgetMs: 25,
              instances: 32,
              hangMs: 10_000,
            });
            raced++;
            expect({ hangs: race.hangs, deaths: race.deaths }).toEqual({ hangs: [], deaths: [] });
            expect(agreementOf([race], truth).disagreements).toEqual([]);
          },
        ),
        { numRuns: RUNS, seed: SEED, reporter },
      );
      expect(raced).toBeGreaterThanOrEqual(RUNS);
    },
    3_600_000,
  );
});

/** The smallest program that fails, as a person would write it. */
function reporter(details: fc.RunDetails<[LitmusProgram, (typeof BUILDS)[number], number]>): void {
  if (!details.failed) return;
  const [program, build, seed] = details.counterexample ?? [];
  const again = `SEED=${details.seed} RUNS=${details.numRuns}: ${build} build, seed ${seed}`;
  throw new Error(`${again}\n${program === undefined ? '' : textOf(program)}\n${details.errorInstance}`);
}
