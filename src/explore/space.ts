// The state space of a litmus program: states as short vectors of small numbers, and the steps between them.
//
// Guarantees: two states have equal vectors exactly if the machine goes on from them alike. A vector has the local state of each CPU, by
// number (everything that is this CPU's alone: registers, stack, TLB), then the value of each shared granule, by number, 0 being what
// it was at the start; so a granule that is met later is 0 in all vectors made before. `step` is exact: the first time that a CPU in
// some local state reads some values the machine runs, and what it did is remembered; every other time it is looked up.
//
// That is the collapse compression of SPIN (Holzmann, "State Compression in SPIN", 1997) put to a second use: the machine is the
// shipped code, and it is run once for each local situation, not once for each state.

import {
  POINT_CHANGE,
  POINT_CHANGE_WIDE,
  POINT_EMPTY,
  POINT_FILLED,
  POINT_LOCK,
  POINT_READ_LOCK,
  POINT_WRITE_LOCK,
} from '../../assembly/layout.ts';
import { type Machine, POINT_CHOICE, Restart, type Step } from './machine.ts';
import type { Symmetry } from './symmetry.ts';

/** Most shared granules; a scenario with more is told so. */
export const MOST_SLOTS = 128;
/** Words of a set of cells: a bit for each of the two words of each slot. */
export const CELL_WORDS = MOST_SLOTS / 16;

/** A CPU between two steps. */
export interface Local {
  readonly number: number;
  readonly cpu: number;
  readonly done: boolean;
  /** POINT_* of the step to come. */
  readonly kind: number;
  /** Slot of its access; -1 for choices and atomic blocks. */
  readonly slot: number;
  /** Word of the granule, 0 or 1. */
  readonly half: number;
  readonly choices: number;
  /** Of a CPU that waits for a change: the value that did not do; the word, or for 64 bits the number of the slot's value. */
  readonly seen: number;
  /** Place of the instruction that it makes. */
  readonly place: number;
  /** How the step accesses its slot: as `Step.how`. */
  readonly how: number;
  readonly content: Uint32Array;
  /** What was learnt of its step. */
  readonly root: Node;
}

/** What a step depends on: a slot to look at, and by its value where to go on. Slot -1: a choice; -2: nothing. */
class Node {
  slot = UNKNOWN;
  readonly next: (Node | undefined)[] = [];
  /** At the end of the way. */
  effect: Effect | undefined = undefined;
}

const UNKNOWN = -3;

/** What a step did. */
export interface Effect {
  readonly local: number;
  readonly slots: readonly number[];
  readonly values: readonly number[];
  /** Invariants violated, a bit each. */
  readonly fails: number;
  /** Scheduling points it passed, those at private words too. */
  readonly points: number;
  /** All shared slots it touched; the first is that of its access, if it has one. */
  readonly touched: readonly number[];
  /** Of each, how: as `Step.how`. */
  readonly how: readonly number[];
  /** The same as bits: CELL_WORDS words of the cells that mattered, then CELL_WORDS of those that changed. */
  readonly bits: Uint32Array;
  /** Does futures.ts know it? */
  noted: boolean;
}

export class StateSpace {
  readonly machine: Machine;
  /** CPUs; the local state of CPU n is at n in a vector, slot m at `cpus` + m. */
  readonly cpus: number;
  readonly width: number;
  readonly locals: Local[] = [];
  readonly #byHash = new Map<number, Local[]>();
  /** Of each slot: its granule, and the values it was seen to have. */
  readonly granules: number[] = [];
  readonly #slotOf = new Map<number, number>();
  readonly #values: (readonly number[])[][] = [];
  readonly #valueOf: Map<string, number>[] = [];
  readonly #mayRun = new Map<string, boolean>();
  /** The CPUs that never end (`CpuProgram.drains`), a bit each. */
  readonly endless: number;
  /** What is in memory: numbers of values by slot, local states by CPU. */
  readonly #memory: number[] = [];
  readonly #loaded: number[] = [];
  /** Of each CPU, how many scheduling points it passes before its first step. */
  readonly begun: number[] = [];
  /** Is told of each step that is learnt. */
  symmetry: Symmetry | undefined;
  /** How often the machine ran. */
  runs = 0;
  /** Invariants that programs violate before their first step, a bit each. */
  failsAtOnce = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    this.cpus = machine.cpus.length;
    this.width = this.cpus + MOST_SLOTS;
    this.endless = machine.cpus.reduce(
      (set, { program }, c) => (program.drains === undefined ? set : set | (1 << c)),
      0,
    );
  }

  /** The state in which all CPUs stand before their first step. @throws Restart */
  initial(): Uint32Array {
    const state = new Uint32Array(this.width);
    for (let c = 0; c < this.cpus; c++) {
      this.#loaded[c] = -1;
      const step = this.machine.begin(c);
      if (step.granules.length > 0) throw new Error('a program accesses shared words before its first step');
      this.failsAtOnce |= step.fails;
      this.begun[c] = step.points;
      state[c] = this.#intern(c, step).number;
    }
    return state;
  }

  /** May CPU `c` make its step in `state`? The last one that runs `afterwards` waits for all others. */
  runnable(state: Uint32Array, at: number, c: number): boolean {
    const local = this.locals[state[at + c] as number] as Local;
    if (local.done) return false;
    const { kind, slot } = local;
    if (kind < POINT_LOCK || slot < 0) return true;
    return this.admits(kind, slot, state[at + this.cpus + slot] as number, local.half, local.seen);
  }

  /** Does a value of a slot let go on who stands at a point of this kind, of word `half`, and has `seen` what did not do? */
  admits(kind: number, slot: number, value: number, half: number, seen: number): boolean {
    if (kind === POINT_LOCK || kind === POINT_EMPTY) return this.#word(slot, value, half) === 0;
    if (kind === POINT_FILLED) return this.#word(slot, value, half) !== 0;
    if (kind === POINT_CHANGE) return this.#word(slot, value, half) !== seen;
    if (kind === POINT_CHANGE_WIDE) return value !== seen;
    if (kind === POINT_READ_LOCK || kind === POINT_WRITE_LOCK) return this.#lockMayRun(slot, value, half, kind);
    return true;
  }

  /** What the step of CPU `c` does in the state at `at`. @throws Restart */
  step(state: Uint32Array, at: number, c: number, choice: number): Effect {
    const local = this.locals[state[at + c] as number] as Local;
    let node: Node | undefined = local.root;
    while (node.effect === undefined) {
      const { slot } = node as Node;
      node = node.next[slot >= 0 ? (state[at + this.cpus + slot] as number) : slot === -1 ? choice : 0];
      if (node === undefined) return this.#learn(state, at, local, choice);
    }
    return node.effect;
  }

  /** Applies `effect` of CPU `c` to the vector at `to`, which is a copy of the state it was made in. */
  apply(state: Uint32Array, to: number, c: number, effect: Effect): void {
    state[to + c] = effect.local;
    const { slots, values } = effect;
    for (let n = 0; n < slots.length; n++) state[to + this.cpus + (slots[n] as number)] = values[n] as number;
  }

  /** Puts a state into the machine's memory, to be looked at. */
  load(state: Uint32Array, at: number): void {
    for (let slot = 0; slot < this.granules.length; slot++) this.#store(slot, state[at + this.cpus + slot] as number);
    for (let c = 0; c < this.cpus; c++) this.#place(c, state[at + c] as number);
  }

  /** The words of a slot's value. */
  words(slot: number, value: number): readonly number[] {
    return this.#values[slot]?.[value] as readonly number[];
  }

  /** Words of a set of cells that may have any. */
  get cellWords(): number {
    return (this.granules.length + 15) >> 4;
  }

  /** Slot of the granule that holds `address`, or -1 if it is no shared one. */
  slotAt(address: number): number {
    return this.#slotOf.get(address >>> 3) ?? -1;
  }

  // ---- learning: the machine runs

  #learn(state: Uint32Array, at: number, local: Local, choice: number): Effect {
    this.load(state, at);
    const c = local.cpu;
    this.runs++;
    const step = this.machine.step(c, choice);
    this.#loaded[c] = -1;
    const touched = step.granules.map((granule) => this.#slot(granule));
    const slots: number[] = [];
    const values: number[] = [];
    for (const [n, slot] of touched.entries()) {
      const value = this.#valueNow(slot);
      this.#memory[slot] = value;
      if (!step.written[n] || value === state[at + this.cpus + slot]) continue;
      slots.push(slot);
      values.push(value);
    }
    const { fails, points } = step;
    const how = step.how.slice();
    const to = this.#intern(c, step).number;
    const bits = bitsOf(touched, how);
    const effect: Effect = { local: to, slots, values, fails, points, touched, how, bits, noted: false };
    // The way to it: the choice if there is one, then each slot in order of touch.
    let node = local.root;
    const way = local.kind === POINT_CHOICE ? [-1, ...touched] : touched.slice();
    if (way.length === 0) way.push(-2);
    for (const [n, slot] of way.entries()) {
      if (node.slot === UNKNOWN) node.slot = slot;
      if (node.slot !== slot)
        throw new Error('a step is not determined by what it read: a shared word is accessed past its point');
      const value = slot >= 0 ? (state[at + this.cpus + slot] as number) : slot === -1 ? choice : 0;
      let next: Node | undefined = node.next[value];
      if (next?.effect !== undefined || (n === way.length - 1 && next !== undefined))
        throw new Error('a step is not determined by what it read: a shared word is accessed past its point');
      if (next === undefined) {
        next = new Node();
        node.next[value] = next;
      }
      node = next;
    }
    node.effect = effect;
    this.symmetry?.learnt(state, at, c, choice, effect);
    return effect;
  }

  /** The number of a slot's value that has these words. */
  valueOf(slot: number, words: readonly number[]): number {
    const values = this.#valueOf[slot] as Map<string, number>;
    const key = words.join();
    let value = values.get(key);
    if (value === undefined) {
      value = values.size;
      values.set(key, value);
      this.#values[slot]?.push(words);
    }
    return value;
  }

  #slot(granule: number): number {
    const known = this.#slotOf.get(granule);
    if (known !== undefined) return known;
    const slot = this.granules.length;
    if (slot === MOST_SLOTS) throw new RangeError(`the CPUs share more than ${MOST_SLOTS} words of 8 bytes`);
    const initial = this.machine.initially(granule);
    this.granules.push(granule);
    this.#slotOf.set(granule, slot);
    this.#values.push([initial]);
    this.#valueOf.push(new Map([[initial.join(), 0]]));
    this.#memory.push(0);
    return slot;
  }

  #valueNow(slot: number): number {
    const { u32 } = this.machine;
    return this.valueOf(
      slot,
      this.machine.wordsOf(this.granules[slot] as number).map((word) => u32[word] as number),
    );
  }

  #seenNow(kind: number, slot: number, half: number): number {
    const value = this.#valueNow(slot);
    return kind === POINT_CHANGE ? this.#word(slot, value, half) : value;
  }

  #store(slot: number, value: number): void {
    if (this.#memory[slot] === value) return;
    this.#memory[slot] = value;
    const words = this.#values[slot]?.[value] as readonly number[];
    const places = this.machine.wordsOf(this.granules[slot] as number);
    for (let n = 0; n < places.length; n++) this.machine.u32[places[n] as number] = words[n] as number;
  }

  #word(slot: number, value: number, half: number): number {
    return this.#values[slot]?.[value]?.[half] as number;
  }

  #lockMayRun(slot: number, value: number, half: number, kind: number): boolean {
    const key = `${slot},${value},${kind}`;
    let may = this.#mayRun.get(key);
    if (may === undefined) {
      may = this.machine.core.lockMayRun(this.#word(slot, value, half), kind) !== 0;
      this.#mayRun.set(key, may);
    }
    return may;
  }

  // ---- local states

  /** The local state that CPU `c` is in now, in memory. */
  #intern(c: number, { pending }: Step): Local {
    const content = this.#content(c);
    const hash = hashOf(content, c);
    const bucket = this.#byHash.get(hash);
    const { kind } = pending;
    const slot = pending.granule < 0 ? -1 : this.#slot(pending.granule);
    const half = pending.offset >> 2;
    const seen = kind === POINT_CHANGE || kind === POINT_CHANGE_WIDE ? this.#seenNow(kind, slot, half) : 0;
    // The stack need not tell what a CPU waits for: the value that did not do is dead once it was compared.
    const known = bucket?.find(
      (local) => local.cpu === c && local.kind === kind && local.seen === seen && sameContent(local.content, content),
    );
    this.#loaded[c] = -1;
    if (known !== undefined) {
      this.#loaded[c] = known.number;
      return known;
    }
    const local: Local = {
      number: this.locals.length,
      cpu: c,
      done: kind === 0,
      kind,
      slot,
      half,
      choices: pending.choices,
      seen,
      place: content[0] as number,
      how: pending.how,
      content,
      root: new Node(),
    };
    this.locals.push(local);
    if (bucket === undefined) this.#byHash.set(hash, [local]);
    else bucket.push(local);
    this.#loaded[c] = local.number;
    return local;
  }

  /** What is in memory of CPU `c`: its ranges, the used part of its stack with its length, its granules; zeros at the end left out. */
  #content(c: number): Uint32Array {
    const { ranges, stack } = this.machine.cpus[c] as { ranges: readonly (readonly [number, number])[]; stack: number };
    const { machine } = this;
    const { u32, owned } = machine;
    const base = stack >> 2;
    const top = Math.max(base + 2, (u32[base] as number) >> 2);
    const used = this.machine.u32[base] === 0 ? 0 : top - base - 2;
    let size = used + 1;
    for (const granule of owned[c] as number[]) size += machine.wordsOf(granule).length;
    for (const [first, end] of ranges) size += end - first;
    const content = new Uint32Array(size);
    let at = 0;
    for (const [first, end] of ranges) for (let w = first; w < end; w++) content[at++] = u32[w] as number;
    content[at++] = used;
    for (let n = 0; n < used; n++) content[at++] = u32[base + 2 + n] as number;
    // Differences from the start, so that a granule found later is 0 in what was seen before.
    for (const granule of owned[c] as number[]) {
      const initial = machine.initially(granule);
      const words = machine.wordsOf(granule);
      for (let n = 0; n < words.length; n++)
        content[at++] = (u32[words[n] as number] as number) ^ (initial[n] as number);
    }
    let end = at;
    while (end > 0 && content[end - 1] === 0) end--;
    return content.slice(0, end);
  }

  /** Puts local state `number` of CPU `c` into memory. */
  #place(c: number, number: number): void {
    if (this.#loaded[c] === number) return;
    this.#loaded[c] = number;
    const { content } = this.locals[number] as Local;
    const { ranges, stack } = this.machine.cpus[c] as { ranges: readonly (readonly [number, number])[]; stack: number };
    const { u32, owned } = this.machine;
    let at = 0;
    for (const [first, end] of ranges) for (let w = first; w < end; w++) u32[w] = content[at++] ?? 0;
    const used = content[at++] ?? 0;
    const base = stack >> 2;
    u32[base] = stack + 8 + used * 4;
    for (let n = 0; n < used; n++) u32[base + 2 + n] = content[at++] ?? 0;
    for (const granule of owned[c] as number[]) {
      const initial = this.machine.initially(granule);
      const words = this.machine.wordsOf(granule);
      for (let n = 0; n < words.length; n++) u32[words[n] as number] = (content[at++] ?? 0) ^ (initial[n] as number);
    }
  }
}

/** What `Effect.bits` is. */
export function bitsOf(touched: readonly number[], how: readonly number[]): Uint32Array {
  const bits = new Uint32Array(2 * CELL_WORDS);
  for (const [n, slot] of touched.entries()) addCells(bits, slot, how[n] as number);
  return bits;
}

/** Adds to such a set what is touched of a slot, and how. */
export function addCells(bits: Uint32Array, slot: number, how: number): void {
  const word = slot >> 4;
  const shift = (slot & 15) * 2;
  bits[word] = (bits[word] as number) | ((how & 3) << shift);
  bits[CELL_WORDS + word] = (bits[CELL_WORDS + word] as number) | ((how >> 2) << shift);
}

/** Do two such sets get in each other's way: does one change what matters to the other? The first `words` words of each half have cells. */
export function collide(a: Uint32Array, from: number, b: Uint32Array, at: number, words: number): boolean {
  for (let n = 0; n < words; n++) {
    if (((a[from + n] as number) & (b[at + CELL_WORDS + n] as number)) !== 0) return true;
    if (((a[from + CELL_WORDS + n] as number) & (b[at + n] as number)) !== 0) return true;
  }
  return false;
}

function hashOf(words: Uint32Array, seed: number): number {
  let h = seed + 0x9e3779b9;
  for (let n = 0; n < words.length; n++) {
    h = Math.imul(h ^ (words[n] as number), 0x85ebca6b);
    h ^= h >>> 15;
  }
  return h >>> 0;
}

function sameContent(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return false;
  return true;
}

/** How many alternatives the step to come has. */
export function choicesOf(local: Local): number {
  return local.kind === POINT_CHOICE ? local.choices : 1;
}

export { Restart };
