// A software TLB in front of a space: direct-mapped, looked up in JavaScript, without a call of the core on a hit.
//
// Guarantees: it never answers with a translation that a change through this library made stale before the look-up began: it compares the
// space's generation each time. Changes by `setPte` and its like do not count there: `invalidate` is then the caller's.
// It holds what translations found, not rights for an access: the flags in the result say them.

import { SPACE_GENERATION } from '../../assembly/layout.ts';
import type { Vpn } from '../units.ts';
import { isMappedPage, type PageResult } from './results.ts';
import type { AddressSpace } from './space.ts';

export class SoftTlb {
  readonly #space: AddressSpace;
  readonly #tags: Float64Array;
  readonly #results: Float64Array;
  readonly #mask: number;
  readonly #words: Uint32Array;
  readonly #generationAt: number;
  #generation: number;

  /** See `AddressSpace.softTlb`. `entries` is a power of two. @internal */
  constructor(space: AddressSpace, entries: number) {
    if (!Number.isInteger(entries) || entries < 1 || (entries & (entries - 1)) !== 0) {
      throw new RangeError(`"entries" must be a power of two, got ${entries}`);
    }
    this.#space = space;
    this.#tags = new Float64Array(entries).fill(-1);
    this.#results = new Float64Array(entries);
    this.#mask = entries - 1;
    this.#words = new Uint32Array(space.memory.view.buffer);
    this.#generationAt = (space.handle + SPACE_GENERATION) >>> 2;
    this.#generation = space.generation;
  }

  /** As `AddressSpace.translatePage`; a fault is not remembered. */
  translatePage(page: Vpn): PageResult {
    const n = page & this.#mask;
    if (this.#words[this.#generationAt] === this.#generation && this.#tags[n] === page) {
      return this.#results[n] as PageResult;
    }
    return this.#miss(page, n);
  }

  /** Forgets everything. */
  invalidate(): void {
    this.#tags.fill(-1);
  }

  #miss(page: Vpn, n: number): PageResult {
    const generation = this.#space.generation;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.invalidate();
    }
    const result = this.#space.translatePage(page);
    if (isMappedPage(result)) {
      this.#tags[n] = page;
      this.#results[n] = result;
    }
    return result;
  }
}
