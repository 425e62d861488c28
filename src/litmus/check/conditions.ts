// Checks conditions over parameters: those of the initial state and of expectations, which nothing but the variant decides.

import type { Expression } from '../ast.ts';
import { didYouMean, type Errors } from '../errors.ts';
import { valueName } from '../fold.ts';
import type { Environment } from '../names.ts';
import type { Parameter } from '../parameters.ts';

/** Comparisons of parameters with their values, joined by `&&`, `||` and `!`. */
export function checkCondition(condition: Expression, environment: Environment, errors: Errors): void {
  if (condition.kind === 'unary' && condition.operator === '!') {
    checkCondition(condition.operand, environment, errors);
    return;
  }
  if (condition.kind === 'binary' && (condition.operator === '&&' || condition.operator === '||')) {
    checkCondition(condition.left, environment, errors);
    checkCondition(condition.right, environment, errors);
    return;
  }
  if (condition.kind === 'binary' && checkComparison(condition, environment, errors)) return;
  const name = condition.kind === 'binary' ? valueName(condition.left) : valueName(condition);
  const near = name === undefined ? '' : didYouMean(name, environment.names.parameters.keys());
  errors.add(
    condition.at,
    name?.length ?? 1,
    `only parameters are known here: compare one with a value, as in \`machine == recheck\`${near}`,
  );
}

/** Whether it is a comparison of a parameter; that its value is one is checked, and told. */
export function checkComparison(
  { operator, left, right }: Expression & { kind: 'binary' },
  environment: Environment,
  errors: Errors,
): boolean {
  if (operator !== '==' && operator !== '!=') return false;
  const [a, b] = [parameterOf(left, environment), parameterOf(right, environment)];
  if (a === undefined && b === undefined) return false;
  if (a !== undefined && b !== undefined) return true;
  const parameter = (a ?? b) as Parameter;
  const other = a === undefined ? left : right;
  const value = valueName(other);
  if (value === undefined || !parameter.values.includes(value)) {
    errors.add(other.at, value?.length ?? 1, noSuchValue(parameter, value ?? 'that'));
  }
  return true;
}

function parameterOf(expression: Expression, environment: Environment): Parameter | undefined {
  const meaning = environment.meaningOf(expression);
  return meaning?.of === 'parameter' ? meaning.parameter : undefined;
}

export function noSuchValue({ name, values }: Parameter, value: string): string {
  const near = didYouMean(value, values);
  return `\`${name}\` has no value \`${value}\`, but ${values.join(', ')}${near}`;
}
