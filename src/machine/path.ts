// The block of one kernel path, and what all paths have in common: when the flush that they owe is counted, and when it is done.

import {
  FLUSH_DONE,
  FLUSH_OWED,
  PATH_BYTES,
  PATH_COUNT_LATE,
  PATH_FIRST,
  PATH_FLUSH,
  PATH_FLUSH_IN_PTL,
  PATH_FLUSHES,
  PATH_INTERRUPTED,
  PATH_LAST,
  PATH_NO_FLUSH,
  PATH_SHOOT,
  PATH_TOUCHED,
  PATH_UNCOUNTED,
} from '../../assembly/layout.ts';
import { type FlushOptions, shootBits } from './cpu.ts';
import type { PhysicalMemory } from './memory.ts';

/** When a flush that a path owes is counted and carried out. The defaults are what Linux does. */
export interface FlushDiscipline extends FlushOptions {
  /**
   * When tlb_flush_pending goes up: `before` the entries change; `after` them, which breaks rule 1 of its users and lets them decide that nothing
   * is pending; `never`. Default `before`.
   */
  readonly count?: 'before' | 'after' | 'never';
  /**
   * When TLBs are invalidated: after the page-table locks were released (`deferred`), table by table while each is held (`in-ptl`), or not at all
   * (`none`: it stays owed). Default `deferred`.
   */
  readonly flush?: 'deferred' | 'in-ptl' | 'none';
}

/** What became of the flush that the changed entries left owed: how many were carried out, and how many other CPUs heard of them. */
export type FlushOutcome =
  | { readonly kind: 'none'; readonly flushes: 0; readonly interrupted: 0 }
  | { readonly kind: 'done'; readonly flushes: number; readonly interrupted: number }
  /** Some of it, if `flushes` is not 0. */
  | { readonly kind: 'owed'; readonly flushes: number; readonly interrupted: number };

const COUNTS = { before: 0, after: PATH_COUNT_LATE, never: PATH_UNCOUNTED } as const;
const FLUSHES = { deferred: 0, 'in-ptl': PATH_FLUSH_IN_PTL, none: PATH_NO_FLUSH } as const;

/** @internal */
export function disciplineBits({ count = 'before', flush = 'deferred' }: FlushDiscipline): number {
  return choice('count', count, COUNTS) | choice('flush', flush, FLUSHES);
}

/** The number that `value` stands for. @throws RangeError naming the option and what it may be. @internal */
export function choice<T extends string>(name: string, value: T, choices: Readonly<Record<T, number>>): number {
  const bits = Object.hasOwn(choices, value) ? choices[value] : undefined;
  if (bits === undefined) {
    throw new RangeError(`"${name}" must be one of ${Object.keys(choices).join(', ')}, got ${String(value)}`);
  }
  return bits;
}

/** Memory that a path is given and answers in (PATH_*). It belongs to one thread. @internal */
export class PathBlock {
  readonly handle: number;
  readonly #memory: PhysicalMemory;

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
    this.handle = memory.heapAllocate(PATH_BYTES);
  }

  /** Clears it for a call whose flushes are carried out by `options` and the SHOOT_* bits `shoot`. */
  prepare(options: FlushOptions, shoot = 0): number {
    new Uint8Array(this.#memory.view.buffer, this.handle, PATH_BYTES).fill(0);
    this.setU32(PATH_SHOOT, shootBits(options) | shoot);
    return this.handle;
  }

  u32(field: number): number {
    return this.#memory.view.getUint32(this.handle + field, true);
  }

  u64(field: number): bigint {
    return this.#memory.view.getBigUint64(this.handle + field, true);
  }

  setU32(field: number, value: number): void {
    this.#memory.view.setUint32(this.handle + field, value, true);
  }

  setU64(field: number, value: bigint): void {
    this.#memory.view.setBigUint64(this.handle + field, value, true);
  }

  get touched(): number {
    return Number(this.u64(PATH_TOUCHED));
  }

  /** First and last, both inclusive, of what was touched. */
  get range(): { readonly first: bigint; readonly last: bigint } | undefined {
    return this.touched === 0 ? undefined : { first: this.u64(PATH_FIRST), last: this.u64(PATH_LAST) };
  }

  get flush(): FlushOutcome {
    const kind = this.u32(PATH_FLUSH);
    if (kind !== FLUSH_DONE && kind !== FLUSH_OWED) return { kind: 'none', flushes: 0, interrupted: 0 };
    const counts = { flushes: this.u32(PATH_FLUSHES), interrupted: this.u32(PATH_INTERRUPTED) };
    return { kind: kind === FLUSH_DONE ? 'done' : 'owed', ...counts };
  }

  dispose(): void {
    this.#memory.core.heapFree(this.handle);
  }
}
