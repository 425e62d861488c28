// Machines of several CPUs as TypeScript sees them.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cpu, Mm, PageBitmap, PhysicalMemory, SharedFile, Tlb, type TlbModel, vpn } from '../../src/index.ts';

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
  expect(one.read(0x1000)).toEqual({ kind: 'fault' });
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
  expect(() => mm.declare(VA, 4096, file, 0)).toThrow(/declared there already/);
  const bitmap = new PageBitmap(memory, vpn(2), 2);
  expect(() => file.cleanAndRecord(cpu(0), 0, 3, bitmap)).toThrow('"bitmap" holds pages 2 to 3 of the file only');
  expect(() => cpu(0).flush(mm, undefined, { ceiling: -1 })).toThrow('"ceiling" must be from 0');
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
