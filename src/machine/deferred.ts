// Flushes that migrations put off: the page has moved, both frames are kept, and until one flush for many a CPU may read the old one (scenario G).
//
// Guarantees: see assembly/flush/deferred.ts. Safe only if whoever makes an entry writable settles first: faults with `settleDeferred`, and
// `Kernel.protect` with `deferred`.

import { DEFER_COUNT, DEFER_FLUSHES, DEFER_FREE_EARLY } from '../../assembly/layout.ts';
import { type Cpu, type FlushOptions, type Mm, shootBits } from './cpu.ts';
import type { PhysicalMemory } from './memory.ts';

export class DeferredFlush {
  readonly memory: PhysicalMemory;
  readonly handle: number;

  /** Room for `capacity` pages. `freeEarly` gives old frames up before the flush, which is wrong. @throws RangeError if there is no room. */
  constructor(memory: PhysicalMemory, capacity: number, options: { readonly freeEarly?: boolean } = {}) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 2 ** 20) {
      throw new RangeError(`"capacity" must be from 1 to 2^20, got ${capacity}`);
    }
    this.memory = memory;
    this.handle = memory.core.createDeferred(capacity, options.freeEarly ? DEFER_FREE_EARLY : 0) >>> 0;
    if (this.handle === 0) throw new RangeError('no heap is left for deferred flushes');
  }

  /** Faults of `mm` settle here, if their policy says so. At set-up. */
  serve(mm: Mm): void {
    this.memory.core.setDeferred(mm.handle, this.handle);
  }

  /** Pages whose old frame is kept. */
  get pending(): number {
    return this.memory.view.getUint32(this.handle + DEFER_COUNT, true);
  }

  /** Flushes that were carried out. */
  get flushes(): number {
    return this.memory.view.getUint32(this.handle + DEFER_FLUSHES, true);
  }

  /** Flushes for all pages at once, from `cpu`, which is not in user mode, and gives their old frames up. Returns how many there were. */
  flush(cpu: Cpu, options: FlushOptions = {}): number {
    return this.memory.core.flushMigrated(this.handle, cpu.handle, shootBits(options)) >>> 0;
  }

  /** Nothing is pending, and no mm that it serves runs any more. */
  dispose(): void {
    this.memory.core.freeDeferred(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
