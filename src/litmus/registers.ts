// The registers with names that a program uses: whatever it assigns to that the scenario does not declare.

import type { Body, Expression, FunctionDeclaration, ScenarioFile, Statement } from './ast.ts';
import type { Environment } from './names.ts';

/** Those that `body` assigns to, functions inlined, in the order of the text, and then those of `others` that are not among them. */
export function registersOf(
  file: ScenarioFile,
  body: Body,
  environment: Environment,
  others: readonly string[],
): readonly string[] {
  const found = new Set<string>();
  walkBody(file, body, environment, (statement, inside) => {
    if (statement.kind !== 'assign') return;
    const meaning = inside.meaningOf(statement.target);
    if (meaning?.of === 'register') found.add(meaning.name);
  });
  for (const name of others) found.add(name);
  return [...found];
}

/** The names of all calls in `body` that are statements or in expressions, functions inlined. */
export function callsOf(file: ScenarioFile, body: Body, environment: Environment): ReadonlySet<string> {
  const found = new Set<string>();
  const inExpression = (expression: Expression): void => {
    if (expression.kind === 'call') {
      found.add(expression.name);
      expression.arguments.forEach(inExpression);
    } else if (expression.kind === 'unary') inExpression(expression.operand);
    else if (expression.kind === 'binary') {
      inExpression(expression.left);
      inExpression(expression.right);
    }
  };
  walkBody(file, body, environment, (statement) => expressionsOf(statement).forEach(inExpression));
  return found;
}

/** The expressions that a statement evaluates itself. */
export function expressionsOf(statement: Statement): readonly Expression[] {
  switch (statement.kind) {
    case 'assign':
      return [statement.value];
    case 'call':
      return [statement.call];
    case 'if':
    case 'while':
    case 'await':
      return [statement.condition];
    case 'check':
      return statement.arguments;
    default:
      return [];
  }
}

/** The bodies inside a statement. */
export function bodiesOf(statement: Statement): readonly Body[] {
  switch (statement.kind) {
    case 'if':
      return statement.otherwise === undefined ? [statement.then] : [statement.then, statement.otherwise];
    case 'while':
    case 'atomic':
    case 'ghost':
    case 'syscall':
    case 'fault':
      return [statement.body];
    default:
      return [];
  }
}

/** The function that a statement calls, if it is one of the file. */
export function calledFunction(file: ScenarioFile, statement: Statement): FunctionDeclaration | undefined {
  if (statement.kind !== 'call') return undefined;
  return file.functions.find(({ name }) => name.text === statement.call.name);
}

/** Every statement, in the order of the text, functions inlined where they are called; one that calls itself is left at the second call. */
export function walkBody(
  file: ScenarioFile,
  body: Body,
  environment: Environment,
  visit: (statement: Statement, environment: Environment) => void,
  inside: readonly FunctionDeclaration[] = [],
): void {
  for (const statement of body.statements) {
    visit(statement, environment);
    for (const inner of bodiesOf(statement)) walkBody(file, inner, environment, visit, inside);
    const called = calledFunction(file, statement);
    if (called === undefined || inside.includes(called) || statement.kind !== 'call') continue;
    const entered = environment.enter(called.parameters, statement.call.arguments);
    walkBody(file, called.body, entered, visit, [...inside, called]);
  }
}
