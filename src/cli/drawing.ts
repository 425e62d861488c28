// How reports come onto the terminal and into files.

import { writeFile } from 'node:fs/promises';
import util from 'node:util';
import { diagramsSvg, type TitledDiagram } from '../report/diagramsvg.ts';
import type { Style } from '../report/diagramtext.ts';
import { InputError } from './exit.ts';

/** Of output that goes into a file or a pipe. */
const PLAIN_WIDTH = 100;

/** Characters a line. */
export function outputWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : PLAIN_WIDTH;
}

/** Colours, where somebody sees them and has not asked for none (https://no-color.org). */
export function outputStyle(): (format: Style, text: string) => string {
  const isPlain = process.stdout.isTTY !== true || (process.env['NO_COLOR'] ?? '') !== '';
  // Node has it from 20.12 on.
  if (isPlain || typeof util.styleText !== 'function') return (_, text) => text;
  return (format, text) => util.styleText(format, text);
}

/** @throws InputError naming the option if the file cannot be written */
export async function writeSvg(path: string, diagrams: readonly TitledDiagram[]): Promise<void> {
  try {
    await writeFile(path, diagramsSvg(diagrams));
  } catch (error) {
    throw new InputError([`--svg ${path}: ${(error as Error).message}`]);
  }
}
