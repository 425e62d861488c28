// Kernel paths against a map of pages: any sequence of them, with stores and loads in between, gives the same entries, VMAs, folios, counts, bitmaps and
// flushes; and TLBs never tell anything else than the tables.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Entry, type Flags, type Folio, Pages, type Result } from '../oracle/kernel.ts';
import { layout } from '../support/core.ts';
import { A, D, P, PAGE, RW, SAVED_DIRTY, Scene, SOFT_DIRTY, UFFD_WP } from '../support/mm.ts';

const SEED = Number(process.env['PAGEWALK_SEED'] ?? Date.now() & 0xffffff);
console.log(`PAGEWALK_SEED=${SEED}`);

/** Twelve pages around the boundary of two leaf tables. */
const COUNT = 12;
const BASE = 0x40000000n - 6n * PAGE;
const NX = 1n << 63n;
const PROTNONE = 0x100n;
const FRAME = 0xffffffffff000n;
/** An entry of a type that is neither a swap slot nor a migration. */
const OTHER = 5;

const at = (page: number) => BASE + BigInt(page) * PAGE;
const end = (page: number) => at(page) + PAGE - 1n;

type Kind = 'private' | 'new' | 'shared' | 'notified' | 'uffd' | 'pfn';
type Step =
  | { op: 'mmap'; page: number; count: number; kind: Kind; write: boolean }
  | { op: 'touch'; page: number; write: boolean; softDirty: boolean; value: number }
  | { op: 'other'; page: number; softDirty: boolean; uffdWp: boolean }
  | { op: 'store' | 'load'; page: number; value: number }
  | { op: 'mprotect'; page: number; count: number; rights: number }
  | { op: 'uffdWp'; page: number; count: number; resolve: boolean }
  | { op: 'merge'; page: number; other: number }
  | { op: 'writeBack'; page: number }
  | { op: 'clearRefs' | 'pagemap' | 'dontNeed' | 'free' | 'munmap'; page: number; count: number }
  | { op: 'writeProtect' | 'clean'; page: number; count: number }
  | { op: 'reap' };

const page = fc.nat(COUNT - 1);
const count = fc.integer({ min: 1, max: COUNT });
const value = fc.nat(3);
const range = <O extends Step['op']>(...ops: O[]) => fc.record({ op: fc.constantFrom(...ops), page, count });
const kind = fc.constantFrom<Kind>('private', 'new', 'shared', 'notified', 'uffd', 'pfn');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('mmap'), page, count, kind, write: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('touch'), page, write: fc.boolean(), softDirty: fc.boolean(), value }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('other'), page, softDirty: fc.boolean(), uffdWp: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ op: fc.constantFrom('store', 'load'), page, value }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('mprotect'), page, count, rights: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('uffdWp'), page, count, resolve: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('merge'), page, other: page }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('writeBack'), page }) },
  { weight: 6, arbitrary: range('clearRefs', 'pagemap', 'dontNeed', 'free') },
  { weight: 1, arbitrary: range('munmap') },
  { weight: 3, arbitrary: range('writeProtect', 'clean') },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('reap') }) },
) as fc.Arbitrary<Step>;

const { VM_READ, VM_WRITE, VM_EXEC, VM_SHARED, VM_MAYWRITE, VM_SOFTDIRTY, VM_UFFD_WP, VM_WRITENOTIFY, VM_PFNMAP } =
  layout;

function flagsOf(kind: Kind, write: boolean): Flags {
  return {
    read: true,
    write,
    exec: false,
    shared: kind === 'shared' || kind === 'notified',
    mayWrite: write || kind !== 'shared',
    softDirty: kind === 'new',
    uffdWp: kind === 'uffd',
    writeNotify: kind === 'notified',
    pfnMap: kind === 'pfn',
  };
}

function bitsOf(flags: Flags): number {
  return (
    (flags.read ? VM_READ : 0) |
    (flags.write ? VM_WRITE : 0) |
    (flags.exec ? VM_EXEC : 0) |
    (flags.shared ? VM_SHARED : 0) |
    (flags.mayWrite ? VM_MAYWRITE : 0) |
    (flags.softDirty ? VM_SOFTDIRTY : 0) |
    (flags.uffdWp ? VM_UFFD_WP : 0) |
    (flags.writeNotify ? VM_WRITENOTIFY : 0) |
    (flags.pfnMap ? VM_PFNMAP : 0)
  );
}

/** The core and the model side by side. */
class Pair {
  readonly model = new Pages();
  private readonly scene: Scene;
  private readonly mm: number;
  private readonly cpu: number;
  private readonly file: number;
  /** The frame of each folio of the model, as long as it is somebody's. */
  private readonly frames = new Map<Folio, number>();
  private readonly filePages = new Map<number, Folio>();

  constructor(scene: Scene, levels: 4 | 5, machine: number) {
    this.scene = scene;
    this.mm = scene.mm(levels);
    this.cpu = scene.cpu(1, machine, this.mm);
    this.file = scene.file(COUNT);
  }

  run(step: Step): void {
    const { scene, mm, model } = this;
    const { core } = scene.rig;
    if (step.op === 'reap') {
      this.call(model.reap(), () => core.reapMm(scene.self, mm, scene.path, 0));
      return;
    }
    const { page } = step;
    const last = 'count' in step ? Math.min(COUNT - 1, page + step.count - 1) : page;
    switch (step.op) {
      case 'mmap':
        this.mmap(page, last, step.kind, step.write);
        return;
      case 'touch':
        this.touch(page, step.write, step.softDirty, BigInt(step.value));
        return;
      case 'other':
        this.other(page, step.softDirty, step.uffdWp);
        return;
      case 'store': {
        const done = model.store(page, BigInt(step.value));
        expect(this.twice(() => scene.store(this.cpu, at(page), BigInt(step.value)))).toBe(done);
        // Whether a store that faults sets A is the processor's to say.
        const entry = model.entries.get(page);
        if (!done && entry?.kind === 'present' && entry.rights) entry.young = (scene.pte(mm, at(page)) & A) !== 0n;
        return;
      }
      case 'load':
        expect(scene.load(this.cpu, at(page))).toBe(model.load(page));
        return;
      case 'clearRefs':
        this.call(model.clearRefs(page, last), (path) => core.clearRefs(scene.self, mm, at(page), end(last), path, 0));
        return;
      case 'pagemap': {
        const soft = model.pagemap(page, last);
        scene.prepare(BASE >> 12n);
        core.pagemapSoftDirty(scene.self, mm, at(page), end(last), scene.path);
        expect(scene.bits()).toEqual(soft);
        return;
      }
      case 'mprotect': {
        const rights = { read: (step.rights & 1) !== 0, write: (step.rights & 2) !== 0, exec: (step.rights & 4) !== 0 };
        this.call(
          model.mprotect(page, last, rights),
          (path) => core.mprotect(scene.self, mm, at(page), end(last), step.rights, path, 0) === layout.STATUS_OK,
        );
        return;
      }
      case 'uffdWp':
        this.call(model.uffdWp(page, last, step.resolve), (path) => {
          const options = step.resolve ? layout.UFFD_WP_RESOLVE : 0;
          return core.uffdWriteProtect(scene.self, mm, at(page), end(last), path, options) === layout.STATUS_OK;
        });
        return;
      case 'dontNeed':
        this.call(model.dontNeed(page, last), (path) =>
          core.madviseDontNeed(scene.self, mm, at(page), end(last), path, 0),
        );
        return;
      case 'free':
        this.call(model.free(page, last), (path) => core.madviseFree(scene.self, mm, at(page), end(last), path, 0));
        return;
      case 'munmap':
        this.call(
          model.munmap(page, last),
          (path) => core.munmap(scene.self, mm, at(page), end(last), path, 0) === layout.STATUS_OK,
        );
        return;
      case 'writeProtect':
        this.track(model.writeProtectFile(page, last), (path) =>
          core.writeProtectMapping(scene.self, this.file, BigInt(page), BigInt(last), path, 0),
        );
        return;
      case 'clean':
        this.track(model.cleanFile(page, last), (path) =>
          core.cleanRecordMapping(scene.self, this.file, BigInt(page), BigInt(last), path, 0),
        );
        return;
      case 'writeBack': {
        const entry = model.entries.get(page);
        if (entry?.kind !== 'present' || entry.folio.anon) return;
        const folio = core.folioAddress(this.frames.get(entry.folio) as number) >>> 0;
        this.call(model.writeBack(page), (path) => core.writeBackFolio(scene.self, folio, path, 0) !== 0);
        return;
      }
      case 'merge': {
        const other = model.entries.get(step.other);
        const kpage = other?.kind === 'present' && other.folio.ksm ? step.other : undefined;
        const kfolio = kpage === undefined ? undefined : (other as Extract<Entry, { kind: 'present' }>).folio;
        const address = kfolio === undefined ? 0 : core.folioAddress(this.frames.get(kfolio) as number) >>> 0;
        this.call(model.merge(page, kpage), (path) => core.mergePage(scene.self, mm, at(page), address, path, 0) !== 0);
      }
    }
  }

  /** What a TLB keeps of an entry that was read-only costs one fault more. */
  private twice(access: () => boolean): boolean {
    return access() || access();
  }

  private mmap(page: number, last: number, kind: Kind, write: boolean): void {
    for (let n = page; n <= last; n++) if (this.model.flags.has(n)) return;
    const flags = flagsOf(kind, write);
    const file = flags.shared ? this.file : 0;
    this.scene.vma(this.mm, at(page), last - page + 1, bitsOf(flags), file, file === 0 ? 0 : page);
    this.model.mmap(page, last, flags);
  }

  /** A page comes, as a fault would bring it. */
  private touch(page: number, write: boolean, softDirty: boolean, value: bigint): void {
    const { scene, mm, model } = this;
    const flags = model.flags.get(page);
    const none = !model.entries.has(page);
    if (flags === undefined || flags.pfnMap || !none || !(flags.read || flags.write || flags.exec)) return;
    const writable = write && flags.write;
    const bits = (writable ? RW : 0n) | (softDirty ? SOFT_DIRTY : 0n) | (flags.exec ? 0n : NX);
    const cached = this.filePages.get(page);
    const leaf = flags.shared
      ? scene.filePage(mm, at(page), this.file, page, bits, value)
      : scene.anon(mm, at(page), bits, value);
    const folio: Folio = (flags.shared && cached) || {
      anon: !flags.shared,
      value,
      refs: flags.shared ? 1 : 0,
      mapcount: 0,
      dirty: false,
      exclusive: !flags.shared,
      swapBacked: !flags.shared,
      ksm: false,
      stored: value,
    };
    folio.refs++;
    folio.mapcount++;
    if (flags.shared) this.filePages.set(page, folio);
    this.frames.set(folio, leaf.pfn);
    model.entries.set(page, {
      kind: 'present',
      folio,
      rights: true,
      write: writable,
      exec: flags.exec,
      young: true,
      dirty: false,
      softDirty,
      uffdWp: false,
    });
  }

  /** An entry that is not present takes the place of none, where there is a table. */
  private other(page: number, softDirty: boolean, uffdWp: boolean): void {
    const { scene, mm, model } = this;
    const slot = scene.rig.core.entryAddress(scene.space(mm), at(page), 0) >>> 0;
    if (slot === 0 || model.entries.has(page) || !model.flags.has(page)) return;
    const entry = scene.rig.core.swpEntry(OTHER, 9) | (softDirty ? 2n : 0n) | (uffdWp ? 4n : 0n);
    scene.setPte(mm, at(page), BigInt.asUintN(64, entry));
    model.entries.set(page, { kind: 'other', softDirty, uffdWp });
  }

  /** Runs a path and compares what it told, and which flush CPU 1 was asked for. */
  private call(want: Result, path: (path: number) => unknown): void {
    const { scene } = this;
    scene.prepare();
    const before = scene.generation(this.mm);
    const status = path(scene.path);
    const told = scene.told();
    if (want.status !== undefined) expect({ status: Boolean(status) }).toEqual({ status: want.status });
    expect(told.touched).toBe(want.touched);
    if (want.first !== undefined) expect([told.first, told.last]).toEqual([at(want.first), end(want.last as number)]);
    this.flushed(want, Number(scene.generation(this.mm) - before), told.flushes);
  }

  private flushed(want: Result, generations: number, flushes: number): void {
    const { scene } = this;
    expect(generations).toBe(flushes);
    const request = this.cpu + layout.CPU_REQUESTS;
    if (want.flushes !== undefined) {
      expect(flushes).toBe(want.flushes.length);
      const [only, ...more] = want.flushes;
      const stride = scene.u32(request + layout.REQUEST_STRIDE);
      if (only === 'all') expect(stride).toBe(layout.REQUEST_ALL);
      else if (only !== undefined && more.length === 0) {
        const range = [scene.u64(request + layout.REQUEST_FIRST), scene.u64(request + layout.REQUEST_LAST)];
        expect({ stride, range }).toEqual({ stride: 12, range: [at(only.first), end(only.last)] });
      }
    }
    scene.rig.core.takeInterrupts(this.cpu);
  }

  /** File ranges tell pages of the file, which have the numbers of their places. */
  private track(want: Result, path: (path: number) => void): void {
    const { scene } = this;
    scene.prepare();
    const before = scene.generation(this.mm);
    path(scene.path);
    const told = scene.told();
    expect({ touched: told.touched, bits: scene.bits() }).toEqual({ touched: want.touched, bits: want.bits });
    if (want.first !== undefined)
      expect([told.first, told.last]).toEqual([BigInt(want.first), BigInt(want.last as number)]);
    this.flushed(want, Number(scene.generation(this.mm) - before), told.flushes);
  }

  // ---- all of the state

  compare(): void {
    const { scene, mm } = this;
    for (let page = 0; page < COUNT; page++) {
      const vma = scene.vmaAt(mm, at(page));
      const flags = this.model.flags.get(page);
      const have = vma === 0 ? undefined : scene.u32(vma + layout.VMA_FLAGS);
      expect({ page, flags: have }).toEqual({ page, flags: flags && bitsOf(flags) });
      expect({ page, entry: this.entryOf(page) }).toEqual({ page, entry: this.wanted(page) });
    }
    for (const [folio, pfn] of this.frames) {
      if (folio.refs === 0) {
        expect({ pfn, free: scene.isFree(pfn) }).toEqual({ pfn, free: true });
        this.frames.delete(folio);
      } else this.compareFolio(folio, pfn);
    }
    expect({ pending: scene.pending(mm), mmapLock: scene.u32(mm + layout.MM_MMAP_LOCK) }).toEqual({
      pending: 0,
      mmapLock: 0,
    });
  }

  private compareFolio(folio: Folio, pfn: number): void {
    const { scene } = this;
    const address = scene.rig.core.folioAddress(pfn) >>> 0;
    const flags = scene.flags(address);
    const backing = scene.u32(address + layout.FOLIO_BACKING);
    expect({
      value: scene.word(pfn),
      refs: scene.refs(pfn),
      mapcount: scene.mapcount(address),
      dirty: (flags & layout.PG_DIRTY) !== 0,
      exclusive: (flags & layout.PG_ANON_EXCLUSIVE) !== 0,
      swapBacked: (flags & layout.PG_SWAPBACKED) !== 0,
      ksm: (flags & layout.PG_KSM) !== 0,
      stored: folio.anon ? folio.stored : scene.u64(backing),
      lock: scene.u32(address + layout.FOLIO_LOCK),
    }).toEqual({
      value: folio.value,
      refs: folio.refs,
      mapcount: folio.mapcount,
      dirty: folio.dirty,
      exclusive: folio.exclusive,
      swapBacked: folio.swapBacked,
      ksm: folio.ksm,
      stored: folio.stored,
      lock: 0,
    });
  }

  private entryOf(page: number) {
    const pte = this.scene.pte(this.mm, at(page));
    if (pte === 0n) return undefined;
    if ((pte & (P | PROTNONE)) === 0n) return { softDirty: (pte & 2n) !== 0n, uffdWp: (pte & 4n) !== 0n };
    // Dirty without RW would be a shadow stack.
    expect((pte & (RW | D)) === D).toBe(false);
    const rights = (pte & P) !== 0n;
    return {
      pfn: Number(((rights ? pte : ~pte) & FRAME) >> 12n),
      rights,
      write: (pte & RW) !== 0n,
      exec: (pte & NX) === 0n,
      young: (pte & A) !== 0n,
      dirty: (pte & (D | SAVED_DIRTY)) !== 0n,
      softDirty: (pte & SOFT_DIRTY) !== 0n,
      uffdWp: (pte & UFFD_WP) !== 0n,
    };
  }

  private wanted(page: number) {
    const entry = this.model.entries.get(page);
    if (entry?.kind !== 'present') return entry && { softDirty: entry.softDirty, uffdWp: entry.uffdWp };
    const { kind: _kind, folio, ...rest } = entry;
    return { pfn: this.frames.get(folio), ...rest };
  }
}

test.each([
  [4, 'recheck', layout.MACHINE_RECHECK],
  [5, 'nowcheck', layout.MACHINE_NOWCHECK],
] as const)(
  '%i levels, %s: any sequence of paths and accesses',
  { timeout: 120_000 },
  async (levels, _name, machine) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
        const pair = new Pair(await Scene.make(), levels, machine);
        for (const step of steps) {
          pair.run(step);
          pair.compare();
        }
      }),
      { numRuns: 300, seed: SEED },
    );
  },
);
