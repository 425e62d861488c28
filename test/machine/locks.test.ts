// Hangs are named: who holds what, who waits for whom, and in which circle. Real threads deadlock here.

import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Mm, PhysicalMemory } from '../../src/index.ts';
import { layout } from '../support/core.ts';

let memory: PhysicalMemory;
let mms: Mm[];
let workers: Worker[];
beforeEach(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  mms = [0, 1, 2].map(() => new Mm(memory.createAddressSpace()));
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.terminate()));
  memory.dispose();
});

const mmapLock = (n: number) => (mms[n] as Mm).handle + layout.MM_MMAP_LOCK;

/** A thread that takes locks one after the other, the later ones only when all threads have their first, and then waits for ever. */
const TAKE = `
  const { workerData: { module, memory, takes, words, threads }, parentPort } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  parentPort.postMessage(core.attach(true));
  const words32 = new Int32Array(memory.buffer);
  takes.forEach(([how, lock, behind], n) => {
    while (behind && (Atomics.load(words32, lock / 4) & (0x7f << 14)) === 0) Atomics.wait(words, 2, 0, 5);
    core[how](lock);
    if (n > 0) return;
    Atomics.add(words, 0, 1);
    while (Atomics.load(words, 0) < threads) Atomics.wait(words, 0, Atomics.load(words, 0), 5);
  });
  Atomics.add(words, 1, 1);
  Atomics.wait(words, 2, 0);
`;

type Take = ['writeLock' | 'readLock', number, 'behind a writer'?];

/** Starts a thread for each list of locks; returns their agents once all hold what they can, and wait for the rest. */
async function start(...threads: Take[][]): Promise<number[]> {
  const words = new Int32Array(new SharedArrayBuffer(12));
  const { module, memory: shared } = memory.share();
  const agents = await Promise.all(
    threads.map((takes) => {
      const workerData = { module, memory: shared, takes, words, threads: threads.length };
      const worker = new Worker(TAKE, { eval: true, workerData });
      workers.push(worker);
      return new Promise<number>((resolve) => worker.once('message', resolve));
    }),
  );
  const settled = () => {
    const report = memory.locks();
    const waiting = report.agents.filter(({ waitsFor }) => waitsFor !== undefined && waitsFor.for.length > 0).length;
    return waiting + Atomics.load(words, 1) === threads.length;
  };
  while (!settled()) await new Promise((resolve) => setTimeout(resolve, 2));
  return agents;
}

test('two threads that take two mmap_locks in opposite order are a circle, by name', async () => {
  const [a, b] = (await start(
    [
      ['writeLock', mmapLock(0)],
      ['writeLock', mmapLock(1)],
    ],
    [
      ['writeLock', mmapLock(1)],
      ['writeLock', mmapLock(0)],
    ],
  )) as [number, number];
  const { agents, deadlocks, abandoned } = memory.locks();
  expect(deadlocks).toEqual([[Math.min(a, b), Math.max(a, b)]]);
  const one = agents.find(({ agent }) => agent === a);
  const name = (n: number) => `mmap_lock of mm 0x${(mms[n] as Mm).handle.toString(16)}`;
  expect(one?.holds).toEqual([{ address: mmapLock(0), name: name(0), how: 'writing' }]);
  expect(one?.waitsFor).toEqual({ address: mmapLock(1), name: name(1), how: 'writing', for: [b] });
  expect(abandoned).toEqual([]);
});

test('three threads in a circle, one of which waits as a reader, and a fourth that only waits for one of them', async () => {
  const [a, b, c, d] = (await start(
    [
      ['readLock', mmapLock(0)],
      ['writeLock', mmapLock(1)],
    ],
    [
      ['writeLock', mmapLock(1)],
      ['readLock', mmapLock(2)],
    ],
    [
      ['writeLock', mmapLock(2)],
      ['writeLock', mmapLock(0)],
    ],
    [
      ['readLock', mmapLock(0)],
      ['writeLock', mmapLock(1)],
    ],
  )) as [number, number, number, number];
  const { deadlocks } = memory.locks();
  // c waits for both readers of the first lock; each of them waits for b, who waits for c.
  expect(deadlocks.map((circle) => [...circle].sort((x, y) => x - y))).toEqual(
    expect.arrayContaining([[a, b, c].sort((x, y) => x - y), [b, c, d].sort((x, y) => x - y)]),
  );
  expect(deadlocks).toHaveLength(2);
});

test('a reader that takes a lock again behind a writer that waits is a circle with it, as in the kernel', async () => {
  const again: Take = ['readLock', mmapLock(0), 'behind a writer'];
  const [reader, writer] = (await start(
    [['readLock', mmapLock(0)], again],
    [
      ['writeLock', mmapLock(1)],
      ['writeLock', mmapLock(0)],
    ],
  )) as [number, number];
  expect(memory.locks().deadlocks).toEqual([[Math.min(reader, writer), Math.max(reader, writer)]]);
});

test('threads that hold locks and wait for none are no circle', async () => {
  const agents = await start([['readLock', mmapLock(0)]], [['readLock', mmapLock(0)]], [['writeLock', mmapLock(1)]]);
  const { agents: listed, deadlocks, abandoned } = memory.locks();
  expect(listed.map(({ agent, holds }) => [agent, holds.map(({ how }) => how)])).toEqual(
    agents.map((agent, n) => [agent, [n < 2 ? 'reading' : 'writing']] as const).sort(([a], [b]) => a - b),
  );
  expect([deadlocks, abandoned]).toEqual([[], []]);
});

test('a lock whose holder ended without letting go is waited for until it is broken', async () => {
  const [gone] = (await start([['writeLock', mmapLock(0)]])) as [number];
  await workers[0]?.terminate();
  const [waiter] = (await start([
    ['writeLock', mmapLock(2)],
    ['writeLock', mmapLock(0)],
  ])) as [number];
  expect(memory.locks().agents.find(({ agent }) => agent === waiter)?.waitsFor?.for).toEqual([gone]);
  expect(memory.releaseAgent(gone)).toBe(1);
  while (memory.locks().agents.find(({ agent }) => agent === waiter)?.waitsFor !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect(memory.locks().deadlocks).toEqual([]);
});

test('a lock whose holder left the memory with it is abandoned', async () => {
  const [gone, waiter] = (await start(
    [['writeLock', mmapLock(0)]],
    [
      ['writeLock', mmapLock(2)],
      ['writeLock', mmapLock(0)],
    ],
  )) as [number, number];
  expect(memory.locks().abandoned).toEqual([]);
  await workers[0]?.terminate();
  memory.core.detach(gone);
  const { agents, abandoned } = memory.locks();
  expect(agents.map(({ agent }) => agent)).toEqual([waiter]);
  expect(abandoned.map(({ address, how }) => [address, how])).toEqual([[mmapLock(0), 'writing']]);
});

test('one thread alone holds nothing, and waits for nothing', () => {
  expect(memory.locks()).toEqual({ agents: [], deadlocks: [], abandoned: [] });
});
