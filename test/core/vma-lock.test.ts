// Per-VMA locks: a fault's look-up without mmap_lock, against those who change VMAs.
//
// Guarantees: in every order, nobody has a VMA read-locked while it is changed; on real threads, a look-up beside VMAs that come and go finds
// the VMA that is there, or says that mmap_lock must be taken. A writer that does not lock the VMA is caught by the same check.

import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, test } from 'vitest';
import { layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { type Call, interleave, makeExploreRig } from '../support/stepper.ts';

const VA = 0x400000n;
const PAGE = 4096n;
const FLAGS = layout.VM_READ | layout.VM_WRITE;

describe('one thread', () => {
  let rig: Rig;
  let mm: number;
  let vma: number;
  beforeEach(async () => {
    rig = await makeRig();
    mm = rig.core.createMm(makeSpace(rig), true) >>> 0;
    vma = rig.core.insertVma(mm, VA, VA + 4n * PAGE, FLAGS, 0, 0n) >>> 0;
  });

  test('a VMA is found by each address it holds, and by no other', () => {
    for (const va of [VA, VA + 4n * PAGE - 1n]) {
      expect(rig.core.lockVma(mm, va) >>> 0).toBe(vma);
      rig.core.unlockVma(vma);
    }
    for (const va of [VA - 1n, VA + 4n * PAGE]) expect(rig.core.lockVma(mm, va)).toBe(0);
  });

  test('a write-locked VMA is not to be had until mmap_lock is let go, others are', () => {
    const other = rig.core.insertVma(mm, 0x10000n, 0x11000n, FLAGS, 0, 0n) >>> 0;
    rig.core.mmapWriteLock(mm);
    rig.core.startVmaWrite(vma);
    rig.core.startVmaWrite(vma);
    expect(rig.core.lockVma(mm, VA)).toBe(0);
    expect(rig.core.lockVma(mm, 0x10000n) >>> 0).toBe(other);
    rig.core.unlockVma(other);
    rig.core.mmapWriteUnlock(mm);
    expect(rig.core.lockVma(mm, VA) >>> 0).toBe(vma);
    rig.core.unlockVma(vma);
  });

  test('a downgrade unlocks the VMAs as well', () => {
    rig.core.mmapWriteLock(mm);
    rig.core.startVmaWrite(vma);
    rig.core.mmapDowngrade(mm);
    expect(rig.core.lockVma(mm, VA) >>> 0).toBe(vma);
    rig.core.unlockVma(vma);
    rig.core.readUnlock(mm + layout.MM_MMAP_LOCK);
  });

  test('a VMA that went and came back in another mm is not found in the first', () => {
    rig.core.removeVma(vma);
    const other = rig.core.createMm(makeSpace(rig), true) >>> 0;
    expect(rig.core.insertVma(other, VA, VA + PAGE, FLAGS, 0, 0n) >>> 0).toBe(vma);
    expect(rig.core.lockVma(mm, VA)).toBe(0);
    expect(rig.core.lockVma(other, VA) >>> 0).toBe(vma);
    rig.core.unlockVma(vma);
  });
});

describe('every interleaving', () => {
  /** A fault that looks at a word twice under the VMA's lock, and a writer that changes it. How often it changed in between, and was seen. */
  async function race(locksVma: boolean): Promise<{ torn: number; missed: number; changed: number }> {
    const rig = await makeExploreRig({ heapBytes: 1 << 22 });
    const { core } = rig;
    const mm = core.createMm(makeSpace(rig), true) >>> 0;
    const vma = core.insertVma(mm, VA, VA + PAGE, FLAGS, 0, 0n) >>> 0;
    const word = core.heapAllocate(64) >>> 0;
    let found = 0;
    const seen = { torn: 0, missed: 0, changed: 0 };
    const writer: Call[] = [
      (c) => c.mmapWriteLock(mm) as undefined,
      (c) => (locksVma ? (c.startVmaWrite(vma) as undefined) : undefined),
      (c) => c.setPte(word, 1n) as undefined,
      (c) => c.mmapWriteUnlock(mm) as undefined,
    ];
    interleave(
      () => {
        rig.u64[word / 8] = 0n;
        const fault = rig.cpu(
          (c) => {
            found = c.lockVma(mm, VA) >>> 0;
            return found;
          },
          (c) => (found === 0 ? 0n : c.ptepGet(word)),
          (c) => (found === 0 ? 0n : c.ptepGet(word)),
          (c) => (found === 0 ? undefined : (c.unlockVma(vma) as undefined)),
        );
        return [fault, rig.cpu(...writer)];
      },
      ([fault]) => {
        const [got, first, second] = (fault as { results: unknown[] }).results;
        if (got === 0) seen.missed++;
        else if (first !== second) seen.torn++;
        else if (first === 1n) seen.changed++;
      },
    );
    return seen;
  }

  test('what a VMA lock guards does not change while a fault holds it', async () => {
    const { torn, missed, changed } = await race(true);
    expect(torn).toBe(0);
    expect(missed).toBeGreaterThan(0);
    expect(changed).toBeGreaterThan(0);
  });

  test('a writer that takes mmap_lock alone changes it under the fault (I19 of the scenarios)', async () => {
    expect((await race(false)).torn).toBeGreaterThan(0);
  });
});

/** Puts VMAs into an mm and takes them out again, each showing its round in its page offset. */
const CHURN = `
  const { workerData: { module, memory, mm, words, rounds, slots } } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const agent = core.attach(true);
  Atomics.store(words, 0, 1);
  const vmas = [];
  for (let n = 0; n < rounds; n++) {
    const slot = (n * 7) % slots;
    if (vmas[slot]) { core.removeVma(vmas[slot]); vmas[slot] = 0; }
    else vmas[slot] = core.insertVma(mm, BigInt(slot) << 13n, (BigInt(slot) << 13n) + 4096n, 11, 0, 0n) >>> 0;
  }
  core.detach(agent);
  Atomics.store(words, 0, 2);
`;

test('look-ups beside VMAs that come and go on another thread find what is there, for as long as it is locked', async () => {
  const rig = await makeRig({ heapBytes: 1 << 22 });
  const { core } = rig;
  const mm = core.createMm(makeSpace(rig), true) >>> 0;
  const words = new Int32Array(new SharedArrayBuffer(8));
  const slots = 24;
  const workerData = { module: rig.module, memory: rig.memory, mm, words, rounds: 300_000, slots };
  const worker = new Worker(CHURN, { eval: true, workerData });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const seen = { found: 0, none: 0, wrong: 0 };
  for (let n = 0; Atomics.load(words, 0) === 1; n++) {
    const va = (BigInt(n % slots) << 13n) + BigInt(n % 4096);
    const vma = core.lockVma(mm, va) >>> 0;
    if (vma === 0) {
      seen.none++;
      continue;
    }
    seen.found++;
    const inTree = rig.u32[(vma + layout.VMA_DETACHED) / 4] === 0;
    const start = rig.u64[(vma + layout.VMA_START) / 8] as bigint;
    if (!inTree || start > va || va >= start + PAGE) seen.wrong++;
    core.unlockVma(vma);
  }
  await ended;
  expect(seen.wrong).toBe(0);
  expect(seen.found).toBeGreaterThan(100);
  expect(seen.none).toBeGreaterThan(100);
});
