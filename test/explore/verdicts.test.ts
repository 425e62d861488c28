// Every variant of the catalogue says what its file expects.
//
// Guarantees: each verdict that a file expects of a variant is compared exactly, and none is expected that no variant of that number is asked for
// (one may be asked for one invariant, and one for another). A variant of more than MOST_STATES states is explored up to there:
// then what it violates has to be expected, and what it does not is left to `npm run catalogue`, which explores all of them to their end
// (STATES in the environment does it here).

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { explore } from '../../src/explore/explore.ts';
import { compile, expectationsOf, type Scenario, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';

const FOLDER = 'src/scenarios';
const MOST_STATES = Number(process.env['STATES'] ?? 1_000_000);
/** Milliseconds that a variant may take. */
const TIMEOUT = 600_000;
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.litmus'));
const done: string[] = [];
const left: string[] = [];

afterAll(() => {
  if (left.length > 0) console.log(`left to npm run catalogue: ${left.join(', ')}`);
  // All but a few of the largest are explored to their end, or nothing much was tested here.
  expect(left.length).toBeLessThan(process.env['STATES'] === undefined ? done.length / 40 : done.length);
});

describe.each(files)('%s', (name) => {
  const scenario = read(name);
  const variants = variantsOf(scenario).map((each, n) => [each.id ?? `variant ${n}`, each.variant] as const);
  const unasked = new Set<string>();
  const asked = new Set<string>();
  afterAll(() => {
    expect([...unasked].filter((each) => !asked.has(each))).toEqual([]);
  });
  test.each(variants)(
    '%s',
    async (id, variant) => {
      const result = await explore(compile(scenario, variant), { shortest: false, maxStates: MOST_STATES });
      const verdicts = new Map(result.verdicts.map(({ invariant, verdict }) => [invariant, verdict]));
      const said = expectationsOf(scenario, variant).flatMap(({ invariant, verdict }) => {
        const found = verdicts.get(invariant);
        (found === undefined ? unasked : asked).add(`${id} ${invariant}`);
        if (found === undefined) return [];
        return [{ invariant, wanted: verdict, found: !result.exhaustive && found === 'unknown' ? verdict : found }];
      });
      expect(said).toEqual(said.map((each) => ({ ...each, found: each.wanted })));
      (result.exhaustive ? done : left).push(`${scenario.name.text} ${id}`);
    },
    TIMEOUT,
  );
});

function read(name: string): Scenario {
  const parsed = parseScenario(readFileSync(`${FOLDER}/${name}`, 'utf8'));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.scenario;
}
