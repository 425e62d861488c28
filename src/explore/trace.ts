// What happened in an execution, as data: for each step the CPU, its line, what it accessed, what changed, what it violated.
//
// Guarantees: a trace is made by running the execution again from the start, step by step, on the code that was explored; nothing in it is
// inferred from the program's text but which line an instruction comes from. Nothing is formatted here.

import {
  CPU_FAULT_CAUSE,
  CPU_MODE,
  CPU_PENDING,
  CPU_REQUESTS,
  FAULT_ABSENT,
  FAULT_PROTECTION,
  LITMUS_REGISTERS,
  MAX_AGENTS,
  MODE_KERNEL,
  POINT_ATOMIC,
  POINT_CHANGE,
  POINT_CHANGE_WIDE,
  POINT_EMPTY,
  POINT_FILLED,
  POINT_LOAD,
  POINT_LOCK,
  POINT_READ_LOCK,
  POINT_STORE,
  POINT_WRITE_LOCK,
  REQUEST_BYTES,
} from '../../assembly/layout.ts';
import {
  OP_ASSERT,
  OP_HALT,
  OP_JOINED_END,
  OP_TLB_FILL,
  OP_USER_EXCHANGE,
  OP_USER_FETCH,
  OP_USER_LOAD,
  OP_USER_STORE,
} from '../../assembly/litmus/ops_bits.ts';
import type { CpuProgram, LitmusProgram, SourceLine } from '../litmus/program.ts';
import { invariantsOf } from './invariants.ts';
import { type MachineCpu, POINT_CHOICE } from './machine.ts';
import { type Place, Places } from './places.ts';
import { isWrite, Run, type RunStep, type Stand } from './run.ts';
import type { Schedule } from './schedule.ts';
import { isSameValue, pageAt, type Value, type Watched, watch } from './values.ts';

export interface Trace {
  readonly program: LitmusProgram;
  readonly columns: readonly Column[];
  /** What everything was before the first step. */
  readonly start: readonly State[];
  readonly steps: readonly TraceStep[];
  /** What everything was after the last one. */
  readonly end: readonly State[];
  /** Names of the invariants that the last step, or the last state, violates. */
  readonly violated: readonly string[];
  /** At a deadlock: CPUs that wait for ever, and for what. */
  readonly waiting: readonly Waiting[];
}

/** A CPU of the execution. */
export interface Column {
  readonly name: string;
  readonly title: string;
  /** It runs when all others have ended. */
  readonly afterwards: boolean;
}

export interface State {
  readonly place: Place;
  readonly value: Value;
}

export interface Waiting {
  readonly cpu: number;
  readonly line: SourceLine | undefined;
  readonly place: Place;
}

export interface TraceStep {
  /** 1 for the first. */
  readonly number: number;
  readonly cpu: number;
  /** Number of the instruction in the CPU's code. */
  readonly place: number;
  /** What the scenario says there; undefined in programs without lines. */
  readonly line: SourceLine | undefined;
  readonly kind: StepKind;
  /** What was accessed first; undefined for choices and pauses. */
  readonly access: TraceAccess | undefined;
  /** What else was accessed in the same step. */
  readonly joined: readonly TraceAccess[];
  /** What the environment chose. */
  readonly choice: number | undefined;
  /** Of a user access: what hardware does in this step. */
  readonly phase: Phase | undefined;
  /** The access faulted at the end of this step. */
  readonly fault: Fault | undefined;
  readonly changes: readonly Change[];
  readonly violated: readonly Violation[];
}

export type StepKind =
  | 'load'
  | 'store'
  | 'update'
  /** Takes, or queues for, a lock. */
  | 'lock'
  /** Goes on, for what it waited for has changed. */
  | 'wait'
  /** Several accesses in one. */
  | 'atomic'
  /** As that, and an invariant is judged by them. */
  | 'check'
  | 'choice'
  /** The program is over. */
  | 'halt';

export interface TraceAccess {
  readonly place: Place;
  readonly writes: boolean;
  /** Where the place is one that is looked at: what it is after the step. */
  readonly value: Value | undefined;
}

/**
 * What a user access does in a step: `hit` or `miss` of the look-up in the own TLB, `walk` of the tables, `adset`: D is set, `data`: the word is
 * loaded or stored, or with a store buffer the store joins that (`buffer`), and is there when it reaches memory. Before it, it may `answer` a request to invalidate, and the environment do `nothing`, `evict` an entry, or `speculate`, that
 * is walk for an access that is not made. After a fault it may `leave` user mode for its handler.
 */
export type Phase =
  | 'hit'
  | 'miss'
  | 'walk'
  | 'adset'
  | 'data'
  | 'buffer'
  | 'answer'
  | 'leave'
  | 'nothing'
  | 'evict'
  | 'speculate';

export interface Fault {
  readonly page: string;
  readonly write: boolean;
  /** Nothing is present there, or it does not allow the access. */
  readonly cause: 'absent' | 'protection' | 'other';
}

const CAUSES: Readonly<Record<number, Fault['cause']>> = {
  [FAULT_ABSENT]: 'absent',
  [FAULT_PROTECTION]: 'protection',
};

export interface Change {
  readonly place: Place;
  readonly before: Value;
  readonly after: Value;
}

export interface Violation {
  readonly invariant: string;
  /** The line that checks it, if that is not the one of the step. */
  readonly line: SourceLine | undefined;
}

/**
 * The execution of a schedule.
 * @throws RangeError if it is none of the program: a CPU that cannot go on is to.
 */
export async function trace(program: LitmusProgram, schedule: Schedule): Promise<Trace> {
  return traceOn(await Run.create(program), schedule);
}

/** The same on a run that exists, from its start. */
export function traceOn(run: Run, schedule: Schedule): Trace {
  run.restart();
  const tracer = new Tracer(run);
  for (const { cpu, points, choices } of schedule) {
    let chosen = 0;
    for (let n = 0; n < points; n++) {
      if (cpu >= run.cpus || !run.mayRun(cpu)) {
        throw new RangeError(`"schedule" does not fit: CPU ${cpu} cannot make step ${run.steps.length + 1}`);
      }
      tracer.step(cpu, run.stand(cpu).kind === POINT_CHOICE ? (choices[chosen++] ?? 0) : 0);
    }
  }
  return tracer.trace();
}

/** Makes the steps of a run, which stands at its start, and notes what they do. */
export class Tracer {
  readonly #run: Run;
  readonly #places: Places;
  readonly #watched: readonly Watched[];
  readonly #values: Value[];
  readonly #start: readonly State[];
  readonly #steps: TraceStep[] = [];
  readonly #names: ReadonlyMap<number, string>;

  constructor(run: Run) {
    this.#run = run;
    this.#places = new Places(run.machine);
    this.#watched = watch(run.machine);
    this.#values = this.#watched.map(({ read }) => read(-1));
    this.#start = this.#states();
    this.#names = new Map(invariantsOf(run.program).map(({ number, name }) => [number, name]));
  }

  /** CPU `c`, which may run, makes a step. */
  step(c: number, choice: number): TraceStep {
    const cpu = this.#run.machine.cpus[c] as MachineCpu;
    const cause = this.#causeOf(cpu);
    const page = this.#pageOf(cpu, this.#run.stand(c));
    const known = this.#knows(cpu, page);
    const step = this.#run.step(c, choice);
    const changes = this.#changes(c);
    const faulted = page !== undefined && (this.#leavesAt(cpu, step) || (cause === 0 && this.#causeOf(cpu) !== 0));
    const accesses = step.accesses.map((access) => this.#accessOf(access.address, isWrite(access)));
    const first = step.from.address === 0 ? undefined : accesses.shift();
    const made: TraceStep = {
      number: this.#steps.length + 1,
      cpu: c,
      place: step.from.place,
      line: lineAt(cpu.program, step.from.place),
      kind: kindOf(cpu.program, step.from),
      access: first,
      joined: accesses,
      choice: step.from.kind === POINT_CHOICE ? choice : undefined,
      phase: page === undefined ? undefined : this.#phaseOf(cpu, step, page, known, changes),
      fault: faulted ? this.#faultOf(cpu, step.from.place, page) : undefined,
      changes,
      violated: step.violated.map((number) => this.#violation(cpu.program, step, this.#run.stand(c), number)),
    };
    this.#steps.push(made);
    return made;
  }

  trace(): Trace {
    const run = this.#run;
    const { cpus } = run.machine;
    const stuck = run.isOver ? [...cpus.keys()].filter((c) => !run.isOut(c) && c !== run.afterwards) : [];
    const last = this.#steps.at(-1)?.violated.map(({ invariant }) => invariant);
    const atOnce = run.atOnce.map((number) => this.#nameOf(number));
    return {
      program: run.program,
      columns: cpus.map(({ program }, c) => ({
        name: program.name,
        title: program.title,
        afterwards: c === run.afterwards,
      })),
      start: this.#start,
      steps: this.#steps,
      end: this.#states(),
      violated: [...(last ?? atOnce), ...run.end().map((number) => this.#nameOf(number))],
      waiting: stuck.map((c) => {
        const { place, address } = run.stand(c);
        return { cpu: c, line: lineAt((cpus[c] as MachineCpu).program, place), place: this.#places.at(address) };
      }),
    };
  }

  #states(): readonly State[] {
    return this.#watched.map(({ place }, n) => ({ place, value: this.#values[n] as Value }));
  }

  #changes(c: number): readonly Change[] {
    const changes: Change[] = [];
    for (const [n, { place, read }] of this.#watched.entries()) {
      const before = this.#values[n] as Value;
      const after = read(c);
      if (isSameValue(before, after)) continue;
      this.#values[n] = after;
      changes.push({ place, before, after });
    }
    return changes;
  }

  #accessOf(address: number, writes: boolean): TraceAccess {
    const at = this.#watched.findIndex((watched) => watched.address === address && watched.place.of !== 'tlb');
    return { place: this.#places.at(address), writes, value: at < 0 ? undefined : this.#values[at] };
  }

  /** The page of the user access that the CPU is in. */
  #pageOf(cpu: MachineCpu, { place }: Stand): string | undefined {
    if (!isUserAccess(cpu.program, place)) return undefined;
    const { machine } = this.#run;
    const register = cpu.program.code[place]?.a ?? 0;
    return pageAt(machine, cpu, machine.view.getBigUint64(cpu.block + LITMUS_REGISTERS + register * 8, true));
  }

  /** Does the CPU's TLB have an entry for the page? */
  #knows(cpu: MachineCpu, page: string | undefined): boolean {
    const tlb = this.#watched.find(({ place, address }) => place.of === 'tlb' && address === cpu.tlb);
    const value = tlb?.read(-1);
    return value?.kind === 'tlb' && value.entries.some((entry) => entry.page === page);
  }

  #isInKernel({ cpu }: MachineCpu): boolean {
    return this.#run.machine.view.getUint32(cpu + CPU_MODE, true) === MODE_KERNEL;
  }

  /** FAULT_* of the last fault since the CPU entered user mode, 0 without one. */
  #causeOf({ cpu }: MachineCpu): number {
    return this.#run.machine.view.getUint32(cpu + CPU_FAULT_CAUSE, true);
  }

  /** Did the step end where an access goes into its fault handler? */
  #leavesAt({ cpu }: MachineCpu, { cpu: c, from }: RunStep): boolean {
    const { address, kind, place } = this.#run.stand(c);
    return kind === POINT_STORE && address === cpu + CPU_MODE && place === from.place && from.address !== address;
  }

  #faultOf(cpu: MachineCpu, place: number, page: string): Fault {
    const cause = CAUSES[this.#causeOf(cpu)] ?? 'other';
    return { page, write: isStore(cpu.program, place), cause };
  }

  #phaseOf(
    cpu: MachineCpu,
    step: RunStep,
    page: string,
    known: boolean,
    changes: readonly Change[],
  ): Phase | undefined {
    const { address, kind } = step.from;
    if (kind === POINT_CHOICE) {
      if (step.choice === 0) return 'nothing';
      return changes.some(({ place }) => place.of === 'tlb') ? 'evict' : 'speculate';
    }
    if (step.accesses.some((access) => isRequestTo(cpu, access.address))) return 'answer';
    const accessed = this.#places.at(address);
    if (address === cpu.cpu + CPU_MODE || this.#isInKernel(cpu)) return 'leave';
    if (address === cpu.cpu + CPU_PENDING) return this.#knows(cpu, page) ? 'hit' : 'miss';
    if (accessed.of === 'table' || (accessed.of === 'page' && accessed.field === 'pte'))
      return known ? 'adset' : 'walk';
    if (accessed.of === 'frame' && accessed.field === 'data') return 'data';
    if (accessed.of === 'buffer' && kind !== POINT_EMPTY)
      return isStore(cpu.program, step.from.place) ? 'buffer' : 'data';
    return undefined;
  }

  #violation(program: CpuProgram, { from }: RunStep, to: Stand, number: number): Violation {
    const end = to.kind === 0 ? program.code.length : to.place;
    const asserted = program.code.findIndex(
      ({ op, c }, place) => place > from.place && place <= end && op === OP_ASSERT && c === number,
    );
    const line = asserted < 0 ? undefined : lineAt(program, asserted);
    return { invariant: this.#nameOf(number), line: line === lineAt(program, from.place) ? undefined : line };
  }

  #nameOf(number: number): string {
    return this.#names.get(number) ?? `invariant ${number}`;
  }
}

/** The line that an instruction belongs to: its own, or that of the one before it. */
export function lineAt({ lines }: CpuProgram, place: number): SourceLine | undefined {
  for (let n = place; n >= 0; n--) if (lines[n] !== undefined) return lines[n];
  return undefined;
}

function isRequestTo({ cpu }: MachineCpu, address: number): boolean {
  return address >= cpu + CPU_REQUESTS && address < cpu + CPU_REQUESTS + MAX_AGENTS * REQUEST_BYTES;
}

function isStore({ code }: CpuProgram, place: number): boolean {
  const op = code[place]?.op;
  return op === OP_USER_STORE || op === OP_USER_EXCHANGE;
}

function isUserAccess({ code }: CpuProgram, place: number): boolean {
  const op = code[place]?.op ?? OP_HALT;
  return (op >= OP_USER_LOAD && op <= OP_USER_FETCH) || op === OP_TLB_FILL;
}

function kindOf({ code }: CpuProgram, { kind, place }: Stand): StepKind {
  if (code[place]?.op === OP_HALT) return 'halt';
  switch (kind) {
    case POINT_LOAD:
      return 'load';
    case POINT_STORE:
    case POINT_FILLED:
      return 'store';
    case POINT_LOCK:
    case POINT_READ_LOCK:
    case POINT_WRITE_LOCK:
      return 'lock';
    case POINT_CHANGE:
    case POINT_CHANGE_WIDE:
    case POINT_EMPTY:
      return 'wait';
    case POINT_ATOMIC: {
      const block = code.slice(
        place,
        code.findIndex(({ op }, n) => n > place && op === OP_JOINED_END),
      );
      return block.some(({ op }) => op === OP_ASSERT) ? 'check' : 'atomic';
    }
    case POINT_CHOICE:
      return 'choice';
    default:
      return 'update';
  }
}
