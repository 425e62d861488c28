// `pagewalk stress`: races variants of scenarios on real threads, and holds what they show against the explorer.
//
// Guarantees: outcomes are printed when a variant's race is over. One that is forbidden is told at once, with the explorer's shortest interleaving to it.
// Ctrl-C prints what is known within a second. When it ends, no thread is left.

import { Command, Option } from 'commander';
import type { Finding } from '../explore/pool.ts';
import { type NamedVariant, type Scenario, variantsOf } from '../litmus/index.ts';
import type { CheckedVariant } from '../report/checked.ts';
import { agreementText, outcomesJson, raceText, surprisesOf, variantJson } from '../report/stress.ts';
import { variantText } from '../report/verdicts.ts';
import { type Witness, witnessJson, witnessText } from '../report/witness.ts';
import { plural } from '../report/words.ts';
import { INSTANCES, MOST_THREADS } from '../stress/index.ts';
import { durationArgument, numberArgument, powerArgument, repeated, settingArgument } from './arguments.ts';
import { Checker, threadsAtHand, type Variation, WORKERS_TEXT } from './checker.ts';
import { outputStyle, outputWidth } from './drawing.ts';
import { complain, EXIT_FAILED, EXIT_INTERRUPTED } from './exit.ts';
import { Output } from './output.ts';
import { processorsFor } from './pinning.ts';
import { Progress } from './progress.ts';
import { checkReportPath, REPORT_OPTION, writeReport } from './report.ts';
import { openScenarios } from './scenarios.ts';
import { combinations, type Setting, usualOf } from './variants.ts';
import { Witnesses } from './witness.ts';

interface StressCommandOptions {
  readonly set?: readonly Setting[];
  readonly all?: true;
  readonly workers?: number;
  readonly pin?: true;
  readonly budget?: number;
  readonly seed: number;
  readonly build: 'release' | 'chaos' | 'both';
  readonly instances: number;
  readonly explore: boolean;
  readonly exploreTimeout: number;
  readonly hang?: number;
  readonly json?: true;
  readonly report?: string;
  readonly trace: boolean;
}

const MOST = 2 ** 32 - 1;
/** Milliseconds of racing of a variant, without --budget. */
const USUAL_MS = 1000;
const USUAL_HANG_MS = 2500;
/** Less is no race: threads have to begin. */
const LEAST_MS = 20;

export function stressCommand(script: URL): Command {
  return new Command('stress')
    .description('Race every variant of scenarios on real threads, and count what comes out.')
    .helpOption('--help', 'print this help')
    .argument('[scenario...]', 'names of the catalogue, or litmus files (default: the catalogue)')
    .option('--set <parameter=value>', 'the variant with this value, * for each; repeatable', repeated(settingArgument))
    .addOption(new Option('--all', 'every combination of all parameters').conflicts('set'))
    .option('--workers <count>', WORKERS_TEXT, numberArgument(1, MOST_THREADS))
    .option('--pin', 'bind each thread of a race to a processor (Linux, by taskset)')
    .option(
      '--budget <time>',
      'of racing, all variants together: 30s, 500ms, 10m (default: 1s for each)',
      durationArgument,
    )
    .option('--seed <number>', 'of orders, delays and choices', numberArgument(0, MOST), 1)
    .addOption(
      new Option('--build <name>', 'release, chaos (with random delays), or both, each for as long')
        .choices(['release', 'chaos', 'both'])
        .default('release'),
    )
    .option('--instances <count>', 'instances raced in a round, a power of two', powerArgument(65536), INSTANCES)
    .option('--no-explore', 'do not explore the variants')
    .option('--explore-timeout <seconds>', 'stop exploring a variant after so many', numberArgument(1, 1_000_000), 20)
    .option('--hang <time>', 'no thread got on for so long: it is a hang (default: 2.5s)', durationArgument)
    .option('--json', 'one JSON object a line, for each outcome and each variant')
    .option(...REPORT_OPTION)
    .option('--no-trace', 'do not draw how a forbidden outcome comes about')
    .addHelpText('after', HELP)
    .action((args: readonly string[], options: StressCommandOptions) => run(script, args, options));
}

const HELP = `
Exit code 1: threads showed what the explorer says is impossible, violated what
the file expects to hold, or died. Violations that the file expects are fine.`;

async function run(script: URL, args: readonly string[], options: StressCommandOptions): Promise<void> {
  await checkReportPath(options.report);
  const checker = new Checker(script, {
    builds: options.build === 'both' ? ['release', 'chaos'] : [options.build],
    workers: options.workers,
    seed: options.seed,
    instances: options.instances,
    hangMs: options.hang ?? USUAL_HANG_MS,
    ...(options.pin && { processors: processorsFor(options.workers ?? threadsAtHand()) }),
  });
  try {
    // Threads begin while the scenarios are read.
    checker.prepare();
    await raceAll(checker, await openScenarios(args), args, options);
  } finally {
    await checker.close();
  }
}

async function raceAll(
  checker: Checker,
  scenarios: readonly Scenario[],
  args: readonly string[],
  options: StressCommandOptions,
): Promise<void> {
  const began = performance.now();
  const variations = scenarios.flatMap((scenario, n) => {
    const argument = args[n] !== undefined && args[n] !== scenario.name.text ? ` ${args[n]}` : '';
    return variationsOf(scenario, options).map((each): Variation => ({ ...each, scenario, argument }));
  });
  const races = variations.length * (options.build === 'both' ? 2 : 1);
  const raceMs = options.budget === undefined ? USUAL_MS : Math.max(LEAST_MS, options.budget / Math.max(1, races));
  const printer = new Printer(options, variations.length);
  checker.onProgress = (text) => printer.show(text);
  const output = new Output(process.stdout);
  const found: CheckedVariant[] = [];
  const onInterrupt = () => checker.cancel();
  process.once('SIGINT', onInterrupt);
  try {
    for (const variation of variations) {
      if (checker.cancelled) break;
      try {
        let exploring: Promise<Finding | string | undefined> | undefined;
        const explore = () => {
          exploring ??= checker.explore(variation, () => options.exploreTimeout * 1000);
          return exploring;
        };
        const witnesses = new Witnesses(variation, explore, async (witness) => {
          for (const line of printer.witness(variation, witness)) output.line(line);
          await output.turn();
        });
        const tells = options.explore && options.trace;
        const races = await checker.race(variation, raceMs, tells ? witnesses.add : undefined);
        await witnesses.settled();
        const finding = options.explore ? await explore() : 'not asked for';
        const checked = checker.checked(variation, finding ?? 'interrupted', races);
        found.push(checked);
        for (const line of printer.variant(variation, checked)) output.line(line);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        printer.refuse(variation, error);
      }
      await output.turn();
    }
    for (const line of printer.summary()) output.line(line);
  } finally {
    printer.progress.clear();
    await output.end();
    process.removeListener('SIGINT', onInterrupt);
  }
  if (options.report !== undefined) await writeReport(options.report, found, (performance.now() - began) / 1000);
  if (output.interrupted) process.exit(EXIT_INTERRUPTED);
  if (printer.failed) process.exitCode = EXIT_FAILED;
}

function variationsOf(scenario: Scenario, { set, all }: StressCommandOptions): readonly NamedVariant[] {
  if (all) return combinations(scenario, [], true);
  return set === undefined ? variantsOf(scenario) : combinations(scenario, set, false);
}

class Printer {
  readonly progress = new Progress(true);
  failed = false;
  readonly #options: StressCommandOptions;
  readonly #total: number;
  readonly #began = performance.now();
  readonly #style = outputStyle();
  readonly #width = outputWidth();
  #raced = 0;
  #executions = 0;
  #surprises = 0;

  constructor(options: StressCommandOptions, total: number) {
    this.#options = options;
    this.#total = total;
  }

  show(text: () => string): void {
    this.progress.show(() => `${this.#raced} of ${plural(this.#total, 'variant')}, ${text()}`);
  }

  *variant({ scenario, id, variant }: Variation, checked: CheckedVariant): Generator<string> {
    this.progress.clear();
    this.#raced++;
    this.#executions += checked.races.reduce((sum, { executions }) => sum + executions, 0);
    const surprises = surprisesOf(checked);
    this.#surprises += surprises.length;
    this.failed ||= surprises.length > 0;
    if (this.#options.json) {
      yield* outcomesJson(checked);
      yield* variantJson(checked);
      return;
    }
    yield this.#style('bold', variantText(scenario.name.text, id, variant, usualOf(scenario)));
    for (const race of checked.races) yield* raceText(race, checked.expected, this.#width);
    yield* agreementText(checked, this.#width);
    for (const { text } of surprises) yield this.#style('red', `  SURPRISE: ${text}`);
  }

  /** How a violation comes about that threads show. */
  *witness({ scenario, id, variant }: Variation, witness: Witness): Generator<string> {
    this.progress.clear();
    if (this.#options.json) {
      yield witnessJson(witness);
      return;
    }
    const head = variantText(scenario.name.text, id, variant, usualOf(scenario));
    yield `${this.#style('bold', head)}  violated on threads`;
    yield* witnessText(witness, { width: this.#width, style: this.#style });
  }

  refuse({ scenario, id, variant }: Variation, error: Error): void {
    this.progress.clear();
    this.failed = true;
    complain(`${variantText(scenario.name.text, id, variant, usualOf(scenario))}: ${error.message}`);
  }

  *summary(): Generator<string> {
    if (this.#options.json) return;
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(3);
    const parts = [
      `${plural(this.#raced, 'variant')}, ${plural(this.#executions, 'execution')}`,
      this.#surprises === 0 ? 'no surprise' : plural(this.#surprises, 'surprise'),
      ...(this.#raced < this.#total ? [`interrupted: ${plural(this.#total - this.#raced, 'variant')} not raced`] : []),
      `${seconds} s`,
    ];
    yield parts.join(', ');
  }
}
