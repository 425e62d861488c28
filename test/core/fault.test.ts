// Faults, one CPU after the other: what each kind leaves in entries, folios and TLBs, and by which signal an access ends.

import { beforeEach, describe, expect, test } from 'vitest';
import { layout } from '../support/core.ts';
import { A, D, P, PAGE, PRIVATE, RW, Scene, SHARED, SOFT_DIRTY, UFFD_WP } from '../support/mm.ts';

const { DONE, SIGNAL_ACCERR, SIGNAL_BUS, SIGNAL_MAPERR, SIGNAL_OOM, SIGNAL_USERFAULT } = layout;
const { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_SWAPBACKED, PG_UPTODATE } = layout;
const NEW = layout.VM_SOFTDIRTY;
const VA = 0x400000n;
const at = (page: number) => VA + BigInt(page) * PAGE;

let scene: Scene;
let mm: number;
let cpu: number;
beforeEach(async () => {
  scene = await Scene.make();
  mm = scene.mm();
  cpu = scene.cpu(1, layout.MACHINE_RECHECK, mm);
});

const core = () => scene.rig.core;
const store = (va: bigint, value: bigint, on = cpu) => core().handledStore(on, va, value);
function load(va: bigint, on = cpu): bigint {
  const status = core().handledLoad(on, va);
  if (status !== DONE) throw new Error(`signal ${status}`);
  return scene.u64(layout.AGENTS + scene.rig.agent * layout.AGENT_BYTES + layout.AGENT_REPLY);
}
const pfnAt = (va: bigint, of = mm) => Number((scene.pte(of, va) >> 12n) & 0xffffffffffn);
const folioAt = (va: bigint, of = mm) => core().folioAddress(pfnAt(va, of)) >>> 0;
const policy = (bits: number, on = cpu) => core().setHandler(on, bits, 0);
const live = () => scene.u32(layout.CONTROL_LIVE);

describe('signals', () => {
  test('an access outside any VMA is SIGSEGV with MAPERR, one that the VMA forbids with ACCERR', () => {
    scene.vma(mm, VA, 2, layout.VM_READ);
    expect(core().handledLoad(cpu, VA - 1n)).toBe(SIGNAL_MAPERR);
    expect(core().handledLoad(cpu, at(2))).toBe(SIGNAL_MAPERR);
    expect(store(VA, 1n)).toBe(SIGNAL_ACCERR);
    expect(load(VA)).toBe(0n);
    expect(store(VA, 1n)).toBe(SIGNAL_ACCERR);
    scene.vma(mm, at(4), 1, 0);
    expect(core().handledLoad(cpu, at(4))).toBe(SIGNAL_ACCERR);
  });

  test('a page that the file does not have is SIGBUS', () => {
    scene.vma(mm, VA, 4, SHARED, scene.file(2));
    expect(load(at(1))).toBe(0n);
    expect(core().handledLoad(cpu, at(2))).toBe(SIGNAL_BUS);
  });

  test('without a frame the access ends, and no lock and no reference is left', async () => {
    scene = await Scene.make({ frames: 8 });
    mm = scene.mm();
    cpu = scene.cpu(1, layout.MACHINE_RECHECK, mm);
    scene.vma(mm, VA, 16);
    let page = 0;
    while (store(at(page), 1n) === DONE) page++;
    expect(store(at(page), 1n)).toBe(SIGNAL_OOM);
    expect(page).toBeGreaterThan(2);
    expect(scene.u32(mm + layout.MM_MMAP_LOCK)).toBe(0);
    expect(live()).toBe(8);
    expect(load(at(0))).toBe(1n);
  });

  test('the mode of the CPU is what it was', () => {
    scene.vma(mm, VA, 1);
    const mode = () => scene.u32(cpu + layout.CPU_MODE);
    core().enterUser(cpu);
    expect([store(VA, 1n), mode()]).toEqual([DONE, layout.MODE_USER]);
    expect([core().handledLoad(cpu, 0n), mode()]).toEqual([SIGNAL_MAPERR, layout.MODE_USER]);
    core().leaveUser(cpu);
    expect([store(VA, 1n), mode()]).toEqual([DONE, layout.MODE_KERNEL]);
  });
});

describe('anonymous memory', () => {
  test('a store gets an exclusive page of zeros, with the tables on the way', () => {
    scene.vma(mm, VA, 2, PRIVATE | NEW);
    const before = live();
    expect(store(VA + 8n, 7n)).toBe(DONE);
    expect([load(VA + 8n), load(VA)]).toEqual([7n, 0n]);
    expect(scene.pte(mm, VA) & (P | RW | A | D | SOFT_DIRTY)).toBe(P | RW | A | D | SOFT_DIRTY);
    const folio = folioAt(VA);
    expect(scene.flags(folio)).toBe(PG_UPTODATE | PG_SWAPBACKED | PG_ANON_EXCLUSIVE);
    expect([scene.mapcount(folio), scene.refs(pfnAt(VA))]).toEqual([1, 1]);
    // Three tables and a page.
    expect(live() - before).toBe(4);
  });

  test('a load gets the zero page, which the first store replaces; without one, a page', () => {
    scene.vma(mm, VA, 3);
    core().openZeroPage();
    const zero = scene.u32(layout.CONTROL_ZERO) - 1;
    for (const page of [0, 1]) expect([load(at(page)), pfnAt(at(page))]).toEqual([0n, zero]);
    expect(scene.pte(mm, VA) & RW).toBe(0n);
    expect(store(VA, 5n)).toBe(DONE);
    expect(pfnAt(VA)).not.toBe(zero);
    expect([load(VA), load(at(1)), scene.word(zero)]).toEqual([5n, 0n, 0n]);
    policy(layout.HANDLER_NO_ZERO_PAGE);
    expect(load(at(2))).toBe(0n);
    expect(pfnAt(at(2))).not.toBe(zero);
  });

  test('under the VMA lock and under mmap_lock alike', () => {
    scene.vma(mm, VA, 2);
    for (const [page, bits] of [0, layout.HANDLER_MMAP_LOCK].entries()) {
      policy(bits);
      expect(store(at(page), 1n)).toBe(DONE);
    }
    for (const word of [layout.MM_MMAP_LOCK, layout.MM_LOCK_SEQ])
      expect(scene.u32(mm + word)).toBe(word === layout.MM_LOCK_SEQ ? 1 : 0);
  });

  test('a fetch faults and goes through where the VMA allows it', () => {
    scene.vma(mm, VA, 1, PRIVATE | layout.VM_EXEC);
    scene.vma(mm, at(4), 1);
    expect([core().handledFetch(cpu, VA), core().handledFetch(cpu, at(4))]).toEqual([DONE, SIGNAL_ACCERR]);
  });

  test('on hardware that caches what is absent, the access goes through after one fault', () => {
    scene.vma(mm, VA, 1);
    const negative = scene.cpu(2, layout.MACHINE_RECHECK, mm);
    core().setHandler(negative, layout.HANDLER_NO_ZERO_PAGE, 0);
    core().setHardware(negative, layout.HW_NEGATIVE, 0n);
    expect(load(VA, negative)).toBe(0n);
    expect(store(VA, 1n, negative)).toBe(DONE);
    expect(load(VA, negative)).toBe(1n);
  });

  test('of the five-level kind', () => {
    const five = scene.mm(5);
    const va = 1n << 52n;
    scene.vma(five, va, 1);
    const other = scene.cpu(2, layout.MACHINE_RECHECK, five);
    expect(store(va, 3n, other)).toBe(DONE);
    expect(load(va, other)).toBe(3n);
  });
});

describe('copy-on-write', () => {
  /** Two mms that share the page at VA, as after a fork. */
  function share(value = 1n): { child: number; other: number; pfn: number; folio: number } {
    scene.vma(mm, VA, 1);
    store(VA, value);
    const child = scene.mm();
    const other = scene.cpu(2, layout.MACHINE_RECHECK, child);
    expect(core().forkMm(scene.self, mm, child, 0)).toBe(1);
    return { child, other, pfn: pfnAt(VA), folio: folioAt(VA) };
  }

  test('a fork shares the page, write-protected on both sides, and exclusive on neither', () => {
    const { child, other, pfn, folio } = share(9n);
    expect(pfnAt(VA, child)).toBe(pfn);
    for (const of of [mm, child]) expect(scene.pte(of, VA) & RW).toBe(0n);
    expect([scene.mapcount(folio), scene.refs(pfn), scene.flags(folio) & PG_ANON_EXCLUSIVE]).toEqual([2, 2, 0]);
    expect([load(VA), load(VA, other)]).toEqual([9n, 9n]);
  });

  test('a store copies the page, all of it, and the other side keeps what it had', () => {
    scene.vma(mm, at(8), 1);
    const { child, other, pfn, folio } = share();
    scene.rig.u64[(core().frameAddress(pfn) >>> 0) / 8 + 511] = 77n;
    expect(store(VA, 2n, other)).toBe(DONE);
    const copy = pfnAt(VA, child);
    expect(copy).not.toBe(pfn);
    expect([load(VA), load(VA, other), load(VA + 4088n, other)]).toEqual([1n, 2n, 77n]);
    expect([scene.mapcount(folio), scene.refs(pfn)]).toEqual([1, 1]);
    expect(scene.flags(folioAt(VA, child)) & PG_ANON_EXCLUSIVE).toBe(PG_ANON_EXCLUSIVE);
    // The other side is alone with its page now, and goes on with it.
    expect(store(VA, 3n)).toBe(DONE);
    expect(pfnAt(VA)).toBe(pfn);
    expect(scene.flags(folio) & PG_ANON_EXCLUSIVE).toBe(PG_ANON_EXCLUSIVE);
  });

  const REUSE = {
    exclusive: layout.HANDLER_REUSE_EXCLUSIVE,
    count: layout.HANDLER_REUSE_COUNT,
    mapcount: layout.HANDLER_REUSE_MAPCOUNT,
    unlocked: layout.HANDLER_REUSE_UNLOCKED,
    never: layout.HANDLER_REUSE_NEVER,
  };
  // A page of one entry, write-protected: is it reused? Exclusive or not; with a reference of somebody else's; with its page lock held.
  const cases = [
    { rule: 'exclusive', alone: true, exclusive: true, referenced: true },
    { rule: 'count', alone: true, exclusive: true, referenced: false },
    { rule: 'mapcount', alone: true, exclusive: true, referenced: true },
    { rule: 'unlocked', alone: true, exclusive: true, referenced: true },
    { rule: 'never', alone: false, exclusive: false, referenced: false },
  ] as const;
  for (const { rule, ...want } of cases) {
    test(`the rule "${rule}" reuses ${
      Object.entries(want)
        .filter(([, yes]) => yes)
        .map(([what]) => what)
        .join(', ') || 'nothing'
    }`, () => {
      scene.vma(mm, VA, 3);
      policy(REUSE[rule]);
      const pages = ['alone', 'exclusive', 'referenced'] as const;
      for (const [n, kind] of pages.entries()) {
        store(at(n), 1n);
        const folio = folioAt(at(n));
        if (kind === 'alone') scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = PG_UPTODATE | PG_SWAPBACKED;
        if (kind === 'referenced') core().getFrame(pfnAt(at(n)));
        core().ptepSetWrprotect(core().entryAddress(scene.space(mm), at(n), 0) >>> 0);
        core().flushMm(scene.self, mm, at(n), at(n) + 0xfffn, 12, false, 0);
        const pfn = pfnAt(at(n));
        expect(store(at(n), 2n)).toBe(DONE);
        expect({ kind, reused: pfnAt(at(n)) === pfn }).toEqual({ kind, reused: want[kind] });
      }
    });
  }

  test('a page that same-page merging made is never reused, by a rule that looks', () => {
    for (const rule of [layout.HANDLER_REUSE_COUNT, layout.HANDLER_REUSE_MAPCOUNT]) {
      const own = scene.mm();
      const on = scene.cpu(rule + 3, layout.MACHINE_RECHECK, own);
      scene.vma(own, VA, 1);
      store(VA, 4n, on);
      const folio = folioAt(VA, own);
      scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = PG_UPTODATE | PG_SWAPBACKED | layout.PG_KSM;
      core().ptepSetWrprotect(core().entryAddress(scene.space(own), VA, 0) >>> 0);
      core().flushMm(scene.self, own, VA, VA + 0xfffn, 12, false, 0);
      policy(rule, on);
      expect(store(VA, 5n, on)).toBe(DONE);
      expect(folioAt(VA, own)).not.toBe(folio);
      expect(load(VA, on)).toBe(5n);
    }
  });

  test('the copy is told to notifiers, and to the TLBs of other CPUs before the store goes on', () => {
    const { other, child } = share();
    const notifier = core().registerNotifier(child, 0n, (1n << 64n) - 1n, 4, false) >>> 0;
    const sibling = scene.cpu(3, layout.MACHINE_RECHECK, child);
    expect(load(VA, sibling)).toBe(1n);
    const generation = scene.generation(child);
    expect(store(VA, 2n, other)).toBe(DONE);
    expect(scene.generation(child)).toBe(generation + 1n);
    expect(load(VA, sibling)).toBe(2n);
    expect(scene.u32(notifier + layout.NOTIFIER_STARTS + 4 * layout.MMU_NOTIFY_CLEAR)).toBe(1);
    expect(scene.u32(notifier + layout.NOTIFIER_ENDS + 4 * layout.MMU_NOTIFY_CLEAR)).toBe(1);
  });

  test('without ptep_clear_flush() another CPU goes on reading the old page (I21)', () => {
    const { other, child } = share();
    const sibling = scene.cpu(3, layout.MACHINE_RECHECK, child);
    expect(load(VA, sibling)).toBe(1n);
    policy(layout.HANDLER_COPY_NO_FLUSH, other);
    expect(store(VA, 2n, other)).toBe(DONE);
    expect(load(VA, sibling)).toBe(1n);
  });

  test('to a file that is mapped privately: the file keeps its page', () => {
    const file = scene.file(2);
    core().openStore(file);
    scene.rig.u64[(core().storedPage(file, 1) >>> 0) / 8] = 21n;
    scene.vma(mm, VA, 2, PRIVATE, file);
    scene.vma(mm, at(4), 2, SHARED | NEW, file);
    // Once with the page there already, once at the first touch.
    expect(load(at(1))).toBe(21n);
    expect(store(at(1), 22n)).toBe(DONE);
    expect(store(at(0), 23n)).toBe(DONE);
    expect([load(at(0)), load(at(1)), load(at(4)), load(at(5))]).toEqual([23n, 22n, 0n, 21n]);
    expect(scene.u32(folioAt(at(0)) + layout.FOLIO_MAPPING) & layout.FOLIO_ANON).toBe(layout.FOLIO_ANON);
  });
});

describe('shared files', () => {
  test('are read from the backing store once, and one frame serves all mms', () => {
    const file = scene.file(2);
    core().openStore(file);
    scene.rig.u64[(core().storedPage(file, 1) >>> 0) / 8] = 5n;
    const two = scene.mm();
    const other = scene.cpu(2, layout.MACHINE_RECHECK, two);
    scene.vma(mm, VA, 2, SHARED | NEW, file);
    scene.vma(two, at(6), 1, SHARED | NEW, file, 1);
    expect([load(at(1)), load(at(6), other)]).toEqual([5n, 5n]);
    expect(pfnAt(at(6), two)).toBe(pfnAt(at(1)));
    expect(store(at(1), 6n)).toBe(DONE);
    expect(load(at(6), other)).toBe(6n);
    // Two entries and the page cache.
    expect([scene.mapcount(folioAt(at(1))), scene.refs(pfnAt(at(1)))]).toEqual([2, 3]);
  });

  test('a store at the first touch dirties the folio', () => {
    scene.vma(mm, VA, 1, SHARED | NEW, scene.file(1));
    expect(store(VA, 1n)).toBe(DONE);
    expect(scene.flags(folioAt(VA)) & PG_DIRTY).toBe(PG_DIRTY);
  });
});

describe('drivers that want to hear of the first store', () => {
  const NOTIFY = SHARED | NEW | layout.VM_WRITENOTIFY;
  const recorded = (driver: number) => scene.u64(scene.u32(driver + layout.DRIVER_RECORD));

  for (const [name, rule] of Object.entries({
    linux: layout.HANDLER_MKWRITE_LINUX,
    held: layout.HANDLER_MKWRITE_HELD,
    inside: layout.HANDLER_MKWRITE_INSIDE,
    none: layout.HANDLER_MKWRITE_NONE,
  })) {
    test(`page_mkwrite, lock "${name}": first stores are recorded, at the first touch and later, and no lock is left`, () => {
      const file = scene.file(3);
      const driver = core().createDriver(3, false, 0) >>> 0;
      core().setDriver(file, driver);
      scene.vma(mm, VA, 3, NOTIFY, file);
      policy(rule);
      expect(load(at(1))).toBe(0n);
      expect(recorded(driver)).toBe(0n);
      expect(scene.pte(mm, at(1)) & RW).toBe(0n);
      expect(store(at(1), 1n)).toBe(DONE);
      expect(store(at(2), 2n)).toBe(DONE);
      expect(recorded(driver)).toBe(0b110n);
      for (const page of [1, 2]) {
        const folio = folioAt(at(page));
        expect([scene.u32(folio + layout.FOLIO_LOCK), scene.flags(folio) & PG_DIRTY]).toEqual([0, PG_DIRTY]);
        expect([scene.mapcount(folio), scene.refs(pfnAt(at(page)))]).toEqual([1, 2]);
      }
    });

    test(`pfn_mkwrite, lock "${name}": the same for frames that no mm counts`, () => {
      const first = core().allocateFrames(3, 1, layout.FRAME_DATA);
      const driver = core().createDriver(3, true, first) >>> 0;
      const file = scene.file(3);
      core().setDriver(file, driver);
      scene.vma(mm, VA, 4, NOTIFY | layout.VM_PFNMAP, file);
      policy(rule);
      scene.setWord(first + 1, 8n);
      expect(load(at(1))).toBe(8n);
      expect(recorded(driver)).toBe(0n);
      expect([store(at(1), 9n), store(at(2), 2n), store(at(3), 3n)]).toEqual([DONE, DONE, SIGNAL_BUS]);
      expect(recorded(driver)).toBe(0b110n);
      expect(scene.word(first + 1)).toBe(9n);
      expect(scene.u32(driver + layout.DRIVER_LOCK)).toBe(0);
      expect(scene.refs(first + 1)).toBe(1);
    });
  }
});

describe('other entries', () => {
  test('a spurious fault changes nothing, and the access goes through', () => {
    scene.vma(mm, VA, 1);
    store(VA, 1n);
    core().ptepSetWrprotect(core().entryAddress(scene.space(mm), VA, 0) >>> 0);
    const sibling = scene.cpu(2, layout.MACHINE_RECHECK, mm);
    load(VA, sibling);
    const writable = scene.pte(mm, VA) | RW;
    scene.setPte(mm, VA, writable);
    expect(store(VA, 2n, sibling)).toBe(DONE);
    expect(scene.pte(mm, VA) & ~(A | D | (1n << 58n))).toBe(writable & ~(A | D | (1n << 58n)));
    expect(scene.u64(sibling + layout.CPU_FAULTS)).toBeGreaterThan(0n);
  });

  test('on a machine without hardware D the handler sets it', () => {
    scene.vma(mm, VA, 1);
    const soft = scene.cpu(2, layout.MACHINE_SWDIRTY, mm);
    expect(store(VA, 1n, soft)).toBe(DONE);
    scene.setPte(mm, VA, scene.pte(mm, VA) & ~D);
    core().flushMm(scene.self, mm, VA, VA + 0xfffn, 12, false, 0);
    expect(store(VA, 2n, soft)).toBe(DONE);
    expect(scene.pte(mm, VA) & D).toBe(D);
    expect(scene.u64(soft + layout.CPU_FAULTS)).toBeGreaterThanOrEqual(2n);
  });

  test('soft-dirty is set again by the fault after clear_refs', () => {
    scene.vma(mm, VA, 1);
    store(VA, 1n);
    scene.prepare();
    core().clearRefs(scene.self, mm, VA, VA + 0xfffn, scene.path, 0);
    expect(scene.pte(mm, VA) & (SOFT_DIRTY | RW)).toBe(0n);
    expect(store(VA, 2n)).toBe(DONE);
    expect(scene.pte(mm, VA) & (SOFT_DIRTY | RW)).toBe(SOFT_DIRTY | RW);
  });

  test("a store to what userfaultfd write-protected is its monitor's, a load is not", () => {
    const vma = scene.vma(mm, VA, 1, PRIVATE | layout.VM_UFFD_WP);
    store(VA, 1n);
    scene.prepare();
    expect(core().uffdWriteProtect(scene.self, mm, VA, VA + 0xfffn, scene.path, 0)).toBe(layout.STATUS_OK);
    expect(scene.pte(mm, VA) & UFFD_WP).toBe(UFFD_WP);
    expect(store(VA, 2n)).toBe(SIGNAL_USERFAULT);
    expect(load(VA)).toBe(1n);
    expect(scene.u32(vma + layout.VMA_LOCK)).toBe(0);
    scene.prepare();
    core().uffdWriteProtect(scene.self, mm, VA, VA + 0xfffn, scene.path, layout.UFFD_WP_RESOLVE);
    expect(store(VA, 2n)).toBe(DONE);
    expect(load(VA)).toBe(2n);
  });

  test('before it copies a page of a VMA of userfaultfd, the handler flushes if somebody owes a flush', () => {
    scene.vma(mm, VA, 2, PRIVATE | layout.VM_UFFD_WP);
    const flushes = (page: number, pending: number, bits: number) => {
      policy(bits | layout.HANDLER_REUSE_NEVER);
      store(at(page), 1n);
      core().ptepSetWrprotect(core().entryAddress(scene.space(mm), at(page), 0) >>> 0);
      core().flushMm(scene.self, mm, at(page), at(page) + 0xfffn, 12, false, 0);
      scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = pending;
      const before = scene.generation(mm);
      store(at(page), 2n);
      scene.rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = 0;
      return Number(scene.generation(mm) - before);
    };
    // One flush is that of ptep_clear_flush().
    expect(flushes(0, 0, 0)).toBe(1);
    expect(flushes(0, 1, 0)).toBe(2);
    expect(flushes(0, 1, layout.HANDLER_NO_UFFD_FLUSH)).toBe(1);
    scene.vma(mm, at(4), 1);
    expect(flushes(4, 1, 0)).toBe(1);
    expect(flushes(4, 1, layout.HANDLER_FLUSH_PENDING)).toBe(2);
    const vma = scene.vmaAt(mm, at(4));
    scene.rig.u32[(vma + layout.VMA_FLUSH_PENDING) / 4] = 1;
    expect(flushes(4, 0, layout.HANDLER_FLUSH_VMA_PENDING)).toBe(2);
    expect(flushes(4, 0, 0)).toBe(1);
  });

  test('a flush that a migration deferred is done before the entry becomes writable, if the policy says so', () => {
    scene.vma(mm, VA, 1);
    const pages = core().createDeferred(4, 0) >>> 0;
    core().setDeferred(mm, pages);
    for (const [bits, settled] of [
      [0, false],
      [layout.HANDLER_UNPEND, true],
    ] as const) {
      policy(bits);
      store(VA, 1n);
      core().ptepSetWrprotect(core().entryAddress(scene.space(mm), VA, 0) >>> 0);
      core().flushMm(scene.self, mm, VA, VA + 0xfffn, 12, false, 0);
      const folio = folioAt(VA);
      core().keepMigrated(pages, scene.self, mm, VA, scene.newFolio().folio, folio);
      expect(store(VA, 2n)).toBe(DONE);
      expect((scene.flags(folio) & layout.PG_FLUSH_DEFERRED) === 0).toBe(settled);
      core().flushMigrated(pages, scene.self, 0);
    }
  });
});

describe('swap', () => {
  /** Writes the page at `va` to a slot and puts the slot's entry in its place, as reclaim does. */
  function swapOut(va: bigint, { exclusive = true, cached = false } = {}): number {
    const [folio, pfn] = [folioAt(va), pfnAt(va)];
    const area = scene.u32(layout.CONTROL_SWAP);
    const slot = [0, 1, 2, 3].find((n) => scene.u32(area + layout.SWAP_FIRST + n * layout.SLOT_BYTES) === 0) as number;
    const words = scene.u32(area + layout.SWAP_PAGES) + slot * scene.u32(area + layout.SWAP_STRIDE);
    const bytes = core().frameAddress(pfn) >>> 0;
    scene.rig.bytes.copyWithin(words, bytes, bytes + 4096);
    const map = area + layout.SWAP_FIRST + slot * layout.SLOT_BYTES;
    scene.rig.u32[map / 4] = 1 | (cached ? layout.SLOT_HAS_CACHE : 0);
    const old = scene.pte(mm, va);
    scene.setPte(
      mm,
      va,
      core().swpEntry(layout.SWP_SWAPFILE, slot) | (exclusive ? 8n : 0n) | (old & SOFT_DIRTY ? 2n : 0n),
    );
    core().flushMm(scene.self, mm, va, va + 0xfffn, 12, false, 0);
    scene.rig.u32[(folio + layout.FOLIO_MAPCOUNT) / 4] = 0;
    if (cached) {
      scene.rig.u32[map / 4 + 1] = pfn - scene.rig.basePfn + 1;
      scene.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = PG_UPTODATE | PG_SWAPBACKED | layout.PG_SWAPCACHE;
      scene.rig.u64[(folio + layout.FOLIO_SWAP) / 8] = BigInt(slot);
      scene.rig.u32[(folio + layout.FOLIO_BACKING) / 4] = words;
    } else core().putFolio(folio);
    return slot;
  }
  const mapOf = (slot: number) =>
    scene.u32(scene.u32(layout.CONTROL_SWAP) + layout.SWAP_FIRST + slot * layout.SLOT_BYTES);

  beforeEach(() => {
    core().openSwap(4);
    scene.vma(mm, VA, 2);
    store(VA, 31n);
    store(VA + 4088n, 32n);
  });

  test('a load brings the page back as it was written, and the slot stays with the swap cache', () => {
    const slot = swapOut(VA);
    expect([load(VA), load(VA + 4088n)]).toEqual([31n, 32n]);
    expect(mapOf(slot)).toBe(layout.SLOT_HAS_CACHE);
    const folio = folioAt(VA);
    // The entry and the swap cache.
    expect([scene.mapcount(folio), scene.refs(pfnAt(VA))]).toEqual([1, 2]);
    expect(scene.flags(folio) & PG_ANON_EXCLUSIVE).toBe(PG_ANON_EXCLUSIVE);
    expect(scene.pte(mm, VA) & SOFT_DIRTY).toBe(SOFT_DIRTY);
    expect(store(VA, 33n)).toBe(DONE);
    expect(load(VA)).toBe(33n);
  });

  test('a store brings it back writable at once and gives the slot up', () => {
    const slot = swapOut(VA);
    expect(store(VA + 8n, 33n)).toBe(DONE);
    expect([load(VA), load(VA + 8n)]).toEqual([31n, 33n]);
    expect(mapOf(slot)).toBe(0);
    expect(scene.refs(pfnAt(VA))).toBe(1);
  });

  test('a page that is still in the swap cache comes back as the same frame', () => {
    const pfn = pfnAt(VA);
    swapOut(VA, { cached: true });
    expect(load(VA)).toBe(31n);
    expect(pfnAt(VA)).toBe(pfn);
    expect([scene.mapcount(folioAt(VA)), scene.refs(pfn)]).toEqual([1, 2]);
  });

  test('a page whose slot others refer to is copied by a store, and they get what was in it', () => {
    const slot = swapOut(VA, { exclusive: false });
    scene.rig.u32[(scene.u32(layout.CONTROL_SWAP) + layout.SWAP_FIRST + slot * layout.SLOT_BYTES) / 4] = 2;
    scene.setPte(mm, at(1), 0n);
    const child = scene.mm();
    const other = scene.cpu(2, layout.MACHINE_RECHECK, child);
    scene.vma(child, VA, 1);
    store(VA, 0n, other);
    core().putFolio(folioAt(VA, child));
    scene.setPte(child, VA, scene.pte(mm, VA));
    core().flushMm(scene.self, child, 0n, 0n, 64, false, 0);
    expect(store(VA, 40n)).toBe(DONE);
    expect([load(VA), load(VA, other)]).toEqual([40n, 31n]);
    expect(mapOf(slot) & 0xffff).toBe(0);
  });

  test('an entry that is neither of swap nor of a migration is SIGBUS', () => {
    scene.setPte(mm, at(1), core().swpEntry(30, 5));
    expect(core().handledLoad(cpu, at(1))).toBe(SIGNAL_BUS);
  });
});
