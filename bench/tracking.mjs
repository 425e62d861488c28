// Question: what does it cost to remember which pages a flush is owed for? ×1.00: the same in C.
//
// Pages one by one into a span and into an exact list of at most 16 ranges, pages in a row and at random.

import { generator } from './rounds.mjs';
import { table, verdict } from './table.mjs';

const COUNT = 4096;
const LIMIT = 16;
const SPAN = 1.1;
const EXACT = 1.3;

export const tracking = {
  name: 'tracking',
  leafMib: 1,
  async *tables(machine, options) {
    const { core, layout, memory, native } = machine;
    const tracker = core.heapAllocate(layout.TRACK_RANGES + 16 * (LIMIT + 1)) >>> 0;
    const list = core.heapAllocate(8 * COUNT) >>> 0;
    if (tracker === 0 || list === 0) throw new Error('the heap is too small for a tracker');
    const random = generator(options.seed);
    const pages = new Float64Array(memory.buffer, list, COUNT);
    const orders = {
      'pages in a row': (n) => 0x7f0000000 + n,
      'pages at random': () => 0x7f0000000 + Math.floor(random() * 2 ** 20),
    };
    for (const [what, page] of Object.entries(orders)) {
      for (let n = 0; n < COUNT; n++) pages[n] = page(n);
      for (const [name, policy, walker, atMost] of [
        ['span', layout.TRACK_SPAN, 'trackSpan', SPAN],
        ['exact list of 16', layout.TRACK_EXACT, 'trackExact', EXACT],
      ]) {
        const c = () => {
          machine.call[1] = list;
          machine.call[3] = COUNT;
          return native[walker]();
        };
        core.initializeTracker(tracker, policy, LIMIT, 0);
        const run = () => {
          core.resetTracker(tracker);
          core.trackPages(tracker, list, COUNT, 12);
        };
        const rows = [
          ...(native ? [{ name: 'C', best: true, count: COUNT, run: c }] : []),
          { name: 'core', count: COUNT, run },
        ];
        if (native) check(machine, tracker, run, c);
        yield await table(options, {
          title: `flush tracking, ${name}, ${what}`,
          rows,
          parameters: `${COUNT} adds, seed ${options.seed}`,
          judge: ([first, core]) => (core === undefined ? [] : [verdict(core, first, atMost)]),
        });
      }
    }
    core.heapFree(list);
    core.heapFree(tracker);
  },
};

/** @throws Error if C and the core end with other ranges */
function check({ layout, memory }, tracker, run, c) {
  run();
  const words = new Uint32Array(memory.buffer, tracker);
  const first = new BigUint64Array(memory.buffer, tracker + layout.TRACK_RANGES, 1)[0];
  const mine = (words[layout.TRACK_COUNT / 4] + Number((first >> 12n) & 0xffffffffn)) >>> 0;
  if (mine !== c()) throw new Error('C and the core disagree on the ranges');
}
