// Names that a built scenario declares, and what may stand for a name in an expression.
//
// Guarantees: a name that is no word of the language is refused where it is given, so that what is built can be printed and read again.

import type { Kind, Name, Position } from '../ast.ts';

export const NOWHERE: Position = { line: 0, column: 0 };

/** What a scenario declares, or a parameter of a function stands for: `const x = race.page('x', …)`. */
export class Ref<K extends Kind = Kind> {
  readonly of: K;
  readonly name: string;

  constructor(of: K, name: string) {
    this.of = of;
    this.name = checkedWord(name);
  }
}

/** As in tokens.ts. */
const WORD = /^[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*$/;
const CPU = /^P[0-9]+$/;

/** @throws RangeError if it is none */
export function checkedWord(name: string): string {
  if (!WORD.test(name)) throw new RangeError(`"name" must be a word of the language, got ${JSON.stringify(name)}`);
  return name;
}

/** @throws RangeError if it is no name of a CPU: `P0` */
export function checkedCpu(name: string): string {
  if (!CPU.test(name)) throw new RangeError(`"cpu" must be P0, P1, …, got ${JSON.stringify(name)}`);
  return name;
}

/** @throws RangeError if the text cannot stand between quotes */
export function checkedText(what: string, text: string): string {
  if (/[\n\r]/.test(text)) throw new RangeError(`"${what}" must be one line, got ${JSON.stringify(text)}`);
  return text;
}

export function nameOf(given: string | Ref): Name {
  return { at: NOWHERE, text: typeof given === 'string' ? checkedWord(given) : given.name };
}
