// The parameters of a scenario, its variants, and what is expected of each.
//
// A variant gives every parameter a value, those of the machine too; every combination is one, whether or not the file names it.

import type { Expression, ScenarioFile, Verdict } from './ast.ts';
import { conditionText } from './format.ts';
import type { Variant } from './program.ts';

export interface Parameter {
  readonly name: string;
  /** The first one is what a variant has that does not say. */
  readonly values: readonly string[];
  readonly sentence: string;
}

/** What every scenario has. */
export const MACHINE_PARAMETERS: readonly Parameter[] = [
  {
    name: 'machine',
    values: ['recheck', 'nowcheck', 'blind', 'lazy-lost', 'lazy-wb', 'swdirty'],
    sentence: 'What sets D when a store goes through a writable, clean entry.',
  },
  { name: 'invalidation', values: ['waited', 'posted'], sentence: 'When a flush counts as complete.' },
  { name: 'shootdown', values: ['ipi', 'broadcast'], sentence: 'How CPUs are asked to invalidate.' },
  { name: 'memory', values: ['sc', 'tso'], sentence: 'Whether user stores go through a store buffer.' },
];

/** Those of the file in the order of their declaration, then those of the machine. */
export function parametersOf(file: ScenarioFile): readonly Parameter[] {
  const own = file.parameters.map(({ name, values }) => ({
    name: name.text,
    values: values.map(({ text }) => text),
    sentence: '',
  }));
  return [...own, ...MACHINE_PARAMETERS];
}

/** A variant, and its number in the scenario's table where the file gives it one. */
export interface NamedVariant {
  readonly id: string | undefined;
  readonly variant: Variant;
}

/** The variants that the file names, in its order; the one of all first values if it names none. */
export function variantsOf(file: ScenarioFile): readonly NamedVariant[] {
  if (file.variants.length === 0) return [{ id: undefined, variant: variantWith(file, {}) }];
  return file.variants.flatMap(({ name, settings }) => {
    const parameters = parametersOf(file);
    const choices = parameters.map((parameter) => {
      const set = settings.find((setting) => setting.parameter.text === parameter.name)?.value.text;
      return set === '*' ? parameter.values : [set ?? parameter.values[0] ?? ''];
    });
    return [...product(parameters, choices)].map((variant) => ({ id: name.text, variant }));
  });
}

/** Every variant there is: the last parameter changes fastest. */
export function allCombinations(file: ScenarioFile): Generator<NamedVariant> {
  return combinationsOf(
    file,
    parametersOf(file).map(({ name }) => name),
  );
}

/** Every combination of these parameters; the others have their first values. */
export function* combinationsOf(file: ScenarioFile, names: readonly string[]): Generator<NamedVariant> {
  const parameters = parametersOf(file);
  const choices = parameters.map(({ name, values }) => (names.includes(name) ? values : values.slice(0, 1)));
  const named = file.variants.length === 0 ? [] : variantsOf(file);
  for (const variant of product(parameters, choices)) {
    yield { id: named.find((each) => isSame(each.variant, variant))?.id, variant };
  }
}

/**
 * The variant with these settings; the other parameters have their first values.
 * @throws RangeError for a parameter or a value that the scenario does not have.
 */
export function variantWith(file: ScenarioFile, settings: Readonly<Record<string, string>>): Variant {
  const parameters = parametersOf(file);
  for (const [name, value] of Object.entries(settings)) {
    const parameter = parameters.find((candidate) => candidate.name === name);
    if (parameter === undefined) {
      throw new RangeError(
        `"${name}" is no parameter of ${file.name.text}: ${parameters.map((p) => p.name).join(', ')}`,
      );
    }
    if (!parameter.values.includes(value)) {
      throw new RangeError(`"${name}" must be one of ${parameter.values.join(', ')}, got ${value}`);
    }
  }
  return Object.fromEntries(parameters.map(({ name, values }) => [name, settings[name] ?? values[0] ?? '']));
}

/** The name of a variant, where the file gives it one. */
export function idOf(file: ScenarioFile, variant: Variant): string | undefined {
  return variantsOf(file).find((named) => isSame(named.variant, variant))?.id;
}

export interface Expected {
  readonly invariant: string;
  readonly verdict: Verdict;
  readonly because: string;
}

/** What the file expects of a variant. Of several rows for an invariant the first counts, and one that names the variant before the others. */
export function expectationsOf(file: ScenarioFile, variant: Variant): readonly Expected[] {
  const id = idOf(file, variant);
  const found = new Map<string, Expected>();
  const add = (wanted: (row: ScenarioFile['expectations'][number]) => boolean) => {
    for (const row of file.expectations) {
      const invariant = nameOf(row.invariant.text, file);
      if (found.has(invariant) || !wanted(row)) continue;
      found.set(invariant, { invariant, verdict: row.verdict, because: row.because });
    }
  };
  add(({ variants }) => id !== undefined && variants.some(({ text }) => text === id));
  add(({ variants, condition }) => variants.length === 0 && (condition === undefined || isTrue(condition, variant)));
  return [...found.values()];
}

/** Verdicts call the final condition by its text. */
function nameOf(invariant: string, { condition }: ScenarioFile): string {
  return condition !== undefined && invariant === condition.quantifier ? conditionText(condition) : invariant;
}

function isSame(a: Variant, b: Variant): boolean {
  return Object.entries(a).every(([name, value]) => b[name] === value);
}

/** A condition over parameters only, which is what the checks let through. */
export function isTrue(condition: Expression, variant: Variant): boolean {
  if (condition.kind === 'unary') return !isTrue(condition.operand, variant);
  if (condition.kind !== 'binary') return condition.kind === 'number' && condition.value !== 0n;
  const { operator, left, right } = condition;
  if (operator === '&&') return isTrue(left, variant) && isTrue(right, variant);
  if (operator === '||') return isTrue(left, variant) || isTrue(right, variant);
  const equal = valueIn(left, variant) === valueIn(right, variant);
  return operator === '==' ? equal : !equal;
}

/** A parameter's value in the variant; of another name the name itself, for that is a value. */
function valueIn(expression: Expression, variant: Variant): string {
  if (expression.kind === 'number') return expression.value.toString();
  return expression.kind === 'name' ? (variant[expression.name] ?? expression.name) : '';
}

function* product(parameters: readonly Parameter[], choices: readonly (readonly string[])[]): Generator<Variant> {
  const places = choices.map(() => 0);
  while (true) {
    yield Object.fromEntries(parameters.map(({ name }, n) => [name, choices[n]?.[places[n] ?? 0] ?? '']));
    let n = places.length - 1;
    for (; n >= 0; n -= 1) {
      places[n] = (places[n] ?? 0) + 1;
      if ((places[n] ?? 0) < (choices[n]?.length ?? 0)) break;
      places[n] = 0;
    }
    if (n < 0) return;
  }
}
