// User accesses through a CPU's TLB, the machines that set D, and shootdowns between CPUs on real threads.
//
// Guarantees: stale entries do what scenarios say they do; after a flush no store lands; a flush that is not waited for, and one that is left
// out, are caught by the same check.

import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, test } from 'vitest';
import { layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { makeTlb } from '../support/tlb.ts';

const { DONE, FAULTED, PROT_READ, PROT_USER, PROT_WRITE } = layout;
const VA = 0x7f0000001000n;
const PAGE_LAST = VA | 0xfffn;
const STRIDE = 12;
const ASID = 3;

const A = 0x20n;
const D = 0x40n;
const RW = 2n;

let rig: Rig;
let space: number;
let mm: number;
let slot: number;
let word: number;

async function scene(build: 'release' | 'chaos' = 'release'): Promise<void> {
  rig = await makeRig({ frames: 64, build });
  const { core } = rig;
  space = makeSpace(rig);
  const frame = core.allocateFrame(layout.FRAME_DATA);
  core.map(space, VA, BigInt(frame) << 12n, 0x1000n, PROT_READ | PROT_WRITE | PROT_USER, 0);
  mm = core.createMm(space, true) >>> 0;
  slot = core.entryAddress(space, VA, 0) >>> 0;
  word = core.frameAddress(frame) >>> 0;
}

const TLB = {
  arrays: [
    { name: 'L1', level: 1, pages: [0, 1, 2], sets: 4, ways: 4 },
    { name: 'L2', level: 2, pages: [0, 1, 2], sets: 16, ways: 4 },
  ],
} as const;

function cpuWith(id: number, machine: number): number {
  const cpu = rig.core.createCpu(id, makeTlb(rig, TLB), machine) >>> 0;
  rig.core.loadMm(cpu, mm, ASID);
  rig.core.enterUser(cpu);
  return cpu;
}

const pte = () => rig.u64[slot / 8] as bigint;
const data = () => rig.u64[word / 8] as bigint;

describe('one CPU', () => {
  beforeEach(() => scene());

  test('a store sets A and D and lands; a load sets A only', () => {
    const cpu = cpuWith(0, layout.MACHINE_RECHECK);
    expect(rig.core.userLoad(cpu, VA)).toBe(DONE);
    expect(pte() & (A | D)).toBe(A);
    expect(rig.core.userStore(cpu, VA, 77n)).toBe(DONE);
    expect(pte() & (A | D)).toBe(A | D);
    expect(data()).toBe(77n);
  });

  test('a writable dirty entry goes on storing after the PTE was write-protected, until the flush', () => {
    const cpu = cpuWith(0, layout.MACHINE_RECHECK);
    rig.core.userStore(cpu, VA, 1n);
    rig.core.ptepSetWrprotect(slot);
    expect(rig.core.userStore(cpu, VA, 2n)).toBe(DONE);
    expect(data()).toBe(2n);
    rig.core.leaveUser(cpu);
    rig.core.flushMm(cpu, mm, VA, PAGE_LAST, STRIDE, false, 0);
    rig.core.enterUser(cpu);
    expect(rig.core.userStore(cpu, VA, 3n)).toBe(FAULTED);
    expect(data()).toBe(2n);
  });

  test('a stale read-only entry costs one fault, and then the store goes through', () => {
    rig.core.ptepSetWrprotect(slot);
    const cpu = cpuWith(0, layout.MACHINE_RECHECK);
    rig.core.userLoad(cpu, VA);
    rig.u64[slot / 8] = pte() | RW;
    expect(rig.core.userStore(cpu, VA, 1n)).toBe(FAULTED);
    expect(rig.core.userStore(cpu, VA, 1n)).toBe(DONE);
  });

  // A writable clean entry lingers (a load filled it), the PTE is write-protected, and then comes the first store.
  const machines = [
    ['recheck', layout.MACHINE_RECHECK, { stored: false, dirty: false }],
    ['nowcheck', layout.MACHINE_NOWCHECK, { stored: true, dirty: true }],
    ['blind', layout.MACHINE_BLIND, { stored: true, dirty: true }],
    ['lazy-lost', layout.MACHINE_LAZY_LOST, { stored: true, dirty: false }],
    ['lazy-wb', layout.MACHINE_LAZY_WB, { stored: true, dirty: false }],
    ['swdirty', layout.MACHINE_SWDIRTY, { stored: false, dirty: false }],
  ] as const;
  for (const [name, machine, expected] of machines) {
    test(`${name}: the first store through a writable clean entry of a PTE that was write-protected`, () => {
      const cpu = cpuWith(0, machine);
      rig.core.userLoad(cpu, VA);
      rig.core.ptepSetWrprotect(slot);
      const stored = rig.core.userStore(cpu, VA, 9n) === DONE;
      expect({ stored, dirty: (pte() & D) !== 0n }).toEqual(expected);
      expect(data()).toBe(expected.stored ? 9n : 0n);
    });
  }

  test('blind sets D even in a PTE that is none; nowcheck does not', () => {
    for (const [machine, left] of [
      [layout.MACHINE_BLIND, A | D],
      [layout.MACHINE_NOWCHECK, 0n],
    ] as const) {
      const before = pte();
      const cpu = cpuWith(0, machine);
      rig.core.userLoad(cpu, VA);
      rig.core.ptepGetAndClear(slot);
      rig.core.userStore(cpu, VA, 1n);
      expect(pte()).toBe(left);
      rig.u64[slot / 8] = before;
      rig.core.leaveUser(cpu);
      rig.core.loadMm(cpu, 0, 0);
    }
  });

  test('lazy-wb: D reaches the PTE when the entry is invalidated, lazy-lost: never', () => {
    for (const [machine, dirty] of [
      [layout.MACHINE_LAZY_WB, D],
      [layout.MACHINE_LAZY_LOST, 0n],
    ] as const) {
      rig.u64[slot / 8] = pte() & ~(A | D);
      const cpu = cpuWith(0, machine);
      rig.core.userStore(cpu, VA, 1n);
      expect(pte() & D).toBe(0n);
      rig.core.leaveUser(cpu);
      rig.core.flushMm(cpu, mm, VA, PAGE_LAST, STRIDE, false, 0);
      expect(pte() & D).toBe(dirty);
      rig.core.loadMm(cpu, 0, 0);
    }
  });

  test('an address that nothing maps faults, and so does one that user mode may not use', () => {
    const cpu = cpuWith(0, layout.MACHINE_RECHECK);
    expect(rig.core.userLoad(cpu, 0x1000n)).toBe(FAULTED);
    rig.core.map(space, 0x1000n, 0x1000n, 0x1000n, PROT_READ | PROT_WRITE, 0);
    expect(rig.core.userLoad(cpu, 0x1000n)).toBe(FAULTED);
  });
});

describe('requests', () => {
  beforeEach(() => scene());
  const stale = (cpu: number) => rig.core.userStore(cpu, VA, 5n) === DONE;

  test('nobody waits for a CPU outside user mode, and it answers before its next access', () => {
    const [self, other] = [cpuWith(0, 0), cpuWith(1, 0)];
    rig.core.userStore(other, VA, 1n);
    rig.core.leaveUser(self);
    rig.core.leaveUser(other);
    rig.core.ptepSetWrprotect(slot);
    expect(rig.core.flushMm(self, mm, VA, PAGE_LAST, STRIDE, false, 0)).toBe(1);
    rig.core.enterUser(other);
    expect(stale(other)).toBe(false);
  });

  test('several requests that wait become one that invalidates all', () => {
    const [self, other] = [cpuWith(0, 0), cpuWith(1, 0)];
    rig.core.userStore(other, VA, 1n);
    rig.core.leaveUser(self);
    rig.core.leaveUser(other);
    rig.core.ptepSetWrprotect(slot);
    // The one that covers the page is overwritten by nothing: the others name other pages.
    for (const va of [VA, 0x5000n, 0x9000n]) rig.core.flushMm(self, mm, va, va | 0xfffn, STRIDE, false, 0);
    rig.core.enterUser(other);
    expect(stale(other)).toBe(false);
  });

  test('more single invalidations than the ceiling flush all, exactly as many do not', () => {
    for (const [pages, left] of [
      [33n, true],
      [34n, false],
    ] as const) {
      const cpu = cpuWith(0, 0);
      rig.core.userStore(cpu, VA, 1n);
      rig.core.leaveUser(cpu);
      const first = 0x100000n;
      rig.core.flushMm(cpu, mm, first, first + pages * 0x1000n - 1n, STRIDE, false, 33 << layout.SHOOT_CEILING);
      rig.core.enterUser(cpu);
      // The entry is still there if a change of the PTE goes unseen.
      const entry = pte();
      rig.u64[slot / 8] = 0n;
      expect(stale(cpu)).toBe(left);
      rig.u64[slot / 8] = entry;
      rig.core.leaveUser(cpu);
      rig.core.loadMm(cpu, 0, 0);
    }
  });

  test('a lazy CPU that is skipped catches up when it comes back, and one that is asked gives the mm up', () => {
    const [self, other] = [cpuWith(0, 0), cpuWith(1, 0)];
    for (const skip of [layout.SHOOT_SKIP_LAZY, 0]) {
      rig.u64[slot / 8] = pte() | RW;
      rig.core.userStore(other, VA, 1n);
      rig.core.leaveUser(self);
      rig.core.leaveUser(other);
      rig.core.enterLazy(other);
      rig.core.ptepSetWrprotect(slot);
      expect(rig.core.flushMm(self, mm, VA, PAGE_LAST, STRIDE, false, skip)).toBe(skip === 0 ? 1 : 0);
      expect(rig.core.leaveLazy(other)).toBe(skip === 0 ? 0 : 1);
      if (skip === 0) rig.core.loadMm(other, mm, ASID);
      rig.core.enterUser(other);
      expect(stale(other)).toBe(false);
    }
  });

  test('a CPU that does not run the mm is not interrupted', () => {
    const [self, other] = [cpuWith(0, 0), cpuWith(1, 0)];
    rig.core.leaveUser(self);
    rig.core.leaveUser(other);
    rig.core.loadMm(other, 0, 0);
    expect(rig.core.flushMm(self, mm, VA, PAGE_LAST, STRIDE, false, 0)).toBe(0);
  });
});

const WRITER = `
  const { workerData: { module, memory, cpu, va, flags, seed } } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  core.attach(true);
  if (seed) core.tuneChaos(seed, 2, 4000);
  let next = 1n;
  let faults = 0;
  core.enterUser(cpu);
  while (Atomics.load(flags, 0) === 0) {
    const done = core.userStores(cpu, va, next, 64);
    next += BigInt(done);
    if (done < 64) {
      faults++;
      core.leaveUser(cpu);
      core.enterUser(cpu);
    }
  }
  core.leaveUser(cpu);
  Atomics.store(flags, 1, faults);
  Atomics.store(flags, 2, 1);
`;

type Twin = 'waited' | 'posted' | 'none';

/** Write-protects and flushes a page that two threads store to, and looks whether the word changes afterwards. */
async function shoot(build: 'release' | 'chaos', machine: number, twin: Twin, milliseconds: number) {
  await scene(build);
  const { core, memory, module } = rig;
  const self = core.createCpu(0, makeTlb(rig, TLB), machine) >>> 0;
  const crews = [1, 2].map((id) => {
    const cpu = core.createCpu(id, makeTlb(rig, TLB), machine) >>> 0;
    core.loadMm(cpu, mm, ASID);
    const flags = new Int32Array(new SharedArrayBuffer(12));
    const seed = build === 'chaos' ? id : 0;
    const worker = new Worker(WRITER, { eval: true, workerData: { module, memory, cpu, va: VA, flags, seed } });
    return { flags, ended: new Promise((resolve) => worker.once('exit', resolve)) };
  });
  await new Promise((resolve) => setTimeout(resolve, 150));
  const writable = pte() | D | A;
  let rounds = 0;
  let late = 0;
  let moved = 0;
  for (const end = Date.now() + milliseconds; Date.now() < end && (twin === 'waited' || late === 0); rounds++) {
    const before = data();
    core.setPte(slot, writable);
    // A while for the others, who may have to share this core; they are not always there.
    for (const until = performance.now() + 20; data() === before && performance.now() < until; );
    if (data() !== before) moved++;
    core.ptepSetWrprotect(slot);
    if (twin !== 'none') {
      core.flushMm(self, mm, VA, PAGE_LAST, STRIDE, false, twin === 'posted' ? layout.SHOOT_POSTED : 0);
    }
    const after = Atomics.load(rig.u64, word / 8);
    for (let n = 0; n < 2000; n++) {
      if (Atomics.load(rig.u64, word / 8) !== after) {
        late++;
        break;
      }
    }
  }
  for (const { flags } of crews) Atomics.store(flags, 0, 1);
  await Promise.all(crews.map(({ ended }) => ended));
  const faults = crews.map(({ flags }) => flags[1] as number);
  return { rounds, late, moved, faults };
}

describe('two CPUs on threads of their own store while a third write-protects and flushes', () => {
  for (const [build, name, machine] of [
    ['release', 'recheck', layout.MACHINE_RECHECK],
    ['release', 'nowcheck', layout.MACHINE_NOWCHECK],
    ['chaos', 'recheck', layout.MACHINE_RECHECK],
  ] as const) {
    test(`${build}, ${name}: once the flush has returned, no store lands`, { timeout: 30_000 }, async () => {
      const { rounds, late, moved, faults } = await shoot(build, machine, 'waited', 1500);
      expect(late).toBe(0);
      expect(rounds).toBeGreaterThan(10);
      // Both sides did something: stores landed while the page was writable, and were refused while it was not.
      expect(moved).toBeGreaterThan(0);
      expect(Math.min(...faults)).toBeGreaterThan(0);
    });
  }

  test('the check barks: a flush that is left out lets stores land', { timeout: 40_000 }, async () => {
    expect((await shoot('release', layout.MACHINE_RECHECK, 'none', 30_000)).late).toBeGreaterThan(0);
  });

  test('the check barks: a flush that is not waited for lets stores land', { timeout: 40_000 }, async () => {
    expect((await shoot('chaos', layout.MACHINE_RECHECK, 'posted', 30_000)).late).toBeGreaterThan(0);
  });
});
