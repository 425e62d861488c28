// Question: what does it cost to have another CPU answer, and what does a second worker bring? ×1.00: two threads in C on C11 atomics.
//
// The shootdown is the real one: the generation of the mm, the mailbox, the other CPU between two stores of its own, which looks for the page in its TLB
// and answers. It stores to another page, or to the one that is flushed, and then walks anew each time. The C rows do the same with a mailbox of their
// own and an array of tags, and the other thread spins; the bound is one word back and forth. Then what batching saves: one flush for 512 pages
// against one for each. Then two workers that each write to, clean and record tables of their own.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CYCLES, NONE, PARKED, QUIT, RUNNING, USER, WORD } from './commands.mjs';
import { makeMm } from './mm.mjs';
import { table, verdict } from './table.mjs';

const AT = 0x6800_0000_0000n;
const PAGES = 512;
const FLUSHES = 4096;
const ROUND_TRIP = 1.5;
const DISJOINT = 1.9;
const DISJOINT_PAGES = 1 << 15;
const CYCLES_A_CALL = 16;

export const workers = {
  name: 'workers',
  leafMib: 1,
  async *tables(machine, options) {
    if (availableParallelism() < 2) return;
    const threads = await Promise.all([startThread(machine), startThread(machine)]);
    try {
      yield await shootdown(machine, options, threads[0]);
      yield await batching(machine, options, threads[0]);
      yield await disjoint(machine, options, threads);
    } finally {
      for (const thread of threads) await thread.quit();
    }
  },
};

/** A worker, parked. */
async function startThread({ core, layout, memory }) {
  const { base64 } = await import('../build/release.js');
  const at = core.heapAllocate(4 * WORD.last) >>> 0;
  const words = new Int32Array(memory.buffer, at, WORD.last);
  words.fill(0);
  const constants = Object.fromEntries(Object.entries(layout).filter(([, value]) => typeof value === 'number'));
  const workerData = { bytes: Buffer.from(base64, 'base64'), memory, at, layout: constants };
  const worker = new Worker(new URL('responder.mjs', import.meta.url), { workerData });
  const failed = new Promise((_, reject) => worker.once('error', reject));
  const waitFor = (state) => {
    for (let seen = Atomics.load(words, WORD.state); seen !== state; seen = Atomics.load(words, WORD.state)) {
      if (state === PARKED) Atomics.wait(words, WORD.state, seen, 100);
    }
  };
  const command = (what) => {
    Atomics.store(words, WORD.command, what);
    Atomics.notify(words, WORD.command);
  };
  const up = new Promise((resolve) => {
    const poll = () => (Atomics.load(words, WORD.state) === PARKED ? resolve() : setTimeout(poll, 5));
    poll();
  });
  await Promise.race([up, failed]);
  return {
    words,
    view: new DataView(memory.buffer, at),
    /** It runs CPU `cpu` in user mode and stores at `va` while `body` runs. */
    beside(cpu, va, body) {
      words[WORD.cpu] = cpu;
      this.view.setBigUint64(4 * WORD.va, va, true);
      command(USER);
      waitFor(RUNNING);
      const result = body();
      command(NONE);
      waitFor(PARKED);
      return result;
    },
    start(range) {
      words.set(range, WORD.range);
      Atomics.store(words, WORD.state, RUNNING);
      command(CYCLES);
    },
    join: () => waitFor(PARKED),
    async quit() {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      command(QUIT);
      await ended;
      core.heapFree(at);
    },
  };
}

// ---- a shootdown

/** An mm that CPU 1 runs, with pages that it may write; CPU 0 runs none. */
function makeScene(machine) {
  const scene = makeMm(machine, AT, PAGES, 2);
  machine.core.loadMm(scene.cpus[1], scene.mm, 1);
  return scene;
}

async function shootdown(machine, options, thread) {
  const { core, native, call, memory, layout } = machine;
  const scene = makeScene(machine);
  const [self, other] = scene.cpus;
  const view = new DataView(memory.buffer);
  const flushes = () => {
    let answered = 0;
    for (let n = 0; n < FLUSHES; n++) answered += core.flushMm(self, scene.mm, AT, AT + 0xfffn, 12, false, 0);
    return answered;
  };
  const c = (name) => () => {
    call[3] = FLUSHES;
    return native[name]();
  };
  const rows = [];
  if (native) {
    rows.push({ name: 'C, a mailbox', best: true, count: FLUSHES, run: c('mailbox') });
    rows.push({ name: 'bound: C, one word back and forth', count: FLUSHES, run: c('pingPong') });
  }
  rows.push({ name: 'core', count: FLUSHES, run: () => thread.beside(other, AT + 4096n, flushes) });
  rows.push({ name: 'core, each time a walk anew', count: FLUSHES, run: () => thread.beside(other, AT, flushes) });
  rows.push({ name: 'core, no CPU has to answer', count: FLUSHES, run: () => unloaded(machine, scene, flushes) });
  for (const { name, run } of rows.slice(0, -1)) {
    const answered = run();
    if (answered !== FLUSHES) throw new Error(`"${name}": ${answered} of ${FLUSHES} were answered`);
  }
  const interrupts = Number(view.getBigUint64(other + layout.CPU_INTERRUPTS, true));
  if (interrupts !== 2 * FLUSHES) throw new Error(`the other CPU answered ${interrupts} of ${2 * FLUSHES}`);
  const result = await table(options, {
    title: 'shootdown of a page, round trip',
    rows,
    parameters: `${FLUSHES} flushes a call, two threads, each spinning`,
    judge: (measured) => {
      const core = measured.find((row) => row.name === 'core');
      const best = measured.find((row) => row.best);
      return best === undefined ? [] : [verdict(core, best, ROUND_TRIP)];
    },
  });
  scene.dispose();
  return result;
}

function unloaded({ core }, { mm, cpus }, body) {
  core.loadMm(cpus[1], 0, 0);
  const result = body();
  core.loadMm(cpus[1], mm, 1);
  return result;
}

/** 512 pages made unreachable: one flush at the end, or one for each. */
async function batching(machine, options, thread) {
  const { core, layout } = machine;
  const scene = makeScene(machine);
  const [self, other] = scene.cpus;
  const last = AT + BigInt(PAGES) * 4096n - 1n;
  const runs = {
    'a flush for each page': () => {
      let sent = 0;
      for (let page = 0; page < PAGES; page++) {
        const va = AT + BigInt(page) * 4096n;
        sent += core.flushMm(self, scene.mm, va, va + 0xfffn, 12, false, 0);
      }
      return sent;
    },
    'one flush of the range, no ceiling': () => core.flushMm(self, scene.mm, AT, last, 12, false, 0),
    'one flush, full above a ceiling of 33': () =>
      core.flushMm(self, scene.mm, AT, last, 12, false, 33 << layout.SHOOT_CEILING),
  };
  const notes = [];
  const rows = Object.entries(runs).map(([name, body]) => {
    notes.push(`${name}: ${thread.beside(other, AT, body)} interrupts`);
    return { name, count: PAGES, run: () => thread.beside(other, AT, () => repeat(16, body)) };
  });
  for (const row of rows) row.count *= 16;
  const result = await table(options, {
    title: 'shootdown of 512 pages, batched',
    rows,
    parameters: 'ns a page, the other CPU stores all the time',
    judge: () => [],
    notes,
  });
  scene.dispose();
  return result;
}

function repeat(times, body) {
  for (let n = 0; n < times; n++) body();
}

// ---- tables of their own

/** Two ranges of DISJOINT_PAGES pages, each with tables, addresses and a scan of its own. */
async function disjoint(machine, options, threads) {
  const { core, layout, memory } = machine;
  const view = new DataView(memory.buffer);
  const prot = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_USER;
  const ranges = threads.map((_, n) => {
    const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
    core.setRegime(space, layout.CR_WP | layout.CR_NXE, 0, 46);
    const status = core.map(space, AT, 0x1000_0000n, BigInt(DISJOINT_PAGES) * 4096n, prot, 0);
    if (status !== layout.STATUS_OK) throw new Error(`mapping range ${n} ended with status ${status}`);
    const block = (bytes) => {
      const at = core.heapAllocate(bytes) >>> 0;
      if (at === 0) throw new Error('the heap is too small');
      return at;
    };
    const [input, output, scan] = [8 * DISJOINT_PAGES, 8 * DISJOINT_PAGES, layout.SCAN_BYTES].map(block);
    const addresses = new BigUint64Array(memory.buffer, input, DISJOINT_PAGES);
    for (let page = 0; page < DISJOINT_PAGES; page++) addresses[page] = AT + BigInt(page) * 4096n;
    view.setBigUint64(scan + layout.SCAN_VA, AT, true);
    view.setBigUint64(scan + layout.SCAN_LAST, AT + BigInt(DISJOINT_PAGES) * 4096n - 1n, true);
    view.setUint32(scan + layout.SCAN_BITMAP, 0, true);
    view.setUint32(scan + layout.SCAN_TRACKER, 0, true);
    view.setUint32(scan + layout.SCAN_FLAGS, 0, true);
    return [space, input, output, DISJOINT_PAGES, scan, CYCLES_A_CALL];
  });
  const pages = 2 * DISJOINT_PAGES * CYCLES_A_CALL;
  const together = () => {
    for (const [n, thread] of threads.entries()) thread.start(ranges[n]);
    for (const thread of threads) thread.join();
  };
  const alone = () => {
    for (const range of ranges) {
      threads[0].start(range);
      threads[0].join();
    }
  };
  const rows = [
    { name: 'one worker, one range after the other', count: pages, run: alone },
    { name: 'two workers, a range each', count: pages, run: together },
  ];
  for (const { name, run } of rows) {
    run();
    for (const [, , , , scan] of ranges) {
      const touched = Number(view.getBigUint64(scan + layout.SCAN_TOUCHED, true));
      if (touched !== DISJOINT_PAGES) throw new Error(`"${name}" cleaned ${touched} of ${DISJOINT_PAGES} pages`);
      view.setBigUint64(scan + layout.SCAN_TOUCHED, 0n, true);
    }
  }
  const result = await table(options, {
    title: 'pages written to and cleaned, tables of their own',
    rows,
    parameters: `${DISJOINT_PAGES} pages a range, ${CYCLES_A_CALL} times a call`,
    judge: ([one, two]) => {
      const ratio = one.nanoseconds / two.nanoseconds;
      const text = `one worker against two (they do ×${ratio.toFixed(2)})`;
      return [{ text, ratio: 1 / ratio, atMost: 1 / DISJOINT, ok: ratio >= DISJOINT }];
    },
  });
  for (const [space, input, output, , scan] of ranges) {
    core.unmap(space, AT, BigInt(DISJOINT_PAGES) * 4096n);
    core.closeSpace(space);
    for (const at of [input, output, scan]) core.heapFree(at);
  }
  return result;
}
