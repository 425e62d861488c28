// One execution, step by step, on the finest machine: every scheduling point is a step, whoever else may touch its word.
//
// Guarantees: what a run does depends on the program and on the moves alone, not on what was explored before. So its steps are what schedules
// count, what tokens hold, and what traces show. A step knows all that it accessed, by which two steps can be told to be
// independent (clean.ts).

import {
  POINT_CHANGE,
  POINT_CHANGE_WIDE,
  POINT_EMPTY,
  POINT_FILLED,
  POINT_LOCK,
  POINT_READ_LOCK,
  POINT_WRITE_LOCK,
} from '../../assembly/layout.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import { DEADLOCK, isJudgedAtTheEnd, judgeEnd } from './invariants.ts';
import { Machine, POINT_CHOICE, type Step, writesAt } from './machine.ts';
import type { Schedule, Stretch } from './schedule.ts';

/** An access to a word: its linear address in the machine. */
export interface Access {
  readonly address: number;
  /** POINT_*. */
  readonly kind: number;
}

/** Where a CPU stands: what its next step accesses first. */
export interface Stand {
  /** POINT_*, POINT_CHOICE, or 0: its program has ended. */
  readonly kind: number;
  /** 0 at choices and atomic blocks. */
  readonly address: number;
  /** Alternatives of a choice, else 0. */
  readonly choices: number;
  /** Place of the instruction that it is in. */
  readonly place: number;
  /** Of one that waits for a change: the two words of the granule that did not do. */
  readonly seen: readonly [number, number];
}

/** A step that was made. */
export interface RunStep {
  readonly cpu: number;
  readonly choice: number;
  /** Where the CPU stood before it. */
  readonly from: Stand;
  /** All accesses, that of `from` first if it was one. */
  readonly accesses: readonly Access[];
  /** Granules of 8 bytes that it touched, with their words afterwards. */
  readonly touched: readonly Touched[];
  /** Invariants by number. */
  readonly violated: readonly number[];
}

export interface Touched {
  readonly granule: number;
  readonly wrote: boolean;
  readonly low: number;
  readonly high: number;
}

export class Run {
  readonly machine: Machine;
  readonly steps: RunStep[] = [];
  readonly #stands: Stand[] = [];
  readonly #start: Uint32Array;
  readonly #afterwards: number;
  /** What programs violate before their first step. */
  #atOnce: readonly number[] = [];
  /** What the last state violates, in which nobody can go on; undefined while somebody can. */
  #end: readonly number[] | undefined;

  static async create(program: LitmusProgram): Promise<Run> {
    return new Run(await Machine.create(program, true));
  }

  /** `machine`: the finest one, on which nothing has run yet. */
  constructor(machine: Machine) {
    this.machine = machine;
    this.#start = machine.u32.slice();
    this.#afterwards = this.program.afterwards === undefined ? -1 : machine.cpus.length - 1;
    this.#begin();
  }

  get program(): LitmusProgram {
    return this.machine.instance.program;
  }

  get cpus(): number {
    return this.machine.cpus.length;
  }

  /** The CPU that runs when all others have ended, or -1. */
  get afterwards(): number {
    return this.#afterwards;
  }

  /** Back to the start. */
  restart(): void {
    const { u32 } = this.machine;
    for (const [first, end] of this.machine.changeable()) u32.set(this.#start.subarray(first, end), first);
    this.steps.length = 0;
    this.#begin();
  }

  /** The two words of a granule at the start. */
  initially(granule: number): readonly [number, number] {
    return [this.#start[granule * 2] as number, this.#start[granule * 2 + 1] as number];
  }

  /** Where CPU `c` stands. */
  stand(c: number): Stand {
    return this.#stands[c] as Stand;
  }

  hasEnded(c: number): boolean {
    return this.stand(c).kind === 0;
  }

  /** Has CPU `c` ended, or is it one that never does and waits? */
  isOut(c: number): boolean {
    return this.hasEnded(c) || (this.machine.cpus[c]?.program.drains !== undefined && !this.mayRun(c));
  }

  /** May CPU `c` make a step now? */
  mayRun(c: number): boolean {
    const { kind, address, seen } = this.stand(c);
    if (kind === 0) return false;
    if (c === this.#afterwards && !this.#others(c).every((other) => this.isOut(other))) return false;
    const at = (address >>> 3) * 2;
    const { u32 } = this.machine;
    return admits(this.machine, kind, address, seen, [u32[at] as number, u32[at + 1] as number]);
  }

  /** Can nobody make a step? */
  get isOver(): boolean {
    return this.#stands.every((_, c) => !this.mayRun(c));
  }

  /** Makes a step of CPU `c`, which may run. */
  step(c: number, choice = 0): RunStep {
    const from = this.stand(c);
    const step = this.machine.step(c, choice);
    const violated = bitsOf(step.fails);
    this.#stands[c] = this.#standAfter(c, step);
    this.#end = undefined;
    const made: RunStep = { cpu: c, choice, from, accesses: accessesOf(step), touched: this.#touched(step), violated };
    this.steps.push(made);
    return made;
  }

  /** Was `invariant` violated by the last step, or is it by a state in which nobody can go on? */
  violates(invariant: number): boolean {
    if (!isJudgedAtTheEnd(invariant)) return (this.steps.at(-1)?.violated ?? this.#atOnce).includes(invariant);
    return this.end().includes(invariant);
  }

  /** What programs violate before their first step. */
  get atOnce(): readonly number[] {
    return this.#atOnce;
  }

  /** What the state violates as the last one; nothing while somebody can go on. */
  end(): readonly number[] {
    this.#end ??= this.#judge();
    return this.#end;
  }

  /** The steps so far, as stretches. */
  schedule(): Schedule {
    return stretchesOf(this.steps);
  }

  #judge(): readonly number[] {
    if (!this.isOver) return [];
    if (this.#stands.some((_, c) => !this.isOut(c))) return [DEADLOCK];
    return judgeEnd(this.machine).violated;
  }

  #others(c: number): readonly number[] {
    return this.#stands.map((_, other) => other).filter((other) => other !== c);
  }

  #begin(): void {
    this.#end = undefined;
    let fails = 0;
    for (let c = 0; c < this.cpus; c++) {
      const step = this.machine.begin(c);
      fails |= step.fails;
      this.#stands[c] = this.#standAfter(c, step);
    }
    this.#atOnce = bitsOf(fails);
  }

  #standAfter(c: number, { pending }: Step): Stand {
    const { kind, granule, offset, choices } = pending;
    const at = Math.max(0, granule) * 2;
    const { u32 } = this.machine;
    return {
      kind,
      address: granule < 0 ? 0 : granule * 8 + offset,
      choices: kind === POINT_CHOICE ? choices : 0,
      place: this.machine.placeOf(c),
      seen: [u32[at] as number, u32[at + 1] as number],
    };
  }

  #touched({ granules, written }: Step): readonly Touched[] {
    const { u32 } = this.machine;
    return granules.map((granule, n) => ({
      granule,
      wrote: written[n] as boolean,
      low: u32[granule * 2] as number,
      high: u32[granule * 2 + 1] as number,
    }));
  }
}

/** Does a point of `kind` let its CPU go on when the granule of its word holds `words`? */
export function admits(
  machine: Machine,
  kind: number,
  address: number,
  seen: readonly [number, number],
  words: readonly [number, number],
): boolean {
  const half = (address >>> 2) & 1;
  const word = words[half] as number;
  switch (kind) {
    case POINT_LOCK:
    case POINT_EMPTY:
      return word === 0;
    case POINT_FILLED:
      return word !== 0;
    case POINT_READ_LOCK:
    case POINT_WRITE_LOCK:
      return machine.core.lockMayRun(word, kind) !== 0;
    case POINT_CHANGE:
      return word !== seen[half];
    case POINT_CHANGE_WIDE:
      return words[0] !== seen[0] || words[1] !== seen[1];
    default:
      return true;
  }
}

/** Does the access write? */
export function isWrite({ kind }: Access): boolean {
  return writesAt(kind);
}

/** Moves of single steps, as stretches: consecutive ones of a CPU are one. */
export function stretchesOf(
  steps: readonly { readonly cpu: number; readonly choice: number; readonly from: Stand }[],
): Schedule {
  const stretches: { cpu: number; points: number; choices: number[] }[] = [];
  for (const { cpu, choice, from } of steps) {
    let last = stretches.at(-1);
    if (last?.cpu !== cpu) {
      last = { cpu, points: 0, choices: [] };
      stretches.push(last);
    }
    last.points++;
    if (from.kind === POINT_CHOICE) last.choices.push(choice);
  }
  return stretches satisfies Stretch[];
}

function bitsOf(set: number): readonly number[] {
  const bits: number[] = [];
  for (let n = 0; n < 32; n++) if ((set & (1 << n)) !== 0) bits.push(n);
  return bits;
}

function accessesOf({ accesses }: Step): readonly Access[] {
  const list: Access[] = [];
  for (let n = 0; n < accesses.length; n += 2)
    list.push({ address: accesses[n] as number, kind: accesses[n + 1] as number });
  return list;
}
