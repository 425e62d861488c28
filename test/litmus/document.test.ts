// docs/litmus.md shows the operations and invariants that there are.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { explore, formatScenario, litmus } from '../../src/index.ts';
import { LIBRARY, OPERATIONS, type Operation, signature } from '../../src/litmus/index.ts';
import { Keyword } from '../../src/litmus/tokens.ts';

const text = readFileSync('docs/litmus.md', 'utf8');

test('its table of operations is the compiler’s', () => {
  expect(rowsUnder('## Operations')).toEqual(
    OPERATIONS.map((operation) => [
      `\`${signature(operation)}\``,
      operation.where,
      operation.steps,
      operation.says,
      operation.kernel || 'of the language',
    ]),
  );
});

test('its table of options is the compiler’s', () => {
  const told = new Map<string, string[]>();
  const all = OPERATIONS.filter((operation: Operation) => (operation.options ?? []).length > 0);
  for (const { name, options = [] } of all as readonly Operation[]) {
    for (const group of options) {
      const key = group.map((option) => `\`${option.name}\``).join(', ');
      told.set(key, [...(told.get(key) ?? []), `\`${name}\``]);
    }
  }
  const rows = [...told].map(([group, names]) => [
    group,
    names.length === all.length ? 'all of them' : names.join(', '),
  ]);
  expect(rowsUnder('## Whole functions')).toEqual(rows);
});

test('its table of invariants is the library’s', () => {
  const rows = rowsUnder('## Invariants').map(([name, , sentence, source]) => [name, sentence, source]);
  expect(rows).toEqual(LIBRARY.map(({ name, sentence, source }) => [name, sentence, source]));
});

test('its grammar has every reserved word', () => {
  const grammar = text.slice(text.indexOf('```ebnf'), text.indexOf('## Parameters'));
  const missing = Object.values(Keyword).filter(({ PATTERN }) => !grammar.includes(`"${String(PATTERN)}"`));
  expect(missing.map(({ name }) => name)).toEqual([]);
});

test('the TextMate grammar knows every keyword and operation, and takes nothing else for one', () => {
  const { patterns } = JSON.parse(readFileSync('docs/litmus.tmLanguage.json', 'utf8')) as {
    patterns: { name: string; match?: string }[];
  };
  const match = (scope: string, word: string) =>
    patterns.some(
      ({ name, match }) => name.startsWith(scope) && match !== undefined && new RegExp(`^${match}$`).test(word),
    );
  const keywords = Object.values(Keyword).map(({ PATTERN }) => String(PATTERN));
  expect(keywords.filter((word) => !match('keyword.control', word))).toEqual([]);
  expect(OPERATIONS.filter(({ name }) => !match('support.function', name))).toEqual([]);
  expect(match('support.function', 'ptep_gett') || match('keyword.control', 'iff')).toBe(false);
});

/** Cells of the table under a heading, without its head. */
function rowsUnder(heading: string): string[][] {
  const part = text.slice(text.indexOf(`${heading}\n`)).split('\n## ')[0] ?? '';
  const lines = part.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(1).map((line) =>
    line
      .slice(2, -2)
      .split(/ (?<!\\)\| /)
      .map((cell) => cell.replace(/\\\|/g, '|')),
  );
}

test('its example in TypeScript builds what is explored', async () => {
  const code = /```ts\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const body = code.replace(/^import .*$/m, '').replaceAll('console.log', 'say');
  const said: unknown[] = [];
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<void>;
  const run = new AsyncFunction('explore', 'formatScenario', 'litmus', 'say', body);
  await run(explore, formatScenario, litmus, (each: unknown) => said.push(each));
  expect(said[0]).toMatch(/^litmus clean-then-store\n/);
  expect(said[1]).toMatchObject({ exhaustive: true });
});
