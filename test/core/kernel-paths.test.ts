// Kernel paths over one mm, one after the other: what each does to entries, folios, VMAs and TLBs, and what its variants leave out.

import { beforeEach, describe, expect, test } from 'vitest';
import { layout } from '../support/core.ts';
import { A, D, PAGE, PRIVATE, RW, SAVED_DIRTY, Scene, SHARED, SOFT_DIRTY, UFFD_WP } from '../support/mm.ts';

const VA = 0x400000n;
const at = (page: number) => VA + BigInt(page) * PAGE;
const last = (page: number) => at(page) + PAGE - 1n;

let scene: Scene;
let mm: number;
/** A CPU that runs the mm. */
let user: number;
beforeEach(async () => {
  scene = await Scene.make();
  mm = scene.mm();
  user = scene.cpu(1, layout.MACHINE_RECHECK, mm);
});

const core = () => scene.rig.core;
const self = () => scene.self;
const path = () => scene.path;
/** Maps `pages` anonymous pages from VA on. */
const populate = (pages: number, bits = RW, flags = PRIVATE) => {
  scene.vma(mm, VA, pages, flags);
  return Array.from({ length: pages }, (_, n) => scene.anon(mm, at(n), bits, BigInt(n)));
};

describe('apply_to_pfn_range', () => {
  function apply(first: bigint, end: bigint, capacity: number, alloc = false) {
    scene.prepare();
    const output = core().heapAllocate(8 * capacity) >>> 0;
    scene.rig.u32[(path() + layout.PATH_OUTPUT) / 4] = output;
    scene.rig.u32[(path() + layout.PATH_CAPACITY) / 4] = capacity;
    const status = core().applyToPfnRange(path(), mm, first, end, alloc);
    const { touched } = scene.told();
    return { status, entries: [...scene.rig.u64.subarray(output / 8, output / 8 + touched)] };
  }

  test('shows every entry of the tables that exist, present or not', () => {
    const [leaf] = populate(1);
    const swapped = core().swpEntry(3, 7);
    scene.setPte(mm, at(2), swapped);
    const { status, entries } = apply(VA, last(3), 8);
    expect(status).toBe(0);
    expect(entries).toEqual([scene.u64(leaf?.slot as number), 0n, swapped, 0n]);
  });

  test('passes over missing tables, or makes them', () => {
    populate(1);
    const far = VA + (1n << 30n);
    expect(apply(far - PAGE, far + PAGE - 1n, 8)).toEqual({ status: 0, entries: [] });
    expect(apply(far - PAGE, far + PAGE - 1n, 8, true)).toEqual({ status: 0, entries: [0n, 0n] });
    expect(core().entryAddress(scene.space(mm), far, 0)).not.toBe(0);
  });

  test('stops at the first return that is not 0, and says where', () => {
    populate(4);
    const { status, entries } = apply(VA, last(3), 2);
    expect(status).not.toBe(0);
    expect(entries.length).toBe(2);
    expect(scene.u64(path() + layout.PATH_AT)).toBe(at(2));
  });

  test('leaves large pages and counts them', () => {
    core().map(scene.space(mm), 0x800000n, 0x200000n, 0x200000n, layout.PROT_READ, 1);
    expect(apply(0x800000n, 0x9fffffn, 4)).toEqual({ status: 0, entries: [] });
    expect(scene.told().huge).toBe(1);
  });
});

describe('clear_refs', () => {
  const clear = (first: bigint, end: bigint, options = 0, shoot = 0) => {
    scene.prepare(0n, shoot);
    core().clearRefs(self(), mm, first, end, path(), options);
    return scene.told();
  };

  test('takes soft-dirty and the right to write, keeps D, and flushes the whole mm', () => {
    populate(3, RW | D | SOFT_DIRTY);
    scene.setPte(mm, at(1), scene.pte(mm, at(1)) & ~(RW | D | SOFT_DIRTY));
    expect(scene.store(user, at(0), 5n)).toBe(true);
    const told = clear(VA, last(2));
    expect(told).toMatchObject({ touched: 2, first: at(0), last: last(2), flush: layout.FLUSH_DONE, flushes: 1 });
    for (const page of [0, 2]) {
      expect(scene.pte(mm, at(page)) & (RW | SOFT_DIRTY | SAVED_DIRTY)).toBe(SAVED_DIRTY);
    }
    expect(scene.store(user, at(0), 6n)).toBe(false);
    expect(scene.pending(mm)).toBe(0);
  });

  test('takes soft-dirty from swap entries, and VM_SOFTDIRTY from VMAs', () => {
    const vma = scene.vma(mm, VA, 2, PRIVATE | layout.VM_SOFTDIRTY);
    scene.anon(mm, at(0));
    const swapped = core().swpEntry(1, 9);
    scene.setPte(mm, at(1), swapped | 2n);
    for (const options of [0, layout.CLEAR_REFS_READ, layout.CLEAR_REFS_DOWNGRADE]) {
      scene.rig.u32[(vma + layout.VMA_FLAGS) / 4] = PRIVATE | layout.VM_SOFTDIRTY;
      clear(0n, (1n << 47n) - 1n, options);
      expect(scene.u32(vma + layout.VMA_FLAGS)).toBe(PRIVATE);
      expect(scene.u32(mm + layout.MM_MMAP_LOCK)).toBe(0);
    }
    expect(scene.pte(mm, at(1))).toBe(swapped);
  });

  test('write-locks the VMAs, unless a variant does not, until mmap_lock goes', () => {
    const vma = scene.vma(mm, VA, 1);
    const sequence = () => scene.u32(vma + layout.VMA_LOCK_SEQ);
    const { CLEAR_REFS_NO_VMA_LOCK, CLEAR_REFS_READ } = layout;
    for (const options of [0, CLEAR_REFS_NO_VMA_LOCK, CLEAR_REFS_READ]) {
      const before = sequence();
      clear(VA, last(0), options);
      expect({ options, locked: sequence() !== before }).toEqual({ options, locked: options === 0 });
      expect(sequence()).not.toBe(scene.u32(mm + layout.MM_LOCK_SEQ));
    }
  });

  test('VMAs that count what is owed, in one variant, owe nothing more afterwards', () => {
    const vma = scene.vma(mm, VA, 1);
    scene.rig.u32[(vma + layout.VMA_FLUSH_PENDING) / 4] = 5;
    for (const options of [0, layout.CLEAR_REFS_READ, layout.CLEAR_REFS_AFTER_UNLOCK]) {
      clear(VA, last(0), options | layout.CLEAR_REFS_COUNT_VMAS);
      expect(scene.u32(vma + layout.VMA_FLUSH_PENDING)).toBe(5);
    }
  });

  test('passes over VMAs of PFNs', () => {
    populate(1, RW | SOFT_DIRTY, PRIVATE | layout.VM_PFNMAP);
    expect(clear(VA, last(0))).toMatchObject({ touched: 0, passed: 1 });
    expect(scene.pte(mm, at(0)) & SOFT_DIRTY).toBe(SOFT_DIRTY);
  });

  test('leaves a gather no entry, so nothing is flushed (0758cd830494); unless somebody else owes a flush', () => {
    populate(1, RW | D | SOFT_DIRTY);
    scene.store(user, at(0), 1n);
    expect(clear(VA, last(0), layout.CLEAR_REFS_GATHER)).toMatchObject({ flush: layout.FLUSH_OWED, flushes: 0 });
    expect(scene.store(user, at(0), 2n)).toBe(true);
    expect(scene.pte(mm, at(0)) & SOFT_DIRTY).toBe(0n);
    scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = 1;
    expect(clear(VA, last(0), layout.CLEAR_REFS_GATHER)).toMatchObject({ flush: layout.FLUSH_DONE, flushes: 1 });
    expect(scene.store(user, at(0), 3n)).toBe(false);
  });

  test('variants flush in the page-table lock, after the mmap lock, or not at all', () => {
    for (const [options, outcome, stale] of [
      [layout.PATH_FLUSH_IN_PTL, layout.FLUSH_DONE, false],
      [layout.CLEAR_REFS_AFTER_UNLOCK, layout.FLUSH_DONE, false],
      [layout.PATH_NO_FLUSH, layout.FLUSH_OWED, true],
    ] as const) {
      const fresh = scene.vmaAt(mm, VA) === 0 ? populate(1)[0] : undefined;
      scene.setPte(mm, at(0), scene.pte(mm, at(0)) | RW | D | SOFT_DIRTY);
      core().flushMm(self(), mm, 0n, 0n, layout.REQUEST_ALL, false, 0);
      expect(scene.store(user, at(0), 1n)).toBe(true);
      expect(clear(VA, last(0), options).flush).toBe(outcome);
      expect({ options, stale: scene.store(user, at(0), 2n) }).toEqual({ options, stale });
      expect(fresh?.slot).not.toBe(0);
    }
  });

  test('works on five levels', () => {
    mm = scene.mm(5);
    scene.vma(mm, 1n << 50n, 1);
    scene.anon(mm, 1n << 50n, RW | SOFT_DIRTY);
    expect(clear(1n << 50n, (1n << 50n) + 0xfffn).touched).toBe(1);
  });
});

describe('pagemap', () => {
  const read = (first: bigint, end: bigint) => {
    scene.prepare(VA >> 12n);
    core().pagemapSoftDirty(self(), mm, first, end, path());
    return scene.bits();
  };

  test('tells soft-dirty of present and swap entries', () => {
    populate(4, 0n);
    scene.setPte(mm, at(1), scene.pte(mm, at(1)) | SOFT_DIRTY);
    scene.setPte(mm, at(2), core().swpEntry(1, 9) | 2n);
    scene.setPte(mm, at(3), core().swpEntry(1, 9));
    expect(read(VA, last(3))).toEqual([1, 2]);
  });

  test('tells every page of a new VMA, mapped or not', () => {
    scene.vma(mm, at(2), 3, PRIVATE | layout.VM_SOFTDIRTY);
    scene.vma(mm, at(8), 1);
    expect(read(VA, last(9))).toEqual([2, 3, 4]);
    expect(read(at(3), last(3))).toEqual([3]);
  });

  test('tells each page of a large page that the range takes in', () => {
    scene.vma(mm, 0x800000n, 512);
    core().map(scene.space(mm), 0x800000n, 0x200000n, 0x200000n, layout.PROT_READ | layout.PROT_SOFT_DIRTY, 1);
    scene.prepare(0x800n);
    core().pagemapSoftDirty(self(), mm, 0x801000n, 0x803fffn, path());
    expect(scene.bits()).toEqual([1, 2, 3]);
  });
});

describe('mprotect', () => {
  const { VM_READ, VM_WRITE, VM_EXEC } = layout;
  const protect = (first: bigint, end: bigint, rights: number, options = 0) => {
    scene.prepare();
    const status = core().mprotect(self(), mm, first, end, rights, path(), options);
    return { status, ...scene.told() };
  };

  test('takes the right to write, with one flush of the span, before it returns', () => {
    populate(4, RW | D);
    scene.setPte(mm, at(0), scene.pte(mm, at(0)) & ~(RW | D));
    expect(scene.store(user, at(2), 1n)).toBe(true);
    const generation = scene.generation(mm);
    // Page 0 loses nothing that a TLB may have.
    expect(protect(VA, last(3), VM_READ | VM_EXEC)).toMatchObject({ status: 0, touched: 3, first: at(1), flushes: 1 });
    expect(scene.generation(mm)).toBe(generation + 1n);
    expect(scene.store(user, at(2), 2n)).toBe(false);
    expect(scene.u32(scene.vmaAt(mm, VA) + layout.VMA_FLAGS) & 7).toBe(VM_READ | VM_EXEC);
  });

  test('splits VMAs at the edges of the range', () => {
    populate(5, RW);
    expect(protect(at(1), last(2), VM_READ).status).toBe(0);
    const starts = [0, 1, 2, 3, 4].map((page) => scene.u64(scene.vmaAt(mm, at(page)) + layout.VMA_START));
    expect(starts).toEqual([at(0), at(1), at(1), at(3), at(3)]);
    expect([0, 1, 2, 3].map((page) => scene.pte(mm, at(page)) & RW)).toEqual([RW, 0n, 0n, RW]);
  });

  test('makes writable again what needs no fault: exclusive anonymous pages that are soft-dirty', () => {
    const leaves = populate(4, SOFT_DIRTY, VM_READ | layout.VM_MAYWRITE);
    scene.setPte(mm, at(1), scene.pte(mm, at(1)) & ~SOFT_DIRTY);
    const shared = (leaves[2]?.folio as number) + layout.FOLIO_FLAGS;
    scene.rig.u32[shared / 4] = scene.u32(shared) & ~layout.PG_ANON_EXCLUSIVE;
    scene.setPte(mm, at(3), scene.pte(mm, at(3)) | UFFD_WP);
    protect(VA, last(3), VM_READ | VM_WRITE);
    expect([0, 1, 2, 3].map((page) => scene.pte(mm, at(page)) & RW)).toEqual([RW, 0n, 0n, 0n]);
  });

  test('does not ask for soft-dirty in a VMA that is new', () => {
    populate(1, 0n, VM_READ | layout.VM_MAYWRITE | layout.VM_SOFTDIRTY);
    protect(VA, last(0), VM_READ | VM_WRITE);
    expect(scene.pte(mm, at(0)) & RW).toBe(RW);
  });

  test('of a shared VMA gives write to entries that are dirty, or to all if nobody wants to hear of stores', () => {
    const { VM_SHARED, VM_MAYWRITE, VM_SOFTDIRTY, VM_WRITENOTIFY } = layout;
    const file = scene.file(4);
    const flags = VM_READ | VM_SHARED | VM_MAYWRITE | VM_SOFTDIRTY;
    scene.vma(mm, at(0), 2, flags, file);
    scene.vma(mm, at(2), 2, flags | VM_WRITENOTIFY, file, 2);
    for (const page of [0, 1, 2, 3]) scene.filePage(mm, at(page), file, page, page % 2 === 0 ? SAVED_DIRTY : 0n);
    protect(VA, last(3), VM_READ | VM_WRITE);
    expect([0, 1, 2, 3].map((page) => scene.pte(mm, at(page)) & (RW | D))).toEqual([RW | D, RW, RW | D, 0n]);
  });

  test('takes the right to write from migration entries, and leaves swap entries', () => {
    const { SWP_MIGRATION_WRITE, SWP_MIGRATION_READ_EXCLUSIVE } = layout;
    const [leaf] = populate(2);
    scene.setPte(mm, at(0), core().swpEntry(SWP_MIGRATION_WRITE, leaf?.pfn as number) | 2n);
    const swapped = core().swpEntry(1, 77);
    scene.setPte(mm, at(1), swapped);
    expect(protect(VA, last(1), VM_READ)).toMatchObject({ touched: 1, flushes: 0, flush: layout.FLUSH_NONE });
    const readOnly = core().swpEntry(SWP_MIGRATION_READ_EXCLUSIVE, leaf?.pfn as number) | 2n;
    expect(scene.pte(mm, at(0))).toBe(BigInt.asUintN(64, readOnly));
    expect(scene.pte(mm, at(1))).toBe(swapped);
  });

  test('makes pages PROTNONE and back', () => {
    populate(1, RW | D | SOFT_DIRTY);
    protect(VA, last(0), 0);
    expect(scene.load(user, VA)).toBe(undefined);
    expect(core().pteProtnone(scene.pte(mm, VA))).toBe(1);
    protect(VA, last(0), VM_READ | VM_WRITE);
    expect(scene.load(user, VA)).toBe(0n);
    expect(scene.pte(mm, VA) & RW).toBe(RW);
  });

  test('refuses at a hole, what lies before it changed, and a right that the VMA may not have', () => {
    populate(2);
    scene.vma(mm, at(3), 1, layout.VM_READ | layout.VM_SHARED, scene.file(1));
    expect(protect(VA, last(3), VM_READ)).toMatchObject({ status: layout.STATUS_HOLE, touched: 2 });
    expect(protect(at(3), last(3), VM_READ | VM_WRITE).status).toBe(layout.STATUS_NOT_ALLOWED);
    expect(scene.pending(mm)).toBe(0);
    expect(scene.u32(mm + layout.MM_MMAP_LOCK)).toBe(0);
  });

  test('without its flush, stores go on', () => {
    populate(1, RW | D);
    scene.store(user, VA, 1n);
    expect(protect(VA, last(0), VM_READ, layout.PATH_NO_FLUSH)).toMatchObject({ flush: layout.FLUSH_OWED, flushes: 0 });
    expect(scene.store(user, VA, 2n)).toBe(true);
  });
});

describe('UFFDIO_WRITEPROTECT', () => {
  const UFFD = PRIVATE | layout.VM_UFFD_WP;
  const protect = (first: bigint, end: bigint, options = 0) => {
    scene.prepare();
    return { status: core().uffdWriteProtect(self(), mm, first, end, path(), options), ...scene.told() };
  };

  test('marks pages, takes the right to write, and gives both back', () => {
    populate(2, RW | D | SOFT_DIRTY, UFFD);
    scene.store(user, at(1), 1n);
    expect(protect(VA, last(1))).toMatchObject({ status: 0, touched: 2, flush: layout.FLUSH_DONE, flushes: 1 });
    expect(scene.pte(mm, at(1)) & (UFFD_WP | RW | SAVED_DIRTY)).toBe(UFFD_WP | SAVED_DIRTY);
    expect(scene.store(user, at(1), 2n)).toBe(false);
    protect(at(1), last(1), layout.UFFD_WP_RESOLVE);
    expect(scene.pte(mm, at(1)) & (UFFD_WP | RW | D)).toBe(RW | D);
    expect(scene.store(user, at(1), 3n)).toBe(true);
    expect(scene.pte(mm, at(0)) & UFFD_WP).toBe(UFFD_WP);
  });

  test('marks entries that are not present', () => {
    populate(1, RW, UFFD);
    scene.setPte(mm, VA, core().swpEntry(1, 5));
    protect(VA, last(0));
    expect(core().pteSwpUffdWp(scene.pte(mm, VA))).toBe(1);
    protect(VA, last(0), layout.UFFD_WP_RESOLVE);
    expect(scene.pte(mm, VA)).toBe(core().swpEntry(1, 5));
  });

  test('is refused where nobody registered', () => {
    populate(1);
    expect(protect(VA, last(0)).status).toBe(layout.STATUS_NOT_ALLOWED);
    expect(protect(at(9), last(9)).status).toBe(layout.STATUS_NOT_ALLOWED);
    expect(scene.pending(mm)).toBe(0);
  });
});

describe('madvise', () => {
  const dontNeed = (first: bigint, end: bigint, options = 0) => {
    scene.prepare();
    core().madviseDontNeed(self(), mm, first, end, path(), options);
    return scene.told();
  };
  const free = (first: bigint, end: bigint, options = 0) => {
    scene.prepare();
    core().madviseFree(self(), mm, first, end, path(), options);
    return scene.told();
  };

  test('MADV_DONTNEED takes pages out and frees them after the flush', () => {
    const leaves = populate(3, RW | D);
    scene.load(user, at(1));
    expect(dontNeed(at(1), last(2))).toMatchObject({ touched: 2, first: at(1), last: last(2), flushes: 1 });
    expect(scene.load(user, at(1))).toBe(undefined);
    expect(leaves.map(({ pfn }) => scene.isFree(pfn))).toEqual([false, true, true]);
    expect(scene.mapcount(leaves[0]?.folio as number)).toBe(1);
    expect(core().countSpoiledFrames()).toBe(0);
  });

  test('MADV_DONTNEED gives swap slots back', () => {
    populate(2);
    for (const page of [0, 1]) scene.swapEntry(mm, at(page), 3);
    expect(dontNeed(VA, last(0))).toMatchObject({ touched: 0, flushes: 0 });
    expect({ pte: scene.pte(mm, VA), slot: scene.swapCount(3) }).toEqual({ pte: 0n, slot: 1 });
  });

  test('MADV_DONTNEED flushes for who flushes late, or not, before 99baac21e458 (J0)', () => {
    populate(1);
    scene.load(user, at(0));
    // Another call took the page out and has not flushed.
    scene.setPte(mm, at(0), 0n);
    scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = 1;
    expect(dontNeed(VA, last(0), layout.PATH_NO_NESTED)).toMatchObject({ touched: 0, flushes: 0 });
    expect(scene.load(user, at(0))).toBe(0n);
    expect(dontNeed(VA, last(0))).toMatchObject({ touched: 0, flushes: 1 });
    expect(scene.load(user, at(0))).toBe(undefined);
  });

  test('MADV_DONTNEED tells a file page that it was written to, and passes over PFN mappings', () => {
    const file = scene.file(1);
    scene.vma(mm, VA, 1, SHARED, file);
    const { folio, pfn } = scene.filePage(mm, VA, file, 0, RW | D);
    dontNeed(VA, last(0));
    expect(scene.flags(folio) & layout.PG_DIRTY).toBe(layout.PG_DIRTY);
    expect({ refs: scene.refs(pfn), mapcount: scene.mapcount(folio) }).toEqual({ refs: 1, mapcount: 0 });
    scene.vma(mm, at(4), 1, PRIVATE | layout.VM_PFNMAP);
    expect(dontNeed(at(4), last(4)).passed).toBe(1);
  });

  test('MADV_FREE makes entries old and clean, and pages lazily free', () => {
    const leaves = populate(3, RW | D);
    scene.setPte(mm, at(1), scene.pte(mm, at(1)) & ~(D | A));
    scene.store(user, at(0), 1n);
    expect(free(VA, last(2))).toMatchObject({ touched: 2, flushes: 1 });
    expect([0, 1, 2].map((page) => scene.pte(mm, at(page)) & (RW | D | A))).toEqual([RW, RW, RW]);
    expect(leaves.map(({ folio }) => scene.flags(folio) & layout.PG_SWAPBACKED)).toEqual([0, 0, 0]);
    // A store after the flush sets D again.
    expect(scene.store(user, at(0), 2n)).toBe(true);
    expect(scene.pte(mm, at(0)) & D).toBe(D);
  });

  test('MADV_FREE leaves dirty folios that others map or hold the lock of, file pages, and drops swap entries', () => {
    const leaves = populate(3, RW | D);
    const [one, two] = leaves as [(typeof leaves)[0], (typeof leaves)[0], (typeof leaves)[0]];
    for (const { folio } of [one, two]) {
      scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = scene.flags(folio) | layout.PG_DIRTY;
    }
    scene.rig.u32[(one.folio + layout.FOLIO_MAPCOUNT) / 4] = 2;
    core().lockFolio(two.folio);
    scene.swapEntry(mm, at(2), 5);
    expect(free(VA, last(2))).toMatchObject({ touched: 1, flushes: 0 });
    expect([0, 1].map((page) => scene.pte(mm, at(page)) & D)).toEqual([D, D]);
    expect({ pte: scene.pte(mm, at(2)), slot: scene.swapCount(5) }).toEqual({ pte: 0n, slot: 0 });
    core().unlockFolio(two.folio);
    expect(free(VA, last(1)).touched).toBe(1);
    expect(scene.flags(two.folio) & layout.PG_DIRTY).toBe(0);
    const file = scene.file(1);
    scene.vma(mm, at(8), 1, SHARED, file);
    expect(free(at(8), last(8)).passed).toBe(1);
  });
});

describe('munmap', () => {
  const unmap = (first: bigint, end: bigint) => {
    scene.prepare();
    return { status: core().munmap(self(), mm, first, end, path(), 0), ...scene.told() };
  };
  const tables = () => scene.u32(scene.space(mm) + layout.SPACE_TABLES);

  test('takes VMAs, pages and tables away, with one flush', () => {
    const leaves = populate(3);
    scene.load(user, at(1));
    expect(tables()).toBe(4);
    expect(unmap(VA, last(2))).toMatchObject({ status: 0, touched: 3, flushes: 1 });
    expect(scene.vmaAt(mm, VA)).toBe(0);
    expect(tables()).toBe(1);
    expect(scene.load(user, at(1))).toBe(undefined);
    expect(leaves.every(({ pfn }) => scene.isFree(pfn))).toBe(true);
    core().reclaim();
    expect(core().countSpoiledFrames()).toBe(0);
  });

  test('gives frames back whose page-table locks are free when they are tables again', () => {
    for (let round = 0; round < 3; round++) {
      populate(2);
      unmap(VA, last(1));
      core().reclaim();
    }
    populate(1);
    const table = ((core().entryAddress(scene.space(mm), VA, 0) >>> 0) - scene.rig.ram) >> 12;
    expect(scene.u32((core().frameMeta(scene.rig.basePfn + table) >>> 0) + layout.META_NEXT)).toBe(0);
  });

  test('keeps a table that another VMA needs, and splits VMAs at its edges', () => {
    populate(5);
    expect(unmap(at(1), last(3)).touched).toBe(3);
    expect(tables()).toBe(4);
    expect([0, 1, 3, 4].map((page) => scene.vmaAt(mm, at(page)) !== 0)).toEqual([true, false, false, true]);
    expect([0, 4].map((page) => scene.load(user, at(page)))).toEqual([0n, 4n]);
    unmap(VA, last(4));
    expect(tables()).toBe(1);
    expect(unmap(VA, last(4))).toMatchObject({ status: 0, touched: 0, flushes: 0 });
  });
});

describe('the end of an mm', () => {
  const reap = (options = 0, shoot = 0) => {
    scene.prepare(0n, shoot);
    return { done: core().reapMm(self(), mm, path(), options) !== 0, ...scene.told() };
  };

  test('the reaper takes private memory, VMA by VMA, and leaves shared', () => {
    const leaves = populate(2);
    const file = scene.file(1);
    scene.vma(mm, at(8), 1, SHARED, file);
    const shared = scene.filePage(mm, at(8), file, 0);
    scene.load(user, at(1));
    expect(reap(0, layout.SHOOT_ELIDE_FULLMM)).toMatchObject({ done: true, touched: 2, passed: 1, flushes: 1 });
    expect(leaves.every(({ pfn }) => scene.isFree(pfn))).toBe(true);
    expect(scene.load(user, at(1))).toBe(undefined);
    expect(scene.mapcount(shared.folio)).toBe(1);
    expect(scene.vmaAt(mm, VA)).not.toBe(0);
  });

  test('a gather of the whole mm is not flushed where that is elided, and a freed frame is read (H1)', () => {
    for (const [options, users, flushes] of [
      [layout.REAPER_FULLMM, 1, 0],
      [layout.REAPER_FULLMM_UNUSED, 1, 1],
      [layout.REAPER_FULLMM_UNUSED, 0, 0],
      [layout.REAPER_RANGE, 1, 1],
    ] as const) {
      if (scene.vmaAt(mm, VA) === 0) scene.vma(mm, VA, 1);
      const { pfn } = scene.anon(mm, VA, RW, 7n);
      scene.rig.u32[(mm + layout.MM_USERS) / 4] = users;
      expect(scene.load(user, VA)).toBe(7n);
      expect(reap(options, layout.SHOOT_ELIDE_FULLMM)).toMatchObject({ touched: 1, flushes });
      expect(scene.isFree(pfn)).toBe(true);
      expect(scene.load(user, VA)).toBe(flushes === 0 ? 0xaaaaaaaaaaaaaaaan : undefined);
      core().flushMm(self(), mm, 0n, 0n, layout.REQUEST_ALL, false, 0);
    }
  });

  test('the reaper does not wait for mmap_lock, nor for a notifier that sleeps', () => {
    populate(1);
    core().writeLock(mm + layout.MM_MMAP_LOCK);
    expect(reap().done).toBe(false);
    core().writeUnlock(mm + layout.MM_MMAP_LOCK);
    const notifier = core().registerNotifier(mm, 0n, (1n << 47n) - 1n, 0, true);
    expect(reap()).toMatchObject({ done: false, touched: 0, warned: 1 });
    core().unregisterNotifier(notifier);
    expect(reap()).toMatchObject({ done: true, touched: 1 });
    expect(scene.pending(mm)).toBe(0);
  });

  test('the last user takes everything down; frames and heap balance', () => {
    core().loadMm(user, 0, 0);
    const leaves = populate(3);
    const file = scene.file(1);
    scene.vma(mm, 1n << 40n, 1, SHARED, file);
    const shared = scene.filePage(mm, 1n << 40n, file, 0, RW | D);
    scene.rig.u32[(mm + layout.MM_USERS) / 4] = 2;
    scene.prepare();
    expect(core().putMm(self(), mm, path(), 0)).toBe(0);
    expect(leaves.some(({ pfn }) => scene.isFree(pfn))).toBe(false);
    expect(core().putMm(self(), mm, path(), 0)).toBe(1);
    expect(leaves.every(({ pfn }) => scene.isFree(pfn))).toBe(true);
    expect({ refs: scene.refs(shared.pfn), dirty: scene.flags(shared.folio) & layout.PG_DIRTY }).toEqual({
      refs: 1,
      dirty: layout.PG_DIRTY,
    });
    expect(scene.u32(scene.space(mm) + layout.SPACE_TABLES)).toBe(1);
    expect([VA, 1n << 40n].map((va) => scene.vmaAt(mm, va))).toEqual([0, 0]);
  });
});

describe('write-back', () => {
  const { PG_DIRTY } = layout;
  const writeBack = (folio: number, options = 0) => {
    scene.prepare();
    return { written: core().writeBackFolio(self(), folio, path(), options) !== 0, ...scene.told() };
  };
  const backing = (folio: number) => scene.u64(scene.u32(folio + layout.FOLIO_BACKING));
  let folio: number;
  let slots: number[];
  beforeEach(() => {
    // One file page, in two mms.
    const file = scene.file(2);
    const other = scene.mm(5);
    scene.vma(mm, VA, 1, SHARED, file, 1);
    scene.vma(other, at(7), 1, SHARED, file, 1);
    const first = scene.filePage(mm, VA, file, 1, RW | D, 5n);
    const second = scene.filePage(other, at(7), file, 1, RW | D);
    folio = first.folio;
    slots = [first.slot, second.slot];
    expect(second.folio).toBe(folio);
    scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = scene.flags(folio) | PG_DIRTY;
  });

  test('cleans and write-protects every entry, and copies the page', () => {
    scene.store(user, VA, 6n);
    expect(writeBack(folio)).toMatchObject({ written: true, touched: 2, flushes: 2 });
    expect(backing(folio)).toBe(6n);
    expect(slots.map((slot) => scene.u64(slot) & (RW | D | SAVED_DIRTY))).toEqual([0n, 0n]);
    expect(scene.flags(folio) & (PG_DIRTY | layout.PG_WRITEBACK)).toBe(0);
    expect(scene.store(user, VA, 7n)).toBe(false);
    expect(writeBack(folio)).toMatchObject({ written: false, touched: 0 });
  });

  test('of a clean folio looks at no entry, unless it is told to', () => {
    scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = scene.flags(folio) & ~PG_DIRTY;
    scene.store(user, VA, 6n);
    expect(writeBack(folio).written).toBe(false);
    expect(backing(folio)).toBe(5n);
    expect(writeBack(folio, layout.WRITEBACK_ANYWAY).written).toBe(true);
    expect(backing(folio)).toBe(6n);
  });

  test('looks at entries with D or W; variants at one of them, or at all while a flush is owed', () => {
    const { MKCLEAN_WRITE, MKCLEAN_DIRTY, MKCLEAN_PENDING } = layout;
    const touched = (options: number, entry: bigint, pending: number) => {
      const base = scene.u64(slots[0] as number) & ~(RW | D | SAVED_DIRTY);
      scene.rig.u64[(slots[0] as number) / 8] = base | entry;
      scene.rig.u64[(slots[1] as number) / 8] = base;
      scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = pending;
      return writeBack(folio, options | layout.WRITEBACK_ANYWAY).touched;
    };
    const entries = [RW, SAVED_DIRTY, 0n];
    expect(entries.map((entry) => touched(0, entry, 1))).toEqual([1, 1, 0]);
    expect(entries.map((entry) => touched(MKCLEAN_WRITE, entry, 0))).toEqual([1, 0, 0]);
    expect(entries.map((entry) => touched(MKCLEAN_DIRTY, entry, 0))).toEqual([0, 1, 0]);
    expect(entries.map((entry) => touched(MKCLEAN_PENDING, entry, 1))).toEqual([1, 1, 1]);
    expect(entries.map((entry) => touched(MKCLEAN_PENDING, entry, 0))).toEqual([1, 1, 0]);
  });

  test('passes over private mappings', () => {
    const third = scene.mm();
    scene.vma(third, VA, 1, PRIVATE, scene.u32(folio + layout.FOLIO_MAPPING), 1);
    const { slot } = scene.filePage(third, VA, scene.u32(folio + layout.FOLIO_MAPPING), 1, D);
    expect(writeBack(folio)).toMatchObject({ touched: 2, passed: 1 });
    expect(scene.u64(slot) & D).toBe(D);
  });
});

describe('KSM', () => {
  const merge = (va: bigint, kfolio: number, options = 0) => {
    scene.prepare();
    return { merged: core().mergePage(self(), mm, va, kfolio, path(), options) !== 0, ...scene.told() };
  };

  test('makes a page the first of its kind, and merges another with it', () => {
    const [one, two] = populate(2, RW | D) as [ReturnType<Scene['anon']>, ReturnType<Scene['anon']>];
    for (const page of [0, 1]) scene.store(user, at(page), 9n);
    expect(merge(at(0), 0)).toMatchObject({ merged: true, touched: 1, flushes: 1 });
    expect(scene.flags(one.folio) & (layout.PG_KSM | layout.PG_DIRTY | layout.PG_ANON_EXCLUSIVE)).toBe(
      layout.PG_KSM | layout.PG_DIRTY,
    );
    expect(scene.store(user, at(0), 1n)).toBe(false);
    expect(merge(at(1), one.folio)).toMatchObject({ merged: true, flushes: 2 });
    expect(scene.isFree(two.pfn)).toBe(true);
    expect({ refs: scene.refs(one.pfn), mapcount: scene.mapcount(one.folio) }).toEqual({ refs: 2, mapcount: 2 });
    expect(scene.load(user, at(1))).toBe(9n);
    expect(scene.store(user, at(1), 1n)).toBe(false);
    expect(core().ptePfn(scene.pte(mm, at(1)))).toBe(one.pfn);
  });

  test('does not merge pages that differ, pages whose lock is held, and pages that others hold', () => {
    const [one, two] = populate(2, RW | D) as [ReturnType<Scene['anon']>, ReturnType<Scene['anon']>];
    merge(at(0), 0);
    expect(merge(at(1), one.folio).merged).toBe(false);
    expect(scene.pte(mm, at(1)) & RW).toBe(0n);
    scene.setWord(two.pfn, 0n);
    core().lockFolio(two.folio);
    expect(merge(at(1), one.folio).merged).toBe(false);
    core().unlockFolio(two.folio);
    scene.setPte(mm, at(1), scene.pte(mm, at(1)) | RW | D);
    core().getFrame(two.pfn);
    expect(merge(at(1), one.folio).merged).toBe(false);
    expect(scene.pte(mm, at(1)) & (RW | D)).toBe(RW | D);
    core().putFolio(two.folio);
    expect(merge(at(1), one.folio).merged).toBe(true);
  });

  test('does not flush a page that is PROTNONE, unless a flush is pending (pte_accessible())', () => {
    populate(2, RW | D);
    for (const pending of [0, 1]) {
      scene.setPte(mm, at(pending), BigInt.asUintN(64, core().pteModify(scene.pte(mm, at(pending)), 0)));
      scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = pending;
      expect(merge(at(pending), 0)).toMatchObject({ merged: true, touched: 1, flushes: pending });
    }
    scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = 0;
  });

  test('flushes a clean read-only page if a flush is pending, or if it may be reused; variants do not ask', () => {
    const { KSM_NO_EXCLUSIVE, KSM_NO_PENDING } = layout;
    populate(1, 0n);
    const flushes = (options: number, exclusive: boolean, pending: number) => {
      const folio = core().folioAddress(core().ptePfn(scene.pte(mm, VA))) >>> 0;
      const bit = exclusive ? layout.PG_ANON_EXCLUSIVE : 0;
      scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = (scene.flags(folio) & ~layout.PG_ANON_EXCLUSIVE) | bit;
      scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = pending;
      return merge(VA, 0, options).flushes;
    };
    expect([flushes(0, false, 0), flushes(0, true, 0), flushes(0, false, 1)]).toEqual([0, 1, 1]);
    expect([flushes(KSM_NO_EXCLUSIVE, true, 0), flushes(KSM_NO_PENDING, false, 1)]).toEqual([0, 0]);
  });
});
