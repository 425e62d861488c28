// Printing: what is printed reads as the same tree, and printing it again changes nothing.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BinaryOperator, Expression, Location, Proposition } from '../../src/litmus/ast.ts';
import { Errors } from '../../src/litmus/errors.ts';
import { conditionText, expressionText } from '../../src/litmus/format.ts';
import { format, LIBRARY, type Scenario } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { readSyntax } from '../../src/litmus/syntax.ts';
import { bareTree } from '../support/trees.ts';

const files = readdirSync('src/scenarios').filter((name) => name.endsWith('.litmus'));

describe.each(files)('%s', (name) => {
  const text = readFileSync(`src/scenarios/${name}`, 'utf8');

  test('is printed as it stands, comments and all', () => {
    expect(format(read(text))).toBe(text);
  });

  test('reads the same without comments', () => {
    const bare = text.replace(/\(\*(?=[\s*])[\s\S]*?\*\)|\/\/[^\n]*/g, '');
    expect(bareTree(read(format(read(bare))))).toEqual(bareTree(read(text)));
  });
});

const AT = { line: 0, column: 0 };
const names = fc.constantFrom('r0', 'pte', 'bit', 'x-y');
const operators: BinaryOperator[] = [
  '||',
  '&&',
  '|',
  '^',
  '&',
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '<<',
  '>>',
  '+',
  '-',
  '*',
];

const expressions = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5 },
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((value): Expression => ({ kind: 'number', at: AT, value })),
    names.map((name): Expression => ({ kind: 'name', at: AT, name })),
    fc
      .tuple(names, fc.nat(511))
      .map(([name, index]): Expression => ({ kind: 'word', at: AT, base: { kind: 'name', at: AT, name }, index })),
    names.map((name): Expression => ({ kind: 'field', at: AT, page: { kind: 'name', at: AT, name }, field: 'last' })),
    fc
      .tuple(names, fc.array(tie('expression'), { maxLength: 3 }))
      .map(([name, args]): Expression => ({ kind: 'call', at: AT, name, arguments: args })),
    fc
      .tuple(fc.constantFrom('!' as const, '~' as const), tie('expression'))
      .map(([operator, operand]): Expression => ({ kind: 'unary', at: AT, operator, operand })),
    fc
      .tuple(fc.constantFrom(...operators), tie('expression'), tie('expression'))
      .map(([operator, left, right]): Expression => ({ kind: 'binary', at: AT, operator, left, right })),
  ),
})).expression;

test('every expression reads as it was printed', () => {
  fc.assert(
    fc.property(expressions, (expression) => {
      expect(bareTree(readExpression(expressionText(expression)))).toEqual(bareTree(expression));
    }),
    { numRuns: 1000 },
  );
});

test('every invariant of the library reads as it is printed', () => {
  const trees = LIBRARY.flatMap(({ holds }) => (holds === undefined ? [] : [holds]));
  expect(trees.length).toBeGreaterThan(0);
  for (const tree of trees) expect(bareTree(readExpression(expressionText(tree)))).toEqual(bareTree(tree));
});

/** In an invariant of a file that is not checked, so that its names need not mean anything. */
function readExpression(text: string): Expression {
  const errors = new Errors(undefined);
  const file = readSyntax(`litmus expression "one" invariant ONE() "" = ${text};`, errors);
  expect(errors.list()).toEqual([]);
  return file?.invariants[0]?.holds as Expression;
}

const locations = fc.constantFrom<Location>({ at: AT, cpu: 'P0', name: 'r0' }, { at: AT, cpu: undefined, name: 'w' });
const propositions = fc.letrec<{ proposition: Proposition }>((tie) => ({
  proposition: fc.oneof(
    { maxDepth: 4 },
    fc
      .tuple(
        locations,
        fc.constantFrom('=' as const, '!=' as const, '<' as const, '>=' as const),
        fc.bigInt({ min: 0n, max: 9n }),
      )
      .map(
        ([left, operator, value]): Proposition => ({
          kind: 'compare',
          operator,
          left,
          right: { kind: 'number', at: AT, value },
        }),
      ),
    tie('proposition').map((term): Proposition => ({ kind: 'not', term })),
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('proposition'), { minLength: 2, maxLength: 3 }),
      )
      .map(([kind, terms]): Proposition => ({ kind, terms })),
  ),
})).proposition;

test('every final condition reads as it was printed', () => {
  fc.assert(
    fc.property(propositions, (proposition) => {
      const text = `litmus l\n"s"\ninit { word w; }\nP0 { r0 = w; w = r0; }\n${conditionText({ at: AT, quantifier: 'forall', proposition })}\n`;
      expect(bareTree(read(text).condition?.proposition)).toEqual(bareTree(proposition));
    }),
    { numRuns: 500 },
  );
});

function read(text: string): Scenario {
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.scenario;
}
