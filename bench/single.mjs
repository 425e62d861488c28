// Question: what does one translation a call cost from JavaScript, and one software TLB look-up in front of it?
// ×1.00: the walker over Uint32Array pairs, called once for each.
//
// Neighbouring pages in turn, 512 of them; each result is added up so that no call can be left out.

import { BASE, load } from './machine.mjs';
import { table, verdict } from './table.mjs';

const PAGES = 512;
const CALLS = 16384;
const AGAINST_PAIRS = 1.1;
const LOOK_UP_NS = 3;
const TLB_ENTRIES = 4096;

export const single = {
  name: 'single',
  leafMib: 1,
  async *tables(machine, options) {
    const { core, memory, space, pairs } = machine;
    const first = Number(BASE / 4096n);
    const low = Number(BASE & 0xffffffffn);
    const high = Number(BASE >> 32n);
    const { SoftTlb } = await load('../src/machine/softtlb.ts');
    const adaptor = {
      memory: { view: new DataView(memory.buffer) },
      handle: space,
      get generation() {
        return new Uint32Array(memory.buffer)[(space + machine.layout.SPACE_GENERATION) >>> 2];
      },
      translatePage: (vpn) => core.translate(space, vpn, 0),
    };
    const tlb = new SoftTlb(adaptor, TLB_ENTRIES);
    const bare = bareLookUp(core, space, TLB_ENTRIES);
    // A loop of its own for each row: a shared one would call what it is given through a pointer.
    const rows = [
      {
        name: 'TypeScript, Uint32Array pairs',
        count: CALLS,
        run: () => {
          let sum = 0;
          for (let n = 0; n < CALLS; n++) sum += pairs.translate((low + (n & (PAGES - 1)) * 4096) | 0, high, 0);
          return sum;
        },
      },
      {
        name: 'core.translate',
        count: CALLS,
        run: () => {
          let sum = 0;
          for (let n = 0; n < CALLS; n++) sum += core.translate(space, first + (n & (PAGES - 1)), 0);
          return sum;
        },
      },
      {
        name: 'software TLB',
        count: CALLS,
        run: () => {
          let sum = 0;
          for (let n = 0; n < CALLS; n++) sum += tlb.translatePage(first + (n & (PAGES - 1)));
          return sum;
        },
      },
      {
        name: 'software TLB, no generation, closure',
        count: CALLS,
        run: () => {
          let sum = 0;
          for (let n = 0; n < CALLS; n++) sum += bare(first + (n & (PAGES - 1)));
          return sum;
        },
      },
      {
        name: 'the loop alone',
        count: CALLS,
        run: () => {
          let sum = 0;
          for (let n = 0; n < CALLS; n++) sum += first + (n & (PAGES - 1));
          return sum;
        },
      },
    ];
    const wanted = rows[0].run();
    for (const row of rows.slice(1, 4)) {
      if (row.run() !== wanted) throw new Error(`"${row.name}" disagrees with "${rows[0].name}"`);
    }
    yield await table(options, {
      title: 'one call a translation',
      rows,
      parameters: `${CALLS} calls over ${PAGES} pages, TLB of ${TLB_ENTRIES} entries`,
      judge: (measured) => [
        verdict(measured[1], measured[0], AGAINST_PAIRS),
        {
          // The loop that makes the calls is in every row; its own row says what it takes.
          text: 'software TLB, less the loop alone',
          unit: 'ns ',
          ratio: measured[2].nanoseconds - measured.at(-1).nanoseconds,
          atMost: LOOK_UP_NS,
          ok: measured[2].nanoseconds - measured.at(-1).nanoseconds <= LOOK_UP_NS,
        },
      ],
    });
  },
};

/** The least that a look-up can be: two arrays, one compare. */
function bareLookUp(core, space, entries) {
  const tags = new Float64Array(entries).fill(-1);
  const results = new Float64Array(entries);
  return (vpn) => {
    const n = vpn & (entries - 1);
    if (tags[n] === vpn) return results[n];
    tags[n] = vpn;
    results[n] = core.translate(space, vpn, 0);
    return results[n];
  };
}
