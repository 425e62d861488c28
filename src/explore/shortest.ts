// The search for a shortest schedule of one violation: best first, by the steps behind and those ahead at least.
//
// Guarantees: the schedule that is found has no more steps (scheduling points, as reports count them) than any other that violates the invariant,
// before it is cleaned, as long as no bound stopped the search
// (Hart, Nilsson and Raphael, "A Formal Basis for the Heuristic Determination of Minimum Cost Paths", 1968). How many steps are ahead
// at least is read off the graph of futures, which each search before has made larger: where this one learns of a shorter
// way, it is made again.
//
// **What is judged when all CPUs have ended**, or none may go on, is looked for with partial-order reduction: executions that are equivalent have the same steps, so
// of the shortest ones too there is one among those that `Futures.choose` leaves. A violation by a step in between has a shortest schedule that
// ends there, and what is equivalent to it after more steps is longer: there every state is met, but those too far from the step.

import type { Futures } from './futures.ts';
import { DEADLOCK, isJudgedAtTheEnd } from './invariants.ts';
import { type Found, fresh, type Limits, type Move, over, type Search, type Watch } from './search.ts';
import { choicesOf, type Local, type StateSpace } from './space.ts';
import { Visited } from './visited.ts';

/** States between two looks at the bounds. */
const TICK = 1 << 10;

/** Judges a state in which all have ended: does it violate the invariant? */
export type Judge = (state: Uint32Array) => boolean;

export class Shortest {
  readonly #space: StateSpace;
  readonly #futures: Futures;
  readonly #search: Search;
  readonly #afterwards: number;

  /** `afterwards`: the CPU that runs when all others have ended, or -1. */
  constructor(space: StateSpace, futures: Futures, search: Search, afterwards: number) {
    this.#space = space;
    this.#futures = futures;
    this.#search = search;
    this.#afterwards = afterwards;
  }

  /** A shortest way from `initial` to a violation of `invariant`; undefined: a bound stopped the search, or it is not violated. */
  find(
    initial: Uint32Array,
    invariant: number,
    judge: Judge,
    limits: Limits,
    watch: Watch,
  ): readonly Move[] | undefined {
    for (;;) {
      const ahead = new Ahead(this.#space, this.#futures, invariant, this.#afterwards);
      this.#futures.begin();
      const { moves, stopped } = this.#once(initial, invariant, ahead, judge, limits, watch);
      if (stopped) return undefined;
      if (!this.#futures.isStale() && !ahead.isStale()) return moves;
    }
  }

  #once(
    initial: Uint32Array,
    invariant: number,
    ahead: Ahead,
    judge: Judge,
    limits: Limits,
    watch: Watch,
  ): { moves: readonly Move[] | undefined; stopped: boolean } {
    const { width, cpus, locals } = this.#space;
    const search = this.#search;
    const visited = new Visited();
    const found: Found = fresh();
    const waiting = new Waiting(width);
    const ways = new Ways();
    let best: readonly Move[] | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    const prints = [0, 0, 0];
    search.print(initial, 0, prints);
    // Beside a state in `visited`: the fewest steps that led to it.
    visited.setNote(visited.add(prints[0] as number, prints[1] as number, prints[2] as number), 0);
    const { state } = waiting;
    const least = ahead.of(initial);
    if (least === Number.POSITIVE_INFINITY) return { moves: undefined, stopped: false };
    waiting.push(least, initial, cpus + this.#space.granules.length, 0, 0, prints);
    const next = new Uint32Array(width);
    for (let looked = 1; waiting.length > 0; looked++) {
      if (looked % TICK === 0) {
        const taken = { size: visited.size, bytes: visited.bytes + waiting.bytes };
        if (over(found, taken, limits, watch) !== undefined) return { moves: undefined, stopped: true };
      }
      const { entry, steps, least } = waiting.pop();
      if (least >= fewest) break;
      const own = waiting.prints;
      if (visited.note(visited.add(own[0] as number, own[1] as number, own[2] as number)) < steps) continue;
      const enabled = search.enabled(state, 0);
      if (enabled === 0) {
        const isFound = search.hasEnded(state, 0)
          ? isJudgedAtTheEnd(invariant) && judge(state)
          : invariant === DEADLOCK;
        if (isFound && steps < fewest) [best, fewest] = [ways.to(entry), steps];
        continue;
      }
      const set = ahead.reduces ? this.#futures.choose(state, 0, enabled, ways.lastCpu(entry)) : enabled;
      // The last one first: what is pushed last is popped first, so of several ways the first CPUs run first.
      for (let left = set, c = 31 - Math.clz32(left); left !== 0; left &= ~(1 << c), c = 31 - Math.clz32(left)) {
        const local = locals[state[c] as number] as Local;
        for (let choice = choicesOf(local) - 1; choice >= 0; choice--) {
          const effect = this.#space.step(state, 0, c, choice);
          this.#futures.noteEffect(local, effect, state, 0);
          found.transitions++;
          const then = steps + effect.points;
          if (invariant < 32 && (effect.fails & (1 << invariant)) !== 0 && then < fewest) {
            best = [...ways.to(entry), { cpu: c, choice }];
            fewest = then;
          }
          const used = cpus + this.#space.granules.length;
          for (let n = 0; n < used; n++) next[n] = state[n] as number;
          this.#space.apply(next, 0, c, effect);
          const estimate = then + ahead.of(next);
          if (estimate >= fewest) continue;
          for (let n = 0; n < 3; n++) prints[n] = own[n] as number;
          search.reprint(state, 0, next, 0, c, effect.slots, prints);
          const place = visited.add(prints[0] as number, prints[1] as number, prints[2] as number);
          if (!visited.added && visited.note(place) <= then) continue;
          visited.setNote(place, then);
          waiting.push(estimate, next, used, ways.add(entry, c, choice), then, prints);
        }
      }
    }
    return { moves: best, stopped: false };
  }
}

/** How many steps are ahead of a state at least, until an invariant is violated. */
class Ahead {
  readonly #space: StateSpace;
  readonly #futures: Futures;
  readonly #afterwards: number;
  readonly #isDeadlock: boolean;
  /** The invariant as a bit, if a step violates it. */
  readonly #fails: number;
  /** By place of a CPU: steps until it has made one that violates the invariant, and until it has ended. */
  readonly #toViolation: readonly number[];
  readonly #toEnd: readonly number[];
  /** Is it violated only where all CPUs but the last one have ended? */
  readonly reduces: boolean;

  constructor(space: StateSpace, futures: Futures, invariant: number, afterwards: number) {
    this.#space = space;
    this.#futures = futures;
    this.#afterwards = afterwards;
    this.#isDeadlock = invariant === DEADLOCK;
    this.#fails = isJudgedAtTheEnd(invariant) ? 0 : 1 << invariant;
    this.#toViolation = futures.pointsTo(this.#fails);
    this.#toEnd = futures.pointsTo(0);
    this.reduces = !futures.mayFail(this.#fails, afterwards);
  }

  /** Of a state; Infinity: nothing leads to a violation. */
  of(state: Uint32Array): number {
    if (this.#isDeadlock) return 0;
    let fewest = Number.POSITIVE_INFINITY;
    let toEnd = 0;
    let last = 0;
    for (let c = 0; c < this.#space.cpus; c++) {
      const place = this.#futures.placeOf(this.#space.locals[state[c] as number] as Local);
      // A place that was not known when the steps were counted may be near.
      const toViolation = this.#fails === 0 ? Number.POSITIVE_INFINITY : (this.#toViolation[place] ?? 0);
      if (c === this.#afterwards) last = this.#fails === 0 ? (this.#toEnd[place] ?? 0) : toViolation;
      else {
        if (toViolation < fewest) fewest = toViolation;
        if ((this.#space.endless & (1 << c)) === 0) toEnd += this.#toEnd[place] ?? 0;
      }
    }
    if (this.#fails !== 0 && this.#afterwards < 0) return fewest;
    return Math.min(fewest, toEnd + last);
  }

  /** Has the graph of futures got a shorter way than was known? */
  isStale(): boolean {
    const differs = (old: readonly number[], now: readonly number[]) =>
      old.some((steps, place) => steps !== now[place]);
    return (
      differs(this.#toViolation, this.#futures.pointsTo(this.#fails)) ||
      differs(this.#toEnd, this.#futures.pointsTo(0)) ||
      (this.reduces && this.#futures.mayFail(this.#fails, this.#afterwards))
    );
  }
}

/** How states were reached: entries, numbered, each one move behind another; 0 is the start. */
class Ways {
  readonly #before = [0];
  readonly #moves = [0];

  add(before: number, cpu: number, choice: number): number {
    this.#before.push(before);
    return this.#moves.push(cpu | (choice << 8)) - 1;
  }

  /** Who made the move to an entry; -1 at the start. */
  lastCpu(entry: number): number {
    return entry === 0 ? -1 : (this.#moves[entry] as number) & 255;
  }

  to(entry: number): readonly Move[] {
    const list: Move[] = [];
    for (let n = entry; n !== 0; n = this.#before[n] as number) {
      const move = this.#moves[n] as number;
      list.push({ cpu: move & 255, choice: move >> 8 });
    }
    return list.reverse();
  }
}

/** Vectors that wait for their turn: first those with the least estimate, of these what came last. */
class Waiting {
  readonly #record: number;
  readonly #stacks: Stack[] = [];
  #least = 0;
  length = 0;
  /** What was popped last: its vector and fingerprint. */
  readonly state: Uint32Array;
  readonly prints = [0, 0, 0];

  constructor(width: number) {
    this.#record = width + BESIDE;
    this.state = new Uint32Array(width);
  }

  get bytes(): number {
    return this.length * this.#record * 4;
  }

  push(least: number, state: Uint32Array, used: number, entry: number, steps: number, prints: readonly number[]): void {
    while (this.#stacks.length <= least) this.#stacks.push(new Stack());
    const { block, at } = (this.#stacks[least] as Stack).push(this.#record);
    block[at] = used;
    block[at + 1] = entry;
    block[at + 2] = steps;
    for (let n = 0; n < 3; n++) block[at + 3 + n] = prints[n] as number;
    for (let n = 0; n < used; n++) block[at + BESIDE + n] = state[n] as number;
    if (least < this.#least) this.#least = least;
    this.length++;
  }

  /** Of what is not empty: the number of its entry, the steps behind it, and the estimate. */
  pop(): { entry: number; steps: number; least: number } {
    while ((this.#stacks[this.#least] as Stack).isEmpty) this.#least++;
    const { block, at } = (this.#stacks[this.#least] as Stack).pop(this.#record);
    for (let n = 0; n < 3; n++) this.prints[n] = (block[at + 3 + n] as number) | 0;
    const used = block[at] as number;
    for (let n = 0; n < used; n++) this.state[n] = block[at + BESIDE + n] as number;
    // Slots that were not met then are 0.
    this.state.fill(0, used);
    this.length--;
    return { entry: block[at + 1] as number, steps: block[at + 2] as number, least: this.#least };
  }
}

const BESIDE = 6;
const BLOCK = 256;

/** Records in blocks that are given up when they are done with. */
class Stack {
  readonly #blocks: Uint32Array[] = [];
  #records = 0;

  get isEmpty(): boolean {
    return this.#records === 0;
  }

  push(record: number): { block: Uint32Array; at: number } {
    const n = this.#records++ % BLOCK;
    if (n === 0) this.#blocks.push(new Uint32Array(BLOCK * record));
    return { block: this.#blocks.at(-1) as Uint32Array, at: n * record };
  }

  pop(record: number): { block: Uint32Array; at: number } {
    const n = --this.#records % BLOCK;
    const block = this.#blocks.at(-1) as Uint32Array;
    if (n === 0) this.#blocks.pop();
    return { block, at: n * record };
  }
}
