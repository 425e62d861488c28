// From frames to the pages that map them: an index over one listing of a space.
//
// Guarantees: it answers for the moment it was made. A look-up takes time logarithmic in the number of runs, plus its answers.

import { PAGE_BYTES, type Pfn, type Vpn } from '../units.ts';
import type { AddressSpace } from './space.ts';

export class ReverseMap {
  // Runs sorted by first frame: first frame, frames, first page; and the furthest end of a run so far, which says where to
  // stop looking back.
  readonly #first: Float64Array;
  readonly #frames: Float64Array;
  readonly #page: Float64Array;
  readonly #reach: Float64Array;

  private constructor(runs: readonly (readonly [frame: number, frames: number, page: number])[]) {
    const sorted = [...runs].sort((a, b) => a[0] - b[0]);
    this.#first = Float64Array.from(sorted, (run) => run[0]);
    this.#frames = Float64Array.from(sorted, (run) => run[1]);
    this.#page = Float64Array.from(sorted, (run) => run[2]);
    let reach = 0;
    this.#reach = Float64Array.from(sorted, (run) => {
      reach = Math.max(reach, run[0] + run[1]);
      return reach;
    });
  }

  /** Lists `space` and indexes what it maps. */
  static of(space: AddressSpace): ReverseMap {
    const runs: [number, number, number][] = [];
    for (const mapping of space.mappings()) {
      if (mapping.kind === 'hole') continue;
      runs.push([Number(mapping.pa >> 12n), Number(mapping.sizeBytes / BigInt(PAGE_BYTES)), Number(mapping.va >> 12n)]);
    }
    return new ReverseMap(runs);
  }

  /** Runs in the index. */
  get size(): number {
    return this.#first.length;
  }

  /** The pages that map `frame`, in ascending order. */
  pagesOf(frame: Pfn): Vpn[] {
    const pages: Vpn[] = [];
    for (let n = this.#after(frame) - 1; n >= 0 && at(this.#reach, n) > frame; n--) {
      const offset = frame - at(this.#first, n);
      if (offset < at(this.#frames, n)) pages.push((at(this.#page, n) + offset) as Vpn);
    }
    return pages.sort((a, b) => a - b);
  }

  /** How many pages map each of `frames`, for many frames at once. */
  countMany(frames: Float64Array): Uint32Array {
    return Uint32Array.from(frames, (frame) => this.pagesOf(frame as Pfn).length);
  }

  /** Index of the first run that begins after `frame`. */
  #after(frame: number): number {
    let low = 0;
    let high = this.#first.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(this.#first, middle) <= frame) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function at(array: Float64Array, n: number): number {
  return array[n] ?? Number.NaN;
}
