// Who waits for whom in an arena in which nobody gets on.

import { LOCK_SLEEPERS, RWLOCK_WRITER } from '../../assembly/layout.ts';
import {
  OP_AWAIT32,
  OP_AWAIT64,
  OP_FLUSH_MM,
  OP_FLUSH_RANGE,
  OP_READ_LOCK,
  OP_SPIN_LOCK,
  OP_WRITE_LOCK,
} from '../../assembly/litmus/ops_bits.ts';
import type { Instruction, LitmusProgram } from '../litmus/program.ts';
import type { Arena } from './arena.ts';

/** A sentence for each CPU that has not ended: where it stands, and who holds what it waits for. */
export function hangText(arena: Arena): string {
  const { instance, cpus } = arena.standing();
  const waiting = cpus.filter(({ ended }) => !ended);
  if (waiting.length === 0) return 'all programs of the instance have ended, and the threads do not get on';
  return waiting
    .map(({ cpu, place }) => {
      const program = arena.program.cpus[cpu] as LitmusProgram['cpus'][number];
      const line = program.lines
        .slice(0, place + 1)
        .filter((each) => each !== undefined)
        .at(-1);
      const at = line === undefined ? `at instruction ${place}` : `at line ${line.line}, ${line.text}`;
      const instruction = program.code[place];
      const holder = instruction === undefined ? undefined : holderOf(arena, instance.symbols, instruction);
      return `${program.name} ${waits(instruction)} ${at}${holder === undefined ? '' : `, which ${holder} holds`}`;
    })
    .join('; ');
}

function waits(instruction: Instruction | undefined): string {
  switch (instruction?.op) {
    case OP_SPIN_LOCK:
    case OP_READ_LOCK:
    case OP_WRITE_LOCK:
    case OP_AWAIT32:
    case OP_AWAIT64:
      return 'waits';
    case OP_FLUSH_MM:
    case OP_FLUSH_RANGE:
      return 'waits for answers to its flush';
    default:
      return 'stands';
  }
}

/** The CPU that holds the lock an instruction wants, as far as the lock says. */
function holderOf(arena: Arena, symbols: readonly bigint[], { op, c }: Instruction): string | undefined {
  if (c === undefined || (op !== OP_SPIN_LOCK && op !== OP_WRITE_LOCK && op !== OP_READ_LOCK)) return undefined;
  const address = Number(symbols[c] ?? 0n);
  if (address === 0) return undefined;
  const word = op === OP_SPIN_LOCK ? address : address + RWLOCK_WRITER;
  const number = arena.view.getUint32(word, true) & (LOCK_SLEEPERS - 1);
  if (number === 0) return undefined;
  const cpu = arena.cpuOfAgent(number - 1);
  return cpu === undefined ? undefined : arena.program.cpus[cpu]?.name;
}
