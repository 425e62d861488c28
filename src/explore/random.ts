// Searches for what is too big to be searched: random executions, and all executions with few preemptions.
//
// Guarantees: what they find is an execution; what they do not find says nothing, so they never end "by themselves" unless the bound on
// preemptions cut nothing off. The same seed makes the same executions of the same program.
//
// `pct`: random priorities, lowered at random steps: a bug that needs d ordered steps is met with a probability of at least 1 / (n k^(d-1)) in each
// run of n CPUs and k steps (Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of
// Finding Bugs", ASPLOS 2010). Preemption bound: Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded
// Programs", PLDI 2007.

import { type Found, fresh, type Limits, type Move, over, type Search, violatedBy, type Watch } from './search.ts';
import { choicesOf, type Local, type StateSpace } from './space.ts';
import { Visited, Xoshiro } from './visited.ts';

export interface Sampling {
  /** `walk`: everybody who may run is as likely as the others. */
  readonly kind: 'walk' | 'pct';
  readonly seed: number;
  readonly runs: number;
  /** Of `pct`: how many ordered steps the bug needs. Default 3. */
  readonly depth?: number;
}

/** No execution is longer, for sampling. */
const LONGEST = 100_000;
const DEPTH = 3;

/** `runs` random executions. */
export function sample(
  space: StateSpace,
  search: Search,
  initial: Uint32Array,
  sampling: Sampling,
  limits: Limits,
  watch: Watch,
): Found {
  const found = fresh();
  const visited = new Visited();
  const random = new Xoshiro(sampling.seed);
  found.stopped = 'sampled';
  let longest = 1;
  const note = (state: Uint32Array) => search.meet(visited, state);
  for (let n = 0; n < sampling.runs && found.stopped === 'sampled'; n++) {
    const policy =
      sampling.kind === 'walk' ? new Walk(random) : new Pct(random, space.cpus, longest, sampling.depth ?? DEPTH);
    const state = initial.slice();
    const moves: Move[] = [];
    note(state);
    for (let enabled = search.enabled(state, 0); enabled !== 0; enabled = search.enabled(state, 0)) {
      if (moves.length === LONGEST) break;
      const c = policy.pick(enabled, moves.length);
      const local = space.locals[state[c] as number] as Local;
      const choice = choicesOf(local) > 1 ? random.below(choicesOf(local)) : 0;
      const effect = space.step(state, 0, c, choice);
      moves.push({ cpu: c, choice });
      found.transitions++;
      violatedBy(found, effect.fails, () => moves.slice());
      space.apply(state, 0, c, effect);
      note(state);
    }
    longest = Math.max(longest, moves.length);
    found.deepest = longest;
    if (search.hasEnded(state, 0)) watch.ended(state, 0, () => moves.slice());
    else if (moves.length < LONGEST) found.deadlock ??= moves.slice();
    found.stopped = over(found, visited, limits, watch) ?? 'sampled';
  }
  return closed(found, visited);
}

/** All executions that leave a CPU which could go on at most `preemptions` times. */
export function bounded(
  space: StateSpace,
  search: Search,
  initial: Uint32Array,
  preemptions: number,
  limits: Limits,
  watch: Watch,
): Found {
  const found = fresh();
  const visited = new Visited();
  let cut = false;
  const path: Branch[] = [];
  const moves = () => path.filter(({ cpu }) => cpu >= 0).map(({ cpu, choice }): Move => ({ cpu, choice }));
  /** Meets the state that the path has led to; `last` ran before it, and `used` preemptions are behind it. */
  const meet = (state: Uint32Array, last: number, used: number) => {
    search.meet(visited, state, last + 1, used);
    if (!visited.added) return;
    const enabled = search.enabled(state, 0);
    if (enabled === 0) {
      if (search.hasEnded(state, 0)) watch.ended(state, 0, moves);
      else found.deadlock ??= moves();
    }
    const goesOn = last >= 0 && (enabled & (1 << last)) !== 0;
    const isOver = goesOn && used === preemptions;
    if (isOver && enabled !== 1 << last) cut = true;
    path.push({ state, last, used, goesOn, left: isOver ? 1 << last : enabled, cpu: -1, choice: 0 });
    found.deepest = Math.max(found.deepest, path.length - 1);
  };
  meet(initial.slice(), -1, 0);
  for (let branch = path.at(-1); branch !== undefined; branch = path.at(-1)) {
    const { state, last, used, goesOn } = branch;
    branch.choice++;
    if (branch.cpu < 0 || branch.choice >= choicesOf(space.locals[state[branch.cpu] as number] as Local)) {
      branch.cpu = 31 - Math.clz32(branch.left & -branch.left);
      branch.choice = 0;
      if (branch.left === 0) {
        path.pop();
        continue;
      }
      branch.left &= branch.left - 1;
    }
    const c = branch.cpu;
    const effect = space.step(state, 0, c, branch.choice);
    found.transitions++;
    violatedBy(found, effect.fails, moves);
    if (found.transitions % TICK === 0) {
      found.stopped = over(found, visited, limits, watch);
      if (found.stopped !== undefined) break;
    }
    const next = state.slice();
    space.apply(next, 0, c, effect);
    meet(next, c, used + (goesOn && c !== last ? 1 : 0));
  }
  if (cut) found.stopped ??= 'preemptions';
  return closed(found, visited);
}

const TICK = 1 << 9;

interface Branch {
  readonly state: Uint32Array;
  readonly last: number;
  readonly used: number;
  /** Could `last` go on here? */
  readonly goesOn: boolean;
  left: number;
  cpu: number;
  choice: number;
}

function closed(found: Found, visited: Visited): Found {
  found.states = visited.size;
  found.visitedBytes = visited.bytes;
  found.omission = visited.omission;
  return found;
}

interface Policy {
  /** One of the CPUs in `enabled`, which is not empty, for step number `step`. */
  pick(enabled: number, step: number): number;
}

class Walk implements Policy {
  readonly #random: Xoshiro;

  constructor(random: Xoshiro) {
    this.#random = random;
  }

  pick(enabled: number): number {
    const members: number[] = [];
    for (let left = enabled; left !== 0; left &= left - 1) members.push(31 - Math.clz32(left & -left));
    return members[this.#random.below(members.length)] as number;
  }
}

class Pct implements Policy {
  readonly #priorities: number[];
  /** Steps before which a priority is lowered, and to what. */
  readonly #changes = new Map<number, number>();

  constructor(random: Xoshiro, cpus: number, steps: number, depth: number) {
    this.#priorities = Array.from({ length: cpus }, (_, n) => depth + n);
    for (let n = cpus - 1; n > 0; n--) {
      const other = random.below(n + 1);
      [this.#priorities[n], this.#priorities[other]] = [
        this.#priorities[other] as number,
        this.#priorities[n] as number,
      ];
    }
    for (let n = 1; n < depth; n++) this.#changes.set(random.below(steps), depth - n);
  }

  pick(enabled: number, step: number): number {
    const lowered = this.#changes.get(step);
    if (lowered !== undefined) this.#priorities[this.#highest(enabled)] = lowered;
    return this.#highest(enabled);
  }

  #highest(enabled: number): number {
    let best = -1;
    for (const [c, priority] of this.#priorities.entries()) {
      const isEnabled = (enabled & (1 << c)) !== 0;
      if (isEnabled && (best < 0 || priority > (this.#priorities[best] as number))) best = c;
    }
    return best;
  }
}
