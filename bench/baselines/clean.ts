// Clean and record as one writes it by hand in TypeScript: an entry is two words of a Uint32Array, read plainly and changed by Atomics.
//
// It is handed the addresses of the leaf tables, so it does not even look them up.

const PRESENT = 0x101;
const D = 0x40;
const SAVED_DIRTY = 1 << 26; // in the high word

export function createCleaner(buffer: ArrayBufferLike) {
  const words = new Uint32Array(buffer);

  /** `tables` are indices of words, `bitmap` is one of 32-bit words. Returns how many entries were touched. */
  return function clean(tables: Uint32Array, bitmap: number): number {
    let touched = 0;
    for (let t = 0; t < tables.length; t++) {
      const table = tables[t] as number;
      for (let n = 0; n < 512; n++) {
        const at = table + 2 * n;
        const low = words[at] as number;
        if ((low & PRESENT) === 0) continue;
        const high = words[at + 1] as number;
        if (((low & D) | (high & SAVED_DIRTY)) === 0) continue;
        Atomics.and(words, at, ~D);
        if ((high & SAVED_DIRTY) !== 0) Atomics.and(words, at + 1, ~SAVED_DIRTY);
        const page = t * 512 + n;
        words[bitmap + (page >>> 5)] = (words[bitmap + (page >>> 5)] as number) | (1 << (page & 31));
        touched++;
      }
    }
    return touched;
  };
}
