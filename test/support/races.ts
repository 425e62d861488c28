// Races by hand, with the lines that a diagram shows: what reports are tested with, whatever becomes of the language.
//
// They are written down as a scenario would be compiled: PTE changes in transactions under the page-table lock, invariants as ghost blocks.

import type {
  CpuProgram,
  Instruction,
  LitmusProgram,
  LitmusSymbol,
  SourceLine,
  Variant,
} from '../../src/litmus/program.ts';
import { EMPTY_WORLD, makeCpu, makeProgram, ops, set } from './litmus.ts';

/** A line of a program: its text, and what it is compiled to. Jumps are relative: +1 is the next instruction. */
type Line = readonly [text: string, ...instructions: Instruction[]];

const JUMPS: readonly number[] = [ops.OP_JUMP, ops.OP_IF_ZERO, ops.OP_IF_NOT];

/** Lines to code: `firstLine` is the number of the first of them in the file. */
function assemble(firstLine: number, lines: readonly Line[]): Pick<CpuProgram, 'code' | 'lines'> {
  const code: Instruction[] = [];
  const texts: (SourceLine | undefined)[] = [];
  for (const [n, [text, ...instructions]] of lines.entries()) {
    for (const [k, instruction] of instructions.entries()) {
      const isJump = JUMPS.includes(instruction.op);
      code.push(isJump ? { ...instruction, c: code.length + (instruction.c ?? 1) } : instruction);
      texts.push(k === 0 ? { line: firstLine + n, text } : undefined);
    }
  }
  return { code, lines: texts };
}

const I = (op: number, fields: Partial<Instruction> = {}): Instruction => ({ op, ...fields });
const pte = (d: number, a: number, what: number) => I(ops.OP_PTE, { d, a, immediate: BigInt(what) });

const X_VA = 0;
const X_PTE = 1;
const X_PTL = 2;
const X_LAST = 3;
const MM = 4;
const PENDING = 5;
const BIT = 6;
const BACKING = 7;
const DATA = 8;
const X_STORED = 9;

const SYMBOLS: readonly LitmusSymbol[] = [
  { of: 'page', name: 'x', field: 'va' },
  { of: 'page', name: 'x', field: 'slot' },
  { of: 'page', name: 'x', field: 'ptl' },
  { of: 'page', name: 'x', field: 'last' },
  { of: 'mm', name: 'A', field: 'handle' },
  { of: 'mm', name: 'A', field: 'tlb_flush_pending' },
  { of: 'word', name: 'bit' },
  { of: 'word', name: 'backing' },
  { of: 'frame', name: 'F', field: 'data' },
  { of: 'page', name: 'x', field: 'stored' },
];

export interface CleanOptions {
  /** Where the flush stands: before the pages are acted on, behind that, or nowhere. */
  readonly flush?: 'before' | 'after' | 'none';
  /** Whether the page is dirty, and in the TLB, at the start. */
  readonly dirty?: boolean;
  /** How many stores the user makes. */
  readonly stores?: number;
  /** CPUs that have nothing to do with it, each with a word of its own. */
  readonly bystanders?: number;
}

/** Cleaning against a writer: the race B of the catalogue, with both of its invariants. */
export function cleanRace(options: CleanOptions = {}): LitmusProgram {
  const { flush = 'before', dirty = true, stores = 2, bystanders = 0 } = options;
  const user = Array.from(
    { length: stores },
    (_, n): Line => [
      `*x = ${n + 1}`,
      I(ops.OP_SYMBOL, { d: 1, c: X_VA }),
      set(2, BigInt(n + 1)),
      I(ops.OP_USER_STORE, { a: 1, b: 2, c: X_LAST }),
    ],
  );
  const handler: Line[] = [
    ['spin_lock(ptl(x))', I(ops.OP_SPIN_LOCK, { c: X_PTL })],
    ['spin_unlock(ptl(x))', I(ops.OP_SPIN_UNLOCK, { c: X_PTL })],
    ['retry', I(ops.OP_RETRY)],
  ];
  const main = assemble(10, [...user, ['', I(ops.OP_HALT)]]);
  const fault = assemble(20, handler);
  const p0: CpuProgram = {
    ...makeCpu('P0', []),
    title: 'user',
    mode: 'user',
    mm: 'A',
    handler: main.code.length,
    code: [...main.code, ...fault.code],
    lines: [...main.lines.slice(0, -1), undefined, ...fault.lines],
  };

  const act: Line[] = [
    ['b = xchg(&bit, 0)', set(3, 0n), I(ops.OP_EXCHANGE64, { d: 8, c: BIT, a: 3 })],
    ['if (b)', I(ops.OP_IF_ZERO, { a: 8, c: 3 })],
    ['  backing = copy(F)', I(ops.OP_LOAD64, { d: 9, c: DATA }), I(ops.OP_STORE64, { c: BACKING, a: 9 })],
  ];
  const flushes: Line[] = [
    ['if (cleaned)', I(ops.OP_IF_ZERO, { a: 2, c: 3 })],
    [
      '  flush_tlb_page(x)',
      I(ops.OP_SYMBOL, { d: 6, c: X_VA }),
      I(ops.OP_FLUSH_RANGE, { c: MM, a: 6, b: 6, immediate: 0n }),
    ],
  ];
  const cover: Line = [
    'check COVER(x)',
    I(ops.OP_ATOMIC),
    I(ops.OP_LOAD64, { d: 7, c: X_STORED }),
    I(ops.OP_NOT, { d: 7, a: 7 }),
    I(ops.OP_LOAD64, { d: 8, c: BIT }),
    I(ops.OP_LOAD64, { d: 9, c: X_PTE }),
    pte(9, 9, ops.PTE_DIRTY),
    I(ops.OP_OR, { d: 7, a: 7, b: 8 }),
    I(ops.OP_OR, { d: 7, a: 7, b: 9 }),
    I(ops.OP_ASSERT, { a: 7, c: ops.FIRST_INVARIANT }),
    I(ops.OP_JOINED_END),
  ];
  const cleaner: Line[] = [
    ['inc_tlb_flush_pending(A)', set(5, 1n), I(ops.OP_FETCH_ADD32, { d: 0, c: PENDING, a: 5 })],
    ['spin_lock(ptl(x))', I(ops.OP_SPIN_LOCK, { c: X_PTL })],
    ['cleaned = pte_dirty(ptep_get(x))', I(ops.OP_LOAD64, { d: 1, c: X_PTE }), pte(2, 1, ops.PTE_DIRTY)],
    ['if (cleaned) {', I(ops.OP_IF_ZERO, { a: 2, c: 6 })],
    ['  pte = ptep_modify_prot_start(x)', set(3, 0n), I(ops.OP_EXCHANGE64, { d: 1, c: X_PTE, a: 3 })],
    [
      '  ptep_modify_prot_commit(x, pte_mkclean(pte))',
      pte(1, 1, ops.PTE_MKCLEAN),
      I(ops.OP_STORE64, { c: X_PTE, a: 1 }),
    ],
    ['  bit = 1', I(ops.OP_STORE64, { c: BIT, a: 5 })],
    ['spin_unlock(ptl(x))', I(ops.OP_SPIN_UNLOCK, { c: X_PTL })],
    ...(flush === 'after' ? [cover, ...act] : []),
    ...(flush === 'none' ? [] : flushes),
    ['dec_tlb_flush_pending(A)', set(3, 0xffffffffn), I(ops.OP_FETCH_ADD32, { d: 0, c: PENDING, a: 3 })],
    ...(flush === 'after' ? [] : [cover, ...act]),
    ['', I(ops.OP_HALT)],
  ];
  const p1 = assemble(30, cleaner);
  const last = assemble(60, [
    [
      'if (bit || pte_dirty(ptep_get(x)))',
      I(ops.OP_LOAD64, { d: 1, c: X_PTE }),
      pte(1, 1, ops.PTE_DIRTY),
      I(ops.OP_LOAD64, { d: 2, c: BIT }),
      I(ops.OP_OR, { d: 1, a: 1, b: 2 }),
      I(ops.OP_IF_ZERO, { a: 1, c: 3 }),
    ],
    ['  backing = copy(F)', I(ops.OP_LOAD64, { d: 3, c: DATA }), I(ops.OP_STORE64, { c: BACKING, a: 3 })],
    [
      'check WRITEBACK(x)',
      I(ops.OP_ATOMIC),
      I(ops.OP_LOAD64, { d: 4, c: BACKING }),
      I(ops.OP_LOAD64, { d: 5, c: X_LAST }),
      I(ops.OP_EQ, { d: 4, a: 4, b: 5 }),
      I(ops.OP_ASSERT, { a: 4, c: ops.FIRST_INVARIANT + 1 }),
      I(ops.OP_JOINED_END),
    ],
    ['', I(ops.OP_HALT)],
  ]);
  const idle = Array.from({ length: bystanders }, (_, n): CpuProgram => {
    const step: Line[] = [
      [`idle${n} = 1`, set(1, 1n), I(ops.OP_STORE64, { c: SYMBOLS.length + n, a: 1 })],
      ['r = bit', I(ops.OP_LOAD64, { d: 2, c: BIT })],
      ['', I(ops.OP_HALT)],
    ];
    return { ...makeCpu(`P${n + 2}`, []), title: 'bystander', ...assemble(50, step) };
  });
  const idleNames = idle.map((_, n) => `idle${n}`);
  const variant: Variant = { flush, dirty: String(dirty) };
  return makeProgram({
    name: 'clean-by-hand',
    variant,
    invariants: ['COVER', 'WRITEBACK'],
    symbols: [...SYMBOLS, ...idleNames.map((name): LitmusSymbol => ({ of: 'word', name }))],
    world: {
      ...EMPTY_WORLD,
      mms: [{ name: 'A', splitPtl: true }],
      frames: [{ name: 'F', value: 0n, owner: undefined, references: 1 }],
      words: ['bit', 'backing', ...idleNames].map((name) => ({ name, value: 0n })),
      pages: [
        {
          name: 'x',
          mm: 'A',
          va: 0x7000n,
          entry: {
            kind: 'mapped',
            frame: 'F',
            write: true,
            dirty,
            accessed: true,
            softDirty: false,
            uffdWp: false,
            special: false,
          },
        },
      ],
      entries: dirty ? [{ cpu: 0, page: 'x', write: true, dirty: true }] : [],
    },
    cpus: [p0, { ...makeCpu('P1', []), title: 'clean', ...p1 }, ...idle],
    afterwards: { ...makeCpu('afterwards', []), ...last },
  });
}
