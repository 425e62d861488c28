// Which CPUs must be run now, and which may wait: persistent sets from what each CPU may still access.
//
// Guarantees: from each state the CPUs of `choose` reach every outcome, every violation and every deadlock that all CPUs reach, provided
// that no execution accesses what is not in the table of futures. The table begins with what random executions accessed and grows by
// what the search meets; when it grew, the search is made again (`grew`). In the last one it did not grow, and that suffices: take a
// shortest execution that accesses something else. Up to its last step it is as the table says, so the search contains one that is
// equivalent to it, and would have met that access.
//
// Source: Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996, chapter 4 (persistent sets by conflict). What
// a CPU may still access is told by the place of its program: the union over all places that its control flow reaches from there.

import type { CpuProgram } from '../litmus/program.ts';
import { successorsOf } from './flow.ts';
import { choicesOf, type Effect, type Local, MOST_SLOTS, type StateSpace } from './space.ts';

const WORDS = MOST_SLOTS / 32;

/** For each place of a program WORDS words of slots that are read, then WORDS of slots that are written. */
class Future {
  readonly #own: Uint32Array;
  readonly all: Uint32Array;
  readonly #before: readonly (readonly number[])[];

  constructor(program: CpuProgram) {
    const places = program.code.length;
    this.#own = new Uint32Array(2 * WORDS * places);
    this.all = new Uint32Array(2 * WORDS * places);
    this.#before = successorsOf(program).before;
  }

  /** Notes an access; false if it was known. */
  note(place: number, slot: number, writes: boolean): boolean {
    const word = place * 2 * WORDS + (writes ? WORDS : 0) + (slot >> 5);
    const bit = 1 << (slot & 31);
    if (((this.#own[word] as number) & bit) !== 0) return false;
    this.#own[word] = (this.#own[word] as number) | bit;
    this.#spread(place, word - place * 2 * WORDS, bit);
    return true;
  }

  #spread(place: number, offset: number, bit: number): void {
    const queue = [place];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      const word = at * 2 * WORDS + offset;
      if (((this.all[word] as number) & bit) !== 0) continue;
      this.all[word] = (this.all[word] as number) | bit;
      for (const earlier of this.#before[at] ?? []) queue.push(earlier);
    }
  }
}

export class Futures {
  readonly #space: StateSpace;
  readonly #futures: readonly Future[];
  readonly #afterwards: number;
  /** Number of accesses that were noted so far. */
  grew = 0;

  /** `afterwards`: the CPU that waits for all others, -1 for none. */
  constructor(space: StateSpace, afterwards: number) {
    this.#space = space;
    this.#futures = space.machine.cpus.map(({ program }) => new Future(program));
    this.#afterwards = afterwards;
  }

  /** Notes what a CPU is about to access. */
  noteLocal({ cpu, place, slot, writes }: Local): void {
    if (slot >= 0 && (this.#futures[cpu] as Future).note(place, slot, writes)) this.grew++;
  }

  /** Notes what a step accessed that began at `local`. */
  noteEffect({ cpu, place }: Local, { touched, wrote }: Effect): void {
    const future = this.#futures[cpu] as Future;
    for (let n = 0; n < touched.length; n++) {
      if (future.note(place, touched[n] as number, false)) this.grew++;
      if (wrote[n] && future.note(place, touched[n] as number, true)) this.grew++;
    }
  }

  /** Of the CPUs in `enabled` (a bit each) those that suffice in the state at `at`: the fewest that some CPU leads to. */
  choose(state: Uint32Array, at: number, enabled: number): number {
    if ((enabled & (enabled - 1)) === 0) return enabled;
    let best = enabled;
    let fewest = count(enabled);
    for (let left = enabled; left !== 0; left &= left - 1) {
      const set = this.#close(state, at, enabled, left & -left) & enabled;
      const size = count(set);
      if (size >= fewest) continue;
      best = set;
      fewest = size;
      if (size === 1) break;
    }
    return best;
  }

  /** The smallest persistent set around the CPUs `set`: whoever may get in the way of one of them belongs to it. */
  #close(state: Uint32Array, at: number, enabled: number, set: number): number {
    const { cpus, locals } = this.#space;
    let done = 0;
    for (;;) {
      const fresh = set & ~done;
      if (fresh === 0) return set;
      const c = 31 - Math.clz32(fresh & -fresh);
      done |= 1 << c;
      const local = locals[state[at + c] as number] as Local;
      const waits = (enabled & (1 << c)) === 0;
      for (let choice = 0; choice < (waits ? 1 : choicesOf(local)); choice++) {
        const effect = waits ? undefined : this.#effect(state, at, local, choice);
        for (let other = 0; other < cpus; other++) {
          if ((set & (1 << other)) !== 0 || other === this.#afterwards) continue;
          const there = locals[state[at + other] as number] as Local;
          if (there.done) continue;
          if (effect === undefined ? this.#mayEnd(local, there) : this.#conflicts(effect, there)) set |= 1 << other;
        }
      }
    }
  }

  /** The step that CPU `local.cpu` makes here, were it to run now: as long as nobody writes what it touches, it makes the same. */
  #effect(state: Uint32Array, at: number, local: Local, choice: number): Effect {
    const known = this.#space.runs;
    const effect = this.#space.step(state, at, local.cpu, choice);
    if (this.#space.runs !== known) {
      this.noteEffect(local, effect);
      this.noteLocal(this.#space.locals[effect.local] as Local);
    }
    return effect;
  }

  /** May what `other` does from here on get in the way of a step? */
  #conflicts({ touched, wrote }: Effect, other: Local): boolean {
    const future = (this.#futures[other.cpu] as Future).all;
    const base = other.place * 2 * WORDS;
    for (let n = 0; n < touched.length; n++) {
      const word = base + ((touched[n] as number) >> 5);
      const bit = 1 << ((touched[n] as number) & 31);
      if (((future[word + WORDS] as number) & bit) !== 0) return true;
      if (wrote[n] && ((future[word] as number) & bit) !== 0) return true;
    }
    return false;
  }

  /** May what `other` does from here on end the waiting of `local`? */
  #mayEnd({ slot }: Local, other: Local): boolean {
    const future = (this.#futures[other.cpu] as Future).all;
    return ((future[other.place * 2 * WORDS + WORDS + (slot >> 5)] as number) & (1 << (slot & 31))) !== 0;
  }
}

function count(set: number): number {
  let n = 0;
  for (let left = set; left !== 0; left &= left - 1) n++;
  return n;
}
