// Kernel paths as TypeScript sees them: what they tell, what they refuse, and what they throw at.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cpu, Kernel, Mm, PhysicalMemory, SharedFile, Tlb, type TlbModel } from '../../src/index.ts';

const MODEL: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0, 1, 2], sets: 4, ways: 4 }] };
const VA = 0x400000;
const PAGE = 4096;

let memory: PhysicalMemory;
let mm: Mm;
let file: SharedFile;
let kernel: Kernel;
let user: Cpu;
beforeEach(async () => {
  memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const space = memory.createAddressSpace();
  mm = new Mm(space);
  file = new SharedFile(memory);
  mm.declare(VA, 4 * PAGE, file, 0);
  space.map(VA, BigInt(memory.allocateFrames(4)) * 4096n, 4 * PAGE, { write: true, user: true });
  kernel = new Kernel(new Cpu(memory, 0, new Tlb(memory, MODEL)));
  user = new Cpu(memory, 1, new Tlb(memory, MODEL));
  user.load(mm);
});
afterEach(() => memory.dispose());

test('clear_refs write-protects, flushes, and is variable', () => {
  user.write(VA, 1n);
  expect(kernel.clearSoftDirty(mm)).toMatchObject({
    touched: 4,
    range: { first: BigInt(VA), last: BigInt(VA + 4 * PAGE - 1) },
    flush: { kind: 'done', flushes: 1, interrupted: 1 },
  });
  expect(user.write(VA, 2n).kind).toBe('fault');
  expect([...kernel.softDirty(mm, VA, 4 * PAGE)]).toEqual([]);
  expect(kernel.clearSoftDirty(mm, undefined, { flush: 'none', lock: 'read' }).flush.kind).toBe('owed');
});

test('mprotect tells what it did, or where it was refused', () => {
  expect(kernel.protect(mm, VA, 2 * PAGE, { read: true })).toMatchObject({ kind: 'done', touched: 2 });
  expect(user.write(VA + 2 * PAGE, 1n).kind).toBe('done');
  expect(kernel.protect(mm, VA + 3 * PAGE, 2 * PAGE, {})).toMatchObject({
    kind: 'refused',
    reason: 'hole',
    touched: 1,
  });
});

test('userfaultfd is refused where nobody registered', () => {
  expect(kernel.userfaultfdWriteProtect(mm, VA, PAGE)).toMatchObject({ kind: 'refused', reason: 'not-allowed' });
});

test('MADV_DONTNEED takes pages out', () => {
  user.read(VA);
  expect(kernel.dontNeed(mm, VA, PAGE)).toMatchObject({ touched: 1, flush: { kind: 'done' } });
  expect(user.read(VA).kind).toBe('fault');
});

test('an mm that lost VMAs gives back those it has, each once', () => {
  kernel.unmap(mm, VA, PAGE);
  user.load(undefined);
  mm.dispose();
  // A block that went twice would come twice, and two VMAs would be one.
  const others = [0, 1].map((n) => {
    const other = new Mm(memory.createAddressSpace());
    other.declare(VA + n * PAGE, PAGE, file, 0);
    return other;
  });
  const found = others.map((other) =>
    [0, 1].filter((n) => kernel.protect(other, VA + n * PAGE, PAGE, {}).kind === 'done'),
  );
  expect(found).toEqual([[0], [1]]);
  for (const other of others) other.dispose();
  expect(memory.core.firstVmaOf(file.handle, 0n, 99n)).toBe(0);
});

test('an mm whose VMAs were split leaves none of them in its file', () => {
  kernel.protect(mm, VA + PAGE, PAGE, { read: true });
  user.load(undefined);
  mm.dispose();
  expect(memory.core.firstVmaOf(file.handle, 0n, 99n)).toBe(0);
});

test('arguments that cannot be are named', () => {
  expect(() => kernel.dontNeed(mm, VA + 1, PAGE)).toThrow('"va" must be page-aligned, got 0x400001');
  expect(() => kernel.dontNeed(mm, VA, 0)).toThrow('"sizeBytes"');
  // @ts-expect-error: no such lock
  expect(() => kernel.clearSoftDirty(mm, undefined, { lock: 'none' })).toThrow('"lock" must be one of write, read');
});
