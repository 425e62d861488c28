// `pagewalk check`: explores and races all of it within a budget, and says what nobody expected.
//
// Guarantees: first every variant is explored, the small ones first, for at most EXPLORING of the budget; then each is raced for an equal part of
// the rest. What threads violate is told at once, with its token, and if nobody expects it, or with --trace, with the shortest interleaving to it. What
// did not come to its end is said to be unknown, never to hold. Ctrl-C prints what is known. When it ends, no thread is left.

import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import type { Finding } from '../explore/pool.ts';
import { compile, expectationsOf, sizeOf, variantsOf } from '../litmus/index.ts';
import { scenarioText } from '../report/check.ts';
import type { CheckedVariant } from '../report/checked.ts';
import { outcomesJson, surprisesOf, variantJson } from '../report/stress.ts';
import { variantText } from '../report/verdicts.ts';
import { type Witness, witnessJson, witnessText } from '../report/witness.ts';
import { plural } from '../report/words.ts';
import type { StressResult } from '../stress/index.ts';
import { MOST_THREADS } from '../stress/index.ts';
import { durationArgument, numberArgument } from './arguments.ts';
import { Checker, type Variation, WORKERS_TEXT } from './checker.ts';
import { outputStyle, outputWidth } from './drawing.ts';
import { complain, EXIT_FAILED, EXIT_INTERRUPTED } from './exit.ts';
import { Output } from './output.ts';
import { Progress } from './progress.ts';
import { checkReportPath, REPORT_OPTION, writeReport } from './report.ts';
import { openScenarios } from './scenarios.ts';
import { usualOf } from './variants.ts';
import { Witnesses } from './witness.ts';

interface CheckCommandOptions {
  readonly budget?: number;
  readonly workers?: number;
  readonly seed: number;
  readonly build: 'release' | 'chaos' | 'both';
  readonly trace?: true;
  readonly json?: true;
  readonly report?: string;
}

const USUAL_MS = 30_000;
/** Of the budget, for exploring. */
const EXPLORING = 0.6;
/** Milliseconds for a variant in the first pass of exploring, and by what the next passes have more. */
const FIRST_MS = 250;
const FACTOR = 6;
const LEAST_RACE_MS = 20;

export function checkCommand(script: URL): Command {
  return new Command('check')
    .description('Explore and race every variant of scenarios within a budget, and compare what both found.')
    .helpOption('--help', 'print this help')
    .argument('[scenario...]', 'names of the catalogue, or litmus files (default: the catalogue)')
    .option('--budget <time>', 'of everything: 30s, 10m (default: 30s)', durationArgument)
    .option('--workers <count>', WORKERS_TEXT, numberArgument(1, MOST_THREADS))
    .option('--seed <number>', 'of orders, delays and choices', numberArgument(0, 2 ** 32 - 1), 1)
    .addOption(
      new Option('--build <name>', 'what races: release, chaos, or both')
        .choices(['release', 'chaos', 'both'])
        .default('release'),
    )
    .option('--trace', 'draw how each violation comes about that threads show, also those that are expected')
    .option('--json', 'one JSON object a line, for each outcome and each variant')
    .option(...REPORT_OPTION)
    .addHelpText('after', HELP)
    .action((args: readonly string[], options: CheckCommandOptions) => check(script, args, options));
}

const HELP = `
Exit code 1: something is not as the file of its scenario expects, threads showed
what the explorer says is impossible, or a thread died.`;

async function check(script: URL, args: readonly string[], options: CheckCommandOptions): Promise<void> {
  const began = performance.now();
  const { budget = USUAL_MS } = options;
  const left = () => budget - (performance.now() - began);
  await checkReportPath(options.report);
  const scenarios = await openScenarios(args);
  const variations = scenarios.flatMap((scenario, n) => {
    const argument = args[n] !== undefined && args[n] !== scenario.name.text ? ` ${args[n]}` : '';
    return variantsOf(scenario).map((each): Variation => ({ ...each, scenario, argument }));
  });
  const builds = options.build === 'both' ? (['release', 'chaos'] as const) : [options.build];
  const checker = new Checker(script, {
    builds,
    workers: options.workers,
    seed: options.seed,
    instances: 64,
    hangMs: 2500,
  });
  const progress = new Progress(true);
  const output = new Output(process.stdout);
  const onInterrupt = () => checker.cancel();
  process.once('SIGINT', onInterrupt);
  const checked: CheckedVariant[] = [];
  let failed = false;
  try {
    const findings = await exploreAll(checker, variations, budget * EXPLORING, progress);
    const style = outputStyle();
    let raced = 0;
    for (const scenario of scenarios) {
      const own: CheckedVariant[] = [];
      for (const [n, variation] of variations.entries()) {
        if (variation.scenario !== scenario) continue;
        const parts = (variations.length - raced++) * builds.length;
        const raceMs = Math.max(LEAST_RACE_MS, (left() - LATE_MS * parts) / parts);
        checker.onProgress = (text) =>
          progress.show(() => `raced ${raced - 1} of ${plural(variations.length, 'variant')}, ${text()}`);
        const witnesses = new Witnesses(
          variation,
          async () => findings[n],
          async (witness) => {
            progress.clear();
            for (const line of witnessLines(variation, witness, options)) output.line(line);
            await output.turn();
          },
        );
        const races = await racesOf(checker, variation, raceMs, witnesses);
        await witnesses.settled();
        own.push(checker.checked(variation, findings[n] ?? 'not within the budget', races));
      }
      checked.push(...own);
      failed ||= own.some((each) => surprisesOf(each).length > 0);
      progress.clear();
      if (options.json) {
        for (const each of own) {
          for (const line of outcomesJson(each)) output.line(line);
          for (const line of variantJson(each)) output.line(line);
        }
      } else {
        for (const line of scenarioText(scenario, own, outputWidth(), style)) output.line(line);
        output.line('');
      }
      await output.turn();
      if (checker.cancelled) break;
    }
    if (!options.json) output.line(summary(checked, variations.length, (performance.now() - began) / 1000));
  } finally {
    progress.clear();
    await output.end();
    await checker.close();
    process.removeListener('SIGINT', onInterrupt);
  }
  if (options.report !== undefined) await writeReport(options.report, checked, (performance.now() - began) / 1000);
  if (output.interrupted) process.exit(EXIT_INTERRUPTED);
  if (failed) process.exitCode = EXIT_FAILED;
}

/** What a race costs beside racing. */
const LATE_MS = 22;

async function racesOf(
  checker: Checker,
  variation: Variation,
  raceMs: number,
  witnesses: Witnesses,
): Promise<readonly StressResult[]> {
  if (checker.cancelled) return [];
  try {
    return await checker.race(variation, raceMs, witnesses.add);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    complain(`${variation.scenario.name.text} ${variation.id ?? ''}: not raced: ${error.message}`);
    return [];
  }
}

/** What threads violate, and how: what the file expects is told in two lines, unless more is wanted. */
function* witnessLines(
  { scenario, id, variant, argument }: Variation,
  witness: Witness,
  { json, trace }: CheckCommandOptions,
): Generator<string> {
  if (json) {
    yield witnessJson(witness);
    return;
  }
  const style = outputStyle();
  const expected = expectationsOf(scenario, variant).some(
    ({ invariant, verdict }) => invariant === witness.invariant && verdict === 'violated',
  );
  const head = variantText(scenario.name.text, id, variant, usualOf(scenario));
  yield `${style('bold', head)}  violated on threads: ${witness.invariant}${expected ? ', as expected' : ''}`;
  if (trace || !expected) yield* witnessText(witness, { width: outputWidth(), style });
  else yield `pagewalk replay ${witness.token}${argument}`;
}

/** Explores in passes, each with more time for the variants that the one before did not finish. */
async function exploreAll(
  checker: Checker,
  variations: readonly Variation[],
  budgetMs: number,
  progress: Progress,
): Promise<(Finding | string | undefined)[]> {
  const until = performance.now() + budgetMs;
  const findings: (Finding | string | undefined)[] = variations.map(() => undefined);
  const sizes = variations.map(({ scenario, variant }) => sizeOf(compile(scenario, variant)));
  let open = variations.map((_, n) => n).sort((a, b) => (sizes[a] as number) - (sizes[b] as number));
  const threads = availableParallelism();
  for (let ms = FIRST_MS; open.length > 0 && !checker.cancelled; ms *= FACTOR) {
    const again: number[] = [];
    await Promise.all(
      open.map(async (n) => {
        const limit = () => Math.min(ms, until - performance.now());
        const finding = await checker.explore(variations[n] as Variation, limit);
        if (finding === undefined) return;
        findings[n] = finding;
        if (typeof finding !== 'string' && !finding.result.exhaustive) again.push(n);
        progress.show(() => {
          const done = findings.filter(
            (each) => each !== undefined && (typeof each === 'string' || each.result.exhaustive),
          );
          return `explored ${done.length} of ${plural(variations.length, 'variant')}`;
        });
      }),
    );
    open = again;
    if (until - performance.now() < (ms * FACTOR) / threads / 4) break;
  }
  return findings;
}

function summary(checked: readonly CheckedVariant[], total: number, seconds: number): string {
  const executions = checked.reduce((sum, { races }) => races.reduce((all, race) => all + race.executions, sum), 0);
  const exhaustive = checked.filter(({ explored }) => explored?.exhaustive).length;
  const states = checked.reduce((sum, { explored }) => sum + (explored?.states ?? 0), 0);
  const surprises = checked.reduce((sum, each) => sum + surprisesOf(each).length, 0);
  const violable = checked.flatMap(({ agreement }) => agreement?.violable ?? []);
  const caught = violable.filter(({ seen }) => seen).length;
  return [
    `${plural(checked.length, 'variant')}${checked.length < total ? ` of ${total}, interrupted` : ''}`,
    `${exhaustive} explored to the end in ${plural(states, 'state')}`,
    plural(executions, 'execution'),
    `${caught} of ${plural(violable.length, 'possible violation')} caught on threads`,
    surprises === 0 ? 'no surprise' : plural(surprises, 'surprise'),
    `${seconds.toFixed(3)} s`,
  ].join(', ');
}
