// One variant of a scenario, compiled: the state it begins in, and a program for each CPU.
//
// Guarantees: the same scenario and variant give the same program; named registers have the same numbers in all variants.

import type { Body, Location, NumberExpression, Proposition, ScenarioFile } from './ast.ts';
import { type CodeContext, CodeWriter, InvariantTable } from './code.ts';
import { Emitter, Symbols, TooManyRegisters } from './emit.ts';
import { conditionText, locationText } from './format.ts';
import { worldOf } from './initial.ts';
import { Environment, Names } from './names.ts';
import { operationsNamed } from './operations/index.ts';
import { idOf, variantWith } from './parameters.ts';
import {
  bufferProgram,
  type Condition,
  type CpuProgram,
  type LitmusProgram,
  type Observed,
  type Operand,
  type Term,
  type Variant,
} from './program.ts';
import { callsOf, registersOf } from './registers.ts';

/** The name of the program that runs when all others have ended. */
export const AFTERWARDS = 'afterwards';

/**
 * Compiles one variant of a scenario that has passed the checks.
 * @throws RangeError if `variant` names a parameter or value that the scenario does not have; one that it leaves out has its first value.
 */
export function compile(file: ScenarioFile, variant: Variant): LitmusProgram {
  const complete = variantWith(file, variant);
  const names = new Names(file);
  const symbols = new Symbols();
  const context = { file, names, variant: complete, invariants: new InvariantTable() };

  const program = (body: Body, cpu: string) => {
    const { emitter, handler } = written(context, symbols, body, cpu);
    return { code: emitter.code, handler, registers: emitter.registers, lines: emitter.lines };
  };
  const cpus = file.programs.map(
    ({ name, title, mode, mm, asid, body }): CpuProgram => ({
      name: name.text,
      title: title === '' ? mode : title,
      mode,
      mm: mm?.text,
      asid: asid ?? 1,
      ...program(body, name.text),
    }),
  );
  const afterwards: CpuProgram | undefined = file.afterwards && {
    name: AFTERWARDS,
    title: AFTERWARDS,
    mode: 'kernel',
    mm: undefined,
    asid: 1,
    ...program(file.afterwards.body, AFTERWARDS),
  };

  const buffers = complete['memory'] === 'tso' ? buffersOf(file, symbols) : [];
  const observed: Observed[] = [];
  const observe = (location: Location): number => {
    const value = observedAt(location, cpus, names, symbols);
    const place = observed.findIndex(({ name }) => name === value.name);
    return place >= 0 ? place : observed.push(value) - 1;
  };
  for (const location of file.locations?.locations ?? []) observe(location);
  const condition: Condition | undefined = file.condition && {
    quantifier: file.condition.quantifier,
    term: termOf(file.condition.proposition, observe),
    text: conditionText(file.condition),
  };
  return {
    name: file.name.text,
    id: idOf(file, complete),
    variant: complete,
    world: worldOf(file, names, complete),
    symbols: symbols.list,
    cpus: [...cpus, ...buffers],
    afterwards,
    invariants: context.invariants.names,
    observed,
    condition,
  };
}

/** What lets the stores of each user CPU reach memory. */
function buffersOf({ programs }: ScenarioFile, symbols: Symbols): readonly CpuProgram[] {
  return programs.flatMap(({ name, mode }, cpu) => {
    if (mode !== 'user') return [];
    return [
      bufferProgram(name.text, cpu, symbols.number({ of: 'cpu', number: cpu, field: 'buffer' }), {
        line: name.at.line,
        text: 'a store reaches memory',
      }),
    ];
  });
}

/** Whether `body` has registers enough, in whatever variant. */
export function fits(file: ScenarioFile, body: Body, cpu: string): boolean {
  const context = { file, names: new Names(file), variant: undefined, invariants: new InvariantTable() };
  try {
    written(context, new Symbols(), body, cpu);
    return true;
  } catch (error) {
    if (error instanceof TooManyRegisters) return false;
    throw error;
  }
}

function written(
  context: CodeContext,
  symbols: Symbols,
  body: Body,
  cpu: string,
): { readonly emitter: Emitter; readonly handler: number | undefined } {
  const { file, names } = context;
  const environment = new Environment(names);
  const observed = locationsOf(file).filter((location) => location.cpu === cpu);
  const named = registersOf(
    file,
    body,
    environment,
    observed.map(({ name }) => name),
  );
  const whole = [...callsOf(file, body, environment)].some((name) => operationsNamed(name).some(({ whole }) => whole));
  const emitter = new Emitter(symbols, named, whole);
  const handler = new CodeWriter(context, emitter).program(body);
  return { emitter, handler };
}

/** Every value at the end that the file names. */
export function locationsOf(file: ScenarioFile): readonly Location[] {
  const found = [...(file.locations?.locations ?? [])];
  const visit = (proposition: Proposition): void => {
    if (proposition.kind === 'not') visit(proposition.term);
    else if (proposition.kind !== 'compare') proposition.terms.forEach(visit);
    else found.push(...[proposition.left, proposition.right].filter(isLocation));
  };
  if (file.condition !== undefined) visit(file.condition.proposition);
  return found;
}

function isLocation(side: Location | NumberExpression): side is Location {
  return !('value' in side);
}

/** A register of a CPU, a shared word, or the first word of a frame. */
function observedAt(location: Location, cpus: readonly CpuProgram[], names: Names, symbols: Symbols): Observed {
  const name = locationText(location);
  if (location.cpu !== undefined) {
    const cpu = cpus.findIndex((each) => each.name === location.cpu);
    const [register = -1] = Object.entries(cpus[cpu]?.registers ?? {})
      .filter(([, called]) => called === location.name)
      .map(([number]) => Number(number));
    return { of: 'register', cpu, register, name };
  }
  const of = names.objects.get(location.name)?.of;
  const symbol = symbols.number(
    of === 'frame' ? { of: 'frame', name: location.name, field: 'data' } : { of: 'word', name: location.name },
  );
  return { of: 'symbol', symbol, bytes: 8, name };
}

function termOf(proposition: Proposition, observe: (location: Location) => number): Term {
  if (proposition.kind === 'not') return { kind: 'not', term: termOf(proposition.term, observe) };
  if (proposition.kind !== 'compare') {
    return { kind: proposition.kind, terms: proposition.terms.map((term) => termOf(term, observe)) };
  }
  const operand = (side: Location | NumberExpression): Operand =>
    isLocation(side) ? { observed: observe(side) } : { value: side.value };
  const [left, right] = [operand(proposition.left), operand(proposition.right)];
  switch (proposition.operator) {
    case '=':
      return { kind: 'compare', operator: '==', left, right };
    case '>':
      return { kind: 'compare', operator: '<', left: right, right: left };
    case '>=':
      return { kind: 'compare', operator: '<=', left: right, right: left };
    default:
      return { kind: 'compare', operator: proposition.operator, left, right };
  }
}
