// Litmus programs by hand, for tests of the machine and of the explorer that must not depend on the language.

import * as ops from '../../assembly/litmus/ops_bits.ts';
import type { CpuProgram, Instruction, LitmusProgram, LitmusSymbol, World } from '../../src/litmus/program.ts';

export { ops };

export const EMPTY_WORLD: World = {
  machine: 'recheck',
  invalidation: 'waited',
  shootdown: 'ipi',
  memory: 'sc',
  mms: [],
  files: [],
  frames: [],
  vmas: [],
  pages: [],
  words: [],
  locks: [],
  entries: [],
};

export function makeProgram(parts: Partial<LitmusProgram> & { cpus: readonly CpuProgram[] }): LitmusProgram {
  return {
    name: 'test',
    id: undefined,
    variant: {},
    world: EMPTY_WORLD,
    symbols: [],
    afterwards: undefined,
    invariants: [],
    observed: [],
    condition: undefined,
    ...parts,
  };
}

export function makeCpu(name: string, code: readonly Instruction[], parts: Partial<CpuProgram> = {}): CpuProgram {
  return {
    name,
    title: name,
    mode: 'kernel',
    mm: undefined,
    asid: 1,
    code: [...code, { op: ops.OP_HALT }],
    handler: undefined,
    registers: {},
    lines: [],
    ...parts,
  };
}

/** Words `a`, `b`, ... as symbols 0, 1, ... */
export function words(count: number): { words: World['words']; symbols: LitmusSymbol[] } {
  const names = Array.from({ length: count }, (_, n) => String.fromCharCode(97 + n));
  return {
    words: names.map((name) => ({ name, value: 0n })),
    symbols: names.map((name) => ({ of: 'word', name })),
  };
}

export const I = (op: number, fields: Omit<Partial<Instruction>, 'op'> = {}): Instruction => ({ op, ...fields });
export const set = (d: number, immediate: bigint): Instruction => ({ op: ops.OP_SET, d, immediate });
export const load = (d: number, c: number): Instruction => ({ op: ops.OP_LOAD64, d, c });
export const store = (c: number, a: number): Instruction => ({ op: ops.OP_STORE64, c, a });
