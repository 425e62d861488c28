// What all benches work on: one memory, one space, one instance of the core, and the baselines over the same pages.
//
// The space maps, from BASE on, 512 MiB of leaf tables (or less, as the sections chosen need), that is 4 KiB pages with all
// rights and A and D set, onto consecutive frames; most of them lie outside the window, as leaf targets may.
// Guarantees: every walker agrees with the core on a mix of addresses and accesses that meets each fault, before anything is timed.

import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { compileWalkers } from './native/compile.mjs';
import { generator } from './rounds.mjs';

export const BASE = 0x7f00_0000_0000n;
const PAGE = 4096;
const HEAP_BYTES = 96 << 20;
/** Beside those of the leaf tables: what sections map of their own, all in one run. */
const SPARE_FRAMES = 16384;
/** Addresses of one call at most. */
const BUFFER_ADDRESSES = 1 << 22;

/**
 * TypeScript of this project as a module: bundled, since Node 20 does not strip types, with constants inlined. `copy` makes another
 * module of it, with type feedback of its own.
 */
export async function load(path, copy = 0) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(path, import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}#${copy}`);
}

/** @param {{ leafMib: number, seed: number, random: () => number }} options */
export async function createMachine({ leafMib }) {
  const layout = await load('../assembly/layout.ts');
  const { base64 } = await import('../build/release.js');
  const pages = leafMib * (2 ** 20 / 8);
  const frames = leafMib * 256 + SPARE_FRAMES;
  const ram = align(layout.HEAP + HEAP_BYTES + frames * layout.META_BYTES, 2 ** 21);
  const memory = new WebAssembly.Memory({
    initial: Math.ceil((ram + frames * PAGE) / 65536),
    maximum: 65536,
    shared: true,
  });
  const module = new WebAssembly.Module(Buffer.from(base64, 'base64'));
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  core.initialize(frames, ram, layout.HEAP + HEAP_BYTES, 0, layout.HEAP, layout.HEAP + HEAP_BYTES);
  if (core.attach(true) < 0) throw new Error('no agent is free');
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_WP | layout.CR_NXE | layout.CR_GBPAGES, 0, 46);
  const rights = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_EXECUTE | layout.PROT_USER;
  const prot = rights | layout.PROT_ACCESSED | layout.PROT_DIRTY;
  const status = core.map(space, BASE, 0x1000_0000n, BigInt(pages) * BigInt(PAGE), prot, 0);
  if (status !== layout.STATUS_OK) throw new Error(`mapping ${pages} pages ended with status ${status}`);
  touchTables(core, memory, space, layout, pages);

  const input = core.heapAllocate(8 * BUFFER_ADDRESSES) >>> 0;
  const output = core.heapAllocate(8 * BUFFER_ADDRESSES) >>> 0;
  const block = core.heapAllocate(64) >>> 0;
  if (input === 0 || output === 0 || block === 0) throw new Error('the heap is too small for the buffers');
  const native = compileWalkers();
  const machine = {
    layout,
    core,
    memory,
    space,
    pages,
    input,
    output,
    block,
    call: new Uint32Array(memory.buffer, block, 8),
    callVa: new BigUint64Array(memory.buffer, block + 24, 1),
    addresses: new BigUint64Array(memory.buffer, input, BUFFER_ADDRESSES),
    results: new BigUint64Array(memory.buffer, output, BUFFER_ADDRESSES),
    ...(await handWritten(memory, space)),
    native: native.walkers,
    compiler: native.compiler ?? native.reason,
  };
  machine.native?.attach(new Uint8Array(memory.buffer), block);
  return machine;
}

/** The walkers in TypeScript over one space. A copy of the module for each space, so that each is optimised for its own use. */
async function handWritten(memory, space) {
  const { createPairsWalker } = await load('./baselines/pairs.ts', space);
  const { createBigIntWalker } = await load('./baselines/bigints.ts', space);
  return { pairs: createPairsWalker(memory.buffer, space), bigints: createBigIntWalker(memory.buffer, space) };
}

/** The A bit of the entries above the leaves, which `map` leaves to the hardware. */
function touchTables(core, memory, space, layout, pages) {
  const words = new Uint32Array(memory.buffer);
  for (let page = 0; page < pages; page += 512) {
    core.accessWord(space, BASE + BigInt(page) * BigInt(PAGE), layout.ACCESS_READ | layout.ACCESS_TOUCH);
  }
  return words.length;
}

/** Rows that walk the addresses at `machine.input`, the ×1.00 row first. `best` names the C walker that fits the workload. */
export function batchRows(machine, count, access, { best, bigintCount = count }) {
  const { core, space, input, output, call, native, pairs, bigints } = machine;
  const words = { input: input >>> 2, output: output >>> 2 };
  const c = (name) => {
    const walker = native[name];
    return () => {
      call[0] = space;
      call[1] = input;
      call[2] = output;
      call[3] = count;
      call[4] = access;
      return walker();
    };
  };
  const rows = [];
  if (native) {
    rows.push({ name: 'C, naive', count, run: c('naiveBatch') });
    for (const name of best) rows.push({ name: `C, ${BEST_NAMES[name]}`, best: true, count, run: c(name) });
    rows.push({ name: 'C, as the core', count, run: c('adaptiveBatch') });
  }
  rows.push({ name: 'core', count, run: () => core.translateBatch(space, input, output, count, access) });
  if (!(access & machine.layout.ACCESS_TOUCH)) {
    rows.push({
      name: 'TypeScript, Uint32Array pairs',
      count,
      run: () => pairs.translateBatch(words.input, words.output, count, access),
    });
    if (bigintCount > 0) {
      rows.push({
        name: 'TypeScript, BigUint64Array',
        count: bigintCount,
        run: () => bigints.translateBatch(input >>> 3, output >>> 3, bigintCount, access),
      });
    }
  }
  return rows;
}

const BEST_NAMES = { memoBatch: 'last leaf table', groupsBatch: 'prefetched groups' };

/** Runs each row once over a wiped output and compares what it wrote. @throws Error naming the first difference */
export function checkRows(machine, rows, prepare = () => {}) {
  let expected;
  for (const row of rows) {
    machine.results.fill(0xdeadn, 0, row.count);
    prepare();
    row.run();
    const got = Buffer.from(machine.memory.buffer, machine.output, row.count * 8);
    if (expected === undefined) {
      expected = Buffer.from(got);
      continue;
    }
    if (got.equals(expected.subarray(0, got.length))) continue;
    const wanted = new BigUint64Array(expected.buffer, expected.byteOffset, row.count);
    const at = wanted.findIndex((word, i) => word !== machine.results[i]);
    const hex = (word) => `0x${word.toString(16)}`;
    throw new Error(
      `"${row.name}" disagrees with "${rows[0].name}" at ${at}, address ${hex(machine.addresses[at])}: ` +
        `${hex(machine.results[at])} instead of ${hex(wanted[at])}`,
    );
  }
}

/** All walkers over damaged tables and every kind of access: each fault of the result word occurs. Returns how many results agreed. */
export async function checkAgreement(machine, seed) {
  const { core, layout, memory } = machine;
  const random = generator(seed);
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  const flags = layout.CR_WP | layout.CR_NXE | layout.CR_SMEP | layout.CR_SMAP | layout.CR_PKE | layout.CR_GBPAGES;
  core.setRegime(space, flags, 0b1001 << 2, 46);
  const at = 0x1234_0000_0000n;
  for (let n = 0; n < 64; n++) {
    // Two tables of small pages, then one large page, with rights by turns.
    const prot =
      layout.PROT_READ |
      ((n * 2) & 14) |
      (n % 7 === 0 ? layout.PROT_ACCESSED : 0) |
      ((n % 3) << layout.PROT_PKEY_SHIFT);
    core.map(
      space,
      at + (BigInt(n) << 21n),
      BigInt(n) << 21n,
      n % 5 === 0 ? 0x200000n : 0x150000n,
      prot,
      n % 5 === 0 ? 1 : 0,
    );
  }
  const view = new DataView(memory.buffer);
  for (let n = 0; n < 200; n++) {
    const level = n % 8 === 0 ? 1 : 0;
    const slot =
      core.entryAddress(
        space,
        at + BigInt(Math.floor(random() * 64)) * 0x200000n + BigInt(Math.floor(random() * 512)) * 0x1000n,
        level,
      ) >>> 0;
    if (slot === 0) continue;
    const bit = [0n, 1n, 2n, 50n, 63n, 45n][(n >> 3) % 6];
    view.setBigUint64(slot, view.getBigUint64(slot, true) ^ (1n << bit), true);
  }
  const count = 4096;
  for (let i = 0; i < count; i++) {
    const stray = BigInt(Math.floor(random() * 2 ** 40)) << 24n;
    const va = at + BigInt(Math.floor(random() * 66 * 2 ** 21));
    machine.addresses[i] = i % 50 === 0 ? stray : i % 3 === 0 ? at + BigInt(i) * 0x1000n + 5n : va;
  }
  const probe = { ...machine, space, ...(await handWritten(memory, space)) };
  const causes = new Set();
  let agreed = 0;
  for (const access of [0, 1, 2, 4, 9, 10, 12]) {
    const rows = batchRows(probe, count, access, { best: ['memoBatch', 'groupsBatch'] });
    checkRows(probe, rows);
    agreed += count;
    for (let i = 0; i < count; i++)
      causes.add(
        Number((machine.results[i] >> BigInt(layout.FAULT_CAUSE_SHIFT)) & 15n) *
          (((machine.results[i] >> 52n) & 1n) === 0n ? 1 : 0),
      );
  }
  // One damaged table page after the other is left to the process: the space is small.
  core.closeSpace(space);
  if (causes.size !== 6) throw new Error(`the mix of addresses met only ${[...causes].join()} of the causes 0 to 5`);
  return agreed;
}

/** The machine without a name: model, number of processors, caches are what the model says. */
export function describeMachine(machine) {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return [
    `${model}, ${cpus().length} × ${process.arch}`,
    `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    `C: ${machine.compiler}`,
  ].join(' · ');
}

function align(value, to) {
  return Math.ceil(value / to) * to;
}
