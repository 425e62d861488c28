// An arena: many instances of one variant in one memory, each on an island of its own, ready to be raced.
//
// Guarantees: every instance begins in the state that the variant says, and each round goes back to it: all lines of 64 bytes that may change
// while its programs run are saved (`#partsOf`, by what the core lays out; a test compares whole memories). Nothing runs here.

import {
  ARENA_AFTERWARDS,
  ARENA_BLOCK_BYTES,
  ARENA_BYTES,
  ARENA_COPIES,
  ARENA_CPUS,
  ARENA_INSTANCES,
  ARENA_OBSERVED,
  ARENA_PENDING,
  ARENA_RACERS,
  ARENA_RACING,
  ARENA_RECORD_BYTES,
  ARENA_ROUNDS,
  ARENA_SIZE,
  ARENA_STOP,
  ARENA_TURN,
  CONTROL,
  CONTROL_FOLIOS,
  CONTROL_FREE_HEAD,
  CONTROL_HEAP_FREE,
  CONTROL_LIVE,
  CPU_BYTES,
  CPU_FAULT_VA,
  CPU_FAULTS,
  CPU_PENDING,
  CPU_REQUESTS,
  CPU_SLOT,
  CPU_STRAYS,
  ENTRY_BYTES,
  EXPLORED_BYTES,
  FOLIO_BYTES,
  GHOST_BYTES,
  GHOST_SHARED,
  ISLAND_BYTES,
  LITMUS_BYTES,
  LITMUS_PC,
  LITMUS_SCRATCH,
  MAPPING_BYTES,
  META_BYTES,
  MM_BYTES,
  MM_SPACE,
  MOST_LITMUS_CPUS,
  MOST_RACERS,
  OUTCOME_COUNT,
  OUTCOME_FAILED,
  OUTCOME_HASH,
  OUTCOME_ROWS,
  OUTCOME_VALUES,
  PART_BYTES,
  PART_LINES,
  PART_LIST,
  PART_SAVED,
  RACER_AGENTS,
  RACER_AT,
  RACER_BYTES,
  RACER_FIRST_AGENT,
  RACER_INSTANCE,
  RACER_OUTCOMES,
  RACER_OVERFLOW,
  RECORD_BLOCKS,
  RECORD_ENDED,
  RECORD_ISLAND,
  RECORD_PARTS,
  RECORD_STARTS,
  RECORD_VALUES,
  REQUEST_BYTES,
  RWLOCK_BYTES,
  SPACE_BYTES,
  STATUS_OK,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
  VMA_BYTES,
} from '../../assembly/layout.ts';
import {
  INSTRUCTION_BYTES,
  OP_CALL,
  OP_FRAME_ALLOCATE,
  OP_FRAME_PUT,
  OP_LOAD_MM,
  OP_LOAD_MM_KEEP,
  OP_USER_EXCHANGE,
  OP_USER_STORE,
} from '../../assembly/litmus/ops_bits.ts';
import type { CoreExports, CoreMemory, CoreModule } from '../core/exports.ts';
import { createCoreMemory, instantiateCore } from '../core/instantiate.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import {
  type Instance,
  type InstanceCpu,
  LITMUS_TLB_WAYS,
  type LitmusHost,
  type SharedCode,
  setUp,
} from '../litmus/world.ts';
import { layOut } from '../machine/layout.ts';

const LINE = 64;
/** Tables of an mm of four levels whose pages lie beside each other; frames beside those that are named or allocated. */
const TABLES = 4;
const SPARE_FRAMES = 4;

/** An outcome as the core counted it. */
export interface Counted {
  readonly values: readonly bigint[];
  /** Bits of the invariants that were violated: see FAILED_* in layout.ts. */
  readonly failed: number;
  readonly count: number;
}

/** Where one CPU of an instance stands. */
export interface Standing {
  readonly cpu: number;
  readonly ended: boolean;
  /** Place in its code. */
  readonly place: number;
}

export class Arena implements LitmusHost {
  readonly program: LitmusProgram;
  readonly memory: CoreMemory;
  readonly core: CoreExports;
  readonly view: DataView;
  /** Agents that race, each in a thread of its own. */
  readonly racing: number;
  /** CPUs that one of them runs at most. */
  readonly crowd: number;
  readonly instances: readonly Instance[];
  readonly address: number;
  readonly #words: Int32Array;
  #records = 0;
  #recordBytes = 0;

  /**
   * `size` instances (a power of two) of `program`, for `racing` agents.
   * @throws RangeError if a memory for so many does not fit, or the program has more CPUs than can be raced.
   */
  constructor(program: LitmusProgram, module: CoreModule, size: number, racing: number) {
    const cpus = program.cpus.length;
    if (cpus >= MOST_LITMUS_CPUS) {
      throw new RangeError(`"${program.name}" has ${cpus} CPUs, and at most ${MOST_LITMUS_CPUS - 1} can be raced`);
    }
    this.program = program;
    // A whole function may wait inside for a lock, so its CPU takes no turns with others.
    this.racing = Math.min(hasCalls(program) ? cpus : racing, cpus, MOST_RACERS);
    this.crowd = Math.ceil(cpus / this.racing);
    const frames = framesOf(program);
    const heap = islandHeapOf(program);
    const regions = layOut(size * frames * 4096, 2 ** 20 + size * (heap + outsideOf(program, heap, frames)));
    this.memory = createCoreMemory(regions.end, true);
    this.core = instantiateCore(module, this.memory);
    this.view = new DataView(this.memory.buffer);
    this.#words = new Int32Array(this.memory.buffer);
    this.core.initialize(regions.frames, regions.ram, regions.meta, 0, regions.heap, regions.heapEnd);
    this.core.attach(false);
    this.address = this.#allocate(ARENA_BYTES);
    if (hasFolios(program)) {
      if (this.core.openFolios() !== STATUS_OK) throw new RangeError('no room is left for folios');
    }
    const code: SharedCode = new Map();
    const islands = Array.from({ length: size }, () => this.#island(frames, heap));
    this.instances = islands.map((island) => this.#setUp(island, code));
    this.#arrange(islands, frames);
    // The racers have agents of their own.
    this.core.detach(0);
  }

  // ---- while it runs

  /** No round begins any more: who races comes back. */
  stop(): void {
    Atomics.store(this.#words, (this.address + ARENA_STOP) >>> 2, 1);
  }

  get rounds(): number {
    return Atomics.load(this.#words, (this.address + ARENA_ROUNDS) >>> 2) >>> 0;
  }

  get executions(): number {
    return this.counted().reduce((sum, { count }) => sum + count, 0);
  }

  /** Something that changes as long as anybody gets on. */
  pulse(): string {
    const at = Array.from({ length: this.racing }, (_, n) => Atomics.load(this.#words, this.#racer(n, RACER_AT) >>> 2));
    return [this.rounds, ...at].join();
  }

  /** The outcomes until now. Of a row that is being written, what was there before. */
  counted(): readonly Counted[] {
    const found = new Map<string, Counted>();
    const { length } = this.program.observed;
    const bytes = OUTCOME_VALUES + 8 * length;
    for (let n = 0; n < this.racing; n++) {
      const table = this.view.getUint32(this.#racer(n, RACER_OUTCOMES), true);
      for (let row = table; row < table + OUTCOME_ROWS * bytes; row += bytes) {
        if (this.view.getBigUint64(row + OUTCOME_HASH, true) === 0n) continue;
        const values = Array.from({ length }, (_, v) => this.view.getBigUint64(row + OUTCOME_VALUES + 8 * v, true));
        const failed = this.view.getUint32(row + OUTCOME_FAILED, true);
        const key = [failed, ...values].join();
        const count = Number(this.view.getBigUint64(row + OUTCOME_COUNT, true)) + (found.get(key)?.count ?? 0);
        found.set(key, { values, failed, count });
      }
    }
    return [...found.values()];
  }

  /** Executions whose outcome found no row any more. */
  get overflow(): number {
    let sum = 0;
    for (let n = 0; n < this.racing; n++) sum += this.view.getUint32(this.#racer(n, RACER_OVERFLOW), true);
    return sum;
  }

  /** Where the CPUs of the instance stand that the racers are in: of use when nobody gets on. */
  standing(): { readonly instance: Instance; readonly cpus: readonly Standing[] } {
    const n = this.#u32(this.#racer(0, RACER_INSTANCE));
    const instance = this.instances[n] as Instance;
    const ended = this.#u32(this.#records + n * this.#recordBytes + RECORD_ENDED);
    const cpus = this.program.cpus.map(
      (_, cpu): Standing => ({
        cpu,
        ended: ((ended >>> cpu) & 1) !== 0,
        place: this.#u32((instance.cpus[cpu] as InstanceCpu).block + LITMUS_PC),
      }),
    );
    return { instance, cpus };
  }

  /** Which CPU agent `agent` ran in the round that is under way; undefined if none. */
  cpuOfAgent(agent: number): number | undefined {
    for (let n = 0; n < this.racing; n++) {
      const agents = this.view.getUint32(this.#racer(n, RACER_AGENTS), true);
      for (let a = 0; a < agents; a++) {
        if (this.view.getUint32(this.#racer(n, RACER_FIRST_AGENT + 4 * a), true) !== agent) continue;
        return this.program.cpus.findIndex((_, cpu) => this.#runs(n, a) === cpu);
      }
    }
    return undefined;
  }

  /** Where instances report, first byte and end: the only part of them that a round does not bring back to the start. */
  reports(): [number, number][] {
    return this.instances.map((_, n) => {
      const record = this.#records + n * this.#recordBytes;
      return [record + RECORD_VALUES, record + this.#recordBytes];
    });
  }

  // ---- set-up

  /** The `a`th CPU that racer `n` runs in the round that is under way, as assembly/litmus/arena.ts deals them. */
  #runs(n: number, a: number): number {
    return ((n + this.#u32(this.address + ARENA_TURN)) % this.racing) + a * this.racing;
  }

  #racer(n: number, field: number): number {
    return this.address + ARENA_RACERS + n * RACER_BYTES + field;
  }

  #island(frames: number, heap: number): number {
    const island = this.core.createIsland(frames, heap) >>> 0;
    if (island === 0) throw new RangeError('no room is left for an instance of the scenario');
    return island;
  }

  #setUp(island: number, code: SharedCode): Instance {
    this.core.enterIsland(island);
    try {
      const host: LitmusHost = { core: this.core, view: this.view, control: island };
      const instance = setUp(host, this.program, code);
      for (const address of sharedGhosts(this.program, instance)) this.view.setUint32(address + GHOST_SHARED, 1, true);
      return instance;
    } finally {
      this.core.enterIsland(0);
    }
  }

  #arrange(islands: readonly number[], frames: number): void {
    const { program, address } = this;
    const { observed } = program;
    const pending = (this.instances[0] as Instance).flushPending.length;
    const registers = observed.filter(({ of }) => of === 'register').length;
    const slots = roundUp(RECORD_VALUES + 4 * (observed.length + pending), 8);
    this.#recordBytes = roundUp(slots + 8 * registers, LINE);
    this.#records = this.#allocate(islands.length * this.#recordBytes);
    const blockBytes = hasCalls(program) ? LITMUS_BYTES : LITMUS_SCRATCH;
    const set = (at: number, value: number) => this.view.setUint32(at, value, true);
    set(address + ARENA_SIZE, islands.length);
    set(address + ARENA_CPUS, program.cpus.length);
    set(address + ARENA_RACING, this.racing);
    set(address + ARENA_INSTANCES, this.#records);
    set(address + ARENA_RECORD_BYTES, this.#recordBytes);
    set(address + ARENA_OBSERVED, observed.length);
    set(address + ARENA_PENDING, pending);
    set(address + ARENA_AFTERWARDS, program.afterwards === undefined ? 0 : 1);
    set(address + ARENA_COPIES, this.#copies());
    set(address + ARENA_BLOCK_BYTES, blockBytes);
    for (let n = 0; n < this.racing; n++) {
      set(this.#racer(n, RACER_OUTCOMES), this.#allocate(OUTCOME_ROWS * (OUTCOME_VALUES + 8 * observed.length)));
    }
    for (const [n, instance] of this.instances.entries()) {
      const record = this.#records + n * this.#recordBytes;
      set(record + RECORD_ISLAND, islands[n] as number);
      for (const [part, lines] of this.#partsOf(instance, islands[n] as number, n * frames, frames).entries()) {
        const at = record + RECORD_PARTS + part * PART_BYTES;
        const list = this.#allocate(4 * lines.length);
        for (const [k, line] of lines.entries()) set(list + 4 * k, line);
        set(at + PART_LINES, lines.length);
        set(at + PART_LIST, list);
        set(at + PART_SAVED, this.#allocate(LINE * lines.length));
      }
      for (const [c, { block }] of instance.cpus.entries()) {
        set(record + RECORD_BLOCKS + 4 * c, block);
        set(record + RECORD_STARTS + 4 * c, this.#allocate(blockBytes));
      }
      let slot = record + slots;
      for (const [v, what] of observed.entries()) {
        let at = what.of === 'register' ? slot : Number(instance.symbols[what.symbol]);
        if (what.of === 'register') slot += 8;
        else if (what.bytes === 4) at += 1;
        set(record + RECORD_VALUES + 4 * v, at);
      }
      for (const [m, at] of instance.flushPending.entries()) {
        set(record + RECORD_VALUES + 4 * (observed.length + m), at);
      }
      this.core.saveInstance(record, instance.cpus.length, blockBytes);
    }
  }

  /** Which registers of each CPU go to which of the observed values (ARENA_COPIES). */
  #copies(): number {
    const { cpus, observed } = this.program;
    const lists = [...cpus, undefined].map((_, cpu) =>
      observed.flatMap((what, v) => (what.of === 'register' && what.cpu === cpu ? [(what.register << 16) | v] : [])),
    );
    const copies = this.#allocate(8 * lists.length + 4 * observed.length);
    let at = 8 * lists.length;
    for (const [cpu, list] of lists.entries()) {
      this.view.setUint32(copies + 8 * cpu, at, true);
      this.view.setUint32(copies + 8 * cpu + 4, list.length, true);
      for (const which of list) {
        this.view.setUint32(copies + at, which, true);
        at += 4;
      }
    }
    return copies;
  }

  /**
   * The lines that may change while the programs of an instance run, which has frames `first` to `first + frames - 1`: those that its CPUs share,
   * then those of each CPU. What nothing depends on is left out: statistics, what a walk notes for itself, hints, clocks.
   */
  #partsOf(instance: Instance, island: number, first: number, frames: number): number[][] {
    const { program } = this;
    const programs = instance.cpus.map(({ program: { code } }) => code);
    const has = (...ops: number[]) => programs.some((code) => code.some(({ op }) => ops.includes(op)));
    const calls = hasCalls(program);
    const shared = new Lines();
    const word = (address: number) => island + address - CONTROL;
    shared.add(word(CONTROL_FREE_HEAD), 8);
    shared.add(word(CONTROL_LIVE), 16);
    if (hasFolios(program)) shared.add(this.#u32(CONTROL_FOLIOS) + first * FOLIO_BYTES, frames * FOLIO_BYTES);
    // Whole functions may change anything, and allocate.
    if (calls) shared.add(island, this.#u32(word(CONTROL_HEAP_FREE)) + LINE - island);
    for (const mm of instance.mms.values()) {
      shared.add(mm, MM_BYTES);
      if (calls) shared.add(this.#u32(mm + MM_SPACE), SPACE_BYTES);
    }
    for (const file of instance.files.values()) shared.add(file, MAPPING_BYTES);
    for (const vma of instance.vmas.values()) shared.add(vma, VMA_BYTES);
    for (const word of instance.words.values()) shared.add(word, 8);
    for (const lock of instance.locks.values()) shared.add(lock, RWLOCK_BYTES);
    for (const { ghost, slot } of instance.pages.values()) {
      shared.add(ghost, GHOST_BYTES);
      shared.add(slot, 8);
    }
    if (instance.owners !== 0) shared.add(instance.owners + first * 8, frames * 8);
    shared.add(this.core.frameMeta(first) >>> 0, frames * META_BYTES);
    const allocates = calls || has(OP_FRAME_ALLOCATE, OP_FRAME_PUT);
    for (const pfn of allocates ? range(first, first + frames) : instance.frames.values()) {
      shared.add(this.core.frameAddress(pfn) >>> 0, EXPLORED_BYTES);
    }
    const loads = calls || has(OP_LOAD_MM, OP_LOAD_MM_KEEP);
    return [
      shared.list,
      ...instance.cpus.map(({ cpu, tlb, program: { mode } }) => {
        const own = new Lines();
        if (program.world.mms.length === 0) {
          if (mode === 'user') own.add(cpu, CPU_PENDING);
          return own.list;
        }
        own.add(cpu, CPU_REQUESTS + REQUEST_BYTES * instance.cpus.length);
        own.add(cpu + CPU_FAULT_VA, CPU_FAULTS - CPU_FAULT_VA);
        own.add(cpu + CPU_STRAYS, 4);
        if (loads) own.add(cpu + CPU_SLOT, CPU_BYTES - CPU_SLOT);
        if (tlb === 0) return own.list;
        // The ways before the entries are hints, right or wrong.
        const entries = this.#u32(tlb + TLB_HINTS_AT) + this.#u32(tlb + TLB_HINTS_MASK) + 4;
        own.add(entries, LITMUS_TLB_WAYS * ENTRY_BYTES);
        return own.list;
      }),
    ];
  }

  #u32(address: number): number {
    return this.view.getUint32(address, true);
  }

  #allocate(bytes: number): number {
    const address = this.core.heapAllocate(Math.max(LINE, bytes)) >>> 0;
    if (address === 0) throw new RangeError('no heap is left for the instances of the scenario');
    new Uint8Array(this.memory.buffer, address, bytes).fill(0);
    return address;
  }
}

/** Lines of memory, each once. */
class Lines {
  readonly #lines = new Set<number>();

  add(start: number, bytes: number): void {
    for (let line = start - (start % LINE); line < start + bytes; line += LINE) this.#lines.add(line);
  }

  get list(): number[] {
    return [...this.#lines];
  }
}

function hasCalls({ cpus, afterwards }: LitmusProgram): boolean {
  return [...cpus, ...(afterwards === undefined ? [] : [afterwards])].some(({ code }) =>
    code.some(({ op }) => op === OP_CALL),
  );
}

function hasFolios(program: LitmusProgram): boolean {
  return hasCalls(program) || program.world.frames.some(({ folio }) => folio !== undefined);
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, n) => first + n);
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

/** The ghost records of the pages that several CPUs store to. */
function sharedGhosts(program: LitmusProgram, instance: Instance): number[] {
  const stored = program.cpus.map(
    ({ code }) =>
      new Set(
        code.flatMap(({ op, c }) => ((op === OP_USER_STORE || op === OP_USER_EXCHANGE) && c !== undefined ? [c] : [])),
      ),
  );
  return program.symbols.flatMap((symbol, n) => {
    const writers = stored.filter((symbols) => symbols.has(n)).length;
    const page = symbol.of === 'page' && symbol.field === 'last' ? instance.pages.get(symbol.name) : undefined;
    return writers > 1 && page !== undefined ? [page.ghost] : [];
  });
}

/** Frames of an island: a multiple of the metadata in a line, so that islands share none. */
function framesOf({ world, cpus, afterwards }: LitmusProgram): number {
  const programs = afterwards === undefined ? cpus : [...cpus, afterwards];
  const allocations = programs.flatMap(({ code }) => code.filter(({ op }) => op === OP_FRAME_ALLOCATE)).length;
  const frames = world.mms.length * TABLES + world.frames.length + allocations + SPARE_FRAMES;
  const row = LINE / META_BYTES;
  return Math.ceil(frames / row) * row;
}

/** Bytes of heap for what an instance has, and for what its programs allocate. */
function islandHeapOf(program: LitmusProgram): number {
  const { world, cpus, afterwards, symbols } = program;
  const running = cpus.length + (afterwards === undefined ? 0 : 1);
  const code = [...cpus, ...(afterwards === undefined ? [] : [afterwards])].reduce(
    (sum, each) => sum + each.code.length,
    0,
  );
  const each = LITMUS_BYTES + CPU_BYTES + 8192 + 8 * symbols.length;
  const things = world.mms.length + world.files.length + world.vmas.length + world.pages.length + world.frames.length;
  const small = (things * 2 + world.words.length + world.locks.length + 8) * 256;
  return roundUp(running * each + code * INSTRUCTION_BYTES + small + (hasFolios(program) ? 65_536 : 0), LINE);
}

/** Bytes of heap for the rest of an instance: its island, its record, and what it was at the start. */
function outsideOf({ observed, cpus }: LitmusProgram, heap: number, frames: number): number {
  const record = roundUp(RECORD_VALUES + 12 * observed.length + 64, LINE) + LINE;
  const saved = (heap / LINE + frames * 4) * (LINE + 4) + (cpus.length + 2) * (LITMUS_BYTES + 4 * LINE);
  return ISLAND_BYTES + 4 * LINE + record + saved + frames * FOLIO_BYTES;
}
