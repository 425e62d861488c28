// Clears registers that nobody will read again, before each step: states of the machine that differ in nothing but what was forgotten are one.
//
// Guarantees: the program means the same; a register that a fault handler, or the access that it interrupts, still reads is kept. What the end
// of a scenario names is kept to the end.

import {
  FIRST_ARGUMENT,
  OP_ATOMIC,
  OP_AWAIT32,
  OP_AWAIT64,
  OP_CALL,
  OP_CHOOSE,
  OP_COMPARE32,
  OP_COMPARE64,
  OP_FRAME_DATA,
  OP_FRAME_OWN,
  OP_GIVE_UP,
  OP_HALT,
  OP_IF_NOT,
  OP_IF_ZERO,
  OP_JOINED,
  OP_JOINED_END,
  OP_JUMP,
  OP_PAUSE,
  OP_RETRY,
  OP_SET,
  OP_USER_FETCH,
  OP_USER_LOAD,
  REG_FAULT_VA,
} from '../../assembly/litmus/ops_bits.ts';
import { ARGUMENTS } from './emit.ts';
import type { Instruction, SourceLine } from './program.ts';

export interface Code {
  readonly code: readonly Instruction[];
  readonly lines: readonly (SourceLine | undefined)[];
  readonly handler: number | undefined;
}

/** `kept`: a bit for each register whose value at the end counts. */
export function forget({ code, lines, handler }: Code, kept: number): Code {
  const live = liveBefore(code, handler, kept);
  const joined = insideJoined(code);
  const cleared = new Array<number>(code.length).fill(0);
  const dirty = new Array<number>(code.length).fill(0);
  const next = successors(code, handler);
  forward(code, (place) => {
    const at = dirty[place] ?? 0;
    const instruction = code[place] as Instruction;
    const forgets = !joined[place] && suspends(instruction) ? at & ~(live[place] ?? 0) : 0;
    cleared[place] = forgets;
    const after = (at & ~forgets) | defines(instruction);
    let changed = false;
    for (const other of next[place] ?? []) {
      const before = dirty[other] ?? 0;
      dirty[other] = before | after;
      changed ||= dirty[other] !== before;
    }
    return changed;
  });
  return rewritten({ code, lines, handler }, cleared);
}

/** Puts the clearing before the instructions; jumps to an instruction lead to its clearing. */
function rewritten({ code, lines, handler }: Code, cleared: readonly number[]): Code {
  const places: number[] = [];
  let length = 0;
  for (const mask of cleared) {
    places.push(length);
    length += 1 + registersIn(mask).length;
  }
  const newCode: Instruction[] = [];
  const newLines: (SourceLine | undefined)[] = [];
  code.forEach((instruction, place) => {
    for (const d of registersIn(cleared[place] ?? 0)) {
      newCode.push({ op: OP_SET, d, immediate: 0n });
      newLines.push(undefined);
    }
    const moves = isJump(instruction.op);
    newCode.push(moves ? { ...instruction, c: places[instruction.c ?? 0] ?? 0 } : instruction);
    newLines.push(lines[place]);
  });
  return { code: newCode, lines: newLines, handler: handler === undefined ? undefined : places[handler] };
}

/** For each place, the registers whose values are read from there on, a bit each. */
function liveBefore(code: readonly Instruction[], handler: number | undefined, kept: number): readonly number[] {
  const live = new Array<number>(code.length).fill(0);
  const next = successors(code, handler);
  for (let changed = true; changed; ) {
    changed = false;
    for (let place = code.length - 1; place >= 0; place -= 1) {
      const instruction = code[place] as Instruction;
      let after = instruction.op === OP_HALT ? kept : 0;
      for (const other of next[place] ?? []) after |= live[other] ?? 0;
      // An access that faults sets nothing: what it would set may still be what it was, for the handler and the second try.
      const before = isAccess(instruction.op)
        ? after | uses(instruction)
        : (after & ~defines(instruction)) | uses(instruction);
      if (before !== live[place]) {
        live[place] = before;
        changed = true;
      }
    }
  }
  return live;
}

/** Runs `visit` over all places until it changes nothing more. */
function forward(code: readonly Instruction[], visit: (place: number) => boolean): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (let place = 0; place < code.length; place += 1) if (visit(place)) changed = true;
  }
}

/** Where control may go from each place. A fault leads to the handler, its end back to any access, or behind it. */
function successors(code: readonly Instruction[], handler: number | undefined): readonly (readonly number[])[] {
  const accesses = code.flatMap(({ op }, place) => (isAccess(op) ? [place] : []));
  return code.map(({ op, c = 0 }, place) => {
    if (op === OP_HALT) return [];
    if (op === OP_JUMP) return [c];
    if (op === OP_IF_ZERO || op === OP_IF_NOT) return [c, place + 1];
    if (op === OP_RETRY) return accesses;
    if (op === OP_GIVE_UP) return accesses.map((access) => access + 1);
    return isAccess(op) && handler !== undefined ? [place + 1, handler] : [place + 1];
  });
}

/** Places between OP_ATOMIC or OP_JOINED and their end, which are no steps of their own. */
function insideJoined(code: readonly Instruction[]): readonly boolean[] {
  let inside = false;
  return code.map(({ op }) => {
    const was = inside;
    if (op === OP_ATOMIC || op === OP_JOINED) inside = true;
    else if (op === OP_JOINED_END) inside = false;
    return was;
  });
}

/** Whether the CPU may be suspended in the instruction, or ends there. */
function suspends({ op }: Instruction): boolean {
  if (op === OP_HALT || op === OP_ATOMIC || op === OP_PAUSE || op === OP_CHOOSE || op === OP_RETRY) return true;
  if (op === OP_FRAME_DATA || op === OP_FRAME_OWN) return false;
  return op >= FIRST_STEP && op < FIRST_PTE ? true : op === OP_CALL || op === OP_GIVE_UP;
}
/** Groups of instructions: 2 to 6 access memory, 7 computes with PTEs. */
const FIRST_STEP = 0x20;
const FIRST_PTE = 0x70;

function isAccess(op: number): boolean {
  return op >= OP_USER_LOAD && op <= OP_USER_FETCH;
}

function isJump(op: number): boolean {
  return op === OP_JUMP || op === OP_IF_ZERO || op === OP_IF_NOT;
}

function uses({ op, a, b, immediate = 0n }: Instruction): number {
  let mask = bit(a) | bit(b);
  if (op === OP_COMPARE64 || op === OP_COMPARE32 || op === OP_AWAIT64 || op === OP_AWAIT32) {
    mask |= bit(Number(immediate));
  }
  if (op === OP_CALL) mask |= ((1 << ARGUMENTS) - 1) << FIRST_ARGUMENT;
  return mask;
}

function defines({ d }: Instruction): number {
  return bit(d);
}

/** Registers that the machine itself sets are left alone. */
function bit(register: number | undefined): number {
  return register === undefined || register < 0 || register >= REG_FAULT_VA ? 0 : 1 << register;
}

function registersIn(mask: number): number[] {
  const found: number[] = [];
  for (let left = mask; left !== 0; left &= left - 1) found.push(31 - Math.clz32(left & -left));
  return found;
}
