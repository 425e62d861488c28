// `pagewalk explore`: every variant of scenarios through every interleaving.
//
// Guarantees: verdicts come in the order of the scenarios and variants, whichever was explored first; each is compared with what its file
// expects. Ctrl-C prints what is known within a second. When it ends, no thread is left.

import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { Cancelled, type Finding, Pool, type PoolOptions } from '../explore/pool.ts';
import {
  compile,
  expectationsOf,
  isBuiltIn,
  LIBRARY,
  type NamedVariant,
  type Scenario,
  variantsOf,
} from '../litmus/index.ts';
import { diagramOf } from '../report/diagram.ts';
import type { TitledDiagram } from '../report/diagramsvg.ts';
import { diagramText } from '../report/diagramtext.ts';
import {
  type Bounds,
  type Explored,
  failureJson,
  isDifference,
  judge,
  quietText,
  variantText,
  verdictJson,
  verdictText,
} from '../report/verdicts.ts';
import { count, plural } from '../report/words.ts';
import { numberArgument, repeated, settingArgument } from './arguments.ts';
import { outputStyle, outputWidth, writeSvg } from './drawing.ts';
import { complain, EXIT_FAILED, EXIT_INTERRUPTED, InputError } from './exit.ts';
import { Output } from './output.ts';
import { Progress } from './progress.ts';
import { openScenarios, sentencesOf } from './scenarios.ts';
import { spawnThread } from './threads.ts';
import { combinations, type Setting, usualOf } from './variants.ts';

interface ExploreCommandOptions {
  readonly set?: readonly Setting[];
  readonly memory?: 'sc' | 'tso';
  readonly all?: true;
  readonly invariant?: readonly string[];
  readonly reduce: boolean;
  readonly symmetry: boolean;
  readonly maxStates?: number;
  readonly timeout?: number;
  readonly maxMemory?: number;
  readonly preemptions?: number;
  readonly random?: 'walk' | 'pct';
  readonly seed: number;
  readonly runs: number;
  readonly workers?: number;
  readonly json?: true;
  readonly svg?: string;
  readonly trace: boolean;
}

const MOST = Number.MAX_SAFE_INTEGER;
const MIB = 2 ** 20;

const MEMORY = new Option('--memory <model>', 'as --set memory=<model>').choices(['sc', 'tso']).conflicts('all');

export function exploreCommand(script: URL): Command {
  return new Command('explore')
    .description('Explore every variant of scenarios through every interleaving, and draw what goes wrong.')
    .helpOption('--help', 'print this help')
    .argument('[scenario...]', 'names of the catalogue, or litmus files (default: the catalogue)')
    .option('--set <parameter=value>', 'the variant with this value, * for each; repeatable', repeated(settingArgument))
    .addOption(new Option('--all', 'every combination of all parameters').conflicts('set'))
    .addOption(MEMORY)
    .option('--invariant <name>', 'only what is found of this invariant; repeatable', repeated(String))
    .option('--no-reduce', 'without partial-order reduction: meet every state')
    .option('--no-symmetry', 'tell apart CPUs that run the same program')
    .option('--max-states <count>', 'stop a variant after so many states', numberArgument(1, MOST))
    .option('--timeout <seconds>', 'stop a variant after so many seconds', numberArgument(1, 10_000_000))
    .option('--max-memory <mebibytes>', 'stop it when its visited states take so much', numberArgument(1, 1_000_000))
    .addOption(
      new Option('--preemptions <count>', 'only executions with at most so many preemptions')
        .argParser(numberArgument(0, 1000))
        .conflicts('random'),
    )
    .addOption(new Option('--random <kind>', 'random executions in place of a search').choices(['walk', 'pct']))
    .option('--seed <number>', 'seed of the random executions', numberArgument(0, 0xffffffff), 1)
    .option('--runs <count>', 'number of random executions of a variant', numberArgument(1, MOST), 1000)
    .option('--workers <count>', 'threads (default: one for each processor)', numberArgument(1, 1024))
    .option('--json', 'one JSON object a line, for each variant and invariant')
    .option('--svg <file>', 'draw what goes wrong into a file')
    .option('--no-trace', 'do not draw what goes wrong')
    .addHelpText('after', HELP)
    .action((args: readonly string[], options: ExploreCommandOptions) => explore(script, args, options));
}

const HELP = `
Without --set and --all, the variants that a file names are explored. Exit code
1: a verdict differs from what its file expects. A search that hits a bound says
so, and never that something holds. --set 'machine=*' explores all values.`;

/** What is to be explored. */
interface Variation extends NamedVariant {
  readonly scenario: Scenario;
  /** What `pagewalk replay` needs beside the token. */
  readonly argument: string;
}

async function explore(script: URL, args: readonly string[], options: ExploreCommandOptions): Promise<void> {
  const scenarios = await openScenarios(args);
  const variations = scenarios.flatMap((scenario, n) => {
    const argument = args[n] !== undefined && args[n] !== scenario.name.text ? ` ${args[n]}` : '';
    return variationsOf(scenario, options).map((each): Variation => ({ ...each, scenario, argument }));
  });
  const printer = new Printer(variations, options);
  checkInvariants(variations, options.invariant ?? []);
  const size = Math.min(options.workers ?? availableParallelism(), variations.length);
  const pool = new Pool(() => spawnThread(script), size);
  const output = new Output(process.stdout);
  const onInterrupt = () => pool.cancel();
  process.once('SIGINT', onInterrupt);
  try {
    const findings = variations.map((variation, n) => find(pool, variation, printer, n));
    for (const [n, variation] of variations.entries()) {
      const finding = await (findings[n] as Promise<Finding | Error>);
      for (const line of printer.variation(variation, finding)) output.line(line);
      await output.turn();
    }
    for (const line of printer.summary()) output.line(line);
  } finally {
    printer.progress.clear();
    await output.end();
    await pool.close();
    process.removeListener('SIGINT', onInterrupt);
  }
  if (options.svg !== undefined) await writeSvg(options.svg, printer.diagrams);
  if (output.interrupted) process.exit(EXIT_INTERRUPTED);
  if (printer.failed) process.exitCode = EXIT_FAILED;
}

function variationsOf(scenario: Scenario, { set, memory, all }: ExploreCommandOptions): readonly NamedVariant[] {
  if (all) return combinations(scenario, [], true);
  if (set === undefined && memory === undefined) return variantsOf(scenario);
  const model = memory === undefined ? [] : [{ name: 'memory', value: memory }];
  return combinations(scenario, [...(set ?? []), ...model], false);
}

/** What an exploration found, or why it failed: nothing is thrown, for others go on. */
async function find(pool: Pool, variation: Variation, printer: Printer, n: number): Promise<Finding | Error> {
  try {
    const program = compile(variation.scenario, variation.variant);
    return await pool.explore(program, printer.search, {
      traces: printer.draws,
      onProgress: ({ states, transitions, seconds }) => printer.note(n, states, transitions / seconds),
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    printer.note(n, 0, 0);
  }
}

/** @throws InputError naming an invariant that none of the variants has */
function checkInvariants(variations: readonly Variation[], wanted: readonly string[]): void {
  if (wanted.length === 0) return;
  const known = new Set(
    variations.flatMap(({ scenario, variant }) => [
      ...compile(scenario, variant).invariants,
      ...expectationsOf(scenario, variant).map(({ invariant }) => invariant),
      ...BUILT_IN,
    ]),
  );
  const missing = wanted.find((name) => !known.has(name));
  if (missing !== undefined) {
    throw new InputError([`--invariant ${missing} is none of ${[...known].join(', ')}`]);
  }
}

/** What every scenario is watched for. */
const BUILT_IN = LIBRARY.filter(isBuiltIn).map(({ name }) => name);

class Printer {
  readonly search: PoolOptions;
  readonly draws: boolean;
  readonly progress = new Progress(true);
  readonly diagrams: TitledDiagram[] = [];
  failed = false;
  readonly #options: ExploreCommandOptions;
  readonly #bounds: Bounds;
  readonly #total: number;
  readonly #began = performance.now();
  readonly #running = new Map<number, { readonly states: number; readonly speed: number }>();
  readonly #style = outputStyle();
  readonly #width = outputWidth();
  #explored = 0;
  #verdicts = 0;
  #differences = 0;
  #failures = 0;
  #unexplored = 0;
  #states = 0;

  constructor(variations: readonly Variation[], options: ExploreCommandOptions) {
    const { reduce, symmetry, maxStates, timeout, maxMemory, preemptions, random, seed, runs } = options;
    this.#options = options;
    this.#total = variations.length;
    this.#bounds = {
      ...(timeout !== undefined && { timeoutMs: timeout * 1000 }),
      ...(maxMemory !== undefined && { memoryBytes: maxMemory * MIB }),
      ...(preemptions !== undefined && { preemptions }),
      ...(random !== undefined && { random: { kind: random, seed, runs } }),
    };
    this.search = {
      reduce,
      symmetry: reduce && symmetry,
      ...(maxStates !== undefined && { maxStates }),
      ...this.#bounds,
    };
    this.draws = (options.trace && options.json === undefined) || options.svg !== undefined;
  }

  /** How far variation `n` is; no states: it has ended. */
  note(n: number, states: number, speed: number): void {
    if (states === 0) this.#running.delete(n);
    else this.#running.set(n, { states, speed });
    this.progress.show(() => {
      const running = [...this.#running.values()];
      const sum = (of: (each: { states: number; speed: number }) => number) =>
        running.reduce((total, each) => total + of(each), 0);
      const done = `${count(this.#explored)} of ${plural(this.#total, 'variant')}`;
      return `${done}, ${count(sum(({ states }) => states))} states, ${count(Math.round(sum(({ speed }) => speed)))} transitions/s`;
    });
  }

  /** The lines for a variant. */
  *variation({ scenario, id, variant, argument }: Variation, finding: Finding | Error): Generator<string> {
    this.progress.clear();
    const name = scenario.name.text;
    const head = variantText(name, id, variant, usualOf(scenario));
    if (finding instanceof Error) {
      yield* this.#failure({ scenario: name, id, variant }, head, finding);
      return;
    }
    this.#explored++;
    const { result, traces } = finding;
    this.#states += result.states;
    const expected = expectationsOf(scenario, variant);
    const explored: Explored = { scenario: name, id, variant, result, expected, bounds: this.#bounds };
    const wanted = this.#options.invariant;
    const verdicts = result.verdicts.filter(({ invariant }) => wanted === undefined || wanted.includes(invariant));
    this.#verdicts += verdicts.length;
    this.#differences += verdicts.filter((verdict) => isDifference(judge(explored, verdict))).length;
    this.failed ||= this.#differences > 0;
    const sentences = sentencesOf(scenario);
    for (const { invariant } of verdicts) {
      const trace = traces.get(invariant);
      if (trace === undefined || this.#options.svg === undefined) continue;
      this.diagrams.push({ title: `${head}: ${invariant}`, diagram: diagramOf(trace, (each) => sentences.get(each)) });
    }
    if (this.#options.json) {
      for (const verdict of verdicts) yield verdictJson(explored, verdict);
      return;
    }
    yield this.#style('bold', head);
    // What nobody declared and nobody violated is told in one line.
    const quiet = verdicts.filter(
      ({ invariant, verdict }) =>
        BUILT_IN.includes(invariant) && verdict !== 'violated' && !expected.some((row) => row.invariant === invariant),
    );
    const loud = verdicts.filter((verdict) => !quiet.includes(verdict));
    const column = Math.max(0, ...loud.map(({ invariant }) => invariant.length)) + 2;
    for (const verdict of loud) {
      const { lines, differs } = verdictText(explored, verdict, column, this.#width - 2);
      for (const line of lines) yield `  ${differs ? this.#style('red', line) : line}`;
      const { counterexample, invariant } = verdict;
      const trace = traces.get(invariant);
      if (counterexample === undefined || !this.#options.trace || trace === undefined) continue;
      const diagram = diagramOf(trace, (each) => sentences.get(each));
      yield '';
      yield* diagramText(diagram, { width: this.#width, style: this.#style });
      yield `pagewalk replay ${counterexample.token}${argument}`;
      yield '';
    }
    for (const line of quietText(explored, quiet, this.#width - 2)) yield `  ${line}`;
  }

  *#failure(
    what: { scenario: string; id: string | undefined; variant: Variation['variant'] },
    head: string,
    error: Error,
  ) {
    if (error instanceof Cancelled) {
      this.#unexplored++;
      return;
    }
    this.#failures++;
    this.failed = true;
    complain(`${head}: ${error.message}`);
    if (this.#options.json) yield failureJson(what, error.message);
  }

  *summary(): Generator<string> {
    if (this.#options.json) return;
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(3);
    const parts = [
      `${plural(this.#explored, 'variant')}, ${plural(this.#verdicts, 'verdict')}`,
      this.#differences === 0 ? 'no difference' : plural(this.#differences, 'difference'),
      ...(this.#failures > 0 ? [`${plural(this.#failures, 'variant')} failed`] : []),
      ...(this.#unexplored > 0 ? [`interrupted: ${plural(this.#unexplored, 'variant')} not explored`] : []),
      plural(this.#states, 'state'),
      `${seconds} s`,
    ];
    yield parts.join(', ');
  }
}
