// Checks the end of a scenario: what is expected of which variant, and what the final condition speaks of.

import type { Location, ScenarioFile, Statement } from '../ast.ts';
import { AFTERWARDS, locationsOf } from '../compile.ts';
import { didYouMean, type Errors } from '../errors.ts';
import { isBuiltIn, LIBRARY } from '../invariants.ts';
import { Environment, type Names } from '../names.ts';
import { registersOf, walkBody } from '../registers.ts';
import { checkCondition } from './conditions.ts';
import { blame } from './declarations.ts';

export function checkConclusions(file: ScenarioFile, names: Names, errors: Errors): void {
  checkExpectations(file, names, errors);
  for (const location of locationsOf(file)) checkLocation(location, file, names, errors);
}

function checkExpectations(file: ScenarioFile, names: Names, errors: Errors): void {
  const known = [...invariantsOf(file, names), ...LIBRARY.filter(isBuiltIn).map(({ name }) => name)];
  if (file.condition !== undefined) known.push(file.condition.quantifier);
  const variants = file.variants.map(({ name }) => name.text);
  const said = new Set<string>();
  for (const { invariant, variants: named, condition } of file.expectations) {
    if (!known.includes(invariant.text)) {
      const near = didYouMean(invariant.text, known);
      blame(errors, invariant, `no program checks \`${invariant.text}\`${near}`);
    }
    for (const variant of named) {
      if (!variants.includes(variant.text)) {
        blame(errors, variant, `there is no variant \`${variant.text}\`${didYouMean(variant.text, variants)}`);
      }
      const key = `${invariant.text} ${variant.text}`;
      if (said.has(key)) blame(errors, variant, `what ${invariant.text} does in \`${variant.text}\` is said already`);
      said.add(key);
    }
    if (condition !== undefined) checkCondition(condition, new Environment(names), errors);
  }
}

/** The invariants that some program checks or forbids, in some variant. */
function invariantsOf(file: ScenarioFile, names: Names): readonly string[] {
  const found = new Set<string>();
  const visit = (statement: Statement): void => {
    if (statement.kind === 'check' || statement.kind === 'forbid' || statement.kind === 'permit') {
      found.add(statement.invariant.text);
    }
  };
  const bodies = [...file.programs.map(({ body }) => body), ...(file.afterwards ? [file.afterwards.body] : [])];
  for (const body of bodies) walkBody(file, body, new Environment(names), visit);
  return [...found];
}

function checkLocation({ at, cpu, name }: Location, file: ScenarioFile, names: Names, errors: Errors): void {
  if (cpu === undefined) {
    const of = names.objects.get(name)?.of;
    if (of === 'word' || of === 'frame') return;
    const words = [...names.objects].flatMap(([each, object]) =>
      object.of === 'word' || object.of === 'frame' ? [each] : [],
    );
    const message =
      of === undefined
        ? `there is no word or frame \`${name}\`; a register is \`P0:${name}\`${didYouMean(name, words)}`
        : `\`${name}\` is a ${of}: a value at the end is a register, a word or a frame`;
    errors.add(at, name.length, message);
    return;
  }
  const body =
    cpu === AFTERWARDS ? file.afterwards?.body : file.programs.find((program) => program.name.text === cpu)?.body;
  if (body === undefined) {
    errors.add(at, cpu.length, `there is no program ${cpu}`);
    return;
  }
  const registers = registersOf(file, body, new Environment(names), []);
  if (!registers.includes(name)) {
    errors.add(at, cpu.length + 1 + name.length, `${cpu} has no register \`${name}\`${didYouMean(name, registers)}`);
  }
}
