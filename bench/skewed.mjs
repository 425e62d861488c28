// Question: what does a translation cost when few pages are asked for often and many seldom? ×1.00: C, naive.
//
// Zipf's law with exponent 0.99 (as YCSB draws its keys) over the pages of 64 MiB of leaf tables; the ranks are scattered over the
// pages by a multiplication, so that popular pages are not neighbours.

import { translations } from './table.mjs';

const EXPONENT = 0.99;

export const skewed = {
  name: 'skewed',
  leafMib: 64,
  async *tables(machine, options) {
    const pages = 64 * (2 ** 20 / 8);
    const rank = zipf(pages, EXPONENT);
    yield await translations(machine, options, {
      title: `skewed (Zipf ${EXPONENT}), 64 MiB of leaf tables`,
      count: options.far,
      // An odd factor permutes the powers of two.
      address: (draw) => Number((BigInt(rank(draw())) * 0x9e3779b1n) % BigInt(pages)),
      best: ['memoBatch', 'groupsBatch'],
      targets: {},
    });
  },
};

/** Ranks from 0 on by Zipf's law (Gray et al. 1994, "Quickly generating billion-record synthetic databases"). */
function zipf(n, exponent) {
  let zeta = 0;
  for (let i = 1; i <= n; i++) zeta += i ** -exponent;
  const alpha = 1 / (1 - exponent);
  const two = 1 + 0.5 ** exponent;
  const eta = (1 - (2 / n) ** (1 - exponent)) / (1 - two / zeta);
  return (u) => {
    if (u * zeta < 1) return 0;
    if (u * zeta < two) return 1;
    return Math.min(n - 1, Math.floor(n * (eta * u - eta + 1) ** alpha));
  };
}
