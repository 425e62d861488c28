// The built package in a real page, cross-origin isolated: it loads, translates, and shares its memory with a worker.
import { canShare, PhysicalMemory } from 'pagewalk';
import { expect, test } from 'vitest';

test('the page is cross-origin isolated', () => {
  expect(globalThis.crossOriginIsolated).toBe(true);
  expect(canShare()).toBe(true);
});

test('the core loads and translates', async () => {
  using memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  using space = memory.createAddressSpace();
  expect(space.map(0x7000, 0xabc000, 8192, { read: true, write: true, user: true })).toEqual({
    kind: 'done',
    leaves: 2,
  });
  expect(space.translate(0x8123, 'user-write')).toMatchObject({ kind: 'mapped', pa: 0xabd123n });
  expect(space.translate(0x8123, 'execute')).toMatchObject({ kind: 'fault', cause: 'protection' });
  expect(space.translate(0x9000)).toMatchObject({ kind: 'fault', cause: 'absent' });
});

test('a worker joins the memory and sees what the page maps', async () => {
  using memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  using space = memory.createAddressSpace();
  space.map(0x7000, 0xabc000, 4096, { read: true });
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const answer = new Promise((done, failed) => {
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = ({ message }) => failed(new Error(message));
  });
  worker.postMessage({ handle: memory.share(), space: space.handle, va: 0x7123 });
  expect(await answer).toMatchObject({ kind: 'mapped', pa: 0xabc123n });
  worker.terminate();
});

test('one thread works on memory that is not shared', async () => {
  using memory = await PhysicalMemory.create({ sizeBytes: 1 << 20, shared: false });
  using space = memory.createAddressSpace();
  space.map(0x7000, 0xabc000, 4096, { read: true });
  expect(space.translate(0x7123, 'read')).toMatchObject({ kind: 'mapped', pa: 0xabc123n });
  expect(() => memory.share()).toThrow(/SharedArrayBuffer|shared/);
});
