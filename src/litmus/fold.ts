// What is known of an expression when a variant is compiled: conditions over parameters have no cost at run time.

import type { BinaryOperator, Expression, Position } from './ast.ts';
import type { Environment } from './names.ts';
import type { Variant } from './program.ts';

const MASK = (1n << 64n) - 1n;

/** The expression with what is known put in: comparisons of parameters, and whatever follows from them; without a variant they stay. */
export function fold(expression: Expression, environment: Environment, variant: Variant | undefined): Expression {
  const { at } = expression;
  switch (expression.kind) {
    case 'name': {
      const meaning = environment.meaning(expression.name);
      if (meaning.of === 'parameter') {
        return variant === undefined ? expression : number(at, numeric(variant[meaning.parameter.name] ?? ''));
      }
      if (meaning.of !== 'expression') return expression;
      // Names inside mean what they mean to the caller: only what is known may be put in here.
      const known = fold(meaning.expression, meaning.environment, variant);
      return known.kind === 'number' ? known : expression;
    }
    case 'unary': {
      const operand = fold(expression.operand, environment, variant);
      if (operand.kind !== 'number') return { ...expression, operand };
      const value = expression.operator === '!' ? truth(operand.value === 0n) : ~operand.value & MASK;
      return number(at, value);
    }
    case 'binary': {
      const compared =
        variant && comparison(expression.operator, expression.left, expression.right, environment, variant);
      if (compared !== undefined) return number(at, truth(compared));
      const left = fold(expression.left, environment, variant);
      const { operator } = expression;
      if (left.kind === 'number' && (operator === '&&' || operator === '||')) {
        const decides = (left.value !== 0n) === (operator === '||');
        return decides ? number(at, truth(operator === '||')) : asTruth(fold(expression.right, environment, variant));
      }
      const right = fold(expression.right, environment, variant);
      if (right.kind === 'number' && (operator === '&&' || operator === '||')) {
        // What stands on the left is evaluated all the same: it may be a step.
        if ((right.value !== 0n) === (operator === '&&')) return asTruth(left);
      }
      if (left.kind !== 'number' || right.kind !== 'number') return { ...expression, left, right };
      return number(at, compute(operator, left.value, right.value));
    }
    default:
      return expression;
  }
}

/** `flush == none`, and the same with `!=`: names of values stand there, which mean nothing elsewhere. */
function comparison(
  operator: BinaryOperator,
  left: Expression,
  right: Expression,
  environment: Environment,
  variant: Variant,
): boolean | undefined {
  if (operator !== '==' && operator !== '!=') return undefined;
  const parameter = environment.meaningOf(left);
  const other = environment.meaningOf(right);
  if (parameter?.of !== 'parameter') {
    return other?.of === 'parameter' ? comparison(operator, right, left, environment, variant) : undefined;
  }
  const value = variant[parameter.parameter.name];
  const against = other?.of === 'parameter' ? variant[other.parameter.name] : valueName(right);
  return (value === against) === (operator === '==');
}

/** The name of a parameter's value, where an expression is one. */
export function valueName(expression: Expression): string | undefined {
  if (expression.kind === 'name') return expression.name;
  return expression.kind === 'number' ? expression.value.toString() : undefined;
}

/** 0 or 1, as `&&` and `||` give. */
function asTruth(expression: Expression): Expression {
  if (expression.kind === 'number') return number(expression.at, truth(expression.value !== 0n));
  if (expression.kind === 'unary' && expression.operator === '!') return expression;
  if (expression.kind === 'binary' && TRUTHS.has(expression.operator)) return expression;
  const { at } = expression;
  return { kind: 'unary', at, operator: '!', operand: { kind: 'unary', at, operator: '!', operand: expression } };
}

const TRUTHS: ReadonlySet<BinaryOperator> = new Set(['||', '&&', '==', '!=', '<', '<=', '>', '>=']);

function number(at: Position, value: bigint): Expression {
  return { kind: 'number', at, value };
}

/** A value that is a number counts as one. */
function numeric(value: string): bigint {
  return /^[0-9]+$/.test(value) ? BigInt(value) & MASK : 0n;
}

function truth(value: boolean): bigint {
  return value ? 1n : 0n;
}

/** As the machine computes: unsigned, modulo 2^64, shifts by at most 63. */
function compute(operator: BinaryOperator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '||':
      return truth(a !== 0n || b !== 0n);
    case '&&':
      return truth(a !== 0n && b !== 0n);
    case '|':
      return a | b;
    case '^':
      return a ^ b;
    case '&':
      return a & b;
    case '==':
      return truth(a === b);
    case '!=':
      return truth(a !== b);
    case '<':
      return truth(a < b);
    case '<=':
      return truth(a <= b);
    case '>':
      return truth(a > b);
    case '>=':
      return truth(a >= b);
    case '<<':
      return (a << (b & 63n)) & MASK;
    case '>>':
      return a >> (b & 63n);
    case '+':
      return (a + b) & MASK;
    case '-':
      return (a - b) & MASK;
    case '*':
      return (a * b) & MASK;
  }
}
