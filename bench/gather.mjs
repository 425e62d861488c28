// Question: what does it cost to take pages out of an mm, gathered for one flush? ×1.00: C, the same.
//
// The pages have a reference more than the mm's, as those of a file that stays in its cache, so none is freed: entry, batch, flush, reference.
// No other CPU runs the mm; what a flush costs then stands in the section `workers`.

import { load } from './machine.mjs';
import { makeMm } from './mm.mjs';
import { table } from './table.mjs';

const AT = 0x6000_0000_0000n;
const PAGES = 2048;

export const gather = {
  name: 'gather',
  leafMib: 1,
  async *tables(machine, options) {
    const scene = await prepare(machine);
    const rows = rowsOf(machine, scene);
    check(scene, rows);
    yield await table(options, {
      title: 'zap, gathered for one flush',
      rows,
      parameters: `${PAGES} pages, of which none is freed`,
      judge: () => [],
    });
    scene.dispose();
  },
};

/** An mm of small pages, and how to bring back entries and references. */
async function prepare(machine) {
  const { core, layout, memory } = machine;
  const words = new Uint32Array(memory.buffer);
  const entries = new BigUint64Array(memory.buffer);
  const scene = makeMm(machine, AT, PAGES, 1);
  const { space, mm, frames } = scene;
  const path = core.heapAllocate(layout.PATH_BYTES) >>> 0;
  const slots = Uint32Array.from(frames, (_, n) => (core.entryAddress(space, AT + BigInt(n) * 4096n, 0) >>> 0) >>> 3);
  const saved = BigUint64Array.from(slots, (slot) => entries[slot]);
  const meta = words[layout.CONTROL_META >>> 2];
  const base = Number(entries[layout.CONTROL_BASE_PFN >>> 3]);
  const refs = Uint32Array.from(frames, (pfn) => (meta + (pfn - base) * layout.META_BYTES + layout.META_REFS) >>> 2);
  const { createZapper } = await load('./baselines/zap.ts');
  const restore = () => {
    for (let n = 0; n < PAGES; n++) {
      entries[slots[n]] = saved[n];
      words[refs[n]] = 2;
    }
  };
  return {
    ...{ space, mm, cpu: scene.cpus[0], path, slots, refs, words, entries, restore },
    zap: createZapper(memory.buffer, meta, base),
    dispose() {
      restore();
      for (const pfn of frames) core.putFrame(pfn);
      core.heapFree(path);
      scene.dispose();
    },
  };
}

function rowsOf({ core, layout, native, call, callVa, memory }, { space, mm, cpu, path, slots, zap, restore }) {
  const view = new DataView(memory.buffer);
  const rows = [];
  if (native) {
    const run = () => {
      call[0] = space;
      call[5] = PAGES;
      callVa[0] = AT;
      return native.zapGathered();
    };
    rows.push({ name: 'C', count: PAGES, before: restore, run });
  }
  const tlb = path + layout.PATH_GATHER;
  const last = AT + BigInt(PAGES) * 4096n - 1n;
  const run = () => {
    core.gatherMmu(tlb, mm, cpu, false, 0);
    core.zapRange(path, mm, AT, last);
    core.finishGather(tlb);
    return view.getUint32(tlb + layout.GATHER_FREED, true);
  };
  rows.push({ name: 'core', count: PAGES, before: restore, run });
  const name = 'TypeScript, Atomics on BigUint64Array';
  return [...rows, { name, count: PAGES, before: restore, run: () => zap(slots) }];
}

/** @throws Error if a row leaves an entry, or does not give up one reference for each page */
function check({ slots, refs, entries, words }, rows) {
  for (const { name, before, run } of rows) {
    before();
    const given = run();
    if (given !== PAGES) throw new Error(`"${name}" gave up ${given} references of ${PAGES}`);
    for (let n = 0; n < PAGES; n++) {
      if (entries[slots[n]] !== 0n || words[refs[n]] !== 1) throw new Error(`"${name}" left page ${n}`);
    }
  }
}
