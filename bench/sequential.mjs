// Question: what does a translation cost when page follows page, over many leaf tables? ×1.00: C, naive.

import { translations } from './table.mjs';

export const sequential = {
  name: 'sequential',
  leafMib: 1,
  async *tables(machine, options) {
    yield await translations(machine, options, {
      title: 'sequential',
      count: options.batch,
      address: (_random, i) => i,
      best: ['memoBatch'],
      targets: { naive: 0.35, best: 1.1, pairs: 0.12 },
    });
  },
};
