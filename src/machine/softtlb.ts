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
  /**
   * As `AddressSpace.translatePage`; a fault is not remembered. A function of its own and not a method: what it reads at each look-up it then
   * finds in its closure, which took 3.3 ns where private fields took 3.9.
   */
  readonly translatePage: (page: Vpn) => PageResult;
  readonly #tags: Float64Array;

  /** See `AddressSpace.softTlb`. `entries` is a power of two. @internal */
  constructor(space: AddressSpace, entries: number) {
    if (!Number.isInteger(entries) || entries < 1 || (entries & (entries - 1)) !== 0) {
      throw new RangeError(`"entries" must be a power of two, got ${entries}`);
    }
    const tags = new Float64Array(entries).fill(-1);
    const results = new Float64Array(entries);
    const mask = entries - 1;
    // The generation alone, so that one index serves; it grows with every change of a live entry.
    const current = new Uint32Array(space.memory.view.buffer, space.handle + SPACE_GENERATION, 1);
    let generation = space.generation;

    const miss = (page: Vpn, n: number): PageResult => {
      const now = space.generation;
      if (now !== generation) {
        generation = now;
        tags.fill(-1);
      }
      const result = space.translatePage(page);
      if (isMappedPage(result)) {
        tags[n] = page;
        results[n] = result;
      }
      return result;
    };
    this.#tags = tags;
    this.translatePage = (page) => {
      const n = page & mask;
      return current[0] === generation && tags[n] === page ? (results[n] as PageResult) : miss(page, n);
    };
  }

  /** Forgets everything. */
  invalidate(): void {
    this.#tags.fill(-1);
  }
}
