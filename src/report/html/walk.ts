// An execution as the page walks through it: its diagram, each step in words, and what everything was after it.
//
// Guarantees: plain data, made once where the report is written; the page adds nothing to it. The state after a step is the one at the start and
// all changes until then. Equal texts are stored once.

import { isSameValue, type Place, type State, type Trace, type TraceStep } from '../../explore/index.ts';
import { diagramOf, isTold } from '../diagram.ts';
import { type Naming, namingOf, placeText, valueText } from '../states.ts';

export interface Walk {
  readonly columns: readonly { readonly name: string; readonly title: string }[];
  readonly start: readonly string[];
  readonly end: readonly string[];
  readonly verdicts: readonly string[];
  readonly rows: readonly WalkRow[];
  readonly places: readonly WalkPlace[];
  readonly steps: readonly WalkStep[];
}

export interface WalkRow {
  /** Index of its column; -1: afterwards. */
  readonly column: number;
  /** Its last step; 0: its CPU waits for ever. */
  readonly first: number;
  readonly last: number;
  readonly text: string;
  readonly notes: string;
  readonly changes: readonly string[];
  readonly violated: readonly string[];
}

export type Group = (typeof GROUPS)[number];

/** In the order in which they are shown. */
export const GROUPS = ['Page tables', 'TLBs', 'Locks', 'Memory', 'Kernel'] as const;

export interface WalkPlace {
  readonly name: string;
  readonly group: number;
  /** Before the first step. */
  readonly value: string;
}

export interface WalkStep {
  readonly cpu: string;
  /** Of the CPU; -1: afterwards. */
  readonly column: number;
  /** The line that it belongs to. */
  readonly line: string;
  /** What it does, in words. */
  readonly text: string;
  /** Index of the row that it belongs to; -1: none. */
  readonly row: number;
  /** Index of the place, and its new value. */
  readonly changes: readonly (readonly [number, string])[];
  readonly violated: readonly string[];
}

export function walkOf(trace: Trace, sentenceOf: (invariant: string) => string | undefined): Walk {
  const diagram = diagramOf(trace, sentenceOf);
  const naming = namingOf(trace);
  const told = toldIn(trace);
  const indices = new Map(told.map(({ place }, n) => [JSON.stringify(place), n]));
  const places = told.map(({ place, value }) => ({
    name: placeText(place, naming),
    group: groupOf(place),
    value: words(valueText(value, naming)),
  }));
  const rows = diagram.rows.map(({ column, first, last, text, notes, changes, violated }) => ({
    column,
    first: first ?? 0,
    last: last ?? 0,
    text: text.trim(),
    notes: notes.join(', '),
    changes,
    violated,
  }));
  const steps = trace.steps.map((step): WalkStep => {
    const cpu = naming.cpus[step.cpu] ?? `CPU ${step.cpu}`;
    const column = diagram.columns.findIndex(({ name }) => name === cpu);
    // One that the diagram does not tell belongs to what its CPU did before.
    const row = rows.reduce(
      (found, each, n) => (each.column === column && each.first !== 0 && each.first <= step.number ? n : found),
      -1,
    );
    return {
      cpu,
      column,
      line: step.line?.text.trim() ?? '',
      text: stepText(step, naming),
      row,
      changes: step.changes.flatMap(({ place, after }) => {
        const n = indices.get(JSON.stringify(place));
        return n === undefined ? [] : [[n, words(valueText(after, naming))] as const];
      }),
      violated: step.violated.map(({ invariant }) => invariant),
    };
  });
  const { columns, start, end, verdicts } = diagram;
  return { columns, start, end, verdicts, rows, places, steps };
}

/** What is told of the machine, and stands for something in this execution: it has a value at the start, or gets one. */
function toldIn({ start, steps }: Trace): readonly State[] {
  const changed = new Set(steps.flatMap(({ changes }) => changes.map(({ place }) => JSON.stringify(place))));
  return start
    .filter(({ place, value }) => isTold(place) && (changed.has(JSON.stringify(place)) || isUsual(place, value)))
    .sort((a, b) => groupOf(a.place) - groupOf(b.place));
}

/** Shown although nothing changes it. */
function isUsual(place: Place, value: State['value']): boolean {
  if (value.kind === 'tlb') return value.entries.length > 0;
  if (value.kind === 'pte' || place.of === 'word') return true;
  return place.of === 'frame' && place.field === 'data' && !isSameValue(value, ZERO);
}

const ZERO: State['value'] = { kind: 'number', value: 0n };

function groupOf(place: Place): number {
  switch (place.of) {
    case 'page':
      return place.field === 'ptl' ? 2 : 0;
    case 'table':
      return 0;
    case 'tlb':
      return 1;
    case 'lock':
      return 2;
    case 'word':
    case 'frame':
      return 3;
    default:
      return 4;
  }
}

/** `x W D` of `tlb{x W D}`. */
function words(text: string): string {
  const inside = /^tlb\{(.*)\}$/.exec(text)?.[1];
  return inside === undefined ? text : inside === '' ? 'empty' : inside;
}

const PHASES: Readonly<Record<NonNullable<TraceStep['phase']>, string>> = {
  hit: 'looks into its TLB: hit',
  miss: 'looks into its TLB: miss',
  walk: 'walks the tables',
  adset: 'sets D in the PTE',
  data: 'reaches the data',
  buffer: 'puts the store into its buffer',
  answer: 'answers a request to invalidate',
  leave: 'goes into its fault handler',
  nothing: 'the hardware does nothing unasked',
  evict: 'the hardware evicts an entry of the TLB',
  speculate: 'the hardware walks for an access that is not made',
};

const KINDS: Readonly<Record<TraceStep['kind'], string>> = {
  load: 'loads',
  store: 'stores',
  update: 'updates',
  lock: 'takes or queues for',
  wait: 'has waited for',
  atomic: 'in one step:',
  check: 'checks:',
  choice: 'chooses',
  halt: 'ends',
};

const FAULTS = { absent: 'not present', protection: 'not allowed', other: 'fault' } as const;

function stepText({ kind, access, joined, choice, phase, fault }: TraceStep, naming: Naming): string {
  const accessed = [access, ...joined].flatMap((each) => (each === undefined ? [] : [each]));
  const of = accessed
    .slice(0, 3)
    .map(
      ({ place, value }) =>
        `${placeText(place, naming)}${value === undefined ? '' : ` (${words(valueText(value, naming))})`}`,
    )
    .join(', ');
  const more = accessed.length > 3 ? `, and ${accessed.length - 3} more` : '';
  const chosen = choice === undefined || phase !== undefined ? '' : ` ${choice}`;
  const what = phase === undefined ? `${KINDS[kind]}${chosen}` : `${PHASES[phase]}${of === '' ? '' : ':'}`;
  const faulted = fault === undefined ? '' : `; faults at ${fault.page}: ${FAULTS[fault.cause]}`;
  return `${what}${of === '' ? '' : ` ${of}${more}`}${faulted}`;
}

// ---- as JSON

/** Walks with each text once: `texts`, and numbers in place of them. */
export interface Packed {
  readonly texts: readonly string[];
  readonly walks: readonly unknown[];
}

export function pack(walks: readonly Walk[]): Packed {
  const numbers = new Map<string, number>();
  const n = (text: string) => {
    const known = numbers.get(text) ?? numbers.size;
    numbers.set(text, known);
    return known;
  };
  const all = (texts: readonly string[]) => texts.map(n);
  const packed = walks.map(({ columns, start, end, verdicts, rows, places, steps }) => [
    columns.map(({ name, title }) => [n(name), n(title)]),
    all(start),
    all(end),
    all(verdicts),
    rows.map(({ column, first, last, text, notes, changes, violated }) => [
      column,
      first,
      last,
      n(text),
      n(notes),
      all(changes),
      all(violated),
    ]),
    places.map(({ name, group, value }) => [n(name), group, n(value)]),
    steps.map(({ cpu, column, line, text, row, changes, violated }) => [
      n(cpu),
      column,
      n(line),
      n(text),
      row,
      changes.map(([place, value]) => [place, n(value)]),
      all(violated),
    ]),
  ]);
  return { texts: [...numbers.keys()], walks: packed };
}

/** Walk number `index` of what `pack` made. */
export function unpack({ texts, walks }: Packed, index: number): Walk {
  type Numbers = number[];
  const t = (n: number) => texts[n] ?? '';
  const [columns, start, end, verdicts, rows, places, steps] = walks[index] as [
    [number, number][],
    Numbers,
    Numbers,
    Numbers,
    [number, number, number, number, number, Numbers, Numbers][],
    [number, number, number][],
    [number, number, number, number, number, [number, number][], Numbers][],
  ];
  return {
    columns: columns.map(([name, title]) => ({ name: t(name), title: t(title) })),
    start: start.map(t),
    end: end.map(t),
    verdicts: verdicts.map(t),
    rows: rows.map(([column, first, last, text, notes, changes, violated]) => ({
      column,
      first,
      last,
      text: t(text),
      notes: t(notes),
      changes: changes.map(t),
      violated: violated.map(t),
    })),
    places: places.map(([name, group, value]) => ({ name: t(name), group, value: t(value) })),
    steps: steps.map(([cpu, column, line, text, row, changes, violated]) => ({
      cpu: t(cpu),
      column,
      line: t(line),
      text: t(text),
      row,
      changes: changes.map(([place, value]) => [place, t(value)] as const),
      violated: violated.map(t),
    })),
  };
}
