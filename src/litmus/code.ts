// One CPU's program: statements and expressions to instructions, for one variant.
//
// Guarantees: conditions over parameters leave no trace; a statement that reads shared memory more than once is that many steps, from left to
// right; the code of a fault handler uses no register that the access it interrupts still needs. What comes in has passed the checks.

import { ACCESS_WRITE } from '../../assembly/layout.ts';
import {
  FIRST_INVARIANT,
  NO_SYMBOL,
  OP_ADD,
  OP_AND,
  OP_ASSERT,
  OP_ATOMIC,
  OP_AWAIT64,
  OP_ENTER_USER,
  OP_EQ,
  OP_FETCH_ADD64,
  OP_FETCH_AND64,
  OP_FETCH_OR64,
  OP_HALT,
  OP_JOINED,
  OP_JOINED_END,
  OP_LE,
  OP_LEAVE_USER,
  OP_LOAD64,
  OP_LT,
  OP_MUL,
  OP_NE,
  OP_NOT,
  OP_OR,
  OP_RETRY,
  OP_SHL,
  OP_SHR,
  OP_STORE64,
  OP_SUB,
  OP_USER_LOAD,
  OP_USER_STORE,
  OP_XOR,
  REG_FAULT_ACCESS,
  REG_FAULT_VA,
  REG_RESULT,
} from '../../assembly/litmus/ops_bits.ts';
import type {
  AssignOperator,
  BinaryOperator,
  Body,
  CallExpression,
  Expression,
  FunctionDeclaration,
  InvariantDeclaration,
  ScenarioFile,
  Statement,
  WordExpression,
} from './ast.ts';
import { numberExpression } from './builder/expressions.ts';
import type { Emitter, Label, Register } from './emit.ts';
import { fold } from './fold.ts';
import { expressionText, headText } from './format.ts';
import { libraryInvariant, parametersOfInvariant } from './invariants.ts';
import { Environment, type Names } from './names.ts';
import { operationsNamed } from './operations/index.ts';
import { addTo, frameWord, loadAt } from './operations/operation.ts';
import type { LitmusSymbol, PageField, Variant } from './program.ts';

/** Names that are no registers: what a handler finds, and what an access without a handler came to. */
export const BUILT_IN_NAMES = ['FAULT_FLAG_WRITE', 'faulted'] as const;
/** What the oracle knows of a page, by the name of the field. */
export const PAGE_FIELDS: readonly PageField[] = ['last', 'stored', 'guard'];
/** Not an operation but an address: `*kmap_local_page(pfn)`. */
export const FRAME_WORD = 'kmap_local_page';

/** The invariants of a program, each once, in the order of first use. */
export class InvariantTable {
  readonly names: string[] = [];

  number(name: string): number {
    let place = this.names.indexOf(name);
    if (place < 0) {
      place = this.names.length;
      this.names.push(name);
    }
    return FIRST_INVARIANT + place;
  }
}

export interface CodeContext {
  readonly file: ScenarioFile;
  readonly names: Names;
  /** Undefined: conditions over parameters are compiled like others, for what all variants together need. */
  readonly variant: Variant | undefined;
  readonly invariants: InvariantTable;
}

/** Where `return` and `break` lead to, and how names are read. */
interface Place {
  readonly environment: Environment;
  readonly end: Label;
  readonly loop: Label | undefined;
  /** Inside `atomic` or `ghost`: what is one step already needs no block of its own. */
  readonly joined: boolean;
}

export class CodeWriter {
  readonly #context: CodeContext;
  readonly #emitter: Emitter;

  constructor(context: CodeContext, emitter: Emitter) {
    this.#context = context;
    this.#emitter = emitter;
  }

  /** A whole program. Returns the place of its fault handler, if it has one. */
  program(body: Body): number | undefined {
    const emitter = this.#emitter;
    const environment = new Environment(this.#context.names);
    const end = emitter.label();
    this.#body(body, { environment, end, loop: undefined, joined: false });
    emitter.here(end);
    emitter.quietly(() => emitter.pure({ op: OP_HALT }));
    const handlers = body.statements.filter((statement) => statement.kind === 'fault');
    let handler: number | undefined;
    if (handlers.length > 0) {
      handler = emitter.code.length;
      emitter.keepAll();
      this.#handlers(handlers, environment);
    }
    emitter.finish();
    return handler;
  }

  // ---- fault handlers

  #handlers(handlers: readonly (Statement & { kind: 'fault' })[], environment: Environment): void {
    const emitter = this.#emitter;
    handlers.forEach((handler, n) => {
      const next = emitter.label();
      // The last one takes what is left: every page that is accessed has a handler.
      if (n < handlers.length - 1) this.#unlessPage(handler.page.text, environment, next);
      const end = emitter.label();
      this.#body(handler.body, { environment, end, loop: undefined, joined: false });
      emitter.here(end);
      emitter.statement({ line: handler.at.line, text: 'retry' });
      emitter.step({ op: OP_RETRY });
      emitter.here(next);
    });
  }

  #unlessPage(page: string, environment: Environment, next: Label): void {
    const emitter = this.#emitter;
    const mark = emitter.mark();
    emitter.quietly(() => {
      const va = emitter.valueOf({ of: 'page', name: objectName(environment, page), field: 'va' });
      const shift = emitter.set(12n);
      emitter.pure({ op: OP_SHR, d: va, a: va, b: shift });
      emitter.pure({ op: OP_SHR, d: shift, a: REG_FAULT_VA, b: shift });
      emitter.pure({ op: OP_EQ, d: va, a: va, b: shift });
      emitter.ifZero(va, next);
    });
    emitter.release(mark);
  }

  // ---- statements

  #body(body: Body, place: Place): void {
    for (const statement of body.statements) this.#statement(statement, place);
  }

  #statement(statement: Statement, place: Place): void {
    const emitter = this.#emitter;
    const mark = emitter.mark();
    const text = headText(statement, (name) => this.#shown(name, place.environment));
    if (!place.joined) emitter.statement({ line: statement.at.line, text });
    switch (statement.kind) {
      case 'assign':
        this.#assign(statement, place);
        break;
      case 'call':
        this.#callStatement(statement.call, place);
        break;
      case 'if':
        this.#if(statement, place);
        break;
      case 'while':
        this.#while(statement, place);
        break;
      case 'break':
        emitter.jump(place.loop ?? place.end);
        break;
      case 'return':
        emitter.jump(place.end);
        break;
      case 'await':
        this.#await(statement.condition, place);
        break;
      case 'check':
        this.#check(statement.invariant.text, statement.arguments, place);
        break;
      case 'forbid':
      case 'permit':
        this.#guard(statement.kind, statement.invariant.text, statement.page, place);
        break;
      case 'atomic':
      case 'ghost':
        this.#joined(statement, place);
        break;
      case 'syscall':
        this.#syscall(statement, place);
        break;
      case 'fault':
        break;
    }
    emitter.release(mark);
  }

  #assign({ target, operator, value }: Statement & { kind: 'assign' }, place: Place): void {
    const emitter = this.#emitter;
    const { environment } = place;
    if (target.kind === 'word') {
      this.#storeWord(target, operator, value, place);
      return;
    }
    const meaning = target.kind === 'name' ? environment.meaningOf(target) : undefined;
    if (meaning?.of === 'register') {
      const register = emitter.named(meaning.name);
      if (operator === '=') this.#value(value, place, register);
      else this.#combine(operator, register, this.#value(value, place), register);
      return;
    }
    const c = this.#address(
      target.kind === 'field' ? fieldSymbol(target.page.name, target.field, environment) : wordSymbol(meaning),
    );
    if (operator === '=') {
      emitter.step({ op: OP_STORE64, a: this.#value(value, place), c });
      return;
    }
    if (place.joined && operator !== '^=') {
      this.#update(operator, this.#value(value, place), c);
      return;
    }
    const read = emitter.step({ op: OP_LOAD64, d: emitter.temporary(), c });
    this.#combine(operator, read, this.#value(value, place), read);
    emitter.step({ op: OP_STORE64, a: read, c });
  }

  /** What is one step is one access: threads make those of a block one by one, and would lose what another counts between a load and a store. */
  #update(operator: '+=' | '-=' | '&=' | '|=', value: Register, c: number): void {
    const emitter = this.#emitter;
    let a = value;
    if (operator === '-=') {
      a = emitter.set(0n);
      this.#combine(operator, a, value, a);
    }
    emitter.step({ op: FETCHES[operator], d: emitter.temporary(), a, c });
  }

  /** `*x = 1` of a page, `*kmap_local_page(pfn) = 1` of a frame. */
  #storeWord(target: WordExpression, operator: AssignOperator, value: Expression, place: Place): void {
    const emitter = this.#emitter;
    if (target.base.kind === 'call') {
      const address = frameWord(emitter, this.#value(argument(target.base, 0), place), target.index);
      let stored = this.#value(value, place);
      if (operator !== '=') {
        const read = loadAt(emitter, address, emitter.temporary());
        this.#combine(operator, read, stored, read);
        stored = read;
      }
      emitter.step({ op: OP_STORE64, a: stored, b: address, c: NO_SYMBOL });
      return;
    }
    const page = objectName(place.environment, target.base.name);
    const va = this.#pageWord(page, target.index);
    const b = this.#value(value, place);
    emitter.step({ op: OP_USER_STORE, a: va, b, c: this.#address({ of: 'page', name: page, field: 'last' }) });
  }

  #callStatement(call: CallExpression, place: Place): void {
    const declared = this.#context.file.functions.find(({ name }) => name.text === call.name);
    if (declared === undefined) this.#operation(call, place, undefined);
    else this.#inline(declared, call.arguments, place);
  }

  #inline({ parameters, body }: FunctionDeclaration, args: readonly Expression[], place: Place): void {
    const emitter = this.#emitter;
    const end = emitter.label();
    const environment = place.environment.enter(parameters, args);
    this.#body(body, { environment, end, loop: undefined, joined: place.joined });
    emitter.here(end);
  }

  #if({ condition, then, otherwise }: Statement & { kind: 'if' }, place: Place): void {
    const emitter = this.#emitter;
    const known = this.#fold(condition, place);
    if (known.kind === 'number') {
      if (known.value !== 0n) this.#body(then, place);
      else if (otherwise !== undefined) this.#body(otherwise, place);
      return;
    }
    const [other, end] = [emitter.label(), emitter.label()];
    const mark = emitter.mark();
    this.#unless(known, other, place);
    emitter.release(mark);
    this.#body(then, place);
    if (otherwise !== undefined) {
      emitter.quietly(() => emitter.jump(end));
      emitter.here(other);
      this.#body(otherwise, place);
    } else emitter.here(other);
    emitter.here(end);
  }

  #while({ condition, bound, body }: Statement & { kind: 'while' }, place: Place): void {
    const emitter = this.#emitter;
    const known = this.#fold(condition, place);
    if (known.kind === 'number' && known.value === 0n) return;
    const [again, end] = [emitter.label(), emitter.label()];
    const left = emitter.set(BigInt(bound));
    emitter.here(again);
    const mark = emitter.mark();
    if (known.kind !== 'number') this.#unless(known, end, place);
    emitter.ifZero(left, end);
    emitter.release(mark);
    this.#body(body, { ...place, loop: end });
    emitter.quietly(() => {
      emitter.pure({ op: OP_SUB, d: left, a: left, b: emitter.set(1n) });
      emitter.jump(again);
    });
    emitter.here(end);
    emitter.quietly(() => emitter.set(0n, left));
  }

  /** `await (w == v)`, `await ((w & m) == v)`, `await (!w)`. */
  #await(condition: Expression, place: Place): void {
    const emitter = this.#emitter;
    const form = awaitForm(condition);
    if (form === undefined) return;
    const mask = form.mask === undefined ? emitter.set((1n << 64n) - 1n) : this.#value(form.mask, place);
    const wanted = form.value === undefined ? emitter.set(0n) : this.#value(form.value, place);
    const meaning = place.environment.meaningOf(form.word);
    emitter.step({ op: OP_AWAIT64, a: wanted, c: this.#address(wordSymbol(meaning)), immediate: BigInt(mask) });
  }

  #check(name: string, args: readonly Expression[], place: Place): void {
    const emitter = this.#emitter;
    const { parameters, holds } = this.#invariant(name);
    const inner = { ...place, environment: place.environment.enter(parameters, args), joined: true };
    const c = this.#context.invariants.number(name);
    const known = this.#fold(holds, inner);
    // What reads registers only is no step: it is judged where the program stands.
    const alone = !place.joined && touchesMemory(known, inner.environment);
    if (alone) emitter.pure({ op: OP_ATOMIC });
    emitter.quietly(() => {
      emitter.pure({ op: OP_ASSERT, a: this.#value(known, inner), c });
      if (alone) emitter.pure({ op: OP_JOINED_END });
    });
  }

  #guard(kind: 'forbid' | 'permit', name: string, page: Expression, place: Place): void {
    const emitter = this.#emitter;
    const bit = 1n << BigInt(this.#context.invariants.number(name));
    const write = () => {
      if (!place.joined) emitter.pure({ op: OP_JOINED });
      const mask = kind === 'forbid' ? bit : ~bit & ((1n << 64n) - 1n);
      const operand = emitter.set(mask);
      const meaning = place.environment.meaningOf(page);
      const c = this.#address({ of: 'page', name: meaning?.of === 'page' ? meaning.name : '', field: 'guard' });
      emitter.step({ op: kind === 'forbid' ? OP_FETCH_OR64 : OP_FETCH_AND64, d: operand, a: operand, c });
      if (!place.joined) emitter.pure({ op: OP_JOINED_END });
    };
    emitter.quietly(write);
  }

  #joined(statement: Statement & { kind: 'atomic' | 'ghost' }, place: Place): void {
    const emitter = this.#emitter;
    const inner = { ...place, joined: true };
    if (place.joined) {
      this.#body(statement.body, inner);
      return;
    }
    if (statement.kind === 'ghost') {
      emitter.quietly(() => {
        emitter.pure({ op: OP_JOINED });
        this.#body(statement.body, inner);
        emitter.pure({ op: OP_JOINED_END });
      });
      return;
    }
    const rename = (name: string) => this.#shown(name, place.environment);
    const inside = statement.body.statements.map((each) => headText(each, rename)).join('; ');
    const text = statement.title === '' ? inside : statement.title;
    emitter.statement({ line: statement.at.line, text });
    emitter.pure({ op: OP_ATOMIC });
    emitter.quietly(() => {
      this.#body(statement.body, inner);
      emitter.pure({ op: OP_JOINED_END });
    });
  }

  #syscall(statement: Statement & { kind: 'syscall' }, place: Place): void {
    const emitter = this.#emitter;
    const end = emitter.label();
    const title = statement.title === '' ? 'syscall' : statement.title;
    emitter.statement({ line: statement.at.line, text: title });
    emitter.step({ op: OP_LEAVE_USER });
    this.#body(statement.body, { ...place, end, loop: undefined });
    emitter.here(end);
    emitter.statement({ line: statement.at.line, text: `${title}: return` });
    emitter.step({ op: OP_ENTER_USER });
  }

  // ---- conditions

  /** Goes to `label` if the condition is 0. */
  #unless(condition: Expression, label: Label, place: Place): void {
    const emitter = this.#emitter;
    if (condition.kind === 'unary' && condition.operator === '!') {
      this.#when(condition.operand, label, place);
    } else if (condition.kind === 'binary' && condition.operator === '&&') {
      this.#unless(condition.left, label, place);
      this.#unless(condition.right, label, place);
    } else if (condition.kind === 'binary' && condition.operator === '||') {
      const holds = emitter.label();
      this.#when(condition.left, holds, place);
      this.#unless(condition.right, label, place);
      emitter.here(holds);
    } else {
      const mark = emitter.mark();
      emitter.ifZero(this.#value(condition, place), label);
      emitter.release(mark);
    }
  }

  /** Goes to `label` if the condition is not 0. */
  #when(condition: Expression, label: Label, place: Place): void {
    const emitter = this.#emitter;
    if (condition.kind === 'unary' && condition.operator === '!') {
      this.#unless(condition.operand, label, place);
    } else if (condition.kind === 'binary' && condition.operator === '||') {
      this.#when(condition.left, label, place);
      this.#when(condition.right, label, place);
    } else if (condition.kind === 'binary' && condition.operator === '&&') {
      const fails = emitter.label();
      this.#unless(condition.left, fails, place);
      this.#when(condition.right, label, place);
      emitter.here(fails);
    } else {
      const mark = emitter.mark();
      emitter.ifNot(this.#value(condition, place), label);
      emitter.release(mark);
    }
  }

  // ---- expressions

  /** The register that has the value: `into` if given, the register itself for a name of one. */
  #value(written: Expression, place: Place, into?: Register): Register {
    const emitter = this.#emitter;
    const expression = this.#fold(written, place);
    const { environment } = place;
    switch (expression.kind) {
      case 'number':
        return emitter.set(expression.value, into ?? emitter.temporary());
      case 'name':
        return this.#name(expression.name, place, into);
      case 'field': {
        const c = this.#address(fieldSymbol(expression.page.name, expression.field, environment));
        return emitter.step({ op: OP_LOAD64, d: into ?? emitter.temporary(), c }, expressionText(expression));
      }
      case 'word':
        return this.#word(expression, place, into);
      case 'call':
        return this.#operation(expression, place, into ?? emitter.temporary());
      case 'unary': {
        const d = into ?? emitter.temporary();
        const mark = emitter.mark();
        const a = this.#value(expression.operand, place);
        if (expression.operator === '!') emitter.pure({ op: OP_NOT, d, a });
        else emitter.pure({ op: OP_XOR, d, a, b: emitter.set((1n << 64n) - 1n) });
        emitter.release(mark);
        return d;
      }
      case 'binary':
        return this.#binary(expression, place, into ?? emitter.temporary());
    }
  }

  #name(name: string, place: Place, into: Register | undefined): Register {
    const emitter = this.#emitter;
    const meaning = place.environment.meaning(name);
    if (meaning.of === 'expression') {
      return this.#value(meaning.expression, { ...place, environment: meaning.environment }, into);
    }
    if (meaning.of === 'register') {
      if (name === 'faulted') return into === undefined ? REG_RESULT : emitter.move(REG_RESULT, into);
      if (name === 'FAULT_FLAG_WRITE') {
        const d = into ?? emitter.temporary();
        const mark = emitter.mark();
        emitter.pure({ op: OP_AND, d, a: REG_FAULT_ACCESS, b: emitter.set(BigInt(ACCESS_WRITE)) });
        emitter.release(mark);
        return d;
      }
      const register = emitter.named(meaning.name);
      return into === undefined ? register : emitter.move(register, into);
    }
    if (meaning.of === 'parameter') return emitter.set(0n, into ?? emitter.temporary());
    if (meaning.of === 'frame') {
      return emitter.valueOf({ of: 'frame', name: meaning.name, field: 'pfn' }, into ?? emitter.temporary());
    }
    const c = this.#address(wordSymbol(meaning));
    return emitter.step(
      { op: OP_LOAD64, d: into ?? emitter.temporary(), c },
      meaning.of === 'word' ? meaning.name : name,
    );
  }

  #word({ base, index }: WordExpression, place: Place, into: Register | undefined): Register {
    const emitter = this.#emitter;
    const d = into ?? emitter.temporary();
    const mark = emitter.mark();
    if (base.kind === 'call') {
      const address = frameWord(emitter, this.#value(argument(base, 0), place), index);
      loadAt(emitter, address, d, expressionText(base));
    } else {
      const page = objectName(place.environment, base.name);
      const a = this.#pageWord(page, index);
      emitter.step({ op: OP_USER_LOAD, d, a, c: this.#address({ of: 'page', name: page, field: 'last' }) });
    }
    emitter.release(mark);
    return d;
  }

  #binary({ operator, left, right }: Expression & { kind: 'binary' }, place: Place, d: Register): Register {
    const emitter = this.#emitter;
    if (operator === '&&' || operator === '||') {
      const [short, end] = [emitter.label(), emitter.label()];
      const whole: Expression = { kind: 'binary', at: left.at, operator, left, right };
      this.#unless(whole, short, place);
      emitter.set(1n, d);
      emitter.jump(end);
      emitter.here(short);
      emitter.set(0n, d);
      emitter.here(end);
      return d;
    }
    const mark = emitter.mark();
    const a = this.#value(left, place);
    const b = this.#value(right, place);
    const swapped = operator === '>' || operator === '>=';
    emitter.pure({ op: OPCODES[operator], d, a: swapped ? b : a, b: swapped ? a : b });
    emitter.release(mark);
    return d;
  }

  #combine(operator: AssignOperator, a: Register, b: Register, d: Register): void {
    this.#emitter.pure({ op: OPCODES[operator.slice(0, -1) as BinaryOperator], d, a, b });
  }

  /** A call of an operation; returns `into`. */
  #operation(call: CallExpression, place: Place, into: Register | undefined): Register {
    const emitter = this.#emitter;
    const { environment } = place;
    const first = call.arguments[0] && environment.meaningOf(call.arguments[0]);
    const named = operationsNamed(call.name);
    const operation = named.find(({ takes }) => takes[0]?.kind === first?.of) ?? named[0];
    if (operation === undefined) return into ?? emitter.temporary();
    const d = into ?? emitter.temporary();
    const mark = emitter.mark();
    // All are evaluated before the operation begins, from left to right.
    const values = operation.takes.map(({ kind }, n) =>
      kind === 'value' ? this.#value(argument(call, n), place) : undefined,
    );
    const nameOf = (n: number) => objectName(environment, nameText(argument(call, n)));
    operation.emit({
      emitter,
      into: d,
      value: (n) => values[n] ?? -1,
      number: (n) => {
        const known = this.#fold(argument(call, n), place);
        return known.kind === 'number' ? known.value : 0n;
      },
      name: nameOf,
      mmOf: (n) => this.#context.names.mmOf.get(nameOf(n)) ?? '',
      lock: (n) => lockSymbol(argument(call, n), environment),
      flags: () =>
        this.#flags(
          call,
          operation.takes.findIndex(({ kind }) => kind === 'flags'),
        ),
    });
    emitter.release(mark);
    return d;
  }

  #flags(call: CallExpression, from: number): readonly string[] {
    const { variant } = this.#context;
    const posted = variant?.['invalidation'] === 'posted' ? ['posted'] : [];
    const told = from < 0 ? [] : call.arguments.slice(from).map(nameText);
    // A parameter stands for its value.
    return [...posted, ...told.map((name) => variant?.[name] ?? name)];
  }

  // ---- parts

  #pageWord(page: string, index: number): Register {
    const va = this.#emitter.valueOf({ of: 'page', name: page, field: 'va' });
    addTo(this.#emitter, va, index * 8);
    return va;
  }

  #invariant(name: string): { parameters: InvariantDeclaration['parameters']; holds: Expression } {
    const own = this.#context.file.invariants.find((invariant) => invariant.name.text === name);
    if (own !== undefined) return own;
    const library = libraryInvariant(name);
    if (library === undefined) throw new Error(`no invariant ${name}: the checks should have said so`);
    return { parameters: parametersOfInvariant(library), holds: library.holds ?? numberExpression(1) };
  }

  #fold(expression: Expression, place: Place): Expression {
    return fold(expression, place.environment, this.#context.variant);
  }

  #address(symbol: LitmusSymbol): number {
    return this.#emitter.symbols.number(symbol);
  }

  /** How a diagram shows a name: as what it stands for. */
  #shown(name: string, environment: Environment): string {
    const meaning = environment.meaning(name);
    if (meaning.of === 'expression') {
      return expressionText(meaning.expression, (inner) => this.#shown(inner, meaning.environment));
    }
    return meaning.of === 'parameter' ? name : meaning.name;
  }
}

const FETCHES = { '+=': OP_FETCH_ADD64, '-=': OP_FETCH_ADD64, '&=': OP_FETCH_AND64, '|=': OP_FETCH_OR64 } as const;

const OPCODES: Readonly<Record<BinaryOperator, number>> = {
  '||': OP_OR,
  '&&': OP_AND,
  '|': OP_OR,
  '^': OP_XOR,
  '&': OP_AND,
  '==': OP_EQ,
  '!=': OP_NE,
  '<': OP_LT,
  '<=': OP_LE,
  '>': OP_LT,
  '>=': OP_LE,
  '<<': OP_SHL,
  '>>': OP_SHR,
  '+': OP_ADD,
  '-': OP_SUB,
  '*': OP_MUL,
};

/** The word that is waited for, the bits of it that count, and their value; undefined if the condition is of another form. */
export function awaitForm(
  condition: Expression,
): { word: Expression; mask: Expression | undefined; value: Expression | undefined } | undefined {
  if (condition.kind === 'unary' && condition.operator === '!') return masked(condition.operand, undefined);
  if (condition.kind !== 'binary' || condition.operator !== '==') return undefined;
  return masked(condition.left, condition.right);
}

function masked(tested: Expression, value: Expression | undefined): ReturnType<typeof awaitForm> {
  if (tested.kind === 'binary' && tested.operator === '&') return { word: tested.left, mask: tested.right, value };
  return { word: tested, mask: undefined, value };
}

/** Whether evaluating it reads memory that others see. */
export function touchesMemory(expression: Expression, environment: Environment): boolean {
  switch (expression.kind) {
    case 'number':
      return false;
    case 'name': {
      const meaning = environment.meaning(expression.name);
      if (meaning.of === 'expression') return touchesMemory(meaning.expression, meaning.environment);
      return meaning.of === 'word';
    }
    case 'field':
    case 'word':
      return true;
    case 'call': {
      const operation = operationsNamed(expression.name)[0];
      return operation?.steps !== '0' || expression.arguments.some((arg) => touchesMemory(arg, environment));
    }
    case 'unary':
      return touchesMemory(expression.operand, environment);
    case 'binary':
      return touchesMemory(expression.left, environment) || touchesMemory(expression.right, environment);
  }
}

function argument(call: CallExpression, n: number): Expression {
  return call.arguments[n] ?? { kind: 'number', at: call.at, value: 0n };
}

function nameText(expression: Expression): string {
  return expression.kind === 'name' ? expression.name : '';
}

function objectName(environment: Environment, name: string): string {
  const meaning = environment.meaningOf({ kind: 'name', at: { line: 0, column: 0 }, name });
  return meaning === undefined || meaning.of === 'parameter' || meaning.of === 'expression' ? name : meaning.name;
}

function wordSymbol(meaning: ReturnType<Environment['meaningOf']>): LitmusSymbol {
  return { of: 'word', name: meaning?.of === 'word' ? meaning.name : '' };
}

function fieldSymbol(page: string, field: string, environment: Environment): LitmusSymbol {
  return { of: 'page', name: objectName(environment, page), field: field as PageField };
}

/** `ptl(x)`, or a lock by name. */
export function lockSymbol(expression: Expression, environment: Environment): LitmusSymbol {
  if (expression.kind === 'call') {
    return { of: 'page', name: objectName(environment, nameText(argument(expression, 0))), field: 'ptl' };
  }
  return { of: 'lock', name: objectName(environment, nameText(expression)) };
}
