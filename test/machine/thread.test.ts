// Threads of processes as TypeScript sees them: what faults do, by which signals accesses end, and what forks, drivers, reclaim and migration leave.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AsidAllocator,
  Cpu,
  DeferredFlush,
  DirtyDriver,
  type FaultPolicy,
  Folio,
  Kernel,
  Mm,
  MmuNotifier,
  type Pfn,
  PhysicalMemory,
  pfnOf,
  SharedFile,
  Tlb,
  type TlbModel,
  UserThread,
} from '../../src/index.ts';

const MODEL: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0, 1, 2], sets: 4, ways: 4 }] };
const VA = 0x400000;
const PAGE = 4096;

let memory: PhysicalMemory;
let mm: Mm;
let kernel: Kernel;
let cpu: Cpu;
beforeEach(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  mm = new Mm(memory.createAddressSpace());
  kernel = new Kernel(new Cpu(memory, 0, new Tlb(memory, MODEL)));
  cpu = makeCpu(1, mm);
});
afterEach(() => memory.dispose());

function makeCpu(id: number, runs: Mm): Cpu {
  const made = new Cpu(memory, id, new Tlb(memory, MODEL));
  made.load(runs);
  return made;
}

/** The frame that is mapped at `va`. */
function frameAt(of: Mm, va = VA): Pfn {
  const found = of.space.translate(va);
  if (found.kind !== 'mapped') throw new Error(`nothing is mapped: ${found.cause}`);
  return pfnOf(found.pa);
}

function folioAt(of: Mm, va = VA): Folio {
  const folio = Folio.at(memory, frameAt(of, va));
  if (folio === undefined) throw new Error('no folio');
  return folio;
}

const done = (value: bigint) => ({ kind: 'done', value });

describe('private memory', () => {
  test('is zero at first, and then what was stored; a load maps the zero page, which no mm counts', () => {
    mm.declareAnonymous(VA, 2 * PAGE);
    const thread = new UserThread(cpu);
    expect(thread.read(VA)).toEqual(done(0n));
    expect(Folio.at(memory, frameAt(mm))).toBeUndefined();
    expect(thread.write(VA, 7n)).toEqual(done(7n));
    expect(thread.exchange(VA, 8n)).toEqual(done(7n));
    expect(thread.read(VA)).toEqual(done(8n));
    const folio = folioAt(mm);
    expect(folio).toMatchObject({ references: 1, mapcount: 1, anonymous: true, index: VA / PAGE });
    expect(folio.flags).toMatchObject({ anonExclusive: true, swapBacked: true, uptodate: true, ksm: false });
    expect(folio.mappings()).toEqual([{ mm: mm.handle, va: BigInt(VA) }]);
    expect(cpu.statistics.faults).toBe(2);
  });

  test('a policy without the zero page gives a page at once', () => {
    mm.declareAnonymous(VA, PAGE);
    expect(new UserThread(cpu, { zeroPage: false }).read(VA)).toEqual(done(0n));
    expect(folioAt(mm).mapcount).toBe(1);
  });

  test('runs out of frames, and the answer says so', () => {
    mm.declareAnonymous(VA, 512 * PAGE);
    const thread = new UserThread(cpu);
    let page = 0;
    while (thread.write(VA + page * PAGE, 1n).kind === 'done') page++;
    expect(page).toBeGreaterThan(200);
    expect(thread.write(VA + page * PAGE, 1n).kind).toBe('out-of-memory');
    expect(kernel.dontNeed(mm, VA, PAGE).touched).toBe(1);
    expect(thread.write(VA + page * PAGE, 1n).kind).toBe('done');
  });
});

test('accesses that the kernel refuses end by a signal', () => {
  mm.declareAnonymous(VA, PAGE, { writable: false });
  mm.declare(VA + PAGE, 2 * PAGE, new SharedFile(memory, { pages: 1 }), 0);
  const thread = new UserThread(cpu);
  expect(thread.read(VA - 8)).toMatchObject({ kind: 'signal', signal: 'SIGSEGV', code: 'SEGV_MAPERR' });
  expect(thread.write(VA, 1n)).toMatchObject({
    kind: 'signal',
    signal: 'SIGSEGV',
    code: 'SEGV_ACCERR',
    fault: { va: BigInt(VA), access: 'user-write' },
  });
  expect(thread.fetch(VA)).toMatchObject({ code: 'SEGV_ACCERR', fault: { access: 'user-execute' } });
  expect(thread.read(VA + 2 * PAGE)).toMatchObject({ kind: 'signal', signal: 'SIGBUS' });
});

describe('fork', () => {
  const fork = () => {
    const forked = kernel.fork(mm);
    if (forked.kind !== 'done') throw new Error(forked.reason);
    return forked.child;
  };

  test.each<[string, FaultPolicy, boolean]>([
    ['as Linux does', {}, true],
    ['with the copy under the page-table lock', { copy: 'in-ptl' }, true],
    ['counting references', { reuse: 'count' }, true],
    ['never reusing a page', { reuse: 'never' }, false],
  ])('copies on write, %s', (_name, policy, reuses) => {
    mm.declareAnonymous(VA, PAGE);
    const parent = new UserThread(cpu, policy);
    parent.write(VA, 1n);
    const child = fork();
    const other = new UserThread(makeCpu(2, child), policy);
    expect(frameAt(child)).toBe(frameAt(mm));
    expect(folioAt(mm)).toMatchObject({ references: 2, mapcount: 2, flags: { anonExclusive: false } });
    const frame = frameAt(mm);
    const { live } = memory.audit();
    expect(other.write(VA, 2n)).toEqual(done(2n));
    expect(parent.write(VA, 3n)).toEqual(done(3n));
    expect([parent.read(VA), other.read(VA)]).toEqual([done(3n), done(2n)]);
    // The last one that has the page need not copy it.
    expect(frameAt(mm) === frame).toBe(reuses);
    expect(memory.audit().live).toBe(live + 1);
    expect(folioAt(mm).references).toBe(1);
  });

  test('gives everything back when both are gone', () => {
    const before = memory.audit().live;
    mm.declareAnonymous(VA, 8 * PAGE);
    const thread = new UserThread(cpu);
    for (let page = 0; page < 8; page++) thread.write(VA + page * PAGE, BigInt(page));
    const child = fork();
    const other = makeCpu(2, child);
    new UserThread(other).write(VA, 9n);
    for (const [runs, process] of [
      [cpu, mm],
      [other, child],
    ] as const) {
      runs.load(undefined);
      expect(kernel.put(process).last).toBe(true);
      process.dispose();
      process.space.dispose();
    }
    // The root of the first mm went, the zero page came and stays.
    expect(memory.audit()).toMatchObject({ live: before, waiting: 0, doubleFrees: 0, writtenAfterFree: 0 });
  });

  test('without room is refused, and leaves nothing', () => {
    mm.declareAnonymous(VA, 512 * PAGE);
    const thread = new UserThread(cpu);
    for (let page = 0; memory.frames - memory.audit().live > 2; page++) thread.write(VA + page * PAGE, 1n);
    const { live } = memory.audit();
    expect(kernel.fork(mm)).toEqual({ kind: 'refused', reason: 'no-memory' });
    expect(memory.audit().live).toBe(live);
    expect(thread.write(VA, 2n)).toEqual(done(2n));
  });
});

test.each([
  ['roll-over', true],
  ['exit', false],
] as const)('ASIDs of processes that end come back at %s', (recycle, rollsOver) => {
  const asids = new AsidAllocator(memory, 2, { recycle });
  const broadcast = new Cpu(memory, 3, new Tlb(memory, MODEL), { invalidation: 'broadcast' });
  for (let n = 0; n < 20; n++) {
    const process = new Mm(memory.createAddressSpace());
    process.declareAnonymous(VA, PAGE);
    broadcast.switchTo(process, asids);
    const thread = new UserThread(broadcast);
    // It does not see what the one before it had under the same number.
    expect(thread.read(VA)).toEqual(done(0n));
    thread.write(VA, BigInt(n + 1));
    new Kernel(broadcast).put(process);
    broadcast.switchTo(undefined, asids);
    process.dispose();
    process.space.dispose();
  }
  expect(asids.rollovers > 0).toBe(rollsOver);
});

describe('shared files', () => {
  test('come from the backing store, and go back to it', () => {
    const file = new SharedFile(memory, { pages: 2 });
    file.stored(1)[0] = 5n;
    mm.declare(VA, 2 * PAGE, file, 0);
    const two = new Mm(memory.createAddressSpace());
    two.declare(VA, PAGE, file, 1);
    const [one, other] = [new UserThread(cpu), new UserThread(makeCpu(2, two))];
    expect(one.read(VA + PAGE)).toEqual(done(5n));
    expect(other.write(VA, 6n)).toEqual(done(6n));
    expect(one.read(VA + PAGE)).toEqual(done(6n));
    expect(folioAt(two)).toMatchObject({ references: 3, mapcount: 2, anonymous: false, index: 1 });
    expect(kernel.writeBack(frameAt(two))).toMatchObject({ written: true, touched: 1 });
    expect(file.stored(1)[0]).toBe(6n);
    expect(() => file.stored(2)).toThrow('"page" must be below the 2 pages of the file, got 2');
  });

  test.each([
    ['pages of the page cache', false],
    ['frames of a device', true],
  ])('a driver records first stores to %s, and a cycle uploads them', (_name, pfns) => {
    const file = new SharedFile(memory, { pages: 3 });
    const driver = new DirtyDriver(file, pfns ? { frames: memory.allocateFrames(3) } : {});
    mm.declare(VA, 3 * PAGE, file, 0, { writeNotify: true, pfns });
    const thread = new UserThread(cpu, { mkwrite: 'held' });
    thread.read(VA);
    thread.write(VA + PAGE, 1n);
    thread.write(VA + 2 * PAGE, 2n);
    expect(driver.recorded).toEqual([1, 2]);
    expect(kernel.transfer(driver)).toMatchObject({ copied: 2 });
    expect([0, 1, 2].map((page) => driver.device(page)[0])).toEqual([0n, 1n, 2n]);
    expect(driver.recorded).toEqual([]);
    thread.write(VA + PAGE, 3n);
    expect(driver.recorded).toEqual([1]);
    expect(kernel.transfer(driver).copied).toBe(1);
    expect(driver.device(1)[0]).toBe(3n);
  });
});

test('soft-dirty is set again by the first store after it was cleared', () => {
  mm.declareAnonymous(VA, 2 * PAGE);
  const thread = new UserThread(cpu);
  thread.write(VA, 1n);
  thread.write(VA + PAGE, 1n);
  kernel.clearSoftDirty(mm);
  thread.write(VA + PAGE, 2n);
  expect([...kernel.softDirty(mm, VA, 2 * PAGE)]).toEqual([VA / PAGE + 1]);
});

test("a store to what userfaultfd write-protected is its monitor's", () => {
  mm.declareAnonymous(VA, PAGE, { userfaultfd: true });
  const thread = new UserThread(cpu);
  thread.write(VA, 1n);
  kernel.userfaultfdWriteProtect(mm, VA, PAGE);
  expect(thread.read(VA)).toEqual(done(1n));
  expect(thread.write(VA, 2n)).toMatchObject({ kind: 'userfault', fault: { va: BigInt(VA) } });
  kernel.userfaultfdWriteProtect(mm, VA, PAGE, { resolve: true });
  expect(thread.write(VA, 2n)).toEqual(done(2n));
});

describe('pages that move', () => {
  test('are reclaimed to swap and come back', () => {
    mm.declareAnonymous(VA, PAGE);
    const thread = new UserThread(cpu);
    thread.write(VA, 5n);
    const frame = frameAt(mm);
    expect(kernel.reclaim(frame).reclaimed).toBe(false);
    memory.openSwap(4);
    expect(kernel.reclaim(frame)).toMatchObject({ reclaimed: true, touched: 1, flush: { kind: 'done' } });
    expect(memory.frameInfo(frame).state).toBe('free');
    expect(thread.read(VA)).toEqual(done(5n));
    expect(kernel.reclaim(99 as Pfn)).toMatchObject({ reclaimed: false, touched: 0 });
    expect(() => kernel.reclaim(pfnOf(mm.space.root))).toThrow('is no page that an mm counts: it is table');
    expect(() => memory.openSwap(4)).toThrow('there is a swap area already');
  });

  test('are migrated, with what was stored', () => {
    mm.declareAnonymous(VA, PAGE);
    const thread = new UserThread(cpu);
    thread.write(VA, 5n);
    const frame = frameAt(mm);
    const { to } = kernel.migrate(frame);
    expect(to).toBe(frameAt(mm));
    expect(to).not.toBe(frame);
    expect(memory.frameInfo(frame).state).toBe('free');
    expect(folioAt(mm)).toMatchObject({ references: 1, mapcount: 1 });
    memory.getFrame(to as Pfn);
    expect(kernel.migrate(to as Pfn).to).toBeUndefined();
    expect(thread.read(VA)).toEqual(done(5n));
  });

  test('with the flush put off, the old frame is read until somebody may write', () => {
    mm.declareAnonymous(VA, PAGE);
    const deferred = new DeferredFlush(memory, 4);
    deferred.serve(mm);
    const thread = new UserThread(cpu, { settleDeferred: true });
    thread.write(VA, 5n);
    kernel.protect(mm, VA, PAGE, { read: true });
    thread.read(VA);
    const frame = frameAt(mm);
    expect(kernel.migrate(frame, { deferred }).flush.kind).toBe('none');
    expect(deferred.pending).toBe(1);
    expect(folioAt(mm).flags.flushDeferred).toBe(true);
    new BigUint64Array(memory.bytes(frame).buffer, memory.bytes(frame).byteOffset)[0] = 6n;
    expect(thread.read(VA)).toEqual(done(6n));
    kernel.protect(mm, VA, PAGE, { read: true, write: true }, { deferred, flush: 'none' });
    expect(deferred).toMatchObject({ pending: 0, flushes: 1 });
    expect(thread.read(VA)).toEqual(done(5n));
    expect(memory.frameInfo(frame).state).toBe('free');
  });
});

test('notifiers hear of ranges, flushes and the end', () => {
  mm.declareAnonymous(VA, 2 * PAGE);
  const thread = new UserThread(cpu);
  for (const page of [0, 1]) thread.write(VA + page * PAGE, 1n);
  const [all, second] = [new MmuNotifier(mm), new MmuNotifier(mm, { va: VA + PAGE, sizeBytes: PAGE }, { capacity: 1 })];
  const sequence = second.begin();
  const range = { first: BigInt(VA), last: BigInt(VA + PAGE - 1) };
  kernel.dontNeed(mm, VA, PAGE);
  expect(all.drain()).toEqual([
    { kind: 'start', event: 'clear', range },
    { kind: 'end', event: 'clear', range },
    { kind: 'secondary', range },
  ]);
  expect(second.retryNeeded(sequence)).toBe(false);
  kernel.dontNeed(mm, VA + PAGE, PAGE);
  expect(second.retryNeeded(sequence)).toBe(true);
  expect(second.drain()).toHaveLength(1);
  expect(second.counts).toMatchObject({ starts: { clear: 1, unmap: 0 }, ends: { clear: 1 }, secondary: 1, dropped: 2 });
  all.drain();
  cpu.load(undefined);
  kernel.put(mm);
  expect(all.drain().at(0)).toEqual({ kind: 'release' });
  expect(() => new MmuNotifier(mm, undefined, { capacity: 3 })).toThrow('"capacity" must be a power of two');
});

test('arguments that cannot be are named', () => {
  expect(() => mm.declareAnonymous(VA + 1, PAGE)).toThrow('"va" must be page-aligned, got 0x400001');
  expect(() => mm.declareAnonymous(VA, 0)).toThrow('"sizeBytes" must be above 0');
  // @ts-expect-error: no such rule
  expect(() => new UserThread(cpu, { reuse: 'always' })).toThrow('"reuse" must be one of exclusive, count, mapcount');
  expect(() => new SharedFile(memory, { pages: -1 })).toThrow('"pages" must be from 0');
  expect(() => new DirtyDriver(new SharedFile(memory))).toThrow('"file" must be made with "pages"');
  expect(() => new DeferredFlush(memory, 0)).toThrow('"capacity" must be from 1');
  expect(() => memory.openSwap(0)).toThrow('"slots" must be from 1');
});
