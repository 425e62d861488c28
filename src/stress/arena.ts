// An arena: many instances of one variant in one memory, each on an island of its own, ready to be raced.
//
// Guarantees: every instance begins in the state that the variant says, and each round goes back to it: all lines that may change while its programs
// run are saved (lines.ts). Nothing runs here.

import {
  ARENA_AFTERWARDS,
  ARENA_BLIND,
  ARENA_BYTES,
  ARENA_COLUMNS,
  ARENA_CPUS,
  ARENA_FREES,
  ARENA_JUDGE,
  ARENA_MMS,
  ARENA_NEWS,
  ARENA_OBSERVED,
  ARENA_PARTS,
  ARENA_PENDING,
  ARENA_RACERS,
  ARENA_RACING,
  ARENA_ROUNDS,
  ARENA_SEATS,
  ARENA_SIZE,
  ARENA_STOP,
  ARENA_TURN,
  ARENA_VALUES,
  COLUMN_BYTES,
  COLUMN_MOST,
  COLUMN_REGISTERS,
  COLUMN_REPORTS,
  COLUMN_STRIDE,
  COLUMN_VALUES,
  CPU_BYTES,
  CPU_MODE,
  FOLIO_BYTES,
  GHOST_GUARDED,
  GHOST_KIND,
  GHOST_SHARED,
  ISLAND_BYTES,
  LITMUS_BYTES,
  LITMUS_PC,
  LITMUS_USER,
  META_BYTES,
  MODE_KERNEL,
  MOST_LITMUS_CPUS,
  MOST_RACERS,
  OUTCOME_COUNT,
  OUTCOME_FAILED,
  OUTCOME_HASH,
  OUTCOME_ROWS,
  OUTCOME_VALUES,
  RACER_AGENTS,
  RACER_AT,
  RACER_BYTES,
  RACER_FIRST_AGENT,
  RACER_INSTANCE,
  RACER_OUTCOMES,
  RACER_OVERFLOW,
  REPORT_ROUND,
  REPORT_VALUES,
  SEAT_BLOCK,
  SEAT_BYTES,
  SEAT_ISLAND,
  SEAT_LINES,
  SEAT_SAVED,
  STATUS_OK,
} from '../../assembly/layout.ts';
import {
  INSTRUCTION_BYTES,
  OP_FRAME_ALLOCATE,
  OP_USER_EXCHANGE,
  OP_USER_STORE,
} from '../../assembly/litmus/ops_bits.ts';
import type { CoreExports, CoreMemory, CoreModule } from '../core/exports.ts';
import { instantiateCore } from '../core/instantiate.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import { type Instance, type InstanceCpu, type LitmusHost, type SharedCode, setUp } from '../litmus/world.ts';
import { layOut } from '../machine/layout.ts';
import { effectsOf, freesFrames, hasCalls, judgeOf, LINE, linesOf, programsOf } from './lines.ts';
import { giveBack, takeMemory } from './memories.ts';

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
  /** Of each CPU, `afterwards` last. */
  readonly #columns: Column[] = [];

  /**
   * `size` instances (a power of two) of `program`, for `racing` agents; `blind`: nothing is noted and nothing judged.
   * @throws RangeError if a memory for so many does not fit, or the program has more CPUs than can be raced.
   */
  constructor(program: LitmusProgram, module: CoreModule, size: number, racing: number, blind = false) {
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
    this.memory = takeMemory(regions.end);
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
    this.view.setUint32(this.address + ARENA_BLIND, blind ? 1 : 0, true);
    // The racers have agents of their own.
    this.core.detach(0);
  }

  /** Its racers have come back, all of them, and nobody asks it anything any more. */
  release(): void {
    giveBack(this.memory);
  }

  // ---- while it runs

  /** No round begins any more: who races comes back. */
  stop(): void {
    Atomics.store(this.#words, (this.address + ARENA_STOP) >>> 2, 1);
  }

  get rounds(): number {
    return Atomics.load(this.#words, (this.address + ARENA_ROUNDS) >>> 2) >>> 0;
  }

  /** Those of the rounds that were judged. */
  get executions(): number {
    return this.rounds * this.instances.length;
  }

  /** Grows when a racer counts an outcome that it had not met before. */
  get news(): number {
    return Atomics.load(this.#words, (this.address + ARENA_NEWS) >>> 2) >>> 0;
  }

  /** Something that changes as long as anybody gets on. */
  pulse(): string {
    const at = Array.from({ length: this.racing }, (_, n) => Atomics.load(this.#words, this.#racer(n, RACER_AT) >>> 2));
    return [this.rounds, ...at].join();
  }

  /** The outcomes until now. How often each came is right when the racers have come back. */
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

  /** Where the CPUs of the instance stand that the last of the racers is in: of use when nobody gets on. */
  standing(): { readonly instance: Instance; readonly cpus: readonly Standing[] } {
    const n = this.#lastInstance();
    const instance = this.instances[n] as Instance;
    const cpus = this.program.cpus.map((_, cpu): Standing => {
      const { reports, stride } = this.#columns[cpu] as Column;
      return {
        cpu,
        ended: this.#u32(reports + n * stride + REPORT_ROUND) === this.rounds + 1,
        place: this.#u32((instance.cpus[cpu] as InstanceCpu).block + LITMUS_PC),
      };
    });
    return { instance, cpus };
  }

  /** Which CPU agent `agent` runs in the instance of `standing`; undefined if none. */
  cpuOfAgent(agent: number): number | undefined {
    for (let n = 0; n < this.racing; n++) {
      const agents = this.view.getUint32(this.#racer(n, RACER_AGENTS), true);
      for (let a = 0; a < agents; a++) {
        if (this.view.getUint32(this.#racer(n, RACER_FIRST_AGENT + 4 * a), true) !== agent) continue;
        const cpu = this.#runs(n, a);
        return cpu < this.program.cpus.length ? cpu : undefined;
      }
    }
    return undefined;
  }

  /** Where CPUs report, first byte and end: what no round puts back. */
  reports(): [number, number][] {
    return this.#columns.map(({ reports, stride }) => [reports, reports + stride * this.instances.length]);
  }

  // ---- set-up

  /** Parts that the instances lie in: at least as many as racers, if there are so many instances. */
  get #parts(): number {
    return Math.min(this.instances.length, 2 ** Math.ceil(Math.log2(this.racing)));
  }

  /** The instance of the racer that has come through fewest: others may be ahead of it. */
  #lastInstance(): number {
    const at = (n: number) => this.#u32(this.#racer(n, RACER_AT));
    let last = 0;
    for (let n = 1; n < this.racing; n++) if (((at(n) - at(last)) | 0) < 0) last = n;
    return this.#u32(this.#racer(last, RACER_INSTANCE));
  }

  /** The `a`th CPU that racer `n` runs in that instance, as assembly/litmus/arena.ts deals them. */
  #runs(n: number, a: number): number {
    const part = Math.floor((this.#lastInstance() * this.#parts) / this.instances.length);
    return ((n + this.#u32(this.address + ARENA_TURN) + part) % this.racing) + a * this.racing;
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
      for (const [ghost, kind] of ghostKinds(this.program, instance))
        this.view.setUint32(ghost + GHOST_KIND, kind, true);
      return instance;
    } finally {
      this.core.enterIsland(0);
    }
  }

  #arrange(islands: readonly number[], frames: number): void {
    const { program, address, instances } = this;
    const { observed } = program;
    const set = (at: number, value: number) => this.view.setUint32(at, value, true);
    set(address + ARENA_SIZE, islands.length);
    set(address + ARENA_CPUS, program.cpus.length);
    set(address + ARENA_RACING, this.racing);
    set(address + ARENA_OBSERVED, observed.length);
    set(address + ARENA_AFTERWARDS, program.afterwards === undefined ? 0 : 1);
    set(address + ARENA_FREES, freesFrames(program) ? 1 : 0);
    set(address + ARENA_PARTS, this.#parts);
    for (let n = 0; n < this.racing; n++) {
      set(this.#racer(n, RACER_OUTCOMES), this.#allocate(OUTCOME_ROWS * (OUTCOME_VALUES + 8 * observed.length)));
    }
    this.#makeColumns();
    this.#makeValues();
    const pending = instances.map(({ flushPending }) => (owesFlushes(program) ? flushPending : []));
    const mms = (pending[0] as readonly number[]).length;
    set(address + ARENA_MMS, mms);
    const list = this.#allocate(4 * mms * instances.length);
    set(address + ARENA_PENDING, list);
    for (const [n, each] of pending.flat().entries()) set(list + 4 * n, each);
    this.#makeSeats(islands, frames);
  }

  /** Where CPUs report (COLUMN_*). */
  #makeColumns(): void {
    const { program, view } = this;
    const programs = programsOf(program);
    const columns = this.#allocate(COLUMN_BYTES * programs.length);
    view.setUint32(this.address + ARENA_COLUMNS, columns, true);
    for (const cpu of programs.keys()) {
      const registers = program.observed.flatMap((what) =>
        what.of === 'register' && what.cpu === cpu ? [what.register] : [],
      );
      if (registers.length > COLUMN_MOST) {
        throw new RangeError(`"${program.name}" observes more than ${COLUMN_MOST} registers of a CPU`);
      }
      const stride = REPORT_VALUES + 8 * registers.length;
      const reports = this.#allocate(stride * this.instances.length);
      this.#columns.push({ reports, stride });
      const column = columns + cpu * COLUMN_BYTES;
      view.setUint32(column + COLUMN_REPORTS, reports, true);
      view.setUint32(column + COLUMN_STRIDE, stride, true);
      view.setUint32(column + COLUMN_VALUES, registers.length, true);
      for (const [n, register] of registers.entries()) view.setUint8(column + COLUMN_REGISTERS + n, register);
    }
  }

  /** Where the observed values stand (ARENA_VALUES). */
  #makeValues(): void {
    const { observed } = this.program;
    const values = this.#allocate(8 * observed.length);
    this.view.setUint32(this.address + ARENA_VALUES, values, true);
    const seen = new Map<number, number>();
    for (const [v, what] of observed.entries()) {
      let [at, stride] = [0, 4];
      if (what.of === 'register') {
        const column = this.#columns[what.cpu] as Column;
        const n = seen.get(what.cpu) ?? 0;
        seen.set(what.cpu, n + 1);
        [at, stride] = [column.reports + REPORT_VALUES + 8 * n, column.stride];
      } else {
        const addresses = this.#allocate(4 * this.instances.length);
        for (const [n, { symbols }] of this.instances.entries()) {
          const word = Number(symbols[what.symbol]) + (what.bytes === 4 ? 1 : 0);
          this.view.setUint32(addresses + 4 * n, word, true);
        }
        at = addresses + 1;
      }
      this.view.setUint32(values + 8 * v, at, true);
      this.view.setUint32(values + 8 * v + 4, stride, true);
    }
  }

  #makeSeats(islands: readonly number[], frames: number): void {
    const { core, view, instances } = this;
    const count = programsOf(this.program).length;
    const seats = this.#allocate(SEAT_BYTES * count * instances.length);
    view.setUint32(this.address + ARENA_SEATS, seats, true);
    const effects = effectsOf(this.program);
    for (const { cpu, block } of instances.flatMap(({ cpus }) => cpus)) {
      // Until a thread comes to it, no CPU is in user mode (Litmus.begin). Where nobody ever asks, all are in their modes from the start.
      if (effects.flushes) view.setUint32(cpu + CPU_MODE, MODE_KERNEL, true);
      else view.setUint8(block + LITMUS_USER, 0);
    }
    const lines = instances.map((instance, n) =>
      linesOf(instance, { core, view, island: islands[n] as number, first: n * frames, frames }, effects),
    );
    view.setUint32(this.address + ARENA_JUDGE, judgeOf(lines[0] ?? [], this.program.cpus.length), true);
    for (let c = 0; c < count; c++) {
      const own = lines.map((each) => each[c] as (typeof each)[number]);
      const total = own.reduce((sum, { own, shared, faulted }) => sum + own.length + shared.length + faulted.length, 0);
      let list = this.#allocate(12 * instances.length + 4 * total);
      let saved = this.#allocate(LINE * total);
      for (const [n, instance] of instances.entries()) {
        const seat = seats + (c * instances.length + n) * SEAT_BYTES;
        const { own: mine, shared, faulted } = own[n] as (typeof own)[number];
        view.setUint32(seat + SEAT_ISLAND, islands[n] as number, true);
        view.setUint32(seat + SEAT_BLOCK, (instance.cpus[c] as InstanceCpu).block, true);
        view.setUint32(seat + SEAT_LINES, list, true);
        view.setUint32(seat + SEAT_SAVED, saved, true);
        const counts = [mine.length, shared.length, faulted.length];
        for (const word of [...counts, ...mine, ...shared, ...faulted]) {
          view.setUint32(list, word, true);
          list += 4;
        }
        saved += LINE * (mine.length + shared.length + faulted.length);
        core.saveSeat(seat);
      }
    }
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

/** Where the reports of a CPU stand, and how far it is from one to the next. */
interface Column {
  readonly reports: number;
  readonly stride: number;
}

function hasFolios(program: LitmusProgram): boolean {
  return hasCalls(program) || program.world.frames.some(({ folio }) => folio !== undefined);
}

/** May a flush be owed at the end? */
function owesFlushes(program: LitmusProgram): boolean {
  return (
    hasCalls(program) || program.symbols.some((symbol) => symbol.of === 'mm' && symbol.field === 'tlb_flush_pending')
  );
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

/** What threads have to know of the ghost words of a page: their address, and GHOST_SHARED and GHOST_GUARDED. */
function ghostKinds(program: LitmusProgram, instance: Instance): (readonly [number, number])[] {
  const stored = program.cpus.map(
    ({ code }) =>
      new Set(
        code.flatMap(({ op, c }) => ((op === OP_USER_STORE || op === OP_USER_EXCHANGE) && c !== undefined ? [c] : [])),
      ),
  );
  return [...instance.pages].map(([page, { ghost }]) => {
    const numbers = program.symbols.flatMap((symbol, n) =>
      symbol.of === 'page' && symbol.name === page && symbol.field === 'last' ? [n] : [],
    );
    const writers = stored.filter((symbols) => numbers.some((n) => symbols.has(n))).length;
    const guarded = program.symbols.some(
      (symbol) => symbol.of === 'page' && symbol.name === page && symbol.field === 'guard',
    );
    return [ghost, (writers > 1 ? GHOST_SHARED : 0) | (guarded ? GHOST_GUARDED : 0)];
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

/** Bytes of heap for the rest of an instance: its island, what it reports, and what it was at the start. */
function outsideOf(program: LitmusProgram, heap: number, frames: number): number {
  const programs = programsOf(program).length;
  const seats =
    programs * (SEAT_BYTES + REPORT_VALUES + 8) + 12 * program.observed.length + 4 * program.world.mms.length;
  const saved = (heap / LINE + frames * 4) * (LINE + 4) + programs * (LITMUS_BYTES + 4 * LINE);
  return ISLAND_BYTES + 4 * LINE + roundUp(seats, LINE) + saved + frames * FOLIO_BYTES;
}
