// What threads showed of a variant: a table of outcomes in the manner of jcstress, and JSON lines.

import type { Expected } from '../litmus/index.ts';
import type { Grade, StressOutcome, StressResult } from '../stress/index.ts';
import type { CheckedVariant } from './checked.ts';
import { wrap } from './layout.ts';
import { count, plural } from './words.ts';

/** Something of a variant that nobody expects. */
export interface Surprise {
  readonly text: string;
}

/**
 * All that contradicts the file, or one engine the other: an outcome that no interleaving has; an invariant that is violated and should hold, or
 * the reverse of what the file expects after an exhaustive search; a thread that died.
 */
export function surprisesOf(checked: CheckedVariant): readonly Surprise[] {
  const { races, agreement, explored, expected } = checked;
  const surprises: Surprise[] = [];
  const say = (text: string) => surprises.push({ text });
  for (const { outcome, what, invariants, torn } of agreement?.disagreements ?? []) {
    const but = torn ? ' (its atomic blocks are several accesses on threads)' : '';
    say(
      what === 'impossible outcome'
        ? `threads showed "${outcome.state}" ${plural(outcome.count, 'time')}, and the explorer says that there is no such outcome${but}`
        : `threads violated ${invariants.join(', ')} ("${outcome.text}", ${plural(outcome.count, 'time')}), and the explorer says that it holds${but}`,
    );
  }
  const seen = new Set(races.flatMap(({ outcomes }) => outcomes.flatMap(({ violated }) => violated)));
  for (const invariant of seen) {
    if (isSurprising(expected, invariant)) say(`threads violated ${invariant}, which the file does not expect`);
  }
  for (const { invariant, verdict } of explored?.verdicts ?? []) {
    const wanted = expected.find((row) => row.invariant === invariant)?.verdict;
    if (verdict === 'violated' && isSurprising(expected, invariant) && !seen.has(invariant)) {
      say(`${invariant} is violated, which the file does not expect`);
    }
    if (verdict === 'holds' && wanted === 'violated') say(`${invariant} holds, and the file expects it to be violated`);
  }
  for (const { deaths, overflow, build } of races) {
    for (const death of deaths) say(`a thread of the ${build} build died: ${death}; its round is not counted`);
    if (overflow > 0)
      say(`${plural(overflow, 'outcome')} of the ${build} build were not kept: there are too many different ones`);
  }
  return surprises;
}

/** May a violation of it contradict the file? Of variants of which the file says nothing, everything may happen. */
function isSurprising(expected: readonly Expected[], invariant: string): boolean {
  if (expected.length === 0) return false;
  return expected.find((row) => row.invariant === invariant)?.verdict !== 'violated';
}

/** Lines for one race, without the head of the variant. `width`: of the terminal. */
export function* raceText(race: StressResult, expected: readonly Expected[], width: number): Generator<string> {
  const { build, workers, crowd, executions, seconds, seed, outcomes } = race;
  const turns = crowd > 1 ? `, up to ${crowd} CPUs a thread in turns` : '';
  yield `  ${build} build, ${plural(workers, 'thread')}${turns}, seed ${seed}: ${plural(executions, 'execution')} in ${seconds.toFixed(3)} s`;
  const rows = outcomes.map((outcome) => [
    outcome.text,
    count(outcome.count),
    share(outcome.count, executions),
    outcome.grade,
    becauseOf(outcome, expected),
  ]);
  const table = [['outcome', 'count', 'frequency', 'grade', 'because'], ...rows];
  const widths = [0, 1, 2, 3].map((n) => Math.max(...table.map((row) => (row[n] as string).length)));
  for (const [outcome = '', times = '', part = '', grade = '', because = ''] of table) {
    const head = `    ${outcome.padEnd(widths[0] as number)}  ${times.padStart(widths[1] as number)}  ${part.padStart(widths[2] as number)}  ${grade.padEnd(widths[3] as number)}  `;
    const room = Math.max(30, width - head.length);
    const [first = '', ...more] = wrap(because, room);
    yield `${head}${first}`.trimEnd();
    for (const line of more) yield `${' '.repeat(head.length)}${line.trim()}`;
  }
  for (const hang of race.hangs) for (const line of wrap(`hang: ${hang}`, width - 4)) yield `    ${line}`;
  if (race.cut) yield '    cut short';
}

/** Lines on what the two engines say of each other. */
export function* agreementText(checked: CheckedVariant, width: number): Generator<string> {
  const { agreement, explored, unexplored } = checked;
  if (explored === undefined) {
    yield `  not explored: ${unexplored ?? 'not asked for'}`;
    return;
  }
  if (!explored.exhaustive) {
    yield `  explored in part (${plural(explored.states, 'state')}): what threads show is not judged by it`;
  }
  if (agreement === undefined) return;
  const { unseen, violable, disagreements } = agreement;
  const caught = violable.filter(({ seen }) => seen).map(({ invariant }) => invariant);
  const missed = violable.filter(({ seen }) => !seen).map(({ invariant }) => invariant);
  const parts = [
    ...(disagreements.length === 0 && explored.exhaustive ? ['both engines agree'] : []),
    ...(caught.length > 0 ? [`caught on threads: ${caught.join(', ')}`] : []),
    ...(missed.length > 0 ? [`proved possible, not seen on threads: ${missed.join(', ')}`] : []),
  ];
  if (parts.length > 0) for (const line of wrap(parts.join('; '), width - 2)) yield `  ${line}`;
  if (unseen.length > 0) {
    const shown = unseen.slice(0, 8).map(({ text }) => (text === '' ? 'all well' : text));
    const more = unseen.length > shown.length ? `, and ${unseen.length - shown.length} more` : '';
    for (const line of wrap(`explored, never seen: ${shown.join(' | ')}${more}`, width - 2)) yield `  ${line}`;
  }
}

/** `12.3 %`, `4.5 per million`. */
export function share(part: number, whole: number): string {
  const of = whole === 0 ? 0 : part / whole;
  if (of >= 0.001 || part === 0) return `${(of * 100).toFixed(1)} %`;
  const million = of * 1e6;
  return `${million >= 10 ? Math.round(million) : million.toPrecision(2)} per million`;
}

/** Why an outcome is what it is, as far as its file says. */
export function becauseOf({ violated, hang }: StressOutcome, expected: readonly Expected[]): string {
  if (violated.length === 0) return '';
  return violated
    .map((name) => {
      const row = expected.find(({ invariant }) => invariant === name);
      if (row?.verdict === 'violated') return `as expected: ${row.because}`;
      if (row !== undefined) return `${name} is to hold: ${row.because}`;
      return hang ? 'nobody gets on' : expected.length === 0 ? '' : `${name} is not expected to be violated`;
    })
    .join('; ');
}

/** `{"scenario","id","variant","outcome","count","grade","violated","build"}`, a line for each outcome. */
export function* outcomesJson({ scenario, id, variant, races }: CheckedVariant): Generator<string> {
  for (const { outcomes, build } of races) {
    for (const { text, count: times, grade, violated } of outcomes) {
      const head = { scenario: scenario.name.text, id: id ?? null, variant };
      yield JSON.stringify({ ...head, outcome: text, count: times, grade: grade satisfies Grade, violated, build });
    }
  }
}

/** A line for each race of a variant: executions, seconds, seed, build, and how the engines agree. */
export function* variantJson(checked: CheckedVariant): Generator<string> {
  const { scenario, id, variant, races, agreement, explored } = checked;
  const surprises = surprisesOf(checked).map(({ text }) => text);
  for (const { executions, seconds, seed, build, workers, crowd, hangs, deaths, cut } of races) {
    const head = JSON.stringify({ scenario: scenario.name.text, id: id ?? null, variant, executions });
    const tail = JSON.stringify({
      seed,
      build,
      workers,
      crowd,
      hangs,
      deaths,
      cut,
      explored: explored === undefined ? null : { exhaustive: explored.exhaustive, states: explored.states },
      unseen: agreement?.unseen.map(({ text }) => text) ?? null,
      violable: agreement?.violable ?? null,
      surprises,
    });
    yield `${head.slice(0, -1)},"seconds":${seconds.toFixed(6)},${tail.slice(1)}`;
  }
}
