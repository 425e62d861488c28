// The catalogue holds every litmus file there is, under its name, in reading order.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OP_AWAIT64, OP_JOINED, OP_JOINED_END, OP_LOAD64, OP_STORE64 } from '../../assembly/litmus/ops_bits.ts';
import { mayBeOf, scenarioId, variantsWithId } from '../../src/explore/index.ts';
import { compile, parametersOf, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { catalogue } from '../../src/scenarios/index.ts';

const files = readdirSync('src/scenarios').filter((name) => name.endsWith('.litmus'));

test('it has every litmus file', async () => {
  const names = (await catalogue()).map(({ name }) => `${name}.litmus`);
  expect(names.sort()).toEqual(files.sort());
});

test('each scenario is called like its file, whose text it is', async () => {
  for (const { name, text, scenario } of await catalogue()) {
    expect(scenario.name.text).toBe(name);
    expect(text).toBe(readFileSync(`src/scenarios/${name}.litmus`, 'utf8'));
  }
});

test('each scenario is what the parser makes of its text', async () => {
  for (const { name, text, scenario } of await catalogue()) {
    const parsed = parseScenario(text, `${name}.litmus`);
    expect(parsed).toEqual({ ok: true, scenario });
  }
});

test('it begins with A, and goes on by letters', async () => {
  const all = (await catalogue()).map(({ scenario }) => scenario.variants[0]?.name.text ?? '');
  const first = all.filter((name) => /^[A-Z]\d+$/.test(name));
  expect(all.slice(0, first.length)).toEqual(first);
  expect(first[0]).toBe('A0');
  expect(first.map((name) => name[0])).toEqual(first.map((name) => name[0]).sort());
});

test('the number in a token says of which scenario and variant it is, and few scenarios are read for it', async () => {
  const entries = await catalogue();
  for (const { name, scenario } of entries) {
    const candidates = entries.filter((other) => mayBeOf(other.name, scenarioId(name, {})));
    expect(candidates.map((other) => other.name)).toContain(name);
    expect(candidates.length).toBeLessThanOrEqual(3);
    const { variant } = variantsOf(scenario).at(-1) ?? { variant: {} };
    const found = candidates.flatMap((other) =>
      variantsWithId(other.name, parametersOf(other.scenario), scenarioId(name, variant)),
    );
    expect(found).toEqual([variant]);
  }
});

test('a word that several CPUs count in ghost blocks is counted by atomics, for threads make the accesses of a block one by one', async () => {
  const torn: string[] = [];
  for (const { name, scenario } of await catalogue()) {
    for (const { id, variant } of variantsOf(scenario)) {
      const { cpus } = compile(scenario, variant);
      const changed = cpus.map(({ code }) =>
        code.filter(({ op }) => op >= OP_STORE64 && op < OP_AWAIT64).map(({ c }) => c),
      );
      for (const [n, { code }] of cpus.entries()) {
        const elsewhere = changed.flatMap((words, other) => (other === n ? [] : words));
        let loaded: (number | undefined)[] | undefined;
        for (const { op, c } of code) {
          if (op === OP_JOINED) loaded = [];
          else if (op === OP_JOINED_END) loaded = undefined;
          else if (op === OP_LOAD64) loaded?.push(c);
          else if (op === OP_STORE64 && loaded?.includes(c) && elsewhere.includes(c)) torn.push(`${name} ${id}`);
        }
      }
    }
  }
  expect([...new Set(torn)]).toEqual([]);
});
