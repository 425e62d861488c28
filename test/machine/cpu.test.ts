// Machines of several CPUs as TypeScript sees them.

import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  AsidAllocator,
  Cpu,
  Mm,
  PageBitmap,
  PhysicalMemory,
  SharedFile,
  Tlb,
  type TlbModel,
  vpn,
} from '../../src/index.ts';

const MODEL: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0, 1, 2], sets: 4, ways: 4 }] };
const VA = 0x400000;

let memory: PhysicalMemory;
let mm: Mm;
let file: SharedFile;
beforeEach(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const space = memory.createAddressSpace();
  mm = new Mm(space);
  file = new SharedFile(memory);
  const first = memory.allocateFrames(8);
  mm.declare(VA, 8 * 4096, file, 0);
  space.map(VA, BigInt(first) * 4096n, 8 * 4096, { write: true, user: true });
});
afterEach(() => memory.dispose());

const cpu = (id: number) => new Cpu(memory, id, new Tlb(memory, MODEL));

test('a CPU loads what another stored, and exchanges it', () => {
  const [one, two] = [cpu(0), cpu(1)];
  for (const each of [one, two]) each.load(mm);
  expect(one.write(VA + 8, 7n)).toEqual({ kind: 'done', value: 7n });
  expect(two.read(VA + 8)).toEqual({ kind: 'done', value: 7n });
  expect(two.exchange(VA + 8, 9n)).toEqual({ kind: 'done', value: 7n });
  expect(one.read(VA + 8)).toEqual({ kind: 'done', value: 9n });
  expect(one.writeMany(VA, 1n, 100)).toBe(100);
  expect(mm.cpuMask).toBe(0b11n);
});

test('an address that nothing maps is a fault, and counted', () => {
  const one = cpu(0);
  one.load(mm);
  expect(one.read(0x1008)).toEqual({
    kind: 'fault',
    cause: 'absent',
    level: 1,
    code: 4,
    va: 0x1008n,
    access: 'user-read',
    cached: false,
  });
  expect(one.faults).toBe(1);
});

test('a file range is cleaned and recorded, and nothing is owed afterwards', () => {
  const [kernel, user] = [cpu(0), cpu(1)];
  user.load(mm);
  for (const page of [1, 4]) user.write(VA + page * 4096, 1n);
  const bitmap = new PageBitmap(memory, vpn(0), 8);
  const generation = mm.tlbGeneration;
  expect(file.cleanAndRecord(kernel, 0, 7, bitmap)).toEqual({
    touched: 2,
    pages: { first: 1, last: 4 },
    passedOver: 0,
    largeLeft: 0,
    warned: 0,
    flush: { kind: 'done', flushes: 1, interrupted: 1 },
  });
  expect([...bitmap]).toEqual([1, 4]);
  expect({ start: bitmap.start, end: bitmap.end }).toEqual({ start: 1, end: 5 });
  expect({ pending: mm.flushPending, generation: mm.tlbGeneration }).toEqual({
    pending: 0,
    generation: generation + 1n,
  });
  expect(file.cleanAndRecord(kernel, 0, 7, bitmap).touched).toBe(0);
});

test('a write-protected page is stored to through a stale entry until the flush, and faults after it', () => {
  const [kernel, user] = [cpu(0), cpu(1)];
  user.load(mm);
  user.write(VA, 1n);
  const slot = mm.space.entryAddress(VA);
  if (slot === undefined) throw new Error('no entry');
  memory.pte.ptepSetWrprotect(slot);
  expect(user.write(VA, 2n).kind).toBe('done');
  expect(kernel.flush(mm, { va: VA, sizeBytes: 4096 })).toBe(1);
  expect(user.write(VA, 3n).kind).toBe('fault');
  expect(user.interrupts).toBe(1);
});

test('what is no CPU, machine, range or ceiling is refused by name', () => {
  const tlb = new Tlb(memory, MODEL);
  expect(() => new Cpu(memory, 64, tlb)).toThrow('"id" must be from 0 to 63, got 64');
  expect(() => new Cpu(memory, 0, tlb, 'wrong' as never)).toThrow(/"machine" must be one of recheck, .*got wrong/);
  expect(() => new Cpu(memory, 0, tlb, { invalidation: 'mail' as never })).toThrow(
    /"invalidation" must be interrupt or/,
  );
  expect(() => mm.declare(VA, 4096, file, 0)).toThrow(/declared there already/);
  const bitmap = new PageBitmap(memory, vpn(2), 2);
  expect(() => file.cleanAndRecord(cpu(0), 0, 3, bitmap)).toThrow('"bitmap" holds pages 2 to 3 of the file only');
  expect(() => cpu(0).flush(mm, undefined, { ceiling: -1 })).toThrow('"ceiling" must be from 0');
});

test('a fetch of what may not be executed, and a store through an entry that says so, are told apart', () => {
  const one = cpu(0);
  one.load(mm);
  one.read(VA);
  expect(one.fetch(VA)).toMatchObject({ kind: 'fault', cause: 'protection', access: 'user-execute', cached: true });
  const slot = mm.space.entryAddress(VA);
  if (slot === undefined) throw new Error('no entry');
  memory.pte.ptepSetWrprotect(slot);
  expect(one.write(VA, 1n)).toMatchObject({ cause: 'protection', access: 'user-write', code: 7, cached: false });
});

test('options of the hardware: broadcast, eviction and speculation, caching of what is not present', () => {
  const [kernel, user] = [0, 1].map(
    (id) => new Cpu(memory, id, new Tlb(memory, MODEL), { invalidation: 'broadcast' }),
  ) as [Cpu, Cpu];
  user.load(mm, 5);
  user.write(VA, 1n);
  expect(kernel.flush(mm, { va: VA, sizeBytes: 4096 })).toBe(1);
  expect({ ...user.statistics.flush }).toMatchObject({ answered: 0 });
  user.write(VA, 1n);
  expect(user.statistics.walks).toBe(2);

  const restless = new Cpu(memory, 2, new Tlb(memory, MODEL), { evicts: true, speculates: VA + 4096 });
  restless.load(mm);
  memory.seedEnvironment(9);
  for (let n = 0; n < 5000; n++) expect(restless.read(VA).kind).toBe('done');
  memory.seedEnvironment(0);
  expect(restless.statistics.evictions).toBeGreaterThan(0);
  expect(restless.statistics.speculations).toBeGreaterThan(0);

  const riscv = new Cpu(memory, 3, new Tlb(memory, MODEL), { cachesAbsent: true, machine: 'swdirty' });
  riscv.load(mm);
  const page = VA + 64 * 4096;
  expect(riscv.read(page).kind).toBe('fault');
  mm.space.map(page, BigInt(memory.allocateFrames(1)) * 4096n, 4096, { user: true });
  expect(riscv.read(page)).toMatchObject({ kind: 'fault', cause: 'absent', cached: true });
  riscv.fence(page);
  expect(riscv.read(page).kind).toBe('done');
});

test('a flush says how it was carried out', () => {
  const [kernel, user, sleeper] = [cpu(0), cpu(1), cpu(2)];
  for (const each of [kernel, user, sleeper]) each.load(mm);
  sleeper.enterLazy();
  expect(kernel.flush(mm, { va: VA, sizeBytes: 4096 }, { skipLazy: true, earlyAck: true, concurrentLocal: true })).toBe(
    1,
  );
  expect(kernel.flush(mm, undefined, { skipLazy: true, freedTables: true })).toBe(2);
  user.takeInterrupts();
  expect(sleeper.leaveLazy()).toBe(false);
  const { flush } = kernel.statistics;
  expect(flush).toMatchObject({ asked: 2, sent: 3, partial: 1, answered: 0 });
  // Two requests that waited are one answer.
  expect(user.statistics.flush).toMatchObject({ answered: 1, partial: 0 });
});

test('mms that come back find their translations, by PCID and by a number of all CPUs', () => {
  const others = Array.from({ length: 4 }, () => new Mm(memory.createAddressSpace()));
  const one = cpu(0);
  const asids = new AsidAllocator(memory, 2);
  const two = new Cpu(memory, 1, new Tlb(memory, MODEL), { invalidation: 'broadcast' });
  for (const [each, allocator] of [
    [one, undefined],
    [two, asids],
  ] as const) {
    each.switchTo(mm, allocator);
    each.read(VA);
    each.switchTo(others[0], allocator);
    expect(each.read(VA).kind).toBe('fault');
    const { walks } = each.statistics;
    each.switchTo(mm, allocator);
    expect(each.read(VA).kind).toBe('done');
    expect(each.statistics.walks).toBe(walks);
  }
  expect({ count: asids.count, rollovers: asids.rollovers, asid: asids.asidOf(mm) }).toEqual({
    count: 3,
    rollovers: 0,
    asid: 1,
  });
  for (const other of others) two.switchTo(other, asids);
  expect(asids.rollovers).toBe(1);
  expect(asids.asidOf(mm)).toBeUndefined();
  for (const each of [one, two]) each.switchTo(undefined);
  asids.dispose();
  expect(() => new AsidAllocator(memory, 1)).toThrow('"bits" must be from 2 to 16, got 1');
});

test('everything that was made can be given back', () => {
  const one = cpu(0);
  one.load(mm);
  one.write(VA, 1n);
  one.dispose();
  expect(mm.cpuMask).toBe(0n);
  mm.dispose();
  file.dispose();
  mm.space.dispose();
  expect(memory.audit().live).toBe(8);
});
