// Reclaim and migration of single pages: entries, swap slots, frames, and the flushes that are put off.

import { beforeEach, describe, expect, test } from 'vitest';
import { layout } from '../support/core.ts';
import { A, D, type Leaf, PAGE, PRIVATE, RW, SAVED_DIRTY, Scene, SHARED, SOFT_DIRTY, UFFD_WP } from '../support/mm.ts';

const VA = 0x400000n;
const last = VA + PAGE - 1n;

let scene: Scene;
let mm: number;
let user: number;
beforeEach(async () => {
  scene = await Scene.make();
  mm = scene.mm();
  user = scene.cpu(1, layout.MACHINE_RECHECK, mm);
});

const core = () => scene.rig.core;
/** One anonymous page, and a reference to it for who takes it away. */
function isolated(bits = RW | D, value = 5n): Leaf {
  scene.vma(mm, VA, 1);
  const leaf = scene.anon(mm, VA, bits, value);
  core().getFrame(leaf.pfn);
  return leaf;
}
const mprotect = (rights: number, options = 0, deferred = 0) => {
  scene.prepare();
  scene.rig.u32[(scene.path + layout.PATH_DEFERRED) / 4] = deferred;
  core().mprotect(scene.self, mm, VA, last, rights, scene.path, options);
};

describe('reclaim', () => {
  const reclaim = (folio: number, options = 0) => {
    scene.prepare();
    return { gone: core().reclaimFolio(scene.self, folio, scene.path, options) !== 0, ...scene.told() };
  };
  const slotWord = (slot: number) => {
    const area = scene.u32(layout.CONTROL_SWAP);
    return scene.u64(scene.u32(area + layout.SWAP_PAGES) + slot * scene.u32(area + layout.SWAP_STRIDE));
  };

  test('writes an anonymous page to swap after the flush, leaves a swap entry, and frees the frame', () => {
    const { folio, pfn } = isolated(RW | D | SOFT_DIRTY);
    scene.store(user, VA, 9n);
    expect(reclaim(folio)).toMatchObject({ gone: true, touched: 1, flushes: 1 });
    expect(scene.isFree(pfn)).toBe(true);
    const entry = BigInt.asUintN(64, core().swpEntry(layout.SWP_SWAPFILE, 0));
    // Soft-dirty and exclusive are kept.
    expect(scene.pte(mm, VA)).toBe(entry | 2n | 8n);
    expect({ count: scene.swapCount(0), word: slotWord(0) }).toEqual({ count: 1, word: 9n });
    expect(scene.load(user, VA)).toBe(undefined);
    expect(scene.pending(mm)).toBe(0);
  });

  test('drops a lazily free page that is clean, and keeps one that was stored to again', () => {
    const { folio, pfn } = isolated();
    scene.prepare();
    core().madviseFree(scene.self, mm, VA, last, scene.path, 0);
    scene.store(user, VA, 6n);
    expect(reclaim(folio).gone).toBe(false);
    expect(scene.flags(folio) & layout.PG_SWAPBACKED).toBe(layout.PG_SWAPBACKED);
    expect(scene.pte(mm, VA) & (RW | D)).toBe(RW | D);
    scene.prepare();
    scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = scene.flags(folio) & ~layout.PG_DIRTY;
    core().madviseFree(scene.self, mm, VA, last, scene.path, 0);
    expect(reclaim(folio)).toMatchObject({ gone: true, touched: 1 });
    expect({ pte: scene.pte(mm, VA), free: scene.isFree(pfn) }).toEqual({ pte: 0n, free: true });
  });

  test('writes a dirty file page back, drops it from its file, and takes it out of every mm', () => {
    const file = scene.file(2);
    const other = scene.mm(5);
    for (const each of [mm, other]) scene.vma(each, VA, 1, SHARED, file, 1);
    const { folio, pfn } = scene.filePage(mm, VA, file, 1, RW | D, 3n);
    scene.filePage(other, VA, file, 1, RW);
    core().getFrame(pfn);
    scene.store(user, VA, 4n);
    const backing = scene.u32(folio + layout.FOLIO_BACKING);
    expect(reclaim(folio)).toMatchObject({ gone: true, touched: 2 });
    expect({ word: scene.u64(backing), free: scene.isFree(pfn) }).toEqual({ word: 4n, free: true });
    expect([scene.pte(mm, VA), scene.pte(other, VA)]).toEqual([0n, 0n]);
  });

  test('keeps a page that somebody else holds or has locked, with a swap entry in the first case', () => {
    const { folio, pfn } = isolated();
    core().lockFolio(folio);
    expect(reclaim(folio)).toMatchObject({ gone: false, touched: 0 });
    core().unlockFolio(folio);
    core().getFrame(pfn);
    expect(reclaim(folio)).toMatchObject({ gone: false, touched: 1, flushes: 1 });
    expect({ free: scene.isFree(pfn), refs: scene.refs(pfn) }).toEqual({ free: false, refs: 3 });
    core().putFolio(folio);
    expect(reclaim(folio).gone).toBe(true);
  });

  test('without the flush before it is freed, a frame is read that is free (K4)', () => {
    const { folio, pfn } = isolated(0n);
    scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = layout.PG_UPTODATE;
    expect(scene.load(user, VA)).toBe(5n);
    expect(reclaim(folio, layout.RECLAIM_NO_FLUSH)).toMatchObject({ gone: true, flushes: 0 });
    expect(scene.isFree(pfn)).toBe(true);
    expect(scene.load(user, VA)).toBe(0xaaaaaaaaaaaaaaaan);
  });

  test('mprotect flushes for a batch that is not flushed yet (K0), or not (K1)', () => {
    const { folio } = isolated();
    scene.store(user, VA, 1n);
    const batch = core().heapAllocate(layout.UBC_BYTES) >>> 0;
    scene.rig.bytes.fill(0, batch, batch + layout.UBC_BYTES);
    core().ptepGetAndClear(core().entryAddress(scene.space(mm), VA, 0));
    core().deferUnmapFlush(batch, scene.self, mm, VA, true);
    expect(folio).not.toBe(0);
    mprotect(layout.VM_READ, layout.PATH_NO_BATCHED);
    expect(scene.store(user, VA, 2n)).toBe(true);
    mprotect(0);
    expect(scene.store(user, VA, 3n)).toBe(false);
  });
});

describe('migration', () => {
  const migrate = (from: number, to: number, options = 0, deferred = 0) => {
    scene.prepare();
    scene.rig.u32[(scene.path + layout.PATH_DEFERRED) / 4] = deferred;
    return { moved: core().migrateFolio(scene.self, from, to, scene.path, options) !== 0, ...scene.told() };
  };

  test('moves an anonymous page with its words, rights and marks, and frees the old frame', () => {
    const { folio, pfn } = isolated(RW | D | SOFT_DIRTY);
    scene.store(user, VA, 9n);
    const to = scene.newFolio();
    expect(migrate(folio, to.folio)).toMatchObject({ moved: true, touched: 1, flushes: 1 });
    const pte = scene.pte(mm, VA);
    expect(core().ptePfn(pte)).toBe(to.pfn);
    expect(pte & (RW | D | A | SOFT_DIRTY)).toBe(RW | D | A | SOFT_DIRTY);
    expect({ word: scene.load(user, VA), free: scene.isFree(pfn) }).toEqual({ word: 9n, free: true });
    expect({ refs: scene.refs(to.pfn), mapcount: scene.mapcount(to.folio) }).toEqual({ refs: 2, mapcount: 1 });
    const { PG_ANON_EXCLUSIVE, PG_SWAPBACKED, PG_DIRTY } = layout;
    expect(scene.flags(to.folio) & (PG_ANON_EXCLUSIVE | PG_SWAPBACKED | PG_DIRTY)).toBe(
      PG_ANON_EXCLUSIVE | PG_SWAPBACKED | PG_DIRTY,
    );
  });

  test('keeps read-only, old, clean and uffd-wp entries what they are', () => {
    const { folio } = isolated(UFFD_WP);
    scene.setPte(mm, VA, scene.pte(mm, VA) & ~A);
    const to = scene.newFolio();
    expect(migrate(folio, to.folio).moved).toBe(true);
    expect(scene.pte(mm, VA) & (RW | D | SAVED_DIRTY | A | UFFD_WP)).toBe(UFFD_WP);
  });

  test('moves a file page in every mm, and in its file', () => {
    const file = scene.file(2);
    const other = scene.mm(5);
    for (const each of [mm, other]) scene.vma(each, VA, 1, SHARED, file, 1);
    const { folio, pfn } = scene.filePage(mm, VA, file, 1, RW | D, 3n);
    scene.filePage(other, VA, file, 1, 0n);
    core().getFrame(pfn);
    const to = scene.newFolio();
    expect(migrate(folio, to.folio)).toMatchObject({ moved: true, touched: 2 });
    expect([mm, other].map((each) => core().ptePfn(scene.pte(each, VA)))).toEqual([to.pfn, to.pfn]);
    expect([mm, other].map((each) => scene.pte(each, VA) & RW)).toEqual([RW, 0n]);
    expect(scene.u32(scene.u32(file + layout.MAPPING_PAGES) + 4) - 1 + scene.rig.basePfn).toBe(to.pfn);
    expect({ free: scene.isFree(pfn), word: scene.word(to.pfn) }).toEqual({ free: true, word: 3n });
  });

  test('leaves a page alone that somebody else holds', () => {
    const { folio, pfn } = isolated(RW | D | SOFT_DIRTY);
    core().getFrame(pfn);
    const before = scene.pte(mm, VA);
    const to = scene.newFolio();
    expect(migrate(folio, to.folio)).toMatchObject({ moved: false, touched: 1 });
    // The VMA has no right to execute, which the fault that this entry stands for would have seen to.
    expect(scene.pte(mm, VA) & ~(1n << 63n)).toBe(before);
    expect({ refs: scene.refs(pfn), mapcount: scene.mapcount(folio) }).toEqual({ refs: 3, mapcount: 1 });
  });

  test('deferred: the old frame is read until the entry becomes writable, which flushes first (G6); without, it is stale (G2)', () => {
    for (const settles of [true, false]) {
      if (scene.vmaAt(mm, VA) === 0) scene.vma(mm, VA, 1, PRIVATE & ~layout.VM_WRITE);
      else mprotect(layout.VM_READ);
      if (scene.pte(mm, VA) !== 0n) {
        scene.prepare();
        core().madviseDontNeed(scene.self, mm, VA, last, scene.path, 0);
      }
      const { folio, pfn } = scene.anon(mm, VA, SOFT_DIRTY, 5n);
      core().getFrame(pfn);
      expect(scene.load(user, VA)).toBe(5n);
      const deferred = core().createDeferred(4, 0) >>> 0;
      const to = scene.newFolio();
      expect(migrate(folio, to.folio, 0, deferred)).toMatchObject({ moved: true, flushes: 0 });
      expect(scene.isFree(pfn)).toBe(false);
      // The user reads the old frame, which has the same words.
      scene.setWord(pfn, 6n);
      expect(scene.load(user, VA)).toBe(6n);
      mprotect(layout.VM_READ | layout.VM_WRITE, layout.PATH_NO_FLUSH, settles ? deferred : 0);
      expect(scene.pte(mm, VA) & RW).toBe(RW);
      expect({ settles, word: scene.load(user, VA) }).toEqual({ settles, word: settles ? 5n : 6n });
      core().flushMigrated(deferred, scene.self, 0);
      expect(scene.isFree(pfn)).toBe(true);
      core().flushMm(scene.self, mm, 0n, 0n, layout.REQUEST_ALL, false, 0);
    }
  });
});
