// The catalogue holds every litmus file there is, under its name, in reading order.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
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

test('it begins with A, and goes on by letters', async () => {
  const all = (await catalogue()).map(({ scenario }) => scenario.variants[0]?.name.text ?? '');
  const first = all.filter((name) => /^[A-Z]\d+$/.test(name));
  expect(all.slice(0, first.length)).toEqual(first);
  expect(first[0]).toBe('A0');
  expect(first.map((name) => name[0])).toEqual(first.map((name) => name[0]).sort());
});
