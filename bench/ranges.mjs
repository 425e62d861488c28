// Question: what does an operation over a million PTEs cost, for each share of entries that it has to change?
// ×1.00: the best C with the same atomics.
//
// Clean and record: dirty bits cleared, pages noted in a bitmap, count and exact range told. Which entries are dirty is set anew before
// each call, outside the timed part. Every row is checked first: the same tables, the same bitmap, the same count.
//
// The best C has `lock and` and vectors of 512 bits where the processor has; two rows more have the atomics that V8 makes, and 128 bits too.
// "Each hit an atomic" is judged by the same atomics. At the end eight times as many tables, which fewer caches hold.

import { readFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';
import { BASE, load } from './machine.mjs';
import { generator } from './rounds.mjs';
import { table, verdict } from './table.mjs';

const PAGES = 2 ** 20;
const MANY_PAGES = 2 ** 23;
const BOUND = 1.05;
const SPARSE = 1.2;
const DENSE = 1.05;
const HAND_WRITTEN = 0.4;
const SETTLED = 1.3;
const D = 0x40;

export const ranges = {
  name: 'ranges',
  leafMib: 64,
  async *tables(machine, options) {
    const scene = await prepare(machine, PAGES);
    for (const percent of [0, 1, 10, 50, 100]) {
      const dirty = choose(percent, options.seed, PAGES);
      const rows = rowsOf(scene, () => scene.dirty(dirty));
      check(scene, rows, dirty);
      const bound = percent === 0 ? boundRows(scene, () => scene.dirty(dirty)) : [];
      yield await table(options, {
        title: `clean and record, ${percent} % dirty`,
        rows: [...rows, ...bound],
        parameters: `${PAGES} PTEs, seed ${options.seed}`,
        judge: (measured) => judge(percent, measured),
      });
    }
    const all = choose(100, options.seed, PAGES);
    const settled = settledRows(scene, () => scene.dirty(all));
    check(scene, settled, all);
    yield await table(options, {
      title: 'clean and record, 100 % dirty and settled, by plain stores',
      rows: settled,
      parameters: `${PAGES} PTEs`,
      judge: ([c, core]) => (core === undefined ? [] : [verdict(core, c, SETTLED)]),
    });
    scene.dirty(all);
    scene.dispose();
    const many = await prepare(machine, MANY_PAGES);
    for (const percent of [0, 1, 10]) {
      const dirty = choose(percent, options.seed, MANY_PAGES);
      const rows = rowsOf(many, () => many.dirty(dirty)).filter(({ name }) => !name.includes('callback'));
      check(many, rows, dirty);
      yield await table(options, {
        title: `clean and record, ${percent} % dirty, 64 MiB of leaf tables`,
        rows: [...rows, ...(percent === 0 ? boundRows(many, () => many.dirty(dirty)) : [])],
        parameters: `${MANY_PAGES} PTEs, seed ${options.seed}`,
        judge: (measured) => judge(percent, measured),
      });
    }
    many.dirty(choose(100, options.seed, MANY_PAGES));
    many.dispose();
  },
};

function judge(percent, measured) {
  const of = (start) => measured.find((row) => row.name.startsWith(start));
  const [core, best, hand, bound] = ['core', 'C, best', 'TypeScript', 'bound: WebAssembly'].map(of);
  const same = ['C, by compare-exchange', 'C, in 128-bit']
    .map(of)
    .filter((row) => row !== undefined)
    .toSorted((a, b) => a.nanoseconds - b.nanoseconds)[0];
  const against = (other, atMost) => (other === undefined ? [] : [verdict(core, other, atMost)]);
  if (percent === 0) return against(bound, BOUND);
  if (percent <= 10) return against(best, SPARSE);
  if (percent < 100) return [];
  return [...against(same, DENSE), ...against(hand, HAND_WRITTEN)];
}

/** Everything that the rows work on: a block for the scan, a bitmap, and where the leaf tables are. */
async function prepare(machine, pages) {
  const { core, memory, space, layout } = machine;
  const scan = core.heapAllocate(layout.SCAN_BYTES) >>> 0;
  const bitmap = core.heapAllocate(pages / 8) >>> 0;
  if (scan === 0 || bitmap === 0) throw new Error('the heap is too small for the bitmap');
  const words = new Uint32Array(memory.buffer);
  const addresses = Array.from({ length: pages / 512 }, (_, n) => slotAt(machine, n * 512));
  const view = new DataView(memory.buffer);
  view.setBigUint64(scan + layout.SCAN_VA, BASE, true);
  view.setBigUint64(scan + layout.SCAN_LAST, BASE + BigInt(pages) * 4096n - 1n, true);
  view.setBigUint64(scan + layout.SCAN_ORIGIN, BASE >> 12n, true);
  view.setUint32(scan + layout.SCAN_BITMAP, bitmap, true);
  view.setUint32(scan + layout.SCAN_TRACKER, 0, true);
  const { createCleaner } = await load('./baselines/clean.ts');
  return {
    ...machine,
    pages,
    scan,
    bitmap,
    words,
    view,
    tables: Uint32Array.from(addresses, (address) => address >>> 2),
    first: addresses.reduce((a, b) => Math.min(a, b)),
    clean: createCleaner(memory.buffer),
    sum: await compileSum(memory),
    /** Sets D of each entry as `pattern` says. */
    dirty(pattern) {
      for (let t = 0; t < this.tables.length; t++) {
        const at = this.tables[t];
        for (let n = 0; n < 512; n++) words[at + 2 * n] = (words[at + 2 * n] & ~D) | (pattern[t * 512 + n] * D);
      }
    },
    call() {
      machine.call[0] = space;
      machine.call[1] = this.first;
      machine.call[2] = bitmap;
      machine.call[5] = pages;
      machine.callVa[0] = BASE;
    },
    dispose() {
      core.heapFree(bitmap);
      core.heapFree(scan);
    },
  };
}

const slotAt = ({ core, space }, page) => core.entryAddress(space, BASE + BigInt(page) * 4096n, 0) >>> 0;

/** The bound in AssemblyScript, with the options of the core. */
async function compileSum(memory) {
  const source = readFileSync(new URL('baselines/sum.assemblyscript', import.meta.url), 'utf8');
  let binary;
  const options =
    '--runtime stub --importMemory --sharedMemory --initialMemory 1 --maximumMemory 65536 --noExportMemory';
  const { error, stderr } = await asc.main(
    ['sum.ts', '--outFile', 'sum.wasm', '-O3', '--noAssert', '--enable', 'threads,simd', ...options.split(' ')],
    {
      readFile: (name) => (name === 'sum.ts' ? source : null),
      writeFile: (_, contents) => {
        binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(stderr.toString());
  return new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { memory } }).exports.sum;
}

function choose(percent, seed, pages) {
  const random = generator(seed + percent);
  return Uint8Array.from({ length: pages }, () => (random() * 100 < percent ? 1 : 0));
}

function rowsOf(scene, before) {
  const { native, core, space, scan, bitmap, view, layout, pages: count } = scene;
  const c = (name) => () => {
    scene.call();
    return native[name]();
  };
  const rows = [];
  if (native) {
    rows.push({ name: 'C, best', best: true, count, before, run: c('cleanBest') });
    rows.push({ name: 'C, by compare-exchange', count, before, run: c('cleanExchange') });
    rows.push({ name: 'C, in 128-bit vectors, by compare-exchange', count, before, run: c('cleanNarrow') });
    rows.push({ name: 'C, a callback for each', count, before, run: c('cleanNaive') });
  }
  rows.push({ name: 'core', count, before, run: coreRun({ core, space, scan, view, layout }, 0) });
  const clean = () => scene.clean(scene.tables, bitmap >>> 2);
  rows.push({ name: 'TypeScript, Atomics on Uint32Array', count, before, run: clean });
  return rows;
}

function settledRows(scene, before) {
  const { native } = scene;
  const c = () => {
    scene.call();
    return native.cleanSettled();
  };
  const rows = native ? [{ name: 'C, vector stores', best: true, count: PAGES, before, run: c }] : [];
  return [...rows, { name: 'core', count: PAGES, before, run: coreRun(scene, scene.layout.SCAN_SETTLED) }];
}

/** With the same set before them, which leaves caches as it does for the others. */
function boundRows(scene, before) {
  const { native, sum, first, pages: count } = scene;
  const rows = [{ name: 'bound: WebAssembly reads the tables', count, before, run: () => sum(first, count * 8) }];
  const c = () => {
    scene.call();
    return native.sumTables();
  };
  return native ? [...rows, { name: 'bound: C reads the tables', count, before, run: c }] : rows;
}

function coreRun({ core, space, scan, view, layout }, flags) {
  return () => {
    view.setUint32(scan + layout.SCAN_FLAGS, flags, true);
    core.cleanRange(space, scan);
    return view.getUint32(scan + layout.SCAN_TOUCHED, true);
  };
}

/** Runs each row once. @throws Error if a count, a bit or an entry is wrong */
function check(scene, rows, dirty) {
  const { words, bitmap, tables, pages } = scene;
  const expected = dirty.reduce((sum, bit) => sum + bit, 0);
  for (const { name, run, before } of rows) {
    words.fill(0, bitmap >>> 2, (bitmap >>> 2) + pages / 32);
    before();
    const touched = run();
    if (touched !== expected) throw new Error(`"${name}" touched ${touched} entries instead of ${expected}`);
    for (let page = 0; page < pages; page++) {
      const bit = (words[(bitmap >>> 2) + (page >>> 5)] >>> (page & 31)) & 1;
      if (bit !== dirty[page]) throw new Error(`"${name}" set bit ${page} to ${bit}`);
      if (words[tables[page >>> 9] + 2 * (page & 511)] & D) throw new Error(`"${name}" left page ${page} dirty`);
    }
  }
}
