// Gathers: unhook, flush, free. When a flush happens, what it covers, and that no page is freed before it.

import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, test } from 'vitest';
import { control, layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { makeTlb } from '../support/tlb.ts';

const { PROT_READ, PROT_USER, PROT_WRITE } = layout;
const TLB = { arrays: [{ name: 'L1', level: 1, pages: [0, 1, 2], sets: 8, ways: 4 }] } as const;
const VA = 0x7f0000000000n;
const PAGE = 0x1000n;

let rig: Rig;
let space: number;
let mm: number;
let self: number;
let path: number;
let gather: number;

async function scene(frames = 1200, build: 'release' | 'chaos' = 'release'): Promise<void> {
  rig = await makeRig({ frames, build });
  space = makeSpace(rig);
  mm = rig.core.createMm(space, true) >>> 0;
  self = rig.core.createCpu(0, makeTlb(rig, TLB), layout.MACHINE_RECHECK) >>> 0;
  path = rig.core.heapAllocate(layout.PATH_BYTES) >>> 0;
  gather = path + layout.PATH_GATHER;
}

const field = (name: number) => rig.u32[(gather + name) / 4] as number;
const flushes = () => field(layout.GATHER_FLUSHES);
const freed = () => field(layout.GATHER_FREED);
const pending = () => rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4];
const generation = () => rig.u64[(mm + layout.MM_TLB_GEN) / 8];

/** Maps `pages` pages of anonymous memory, each with one reference. */
function mapPages(pages: number, va = VA): void {
  for (let n = 0; n < pages; n++) {
    const frame = rig.core.allocateFrame(layout.FRAME_DATA);
    expect(frame).toBeGreaterThan(0);
    rig.core.map(space, va + BigInt(n) * PAGE, BigInt(frame) << 12n, PAGE, PROT_READ | PROT_WRITE | PROT_USER, 0);
  }
}

function zap(pages: number, va = VA): void {
  rig.core.gatherMmu(gather, mm, self, false, 0);
  rig.core.zapRange(path, mm, va, va + BigInt(pages) * PAGE - 1n);
  rig.core.finishGather(gather);
}

describe('one gather', () => {
  beforeEach(() => scene());

  test('a range of pages takes one flush, and every page is freed after it', () => {
    mapPages(100);
    const live = control(rig, layout.CONTROL_LIVE);
    rig.core.gatherMmu(gather, mm, self, false, 0);
    rig.core.zapRange(path, mm, VA, VA + 100n * PAGE - 1n);
    // Nothing is freed before the flush; one batch page was taken to note them in.
    expect({ flushes: flushes(), freed: freed(), live: control(rig, layout.CONTROL_LIVE) }).toEqual({
      flushes: 0,
      freed: 0,
      live: live + 1,
    });
    expect([rig.u64[(gather + layout.GATHER_START) / 8], rig.u64[(gather + layout.GATHER_END) / 8]]).toEqual([
      VA,
      VA + 100n * PAGE - 1n,
    ]);
    rig.core.finishGather(gather);
    expect({ flushes: flushes(), freed: freed(), live: control(rig, layout.CONTROL_LIVE) }).toEqual({
      flushes: 1,
      freed: 100,
      live: live - 100,
    });
  });

  test('a flush is owed from the beginning to the end', () => {
    rig.core.gatherMmu(gather, mm, self, false, 0);
    expect(pending()).toBe(1);
    rig.core.finishGather(gather);
    expect(pending()).toBe(0);
  });

  test('with nothing cleared nothing is flushed, though the range be widened', () => {
    const before = generation();
    rig.core.gatherMmu(gather, mm, self, false, 0);
    rig.u64[(gather + layout.GATHER_START) / 8] = VA;
    rig.u64[(gather + layout.GATHER_END) / 8] = VA + 0xfffn;
    rig.core.finishGather(gather);
    expect({ flushes: flushes(), generation: generation() }).toEqual({ flushes: 0, generation: before });
  });

  test('a nested gather flushes everything, tables included, though it gathered nothing', () => {
    const other = rig.core.heapAllocate(layout.GATHER_BYTES) >>> 0;
    rig.core.gatherMmu(other, mm, self, false, 0);
    rig.core.gatherMmu(gather, mm, self, false, 0);
    rig.core.finishGather(gather);
    expect(flushes()).toBe(1);
    rig.core.finishGather(other);
    expect(rig.u32[(other + layout.GATHER_FLUSHES) / 4]).toBe(0);
    expect(pending()).toBe(0);
  });

  test('the stride is that of the smallest page that was cleared', () => {
    // Seen from outside: a CPU that is exactly one behind drops the second page of 4 KiB only if the stride is 4 KiB.
    mapPages(2);
    const cpu = rig.core.createCpu(1, makeTlb(rig, TLB), layout.MACHINE_RECHECK) >>> 0;
    for (const [shift, level, hit] of [
      [21, 1, true],
      [12, 0, false],
    ] as const) {
      rig.core.loadMm(cpu, mm, 1);
      rig.core.enterUser(cpu);
      expect(rig.core.userStore(cpu, VA + PAGE, 1n)).toBe(layout.DONE);
      rig.core.leaveUser(cpu);
      rig.core.gatherMmu(gather, mm, self, false, 0);
      rig.core.gatherEntry(gather, VA, shift, level);
      rig.core.gatherEntry(gather, VA + PAGE, shift, level);
      rig.core.finishGather(gather);
      rig.core.enterUser(cpu);
      const slot = (rig.core.entryAddress(space, VA + PAGE, 0) >>> 0) / 8;
      const entry = rig.u64[slot] as bigint;
      rig.u64[slot] = 0n;
      expect(rig.core.userStore(cpu, VA + PAGE, 1n) === layout.DONE).toBe(hit);
      rig.u64[slot] = entry;
      rig.core.leaveUser(cpu);
    }
  });

  test('a whole mm that goes without tables is not flushed where its ASID is not used again, with tables it is', () => {
    for (const [tables, expected] of [
      [false, 0],
      [true, 1],
    ] as const) {
      rig.core.gatherMmu(gather, mm, self, true, layout.SHOOT_ELIDE_FULLMM);
      rig.core.gatherEntry(gather, VA, 12, 0);
      if (tables) {
        const frame = rig.core.allocateFrame(layout.FRAME_TABLE);
        rig.u32[(space + layout.SPACE_TABLES) / 4] = 2;
        rig.core.gatherTable(gather, VA, 21, 1, BigInt(frame) << 12n);
      }
      rig.core.finishGather(gather);
      expect(flushes()).toBe(expected);
    }
  });
});

test('a page that is full of pages and cannot be followed by another forces a flush', async () => {
  // Frames: root and three tables, 40 pages, and not one for a batch page.
  await scene(44);
  mapPages(40);
  expect(rig.core.allocateFrame(layout.FRAME_DATA)).toBe(-1);
  zap(40);
  // Eight fit into the gather itself. After the first flush there is room for batch pages.
  expect({ flushes: flushes(), freed: freed() }).toEqual({ flushes: 2, freed: 40 });
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(0);
});

test('8 pages and 19 batches of 510 are gathered before a flush is due, not one more', async () => {
  await scene(64);
  rig.core.gatherMmu(gather, mm, self, false, 0);
  const frame = rig.core.allocateFrame(layout.FRAME_DATA);
  const most = layout.GATHER_BUNDLE + layout.GATHER_MAX_BATCHES * layout.GATHER_MAX_BATCH;
  let noted = 0;
  for (let due = 0; due === 0; noted++) {
    if (noted > 0) rig.core.getFrame(frame);
    due = rig.core.gatherPage(gather, frame);
  }
  expect(noted).toBe(most);
  rig.core.finishGather(gather);
  expect(freed()).toBe(most);
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(0);
});

const READER = `
  const { workerData: { module, memory, cpu, va, pages, flags, seed } } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const agent = core.attach(true);
  if (seed) core.tuneChaos(seed, 2, 3000);
  const words = new BigUint64Array(memory.buffer);
  const at = reply(agent);
  let poison = 0, loads = 0;
  core.enterUser(cpu);
  for (let n = 0; Atomics.load(flags, 0) === 0; n++) {
    if (core.userLoad(cpu, va + (BigInt(n % pages) << 12n)) !== 0) continue;
    Atomics.store(flags, 2, ++loads);
    if (words[at] === 0xaaaaaaaaaaaaaaaan) poison++;
  }
  core.leaveUser(cpu);
  flags[1] = poison;
`.replace('reply(agent)', `(${layout.AGENTS} + agent * ${layout.AGENT_BYTES} + ${layout.AGENT_REPLY}) / 8`);

/** One thread loads pages all the time; this one maps, zaps and frees them. Returns loads, and how many read a freed frame. */
async function zapBesideReader(build: 'release' | 'chaos', how: 'gather' | 'posted', milliseconds: number) {
  await scene(64, build);
  const { core, memory, module } = rig;
  const pages = 12;
  const cpu = core.createCpu(1, makeTlb(rig, TLB), layout.MACHINE_RECHECK) >>> 0;
  core.loadMm(cpu, mm, 1);
  const flags = new Int32Array(new SharedArrayBuffer(16));
  const seed = build === 'chaos' ? 5 : 0;
  const worker = new Worker(READER, { eval: true, workerData: { module, memory, cpu, va: VA, pages, flags, seed } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  await new Promise((resolve) => setTimeout(resolve, 100));
  let rounds = 0;
  for (const end = Date.now() + milliseconds; Date.now() < end; rounds++) {
    mapPages(pages);
    // A while for the reader, who may have to share this core.
    const before = Atomics.load(flags, 2);
    for (const until = performance.now() + 20; Atomics.load(flags, 2) === before && performance.now() < until; );
    rig.core.gatherMmu(gather, mm, self, false, how === 'posted' ? layout.SHOOT_POSTED : 0);
    rig.core.zapRange(path, mm, VA, VA + BigInt(pages) * PAGE - 1n);
    rig.core.finishGather(gather);
    expect(freed()).toBe(pages);
  }
  Atomics.store(flags, 0, 1);
  await ended;
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(0);
  expect(control(rig, layout.CONTROL_BAD_POISON)).toBe(0);
  return { rounds, poison: flags[1] as number, loads: flags[2] as number };
}

describe('zapped beside a CPU that loads', () => {
  for (const build of ['release', 'chaos'] as const) {
    test(`${build}: no load reaches a frame after it was freed`, { timeout: 30_000 }, async () => {
      const { rounds, poison, loads } = await zapBesideReader(build, 'gather', 1200);
      expect(poison).toBe(0);
      expect(Math.min(rounds, loads)).toBeGreaterThan(20);
    });
  }

  test('the check barks: freed after a flush that is not waited for, frames are read', {
    timeout: 30_000,
  }, async () => {
    let poison = 0;
    for (let tries = 0; tries < 8 && poison === 0; tries++) {
      poison = (await zapBesideReader('chaos', 'posted', 1500)).poison;
    }
    expect(poison).toBeGreaterThan(0);
  });
});
