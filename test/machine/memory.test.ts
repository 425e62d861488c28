// PhysicalMemory as TypeScript sees it: options refused by name, frames, joining, and giving up on a thread.

import { expect, test } from 'vitest';
import { AddressSpace, PhysicalMemory, pfn, physicalAddress, vpn } from '../../src/index.ts';

test('options that do not fit are refused with their name and value', async () => {
  for (const [options, message] of [
    [{ sizeBytes: 5000 }, '"sizeBytes" must be a positive multiple of 4096, got 5000'],
    [
      { sizeBytes: 2 ** 32 },
      /"sizeBytes" of 4294967296 with "heapBytes" of 16777216 exceeds the 4 GiB.*at most \d+ fit/,
    ],
    [{ heapBytes: 1 }, '"heapBytes" must be at least 4096, got 1'],
    [{ basePfn: -1 }, '"basePfn" must be a frame number from 0 to 2^40-1, got -1'],
  ] as const) {
    await expect(PhysicalMemory.create(options)).rejects.toThrow(message);
  }
  await expect(PhysicalMemory.createSparse({ pages: 0 })).rejects.toThrow('"pages" must be from 1 to 900000, got 0');
});

test('what is said to fit, fits', async () => {
  const error: Error = await PhysicalMemory.create({ sizeBytes: 2 ** 32 }).then(
    () => new Error('it fitted'),
    (refusal: Error) => refusal,
  );
  const most = Number(/at most (\d+) fit/.exec(error.message)?.[1]);
  const memory = await PhysicalMemory.create({ sizeBytes: most });
  expect(memory.frames).toBe(most / 4096);
  // The last frame is there, and nothing before it was touched.
  const last = memory.bytes(pfn(memory.frames - 1));
  last[4095] = 1;
  expect(last[4095]).toBe(1);
  memory.dispose();
});

test('a window of frames may begin anywhere in the physical address space', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20, basePfn: 2 ** 28 });
  const space = memory.createAddressSpace();
  expect(space.root).toBe(2n ** 40n);
  expect(space.map(0x1000, 2n ** 40n + 0x5000n, 4096, { read: true }).kind).toBe('done');
  expect(space.translate(0x1234)).toMatchObject({ kind: 'mapped', pa: 2n ** 40n + 0x5234n });
  expect(() => memory.bytes(pfn(0))).toThrow(/frame 0x0 is outside physical memory, 0x10000000000 to 0x100000fffff/);
});

test('a frame that is freed twice is refused and audited, and one that is never freed is listed', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const [freed, kept] = [memory.allocateFrame(), memory.allocateFrame()];
  memory.putFrame(freed);
  expect(() => memory.putFrame(freed)).toThrow(/cannot free frame 0x0: it is free already/);
  expect(memory.audit()).toMatchObject({ live: 1, doubleFrees: 1, badFrame: freed });
  expect([...memory.liveFrames()].map(({ frame }) => frame)).toEqual([kept]);
  expect(memory.frameInfo(kept)).toEqual({ state: 'data', references: 1, generation: 1 });
});

test('an address space is seen by its handle from another object that joined', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const space = memory.createAddressSpace({ format: 'x86-64-la57' });
  space.map(0x1000, 0x9000, 4096, { write: true, user: true });
  const joined = await PhysicalMemory.join(memory.share());
  expect(joined.agent).not.toBe(memory.agent);
  const same = AddressSpace.at(joined, space.handle);
  expect(same.format.name).toBe('x86-64-la57');
  expect(same.translate(0x1000)).toEqual(space.translate(0x1000));
  expect(memory.releaseAgent(joined.agent)).toBe(0);
  expect(() => memory.releaseAgent(joined.agent)).toThrow(/"agent" \d+ is not joined/);
  expect(() => AddressSpace.at(memory, 64)).toThrow('"handle" 0x40 is no address space of this memory');
});

test('a memory without sharing works, and says what sharing takes', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20, shared: false });
  const space = memory.createAddressSpace();
  space.map(0x1000, 0x9000, 4096, { write: true });
  expect(space.access(0x1000, 'write').kind).toBe('mapped');
  expect(() => memory.share()).toThrow(/SharedArrayBuffer.*cross-origin isolated/);
});

test('a software TLB answers as the space does, before and after every change', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const space = memory.createAddressSpace();
  const tlb = space.softTlb(16);
  const check = () => {
    for (let page = 0x1000; page < 0x1040; page++) {
      expect(tlb.translatePage(vpn(page))).toBe(space.translatePage(vpn(page)));
    }
  };
  check();
  space.map(0x1000000, 0x80000, 64 * 4096, { write: true });
  check();
  check();
  space.protect(0x1008000, 4 * 4096, { read: true });
  check();
  space.unmap(0x1010000, 8 * 4096);
  check();
});

test('a reverse map finds every page that maps a frame', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const space = memory.createAddressSpace();
  space.map(0x200000, 0x40000000, 0x200000, { write: true }, '2MiB');
  space.map(0x1000, 0x40003000, 3 * 4096, { write: true });
  const map = space.reverseMap();
  expect(map.pagesOf(pfn(0x40004))).toEqual([2, 0x204]);
  expect(map.pagesOf(pfn(0x40100))).toEqual([0x300]);
  expect(map.pagesOf(pfn(0x3ffff))).toEqual([]);
  expect([...space.mappingsOf(pfn(0x40004))].map(({ va }) => va)).toEqual([0x2000n, 0x200000n]);
  expect([...map.countMany(Float64Array.of(0x40004, 0x40100, 5))]).toEqual([2, 1, 0]);
});

test('pages of an image stand where they were put, and a root among them is walked', async () => {
  const memory = await PhysicalMemory.createSparse({ pages: 8 });
  const root = physicalAddress('0x7_1234_5000');
  const page = new Uint8Array(4096);
  // The last entry maps the root itself: a recursive mapping.
  new DataView(page.buffer).setBigUint64(4088, root | 3n, true);
  memory.insertPage(root, page);
  const space = memory.openAddressSpace({ root });
  expect([...space.mappings()]).toMatchObject([{ kind: 'hole', why: 'loop', va: 0xffffff8000000000n, table: root }]);
  expect(space.translate('0xfffffffffffff000')).toMatchObject({ kind: 'mapped', pa: root });
  expect(() => memory.createAddressSpace()).toThrow('a sparse memory has no RAM to make tables in');
  for (let n = 1; n < 8; n++) memory.insertPage(physicalAddress(n * 4096), page);
  expect(() => memory.insertPage(physicalAddress(0x9000), page)).toThrow('no room for a page at 0x9000');
});

test('chaos is seeded by whole numbers', async () => {
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20, build: 'chaos' });
  memory.seedChaos(7, 2, 100);
  expect(() => memory.seedChaos(0.5)).toThrow('"seed" must be a whole number up to 4294967295, got 0.5');
  expect(memory.createAddressSpace().map(0, 0, 4096, {}).kind).toBe('done');
});
