// Steps that are said not to get in each other's way may change places.
//
// Guarantees: in every state that is looked at, of each two CPUs whose next steps do not collide neither keeps the other from its step, and in both
// orders they do the same, end in the same state and violate the same. On that the reduction rests: it is what persistent and sleep
// sets take a step's words, and how it touches them (machine.ts, Step.how), to mean.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Machine, Restart } from '../../src/explore/machine.ts';
import { choicesOf, collide, type Effect, type Local, StateSpace } from '../../src/explore/space.ts';
import { compile, type LitmusProgram, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { EMPTY_WORLD, I, makeCpu, makeProgram, ops, set } from '../support/litmus.ts';
import { programs, textOf as programText } from '../support/programs.ts';

const MOST_STATES = Number(process.env['STATES'] ?? 1500);
const RUNS = Number(process.env['RUNS'] ?? 100);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

interface Looked {
  /** Pairs of steps that do not collide; and those of them that commute only by how they touch a word that both change. */
  independent: number;
  commuting: number;
  readonly wrong: string[];
}

const FOLDER = 'src/scenarios';
describe.each(readdirSync(FOLDER).filter((name) => name.endsWith('.litmus')))('%s', (name) => {
  const parsed = parseScenario(readFileSync(`${FOLDER}/${name}`, 'utf8'));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { variant } = variantsOf(parsed.scenario)[0] ?? { variant: {} };
  test.each(['ipi', 'broadcast'])('%s', async (shootdown) => {
    const { independent, wrong } = await look(compile(parsed.scenario, { ...variant, shootdown }));
    expect(wrong).toEqual([]);
    // There, a single word is all that anybody touches.
    if (name !== 'coherent-reads.litmus') expect(independent).toBeGreaterThan(0);
  });
});

test(`random programs of seed ${SEED}`, async () => {
  await fc.assert(
    fc.asyncProperty(programs({ words: 2, spins: 1, rws: 1, cpus: [3, 3], statements: 3 }), async (program) => {
      expect((await look(program)).wrong, programText(program)).toEqual([]);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

describe('what commutes', () => {
  const [WORD, LOCK] = [0, 1];
  const add = (d: number) => [set(1, 1n), I(ops.OP_FETCH_ADD64, { d, a: 1, c: WORD })];
  const of = (...codes: readonly ReturnType<typeof I>[][]) =>
    makeProgram({
      world: { ...EMPTY_WORLD, words: [{ name: 'w', value: 0n }], locks: [{ name: 'l', kind: 'rw' }] },
      symbols: [
        { of: 'word', name: 'w' },
        { of: 'lock', name: 'l' },
      ],
      cpus: codes.map((code, n) => makeCpu(`P${n}`, code)),
      observed: [{ of: 'register', cpu: 0, register: 2, name: 'r' }],
    });
  const reader = [I(ops.OP_READ_LOCK, { c: LOCK }), I(ops.OP_READ_UNLOCK, { c: LOCK })];
  const writer = [I(ops.OP_WRITE_LOCK, { c: LOCK }), I(ops.OP_WRITE_UNLOCK, { c: LOCK })];

  test('additions of which nothing is made', async () => {
    expect(await look(of(add(1), add(1)))).toEqual({ independent: 1, commuting: 1, wrong: [] });
  });
  test('not one whose result is shown', async () => {
    expect(await look(of(add(2), add(1)))).toEqual({ independent: 0, commuting: 0, wrong: [] });
  });
  test('readers of a lock, not its writers', async () => {
    const { commuting, wrong } = await look(of(reader, reader));
    expect({ commuting, wrong }).toEqual({ commuting: 4, wrong: [] });
    expect((await look(of(writer, writer))).independent).toBe(0);
    expect((await look(of(reader, writer))).independent).toBe(0);
  });
});

/** Looks at the first states of a program, breadth first and without reduction. */
async function look(program: LitmusProgram): Promise<Looked> {
  const machine = await Machine.create(program);
  for (;;) {
    try {
      machine.reset();
      return lookAt(new StateSpace(machine));
    } catch (error) {
      if (!(error instanceof Restart)) throw error;
    }
  }
}

function lookAt(space: StateSpace): Looked {
  const looked: Looked = { independent: 0, commuting: 0, wrong: [] };
  const queue = [space.initial()];
  const seen = new Set(queue.map((state) => state.join()));
  for (let state = queue.shift(); state !== undefined; state = queue.shift()) {
    const steps = stepsAt(space, state);
    for (const { c, choice, effect } of steps) {
      const next = after(space, state, c, effect);
      const key = next.join();
      if (seen.size < MOST_STATES && !seen.has(key)) {
        seen.add(key);
        queue.push(next);
      }
      for (const other of steps) {
        if (other.c <= c || collide(effect.bits, 0, other.effect.bits, 0, space.cellWords)) continue;
        looked.independent++;
        if (effect.slots.some((slot) => other.effect.slots.includes(slot))) looked.commuting++;
        const first = { c, choice, effect };
        if (!changePlaces(space, state, first, other))
          looked.wrong.push(`${textOf(space, state, c)} and ${textOf(space, state, other.c)}`);
      }
    }
  }
  return looked;
}

interface Made {
  readonly c: number;
  readonly choice: number;
  readonly effect: Effect;
}

/** The steps of all CPUs in a state. What runs afterwards, when all others have ended, is left out. */
function stepsAt(space: StateSpace, state: Uint32Array): Made[] {
  const steps: Made[] = [];
  const afterwards = space.machine.instance.program.afterwards === undefined ? -1 : space.cpus - 1;
  for (let c = 0; c < space.cpus; c++) {
    if (c === afterwards || !space.runnable(state, 0, c)) continue;
    const choices = choicesOf(space.locals[state[c] as number] as Local);
    for (let choice = 0; choice < choices; choice++) steps.push({ c, choice, effect: space.step(state, 0, c, choice) });
  }
  return steps;
}

function after(space: StateSpace, state: Uint32Array, c: number, effect: Effect): Uint32Array {
  const next = state.slice();
  space.apply(next, 0, c, effect);
  return next;
}

function changePlaces(space: StateSpace, state: Uint32Array, a: Made, b: Made): boolean {
  const ends = [
    [a, b],
    [b, a],
  ].map(([first, second]) => {
    const { c, effect } = first as Made;
    const { c: other, choice, effect: alone } = second as Made;
    const between = after(space, state, c, effect);
    if (!space.runnable(between, 0, other)) return undefined;
    const made = space.step(between, 0, other, choice);
    if (made.local !== alone.local || made.fails !== alone.fails) return undefined;
    return after(space, between, other, made).join();
  });
  return ends[0] !== undefined && ends[0] === ends[1];
}

function textOf(space: StateSpace, state: Uint32Array, c: number): string {
  const { place, kind } = space.locals[state[c] as number] as Local;
  return `P${c} at ${place} (kind ${kind})`;
}
