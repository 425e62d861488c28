// The search over a state space that finds out what there is: depth first, with partial-order reduction or without.
//
// Guarantees: `depthFirst` meets, of every execution, one that is equivalent (futures.ts), each state once; so each outcome, violation and
// deadlock there is, unless a bound stopped it, which it says. Without reduction it meets every state.
//
// A reduced step may put off a CPU for ever only on a cycle: when it leads back to a state of the path that is being searched, all CPUs
// are run there (the proviso of Peled, "All from One, One for All", 1993).
//
// Sleep sets (Godefroid 1996, chapter 5, with the states that were visited): after a CPU's step was searched, the others' need not be
// followed by it as long as they do not touch what it touches. They save transitions, not states. They are not combined with cycles:
// `depthFirst` says that it met one, and the caller searches without them.

import type { Futures } from './futures.ts';
import { choicesOf, collide, type Effect, type Local, type StateSpace } from './space.ts';
import type { Permutation, Symmetry } from './symmetry.ts';
import { type Fingerprints, Visited } from './visited.ts';

/** One step of a schedule: which CPU, and for a choice of the environment which alternative. */
export interface Move {
  readonly cpu: number;
  readonly choice: number;
}

export interface Limits {
  readonly states: number;
  readonly transitions: number;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  readonly memoryBytes: number;
  /** It may end after so many transitions if what it knew of the futures is stale, for then it is to be made again. */
  readonly trial?: number;
}

export interface Found {
  /** Invariants, a bit each, and where each was violated first: the moves from the start, the violating one included. */
  readonly violations: Map<number, Move[]>;
  /** Where all CPUs that have not ended wait. */
  deadlock: Move[] | undefined;
  /** States in which all have ended: called once for each, with its vector. */
  states: number;
  transitions: number;
  /** Why it ended early, if it did. */
  stopped: 'states' | 'transitions' | 'time' | 'memory' | 'cancelled' | 'sampled' | 'preemptions' | undefined;
  /** Bytes of the set of visited states, and the bound of the probability that it left one out. */
  visitedBytes: number;
  omission: number;
  deepest: number;
  /** A step led back to a state of the path to it. */
  cyclic: boolean;
}

export interface Watch {
  /** Called now and then; true ends the search. */
  readonly tick: (states: number, transitions: number) => boolean;
  readonly ended: (state: Uint32Array, at: number, moves: () => Move[]) => void;
}

/** A few times a second at least, however slow the steps are. */
const TICK = 1 << 9;

export class Search {
  readonly #space: StateSpace;
  readonly #futures: Futures;
  readonly #prints: Fingerprints;
  readonly #afterwards: number;

  /** `afterwards`: the CPU that runs when all others have ended, or -1. */
  constructor(space: StateSpace, futures: Futures, prints: Fingerprints, afterwards: number) {
    this.#space = space;
    this.#futures = futures;
    this.#prints = prints;
    this.#afterwards = afterwards;
  }

  /** CPUs that may make a step, a bit each. */
  enabled(state: Uint32Array, at: number): number {
    let set = 0;
    let ended = true;
    for (let c = 0; c < this.#space.cpus; c++) {
      if (c === this.#afterwards) continue;
      if (!this.#isOver(state, at, c)) ended = false;
      if (this.#space.runnable(state, at, c)) set |= 1 << c;
    }
    if (ended && set === 0 && this.#afterwards >= 0 && this.#space.runnable(state, at, this.#afterwards))
      set = 1 << this.#afterwards;
    return set;
  }

  /** Of a state in which nobody may make a step: is that because all have ended? */
  hasEnded(state: Uint32Array, at: number): boolean {
    for (let c = 0; c < this.#space.cpus; c++) if (!this.#isOver(state, at, c)) return false;
    return true;
  }

  /** Has CPU `c` ended, or is it one that never does? */
  #isOver(state: Uint32Array, at: number, c: number): boolean {
    return (this.#space.locals[state[at + c] as number] as Local).done || (this.#space.endless & (1 << c)) !== 0;
  }

  /** Adds a state to `visited`, where it is another with other numbers beside it. */
  meet(visited: Visited, state: Uint32Array, ...beside: readonly number[]): void {
    const { cpus, width, granules } = this.#space;
    const prints = [0, 0, 0];
    this.print(state, 0, prints);
    for (let slot = cpus; slot < cpus + granules.length; slot++) {
      if (state[slot] !== 0) this.#mix(slot, state[slot] as number, prints);
    }
    for (const [n, number] of beside.entries()) this.#mix(width + n, number, prints);
    visited.add(prints[0] as number, prints[1] as number, prints[2] as number);
  }

  /** `sleep`: with sleep sets; `found.cyclic` then says that the result is none, for the state space has a cycle. */
  depthFirst(initial: Uint32Array, reduce: boolean, sleep: boolean, limits: Limits, watch: Watch): Found {
    const { width, cpus, locals } = this.#space;
    const visited = new Visited();
    const found = fresh();
    const { trial = Number.POSITIVE_INFINITY } = limits;
    this.#futures.begin();
    // A frame of the path: its vector, and in `frames` what is left to run, the CPU and choice that run, the fingerprint, who sleeps.
    let states = new Uint32Array(width * 256);
    let frames = new Int32Array(FRAME * 256);
    states.set(initial);
    let depth = 0;
    const prints = [0, 0, 0];
    this.print(initial, 0, prints);
    const { symmetry } = this.#space;
    // The fingerprint by which a state is known: that of its least image.
    const name = [0, 0, 0];
    let p = this.#nameOf(states, 0, prints, name);
    const root = visited.add(name[0] as number, name[1] as number, name[2] as number);
    visited.setNote(root, ON_PATH);
    this.#open(states, frames, 0, prints, reduce, 0, -1, found, watch);
    this.#place(frames, 0, name, root, visited);

    while (depth >= 0) {
      const frame = depth * FRAME;
      const at = depth * width;
      let c = frames[frame + CPU] as number;
      let choice = (frames[frame + CHOICE] as number) + 1;
      if (c < 0 || choice >= choicesOf(locals[states[at + c] as number] as Local)) {
        if (c >= 0 && sleep) frames[frame + ASLEEP] = (frames[frame + ASLEEP] as number) | (1 << c);
        const left = frames[frame + LEFT] as number;
        if (left === 0) {
          const named = frame + NAME;
          const place =
            frames[frame + MOVED] === visited.moved
              ? (frames[frame + PLACE] as number)
              : visited.add(frames[named] as number, frames[named + 1] as number, frames[named + 2] as number);
          visited.setNote(place, visited.note(place) & ~ON_PATH);
          depth--;
          continue;
        }
        c = 31 - Math.clz32(left & -left);
        choice = 0;
        frames[frame + LEFT] = left & (left - 1);
        frames[frame + CPU] = c;
      }
      frames[frame + CHOICE] = choice;

      const effect = this.#step(states, at, c, choice);
      found.transitions++;
      if (effect.fails !== 0) violatedBy(found, effect.fails, () => this.#moves(frames, depth));
      if ((found.transitions & (TICK - 1)) === 0) {
        found.stopped = over(found, visited, limits, watch);
        if (found.stopped !== undefined) break;
        if (found.transitions >= trial && this.#futures.isStale()) break;
      }

      const to = at + width;
      if (to + width > states.length) {
        states = grow(states);
        frames = growSigned(frames);
      }
      states.copyWithin(to, at, at + cpus + this.#space.granules.length);
      this.#space.apply(states, to, c, effect);
      prints[0] = frames[frame + PRINT] as number;
      prints[1] = frames[frame + PRINT + 1] as number;
      prints[2] = frames[frame + PRINT + 2] as number;
      this.reprint(states, at, states, to, c, effect.slots, prints);
      const asleep = sleep ? this.#stillAsleep(states, at, frames[frame + ASLEEP] as number, effect) : 0;
      p = this.#nameOf(states, to, prints, name);
      const place = visited.add(name[0] as number, name[1] as number, name[2] as number);
      if (visited.added) {
        if (visited.size > limits.states) {
          found.stopped = 'states';
          break;
        }
        visited.setNote(place, (p === 0 ? asleep : (symmetry as Symmetry).set(p, asleep)) | ON_PATH);
        depth++;
        if (depth > found.deepest) found.deepest = depth;
        this.#open(states, frames, depth, prints, reduce, asleep, c, found, watch);
        this.#place(frames, depth, name, place, visited);
        continue;
      }
      const noted = visited.note(place);
      const slept = noted & ~ON_PATH;
      const note = p === 0 ? slept : (symmetry as Symmetry).set((symmetry as Symmetry).inverse(p), slept);
      if ((noted & ON_PATH) !== 0) {
        found.cyclic = true;
        if (sleep) break;
        // Here, all are to be run.
        frames[frame + LEFT] = (frames[frame + LEFT] as number) | (frames[frame + REST] as number);
        frames[frame + REST] = 0;
      } else if ((note & ~asleep) !== 0) {
        // Who slept when the state was searched, and does not now, is run there after all.
        const both = note & asleep;
        visited.setNote(place, (p === 0 ? both : (symmetry as Symmetry).set(p, both)) | ON_PATH);
        depth++;
        this.#reopen(states, frames, depth, prints, reduce, note, asleep, c);
        this.#place(frames, depth, name, place, visited);
      }
    }
    found.states = visited.size;
    found.visitedBytes = visited.bytes;
    found.omission = visited.omission;
    return found;
  }

  #open(
    states: Uint32Array,
    frames: Int32Array,
    depth: number,
    prints: readonly number[],
    reduce: boolean,
    asleep: number,
    last: number,
    found: Found,
    watch: Watch,
  ): void {
    const at = depth * this.#space.width;
    const enabled = this.enabled(states, at);
    if (enabled === 0) {
      if (this.hasEnded(states, at)) watch.ended(states, at, () => this.#moves(frames, depth - 1));
      else found.deadlock ??= this.#moves(frames, depth - 1);
    }
    const set = reduce ? this.#futures.choose(states, at, enabled, last) : enabled;
    this.#enter(frames, depth, prints, set & ~asleep, enabled & ~set & ~asleep, asleep);
  }

  #reopen(
    states: Uint32Array,
    frames: Int32Array,
    depth: number,
    prints: readonly number[],
    reduce: boolean,
    sleptThen: number,
    asleep: number,
    last: number,
  ): void {
    const at = depth * this.#space.width;
    const enabled = this.enabled(states, at);
    const set = reduce ? this.#futures.choose(states, at, enabled, last) : enabled;
    this.#enter(frames, depth, prints, set & sleptThen & ~asleep, 0, sleptThen & asleep);
  }

  #enter(
    frames: Int32Array,
    depth: number,
    prints: readonly number[],
    left: number,
    rest: number,
    asleep: number,
  ): void {
    const frame = depth * FRAME;
    frames[frame + LEFT] = left;
    frames[frame + REST] = rest;
    frames[frame + CPU] = -1;
    frames[frame + CHOICE] = 0;
    frames[frame + PRINT] = prints[0] as number;
    frames[frame + PRINT + 1] = prints[1] as number;
    frames[frame + PRINT + 2] = prints[2] as number;
    frames[frame + ASLEEP] = asleep;
  }

  /** Notes in a frame by what name its state stands where in `visited`. */
  #place(frames: Int32Array, depth: number, name: readonly number[], place: number, visited: Visited): void {
    const frame = depth * FRAME;
    frames[frame + NAME] = name[0] as number;
    frames[frame + NAME + 1] = name[1] as number;
    frames[frame + NAME + 2] = name[2] as number;
    frames[frame + PLACE] = place;
    frames[frame + MOVED] = visited.moved;
  }

  /**
   * Makes `name` the least of the fingerprints of the images of the state at `at`, whose own is `prints`; returns the number of the permutation
   * that makes it so.
   */
  #nameOf(states: Uint32Array, at: number, prints: readonly number[], name: number[]): number {
    name[0] = (prints[0] as number) | 0;
    name[1] = (prints[1] as number) | 0;
    name[2] = (prints[2] as number) | 0;
    const { symmetry, cpus, granules } = this.#space;
    if (symmetry === undefined) return 0;
    let best = 0;
    const image = [0, 0, 0];
    for (let p = 1; p < symmetry.permutations.length; p++) {
      image[0] = image[1] = image[2] = 0;
      const permutation = symmetry.permutations[p] as Permutation;
      for (let c = 0; c < cpus; c++)
        this.#mix(permutation[c] as number, symmetry.local(p, states[at + c] as number), image);
      for (let slot = 0, end = granules.length; slot < end; slot++) {
        const value = states[at + cpus + slot] as number;
        if (value !== 0) this.#mix(cpus + slot, symmetry.value(p, slot, value), image);
      }
      if (!isLess(image, name)) continue;
      best = p;
      name[0] = (image[0] as number) | 0;
      name[1] = (image[1] as number) | 0;
      name[2] = (image[2] as number) | 0;
    }
    return best;
  }

  /** Of the CPUs that sleep in the state at `at` those that go on sleeping behind `effect`: their steps touch nothing that it touches. */
  #stillAsleep(states: Uint32Array, at: number, asleep: number, effect: Effect): number {
    const words = this.#space.cellWords;
    let still = asleep;
    for (let left = asleep; left !== 0; left &= left - 1) {
      const z = 31 - Math.clz32(left & -left);
      const choices = choicesOf(this.#space.locals[states[at + z] as number] as Local);
      for (let choice = 0; choice < choices; choice++) {
        if (collide(effect.bits, 0, this.#step(states, at, z, choice).bits, 0, words)) still &= ~(1 << z);
      }
    }
    return still;
  }

  #step(states: Uint32Array, at: number, c: number, choice: number): Effect {
    const effect = this.#space.step(states, at, c, choice);
    this.#futures.noteEffect(this.#space.locals[states[at + c] as number] as Local, effect, states, at);
    return effect;
  }

  /** The moves of the path from frame 0 to frame `last`. */
  #moves(frames: Int32Array, last: number): Move[] {
    const moves: Move[] = [];
    for (let n = 0; n <= last; n++) {
      const cpu = frames[n * FRAME + CPU] as number;
      if (cpu >= 0) moves.push({ cpu, choice: frames[n * FRAME + CHOICE] as number });
    }
    return moves;
  }

  /** Makes `prints` the fingerprint of the CPUs of the vector at `at`, whose slots are all at their start. */
  print(state: Uint32Array, at: number, prints: number[]): void {
    prints[0] = prints[1] = prints[2] = 0;
    for (let n = 0; n < this.#space.cpus; n++) this.#mix(n, state[at + n] as number, prints);
  }

  /**
   * The fingerprint `prints` of the vector at `from` of `old` becomes that of the one at `to` of `now`, which differs in CPU `c` and in
   * `slots`.
   */
  reprint(
    old: Uint32Array,
    from: number,
    now: Uint32Array,
    to: number,
    c: number,
    slots: readonly number[],
    prints: number[],
  ): void {
    this.#mix(c, old[from + c] as number, prints);
    this.#mix(c, now[to + c] as number, prints);
    const { cpus } = this.#space;
    for (let n = 0; n < slots.length; n++) {
      const slot = cpus + (slots[n] as number);
      // A slot at its start counts as nothing, so that it need not be known before it is met.
      if (old[from + slot] !== 0) this.#mix(slot, old[from + slot] as number, prints);
      if (now[to + slot] !== 0) this.#mix(slot, now[to + slot] as number, prints);
    }
  }

  #mix(component: number, value: number, prints: number[]): void {
    const table = this.#prints.table(component, value);
    const at = value * 3;
    prints[0] = (prints[0] as number) ^ (table[at] as number);
    prints[1] = (prints[1] as number) ^ (table[at + 1] as number);
    prints[2] = (prints[2] as number) ^ (table[at + 2] as number);
  }
}

const FRAME = 13;
const LEFT = 0;
const REST = 1;
const CPU = 2;
const CHOICE = 3;
const PRINT = 4;
const ASLEEP = 7;
/** Where it is in the set of visited states, as long as that has moved so often. */
const PLACE = 8;
const MOVED = 9;
/** The fingerprint by which it is known there. */
const NAME = 10;

/** In the note of a visited state, beside the CPUs that slept when it was searched: it is on the path. */
const ON_PATH = 1 << 31;

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (let n = 0; n < 3; n++) {
    const [x, y] = [(a[n] as number) | 0, (b[n] as number) | 0];
    if (x !== y) return x < y;
  }
  return false;
}

/** Notes invariants, a bit each, as violated at the end of `moves`. */
export function violatedBy(found: Found, fails: number, moves: () => Move[]): void {
  for (let n = 0; n < 32; n++) {
    if ((fails & (1 << n)) !== 0 && !found.violations.has(n)) found.violations.set(n, moves());
  }
}

export function fresh(): Found {
  return {
    violations: new Map(),
    deadlock: undefined,
    states: 0,
    transitions: 0,
    stopped: undefined,
    visitedBytes: 0,
    omission: 0,
    deepest: 0,
    cyclic: false,
  };
}

/** Why the search is to end here, if it is. */
export function over(
  found: Found,
  visited: Pick<Visited, 'size' | 'bytes'>,
  limits: Limits,
  watch: Watch,
): Found['stopped'] {
  if (watch.tick(visited.size, found.transitions)) return 'cancelled';
  if (visited.size > limits.states) return 'states';
  if (found.transitions > limits.transitions) return 'transitions';
  if (visited.bytes > limits.memoryBytes) return 'memory';
  if (Date.now() > limits.deadline) return 'time';
  return undefined;
}

function grow(old: Uint32Array): Uint32Array<ArrayBuffer> {
  const bigger = new Uint32Array(old.length * 2);
  bigger.set(old);
  return bigger;
}

function growSigned(old: Int32Array): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(old.length * 2);
  bigger.set(old);
  return bigger;
}
