// `--report FILE`: what was found, as an HTML file.
//
// Guarantees: the file is whole or not there: it is written beside its place and then moved. That it can be written is asked for before anything
// is run. It is written after Ctrl-C too, of what was found until then.

import { constants } from 'node:fs';
import { access, rename, rm, stat, writeFile } from 'node:fs/promises';
import { arch, cpus, release, totalmem, type } from 'node:os';
import { dirname } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import type { CheckedVariant } from '../report/checked.ts';
import { size } from '../report/words.ts';
import { InputError } from './exit.ts';

export const REPORT_OPTION = ['--report <file>', 'write an HTML report into a file'] as const;

/** @throws InputError naming the option if no file can be made there; undefined is fine */
export async function checkReportPath(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  try {
    const known = await stat(path).catch(() => undefined);
    if (known?.isDirectory() === true) throw new Error('it is a directory');
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw new InputError([`--report ${path}: ${(error as Error).message}`]);
  }
}

/** `seconds`: what all of it took. @throws InputError naming the option if the file cannot be written */
export async function writeReport(path: string, checked: readonly CheckedVariant[], seconds: number): Promise<void> {
  const about = {
    version: manifest.version,
    date: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    machine: machine(),
    seconds,
    command: ['pagewalk', ...process.argv.slice(2)].map(quoted).join(' '),
  };
  // Threads run this program too, and need none of it.
  const { reportHtml } = await import('../report/html.ts');
  const part = `${path}.${process.pid}.part`;
  try {
    await writeFile(part, reportHtml(checked, about));
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw new InputError([`--report ${path}: ${(error as Error).message}`]);
  }
}

function machine(): string {
  const processors = cpus();
  const model = processors[0]?.model.replace(/\s+/g, ' ').trim() ?? 'unknown';
  const memory = size(Math.round(totalmem() / 2 ** 20) * 2 ** 20);
  return `${processors.length} × ${model}, ${memory}, ${type()} ${release()} ${arch()}, Node ${process.version.slice(1)}`;
}

/** An argument as a shell takes it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replace(/'/g, `'\\''`)}'`;
}
