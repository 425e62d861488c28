// Question: what does a page cost in one contiguous range, asked for in one call? ×1.00: C, naive.

import { BASE, checkRows } from './machine.mjs';
import { judge, table } from './table.mjs';

export const range = {
  name: 'range',
  leafMib: 8,
  async *tables(machine, options) {
    for (const [pages, targets] of [
      [8192, {}],
      [1_000_000, { naive: 0.25, best: 1.0, pairs: 0.08 }],
    ]) {
      const rows = rangeRows(machine, pages);
      checkRows(machine, rows);
      yield await table(options, {
        title: `one contiguous range, ${pages.toLocaleString('en')} pages`,
        rows,
        parameters: `${pages} pages`,
        judge: judge(targets),
      });
    }
  },
};

function rangeRows({ core, space, output, call, callVa, native, pairs }, count) {
  const c = (name) => () => {
    call[0] = space;
    call[2] = output;
    call[4] = 0;
    call[5] = count;
    callVa[0] = BASE;
    return native[name]();
  };
  const rows = [];
  if (native) {
    rows.push({ name: 'C, naive', count, run: c('naiveRange') });
    rows.push({ name: 'C, vectorised rows', best: true, count, run: c('rowRange') });
    rows.push({ name: 'C, the same in 128-bit vectors', count, run: c('narrowRange') });
  }
  const vpn = Number(BASE / 4096n);
  rows.push({ name: 'core', count, run: () => core.translateRange(space, vpn, count, output, 0) });
  const low = Number(BASE & 0xffffffffn);
  const high = Number(BASE >> 32n);
  rows.push({
    name: 'TypeScript, Uint32Array pairs',
    count,
    run: () => pairs.translateRange(low, high, count, output >>> 2, 0),
  });
  return rows;
}
