// Which CPUs must be run now, and which may wait: persistent sets from what each CPU may still access.
//
// Guarantees: from each state the CPUs of `choose` reach every outcome, every violation and every deadlock that all CPUs reach, provided
// that no execution does what is not in the graph of futures. The graph begins with what random executions did and grows by what the search
// meets; when it grew by something that would have changed a set which was used, the search is made again (`isStale`). The last one is right:
// take a shortest execution that does something which is not in the graph at its end. Up to its last step it is as the graph says, so
// the search contains one that is equivalent to it, and would have met that step.
//
// The graph: a node is a place of a program with what the CPU is about to access there, an edge is a step. What a CPU may still access is what
// it accesses at the nodes that it reaches. **What it does not reach while others wait:** a lock that is taken stays taken as long as nobody
// outside of the set can release it; until then nobody outside gets behind a node that waits for it, and who waits for some other
// word that none of them writes does nothing at all. So a step in a critical section is followed alone, however much the others
// would do with the same words once they have the lock.
//
// Source: Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996, chapter 4 (persistent sets by conflict); who is kept
// from running by whom is Valmari's stubborn sets ("Stubborn Sets for Reduced State Space Generation", 1990) with CPUs in place of transitions.

import { POINT_EMPTY, POINT_LOCK, POINT_READ_LOCK, POINT_WRITE_LOCK } from '../../assembly/layout.ts';
import { addCells, CELL_WORDS, choicesOf, collide, type Effect, type Local, type StateSpace } from './space.ts';

/** Of a set: as `Effect.bits`, and a word of locks that are released. */
const RELEASED = 2 * CELL_WORDS;
const SET_WORDS = 2 * CELL_WORDS + 1;

/** More locks than this are taken for words like others. */
const MOST_LOCKS = 30;

/** A way of waiting for a word until it has a value that lets one go on: a lock taken alone, or for reading. */
interface Lock {
  readonly slot: number;
  readonly half: number;
  readonly kind: number;
  /** By value of the slot: does it keep one waiting? */
  readonly keeps: boolean[];
}

class FutureNode {
  /** Position in the order in which nodes were met. */
  readonly number: number;
  readonly cpu: number;
  /** Does a CPU that stands here have ended? */
  readonly ends: boolean;
  /** Invariants that its step violates, a bit each. */
  fails = 0;
  /** The bit of the lock that it waits for, 0: none. */
  readonly lock: number;
  readonly own = new Uint32Array(SET_WORDS);
  readonly next: FutureNode[] = [];
  /** Of each of `next`: the fewest scheduling points passed on the way. */
  readonly points: number[] = [];
  /** What `#setOf` was asked last, and before that. */
  mask = -1;
  set = 0;
  otherMask = -1;
  otherSet = 0;
  /** What was computed of `#setOf`: masks, and where in the pool the sets are. */
  readonly masks: number[] = [];
  readonly sets: number[] = [];
  /** Number of the last search that came here. */
  met = 0;

  constructor(number: number, cpu: number, ends: boolean, lock: number) {
    this.number = number;
    this.cpu = cpu;
    this.ends = ends;
    this.lock = lock;
  }
}

/** What a step made of a slot. */
interface Written {
  readonly node: FutureNode;
  readonly slot: number;
  readonly before: number;
  readonly after: number;
}

export class Futures {
  readonly #space: StateSpace;
  readonly #afterwards: number;
  readonly #nodes = new Map<string, FutureNode>();
  /** By number of the local state. */
  readonly #nodeOf: FutureNode[] = [];
  readonly #locks: Lock[] = [];
  readonly #written: Written[] = [];
  /** Sets that were computed, SET_WORDS words each; the first is empty. */
  #pool = new Uint32Array(SET_WORDS * 64);
  #used = SET_WORDS;
  #met = 0;
  #checked = 0;
  #stale = false;
  readonly #stack: FutureNode[] = [];
  /** Of the state that is looked at: who has not ended, `afterwards` left out, a bit each; and where each stands. */
  #alive = 0;
  readonly #standing: FutureNode[] = [];
  readonly #locals: Local[] = [];
  /** Of each CPU, where in the pool its set is. */
  readonly #reached: Int32Array;
  /** Number of nodes, edges and accesses that were noted so far. */
  grew = 0;

  /** `afterwards`: the CPU that waits for all others, -1 for none. */
  constructor(space: StateSpace, afterwards: number) {
    this.#space = space;
    this.#afterwards = afterwards;
    this.#reached = new Int32Array(space.cpus);
  }

  /** Notes what a CPU is about to access. */
  noteLocal(local: Local): void {
    const { number, cpu, place, done, kind, slot, half, how } = local;
    if (this.#nodeOf[number] !== undefined) return;
    const key = `${cpu} ${place} ${kind} ${slot} ${half}`;
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = new FutureNode(this.#nodes.size, cpu, done, this.#lockOf(kind, slot, half));
      this.#nodes.set(key, node);
      this.grew++;
      if (slot >= 0) this.#note(node, slot, how);
    }
    this.#nodeOf[number] = node;
  }

  /** Notes what a step did that was made at `local` in the state at `at`, and where it led. */
  noteEffect(local: Local, effect: Effect, state: Uint32Array, at: number): void {
    if (effect.noted) return;
    const { touched, how, slots, values, local: to } = effect;
    effect.noted = true;
    this.noteLocal(local);
    this.noteLocal(this.#space.locals[to] as Local);
    const node = this.#nodeOf[local.number] as FutureNode;
    node.fails |= effect.fails;
    for (let n = 0; n < touched.length; n++) this.#note(node, touched[n] as number, how[n] as number);
    for (let n = 0; n < slots.length; n++) {
      const slot = slots[n] as number;
      const before = state[at + this.#space.cpus + slot] as number;
      const written: Written = { node, slot, before, after: values[n] as number };
      this.#written.push(written);
      for (let lock = 0; lock < this.#locks.length; lock++) this.#noteRelease(written, lock);
    }
    const next = this.#nodeOf[to] as FutureNode;
    const known = node.next.indexOf(next);
    if (known >= 0) {
      node.points[known] = Math.min(node.points[known] as number, effect.points);
      return;
    }
    node.next.push(next);
    node.points.push(effect.points);
    this.grew++;
  }

  #note({ own }: FutureNode, slot: number, how: number): void {
    const word = slot >> 4;
    const [matter, change] = [own[word], own[CELL_WORDS + word]];
    addCells(own, slot, how);
    if (own[word] !== matter || own[CELL_WORDS + word] !== change) this.grew++;
  }

  #noteRelease({ node: { own }, slot, before, after }: Written, lock: number): void {
    if ((this.#locks[lock] as Lock).slot !== slot || !this.#keeps(lock, before) || this.#keeps(lock, after)) return;
    const known = own[RELEASED] as number;
    own[RELEASED] = known | (1 << lock);
    if (own[RELEASED] !== known) this.grew++;
  }

  /** The bit of what one waits for at a point of this kind. */
  #lockOf(kind: number, slot: number, half: number): number {
    if (!WAITS.has(kind)) return 0;
    let lock = this.#locks.findIndex((known) => known.slot === slot && known.half === half && known.kind === kind);
    if (lock < 0) {
      if (this.#locks.length === MOST_LOCKS) return 0;
      lock = this.#locks.push({ slot, half, kind, keeps: [] }) - 1;
      for (const written of this.#written) this.#noteRelease(written, lock);
    }
    return 1 << lock;
  }

  #keeps(lock: number, value: number): boolean {
    const { slot, half, kind, keeps } = this.#locks[lock] as Lock;
    keeps[value] ??= !this.#space.admits(kind, slot, value, half, 0);
    return keeps[value];
  }

  /**
   * Of the CPUs in `enabled` (a bit each) those that suffice in the state at `at`: the fewest that some CPU leads to. `last` made the step before,
   * -1 at the start: it is tried first, for who did something alone often goes on alone.
   */
  choose(state: Uint32Array, at: number, enabled: number, last: number): number {
    if ((enabled & (enabled - 1)) === 0) return enabled;
    const mask = this.#maskOf(state, at);
    this.#look(state, at);
    let best = enabled;
    let fewest = count(enabled);
    const first = last < 0 ? 0 : enabled & (1 << last);
    for (let left = enabled; left !== 0; ) {
      const start = first !== 0 && left === enabled ? first : left & -left;
      left &= ~start;
      const set = this.#close(state, at, enabled, start, mask, fewest) & enabled;
      const size = count(set);
      if (size >= fewest) continue;
      best = set;
      fewest = size;
      if (size === 1) break;
    }
    return best;
  }

  #look(state: Uint32Array, at: number): void {
    const { cpus, locals } = this.#space;
    this.#alive = 0;
    for (let c = 0; c < cpus; c++) {
      const local = locals[state[at + c] as number] as Local;
      if (local.done || c === this.#afterwards) continue;
      this.#alive |= 1 << c;
      this.#locals[c] = local;
      this.#standing[c] = this.#nodeOf[local.number] as FutureNode;
    }
  }

  /**
   * The smallest persistent set around the CPUs `start`: whoever may get in the way of one of them belongs to it. Of one in which at least
   * `fewest` may run, only so many that this is clear.
   */
  #close(state: Uint32Array, at: number, enabled: number, start: number, mask: number, fewest: number): number {
    let set = start;
    for (;;) {
      const others = this.#alive & ~set;
      this.#reach(enabled, others, mask);
      let more = 0;
      for (let left = set & this.#alive; left !== 0; left &= left - 1) {
        const c = 31 - Math.clz32(left & -left);
        const local = this.#locals[c] as Local;
        if ((enabled & (1 << c)) === 0) {
          for (let rest = others & ~more; rest !== 0; rest &= rest - 1) {
            const other = 31 - Math.clz32(rest & -rest);
            if (this.#mayEnd(local, this.#reached[other] as number)) more |= 1 << other;
          }
          continue;
        }
        const choices = choicesOf(local);
        for (let choice = 0; choice < choices; choice++) {
          const { bits } = this.#effect(state, at, local, choice);
          for (let rest = others & ~more; rest !== 0; rest &= rest - 1) {
            const other = 31 - Math.clz32(rest & -rest);
            if (this.#conflicts(bits, this.#reached[other] as number)) more |= 1 << other;
          }
        }
      }
      if (more === 0) return set;
      set |= more;
      if (count(set & enabled) >= fewest) return set;
    }
  }

  /** Of each of the CPUs `others`, what it may do before another one makes a step. */
  #reach(enabled: number, others: number, all: number): void {
    let mask = all;
    // Of those that wait now, but for a lock, whom somebody may let go on.
    let thawed = 0;
    for (;;) {
      let waiting = 0;
      let released = 0;
      for (let left = others; left !== 0; left &= left - 1) {
        const c = 31 - Math.clz32(left & -left);
        const node = this.#standing[c] as FutureNode;
        let reached = 0;
        if (((enabled | thawed) & (1 << c)) !== 0 || node.lock !== 0) reached = this.#setOf(node, mask);
        else waiting |= 1 << c;
        released |= this.#pool[reached + RELEASED] as number;
        this.#reached[c] = reached;
      }
      let changed = (mask & released) !== 0;
      mask &= ~released;
      for (let left = waiting; left !== 0; left &= left - 1) {
        const c = 31 - Math.clz32(left & -left);
        const { slot } = this.#locals[c] as Local;
        let ends = false;
        for (let rest = others; rest !== 0 && !ends; rest &= rest - 1)
          ends = this.#writes(this.#reached[31 - Math.clz32(rest & -rest)] as number, slot);
        if (!ends) continue;
        thawed |= 1 << c;
        changed = true;
      }
      if (!changed) return;
    }
  }

  #writes(set: number, slot: number): boolean {
    return ((this.#pool[set + CELL_WORDS + (slot >> 4)] as number) & (3 << ((slot & 15) * 2))) !== 0;
  }

  /** May what is in a set end the waiting of `local`? */
  #mayEnd(local: Local, set: number): boolean {
    const { lock } = this.#nodeOf[local.number] as FutureNode;
    return lock !== 0 ? ((this.#pool[set + RELEASED] as number) & lock) !== 0 : this.#writes(set, local.slot);
  }

  /** Does a step get in the way of what is in a set, or that in its way? */
  #conflicts(bits: Uint32Array, set: number): boolean {
    return set !== 0 && collide(bits, 0, this.#pool, set, this.#space.cellWords);
  }

  /** What is accessed at `from` and behind it, while the locks that have bits in `mask` are taken: where in the pool. */
  #setOf(from: FutureNode, mask: number): number {
    if (from.mask === mask) return from.set;
    // Often it is asked of two masks in turn: of all locks that are taken, and of those that nobody here gives back.
    const { otherMask, otherSet } = from;
    from.otherMask = from.mask;
    from.otherSet = from.set;
    from.mask = mask;
    if (otherMask === mask) {
      from.set = otherSet;
      return otherSet;
    }
    const known = from.masks.indexOf(mask);
    if (known >= 0) {
      from.set = from.sets[known] as number;
      return from.set;
    }
    if (this.#used + SET_WORDS > this.#pool.length) {
      const bigger = new Uint32Array(this.#pool.length * 2);
      bigger.set(this.#pool);
      this.#pool = bigger;
    }
    const set = this.#used;
    this.#used += SET_WORDS;
    this.#collect(from, mask, set);
    from.masks.push(mask);
    from.sets.push(set);
    from.set = set;
    return set;
  }

  #collect(from: FutureNode, mask: number, set: number): void {
    const pool = this.#pool;
    const stack = this.#stack;
    const met = ++this.#met;
    stack.push(from);
    from.met = met;
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if ((node.lock & mask) !== 0) continue;
      for (let n = 0; n < SET_WORDS; n++) pool[set + n] = (pool[set + n] as number) | (node.own[n] as number);
      for (const next of node.next) {
        if (next.met === met) continue;
        next.met = met;
        stack.push(next);
      }
    }
  }

  /** A search begins: what was computed on a smaller graph is forgotten. */
  begin(): void {
    for (const node of this.#nodes.values()) {
      node.mask = node.otherMask = -1;
      node.masks.length = 0;
      node.sets.length = 0;
    }
    this.#pool.fill(0, 0, this.#used);
    this.#used = SET_WORDS;
    this.#checked = this.grew;
    this.#stale = false;
  }

  /** Has the graph grown since the search began, so that a set which it used would be another now? */
  isStale(): boolean {
    if (this.#stale || this.#checked === this.grew) return this.#stale;
    this.#checked = this.grew;
    for (const node of this.#nodes.values()) {
      for (let n = 0; n < node.sets.length; n++) {
        this.#collect(node, node.masks[n] as number, 0);
        const set = node.sets[n] as number;
        for (let word = 0; word < SET_WORDS; word++) {
          if (this.#pool[word] === this.#pool[set + word]) continue;
          this.#pool.fill(0, 0, SET_WORDS);
          this.#stale = true;
          return true;
        }
        this.#pool.fill(0, 0, SET_WORDS);
      }
    }
    return false;
  }

  // ---- how far it is

  /** Number of the node at which a CPU stands. */
  placeOf(local: Local): number {
    return (this.#nodeOf[local.number] as FutureNode).number;
  }

  /**
   * By number of a node: how many scheduling points are passed at least from there to the end of the program, or with `fails` until a step has violated
   * one of these invariants.
   */
  pointsTo(fails: number): readonly number[] {
    const nodes = [...this.#nodes.values()];
    const points = nodes.map((node) => (fails === 0 && node.ends ? 0 : Number.POSITIVE_INFINITY));
    // Bellman and Ford: the ways are short, and few nodes have many behind them.
    for (let changed = true; changed; ) {
      changed = false;
      for (let n = nodes.length - 1; n >= 0; n--) {
        const node = nodes[n] as FutureNode;
        for (const [k, { number }] of node.next.entries()) {
          const behind = (node.fails & fails) !== 0 ? 0 : (points[number] as number);
          const least = (node.points[k] as number) + behind;
          if (least >= (points[n] as number)) continue;
          points[n] = least;
          changed = true;
        }
      }
    }
    return points;
  }

  /** May a CPU other than `c` violate one of the invariants `fails`? */
  mayFail(fails: number, c: number): boolean {
    for (const node of this.#nodes.values()) if (node.cpu !== c && (node.fails & fails) !== 0) return true;
    return false;
  }

  /** The locks that keep waiting who comes to them, a bit each. */
  #maskOf(state: Uint32Array, at: number): number {
    const { cpus } = this.#space;
    let mask = 0;
    for (let lock = 0; lock < this.#locks.length; lock++) {
      const { slot, keeps } = this.#locks[lock] as Lock;
      const value = state[at + cpus + slot] as number;
      if (keeps[value] ?? this.#keeps(lock, value)) mask |= 1 << lock;
    }
    return mask;
  }

  /** The step that CPU `local.cpu` makes here, were it to run now: as long as nobody writes what it touches, it makes the same. */
  #effect(state: Uint32Array, at: number, local: Local, choice: number): Effect {
    const effect = this.#space.step(state, at, local.cpu, choice);
    this.noteEffect(local, effect, state, at);
    return effect;
  }
}

const WAITS = new Set([POINT_LOCK, POINT_READ_LOCK, POINT_WRITE_LOCK, POINT_EMPTY]);

function count(set: number): number {
  let n = 0;
  for (let left = set; left !== 0; left &= left - 1) n++;
  return n;
}
