// An execution as JSON: its diagram, and beneath that each step with all that it accessed and changed.

import type { Trace, TraceAccess, TraceStep } from '../explore/index.ts';
import type { Diagram } from './diagram.ts';
import { changeText, type Naming, namingOf, placeText, stateText, valueText } from './states.ts';

/**
 * One object: `{"scenario","id","variant","violated","start","rows","end","steps":[{"step","cpu","line","text","kind","place","value","changes",…}]}`.
 */
export function traceJson(trace: Trace, { rows, verdicts }: Diagram): string {
  const { program, start, end, violated, steps, columns } = trace;
  const naming = namingOf(trace);
  return JSON.stringify({
    scenario: program.name,
    id: program.id ?? null,
    variant: program.variant,
    violated,
    verdicts,
    cpus: columns.map(({ name, title }) => ({ name, title })),
    start: start.map((state) => stateText(state, naming)),
    rows: rows.map(({ column, ...row }) => ({ cpu: columns[column]?.name ?? 'afterwards', ...row })),
    end: end.map((state) => stateText(state, naming)),
    steps: steps.map((step) => stepJson(step, naming)),
  });
}

function stepJson(step: TraceStep, naming: Naming) {
  const { number, cpu, line, kind, access, joined, choice, phase, fault, changes, violated } = step;
  return {
    step: number,
    cpu: naming.cpus[cpu],
    line: line?.line,
    text: line?.text,
    kind,
    ...(access && accessJson(access, naming)),
    ...(joined.length > 0 && { joined: joined.map((each) => accessJson(each, naming)) }),
    choice,
    phase,
    fault,
    changes: changes.map(({ place, before, after }) => changeText(place, before, after, naming)),
    ...(violated.length > 0 && { violated: violated.map(({ invariant }) => invariant) }),
  };
}

function accessJson({ place, writes, value }: TraceAccess, naming: Naming) {
  return { place: placeText(place, naming), writes, value: value && valueText(value, naming) };
}
