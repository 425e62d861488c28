// The explore build suspends at every access to a word that another CPU can see, and goes on as if nothing had happened.
//
// Guarantees: the point names the very word that changes next; a call that was suspended at every point leaves the memory that the
// release build leaves; what must not happen between two accesses is found when CPUs are interleaved, in its broken twin too.

import { beforeEach, describe, expect, test } from 'vitest';
import { framesOf, layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { type Call, type ExploreRig, interleave, makeExploreRig, type PendingPoint } from '../support/stepper.ts';

const { POINT_LOAD: LOAD, POINT_STORE: STORE, POINT_UPDATE: UPDATE, POINT_LOCK: LOCK } = layout;
const { PROT_READ, PROT_WRITE } = layout;
const VA = 0x7f0000001000n;
const PA = 0x123456000n;
const WRITE = layout.ACCESS_WRITE;
const FRAMES = 24;

const P = 1n;
const RW = 2n;
const A = 0x20n;
const D = 0x40n;
const SAVED_DIRTY = 1n << 58n;

let rig: ExploreRig;
let space: number;
beforeEach(async () => {
  rig = await makeExploreRig({ frames: FRAMES });
  space = makeSpace(rig);
});

const point = (address: number, kind: number): PendingPoint => ({ address, kind });
const mapPage = (r: Rig = rig, s = space) => r.core.map(s, VA, PA, 0x1000n, PROT_READ | PROT_WRITE, 0);
const slotAt = (level: number) => rig.core.entryAddress(space, VA, level) >>> 0;
const agentEpoch = () => layout.AGENTS + rig.agent * layout.AGENT_BYTES + layout.AGENT_EPOCH;
const isMapped = (word: number | bigint | undefined) =>
  ((BigInt.asUintN(64, word as bigint) >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n;
const causeOf = (word: number | bigint | undefined) =>
  isMapped(word) ? 0 : Number((BigInt.asUintN(64, word as bigint) >> BigInt(layout.FAULT_CAUSE_SHIFT)) & 15n);

describe('points', () => {
  test('each ptep operation passes a point for each access that it makes', () => {
    mapPage();
    const slot = slotAt(0);
    const trace = (call: Call) => rig.cpu(call).finish();
    expect(trace((core) => core.ptepGet(slot))).toEqual([point(slot, LOAD)]);
    expect(trace((core) => core.setPte(slot, P | RW | A) as undefined)).toEqual([point(slot, STORE)]);
    expect(trace((core) => core.ptepTestAndClearYoung(slot))).toEqual([point(slot, LOAD), point(slot, UPDATE)]);
    expect(trace((core) => core.ptepTestAndClearYoung(slot))).toEqual([point(slot, LOAD)]);
    expect(trace((core) => core.ptepSetWrprotect(slot) as undefined)).toEqual([point(slot, LOAD), point(slot, UPDATE)]);
    expect(trace((core) => core.ptepModifyProtStart(slot))).toEqual([point(slot, UPDATE)]);
    expect(trace((core) => core.ptepModifyProtCommit(slot, P) as undefined)).toEqual([point(slot, STORE)]);
    expect(trace((core) => core.ptepGetAndClear(slot))).toEqual([point(slot, UPDATE)]);
  });

  test('an access opens its section, loads each level, sets each missing A by an exchange, and closes the section', () => {
    mapPage();
    const cpu = rig.cpu((core) => core.accessWord(space, VA, WRITE));
    const want = [point(layout.CONTROL_EPOCH, LOAD), point(agentEpoch(), UPDATE)];
    for (const level of [3, 2, 1, 0]) want.push(point(slotAt(level), LOAD), point(slotAt(level), UPDATE));
    expect(cpu.finish()).toEqual([...want, point(agentEpoch(), STORE)]);
    expect(isMapped(cpu.results[0])).toBe(true);
    // The second time everything is set, and only loads are left.
    const again = rig.cpu((core) => core.accessWord(space, VA, WRITE));
    expect(again.finish()).toEqual(
      want.filter(({ kind }, n) => n < 2 || kind === LOAD).concat(point(agentEpoch(), STORE)),
    );
  });

  test('map and unmap begin with the lock and end with its release', () => {
    const lock = point(space + layout.SPACE_LOCK, LOCK);
    const map = rig.cpu((core) => core.map(space, VA, PA, 0x3000n, PROT_READ, 0)).finish();
    expect(map[0]).toEqual(lock);
    expect(map.filter(({ address }) => address === lock.address).at(-1)).toEqual(point(lock.address, UPDATE));
    const slot = slotAt(0);
    for (const n of [0, 1, 2]) expect(map).toContainEqual(point(slot + n * 8, STORE));
    const unmap = rig.cpu((core) => core.unmap(space, VA, 0x3000n)).finish();
    expect(unmap[0]).toEqual(lock);
    for (const n of [0, 1, 2]) expect(unmap).toContainEqual(point(slot + n * 8, UPDATE));
  });

  test('every step changes the word that its point named, and no other that CPUs share', () => {
    const calls: Call[] = [
      (core) => core.map(space, VA, PA, 0x3000n, PROT_READ | PROT_WRITE, 0),
      (core) => core.accessWord(space, VA, WRITE),
      (core) => core.protect(space, VA, 0x2000n, PROT_READ),
      (core) => core.map(space, 0x200000n, 0x40000000n, 0x400000n, PROT_READ | PROT_WRITE, 1),
      (core) => core.accessWord(space, 0x201000n, WRITE),
      (core) => core.split(space, 0x200000n, 0),
      (core) => core.protect(space, 0x401000n, 0x1000n, PROT_READ),
      (core) => core.unmap(space, 0x201000n, 0x201000n),
      (core) => core.unmap(space, VA, 0x3000n),
      (core) => core.unmap(space, 0x200000n, 0x400000n),
    ];
    const cpu = rig.cpu(...calls);
    let steps = 0;
    while (!cpu.done) {
      const shared = sharedWords();
      const before = shared.map((word) => rig.u32[word]);
      const { address, kind } = cpu.pending as PendingPoint;
      cpu.step();
      steps++;
      for (const [n, word] of shared.entries()) {
        if (rig.u32[word] === before[n]) continue;
        const named = word * 4 === address || (word * 4 === address + 4 && kind !== LOAD);
        if (!named) expect({ changed: word * 4, address, kind }).toBe('a change that no point named');
        expect(kind).not.toBe(LOAD);
      }
    }
    expect(cpu.results.filter((result) => typeof result === 'number')).toEqual(Array(8).fill(layout.STATUS_OK));
    expect(steps).toBeGreaterThan(1000);
  });

  /** Indices of the u32 words that several CPUs may touch at once: tables that hang below the root, locks, clocks and counters. */
  function sharedWords(): number[] {
    const words = [
      layout.CONTROL_FREE_HEAD,
      layout.CONTROL_FREE_HEAD + 4,
      layout.CONTROL_VIRGIN,
      layout.CONTROL_LIVE,
      layout.CONTROL_BAD_FREE,
      layout.CONTROL_BAD_POISON,
      layout.CONTROL_HEAP_LOCK,
      layout.CONTROL_EPOCH,
      layout.CONTROL_RCU_LOCK,
      space + layout.SPACE_LOCK,
      space + layout.SPACE_GENERATION,
      agentEpoch(),
    ].map((address) => address / 4);
    const visit = (table: bigint, level: number): void => {
      const at = (rig.ram + Number(table)) / 8;
      for (let n = 0; n < 512; n++) {
        words.push((at + n) * 2, (at + n) * 2 + 1);
        const entry = rig.u64[at + n] as bigint;
        if (level > 0 && (entry & 0x81n) === P) visit(entry & 0xffffffffff000n, level - 1);
      }
    };
    visit(rig.u64[(space + layout.SPACE_ROOT) / 8] as bigint, 3);
    return words;
  }
});

describe('suspending', () => {
  test('calls that were suspended at every point leave what the release build leaves', async () => {
    const release = await makeRig({ frames: FRAMES });
    const releaseSpace = makeSpace(release);
    const program = (s: number): Call[] => [
      (core) => core.map(s, 0x1ff000n, 0x5ff000n, 0x402000n, PROT_READ | PROT_WRITE, 1),
      (core) => core.accessWord(s, 0x234567n, WRITE),
      (core) => core.protect(s, 0x300000n, 0x1000n, PROT_READ),
      (core) => core.accessWord(s, 0x300123n, WRITE),
      (core) => core.translateWord(s, 0x400fffn, 0),
      (core) => core.unmap(s, 0x1ff000n, 0x2000n),
      (core) => core.map(s, 0x1ff000n, 0x1000n, 0x1000n, PROT_READ, 0),
      (core) => core.map(s, 0x1fe000n, 0x1000n, 0x2000n, PROT_READ, 0),
    ];
    const want = program(releaseSpace).map((call) => call(release.core));
    const cpu = rig.cpu(...program(space));
    cpu.finish();
    expect(cpu.results).toEqual(want);
    expect(Buffer.compare(framesOf(rig, 0, FRAMES), framesOf(release, 0, FRAMES))).toBe(0);
  });

  test('several CPUs can be suspended in the middle of a call at once', () => {
    mapPage();
    const cpus = [0n, 1n, 2n, 3n].map((n) => rig.cpu((core) => core.translateWord(space, VA + n, 0)));
    while (cpus.some((cpu) => !cpu.done)) for (const cpu of cpus) if (!cpu.done) cpu.step();
    for (const [n, cpu] of cpus.entries()) {
      expect(BigInt.asUintN(64, cpu.results[0] as bigint) & 0xfffffffffffffn).toBe(PA + BigInt(n));
    }
  });

  test('a CPU that is about to take a lock that another holds is not runnable', () => {
    const first = rig.cpu((core) => core.map(space, VA, PA, 0x1000n, PROT_READ, 0));
    const second = rig.cpu((core) => core.map(space, VA, PA, 0x1000n, PROT_READ, 0));
    first.step();
    expect(second.runnable).toBe(false);
    first.finish();
    expect(second.runnable).toBe(true);
    second.finish();
    expect([first.results, second.results]).toEqual([[layout.STATUS_OK], [layout.STATUS_MAPPED]]);
  });
});

describe('interleaving', () => {
  test('an access between ptepModifyProtStart and Commit faults, for the entry is none', () => {
    mapPage();
    const slot = slotAt(0);
    const kernel = rig.cpu(
      (core) => core.ptepModifyProtStart(slot),
      (core) => core.ptepModifyProtCommit(slot, PA | P) as undefined,
    );
    kernel.step();
    expect(kernel.pending).toEqual(point(slot, STORE));
    expect(causeOf(rig.core.accessWord(space, VA, WRITE))).toBe(layout.FAULT_ABSENT);
    kernel.finish();
    expect(causeOf(rig.core.accessWord(space, VA, WRITE))).toBe(layout.FAULT_PROTECTION);
    expect(isMapped(rig.core.accessWord(space, VA, layout.ACCESS_READ))).toBe(true);
  });

  /** A kernel that write-protects against a CPU that writes, in every order. Returns what came of it, and in how many orders D was lost. */
  function protectAgainstWrite(kernel: (slot: number) => Call[]): {
    outcomes: Set<string>;
    lost: number;
    orders: number;
  } {
    mapPage();
    rig.core.accessWord(space, VA, layout.ACCESS_READ);
    const slot = slotAt(0);
    const fresh = rig.u64[slot / 8] as bigint;
    const outcomes = new Set<string>();
    let lost = 0;
    const orders = interleave(
      () => {
        rig.u64[slot / 8] = fresh;
        return [rig.cpu(...kernel(slot)), rig.cpu((core) => core.accessWord(space, VA, WRITE))];
      },
      ([, writer]) => {
        const cause = causeOf(writer?.results[0]);
        outcomes.add(['written', 'absent', 'reserved', 'protection'][cause] as string);
        const left = rig.u64[slot / 8] as bigint;
        expect(left & RW).toBe(0n);
        if (cause === 0 && (left & (D | SAVED_DIRTY)) === 0n) lost++;
      },
    );
    return { outcomes, lost, orders };
  }

  test('start and commit lose no D in any order', () => {
    let old = 0n;
    const { outcomes, lost, orders } = protectAgainstWrite((slot) => [
      (core) => {
        old = BigInt.asUintN(64, core.ptepModifyProtStart(slot));
        return old;
      },
      (core) => core.ptepModifyProtCommit(slot, core.pteModify(old, PROT_READ)) as undefined,
    ]);
    // By hand: the access has 8 points, the last entry's load is the 6th, its exchange the 7th. Start and commit both before the load:
    // 21 orders; around it: 6 · 2; start between load and exchange, which fails and begins again: 1 + 4 + 2; both after: 3.
    expect(orders).toBe(43);
    expect(outcomes).toEqual(new Set(['written', 'absent', 'protection']));
    expect(lost).toBe(0);
  });

  test('ptepSetWrprotect loses no D in any order', () => {
    const { outcomes, lost } = protectAgainstWrite((slot) => [(core) => core.ptepSetWrprotect(slot) as undefined]);
    expect(outcomes).toEqual(new Set(['written', 'protection']));
    expect(lost).toBe(0);
  });

  test('protect loses no D at any place of the access', () => {
    const { lost } = twoContexts((s) => (core) => core.protect(s, VA, 0x1000n, PROT_READ), WRITE);
    expect(lost).toBe(0);
  });

  test('the broken twin, a load and a plain store, loses D in some order', () => {
    let old = 0n;
    const { lost } = protectAgainstWrite((slot) => [
      (core) => {
        old = BigInt.asUintN(64, core.ptepGet(slot));
        return old;
      },
      (core) => core.setPte(slot, core.pteModify(old, PROT_READ)) as undefined,
    ]);
    expect(lost).toBeGreaterThan(0);
  });

  test('an access that meets an unmap anywhere finds the page or none, and no table is freed under it', () => {
    const { outcomes } = twoContexts((s) => (core) => core.unmap(s, VA, 0x1000n), WRITE);
    expect(outcomes).toEqual(new Set(['written', 'absent']));
    expect(rig.core.countSpoiledFrames()).toBe(0);
  });

  /**
   * Stops the access after each of its points and lets the other call go to each of its points in between. All of this in one
   * instance, so both count as one agent; the kernel's calls here open no section of their own.
   */
  function twoContexts(kernel: (space: number) => Call, access: number): { outcomes: Set<string>; lost: number } {
    const outcomes = new Set<string>();
    let lost = 0;
    for (let first = 0; ; first++) {
      let finished = false;
      for (let second = 0; !finished; second++) {
        rig.core.unmap(space, VA, 0x1000n);
        mapPage();
        const walker = rig.cpu((core) => core.accessWord(space, VA, access));
        const changer = rig.cpu(kernel(space));
        for (let n = 0; n < first && !walker.done; n++) walker.step();
        if (walker.done) {
          changer.finish();
          rig.core.heapFree(walker.buffer);
          rig.core.heapFree(changer.buffer);
          return { outcomes, lost };
        }
        for (let n = 0; n < second && !changer.done; n++) changer.step();
        finished = changer.done;
        walker.finish();
        changer.finish();
        const cause = causeOf(walker.results[0]);
        outcomes.add(['written', 'absent', 'reserved', 'protection'][cause] as string);
        if (cause === 0) {
          expect(BigInt.asUintN(64, walker.results[0] as bigint) & 0xffffffffff000n).toBe(PA);
          const slot = slotAt(0);
          if (slot !== 0 && ((rig.u64[slot / 8] as bigint) & (P | D)) === P) lost++;
        }
        rig.core.heapFree(walker.buffer);
        rig.core.heapFree(changer.buffer);
      }
    }
  }
});
