// The statements of a program, a function or a handler that is built: each method adds one and returns the builder.

import type {
  AssignOperator,
  Body,
  CallExpression,
  FieldExpression,
  NameExpression,
  Statement,
  WordExpression,
} from '../ast.ts';
import { nameExpression, toExpression, type Value, word } from './expressions.ts';
import { checkedText, checkedWord, NOWHERE, nameOf, Ref } from './names.ts';

/** Writes the statements of a body: it gets the builder of that body. */
export type Write = (code: CodeBuilder) => unknown;

/** What can be assigned to: a register by its name, a shared word, a word of memory, a ghost field. */
export type Target = string | Ref<'word'> | Ref<'int'> | WordExpression | FieldExpression;

export class CodeBuilder {
  readonly #statements: Statement[] = [];

  /** The statements that `write` makes. */
  static body(write: Write): Body {
    const code = new CodeBuilder();
    write(code);
    return { statements: [...code.#statements], closing: [] };
  }

  /** Calls of operations and functions, one after the other. */
  do(...calls: readonly CallExpression[]): this {
    for (const call of calls) this.#add({ kind: 'call', call });
    return this;
  }

  /** `*x = 1`: a store to word `index` of a page, through the TLB. */
  store(page: Ref<'page'>, value: Value, index = 0): this {
    return this.#assign(word(page, index), '=', value);
  }

  /** `r0 = *x`: a load from word `index` of a page, through the TLB. */
  load(register: string | Ref<'word'>, page: Ref<'page'>, index = 0): this {
    return this.#assign(targetOf(register), '=', word(page, index));
  }

  set(target: Target, value: Value): this {
    return this.#assign(targetOf(target), '=', value);
  }

  /** `n += 1`, and so on: of a shared word that is a load and a store. */
  change(target: Target, operator: Exclude<AssignOperator, '='>, value: Value): this {
    return this.#assign(targetOf(target), operator, value);
  }

  if(condition: Value, then: Write, otherwise?: Write): this {
    return this.#add({
      kind: 'if',
      condition: toExpression(condition),
      // biome-ignore lint/suspicious/noThenProperty: no promise: the tree of an `if`
      then: CodeBuilder.body(then),
      otherwise: otherwise && CodeBuilder.body(otherwise),
    });
  }

  /** Ends after `most` rounds at the latest. */
  while(condition: Value, most: number, body: Write): this {
    if (!Number.isInteger(most) || most < 1) {
      throw new RangeError(`"most" must be a number of rounds, at least 1, got ${most}`);
    }
    return this.#add({
      kind: 'while',
      condition: toExpression(condition),
      bound: most,
      body: CodeBuilder.body(body),
    });
  }

  break(): this {
    return this.#add({ kind: 'break' });
  }

  return(): this {
    return this.#add({ kind: 'return' });
  }

  /** Waits until a shared word is as it says: `calc.eq(w, 1)`, `calc.eq(calc.bitAnd(w, 3), 1)`, `calc.not(w)`. */
  await(condition: Value): this {
    return this.#add({ kind: 'await', condition: toExpression(condition) });
  }

  /** Judges an invariant here, in a step of its own. */
  check(invariant: string, ...args: readonly (Value | Ref)[]): this {
    return this.#add({ kind: 'check', invariant: nameOf(invariant), arguments: args.map(toExpression) });
  }

  /** From here on a store to the page that gets through violates the invariant. */
  forbid(invariant: string, page: Ref<'page'>): this {
    return this.#add({ kind: 'forbid', invariant: nameOf(invariant), page: nameExpression(page.name) });
  }

  permit(invariant: string, page: Ref<'page'>): this {
    return this.#add({ kind: 'permit', invariant: nameOf(invariant), page: nameExpression(page.name) });
  }

  /** One step; `title` is how a diagram shows it. */
  atomic(body: Write, title = ''): this {
    return this.#add({ kind: 'atomic', title: checkedText('title', title), body: CodeBuilder.body(body) });
  }

  /** Part of the step before it. */
  ghost(body: Write): this {
    return this.#add({ kind: 'ghost', title: '', body: CodeBuilder.body(body) });
  }

  /** Kernel code in a user program. */
  syscall(title: string, body: Write): this {
    return this.#add({ kind: 'syscall', title: checkedText('title', title), body: CodeBuilder.body(body) });
  }

  /** What the kernel does when an access to the page faults; then the access is made again. */
  onFault(page: Ref<'page'>, body: Write): this {
    return this.#add({ kind: 'fault', page: nameOf(page), body: CodeBuilder.body(body) });
  }

  #assign(target: NameExpression | WordExpression | FieldExpression, operator: AssignOperator, value: Value): this {
    return this.#add({ kind: 'assign', target, operator, value: toExpression(value) });
  }

  #add(statement: WithoutPlace<Statement>): this {
    this.#statements.push({ at: NOWHERE, ...statement });
    return this;
  }
}

type WithoutPlace<T> = T extends unknown ? Omit<T, 'at' | 'comments'> : never;

function targetOf(target: Target): NameExpression | WordExpression | FieldExpression {
  if (typeof target === 'string') return nameExpression(checkedWord(target));
  return target instanceof Ref ? nameExpression(target.name) : target;
}
