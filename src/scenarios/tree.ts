// The tree of a scenario as text, and back: the build parses the catalogue, so that nobody waits for that again.
//
// Guarantees: what comes back is what went in, but that a member without a value is not there.

import type { Position } from '../litmus/ast.ts';
import type { Scenario } from '../litmus/index.ts';

/** JSON has no BigInt. */
interface Big {
  readonly big: string;
}

export function packed(scenario: Scenario): string {
  return JSON.stringify(scenario, (key, value) => {
    if (key === 'at') return [(value as Position).line, (value as Position).column];
    return typeof value === 'bigint' ? { big: String(value) } : value;
  });
}

/** `text` is of `packed`. */
export function unpacked(text: string): Scenario {
  return JSON.parse(text, (key, value) => {
    if (key === 'at') return { line: value[0], column: value[1] };
    return typeof (value as Big | null)?.big === 'string' ? BigInt(value.big) : value;
  });
}
