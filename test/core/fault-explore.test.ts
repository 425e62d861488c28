// Two CPUs that fault at once, or one that faults beside a kernel path, in every schedule of a few preemptions: one page for one address, no store
// lost, each first store recorded before the page can be taken for clean. The broken twins, by the handler's policy, are caught.

import { describe, expect, test } from 'vitest';
import { layout } from '../support/core.ts';
import { makeStage, type Stage } from '../support/kernelstage.ts';
import { PAGE, PRIVATE, RW, SHARED } from '../support/mm.ts';
import { type Cpu, type ExploreRig, interleaveBounded } from '../support/stepper.ts';

const VA = 0x400000n;
const { DONE, PG_ANON_EXCLUSIVE } = layout;

const pfnOf = (pte: bigint) => Number((pte >> 12n) & 0xffffffffffn);
const wordOf = ({ rig }: Stage, pfn: number, n: number) =>
  rig.u64[(rig.core.frameAddress(pfn) >>> 0) / 8 + n] as bigint;
const live = ({ scene }: Stage) => scene.u32(layout.CONTROL_LIVE);
/** A thread in user mode that makes one store. */
const stores = (rig: ExploreRig, cpu: number, va: bigint, value: bigint): Cpu =>
  rig.cpu(
    (core) => core.enterUser(cpu) as undefined,
    (core) => core.handledStore(cpu, va, value),
    (core) => core.leaveUser(cpu) as undefined,
  );
const isDone = (cpu: Cpu | undefined) => cpu?.results[1] === DONE;
const expectDone = (cpus: Cpu[]) => expect(cpus.map(isDone)).not.toContain(false);

describe('the first touch of a page by two CPUs', () => {
  /** Both store, each to a word of its own. In how many schedules one page with both stores came of it, or not. */
  async function touchTwice(policy: number, preemptions: number) {
    const stage = await makeStage();
    const { rig, scene, mm } = stage;
    scene.vma(mm, VA, 1);
    const cpus = [1, 2].map((id) => scene.cpu(id, layout.MACHINE_RECHECK, mm));
    for (const cpu of cpus) rig.core.setHandler(cpu, policy, 0);
    const before = live(stage);
    stage.save();
    const seen = { good: 0, lost: 0, leaked: 0 };
    const schedules = interleaveBounded(
      () => {
        stage.reset();
        return cpus.map((cpu, n) => stores(rig, cpu, VA + BigInt(n * 8), BigInt(n + 1)));
      },
      (ran) => {
        const done = ran.every(isDone);
        const pfn = pfnOf(scene.pte(mm, VA));
        const folio = rig.core.folioAddress(pfn) >>> 0;
        const both = done && wordOf(stage, pfn, 0) === 1n && wordOf(stage, pfn, 1) === 2n;
        // Three tables and one page.
        const balanced = live(stage) === before + 4 && scene.refs(pfn) === 1 && scene.mapcount(folio) === 1;
        if (!both) seen.lost++;
        if (!balanced) seen.leaked++;
        if (both && balanced) seen.good++;
      },
      preemptions,
    );
    return { seen, schedules };
  }

  test('gives one page, with both stores, and no frame is left over', { timeout: 120_000 }, async () => {
    const { seen, schedules } = await touchTwice(0, 2);
    expect(seen).toEqual({ good: schedules, lost: 0, leaked: 0 });
    expect(schedules).toBeGreaterThan(500);
  });

  test('a handler that does not look again loses a store, and a page', { timeout: 120_000 }, async () => {
    const { seen } = await touchTwice(layout.HANDLER_NO_PTE_SAME, 2);
    expect(seen.lost).toBeGreaterThan(0);
    expect(seen.leaked).toBeGreaterThan(0);
  });
});

describe('copy-on-write', () => {
  /** Parent and child share a page of which word 0 is 7; `writers` says which of them store, each to a word of its own, in which mm. */
  async function share(policy: number, writers: ('parent' | 'child')[]) {
    const stage = await makeStage();
    const { rig, scene, mm } = stage;
    scene.vma(mm, VA, 1);
    const child = scene.mm();
    const first = scene.cpu(1, layout.MACHINE_RECHECK, mm);
    rig.core.handledStore(first, VA, 7n);
    expect(rig.core.forkMm(scene.self, mm, child, 0)).toBe(1);
    rig.core.loadMm(first, 0, 0);
    const cpus = writers.map((side, n) => scene.cpu(n + 2, layout.MACHINE_RECHECK, side === 'parent' ? mm : child));
    for (const cpu of cpus) {
      rig.core.setHandler(cpu, policy, 0);
      rig.core.handledLoad(cpu, VA);
    }
    stage.save();
    return { stage, child, cpus };
  }

  /** Two threads of the child store at once. */
  async function twoThreads(policy: number, preemptions: number) {
    const { stage, child, cpus } = await share(policy, ['child', 'child']);
    const { rig, scene, mm } = stage;
    const before = live(stage);
    const old = pfnOf(scene.pte(mm, VA));
    const seen = { good: 0, lost: 0, leaked: 0 };
    const schedules = interleaveBounded(
      () => {
        stage.reset();
        return cpus.map((cpu, n) => stores(rig, cpu, VA + BigInt(n * 8), BigInt(n + 1)));
      },
      (ran) => {
        const pfn = pfnOf(scene.pte(child, VA));
        const both = ran.every(isDone) && wordOf(stage, pfn, 0) === 1n && wordOf(stage, pfn, 1) === 2n;
        const kept = pfnOf(scene.pte(mm, VA)) === old && wordOf(stage, old, 0) === 7n && wordOf(stage, old, 1) === 0n;
        const balanced = kept && live(stage) === before + 1 && scene.refs(pfn) === 1 && scene.refs(old) === 1;
        if (!both) seen.lost++;
        if (!balanced) seen.leaked++;
        if (both && balanced) seen.good++;
      },
      preemptions,
    );
    return { seen, schedules };
  }

  test('by two threads: one copy, no store is lost, and the parent keeps its page', { timeout: 120_000 }, async () => {
    const { seen, schedules } = await twoThreads(0, 2);
    expect(seen).toEqual({ good: schedules, lost: 0, leaked: 0 });
    expect(schedules).toBeGreaterThan(500);
  });

  test('with the copy under the page-table lock, the same', { timeout: 120_000 }, async () => {
    const { seen, schedules } = await twoThreads(layout.HANDLER_COPY_IN_PTL, 2);
    expect(seen).toEqual({ good: schedules, lost: 0, leaked: 0 });
  });

  test('a handler that does not compare the entry again loses a store', { timeout: 120_000 }, async () => {
    expect((await twoThreads(layout.HANDLER_NO_PTE_SAME, 2)).seen.lost).toBeGreaterThan(0);
  });

  const RULES = {
    exclusive: layout.HANDLER_REUSE_EXCLUSIVE,
    count: layout.HANDLER_REUSE_COUNT,
    mapcount: layout.HANDLER_REUSE_MAPCOUNT,
  };
  for (const [name, rule] of Object.entries(RULES)) {
    test(`by both sides at once, reuse by "${name}": each sees its own store and what was there before`, {
      timeout: 120_000,
    }, async () => {
      const { stage, child, cpus } = await share(rule, ['parent', 'child']);
      const { rig, scene, mm } = stage;
      const before = live(stage);
      let reused = 0;
      const old = pfnOf(scene.pte(mm, VA));
      const schedules = interleaveBounded(
        () => {
          stage.reset();
          return cpus.map((cpu, n) => stores(rig, cpu, VA + 8n, BigInt(n + 1)));
        },
        (ran, schedule) => {
          expectDone(ran);
          const pfns = [mm, child].map((of) => pfnOf(scene.pte(of, VA))) as [number, number];
          const words = pfns.map((pfn) => [wordOf(stage, pfn, 0), wordOf(stage, pfn, 1)]);
          expect({ schedule, words }).toEqual({
            schedule,
            words: [
              [7n, 1n],
              [7n, 2n],
            ],
          });
          expect(pfns[0]).not.toBe(pfns[1]);
          // One page more, or both copied and the old one went.
          expect(live(stage)).toBe(before + 1);
          if (pfns.includes(old)) reused++;
          for (const pfn of pfns)
            expect([scene.refs(pfn), scene.mapcount(rig.core.folioAddress(pfn) >>> 0)]).toEqual([1, 1]);
          if (rule === RULES.exclusive) {
            for (const pfn of pfns)
              expect(scene.flags(rig.core.folioAddress(pfn) >>> 0) & PG_ANON_EXCLUSIVE).not.toBe(0);
          }
        },
        2,
      );
      expect(reused).toBeGreaterThan(0);
      expect(reused).toBeLessThan(schedules);
    });
  }
});

describe('the first store against a write-protecting driver (scenario A)', () => {
  /** A CPU stores while the driver goes through its cycle. In how many schedules the device misses the store and no record tells of it. */
  async function cycle(kind: 'pfn' | 'page', policy: number, options = 0) {
    const stage = await makeStage();
    const { rig, scene, mm } = stage;
    const file = scene.file(1);
    const frame = kind === 'pfn' ? rig.core.allocateFrame(layout.FRAME_DATA) : 0;
    const driver = rig.core.createDriver(1, kind === 'pfn', frame) >>> 0;
    rig.core.setDriver(file, driver);
    const flags = SHARED | layout.VM_SOFTDIRTY | layout.VM_WRITENOTIFY | (kind === 'pfn' ? layout.VM_PFNMAP : 0);
    scene.vma(mm, VA, 1, flags, file);
    const user = scene.cpu(1, layout.MACHINE_RECHECK, mm);
    rig.core.setHandler(user, policy, 0);
    // The page is there, read-only and not recorded: what A2 needs.
    rig.core.handledLoad(user, VA);
    expect(scene.pte(mm, VA) & RW).toBe(0n);
    const device = scene.u32(driver + layout.DRIVER_DEVICE);
    stage.save();
    const seen = { good: 0, missed: 0 };
    const schedules = interleaveBounded(
      () => {
        stage.reset();
        return [
          stores(rig, user, VA, 5n),
          rig.cpu((core) => core.transferFile(scene.self, file, scene.path, options) as unknown as undefined),
        ];
      },
      ([store]) => {
        expect(isDone(store)).toBe(true);
        const uploaded = scene.u64(device) === 5n;
        const recorded = (scene.u64(scene.u32(driver + layout.DRIVER_RECORD)) & 1n) === 1n;
        if (uploaded || recorded) seen.good++;
        else seen.missed++;
      },
      3,
    );
    return { ...seen, schedules };
  }

  test('page_mkwrite as in Linux, the page lock held until the entry is writable: every store is uploaded or recorded (A0)', {
    timeout: 120_000,
  }, async () => {
    const { missed, schedules } = await cycle('page', layout.HANDLER_MKWRITE_LINUX);
    expect(missed).toBe(0);
    expect(schedules).toBeGreaterThan(300);
  });

  test('pfn_mkwrite with the lock held until the entry is writable: the same (A0)', { timeout: 120_000 }, async () => {
    expect((await cycle('pfn', layout.HANDLER_MKWRITE_HELD)).missed).toBe(0);
  });

  for (const [name, kind, policy, options] of [
    ['A1: no lock', 'pfn', layout.HANDLER_MKWRITE_NONE, 0],
    ['A2: the lock inside pfn_mkwrite only, as vmwgfx has it', 'pfn', layout.HANDLER_MKWRITE_LINUX, 0],
    ['A2: the page lock inside page_mkwrite only', 'page', layout.HANDLER_MKWRITE_INSIDE, 0],
    ['A1: page_mkwrite without the page lock', 'page', layout.HANDLER_MKWRITE_NONE, 0],
    ['A4: the driver takes no lock', 'pfn', layout.HANDLER_MKWRITE_HELD, layout.TRANSFER_UNLOCKED],
  ] as const) {
    test(`${name}: a store is missed in some schedule`, { timeout: 120_000 }, async () => {
      expect((await cycle(kind, policy, options)).missed).toBeGreaterThan(0);
    });
  }
});

describe('a page that is being migrated', () => {
  test('is waited for: the CPU is not runnable until the entry changes, and then the store lands in the new frame', async () => {
    const stage = await makeStage();
    const { rig, scene, mm } = stage;
    scene.vma(mm, VA, 1);
    const cpu = scene.cpu(1, layout.MACHINE_RECHECK, mm);
    rig.core.handledStore(cpu, VA, 1n);
    const slot = rig.core.entryAddress(scene.space(mm), VA, 0) >>> 0;
    const old = scene.u64(slot);
    const fresh = rig.core.allocateFolio();
    rig.u64[slot / 8] = rig.core.swpEntry(layout.SWP_MIGRATION_WRITE, pfnOf(old));
    rig.core.flushMm(scene.self, mm, VA, VA + PAGE - 1n, 12, false, 0);
    const store = stores(rig, cpu, VA, 2n);
    while (store.runnable) store.step();
    expect(store.done).toBe(false);
    expect(store.pending).toEqual({ address: slot, kind: layout.POINT_CHANGE_WIDE });
    // It holds neither the page-table lock nor the page lock.
    expect(scene.u32(rig.core.folioAddress(pfnOf(old)) >>> 0)).toBe(0);
    rig.u64[slot / 8] = (old & ~(0xffffffffffn << 12n)) | (BigInt(fresh) << 12n);
    store.finish();
    expect(isDone(store)).toBe(true);
    expect(wordOf(stage, fresh, 0)).toBe(2n);
  });
});

test('private memory that is not shared needs no copy: two stores of one thread leave its page where it is', async () => {
  const stage = await makeStage();
  const { rig, scene, mm } = stage;
  scene.vma(mm, VA, 1, PRIVATE);
  const cpu = scene.cpu(1, layout.MACHINE_RECHECK, mm);
  rig.core.handledStore(cpu, VA, 1n);
  const pfn = pfnOf(scene.pte(mm, VA));
  rig.core.ptepSetWrprotect(rig.core.entryAddress(scene.space(mm), VA, 0) >>> 0);
  rig.core.flushMm(scene.self, mm, VA, VA + PAGE - 1n, 12, false, 0);
  rig.core.handledStore(cpu, VA, 2n);
  expect(pfnOf(scene.pte(mm, VA))).toBe(pfn);
});
