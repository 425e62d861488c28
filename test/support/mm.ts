// A machine for kernel paths: mms with VMAs, anonymous and file pages with folios, CPUs with TLBs, and one path block, all through the core's
// exports. Pages are put into tables here as a fault would do it.

import { layout, makeRig, makeSpace, type Rig, type RigOptions } from './core.ts';
import { makeTlb } from './tlb.ts';

export const PAGE = 4096n;
export const P = 1n;
export const RW = 2n;
export const A = 0x20n;
export const D = 0x40n;
export const UFFD_WP = 1n << 10n;
export const SOFT_DIRTY = 1n << 11n;
export const SAVED_DIRTY = 1n << 58n;

/** Flags of a writable private VMA that is not new, and of a shared one. */
export const PRIVATE = layout.VM_READ | layout.VM_WRITE | layout.VM_MAYWRITE;
export const SHARED = PRIVATE | layout.VM_SHARED;

const TLB = { arrays: [{ name: 'L1', level: 1, pages: [0, 1, 2], sets: 8, ways: 4 }] } as const;

export interface Leaf {
  pfn: number;
  folio: number;
  /** Address of the entry. */
  slot: number;
}

/** What a path told. */
export interface Told {
  touched: number;
  first: bigint;
  last: bigint;
  flush: number;
  flushes: number;
  interrupted: number;
  passed: number;
  warned: number;
  huge: number;
}

export class Scene {
  readonly rig: Rig;
  /** CPU 0, which runs the kernel and no mm. */
  readonly self: number;
  readonly path: number;
  readonly bitmap: number;

  private constructor(rig: Rig) {
    this.rig = rig;
    if (rig.core.openFolios() !== layout.STATUS_OK) throw new Error('no room for folios');
    if (rig.core.openSwap(16) === 0) throw new Error('no room for swap');
    this.path = this.makePath();
    this.bitmap = rig.core.heapAllocate(512) >>> 0;
    this.self = this.cpu(0);
  }

  static async make(options: RigOptions = {}): Promise<Scene> {
    return Scene.over(await makeRig({ frames: 128, ...options }));
  }

  static over(rig: Rig): Scene {
    return new Scene(rig);
  }

  makePath(): number {
    const path = this.rig.core.heapAllocate(layout.PATH_BYTES) >>> 0;
    this.rig.bytes.fill(0, path, path + layout.PATH_BYTES);
    return path;
  }

  cpu(id: number, machine = layout.MACHINE_RECHECK, mm = 0): number {
    const cpu = this.rig.core.createCpu(id, makeTlb(this.rig, TLB), machine) >>> 0;
    if (mm !== 0) this.rig.core.loadMm(cpu, mm, id + 1);
    return cpu;
  }

  mm(levels: 4 | 5 = 4): number {
    return this.rig.core.createMm(makeSpace(this.rig, levels), true) >>> 0;
  }

  space(mm: number): number {
    return this.u32(mm + layout.MM_SPACE);
  }

  vma(mm: number, va: bigint, pages: number, flags = PRIVATE, mapping = 0, pgoff = 0): number {
    const vma = this.rig.core.insertVma(mm, va, va + BigInt(pages) * PAGE, flags, mapping, BigInt(pgoff)) >>> 0;
    if (vma === 0) throw new Error('no VMA');
    return vma;
  }

  /** The VMA around `va`, or 0. */
  vmaAt(mm: number, va: bigint): number {
    return this.rig.core.lookUpVma(mm, va) >>> 0;
  }

  file(pages: number): number {
    const mapping = this.rig.core.createMapping() >>> 0;
    this.rig.core.openMapping(mapping, pages);
    return mapping;
  }

  newFolio(value = 0n): { pfn: number; folio: number } {
    const pfn = this.rig.core.allocateFolio();
    if (pfn < 0) throw new Error('no frame');
    this.setWord(pfn, value);
    return { pfn, folio: this.rig.core.folioAddress(pfn) >>> 0 };
  }

  /** do_anonymous_page(): maps a new page at `va`, its entry with `bits` beside P, US and A. */
  anon(mm: number, va: bigint, bits = RW, value = 0n): Leaf {
    const { pfn, folio } = this.newFolio(value);
    const vma = this.vmaAt(mm, va);
    const anon = this.u32(vma + layout.VMA_ANON);
    const { PG_UPTODATE, PG_SWAPBACKED, PG_ANON_EXCLUSIVE } = layout;
    this.belong(folio, anon | layout.FOLIO_ANON, va >> 12n);
    this.rig.u32[(folio + layout.FOLIO_FLAGS) / 4] = PG_UPTODATE | PG_SWAPBACKED | PG_ANON_EXCLUSIVE;
    return { pfn, folio, slot: this.install(mm, va, pfn, folio, bits) };
  }

  /** Maps page `index` of a file, made if it is not cached, which then has a copy in the backing store. */
  filePage(mm: number, va: bigint, mapping: number, index: number, bits = RW, value = 0n): Leaf {
    const { rig } = this;
    const pages = this.u32(mapping + layout.MAPPING_PAGES);
    let frame = this.u32(pages + 4 * index);
    if (frame === 0) {
      const { folio } = this.newFolio(value);
      const backing = rig.core.heapAllocate(4096) >>> 0;
      rig.u64.fill(0n, backing / 8, backing / 8 + 512);
      rig.u64[backing / 8] = value;
      rig.u32[(folio + layout.FOLIO_BACKING) / 4] = backing;
      rig.core.addToMapping(mapping, index, folio);
      rig.core.putFolio(folio);
      frame = this.u32(pages + 4 * index);
    }
    const pfn = rig.basePfn + frame - 1;
    const folio = rig.core.folioAddress(pfn) >>> 0;
    this.addRefs(pfn, 1);
    return { pfn, folio, slot: this.install(mm, va, pfn, folio, bits) };
  }

  private belong(folio: number, mapping: number, index: bigint): void {
    this.rig.u32[(folio + layout.FOLIO_MAPPING) / 4] = mapping;
    this.rig.u64[(folio + layout.FOLIO_INDEX) / 8] = index;
  }

  private addRefs(pfn: number, count: number): void {
    const at = ((this.rig.core.frameMeta(pfn) >>> 0) + layout.META_REFS) / 4;
    this.rig.u32[at] = (this.rig.u32[at] as number) + count;
  }

  private install(mm: number, va: bigint, pfn: number, folio: number, bits: bigint): number {
    const { core, u32, u64 } = this.rig;
    const prot = layout.PROT_READ | layout.PROT_USER | layout.PROT_ACCESSED | layout.PROT_EXECUTE;
    if (core.map(this.space(mm), va, BigInt(pfn) << 12n, PAGE, prot, 0) !== layout.STATUS_OK) {
      throw new Error(`0x${va.toString(16)} is mapped, or there is no table for it`);
    }
    u32[(folio + layout.FOLIO_MAPCOUNT) / 4] = (u32[(folio + layout.FOLIO_MAPCOUNT) / 4] as number) + 1;
    const slot = core.entryAddress(this.space(mm), va, 0) >>> 0;
    u64[slot / 8] = (u64[slot / 8] as bigint) | bits;
    return slot;
  }

  /** How often slot `slot` of the swap area is referred to. */
  swapCount(slot: number): number {
    const area = this.u32(layout.CONTROL_SWAP);
    return (
      this.u32(area + layout.SWAP_FIRST + slot * layout.SLOT_BYTES + layout.SLOT_MAP) & (layout.SLOT_HAS_CACHE - 1)
    );
  }

  /** The entry at `va` becomes one of swap slot `slot`, with `bits`. */
  swapEntry(mm: number, va: bigint, slot: number, bits = 0n): void {
    const area = this.u32(layout.CONTROL_SWAP);
    const map = (area + layout.SWAP_FIRST + slot * layout.SLOT_BYTES + layout.SLOT_MAP) / 4;
    this.rig.u32[map] = (this.rig.u32[map] as number) + 1;
    this.setPte(mm, va, BigInt.asUintN(64, this.rig.core.swpEntry(layout.SWP_SWAPFILE, slot)) | bits);
  }

  // ---- words

  u32(address: number): number {
    return this.rig.u32[address / 4] as number;
  }

  u64(address: number): bigint {
    return this.rig.u64[address / 8] as bigint;
  }

  /** The first word of a frame. */
  word(pfn: number): bigint {
    return this.u64(this.rig.core.frameAddress(pfn) >>> 0);
  }

  setWord(pfn: number, value: bigint): void {
    this.rig.u64[(this.rig.core.frameAddress(pfn) >>> 0) / 8] = value;
  }

  /** The entry for `va`; 0 where no table is. */
  pte(mm: number, va: bigint): bigint {
    const slot = this.rig.core.entryAddress(this.space(mm), va, 0) >>> 0;
    return slot === 0 ? 0n : this.u64(slot);
  }

  setPte(mm: number, va: bigint, pte: bigint): void {
    const slot = this.rig.core.entryAddress(this.space(mm), va, 0) >>> 0;
    this.rig.u64[slot / 8] = pte;
  }

  flags(folio: number): number {
    return this.u32(folio + layout.FOLIO_FLAGS);
  }

  mapcount(folio: number): number {
    return this.u32(folio + layout.FOLIO_MAPCOUNT);
  }

  refs(pfn: number): number {
    return this.u32((this.rig.core.frameMeta(pfn) >>> 0) + layout.META_REFS);
  }

  isFree(pfn: number): boolean {
    return this.u32((this.rig.core.frameMeta(pfn) >>> 0) + layout.META_STATE) === layout.FRAME_FREE;
  }

  pending(mm: number): number {
    return this.u32(mm + layout.MM_FLUSH_PENDING);
  }

  generation(mm: number): bigint {
    return this.u64(mm + layout.MM_TLB_GEN);
  }

  // ---- what user mode does, one access at a time

  store(cpu: number, va: bigint, value: bigint): boolean {
    return this.user(cpu, () => this.rig.core.userStore(cpu, va, value) === layout.DONE);
  }

  /** The word, or undefined after a fault. */
  load(cpu: number, va: bigint): bigint | undefined {
    const { core, agent } = this.rig;
    const reply = layout.AGENTS + agent * layout.AGENT_BYTES + layout.AGENT_REPLY;
    return this.user(cpu, () => (core.userLoad(cpu, va) === layout.DONE ? this.u64(reply) : undefined));
  }

  private user<T>(cpu: number, access: () => T): T {
    this.rig.core.enterUser(cpu);
    const result = access();
    this.rig.core.leaveUser(cpu);
    return result;
  }

  // ---- paths

  /** Clears the block, with the bitmap for pages from `origin` on. */
  prepare(origin = 0n, shoot = 0, path = this.path): void {
    const { rig } = this;
    const scan = path + layout.PATH_SCAN;
    rig.bytes.fill(0, path, path + layout.PATH_BYTES);
    rig.bytes.fill(0, this.bitmap, this.bitmap + 512);
    rig.u32[(path + layout.PATH_SHOOT) / 4] = shoot;
    rig.u64[(path + layout.PATH_PGOFF) / 8] = origin;
    rig.u32[(scan + layout.SCAN_BITMAP) / 4] = this.bitmap;
    rig.u64[(scan + layout.SCAN_ORIGIN) / 8] = origin;
    rig.u64[(scan + layout.SCAN_START) / 8] = (1n << 64n) - 1n;
  }

  told(path = this.path): Told {
    return {
      touched: Number(this.u64(path + layout.PATH_TOUCHED)),
      first: this.u64(path + layout.PATH_FIRST),
      last: this.u64(path + layout.PATH_LAST),
      flush: this.u32(path + layout.PATH_FLUSH),
      flushes: this.u32(path + layout.PATH_FLUSHES),
      interrupted: this.u32(path + layout.PATH_INTERRUPTED),
      passed: this.u32(path + layout.PATH_PASSED),
      warned: this.u32(path + layout.PATH_WARNED),
      huge: this.u32(path + layout.PATH_HUGE),
    };
  }

  /** Pages whose bits are set. */
  bits(): number[] {
    const found: number[] = [];
    for (let n = 0; n < 4096; n++)
      if ((this.rig.u32[this.bitmap / 4 + (n >> 5)] as number) & (1 << (n & 31))) found.push(n);
    return found;
  }
}
