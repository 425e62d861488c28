// Question: what does a load through a simulated TLB cost: look-up, rights, the data word? ×1.00: the same algorithm in C.
//
// Addresses are drawn at random from as many pages as the title says. The C rows work on the core's own TLB block, so they need it warm: the
// core loads everything once first. Further down the TLB is too small, by level: each row is its own TLB over the same pages.

import { generator } from './rounds.mjs';
import { table, verdict } from './table.mjs';

const AT = 0x5000_0000_0000n;
const PAGES = 2048;
const HIT_NS = 2;
const AGAINST_C = 1.5;
const ASID = 5;
const MODELS = {
  'L1 64 entries 4-way': { arrays: [[1, 16, 4]] },
  'L1 64 entries fully associative': { arrays: [[1, 1, 64]] },
  'L1 64 entries 4-way, L2 1536 entries 12-way': {
    arrays: [
      [1, 16, 4],
      [2, 128, 12],
    ],
  },
};

export const tlb = {
  name: 'tlb',
  leafMib: 1,
  async *tables(machine, options) {
    const space = mapFrames(machine);
    const count = options.batch;
    const random = generator(options.seed);
    const addresses = (pages) => {
      for (let i = 0; i < count; i++) {
        machine.addresses[i] =
          AT + BigInt(Math.floor(random() * pages)) * 4096n + BigInt(Math.floor(random() * 512) * 8);
      }
    };
    for (const title of ['L1 64 entries 4-way', 'L1 64 entries fully associative']) {
      addresses(64);
      const block = makeTlb(machine, MODELS[title]);
      const rows = [
        ...native(machine, block, count),
        { name: 'core', count, run: () => load(machine, space, block, count) },
      ];
      check(machine, rows.toReversed(), count);
      yield await table(options, {
        title: `TLB hits, 64 pages, ${title}`,
        rows,
        parameters: `${count} loads a call, seed ${options.seed}`,
        judge: (measured) => {
          const core = measured.find((row) => row.name === 'core');
          const same = measured.find((row) => row.name === 'C, same algorithm');
          const nanoseconds = core.nanoseconds;
          return [
            { text: 'core, ns', ratio: nanoseconds, atMost: HIT_NS, ok: nanoseconds <= HIT_NS },
            ...(same === undefined ? [] : [verdict(core, same, AGAINST_C)]),
          ];
        },
      });
      machine.core.disposeTlb(block);
    }
    const title = 'L1 64 entries 4-way, L2 1536 entries 12-way';
    for (const pages of [128, 512, PAGES]) {
      addresses(pages);
      const alone = makeTlb(machine, MODELS['L1 64 entries 4-way']);
      const both = makeTlb(machine, MODELS[title]);
      const rows = [
        { name: 'both levels', count, run: () => load(machine, space, both, count) },
        { name: 'L1 alone: a miss walks', count, run: () => load(machine, space, alone, count) },
      ];
      check(machine, rows, count);
      yield await table(options, {
        title: `TLB too small, ${pages} pages, ${title}`,
        rows,
        parameters: `${count} loads a call, seed ${options.seed}`,
        judge: () => [],
        notes: [`misses: both levels ${missRate(machine, both)}, L1 alone ${missRate(machine, alone)}`],
      });
      for (const block of [alone, both]) machine.core.disposeTlb(block);
    }
    machine.core.unmap(space, AT, BigInt(PAGES) * 4096n);
    machine.core.closeSpace(space);
  },
};

/** A space over frames in the window, each word of which says where it is. */
function mapFrames({ core, layout, memory }) {
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_WP | layout.CR_NXE | layout.CR_GBPAGES, 0, 46);
  const words = new BigUint64Array(memory.buffer);
  const prot = layout.PROT_READ | layout.PROT_USER | layout.PROT_ACCESSED;
  for (let page = 0; page < PAGES; page++) {
    const pfn = core.allocateFrame(layout.FRAME_DATA);
    if (pfn < 0) throw new Error(`no frame is left for page ${page}`);
    const at = (core.frameAddress(pfn) >>> 0) >>> 3;
    for (let n = 0; n < 512; n++) words[at + n] = BigInt(page * 512 + n);
    const status = core.map(space, AT + BigInt(page) * 4096n, BigInt(pfn) << 12n, 4096n, prot, 0);
    if (status !== layout.STATUS_OK) throw new Error(`mapping page ${page} ended with status ${status}`);
  }
  return space;
}

function makeTlb({ core, layout }, { arrays }) {
  const entries = arrays.reduce((sum, [, sets, ways]) => sum + sets * ways, 0);
  const block = core.createTlb(arrays.length, entries, 12, 9, layout.INCLUSION_NONE, 1) >>> 0;
  if (block === 0) throw new Error('no room for a TLB');
  const both = layout.SERVES_DATA | layout.SERVES_FETCH;
  for (const [n, [level, sets, ways]] of arrays.entries()) {
    core.setTlbArray(block, n, sets, ways, 0b111, level, both, layout.POLICY_LRU);
  }
  return block;
}

function load({ core, layout, input, output }, space, block, count) {
  return (
    core.loadThroughTlb(block, space, ASID, input, output, count, layout.ACCESS_READ | layout.ACCESS_USER, false) >>> 0
  );
}

function native({ native, call, callVa, input, output }, block, count) {
  if (!native) return [];
  const row = (name, walker) => ({
    name,
    count,
    run: () => {
      call[1] = input;
      call[2] = output;
      call[3] = count;
      call[5] = block;
      callVa[0] = BigInt(ASID);
      return walker();
    },
  });
  return [row('C, same algorithm', native.tlbHits), row('C, all ways compared', native.tlbWays)];
}

/** Each row loads the word that stands at its address. */
function check(machine, rows, count) {
  for (const row of rows) {
    machine.results.fill(0xdeadn, 0, count);
    const done = row.run();
    if (done !== count) throw new Error(`"${row.name}" ended after ${done} of ${count} loads`);
    for (let i = 0; i < count; i++) {
      const offset = machine.addresses[i] - AT;
      const want = (offset >> 12n) * 512n + ((offset & 0xfffn) >> 3n);
      if (machine.results[i] === want) continue;
      throw new Error(`"${row.name}" loaded ${machine.results[i]} instead of ${want} at load ${i}`);
    }
  }
}

function missRate({ layout, memory }, block) {
  const view = new DataView(memory.buffer);
  const at = (offset) => Number(view.getBigUint64(block + offset, true));
  return `${((100 * at(layout.TLB_MISSES)) / at(layout.TLB_ACCESSES)).toFixed(1)} %`;
}
