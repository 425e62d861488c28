// What an execution can violate: by number and by name. And what its last state says.
//
// Guarantees: the numbers are the same in all processes, for tokens hold them. Those below 32 are bits of what a step reports: the ones that
// the machine watches, then those that the program asserts.

import { CONTROL_BAD_FREE } from '../../assembly/layout.ts';
import {
  FIRST_INVARIANT,
  INVARIANT_ASID,
  INVARIANT_LOCKS,
  INVARIANT_NOUAF,
  INVARIANT_NOWALK,
} from '../../assembly/litmus/ops_bits.ts';
import { holds } from '../litmus/condition.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import { observe } from '../litmus/world.ts';
import type { Machine } from './machine.ts';

/** No CPU may run on, and not all have ended. */
export const DEADLOCK = 32;
export const FLUSH_OWED = 33;
export const DOUBLE_FREE = 34;
/** The condition under the programs, unless it asks whether an outcome exists. */
export const CONDITION = 35;

/** Something that an execution can violate. */
export interface Invariant {
  readonly number: number;
  readonly name: string;
}

/** Those that no scenario declares. */
const BUILT_IN: readonly (readonly [number, string])[] = [
  [INVARIANT_NOUAF, 'NOUAF'],
  [INVARIANT_ASID, 'ASID'],
  [INVARIANT_NOWALK, 'NOWALK'],
  [INVARIANT_LOCKS, 'LOCKS'],
  [DEADLOCK, 'DEADLOCK'],
  [FLUSH_OWED, 'FLUSH-OWED'],
  [DOUBLE_FREE, 'DOUBLE-FREE'],
];

/** All that executions of a program can violate: what it asserts, then what every program is watched for, then its condition. */
export function invariantsOf({ invariants, condition }: LitmusProgram): readonly Invariant[] {
  const list = [...invariants.map((name, n): [number, string] => [FIRST_INVARIANT + n, name]), ...BUILT_IN];
  if (condition !== undefined && condition.quantifier !== 'exists') list.push([CONDITION, condition.text]);
  return list.map(([number, name]) => ({ number, name }));
}

/** Is it judged where nobody can go on, and not by a step? */
export function isJudgedAtTheEnd(invariant: number): boolean {
  return invariant >= DEADLOCK;
}

/** What the state in the machine's memory, in which all CPUs have ended, is as an outcome. */
export interface End {
  /** Of the program's `observed`. */
  readonly values: readonly bigint[];
  /** Does the program's condition, whatever its quantifier, hold of them? */
  readonly met: boolean;
  /** Invariants by number. */
  readonly violated: readonly number[];
}

export function judgeEnd({ core, view, instance }: Machine): End {
  const { observed, condition } = instance.program;
  const values = observed.map((what) => observe({ core, view }, instance, what));
  const violated: number[] = [];
  if (instance.flushPending.some((pending) => view.getUint32(pending, true) !== 0)) violated.push(FLUSH_OWED);
  if (view.getUint32(CONTROL_BAD_FREE, true) !== 0) violated.push(DOUBLE_FREE);
  const met = condition !== undefined && holds(condition.term, values);
  const wanted = condition?.quantifier === 'forall';
  if (condition !== undefined && condition.quantifier !== 'exists' && met !== wanted) violated.push(CONDITION);
  return { values, met, violated };
}
