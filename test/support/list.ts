// Drives the core's `list` to the end, with any capacity, and reads its records.

import { layout, type Rig } from './core.ts';

export interface Run {
  va: bigint;
  pa: bigint;
  size: bigint;
  entry: bigint;
  flags: number;
  hole: number;
}

export interface ListOptions {
  from: bigint;
  last: bigint;
  fold?: boolean;
  loops?: boolean;
  pa?: bigint;
  paLast?: bigint;
  capacity?: number;
}

export const EVERYTHING = (1n << 64n) - 1n;

/** The canonical halves of an address space. */
export function halves(levels: 4 | 5): { from: bigint; last: bigint }[] {
  const half = 1n << BigInt(levels * 9 + 11);
  return [
    { from: 0n, last: half - 1n },
    { from: (1n << 64n) - half, last: EVERYTHING },
  ];
}

/** All records of the range, in the order and the pieces in which the core gives them. */
export function listAll(rig: Rig, space: number, options: ListOptions): Run[] {
  const { core, u32, u64 } = rig;
  const { capacity = 500 } = options;
  const cursor = core.heapAllocate(layout.CURSOR_BYTES) >>> 0;
  const output = core.heapAllocate(capacity * layout.RUN_BYTES) >>> 0;
  if (cursor === 0 || output === 0) throw new Error('no heap for a list');
  u64[(cursor + layout.CURSOR_NEXT) / 8] = options.from;
  u64[(cursor + layout.CURSOR_LAST) / 8] = options.last;
  u64[(cursor + layout.CURSOR_PA) / 8] = options.pa ?? 0n;
  u64[(cursor + layout.CURSOR_PA_LAST) / 8] = options.paLast ?? EVERYTHING;
  u32[(cursor + layout.CURSOR_FOLD) / 4] = options.fold ? 1 : 0;
  u32[(cursor + layout.CURSOR_LOOPS) / 4] = options.loops ? 1 : 0;
  const runs: Run[] = [];
  for (;;) {
    u32[(cursor + layout.CURSOR_USED) / 4] = 0;
    core.list(space, cursor, output, capacity);
    const used = u32[(cursor + layout.CURSOR_USED) / 4] as number;
    const state = u32[(cursor + layout.CURSOR_STATE) / 4];
    for (let n = 0; n < used; n++) runs.push(readRun(rig, output + n * layout.RUN_BYTES));
    if (state === layout.LIST_DONE) break;
    if (state === layout.LIST_MORE && used === 0) throw new Error('list neither ends nor gives a record');
    if (state === layout.LIST_MISSING) {
      const hole = runs.at(-1) as Run;
      const next = BigInt.asUintN(64, hole.va + hole.size);
      if (next === 0n || next > options.last) break;
      u64[(cursor + layout.CURSOR_NEXT) / 8] = next;
    }
  }
  core.heapFree(output);
  core.heapFree(cursor);
  return runs;
}

function readRun({ u32, u64 }: Rig, at: number): Run {
  return {
    va: u64[(at + layout.RUN_VA) / 8] as bigint,
    pa: u64[(at + layout.RUN_PA) / 8] as bigint,
    size: u64[(at + layout.RUN_SIZE) / 8] as bigint,
    entry: u64[(at + layout.RUN_ENTRY) / 8] as bigint,
    flags: u32[(at + layout.RUN_FLAGS) / 4] as number,
    hole: u32[(at + layout.RUN_HOLE) / 4] as number,
  };
}

const KIND = layout.RESULT_ACCESSED | layout.RESULT_DIRTY;
const FRAME = 0xffffffffff000n;

/** Joins neighbours of one kind: next in both address spaces, same page size, rights and attributes; A and D may differ. */
export function fold(runs: Iterable<Run>): Run[] {
  const folded: Run[] = [];
  for (const run of runs) {
    const last = folded.at(-1);
    if (last !== undefined && joins(last, run)) last.size += run.size;
    else folded.push({ ...run });
  }
  return folded;
}

function joins(a: Run, b: Run): boolean {
  if (a.hole !== 0 || b.hole !== 0 || a.va + a.size !== b.va || a.pa + a.size !== b.pa) return false;
  if (((a.flags ^ b.flags) & ~KIND) !== 0) return false;
  // The frame's bits begin at the page size; the PAT bit of a large page lies below them.
  const level = (a.flags >> layout.RESULT_LEVEL_SHIFT) & 7;
  const attributes = ~(FRAME & ~((1n << BigInt(12 + 9 * level)) - 1n)) & ~0x60n;
  return ((a.entry ^ b.entry) & attributes) === 0n;
}
