// What the page shows of checked variants, as plain data: all numbers are counted and all texts are chosen here.

import type { ExploreResult, Verdict } from '../../explore/index.ts';
import { isBuiltIn, LIBRARY, parametersOf, type Scenario } from '../../litmus/index.ts';
import type { StressResult } from '../../stress/index.ts';
import type { CheckedVariant } from '../checked.ts';
import { diagramOf } from '../diagram.ts';
import { diagramText } from '../diagramtext.ts';
import { sentencesOf } from '../sentences.ts';
import { becauseOf, share, surprisesOf } from '../stress.ts';
import { type Explored, isDifference, judge, stoppedText } from '../verdicts.ts';
import { count, plural } from '../words.ts';
import { type Walk, walkOf } from './walk.ts';

/** Of the run that the report tells of. */
export interface About {
  /** Of pagewalk. */
  readonly version: string;
  /** When it was made, as it is to be shown. */
  readonly date: string;
  /** Processors, system, Node: what it ran on. */
  readonly machine: string;
  /** All together. */
  readonly seconds: number;
  /** The command that made it. */
  readonly command: string;
}

export interface Model {
  readonly about: About;
  readonly totals: Totals;
  readonly scenarios: readonly ScenarioModel[];
  /** Counterexamples; `TraceModel.walk` is an index. */
  readonly walks: readonly Walk[];
}

export interface Totals {
  readonly variants: number;
  readonly verdicts: number;
  readonly holds: number;
  readonly violated: number;
  readonly unknown: number;
  readonly surprises: number;
  readonly executions: number;
  readonly states: number;
  /** Of the violated ones that have an interleaving: how many threads showed. */
  readonly caught: number;
  readonly catchable: number;
  /** Of racing. */
  readonly raceSeconds: number;
}

export interface ScenarioModel {
  /** Part of the addresses in the page. */
  readonly key: string;
  readonly name: string;
  readonly sentence: string;
  readonly sources: readonly string[];
  readonly variants: readonly VariantModel[];
  readonly totals: Totals;
}

export interface VariantModel {
  readonly key: string;
  /** Its number, or what it is called without one. */
  readonly name: string;
  readonly settings: readonly string[];
  readonly verdicts: readonly VerdictModel[];
  /** Those that nobody declared and nobody violated, in one line. */
  readonly quiet: string;
  readonly surprises: readonly string[];
  readonly races: readonly RaceModel[];
  readonly outcomes: readonly OutcomeModel[];
  /** How bars are drawn. */
  readonly logarithmic: boolean;
  /** Outcomes that the explorer found and threads did not show. */
  readonly unseen: readonly string[];
  /** What the two engines say of each other, or why there is nothing to say. */
  readonly agreement: string;
  readonly traces: readonly TraceModel[];
}

export type Found = 'holds' | 'violated' | 'unknown';

export interface VerdictModel {
  readonly invariant: string;
  readonly sentence: string;
  readonly found: Found;
  /** `holds in all 1,234 states`. */
  readonly text: string;
  /** `as expected`, `differs from the file`, … */
  readonly judgement: string;
  readonly differs: boolean;
  readonly because: string;
  /** What threads showed of it. */
  readonly threads: string;
}

export interface RaceModel {
  readonly build: string;
  /** `2 threads, seed 1, 1,234,567 executions in 1.000 s`. */
  readonly text: string;
  readonly perSecond: number;
  readonly notes: readonly string[];
  /** Seconds, and executions per second until then from the sample before. */
  readonly samples: readonly (readonly [number, number])[];
}

export interface OutcomeModel {
  readonly text: string;
  readonly grade: 'acceptable' | 'interesting' | 'forbidden';
  readonly because: string;
  /** Contradicts the explorer. */
  readonly impossible: boolean;
  /** One for each race. */
  readonly counts: readonly { readonly count: number; readonly share: string /** 0 to 1 */; readonly length: number }[];
}

export interface TraceModel {
  readonly invariant: string;
  /** `WRITEBACK violated in 17 steps with 1 preemption`. */
  readonly title: string;
  readonly command: string;
  /** Index in `Model.walks`. */
  readonly walk: number;
  /** The diagram as text, for who has no JavaScript. */
  readonly text: string;
}

/** Widths of bars are logarithmic if the rarest outcome would not be seen otherwise. */
const LINEAR_UNTIL = 40;
/** Points of a chart, at most. */
const MOST_POINTS = 60;
const TEXT_WIDTH = 110;
const BUILT_IN = new Set(LIBRARY.filter(isBuiltIn).map(({ name }) => name));

export function modelOf(checked: readonly CheckedVariant[], about: About): Model {
  const walks: Walk[] = [];
  const scenarios = new Map<Scenario, CheckedVariant[]>();
  for (const each of checked) scenarios.set(each.scenario, [...(scenarios.get(each.scenario) ?? []), each]);
  const keys = new Keys();
  return {
    about,
    totals: totalsOf(checked),
    scenarios: [...scenarios].map(([scenario, variants]) => scenarioOf(scenario, variants, keys, walks)),
    walks,
  };
}

/** Texts as parts of addresses in a page, each given once. */
class Keys {
  readonly #taken = new Set<string>();

  of(text: string): string {
    const plain = text.replace(/[^\w-]+/g, '-');
    let key = plain;
    for (let n = 2; this.#taken.has(key); n++) key = `${plain}-${n}`;
    this.#taken.add(key);
    return key;
  }
}

function totalsOf(checked: readonly CheckedVariant[]): Totals {
  const races = checked.flatMap((each) => each.races);
  const verdicts = checked.flatMap(({ explored }) => explored?.verdicts ?? []);
  const violable = checked.flatMap(({ agreement }) => agreement?.violable ?? []);
  const number = (wanted: Found) => verdicts.filter(({ verdict }) => verdict === wanted).length;
  const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
  return {
    variants: checked.length,
    verdicts: verdicts.length,
    holds: number('holds'),
    violated: number('violated'),
    unknown: number('unknown'),
    surprises: sum(checked.map((each) => new Set(surprisesOf(each).map(({ text }) => text)).size)),
    executions: sum(races.map(({ executions }) => executions)),
    states: sum(checked.map(({ explored }) => explored?.states ?? 0)),
    caught: violable.filter(({ seen }) => seen).length,
    catchable: violable.length,
    raceSeconds: sum(races.map(({ seconds }) => seconds)),
  };
}

function scenarioOf(scenario: Scenario, variants: readonly CheckedVariant[], keys: Keys, walks: Walk[]): ScenarioModel {
  const key = keys.of(scenario.name.text);
  const sentences = sentencesOf(scenario);
  return {
    key,
    name: scenario.name.text,
    sentence: scenario.sentence,
    sources: scenario.sources,
    variants: variants.map((each) => variantOf(each, sentences, keys, key, walks)),
    totals: totalsOf(variants),
  };
}

function variantOf(
  checked: CheckedVariant,
  sentences: ReadonlyMap<string, string>,
  keys: Keys,
  scenarioKey: string,
  walks: Walk[],
): VariantModel {
  const { scenario, id, variant, expected, explored, unexplored, agreement, races } = checked;
  const own = new Set(scenario.parameters.map(({ name }) => name.text));
  const settings = parametersOf(scenario)
    .filter(({ name, values }) => own.has(name) || variant[name] !== values[0])
    .map(({ name }) => `${name} = ${variant[name]}`);
  const shown = explored?.verdicts.filter(
    ({ invariant, verdict }) =>
      verdict === 'violated' || !BUILT_IN.has(invariant) || expected.some((row) => row.invariant === invariant),
  );
  const quiet = explored?.verdicts.filter((verdict) => !shown?.includes(verdict)) ?? [];
  const outcomes = outcomesOf(checked);
  const counts = outcomes.flatMap((outcome) => outcome.counts.map(({ count }) => count)).filter((n) => n > 0);
  const logarithmic = counts.length > 0 && Math.max(...counts) > LINEAR_UNTIL * Math.min(...counts);
  return {
    key: keys.of(`${scenarioKey}.${id ?? (settings.map((each) => each.replace(/ = /, '-')).join('.') || 'only')}`),
    name: id ?? (settings.length === 0 ? 'only variant' : ''),
    settings,
    verdicts: (shown ?? []).map((verdict) => verdictOf(checked, explored as ExploreResult, verdict, sentences)),
    quiet: explored === undefined ? '' : quietOf(explored, quiet),
    surprises: [...new Set(surprisesOf(checked).map(({ text }) => text))],
    races: races.map(raceOf),
    outcomes: scaled(outcomes, logarithmic),
    logarithmic,
    unseen: agreement?.unseen.map(({ text }) => (text === '' ? 'all well' : text)) ?? [],
    agreement: agreementOf(checked, unexplored),
    traces: tracesOf(checked, sentences, walks),
  };
}

// ---- what was explored

function verdictOf(
  { scenario, id, variant, expected, races }: CheckedVariant,
  result: ExploreResult,
  found: Verdict,
  sentences: ReadonlyMap<string, string>,
): VerdictModel {
  const { invariant, verdict, counterexample } = found;
  const bounds = { timeoutMs: Math.round(result.seconds * 1000) };
  const explored: Explored = { scenario: scenario.name.text, id, variant, result, expected, bounds };
  const judgement = judge(explored, found);
  const row = expected.find((each) => each.invariant === invariant);
  const seen = races.flatMap(({ outcomes }) => outcomes.filter(({ violated }) => violated.includes(invariant)));
  const times = seen.reduce((sum, each) => sum + each.count, 0);
  const executions = races.reduce((sum, each) => sum + each.executions, 0);
  const text = {
    holds: `holds in all ${plural(result.states, 'state')}`,
    violated:
      counterexample === undefined
        ? `violated: no state of ${count(result.states)} meets it`
        : `violated in ${plural(counterexample.steps, 'step')} with ${plural(counterexample.preemptions, 'preemption')}`,
    unknown: `not exhaustive: ${stoppedText(result, bounds)}, and no violation was found`,
  } satisfies Record<Found, string>;
  const wanted = `the file expects it to ${row?.verdict === 'violated' ? 'be violated' : 'hold'}`;
  // What a bound left open contradicts nothing.
  const differs = verdict !== 'unknown' && isDifference(judgement);
  const judged = {
    'as expected': 'as expected',
    differs: differs ? `differs: ${wanted}` : wanted,
    'not expected': 'differs: the file does not expect it',
    'nothing expected': '',
  } satisfies Record<typeof judgement, string>;
  return {
    invariant,
    sentence: sentences.get(invariant) ?? '',
    found: verdict,
    text: text[verdict],
    judgement: judged[judgement],
    differs,
    because: row?.because ?? '',
    threads:
      executions === 0 ? 'not raced' : times === 0 ? 'never' : `${plural(times, 'time')} (${share(times, executions)})`,
  };
}

function quietOf(result: ExploreResult, quiet: readonly Verdict[]): string {
  if (quiet.length === 0) return '';
  const names = quiet.map(({ invariant }) => invariant).join(', ');
  if (!result.exhaustive) return `${names}: not exhaustive, and no violation was found`;
  return `${names} ${quiet.length === 1 ? 'holds' : 'hold'} in all ${plural(result.states, 'state')}`;
}

function tracesOf(
  { explored, traces, argument = '' }: CheckedVariant,
  sentences: ReadonlyMap<string, string>,
  walks: Walk[],
): readonly TraceModel[] {
  const sentenceOf = (name: string) => sentences.get(name);
  return (explored?.verdicts ?? []).flatMap(({ invariant, counterexample }) => {
    const trace = traces.get(invariant);
    if (trace === undefined || counterexample === undefined) return [];
    walks.push(walkOf(trace, sentenceOf));
    const { steps, preemptions, token } = counterexample;
    const diagram = diagramOf(trace, sentenceOf);
    return [
      {
        invariant,
        title: `${invariant} violated in ${plural(steps, 'step')} with ${plural(preemptions, 'preemption')}`,
        command: `pagewalk replay ${token}${argument}`,
        walk: walks.length - 1,
        text: diagramText(diagram, { width: TEXT_WIDTH }).join('\n'),
      },
    ];
  });
}

// ---- what threads showed

function raceOf(race: StressResult): RaceModel {
  const { build, workers, crowd, seed, executions, seconds, hangs, deaths, overflow, cut, samples } = race;
  const rates = samples.map(({ executions, seconds }, n): [number, number] => {
    const before = samples[n - 1] ?? { executions: 0, seconds: 0 };
    const elapsed = seconds - before.seconds;
    return [seconds, elapsed > 0 ? Math.max(0, (executions - before.executions) / elapsed) : 0];
  });
  return {
    build,
    text: `${plural(workers, 'thread')}, seed ${seed}: ${plural(executions, 'execution')} in ${seconds.toFixed(3)} s`,
    perSecond: seconds > 0 ? executions / seconds : 0,
    notes: [
      ...(crowd > 1 ? [`up to ${crowd} CPUs a thread, in turns: they met between instructions only`] : []),
      ...hangs.map((hang) => `hang: ${hang}`),
      ...deaths.map((death) => `a thread died, and its round is not counted: ${death}`),
      ...(overflow > 0 ? [`${plural(overflow, 'outcome')} not kept: there are too many different ones`] : []),
      ...(cut ? ['cut short'] : []),
    ],
    samples: thinned(rates),
  };
}

/** Means of neighbours, so that there are few enough. */
function thinned(samples: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const size = Math.max(1, Math.ceil(samples.length / MOST_POINTS));
  const points: [number, number][] = [];
  for (let n = 0; n < samples.length; n += size) {
    const part = samples.slice(n, n + size);
    const mean = part.reduce((sum, [, rate]) => sum + rate, 0) / part.length;
    points.push([Number((part.at(-1) as readonly [number, number])[0].toFixed(3)), Math.round(mean)]);
  }
  return points;
}

function outcomesOf({ races, expected, agreement }: CheckedVariant): readonly OutcomeModel[] {
  const impossible = new Set(agreement?.disagreements.map(({ outcome }) => outcome.text));
  const texts = new Set(races.flatMap(({ outcomes }) => outcomes.map(({ text }) => text)));
  const rows = [...texts].flatMap((text) => {
    const found = races.map(({ outcomes }) => outcomes.find((outcome) => outcome.text === text));
    const first = found.find((outcome) => outcome !== undefined);
    if (first === undefined) return [];
    return {
      text,
      grade: first.grade,
      because: becauseOf(first, expected),
      impossible: impossible.has(text),
      counts: races.map(({ executions }, n) => {
        const times = found[n]?.count ?? 0;
        return { count: times, share: share(times, executions), length: 0 };
      }),
    };
  });
  const total = ({ counts }: OutcomeModel) => counts.reduce((sum, each) => sum + each.count, 0);
  return rows.sort((a, b) => total(b) - total(a) || (a.text < b.text ? -1 : 1));
}

/** With the lengths of their bars: each race fills its own column. */
function scaled(outcomes: readonly OutcomeModel[], logarithmic: boolean): readonly OutcomeModel[] {
  const most = outcomes.reduce<number[]>(
    (found, { counts }) => counts.map((each, n) => Math.max(found[n] ?? 1, each.count)),
    [],
  );
  const length = (n: number, race: number) => {
    const whole = most[race] ?? 1;
    return logarithmic ? Math.log(n + 1) / Math.log(whole + 1) : n / whole;
  };
  return outcomes.map((outcome) => ({
    ...outcome,
    counts: outcome.counts.map((each, race) => ({ ...each, length: length(each.count, race) })),
  }));
}

function agreementOf({ explored, races, agreement }: CheckedVariant, unexplored: string | undefined): string {
  if (explored === undefined) return `Not explored: ${unexplored ?? 'not asked for'}.`;
  if (races.length === 0 || agreement === undefined) return 'Not raced.';
  if (!explored.exhaustive) {
    return `Explored in part (${plural(explored.states, 'state')}): what threads show is not judged by it.`;
  }
  if (agreement.disagreements.length > 0) return 'The engines contradict each other: a mistake of pagewalk itself.';
  const all = explored.outcomes.length;
  const seen = all - agreement.unseen.length;
  const shown =
    seen === all
      ? all === 1
        ? 'the only outcome'
        : `all ${count(all)} outcomes`
      : `${count(seen)} of ${plural(all, 'outcome')}`;
  return `The engines agree. Threads showed ${shown} that there ${all === 1 ? 'is' : 'are'}.`;
}
