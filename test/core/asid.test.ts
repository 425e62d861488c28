// Tags of mms: the PCIDs of one CPU, and the numbers that all CPUs share.
//
// Every mm maps the same address to a frame of its own, whose first word is the mm's number: a load that answers with another number went
// through the translation of another mm. Guarantees: none does, whoever switches, however often the numbers run out, on real threads
// too; without the flush of a roll-over it is caught; and a flush that is elided for a dying mm stands on that flush.

import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layout, makeRig, makeSpace, type Rig, reply } from '../support/core.ts';
import { mapFrame, VA } from '../support/scene.ts';
import { makeTlb } from '../support/tlb.ts';

const { ASIDS_GENERATION, ASIDS_ROLLOVERS, CPU_ASID, CPU_AVOIDED, CPU_FULL, DONE, MM_ASID, PCID_SLOTS } = layout;
const TLB = {
  arrays: [
    { name: 'L1', level: 1, pages: [0], sets: 1, ways: 16 },
    { name: 'PDE', level: 'structures', pages: [1], sets: 1, ways: 8 },
  ],
} as const;

interface OneMm {
  mm: number;
  space: number;
  slot: number;
  frame: number;
}

/** `count` mms, of which number n has n at its address. */
function makeMms(rig: Rig, count: number): OneMm[] {
  return Array.from({ length: count }, (_, n) => {
    const space = makeSpace(rig);
    const frame = mapFrame(rig, space, VA);
    rig.u64[(rig.core.frameAddress(frame) >>> 0) / 8] = BigInt(n);
    const mm = rig.core.createMm(space, true) >>> 0;
    return { mm, space, frame, slot: rig.core.entryAddress(space, VA, 0) >>> 0 };
  });
}

function makeCpu(rig: Rig, id: number, hardware: number): number {
  const cpu = rig.core.createCpu(id, makeTlb(rig, TLB), layout.MACHINE_RECHECK) >>> 0;
  rig.core.setHardware(cpu, hardware, 0n);
  return cpu;
}

/** What `cpu` finds at the address in user mode. */
function seen(rig: Rig, cpu: number): number {
  rig.core.enterUser(cpu);
  const done = rig.core.userLoad(cpu, VA);
  const [value] = reply(rig);
  rig.core.leaveUser(cpu);
  return done === DONE ? Number(value) : -1;
}

const u64At = (rig: Rig, at: number) => rig.u64[at / 8] as bigint;

describe('the PCIDs of a CPU (choose_new_asid)', () => {
  test('any sequence of switches and flushes: the slot and the flush of the dull model, and nobody sees another or what is gone', async () => {
    const MMS = 9;
    const command = fc.oneof(
      { weight: 4, arbitrary: fc.record({ op: fc.constant('switch' as const), cpu: fc.nat(1), mm: fc.nat(MMS - 1) }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('none' as const), cpu: fc.nat(1) }) },
      // The page moves to a frame that says something else, and the mm is flushed by a third CPU.
      { weight: 2, arbitrary: fc.record({ op: fc.constant('move' as const), mm: fc.nat(MMS - 1) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60, size: 'max' }), async (commands) => {
        const rig = await makeRig({ frames: 256 });
        const { core, u64 } = rig;
        const mms = makeMms(rig, MMS);
        const cpus = [0, 1].map((id) => makeCpu(rig, id, 0));
        const third = makeCpu(rig, 2, 0);
        const says = mms.map((_, n) => n);
        // Of each CPU: who has which slot and up to which flush, the slot to be given next, who is loaded.
        const model = cpus.map(() => ({ slots: [] as { mm: number; flushes: number }[], next: 0, loaded: -1 }));
        const flushes = mms.map(() => 0);
        for (const command of commands) {
          if (command.op === 'move') {
            const one = mms[command.mm] as OneMm;
            const fresh = core.allocateFrame(layout.FRAME_DATA);
            says[command.mm] = (says[command.mm] as number) + 100;
            u64[(core.frameAddress(fresh) >>> 0) / 8] = BigInt(says[command.mm] as number);
            const entry = (u64[one.slot / 8] as bigint) & ~0xffffffffff000n;
            u64[one.slot / 8] = entry | (BigInt(fresh) << 12n);
            core.flushMm(third, one.mm, VA, VA | 0xfffn, 12, false, 0);
            core.putFrame(one.frame);
            one.frame = fresh;
            flushes[command.mm] = (flushes[command.mm] as number) + 1;
            for (const cpu of model) {
              // Who has it loaded is told, and current when it looks next.
              const slot = cpu.slots.find(({ mm }) => mm === command.mm);
              if (cpu.loaded === command.mm && slot) slot.flushes = flushes[command.mm] as number;
            }
            continue;
          }
          const cpu = cpus[command.cpu] as number;
          const dull = model[command.cpu] as (typeof model)[0];
          if (command.op === 'none') {
            core.takeInterrupts(cpu);
            core.switchMm(cpu, 0);
            dull.loaded = -1;
            expect(seen(rig, cpu)).toBe(-1);
            continue;
          }
          core.takeInterrupts(cpu);
          const full = u64At(rig, cpu + CPU_FULL);
          core.switchMm(cpu, (mms[command.mm] as OneMm).mm);
          const flushed = Number(u64At(rig, cpu + CPU_FULL) - full);
          let due = 0;
          if (dull.loaded !== command.mm) {
            let slot = dull.slots.findIndex((each) => each?.mm === command.mm);
            if (slot < 0) {
              slot = dull.next % PCID_SLOTS;
              dull.next = slot + 1;
              due = 1;
            } else if ((dull.slots[slot]?.flushes as number) < (flushes[command.mm] as number)) due = 1;
            dull.slots[slot] = { mm: command.mm, flushes: flushes[command.mm] as number };
            dull.loaded = command.mm;
            expect(rig.u32[(cpu + CPU_ASID) / 4]).toBe(slot + 1);
          }
          expect(flushed).toBe(due);
          expect(seen(rig, cpu)).toBe(says[command.mm]);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('an mm that comes back finds its translation', async () => {
    const rig = await makeRig({ frames: 64 });
    const [first, second] = makeMms(rig, 2) as [OneMm, OneMm];
    const cpu = makeCpu(rig, 0, 0);
    for (const { mm } of [first, second, first]) {
      rig.core.switchMm(cpu, mm);
      seen(rig, cpu);
    }
    expect(u64At(rig, cpu + layout.CPU_WALKS)).toBe(2n);
    expect(u64At(rig, cpu + CPU_AVOIDED)).toBe(1n);
  });

  test('an mm at the address of one that is gone is another one', async () => {
    const rig = await makeRig({ frames: 64 });
    const [first, second] = makeMms(rig, 2) as [OneMm, OneMm];
    const cpu = makeCpu(rig, 0, 0);
    rig.core.switchMm(cpu, first.mm);
    seen(rig, cpu);
    rig.core.switchMm(cpu, 0);
    rig.core.freeMm(first.mm);
    const again = rig.core.createMm(second.space, true) >>> 0;
    expect(again).toBe(first.mm);
    rig.core.switchMm(cpu, again);
    expect(seen(rig, cpu)).toBe(1);
  });
});

describe('numbers that all CPUs share (check_and_switch_context)', () => {
  const BITS = 3;
  const MMS = 12;

  test('any sequence of switches: no two mms have one number in one generation, who runs keeps its number, nobody sees another', async () => {
    const switches = fc.array(fc.record({ cpu: fc.nat(2), mm: fc.nat(MMS - 1) }), { maxLength: 120, size: 'max' });
    let rolled = 0;
    await fc.assert(
      fc.asyncProperty(switches, async (commands) => {
        const rig = await makeRig({ frames: 128 });
        const mms = makeMms(rig, MMS);
        const asids = rig.core.createAsids(BITS, 0) >>> 0;
        const cpus = [0, 1, 2].map((id) => makeCpu(rig, id, layout.HW_BROADCAST));
        const running: (number | undefined)[] = [];
        for (const { cpu, mm } of commands) {
          const before = running.map((each) =>
            each === undefined ? 0n : u64At(rig, (mms[each] as OneMm).mm + MM_ASID),
          );
          rig.core.switchMmAllocated(cpus[cpu] as number, (mms[mm] as OneMm).mm, asids);
          running[cpu] = mm;
          const generation = u64At(rig, asids + ASIDS_GENERATION) >> 16n;
          const contexts = mms
            .map((each) => u64At(rig, each.mm + MM_ASID))
            .filter((each) => each >> 16n === generation);
          expect(new Set(contexts).size).toBe(contexts.length);
          expect(contexts.some((each) => (each & 0xffffn) === 0n)).toBe(false);
          for (const [n, each] of running.entries()) {
            if (each === undefined || n === cpu) continue;
            const now = u64At(rig, (mms[each] as OneMm).mm + MM_ASID);
            expect(now & 0xffffn).toBe((before[n] as bigint) & 0xffffn);
            expect(rig.u32[((cpus[n] as number) + CPU_ASID) / 4]).toBe(Number(now & 0xffffn));
          }
          for (const [n, each] of running.entries())
            if (each !== undefined) expect(seen(rig, cpus[n] as number)).toBe(each);
        }
        rolled += rig.u32[(asids + ASIDS_ROLLOVERS) / 4] as number;
      }),
      { numRuns: 60 },
    );
    expect(rolled).toBeGreaterThan(20);
  });

  const SWITCHER = `
    const { workerData: { module, memory, cpu, mms, asids, va, reply, flags, seed, chaos }, parentPort } = require('node:worker_threads');
    const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
    const agent = core.attach(true);
    if (chaos) core.tuneChaos(seed, 3, 2000);
    const words = new BigUint64Array(memory.buffer);
    let state = seed;
    const random = (n) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    let wrong = 0;
    let switches = 0;
    while (Atomics.load(flags, 0) === 0) {
      const n = random(mms.length);
      core.switchMmAllocated(cpu, mms[n], asids);
      switches++;
      core.enterUser(cpu);
      for (let k = 0; k < 20; k++) {
        core.userLoad(cpu, va);
        if (words[(reply(agent)) / 8] !== BigInt(n)) wrong++;
      }
      core.leaveUser(cpu);
    }
    parentPort.postMessage({ wrong, switches });
  `.replace('reply(agent)', `(${layout.AGENTS} + agent * ${layout.AGENT_BYTES} + ${layout.AGENT_REPLY})`);

  /** Two threads switch their CPUs among many mms with few numbers, until the time is up or a load was wrong. */
  async function switching(build: 'release' | 'chaos', flags: number, milliseconds: number) {
    const rig = await makeRig({ frames: 128, build });
    const mms = makeMms(rig, MMS).map(({ mm }) => mm);
    const asids = rig.core.createAsids(BITS, flags) >>> 0;
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const ends = [0, 1].map((id) => {
      const cpu = makeCpu(rig, id, layout.HW_BROADCAST);
      const { module, memory } = rig;
      const workerData = {
        module,
        memory,
        cpu,
        mms,
        asids,
        va: VA,
        flags: shared,
        seed: 77 + id,
        chaos: build === 'chaos',
      };
      const worker = new Worker(SWITCHER, { eval: true, workerData });
      return new Promise<{ wrong: number; switches: number }>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    });
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    Atomics.store(shared, 0, 1);
    const reports = await Promise.all(ends);
    const sum = (of: 'wrong' | 'switches') => reports.reduce((all, report) => all + report[of], 0);
    return { wrong: sum('wrong'), switches: sum('switches'), rolled: rig.u32[(asids + ASIDS_ROLLOVERS) / 4] as number };
  }

  test.each(['release', 'chaos'] as const)(
    '%s: on two threads nobody sees the translation of another mm',
    async (build) => {
      const { wrong, switches, rolled } = await switching(build, 0, 1500);
      expect(wrong).toBe(0);
      expect(switches).toBeGreaterThan(100);
      expect(rolled).toBeGreaterThan(10);
    },
  );

  test('caught: no flush after a roll-over', async () => {
    expect((await switching('release', layout.ASIDS_NO_FLUSH, 1500)).wrong).toBeGreaterThan(0);
  });

  /**
   * A dying mm is taken apart by a gather that elides its flush; its frame is handed out again; then so many mms run that its number comes
   * round again. What does the CPU find at the address, where the last mm maps nothing?
   */
  async function elided(flags: number, shoot: number, dropped = false) {
    const rig = await makeRig({ frames: 128 });
    const { core } = rig;
    const asids = core.createAsids(2, flags) >>> 0;
    const [cpu, kernel] = [0, 1].map((id) => makeCpu(rig, id, layout.HW_BROADCAST)) as [number, number];
    const [dying, ...others] = makeMms(rig, 4) as [OneMm, ...OneMm[]];
    core.switchMmAllocated(cpu, dying.mm, asids);
    expect(seen(rig, cpu)).toBe(0);
    const path = core.heapAllocate(layout.PATH_BYTES) >>> 0;
    const gather = path + layout.PATH_GATHER;
    core.gatherMmu(gather, dying.mm, kernel, true, shoot);
    core.zapRange(path, dying.mm, VA, VA | 0xfffn);
    core.finishGather(gather);
    const reused = core.allocateFrame(layout.FRAME_DATA);
    expect(reused).toBe(dying.frame);
    rig.u64[(core.frameAddress(reused) >>> 0) / 8] = 4711n;
    const number = u64At(rig, dying.mm + MM_ASID) & 0xffffn;
    if (dropped) {
      core.switchMmAllocated(cpu, 0, asids);
      core.freeMm(dying.mm);
    }
    for (let n = 0; n < 12; n++) {
      const space = makeSpace(rig);
      const mm = core.createMm(space, true) >>> 0;
      core.switchMmAllocated(cpu, mm, asids);
      if ((u64At(rig, mm + MM_ASID) & 0xffffn) === number) return { found: seen(rig, cpu), others: others.length };
    }
    throw new Error('the number did not come round');
  }

  test('a dying mm whose flush is elided is not seen by who gets its number after a roll-over (H2)', async () => {
    expect((await elided(0, layout.SHOOT_ELIDE_FULLMM)).found).toBe(-1);
  });

  test('caught: neither that flush nor that of the roll-over (H3); one of them is enough', async () => {
    expect((await elided(layout.ASIDS_NO_FLUSH, layout.SHOOT_ELIDE_FULLMM)).found).toBe(4711);
    expect((await elided(layout.ASIDS_NO_FLUSH, 0)).found).toBe(-1);
  });

  /** 40 mms, one after the other, each run and gone: how often the numbers run out. */
  async function shortLived(flags: number): Promise<number> {
    const rig = await makeRig({ frames: 256 });
    const asids = rig.core.createAsids(2, flags) >>> 0;
    const cpu = makeCpu(rig, 0, layout.HW_BROADCAST);
    const path = rig.core.heapAllocate(layout.PATH_BYTES) >>> 0;
    rig.bytes.fill(0, path, path + layout.PATH_BYTES);
    for (const { mm, frame } of makeMms(rig, 40)) {
      rig.core.insertVma(mm, VA, VA + 0x1000n, layout.VM_READ, 0, 0n);
      rig.core.switchMmAllocated(cpu, mm, asids);
      expect(seen(rig, cpu)).toBe(Number(rig.u64[(rig.core.frameAddress(frame) >>> 0) / 8]));
      rig.core.putMm(cpu, mm, path, 0);
      rig.core.switchMmAllocated(cpu, 0, asids);
      rig.core.freeMm(mm);
    }
    return rig.u32[(asids + ASIDS_ROLLOVERS) / 4] as number;
  }

  test('the numbers of mms that are gone come back with a roll-over, or at once', async () => {
    expect(await shortLived(0)).toBeGreaterThan(10);
    expect(await shortLived(layout.ASIDS_RECYCLE)).toBe(0);
  });

  test('a number that comes back at once stands on the flush of exit_mmap(); caught: that flush is elided', async () => {
    expect((await elided(layout.ASIDS_RECYCLE, 0, true)).found).toBe(-1);
    expect((await elided(layout.ASIDS_RECYCLE, layout.SHOOT_ELIDE_FULLMM, true)).found).toBe(4711);
    expect((await elided(0, layout.SHOOT_ELIDE_FULLMM, true)).found).toBe(-1);
  });

  test('a number of an older generation does not come back twice', async () => {
    const rig = await makeRig({ frames: 128 });
    const asids = rig.core.createAsids(2, layout.ASIDS_RECYCLE) >>> 0;
    const cpu = makeCpu(rig, 0, layout.HW_BROADCAST);
    const [old, ...others] = makeMms(rig, 5) as [OneMm, ...OneMm[]];
    for (const { mm } of [old, ...others]) rig.core.switchMmAllocated(cpu, mm, asids);
    expect(rig.u32[(asids + ASIDS_ROLLOVERS) / 4]).toBe(1);
    // Its number is another's by now, who goes on under it.
    rig.core.freeMm(old.mm);
    const fresh = makeMms(rig, 1) as [OneMm];
    rig.core.switchMmAllocated(cpu, fresh[0].mm, asids);
    const generation = u64At(rig, asids + ASIDS_GENERATION) >> 16n;
    const running = [...others, ...fresh]
      .map(({ mm }) => u64At(rig, mm + MM_ASID))
      .filter((each) => each >> 16n === generation);
    expect(new Set(running).size).toBe(running.length);
  });

  test('an mm under a tag that is taken to be current sees who had it before; flushed, it does not', async () => {
    const rig = await makeRig({ frames: 64 });
    const [first] = makeMms(rig, 1) as [OneMm];
    const empty = rig.core.createMm(makeSpace(rig), true) >>> 0;
    for (const [load, found] of [
      ['loadMmUnflushed', 0],
      ['loadMm', -1],
    ] as const) {
      const cpu = makeCpu(rig, 0, 0);
      rig.core.loadMm(cpu, first.mm, 1);
      seen(rig, cpu);
      rig.core[load](cpu, empty, 1);
      expect(seen(rig, cpu)).toBe(found);
      rig.core.loadMm(cpu, 0, 0);
    }
  });
});
