// A scenario file, read and checked.

import type { ScenarioFile } from './ast.ts';
import { check } from './check/index.ts';
import { Errors, type LitmusError } from './errors.ts';
import { readSyntax } from './syntax.ts';

/** A scenario: what `parseScenario` returns has passed the checks, and every variant of it compiles. */
export type Scenario = ScenarioFile;

export type Parsed =
  | { readonly ok: true; readonly scenario: Scenario }
  | { readonly ok: false; readonly errors: readonly LitmusError[] };

/** Reads the text of a scenario; `file` is what errors call it. Whatever the text, it returns. */
export function parseScenario(text: string, file?: string): Parsed {
  const errors = new Errors(file);
  const read = readSyntax(text, errors);
  if (read !== undefined && errors.isEmpty) check(read, errors);
  return read !== undefined && errors.isEmpty ? { ok: true, scenario: read } : { ok: false, errors: errors.list() };
}
