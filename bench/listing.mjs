// Question: how fast are all mappings listed? ×1.00: the core, folding runs.
//
// All leaves that are mapped from BASE on, one run of neighbours; and the same with every eighth page unmapped, so that a run has seven.

import { BASE } from './machine.mjs';
import { table } from './table.mjs';

const PER_SECOND = 200e6;
const RECORDS = 65536;

export const listing = {
  name: 'listing',
  leafMib: 64,
  async *tables(machine, options) {
    const pages = Math.min(machine.pages, 64 * 2 ** 17);
    const rows = [
      { name: 'core, folded', count: pages, run: lister(machine, BASE, pages, true) },
      { name: 'core, leaf by leaf', count: pages, run: lister(machine, BASE, pages, false) },
    ];
    const counts = rows.map((row) => row.run());
    if (counts[0] !== 1 || counts[1] !== pages) throw new Error(`listed ${counts.join(' and ')} records`);
    yield await table(options, {
      title: 'enumeration, one run',
      rows,
      parameters: `${pages} leaves`,
      judge: ([folded]) => [perSecond(folded)],
    });
    const { core, space, layout } = machine;
    const at = 0x5000_0000_0000n;
    const broken = 2 ** 20;
    const prot = layout.PROT_READ | layout.PROT_USER;
    core.map(space, at, 0n, BigInt(broken) * 4096n, prot, 0);
    for (let page = 0; page < broken; page += 8) core.unmap(space, at + BigInt(page) * 4096n, 4096n);
    const short = [
      { name: 'core, folded', count: (broken / 8) * 7, run: lister(machine, at, broken, true) },
      { name: 'core, leaf by leaf', count: (broken / 8) * 7, run: lister(machine, at, broken, false) },
    ];
    const listed = short.map((row) => row.run());
    if (listed[0] !== broken / 8 || listed[1] !== (broken / 8) * 7)
      throw new Error(`listed ${listed.join(' and ')} records`);
    yield await table(options, {
      title: 'enumeration, runs of seven',
      rows: short,
      parameters: `${(broken / 8) * 7} leaves`,
      judge: () => [],
    });
    core.unmap(space, at, BigInt(broken) * 4096n);
  },
};

function perSecond(row) {
  const millions = 1e3 / row.nanoseconds;
  return {
    text: `${millions.toFixed(0)} million leaves a second, of 200`,
    ratio: PER_SECOND / 1e6 / millions,
    atMost: 1,
    ok: millions * 1e6 >= PER_SECOND,
  };
}

/** Lists `pages` pages from `from` on, call by call; returns the number of records. */
function lister({ core, memory, space, output, layout }, from, pages, fold) {
  const view = new DataView(memory.buffer);
  const cursor = core.heapAllocate(layout.CURSOR_BYTES) >>> 0;
  return () => {
    view.setBigUint64(cursor + layout.CURSOR_NEXT, from, true);
    view.setBigUint64(cursor + layout.CURSOR_LAST, from + BigInt(pages) * 4096n - 1n, true);
    view.setBigUint64(cursor + layout.CURSOR_PA, 0n, true);
    view.setBigUint64(cursor + layout.CURSOR_PA_LAST, 2n ** 64n - 1n, true);
    view.setUint32(cursor + layout.CURSOR_FOLD, fold ? 1 : 0, true);
    view.setUint32(cursor + layout.CURSOR_LOOPS, 0, true);
    let records = 0;
    let used = 0;
    do {
      // Without folding a batch is taken whole; with it, the last record may go on in the next call.
      if (used > 0 && fold) copyRecord(memory, output, used - 1, layout.RUN_BYTES);
      view.setUint32(cursor + layout.CURSOR_USED, used > 0 && fold ? 1 : 0, true);
      core.list(space, cursor, output, RECORDS);
      records += view.getUint32(cursor + layout.CURSOR_USED, true) - (used > 0 && fold ? 1 : 0);
      used = view.getUint32(cursor + layout.CURSOR_USED, true);
    } while (view.getUint32(cursor + layout.CURSOR_STATE, true) === layout.LIST_MORE);
    return records;
  };
}

function copyRecord(memory, output, from, bytes) {
  new Uint8Array(memory.buffer).copyWithin(output, output + from * bytes, output + (from + 1) * bytes);
}
