// What one access of a CPU does, step by step: fetches, faults and what is known of them, the walker's caches, and what hardware does unasked.

import { beforeEach, describe, expect, test } from 'vitest';
import type { TlbModel } from '../../src/machine/tlb.ts';
import { layout, makeRig, makeSpace, type Rig, reply } from '../support/core.ts';
import { type Call, type Cpu, everyState, makeExploreRig } from '../support/stepper.ts';
import { counts, makeTlb, standing } from '../support/tlb.ts';

const { DONE, FAULTED, PROT_EXECUTE, PROT_READ, PROT_USER, PROT_WRITE } = layout;
const { ACCESS_EXECUTE, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } = layout;
const RW_USER = PROT_READ | PROT_WRITE | PROT_USER;
const VA = 0x7f0000001000n;
const NEXT = VA + 0x1000n;
const ASID = 3;
const [P, RW, US, A, D] = [1n, 2n, 4n, 0x20n, 0x40n];
/** Error code bits of a page fault on x86. */
const CODE = { P: 1, W: 2, U: 4, RSVD: 8, I: 16 };

const PLAIN: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0, 1, 2], sets: 4, ways: 4 }] };
const CACHING: TlbModel = {
  arrays: [
    { name: 'L1', level: 1, pages: [0, 1, 2], sets: 4, ways: 4 },
    { name: 'PDE', level: 'structures', pages: [1], sets: 1, ways: 2 },
    { name: 'PDPTE', level: 'structures', pages: [2, 3], sets: 1, ways: 2 },
  ],
};

interface Scene {
  rig: Rig;
  space: number;
  mm: number;
  tlb: number;
  cpu: number;
  frames: number[];
}

interface Options {
  model?: TlbModel;
  machine?: number;
  hardware?: number;
  prefetch?: bigint;
  prot?: number;
}

/** One CPU in user mode, and two pages in a row. */
function dress(rig: Rig, options: Options = {}): Scene {
  const { model = PLAIN, machine = layout.MACHINE_RECHECK, hardware = 0, prefetch = 0n, prot = RW_USER } = options;
  const { core } = rig;
  const space = makeSpace(rig);
  const frames = [VA, NEXT].map((va) => {
    const frame = core.allocateFrame(layout.FRAME_DATA);
    expect(core.map(space, va, BigInt(frame) << 12n, 0x1000n, prot, 0)).toBe(layout.STATUS_OK);
    return frame;
  });
  const mm = core.createMm(space, true) >>> 0;
  const tlb = makeTlb(rig, model);
  const cpu = core.createCpu(0, tlb, machine) >>> 0;
  core.setHardware(cpu, hardware, prefetch);
  core.loadMm(cpu, mm, ASID);
  core.enterUser(cpu);
  return { rig, space, mm, tlb, cpu, frames };
}

const slotOf = ({ rig, space }: Scene, va: bigint, level = 0) => (rig.core.entryAddress(space, va, level) >>> 0) / 8;
const word = ({ rig, frames }: Scene, n: number) => (rig.core.frameAddress(frames[n] as number) >>> 0) / 8;
const counter = ({ rig, cpu }: Scene, at: number) => Number(rig.u64[(cpu + at) / 8]);

function fault({ rig, cpu }: Scene) {
  const at = (offset: number) => rig.u32[(cpu + offset) / 4] as number;
  return {
    va: rig.u64[(cpu + layout.CPU_FAULT_VA) / 8],
    access: at(layout.CPU_FAULT_ACCESS),
    cause: at(layout.CPU_FAULT_CAUSE),
    level: at(layout.CPU_FAULT_LEVEL),
    code: at(layout.CPU_FAULT_CODE),
    cached: at(layout.CPU_FAULT_CACHED) === 1,
  };
}

describe('faults', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await makeRig({ frames: 64 });
  });

  test('nothing is mapped: the level that says so, and what the access was', () => {
    const scene = dress(rig);
    const { core } = rig;
    const far = 0x123456789000n;
    expect(core.userStore(scene.cpu, far | 0x7ban, 1n)).toBe(FAULTED);
    const about = { va: far | 0x7ban, cause: layout.FAULT_ABSENT, level: 3, cached: false };
    expect(fault(scene)).toEqual({ ...about, access: ACCESS_WRITE | ACCESS_USER, code: CODE.W | CODE.U });
    expect(core.userLoad(scene.cpu, VA + 0x2000n)).toBe(FAULTED);
    expect(fault(scene)).toMatchObject({ va: VA + 0x2000n, access: ACCESS_READ | ACCESS_USER, level: 0, code: CODE.U });
    expect(core.userFetch(scene.cpu, VA + 0x2000n)).toBe(FAULTED);
    expect(fault(scene)).toMatchObject({ access: ACCESS_EXECUTE | ACCESS_USER, code: CODE.U | CODE.I });
  });

  test('rights: by the walk, and by an entry that the TLB holds', () => {
    const scene = dress(rig, { prot: PROT_READ | PROT_USER });
    const { core } = rig;
    const about = { va: VA, access: ACCESS_WRITE | ACCESS_USER, cause: layout.FAULT_PROTECTION, level: 0 };
    const code = CODE.P | CODE.W | CODE.U;
    expect(core.userStore(scene.cpu, VA, 1n)).toBe(FAULTED);
    expect(fault(scene)).toEqual({ ...about, code, cached: false });
    // A walk that refuses sets no A and fills nothing.
    expect((rig.u64[slotOf(scene, VA)] as bigint) & A).toBe(0n);
    expect(core.tlbCountValid(scene.tlb)).toBe(0);
    expect(core.userLoad(scene.cpu, VA)).toBe(DONE);
    expect(core.userStore(scene.cpu, VA, 1n)).toBe(FAULTED);
    expect(fault(scene)).toEqual({ ...about, code, cached: true });
    expect(core.tlbCountValid(scene.tlb)).toBe(0);
  });

  test('a supervisor page, a page that is not for execution, a reserved bit, a table that is nowhere, an address that is none', () => {
    const scene = dress(rig);
    const { core, u64 } = rig;
    const slot = slotOf(scene, VA);
    const entry = u64[slot] as bigint;
    const cases: [() => number, Partial<ReturnType<typeof fault>>][] = [
      [
        () => {
          u64[slot] = entry & ~US;
          return core.userLoad(scene.cpu, VA);
        },
        { cause: layout.FAULT_PROTECTION, code: CODE.P | CODE.U },
      ],
      [
        () => {
          u64[slot] = entry | (1n << 63n);
          return core.userFetch(scene.cpu, VA);
        },
        { cause: layout.FAULT_PROTECTION, code: CODE.P | CODE.U | CODE.I },
      ],
      [
        () => {
          u64[slot] = entry | (1n << 50n);
          return core.userLoad(scene.cpu, VA);
        },
        { cause: layout.FAULT_RESERVED, code: CODE.P | CODE.RSVD | CODE.U },
      ],
      [
        () => {
          u64[slotOf(scene, VA, 1)] = (0x3fffffff000n & ~0xfffn) | P | RW | US;
          return core.userLoad(scene.cpu, VA);
        },
        { cause: layout.FAULT_UNBACKED, level: 0 },
      ],
      [() => core.userLoad(scene.cpu, 0x8000_0000_0000n), { cause: layout.FAULT_NON_CANONICAL }],
    ];
    for (const [access, expected] of cases) {
      expect(access()).toBe(FAULTED);
      expect(fault(scene)).toMatchObject(expected);
    }
    expect(counter(scene, layout.CPU_FAULTS)).toBe(cases.length);
  });

  test('a clean page on hardware that does not set D: a store faults on rights, and not any more once D is set', () => {
    const scene = dress(rig, { machine: layout.MACHINE_SWDIRTY });
    const { core, u64 } = rig;
    expect(core.userLoad(scene.cpu, VA)).toBe(DONE);
    expect(core.userStore(scene.cpu, VA, 1n)).toBe(FAULTED);
    expect(fault(scene)).toMatchObject({
      cause: layout.FAULT_PROTECTION,
      cached: true,
      code: CODE.P | CODE.W | CODE.U,
    });
    expect(core.userStore(scene.cpu, VA, 1n)).toBe(FAULTED);
    expect(fault(scene)).toMatchObject({ cause: layout.FAULT_PROTECTION, cached: false });
    u64[slotOf(scene, VA)] = (u64[slotOf(scene, VA)] as bigint) | D;
    expect(core.userStore(scene.cpu, VA, 1n)).toBe(DONE);
  });

  test('a CPU without an mm faults', () => {
    const scene = dress(rig);
    rig.core.leaveUser(scene.cpu);
    rig.core.loadMm(scene.cpu, 0, 0);
    rig.core.enterUser(scene.cpu);
    expect(rig.core.userLoad(scene.cpu, VA)).toBe(FAULTED);
  });
});

test('a fetch goes through the TLB for instructions, a load through that for data', async () => {
  const model: TlbModel = {
    arrays: [
      { name: 'I', level: 1, serves: 'fetch', pages: [0], sets: 1, ways: 4 },
      { name: 'D', level: 1, serves: 'data', pages: [0], sets: 1, ways: 4 },
    ],
  };
  const scene = dress(await makeRig({ frames: 32 }), { model, prot: RW_USER | PROT_EXECUTE });
  const { rig, cpu, tlb } = scene;
  rig.u64[word(scene, 0)] = 0x90n;
  const fills = () => counts(rig, tlb, model).arrays.map(({ fills }) => fills);
  expect(rig.core.userFetch(cpu, VA)).toBe(DONE);
  expect(reply(rig)[0]).toBe(0x90n);
  expect(fills()).toEqual([1, 0]);
  expect(rig.core.userLoad(cpu, VA)).toBe(DONE);
  expect(fills()).toEqual([1, 1]);
  rig.core.userFetch(cpu, VA);
  const { accesses, misses, arrays } = counts(rig, tlb, model);
  expect({ accesses, misses, hits: arrays.map(({ hits }) => hits) }).toEqual({ accesses: 3, misses: 2, hits: [1, 0] });
});

describe('ADSET', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await makeRig({ frames: 64 });
  });

  test('takes what the PTE says now: a store goes to the frame that is mapped there meanwhile', () => {
    const scene = dress(rig);
    const { core, u64, frames } = { ...rig, ...scene };
    expect(core.userLoad(scene.cpu, VA)).toBe(DONE);
    const slot = slotOf(scene, VA);
    u64[slot] = ((u64[slot] as bigint) & 0xfffn) | (BigInt(frames[1] as number) << 12n);
    expect(core.userStore(scene.cpu, VA, 5n)).toBe(DONE);
    expect([u64[word(scene, 0)], u64[word(scene, 1)]]).toEqual([0n, 5n]);
    expect((u64[slot] as bigint) & D).toBe(D);
    // And the entry has learned it.
    u64[slot] = 0n;
    expect(core.userStore(scene.cpu, VA, 6n)).toBe(DONE);
    expect(u64[word(scene, 1)]).toBe(6n);
  });

  test('walks again where the slot of a large page refers to a table now', () => {
    const scene = dress(rig);
    const { core, u64 } = rig;
    const first = core.allocateFrames(1, 1, layout.FRAME_DATA);
    const large = 0x40000000n;
    // A large page whose first frame is in memory; only that is used.
    const base = BigInt(first) & ~511n;
    expect(core.map(scene.space, large, base << 12n, 0x200000n, RW_USER, 1)).toBe(layout.STATUS_OK);
    const at = large + ((BigInt(first) & 511n) << 12n);
    expect(core.userLoad(scene.cpu, at)).toBe(DONE);
    expect(core.split(scene.space, large, 0)).toBe(layout.STATUS_OK);
    const middle = u64[slotOf(scene, large, 1)] as bigint;
    expect(core.userStore(scene.cpu, at, 9n)).toBe(DONE);
    expect(u64[slotOf(scene, large, 1)]).toBe(middle | A);
    expect((u64[slotOf(scene, at)] as bigint) & D).toBe(D);
  });

  test('nowcheck stores once through an entry whose PTE lost W, and then the entry knows', () => {
    const scene = dress(rig, { machine: layout.MACHINE_NOWCHECK });
    rig.core.userLoad(scene.cpu, VA);
    rig.core.ptepSetWrprotect(slotOf(scene, VA) * 8);
    expect(rig.core.userStore(scene.cpu, VA, 1n)).toBe(DONE);
    expect(rig.core.userStore(scene.cpu, VA, 2n)).toBe(FAULTED);
    expect(rig.u64[word(scene, 0)]).toBe(1n);
  });

  test('lazy-wb: an entry that makes room writes its D back, lazy-lost does not', () => {
    for (const [machine, want] of [
      [layout.MACHINE_LAZY_WB, D],
      [layout.MACHINE_LAZY_LOST, 0n],
    ] as const) {
      const model: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0], sets: 1, ways: 1 }] };
      const scene = dress(rig, { machine, model });
      rig.core.userStore(scene.cpu, VA, 1n);
      expect((rig.u64[slotOf(scene, VA)] as bigint) & D).toBe(0n);
      rig.core.userLoad(scene.cpu, NEXT);
      expect((rig.u64[slotOf(scene, VA)] as bigint) & D).toBe(want);
      rig.core.leaveUser(scene.cpu);
    }
  });

  test('lazy-wb: an entry that is evicted writes its D back, also of a TLB that others invalidate in', () => {
    for (const hardware of [0, layout.HW_BROADCAST]) {
      for (const [machine, want] of [
        [layout.MACHINE_LAZY_WB, D],
        [layout.MACHINE_LAZY_LOST, 0n],
      ] as const) {
        const scene = dress(rig, { machine });
        rig.core.setHardware(scene.cpu, hardware, 0n);
        rig.core.userStore(scene.cpu, VA, 1n);
        expect((rig.u64[slotOf(scene, VA)] as bigint) & D).toBe(0n);
        rig.core.evict(scene.cpu, VA);
        expect(rig.core.tlbCountValid(scene.tlb)).toBe(0);
        expect((rig.u64[slotOf(scene, VA)] as bigint) & D).toBe(want);
        rig.core.leaveUser(scene.cpu);
      }
    }
  });
});

describe('the paging-structure cache', () => {
  test('a walk begins below what it knows: it goes on in a table that was unhooked, until an invalidation', async () => {
    for (const [model, goesOn] of [
      [CACHING, true],
      [PLAIN, false],
    ] as const) {
      const scene = dress(await makeRig({ frames: 64 }), { model });
      const { rig, cpu, mm } = scene;
      const { core } = rig;
      expect(core.userLoad(cpu, VA)).toBe(DONE);
      const table = slotOf(scene, VA, 1);
      const hooked = rig.u64[table] as bigint;
      rig.u64[table] = 0n;
      expect(core.userLoad(cpu, NEXT)).toBe(goesOn ? DONE : FAULTED);
      // INVLPG of any address drops all of them (SDM 4.10.4.1).
      core.leaveUser(cpu);
      core.flushMm(cpu, mm, 0x1000n, 0x1fffn, 12, false, 0);
      core.enterUser(cpu);
      expect(standing(rig, scene.tlb, model).filter(({ array }) => array !== 'L1')).toEqual([]);
      core.evict(cpu, NEXT);
      expect(core.userLoad(cpu, NEXT)).toBe(FAULTED);
      rig.u64[table] = hooked;
    }
  });

  test('it keeps the tables that a walk met before it faulted', async () => {
    const scene = dress(await makeRig({ frames: 64 }), { model: CACHING });
    const { rig, cpu, tlb } = scene;
    expect(rig.core.userLoad(cpu, VA + 0x5000n)).toBe(FAULTED);
    // The fault drops those on the way to its address; another address under the same level-2 table finds them no more either.
    expect(standing(rig, tlb, CACHING)).toEqual([]);
    rig.core.setHardware(cpu, layout.HW_NEGATIVE, 0n);
    expect(rig.core.userLoad(cpu, VA + 0x5000n)).toBe(FAULTED);
    expect(standing(rig, tlb, CACHING).map(({ array }) => array)).toEqual(['L1', 'PDE', 'PDPTE', 'PDPTE']);
  });

  test('the rights of the levels above the cached table still count', async () => {
    const scene = dress(await makeRig({ frames: 64 }), { model: CACHING });
    const { rig, cpu } = scene;
    const middle = slotOf(scene, VA, 2);
    rig.u64[middle] = (rig.u64[middle] as bigint) & ~RW;
    expect(rig.core.userLoad(cpu, VA)).toBe(DONE);
    expect(rig.core.userStore(cpu, NEXT, 1n)).toBe(FAULTED);
    expect(fault(scene)).toMatchObject({ cause: layout.FAULT_PROTECTION, cached: false });
  });
});

describe('negative caching', () => {
  test('a page that becomes present goes on faulting until a fence; without it, it is found', async () => {
    for (const hardware of [layout.HW_NEGATIVE, 0]) {
      const scene = dress(await makeRig({ frames: 64 }), { hardware });
      const { rig, cpu } = scene;
      const slot = slotOf(scene, VA);
      const entry = rig.u64[slot] as bigint;
      rig.u64[slot] = 0n;
      expect(rig.core.userStore(cpu, VA, 1n)).toBe(FAULTED);
      rig.u64[slot] = entry;
      if (hardware !== 0) {
        for (let n = 0; n < 3; n++) expect(rig.core.userStore(cpu, VA, 1n)).toBe(FAULTED);
        expect(fault(scene)).toMatchObject({ cause: layout.FAULT_ABSENT, cached: true, code: CODE.W | CODE.U });
        rig.core.fence(cpu, VA);
      }
      expect(rig.core.userStore(cpu, VA, 1n)).toBe(DONE);
    }
  });

  test('rights that grow are seen after a fence only', async () => {
    const scene = dress(await makeRig({ frames: 64 }), { hardware: layout.HW_NEGATIVE, prot: PROT_READ | PROT_USER });
    const { rig, cpu } = scene;
    rig.core.userLoad(cpu, VA);
    rig.u64[slotOf(scene, VA)] = (rig.u64[slotOf(scene, VA)] as bigint) | RW;
    for (let n = 0; n < 2; n++) expect(rig.core.userStore(cpu, VA, 1n)).toBe(FAULTED);
    rig.core.fence(cpu, VA);
    expect(rig.core.userStore(cpu, VA, 1n)).toBe(DONE);
  });
});

describe('unasked', () => {
  test('a speculative fill sets A, not D, and lingers; it raises no fault', async () => {
    const scene = dress(await makeRig({ frames: 64 }));
    const { rig, cpu, tlb } = scene;
    rig.core.speculate(cpu, VA);
    expect((rig.u64[slotOf(scene, VA)] as bigint) & (A | D)).toBe(A);
    rig.core.speculate(cpu, VA + 0x9000n);
    expect(rig.core.tlbCountValid(tlb)).toBe(1);
    expect(counter(scene, layout.CPU_FAULTS)).toBe(0);
    // It is writable and clean: the first store looks at the PTE again.
    rig.core.ptepSetWrprotect(slotOf(scene, VA) * 8);
    expect(rig.core.userStore(cpu, VA, 1n)).toBe(FAULTED);
  });

  test('in the release build they happen with a seed only, and change nothing that an access sees', async () => {
    const scene = dress(await makeRig({ frames: 64 }), {
      hardware: layout.HW_EVICT | layout.HW_SPECULATE,
      prefetch: NEXT,
    });
    const { rig, cpu } = scene;
    const run = () => {
      for (let n = 0; n < 20_000; n++) {
        if (rig.core.userStore(cpu, VA, BigInt(n)) !== DONE) expect.fail(`store ${n} faulted`);
        if (rig.u64[word(scene, 0)] !== BigInt(n)) expect.fail(`store ${n} went elsewhere`);
      }
      return [layout.CPU_EVICTIONS, layout.CPU_SPECULATIONS].map((at) => counter(scene, at));
    };
    expect(run()).toEqual([0, 0]);
    rig.core.seedChoices(4711);
    for (const times of run()) expect(times).toBeGreaterThan(10);
  });

  test('explore takes every choice before an access: nothing, each entry that may go, a fill', async () => {
    const rig = await makeExploreRig({ frames: 32, heapBytes: 1 << 16 });
    const scene = dress(rig, { hardware: layout.HW_EVICT | layout.HW_SPECULATE, prefetch: NEXT });
    rig.core.userLoad(scene.cpu, VA);
    const ends = new Set<string>();
    const { ends: count } = everyState(
      rig,
      () => [rig.cpu((core) => core.userLoad(scene.cpu, VA))],
      ([cpu]) => {
        expect(cpu?.results).toEqual([DONE]);
        ends.add(
          standing(rig, scene.tlb, PLAIN)
            .map(({ va }) => va.toString(16))
            .join(),
        );
      },
    );
    // After an eviction the access walks, and fills the entry again: where it ends is the same.
    const [va, next] = [VA, NEXT].map((each) => (each & 0x1ffffffffffffffn).toString(16));
    expect([...ends].sort()).toEqual([`${va}`, `${va},${next}`].sort());
    expect(count).toBe(2);
  });
});

describe('points', () => {
  const trace = (rig: Awaited<ReturnType<typeof makeExploreRig>>, call: Call) => rig.cpu(call).finish();

  test('a hit is two steps, the interrupts and the word; with broadcast one more, the look-up', async () => {
    for (const hardware of [0, layout.HW_BROADCAST]) {
      const rig = await makeExploreRig({ frames: 32 });
      const scene = dress(rig, { hardware });
      const { cpu, tlb } = scene;
      rig.core.userStore(cpu, VA, 1n);
      const look = { address: tlb + layout.TLB_SEQUENCE, kind: layout.POINT_UPDATE };
      expect(trace(rig, (core) => core.userStore(cpu, VA, 2n))).toEqual([
        { address: cpu + layout.CPU_PENDING, kind: layout.POINT_LOAD },
        ...(hardware === 0 ? [] : [look]),
        { address: word(scene, 0) * 8, kind: layout.POINT_STORE },
      ]);
    }
  });

  test('a first store after a load is LOOK, ADSET and DATA; a miss reads each entry once', async () => {
    const rig = await makeExploreRig({ frames: 32 });
    const scene = dress(rig, { model: CACHING });
    const { cpu } = scene;
    const at = (slot: number, kind: number) => ({ address: slot * 8, kind });
    const pending = { address: cpu + layout.CPU_PENDING, kind: layout.POINT_LOAD };
    const { POINT_LOAD, POINT_UPDATE, POINT_STORE } = layout;
    const slots = [3, 2, 1, 0].map((level) => slotOf(scene, VA, level));
    const leaf = slots[3] as number;
    // A is set on the way.
    expect(trace(rig, (core) => core.userLoad(cpu, VA))).toEqual([
      pending,
      ...slots.flatMap((slot) => [at(slot, POINT_LOAD), at(slot, POINT_UPDATE)]),
      at(word(scene, 0), POINT_LOAD),
    ]);
    expect(trace(rig, (core) => core.userStore(cpu, VA, 1n))).toEqual([
      pending,
      at(leaf, POINT_UPDATE),
      at(word(scene, 0), POINT_STORE),
    ]);
    // The neighbour shares all tables, which are cached.
    const next = slotOf(scene, NEXT);
    expect(trace(rig, (core) => core.userLoad(cpu, NEXT))).toEqual([
      pending,
      at(next, POINT_LOAD),
      at(next, POINT_UPDATE),
      at(word(scene, 1), POINT_LOAD),
    ]);
  });

  test('what is known of a fault is gone when the CPU enters user mode: no state differs by it', async () => {
    const rig = await makeExploreRig({ frames: 32 });
    const scene = dress(rig);
    const { cpu } = scene;
    rig.core.leaveUser(cpu);
    rig.core.enterUser(cpu);
    const before = rig.bytes.slice(cpu, cpu + layout.CPU_BYTES);
    expect(rig.core.userLoad(cpu, VA + 0x9000n)).toBe(FAULTED);
    expect(fault(scene)).toMatchObject({ va: VA + 0x9000n });
    rig.core.leaveUser(cpu);
    rig.core.enterUser(cpu);
    expect(rig.bytes.slice(cpu, cpu + layout.CPU_BYTES)).toEqual(before);
  });
});

test('every order of a store and a write-protect: D is set with W or not at all, unless the machine is the old one', async () => {
  for (const machine of [layout.MACHINE_RECHECK, layout.MACHINE_NOWCHECK]) {
    const rig = await makeExploreRig({ frames: 32, heapBytes: 1 << 16 });
    const scene = dress(rig, { machine });
    rig.core.userLoad(scene.cpu, VA);
    const slot = slotOf(scene, VA);
    const seen = new Set<string>();
    const check = ([user]: Cpu[]) => {
      const entry = rig.u64[slot] as bigint;
      const dirty = (entry & D) !== 0n || (entry & (1n << 58n)) !== 0n;
      seen.add(`${user?.results[0] === DONE ? 'stored' : 'faulted'} ${dirty ? 'dirty' : 'clean'}`);
    };
    const make = () => [
      rig.cpu((core) => core.userStore(scene.cpu, VA, 1n)),
      rig.cpu((core) => core.ptepSetWrprotect(slot * 8) as undefined),
    ];
    everyState(rig, make, check);
    const expected = machine === layout.MACHINE_RECHECK ? ['faulted clean', 'stored dirty'] : ['stored dirty'];
    expect([...seen].sort()).toEqual(expected);
  }
});
