// What an operation of the language is, and the pieces that several of them are made of.

import {
  NO_SYMBOL,
  OP_ADD,
  OP_COMPARE64,
  OP_EQ,
  OP_FLUSH_RANGE,
  OP_FRAME_DATA,
  OP_LOAD64,
  OP_PTE,
} from '../../../assembly/litmus/ops_bits.ts';
import type { Emitter, Register } from '../emit.ts';
import type { Instruction, LitmusSymbol, PageField } from '../program.ts';
import { FLUSH_OPTIONS, type OptionGroup } from './options.ts';

/**
 * What an argument may be. `value`: any expression. `number`: one that is known when the scenario is compiled. `spinlock`: one by name, or
 * `ptl(x)`. `flags`: any of the operation's options, at the end.
 */
export type ArgumentKind =
  | 'value'
  | 'number'
  | 'page'
  | 'mm'
  | 'frame'
  | 'file'
  | 'vma'
  | 'word'
  | 'spinlock'
  | 'rwsem'
  | 'flags';

export interface Argument {
  readonly kind: ArgumentKind;
  readonly name: string;
}

/** Where an operation may stand: in a kernel program, a `syscall` or a fault handler; in user mode; in both; in a fault handler only. */
export type Where = 'kernel' | 'user' | 'anywhere' | 'handler';

export interface Operation {
  readonly name: string;
  readonly takes: readonly Argument[];
  /** Whether it has a value. */
  readonly gives: boolean;
  readonly where: Where;
  /** How many steps it is, and which. */
  readonly steps: string;
  /** The kernel function, and where it stands; empty for what only the language has. */
  readonly kernel: string;
  readonly says: string;
  /** It calls a whole function of the core, whose arguments stand in registers of their own. */
  readonly whole?: true;
  /** What it may be told at the end, of each group one: the first is what it does if none is told. */
  readonly options?: readonly OptionGroup[];
  readonly emit: (call: Call) => void;
}

/** One call that is being compiled. */
export interface Call {
  readonly emitter: Emitter;
  /** The register for the value; meaningless if the operation has none. */
  readonly into: Register;
  /** The nth argument, by kind. */
  value(n: number): Register;
  number(n: number): bigint;
  name(n: number): string;
  lock(n: number): LitmusSymbol;
  /** The mm of the page that is the nth argument. */
  mmOf(n: number): string;
  flags(): readonly string[];
}

/** Bit 63 of the immediate of a flush; the low ones are SHOOT_*. */
const FREED_TABLES = 1n << 63n;

/** An operation whose name and arguments its type knows: what the builder offers is made of these types. */
export interface Declared<N extends string, T extends readonly string[]> extends Operation {
  readonly name: N;
  /** Kind and name of each argument, as in `page x`. */
  readonly declared: T;
}

/** An entry of the table: `takes` says kind and name of each argument, as in `page x`. */
export function operation<const N extends string, const T extends readonly string[]>(
  name: N,
  takes: T,
  row: Omit<Operation, 'name' | 'takes' | 'gives' | 'where'> & Partial<Pick<Operation, 'gives' | 'where'>>,
): Declared<N, T> {
  const parameters = takes.map((text) => {
    const [kind = '', called = ''] = text.split(' ');
    return { kind: kind as ArgumentKind, name: called };
  });
  return { name, declared: takes, takes: parameters, gives: false, where: 'kernel', ...row };
}

// ---- symbols

export function symbol({ emitter }: Call, of: LitmusSymbol): number {
  return emitter.symbols.number(of);
}

export function pageSymbol(call: Call, field: PageField): number {
  return symbol(call, { of: 'page', name: call.name(0), field });
}

export function addressOf(call: Call, n: number): Register {
  return call.emitter.valueOf({ of: 'page', name: call.name(n), field: 'va' });
}

// ---- emitters

/** One instruction that is a step. */
export function one(make: (call: Call) => Instruction): Operation['emit'] {
  return (call) => void call.emitter.step(make(call));
}

/** d = f(a): no step. */
export function pteFunction(emitter: Emitter, which: number, a: Register, into: Register): Register {
  return emitter.pure({ op: OP_PTE, d: into, a, immediate: BigInt(which) });
}

/** Load, and compare-exchange until nobody came between; the value is the entry that was replaced. */
export function replacePte(which: number): Operation['emit'] {
  return (call) => {
    const { emitter } = call;
    const c = pageSymbol(call, 'slot');
    const old = emitter.step({ op: OP_LOAD64, d: emitter.temporary(), c });
    const [next, seen, same] = [emitter.temporary(), emitter.temporary(), emitter.temporary()];
    const again = emitter.label();
    emitter.here(again);
    pteFunction(emitter, which, old, next);
    emitter.step({ op: OP_COMPARE64, d: seen, a: next, c, immediate: BigInt(old) });
    emitter.pure({ op: OP_EQ, d: same, a: seen, b: old });
    emitter.move(seen, old);
    emitter.ifZero(same, again);
    emitter.move(old, call.into);
  };
}

/** Flushes from the page that is argument `first` to the one that is argument `last`. */
export function flushPages(call: Call, first: number, last: number, text?: string): void {
  const { emitter } = call;
  const from = addressOf(call, first);
  const to = first === last ? from : addressOf(call, last);
  const c = symbol(call, { of: 'mm', name: call.mmOf(first), field: 'handle' });
  emitter.step({ op: OP_FLUSH_RANGE, a: from, b: to, c, immediate: shootBits(call) }, text);
}

export function shootBits(call: Call): bigint {
  const flags = call.flags();
  const told = FLUSH_OPTIONS.flat().filter(({ name }) => flags.includes(name));
  const shoot = told.reduce((bits, option) => bits | (option.shoot ?? 0), 0);
  return BigInt(shoot) | (told.some(({ freedTables }) => freedTables) ? FREED_TABLES : 0n);
}

/** Address of word `index` of the frame whose PFN is in a register. */
export function frameWord(emitter: Emitter, pfn: Register, index: number): Register {
  const address = emitter.pure({ op: OP_FRAME_DATA, d: emitter.temporary(), a: pfn });
  addTo(emitter, address, index * 8);
  return address;
}

export function addTo(emitter: Emitter, register: Register, value: number): void {
  if (value === 0) return;
  const mark = emitter.mark();
  emitter.pure({ op: OP_ADD, d: register, a: register, b: emitter.set(BigInt(value)) });
  emitter.release(mark);
}

export function loadAt(emitter: Emitter, address: Register, into: Register, text?: string): Register {
  return emitter.step({ op: OP_LOAD64, d: into, a: address, c: NO_SYMBOL }, text);
}
