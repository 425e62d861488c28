// MMU notifiers: who hears what, and when a reader must begin again.

import { beforeEach, describe, expect, test } from 'vitest';
import { layout, makeRig, makeSpace, type Rig } from '../support/core.ts';
import { interleave, makeExploreRig } from '../support/stepper.ts';

const { MMU_NOTIFY_CLEAR: CLEAR, MMU_NOTIFY_SOFT_DIRTY: SOFT_DIRTY, MMU_NOTIFY_UNMAP: UNMAP } = layout;
const EVERYTHING = (1n << 64n) - 1n;

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
