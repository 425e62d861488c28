// Races are in the catalogue twice: spelled in single steps, and by the functions of the core. What is expected of each variant is the same.
//
// That the expectations are what is found is the business of the exploration of the catalogue.

import { describe, expect, test } from 'vitest';
import { OP_CALL } from '../../assembly/litmus/ops_bits.ts';
import { compile, expectationsOf, type Scenario, variantsOf } from '../../src/litmus/index.ts';
import { catalogue } from '../../src/scenarios/index.ts';

const TWIN = '-whole';

/** What the whole functions do otherwise, each with its reason in the file. */
const DIFFERENT: Readonly<Record<string, string>> = {
  // exit_mmap() frees tables, and then arm64's tlb_flush() flushes.
  'H3 ASID': 'violated, holds',
  'H5 ASID': 'violated, holds',
  'H7 ASID': 'violated, holds',
};
const entries = await catalogue();
const find = (name: string) => entries.find((each) => each.name === name)?.scenario;
const twins = entries.flatMap(({ name, scenario: whole }) => {
  const spelled = find(name.slice(0, -TWIN.length));
  return name.endsWith(TWIN) && spelled !== undefined ? [{ name, spelled, whole }] : [];
});

test('every letter of the tables has its twin', () => {
  const letters = new Set(entries.flatMap(({ scenario }) => idsOf(scenario).map((id) => id[0])));
  const twinned = new Set(twins.flatMap(({ whole }) => idsOf(whole).map((id) => id[0])));
  expect([...letters].filter((letter) => !twinned.has(letter))).toEqual([]);
  expect(entries.filter(({ name }) => name.endsWith(TWIN))).toHaveLength(twins.length);
});

describe.each(twins)('$name', ({ spelled, whole }) => {
  test('calls functions of the core', () => {
    const { variant } = variantsOf(whole)[0] ?? { variant: {} };
    const { cpus } = compile(whole, variant);
    expect(cpus.some(({ code }) => code.some(({ op }) => op === OP_CALL))).toBe(true);
  });

  test('has the variants of the other', () => {
    const ids = idsOf(whole);
    expect(ids.filter((id) => !idsOf(spelled).includes(id))).toEqual([]);
    expect(idsOf(spelled).filter((id) => !ids.includes(id))).toEqual([]);
  });

  test('and its verdicts', () => {
    const here = verdictsOf(whole);
    const there = verdictsOf(spelled);
    const different: Record<string, string> = {};
    let compared = 0;
    for (const [key, verdict] of here) {
      const other = there.get(key);
      if (other === undefined) continue;
      compared++;
      if (other !== verdict) different[key] = `${other}, ${verdict}`;
    }
    expect(compared).toBeGreaterThan(0);
    const known = Object.entries(DIFFERENT).filter(([key]) => here.has(key));
    expect(different).toEqual(Object.fromEntries(known));
  });
});

function idsOf(scenario: Scenario): string[] {
  return [
    ...new Set(variantsOf(scenario).flatMap(({ id }) => (id !== undefined && /^[A-Z]\d+$/.test(id) ? [id] : []))),
  ];
}

/** By number of the variant and invariant. */
function verdictsOf(scenario: Scenario): Map<string, string> {
  const found = new Map<string, string>();
  for (const { id, variant } of variantsOf(scenario)) {
    for (const { invariant, verdict } of expectationsOf(scenario, variant)) found.set(`${id} ${invariant}`, verdict);
  }
  return found;
}
