// A shootdown beside a CPU that accesses, enters and leaves user mode, in every order of their steps.
//
// Guarantees: once a flush has returned no store lands through an entry that it covers; nobody waits for ever; the twins, a CPU that leaves
// user mode without looking at its requests and a flush that is not waited for, are caught.

import { expect, test } from 'vitest';
import { layout, makeSpace } from '../support/core.ts';
import { type Call, type ExploreRig, everyState, makeExploreRig } from '../support/stepper.ts';
import { makeTlb } from '../support/tlb.ts';

const { PROT_READ, PROT_USER, PROT_WRITE } = layout;
const VA = 0x40000000n;
const LAST = VA | 0xfffn;
const A = 0x20n;
const D = 0x40n;
const TLB = { arrays: [{ name: 'L1', level: 1, pages: [0], sets: 1, ways: 2 }] } as const;

interface Scene {
  rig: ExploreRig;
  mm: number;
  cpus: number[];
  slot: number;
  word: number;
}

/** `count` CPUs that run one mm with one page; those of `cached` hold it writable and dirty. */
async function makeScene(count: number, cached: number[]): Promise<Scene> {
  const rig = await makeExploreRig({ frames: 16, heapBytes: 1 << 16 });
  const { core } = rig;
  const space = makeSpace(rig);
  const frame = core.allocateFrame(layout.FRAME_DATA);
  core.map(space, VA, BigInt(frame) << 12n, 0x1000n, PROT_READ | PROT_WRITE | PROT_USER, 0);
  const mm = core.createMm(space, true) >>> 0;
  const slot = core.entryAddress(space, VA, 0) >>> 0;
  const word = core.frameAddress(frame) >>> 0;
  const cpus = Array.from({ length: count }, (_, id) => core.createCpu(id, makeTlb(rig, TLB), 0) >>> 0);
  for (const [id, cpu] of cpus.entries()) {
    core.loadMm(cpu, mm, 1);
    if (!cached.includes(id)) continue;
    core.enterUser(cpu);
    core.userStore(cpu, VA, 1n);
    core.leaveUser(cpu);
  }
  rig.u64[slot / 8] = (rig.u64[slot / 8] as bigint) | A | D;
  return { rig, mm, cpus, slot, word };
}

const wrprotectAndFlush = ({ mm, cpus, slot, word }: Scene, options = 0): Call[] => [
  (core) => core.ptepSetWrprotect(slot) as undefined,
  (core) => core.flushMm(cpus[0] as number, mm, VA, LAST, 12, false, options),
  // What the page says when the flush has returned.
  (core) => core.ptepGet(word),
];

const leave =
  (cpu: number): Call =>
  (core) =>
    core.leaveUser(cpu) as undefined;
const enter =
  (cpu: number): Call =>
  (core) =>
    core.enterUser(cpu) as undefined;
const store =
  (cpu: number, value: bigint): Call =>
  (core) =>
    core.userStore(cpu, VA, value);

/** Every order of a flush by CPU 0 and `program` of CPU 1, which begins in user mode if `user`; the schedules in which a store came late. */
async function race(options: number, user: boolean, program: (cpu: number) => Call[]) {
  const scene = await makeScene(2, [1]);
  const { rig, cpus, word } = scene;
  const late: string[] = [];
  const outcomes = new Set<string>();
  const found = everyState(
    rig,
    () => {
      if (user) rig.core.enterUser(cpus[1] as number);
      return [rig.cpu(...wrprotectAndFlush(scene, options)), rig.cpu(...program(cpus[1] as number))];
    },
    ([flusher, writer], schedule) => {
      const now = rig.u64[word / 8] as bigint;
      if (flusher?.results[2] !== now) late.push(schedule);
      outcomes.add(`${now}, ${writer?.results.join(' ')}`);
    },
  );
  return { ...found, late, outcomes };
}

const PROGRAMS: [string, boolean, (cpu: number) => Call[]][] = [
  ['stores and leaves user mode', true, (cpu) => [store(cpu, 2n), leave(cpu)]],
  ['enters user mode, stores and leaves', false, (cpu) => [enter(cpu), store(cpu, 2n), leave(cpu)]],
];

test.each(PROGRAMS)('once a flush has returned no store lands: a CPU that %s', async (...args) => {
  const [, user, program] = args;
  const { states, late, outcomes } = await race(0, user, program);
  expect(late).toEqual([]);
  expect(states).toBeGreaterThan(100);
  expect(outcomes.size).toBeGreaterThan(1);
});

test('caught: a CPU that leaves user mode without looking at its requests hangs whoever flushes', async () => {
  const mode = (cpu: number) => cpu + layout.CPU_MODE;
  const silent =
    (cpu: number): Call =>
    (core) =>
      core.storeAndWake(mode(cpu), layout.MODE_KERNEL) as undefined;
  await expect(race(0, true, (cpu) => [store(cpu, 2n), silent(cpu)])).rejects.toThrow(/deadlock/);
});

test('caught: a flush that is not waited for', async () => {
  const { late } = await race(layout.SHOOT_POSTED, true, (cpu) => [store(cpu, 2n), leave(cpu)]);
  expect(late.length).toBeGreaterThan(0);
});

test('two CPUs that store, write-protect and flush at each other: neither hangs, and afterwards neither can store', async () => {
  const scene = await makeScene(2, [0, 1]);
  const { rig, mm, cpus, slot } = scene;
  const program = (cpu: number): Call[] => [
    enter(cpu),
    store(cpu, 2n),
    leave(cpu),
    (core) => core.ptepSetWrprotect(slot) as undefined,
    (core) => core.flushMm(cpu, mm, VA, LAST, 12, false, 0),
    enter(cpu),
    store(cpu, 3n),
    leave(cpu),
  ];
  const first = new Set<unknown>();
  const { states } = everyState(
    rig,
    () => cpus.map((cpu) => rig.cpu(...program(cpu))),
    (done, schedule) => {
      for (const { results } of done) {
        first.add(results[1]);
        expect(results[4]).toBe(1);
        if (results[6] !== layout.FAULTED) expect.fail(`a store landed after the flush: schedule ${schedule}`);
      }
    },
  );
  expect([...first].sort()).toEqual([layout.DONE, layout.FAULTED]);
  expect(states).toBeGreaterThan(1000);
});
