// The machine that is explored: one instance of the core's explore build that runs every simulated CPU, one step at a time.
//
// Guarantees: a step is one access to a word that several CPUs share, with all that the CPU does on its own up to the next one. What a
// step depends on is known (`Step.reads`), what it changed is known (`Step.writes`), and everything else it touched belongs to its CPU
// alone. So the same CPU in the same local state that reads the same values makes the same step: space.ts remembers it.
//
// **What is shared is found out.** A word counts as its first user's own, and accesses to it as no steps, until another CPU touches it
// where one of the two writes; words that are only ever read stay no steps. When a word turns out to be shared, what was explored
// before rests on a mistake: `Restart` is thrown, the word is a step from then on, and the exploration begins anew. The final one
// has met no such word, which is what makes it right: had another execution used it, an equivalent one would have been met.
//
// **The finest machine** takes every word for shared from the start: each point but the joined ones suspends, and each access is told of.
// It needs no `Restart` and says the same of every run, which is what schedules and traces are made of (run.ts).
//
// Words are handled in granules of 8 bytes. Asyncify: see `assembly/point.ts`; a CPU that is suspended is its block, its TLB, its
// agent's notes, its granules, and the used part of its stack buffer.

import {
  AGENT_BYTES,
  AGENT_LOCKS,
  AGENTS,
  CONTROL_RAM,
  CONTROL_VIRGIN,
  CPU_ASID,
  CPU_BYTES,
  CPU_GENERATION,
  CPU_MM,
  CPU_MODE,
  CPU_PENDING,
  CPU_REQUESTS,
  CPU_STRAYS,
  ENTRY_BYTES,
  ENTRY_STAMP,
  FRAME_BYTES,
  HEAP,
  HELD_LOCKS,
  LITMUS_BYTES,
  LITMUS_ENDED,
  LITMUS_FAILED,
  LITMUS_PC,
  LITMUS_REGISTERS,
  LITMUS_RETRY,
  LITMUS_SCRATCH,
  LITMUS_STATE,
  MAX_AGENTS,
  POINT_ADD,
  POINT_ATOMIC,
  POINT_CHANGE,
  POINT_CHANGE_WIDE,
  POINT_EMPTY,
  POINT_FILLED,
  POINT_JOINED,
  POINT_KIND,
  POINT_LOAD,
  POINT_LOCK,
  POINT_NARROW,
  POINT_READ_LOCK,
  POINT_READER,
  POINT_UPDATE,
  POINT_WRITE_LOCK,
  REQUEST_BYTES,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
  TLB_SEQUENCE,
} from '../../assembly/layout.ts';
import {
  FIRST_ARGUMENT,
  OP_CALL,
  OP_FETCH_ADD32,
  OP_FETCH_ADD64,
  REG_FAULT_VA,
  REGISTERS,
} from '../../assembly/litmus/ops_bits.ts';
import { compileCore } from '../core/compile.ts';
import type { CoreExports } from '../core/exports.ts';
import { createCoreMemory, instantiateCore } from '../core/instantiate.ts';
import type { Instruction, LitmusProgram } from '../litmus/program.ts';
import {
  type Instance,
  type InstanceCpu,
  LITMUS_TLB_WAYS,
  type LitmusHost,
  mostEntries,
  setUp,
} from '../litmus/world.ts';
import { layOut } from '../machine/layout.ts';
import { liveRegisters } from './liveness.ts';

const FRAMES = 128;
const HEAP_BYTES = 512 * 1024;
const STACK_BYTES = 4096;
/** More accesses than a step makes on its own: beyond it a CPU runs in a circle, waiting for a word that nobody has written yet. */
const MOST_QUIET = 50_000;

/** Kind of the point of a choice of the environment. */
export const POINT_CHOICE = 64;

/** What a granule is to the machine. */
const UNTOUCHED = 0;
const CONSTANT = 1; // several CPUs read it and nobody writes
const SHARED = 2;
const READ_BY = 32; // + CPU: that CPU alone reads it
const OWNED_BY = 64; // + CPU: that CPU alone reads and writes it
/** A set of CPUs is a number of 32 bits with a sign. */
const MOST_CPUS = 31;

/** In `Step.how`: both words matter; and what turns the bits of words that matter into those of words that change. */
const READS = 3;
const WRITES = 4;

/** Thrown when a granule turns out to be shared: all that was explored is to be forgotten. */
export class Restart extends Error {}

/** Where a CPU stands that is suspended or has ended. */
export interface Pending {
  /** POINT_*, or POINT_CHOICE; 0: it has ended. */
  kind: number;
  /** Granule of the access to come; -1 for choices and atomic blocks. */
  granule: number;
  /** Byte within the granule. */
  offset: number;
  /** How its granule is accessed: as in `Step.how`. */
  how: number;
  /** Alternatives of a choice. */
  choices: number;
}

/** What a step did beside changing its CPU. */
export interface Step {
  /** Shared granules it touched, in order of first touch; with the pending one first. */
  readonly granules: number[];
  /** For each: did it write? */
  readonly written: boolean[];
  /**
   * For each, of its two words: 1 and 2: what the word was matters, or is overwritten; 4 and 8: the word changes. So one that changes and does not
   * matter is updated by what commutes with all other such updates of it.
   */
  readonly how: number[];
  /** Scheduling points it passed, those at private words too: what a schedule counts. */
  points: number;
  /** Of the finest machine: each access, its address and then its POINT_* kind, the joined ones too. */
  readonly accesses: number[];
  /** Invariants violated, a bit each. */
  fails: number;
  readonly pending: Pending;
}

interface Asyncify {
  asyncify_start_unwind(buffer: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(buffer: number): void;
  asyncify_stop_rewind(): void;
}

export interface MachineCpu extends InstanceCpu {
  readonly agent: number;
  readonly stack: number;
  /** Words (u32 indices) that are this CPU's alone, in ranges [first, end). */
  readonly ranges: readonly (readonly [number, number])[];
  /** Where its registers lie (word of register 0), and for each place the registers that matter there, a bit each. */
  readonly registers: number;
  readonly live: Uint32Array;
  /** The words of the ranges at the start. */
  readonly initial: readonly number[];
}

export class Machine implements LitmusHost {
  readonly core: CoreExports;
  readonly view: DataView;
  readonly u32: Uint32Array;
  readonly instance: Instance;
  readonly cpus: readonly MachineCpu[];
  /** Granules that each CPU owns, in the order in which that was found. */
  readonly owned: number[][];
  /** Granules that were touched, and the two words that each had at the start. */
  readonly #touched: number[] = [];
  readonly #initial = new Map<number, readonly number[]>();
  /** Words of objects that are accessed under the name of one granule: a TLB that others invalidate in, under that of its sequence. */
  readonly #objects = new Map<number, readonly number[]>();
  /** Of words that are updated by what commutes: in which way, POINT_ADD or POINT_READER. A word is updated so in one way only. */
  readonly #ways = new Map<number, number>();
  readonly #classes: Uint8Array;
  readonly #asyncify: Asyncify;
  readonly #blocks: readonly number[];

  #running = -1;
  #rewinding = false;
  #resumed = false;
  #choice = 0;
  #quiet = 0;
  /** Was the last access one that changed the mode of the CPU that runs? */
  #atMode = false;
  readonly #finest: boolean;
  /** Did a granule turn out to be shared in the step that runs? That goes on, for it may find more of them. */
  #learnt = false;
  /** Granule of the last access of its own that was no step; -1 if what came last is the access that the step began with. */
  #head = -1;
  #step: Step = {
    granules: [],
    written: [],
    how: [],
    points: 0,
    accesses: [],
    fails: 0,
    pending: { kind: 0, granule: -1, offset: 0, how: 0, choices: 0 },
  };

  static async create(program: LitmusProgram, finest = false): Promise<Machine> {
    return new Machine(program, await compileCore('explore'), finest);
  }

  constructor(program: LitmusProgram, module: object, finest = false) {
    this.#finest = finest;
    const regions = layOut(FRAMES * 4096, HEAP_BYTES);
    const memory = createCoreMemory(regions.end, true);
    this.core = instantiateCore(module, memory, {
      suspend: (address, kind) => this.#suspend(address >>> 0, kind),
      choose: (n) => this.#choose(n >>> 0),
    });
    this.#asyncify = this.core as unknown as Asyncify;
    this.view = new DataView(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.#classes = new Uint8Array(memory.buffer.byteLength >>> 3);
    this.core.initialize(regions.frames, regions.ram, regions.meta, 0, regions.heap, regions.heapEnd);
    this.core.attach(false);
    this.instance = setUp(this, program);
    if (this.instance.cpus.length > MOST_CPUS) throw new RangeError(`a scenario has at most ${MOST_CPUS} CPUs`);
    this.cpus = this.instance.cpus.map((cpu, n) => this.#prepare(cpu, n));
    this.owned = this.cpus.map(() => []);
    this.#blocks = this.cpus.map(({ cpu }) => cpu);
  }

  /** Everything as at the start, but for what was learnt of granules. */
  reset(): void {
    for (const granule of this.#touched) {
      const initial = this.#initial.get(granule) as readonly number[];
      for (const [n, word] of this.wordsOf(granule).entries()) this.u32[word] = initial[n] as number;
      if ((this.#classes[granule] as number) > SHARED) this.#classes[granule] = UNTOUCHED;
    }
    for (const { block, ranges, initial, stack } of this.cpus) {
      let at = 0;
      for (const [first, end] of ranges)
        for (let word = first; word < end; word++) this.u32[word] = initial[at++] as number;
      this.u32[stack >> 2] = 0;
      this.u32[(block + LITMUS_FAILED) >> 2] = 0;
    }
    for (const granules of this.owned) granules.length = 0;
  }

  /**
   * First and end indices of all words that may have changed until now: the agents that run no CPU, and the frames that nobody ever had, are most
   * of the memory, and whoever puts all of it back spends its time on them.
   */
  changeable(): readonly (readonly [number, number])[] {
    const ram = this.u32[CONTROL_RAM >> 2] as number;
    const frames = this.u32[CONTROL_VIRGIN >> 2] as number;
    return [
      [0, (AGENTS + (1 + Math.max(...this.cpus.map(({ agent }) => agent))) * AGENT_BYTES) >> 2],
      [HEAP >> 2, (ram + frames * FRAME_BYTES) >> 2],
    ];
  }

  /** Indices of the words that change under the name of `granule`: its own two, and those of the object that it stands for. */
  wordsOf(granule: number): readonly number[] {
    return this.#objects.get(granule) ?? [granule * 2, granule * 2 + 1];
  }

  /** Has CPU `c` said so far that it accesses a granule, and no other CPU that it does and one of the two writes? */
  isOwn(c: number, granule: number): boolean {
    const known = this.#classes[granule] as number;
    return known === CONSTANT || known === READ_BY + c || known === OWNED_BY + c;
  }

  /** The words of a granule that was touched, as they are at the start. */
  initially(granule: number): readonly number[] {
    return this.#initial.get(granule) ?? this.#wordsNow(granule);
  }

  #wordsNow(granule: number): number[] {
    return this.wordsOf(granule).map((word) => this.u32[word] as number);
  }

  /** Place of the instruction that CPU `c` is in. */
  placeOf(c: number): number {
    return this.u32[((this.cpus[c] as MachineCpu).block + LITMUS_PC) >> 2] as number;
  }

  /** Runs CPU `c` from the start of its program to its first step. */
  begin(c: number): Step {
    return this.#run(c, false);
  }

  /** Makes the pending step of CPU `c`, whose local state and whose shared granules are in memory; `choice`: of a choice, which. */
  step(c: number, choice: number): Step {
    this.#choice = choice;
    return this.#run(c, true);
  }

  #run(c: number, resumes: boolean): Step {
    const cpu = this.cpus[c] as MachineCpu;
    const step = this.#step;
    step.granules.length = 0;
    step.written.length = 0;
    step.how.length = 0;
    step.points = 0;
    step.accesses.length = 0;
    step.fails = 0;
    step.pending.kind = 0;
    step.pending.granule = -1;
    step.pending.choices = 0;
    this.#quiet = 0;
    this.#learnt = false;
    this.#atMode = false;
    this.#head = -1;
    this.#running = c;
    this.#resumed = resumes;
    this.core.become(cpu.agent);
    try {
      if (resumes) {
        this.#rewinding = true;
        this.#asyncify.asyncify_start_rewind(cpu.stack);
      }
      this.core.runLitmus(cpu.block);
      if (step.pending.kind !== 0) this.#asyncify.asyncify_stop_unwind();
    } finally {
      this.#running = -1;
    }
    if (step.pending.kind === 0 && this.view.getUint8(cpu.block + LITMUS_STATE) !== LITMUS_ENDED) {
      throw new Error(`CPU ${cpu.program.name} stopped in the middle of its program`);
    }
    if (this.#learnt) {
      this.#learnt = false;
      throw new Restart();
    }
    this.#forget(cpu);
    step.fails = this.u32[(cpu.block + LITMUS_FAILED) >> 2] as number;
    this.u32[(cpu.block + LITMUS_FAILED) >> 2] = 0;
    return step;
  }

  /** Clears the registers that do not matter any more, or two states would differ by what nobody will read. */
  #forget({ block, registers, live }: MachineCpu): void {
    const matters = live[this.u32[(block + LITMUS_PC) >> 2] as number] as number;
    for (let n = 0; n < REGISTERS; n++) {
      if ((matters & (1 << n)) !== 0) continue;
      this.u32[registers + 2 * n] = 0;
      this.u32[registers + 2 * n + 1] = 0;
    }
  }

  #suspend(address: number, kind: number): void {
    const c = this.#running;
    if (c < 0) return;
    const granule = address >>> 3;
    const bare = kind & POINT_KIND;
    const joined = (kind & POINT_JOINED) !== 0;
    const isPart = joined || this.#isDelivery(c, address, bare);
    this.#atMode = bare !== POINT_LOAD && address === (this.#blocks[c] as number) + CPU_MODE;
    if (this.#rewinding) {
      this.#rewinding = false;
      this.#asyncify.asyncify_stop_rewind();
      if (!isPart) this.#step.points++;
      if (bare === POINT_ATOMIC) return;
      if (this.#finest) this.#step.accesses.push(address, bare);
      this.#touch(granule, this.#howOf(c, address, kind));
      return;
    }
    if (bare === POINT_ATOMIC) {
      this.#park(c, bare, -1, 0, 0, 0);
      return;
    }
    if (!this.#finest && !this.#isShared(c, granule, address, bare)) {
      if (++this.#quiet > MOST_QUIET) {
        if (isPart) throw new Error(`CPU ${this.cpus[c]?.program.name} runs in a circle in an atomic block`);
        this.#share(granule);
      }
      if (isPart) return;
      this.#step.points++;
      this.#head = granule;
      return;
    }
    // Before the first step there is none that a request could be part of.
    if (joined || (isPart && (this.#resumed || this.#finest))) {
      // What is joined to an access belongs to it, not to the step before: that access is a step too.
      if (joined && this.#head >= 0) this.#share(this.#head);
      if (this.#finest) this.#step.accesses.push(address, bare);
      this.#touch(granule, this.#howOf(c, address, kind));
    } else this.#park(c, bare, granule, address & 7, this.#howOf(c, address, kind), 0);
  }

  #choose(n: number): number {
    if (this.#running < 0) return 0;
    if (this.#rewinding) {
      this.#rewinding = false;
      this.#asyncify.asyncify_stop_rewind();
      this.#step.points++;
      return this.#choice;
    }
    this.#park(this.#running, POINT_CHOICE, -1, 0, 0, n);
    return 0;
  }

  #park(c: number, kind: number, granule: number, offset: number, how: number, choices: number): void {
    const { pending } = this.#step;
    pending.kind = kind;
    pending.granule = granule;
    pending.offset = offset;
    pending.how = how;
    pending.choices = choices;
    const { stack } = this.cpus[c] as MachineCpu;
    this.u32[stack >> 2] = stack + 8;
    this.u32[(stack >> 2) + 1] = stack + STACK_BYTES;
    this.#asyncify.asyncify_start_unwind(stack);
  }

  #touch(granule: number, as: number): void {
    const { granules, written, how } = this.#step;
    const at = granules.indexOf(granule);
    if (at < 0) {
      granules.push(granule);
      written.push(as > READS);
      how.push(as);
    } else {
      how[at] = (how[at] as number) | as;
      if (as > READS) written[at] = true;
    }
  }

  /** How an access of CPU `c` touches the granule of its word: see `Step.how`. */
  #howOf(c: number, address: number, kind: number): number {
    const words = (kind & POINT_NARROW) !== 0 ? 1 << ((address >>> 2) & 1) : READS;
    if (!writesAt(kind & POINT_KIND)) return words;
    return this.#commutes(c, address, kind) ? words * WRITES : words * (WRITES + 1);
  }

  /** Is the access an update that commutes with all others of its word that this was said of? */
  #commutes(c: number, address: number, kind: number): boolean {
    const way = kind & (POINT_ADD | POINT_READER);
    if (way === 0) return false;
    // Of an addition of the program it depends on whether that makes anything of the result.
    const { program, live } = this.cpus[c] as MachineCpu;
    const place = this.placeOf(c);
    const { op, d = 0 } = program.code[place] as Instruction;
    if ((op === OP_FETCH_ADD32 || op === OP_FETCH_ADD64) && (((live[place + 1] as number) >>> d) & 1) !== 0)
      return false;
    const known = this.#ways.get(address >>> 2);
    if (known === undefined) this.#ways.set(address >>> 2, way);
    return known === undefined || known === way;
  }

  /** Learns that CPU `c` accesses a granule; is that a step? */
  #isShared(c: number, granule: number, address: number, kind: number): boolean {
    const known = this.#classes[granule] as number;
    if (known === SHARED) return true;
    if (known === UNTOUCHED && !this.#initial.has(granule)) {
      this.#initial.set(granule, this.#wordsNow(granule));
      this.#touched.push(granule);
    }
    if (this.#waits(address, kind)) this.#share(granule);
    const writes = writesAt(kind);
    if (known === OWNED_BY + c) return false;
    if (known === UNTOUCHED || known === READ_BY + c) {
      if (writes) {
        this.#classes[granule] = OWNED_BY + c;
        (this.owned[c] as number[]).push(granule);
      } else this.#classes[granule] = READ_BY + c;
      return false;
    }
    // Another CPU was here, or several.
    if (writes || known >= OWNED_BY) {
      this.#classes[granule] = SHARED;
      this.#learnt = true;
    } else this.#classes[granule] = CONSTANT;
    return false;
  }

  /**
   * Is the access part of how an interrupt is delivered: its sender writing the request, its receiver taking it, and looking for one as it enters
   * or leaves the kernel? That is one act of hardware, and part of the step before; that it is put together rightly is tested by itself
   * (test/core/interrupt*.test.ts).
   */
  #isDelivery(c: number, address: number, kind: number): boolean {
    if (kind === POINT_CHANGE || kind === POINT_CHANGE_WIDE) return false;
    for (let n = 0; n < this.#blocks.length; n++) {
      const at = address - (this.#blocks[n] as number);
      if (at >= CPU_REQUESTS && at < CPU_REQUESTS + MAX_AGENTS * REQUEST_BYTES) return true;
      if (n === c && at === CPU_PENDING) return kind === POINT_UPDATE || this.#atMode;
    }
    return false;
  }

  /** Would the CPU wait here, for a word that nobody else is known to write? */
  #waits(address: number, kind: number): boolean {
    return WAITS.has(kind) || (kind === POINT_LOCK && this.u32[address >> 2] !== 0);
  }

  #share(granule: number): never {
    this.#classes[granule] = SHARED;
    throw new Restart();
  }

  #prepare(cpu: InstanceCpu, n: number): MachineCpu {
    const agent = n === 0 ? 0 : this.core.attach(false);
    const stack = this.core.heapAllocate(STACK_BYTES) >>> 0;
    const { code } = cpu.program;
    const ranges: [number, number][] = [];
    const add = (from: number, bytes: number) => ranges.push([from >> 2, (from + bytes) >> 2]);
    add(cpu.block + LITMUS_PC, 8);
    add(cpu.block + LITMUS_RETRY, 4);
    const calls = code.some(({ op }) => op === OP_CALL);
    const end = calls ? FIRST_ARGUMENT : REG_FAULT_VA;
    const most = Math.max(0, ...code.flatMap(({ d = 0, a = 0, b = 0 }) => [d, a, b].filter((r) => r < end)));
    add(cpu.block + LITMUS_REGISTERS, 8 * (most + 1));
    const high = Math.max(most + 1, end);
    add(cpu.block + LITMUS_REGISTERS + 8 * high, 8 * (REGISTERS - high));
    if (calls) add(cpu.block + LITMUS_SCRATCH, LITMUS_BYTES - LITMUS_SCRATCH);
    // Of the agent, what it holds; what it replied last was read in the same step.
    add(AGENTS + agent * AGENT_BYTES + AGENT_LOCKS, HELD_LOCKS * 4);
    add(cpu.cpu + CPU_MM, 4);
    add(cpu.cpu + CPU_ASID, 4);
    add(cpu.cpu + CPU_GENERATION, 8);
    add(cpu.cpu + CPU_STRAYS, CPU_BYTES - CPU_STRAYS);
    if (cpu.tlb !== 0) {
      const hints =
        (this.u32[(cpu.tlb + TLB_HINTS_AT) >> 2] as number) + (this.u32[(cpu.tlb + TLB_HINTS_MASK) >> 2] as number);
      const bytes = mayMakeRoom(this.instance.program) ? ENTRY_BYTES : ENTRY_STAMP;
      const words: number[] = [];
      for (let way = 0; way < LITMUS_TLB_WAYS; way++) {
        const entry = hints + 4 + way * ENTRY_BYTES;
        for (let at = entry; at < entry + bytes; at += 4) words.push(at >> 2);
      }
      const sequence = (cpu.tlb + TLB_SEQUENCE) >>> 3;
      if (this.instance.program.world.shootdown === 'broadcast') {
        this.#objects.set(sequence, [sequence * 2, sequence * 2 + 1, ...words]);
      } else for (const word of words) ranges.push([word, word + 1]);
    }
    const initial = ranges.flatMap(([first, end]) => [...this.u32.subarray(first, end)]);
    const { observed } = this.instance.program;
    const shown = observed.reduce(
      (set, what) => (what.of === 'register' && what.cpu === n ? set | (1 << what.register) : set),
      0,
    );
    const live = liveRegisters(cpu.program, shown >>> 0);
    const registers = (cpu.block + LITMUS_REGISTERS) >> 2;
    return { ...cpu, agent, stack, ranges, registers, live, initial };
  }
}

/** May a TLB entry make room for another? Only then it matters when entries were used last. */
function mayMakeRoom(program: LitmusProgram): boolean {
  return mostEntries(program) > LITMUS_TLB_WAYS;
}

const WAITS = new Set([POINT_CHANGE, POINT_CHANGE_WIDE, POINT_READ_LOCK, POINT_WRITE_LOCK, POINT_EMPTY, POINT_FILLED]);

/** Does an access of this kind write? Waiting for a word only reads it. */
export function writesAt(kind: number): boolean {
  return kind !== POINT_LOAD && kind !== POINT_CHANGE && kind !== POINT_CHANGE_WIDE && kind !== POINT_EMPTY;
}
