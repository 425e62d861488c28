// With and without reduction, every scenario of the catalogue says the same.
//
// Guarantees: for all variants that a file names, and a sample of the combinations that it does not, the reduced search finds the verdicts and the
// outcomes of the full one, as far as STATES in the environment lets them go, and of the twins by whole functions STATES_OF_WHOLE; those that are
// left out are told. The verdicts themselves are judged against the files' expectations elsewhere.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { explore } from '../../src/explore/explore.ts';
import {
  compile,
  type LitmusProgram,
  type NamedVariant,
  parametersOf,
  type Scenario,
  variantsOf,
} from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';

const FOLDER = 'src/scenarios';
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.litmus'));
/** Combinations that it does not name, of each file in single steps. */
const SAMPLE = Number(process.env['SAMPLE'] ?? 4);
/** A search of a variant that has more says no more than what it met: then what the other one met is compared with it, or nothing if both did. */
const MOST_STATES = Number(process.env['STATES'] ?? 3000);
const MOST_STATES_OF_WHOLE = Number(process.env['STATES_OF_WHOLE'] ?? 10_000);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

const left: string[] = [];
const leftOfFull: string[] = [];
afterAll(() => {
  const bounds = `${MOST_STATES} states, of whole functions ${MOST_STATES_OF_WHOLE}`;
  console.log(`of more than ${bounds}, and not compared: ${left.join(', ')}`);
  console.log(`compared with what the full search met of them: ${leftOfFull.join(', ')}`);
});

describe.each(files)(`%s (sample of seed ${SEED})`, (name) => {
  const scenario = read(name);
  const isWhole = name.endsWith('-whole.litmus');
  const maxStates = isWhole ? MOST_STATES_OF_WHOLE : MOST_STATES;
  const named = variantsOf(scenario);
  const anyOf = fc.record(
    Object.fromEntries(parametersOf(scenario).map((each) => [each.name, fc.constantFrom(...each.values)])),
  );
  const others = fc
    .sample(anyOf, { seed: SEED, numRuns: isWhole ? 0 : SAMPLE })
    .map((variant): NamedVariant => ({ id: undefined, variant }));
  test.each([...named, ...others].map((each) => [textOf(each), each] as const))('%s', async (_, { variant }) => {
    await compare(compile(scenario, variant), maxStates);
  });
});

test('a schedule that is found is repeated, also where an invalidation that writes D back takes several steps', async () => {
  const scenario = read('migrate-deferred-flush.litmus');
  const variant = { flush: 'deferred', mprotect: 'no-flush', upgrade: 'flushes', writer: 'after-return' };
  const hardware = { machine: 'lazy-wb', invalidation: 'posted', shootdown: 'broadcast' };
  const result = await explore(compile(scenario, { ...variant, ...hardware, start: 'read-only' }), { shortest: false });
  expect(violatedBy(result)).toEqual(['COHERENCE', 'NOUAF']);
  for (const { verdict, counterexample } of result.verdicts) {
    expect(counterexample !== undefined).toBe(verdict === 'violated');
  }
});

async function compare(program: LitmusProgram, maxStates: number): Promise<void> {
  const name = `${program.name} ${program.id ?? Object.values(program.variant).join(' ')}`;
  const reduced = await explore(program, { shortest: false, maxStates });
  if (!reduced.exhaustive) {
    left.push(name);
    return;
  }
  const full = await explore(program, { reduce: false, shortest: false, maxStates });
  if (full.exhaustive) {
    expect(said(reduced)).toEqual(said(full));
    expect(reduced.states).toBeLessThanOrEqual(full.states);
    return;
  }
  leftOfFull.push(name);
  const outcomes = new Set(reduced.outcomes.map(({ text }) => text));
  expect(full.outcomes.filter(({ text }) => !outcomes.has(text))).toEqual([]);
  const violated = new Set(violatedBy(reduced));
  expect(violatedBy(full).filter((invariant) => !violated.has(invariant))).toEqual([]);
}

type Result = Awaited<ReturnType<typeof explore>>;

function said(result: Result) {
  return { outcomes: result.outcomes.map(({ text }) => text), violated: violatedBy(result) };
}

function violatedBy({ verdicts }: Result): string[] {
  return verdicts.filter(({ verdict }) => verdict === 'violated').map(({ invariant }) => invariant);
}

function textOf({ id, variant }: NamedVariant): string {
  const settings = Object.entries(variant).map(([name, value]) => `${name}=${value}`);
  return `${id ?? '-'} ${settings.join(' ')}`;
}

function read(name: string): Scenario {
  const parsed = parseScenario(readFileSync(`${FOLDER}/${name}`, 'utf8'));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.scenario;
}
