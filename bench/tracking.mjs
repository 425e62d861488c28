// Question: what does it cost to remember which pages a flush is owed for? ×1.00: C, page by page.
//
// Pages into a span and into an exact list of at most 16 ranges, pages in a row and at random. C does it page by page, as Linux does, and as
// the core does it, which is handed a list of them: the span of all at once, and the place in the list found by halves.

import { generator } from './rounds.mjs';
import { judge, table } from './table.mjs';

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
      for (const [name, policy, walkers, atMost] of [
        ['span', layout.TRACK_SPAN, ['trackSpan', 'trackDoubles'], SPAN],
        ['exact list of 16', layout.TRACK_EXACT, ['trackExact', 'trackHalves'], EXACT],
      ]) {
        const c = walkers.map((walker) => () => {
          machine.call[1] = list;
          machine.call[3] = COUNT;
          return native[walker]();
        });
        core.initializeTracker(tracker, policy, LIMIT, 0);
        const run = () => {
          core.resetTracker(tracker);
          core.trackPages(tracker, list, COUNT, 12);
        };
        const rows = [
          ...(native ? [{ name: 'C', best: true, count: COUNT, run: c[0] }] : []),
          ...(native ? [{ name: 'C, as the core', best: true, count: COUNT, run: c[1] }] : []),
          { name: 'core', count: COUNT, run },
        ];
        if (native) for (const one of c) check(machine, tracker, run, one);
        yield await table(options, {
          title: `flush tracking, ${name}, ${what}`,
          rows,
          parameters: `${COUNT} adds, seed ${options.seed}`,
          judge: judge({ best: atMost }),
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
