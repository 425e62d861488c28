// What names stand for.
//
// A scenario has one space of names for what it declares, parameters of functions shadow nothing, and whatever is left is a register of the CPU
// whose program uses it. Functions and invariants are inlined: a parameter stands for what the caller names.

import type { Declaration, Expression, Kind, Name, ScenarioFile } from './ast.ts';
import { type Parameter, parametersOf } from './parameters.ts';

/** What a scenario declares, by name. */
export type ObjectKind = Exclude<Kind, 'int'>;

export type Meaning =
  | { readonly of: ObjectKind; readonly name: string }
  | { readonly of: 'parameter'; readonly parameter: Parameter }
  /** A parameter of a function or invariant that stands for an expression of the caller. */
  | { readonly of: 'expression'; readonly expression: Expression; readonly environment: Environment }
  | { readonly of: 'register'; readonly name: string };

export class Names {
  readonly objects = new Map<string, { readonly of: ObjectKind; readonly at: Name }>();
  readonly parameters = new Map<string, Parameter>();
  /** By name of the page: the mm it is in. */
  readonly mmOf = new Map<string, string>();

  constructor(file: ScenarioFile) {
    for (const parameter of parametersOf(file)) this.parameters.set(parameter.name, parameter);
    for (const declaration of allDeclarations(file.init?.declarations ?? [])) {
      if (declaration.kind === 'if' || declaration.kind === 'tlb' || declaration.kind === 'hardware') continue;
      if (!this.objects.has(declaration.name.text)) {
        this.objects.set(declaration.name.text, { of: declaration.kind, at: declaration.name });
      }
      if (declaration.kind === 'page') this.mmOf.set(declaration.name.text, declaration.mm.text);
    }
  }
}

/** Those in the branches of `if` too, and the `if`s before them. */
export function* allDeclarations(declarations: readonly Declaration[]): Generator<Declaration> {
  for (const declaration of declarations) {
    yield declaration;
    if (declaration.kind !== 'if') continue;
    yield* allDeclarations(declaration.then.declarations);
    yield* allDeclarations(declaration.otherwise?.declarations ?? []);
  }
}

/** Names as they are seen in one place: in a program, or in a function or invariant that is inlined there. */
export class Environment {
  readonly names: Names;
  readonly #bound: ReadonlyMap<string, Meaning>;

  constructor(names: Names, bound: ReadonlyMap<string, Meaning> = new Map()) {
    this.names = names;
    this.#bound = bound;
  }

  meaning(name: string): Meaning {
    const bound = this.#bound.get(name);
    if (bound !== undefined) return bound;
    const object = this.names.objects.get(name);
    if (object !== undefined) return { of: object.of, name };
    const parameter = this.names.parameters.get(name);
    return parameter === undefined ? { of: 'register', name } : { of: 'parameter', parameter };
  }

  /** The meaning of an expression that is just a name; through parameters of functions to what they stand for. */
  meaningOf(expression: Expression): Meaning | undefined {
    if (expression.kind !== 'name') return undefined;
    const meaning = this.meaning(expression.name);
    if (meaning.of !== 'expression') return meaning;
    return meaning.environment.meaningOf(meaning.expression) ?? meaning;
  }

  /** For the body of a function or invariant: each parameter stands for what the caller wrote. */
  enter(parameters: readonly { readonly kind: Kind; readonly name: Name }[], args: readonly Expression[]): Environment {
    const bound = new Map<string, Meaning>();
    parameters.forEach(({ name }, n) => {
      const expression = args[n];
      if (expression === undefined) return;
      const meaning = this.meaningOf(expression);
      const isObject = meaning !== undefined && meaning.of !== 'expression' && meaning.of !== 'parameter';
      bound.set(name.text, isObject ? meaning : { of: 'expression', expression, environment: this });
    });
    return new Environment(this.names, bound);
  }
}
