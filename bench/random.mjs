// Question: what does a translation cost when every leaf entry is a cache miss? ×1.00: C, naive.
//
// Addresses are drawn at random from as many pages as 1, 64 and 512 MiB of leaf tables map; a pass is long enough to bring in
// more lines than the last cache holds, so that one pass leaves nothing for the next.

import { translations } from './table.mjs';

export const random = {
  name: 'random',
  leafMib: 512,
  async *tables(machine, options) {
    for (const mib of [1, 64, 512]) {
      const pages = mib * (2 ** 20 / 8);
      yield await translations(machine, options, {
        title: `random, ${mib} MiB of leaf tables`,
        count: options.far,
        address: (draw) => Math.floor(draw() * pages),
        best: ['groupsBatch'],
        targets: mib === 1 ? {} : { naive: 0.6, best: 1.35, pairs: 0.28 },
      });
    }
  },
};
