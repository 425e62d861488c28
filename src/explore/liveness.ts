// Which registers of a program still matter at a place: the others are no part of a state.
//
// Guarantees: a register that is left out at a place is written before it is read on every way from there, and no outcome shows it.
// Standard backward data flow; a fault handler may begin at every user access and goes back to any of them.

import * as ops from '../../assembly/litmus/ops_bits.ts';
import type { CpuProgram, Instruction } from '../litmus/program.ts';
import { successorsOf } from './flow.ts';

/** For each place a mask of the registers that are live before its instruction. `shown`: those that outcomes show. */
export function liveRegisters(program: CpuProgram, shown: number): Uint32Array {
  const { code } = program;
  const live = new Uint32Array(code.length);
  const { before } = successorsOf(program);
  const after = new Uint32Array(code.length).fill(shown);
  const queue = code.map((_, place) => place);
  for (let place = queue.pop(); place !== undefined; place = queue.pop()) {
    const instruction = code[place] as Instruction;
    const now = (((after[place] as number) & ~writtenBy(instruction)) | readBy(instruction) | shown) >>> 0;
    if (now === live[place]) continue;
    live[place] = now;
    for (const earlier of before[place] ?? []) {
      after[earlier] = (after[earlier] as number) | now;
      queue.push(earlier);
    }
  }
  return live;
}

const bit = (register: number | undefined) => (1 << (register ?? 0)) >>> 0;

function readBy({ op, a, b, c, immediate }: Instruction): number {
  const byAddress = (register: number | undefined) => (c === undefined || c === ops.NO_SYMBOL ? bit(register) : 0);
  switch (op) {
    case ops.OP_IF_ZERO:
    case ops.OP_IF_NOT:
    case ops.OP_ASSERT:
    case ops.OP_MOVE:
    case ops.OP_NOT:
    case ops.OP_USER_LOAD:
    case ops.OP_USER_FETCH:
    case ops.OP_TLB_FILL:
    case ops.OP_TLB_EVICT:
    case ops.OP_FLUSH_LOCAL:
    case ops.OP_LOAD_MM:
    case ops.OP_LOAD_MM_KEEP:
    case ops.OP_FRAME_GET:
    case ops.OP_FRAME_PUT:
    case ops.OP_FRAME_DATA:
    case ops.OP_FRAME_OWN:
      return bit(a);
    case ops.OP_LOAD64:
    case ops.OP_LOAD32:
      return byAddress(a);
    case ops.OP_STORE64:
    case ops.OP_STORE32:
    case ops.OP_EXCHANGE64:
    case ops.OP_EXCHANGE32:
    case ops.OP_FETCH_ADD64:
    case ops.OP_FETCH_ADD32:
    case ops.OP_FETCH_AND64:
    case ops.OP_FETCH_OR64:
      return bit(a) | byAddress(b);
    case ops.OP_COMPARE64:
    case ops.OP_COMPARE32:
    case ops.OP_AWAIT64:
    case ops.OP_AWAIT32:
      return bit(a) | bit(Number(immediate ?? 0n)) | byAddress(b);
    case ops.OP_CALL:
      return 0xffffffff << ops.FIRST_ARGUMENT;
    default:
  }
  if (op >= ops.OP_SPIN_LOCK && op <= ops.OP_DOWNGRADE) return byAddress(b);
  const pair =
    (op >= ops.OP_ADD && op <= ops.OP_MUL) ||
    op === ops.OP_USER_STORE ||
    op === ops.OP_USER_EXCHANGE ||
    op === ops.OP_FLUSH_RANGE ||
    op === ops.OP_PTE;
  if (pair) return bit(a) | bit(b);
  return NOTHING.has(op) ? 0 : 0xffffffff;
}

/** Instructions that read no register. What is in no list is taken to read all. */
const NOTHING = new Set<number>([
  ops.OP_HALT,
  ops.OP_JUMP,
  ops.OP_RETRY,
  ops.OP_GIVE_UP,
  ops.OP_CHOOSE,
  ops.OP_ATOMIC,
  ops.OP_JOINED,
  ops.OP_JOINED_END,
  ops.OP_PAUSE,
  ops.OP_SET,
  ops.OP_SYMBOL,
  ops.OP_ENTER_USER,
  ops.OP_LEAVE_USER,
  ops.OP_FLUSH_MM,
  ops.OP_ENTER_LAZY,
  ops.OP_LEAVE_LAZY,
  ops.OP_FRAME_ALLOCATE,
  ops.OP_USER_FENCE,
  ops.OP_DRAIN,
]);

/** Registers that an instruction writes whatever happens; of a user access none, for a fault may come first. */
function writtenBy({ op, d }: Instruction): number {
  const writes =
    (op >= ops.OP_SET && op <= ops.OP_NOT) ||
    op === ops.OP_PTE ||
    op === ops.OP_CHOOSE ||
    op === ops.OP_LOAD64 ||
    op === ops.OP_LOAD32 ||
    (op >= ops.OP_EXCHANGE64 && op <= ops.OP_FETCH_OR64) ||
    op === ops.OP_FRAME_ALLOCATE ||
    op === ops.OP_FRAME_DATA;
  return writes ? bit(d) : 0;
}
