// MMU notifiers: who hears what, and when a reader must begin again.

import { beforeEach, describe, expect, test } from 'vitest';
import { layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { interleave, makeExploreRig } from '../support/stepper.ts';
import { makeTlb } from '../support/tlb.ts';

const { MMU_NOTIFY_CLEAR: CLEAR, MMU_NOTIFY_SOFT_DIRTY: SOFT_DIRTY, MMU_NOTIFY_UNMAP: UNMAP } = layout;
const EVERYTHING = (1n << 64n) - 1n;
const TLB = { arrays: [{ name: 'L1', level: 1, pages: [0], sets: 1, ways: 4 }] } as const;

let rig: Rig;
let mm: number;
beforeEach(async () => {
  rig = await makeRig();
  mm = rig.core.createMm(makeSpace(rig), true) >>> 0;
});

const word = (address: number) => rig.u32[address / 4] as number;

interface Notice {
  kind: number;
  event: number;
  first: bigint;
  last: bigint;
}

/** Takes the records out of a ring. */
function drain(notifier: number): Notice[] {
  const [ring, capacity] = [word(notifier + layout.NOTIFIER_RING), word(notifier + layout.NOTIFIER_CAPACITY)];
  const written = word(notifier + layout.NOTIFIER_WRITTEN);
  const notices: Notice[] = [];
  for (let n = word(notifier + layout.NOTIFIER_DRAINED); n !== written; n++) {
    const at = ring + (n & (capacity - 1)) * layout.NOTICE_BYTES;
    notices.push({
      kind: word(at + layout.NOTICE_KIND),
      event: word(at + layout.NOTICE_EVENT),
      first: rig.u64[(at + layout.NOTICE_FIRST) / 8] as bigint,
      last: rig.u64[(at + layout.NOTICE_LAST) / 8] as bigint,
    });
  }
  rig.u32[(notifier + layout.NOTIFIER_DRAINED) / 4] = written;
  return notices;
}

const register = (first: bigint, last: bigint, capacity = 8, sleeps = false) =>
  rig.core.registerNotifier(mm, first, last, capacity, sleeps) >>> 0;

describe('events', () => {
  test('reach the notifiers whose interval they touch, with event and range, and are counted', () => {
    const [low, high] = [register(0n, 0xffffn), register(0x10000n, EVERYTHING)];
    rig.core.notifyStart(mm, SOFT_DIRTY, 0xf000n, 0xffffn);
    rig.core.notifySecondary(mm, 0xf000n, 0x10fffn);
    rig.core.notifyEnd(mm, SOFT_DIRTY, 0xf000n, 0xffffn);
    const range = { event: SOFT_DIRTY, first: 0xf000n, last: 0xffffn };
    expect(drain(low)).toEqual([
      { kind: layout.NOTICE_START, ...range },
      { kind: layout.NOTICE_SECONDARY, event: 0, first: 0xf000n, last: 0x10fffn },
      { kind: layout.NOTICE_END, ...range },
    ]);
    expect(drain(high).map(({ kind }) => kind)).toEqual([layout.NOTICE_SECONDARY]);
    expect(word(low + layout.NOTIFIER_STARTS + 4 * SOFT_DIRTY)).toBe(1);
    expect(word(low + layout.NOTIFIER_ENDS + 4 * SOFT_DIRTY)).toBe(1);
    expect(word(high + layout.NOTIFIER_STARTS + 4 * SOFT_DIRTY)).toBe(0);
  });

  test('for which there is no room are dropped and counted, and the ring goes round', () => {
    const notifier = register(0n, EVERYTHING, 2);
    for (let n = 0n; n < 3n; n++) {
      rig.core.notifyStart(mm, UNMAP, n, n);
      rig.core.notifyEnd(mm, UNMAP, n, n);
    }
    expect(drain(notifier).map(({ first }) => first)).toEqual([0n, 0n]);
    expect(word(notifier + layout.NOTIFIER_DROPPED)).toBe(4);
    expect(word(notifier + layout.NOTIFIER_STARTS + 4 * UNMAP)).toBe(3);
    rig.core.notifyStart(mm, CLEAR, 7n, 7n);
    expect(drain(notifier)).toEqual([{ kind: layout.NOTICE_START, event: CLEAR, first: 7n, last: 7n }]);
    rig.core.notifyEnd(mm, CLEAR, 7n, 7n);
  });

  test('a non-blocking start is refused by who sleeps, and those told before hear the end', () => {
    const sleeper = register(0x5000n, 0x5fffn, 8, true);
    // Registered last, told first.
    const other = register(0n, EVERYTHING);
    expect(rig.core.notifyStartNonblock(mm, CLEAR, 0x6000n, 0x6fffn)).toBe(1);
    rig.core.notifyEnd(mm, CLEAR, 0x6000n, 0x6fffn);
    drain(other);
    expect(rig.core.notifyStartNonblock(mm, CLEAR, 0x5000n, 0x6fffn)).toBe(0);
    expect(drain(other).map(({ kind }) => kind)).toEqual([layout.NOTICE_START, layout.NOTICE_END]);
    expect(drain(sleeper)).toEqual([]);
    expect(word(sleeper + layout.NOTIFIER_REFUSED)).toBe(1);
    expect(word(mm + layout.MM_NOTIFY_ACTIVE)).toBe(0);
    expect((rig.u64[(mm + layout.MM_NOTIFY_SEQ) / 8] as bigint) % 2n).toBe(0n);
  });

  test('release is told to all, and an unregistered notifier hears nothing', () => {
    const [gone, left] = [register(0n, 1n), register(0n, 1n)];
    rig.core.unregisterNotifier(gone);
    rig.core.notifyRelease(mm);
    expect(drain(left)).toEqual([
      { kind: layout.NOTICE_RELEASE, event: layout.MMU_NOTIFY_RELEASE, first: 0n, last: EVERYTHING },
    ]);
    rig.core.unregisterNotifier(left);
    expect(word(mm + layout.MM_NOTIFIERS)).toBe(0);
  });
});

/** What a secondary TLB was told, by the ranges alone. */
const ranges = (notifier: number) =>
  drain(notifier)
    .filter(({ kind }) => kind === layout.NOTICE_SECONDARY)
    .map(({ first, last }) => [first, last]);

describe('the flush itself tells secondary TLBs', () => {
  const PAGE = 0x1000n;
  let path: number;

  /** CPU 0, and another one that runs the mm, so that reclaim defers. */
  function makeCpus(hardware: number): number {
    const [self, other] = [0, 1].map((id) => {
      const cpu = rig.core.createCpu(id, makeTlb(rig, TLB), layout.MACHINE_RECHECK) >>> 0;
      rig.core.setHardware(cpu, hardware, 0n);
      return cpu;
    });
    rig.core.loadMm(other as number, mm, 1);
    path = rig.core.heapAllocate(layout.PATH_BYTES) >>> 0;
    rig.bytes.fill(0, path, path + layout.PATH_BYTES);
    return self as number;
  }

  test.each([
    ['by interrupts', 0],
    ['by broadcast', layout.HW_BROADCAST],
  ] as const)('%s: the range, or all of it above the ceiling or of a whole mm', (_name, hardware) => {
    const self = makeCpus(hardware);
    const [low, all] = [register(0n, 0xffffn), register(0n, EVERYTHING)];
    const flush = (first: bigint, last: bigint, stride: number, ceiling = 0) =>
      rig.core.flushMm(self, mm, first, last, stride, false, ceiling << layout.SHOOT_CEILING);
    flush(0x10000n, 0x13fffn, 12);
    flush(0x10000n, 0x13fffn, 12, 3);
    flush(0n, 0n, layout.REQUEST_ALL);
    expect(ranges(all)).toEqual([
      [0x10000n, 0x13fffn],
      [0n, EVERYTHING],
      [0n, EVERYTHING],
    ]);
    expect(ranges(low)).toHaveLength(2);
    expect(word(all + layout.NOTIFIER_SECONDARY)).toBe(3);
  });

  test('of a batch of unmaps when the page is put into it: everything on x86, the page where it is broadcast', () => {
    for (const [hardware, told] of [
      [0, [0n, EVERYTHING]],
      [layout.HW_BROADCAST, [0x5000n, 0x5fffn]],
    ] as const) {
      mm = rig.core.createMm(makeSpace(rig), true) >>> 0;
      const self = makeCpus(hardware);
      const notifier = register(0n, EVERYTHING);
      const batch = path + layout.PATH_BATCH;
      rig.core.deferUnmapFlush(batch, self, mm, 0x5000n, false);
      expect(ranges(notifier)).toEqual([told]);
      rig.core.flushUnmapped(batch, self, 0);
      expect(ranges(notifier)).toEqual([]);
    }
  });

  test('of a kernel path between its start and its end', () => {
    const self = makeCpus(0);
    const space = word(mm + layout.MM_SPACE);
    const frame = rig.core.allocateFrame(layout.FRAME_DATA);
    rig.core.insertVma(mm, PAGE, 2n * PAGE, layout.VM_READ | layout.VM_WRITE, 0, 0n);
    rig.core.map(space, PAGE, BigInt(frame) * PAGE, PAGE, layout.PROT_READ | layout.PROT_WRITE | layout.PROT_USER, 0);
    const notifier = register(0n, EVERYTHING);
    rig.core.mprotect(self, mm, PAGE, 2n * PAGE - 1n, layout.VM_READ, path, 0);
    // tlb_finish_mmu() comes after invalidate_range_end() here, as in mprotect_fixup(): who must not miss it listens to the flush.
    expect(drain(notifier).map(({ kind }) => kind)).toEqual([
      layout.NOTICE_START,
      layout.NOTICE_END,
      layout.NOTICE_SECONDARY,
    ]);
  });
});

test('a reader of an interval need not retry for what does not touch it', () => {
  const notifier = register(0x1000n, 0x1fffn);
  const sequence = rig.core.notifierReadBegin(notifier);
  rig.core.notifyStart(mm, UNMAP, 0x2000n, 0x2fffn);
  rig.core.notifyEnd(mm, UNMAP, 0x2000n, 0x2fffn);
  expect(rig.core.notifierReadRetry(notifier, sequence)).toBe(0);
  rig.core.notifyStart(mm, UNMAP, 0x1000n, 0x1fffn);
  expect(rig.core.notifierReadRetry(notifier, sequence)).toBe(1);
  rig.core.notifyEnd(mm, UNMAP, 0x1000n, 0x1fffn);
  expect(rig.core.notifierReadRetry(notifier, rig.core.notifierReadBegin(notifier))).toBe(0);
});

/** A secondary TLB that takes the version of an entry, against a path that changes it to 2. `check`: it asks whether to retry. */
async function secondary(check: boolean): Promise<{ stale: number; retried: number; orders: number }> {
  const explore = await makeExploreRig({ heapBytes: 1 << 22 });
  const { core } = explore;
  const explored = core.createMm(makeSpace(explore), true) >>> 0;
  const notifier = core.registerNotifier(explored, 0n, 0xfffn, 0, false) >>> 0;
  const entry = core.heapAllocate(64) >>> 0;
  let [stale, retried] = [0, 0];
  const orders = interleave(
    () => {
      explore.u64[entry / 8] = 1n;
      return [
        explore.cpu(
          (c) => c.notifierReadBegin(notifier),
          (c) => c.ptepGet(entry),
        ),
        explore.cpu(
          (c) => c.notifyStart(explored, CLEAR, 0n, 0xfffn) as undefined,
          (c) => c.setPte(entry, 2n) as undefined,
          (c) => c.notifyEnd(explored, CLEAR, 0n, 0xfffn) as undefined,
        ),
      ];
    },
    ([reader]) => {
      // The invalidation is over, and what it dropped is what was there before: the reader's entry is installed now.
      const [sequence, version] = (reader as { results: bigint[] }).results as [bigint, bigint];
      const again = check && core.notifierReadRetry(notifier, sequence) !== 0;
      if (again) retried++;
      else if (version !== 2n) stale++;
    },
  );
  return { stale, retried, orders };
}

test('in every order, a secondary TLB that asks whether to retry keeps no translation that went', async () => {
  const { stale, retried, orders } = await secondary(true);
  expect(stale).toBe(0);
  expect(retried).toBeGreaterThan(0);
  expect(orders).toBeGreaterThan(10);
});

test('one that does not ask keeps it in some order', async () => {
  expect((await secondary(false)).stale).toBeGreaterThan(0);
});
