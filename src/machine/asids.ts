// ASIDs that all CPUs of a machine share: Linux's allocator on arm64 and RISC-V (check_and_switch_context, arch/arm64/mm/context.c).

import { ASIDS_GENERATION, ASIDS_NO_FLUSH, ASIDS_ROLLOVERS, MM_ASID } from '../../assembly/layout.ts';
import type { Mm } from './cpu.ts';
import type { PhysicalMemory } from './memory.ts';

/** Where the generation begins in an mm's context. */
const GENERATION_SHIFT = 16n;

/**
 * Gives each mm that runs a number. When they have run out, a new generation begins: numbers of mms that do not run are free again, and each CPU
 * flushes everything before it runs its next mm.
 */
export class AsidAllocator {
  readonly memory: PhysicalMemory;
  readonly handle: number;
  readonly #count: number;

  /**
   * `bits` is the width, 2 to 16; there have to be more numbers than CPUs. `flushes: false` leaves out the flush of a new generation, which is wrong.
   * @throws RangeError if `bits` is none, or there is no room.
   */
  constructor(memory: PhysicalMemory, bits: number, options: { readonly flushes?: boolean } = {}) {
    if (!Number.isInteger(bits) || bits < 2 || bits > 16) {
      throw new RangeError(`"bits" must be from 2 to 16, got ${bits}`);
    }
    this.memory = memory;
    this.#count = 2 ** bits - 1;
    this.handle = memory.core.createAsids(bits, (options.flushes ?? true) ? 0 : ASIDS_NO_FLUSH) >>> 0;
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

  /** No CPU runs an mm under one of its numbers any more. */
  dispose(): void {
    this.memory.core.freeAsids(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
