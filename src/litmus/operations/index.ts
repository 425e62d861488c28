// The operations of the language: each under the name of the kernel function it stands for, with what it takes, what steps it is, and the
// instructions it becomes. docs/litmus.md shows this table, and a test compares the two.
//
// A new operation is one more entry in one of these files. Nothing else knows their names.

import { HARDWARE } from './hardware.ts';
import { LOCKS } from './locks.ts';
import { MEMORY } from './memory.ts';
import type { ArgumentKind, Operation } from './operation.ts';
import { PTES } from './ptes.ts';
import { WHOLE } from './whole.ts';

export { type LockUse, lockUse } from './locks.ts';
export type { Argument, ArgumentKind, Call, Operation, Where } from './operation.ts';
export type { Option, OptionGroup } from './options.ts';

/** In the order of the document. */
export const OPERATIONS = [...PTES, ...LOCKS, ...HARDWARE, ...MEMORY, ...WHOLE] as const;

export type AnyOperation = (typeof OPERATIONS)[number];

/** Those of that name: more than one differ in the kind of the first argument. */
export function operationsNamed(name: string): readonly Operation[] {
  return byName.get(name) ?? [];
}

const byName = new Map<string, Operation[]>();
for (const operation of OPERATIONS) byName.set(operation.name, [...(byName.get(operation.name) ?? []), operation]);

/** As C would declare it: `pte ptep_cmpxchg(page x, value old, value new)`. */
export function signature({ name, takes, gives }: Operation): string {
  const parameters = takes.map(({ kind, name }) => (kind === 'flags' ? '…' : `${shown(kind)} ${name}`));
  return `${gives ? 'value ' : ''}${name}(${parameters.join(', ')})`;
}

function shown(kind: ArgumentKind): string {
  return kind === 'number' ? 'constant' : kind;
}

/** Names that some operation may be told: no registers. */
export const OPTION_NAMES: ReadonlySet<string> = new Set(
  OPERATIONS.flatMap(({ options }: Operation) => (options ?? []).flat().map(({ name }) => name)),
);
