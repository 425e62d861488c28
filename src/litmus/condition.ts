// What a condition says of an outcome.

import type { Operand, Term } from './program.ts';

/** Does `term` hold of the values of a program's `observed`? */
export function holds(term: Term, values: readonly bigint[]): boolean {
  switch (term.kind) {
    case 'and':
      return term.terms.every((each) => holds(each, values));
    case 'or':
      return term.terms.some((each) => holds(each, values));
    case 'not':
      return !holds(term.term, values);
    case 'compare': {
      const left = valueIn(term.left, values);
      const right = valueIn(term.right, values);
      if (term.operator === '==') return left === right;
      if (term.operator === '!=') return left !== right;
      return term.operator === '<' ? left < right : left <= right;
    }
  }
}

function valueIn(operand: Operand, values: readonly bigint[]): bigint {
  return 'value' in operand ? operand.value : (values[operand.observed] as bigint);
}
