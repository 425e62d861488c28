// Variants by settings: `--set parameter=value`, where `*` stands for each value.

import { idOf, type NamedVariant, parametersOf, type Scenario } from '../litmus/index.ts';
import { InputError } from './exit.ts';

export interface Setting {
  readonly name: string;
  readonly value: string;
}

/**
 * Every combination of what is set; what is not set has its first value, or with `all` each of its values.
 * @throws InputError naming a parameter or a value that the scenario does not have
 */
export function combinations(scenario: Scenario, settings: readonly Setting[], all: boolean): NamedVariant[] {
  const parameters = parametersOf(scenario);
  for (const { name, value } of settings) {
    const parameter = parameters.find((each) => each.name === name);
    const where = `--set ${name}=${value}: `;
    if (parameter === undefined) {
      const names = parameters.map((each) => each.name).join(', ');
      throw new InputError([`${where}${scenario.name.text} has no parameter ${name}, only ${names}`]);
    }
    if (value !== '*' && !parameter.values.includes(value)) {
      throw new InputError([`${where}${name} of ${scenario.name.text} must be one of ${parameter.values.join(', ')}`]);
    }
  }
  let variants: Record<string, string>[] = [{}];
  for (const { name, values } of parameters) {
    const set = settings.filter((setting) => setting.name === name).map(({ value }) => value);
    const first = all ? values : values.slice(0, 1);
    const chosen = set.length === 0 ? first : set.includes('*') ? values : [...new Set(set)];
    variants = variants.flatMap((variant) => chosen.map((value) => ({ ...variant, [name]: value })));
  }
  return variants.map((variant) => ({ id: idOf(scenario, variant), variant }));
}

/** Machine parameters at their first values go without saying. */
export function usualOf(scenario: Scenario): Record<string, string> {
  const own = new Set(scenario.parameters.map(({ name }) => name.text));
  const machine = parametersOf(scenario).filter(({ name }) => !own.has(name));
  return Object.fromEntries(machine.map(({ name, values }) => [name, values[0] ?? '']));
}
