// Question: what does it cost to take pages out of an mm, gathered for one flush? ×1.00: C, the same.
//
// The pages have a reference more than the mm's, as those of a file that stays in its cache, so none is freed: entry, batch, flush, reference.
// No other CPU runs the mm; what a flush costs then stands in the section `workers`.

import { load } from './machine.mjs';
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
async function prepare({ core, layout, memory }) {
  const words = new Uint32Array(memory.buffer);
  const entries = new BigUint64Array(memory.buffer);
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_WP | layout.CR_NXE, 0, 46);
  const mm = core.createMm(space, true) >>> 0;
  const tlb = core.createTlb(1, 64, 12, 9, layout.INCLUSION_NONE, 1) >>> 0;
  core.setTlbArray(tlb, 0, 16, 4, 1, 1, layout.SERVES_DATA, layout.POLICY_LRU);
  const cpu = core.createCpu(0, tlb, layout.MACHINE_RECHECK) >>> 0;
  const path = core.heapAllocate(layout.PATH_BYTES) >>> 0;
  const prot = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_USER | layout.PROT_ACCESSED;
  const frames = Array.from({ length: PAGES }, () => core.allocateFrame(layout.FRAME_DATA));
  for (const [page, pfn] of frames.entries()) {
    const status = core.map(space, AT + BigInt(page) * 4096n, BigInt(pfn) << 12n, 4096n, prot, 0);
    if (pfn < 0 || status !== layout.STATUS_OK)
      throw new Error(`no room for page ${page}: pfn ${pfn}, status ${status}`);
  }
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
    ...{ space, mm, cpu, path, slots, refs, words, entries, restore },
    zap: createZapper(memory.buffer, meta, base),
    dispose() {
      restore();
      core.unmap(space, AT, BigInt(PAGES) * 4096n);
      for (const pfn of frames) for (let n = 0; n < 2; n++) core.putFrame(pfn);
      core.heapFree(path);
      core.freeCpu(cpu);
      core.disposeTlb(tlb);
      core.freeMm(mm);
      core.closeSpace(space);
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
