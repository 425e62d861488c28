// Stress: races one variant of a scenario on real threads for a while, and counts what came out.
//
// Guarantees: every outcome was counted by the core, in rounds without a message; nothing is said to be impossible here. A hang is an
// outcome, with who waits for whom; a thread that dies is told, the round it was in is not counted, and the race goes on with new threads.
// When `stress` settles, no thread is left, whatever happened; what was counted until then is in the result.

import { FAILED_DOUBLE_FREE, FAILED_PENDING, MOST_RACERS } from '../../assembly/layout.ts';
import { type Build, canShare, compileCore } from '../core/compile.ts';
import { CONDITION, DOUBLE_FREE, FLUSH_OWED, invariantsOf } from '../explore/invariants.ts';
import { holds } from '../litmus/condition.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import { Arena } from './arena.ts';
import { hangText } from './hang.ts';
import type { FromRacer, ToRacer } from './worker.ts';

/** A thread that runs `race` of worker.ts on what is posted to it. */
export interface RacerThread {
  post(message: ToRacer): void;
  onMessage(listener: (message: FromRacer) => void): void;
  /** It is gone, whatever the reason, also when it was ended. */
  onEnd(listener: (reason: string) => void): void;
  end(): Promise<unknown>;
}

export interface StressOptions {
  /** Makes a thread. */
  readonly spawn: () => RacerThread;
  /**
   * Threads; a scenario uses at most as many as it has CPUs. Default 2; of the chaos build 8, for it sleeps at points, and CPUs of one thread meet
   * between instructions only.
   */
  readonly workers?: number;
  /** Processors that threads may run on. Where there are more threads, one that waits sleeps at once. Default: what the host says, if it does. */
  readonly processors?: number;
  /** Milliseconds of racing. Default 1000. */
  readonly budgetMs?: number;
  /** Of orders, delays and choices. Default 1. */
  readonly seed?: number;
  readonly build?: Exclude<Build, 'explore'>;
  /** Instances raced in a round, a power of two. Default 64. */
  readonly instances?: number;
  /** After so many milliseconds in which no thread got on, it is a hang. Default 2500. */
  readonly hangMs?: number;
  /** Nothing is noted of user accesses and no invariant judged, so nothing but a condition is violated: to measure what that costs. */
  readonly blind?: boolean;
  /** An `AbortSignal`. Ends the race: what was counted is the result. */
  readonly signal?: { readonly aborted: boolean };
  /** Called now and then. */
  readonly onProgress?: (progress: StressProgress) => void;
  /** Called once for each outcome that is forbidden, soon after the round that showed it was counted; its count is what is known by then. */
  readonly onForbidden?: (outcome: StressOutcome) => void;
}

export interface StressProgress {
  readonly executions: number;
  readonly seconds: number;
}

export type Grade = 'acceptable' | 'interesting' | 'forbidden';

export interface StressOutcome {
  /** `name=value` in the order of the program's `observed`, then what was violated; `hang` for one. */
  readonly text: string;
  /** The values alone, as the explorer names outcomes. */
  readonly state: string;
  readonly values: readonly bigint[];
  /** Names of the invariants that it violates. */
  readonly violated: readonly string[];
  readonly count: number;
  readonly grade: Grade;
  /** Nobody got on: `state` is no state of the explorer's. */
  readonly hang: boolean;
}

export interface StressResult {
  readonly program: LitmusProgram;
  readonly build: 'release' | 'chaos';
  readonly seed: number;
  /** Threads that raced. */
  readonly workers: number;
  /** CPUs that one of them ran in turns, at most: above 1 they met between instructions only. */
  readonly crowd: number;
  /** Most frequent first. */
  readonly outcomes: readonly StressOutcome[];
  readonly executions: number;
  /** Of racing, without set-up. */
  readonly seconds: number;
  /** Hangs: who waits for whom. */
  readonly hangs: readonly string[];
  /** Threads that died, and why. Their rounds are not counted. */
  readonly deaths: readonly string[];
  /** Executions whose outcome was not kept, for there were too many different ones. */
  readonly overflow: number;
  /** Executions until then, now and then: throughput over time. */
  readonly samples: readonly StressProgress[];
  /** It ended before its budget did: on a signal, or after too many hangs or deaths. */
  readonly cut: boolean;
}

/** Threads of a race at most. */
export const MOST_THREADS = MOST_RACERS;

/** Instances raced in a round where nothing is said: as many as caches hold, for more rounds cost less than lines from further away. */
export const INSTANCES = 64;

/** What the explorer calls what threads show as a hang. */
const HANG = 'DEADLOCK';
const POLL_MS = 20;
const MOST_SAMPLES = 200;
/** Hangs or deaths after which a variant is left alone. */
const MOST_RESTARTS = 3;
/** How long threads may take to begin. */
const START_MS = 20_000;
/** How long a thread that does not get on may take to come back when its arena was stopped. */
const LAST_ROUND_MS = 700;

/**
 * Races `program`. @throws RangeError if threads cannot share memory here, or the arena does not fit; what goes wrong in threads is in the result.
 */
export async function stress(program: LitmusProgram, options: StressOptions): Promise<StressResult> {
  if (!canShare()) {
    throw new RangeError(
      'threads need SharedArrayBuffer: in a page, serve it with Cross-Origin-Opener-Policy: same-origin and ' +
        'Cross-Origin-Embedder-Policy: require-corp',
    );
  }
  const { build = 'release', seed = 1, instances = INSTANCES } = options;
  const workers = workersOf(options);
  checkCount('workers', workers, 1, 64);
  if (options.processors !== undefined && !(options.processors >= 1)) {
    throw new RangeError(`"processors" must be at least 1, got ${options.processors}`);
  }
  checkCount('instances', instances, 1, 2 ** 16);
  if ((instances & (instances - 1)) !== 0) throw new RangeError(`"instances" must be a power of two, got ${instances}`);
  const module = await compileCore(build);
  const race = new Race(inOrder(program), module, options);
  await race.run();
  return race.result(build, seed);
}

/**
 * The program without store buffers: the core's own accesses are sequentially consistent on every host, so what threads show is a part of what
 * x86-TSO allows.
 */
function inOrder(program: LitmusProgram): LitmusProgram {
  const cpus = program.cpus.filter(({ drains }) => drains === undefined);
  return { ...program, world: { ...program.world, memory: 'sc' }, cpus };
}

function checkCount(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`"${name}" must be an integer from ${least} to ${most}, got ${value}`);
}

class Race {
  readonly #program: LitmusProgram;
  readonly #module: object;
  readonly #options: StressOptions;
  readonly #counts = new Map<string, { values: readonly bigint[]; failed: number; count: number }>();
  readonly #hangs: string[] = [];
  readonly #deaths: string[] = [];
  readonly #samples: StressProgress[] = [];
  readonly #told = new Set<string>();
  #overflow = 0;
  #seconds = 0;
  #workers = 0;
  #crowd = 0;
  #cut = false;

  constructor(program: LitmusProgram, module: object, options: StressOptions) {
    this.#program = program;
    this.#module = module;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { budgetMs = 1000, signal } = this.#options;
    for (let heat = 0; ; heat++) {
      const left = budgetMs - this.#seconds * 1000;
      if (signal?.aborted) this.#cut = true;
      if (this.#cut || (heat > 0 && left <= 0)) return;
      if (this.#hangs.length + this.#deaths.length >= MOST_RESTARTS) {
        this.#cut = true;
        return;
      }
      await this.#heat(heat, left);
    }
  }

  /** Races with one set of threads until the budget is used up or one of them fails. */
  async #heat(heat: number, budgetMs: number): Promise<void> {
    const { instances = INSTANCES, blind = false } = this.#options;
    const arena = new Arena(this.#program, this.#module, instances, workersOf(this.#options), blind);
    this.#workers = arena.racing;
    this.#crowd = arena.crowd;
    const crew = new Crew(arena, this.#module, heat, this.#options);
    let began = performance.now();
    try {
      if (await crew.begun(START_MS)) {
        began = performance.now();
        await this.#watch(arena, crew, began, budgetMs, this.#executions());
      } else this.#deaths.push(crew.failure ?? `a thread did not begin within ${START_MS / 1000} s`);
    } finally {
      this.#seconds += (performance.now() - began) / 1000;
      const { allHome } = crew;
      await crew.end();
      this.#collect(arena);
      // A thread that was ended by force may run on for a moment.
      if (allHome) arena.release();
    }
  }

  async #watch(arena: Arena, crew: Crew, began: number, budgetMs: number, before: number): Promise<void> {
    const { hangMs = 2500, signal, onProgress } = this.#options;
    let pulse = arena.pulse();
    let news = 0;
    let beat = began;
    for (;;) {
      await crew.pause(Math.min(POLL_MS, Math.max(1, began + budgetMs - performance.now())));
      const now = performance.now();
      if (crew.failure !== undefined) {
        this.#deaths.push(crew.failure);
        return;
      }
      const progress = { executions: before + arena.executions, seconds: this.#seconds + (now - began) / 1000 };
      this.#samples.push(progress);
      onProgress?.(progress);
      if (arena.news !== news) {
        news = arena.news;
        this.#tellForbidden(arena);
      }
      if (signal?.aborted) this.#cut = true;
      if (signal?.aborted || now - began >= budgetMs) {
        arena.stop();
        if (!(await this.#lastRound(arena, crew)) && !this.#cut) this.#addHang(arena);
        return;
      }
      const next = arena.pulse();
      if (next !== pulse) beat = now;
      pulse = next;
      if (now - beat >= hangMs) {
        this.#addHang(arena);
        return;
      }
    }
  }

  /** Waits for the last round. False: nobody got on for a while; on a machine that does much else, slow threads are no hang. */
  async #lastRound(arena: Arena, crew: Crew): Promise<boolean> {
    for (let pulse = arena.pulse(); ; ) {
      if (await crew.home(LAST_ROUND_MS)) return true;
      const next = arena.pulse();
      if (this.#cut || next === pulse) return false;
      pulse = next;
    }
  }

  #collect(arena: Arena): void {
    for (const { values, failed, count } of arena.counted()) {
      const key = [failed, ...values].join();
      const known = this.#counts.get(key);
      this.#counts.set(key, { values, failed, count: count + (known?.count ?? 0) });
    }
    this.#overflow += arena.overflow;
    this.#tellForbidden(arena);
  }

  #tellForbidden(arena: Arena): void {
    const { onForbidden } = this.#options;
    if (onForbidden === undefined) return;
    for (const counted of arena.counted()) {
      const outcome = outcomeOf(this.#program, counted);
      if (outcome.grade === 'forbidden') this.#tell(outcome);
    }
  }

  #tell(outcome: StressOutcome): void {
    if (this.#told.has(outcome.text)) return;
    this.#told.add(outcome.text);
    this.#options.onForbidden?.(outcome);
  }

  #addHang(arena: Arena): void {
    this.#hangs.push(hangText(arena));
    this.#tell(hangOutcome(1));
  }

  #executions(): number {
    return [...this.#counts.values()].reduce((sum, { count }) => sum + count, 0);
  }

  result(build: 'release' | 'chaos', seed: number): StressResult {
    const outcomes = [...this.#counts.values()].map((counted) => outcomeOf(this.#program, counted));
    if (this.#hangs.length > 0) outcomes.push(hangOutcome(this.#hangs.length));
    return {
      program: this.#program,
      build,
      seed,
      workers: this.#workers,
      crowd: this.#crowd,
      outcomes: outcomes.sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1)),
      executions: this.#executions() + this.#hangs.length,
      seconds: this.#seconds,
      hangs: this.#hangs,
      deaths: this.#deaths,
      overflow: this.#overflow,
      samples: thinned(this.#samples),
      cut: this.#cut,
    };
  }
}

/** The threads of one arena. */
class Crew {
  readonly #threads: RacerThread[] = [];
  readonly #ends: Promise<unknown>[] = [];
  #waiting: number;
  #racing: number;
  #ending = false;
  #wake = () => {};
  /** Why one of them can go on no more. */
  failure: string | undefined;

  constructor(arena: Arena, module: object, heat: number, options: StressOptions) {
    const { spawn, seed = 1, build, processors = processorsOfHost() } = options;
    this.#waiting = arena.racing;
    this.#racing = arena.racing;
    for (let racer = 0; racer < arena.racing; racer++) {
      const thread = spawn();
      this.#threads.push(thread);
      thread.onMessage((message) => {
        if (message.kind === 'ready') this.#waiting--;
        else if (message.kind === 'raced') this.#racing--;
        else this.failure ??= `racer ${racer}: ${message.message}`;
        this.#wake();
      });
      this.#ends.push(
        new Promise<void>((resolve) =>
          thread.onEnd((reason) => {
            if (!this.#ending) this.failure ??= `racer ${racer}: ${reason}`;
            this.#wake();
            resolve();
          }),
        ),
      );
      thread.post({
        task: 'race',
        module,
        memory: arena.memory,
        arena: arena.address,
        racer,
        crowd: arena.crowd,
        seed: mixed(seed, heat, racer),
        sharing: arena.racing > processors,
        delays: build === 'chaos' ? { oneIn: 4, longest: 256 } : undefined,
      });
    }
  }

  /** Waits until all are about to race, or one of them failed. False: not within `ms`. */
  async begun(ms: number): Promise<boolean> {
    const until = performance.now() + ms;
    while (this.#waiting > 0 && this.failure === undefined && performance.now() < until) await this.pause(POLL_MS);
    return this.#waiting === 0;
  }

  /** Waits for `ms`, or until something happened. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Whether all have come back within `ms`. */
  async home(ms: number): Promise<boolean> {
    const until = performance.now() + ms;
    while (this.#racing > 0 && this.failure === undefined) {
      const left = until - performance.now();
      if (left <= 0) return false;
      await this.pause(left);
    }
    return true;
  }

  /** All have come back, of their own accord. */
  get allHome(): boolean {
    return this.#racing === 0;
  }

  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all(this.#threads.map((thread) => thread.end()));
    await Promise.all(this.#ends);
  }
}

function workersOf({ workers, build }: StressOptions): number {
  return workers ?? (build === 'chaos' ? MOST_THREADS : 2);
}

/** Without end if the host does not say. */
function processorsOfHost(): number {
  const { navigator, process } = globalThis as {
    readonly navigator?: { readonly hardwareConcurrency?: number };
    readonly process?: { getBuiltinModule?(name: 'node:os'): { availableParallelism(): number } };
  };
  // Node 20 has no navigator.
  const processors = process?.getBuiltinModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency;
  return processors ?? Number.POSITIVE_INFINITY;
}

/** A seed of 32 bits for each racer of each heat (the finaliser of MurmurHash3). */
function mixed(seed: number, heat: number, racer: number): number {
  let h = Math.imul(seed ^ Math.imul(heat * 64 + racer + 1, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** At most MOST_SAMPLES of them, evenly. */
function thinned(samples: readonly StressProgress[]): StressProgress[] {
  const step = Math.max(1, Math.ceil(samples.length / MOST_SAMPLES));
  return samples.filter((_, n) => (samples.length - 1 - n) % step === 0);
}

/** What the judge of the core calls by bits, by the explorer's numbers. */
const AT_THE_END: Readonly<Record<number, number>> = {
  [FAILED_PENDING]: FLUSH_OWED,
  [FAILED_DOUBLE_FREE]: DOUBLE_FREE,
};

function outcomeOf(
  program: LitmusProgram,
  { values, failed, count }: { values: readonly bigint[]; failed: number; count: number },
): StressOutcome {
  const { observed, condition } = program;
  const numbers = Array.from({ length: 32 }, (_, n) => n).filter((n) => ((failed >>> n) & 1) !== 0);
  const wanted = new Set(numbers.map((n) => AT_THE_END[n] ?? n));
  const met = condition !== undefined && holds(condition.term, values);
  if (condition !== undefined && condition.quantifier !== 'exists' && met !== (condition.quantifier === 'forall')) {
    wanted.add(CONDITION);
  }
  const violated = invariantsOf(program).flatMap(({ number, name }) => (wanted.has(number) ? [name] : []));
  const state = observed.map(({ name }, n) => `${name}=${values[n]}`).join(' ');
  const grade: Grade = violated.length > 0 ? 'forbidden' : met ? 'interesting' : 'acceptable';
  return { text: textOf(state, violated), state, values, violated, count, grade, hang: false };
}

function textOf(state: string, violated: readonly string[]): string {
  const broken = violated.length > 0 ? `violates ${violated.join(', ')}` : '';
  return [state, broken].filter((part) => part !== '').join('; ') || 'all well';
}

function hangOutcome(count: number): StressOutcome {
  return { text: 'hang', state: 'hang', values: [], violated: [HANG], count, grade: 'forbidden', hang: true };
}
