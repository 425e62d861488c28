// Explores and races variants, one after the other: what `pagewalk stress` and `pagewalk check` share.
//
// Guarantees: what was found of a variant arrives in the order of the variants; a variant of which something failed is told, and the others go on.
// While threads race nothing is explored, so that races have the processors, save a variant that was just seen to be violated, if its caller
// asks. After `close` no thread is left.

import { availableParallelism } from 'node:os';
import { compileCore } from '../core/compile.ts';
import { Cancelled, type Finding, Pool } from '../explore/pool.ts';
import { compile, expectationsOf, type NamedVariant, type Scenario } from '../litmus/index.ts';
import type { CheckedVariant } from '../report/checked.ts';
import { count } from '../report/words.ts';
import { agreementOf, MOST_THREADS, RacerPool, type StressResult, stress } from '../stress/index.ts';
import { Processors } from './pinning.ts';
import { spawnRacer, spawnThread } from './threads.ts';

export interface Variation extends NamedVariant {
  readonly scenario: Scenario;
  /** What `pagewalk replay` needs beside the token. */
  readonly argument: string;
}

/** One for each processor; but two can race on one, and no more than a memory takes. */
export function threadsAtHand(): number {
  return Math.min(MOST_THREADS, Math.max(2, availableParallelism()));
}

/** What `--workers` says of itself. */
export const WORKERS_TEXT = 'threads of a race (default: one for each processor; of the chaos build, for each CPU)';

export interface CheckerOptions {
  readonly builds: readonly ('release' | 'chaos')[];
  /** Threads of a race. Default: one for each processor, at least 2; of the chaos build, one for each CPU. */
  readonly workers?: number | undefined;
  readonly seed: number;
  readonly instances: number;
  /** Milliseconds after which a race in which nobody gets on is a hang. */
  readonly hangMs: number;
  /** One for each thread of a race, which are bound to them. */
  readonly processors?: readonly number[];
}

export class Checker {
  readonly #options: CheckerOptions;
  readonly #pool: Pool;
  readonly #racers: RacerPool;
  readonly #turns = new Turns(availableParallelism());
  readonly #abort = new AbortController();
  /** Executions of the race that is under way, and transitions of explorations. */
  onProgress: (text: () => string) => void = () => {};

  constructor(script: URL, options: CheckerOptions) {
    this.#options = options;
    this.#pool = new Pool(() => spawnThread(script), availableParallelism());
    const processors = new Processors(options.processors ?? []);
    this.#racers = new RacerPool(() => processors.bind((processor) => spawnRacer(script, processor)));
  }

  /** Has what races need begin, beside what the caller does until there is something to race. */
  prepare(): void {
    this.#racers.prepare(this.#threads('release'));
    for (const build of this.#options.builds) void compileCore(build);
  }

  #threads(build: 'release' | 'chaos'): number {
    const { workers, processors } = this.#options;
    return workers ?? processors?.length ?? (build === 'chaos' ? MOST_THREADS : threadsAtHand());
  }

  /** What runs comes to its end, and nothing is begun. */
  cancel(): void {
    this.#abort.abort();
    this.#pool.cancel();
  }

  get cancelled(): boolean {
    return this.#abort.signal.aborted;
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#racers.close()]);
  }

  /** Explores for at most `limit()` milliseconds from when it begins; a reason in place of a finding if that was not to be. */
  async explore(
    { scenario, variant }: NamedVariant & { readonly scenario: Scenario },
    limit: () => number,
  ): Promise<Finding | string | undefined> {
    const release = await this.#turns.take();
    try {
      const timeoutMs = limit();
      if (timeoutMs <= 0) return undefined;
      return await this.#pool.explore(compile(scenario, variant), { timeoutMs }, { traces: true });
    } catch (error) {
      if (error instanceof Cancelled) return 'interrupted';
      return error instanceof Error ? error.message : String(error);
    } finally {
      release();
    }
  }

  /**
   * Races for `raceMs` milliseconds with each build; `onForbidden` hears of invariants that an outcome violates, while the race goes on.
   * @throws RangeError if the scenario cannot be raced
   */
  async race(
    { scenario, variant }: NamedVariant & { readonly scenario: Scenario },
    raceMs: number,
    onForbidden: (invariants: readonly string[]) => void = () => {},
  ): Promise<readonly StressResult[]> {
    const { builds, seed, instances, hangMs } = this.#options;
    const program = compile(scenario, variant);
    const races: StressResult[] = [];
    for (const build of builds) {
      if (this.cancelled && races.length > 0) break;
      const race = await stress(program, {
        spawn: this.#racers.spawn,
        workers: this.#threads(build),
        processors: availableParallelism(),
        seed,
        instances,
        build,
        hangMs,
        budgetMs: raceMs,
        signal: this.#abort.signal,
        onForbidden: ({ violated }) => onForbidden(violated),
        onProgress: ({ executions, seconds }) =>
          this.onProgress(() => `${scenario.name.text}: ${count(Math.round(executions / seconds))} executions/s`),
      });
      races.push(race);
    }
    return races;
  }

  /** Puts both together. */
  checked(variation: Variation, finding: Finding | string, races: readonly StressResult[]): CheckedVariant {
    const { scenario, id, variant, argument } = variation;
    const explored = typeof finding === 'string' ? undefined : finding.result;
    return {
      scenario,
      argument,
      id,
      variant,
      expected: expectationsOf(scenario, variant),
      explored,
      unexplored: typeof finding === 'string' ? finding : undefined,
      traces: typeof finding === 'string' ? new Map() : finding.traces,
      races,
      agreement: explored === undefined || races.length === 0 ? undefined : agreementOf(races, explored),
    };
  }
}

/** At most so many at a time; the others wait in order. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return () => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }
}
