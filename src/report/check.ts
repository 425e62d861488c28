// What both engines found of a scenario, a row for each variant: what was proved, what threads showed, what nobody expected.

import type { Scenario } from '../litmus/index.ts';
import type { CheckedVariant } from './checked.ts';
import { wrap } from './layout.ts';
import { share, surprisesOf } from './stress.ts';
import { count, plural } from './words.ts';

/** The lines for a scenario: its sentence, then a table with a row for each variant, and what nobody expects of it. */
export function* scenarioText(
  scenario: Scenario,
  checked: readonly CheckedVariant[],
  width: number,
  style: (kind: 'bold' | 'red', text: string) => string,
): Generator<string> {
  yield style('bold', scenario.name.text);
  for (const line of wrap(`  ${scenario.sentence}`, width)) yield line.replace(/^ {4}/, '  ');
  const rows = checked.map((each) => [nameOf(each), provedText(each), executionsText(each), seenText(each)]);
  const table = [['variant', 'proved', 'executions', 'seen on threads'], ...rows];
  const widths = [0, 1, 2].map((n) => Math.max(...table.map((row) => (row[n] as string).length)));
  for (const [n, [name = '', proved = '', executions = '', seen = '']] of table.entries()) {
    const head = `  ${name.padEnd(widths[0] as number)}  ${proved.padEnd(widths[1] as number)}  ${executions.padStart(widths[2] as number)}  `;
    const [first = '', ...more] = wrap(seen, Math.max(24, width - head.length));
    yield `${head}${first}`.trimEnd();
    for (const line of more) yield `${' '.repeat(head.length)}${line.trim()}`;
    const surprises = n === 0 ? [] : surprisesOf(checked[n - 1] as CheckedVariant);
    for (const { text } of surprises) {
      for (const line of wrap(`SURPRISE: ${text}`, width - 4)) yield style('red', `    ${line}`);
    }
  }
}

/** Its number, or how it is set, with the machine where one number has several. */
export function nameOf({ id, variant, scenario }: CheckedVariant): string {
  const own = scenario.parameters.map(({ name }) => name.text);
  const settings = Object.entries(variant).filter(([name]) => own.includes(name));
  const { machine } = variant;
  const name = id ?? settings.map(([, value]) => value).join(' ');
  return machine === undefined || machine === 'recheck' ? name || '-' : `${name || '-'} ${machine}`;
}

function provedText({ explored, unexplored }: CheckedVariant): string {
  if (explored === undefined) return unexplored ?? 'not explored';
  const broken = explored.verdicts
    .filter(({ verdict }) => verdict === 'violated')
    .map(({ invariant }) => shortened(invariant));
  const states = plural(explored.states, 'state');
  if (broken.length > 0) return `violated: ${broken.join(', ')}${explored.exhaustive ? '' : ' (in part)'}`;
  return explored.exhaustive ? `holds in all ${states}` : `not exhaustive: ${states}`;
}

/** Conditions are long. */
function shortened(invariant: string): string {
  return invariant.startsWith('exists') || invariant.startsWith('~exists') || invariant.startsWith('forall')
    ? (invariant.split(' ')[0] as string)
    : invariant;
}

function executionsText({ races }: CheckedVariant): string {
  return count(races.reduce((sum, { executions }) => sum + executions, 0));
}

function seenText({ races, agreement }: CheckedVariant): string {
  const executions = races.reduce((sum, race) => sum + race.executions, 0);
  const violations = new Map<string, number>();
  for (const { outcomes } of races) {
    for (const { violated, count: times } of outcomes) {
      for (const name of violated) violations.set(name, (violations.get(name) ?? 0) + times);
    }
  }
  const parts = [...violations].map(([name, times]) => `${shortened(name)} ${share(times, executions)}`);
  const states = new Set(races.flatMap(({ outcomes }) => outcomes.map(({ state }) => state)));
  const known = agreement === undefined ? undefined : states.size + agreement.unseen.length;
  const outcomes =
    known === undefined ? plural(states.size, 'outcome') : `${states.size} of ${plural(known, 'outcome')}`;
  return [...parts, outcomes].join(', ');
}
