// Simulated machines: mms, CPUs with a TLB each, files that several mms map, and the flushes between them.
//
// Guarantees: what a CPU does is the core's, step by step as hardware does it, so it may run in this thread or, by its handle, in a
// worker that joined the memory; one thread at a time runs a CPU. A fault is an answer. Dispose of what you made, mms last.
//
// A CPU that is in user mode answers flushes between its accesses: whoever flushes waits for it. So a thread that stops calling a CPU
// calls `leaveUser` first.

import {
  CPU_FAULTS,
  CPU_INTERRUPTS,
  DONE,
  MACHINE_BLIND,
  MACHINE_LAZY_LOST,
  MACHINE_LAZY_WB,
  MACHINE_NOWCHECK,
  MACHINE_RECHECK,
  MACHINE_SWDIRTY,
  MM_CPUMASK,
  MM_FLUSH_PENDING,
  MM_MMAP_LOCK,
  MM_PTL,
  MM_TLB_GEN,
  REQUEST_ALL,
  SHOOT_CEILING,
  SHOOT_CONCURRENT,
  SHOOT_EARLY_ACK,
  SHOOT_POSTED,
  SHOOT_SKIP_LAZY,
  VM_EXEC,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_UFFD_WP,
  VM_WRITE,
  VM_WRITENOTIFY,
} from '../../assembly/layout.ts';
import { type AddressLike, hex, PAGE_BYTES, virtualAddress } from '../units.ts';
import type { AsidAllocator } from './asids.ts';
import { openFolios } from './folio.ts';
import { type CpuOptions, type CpuStatistics, faultOf, hardwareOf, statisticsOf, type UserFault } from './hardware.ts';
import type { PhysicalMemory } from './memory.ts';
import type { SharedFile } from './sharedfile.ts';
import type { AddressSpace } from './space.ts';
import type { Tlb } from './tlb.ts';

/**
 * What sets D when a store goes through a writable entry that is clean. `recheck`: a locked update that needs P and RW still (x86 with shadow
 * stacks, arm64 with hardware dirty state, RISC-V Svadu). `nowcheck`: needs P only (x86 before). `blind`: needs nothing (the stray
 * updates of Knights Landing). `lazy-lost` and `lazy-wb`: the entry only; the second writes D back when the entry goes. `swdirty`:
 * nothing does, a clean page is not writable (arm64 without, RISC-V Svade).
 */
export type DirtyMachine = 'recheck' | 'nowcheck' | 'blind' | 'lazy-lost' | 'lazy-wb' | 'swdirty';

const MACHINES: Readonly<Record<DirtyMachine, number>> = {
  recheck: MACHINE_RECHECK,
  nowcheck: MACHINE_NOWCHECK,
  blind: MACHINE_BLIND,
  'lazy-lost': MACHINE_LAZY_LOST,
  'lazy-wb': MACHINE_LAZY_WB,
  swdirty: MACHINE_SWDIRTY,
};

/** How a flush is carried out. With broadcasts only `posted` and `ceiling` count. */
export interface FlushOptions {
  /** Return without waiting for the other CPUs, which promises nothing. Default false. */
  readonly posted?: boolean;
  /** Leave CPUs alone that run a kernel thread (lazy TLB), unless tables are freed. Default false. */
  readonly skipLazy?: boolean;
  /** CPUs acknowledge before they invalidate, unless tables are freed. Default false. */
  readonly earlyAck?: boolean;
  /** The CPU that flushes sends first, and invalidates in its own TLB while the others do. Default false: its own first. */
  readonly concurrentLocal?: boolean;
  /** More single-page invalidations than this flush everything; see FLUSH_CEILINGS. Default 0: no ceiling. */
  readonly ceiling?: number;
}

/** MACHINE_*; undefined if there is no such machine. */
export function dirtyMachineNumber(machine: string): number | undefined {
  return Object.hasOwn(MACHINES, machine) ? MACHINES[machine as DirtyMachine] : undefined;
}

/** What a user access came to. */
export type UserAccess = { readonly kind: 'done'; readonly value: bigint } | UserFault;

/** What a VMA allows, and who wants to hear of stores to it. */
export interface VmaOptions {
  /** Default true. */
  readonly writable?: boolean;
  /** Default false. */
  readonly executable?: boolean;
  /** Registered with userfaultfd for write-protection (`Kernel.userfaultfdWriteProtect`). Default false. */
  readonly userfaultfd?: boolean;
  /**
   * Every page counts as soft-dirty until `Kernel.clearSoftDirty`, as of a new mapping in Linux: no fault is taken to notice the first store.
   * Default true for private memory, false for files.
   */
  readonly softDirty?: boolean;
}

export interface FileVmaOptions extends VmaOptions {
  /** Stores go to the file, not to a private copy. Default true. */
  readonly shared?: boolean;
  /** The file wants to hear of the first store to each page (see DirtyDriver). Default false. */
  readonly writeNotify?: boolean;
  /** Its pages are frames that no mm counts (VM_PFNMAP). Default false. */
  readonly pfns?: boolean;
}

function vmaBits(options: VmaOptions, newIsDirty: boolean): number {
  const { writable = true, executable = false, userfaultfd = false, softDirty = newIsDirty } = options;
  return (
    VM_READ |
    (writable ? VM_WRITE | VM_MAYWRITE : 0) |
    (executable ? VM_EXEC : 0) |
    (userfaultfd ? VM_UFFD_WP : 0) |
    (softDirty ? VM_SOFTDIRTY : 0)
  );
}

/** An mm: an address space as a kernel keeps it, with locks, VMAs and what it knows of TLBs (struct mm_struct). */
export class Mm {
  readonly space: AddressSpace;
  readonly handle: number;
  readonly splitLocks: boolean;

  /** An mm over `space`; `splitLocks` gives each leaf table a page-table lock of its own. @throws RangeError if there is no room. */
  constructor(space: AddressSpace, options: { readonly splitLocks?: boolean } = {}) {
    this.space = space;
    this.splitLocks = options.splitLocks ?? true;
    this.handle = space.memory.core.createMm(space.handle, this.splitLocks) >>> 0;
    if (this.handle === 0) throw new RangeError('no heap is left for an mm');
    const name = `mm 0x${this.handle.toString(16)}`;
    space.memory.nameLock(this.handle + MM_MMAP_LOCK, `mmap_lock of ${name}`);
    space.memory.nameLock(this.handle + MM_PTL, `page_table_lock of ${name}`);
  }

  /** How many flushes it has asked for, plus 1 (context.tlb_gen). */
  get tlbGeneration(): bigint {
    return this.space.memory.view.getBigUint64(this.handle + MM_TLB_GEN, true);
  }

  /** Flushes that are owed: entries changed, TLBs not invalidated yet (tlb_flush_pending). */
  get flushPending(): number {
    return this.space.memory.view.getUint32(this.handle + MM_FLUSH_PENDING, true);
  }

  /** CPUs whose TLBs may hold its translations, a bit each (mm_cpumask). */
  get cpuMask(): bigint {
    return this.space.memory.view.getBigUint64(this.handle + MM_CPUMASK, true);
  }

  /**
   * Declares that `sizeBytes` from `va` show `file` from page `page` on, shared and writable unless told otherwise. Makes no translation.
   * @throws RangeError if the range is empty or not page-aligned, or something is declared there.
   */
  declare(va: AddressLike, sizeBytes: AddressLike, file: SharedFile, page: number, options: FileVmaOptions = {}): void {
    const { shared = true, writeNotify = false, pfns = false } = options;
    const flags = (shared ? VM_SHARED : 0) | (writeNotify ? VM_WRITENOTIFY : 0) | (pfns ? VM_PFNMAP : 0);
    this.#declare(va, sizeBytes, flags | vmaBits(options, false), file.handle, page);
  }

  /**
   * Declares `sizeBytes` of private memory from `va`, which faults fill with zeros (mmap() of MAP_PRIVATE | MAP_ANONYMOUS). Makes no translation.
   * @throws RangeError if the range is empty or not page-aligned, something is declared there, or the heap has no room for folios.
   */
  declareAnonymous(va: AddressLike, sizeBytes: AddressLike, options: VmaOptions = {}): void {
    openFolios(this.space.memory);
    this.#declare(va, sizeBytes, vmaBits(options, true), 0, 0);
  }

  #declare(va: AddressLike, sizeBytes: AddressLike, flags: number, file: number, page: number): void {
    const start = virtualAddress(va);
    const bytes = virtualAddress(sizeBytes, 'sizeBytes');
    for (const [name, value] of [['va', start] as const, ['sizeBytes', bytes] as const]) {
      if (value % BigInt(PAGE_BYTES) !== 0n) throw new RangeError(`"${name}" must be page-aligned, got ${hex(value)}`);
    }
    const end = start + bytes;
    if (bytes === 0n || end >= 1n << 64n) {
      throw new RangeError(`"sizeBytes" must be above 0 and end in the address space, got ${hex(bytes)}`);
    }
    const vma = this.space.memory.core.insertVma(this.handle, start, end, flags, file, BigInt(page)) >>> 0;
    if (vma === 0) throw new RangeError(`"va" ${hex(start)}: something is declared there already, or no heap is left`);
  }

  /** Its VMAs and its block; no CPU runs it any more. The address space is its owner's. */
  dispose(): void {
    const { core } = this.space.memory;
    // Paths split VMAs and free them: what counts is what there is now, not what was declared.
    for (let vma = this.#firstVma(); vma !== 0; vma = this.#firstVma()) core.removeVma(vma);
    core.freeMm(this.handle);
  }

  #firstVma(): number {
    return this.space.memory.core.firstVmaIn(this.handle, 0n, (1n << 64n) - 1n) >>> 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A CPU with its TLB. */
export class Cpu {
  readonly memory: PhysicalMemory;
  readonly handle: number;
  readonly id: number;

  /** CPU `id`, 0 to 63. @throws RangeError if `id` or one of the options is none, or there is no room. */
  constructor(memory: PhysicalMemory, id: number, tlb: Tlb, options: CpuOptions | DirtyMachine = {}) {
    if (!Number.isInteger(id) || id < 0 || id > 63) throw new RangeError(`"id" must be from 0 to 63, got ${id}`);
    const chosen = typeof options === 'string' ? { machine: options } : options;
    const { machine = 'recheck' } = chosen;
    const kind = dirtyMachineNumber(machine);
    if (kind === undefined) {
      throw new RangeError(`"machine" must be one of ${Object.keys(MACHINES).join(', ')}, got ${String(machine)}`);
    }
    const { bits, prefetch } = hardwareOf(chosen);
    this.memory = memory;
    this.id = id;
    this.handle = memory.core.createCpu(id, tlb.handle, kind) >>> 0;
    if (this.handle === 0) throw new RangeError('no heap is left for a CPU');
    memory.core.setHardware(this.handle, bits, prefetch);
  }

  /** Runs `mm` from here on, its translations tagged `asid` and flushed; undefined: none. Not in user mode. */
  load(mm: Mm | undefined, asid = 1): void {
    this.memory.core.loadMm(this.handle, mm?.handle ?? 0, asid);
  }

  /**
   * Runs `mm` from here on, and keeps what the TLB holds of others: under a PCID of this CPU (switch_mm_irqs_off on x86), or with `asids`, for CPUs
   * with broadcast, under the number that it has on all. Not in user mode, and not to be mixed with `load`.
   */
  switchTo(mm: Mm | undefined, asids?: AsidAllocator): void {
    if (asids === undefined) this.memory.core.switchMm(this.handle, mm?.handle ?? 0);
    else this.memory.core.switchMmAllocated(this.handle, mm?.handle ?? 0, asids.handle);
  }

  /** Runs a kernel thread and keeps the mm for later (lazy TLB). Not in user mode. */
  enterLazy(): void {
    this.memory.core.enterLazy(this.handle);
  }

  /** Back to the mm that was kept; false if a flush took it away meanwhile. `compareFirst` is the wrong order: it misses flushes. */
  leaveLazy(options: { readonly compareFirst?: boolean } = {}): boolean {
    return this.memory.core.leaveLazy(this.handle, options.compareFirst ?? false) !== 0;
  }

  /** From here on flushes wait for this CPU. */
  enterUser(): void {
    this.memory.core.enterUser(this.handle);
  }

  /** From here on nobody waits for this CPU: it answers when it enters user mode. */
  leaveUser(): void {
    this.memory.core.leaveUser(this.handle);
  }

  /** Loads the word of 8 bytes around `va`. */
  read(va: AddressLike): UserAccess {
    return this.#done(this.memory.core.userLoad(this.handle, virtualAddress(va)));
  }

  /** Stores a word of 8 bytes. */
  write(va: AddressLike, value: bigint): UserAccess {
    const status = this.memory.core.userStore(this.handle, virtualAddress(va), value);
    return status === DONE ? { kind: 'done', value } : this.#fault();
  }

  /** Exchanges a word atomically; the value is what was there. */
  exchange(va: AddressLike, value: bigint): UserAccess {
    return this.#done(this.memory.core.userExchange(this.handle, virtualAddress(va), value));
  }

  /** Stores `value`, `value` + 1, … at `va` until `count` are done or one faults, without coming back to JavaScript. Returns how many were. */
  writeMany(va: AddressLike, value: bigint, count: number): number {
    return this.memory.core.userStores(this.handle, virtualAddress(va), value, count) >>> 0;
  }

  /** Fetches the 8 bytes of code around `va`. */
  fetch(va: AddressLike): UserAccess {
    return this.#done(this.memory.core.userFetch(this.handle, virtualAddress(va)));
  }

  /** The next access to `va` walks: what a handler does after a spurious fault where `cachesAbsent` is set. */
  fence(va: AddressLike): void {
    this.memory.core.fence(this.handle, virtualAddress(va));
  }

  /** The hardware fetches a translation of `va` that nobody asked for: it sets A, and faults are not raised. */
  speculate(va: AddressLike): void {
    this.memory.core.speculate(this.handle, virtualAddress(va));
  }

  /** The hardware drops its translation of `va`. */
  evict(va: AddressLike): void {
    this.memory.core.evict(this.handle, virtualAddress(va));
  }

  /** Answers what others have asked; user accesses do so themselves. */
  takeInterrupts(): void {
    this.memory.core.takeInterrupts(this.handle);
  }

  /**
   * Flushes `sizeBytes` from `va` of `mm` on all CPUs that may hold it, or all of it. `freedTables` says that table pages go. Not in user mode. Returns
   * how many others were interrupted or, with broadcasts, heard it.
   */
  flush(
    mm: Mm,
    range?: { readonly va: AddressLike; readonly sizeBytes: AddressLike },
    options: FlushOptions & { readonly freedTables?: boolean } = {},
  ): number {
    const freed = options.freedTables ?? false;
    const first = range === undefined ? 0n : virtualAddress(range.va);
    const last = range === undefined ? 0n : first + virtualAddress(range.sizeBytes, 'sizeBytes') - 1n;
    const stride = range === undefined ? REQUEST_ALL : Math.log2(PAGE_BYTES);
    return this.memory.core.flushMm(this.handle, mm.handle, first, last, stride, freed, shootBits(options)) >>> 0;
  }

  get faults(): number {
    return Number(this.memory.view.getBigUint64(this.handle + CPU_FAULTS, true));
  }

  /** Requests of other CPUs that it answered. */
  get interrupts(): number {
    return Number(this.memory.view.getBigUint64(this.handle + CPU_INTERRUPTS, true));
  }

  /** Everything that it counted. */
  get statistics(): CpuStatistics {
    return statisticsOf(this.memory.view, this.handle);
  }

  /** Its block; the TLB is its owner's. It runs no mm any more. */
  dispose(): void {
    this.load(undefined);
    this.memory.core.freeCpu(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #done(status: number): UserAccess {
    if (status !== DONE) return this.#fault();
    return { kind: 'done', value: this.memory.view.getBigUint64(this.memory.reply, true) };
  }

  #fault(): UserFault {
    return faultOf(this.memory.view, this.handle);
  }
}

/** @internal */
export function shootBits(options: FlushOptions): number {
  const { posted = false, skipLazy = false, earlyAck = false, concurrentLocal = false, ceiling = 0 } = options;
  if (!Number.isInteger(ceiling) || ceiling < 0 || ceiling >= 2 ** 23) {
    throw new RangeError(`"ceiling" must be from 0 to 2^23-1, got ${ceiling}`);
  }
  return (
    (posted ? SHOOT_POSTED : 0) |
    (skipLazy ? SHOOT_SKIP_LAZY : 0) |
    (earlyAck ? SHOOT_EARLY_ACK : 0) |
    (concurrentLocal ? SHOOT_CONCURRENT : 0) |
    (ceiling << SHOOT_CEILING)
  );
}
