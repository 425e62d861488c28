// Zap by hand in TypeScript: entries out of leaf tables by exchange, then a reference less for each of their frames.

import { META_BYTES, META_REFS } from '../../assembly/layout.ts';

const PRESENT = 1n;
const FRAME = 0x000ffffffffff000n;

/** Zaps the entries at `slots`, addresses / 8; `meta` is where the metadata of frame 0 stands, whose number is `base`. Returns how many. */
export function createZapper(buffer: ArrayBufferLike, meta: number, base: number) {
  const entries = new BigUint64Array(buffer);
  const words = new Int32Array(buffer);
  return (slots: Uint32Array): number => {
    const gathered: number[] = [];
    for (const slot of slots) {
      if (entries[slot] === 0n) continue;
      const gone = Atomics.exchange(entries, slot, 0n);
      if ((gone & PRESENT) !== 0n) gathered.push(Number((gone & FRAME) >> 12n) - base);
    }
    for (const frame of gathered) Atomics.sub(words, (meta + frame * META_BYTES + META_REFS) >>> 2, 1);
    return gathered.length;
  };
}
