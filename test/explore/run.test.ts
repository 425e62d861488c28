// A run of its own: what `restart` promises.

import { expect, test } from 'vitest';
import { Run } from '../../src/explore/run.ts';
import { compile, variantsOf } from '../../src/litmus/index.ts';
import { catalogue } from '../../src/scenarios/index.ts';

const STEPS = 400;

/** Makes steps as a generator of 32 bits says, until nobody can go on or there were STEPS. */
function wander(run: Run, seed: number): void {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  while (!run.isOver && run.steps.length < STEPS) {
    const able = Array.from({ length: run.cpus }, (_, c) => c).filter((c) => run.mayRun(c));
    const cpu = able[below(able.length)] as number;
    run.step(cpu, below(Math.max(1, run.stand(cpu).choices)));
  }
}

test.each((await catalogue()).map(({ name, scenario }) => [name, scenario] as const))(
  '%s: after a restart every word of the memory is what it was before the first step',
  async (_, scenario) => {
    const variants = variantsOf(scenario);
    for (const { variant } of [...variants.slice(0, 1), ...variants.slice(-1)]) {
      const run = await Run.create(compile(scenario, variant));
      const before = run.machine.u32.slice();
      for (let seed = 1; seed <= 5; seed++) {
        wander(run, seed);
        run.restart();
        const differs = before.findIndex((word, n) => word !== run.machine.u32[n]);
        expect(differs, `seed ${seed}, word at 0x${(4 * differs).toString(16)}`).toBe(-1);
      }
    }
  },
);
