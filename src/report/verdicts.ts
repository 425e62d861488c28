// What was found of a variant: a line for each invariant, as text and as JSON, beside what its file expects.

import type { ExploreResult, Verdict } from '../explore/index.ts';
import type { Expected, Variant } from '../litmus/index.ts';
import { wrap } from './layout.ts';
import { count, plural, size } from './words.ts';

/** A variant that was explored. */
export interface Explored {
  readonly scenario: string;
  /** Its number in the scenario's table. */
  readonly id: string | undefined;
  readonly variant: Variant;
  readonly result: ExploreResult;
  /** What its file expects of it; nothing of a variant of which it says nothing. */
  readonly expected: readonly Expected[];
  /** The bounds of the search. */
  readonly bounds: Bounds;
}

export interface Bounds {
  readonly timeoutMs?: number;
  readonly memoryBytes?: number;
  readonly preemptions?: number;
  readonly random?: { readonly kind: 'walk' | 'pct'; readonly seed: number; readonly runs: number };
}

export type Judgement = 'as expected' | 'differs' | 'not expected' | 'nothing expected';

/**
 * How a verdict stands to what the file expects. What the file does not name is to hold, if it says anything of the variant; a random search can
 * contradict only by a violation.
 */
export function judge({ expected, bounds }: Explored, { invariant, verdict }: Verdict): Judgement {
  const wanted = expected.find((row) => row.invariant === invariant)?.verdict;
  if (expected.length === 0) return 'nothing expected';
  if (wanted === undefined) return verdict === 'violated' ? 'not expected' : 'nothing expected';
  if (verdict === wanted) return 'as expected';
  return bounds.random !== undefined && verdict === 'unknown' ? 'nothing expected' : 'differs';
}

/** Does the verdict contradict the file? */
export function isDifference(judgement: Judgement): boolean {
  return judgement === 'differs' || judgement === 'not expected';
}

/** `{"scenario","id","variant","invariant","verdict","exhaustive","states","transitions","seconds","steps","token"}` */
export function verdictJson({ scenario, id, variant, result }: Explored, found: Verdict): string {
  const { invariant, verdict, counterexample } = found;
  const { exhaustive, states, transitions, seconds } = result;
  const head = JSON.stringify({
    scenario,
    id: id ?? null,
    variant,
    invariant,
    verdict,
    exhaustive,
    states,
    transitions,
  });
  const tail = JSON.stringify({ steps: counterexample?.steps ?? null, token: counterexample?.token ?? null });
  return `${head.slice(0, -1)},"seconds":${seconds.toFixed(6)},${tail.slice(1)}`;
}

/** Of a variant that could not be explored. */
export function failureJson(
  { scenario, id, variant }: Omit<Explored, 'result' | 'expected' | 'bounds'>,
  error: string,
) {
  return JSON.stringify({ scenario, id: id ?? null, variant, verdict: 'unknown', exhaustive: false, error });
}

/** `clean-against-writer B1  flush = after-act`; `usual` are values that go without saying. */
export function variantText(scenario: string, id: string | undefined, variant: Variant, usual: Variant): string {
  const settings = Object.entries(variant).filter(([name, value]) => usual[name] !== value);
  const named = id === undefined ? scenario : `${scenario} ${id}`;
  return settings.length === 0
    ? named
    : `${named}  ${settings.map(([name, value]) => `${name} = ${value}`).join(', ')}`;
}

export interface VerdictText {
  readonly lines: readonly string[];
  readonly differs: boolean;
}

/** The lines for one invariant: what was found, and how it stands to what is expected. `column`: where its text begins. */
export function verdictText(explored: Explored, found: Verdict, column: number, width: number): VerdictText {
  const judgement = judge(explored, found);
  const { verdict, because } = explored.expected.find(({ invariant }) => invariant === found.invariant) ?? {};
  const indent = ' '.repeat(column);
  const lines = wrap(`${found.invariant.padEnd(column)}${foundText(explored, found)}`, width);
  const add = (text: string) => lines.push(...wrap(`${indent}${text}`, width));
  if (judgement === 'as expected' && found.verdict === 'violated') add(`as expected: ${because}`);
  if (judgement === 'differs') add(`DIFFERS from the file, by which it is ${STATES[verdict ?? 'holds']}: ${because}`);
  if (judgement === 'not expected') add('DIFFERS from the file, which does not expect it');
  return { lines, differs: isDifference(judgement) };
}

/** The lines for several invariants of which there is nothing to say. */
export function quietText({ result, bounds }: Explored, quiet: readonly Verdict[], width: number): readonly string[] {
  if (quiet.length === 0) return [];
  const names = quiet.map(({ invariant }) => invariant).join(', ');
  if (!result.exhaustive) return wrap(`${names}: not exhaustive: ${stoppedText(result, bounds)}`, width);
  return wrap(`${names} ${quiet.length === 1 ? 'holds' : 'hold'} in all ${plural(result.states, 'state')}`, width);
}

const STATES = { holds: 'to hold', violated: 'to be violated' } as const;

function foundText({ result, bounds }: Explored, { verdict, counterexample }: Verdict): string {
  switch (verdict) {
    case 'holds':
      return `holds in all ${plural(result.states, 'state')}`;
    case 'violated': {
      if (counterexample === undefined) return `violated: no state of ${count(result.states)} meets it`;
      const { steps, preemptions } = counterexample;
      return `violated in ${plural(steps, 'step')} with ${plural(preemptions, 'preemption')}`;
    }
    case 'unknown':
      return `not exhaustive: ${stoppedText(result, bounds)}, and no violation was found`;
  }
}

/** Why the search was not exhaustive. */
export function stoppedText({ stopped, states, transitions }: ExploreResult, bounds: Bounds): string {
  const met = `${plural(states, 'state')}`;
  switch (stopped) {
    case undefined:
    case 'states':
      return `stopped at the bound of ${met}`;
    case 'transitions':
      return `stopped at the bound of ${plural(transitions, 'transition')}, ${met}`;
    case 'time':
      return `stopped after ${(bounds.timeoutMs ?? 0) / 1000} s, ${met}`;
    case 'memory':
      return `stopped when the visited states took ${size(bounds.memoryBytes ?? 0)}, ${met}`;
    case 'cancelled':
      return `interrupted after ${met}`;
    case 'sampled': {
      const { kind, seed, runs } = bounds.random ?? { kind: 'walk', seed: 0, runs: 0 };
      return `${count(runs)} random ${kind === 'walk' ? 'walks' : 'runs of PCT'} of seed ${seed}, ${met}`;
    }
    case 'preemptions':
      return `only executions with at most ${plural(bounds.preemptions ?? 0, 'preemption')}, ${met}`;
  }
}
