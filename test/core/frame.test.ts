// Frames: one owner at a time; a second free, a write after a free and a leak are found.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { control, framesOf, layout, makeRig, type Rig } from '../support/core.ts';

const { FRAME_DATA, FRAME_TABLE } = layout;
const BASE = 0x100;
const makeFrames = (frames: number) => makeRig({ frames, basePfn: BASE });
const live = (rig: Rig) => control(rig, layout.CONTROL_LIVE);
const meta = (rig: Rig, pfn: number, field: number) => rig.u32[((rig.core.frameMeta(pfn) >>> 0) + field) / 4];

test('every frame is handed out once, zeroed, and then there is none', async () => {
  const rig = await makeFrames(64);
  const got = new Set<number>();
  for (let n = 0; n < 64; n++) got.add(rig.core.allocateFrame(FRAME_DATA));
  expect([...got].sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, n) => BASE + n));
  expect(rig.core.allocateFrame(FRAME_DATA)).toBe(-1);
  expect(rig.core.allocateFrames(1, 1, FRAME_DATA)).toBe(-1);
  expect(live(rig)).toBe(64);
});

test('a frame is zero when it is handed out again, whatever its last owner wrote', async () => {
  const rig = await makeFrames(4);
  const pfn = rig.core.allocateFrame(FRAME_DATA);
  framesOf(rig, pfn - BASE, 1).fill(0x77);
  expect(rig.core.putFrame(pfn)).toBe(layout.STATUS_OK);
  expect(framesOf(rig, pfn - BASE, 1).every((byte) => byte === layout.POISON)).toBe(true);
  expect(rig.core.allocateFrame(FRAME_TABLE)).toBe(pfn);
  expect(framesOf(rig, pfn - BASE, 1).every((byte) => byte === 0)).toBe(true);
  expect(meta(rig, pfn, layout.META_STATE)).toBe(FRAME_TABLE);
  expect(meta(rig, pfn, layout.META_GENERATION)).toBe(2);
});

test('a second free is refused and counted, with the frame that it was about', async () => {
  const rig = await makeFrames(8);
  rig.core.allocateFrame(FRAME_DATA);
  const pfn = rig.core.allocateFrame(FRAME_DATA);
  expect(rig.core.putFrame(pfn)).toBe(layout.STATUS_OK);
  expect(rig.core.putFrame(pfn)).toBe(layout.STATUS_NOT_LIVE);
  expect(rig.core.getFrame(pfn)).toBe(layout.STATUS_NOT_LIVE);
  expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(2);
  expect(control(rig, layout.CONTROL_BAD_PFN)).toBe(pfn - BASE);
  expect(live(rig)).toBe(1);
  // The free list is whole: the frame comes once.
  expect(rig.core.allocateFrame(FRAME_DATA)).toBe(pfn);
  expect(rig.core.allocateFrame(FRAME_DATA)).not.toBe(pfn);
});

test('a frame that was never handed out cannot be freed, and one outside memory does not exist', async () => {
  const rig = await makeFrames(8);
  expect(rig.core.putFrame(BASE)).toBe(layout.STATUS_NOT_LIVE);
  for (const pfn of [BASE - 1, BASE + 8, 0, 2 ** 40 - 1]) {
    expect(rig.core.putFrame(pfn)).toBe(layout.STATUS_UNBACKED);
    expect(rig.core.getFrame(pfn)).toBe(layout.STATUS_UNBACKED);
    expect(rig.core.frameMeta(pfn)).toBe(0);
    expect(rig.core.frameAddress(pfn)).toBe(0);
  }
});

test('a frame lives until its last reference goes', async () => {
  const rig = await makeFrames(8);
  const pfn = rig.core.allocateFrame(FRAME_DATA);
  rig.core.getFrame(pfn);
  rig.core.getFrame(pfn);
  expect(meta(rig, pfn, layout.META_REFS)).toBe(3);
  rig.core.putFrame(pfn);
  rig.core.putFrame(pfn);
  expect(live(rig)).toBe(1);
  rig.core.putFrame(pfn);
  expect(live(rig)).toBe(0);
});

test('a write after the free is found by the scan, and the frame is never handed out again', async () => {
  const rig = await makeFrames(4);
  const pfns = [0, 1, 2, 3].map(() => rig.core.allocateFrame(FRAME_DATA));
  for (const pfn of pfns) rig.core.putFrame(pfn);
  const spoiled = pfns[1] as number;
  framesOf(rig, spoiled - BASE, 1)[4095] = 0;
  expect(rig.core.countSpoiledFrames()).toBe(1);
  expect(control(rig, layout.CONTROL_BAD_PFN)).toBe(spoiled - BASE);
  const again = new Set([0, 1, 2].map(() => rig.core.allocateFrame(FRAME_DATA)));
  expect(again.has(spoiled)).toBe(false);
  expect(again.size).toBe(3);
  expect(rig.core.allocateFrame(FRAME_DATA)).toBe(-1);
  expect(control(rig, layout.CONTROL_BAD_POISON)).toBe(1);
  expect(meta(rig, spoiled, layout.META_STATE)).toBe(layout.FRAME_BAD);
});

test('any single byte that changes in a free frame is noticed', async () => {
  const rig = await makeFrames(1);
  const pfn = rig.core.allocateFrame(FRAME_DATA);
  rig.core.putFrame(pfn);
  const bytes = framesOf(rig, 0, 1);
  for (let at = 0; at < 4096; at++) {
    bytes[at] = layout.POISON ^ (1 << (at & 7));
    expect(rig.core.countSpoiledFrames()).toBe(1);
    bytes[at] = layout.POISON;
  }
  expect(rig.core.countSpoiledFrames()).toBe(0);
});

test('a leak is found: nextLiveFrame goes through what is still held', async () => {
  const rig = await makeFrames(16);
  const pfns = Array.from({ length: 10 }, () => rig.core.allocateFrame(FRAME_DATA));
  const kept = pfns.filter((_, n) => n % 3 === 0);
  for (const pfn of pfns) if (!kept.includes(pfn)) rig.core.putFrame(pfn);
  const found: number[] = [];
  for (let pfn = rig.core.nextLiveFrame(BASE); pfn >= 0; pfn = rig.core.nextLiveFrame(pfn + 1)) found.push(pfn);
  expect(found).toEqual(kept);
  expect(live(rig)).toBe(kept.length);
});

test('frames in a row are aligned by PFN, and those skipped for it are used later', async () => {
  const rig = await makeRig({ frames: 64, basePfn: 0x105 });
  expect(rig.core.allocateFrame(FRAME_DATA)).toBe(0x105);
  const first = rig.core.allocateFrames(16, 16, FRAME_DATA);
  expect(first).toBe(0x110);
  expect(rig.core.frameAddress(first + 15) >>> 0).toBe((rig.core.frameAddress(first) >>> 0) + 15 * 4096);
  const rest = new Set<number>();
  for (let pfn = rig.core.allocateFrame(FRAME_DATA); pfn >= 0; pfn = rig.core.allocateFrame(FRAME_DATA)) rest.add(pfn);
  expect(rest.size).toBe(64 - 17);
  for (let pfn = 0x106; pfn < 0x110; pfn++) expect(rest.has(pfn)).toBe(true);
});

test('a row that does not fit is refused and takes nothing', async () => {
  const rig = await makeFrames(16);
  expect(rig.core.allocateFrames(17, 1, FRAME_DATA)).toBe(-1);
  expect(rig.core.allocateFrames(16, 512, FRAME_DATA)).toBe(-1);
  expect(rig.core.allocateFrames(0xffffffff, 1, FRAME_DATA)).toBe(-1);
  expect(live(rig)).toBe(0);
  expect(rig.core.allocateFrames(16, 16, FRAME_DATA)).toBe(BASE);
});

test('any sequence of allocate, get and put agrees with a model of references', async () => {
  const commands = fc.array(
    fc.record({
      op: fc.constantFrom('allocate' as const, 'row' as const, 'get' as const, 'put' as const),
      n: fc.nat(11),
    }),
    { maxLength: 80, size: 'max' },
  );
  const frames = 12;
  await fc.assert(
    fc.asyncProperty(commands, async (commands) => {
      const rig = await makeFrames(frames);
      const refs = new Map<number, number>();
      let refused = 0;
      for (const { op, n } of commands) {
        const pfn = BASE + n;
        const held = refs.get(pfn) ?? 0;
        if (op === 'allocate') {
          const got = rig.core.allocateFrame(FRAME_DATA);
          expect(refs.has(got)).toBe(false);
          expect(got === -1).toBe(refs.size === frames);
          if (got !== -1) refs.set(got, 1);
        } else if (op === 'row') {
          const got = rig.core.allocateFrames(2, 2, FRAME_DATA);
          if (got === -1) continue;
          expect(got % 2).toBe(0);
          for (const each of [got, got + 1]) {
            expect(refs.has(each)).toBe(false);
            refs.set(each, 1);
          }
        } else {
          const status = op === 'get' ? rig.core.getFrame(pfn) : rig.core.putFrame(pfn);
          expect(status).toBe(held > 0 ? layout.STATUS_OK : layout.STATUS_NOT_LIVE);
          const now = held + (op === 'get' ? 1 : -1);
          if (held === 0) refused++;
          else if (now === 0) refs.delete(pfn);
          else refs.set(pfn, now);
        }
        expect(live(rig)).toBe(refs.size);
      }
      expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(refused);
      expect(rig.core.countSpoiledFrames()).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test('the directory backs pages outside the window until it is full', async () => {
  const rig = await makeFrames(64);
  const { core } = rig;
  expect(core.backFrame(0x999999, BASE)).toBe(layout.STATUS_NO_MEMORY);
  expect(core.openDirectory(20)).toBe(layout.STATUS_OK);
  const pfns = Array.from({ length: 20 }, (_, n) => 0x200 + n * 0x10001);
  for (const [n, pfn] of pfns.entries()) expect(core.backFrame(pfn, BASE + n)).toBe(layout.STATUS_OK);
  for (const [n, pfn] of pfns.entries()) expect(core.frameAddress(pfn)).toBe(core.frameAddress(BASE + n));
  expect(core.frameAddress(0x123456)).toBe(0);
  // Backing a page again moves it and takes no further slot.
  for (let n = 0; n < 100; n++) expect(core.backFrame(0x200, BASE + 63)).toBe(layout.STATUS_OK);
  expect(core.frameAddress(0x200)).toBe(core.frameAddress(BASE + 63));
});
