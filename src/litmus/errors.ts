// What is wrong with a scenario file, as data.

import type { Position } from './ast.ts';

export interface LitmusError {
  /** As the caller named it; undefined for a text without a file. */
  readonly file: string | undefined;
  /** 1-based; 0 in what the builder made. */
  readonly line: number;
  readonly column: number;
  /** Characters that the error is about, at least 1. */
  readonly length: number;
  /** One sentence without the place. */
  readonly message: string;
  /** Of an error of syntax: what stands there, and what could have. */
  readonly found?: string;
  readonly expected?: readonly string[];
}

/** More than these help nobody. */
const MOST = 20;

/** Collects errors; the same one is told once. */
export class Errors {
  readonly file: string | undefined;
  readonly #found = new Map<string, LitmusError>();

  constructor(file: string | undefined) {
    this.file = file;
  }

  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  add(
    at: Position,
    length: number,
    message: string,
    syntax: { found?: string; expected?: readonly string[] } = {},
  ): void {
    const error = {
      file: this.file,
      line: at.line,
      column: at.column,
      length: Math.max(1, length),
      message,
      ...syntax,
    };
    this.#found.set(`${at.line}:${at.column}:${message}`, error);
  }

  /** In the order of the text. */
  list(): readonly LitmusError[] {
    return [...this.#found.values()].sort((a, b) => a.line - b.line || a.column - b.column).slice(0, MOST);
  }
}

/** The candidate that is a slip of the fingers away, as a question for the end of a message; empty if there is none. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least && candidate !== name) {
      least = edits;
      best = candidate;
    }
  }
  return best === undefined ? '' : `; did you mean \`${best}\`?`;
}

/** Letters that are missing, superfluous, wrong, or exchanged with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, n) => n)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(at(i - 1, j - 1) + (same ? 0 : 1), at(i - 1, j) + 1, at(i, j - 1) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, at(i - 2, j - 2) + 1);
      rows[i]?.push(edits);
    }
  }
  return at(a.length, b.length);
}
