// Physical memory of a simulated machine: frames in one WebAssembly memory that any number of threads may share.
//
// Guarantees: nothing is touched before it is used, so a large memory costs what is written to it. Each PhysicalMemory object is one
// agent of the core; whoever made one disposes of it. Frames are handed out once, a double free is refused, and `audit`
// says what is out of order.

import {
  AGENT_BYTES,
  AGENT_REPLY,
  AGENT_TRAIL,
  AGENTS,
  CONTROL_BAD_FREE,
  CONTROL_BAD_PFN,
  CONTROL_BAD_POISON,
  CONTROL_BASE_PFN,
  CONTROL_FRAMES,
  CONTROL_LIVE,
  CONTROL_MAGIC,
  CONTROL_RCU_WAITING,
  CONTROL_SWAP,
  FRAME_BYTES,
  FRAME_DATA,
  FRAME_TABLE,
  MAGIC,
  META_GENERATION,
  META_REFS,
  META_STATE,
  STATUS_NO_MEMORY,
  STATUS_NOT_LIVE,
  STATUS_OK,
} from '../../assembly/layout.ts';
import { type Build, canShare, compileCore } from '../core/compile.ts';
import type { CoreExports, CoreMemory, CoreModule } from '../core/exports.ts';
import { createCoreMemory, instantiateCore } from '../core/instantiate.ts';
import { pfn as checkPfn, frameAddress, hex, MiB, type Pfn, type PhysicalAddress, pfnOf } from '../units.ts';
import { type FormatName, formatNamed } from './formats.ts';
import { layOut } from './layout.ts';
import { type LockReport, readLocks } from './locks.ts';
import { type PteOperations, pteOperations } from './pte.ts';
import type { Regime } from './regime.ts';
import { AddressSpace } from './space.ts';

export interface MemoryOptions {
  /** Bytes of RAM, a multiple of 4096; at most about 4 GiB. Default 64 MiB. */
  readonly sizeBytes?: number;
  /** PFN of the first frame. Default 0. */
  readonly basePfn?: number;
  /** Bytes for address spaces, batches and lists. Default 16 MiB. */
  readonly heapBytes?: number;
  /** Whether other threads may join. Default: where SharedArrayBuffer exists. */
  readonly shared?: boolean;
  /** Which build of the core. Default `release`. */
  readonly build?: Exclude<Build, 'explore'>;
  /** The core, compiled already: of a shared memory. */
  readonly module?: CoreModule;
}

/** What another thread needs to join a memory; survives structured cloning (postMessage). */
export interface SharedHandle {
  readonly memory: CoreMemory;
  readonly module: CoreModule;
}

export interface FrameInfo {
  readonly state: 'untouched' | 'free' | 'waiting' | 'bad' | 'data' | 'table' | 'folio';
  readonly references: number;
  /** How many times the frame was handed out. */
  readonly generation: number;
}

/** What is in order and what is not. */
export interface Audit {
  /** Frames handed out now. */
  readonly live: number;
  /** Table pages that wait until no walk can be in them. */
  readonly waiting: number;
  /** Frees that were refused because the frame was free. */
  readonly doubleFrees: number;
  /** Free frames that somebody wrote to. */
  readonly writtenAfterFree: number;
  /** The frame that one of the last two lines is about. */
  readonly badFrame: Pfn | undefined;
}

const STATES = ['untouched', 'free', 'waiting', 'bad', 'data', 'table', 'folio'] as const;
/** No PFN of an image is as high as this: physical addresses have at most 52 bits. */
const BEYOND_PHYSICAL = 2 ** 40;

export class PhysicalMemory {
  /** Operations on PTEs under Linux's names. */
  readonly pte: PteOperations;
  /** The core's exports, for code in this package. @internal */
  readonly core: CoreExports;
  /** All of linear memory. @internal */
  readonly view: DataView;
  readonly #memory: CoreMemory;
  readonly #module: CoreModule;
  readonly #agent: number;
  readonly #lockNames = new Map<number, string>();
  #disposed = false;

  private constructor(core: CoreExports, memory: CoreMemory, module: CoreModule, agent: number) {
    this.core = core;
    this.view = new DataView(memory.buffer);
    this.pte = pteOperations(core);
    this.#memory = memory;
    this.#module = module;
    this.#agent = agent;
  }

  /**
   * Makes an empty memory.
   * @throws RangeError naming the option that does not fit; Error if sharing is asked for where there is none.
   */
  static async create(options: MemoryOptions = {}): Promise<PhysicalMemory> {
    const { sizeBytes = 64 * MiB, heapBytes = 16 * MiB, shared = canShare() } = options;
    const basePfn = checkPfn(options.basePfn ?? 0, 'basePfn');
    return PhysicalMemory.#make(options, sizeBytes, heapBytes, shared, basePfn);
  }

  /**
   * Makes a memory for pages of an image: it has no RAM of its own, and `insertPage` puts up to `pages` pages anywhere in
   * the physical address space.
   */
  static async createSparse(
    options: { readonly pages?: number; readonly shared?: boolean } = {},
  ): Promise<PhysicalMemory> {
    const { pages = 65536, shared = canShare() } = options;
    if (!Number.isInteger(pages) || pages < 1 || pages > 900_000) {
      throw new RangeError(`"pages" must be from 1 to 900000, got ${pages}`);
    }
    const heapBytes = 16 * MiB + 64 * pages;
    const memory = await PhysicalMemory.#make({}, pages * FRAME_BYTES, heapBytes, shared, BEYOND_PHYSICAL);
    if (memory.core.openDirectory(pages) !== STATUS_OK) {
      throw new RangeError(`"pages" of ${pages} leave no room for their directory`);
    }
    return memory;
  }

  /** Joins a memory that another thread shared. @throws Error if `handle` is none or too many threads joined. */
  static async join(handle: SharedHandle): Promise<PhysicalMemory> {
    const core = instantiateCore(handle.module, handle.memory);
    if (new DataView(handle.memory.buffer).getUint32(CONTROL_MAGIC, true) !== MAGIC) {
      throw new Error('"handle" is no memory of pagewalk, or one of another version');
    }
    return new PhysicalMemory(core, handle.memory, handle.module, attach(core));
  }

  static async #make(
    options: MemoryOptions,
    sizeBytes: number,
    heapBytes: number,
    shared: boolean,
    basePfn: number,
  ): Promise<PhysicalMemory> {
    if (shared && !canShare()) throw new Error(SHARING_MISSING);
    const regions = layOut(sizeBytes, heapBytes);
    const module = options.module ?? (await compileCore(options.build, shared));
    const memory = createCoreMemory(regions.end, shared);
    const core = instantiateCore(module, memory);
    core.initialize(regions.frames, regions.ram, regions.meta, basePfn, regions.heap, regions.heapEnd);
    return new PhysicalMemory(core, memory, module, attach(core));
  }

  /** What another thread needs to join. @throws Error if this memory is not shared. */
  share(): SharedHandle {
    if (!canShare() || !(this.#memory.buffer instanceof SharedArrayBuffer)) throw new Error(SHARING_MISSING);
    return { memory: this.#memory, module: this.#module };
  }

  /** Frames of RAM. */
  get frames(): number {
    return this.view.getUint32(CONTROL_FRAMES, true);
  }

  /** PFN of the first frame. */
  get basePfn(): Pfn {
    return Number(this.view.getBigUint64(CONTROL_BASE_PFN, true)) as Pfn;
  }

  // ---- frames

  /** Takes a free frame, its bytes zero. @throws RangeError if none is left. */
  allocateFrame(): Pfn {
    const frame = this.core.allocateFrame(FRAME_DATA);
    if (frame < 0) throw new RangeError(`no frame is free: ${this.#count(CONTROL_LIVE)} of ${this.frames} are in use`);
    return frame as Pfn;
  }

  /**
   * Takes `count` frames in a row that were never used, the first PFN a multiple of `align` (a power of two).
   * @throws RangeError if there are no such frames.
   */
  allocateFrames(count: number, align = 1): Pfn {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`"count" must be a positive number, got ${count}`);
    if (!Number.isInteger(align) || align < 1 || (align & (align - 1)) !== 0) {
      throw new RangeError(`"align" must be a power of two, got ${align}`);
    }
    const first = this.core.allocateFrames(count, align, FRAME_DATA);
    if (first < 0) throw new RangeError(`no ${count} unused frames in a row are left of ${this.frames}`);
    return first as Pfn;
  }

  /** One more reference to a frame. @throws Error if the frame is free or no RAM. */
  getFrame(frame: Pfn): void {
    this.#check(this.core.getFrame(frame), frame, 'take a reference to');
  }

  /** Gives a reference back; the last one frees the frame and poisons it. @throws Error on a double free. */
  putFrame(frame: Pfn): void {
    this.#check(this.core.putFrame(frame), frame, 'free');
  }

  /** State of a frame of RAM. @throws RangeError if `frame` is no RAM. */
  frameInfo(frame: Pfn): FrameInfo {
    const meta = this.core.frameMeta(frame) >>> 0;
    if (meta === 0) throw this.#outside(frame);
    return {
      state: STATES[this.view.getUint32(meta + META_STATE, true)] ?? 'bad',
      references: this.view.getUint32(meta + META_REFS, true),
      generation: this.view.getUint32(meta + META_GENERATION, true),
    };
  }

  /** The 4096 bytes of a frame, live. @throws RangeError if nothing backs it. */
  bytes(frame: Pfn): Uint8Array {
    const address = this.core.frameAddress(frame) >>> 0;
    if (address === 0) throw this.#outside(frame);
    return new Uint8Array(this.view.buffer, address, FRAME_BYTES);
  }

  /** Looks at all frames. Slow: it checks the poison of each free one. */
  audit(): Audit {
    const waiting = this.core.reclaim() >>> 0;
    const spoiled = this.core.countSpoiledFrames() >>> 0;
    const doubleFrees = this.#count(CONTROL_BAD_FREE);
    const writtenAfterFree = spoiled + this.#count(CONTROL_BAD_POISON);
    const bad = doubleFrees + writtenAfterFree > 0;
    const badFrame = bad ? ((this.basePfn + this.#count(CONTROL_BAD_PFN)) as Pfn) : undefined;
    return {
      live: this.#count(CONTROL_LIVE),
      waiting: this.#count(CONTROL_RCU_WAITING) || waiting,
      doubleFrees,
      writtenAfterFree,
      badFrame,
    };
  }

  /** The frames in use: what has leaked, once everything was given back. */
  *liveFrames(): Generator<{ readonly frame: Pfn; readonly info: FrameInfo }> {
    const end = this.basePfn + this.frames;
    for (let frame = this.core.nextLiveFrame(this.basePfn); frame >= 0; ) {
      yield { frame: frame as Pfn, info: this.frameInfo(frame as Pfn) };
      frame = frame + 1 < end ? this.core.nextLiveFrame(frame + 1) : -1;
    }
  }

  /**
   * Gives the machine a swap area of `slots` pages, once, at set-up: without one, private memory is not reclaimed.
   * @throws RangeError if there is one, or no room.
   */
  openSwap(slots: number): void {
    if (!Number.isInteger(slots) || slots < 1 || slots > 2 ** 20) {
      throw new RangeError(`"slots" must be from 1 to 2^20, got ${slots}`);
    }
    if (this.#count(CONTROL_SWAP) !== 0) throw new RangeError('there is a swap area already');
    if (this.core.openSwap(slots) === 0) throw new RangeError(`the heap has no room for ${slots} pages of swap`);
  }

  // ---- pages of an image

  /** Is there anything at `pa`? */
  hasPage(pa: PhysicalAddress): boolean {
    return this.core.frameAddress(pfnOf(pa)) !== 0;
  }

  /**
   * Puts a page of an image at `pa`, which a memory made by `createSparse` allows anywhere.
   * @throws RangeError if there is no room, or `bytes` is no page.
   */
  insertPage(pa: PhysicalAddress, bytes: Uint8Array): void {
    if (bytes.length !== FRAME_BYTES) {
      throw new RangeError(`"bytes" must be a page of ${FRAME_BYTES} bytes, got ${bytes.length}`);
    }
    if (this.hasPage(pa)) {
      this.bytes(pfnOf(pa)).set(bytes);
      return;
    }
    const storage = this.core.allocateFrame(FRAME_TABLE);
    if (storage < 0 || this.core.backFrame(pfnOf(pa), storage) !== STATUS_OK) {
      throw new RangeError(`no room for a page at ${hex(pa)}: this memory holds ${this.frames} pages`);
    }
    this.bytes(storage as Pfn).set(bytes);
  }

  // ---- address spaces

  /** Makes an address space with an empty root table. @throws RangeError if there is no room. */
  createAddressSpace(options: { readonly format?: FormatName; readonly regime?: Partial<Regime> } = {}): AddressSpace {
    const format = formatNamed(options.format ?? 'x86-64');
    if (this.basePfn >= BEYOND_PHYSICAL) throw new Error('a sparse memory has no RAM to make tables in');
    return AddressSpace.create(this, format, options.regime);
  }

  /**
   * An address space over tables that are there already. `root` is the value of the root register (CR3), flag bits included.
   * @throws RangeError if there is no room.
   */
  openAddressSpace(options: {
    readonly format?: FormatName;
    readonly root: PhysicalAddress;
    readonly regime?: Partial<Regime>;
  }): AddressSpace {
    return AddressSpace.open(this, formatNamed(options.format ?? 'x86-64'), options.root, options.regime);
  }

  // ---- for this package

  /** A block of the heap. @internal @throws RangeError if there is no room. */
  heapAllocate(bytes: number): number {
    const address = this.core.heapAllocate(bytes) >>> 0;
    if (address === 0)
      throw new RangeError(`the heap has no ${bytes} bytes left: make the memory with more "heapBytes"`);
    return address;
  }

  /** Address of the agent's reply block. @internal */
  get reply(): number {
    return AGENTS + this.#agent * AGENT_BYTES + AGENT_REPLY;
  }

  /** Address of the agent's trail. @internal */
  get trail(): number {
    return AGENTS + this.#agent * AGENT_BYTES + AGENT_TRAIL;
  }

  /**
   * In the chaos build, seeds the delays at this thread's scheduling points: one point in 2^`rarity` waits for up to `longest` loads. Without a
   * seed, and in other builds, nothing waits. @throws RangeError if a number is out of range.
   */
  seedChaos(seed: number, rarity = 4, longest = 256): void {
    for (const [name, value, most] of [
      ['seed', seed, 0xffff_ffff],
      ['rarity', rarity, 31],
      ['longest', longest, 0xffff],
    ] as const) {
      if (!Number.isInteger(value) || value < 0 || value > most) {
        throw new RangeError(`"${name}" must be a whole number up to ${most}, got ${value}`);
      }
    }
    this.core.tuneChaos(seed, rarity, longest);
  }

  /** Seeds what hardware does unasked in this thread: CPUs that evict or speculate do so from here on. 0: they do not. */
  seedEnvironment(seed: number): void {
    this.core.seedChoices(seed);
  }

  /** Who holds which lock and who waits for whom, in all threads: a glance while they run, an explanation when they hang. */
  locks(): LockReport {
    return readLocks(this.view, this.#lockNames);
  }

  /** Gives the lock at `address` a name in `locks`. @internal */
  nameLock(address: number, name: string): void {
    this.#lockNames.set(address, name);
  }

  /** The number of this object among those that are joined to the memory, 0 to 63. */
  get agent(): number {
    return this.#agent;
  }

  /**
   * Gives up on a thread that ended without disposing of its memory: frees the locks it held and lets freed pages go that waited
   * for it. Returns how many locks it held: if it is not 0, a change of tables was cut short, and what that left is undefined
   * between before and after. @throws RangeError if nobody of that number is joined.
   */
  releaseAgent(agent: number): number {
    const broken = this.core.breakLocks(agent) >>> 0;
    if (this.core.detach(agent) === 0) throw new RangeError(`"agent" ${agent} is not joined to this memory`);
    return broken;
  }

  /** Leaves the memory. What was allocated in it stays; call once, last. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.core.detach(this.#agent);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #count(control: number): number {
    return this.view.getUint32(control, true);
  }

  #check(status: number, frame: Pfn, what: string): void {
    if (status === STATUS_OK) return;
    if (status === STATUS_NOT_LIVE) throw new Error(`cannot ${what} frame ${hex(frame)}: it is free already`);
    if (status === STATUS_NO_MEMORY) throw new RangeError(`cannot ${what} frame ${hex(frame)}: no room`);
    throw this.#outside(frame);
  }

  #outside(frame: Pfn): RangeError {
    const first = frameAddress(this.basePfn);
    const last = frameAddress((this.basePfn + this.frames) as Pfn) - 1n;
    return new RangeError(`frame ${hex(frame)} is outside physical memory, ${hex(first)} to ${hex(last)}`);
  }
}

const SHARING_MISSING =
  'threads cannot share memory here: SharedArrayBuffer is missing. In a page, serve it cross-origin isolated ' +
  '(Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp); one thread works without, ' +
  'with { shared: false }';

function attach(core: CoreExports): number {
  const agent = core.attach(mayBlock());
  if (agent < 0) throw new Error('too many threads have joined this memory (64)');
  return agent;
}

/** May this thread wait on memory? The main thread of a page may not. */
function mayBlock(): boolean {
  if (!canShare()) return false;
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}
