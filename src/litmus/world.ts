// Sets one instance of a litmus program up in a memory of the core: tables, mms, CPUs, words, and the programs themselves.
//
// Guarantees: what `World` says and no more; every address is known afterwards (`Instance`). The same for all three builds. Nothing here is
// a step: the simulated CPUs have not begun.

import {
  ACCESS_READ,
  ACCESS_USER,
  BUFFER_BYTES,
  CONTROL,
  CONTROL_SWAP,
  CPU_BUFFER,
  CPU_LAZY,
  CPU_MODE,
  CR_GBPAGES,
  CR_NXE,
  CR_WP,
  DEFER_FREE_EARLY,
  DRIVER_DEVICE,
  DRIVER_LOCK,
  DRIVER_RECORD,
  DRIVER_STRIDE,
  FOLIO_ANON,
  FOLIO_BACKING,
  FOLIO_FLAGS,
  FOLIO_INDEX,
  FOLIO_LOCK,
  FOLIO_MAPCOUNT,
  FOLIO_MAPPING,
  FORMAT_X86_64,
  FRAME_DATA,
  FRAME_SHIFT,
  GHOST_BYTES,
  GHOST_GUARD,
  GHOST_LAST,
  GHOST_STORED,
  HW_BROADCAST,
  LITMUS_BYTES,
  LITMUS_CODE,
  LITMUS_CPU,
  LITMUS_HANDLER,
  LITMUS_NOWHERE,
  LITMUS_OWNERS,
  LITMUS_REGISTERS,
  LITMUS_SCRATCH,
  LITMUS_SYMBOLS,
  LITMUS_USER,
  MACHINE_RECHECK,
  MAPPING_LOCK,
  META_NEXT,
  MM_CPUMASK,
  MM_FLUSH_PENDING,
  MM_MMAP_LOCK,
  MM_PTL,
  MM_TLB_GEN,
  MM_USERS,
  POLICY_LRU,
  PROT_READ,
  PROT_USER,
  RWLOCK_BYTES,
  SERVES_DATA,
  SERVES_FETCH,
  SHOOT_POSTED,
  STATUS_OK,
  SWAP_PAGES,
  SWAP_STRIDE,
  VMA_ANON,
  VMA_PGOFF,
  VMA_START,
} from '../../assembly/layout.ts';
import {
  INSTRUCTION_BYTES,
  NO_SYMBOL,
  OP_CALL,
  OP_FLUSH_MM,
  OP_FLUSH_RANGE,
  OP_LOAD_MM,
  OP_LOAD_MM_KEEP,
} from '../../assembly/litmus/ops_bits.ts';
import type { CoreExports } from '../core/exports.ts';
import { dirtyMachineNumber } from '../machine/cpu.ts';
import {
  type CpuProgram,
  type FileSpec,
  type FrameSpec,
  type Instruction,
  type LitmusProgram,
  type LitmusSymbol,
  type MmSpec,
  type Observed,
  type PageSpec,
  SWAP_SLOTS,
  type WordSpec,
} from './program.ts';

/** A memory with an instance of the core over it. */
export interface LitmusHost {
  readonly core: CoreExports;
  readonly view: DataView;
  /** Where the words of CONTROL are that an instance has of its own, if it stands on an island. */
  readonly control?: number;
}

/** An instance of a scenario, ready to run. Addresses are linear addresses of the memory. */
export interface Instance {
  readonly program: LitmusProgram;
  /** Of each CPU, `afterwards` last if there is one: its litmus block, CPU and TLB. */
  readonly cpus: readonly InstanceCpu[];
  /** What each symbol of the program stands for; 0 for those of a scratch block, which differ from CPU to CPU. */
  readonly symbols: readonly bigint[];
  readonly mms: ReadonlyMap<string, number>;
  readonly pages: ReadonlyMap<string, InstancePage>;
  readonly files: ReadonlyMap<string, number>;
  readonly vmas: ReadonlyMap<string, number>;
  readonly words: ReadonlyMap<string, number>;
  readonly locks: ReadonlyMap<string, number>;
  /** PFNs. */
  readonly frames: ReadonlyMap<string, number>;
  /** Of a u64 for each frame of RAM from PFN 0 on, the mm that owns it, there only for frames of the instance; 0 if no frame has an owner. */
  readonly owners: number;
  /** Addresses of the counts of flushes that are owed, one for each mm. */
  readonly flushPending: readonly number[];
}

export interface InstanceCpu {
  readonly block: number;
  readonly cpu: number;
  readonly tlb: number;
  readonly program: CpuProgram;
}

export interface InstancePage {
  readonly mm: number;
  readonly space: number;
  readonly va: bigint;
  readonly slot: number;
  readonly ptl: number;
  readonly ghost: number;
}

/** Frames that a program may allocate beside those that the scenario names. */
const SPARE_OWNERS = 8;
/** Of those of a TLB, ways of its paging-structure cache. */
const STRUCTURE_WAYS = 2;
/** Most migrations whose flush is put off. */
const DEFERRED_PAGES = 4;

/** Ways of the one set of each CPU's TLB: more than a scenario has pages, so nothing is evicted but by choice. */
export const LITMUS_TLB_WAYS = 8;

/** Translations that differ, of all that the CPUs of a program can have: as many ways of a TLB are used at most. */
export function mostEntries({ world, cpus }: LitmusProgram): number {
  const loads = cpus.flatMap(({ code }) => code.filter(({ op }) => op === OP_LOAD_MM || op === OP_LOAD_MM_KEEP));
  return world.pages.length * (new Set(cpus.map(({ asid }) => asid)).size + loads.length);
}

/** Where the instructions of a program's CPUs stand: all instances in a memory may share them. */
export type SharedCode = Map<CpuProgram, number>;

/**
 * Sets an instance up; `code` holds what an earlier one wrote, and takes what this one does.
 * @throws RangeError if there is no room, or the program names what its world does not have.
 */
export function setUp(host: LitmusHost, program: LitmusProgram, code: SharedCode = new Map()): Instance {
  return new Builder(host, program, code).build();
}

/** The value of an `Observed` now. */
export function observe(host: LitmusHost, instance: Instance, what: Observed): bigint {
  if (what.of === 'register') {
    const { block } = instance.cpus[what.cpu] as InstanceCpu;
    return host.view.getBigUint64(block + LITMUS_REGISTERS + what.register * 8, true);
  }
  const address = Number(instance.symbols[what.symbol]);
  return what.bytes === 8 ? host.view.getBigUint64(address, true) : BigInt(host.view.getUint32(address, true));
}

class Builder {
  readonly #host: LitmusHost;
  readonly #program: LitmusProgram;
  readonly #code: SharedCode;
  readonly #spaces = new Map<string, number>();
  readonly #mms = new Map<string, number>();
  readonly #files = new Map<string, number>();
  readonly #vmas = new Map<string, number>();
  readonly #frames = new Map<string, number>();
  readonly #words = new Map<string, number>();
  readonly #locks = new Map<string, number>();
  readonly #pages = new Map<string, InstancePage>();
  readonly #filePages = new Map<string, number>();
  readonly #drivers = new Map<string, number>();
  #owners = 0;

  constructor(host: LitmusHost, program: LitmusProgram, code: SharedCode) {
    this.#host = host;
    this.#program = program;
    this.#code = code;
  }

  build(): Instance {
    const { world } = this.#program;
    if (world.pageWords !== undefined) this.core.setPageWords(world.pageWords);
    if (this.#hasFolios) this.#openFolios();
    for (const mm of world.mms) this.#makeMm(mm);
    for (const { name } of world.files) this.#files.set(name, this.#room(this.core.createMapping() >>> 0));
    if (this.#hasFolios) for (const file of world.files) this.#openFile(file.name);
    this.#makeFrames();
    for (const file of world.files) this.#makeDriver(file);
    for (const vma of world.vmas) {
      const file = vma.file === undefined ? 0 : need(this.#files, vma.file, 'file');
      const mm = need(this.#mms, vma.mm, 'mm');
      const handle = this.core.insertVma(mm, vma.start, vma.end, vma.flags, file, vma.pgoff) >>> 0;
      if (handle === 0) throw new RangeError(`VMA "${vma.name}" overlaps another of mm "${vma.mm}"`);
      this.#vmas.set(vma.name, handle);
    }
    for (const page of world.pages) this.#makePage(page);
    for (const frame of world.frames) this.#settleFolio(frame);
    for (const word of world.words) {
      const address = word.part === undefined ? this.#allocate(8) : this.#partOf(word.part);
      this.view.setBigUint64(address, word.value, true);
      this.#words.set(word.name, address);
    }
    for (const { name } of world.locks) this.#locks.set(name, this.#allocate(RWLOCK_BYTES));

    const programs = [...this.#program.cpus, ...(this.#program.afterwards ? [this.#program.afterwards] : [])];
    const cpus = programs.map((program, n) => this.#makeCpu(program, n));
    for (const entry of world.entries) {
      const cpu = cpus[entry.cpu];
      if (cpu === undefined) throw new RangeError(`a TLB entry is said of CPU ${entry.cpu}, which is none`);
      this.#fill(cpu.cpu, entry.page, entry.write, entry.dirty);
    }
    const symbols = this.#program.symbols.map((symbol) => this.#resolve(symbol, cpus));
    for (const cpu of cpus) this.#load(cpu, symbols);
    const flushPending = [...this.#mms.values()].map((mm) => mm + MM_FLUSH_PENDING);
    return {
      program: this.#program,
      cpus,
      symbols,
      mms: this.#mms,
      pages: this.#pages,
      files: this.#files,
      vmas: this.#vmas,
      words: this.#words,
      locks: this.#locks,
      frames: this.#frames,
      owners: this.#owners,
      flushPending,
    };
  }

  private get core(): CoreExports {
    return this.#host.core;
  }

  private get view(): DataView {
    return this.#host.view;
  }

  /** Whole functions of the core and folios want what the kernel has of pages: an array of folios, a swap area, a zero page. */
  get #hasFolios(): boolean {
    const { world, cpus, afterwards } = this.#program;
    const programs = afterwards === undefined ? cpus : [...cpus, afterwards];
    return (
      world.frames.some(({ folio }) => folio !== undefined) ||
      programs.some(({ code }) => code.some(({ op }) => op === OP_CALL))
    );
  }

  #control(address: number): number {
    return (this.#host.control ?? CONTROL) + address - CONTROL;
  }

  #openFolios(): void {
    const hasSwap = this.view.getUint32(this.#control(CONTROL_SWAP), true) !== 0;
    const opened = this.core.openFolios() === STATUS_OK && (hasSwap || this.core.openSwap(SWAP_SLOTS) !== 0);
    if (!opened || this.core.openZeroPage() === 0) throw new RangeError('no room is left for folios');
  }

  /** Room for all pages that a VMA shows or a folio is, and a backing store. */
  #openFile(name: string): void {
    const { vmas, frames, words } = this.#program.world;
    const shown = vmas.map(({ file, pgoff, start, end }) =>
      file === name ? Number(pgoff) + Number((end - start) >> BigInt(FRAME_SHIFT)) : 0,
    );
    const cached = frames.map(({ folio }) => (folio?.file === name ? folio.index + 1 : 0));
    const named = words.map(({ part }) =>
      part !== undefined && 'index' in part && 'file' in part && part.file === name ? part.index + 1 : 0,
    );
    const pages = Math.max(1, ...shown, ...cached, ...named);
    this.#filePages.set(name, pages);
    const file = need(this.#files, name, 'file');
    if (this.core.openMapping(file, pages) === 0 || this.core.openStore(file) === 0) {
      throw new RangeError('no heap is left for the pages of a file');
    }
  }

  #makeDriver({ name, driver }: FileSpec): void {
    if (driver === undefined) return;
    const pfn = driver.frame === undefined ? -1 : need(this.#frames, driver.frame, 'frame');
    const pages = this.#filePages.get(name) ?? 1;
    const made = this.#room(this.core.createDriver(pages, driver.frame !== undefined, pfn) >>> 0);
    this.#drivers.set(name, made);
    this.core.setDriver(need(this.#files, name, 'file'), made);
  }

  /** Address of the word that is part of something else. */
  #partOf(part: NonNullable<WordSpec['part']>): number {
    if (part.of === 'swap') {
      const area = this.view.getUint32(this.#control(CONTROL_SWAP), true);
      return this.view.getUint32(area + SWAP_PAGES, true) + part.index * this.view.getUint32(area + SWAP_STRIDE, true);
    }
    if (part.of === 'backing') return this.core.storedPage(need(this.#files, part.file, 'file'), part.index) >>> 0;
    const driver = need(this.#drivers, part.file, 'driver');
    if (part.of === 'record') return this.view.getUint32(driver + DRIVER_RECORD, true);
    const stride = this.view.getUint32(driver + DRIVER_STRIDE, true);
    return this.view.getUint32(driver + DRIVER_DEVICE, true) + part.index * stride;
  }

  #makeMm({ name, splitPtl, deferred }: MmSpec): void {
    const space = this.#room(this.core.createSpace(FORMAT_X86_64) >>> 0);
    this.core.setRegime(space, CR_WP | CR_NXE | CR_GBPAGES, 0, 46);
    this.#spaces.set(name, space);
    const mm = this.#room(this.core.createMm(space, splitPtl) >>> 0);
    this.#mms.set(name, mm);
    if (deferred === undefined) return;
    const flags = deferred === 'early' ? DEFER_FREE_EARLY : 0;
    this.core.setDeferred(mm, this.#room(this.core.createDeferred(DEFERRED_PAGES, flags) >>> 0));
  }

  #makeFrames(): void {
    const { frames } = this.#program.world;
    for (const frame of frames) {
      const pfn = frame.folio === undefined ? this.core.allocateFrame(FRAME_DATA) : this.core.allocateFolio();
      if (pfn < 0) throw new RangeError('no frame of RAM is left');
      this.#frames.set(frame.name, pfn);
      this.view.setBigUint64(this.core.frameAddress(pfn) >>> 0, frame.value, true);
      if (frame.folio !== undefined) {
        this.#makeFolio(pfn, frame.folio);
        continue;
      }
      for (let n = 1; n < frame.references; n++) this.core.getFrame(pfn);
      if (frame.references === 0) this.core.putFrame(pfn);
    }
    if (frames.every(({ owner }) => owner === undefined)) return;
    // Indices of frames begin at 0 with the window, and litmus memories begin at PFN 0. Only frames of this instance are looked up.
    const least = Math.min(...this.#frames.values());
    const most = Math.max(...this.#frames.values()) + SPARE_OWNERS;
    this.#owners = this.#allocate((most + 1 - least) * 8) - least * 8;
    for (const { name, owner } of frames) {
      if (owner === undefined) continue;
      this.view.setBigUint64(
        this.#owners + need(this.#frames, name, 'frame') * 8,
        BigInt(need(this.#mms, owner, 'mm')),
        true,
      );
    }
  }

  #makeFolio(pfn: number, { file, index, flags }: NonNullable<FrameSpec['folio']>): void {
    const folio = this.core.folioAddress(pfn) >>> 0;
    this.view.setUint32(folio + FOLIO_FLAGS, flags, true);
    if (file === undefined) return;
    const mapping = need(this.#files, file, 'file');
    this.core.addToMapping(mapping, index, folio);
    this.view.setUint32(folio + FOLIO_BACKING, this.core.storedPage(mapping, index) >>> 0, true);
  }

  /** A page maps a folio: it has a reference and counts; an anonymous one belongs to the VMA of the first page that maps it. */
  #mapFolio(page: PageSpec, frame: FrameSpec): void {
    const pfn = need(this.#frames, frame.name, 'frame');
    const folio = this.core.folioAddress(pfn) >>> 0;
    this.core.getFrame(pfn);
    this.view.setUint32(folio + FOLIO_MAPCOUNT, this.view.getUint32(folio + FOLIO_MAPCOUNT, true) + 1, true);
    if (frame.folio?.file !== undefined || this.view.getUint32(folio + FOLIO_MAPPING, true) !== 0) return;
    const vma = this.core.lookUpVma(need(this.#mms, page.mm, 'mm'), page.va) >>> 0;
    const anon = vma === 0 ? 0 : this.view.getUint32(vma + VMA_ANON, true);
    if (anon === 0) {
      throw new RangeError(`page "${page.name}" maps an anonymous page, and is in no private VMA`);
    }
    const first = this.view.getBigUint64(vma + VMA_PGOFF, true);
    const start = this.view.getBigUint64(vma + VMA_START, true);
    this.view.setUint32(folio + FOLIO_MAPPING, anon | FOLIO_ANON, true);
    this.view.setBigUint64(folio + FOLIO_INDEX, first + ((page.va - start) >> BigInt(FRAME_SHIFT)), true);
  }

  /** The reference of who made it goes; those that the scenario says somebody else has come. */
  #settleFolio({ name, folio, references }: FrameSpec): void {
    if (folio === undefined) return;
    const pfn = need(this.#frames, name, 'frame');
    for (let n = 0; n < references; n++) this.core.getFrame(pfn);
    this.core.putFolio(this.core.folioAddress(pfn) >>> 0);
  }

  #makePage(page: PageSpec): void {
    const space = need(this.#spaces, page.mm, 'mm');
    const mm = need(this.#mms, page.mm, 'mm');
    // A mapping for a while, so that the tables are there and have their A bits.
    const before = this.core.map(space, page.va, 0n, 0x1000n, PROT_READ | PROT_USER, 0);
    if (before !== 0) throw new RangeError(`page "${page.name}" at 0x${page.va.toString(16)}: status ${before}`);
    this.core.accessWord(space, page.va, ACCESS_READ | ACCESS_USER);
    const slot = this.core.entryAddress(space, page.va, 0) >>> 0;
    this.view.setBigUint64(slot, this.#entry(page), true);
    const table = this.core.frameMeta(this.#pfnAt(slot)) >>> 0;
    const spec = this.#program.world.mms.find(({ name }) => name === page.mm);
    const ptl = spec?.splitPtl ? table + META_NEXT : mm + MM_PTL;
    this.#pages.set(page.name, { mm, space, va: page.va, slot, ptl, ghost: this.#allocate(GHOST_BYTES) });
    const { entry } = page;
    const mapped = entry.kind === 'mapped' && this.#program.world.frames.find(({ name }) => name === entry.frame);
    if (mapped && mapped.folio !== undefined) this.#mapFolio(page, mapped);
  }

  /** PFN of the frame that holds the byte at `address`. */
  #pfnAt(address: number): number {
    return (address - (this.core.frameAddress(0) >>> 0)) >>> FRAME_SHIFT;
  }

  #entry({ entry }: PageSpec): bigint {
    if (entry.kind === 'none') return 0n;
    if (entry.kind === 'swap') return swapEntry(entry.type, entry.offset);
    const pa = BigInt(need(this.#frames, entry.frame, 'frame')) << BigInt(FRAME_SHIFT);
    let pte = this.core.makePte(pa, 0, PROT_READ | PROT_USER);
    if (entry.write) pte = this.core.pteMkwrite(pte);
    if (entry.accessed) pte = this.core.pteMkyoung(pte);
    // pte_mkdirty() sets soft-dirty too: what is said of it comes last.
    if (entry.dirty) pte = this.core.pteMkdirty(pte);
    pte = entry.softDirty ? this.core.pteMksoftDirty(pte) : this.core.pteClearSoftDirty(pte);
    if (entry.special) pte = this.core.pteMkspecial(pte);
    if (entry.uffdWp) pte = this.core.pteMkuffdWp(pte);
    return BigInt.asUintN(64, pte);
  }

  #makeCpu(program: CpuProgram, n: number): InstanceCpu {
    const structures = this.#program.world.hardware?.some((each) => each.cpu === n && each.structures) === true;
    const tlb = usesTlb(program) ? this.#makeTlb(structures) : 0;
    const machine = dirtyMachineNumber(this.#program.world.machine) ?? MACHINE_RECHECK;
    const cpu = this.#room(this.core.createCpu(n, tlb, machine) >>> 0);
    const hardware = this.#program.world.hardware?.find((each) => each.cpu === n);
    const flags = (hardware?.flags ?? 0) | (this.#program.world.shootdown === 'broadcast' ? HW_BROADCAST : 0);
    const prefetch = hardware?.page === undefined ? 0n : need(this.#pages, hardware.page, 'page').va;
    if (flags !== 0) this.core.setHardware(cpu, flags, prefetch);
    if (program.mm !== undefined) this.core.loadMm(cpu, need(this.#mms, program.mm, 'mm'), program.asid);
    if (program.mode === 'user') {
      this.core.enterUser(cpu);
      if (this.#program.world.memory === 'tso')
        this.view.setUint32(cpu + CPU_BUFFER, this.#allocate(BUFFER_BYTES), true);
    }
    return { block: this.#allocate(LITMUS_BYTES), cpu, tlb, program };
  }

  /** `structures`: a paging-structure cache for entries of level 1 takes some of the ways. */
  #makeTlb(structures: boolean): number {
    const tlb = this.#room(this.core.createTlb(structures ? 2 : 1, LITMUS_TLB_WAYS, FRAME_SHIFT, 9, 0, 1) >>> 0);
    const ways = structures ? LITMUS_TLB_WAYS - STRUCTURE_WAYS : LITMUS_TLB_WAYS;
    this.core.setTlbArray(tlb, 0, 1, ways, 0xff, 1, SERVES_DATA | SERVES_FETCH, POLICY_LRU);
    if (structures) this.core.setTlbArray(tlb, 1, 1, STRUCTURE_WAYS, 1 << 1, 0, 0, POLICY_LRU);
    return tlb;
  }

  /** Puts an entry into a TLB as a walk would have, had the PTE been like that then. */
  #fill(cpu: number, name: string, write: boolean, dirty: boolean): void {
    const { slot, va } = need(this.#pages, name, 'page');
    const spec = this.#program.world.pages.find((page) => page.name === name);
    if (spec?.entry.kind !== 'mapped') throw new RangeError(`page "${name}" is not mapped, so no TLB has it`);
    const now = this.view.getBigUint64(slot, true);
    const then = this.#entry({ ...spec, entry: { ...spec.entry, write, dirty, accessed: true } });
    this.view.setBigUint64(slot, then, true);
    this.core.userLoad(cpu, va);
    this.view.setBigUint64(slot, now, true);
  }

  #resolve(symbol: LitmusSymbol, cpus: readonly InstanceCpu[]): bigint {
    switch (symbol.of) {
      case 'word':
        return BigInt(need(this.#words, symbol.name, 'word'));
      case 'lock':
        return BigInt(need(this.#locks, symbol.name, 'lock'));
      case 'mm': {
        const mm = need(this.#mms, symbol.name, 'mm');
        return BigInt(mm + MM_FIELDS[symbol.field]);
      }
      case 'page': {
        const page = need(this.#pages, symbol.name, 'page');
        if (symbol.field === 'pmd') return BigInt(this.core.entryAddress(page.space, page.va, 1) >>> 0);
        if (symbol.field === 'va' || symbol.field === 'slot' || symbol.field === 'ptl')
          return BigInt(page[symbol.field]);
        return BigInt(page.ghost + GHOST_FIELDS[symbol.field]);
      }
      case 'frame': {
        const pfn = need(this.#frames, symbol.name, 'frame');
        return BigInt(symbol.field === 'pfn' ? pfn : this.core.frameAddress(pfn) >>> 0);
      }
      case 'vma': {
        if (symbol.field !== 'handle') throw new RangeError(`a VMA has no "${symbol.field}" here`);
        return BigInt(need(this.#vmas, symbol.name, 'VMA'));
      }
      case 'file': {
        const file = need(this.#files, symbol.name, 'file');
        if (symbol.field === 'driver_lock') return BigInt(need(this.#drivers, symbol.name, 'driver') + DRIVER_LOCK);
        return BigInt(symbol.field === 'handle' ? file : file + MAPPING_LOCK);
      }
      case 'cpu': {
        const cpu = cpus[symbol.number];
        if (cpu === undefined) throw new RangeError(`there is no CPU ${symbol.number}`);
        if (symbol.field === 'buffer') return BigInt(this.view.getUint32(cpu.cpu + CPU_BUFFER, true));
        return BigInt(cpu.cpu + CPU_FIELDS[symbol.field]);
      }
      case 'scratch':
        return 0n;
      case 'folio': {
        const folio = this.core.folioAddress(need(this.#frames, symbol.name, 'frame')) >>> 0;
        if (folio === 0) throw new RangeError(`frame "${symbol.name}" is no folio`);
        return BigInt(folio + FOLIO_FIELDS[symbol.field]);
      }
    }
  }

  /** Writes the code and the symbols of a CPU, and its block. */
  #load({ block, cpu, program }: InstanceCpu, symbols: readonly bigint[]): void {
    const code = this.#code.get(program) ?? this.#writeCode(program);
    const table = this.#allocate(Math.max(1, symbols.length) * 8);
    for (const [n, value] of symbols.entries()) {
      const symbol = this.#program.symbols[n];
      const scratch = symbol?.of === 'scratch' ? BigInt(block + LITMUS_SCRATCH + symbol.offset) : value;
      this.view.setBigUint64(table + n * 8, scratch, true);
    }
    this.view.setUint32(block + LITMUS_CODE, code, true);
    this.view.setUint32(block + LITMUS_SYMBOLS, table, true);
    this.view.setUint32(block + LITMUS_CPU, cpu, true);
    this.view.setUint32(block + LITMUS_HANDLER, program.handler ?? LITMUS_NOWHERE, true);
    this.view.setUint32(block + LITMUS_OWNERS, this.#owners, true);
    this.view.setUint8(block + LITMUS_USER, program.mode === 'user' ? 1 : 0);
  }

  #writeCode(program: CpuProgram): number {
    const code = this.#allocate(Math.max(1, program.code.length) * INSTRUCTION_BYTES);
    const posted = this.#program.world.invalidation === 'posted' ? BigInt(SHOOT_POSTED) : 0n;
    for (const [place, instruction] of program.code.entries()) {
      const flushes = instruction.op === OP_FLUSH_RANGE || instruction.op === OP_FLUSH_MM;
      const immediate = (instruction.immediate ?? 0n) | (flushes ? posted : 0n);
      this.#write(code + place * INSTRUCTION_BYTES, { ...instruction, immediate });
    }
    this.#code.set(program, code);
    return code;
  }

  #write(at: number, { op, d = 0, a = 0, b = 0, c = NO_SYMBOL, immediate = 0n }: Instruction): void {
    this.view.setUint8(at, op);
    this.view.setUint8(at + 1, d);
    this.view.setUint8(at + 2, a);
    this.view.setUint8(at + 3, b);
    this.view.setUint32(at + 4, c, true);
    this.view.setBigUint64(at + 8, immediate, true);
  }

  #allocate(bytes: number): number {
    const address = this.#room(this.core.heapAllocate(bytes) >>> 0);
    new Uint8Array(this.view.buffer, address, bytes).fill(0);
    return address;
  }

  #room(address: number): number {
    if (address === 0) throw new RangeError('no heap is left for an instance of the scenario');
    return address;
  }
}

/** Does a CPU ever translate anything? One that does not has no TLB, and nobody invalidates in it. */
function usesTlb({ mm, code }: CpuProgram): boolean {
  return mm !== undefined || code.some(({ op }) => op === OP_LOAD_MM || op === OP_LOAD_MM_KEEP);
}

const MM_FIELDS = {
  handle: 0,
  mmap_lock: MM_MMAP_LOCK,
  tlb_flush_pending: MM_FLUSH_PENDING,
  tlb_gen: MM_TLB_GEN,
  cpumask: MM_CPUMASK,
  users: MM_USERS,
  flush_batched: 0,
};
const GHOST_FIELDS = { last: GHOST_LAST, guard: GHOST_GUARD, stored: GHOST_STORED };
const FOLIO_FIELDS = { handle: 0, lock: FOLIO_LOCK, flags: FOLIO_FLAGS, mapcount: FOLIO_MAPCOUNT };
const CPU_FIELDS = { handle: 0, lazy: CPU_LAZY, mode: CPU_MODE };

/** arch/x86/include/asm/pgtable_64.h: type in bits 59 to 63, the offset inverted in bits 9 to 58. */
function swapEntry(type: number, offset: bigint): bigint {
  return (BigInt(type) << 59n) | (BigInt.asUintN(50, ~offset) << 9n);
}

function need<T>(map: ReadonlyMap<string, T>, name: string, what: string): T {
  const found = map.get(name);
  if (found === undefined) throw new RangeError(`the scenario has no ${what} "${name}"`);
  return found;
}
