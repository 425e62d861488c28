// Every interleaving of a small program, the dull way: recursion over copies of a plain state, one instruction a step, nothing left out.
//
// Guarantees: it says what `assembly/litmus/ops_bits.ts` documents of words, locks and flow, and shares no code with the machine or the
// explorer: no points, no granules, no reduction. User accesses go to their page's word in one step, for the tables do not change here;
// with `memory: 'tso'` a user store waits in a buffer first (the abstract machine of Owens, Sarkar and Sewell, "A better x86 memory model:
// x86-TSO", 2009, section 3).

import type { Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { ops } from '../support/litmus.ts';

export interface Interleavings {
  readonly outcomes: readonly string[];
  /** Invariants that some interleaving violates, LOCKS among them. */
  readonly violated: readonly number[];
  readonly deadlock: boolean;
  readonly states: number;
  /** Complete executions; infinite if the program can run in a circle. */
  readonly executions: number;
}

interface RwLock {
  readers: number;
  waitingReaders: number;
  waitingWriters: number;
  /** Readers that go before the next writer. */
  admitted: number;
  writer: boolean;
}

interface Cpu {
  pc: number;
  done: boolean;
  registers: bigint[];
  /** What it waits for: a word that is not `seen` any more, or its turn in the queue of a lock. */
  waits: 'change' | 'reader' | 'writer' | undefined;
  seen: bigint;
  /** Locks that it holds or queues for: the first free place is taken. */
  held: (number | undefined)[];
  buffer: { word: number; value: bigint }[];
}

interface State {
  cpus: Cpu[];
  words: bigint[];
  spins: number[];
  rws: RwLock[];
}

interface Move {
  cpu: number;
  /** Of a choice, which; 'drain': the oldest store of its buffer reaches memory. */
  alternative: number | 'drain';
}

const MASK32 = 0xffffffffn;
const STEPS = new Set<number>([
  ops.OP_LOAD64,
  ops.OP_LOAD32,
  ops.OP_STORE64,
  ops.OP_STORE32,
  ops.OP_EXCHANGE64,
  ops.OP_EXCHANGE32,
  ops.OP_COMPARE64,
  ops.OP_COMPARE32,
  ops.OP_FETCH_ADD64,
  ops.OP_FETCH_ADD32,
  ops.OP_FETCH_AND64,
  ops.OP_FETCH_OR64,
  ops.OP_AWAIT64,
  ops.OP_AWAIT32,
  ops.OP_SPIN_LOCK,
  ops.OP_SPIN_UNLOCK,
  ops.OP_SPIN_TRYLOCK,
  ops.OP_READ_LOCK,
  ops.OP_READ_UNLOCK,
  ops.OP_WRITE_LOCK,
  ops.OP_WRITE_UNLOCK,
  ops.OP_DOWNGRADE,
  ops.OP_USER_LOAD,
  ops.OP_USER_STORE,
  ops.OP_USER_EXCHANGE,
  ops.OP_USER_FENCE,
  ops.OP_ATOMIC,
  ops.OP_PAUSE,
  ops.OP_CHOOSE,
]);

/** All interleavings, each access a step. */
export function interleave(program: LitmusProgram): Interleavings {
  return new Interleaver(program).run();
}

/**
 * As the explorer counts: accesses to what one CPU alone touches, or nobody writes, are no steps of their own. What that is takes a first run to
 * find out.
 */
export function interleaveShared(program: LitmusProgram): Interleavings {
  const first = new Interleaver(program);
  first.run();
  const circled = new Set<number>();
  for (;;) {
    try {
      return new Interleaver(program, first.shared(circled)).run();
    } catch (error) {
      if (!(error instanceof Circle)) throw error;
      circled.add(error.symbol);
    }
  }
}

/** A CPU waits in a loop of its own for what nobody else writes. */
class Circle extends Error {
  readonly symbol: number;

  constructor(symbol: number) {
    super();
    this.symbol = symbol;
  }
}

const LONGEST = 100;

class Interleaver {
  readonly #program: LitmusProgram;
  /** Words and locks, by symbol, an access to which is a step; all of them without it. */
  readonly #steps: ReadonlySet<number> | undefined;
  readonly #readers = new Map<number, Set<number>>();
  readonly #writers = new Map<number, Set<number>>();
  readonly #awaited = new Set<number>();
  /** By the access that they are joined to. */
  readonly #joins = new Map<number, Set<number>>();
  #head: number | undefined;
  readonly #outcomes = new Set<string>();
  readonly #violated = new Set<number>();
  readonly #executions = new Map<string, number>();
  #deadlock = false;

  constructor(program: LitmusProgram, steps?: ReadonlySet<number>) {
    this.#program = program;
    this.#steps = steps;
  }

  run(): Interleavings {
    const { cpus, symbols } = this.#program;
    const initial: State = {
      cpus: cpus.map(() => ({
        pc: 0,
        done: false,
        registers: Array<bigint>(ops.REGISTERS).fill(0n),
        waits: undefined,
        seen: 0n,
        held: Array<undefined>(8).fill(undefined),
        buffer: [],
      })),
      words: symbols.map((symbol) => this.#valueAtStart(symbol)),
      spins: symbols.map(() => 0),
      rws: symbols.map(() => ({
        readers: 0,
        waitingReaders: 0,
        waitingWriters: 0,
        admitted: 0,
        writer: false,
      })),
    };
    for (let cpu = 0; cpu < initial.cpus.length; cpu++) this.#runOn(initial, cpu);
    const executions = this.#explore(initial);
    return {
      outcomes: [...this.#outcomes].sort(),
      violated: [...this.#violated].sort((a, b) => a - b),
      deadlock: this.#deadlock,
      states: this.#executions.size,
      executions,
    };
  }

  /**
   * Symbols that several CPUs touch, one of them writing, or that some CPU waits at, in a loop (`circled`) too; and those whose access is
   * joined by one to such a symbol.
   */
  shared(circled: ReadonlySet<number>): Set<number> {
    const set = new Set([...this.#awaited, ...circled]);
    for (const [symbol, writers] of this.#writers) {
      const all = new Set([...writers, ...(this.#readers.get(symbol) ?? [])]);
      if (all.size > 1) set.add(symbol);
    }
    for (let known = -1; known !== set.size; ) {
      known = set.size;
      for (const [head, symbols] of this.#joins) {
        if ([...symbols].some((symbol) => set.has(symbol))) set.add(head);
      }
    }
    return set;
  }

  /** Executions from `state` to an end. */
  #explore(state: State): number {
    const key = keyOf(state);
    const known = this.#executions.get(key);
    if (known !== undefined) return known;
    // Met again while it is being explored: a circle.
    this.#executions.set(key, Number.POSITIVE_INFINITY);
    const moves = state.cpus.flatMap((_, cpu) => this.#movesOf(state, cpu));
    let executions = 0;
    if (moves.length === 0) {
      executions = 1;
      if (state.cpus.every(({ done }) => done)) this.#outcomes.add(this.#outcomeOf(state));
      else this.#deadlock = true;
    }
    for (const move of moves) executions += this.#explore(this.#after(state, move));
    this.#executions.set(key, executions);
    return executions;
  }

  #movesOf(state: State, cpu: number): Move[] {
    const { done, pc, waits, seen, buffer } = state.cpus[cpu] as Cpu;
    const moves: Move[] = buffer.length > 0 ? [{ cpu, alternative: 'drain' }] : [];
    if (done) return moves;
    const { op, c = 0, immediate = 0n } = this.#codeOf(cpu)[pc] as Instruction;
    if (op === ops.OP_CHOOSE) {
      for (let alternative = 0; alternative < Number(immediate); alternative++) moves.push({ cpu, alternative });
      return moves;
    }
    const lock = state.rws[c] as RwLock;
    const taken = op === ops.OP_SPIN_LOCK && state.spins[c] !== 0;
    if (taken) this.#awaited.add(c);
    const blocked =
      taken ||
      (buffer.length > 0 && drains(op)) ||
      (waits === 'change' && this.#read(state, cpu, c, op === ops.OP_AWAIT32) === seen) ||
      (waits === 'reader' && (lock.writer || (lock.waitingWriters > 0 && lock.admitted === 0))) ||
      (waits === 'writer' && (lock.writer || lock.readers > 0 || lock.admitted > 0));
    if (!blocked) moves.push({ cpu, alternative: 0 });
    return moves;
  }

  #after(before: State, { cpu, alternative }: Move): State {
    const state = copyOf(before);
    const me = state.cpus[cpu] as Cpu;
    if (alternative === 'drain') {
      const { word, value } = me.buffer.shift() as Cpu['buffer'][number];
      state.words[word] = value;
      return state;
    }
    const instruction = this.#codeOf(cpu)[me.pc] as Instruction;
    const { op, d = 0 } = instruction;
    if (op === ops.OP_CHOOSE) {
      me.registers[d] = BigInt(alternative);
      me.pc++;
    } else if (op === ops.OP_ATOMIC) {
      me.pc++;
      this.#runBlock(state, cpu);
    } else this.#access(state, cpu, instruction);
    this.#runOn(state, cpu);
    return state;
  }

  /** Goes on to the next step: over registers, jumps, and accesses that are no steps. */
  #runOn(state: State, cpu: number): void {
    const me = state.cpus[cpu] as Cpu;
    for (let n = 0; ; n++) {
      const instruction = this.#codeOf(cpu)[me.pc] as Instruction;
      const { op, c = 0 } = instruction;
      if (op === ops.OP_HALT) {
        me.done = true;
        if (me.held.some((lock) => lock !== undefined)) this.#violated.add(ops.INVARIANT_LOCKS);
        return;
      }
      if (op === ops.OP_JOINED) {
        me.pc++;
        const head = this.#head as number;
        this.#runBlock(state, cpu, (symbol) => note(this.#joins, head, symbol));
      } else if (!STEPS.has(op)) this.#compute(me, instruction);
      else if (op === ops.OP_ATOMIC || op === ops.OP_PAUSE || op === ops.OP_CHOOSE) return;
      else if (this.#steps === undefined || this.#steps.has(c)) return;
      else if (n > LONGEST) throw new Circle(c);
      else this.#access(state, cpu, instruction);
    }
  }

  /** Up to the end of an atomic block. */
  #runBlock(state: State, cpu: number, tell: (symbol: number) => void = () => {}): void {
    const me = state.cpus[cpu] as Cpu;
    for (;;) {
      const instruction = this.#codeOf(cpu)[me.pc] as Instruction;
      if (instruction.op === ops.OP_JOINED_END) break;
      if (STEPS.has(instruction.op)) {
        tell(instruction.c ?? 0);
        this.#access(state, cpu, instruction);
      } else this.#compute(me, instruction);
    }
    me.pc++;
  }

  #compute(me: Cpu, { op, d = 0, a = 0, b = 0, c = 0, immediate = 0n }: Instruction): void {
    const [x, y] = [me.registers[a] as bigint, me.registers[b] as bigint];
    me.pc++;
    const set = (value: bigint | boolean) => {
      me.registers[d] = BigInt.asUintN(64, BigInt(value));
    };
    if (op === ops.OP_JUMP) me.pc = c;
    else if (op === ops.OP_IF_ZERO) me.pc = x === 0n ? c : me.pc;
    else if (op === ops.OP_IF_NOT) me.pc = x !== 0n ? c : me.pc;
    else if (op === ops.OP_ASSERT) {
      if (x === 0n) this.#violated.add(c);
    } else if (op === ops.OP_SET) set(immediate);
    else if (op === ops.OP_SYMBOL) set(BigInt(c));
    else if (op === ops.OP_MOVE) set(x);
    else if (op === ops.OP_ADD) set(x + y);
    else if (op === ops.OP_EQ) set(x === y);
    else if (op === ops.OP_NE) set(x !== y);
    else if (op === ops.OP_NOT) set(x === 0n);
    else throw new Error(`operation 0x${op.toString(16)} is not of the dull machine`);
  }

  /** A step on a word, a lock or a page. */
  #access(state: State, cpu: number, { op, d = 0, a = 0, b = 0, c = 0, immediate = 0n }: Instruction): void {
    const me = state.cpus[cpu] as Cpu;
    const value = me.registers[a] as bigint;
    this.#head = c;
    const narrow = op === ops.OP_LOAD32 || op === ops.OP_AWAIT32;
    const set = (result: bigint) => {
      me.registers[d] = result;
    };
    if (op === ops.OP_PAUSE) me.pc++;
    else if (op === ops.OP_LOAD64 || op === ops.OP_LOAD32) {
      set(this.#read(state, cpu, c, narrow));
      me.pc++;
    } else if (op === ops.OP_AWAIT64 || op === ops.OP_AWAIT32) {
      const now = this.#read(state, cpu, c, narrow);
      const good = (now & (me.registers[Number(immediate)] as bigint)) === value;
      if (!good) this.#awaited.add(c);
      me.waits = good ? undefined : 'change';
      me.seen = good ? 0n : now;
      if (good) me.pc++;
    } else if (op >= ops.OP_SPIN_LOCK && op <= ops.OP_DOWNGRADE) this.#lock(state, cpu, op, d, c);
    else if (op === ops.OP_USER_LOAD) {
      const page = this.#pageAt(value);
      set(youngestIn(me.buffer, page) ?? this.#read(state, cpu, page, false));
      me.pc++;
    } else if (op === ops.OP_USER_STORE) {
      const store = { word: this.#pageAt(value), value: me.registers[b] as bigint };
      if (this.#program.world.memory === 'tso') me.buffer.push(store);
      else this.#write(state, cpu, store.word, store.value, false);
      me.pc++;
    } else if (op === ops.OP_USER_EXCHANGE) {
      const page = this.#pageAt(value);
      set(this.#read(state, cpu, page, false));
      this.#write(state, cpu, page, me.registers[b] as bigint, false);
      me.pc++;
    } else if (op === ops.OP_USER_FENCE) me.pc++;
    else {
      this.#update(state, cpu, { op, d, c, a, immediate });
      me.pc++;
    }
  }

  #update(state: State, cpu: number, { op, d = 0, a = 0, c = 0, immediate = 0n }: Instruction): void {
    const me = state.cpus[cpu] as Cpu;
    const value = me.registers[a] as bigint;
    const narrow =
      op === ops.OP_STORE32 || op === ops.OP_EXCHANGE32 || op === ops.OP_COMPARE32 || op === ops.OP_FETCH_ADD32;
    const old = this.#read(state, cpu, c, narrow);
    let now = value;
    if (op === ops.OP_FETCH_ADD64 || op === ops.OP_FETCH_ADD32) now = old + value;
    else if (op === ops.OP_FETCH_AND64) now = old & value;
    else if (op === ops.OP_FETCH_OR64) now = old | value;
    else if (op === ops.OP_COMPARE64 || op === ops.OP_COMPARE32) {
      const expected = me.registers[Number(immediate)] as bigint;
      now = old === (narrow ? expected & MASK32 : expected) ? value : old;
    }
    this.#write(state, cpu, c, now, narrow);
    if (op !== ops.OP_STORE64 && op !== ops.OP_STORE32) me.registers[d] = old;
  }

  #lock(state: State, cpu: number, op: number, d: number, c: number): void {
    const me = state.cpus[cpu] as Cpu;
    const lock = state.rws[c] as RwLock;
    note(this.#writers, c, cpu);
    const queued = me.waits;
    if (queued === undefined && (op === ops.OP_SPIN_LOCK || op === ops.OP_READ_LOCK || op === ops.OP_WRITE_LOCK))
      hold(me, c);
    me.waits = undefined;
    if (op === ops.OP_SPIN_LOCK) state.spins[c] = cpu + 1;
    else if (op === ops.OP_SPIN_UNLOCK) {
      state.spins[c] = 0;
      letGo(me, c);
    } else if (op === ops.OP_SPIN_TRYLOCK) {
      const free = state.spins[c] === 0;
      if (free) {
        state.spins[c] = cpu + 1;
        hold(me, c);
      }
      me.registers[d] = free ? 1n : 0n;
    } else if (op === ops.OP_READ_LOCK) {
      if (queued === 'reader') {
        lock.waitingReaders--;
        lock.readers++;
        if (lock.admitted > 0) lock.admitted--;
      } else if (!lock.writer && lock.waitingWriters === 0) lock.readers++;
      else {
        lock.waitingReaders++;
        me.waits = 'reader';
      }
    } else if (op === ops.OP_WRITE_LOCK) {
      if (queued === 'writer') {
        lock.waitingWriters--;
        lock.writer = true;
      } else if (Object.values(lock).every((field) => !field)) lock.writer = true;
      else {
        lock.waitingWriters++;
        me.waits = 'writer';
      }
    } else if (op === ops.OP_READ_UNLOCK) {
      lock.readers--;
      letGo(me, c);
    } else {
      lock.writer = false;
      lock.admitted = lock.waitingReaders;
      if (op === ops.OP_DOWNGRADE) lock.readers++;
      else letGo(me, c);
    }
    if (me.waits === undefined) me.pc++;
    else this.#awaited.add(c);
  }

  #read(state: State, cpu: number, symbol: number, narrow: boolean): bigint {
    note(this.#readers, symbol, cpu);
    const word = state.words[symbol] as bigint;
    return narrow ? word & MASK32 : word;
  }

  #write(state: State, cpu: number, symbol: number, value: bigint, narrow: boolean): void {
    note(this.#writers, symbol, cpu);
    const old = state.words[symbol] as bigint;
    state.words[symbol] = narrow ? (old & ~MASK32) | (value & MASK32) : BigInt.asUintN(64, value);
  }

  #pageAt(symbol: bigint): number {
    const page = this.#program.symbols[Number(symbol)];
    if (page?.of !== 'page' || page.field !== 'va') throw new Error('a user access needs the address of a page');
    return Number(symbol);
  }

  #valueAtStart(symbol: LitmusProgram['symbols'][number]): bigint {
    const { words, pages, frames } = this.#program.world;
    if (symbol.of === 'word') return words.find(({ name }) => name === symbol.name)?.value ?? 0n;
    if (symbol.of !== 'page') return 0n;
    const page = pages.find(({ name }) => name === symbol.name);
    const frame = page?.entry.kind === 'mapped' ? page.entry.frame : undefined;
    return frames.find(({ name }) => name === frame)?.value ?? 0n;
  }

  #codeOf(cpu: number): readonly Instruction[] {
    return this.#program.cpus[cpu]?.code ?? [];
  }

  #outcomeOf(state: State): string {
    return this.#program.observed
      .map((what) => {
        if (what.of === 'register') return `${what.name}=${state.cpus[what.cpu]?.registers[what.register]}`;
        return `${what.name}=${state.words[this.#wordOf(what.symbol)]}`;
      })
      .join(' ');
  }

  /** A frame's word is that of the page that maps it. */
  #wordOf(symbol: number): number {
    const { symbols, world } = this.#program;
    const what = symbols[symbol];
    if (what?.of !== 'frame') return symbol;
    const page = world.pages.find(({ entry }) => entry.kind === 'mapped' && entry.frame === what.name);
    return symbols.findIndex((each) => each.of === 'page' && each.name === page?.name && each.field === 'va');
  }
}

/** With store buffers: locked instructions, fences, and all that the kernel does but loads wait until the own buffer is empty. */
function drains(op: number): boolean {
  if (op === ops.OP_USER_EXCHANGE || op === ops.OP_USER_FENCE || op === ops.OP_ATOMIC) return true;
  if (op === ops.OP_LOAD64 || op === ops.OP_LOAD32 || op === ops.OP_AWAIT64 || op === ops.OP_AWAIT32) return false;
  return op >= ops.OP_STORE64 && op <= ops.OP_DOWNGRADE;
}

/** The value that the own buffer holds for a word, the youngest of several. */
function youngestIn(buffer: Cpu['buffer'], word: number): bigint | undefined {
  return buffer.reduce<bigint | undefined>((found, store) => (store.word === word ? store.value : found), undefined);
}

function note(sets: Map<number, Set<number>>, symbol: number, cpu: number): void {
  const set = sets.get(symbol);
  if (set === undefined) sets.set(symbol, new Set([cpu]));
  else set.add(cpu);
}

function hold(me: Cpu, lock: number): void {
  me.held[me.held.indexOf(undefined)] = lock;
}

function letGo(me: Cpu, lock: number): void {
  me.held[me.held.indexOf(lock)] = undefined;
}

function copyOf({ cpus, words, spins, rws }: State): State {
  return {
    cpus: cpus.map((cpu) => ({
      ...cpu,
      registers: [...cpu.registers],
      held: [...cpu.held],
      buffer: [...cpu.buffer],
    })),
    words: [...words],
    spins: [...spins],
    rws: rws.map((lock) => ({ ...lock })),
  };
}

function keyOf(state: State): string {
  return JSON.stringify(state, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : (value ?? null)));
}
