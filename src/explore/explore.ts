// Explores a litmus program: every interleaving of the code that ships, and what it says about each invariant.
//
// Guarantees: "holds" is said only of an invariant that no execution violates, after a search that ended by itself; a search that hit a
// bound says "unknown" and which bound. A violation comes with a shortest schedule (in steps; see `shortest`), which was replayed from the
// start before it is reported. The outcomes are those of all executions. Nothing is printed here.

import { compileCore } from '../core/compile.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import { clean, preemptionsOf } from './clean.ts';
import { Futures } from './futures.ts';
import { DEADLOCK, invariantsOf, isJudgedAtTheEnd, judgeEnd } from './invariants.ts';
import { Machine, Restart } from './machine.ts';
import { bounded, type Sampling, sample } from './random.ts';
import { tokenOf } from './replay.ts';
import { Run } from './run.ts';
import type { Schedule } from './schedule.ts';
import { type Found, type Move, Search, type Watch } from './search.ts';
import { Shortest } from './shortest.ts';
import { type Local, StateSpace } from './space.ts';
import { Asymmetric, type Permutation, permutationsOf, Symmetry } from './symmetry.ts';
import { Fingerprints, Xoshiro } from './visited.ts';

export interface ExploreOptions {
  /** Partial-order reduction. Default true. Without it, the search meets every state. */
  readonly reduce?: boolean;
  /** Take states for one that differ by who of several CPUs with the same program is where (symmetry.ts). Default: as `reduce`. */
  readonly symmetry?: boolean;
  /** Look for a shortest schedule of each violation, in a search for each. Default true. */
  readonly shortest?: boolean;
  /** Most states; default 50 million. */
  readonly maxStates?: number;
  /** Most transitions; default no bound. */
  readonly maxTransitions?: number;
  /** Most milliseconds; default no bound. */
  readonly timeoutMs?: number;
  /** Most bytes of the set of visited states; default 2 GiB. */
  readonly memoryBytes?: number;
  /** Random executions in place of a search. Nothing is said to hold. */
  readonly random?: Sampling;
  /** Only executions with so few preemptions, in a search without reduction. */
  readonly preemptions?: number;
  /** Called now and then; true ends the search. */
  readonly onProgress?: (progress: Progress) => boolean | undefined;
}

export interface Progress {
  readonly states: number;
  readonly transitions: number;
  readonly seconds: number;
}

export interface Verdict {
  readonly invariant: string;
  readonly verdict: 'holds' | 'violated' | 'unknown';
  /** Of a violation: the moves from the start to it. */
  readonly schedule: readonly Move[] | undefined;
  /** Of a violation: what it is shown by. */
  readonly counterexample: Counterexample | undefined;
}

/** An execution that violates an invariant: it was made from the start, and cleaned (clean.ts). */
export interface Counterexample {
  readonly schedule: Schedule;
  /** Repeats it: see `replay`. */
  readonly token: string;
  /** Scheduling points that it passes, those at words of one CPU too. */
  readonly steps: number;
  /** How often a CPU was left that could have gone on. */
  readonly preemptions: number;
}

export interface Outcome {
  /** `name=value`, in the order of the program's `observed`. */
  readonly text: string;
  readonly values: readonly bigint[];
}

export interface ExploreResult {
  readonly program: LitmusProgram;
  readonly verdicts: readonly Verdict[];
  /** All outcomes there are, sorted by text. */
  readonly outcomes: readonly Outcome[];
  readonly states: number;
  readonly transitions: number;
  readonly seconds: number;
  /** Did the search end by itself? */
  readonly exhaustive: boolean;
  /** What ended it otherwise. */
  readonly stopped: Found['stopped'];
  /** Bound of the probability that a state was left out, taken for another. */
  readonly omission: number;
  readonly visitedBytes: number;
  /** Longest path, in steps. */
  readonly depth: number;
  /** Permutations of CPUs that made one of several states; 1: only that which moves none. */
  readonly symmetries: number;
  /** How often the core ran; every other step was one that it had made before. */
  readonly runs: number;
}

/** Random executions by which futures are known before the search: until so many steps in a row have shown nothing new. */
const IDLE_STEPS = 5_000;
/** And before one that is made again, for each transition of the one that learnt something, up to so many: ten of them take as long as one. */
const IDLE_STEPS_EACH = 16;
const MOST_IDLE_STEPS = 1_000_000;
/** What an execution counts for at least. */
const SHORT_WALK = 200;
const LONGEST_WALK = 5000;
/** How likely, in percent, a CPU goes on that made the step before, in one walk after the other. */
const PERSISTENCE = [0, 80, 95, 99];
/** Transitions after which the first search that has learnt something of the futures, and is to be made again, ends; then four times as many. */
const TRIAL = 4096;

/**
 * Explores `program`. @throws RangeError if it needs more room or shared words than there are.
 */
export async function explore(program: LitmusProgram, options: ExploreOptions = {}): Promise<ExploreResult> {
  const module = await compileCore('explore');
  return new Explorer(new Machine(program, module), () => new Run(new Machine(program, module, true)), options).run();
}

export class Explorer {
  readonly #machine: Machine;
  readonly #makeRun: () => Run;
  readonly #options: ExploreOptions;
  readonly #began = performance.now();
  /** Milliseconds since 1970. */
  readonly #deadline: number;
  readonly #outcomes = new Map<string, Outcome>();
  readonly #violated = new Map<number, readonly Move[]>();
  /** Those of the violated ones for which no shorter schedule is to be found. */
  readonly #shortest = new Set<number>();
  #space: StateSpace;
  #futures: Futures;
  #search: Search;
  #initial: Uint32Array = new Uint32Array(0);
  #met = false;
  /** The permutations of CPUs that are taken for symmetries, the identity first. */
  #permutations: readonly Permutation[];
  readonly #random = new Xoshiro(1);

  /** `makeRun`: for the counterexamples, a run of the same program. */
  constructor(machine: Machine, makeRun: () => Run, options: ExploreOptions = {}) {
    this.#machine = machine;
    this.#makeRun = makeRun;
    this.#options = options;
    this.#deadline = Date.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    const { reduce = true, symmetry = reduce, random, preemptions } = options;
    const all = permutationsOf(machine.instance.program);
    this.#permutations = symmetry && random === undefined && preemptions === undefined ? all : all.slice(0, 1);
    [this.#space, this.#futures, this.#search] = this.#anew();
  }

  get program(): LitmusProgram {
    return this.#machine.instance.program;
  }

  /** The CPU that runs when all others have ended, or -1. */
  get #afterwards(): number {
    return this.program.afterwards === undefined ? -1 : this.#machine.cpus.length - 1;
  }

  run(): ExploreResult {
    for (;;) {
      try {
        return this.#once();
      } catch (error) {
        // A search for a shortest schedule met a word that the other had no need to.
        if (!(error instanceof Restart)) throw error;
      }
    }
  }

  #once(): ExploreResult {
    const { reduce = true, shortest = true } = this.#options;
    const isPartial = this.#options.random !== undefined || this.#options.preemptions !== undefined;
    const found = this.#settled(() => {
      if (isPartial) return this.#partly();
      this.#walk(IDLE_STEPS);
      let sleep = reduce;
      for (let trial = TRIAL; ; trial *= 4) {
        this.#outcomes.clear();
        this.#met = false;
        const limits = { ...this.#limits(), ...(reduce && { trial }) };
        const result = this.#search.depthFirst(this.#initial, reduce, sleep, limits, this.#watch());
        if (sleep && result.cyclic) sleep = false;
        else if (!reduce || result.stopped !== undefined || !this.#futures.isStale()) return result;
        else this.#walk(Math.min(IDLE_STEPS_EACH * result.transitions, MOST_IDLE_STEPS));
      }
    });
    for (const [n, moves] of found.violations) this.#violated.set(n, moves);
    for (let n = 0; n < 32; n++) if ((this.#space.failsAtOnce & (1 << n)) !== 0) this.#violated.set(n, []);
    if (found.deadlock !== undefined) this.#violated.set(DEADLOCK, found.deadlock);
    if (shortest && !isPartial && this.#violated.size > 0) this.#shorten();
    return this.#result(found);
  }

  /** Some of all executions. */
  #partly(): Found {
    const { random, preemptions = 0 } = this.#options;
    this.#outcomes.clear();
    this.#met = false;
    const parts = [this.#space, this.#search, this.#initial] as const;
    if (random !== undefined) return sample(...parts, random, this.#limits(), this.#watch());
    return bounded(...parts, preemptions, this.#limits(), this.#watch());
  }

  // ---- until no word turns out to be shared that was not taken for one

  #settled<T>(attempt: () => T): T {
    for (;;) {
      try {
        this.#machine.reset();
        [this.#space, this.#futures, this.#search] = this.#anew();
        this.#violated.clear();
        this.#initial = this.#space.initial();
        this.#space.symmetry?.begin(this.#initial);
        for (let c = 0; c < this.#space.cpus; c++) this.#futures.noteLocal(this.#localOf(this.#initial, c));
        return attempt();
      } catch (error) {
        if (error instanceof Asymmetric) this.#permutations = this.#permutations.slice(0, 1);
        else if (!(error instanceof Restart)) throw error;
      }
    }
  }

  #anew(): [StateSpace, Futures, Search] {
    const space = new StateSpace(this.#machine);
    if (this.#permutations.length > 1) space.symmetry = new Symmetry(space, this.#permutations);
    const futures = new Futures(space, this.#afterwards);
    return [space, futures, new Search(space, futures, new Fingerprints(), this.#afterwards)];
  }

  /** Random executions, by which most shared words and most of the futures are met: until `idleSteps` steps in a row have shown nothing new. */
  #walk(idleSteps: number): void {
    const random = this.#random;
    const { tick } = this.#watch();
    for (let walk = 0, idle = 0; idle < idleSteps; walk++) {
      const known = this.#futures.grew;
      const persistence = PERSISTENCE[walk % PERSISTENCE.length] as number;
      let last = -1;
      const state = this.#initial.slice();
      let n = 0;
      for (; n < LONGEST_WALK; n++) {
        if (n % 256 === 0 && (Date.now() > this.#deadline || tick(0, 0))) return;
        const enabled = this.#search.enabled(state, 0);
        if (enabled === 0) break;
        const goesOn = last >= 0 && (enabled & (1 << last)) !== 0 && random.below(100) < persistence;
        const members = goesOn ? [last] : membersOf(enabled);
        const c = members[random.below(members.length)] as number;
        last = c;
        const local = this.#localOf(state, c);
        const effect = this.#space.step(state, 0, c, local.choices > 0 ? random.below(local.choices) : 0);
        this.#futures.noteEffect(local, effect, state, 0);
        this.#space.apply(state, 0, c, effect);
      }
      idle = this.#futures.grew === known ? idle + Math.max(n, SHORT_WALK) : 0;
    }
  }

  /** A shortest schedule for each violation that has one within the bounds. */
  #shorten(): void {
    const shortest = new Shortest(this.#space, this.#futures, this.#search, this.#afterwards);
    for (const [n, { length }] of this.#violated) {
      if (length === 0) continue;
      const judge = (state: Uint32Array) => this.#judgeEnd(state, 0).includes(n);
      const moves = shortest.find(this.#initial, n, judge, this.#limits(), this.#watch());
      if (moves === undefined) continue;
      this.#shortest.add(n);
      this.#violated.set(n, moves);
    }
  }

  /** Makes the execution of `moves` from the start on the finest machine, where it must violate the invariant too, and cleans it. */
  #counterexample(run: Run, invariant: number, moves: readonly Move[]): Counterexample {
    run.restart();
    const atTheEnd = isJudgedAtTheEnd(invariant);
    const isFound = () => !atTheEnd && run.violates(invariant);
    const pass = (c: number, points: number, choice: number) => {
      for (let n = 0; n < points && !isFound(); n++) run.step(c, n === 0 ? choice : 0);
    };
    // What a CPU does before its first step is put off until then, or to the end, which is before what runs afterwards.
    const begun = this.#space.begun.slice();
    const begin = (c: number) => {
      pass(c, begun[c] as number, 0);
      begun[c] = 0;
    };
    const state = this.#initial.slice();
    for (const { cpu, choice } of moves) {
      if (cpu === run.afterwards) for (let c = 0; c < run.cpus; c++) begin(c);
      begin(cpu);
      const effect = this.#space.step(state, 0, cpu, choice);
      pass(cpu, effect.points, choice);
      this.#space.apply(state, 0, cpu, effect);
    }
    for (let c = 0; c < run.cpus; c++) begin(c);
    if (!run.violates(invariant)) {
      throw new Error(`internal error: replayed from the start, an execution does not violate invariant ${invariant}`);
    }
    const schedule = clean(run, invariant, this.#shortest.has(invariant));
    const token = tokenOf(run, invariant);
    return { schedule, token, steps: run.steps.length, preemptions: preemptionsOf(run, schedule) };
  }

  #watch(): Watch {
    const { onProgress } = this.#options;
    return {
      tick: (states, transitions) => onProgress?.({ states, transitions, seconds: this.#seconds() }) === true,
      ended: (state, at, moves) => {
        for (const n of this.#judgeEnd(state, at)) if (!this.#violated.has(n)) this.#violated.set(n, moves());
        const { symmetry } = this.#space;
        if (symmetry === undefined) return;
        for (const [p, permutation] of symmetry.permutations.entries()) {
          if (p === 0) continue;
          const under = () => moves().map(({ cpu, choice }) => ({ cpu: permutation[cpu] as number, choice }));
          for (const n of this.#judgeEnd(symmetry.image(state, at, p), 0))
            if (!this.#violated.has(n)) this.#violated.set(n, under());
        }
      },
    };
  }

  /** Looks at a state in which all CPUs have ended: notes its outcome, returns what it violates. */
  #judgeEnd(state: Uint32Array, at: number): readonly number[] {
    this.#space.load(state, at);
    const { values, met, violated } = judgeEnd(this.#machine);
    const text = this.program.observed.map(({ name }, n) => `${name}=${values[n]}`).join(' ');
    this.#outcomes.set(text, { text, values });
    if (met) this.#met = true;
    return violated;
  }

  #result(found: Found): ExploreResult {
    const { program } = this;
    const exhaustive = found.stopped === undefined;
    const none = { schedule: undefined, counterexample: undefined };
    const run = this.#violated.size > 0 ? this.#makeRun() : undefined;
    const verdicts = invariantsOf(program).map(({ number, name: invariant }): Verdict => {
      const schedule = this.#violated.get(number);
      if (schedule === undefined || run === undefined) {
        return { invariant, verdict: exhaustive ? 'holds' : 'unknown', ...none };
      }
      const counterexample = this.#counterexample(run, number, schedule);
      return { invariant, verdict: 'violated', schedule, counterexample };
    });
    const { condition } = program;
    if (condition?.quantifier === 'exists') {
      const verdict = this.#met ? 'holds' : exhaustive ? 'violated' : 'unknown';
      verdicts.push({ invariant: condition.text, verdict, ...none });
    }
    return {
      program,
      verdicts,
      outcomes: [...this.#outcomes.values()].sort((a, b) => (a.text < b.text ? -1 : 1)),
      states: found.states,
      transitions: found.transitions,
      seconds: this.#seconds(),
      exhaustive,
      stopped: found.stopped,
      omission: found.omission,
      visitedBytes: found.visitedBytes,
      depth: found.deepest,
      symmetries: this.#permutations.length,
      runs: this.#space.runs,
    };
  }

  #limits() {
    const { maxStates = 50e6, maxTransitions = Number.POSITIVE_INFINITY, memoryBytes = 2 ** 31 } = this.#options;
    return { states: maxStates, transitions: maxTransitions, deadline: this.#deadline, memoryBytes };
  }

  #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  #localOf(state: Uint32Array, c: number): Local {
    return this.#space.locals[state[c] as number] as Local;
  }
}

function membersOf(set: number): number[] {
  const members: number[] = [];
  for (let left = set; left !== 0; left &= left - 1) members.push(31 - Math.clz32(left & -left));
  return members;
}
