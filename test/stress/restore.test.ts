// After every round an instance is as at the start: whole memories are compared, whatever the programs did.

import { afterAll, expect, test } from 'vitest';
import {
  ARENA_BYTES,
  ARENA_RACERS,
  CPU_FAULTS,
  CPU_MODE,
  CPU_SLOT,
  CPU_STRAYS,
  CPU_WALK_SLOT,
  HEAP,
  OUTCOME_ROWS,
  OUTCOME_VALUES,
  RACER_BYTES,
  RACER_OUTCOMES,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
} from '../../assembly/layout.ts';
import { NO_SYMBOL, OP_USER_STORE } from '../../assembly/litmus/ops_bits.ts';
import { compileCore } from '../../src/core/compile.ts';
import { compile, type Scenario, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import type { Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { catalogue } from '../../src/scenarios/index.ts';
import { Arena } from '../../src/stress/arena.ts';
import { type FromRacer, RacerPool } from '../../src/stress/index.ts';
import { useRacers } from '../support/racers.ts';

const racers = useRacers();
const pool = new RacerPool(racers.spawn);
/** Variants of a scenario: others differ in the start, or by a line. */
const MOST = 3;
/** It ends in a circle of who waits for whom. */
const STARVES = 'philosophers-starve';

afterAll(() => pool.close());

/** Races for a moment. */
async function run(arena: Arena, module: object): Promise<void> {
  const threads = Array.from({ length: arena.racing }, () => pool.spawn());
  const home = threads.map((thread, racer) => {
    const answer = new Promise<FromRacer>((resolve) =>
      thread.onMessage((message) => {
        if (message.kind !== 'ready') resolve(message);
      }),
    );
    const { memory, address, crowd } = arena;
    thread.post({
      task: 'race',
      module,
      memory,
      arena: address,
      racer,
      crowd,
      seed: 5 + racer,
      sharing: false,
      delays: undefined,
    });
    return answer;
  });
  await expect.poll(() => arena.rounds, { timeout: 20_000 }).toBeGreaterThan(200);
  arena.stop();
  expect(await Promise.all(home)).toEqual(threads.map(() => ({ kind: 'raced' })));
  await Promise.all(threads.map((thread) => thread.end()));
}

/** The ranges that are not to be restored. */
function exceptions(arena: Arena): [number, number][] {
  const { view, address, program } = arena;
  const tables = Array.from({ length: arena.racing }, (_, n): [number, number] => {
    const at = view.getUint32(address + ARENA_RACERS + n * RACER_BYTES + RACER_OUTCOMES, true);
    return [at, at + OUTCOME_ROWS * (OUTCOME_VALUES + 8 * program.observed.length)];
  });
  // Statistics, clocks, hints, and what a walk notes for itself: nothing depends on them. The mode differs from round to round.
  const notes = arena.instances.flatMap(({ cpus }) =>
    cpus.flatMap(({ cpu, tlb }): [number, number][] => {
      const statistics: [number, number][] = [
        [cpu + CPU_MODE, cpu + CPU_MODE + 4],
        [cpu + CPU_FAULTS, cpu + CPU_STRAYS],
        [cpu + CPU_WALK_SLOT, cpu + CPU_SLOT],
      ];
      if (tlb === 0) return statistics;
      const hints = view.getUint32(tlb + TLB_HINTS_AT, true);
      return [...statistics, [tlb, hints + view.getUint32(tlb + TLB_HINTS_MASK, true) + 4]];
    }),
  );
  return [[0, HEAP], [address, address + ARENA_BYTES], ...tables, ...notes, ...arena.reports()];
}

/** Where the memory of an arena is not what it was, after rounds of `program`: the first few addresses. */
async function changedBy(program: LitmusProgram): Promise<readonly string[]> {
  const module = await compileCore('release');
  const arena = new Arena(program, module, 4, 2);
  const before = new Uint8Array(arena.memory.buffer).slice();
  await run(arena, module);
  const after = new Uint8Array(arena.memory.buffer);
  const excepted = exceptions(arena);
  const changed: string[] = [];
  for (let at = HEAP; at < after.length && changed.length < 6; at++) {
    if (after[at] === before[at] || excepted.some(([start, end]) => at >= start && at < end)) continue;
    changed.push(`0x${at.toString(16)}`);
  }
  return changed;
}

test('the state of every variant of the catalogue', async () => {
  for (const { name, scenario } of await catalogue()) {
    const ids = new Set<string | undefined>();
    for (const { id, variant } of variantsOf(scenario)) {
      if (ids.has(id) || ids.size >= MOST || id === STARVES) continue;
      ids.add(id);
      const changed = await changedBy(compile(scenario, { ...variant, memory: 'sc' }));
      expect({ name, id, changed }).toEqual({ name, id, changed: [] });
    }
  }
}, 120_000);

test('the frames that stores reach of which nothing says to which page they are', async () => {
  const scenario = (await catalogue()).find(({ name }) => name === 'store-buffering')?.scenario as Scenario;
  const program = compile(scenario, { memory: 'sc' });
  const unnamed = (each: Instruction) => (each.op === OP_USER_STORE ? { ...each, c: NO_SYMBOL } : each);
  const cpus = program.cpus.map((cpu) => ({ ...cpu, code: cpu.code.map(unnamed) }));
  expect(await changedBy({ ...program, cpus })).toEqual([]);
});

test.each([
  ['A', 'page x in A -> X : W D;', 'recheck'],
  ['D', 'page x in A -> X : W A;', 'recheck'],
  ['D in an entry that is not writable any more', 'page x in A -> X : A; tlb P0 : x W;', 'blind'],
])('%s, where hardware alone sets it', async (_, start, machine) => {
  const text = `litmus bits
    "An access sets bits."
    source "here"
    init { mm A; frame X = 0; ${start} }
    P0 user A { *x = 1; r0 = *x; }
    P1 user A { r0 = *x; }
    exists (P0:r0 = 1 /\\ P1:r0 = 1)`;
  const parsed = parseScenario(text);
  expect(parsed).toMatchObject({ ok: true });
  if (parsed.ok) expect(await changedBy(compile(parsed.scenario, { machine }))).toEqual([]);
});
