// Checks what depends on the path: that a register is set before it is read, that a lock that is released is held, and that registers suffice.
//
// A path is judged in each variant alone, for conditions over parameters decide which statements there are: in all named ones, and in as many
// others as there is patience for.

import type { Body, CallExpression, Expression, Position, ScenarioFile, Statement } from '../ast.ts';
import { BUILT_IN_NAMES, lockSymbol } from '../code.ts';
import { AFTERWARDS, fits, locationsOf } from '../compile.ts';
import type { Errors } from '../errors.ts';
import { fold } from '../fold.ts';
import { Environment, type Names } from '../names.ts';
import { lockUse, OPTION_NAMES, operationsNamed } from '../operations/index.ts';
import { combinationsOf, variantsOf } from '../parameters.ts';
import type { Variant } from '../program.ts';
import { calledFunction, expressionsOf, walkBody } from '../registers.ts';

/** Variants that are looked at beside the named ones. */
const PATIENCE = 200;

export function checkPaths(file: ScenarioFile, names: Names, errors: Errors): void {
  for (const variant of variantsToCheck(file, names)) {
    const paths = new Paths(file, names, variant, errors);
    for (const { body } of file.programs) paths.program(body);
    if (file.afterwards !== undefined) paths.program(file.afterwards.body);
  }
  if (errors.isEmpty) checkRegisterCount(file, errors);
  if (errors.isEmpty) checkNeverRead(file, names, errors);
}

/** Those that differ in a parameter that some condition in the code asks for; the named ones come first. */
function* variantsToCheck(file: ScenarioFile, names: Names): Generator<Variant> {
  const asked = parametersAsked(file, names);
  const seen = new Set<string>();
  const isNew = (variant: Variant): boolean => {
    const key = asked.map((name) => variant[name]).join(' ');
    return !seen.has(key) && seen.add(key) !== undefined;
  };
  for (const { variant } of variantsOf(file)) if (isNew(variant)) yield variant;
  for (const { variant } of combinationsOf(file, asked)) {
    if (seen.size >= PATIENCE) return;
    if (isNew(variant)) yield variant;
  }
}

function parametersAsked(file: ScenarioFile, names: Names): readonly string[] {
  const asked = new Set<string>();
  const visit = (expression: Expression, environment: Environment): void => {
    const meaning = environment.meaningOf(expression);
    if (meaning?.of === 'parameter') asked.add(meaning.parameter.name);
    else if (meaning?.of === 'expression') visit(meaning.expression, meaning.environment);
    if (expression.kind === 'unary') visit(expression.operand, environment);
    else if (expression.kind === 'call') for (const argument of expression.arguments) visit(argument, environment);
    else if (expression.kind === 'binary') {
      visit(expression.left, environment);
      visit(expression.right, environment);
    }
  };
  for (const body of bodiesOfFile(file)) {
    walkBody(file, body, new Environment(names), (statement, environment) => {
      for (const expression of expressionsOf(statement)) visit(expression, environment);
    });
  }
  return [...asked];
}

function bodiesOfFile({ programs, afterwards }: ScenarioFile): readonly Body[] {
  return [...programs.map(({ body }) => body), ...(afterwards === undefined ? [] : [afterwards.body])];
}

function checkRegisterCount(file: ScenarioFile, errors: Errors): void {
  for (const { name, body } of file.programs) {
    if (fits(file, body, name.text)) continue;
    errors.add(name.at, name.text.length, `${name.text} needs more registers than a CPU has`);
  }
  if (file.afterwards !== undefined && !fits(file, file.afterwards.body, AFTERWARDS)) {
    errors.add(file.afterwards.at, AFTERWARDS.length, 'this needs more registers than a CPU has');
  }
}

/** A register that is set and never read is a slip of the pen, or another name was meant. */
function checkNeverRead(file: ScenarioFile, names: Names, errors: Errors): void {
  const observed = new Set(locationsOf(file).flatMap(({ cpu, name }) => (cpu === undefined ? [] : [name])));
  const read = new Map<string, Position>();
  const set = new Map<string, Statement & { kind: 'assign' }>();
  for (const body of bodiesOfFile(file)) {
    walkBody(file, body, new Environment(names), (statement, environment) => {
      for (const expression of expressionsOf(statement)) readsOf(expression, environment, read);
      if (statement.kind !== 'assign') return;
      if (statement.target.kind === 'word') readsOf(statement.target, environment, read);
      const meaning = environment.meaningOf(statement.target);
      if (meaning?.of === 'register' && !set.has(meaning.name)) set.set(meaning.name, statement);
    });
  }
  for (const [name, { at }] of set) {
    if (read.has(name) || observed.has(name)) continue;
    errors.add(at, name.length, `the register \`${name}\` is set and never read`);
  }
}

function readsOf(expression: Expression, environment: Environment, read: Map<string, Position>): void {
  switch (expression.kind) {
    case 'name': {
      const meaning = environment.meaning(expression.name);
      if (meaning.of === 'register') read.set(meaning.name, expression.at);
      else if (meaning.of === 'expression') readsOf(meaning.expression, meaning.environment, read);
      break;
    }
    case 'call':
      for (const argument of expression.arguments) readsOf(argument, environment, read);
      break;
    case 'word':
      if (expression.base.kind === 'call') readsOf(expression.base, environment, read);
      break;
    case 'unary':
      readsOf(expression.operand, environment, read);
      break;
    case 'binary':
      readsOf(expression.left, environment, read);
      readsOf(expression.right, environment, read);
      break;
    default:
  }
}

/** What is known where control stands. */
interface State {
  /** Registers that are set on every path. */
  readonly set: ReadonlySet<string>;
  /** Locks that are held: on every path, or on some of them. */
  readonly held: ReadonlyMap<string, 'surely' | 'perhaps'>;
}

interface Flow {
  readonly environment: Environment;
  readonly returns: State[];
  readonly breaks: State[];
}

class Paths {
  readonly #file: ScenarioFile;
  readonly #names: Names;
  readonly #variant: Variant;
  readonly #errors: Errors;
  /** Where a fault may begin its handler. */
  #faults: State[] = [];

  constructor(file: ScenarioFile, names: Names, variant: Variant, errors: Errors) {
    this.#file = file;
    this.#names = names;
    this.#variant = variant;
    this.#errors = errors;
  }

  program(body: Body): void {
    this.#faults = [];
    const flow = { environment: new Environment(this.#names), returns: [], breaks: [] };
    this.#body(body, { set: new Set(), held: new Map() }, flow);
    const atFault = merged(this.#faults);
    if (atFault === undefined) return;
    for (const statement of body.statements) {
      if (statement.kind === 'fault')
        this.#body(statement.body, { ...atFault, held: new Map() }, { ...flow, returns: [] });
    }
  }

  /** The state behind the body; undefined if control does not come there. */
  #body(body: Body, entry: State, flow: Flow): State | undefined {
    let state: State | undefined = entry;
    for (const statement of body.statements) {
      if (state === undefined) return undefined;
      state = this.#statement(statement, state, flow);
    }
    return state;
  }

  #statement(statement: Statement, state: State, flow: Flow): State | undefined {
    switch (statement.kind) {
      case 'assign':
        return this.#assign(statement, state, flow);
      case 'call':
        return this.#call(statement.call, statement, state, flow);
      case 'if':
        return this.#if(statement, state, flow);
      case 'while':
        return this.#while(statement, state, flow);
      case 'break':
        flow.breaks.push(state);
        return undefined;
      case 'return':
        flow.returns.push(state);
        return undefined;
      case 'await':
        this.#reads(statement.condition, state, flow.environment);
        return state;
      case 'check':
        for (const argument of statement.arguments) this.#reads(argument, state, flow.environment);
        return state;
      case 'atomic':
      case 'ghost':
        return this.#body(statement.body, state, flow);
      case 'syscall': {
        const inner = { ...flow, returns: [] as State[] };
        const end = this.#body(statement.body, state, inner);
        return merged(end === undefined ? inner.returns : [...inner.returns, end]);
      }
      default:
        return state;
    }
  }

  #assign({ target, operator, value }: Statement & { kind: 'assign' }, state: State, flow: Flow): State {
    const { environment } = flow;
    if (value.kind === 'word' && value.base.kind === 'name') this.#faults.push(state);
    let after = this.#evaluate(value, state, environment);
    if (target.kind === 'word') {
      if (target.base.kind === 'name') this.#faults.push(after);
      else this.#reads(target.base, after, environment);
      return after;
    }
    const meaning = environment.meaningOf(target);
    if (meaning?.of !== 'register') return after;
    if (operator !== '=' && target.kind === 'name') this.#reads(target, after, environment);
    after = { ...after, set: new Set([...after.set, meaning.name]) };
    return after;
  }

  #call(call: CallExpression, statement: Statement, state: State, flow: Flow): State | undefined {
    const declared = calledFunction(this.#file, statement);
    if (declared === undefined) return this.#evaluate(call, state, flow.environment);
    const inner: Flow = {
      environment: flow.environment.enter(declared.parameters, call.arguments),
      returns: [],
      breaks: [],
    };
    const end = this.#body(declared.body, state, inner);
    return merged(end === undefined ? inner.returns : [...inner.returns, end]);
  }

  #if({ condition, then, otherwise }: Statement & { kind: 'if' }, state: State, flow: Flow): State | undefined {
    const known = fold(condition, flow.environment, this.#variant);
    if (known.kind === 'number') {
      const body = known.value !== 0n ? then : otherwise;
      return body === undefined ? state : this.#body(body, state, flow);
    }
    const tried = triedLock(known);
    const evaluated = tried === undefined ? this.#evaluate(known, state, flow.environment) : state;
    let [yes, no] = [evaluated, evaluated];
    if (tried !== undefined) {
      const holding = {
        ...state,
        held: new Map([...state.held, [this.#lockOf(tried.call, flow.environment), 'surely' as const]]),
      };
      if (tried.negated) no = holding;
      else yes = holding;
    }
    const ends = [this.#body(then, yes, flow), otherwise === undefined ? no : this.#body(otherwise, no, flow)];
    return merged(ends.filter((end): end is State => end !== undefined));
  }

  #while({ condition, body }: Statement & { kind: 'while' }, state: State, flow: Flow): State | undefined {
    const known = fold(condition, flow.environment, this.#variant);
    if (known.kind === 'number' && known.value === 0n) return state;
    const before = this.#evaluate(known, state, flow.environment);
    const inner: Flow = { ...flow, breaks: [] };
    const end = this.#body(body, before, inner);
    return merged([before, ...inner.breaks, ...(end === undefined ? [] : [end])]);
  }

  /** Reads what the expression reads, and does to locks what its calls do. */
  #evaluate(written: Expression, state: State, environment: Environment): State {
    const expression = fold(written, environment, this.#variant);
    this.#reads(expression, state, environment);
    let after = state;
    for (const call of callsIn(expression)) {
      if (operationsNamed(call.name)[0]?.where === 'user') this.#faults.push(after);
      after = this.#locks(call, after, environment);
    }
    return after;
  }

  #locks(call: CallExpression, state: State, environment: Environment): State {
    const use = lockUse(call.name);
    if (use === undefined) return state;
    const lock = this.#lockOf(call, environment);
    const held = new Map(state.held);
    if (use.effect === 'take') held.set(lock, 'surely');
    else if (use.effect === 'try') held.set(lock, 'perhaps');
    else {
      const has = held.get(lock);
      if (has === undefined) {
        const [, shown = ''] = lock.split('|');
        this.#errors.add(
          call.at,
          call.name.length,
          `${shown} is not held here on every path${use.as === 'spin' ? '' : `, for ${use.as === 'read' ? 'reading' : 'writing'}`}`,
        );
      }
      held.delete(lock);
      if (use.effect === 'downgrade') held.set(this.#lockOf(call, environment, 'read'), 'surely');
    }
    return { ...state, held };
  }

  /** A lock and how it is held, and behind a bar how messages call it. */
  #lockOf(call: CallExpression, environment: Environment, as = lockUse(call.name)?.as): string {
    const [argument] = call.arguments;
    const of = lockUse(call.name)?.of;
    if (argument === undefined) return '';
    if (of === 'spinlock') {
      const symbol = lockSymbol(argument, environment);
      // Pages of an mm share their lock: all of them, or those of one table.
      if (symbol.of === 'page') return `ptl ${this.#names.mmOf.get(symbol.name)}|\`ptl(${symbol.name})\``;
      return symbol.of === 'lock' ? `lock ${symbol.name} ${as}|\`${symbol.name}\`` : '';
    }
    const meaning = environment.meaningOf(argument);
    const name = meaning === undefined || meaning.of === 'expression' || meaning.of === 'parameter' ? '' : meaning.name;
    return `${of} ${name} ${as}|the ${of} of \`${name}\``;
  }

  #reads(expression: Expression, state: State, environment: Environment): void {
    const read = new Map<string, Position>();
    readsOf(expression, environment, read);
    for (const [name, at] of read) {
      // What a flush is told is no register.
      if (state.set.has(name) || BUILT_IN_NAMES.some((built) => built === name) || OPTION_NAMES.has(name)) continue;
      this.#errors.add(at, name.length, `the register \`${name}\` is not set here on every path`);
    }
  }
}

/** `spin_trylock(l)` or `!spin_trylock(l)` alone. */
function triedLock(condition: Expression): { call: CallExpression; negated: boolean } | undefined {
  if (condition.kind === 'unary' && condition.operator === '!') {
    const inner = triedLock(condition.operand);
    return inner === undefined ? undefined : { ...inner, negated: !inner.negated };
  }
  if (condition.kind !== 'call' || lockUse(condition.name)?.effect !== 'try') return undefined;
  return { call: condition, negated: false };
}

function* callsIn(expression: Expression): Generator<CallExpression> {
  switch (expression.kind) {
    case 'call':
      for (const argument of expression.arguments) yield* callsIn(argument);
      yield expression;
      break;
    case 'unary':
      yield* callsIn(expression.operand);
      break;
    case 'binary':
      yield* callsIn(expression.left);
      yield* callsIn(expression.right);
      break;
    case 'word':
      if (expression.base.kind === 'call') yield* callsIn(expression.base);
      break;
    default:
  }
}

/** What is known where several paths meet. */
function merged(states: readonly State[]): State | undefined {
  const [first, ...others] = states;
  if (first === undefined) return undefined;
  const set = [...first.set].filter((name) => others.every((other) => other.set.has(name)));
  const held = new Map<string, 'surely' | 'perhaps'>();
  for (const [lock, has] of first.held) {
    const all = others.map((other) => other.held.get(lock));
    if (all.every((each) => each !== undefined)) held.set(lock, has);
  }
  // Whoever only tried to take a lock knows by other means whether it has it.
  for (const state of states) {
    for (const [lock, has] of state.held) if (has === 'perhaps') held.set(lock, has);
  }
  return { set: new Set(set), held };
}
