// ASIDs that all CPUs of a machine share: Linux's allocator on arm64 and RISC-V (check_and_switch_context, arch/arm64/mm/context.c).

import { ASIDS_GENERATION, ASIDS_NO_FLUSH, ASIDS_RECYCLE, ASIDS_ROLLOVERS, MM_ASID } from '../../assembly/layout.ts';
import type { Mm } from './cpu.ts';
import type { PhysicalMemory } from './memory.ts';
import { choice } from './path.ts';

/** Where the generation begins in an mm's context. */
const GENERATION_SHIFT = 16n;

export interface AsidOptions {
  /** Each CPU flushes everything when a new generation begins. Leaving that out is wrong. Default true. */
  readonly flushes?: boolean;
  /**
   * When the number of an mm that was disposed of is free again: with the next `roll-over`, as on arm64, or at `exit`, as on powerpc. The second needs the
   * flush of `Kernel.put`, so `elideFullMm` is wrong then. Default `roll-over`.
   */
  readonly recycle?: 'roll-over' | 'exit';
}

const RECYCLES = { 'roll-over': 0, exit: ASIDS_RECYCLE } as const;

/**
 * Gives each mm that runs a number. When they have run out, a new generation begins: numbers of mms that do not run are free again, and each CPU
 * flushes everything before it runs its next mm.
 */
export class AsidAllocator {
  readonly memory: PhysicalMemory;
  readonly handle: number;
  readonly #count: number;

  /**
   * `bits` is the width, 2 to 16; there have to be more numbers than CPUs.
   * @throws RangeError if `bits` or an option is none, or there is no room.
   */
  constructor(memory: PhysicalMemory, bits: number, options: AsidOptions = {}) {
    if (!Number.isInteger(bits) || bits < 2 || bits > 16) {
      throw new RangeError(`"bits" must be from 2 to 16, got ${bits}`);
    }
    this.memory = memory;
    this.#count = 2 ** bits - 1;
    const { flushes = true, recycle = 'roll-over' } = options;
    const flags = (flushes ? 0 : ASIDS_NO_FLUSH) | choice('recycle', recycle, RECYCLES);
    this.handle = memory.core.createAsids(bits, flags) >>> 0;
    if (this.handle === 0) throw new RangeError('no heap is left for an ASID allocator');
  }

  /** How many numbers there are. */
  get count(): number {
    return this.#count;
  }

  /** How often they have run out. */
  get rollovers(): number {
    return this.memory.view.getUint32(this.handle + ASIDS_ROLLOVERS, true);
  }

  /** The ASID of `mm`; undefined if it has none in this generation. */
  asidOf(mm: Mm): number | undefined {
    const context = this.memory.view.getBigUint64(mm.handle + MM_ASID, true);
    const generation = this.memory.view.getBigUint64(this.handle + ASIDS_GENERATION, true);
    if ((context ^ generation) >> GENERATION_SHIFT !== 0n) return undefined;
    return Number(context & ((1n << GENERATION_SHIFT) - 1n));
  }

  /** No CPU runs an mm under one of its numbers any more. With `recycle: 'exit'`, after its mms. */
  dispose(): void {
    this.memory.core.freeAsids(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
