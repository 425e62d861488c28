// Checks programs: what names mean, that operations get what they take, and that everything stands where it may.
//
// Functions are checked where they are called, for what they may do depends on who calls.

import type {
  Body,
  CallExpression,
  Expression,
  FieldExpression,
  FunctionDeclaration,
  Name,
  NameExpression,
  Position,
  ScenarioFile,
  Statement,
  WordExpression,
} from '../ast.ts';
import { awaitForm, BUILT_IN_NAMES, FRAME_WORD, PAGE_FIELDS } from '../code.ts';
import { didYouMean, type Errors } from '../errors.ts';
import { isBuiltIn, LIBRARY, libraryInvariant, parametersOfInvariant } from '../invariants.ts';
import { Environment, type Meaning, type Names } from '../names.ts';
import {
  type ArgumentKind,
  lockUse,
  OPERATIONS,
  type Operation,
  operationsNamed,
  signature,
} from '../operations/index.ts';
import { registersOf } from '../registers.ts';
import { checkComparison } from './conditions.ts';
import { blame } from './declarations.ts';

/** Statements of a program with its functions put in: far more than anybody reads. */
const MOST_STATEMENTS = 4000;

/** Where a statement stands. */
interface Place {
  readonly environment: Environment;
  readonly mode: 'user' | 'kernel';
  readonly handler: boolean;
  /** At the top of a user program, where handlers stand. */
  readonly top: boolean;
  /** Inside `atomic`, `ghost`, or an invariant: nothing there may wait, or leave it. */
  readonly joined: boolean;
  readonly loop: boolean;
  /** The registers of the CPU; undefined where none may be used. */
  readonly registers: ReadonlySet<string> | undefined;
  readonly inside: readonly FunctionDeclaration[];
}

export function checkCode(file: ScenarioFile, names: Names, errors: Errors): void {
  const checker = new CodeChecker(file, errors);
  const environment = new Environment(names);
  for (const { mode, body } of file.programs) checker.program(body, mode, environment);
  if (file.afterwards !== undefined) checker.program(file.afterwards.body, 'kernel', environment);
  for (const declaration of file.functions) checker.uncalled(declaration);
  for (const { parameters, holds } of file.invariants) checker.invariant(parameters, holds, environment);
}

class CodeChecker {
  readonly #file: ScenarioFile;
  readonly #errors: Errors;
  readonly #called = new Set<FunctionDeclaration>();
  #statements = 0;
  #tooLong = false;
  /** Of the program that is being checked: the pages it accesses, and those it has a handler for. */
  #accessed = new Map<string, Position>();
  #handled = new Set<string>();

  constructor(file: ScenarioFile, errors: Errors) {
    this.#file = file;
    this.#errors = errors;
  }

  program(body: Body, mode: 'user' | 'kernel', environment: Environment): void {
    this.#statements = 0;
    this.#accessed = new Map();
    this.#handled = new Set();
    const registers = new Set(registersOf(this.#file, body, environment, []));
    this.#body(body, {
      environment,
      mode,
      handler: false,
      top: mode === 'user',
      joined: false,
      loop: false,
      registers,
      inside: [],
    });
    if (this.#handled.size === 0) return;
    for (const [page, at] of this.#accessed) {
      if (this.#handled.has(page)) continue;
      this.#errors.add(
        at,
        page.length,
        `the program handles faults, but not those of \`${page}\`: add \`on fault ${page}\``,
      );
    }
  }

  uncalled(declaration: FunctionDeclaration): void {
    if (!this.#called.has(declaration)) {
      blame(this.#errors, declaration.name, `nothing calls \`${declaration.name.text}\``);
    }
  }

  invariant(
    parameters: readonly { readonly kind: string; readonly name: Name }[],
    holds: Expression,
    environment: Environment,
  ): void {
    const bound = new Map<string, Meaning>();
    for (const { kind, name } of parameters) {
      const value: Expression = { kind: 'number', at: name.at, value: 0n };
      bound.set(
        name.text,
        kind === 'int'
          ? { of: 'expression', expression: value, environment }
          : { of: kind as Exclude<Meaning['of'], 'parameter' | 'expression' | 'register'>, name: name.text },
      );
    }
    this.#expression(holds, {
      environment: new Environment(environment.names, bound),
      mode: 'kernel',
      handler: false,
      top: false,
      joined: true,
      loop: false,
      registers: undefined,
      inside: [],
    });
  }

  // ---- statements

  #body(body: Body, place: Place): void {
    for (const statement of body.statements) {
      this.#statements += 1;
      if (this.#statements > MOST_STATEMENTS) {
        if (!this.#tooLong)
          this.#errors.add(
            statement.at,
            1,
            `with its functions put in, the program has more than ${MOST_STATEMENTS} statements`,
          );
        this.#tooLong = true;
        return;
      }
      this.#statement(statement, place);
    }
  }

  #statement(statement: Statement, place: Place): void {
    const inner = { ...place, top: false };
    switch (statement.kind) {
      case 'assign':
        this.#assign(statement, inner);
        break;
      case 'call':
        this.#callStatement(statement.call, inner);
        break;
      case 'if':
        this.#expression(statement.condition, inner);
        this.#body(statement.then, inner);
        if (statement.otherwise !== undefined) this.#body(statement.otherwise, inner);
        break;
      case 'while':
        if (statement.bound === 0) this.#errors.add(statement.at, 5, 'a loop of at most 0 rounds is none');
        this.#expression(statement.condition, inner);
        this.#body(statement.body, { ...inner, loop: true });
        break;
      case 'break':
        if (!place.loop) this.#errors.add(statement.at, 5, '`break` stands in no loop that it could leave');
        break;
      case 'return':
        if (place.joined) this.#errors.add(statement.at, 6, '`return` cannot leave what is one step');
        break;
      case 'await':
        this.#await(statement, inner);
        break;
      case 'check':
        this.#check(statement, inner);
        break;
      case 'forbid':
      case 'permit':
        this.#guard(statement, inner);
        break;
      case 'atomic':
      case 'ghost':
        if (place.joined && statement.kind === 'atomic') {
          this.#errors.add(statement.at, 6, 'this is part of one step already');
        }
        this.#body(statement.body, { ...inner, joined: true, loop: false });
        break;
      case 'syscall':
        if (place.mode !== 'user' || place.joined) {
          this.#errors.add(statement.at, 7, '`syscall` stands in user code');
        }
        this.#body(statement.body, { ...inner, mode: 'kernel', loop: false });
        break;
      case 'fault':
        this.#handler(statement, place);
        break;
    }
  }

  #assign({ target, operator, value }: Statement & { kind: 'assign' }, place: Place): void {
    if (target.kind === 'field') {
      this.#field(target, place);
      if (!place.joined)
        this.#errors.add(target.at, 1, 'what the oracle knows changes in a `ghost` or `atomic` block only');
      this.#expression(value, place);
      return;
    }
    if (target.kind === 'word') {
      this.#word(target, place, operator === '=');
      this.#expression(value, place);
      return;
    }
    const meaning = place.environment.meaningOf(target);
    if (meaning?.of !== 'register' && meaning?.of !== 'word') {
      const what = meaning === undefined || meaning.of === 'expression' ? 'no register' : `a ${meaning.of}`;
      const hint = meaning?.of === 'page' ? `; \`*${target.name} = …\` stores to it` : '';
      this.#errors.add(target.at, target.name.length, `\`${target.name}\` is ${what} and cannot be assigned to${hint}`);
    } else if (meaning.of === 'register') this.#registerName(target, meaning.name);
    // A load is a statement of its own: the access may fault, and is made again.
    const loads = value.kind === 'word' && value.base.kind === 'name';
    if (loads && operator === '=' && meaning?.of === 'register') this.#word(value, place, true);
    else this.#expression(value, place);
  }

  #registerName({ at, name }: NameExpression, register: string): void {
    if (BUILT_IN_NAMES.some((built) => built === register)) {
      this.#errors.add(at, name.length, `\`${register}\` is set by the machine`);
    } else if (operationsNamed(register).length > 0 || this.#function(register) !== undefined) {
      this.#errors.add(at, name.length, `\`${register}\` is an operation or function, not a register`);
    } else if (register.includes('-')) this.#errors.add(at, name.length, 'the name of a register has no dash');
  }

  #callStatement(call: CallExpression, place: Place): void {
    const declared = this.#function(call.name);
    if (declared === undefined) {
      this.#call(call, place, false);
      return;
    }
    this.#called.add(declared);
    if (place.inside.includes(declared)) {
      this.#errors.add(
        call.at,
        call.name.length,
        `\`${call.name}\` calls itself: functions are put in where they are called`,
      );
      return;
    }
    const { parameters, body } = declared;
    if (
      !this.#counts(
        call,
        parameters.length,
        `${call.name}(${parameters.map(({ kind, name }) => `${kind} ${name.text}`).join(', ')})`,
      )
    )
      return;
    const before = this.#errors.isEmpty;
    this.#arguments(
      call,
      parameters.map(({ kind }) => kind),
      place,
    );
    // The body would only repeat what is wrong with an argument.
    if (before && !this.#errors.isEmpty) return;
    const environment = place.environment.enter(parameters, call.arguments);
    this.#body(body, { ...place, environment, loop: false, inside: [...place.inside, declared] });
  }

  #await({ at, condition }: Statement & { kind: 'await' }, place: Place): void {
    if (place.joined) this.#errors.add(at, 5, 'what is one step cannot wait');
    // In user mode it would not answer interrupts meanwhile, and who flushes would wait for ever.
    if (place.mode === 'user') this.#errors.add(at, 5, 'who waits is in the kernel: `syscall "futex" { await (…); }`');
    const form = awaitForm(condition);
    if (form === undefined || place.environment.meaningOf(form.word)?.of !== 'word') {
      this.#errors.add(
        at,
        5,
        'what is waited for is a shared word: `await (w == 1)`, `await ((w & 3) == 1)` or `await (!w)`',
      );
      return;
    }
    if (form.mask !== undefined) this.#expression(form.mask, place);
    if (form.value !== undefined) this.#expression(form.value, place);
  }

  #check({ invariant, arguments: args }: Statement & { kind: 'check' }, place: Place): void {
    const own = this.#file.invariants.find(({ name }) => name.text === invariant.text);
    const library = libraryInvariant(invariant.text);
    if (own === undefined && library === undefined) {
      this.#unknownInvariant(invariant);
      return;
    }
    if (own === undefined && library?.holds === undefined) {
      const what = library?.guards
        ? `is watched between \`forbid ${invariant.text}(x)\` and \`permit\``
        : 'is watched by itself';
      blame(this.#errors, invariant, `\`${invariant.text}\` ${what}`);
      return;
    }
    const parameters = own?.parameters ?? (library === undefined ? [] : parametersOfInvariant(library));
    const shown = `${invariant.text}(${parameters.map(({ kind, name }) => `${kind} ${name.text}`).join(', ')})`;
    const call: CallExpression = { kind: 'call', at: invariant.at, name: invariant.text, arguments: args };
    if (!this.#counts(call, parameters.length, shown)) return;
    this.#arguments(
      call,
      parameters.map(({ kind }) => kind),
      { ...place, joined: true },
    );
  }

  #guard({ invariant, page }: Statement & { kind: 'forbid' | 'permit' }, place: Place): void {
    const library = libraryInvariant(invariant.text);
    if (library === undefined) this.#unknownInvariant(invariant);
    else if (!library.guards) {
      const guards = LIBRARY.filter((each) => each.guards).map(({ name }) => name);
      blame(this.#errors, invariant, `\`${invariant.text}\` does not forbid stores; these do: ${guards.join(', ')}`);
    }
    this.#argument(page, 'page', invariant.text, place);
  }

  #unknownInvariant(invariant: Name): void {
    const known = [
      ...this.#file.invariants.map(({ name }) => name.text),
      ...LIBRARY.filter((each) => !isBuiltIn(each)).map(({ name }) => name),
    ];
    blame(this.#errors, invariant, `there is no invariant \`${invariant.text}\`${didYouMean(invariant.text, known)}`);
  }

  #handler({ at, page, body }: Statement & { kind: 'fault' }, place: Place): void {
    if (!place.top) this.#errors.add(at, 2, '`on fault` stands at the top of a user program');
    const meaning = place.environment.meaning(page.text);
    if (meaning.of !== 'page') this.#unknown(page, 'page', place);
    else if (this.#handled.has(page.text))
      blame(this.#errors, page, `there are two handlers for faults of \`${page.text}\``);
    this.#handled.add(page.text);
    this.#body(body, { ...place, mode: 'kernel', handler: true, top: false, loop: false });
  }

  // ---- expressions

  #expression(expression: Expression, place: Place): void {
    switch (expression.kind) {
      case 'number':
        break;
      case 'name':
        this.#name(expression, place);
        break;
      case 'field':
        this.#field(expression, place);
        if (!place.joined)
          this.#errors.add(expression.at, 1, 'what the oracle knows is read in an invariant, `ghost` or `atomic` only');
        break;
      case 'word':
        if (expression.base.kind === 'name') {
          this.#errors.add(expression.at, 1, 'a load through the TLB is a statement of its own: `r = *x`');
        }
        this.#word(expression, place, false);
        break;
      case 'call':
        this.#call(expression, place, true);
        break;
      case 'unary':
        this.#expression(expression.operand, place);
        break;
      case 'binary':
        if (checkComparison(expression, place.environment, this.#errors)) break;
        this.#expression(expression.left, place);
        this.#expression(expression.right, place);
        break;
    }
  }

  #name({ at, name }: NameExpression, place: Place): void {
    const meaning = place.environment.meaning(name);
    switch (meaning.of) {
      case 'word':
      case 'frame':
        return;
      case 'expression':
        return;
      case 'parameter':
        if (meaning.parameter.values.every((value) => /^[0-9]+$/.test(value))) return;
        this.#errors.add(at, name.length, `the values of \`${name}\` are no numbers: compare it with one of them`);
        return;
      case 'register':
        this.#register(at, name, meaning.name, place);
        return;
      case 'page':
        this.#errors.add(
          at,
          name.length,
          `\`${name}\` is a page: its PTE is \`ptep_get(${name})\`, a load is \`r = *${name}\``,
        );
        return;
      default:
        this.#errors.add(at, name.length, `\`${name}\` is a ${meaning.of} and has no value`);
    }
  }

  #register(at: Position, written: string, name: string, place: Place): void {
    if (name === 'FAULT_FLAG_WRITE') {
      if (!place.handler) this.#errors.add(at, written.length, '`FAULT_FLAG_WRITE` is known in a fault handler only');
      return;
    }
    if (name === 'faulted' || place.registers?.has(name)) return;
    const known = [...(place.registers ?? []), ...place.environment.names.objects.keys()];
    const dash = name.includes('-') ? '; a minus sign has spaces around it' : '';
    this.#errors.add(at, written.length, `nothing is called \`${name}\` here${dash || didYouMean(name, known)}`);
  }

  #field({ at, page, field }: FieldExpression, place: Place): void {
    const meaning = place.environment.meaningOf(page);
    if (meaning?.of !== 'page') {
      this.#errors.add(at, page.name.length, `\`${page.name}\` is no page`);
      return;
    }
    if (!PAGE_FIELDS.some((known) => known === field)) {
      this.#errors.add(
        at,
        page.name.length + 1 + field.length,
        `a page has no field \`${field}\`, but ${PAGE_FIELDS.join(', ')}`,
      );
    }
  }

  /** `*x`, `x[1]`, `*kmap_local_page(pfn)`. `whole`: the access is all that the statement does. */
  #word({ at, base, index }: WordExpression, place: Place, whole: boolean): void {
    if (base.kind === 'call') {
      if (base.name !== FRAME_WORD) {
        this.#errors.add(at, base.name.length, `only \`${FRAME_WORD}(pfn)\` is an address`);
        return;
      }
      if (place.mode !== 'kernel' && !place.joined)
        this.#errors.add(at, base.name.length, `\`${FRAME_WORD}\` stands in kernel code`);
      if (!this.#counts(base, 1, `${FRAME_WORD}(value pfn)`)) return;
      this.#expression(base.arguments[0] as Expression, place);
      return;
    }
    const meaning = place.environment.meaningOf(base);
    if (meaning?.of !== 'page') {
      this.#unknown({ at: base.at, text: base.name }, 'page', place);
      return;
    }
    if (index > 511) this.#errors.add(at, 1, 'a page has 512 words');
    if (place.mode !== 'user' || place.joined) {
      this.#errors.add(
        at,
        base.name.length,
        `kernel code reads and writes frames: \`*${FRAME_WORD}(pfn)\`; \`*${base.name}\` goes through the TLB`,
      );
    } else if (!whole) this.#errors.add(at, base.name.length, 'an access through the TLB is a plain load or store');
    this.#accessed.set(meaning.name, this.#accessed.get(meaning.name) ?? at);
  }

  #call(call: CallExpression, place: Place, valued: boolean): void {
    const named = operationsNamed(call.name);
    const [operation] = named;
    if (operation === undefined) {
      this.#unknownCall(call, valued);
      return;
    }
    const first = call.arguments[0] && place.environment.meaningOf(call.arguments[0]);
    const chosen = named.find(({ takes }) => takes[0]?.kind === first?.of) ?? operation;
    if (valued && !chosen.gives) this.#errors.add(call.at, call.name.length, `\`${call.name}\` has no value`);
    this.#where(call, chosen, place);
    const { takes } = chosen;
    const flags = takes.at(-1)?.kind === 'flags';
    const fixed = flags ? takes.length - 1 : takes.length;
    if (!this.#counts(call, fixed, signature(chosen), flags)) return;
    this.#arguments(
      call,
      takes.map(({ kind }) => kind),
      place,
    );
    this.#constants(call, chosen, place);
    if (flags) this.#options(call, chosen, call.arguments.slice(fixed), place);
    if (chosen.where === 'user' && first?.of === 'page') {
      this.#accessed.set(first.name, this.#accessed.get(first.name) ?? call.at);
    }
  }

  #unknownCall({ at, name }: CallExpression, valued: boolean): void {
    if (name === 'ptl' || name === FRAME_WORD) {
      const hint = name === 'ptl' ? 'the lock of a page: `spin_lock(ptl(x))`' : `an address: \`*${FRAME_WORD}(pfn)\``;
      this.#errors.add(at, name.length, `\`${name}\` is ${hint}`);
      return;
    }
    if (valued && this.#function(name) !== undefined) {
      this.#errors.add(
        at,
        name.length,
        `\`${name}\` is a function of the scenario and has no value: let it set a register`,
      );
      return;
    }
    const known = [
      ...OPERATIONS.map((operation) => operation.name),
      ...this.#file.functions.map((each) => each.name.text),
    ];
    this.#errors.add(at, name.length, `there is no operation or function \`${name}\`${didYouMean(name, known)}`);
  }

  #where({ at, name }: CallExpression, operation: Operation, place: Place): void {
    const { where } = operation;
    if (where === 'handler' && !place.handler)
      this.#errors.add(at, name.length, `\`${name}\` stands in a fault handler`);
    if (where === 'user' && (place.mode !== 'user' || place.joined))
      this.#errors.add(at, name.length, `\`${name}\` stands in user code`);
    if (where === 'kernel' && place.mode === 'user' && !place.joined) {
      this.#errors.add(at, name.length, `\`${name}\` stands in kernel code: in \`syscall { … }\` or a fault handler`);
    }
    if (place.joined && !mayJoin(operation))
      this.#errors.add(at, name.length, `\`${name}\` cannot be part of another step`);
  }

  #counts({ at, name, arguments: args }: CallExpression, wanted: number, shown: string, more = false): boolean {
    if (args.length === wanted || (more && args.length > wanted)) return true;
    const count = wanted === 1 ? '1 argument' : `${wanted} arguments`;
    this.#errors.add(at, name.length, `\`${name}\` takes ${count}, not ${args.length}: ${shown}`);
    return false;
  }

  /** Of more arguments than kinds the last kind counts. */
  #arguments({ name, arguments: args }: CallExpression, kinds: readonly (ArgumentKind | 'int')[], place: Place): void {
    for (const [n, argument] of args.entries())
      this.#argument(argument, kinds[n] ?? kinds.at(-1) ?? 'value', name, place);
  }

  #argument(argument: Expression, kind: ArgumentKind | 'int', call: string, place: Place): void {
    if (kind === 'value' || kind === 'int') {
      this.#expression(argument, place);
      return;
    }
    if (kind === 'number') {
      if (!isConstant(argument, place.environment))
        this.#errors.add(argument.at, 1, `\`${call}\` needs a number here that is known beforehand`);
      return;
    }
    // Options are judged together.
    if (kind === 'flags') return;
    if (kind === 'spinlock' && argument.kind === 'call' && argument.name === 'ptl') {
      if (this.#counts(argument, 1, 'ptl(page x)'))
        this.#argument(argument.arguments[0] as Expression, 'page', 'ptl', place);
      return;
    }
    const meaning = place.environment.meaningOf(argument);
    if (meaning?.of === kind) return;
    if (argument.kind === 'name' && (meaning === undefined || meaning.of === 'register')) {
      this.#unknown({ at: argument.at, text: argument.name }, kind, place);
      return;
    }
    const what =
      meaning === undefined || meaning.of === 'expression'
        ? 'that'
        : `\`${argument.kind === 'name' ? argument.name : ''}\`, a ${meaning.of}`;
    this.#errors.add(
      argument.at,
      argument.kind === 'name' ? argument.name.length : 1,
      `\`${call}\` needs a ${kind} here, not ${what}`,
    );
  }

  #unknown(name: Name, kind: string, place: Place): void {
    const meaning = place.environment.meaning(name.text);
    if (meaning.of !== 'register') {
      blame(
        this.#errors,
        name,
        `\`${name.text}\` is a ${meaning.of === 'expression' ? 'value' : meaning.of}, not a ${kind}`,
      );
      return;
    }
    const known = [...place.environment.names.objects].flatMap(([each, object]) => (object.of === kind ? [each] : []));
    blame(this.#errors, name, `there is no ${kind} \`${name.text}\`${didYouMean(name.text, known)}`);
  }

  /** Each is an option of the operation, or a parameter all of whose values are options of one group; and no group is told of twice. */
  #options({ name: call }: CallExpression, operation: Operation, told: readonly Expression[], place: Place): void {
    const groups = operation.options ?? [];
    const known = groups.flat().map(({ name }) => name);
    const seen = new Set<(typeof groups)[number]>();
    for (const argument of told) {
      const text = argument.kind === 'name' ? argument.name : '';
      const meaning = argument.kind === 'name' ? place.environment.meaning(text) : undefined;
      const values = meaning?.of === 'parameter' ? meaning.parameter.values : [text];
      const wrong = values.find((value) => !known.includes(value));
      if (wrong !== undefined) {
        const what =
          meaning?.of === 'parameter' ? ` (a value of \`${text}\` is \`${wrong}\`)` : didYouMean(wrong, known);
        this.#errors.add(argument.at, Math.max(1, text.length), `\`${call}\` may be told ${known.join(', ')}${what}`);
        continue;
      }
      const group = groups.find((each) => values.every((value) => each.some(({ name }) => name === value)));
      if (group === undefined) {
        this.#errors.add(argument.at, text.length, `the values of \`${text}\` are about different things`);
      } else if (seen.has(group)) {
        const names = group.map(({ name }) => name).join(', ');
        this.#errors.add(
          argument.at,
          Math.max(1, text.length),
          `\`${call}\` is told one of ${names}, and was told already`,
        );
      } else seen.add(group);
    }
  }

  /** Numbers that an operation cannot do with. */
  #constants(call: CallExpression, operation: Operation, place: Place): void {
    operation.takes.forEach(({ kind, name }, n) => {
      const argument = call.arguments[n];
      if (kind !== 'number' || argument?.kind !== 'number') return;
      const [least, most] = RANGES[`${operation.name} ${name}`] ?? [0n, 63n];
      if (argument.value >= least && argument.value <= most) return;
      this.#errors.add(
        argument.at,
        1,
        `${name} of \`${operation.name}\` is from ${least} to ${most}, not ${argument.value}`,
      );
    });
    const [first, second] = operation.takes;
    if (first?.kind !== 'page' || second?.kind !== 'page') return;
    const mms = call.arguments.slice(0, 2).map((argument) => {
      const meaning = place.environment.meaningOf(argument);
      return meaning?.of === 'page' ? place.environment.names.mmOf.get(meaning.name) : undefined;
    });
    if (mms[0] !== mms[1]) this.#errors.add(call.at, call.name.length, `the pages of \`${call.name}\` are of one mm`);
  }

  #function(name: string): FunctionDeclaration | undefined {
    return this.#file.functions.find((each) => each.name.text === name);
  }
}

/** Constants are from 0 to 63 but for these. */
const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  'choose n': [1n, 16n],
  'copy_user_highpage words': [1n, 8n],
  'pages_identical words': [1n, 8n],
  'switch_mm asid': [0n, 4095n],
  'switch_mm_keep asid': [0n, 4095n],
  'swp_entry_to_pte type': [0n, 31n],
};

/** Whether it may be part of another step: it is at most one access, and waits for nothing. */
export function mayJoin({ name, steps, where }: Operation): boolean {
  if (lockUse(name) !== undefined || where === 'handler' || where === 'user') return false;
  if (name === 'choose' || name === 'cpu_relax') return false;
  return steps === '0' || steps === '1' || steps === '0; ghost';
}

function isConstant(expression: Expression, environment: Environment): boolean {
  if (expression.kind === 'number') return true;
  if (expression.kind !== 'name') return false;
  const meaning = environment.meaning(expression.name);
  if (meaning.of === 'expression') return isConstant(meaning.expression, meaning.environment);
  return meaning.of === 'parameter' && meaning.parameter.values.every((value) => /^[0-9]+$/.test(value));
}
