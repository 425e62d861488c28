// An execution as the rows of a diagram: a column for each CPU, consecutive steps of one line in one row, beside it what changed.
//
// Guarantees: rows are in the order of the steps, and each step is in one; of the state everything that a row changed for others is told, but
// for what is machinery (modes, generations, requests: the trace has them). A change that is undone within its row is none.

import {
  type Change,
  type Column,
  isSameValue,
  type Phase,
  type Place,
  type State,
  type Trace,
  type TraceAccess,
  type TraceStep,
  type Value,
  type Violation,
  type Waiting,
} from '../explore/index.ts';
import { changeText, type Naming, namingOf, placeText, stateText, valueText } from './states.ts';

export interface Diagram {
  readonly columns: readonly DiagramColumn[];
  /** What is not at its usual value before the first step. */
  readonly start: readonly string[];
  readonly rows: readonly Row[];
  /** What the execution changed, as it is after it. */
  readonly end: readonly string[];
  /** What is violated, in words. */
  readonly verdicts: readonly string[];
}

export interface DiagramColumn {
  readonly name: string;
  readonly title: string;
}

export interface Row {
  /** Index of its column, or -1 for what runs after all. */
  readonly column: number;
  /** Numbers of its first and its last step; undefined: it is a step that is not made, for its CPU waits for ever. */
  readonly first: number | undefined;
  readonly last: number | undefined;
  /** The line, `…` before it if it goes on with one that it began before. */
  readonly text: string;
  /** What happened in it beside that. */
  readonly notes: readonly string[];
  /** Each in a few words. */
  readonly changes: readonly string[];
  /** Names of what it violates. */
  readonly violated: readonly string[];
}

/** `sentenceOf`: what an invariant says. */
export function diagramOf(
  trace: Trace,
  sentenceOf: (invariant: string) => string | undefined = () => undefined,
): Diagram {
  return new Maker(trace).make(sentenceOf);
}

class Maker {
  readonly #trace: Trace;
  readonly #naming: Naming;
  /** CPUs that have a column: those that make a step, or wait for ever. */
  readonly #shown: readonly number[];

  constructor(trace: Trace) {
    const { columns, steps, waiting } = trace;
    this.#trace = trace;
    this.#naming = namingOf(trace);
    const acting = new Set([...steps, ...waiting].map(({ cpu }) => cpu));
    this.#shown = [...columns.keys()].filter((c) => !columns[c]?.afterwards && acting.has(c));
  }

  make(sentenceOf: (invariant: string) => string | undefined): Diagram {
    const { columns, start, end, violated, waiting } = this.#trace;
    const text = (state: State) => stateText(state, this.#naming);
    return {
      columns: this.#shown.map((cpu) => columns[cpu] as Column).map(({ name, title }) => ({ name, title })),
      start: start.filter(isToldAtTheStart).map(text),
      rows: [...this.#rows(), ...waiting.map((each) => this.#waitingRow(each))],
      end: this.#changed(start, end).map(text),
      verdicts: [
        ...violated.map((name) => `${name} is violated: ${sentenceOf(name) ?? 'its condition does not hold.'}`),
      ],
    };
  }

  #changed(start: readonly State[], end: readonly State[]): readonly State[] {
    const changed = end.filter(
      ({ place, value }, n) => isTold(place) && !isSameValue(value, (start[n] as State).value),
    );
    const turned = namesOfFrames(changed);
    return changed.filter(({ place }) => place.of !== 'frame' || place.field === 'state' || !turned.has(place.name));
  }

  #rows(): readonly Row[] {
    const rows: Row[] = [];
    const lastLine = new Map<number, string>();
    const { steps } = this.#trace;
    for (let n = 0; n < steps.length; ) {
      const first = steps[n] as TraceStep;
      let end = n + 1;
      while (end < steps.length && isOneRow(first, steps[end] as TraceStep)) end++;
      const part = steps.slice(n, end);
      n = end;
      const key = lineKey(first);
      const goesOn = lastLine.get(first.cpu) === key && key !== '';
      lastLine.set(first.cpu, key);
      const row = this.#row(part, goesOn);
      // The end of a program, a look of the oracle's, or the end of a row that has told all before.
      const isSilent = row.notes.length === 0 && row.changes.length === 0 && row.violated.length === 0;
      if (!(isSilent && (goesOn || first.kind === 'halt' || first.kind === 'check'))) rows.push(row);
      for (const violation of part.flatMap(({ violated }) => violated)) {
        const check = this.#checkRow(part.at(-1) as TraceStep, violation);
        if (check !== undefined) rows.push(check);
      }
    }
    return rows;
  }

  #row(steps: readonly TraceStep[], goesOn: boolean): Row {
    const first = steps[0] as TraceStep;
    const last = steps.at(-1) as TraceStep;
    const text = first.line?.text ?? this.#described(first);
    const own = steps.flatMap(({ violated }) => violated).filter(({ line }) => line === undefined);
    const changes = this.#changes(steps);
    const notes = this.#notes(steps);
    // Nothing else says what the rest of a line does.
    if (goesOn && changes.length === 0 && notes.length === 0) notes.push(...this.#read(steps));
    return {
      column: this.#column(first.cpu),
      first: first.number,
      last: last.number,
      text: goesOn ? `… ${text}` : text,
      notes,
      changes,
      violated: own.map(({ invariant }) => invariant),
    };
  }

  #checkRow({ cpu, number }: TraceStep, { invariant, line }: Violation): Row | undefined {
    if (line === undefined) return undefined;
    const column = this.#column(cpu);
    return { column, first: number, last: number, text: line.text, notes: [], changes: [], violated: [invariant] };
  }

  #waitingRow({ cpu, line, place }: Waiting): Row {
    const what = placeText(place, this.#naming);
    const text = line?.text ?? `wait for ${what}`;
    const notes = [`waits for ${what} for ever`];
    return { column: this.#column(cpu), first: undefined, last: undefined, text, notes, changes: [], violated: [] };
  }

  #column(cpu: number): number {
    return this.#shown.indexOf(cpu);
  }

  #cpu(n: number): string {
    return this.#naming.cpus[n] ?? `CPU ${n}`;
  }

  // ---- what is beside the text

  #notes(steps: readonly TraceStep[]): string[] {
    const notes: string[] = [];
    const add = (note: string) => {
      if (notes.at(-1) !== note) notes.push(note);
    };
    for (const step of steps) {
      const { phase, fault, choice } = step;
      const before = notes.at(-1);
      // After a walk the access looks up once more, and finds.
      if (phase !== undefined && PHASES[phase] !== '' && !(phase === 'hit' && before === PHASES.walk)) {
        add(phase === 'answer' ? this.#answer(step) : PHASES[phase]);
      }
      for (const note of this.#asked(step)) add(note);
      if (choice !== undefined && phase === undefined) add(`chooses ${choice}`);
      if (fault !== undefined) add(FAULTS[fault.cause]);
    }
    return notes.filter((note) => note !== '');
  }

  /** Of the flush of another CPU's TLB, which side of it this is. */
  #asked({ cpu, access, joined, kind, phase }: TraceStep): readonly string[] {
    if (phase !== undefined) return [];
    const asked = joined.flatMap(({ place, writes }) =>
      place.of === 'request' && place.field === 'state' && place.sender === cpu && writes
        ? [`asks ${this.#cpu(place.cpu)}`]
        : [],
    );
    if (kind !== 'wait' || access?.place.of !== 'request' || access.place.sender !== cpu) return asked;
    return [...asked, `${this.#cpu(access.place.cpu)} has answered`];
  }

  #answer({ joined }: TraceStep): string {
    const senders = joined.flatMap(({ place }) => (place.of === 'request' ? [this.#cpu(place.sender)] : []));
    return senders.length === 0 ? '' : `answers ${[...new Set(senders)].join(', ')}`;
  }

  #changes(steps: readonly TraceStep[]): string[] {
    const first = new Map<string, Change>();
    for (const change of steps.flatMap(({ changes }) => changes)) {
      if (!isTold(change.place)) continue;
      const key = JSON.stringify(change.place);
      const before = first.get(key)?.before ?? change.before;
      first.set(key, { ...change, before });
    }
    const order = this.#trace.start.map(({ place }) => JSON.stringify(place));
    const changes = [...first.entries()]
      .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
      .map(([, change]) => change)
      .filter(({ before, after }) => !isSameValue(before, after));
    // A frame that comes or goes is filled, and has one reference or none: that goes without saying.
    const turned = namesOfFrames(changes);
    return changes
      .filter(({ place }) => place.of !== 'frame' || place.field === 'state' || !turned.has(place.name))
      .map(({ place, before, after }) => changeText(place, before, after, this.#naming));
  }

  /** What was read last, of what is told. */
  #read(steps: readonly TraceStep[]): string[] {
    const told = steps.flatMap(({ access }) => (access?.value !== undefined && isTold(access.place) ? [access] : []));
    const last = told.at(-1);
    return last === undefined ? [] : [this.#accessText(last)];
  }

  /** For programs that have no lines. */
  #described(step: TraceStep): string {
    const { kind, access } = step;
    if (access === undefined) return kind === 'halt' ? 'ends' : kind;
    const text = placeText(access.place, this.#naming);
    if (kind === 'lock') return `lock ${text}`;
    return kind === 'load' && access.value !== undefined ? this.#accessText(access) : `${kind} ${text}`;
  }

  #accessText({ place, value }: TraceAccess): string {
    const text = placeText(place, this.#naming);
    return value === undefined ? `reads ${text}` : `reads ${text}: ${valueText(value, this.#naming)}`;
  }
}

/** Frames that were freed or handed out. */
function namesOfFrames(places: readonly { readonly place: Place }[]): ReadonlySet<string> {
  return new Set(places.flatMap(({ place }) => (place.of === 'frame' && place.field === 'state' ? [place.name] : [])));
}

const PHASES: Readonly<Record<Phase, string>> = {
  hit: 'LOOK hit',
  miss: 'LOOK miss',
  walk: 'WALK',
  adset: 'ADSET',
  data: 'DATA',
  buffer: 'into the buffer',
  answer: 'answers',
  leave: '',
  nothing: '',
  evict: 'evicts',
  speculate: 'speculates',
};

const FAULTS = { absent: 'fault: not present', protection: 'fault: not allowed', other: 'fault' } as const;

/** Steps of one CPU at one line make one row; of programs without lines, those of one instruction. */
function isOneRow(first: TraceStep, next: TraceStep): boolean {
  return next.cpu === first.cpu && lineKey(next) === lineKey(first) && next.kind !== 'halt' && first.kind !== 'halt';
}

function lineKey({ line, place, kind }: TraceStep): string {
  if (kind === 'halt') return '';
  return line === undefined ? `#${place}` : `${line.line} ${line.text}`;
}

/** Not machinery: modes, generations, requests. */
export function isTold(place: Place): boolean {
  switch (place.of) {
    case 'page':
      return place.field === 'pte' || place.field === 'ptl';
    case 'mm':
      return !UNTOLD.has(place.field);
    case 'frame':
      return place.field === 'data' || place.field === 'references' || place.field === 'state';
    case 'cpu':
      return place.field === 'is_lazy';
    case 'word':
    case 'lock':
    case 'file':
    case 'vma':
    case 'tlb':
      return true;
    default:
      return false;
  }
}

/** The machinery of shootdowns. */
const UNTOLD = new Set(['tlb_gen', 'cpumask']);

/** Everything free, empty and 0 goes without saying, but for words and the first word of frames. */
function isToldAtTheStart({ place, value }: State): boolean {
  if (!isTold(place)) return false;
  if (place.of === 'word') return true;
  if (place.of === 'frame') return place.field === 'data' && (place.index === 0 || !isSameValue(value, ZERO));
  if (place.of === 'mm') return place.field === 'tlb_flush_pending' && !isSameValue(value, ZERO);
  if (value.kind === 'tlb') return value.entries.length > 0;
  return value.kind === 'pte';
}

const ZERO: Value = { kind: 'number', value: 0n };
