// Cleaning: the violation is never lost, what has no influence goes, and nobody is left who could go on unless it must be.

import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { FIRST_INVARIANT } from '../../assembly/litmus/ops_bits.ts';
import { clean, preemptionsOf } from '../../src/explore/clean.ts';
import { explore } from '../../src/explore/explore.ts';
import { CONDITION } from '../../src/explore/invariants.ts';
import { Run, type RunStep } from '../../src/explore/run.ts';
import type { Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { EMPTY_WORLD, I, load, makeCpu, makeProgram, ops, set, store, words } from '../support/litmus.ts';
import { cleanRace } from '../support/races.ts';

const WRITEBACK = FIRST_INVARIANT + 1;

/** An execution by the numbers of `picks`: each says who of those that may run goes on, and for how long. */
function runBy(run: Run, picks: readonly (readonly [who: number, steps: number])[], invariant: number): boolean {
  run.restart();
  for (const [who, steps] of [...picks, ...Array.from({ length: 1000 }, () => [0, 50] as const)]) {
    const able = Array.from({ length: run.cpus }, (_, c) => c).filter((c) => run.mayRun(c));
    const cpu = able[who % Math.max(1, able.length)];
    if (cpu === undefined) break;
    for (let n = 0; n < steps && run.mayRun(cpu); n++) {
      run.step(cpu);
      if (run.steps.at(-1)?.violated.includes(invariant)) return true;
    }
  }
  return run.violates(invariant);
}

const picks = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 12 })), { minLength: 5, maxLength: 40 });

describe.each([true, false])('any execution that loses a store (shortest: %s)', (shortest) => {
  let run: Run;

  property.prop([picks], { numRuns: 60 })('loses it still when it is cleaned', async (order) => {
    run ??= await Run.create(cleanRace({ flush: 'none', bystanders: 2, stores: 3 }));
    fc.pre(runBy(run, order, WRITEBACK));
    const before = run.schedule();
    const steps = run.steps.length;
    const preempted = preemptionsOf(run, before);
    const after = clean(run, WRITEBACK, shortest);
    expect(run.violates(WRITEBACK)).toBe(true);
    expect(run.steps.length).toBeLessThanOrEqual(steps);
    expect(preemptionsOf(run, after)).toBeLessThanOrEqual(preempted);
    expect(run.violates(WRITEBACK)).toBe(true);
    expect(run.schedule()).toEqual(after);
  });
});

describe('what has no influence', () => {
  test('is left out: bystanders, and what comes after', async () => {
    const { words: list, symbols } = words(3);
    const program = makeProgram({
      invariants: ['A'],
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), store(1, 1), store(0, 1), store(2, 1), load(4, 1)]),
        makeCpu('P1', [load(1, 0), { op: ops.OP_NOT, d: 2, a: 1 }, { op: ops.OP_ASSERT, a: 2, c: FIRST_INVARIANT }]),
        makeCpu('P2', [set(1, 2n), store(2, 1), load(3, 1)]),
      ],
    });
    const run = await Run.create(program);
    for (const cpu of [2, 0, 0, 2, 0, 1]) run.step(cpu);
    expect(run.violates(FIRST_INVARIANT)).toBe(true);
    expect(clean(run, FIRST_INVARIANT, true)).toEqual([
      { cpu: 0, points: 2, choices: [] },
      { cpu: 1, points: 1, choices: [] },
    ]);
  });

  test('is left out although the violation depends on it: a detour through another CPU', async () => {
    // P1 stores 1 where P0 stored 1 before: the load depends on the later store, and would find the same without it.
    const { words: list, symbols } = words(1);
    const program = makeProgram({
      invariants: ['A'],
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), store(0, 1)]),
        makeCpu('P1', [set(1, 1n), store(0, 1), store(0, 1), store(0, 1)]),
        makeCpu('P2', [load(1, 0), { op: ops.OP_NOT, d: 2, a: 1 }, { op: ops.OP_ASSERT, a: 2, c: FIRST_INVARIANT }]),
      ],
    });
    const run = await Run.create(program);
    for (const cpu of [0, 1, 1, 1, 2]) run.step(cpu);
    expect(clean(run, FIRST_INVARIANT, false).map(({ points }) => points)).toEqual([1, 1]);
  });
});

// ---- the fewest preemptions, against all orders

const WORDS = 2;
const instruction = fc.oneof(
  fc.nat(WORDS - 1).map((word) => ({ word, stores: true })),
  fc.nat(WORDS - 1).map((word) => ({ word, stores: false })),
);
const programs = fc.array(fc.array(instruction, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 3 });

/** Programs of loads and stores, in which each stored value is another, and whose end is never right. */
function programOf(cpus: readonly (readonly { word: number; stores: boolean }[])[]): LitmusProgram {
  const { words: list, symbols } = words(WORDS);
  let value = 0n;
  return makeProgram({
    world: { ...EMPTY_WORLD, words: list },
    symbols,
    cpus: cpus.map((accesses, n) => {
      const code = accesses.flatMap(({ word, stores }): Instruction[] => {
        value += 1n;
        return stores ? [set(1, value), store(word, 1)] : [load(2, word)];
      });
      return makeCpu(`P${n}`, code);
    }),
    condition: { quantifier: 'forall', text: 'never', term: { kind: 'or', terms: [] } },
  });
}

/** Equal for executions that differ in the order of independent steps only: of each word its stores, and each load's place among them. */
function signature(steps: readonly RunStep[]): string {
  const stores = new Map<number, string[]>();
  const made = new Map<number, number>();
  const loads: string[] = [];
  for (const { cpu, touched } of steps) {
    const name = `${cpu}.${made.get(cpu) ?? 0}`;
    made.set(cpu, (made.get(cpu) ?? 0) + 1);
    for (const { granule, wrote } of touched) {
      const list = stores.get(granule) ?? [];
      stores.set(granule, list);
      if (wrote) list.push(name);
      else loads.push(`${name} after ${list.length} of ${granule}`);
    }
  }
  return JSON.stringify([[...stores].sort(([a], [b]) => a - b), loads.sort()]);
}

/** The fewest preemptions of all executions with that signature. */
function fewest(run: Run, wanted: string): number {
  let best = Number.POSITIVE_INFINITY;
  const visit = (order: readonly number[]) => {
    run.restart();
    for (const cpu of order) run.step(cpu);
    if (run.isOver) {
      const schedule = run.schedule();
      if (signature(run.steps) === wanted) best = Math.min(best, preemptionsOf(run, schedule));
      return;
    }
    const able = Array.from({ length: run.cpus }, (_, c) => c).filter((c) => run.mayRun(c));
    for (const cpu of able) visit([...order, cpu]);
  };
  visit([]);
  return best;
}

property.prop([programs, fc.array(fc.nat(5), { maxLength: 9 })], { numRuns: 25 })(
  'no order of independent steps has fewer preemptions',
  async (cpus, order) => {
    fc.pre(cpus.flat().length <= 6);
    const run = await Run.create(programOf(cpus));
    for (const who of [...order, ...Array.from({ length: 9 }, () => 0)]) {
      const able = Array.from({ length: run.cpus }, (_, c) => c).filter((c) => run.mayRun(c));
      const cpu = able[who % Math.max(1, able.length)];
      if (cpu !== undefined) run.step(cpu);
    }
    const wanted = signature(run.steps);
    const schedule = clean(run, CONDITION, true);
    expect(signature(run.steps)).toBe(wanted);
    const got = preemptionsOf(run, schedule);
    expect(got).toBe(fewest(run, wanted));
  },
  60_000,
);

test('a CPU without a step that others see has ended before what runs afterwards', async () => {
  const { words: list, symbols } = words(2);
  const program = makeProgram({
    world: { ...EMPTY_WORLD, words: list },
    symbols,
    // P1 stores to a word of its own: no step, but points that the execution passes.
    cpus: [makeCpu('P0', [set(1, 1n), store(0, 1)]), makeCpu('P1', [set(1, 1n), store(1, 1)])],
    afterwards: makeCpu('afterwards', [
      load(1, 0),
      I(ops.OP_NOT, { d: 2, a: 1 }),
      I(ops.OP_ASSERT, { a: 2, c: ops.FIRST_INVARIANT }),
    ]),
    invariants: ['ZERO'],
  });
  const { verdicts } = await explore(program, { shortest: false });
  expect(verdicts.find(({ invariant }) => invariant === 'ZERO')?.counterexample?.preemptions).toBe(0);
});
