// Scenarios for programs: reading, compiling, exploring, replaying and racing them, by the package's public door.
//
// Guarantees: importing this reads, parses and compiles nothing. Whatever needs the parser, the explorer, the harness or the texts of the catalogue loads
// them when it is first called; that is why these functions are asynchronous. Nothing prints: all results are data.

import type { ExploreOptions, ExploreResult } from './explore/explore.ts';
import type { Replay } from './explore/replay.ts';
import type { Schedule } from './explore/schedule.ts';
import type { Trace } from './explore/trace.ts';
import type { LitmusError } from './litmus/errors.ts';
import type { Parsed, Scenario } from './litmus/parse.ts';
import type { LitmusProgram, Variant } from './litmus/program.ts';
import type { CatalogueEntry } from './scenarios/index.ts';
import type { StressOptions, StressResult } from './stress/stress.ts';

/** Which variant of a scenario is meant, where a scenario is given and not a program. */
export interface VariantOption {
  /** Values of parameters by name, those of the machine too; a parameter that it does not name has its first value. */
  readonly variant?: Variant;
}

/** A scenario that was built and not read breaks rules of the language. */
export class ScenarioError extends Error {
  /** All that is wrong, with lines and columns of `text`. */
  readonly errors: readonly LitmusError[];
  /** The scenario as `formatScenario` prints it. */
  readonly text: string;

  constructor(name: string, errors: readonly LitmusError[], text: string) {
    super(`scenario ${name}: ${errors.map(({ line, message }) => `line ${line}: ${message}`).join('; ')}`);
    this.name = 'ScenarioError';
    this.errors = errors;
    this.text = text;
  }
}

const litmus = () => import('./litmus/index.ts');
const parser = () => import('./litmus/parse.ts');

/**
 * Scenarios that are known to be right, as they were read. One that was built is printed and read: so its steps have lines, those of the text that
 * `formatScenario` gives, and the checks are the same.
 */
const sound = new WeakMap<Scenario, Scenario>();

/**
 * Reads the text of a scenario, in the language of docs/litmus.md. What is wrong with it comes back as `errors`, each with its line and column
 * (from 1) and what was expected there; whatever the text, nothing is thrown.
 * @param file what errors call the text
 */
export async function parseScenario(text: string, file?: string): Promise<Parsed> {
  const parsed = (await parser()).parseScenario(text, file);
  if (parsed.ok) sound.set(parsed.scenario, parsed.scenario);
  return parsed;
}

/**
 * Compiles one variant of a scenario: the state it begins in and a program for each CPU, as plain data. The same scenario, read or built, gives
 * the same program.
 * @throws RangeError if `variant` names a parameter or a value that the scenario does not have
 * @throws ScenarioError if the scenario was built and breaks a rule
 */
export async function compile(scenario: Scenario, variant: Variant = {}): Promise<LitmusProgram> {
  const { compile } = await litmus();
  return compile(await soundOf(scenario), variant);
}

async function soundOf(scenario: Scenario): Promise<Scenario> {
  const known = sound.get(scenario);
  if (known !== undefined) return known;
  const [{ format }, { parseScenario }] = await Promise.all([litmus(), parser()]);
  const text = format(scenario);
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new ScenarioError(scenario.name.text, parsed.errors, text);
  sound.set(scenario, parsed.scenario);
  return parsed.scenario;
}

/** The scenarios of the package with their texts, in reading order. */
export async function catalogue(): Promise<readonly CatalogueEntry[]> {
  const entries = await (await import('./scenarios/index.ts')).catalogue();
  for (const { scenario } of entries) sound.set(scenario, scenario);
  return entries;
}

/**
 * Runs one variant through every interleaving, on this thread, and says of each invariant whether it holds. It `holds` only after a search that
 * ended by itself; one that hit a bound of `options` says `unknown` and which bound. A violation comes with a shortest schedule, as
 * steps and as a token. The bounds are in states, transitions, milliseconds and bytes.
 * @throws RangeError if the variant does not exist, or needs more room or shared words than there are
 * @throws ScenarioError if the scenario was built and breaks a rule
 */
export async function explore(
  subject: Scenario | LitmusProgram,
  options: ExploreOptions & VariantOption = {},
): Promise<ExploreResult> {
  const { explore } = await import('./explore/explore.ts');
  return explore(await programOf(subject, options.variant), options);
}

/**
 * Makes the execution once more that a token of `explore` or of `pagewalk explore` holds. Of a scenario the variant is found by the token. The
 * answer is that it is reproduced, that the program differs and from which step on, or that the text is no token, or of another scenario.
 * @throws ScenarioError if the scenario was built and breaks a rule
 */
export async function replay(subject: Scenario | LitmusProgram, token: string): Promise<Replay> {
  const { decodeToken, programId, replay, variantsWithId } = await import('./explore/index.ts');
  if ('cpus' in subject) return replay(subject, token);
  const content = decodeToken(token);
  if ('malformed' in content) return { kind: 'malformed', why: content.malformed };
  const { parametersOf } = await litmus();
  const variants = variantsWithId(subject.name.text, parametersOf(subject), content.scenario);
  // Of several with its number, the one with its program.
  let found: LitmusProgram | undefined;
  for (const variant of variants) {
    const program = await compile(subject, variant);
    if (programId(program) === content.program) return replay(program, token);
    found ??= program;
  }
  return found === undefined ? { kind: 'foreign' } : replay(found, token);
}

/**
 * What happens in an execution, step by step, as data: for each step its CPU and line, what it accessed, what changed, what it violated.
 * `schedule` is that of a counterexample (`verdict.counterexample.schedule`).
 * @throws RangeError if the variant does not exist, or the schedule asks for what the program cannot do
 * @throws ScenarioError if the scenario was built and breaks a rule
 */
export async function trace(
  subject: Scenario | LitmusProgram,
  schedule: Schedule,
  options: VariantOption = {},
): Promise<Trace> {
  const { trace } = await import('./explore/trace.ts');
  return trace(await programOf(subject, options.variant), schedule);
}

/**
 * Races one variant on real threads for `budgetMs` milliseconds (default 1000), millions of times, and counts the outcomes. `spawn` makes a thread:
 * see `racerOf`. What threads show is a part of what `explore` finds (`agreementOf` compares them); nothing is said to be impossible here.
 * Hangs and threads that die are in the result. When it settles, no thread is left.
 * @throws RangeError if the variant does not exist, memory cannot be shared here (in a page that takes cross-origin isolation, and the message says
 * which headers), or an option is out of its range
 * @throws ScenarioError if the scenario was built and breaks a rule
 */
export async function stress(
  subject: Scenario | LitmusProgram,
  options: StressOptions & VariantOption,
): Promise<StressResult> {
  const { stress } = await import('./stress/stress.ts');
  return stress(await programOf(subject, options.variant), options);
}

async function programOf(subject: Scenario | LitmusProgram, variant: Variant | undefined): Promise<LitmusProgram> {
  return 'cpus' in subject ? subject : compile(subject, variant);
}
