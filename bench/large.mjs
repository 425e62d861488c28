// Question: what does a translation cost through 2 MiB pages? ×1.00: C, naive.
//
// A window of its own far from the small pages: 64 GiB of large pages, asked for one small page after the other and at random addresses
// of 1 GiB, where the cache by region would do for small pages, and of all.

import { batchRows, checkRows } from './machine.mjs';
import { generator } from './rounds.mjs';
import { judge, table } from './table.mjs';

const AT = 0x6000_0000_0000n;
const BYTES = 64n << 30n;

export const large = {
  name: 'large',
  leafMib: 1,
  async *tables(machine, options) {
    const { core, space, layout } = machine;
    const prot = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_USER | layout.PROT_ACCESSED | layout.PROT_DIRTY;
    const status = core.map(space, AT, 0x40_0000_0000n, BYTES, prot, 1);
    if (status !== layout.STATUS_OK) throw new Error(`mapping large pages ended with status ${status}`);
    const random = generator(options.seed);
    const count = options.batch;
    for (const [title, address] of [
      ['2 MiB pages, sequential', (i) => BigInt(i) << 12n],
      ['2 MiB pages, random over 1 GiB', () => BigInt(Math.floor(random() * 2 ** 30))],
      ['2 MiB pages, random over 64 GiB', () => BigInt(Math.floor(random() * Number(BYTES)))],
    ]) {
      for (let i = 0; i < count; i++) machine.addresses[i] = AT + address(i);
      const rows = batchRows(machine, count, 0, { best: [], bigintCount: 0 });
      checkRows(machine, rows);
      yield await table(options, {
        title,
        rows,
        parameters: `${count} addresses a call, seed ${options.seed}`,
        judge: judge({}),
      });
    }
    core.unmap(space, AT, BYTES);
  },
};
