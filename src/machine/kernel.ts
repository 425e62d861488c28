// Kernel paths over whole mms, as a CPU in kernel mode runs them: fork, clear_refs, pagemap, mprotect, userfaultfd, madvise, munmap, write-back, a
// driver's cycle, KSM, reclaim, migration, the reaper.
//
// Guarantees: each is the core's function (assembly/kernel/), which takes the kernel's locks in its order and says what it changed and what became
// of the flush. The options select variants that differ from Linux; left out, they are what Linux does. A `Kernel` belongs to one thread,
// which runs its CPU; dispose of it.

import {
  CLEAR_REFS_AFTER_UNLOCK,
  CLEAR_REFS_DOWNGRADE,
  CLEAR_REFS_GATHER,
  CLEAR_REFS_NO_VMA_LOCK,
  CLEAR_REFS_READ,
  KSM_NO_EXCLUSIVE,
  KSM_NO_PENDING,
  KSM_REPLACE_NO_FLUSH,
  MIGRATE_DEFER_WRITABLE,
  MKCLEAN_DIRTY,
  MKCLEAN_PENDING,
  MKCLEAN_WRITE,
  PATH_DEFERRED,
  PATH_FLUSH_IN_PTL,
  PATH_FREE_EARLY,
  PATH_HUGE,
  PATH_LOSE_DIRTY,
  PATH_NO_FLUSH,
  PATH_NO_NESTED,
  PATH_PASSED,
  PATH_PLAIN,
  PATH_SCAN,
  REAPER_FULLMM,
  REAPER_FULLMM_UNUSED,
  REAPER_RANGE,
  RECLAIM_FLUSH_NOW,
  RECLAIM_NO_FLUSH,
  RECLAIM_NO_FLUSH_DIRTY,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_ORIGIN,
  SCAN_START,
  SHOOT_ELIDE_FULLMM,
  STATUS_HOLE,
  STATUS_NO_MEMORY,
  STATUS_NOT_ALLOWED,
  STATUS_OK,
  TRANSFER_EARLY,
  TRANSFER_UNLOCKED,
  UFFD_WP_AFTER_UNLOCK,
  UFFD_WP_RESOLVE,
  UFFD_WP_WRITE,
  VM_EXEC,
  VM_READ,
  VM_WRITE,
  WRITEBACK_ANYWAY,
  WRITEBACK_UNLOCKED,
} from '../../assembly/layout.ts';
import { type AddressLike, hex, PAGE_BYTES, type Pfn, type VirtualAddress, virtualAddress, vpn } from '../units.ts';
import { type Cpu, type FlushOptions, Mm, shootBits } from './cpu.ts';
import type { DeferredFlush } from './deferred.ts';
import type { DirtyDriver } from './driver.ts';
import type { FlushRange } from './flushtracker.ts';
import { choice, disciplineBits, type FlushDiscipline, type FlushOutcome, PathBlock } from './path.ts';
import { PageBitmap } from './ranges.ts';

/** What a path did. */
export interface PathResult {
  /** Entries that were changed. */
  readonly touched: number;
  /** From the first byte that they map to the last; undefined if there are none. */
  readonly range: FlushRange | undefined;
  /** VMAs to which the path does not apply. */
  readonly passedOver: number;
  /** Large pages that were left as they were. */
  readonly largeLeft: number;
  readonly flush: FlushOutcome;
}

/** As that, or why it was refused; what came before the place that is refused is done. */
export type Refusable<R extends PathResult> =
  | ({ readonly kind: 'done' } & R)
  | ({ readonly kind: 'refused'; readonly reason: 'hole' | 'not-allowed' | 'no-memory' } & R);

/** How entries change. */
export interface EntryOptions {
  /** Exchanged with none, then stored (`transaction`), or by a load and a store (`plain`), which loses what hardware sets in between. */
  readonly update?: 'transaction' | 'plain';
}

export interface ClearRefsOptions extends EntryOptions, FlushOptions, Pick<FlushDiscipline, 'count'> {
  /** mmap_lock for writing, for reading, or for writing and downgraded before the walk. Default `write`. */
  readonly lock?: 'write' | 'read' | 'downgraded';
  /** Lock each VMA for writing too, so that faults stay out that do not take mmap_lock. Default true. */
  readonly vmaLock?: boolean;
  /**
   * `before-unlock`: flush_tlb_mm() before mmap_lock is released; `after-unlock`; `in-ptl`, table by table; `elided`, left to a gather that was told of
   * nothing (0758cd830494); `none`. Default `before-unlock`.
   */
  readonly flush?: 'before-unlock' | 'after-unlock' | 'in-ptl' | 'elided' | 'none';
  /** Write-protecting loses D, as on arm64 before ff1712f953e2. Default false. */
  readonly losesDirty?: boolean;
}

export interface GatherOptions extends FlushOptions {
  /** Flush everything if somebody else owes a flush of the mm. Default true. */
  readonly nested?: boolean;
}

export interface ProtectOptions extends EntryOptions, GatherOptions {
  /** In tlb_finish_mmu(), table by table, or not. Default `deferred`. */
  readonly flush?: 'deferred' | 'in-ptl' | 'none';
  /** Settle here before an entry becomes writable (G6). */
  readonly deferred?: DeferredFlush;
}

export interface UserfaultfdOptions extends EntryOptions, GatherOptions, Pick<FlushDiscipline, 'count'> {
  /** mmap_lock; Linux takes it for reading. Default `read`. */
  readonly lock?: 'read' | 'write';
  /** Default `before-unlock`: in tlb_finish_mmu(). */
  readonly flush?: 'before-unlock' | 'after-unlock' | 'in-ptl' | 'none';
}

export interface FreeOptions extends EntryOptions, GatherOptions, Pick<FlushDiscipline, 'count'> {
  /** Default `deferred`: in tlb_finish_mmu(). */
  readonly flush?: 'deferred' | 'in-ptl' | 'none';
}

export interface ZapOptions extends GatherOptions {
  /** Free pages before the flush, which is wrong. Default false. */
  readonly freeEarly?: boolean;
}

export interface ReapOptions extends ZapOptions {
  /**
   * What the reaper's gather is about: each VMA in turn (`vma`), the range (0, -1) and so the whole mm (`fullmm`), the same if mm_users is 0 only
   * (`fullmm-if-unused`), or the range without the whole mm (`range`). Default `vma`.
   */
  readonly gather?: 'vma' | 'fullmm' | 'fullmm-if-unused' | 'range';
  /** Processors do not flush for a gather of a whole mm that frees no table (arm64). Default false. */
  readonly elideFullMm?: boolean;
}

export interface WriteBackOptions extends FlushOptions {
  /** Which entries page_mkclean_one() looks at. Default `dirty-or-write`. */
  readonly test?: 'dirty-or-write' | 'write' | 'dirty';
  /** And all, if somebody owes the mm a flush. Default false. */
  readonly pending?: boolean;
  /** Hold the page lock. Default true. */
  readonly pageLock?: boolean;
  /** Look at the entries of a page that is not marked dirty, too. Default false. */
  readonly anyway?: boolean;
}

export interface MergeOptions extends FlushOptions {
  /** write_protect_page() asks for tlb_flush_pending. Default true. */
  readonly pending?: boolean;
  /** And for PG_anon_exclusive, as since v5.19. Default true. */
  readonly exclusive?: boolean;
  /** replace_page() flushes. Default true. */
  readonly replaceFlush?: boolean;
}

export interface ReclaimOptions extends FlushOptions {
  /**
   * When entries that go are flushed: in a batch, before the page is written out if one may have been writable, and before it is freed (`batched`); each when
   * it goes (`each`); in a batch, but not before the page is written out (`not-before-io`, K3), or not before it is freed
   * (`not-before-free`, K4), which are wrong. Default `batched`.
   */
  readonly flush?: 'batched' | 'each' | 'not-before-io' | 'not-before-free';
}

export interface MigrateOptions extends FlushOptions {
  /** Put off the flush of entries that are not writable, and keep the old frame (migrc). Default: flush before the page is copied. */
  readonly deferred?: DeferredFlush;
  /** Put off that of writable ones as well, which is wrong (G9). Default false. */
  readonly deferWritable?: boolean;
}

export interface TransferOptions extends FlushOptions {
  /** Hold the driver's lock, or the page lock, over the cycle. Default true. */
  readonly lock?: boolean;
  /** Copy before the flush, which is wrong (A3). Default false. */
  readonly early?: boolean;
}

/** What became of a fork. */
export type Forked =
  | { readonly kind: 'done'; readonly child: Mm }
  /** No frame or no heap was left; nothing remains of the child, and the parent's pages are write-protected. */
  | { readonly kind: 'refused'; readonly reason: 'no-memory' };

const LOCKS = { write: 0, read: CLEAR_REFS_READ, downgraded: CLEAR_REFS_DOWNGRADE } as const;
const CLEAR_REFS_FLUSHES = {
  'before-unlock': 0,
  'after-unlock': CLEAR_REFS_AFTER_UNLOCK,
  'in-ptl': PATH_FLUSH_IN_PTL,
  elided: CLEAR_REFS_GATHER,
  none: PATH_NO_FLUSH,
} as const;
const UFFD_LOCKS = { read: 0, write: UFFD_WP_WRITE } as const;
const UFFD_FLUSHES = {
  'before-unlock': 0,
  'after-unlock': UFFD_WP_AFTER_UNLOCK,
  'in-ptl': PATH_FLUSH_IN_PTL,
  none: PATH_NO_FLUSH,
} as const;
const UPDATES = { transaction: 0, plain: PATH_PLAIN } as const;
const GATHERS = {
  vma: 0,
  fullmm: REAPER_FULLMM,
  'fullmm-if-unused': REAPER_FULLMM_UNUSED,
  range: REAPER_RANGE,
} as const;
const RECLAIM_FLUSHES = {
  batched: 0,
  each: RECLAIM_FLUSH_NOW,
  'not-before-io': RECLAIM_NO_FLUSH_DIRTY,
  'not-before-free': RECLAIM_NO_FLUSH,
} as const;
const TESTS = { 'dirty-or-write': 0, write: MKCLEAN_WRITE, dirty: MKCLEAN_DIRTY } as const;
const WHOLE = { first: 0n as VirtualAddress, last: ((1n << 64n) - 1n) as VirtualAddress };

/** What a CPU can do to mms while it is not in user mode. */
export class Kernel {
  readonly cpu: Cpu;
  readonly #path: PathBlock;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.#path = new PathBlock(cpu.memory);
  }

  /**
   * fork(): a second mm with the same memory. Private pages are shared until one side stores, those of shared mappings are left to the child's faults.
   * Dispose of the child, after `put`, and then of its address space.
   */
  fork(parent: Mm, options: FlushOptions = {}): Forked {
    const { space } = parent;
    const tables = space.memory.createAddressSpace({ format: space.format.name, regime: space.regime });
    const child = new Mm(tables, { splitLocks: parent.splitLocks });
    if (this.#core.forkMm(this.cpu.handle, parent.handle, child.handle, shootBits(options)) !== 0) {
      return { kind: 'done', child };
    }
    this.put(child);
    child.dispose();
    tables.dispose();
    return { kind: 'refused', reason: 'no-memory' };
  }

  /**
   * Takes soft-dirty and the right to write from the pages of `mm`, so that the next store to each sets it again (`echo 4 > clear_refs`). With a range, from the
   * VMAs that have a byte of it.
   */
  clearSoftDirty(
    mm: Mm,
    range?: { va: AddressLike; sizeBytes: AddressLike },
    options: ClearRefsOptions = {},
  ): PathResult {
    const { lock = 'write', vmaLock = true, flush = 'before-unlock', losesDirty = false } = options;
    const bits =
      choice('lock', lock, LOCKS) |
      choice('flush', flush, CLEAR_REFS_FLUSHES) |
      countBits(options) |
      updateBits(options) |
      (vmaLock ? 0 : CLEAR_REFS_NO_VMA_LOCK) |
      (losesDirty ? PATH_LOSE_DIRTY : 0);
    const { first, last } = range === undefined ? WHOLE : rangeOf(range.va, range.sizeBytes);
    return this.#run(options, (path) => this.#core.clearRefs(this.cpu.handle, mm.handle, first, last, path, bits));
  }

  /** The pages of a range that pagemap tells to be soft-dirty: those that were stored to since `clearSoftDirty`, and those of new VMAs. Dispose of it. */
  softDirty(mm: Mm, va: AddressLike, sizeBytes: AddressLike): PageBitmap {
    const { first, last } = rangeOf(va, sizeBytes);
    const from = vpn(Number(first >> 12n));
    const bitmap = new PageBitmap(this.cpu.memory, from, Number(last >> 12n) - from + 1);
    const path = this.#path.prepare({});
    this.#path.setU32(PATH_SCAN + SCAN_BITMAP, bitmap.handle);
    this.#path.setU64(PATH_SCAN + SCAN_ORIGIN, BigInt(from));
    this.#path.setU64(PATH_SCAN + SCAN_START, BigInt(bitmap.start));
    this.#path.setU64(PATH_SCAN + SCAN_END, 0n);
    this.#core.pagemapSoftDirty(this.cpu.handle, mm.handle, first, last, path);
    bitmap.start = Number(this.#path.u64(PATH_SCAN + SCAN_START));
    bitmap.end = Number(this.#path.u64(PATH_SCAN + SCAN_END));
    return bitmap;
  }

  /** mprotect(): refused at a hole, or for a right that the VMA may not have. */
  protect(
    mm: Mm,
    va: AddressLike,
    sizeBytes: AddressLike,
    rights: { readonly read?: boolean; readonly write?: boolean; readonly execute?: boolean },
    options: ProtectOptions = {},
  ): Refusable<PathResult> {
    const { first, last } = rangeOf(va, sizeBytes);
    const vm = (rights.read ? VM_READ : 0) | (rights.write ? VM_WRITE : 0) | (rights.execute ? VM_EXEC : 0);
    const bits = disciplineBits({ flush: options.flush ?? 'deferred' }) | nestedBits(options) | updateBits(options);
    return this.#refusable(options, (path) => {
      this.#defer(options.deferred);
      return this.#core.mprotect(this.cpu.handle, mm.handle, first, last, vm, path, bits);
    });
  }

  /** UFFDIO_WRITEPROTECT: refused where the VMA is not registered. With `resolve`, takes the mark away again. */
  userfaultfdWriteProtect(
    mm: Mm,
    va: AddressLike,
    sizeBytes: AddressLike,
    options: UserfaultfdOptions & { readonly resolve?: boolean } = {},
  ): Refusable<PathResult> {
    const { first, last } = rangeOf(va, sizeBytes);
    const { lock = 'read', flush = 'before-unlock', resolve = false } = options;
    const bits =
      choice('lock', lock, UFFD_LOCKS) |
      choice('flush', flush, UFFD_FLUSHES) |
      countBits(options) |
      nestedBits(options) |
      updateBits(options) |
      (resolve ? UFFD_WP_RESOLVE : 0);
    return this.#refusable(options, (path) =>
      this.#core.uffdWriteProtect(this.cpu.handle, mm.handle, first, last, path, bits),
    );
  }

  /** madvise(MADV_DONTNEED): takes the pages out and frees them. */
  dontNeed(mm: Mm, va: AddressLike, sizeBytes: AddressLike, options: ZapOptions = {}): PathResult {
    const { first, last } = rangeOf(va, sizeBytes);
    const bits = zapBits(options);
    return this.#run(options, (path) =>
      this.#core.madviseDontNeed(this.cpu.handle, mm.handle, first, last, path, bits),
    );
  }

  /** madvise(MADV_FREE): anonymous pages may be dropped as they are, unless they are stored to again. */
  free(mm: Mm, va: AddressLike, sizeBytes: AddressLike, options: FreeOptions = {}): PathResult {
    const { first, last } = rangeOf(va, sizeBytes);
    const discipline = { flush: options.flush ?? 'deferred', count: options.count ?? 'before' } as const;
    const bits = disciplineBits(discipline) | nestedBits(options) | updateBits(options);
    return this.#run(options, (path) => this.#core.madviseFree(this.cpu.handle, mm.handle, first, last, path, bits));
  }

  /** munmap(): pages, tables and VMAs go. */
  unmap(mm: Mm, va: AddressLike, sizeBytes: AddressLike, options: ZapOptions = {}): Refusable<PathResult> {
    const { first, last } = rangeOf(va, sizeBytes);
    const bits = zapBits(options);
    return this.#refusable(options, (path) => this.#core.munmap(this.cpu.handle, mm.handle, first, last, path, bits));
  }

  /** The OOM reaper takes the private memory of `mm`, which threads may still run. False: mmap_lock was taken, or a notifier sleeps; try again. */
  reap(mm: Mm, options: ReapOptions = {}): PathResult & { readonly done: boolean } {
    const bits = zapBits(options) | choice('gather', options.gather ?? 'vma', GATHERS);
    let done = false;
    const extra = options.elideFullMm ? SHOOT_ELIDE_FULLMM : 0;
    const result = this.#run(
      options,
      (path) => {
        done = this.#core.reapMm(this.cpu.handle, mm.handle, path, bits) !== 0;
      },
      extra,
    );
    return { ...result, done };
  }

  /** mmput(): gives up a use of `mm`. The last one takes everything down but the root table: `last` is true then. */
  put(mm: Mm, options: FlushOptions & Pick<ReapOptions, 'elideFullMm'> = {}): PathResult & { readonly last: boolean } {
    let last = false;
    const extra = options.elideFullMm ? SHOOT_ELIDE_FULLMM : 0;
    const result = this.#run(
      options,
      (path) => {
        last = this.#core.putMm(this.cpu.handle, mm.handle, path, 0) !== 0;
      },
      extra,
    );
    return { ...result, last };
  }

  /** Writes a page of a file back to its backing store: every entry that maps it shared is cleaned and write-protected. False: it was clean. */
  writeBack(page: Pfn, options: WriteBackOptions = {}): PathResult & { readonly written: boolean } {
    const { test = 'dirty-or-write', pending = false, pageLock = true, anyway = false } = options;
    const bits =
      choice('test', test, TESTS) |
      (pending ? MKCLEAN_PENDING : 0) |
      (pageLock ? 0 : WRITEBACK_UNLOCKED) |
      (anyway ? WRITEBACK_ANYWAY : 0);
    const folio = this.#folio(page);
    let written = false;
    const result = this.#run(options, (path) => {
      written = this.#core.writeBackFolio(this.cpu.handle, folio, path, bits) !== 0;
    });
    return { ...result, written };
  }

  /**
   * KSM merges the page at `va` with `kept`, a frame that it made before; without one, makes the page the first of its kind. False: the words differ, somebody
   * else holds the page, or no anonymous page is there.
   */
  merge(mm: Mm, va: AddressLike, kept?: Pfn, options: MergeOptions = {}): PathResult & { readonly merged: boolean } {
    const { pending = true, exclusive = true, replaceFlush = true } = options;
    const bits =
      (pending ? 0 : KSM_NO_PENDING) | (exclusive ? 0 : KSM_NO_EXCLUSIVE) | (replaceFlush ? 0 : KSM_REPLACE_NO_FLUSH);
    const { first } = rangeOf(va, PAGE_BYTES);
    const folio = kept === undefined ? 0 : this.#folio(kept);
    let merged = false;
    const result = this.#run(options, (path) => {
      merged = this.#core.mergePage(this.cpu.handle, mm.handle, first, folio, path, bits) !== 0;
    });
    return { ...result, merged };
  }

  /**
   * Reclaims a page: unmapped everywhere, written to swap or to its file if it is dirty, freed. False: it stays, for somebody else holds or maps
   * it again, it is gone, or there is no swap. @throws RangeError if `page` is a frame of another kind.
   */
  reclaim(page: Pfn, options: ReclaimOptions = {}): PathResult & { readonly reclaimed: boolean } {
    const bits = choice('flush', options.flush ?? 'batched', RECLAIM_FLUSHES);
    const folio = this.#hold(page);
    let reclaimed = false;
    const result = this.#run(options, (path) => {
      if (folio !== 0) reclaimed = this.#core.reclaimFolio(this.cpu.handle, folio, path, bits) !== 0;
    });
    // The reference went with the page.
    if (!reclaimed && folio !== 0) this.#core.putFolio(folio);
    return { ...result, reclaimed };
  }

  /**
   * Migrates a page to a frame of its own choice, under whatever maps it: `to`. Undefined: somebody else holds the page, it is gone, or no
   * frame is left. @throws RangeError if `page` is a frame of another kind.
   */
  migrate(page: Pfn, options: MigrateOptions = {}): PathResult & { readonly to: Pfn | undefined } {
    const bits = options.deferWritable ? MIGRATE_DEFER_WRITABLE : 0;
    const from = this.#hold(page);
    const target = this.#core.allocateFolio();
    const to = target < 0 ? 0 : this.#core.folioAddress(target) >>> 0;
    let moved = false;
    const result = this.#run(options, (path) => {
      this.#defer(options.deferred);
      if (to !== 0 && from !== 0) moved = this.#core.migrateFolio(this.cpu.handle, from, to, path, bits) !== 0;
    });
    // The reference to the old page went with it; that to the new one is the entries' and the file's now.
    if (!moved && from !== 0) this.#core.putFolio(from);
    if (to !== 0) this.#core.putFolio(to);
    return { ...result, to: moved ? (target as Pfn) : undefined };
  }

  /**
   * One cycle of a driver: write-protects the pages of its file, takes the record of those that were written to, and copies them to the device. `copied` is
   * how many were.
   */
  transfer(driver: DirtyDriver, options: TransferOptions = {}): PathResult & { readonly copied: number } {
    const { lock = true, early = false } = options;
    const bits = (lock ? 0 : TRANSFER_UNLOCKED) | (early ? TRANSFER_EARLY : 0);
    let copied = 0;
    const result = this.#run(options, (path) => {
      copied = this.#core.transferFile(this.cpu.handle, driver.file.handle, path, bits) >>> 0;
    });
    return { ...result, copied };
  }

  /** Gives its memory back. */
  dispose(): void {
    this.#path.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #core() {
    return this.cpu.memory.core;
  }

  #folio(page: Pfn): number {
    const folio = this.#core.folioAddress(page) >>> 0;
    if (folio === 0) throw new RangeError(`frame ${hex(page)} is no page that an mm counts`);
    return folio;
  }

  /** A folio with a reference more, which is the caller's; 0 if the page is gone. @throws RangeError if the frame is something else. */
  #hold(page: Pfn): number {
    const folio = this.#core.tryGetFolio(page) >>> 0;
    const { state } = this.cpu.memory.frameInfo(page);
    if (folio === 0 && (state === 'table' || state === 'data')) {
      throw new RangeError(`frame ${hex(page)} is no page that an mm counts: it is ${state}`);
    }
    return folio;
  }

  #defer(deferred: DeferredFlush | undefined): void {
    this.#path.setU32(PATH_DEFERRED, deferred?.handle ?? 0);
  }

  #run(options: FlushOptions, call: (path: number) => unknown, shoot = 0): PathResult {
    call(this.#path.prepare(options, shoot));
    return this.#result();
  }

  #refusable(options: FlushOptions, call: (path: number) => number): Refusable<PathResult> {
    const status = call(this.#path.prepare(options));
    if (status === STATUS_OK) return { kind: 'done', ...this.#result() };
    const reason = REASONS[status];
    if (reason === undefined) throw new Error(`the core answered with status ${status}`);
    return { kind: 'refused', reason, ...this.#result() };
  }

  #result(): PathResult {
    const path = this.#path;
    const { range } = path;
    return {
      touched: path.touched,
      range: range && { first: range.first as VirtualAddress, last: range.last as VirtualAddress },
      passedOver: path.u32(PATH_PASSED),
      largeLeft: path.u32(PATH_HUGE),
      flush: path.flush,
    };
  }
}

const REASONS: Readonly<Record<number, 'hole' | 'not-allowed' | 'no-memory'>> = {
  [STATUS_HOLE]: 'hole',
  [STATUS_NOT_ALLOWED]: 'not-allowed',
  [STATUS_NO_MEMORY]: 'no-memory',
};

function countBits({ count = 'before' }: Pick<FlushDiscipline, 'count'>): number {
  return disciplineBits({ count });
}

function updateBits({ update = 'transaction' }: EntryOptions): number {
  return choice('update', update, UPDATES);
}

function nestedBits({ nested = true }: GatherOptions): number {
  return nested ? 0 : PATH_NO_NESTED;
}

function zapBits(options: ZapOptions): number {
  return nestedBits(options) | (options.freeEarly ? PATH_FREE_EARLY : 0);
}

/** @throws RangeError if the range is empty, not page-aligned, or leaves the address space. */
function rangeOf(va: AddressLike, sizeBytes: AddressLike): FlushRange {
  const first = virtualAddress(va);
  const bytes = virtualAddress(sizeBytes, 'sizeBytes');
  for (const [name, value] of [['va', first] as const, ['sizeBytes', bytes] as const]) {
    if (value % BigInt(PAGE_BYTES) !== 0n) throw new RangeError(`"${name}" must be page-aligned, got ${hex(value)}`);
  }
  if (bytes === 0n || first + bytes > 1n << 64n) {
    throw new RangeError(`"sizeBytes" must be above 0 and end in the address space, got ${hex(bytes)}`);
  }
  return { first, last: (first + bytes - 1n) as VirtualAddress };
}
