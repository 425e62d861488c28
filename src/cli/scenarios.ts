// Scenarios as arguments: names of the catalogue, or files.

import { readFile } from 'node:fs/promises';
import { didYouMean } from '../litmus/errors.ts';
import type { Scenario } from '../litmus/index.ts';
import { catalogue } from '../scenarios/index.ts';
import { InputError } from './exit.ts';

export { sentencesOf } from '../report/sentences.ts';

/** The scenarios of these names and files, in their order; all of the catalogue without any. @throws InputError */
export async function openScenarios(args: readonly string[]): Promise<readonly Scenario[]> {
  if (args.length === 0) return (await catalogue()).map(({ scenario }) => scenario);
  const scenarios: Scenario[] = [];
  for (const arg of args) {
    // The catalogue is not read for files.
    const entries = LOOKS_LIKE_FILE.test(arg) ? [] : await catalogue();
    scenarios.push(entries.find(({ name }) => name === arg)?.scenario ?? (await openFile(arg, entries)));
  }
  return scenarios;
}

const LOOKS_LIKE_FILE = /[/\\]|\.litmus$/;

async function openFile(path: string, entries: readonly { readonly name: string }[]): Promise<Scenario> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const names = entries.map(({ name }) => name);
    if (code === 'ENOENT' && !LOOKS_LIKE_FILE.test(path)) {
      throw new InputError([`${path}: no scenario of the catalogue and no file${didYouMean(path, names)}`]);
    }
    throw new InputError([`${path}: ${REASONS[code ?? ''] ?? String(error)}`]);
  }
  // The catalogue does without the parser, which takes long to begin.
  const { parseScenario } = await import('../litmus/parse.ts');
  const parsed = parseScenario(text, path);
  if (parsed.ok) return parsed.scenario;
  throw new InputError(parsed.errors.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'is a directory, not a file',
  EACCES: 'permission denied',
};
