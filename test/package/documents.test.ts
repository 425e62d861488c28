// What the documents claim: examples print what their last comment says, and the README shows code and commands that run.
//
// Needs a build in build/, as `npm test` makes it: the examples import the package by its name.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const examples = readdirSync('examples').filter((name) => name.endsWith('.mjs'));
const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/architecture.md'];
const readme = readFileSync('README.md', 'utf8');

test.each(examples)('examples/%s prints what it says', async (name) => {
  const said = /\/\* Prints:\n([\s\S]*)\*\/\n$/.exec(readFileSync(join('examples', name), 'utf8'))?.[1];
  const { stdout } = await run(process.execPath, [join('examples', name)]);
  expect(stdout).toBe(said);
});

test('code in the README stands in an example', () => {
  const all = examples.map((name) => readFileSync(join('examples', name), 'utf8'));
  const blocks = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  expect(blocks.length).toBeGreaterThan(0);
  expect(blocks.filter((code) => !all.some((text) => text.includes(code)))).toEqual([]);
});

test('commands in the README run', async () => {
  const commands = [...readme.matchAll(/^node (build\/cli\.js .*)$/gm)].map(([, line = '']) => line.split(' '));
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) {
    const { stdout } = await run(process.execPath, command, { maxBuffer: 1 << 28 });
    expect(stdout).not.toBe('');
  }
}, 120_000);

test.each(documents)('links in %s lead to a file', (document) => {
  const links = [...readFileSync(document, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(
    ([, to = '']) => to,
  );
  expect(links.filter((to) => !existsSync(join(dirname(document), to)))).toEqual([]);
});

test.each(documents)('npm scripts that %s names exist', (document) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const named = [...readFileSync(document, 'utf8').matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});
