// Broadcast invalidation against the look-ups and fills of the owner: none is lost, on real threads and in every order of steps.
//
// The twins fill as one must not (the source read before `begin`), or do not check (as if nobody else invalidated): both are caught.

import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { TlbModel } from '../../src/machine/tlb.ts';
import { layout, makeRig } from '../support/core.ts';
import { interleave, makeExploreRig } from '../support/stepper.ts';
import { counts, makeTlb, mappedWord } from '../support/tlb.ts';

const INVLPG = layout.SCOPE_GLOBAL | layout.SCOPE_STRUCTURES;
const PAGES = 6;
const MILLISECONDS = 1000;
/** Level 1 holds a third of the pages, so that level 2 refills it all the time. */
const MODEL: TlbModel = {
  arrays: [
    { name: 'L1', level: 1, pages: [0, 1], sets: 1, ways: 2 },
    { name: 'L2', level: 2, pages: [0, 1], sets: 2, ways: 4 },
  ],
};
const EXCLUSIVE: TlbModel = { ...MODEL, inclusion: 'exclusive' };

type Fault = 'none' | 'read-before-begin' | 'unchecked';

/**
 * The other CPU: it changes "the PTE" of a page to the next version, invalidates, and then says up to which version every look-up that begins from
 * there on must have come.
 */
const INVALIDATOR = `
  const { workerData: { module, memory, tlb, words, pages, scope, chaos } } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  core.attach(true);
  core.tuneChaos(chaos, 3, 2000);
  Atomics.store(words, 0, 1);
  for (let n = 1; Atomics.load(words, 1) === 0; n++) {
    const page = n % pages;
    Atomics.store(words, 2 + page, n);
    if (n % 64 === 0) core.tlbInvalidateAll(tlb, true);
    else if (n % 16 === 0) core.tlbInvalidateRange(tlb, BigInt(page) << 12n, (BigInt(page) << 12n) | 0xfffn, 12, 1, scope, true);
    else core.tlbInvalidatePage(tlb, BigInt(page) << 12n, 1, scope, true);
    Atomics.store(words, 2 + pages + page, n);
  }
  Atomics.store(words, 0, 2);
`;

/** Looks up and fills for a while beside the invalidator, a twin until it is caught. Returns how often an entry answered that was invalidated before. */
async function race(model: TlbModel, fault: Fault, build: 'release' | 'chaos', milliseconds: number) {
  const rig = await makeRig({ frames: 1, build });
  const { core, module, memory, u64 } = rig;
  if (build === 'chaos') core.tuneChaos(77, 3, 2000);
  const tlb = makeTlb(rig, model);
  const words = new Int32Array(new SharedArrayBuffer(4 * (2 + 2 * PAGES)));
  const chaos = build === 'chaos' ? 99 : 0;
  const workerData = { module, memory, tlb, words, pages: PAGES, scope: INVLPG, chaos };
  const worker = new Worker(INVALIDATOR, { eval: true, workerData });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const checked = fault !== 'unchecked';
  const seen = { stale: 0, hits: 0, misses: 0, overtaken: 0, invalidations: 0 };
  while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const end = performance.now() + milliseconds;
  for (let n = 0; (n & 1023) !== 0 || performance.now() < end; n++) {
    if (fault !== 'none' && seen.stale > 0) break;
    const page = (n * 5) % PAGES;
    const least = Atomics.load(words, 2 + PAGES + page);
    const entry = core.tlbLookUp(tlb, page, 1, 0, checked) >>> 0;
    if (entry !== 0) {
      seen.hits++;
      if (Number(((u64[entry / 8 + 1] as bigint) & 0xfffffffffffffn) >> 12n) < least) seen.stale++;
      continue;
    }
    seen.misses++;
    // Read before `begin`: an invalidation may come in between, and nobody notices.
    const early = Atomics.load(words, 2 + page);
    for (let spin = 0; fault === 'read-before-begin' && spin < 300; spin++) Atomics.load(words, 0);
    const begun = core.tlbBegin(tlb, true);
    const version = fault === 'read-before-begin' ? early : Atomics.load(words, 2 + page);
    const word = mappedWord(BigInt(version) << 12n, 0);
    if (core.tlbFill(tlb, BigInt(page) << 12n, 1, 0, false, word, 0, begun, checked) === 0) seen.overtaken++;
  }
  Atomics.store(words, 1, 1);
  await ended;
  seen.invalidations = Math.max(...words.subarray(2));
  return { seen, counts: counts(rig, tlb, model), valid: core.tlbCountValid(tlb) };
}

describe.each(['release', 'chaos'] as const)('%s build, two threads', (build) => {
  test.each([
    ['not inclusive', MODEL],
    ['exclusive', EXCLUSIVE],
  ])('after an invalidation returned no look-up that begins later finds the old entry (%s)', async (_, model) => {
    const { seen, counts, valid } = await race(model, 'none', build, MILLISECONDS);
    expect(seen.stale).toBe(0);
    // Both sides got to work, and met.
    expect(seen.hits).toBeGreaterThan(1000);
    expect(seen.misses).toBeGreaterThan(100);
    expect(seen.invalidations).toBeGreaterThan(100);
    // Whoever dropped an entry, it was counted once.
    const sum = (of: (array: (typeof counts.arrays)[0]) => number) => counts.arrays.reduce((all, a) => all + of(a), 0);
    expect(sum((a) => a.hits) + counts.misses).toBe(counts.accesses);
    expect(counts.accesses).toBe(seen.hits + seen.misses);
    expect(sum((a) => a.fills - a.evictions - a.invalidated)).toBe(valid);
  });
});

test('a walk that began before `begin` is caught: stale entries stay', async () => {
  const { seen } = await race(MODEL, 'read-before-begin', 'chaos', 10 * MILLISECONDS);
  expect(seen.stale).toBeGreaterThan(0);
});

test('an owner that does not check its fills is caught', async () => {
  const { seen } = await race(MODEL, 'unchecked', 'chaos', 10 * MILLISECONDS);
  expect(seen.stale).toBeGreaterThan(0);
});

test.each(['release', 'chaos'] as const)(
  '%s build: loads through a large page keep their place in it while another CPU drops the entry',
  async (build) => {
    const rig = await makeRig({ frames: 1100, build });
    const { core, module, memory, u64 } = rig;
    const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
    core.setRegime(space, layout.CR_WP | layout.CR_NXE, 0, 46);
    const first = core.allocateFrames(512, 512, layout.FRAME_DATA);
    for (let n = 0; n < 512; n++) u64[(core.frameAddress(first + n) >>> 0) / 8] = BigInt(n);
    expect(core.map(space, 0n, BigInt(first) << 12n, 0x200000n, layout.PROT_READ | layout.PROT_USER, 1)).toBe(0);
    const tlb = makeTlb(rig, MODEL);
    const count = 512;
    const input = core.heapAllocate(16 * count) >>> 0;
    for (let n = 0; n < count; n++) u64[input / 8 + n] = BigInt((n * 7) % 512) << 12n;
    const want = Array.from({ length: count }, (_, n) => BigInt((n * 7) % 512));
    const words = new Int32Array(new SharedArrayBuffer(4 * (2 + 2 * PAGES)));
    const workerData = { module, memory, tlb, words, pages: PAGES, scope: INVLPG, chaos: build === 'chaos' ? 99 : 0 };
    const worker = new Worker(INVALIDATOR, { eval: true, workerData });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const output = input + 8 * count;
    const access = layout.ACCESS_READ | layout.ACCESS_USER;
    let wrong = 0;
    for (const end = performance.now() + MILLISECONDS; performance.now() < end; ) {
      if (core.loadThroughTlb(tlb, space, 1, input, output, count, access, true) !== count) wrong++;
      else if (want.some((word, n) => u64[output / 8 + n] !== word)) wrong++;
    }
    Atomics.store(words, 1, 1);
    await ended;
    expect(wrong).toBe(0);
    const { misses, accesses, arrays } = counts(rig, tlb, MODEL);
    expect(misses).toBeGreaterThan(1);
    expect(arrays.reduce((sum, { hits }) => sum + hits, 0) + misses).toBe(accesses);
  },
);

test('while an invalidation is in progress nothing is filled: its source may be what is still to be dropped', async () => {
  const rig = await makeRig({ frames: 1 });
  const { core, u64 } = rig;
  const tlb = makeTlb(rig, MODEL);
  const sequence = (tlb + layout.TLB_SEQUENCE) / 8;
  const fill = () => core.tlbFill(tlb, 0x5000n, 1, 0, false, mappedWord(0x1000n, 0), 0, core.tlbBegin(tlb, true), true);
  expect(fill()).not.toBe(0);
  // Level 1 gives the entry up; level 2 still has it.
  core.tlbEvict(tlb, 0, true);
  const idle = u64[sequence] as bigint;
  u64[sequence] = idle + 257n;
  expect(core.tlbLookUp(tlb, 5, 1, 0, true)).not.toBe(0);
  expect(core.tlbCountValid(tlb)).toBe(1);
  expect(fill()).toBe(0);
  u64[sequence] = idle + 256n;
  expect(fill()).not.toBe(0);
  expect(counts(rig, tlb, MODEL).refused).toBe(3);
});

describe('every order of steps', () => {
  /** One CPU misses, reads the PTE, fills; another changes the PTE and invalidates. Returns the orders in which the old entry stays. */
  async function orders(walk: 'after-begin' | 'before-begin') {
    const rig = await makeExploreRig({ frames: 1 });
    const { core, u64 } = rig;
    const slot = core.heapAllocate(64) >>> 0;
    const tlb = makeTlb(rig, MODEL);
    const stale: string[] = [];
    let used: number[] = [];
    const refused = new Set<boolean>();
    const total = interleave(
      () => {
        for (const buffer of used) core.heapFree(buffer);
        core.tlbInvalidateAll(tlb, false);
        u64[slot / 8] = mappedWord(0x1000n, 0);
        let begun = 0;
        let pte = 0n;
        const begin = () => {
          begun = core.tlbBegin(tlb, true);
          return 0;
        };
        const read = (c: typeof core) => {
          pte = c.ptepGet(slot);
          return pte;
        };
        // In the twin another step, of no effect, lies between the two.
        const calls = walk === 'after-begin' ? [begin, read] : [read, (c: typeof core) => c.ptepGet(slot), begin];
        const owner = rig.cpu(
          (c) => c.tlbLookUp(tlb, 5, 1, 0, true),
          ...calls,
          (c) => c.tlbFill(tlb, 0x5000n, 1, 0, false, pte, slot, begun, true),
        );
        const other = rig.cpu(
          (c) => c.setPte(slot, mappedWord(0x2000n, 0)) as undefined,
          (c) => c.tlbInvalidatePage(tlb, 0x5000n, 1, INVLPG, true) as undefined,
        );
        used = [owner.buffer, other.buffer];
        return [owner, other];
      },
      ([owner], schedule) => {
        refused.add(owner?.results.at(-1) === 0);
        const entry = core.tlbLookUp(tlb, 5, 1, 0, false) >>> 0;
        if (entry !== 0 && u64[entry / 8 + 1] === mappedWord(0x1000n, 0)) stale.push(schedule);
      },
    );
    return { total, stale, refused };
  }

  test('look-up, fill and invalidation are one step each: 3 against 2 steps meet in 10 orders', async () => {
    const { total, stale, refused } = await orders('after-begin');
    expect(total).toBe(10);
    expect(stale).toEqual([]);
    expect([...refused].sort()).toEqual([false, true]);
  });

  test('a walk that reads the PTE before `begin` keeps the old entry in some order', async () => {
    const { stale } = await orders('before-begin');
    expect(stale.length).toBeGreaterThan(0);
  });
});
