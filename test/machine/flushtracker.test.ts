// FlushTracker: the plan as a union, the thresholds of kernels, and what it refuses.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { FLUSH_CEILINGS, FlushTracker } from '../../src/machine/flushtracker.ts';
import { PhysicalMemory } from '../../src/machine/memory.ts';
import { vpn } from '../../src/units.ts';

let memory: PhysicalMemory;
beforeAll(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 1 << 16 });
});
afterAll(() => memory.dispose());

test('a plan is none, then ranges with their invalidations, then none after a reset', () => {
  using tracker = new FlushTracker(memory);
  expect(tracker.plan()).toEqual({ kind: 'none', ranges: [], invalidations: 0 });
  tracker.add(0x7000, 0x2000);
  tracker.addPages([9, 20].map((page) => vpn(page)));
  expect(tracker.adds).toBe(3);
  expect(tracker.plan()).toEqual({
    kind: 'ranges',
    ranges: [
      { first: 0x7000n, last: 0x9fffn },
      { first: 0x14000n, last: 0x14fffn },
    ],
    invalidations: 4,
    strideBytes: 4096,
  });
  tracker.reset();
  expect(tracker.plan().kind).toBe('none');
});

test.each(Object.entries(FLUSH_CEILINGS))(
  'the ceiling of %s is the last number of pages done one by one',
  (name, most) => {
    using tracker = new FlushTracker(memory, { policy: 'span', ceiling: name as keyof typeof FLUSH_CEILINGS });
    tracker.add(0, BigInt(most) * 4096n);
    expect(tracker.plan()).toMatchObject({ kind: 'ranges', invalidations: most });
    tracker.addPages([vpn(most)]);
    expect(tracker.plan()).toEqual({ kind: 'full', ranges: [], invalidations: 1 });
  },
);

test('large pages count once each', () => {
  using tracker = new FlushTracker(memory, { ceiling: 'linux-x86' });
  tracker.add(1n << 30n, 33n << 21n, 2 ** 21);
  expect(tracker.plan()).toMatchObject({ kind: 'ranges', invalidations: 33, strideBytes: 2 ** 21 });
});

test('many pages go in whole, however many cross at once', () => {
  using tracker = new FlushTracker(memory);
  tracker.addPages(Array.from({ length: 1500 }, (_, n) => vpn(n)));
  expect(tracker.plan()).toMatchObject({ ranges: [{ first: 0n, last: 1500n * 4096n - 1n }], invalidations: 1500 });
});

test('what is wrong is named', () => {
  const make = (options: object) => () => new FlushTracker(memory, options);
  expect(make({ limit: 0 })).toThrow('"limit" must be from 1 to 4096, got 0');
  expect(make({ policy: 'some' })).toThrow('"policy" must be exact, span or full, got some');
  expect(make({ ceiling: 0 })).toThrow('"ceiling" must be a positive number or one of linux-x86');
  expect(make({ ceiling: 'minix' })).toThrow('got minix');
  const tracker = new FlushTracker(memory);
  expect(() => tracker.add(1, 4096)).toThrow('"va" must be page-aligned, got 0x1');
  expect(() => tracker.add(0, 5)).toThrow('"sizeBytes" must be page-aligned, got 0x5');
  expect(() => tracker.add(0xfffffffffffff000n, 8192)).toThrow('"sizeBytes" must end below 2^64');
  expect(() => tracker.add(0, 4096, 5000)).toThrow('"pageBytes" must be a power of two from 4096, got 5000');
  tracker.dispose();
  tracker.dispose();
  expect(() => tracker.plan()).toThrow('this tracker was disposed of');
});
