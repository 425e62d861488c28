// A shootdown beside a CPU that accesses, enters and leaves user mode, in every order of their steps, and in every way to carry it out.
//
// Guarantees: once a flush has returned no store lands through an entry that it covers; nobody waits for ever; no walker reads a table that was freed
// after a flush said so. The twins are caught: a CPU that leaves user mode without looking at its requests, a flush that is not
// waited for, an early acknowledgement although tables go, lazy CPUs that are skipped then, or that look in the wrong order.

import { describe, expect, test } from 'vitest';
import { layout, reply } from '../support/core.ts';
import { CACHING, enter, flush, leave, load, look, makeScene, NEXT, type Scene, store, VA } from '../support/scene.ts';
import { type Call, type ExploreRig, everyState, makeExploreRig } from '../support/stepper.ts';

const {
  SHOOT_CONCURRENT,
  SHOOT_EARLY_ACK,
  SHOOT_EARLY_ACK_TABLES,
  SHOOT_POSTED,
  SHOOT_SKIP_LAZY,
  SHOOT_SKIP_LAZY_TABLES,
} = layout;
const small = () => makeExploreRig({ frames: 16, heapBytes: 1 << 16 });

/** Every order of a flush by CPU 0 and `program` of CPU 1, which begins in user mode if `user`; the schedules in which a store came late. */
async function race(options: number, user: boolean, program: (cpu: number) => Call[], hardware = 0) {
  const rig = await small();
  const { cpus, mm, slot, word } = makeScene(rig, { cpus: 2, cached: [1], hardware });
  const [flusher, other] = cpus as [number, number];
  const late: string[] = [];
  const outcomes = new Set<string>();
  const found = everyState(
    rig,
    () => {
      if (user) rig.core.enterUser(other);
      return [
        // What the page says when the flush has returned is what it says for ever.
        rig.cpu((core) => core.ptepSetWrprotect(slot) as undefined, flush(flusher, mm, options), look(word)),
        rig.cpu(...program(other)),
      ];
    },
    ([first, second], schedule) => {
      const now = rig.u64[word / 8] as bigint;
      if (first?.results[2] !== now) late.push(schedule);
      outcomes.add(`${now}, ${second?.results.join(' ')}`);
    },
  );
  return { ...found, late, outcomes };
}

const PROGRAMS = [
  ['stores and leaves user mode', true, (cpu: number) => [store(cpu, 2n), leave(cpu)]],
  ['enters user mode, stores and leaves', false, (cpu: number) => [enter(cpu), store(cpu, 2n), leave(cpu)]],
] as const;
const WAYS = {
  interrupts: [0, 0],
  'interrupts, the own TLB meanwhile': [SHOOT_CONCURRENT, 0],
  'interrupts that are acknowledged early': [SHOOT_EARLY_ACK | SHOOT_CONCURRENT, 0],
  broadcast: [0, layout.HW_BROADCAST],
} as const;

for (const [way, [options, hardware]] of Object.entries(WAYS)) {
  test.each(PROGRAMS)(`${way}: once a flush has returned no store lands: a CPU that %s`, async (_, user, program) => {
    const { states, late, outcomes } = await race(options, user, program, hardware);
    expect(late).toEqual([]);
    expect(states).toBeGreaterThan(50);
    expect(outcomes.size).toBeGreaterThan(1);
  });

  test(`${way}, caught: a flush that is not waited for`, async () => {
    const { late } = await race(options | SHOOT_POSTED, true, (cpu) => [store(cpu, 2n), leave(cpu)], hardware);
    expect(late.length).toBeGreaterThan(0);
  });
}

test('caught: a CPU that leaves user mode without looking at its requests hangs whoever flushes', async () => {
  const silent =
    (cpu: number): Call =>
    (core) =>
      core.storeAndWake(cpu + layout.CPU_MODE, layout.MODE_KERNEL) as undefined;
  await expect(race(0, true, (cpu) => [store(cpu, 2n), silent(cpu)])).rejects.toThrow(/deadlock/);
});

test('two CPUs that store, write-protect and flush at each other: neither hangs, and afterwards neither can store', async () => {
  const rig = await small();
  const { mm, cpus, slot } = makeScene(rig, { cpus: 2, cached: [0, 1] });
  const program = (cpu: number): Call[] => [
    enter(cpu),
    store(cpu, 2n),
    leave(cpu),
    (core) => core.ptepSetWrprotect(slot) as undefined,
    flush(cpu, mm),
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

/** Takes the table out, flushes as one does when tables go, and frees it. */
function freeTable({ cpus, mm, middle, table }: Scene, options: number, freedTables = true): Call[] {
  return [
    (core) => core.ptepGetAndClear(middle),
    flush(cpus[0] as number, mm, options, freedTables),
    (core) => core.putFrame(table),
  ];
}

/** Every order of that and of a program of CPU 1: was a table walked that was free? */
async function strays(options: number, freedTables: boolean, program: (rig: ExploreRig, scene: Scene) => Call[]) {
  const rig = await small();
  const hardware = layout.HW_WATCHED | layout.HW_SPECULATE;
  const scene = makeScene(rig, { cpus: 2, cached: [1], model: CACHING, hardware, prefetch: NEXT });
  const other = scene.cpus[1] as number;
  let stray = 0;
  const found = everyState(
    rig,
    () => {
      const calls = program(rig, scene);
      return [rig.cpu(...freeTable(scene, options, freedTables)), rig.cpu(...calls)];
    },
    () => {
      stray += rig.u32[(other + layout.CPU_STRAYS) / 4] as number;
    },
  );
  return { ...found, stray };
}

describe('the hardware walker and a table that goes (NOWALK)', () => {
  const user = (rig: ExploreRig, { cpus }: Scene): Call[] => {
    const cpu = cpus[1] as number;
    rig.core.enterUser(cpu);
    return [load(cpu), leave(cpu)];
  };
  /** Runs a kernel thread, and the walker goes on with what it knows of the mm that is kept. */
  const lazy = (rig: ExploreRig, { cpus }: Scene): Call[] => {
    const cpu = cpus[1] as number;
    rig.core.enterLazy(cpu);
    return [(core) => core.speculate(cpu, NEXT) as undefined];
  };

  test.each([
    ['waited for', 0],
    ['early acknowledgement, which does not hold for tables', SHOOT_EARLY_ACK],
  ])('a CPU in user mode that speculates before each access: %s', async (_, options) => {
    const { stray, states } = await strays(options, true, user);
    expect(stray).toBe(0);
    expect(states).toBeGreaterThan(100);
  });

  test('caught: an early acknowledgement although tables go', async () => {
    expect((await strays(SHOOT_EARLY_ACK | SHOOT_EARLY_ACK_TABLES, true, user)).stray).toBeGreaterThan(0);
  });

  test('a lazy CPU hears of tables that go, even if lazy CPUs are skipped otherwise (L3)', async () => {
    expect((await strays(SHOOT_SKIP_LAZY, true, lazy)).stray).toBe(0);
  });

  test('caught: a lazy CPU that is skipped although tables go (L4)', async () => {
    expect((await strays(SHOOT_SKIP_LAZY | SHOOT_SKIP_LAZY_TABLES, true, lazy)).stray).toBeGreaterThan(0);
  });
});

describe('a lazy CPU that is skipped, and comes back (L)', () => {
  /** How often a load through the old entry came after the frame was freed, and used again: 99 is the next owner's. */
  async function back(compareFirst: boolean) {
    const rig = await small();
    const { cpus, mm, slot, word } = makeScene(rig, { cpus: 2, cached: [1] });
    const [flusher, lazy] = cpus as [number, number];
    const reuse: Call = (core) => core.setPte(word, 99n) as undefined;
    const read: Call = (core) => (core.userLoad(lazy, VA) === layout.DONE ? reply(rig)[0] : -1n);
    let stale = 0;
    everyState(
      rig,
      () => {
        rig.core.enterLazy(lazy);
        return [
          rig.cpu((core) => core.ptepGetAndClear(slot), flush(flusher, mm, SHOOT_SKIP_LAZY), reuse),
          rig.cpu((core) => core.leaveLazy(lazy, compareFirst), enter(lazy), read, leave(lazy)),
        ];
      },
      ([, reader]) => {
        if (reader?.results[2] === 99n) stale++;
      },
    );
    return stale;
  }

  test('clears the flag and then compares generations: it never reads what is freed (L0)', async () => {
    expect(await back(false)).toBe(0);
  });

  test('caught: compares first (L1)', async () => {
    expect(await back(true)).toBeGreaterThan(0);
  });
});
