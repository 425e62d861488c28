// Expressions of built scenarios: operations with their arguments, arithmetic, words of pages and frames.
//
// An operation is a property of `op`, under its kernel name, with the types of its arguments: `op.spin_lock(ptl(x))`. A register is its name as
// a text: `op.pte_dirty('pte')`. Numbers are numbers or BigInts, from 0 to 2^64 - 1.

import type {
  BinaryOperator,
  CallExpression,
  Expression,
  FieldExpression,
  Kind,
  NameExpression,
  NumberExpression,
  WordExpression,
} from '../ast.ts';
import type { AnyOperation } from '../operations/index.ts';
import { checkedWord, NOWHERE, Ref } from './names.ts';

/** What an expression may be given as; a text is the name of a register. */
export type Value = Expression | Ref<'word'> | Ref<'frame'> | Ref<'int'> | string | number | bigint;

type Lock = Ref<'spinlock'> | PtlExpression;
/** `ptl(x)`: the page-table lock over the PTE of a page. */
export type PtlExpression = CallExpression & { readonly name: 'ptl' };

type ArgumentOf<D extends string> = D extends `${infer K} ${string}`
  ? K extends 'value'
    ? Value
    : K extends 'number'
      ? number | bigint
      : K extends 'spinlock'
        ? Lock
        : K extends Kind
          ? Ref<K>
          : never
  : never;

/** Kinds and names of arguments as values; options at the end are any number of names. */
type ArgumentsOf<T extends readonly string[]> = T extends readonly [
  infer D extends string,
  ...infer Rest extends string[],
]
  ? D extends `flags ${string}`
    ? readonly Flag[]
    : readonly [ArgumentOf<D>, ...ArgumentsOf<Rest>]
  : readonly [];

/** What an operation is told beside its arguments: a name, or a parameter whose values are such names. */
export type Flag = string | ParameterRef<string>;

type CallOf<O> = O extends { readonly declared: infer T extends readonly string[] }
  ? (...args: ArgumentsOf<T>) => CallExpression
  : never;
type Intersection<U> = (U extends unknown ? (each: U) => void : never) extends (all: infer I) => void ? I : never;

/** Every operation of the language by its name; of two with one name, both. */
export type Operations = {
  readonly [N in AnyOperation['name']]: Intersection<CallOf<Extract<AnyOperation, { readonly name: N }>>>;
};

/** A parameter of a scenario, in conditions: `race.parameters.flush.is('none')`. */
export class ParameterRef<V extends string> {
  readonly name: string;

  constructor(name: string) {
    this.name = checkedWord(name);
  }

  /** `flush == none` */
  is(value: V): Expression {
    return binary('==', nameExpression(this.name), valueExpression(value));
  }

  isNot(value: V): Expression {
    return binary('!=', nameExpression(this.name), valueExpression(value));
  }

  /** Of a parameter whose values are numbers: its value. */
  get value(): Expression {
    return nameExpression(this.name);
  }
}

/** Values of parameters are words or numbers. */
function valueExpression(value: string): Expression {
  return /^[0-9]+$/.test(value) ? numberExpression(BigInt(value)) : nameExpression(value);
}

export const op: Operations = new Proxy({} as Operations, {
  get:
    (_, name) =>
    (...args: readonly Argument[]) =>
      call(String(name), args),
});

type Argument = Value | Ref | ParameterRef<string>;

export function call(name: string, args: readonly Argument[]): CallExpression {
  return { kind: 'call', at: NOWHERE, name: checkedWord(name), arguments: args.map(toExpression) };
}

export function ptl(page: Ref<'page'>): PtlExpression {
  return call('ptl', [page]) as PtlExpression;
}

/** Word `index` of the frame with the PFN `pfn`, in kernel code: `*kmap_local_page(pfn)`. */
export function kmap(pfn: Value, index = 0): WordExpression {
  return { kind: 'word', at: NOWHERE, base: call('kmap_local_page', [pfn]), index: checkedIndex(index) };
}

/** Word `index` of a page, through the TLB, in user code: `*x`, `x[1]`. */
export function word(page: Ref<'page'>, index = 0): WordExpression & { readonly base: NameExpression } {
  return { kind: 'word', at: NOWHERE, base: nameExpression(page.name), index: checkedIndex(index) };
}

/** `x.last`: what was stored to a page last, in invariants, `ghost` and `atomic`. */
export function last(page: Ref<'page'>): FieldExpression {
  return { kind: 'field', at: NOWHERE, page: nameExpression(page.name), field: 'last' };
}

/** `x.stored`: 1 once something was stored to it. */
export function stored(page: Ref<'page'>): FieldExpression {
  return { kind: 'field', at: NOWHERE, page: nameExpression(page.name), field: 'stored' };
}

/** Arithmetic, modulo 2^64, and comparisons, which give 1 or 0; `and` and `or` do not evaluate what does not matter. */
export const calc = {
  and: (first: Value, ...rest: readonly Value[]) => joined('&&', first, rest),
  or: (first: Value, ...rest: readonly Value[]) => joined('||', first, rest),
  not: (operand: Value): Expression => ({ kind: 'unary', at: NOWHERE, operator: '!', operand: toExpression(operand) }),
  complement: (operand: Value): Expression => ({
    kind: 'unary',
    at: NOWHERE,
    operator: '~',
    operand: toExpression(operand),
  }),
  eq: (left: Value, right: Value) => binary('==', left, right),
  ne: (left: Value, right: Value) => binary('!=', left, right),
  lt: (left: Value, right: Value) => binary('<', left, right),
  le: (left: Value, right: Value) => binary('<=', left, right),
  gt: (left: Value, right: Value) => binary('>', left, right),
  ge: (left: Value, right: Value) => binary('>=', left, right),
  plus: (left: Value, right: Value) => binary('+', left, right),
  minus: (left: Value, right: Value) => binary('-', left, right),
  times: (left: Value, right: Value) => binary('*', left, right),
  bitAnd: (left: Value, right: Value) => binary('&', left, right),
  bitOr: (left: Value, right: Value) => binary('|', left, right),
  bitXor: (left: Value, right: Value) => binary('^', left, right),
  shiftLeft: (left: Value, right: Value) => binary('<<', left, right),
  shiftRight: (left: Value, right: Value) => binary('>>', left, right),
};

function joined(operator: '&&' | '||', first: Value, rest: readonly Value[]): Expression {
  return rest.reduce<Expression>((left, right) => binary(operator, left, right), toExpression(first));
}

function binary(operator: BinaryOperator, left: Value, right: Value): Expression {
  return { kind: 'binary', at: NOWHERE, operator, left: toExpression(left), right: toExpression(right) };
}

export function toExpression(value: Argument): Expression {
  if (typeof value === 'string') return nameExpression(value);
  if (typeof value === 'number' || typeof value === 'bigint') return numberExpression(value);
  if (value instanceof Ref || value instanceof ParameterRef) return nameExpression(value.name);
  return value;
}

export function nameExpression(name: string): NameExpression {
  return { kind: 'name', at: NOWHERE, name: checkedWord(name) };
}

/** @throws RangeError if it is no integer from 0 to 2^64 - 1 */
export function numberExpression(value: number | bigint): NumberExpression {
  const isInteger = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!isInteger || value < 0 || value >= 2n ** 64n) {
    throw new RangeError(`"value" must be an integer from 0 to 2^64 - 1, got ${value}`);
  }
  return { kind: 'number', at: NOWHERE, value: BigInt(value) };
}

function checkedIndex(index: number): number {
  if (!Number.isInteger(index) || index < 0 || index > 511) {
    throw new RangeError(`"index" must be the number of a word of a page, 0 to 511, got ${index}`);
  }
  return index;
}
