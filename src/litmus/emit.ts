// Writes the instructions of one CPU: registers for intermediate values, labels, symbols, and the lines that a diagram shows.
//
// Guarantees: the same calls give the same code. Registers with names have the lowest numbers, in the order in which they are given;
// intermediate values take the next ones, and are free again when the statement ends: the fewer registers, the smaller a state.

import {
  FIRST_ARGUMENT,
  OP_IF_NOT,
  OP_IF_ZERO,
  OP_JUMP,
  OP_MOVE,
  OP_SET,
  OP_SYMBOL,
  REG_FAULT_VA,
} from '../../assembly/litmus/ops_bits.ts';
import type { Instruction, LitmusSymbol, SourceLine } from './program.ts';

/** Arguments of whole functions stand in these, so nothing else does in a program that calls one. */
export const ARGUMENTS = 8;

/** The number of a register. */
export type Register = number;

export interface Label {
  place: number;
}

/** The symbols of a program: one table for all its CPUs, each symbol once, in the order of first use. */
export class Symbols {
  readonly list: LitmusSymbol[] = [];
  readonly #numbers = new Map<string, number>();

  number(symbol: LitmusSymbol): number {
    const key = JSON.stringify(symbol);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.list.length;
      this.list.push(symbol);
      this.#numbers.set(key, number);
    }
    return number;
  }
}

export class Emitter {
  readonly code: Instruction[] = [];
  readonly lines: (SourceLine | undefined)[] = [];
  readonly symbols: Symbols;
  readonly #named: ReadonlyMap<string, Register>;
  readonly #temporaries: readonly Register[];
  readonly #jumps: { readonly at: number; readonly label: Label }[] = [];
  #used = 0;
  #deepest = 0;
  #line: SourceLine | undefined;
  /** Of the statement: whether an instruction, and a step, was written. */
  #begun = false;
  #stepped = false;
  #quiet = 0;

  /** `named` are the registers with names; `calls`: whether whole functions are called. */
  constructor(symbols: Symbols, named: readonly string[], calls: boolean) {
    const isFree = (register: number) => !calls || register < FIRST_ARGUMENT || register >= FIRST_ARGUMENT + ARGUMENTS;
    const free = Array.from({ length: REG_FAULT_VA }, (_, n) => n).filter(isFree);
    this.symbols = symbols;
    if (named.length > free.length) throw new TooManyRegisters();
    this.#named = new Map(named.map((name, n) => [name, free[n] ?? -1]));
    this.#temporaries = free.slice(named.length);
  }

  /** Registers by number, with their names. */
  get registers(): Record<number, string> {
    return Object.fromEntries([...this.#named].map(([name, register]) => [register, name]));
  }

  named(name: string): Register {
    return this.#named.get(name) ?? -1;
  }

  // ---- registers for intermediate values

  /** A free one, until `release`. */
  temporary(): Register {
    const register = this.#temporaries[this.#used];
    if (register === undefined) throw new TooManyRegisters();
    this.#used += 1;
    this.#deepest = Math.max(this.#deepest, this.#used);
    return register;
  }

  mark(): number {
    return this.#used;
  }

  release(mark: number): void {
    this.#used = mark;
  }

  /** From here on nothing that was used before is used again: a fault handler runs in the middle of an access. */
  keepAll(): void {
    this.#used = this.#deepest;
  }

  // ---- instructions

  /** One that is no step. Returns the register it sets. */
  pure(instruction: Instruction): Register {
    return this.#write(instruction, false, undefined);
  }

  /** One that is a step; `text` is what a diagram shows for it if it is not the first of its statement. */
  step(instruction: Instruction, text?: string): Register {
    return this.#write(instruction, true, text);
  }

  set(value: bigint, into: Register = this.temporary()): Register {
    return this.pure({ op: OP_SET, d: into, immediate: value });
  }

  /** What a symbol stands for. */
  valueOf(symbol: LitmusSymbol, into: Register = this.temporary()): Register {
    return this.pure({ op: OP_SYMBOL, d: into, c: this.symbols.number(symbol) });
  }

  move(from: Register, into: Register): Register {
    return from === into ? into : this.pure({ op: OP_MOVE, d: into, a: from });
  }

  // ---- labels

  label(): Label {
    return { place: -1 };
  }

  here(label: Label): void {
    label.place = this.code.length;
  }

  jump(label: Label): void {
    this.#jump({ op: OP_JUMP }, label);
  }

  ifZero(register: Register, label: Label): void {
    this.#jump({ op: OP_IF_ZERO, a: register }, label);
  }

  ifNot(register: Register, label: Label): void {
    this.#jump({ op: OP_IF_NOT, a: register }, label);
  }

  /** All labels have their places now. */
  finish(): void {
    for (const { at, label } of this.#jumps) this.code[at] = { ...(this.code[at] as Instruction), c: label.place };
    this.#jumps.length = 0;
  }

  // ---- lines

  /** What is written from here on comes from `line`. */
  statement(line: SourceLine): void {
    this.#line = line;
    this.#begun = false;
    this.#stepped = false;
  }

  /** What `write` writes is part of what stands before it. */
  quietly(write: () => void): void {
    this.#quiet += 1;
    write();
    this.#quiet -= 1;
  }

  #jump(instruction: Instruction, label: Label): void {
    this.#jumps.push({ at: this.code.length, label });
    this.pure(instruction);
  }

  #write(instruction: Instruction, isStep: boolean, text: string | undefined): Register {
    const line = this.#line;
    let shown: SourceLine | undefined;
    if (line !== undefined && this.#quiet === 0) {
      if (!this.#begun) shown = line;
      else if (isStep && this.#stepped) shown = { line: line.line, text: text ?? line.text };
      this.#begun = true;
      this.#stepped ||= isStep;
    }
    this.code.push(instruction);
    this.lines.push(shown);
    return instruction.d ?? -1;
  }
}

/** A CPU needs more registers than there are: the checks say so before anything is compiled. */
export class TooManyRegisters extends Error {}
