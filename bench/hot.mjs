// Question: what does a translation cost when its leaf entry is in the first cache? ×1.00: C, naive.
//
// Addresses are drawn at random from 64, 512 (one leaf table) and 8,192 (sixteen leaf tables) neighbouring pages.
// 8,192 pages are one table more than the last-leaf-table walker remembers, so both C walkers run there and the faster one counts.

import { translations } from './table.mjs';

const TARGETS = { naive: 0.3, best: 1.1, pairs: 0.12 };
const WIDE_TARGETS = { naive: 0.45, best: 0.6, pairs: 0.15 };

export const hot = {
  name: 'hot',
  leafMib: 1,
  async *tables(machine, options) {
    for (const [pages, targets] of [
      [64, TARGETS],
      [512, TARGETS],
      [8192, WIDE_TARGETS],
    ]) {
      yield await translations(machine, options, {
        title: `hot, ${pages.toLocaleString('en')} pages`,
        count: options.batch,
        address: (random) => Math.floor(random() * pages),
        best: pages > 512 ? ['memoBatch', 'groupsBatch'] : ['memoBatch'],
        targets,
      });
    }
  },
};
