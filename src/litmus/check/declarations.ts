// Checks what a scenario declares: parameters, variants, the initial state, and that each name means one thing.

import type { Declaration, DeclarationBlock, FormalParameter, Name, ScenarioFile } from '../ast.ts';
import { BUILT_IN_NAMES, FRAME_WORD } from '../code.ts';
import { didYouMean, type Errors } from '../errors.ts';
import { FOLIO_FLAGS, HARDWARE_FLAGS, PTE_FLAGS, TLB_FLAGS, VMA_FLAGS } from '../initial.ts';
import { libraryInvariant } from '../invariants.ts';
import { allDeclarations, Environment, Names } from '../names.ts';
import { operationsNamed } from '../operations/index.ts';
import { MACHINE_PARAMETERS, type Parameter, parametersOf } from '../parameters.ts';
import { SWAP_SLOTS } from '../program.ts';
import { checkCondition, noSuchValue } from './conditions.ts';

/** As many as the explorer can tell apart, with one for `afterwards`. */
export const MOST_CPUS = 15;
/** Ways of a simulated TLB, so that hardware evicts nothing unasked. */
const MOST_PAGES = 8;
const MOST_VARIANTS = 4096;
const MOST_FILE_PAGES = 64n;
/** Bits of a word of ghost flags that are left for guards. */
const PAGE_BITS = 12n;
const CANONICAL_END = 1n << 47n;

export function checkDeclarations(file: ScenarioFile, errors: Errors): void {
  checkParameters(file, errors);
  checkNames(file, errors);
  checkVariants(file, errors);
  checkPrograms(file, errors);
  new Initial(file, errors).check();
}

/** A name used or declared is wrong. */
export function blame(errors: Errors, name: Name, message: string): void {
  errors.add(name.at, name.text.length, message);
}

// ---- parameters and variants

function checkParameters({ parameters }: ScenarioFile, errors: Errors): void {
  const names = new Set([...MACHINE_PARAMETERS.map(({ name }) => name), ...parameters.map(({ name }) => name.text)]);
  for (const { name, values } of parameters) {
    for (const value of values) {
      // `upgrade == flush` would compare two parameters.
      if (names.has(value.text)) blame(errors, value, `\`${value.text}\` is a parameter, and can be no value`);
    }
    if (MACHINE_PARAMETERS.some((parameter) => parameter.name === name.text)) {
      blame(errors, name, `every scenario has the parameter \`${name.text}\``);
    }
    const seen = new Set<string>();
    for (const value of values) {
      if (seen.has(value.text)) blame(errors, value, `\`${name.text}\` has the value \`${value.text}\` twice`);
      seen.add(value.text);
    }
  }
}

function checkVariants(file: ScenarioFile, errors: Errors): void {
  const parameters = parametersOf(file);
  const seen = new Map<string, string>();
  const names = new Set<string>();
  for (const { name, settings } of file.variants) {
    if (names.has(name.text)) blame(errors, name, `there are two variants \`${name.text}\``);
    names.add(name.text);
    const set = new Map<string, string>();
    let right = true;
    for (const { parameter, value } of settings) {
      const known = parameters.find((candidate) => candidate.name === parameter.text);
      if (set.has(parameter.text)) blame(errors, parameter, `\`${parameter.text}\` is set twice`);
      set.set(parameter.text, value.text);
      if (known === undefined) {
        const near = didYouMean(
          parameter.text,
          parameters.map((candidate) => candidate.name),
        );
        blame(errors, parameter, `there is no parameter \`${parameter.text}\`${near}`);
        right = false;
      } else if (value.text !== '*' && !known.values.includes(value.text)) {
        blame(errors, value, noSuchValue(known, value.text));
        right = false;
      }
    }
    if (right) checkDistinct(name, parameters, set, seen, errors);
  }
}

/** Two variants with a valuation in common would be one. */
function checkDistinct(
  name: Name,
  parameters: readonly Parameter[],
  set: ReadonlyMap<string, string>,
  seen: Map<string, string>,
  errors: Errors,
): void {
  let keys = [''];
  for (const parameter of parameters) {
    const value = set.get(parameter.name);
    const values = value === '*' ? parameter.values : [value ?? parameter.values[0] ?? ''];
    keys = keys.flatMap((key) => values.map((each) => `${key} ${each}`));
    if (keys.length > MOST_VARIANTS) {
      blame(errors, name, `\`${name.text}\` stands for more than ${MOST_VARIANTS} variants`);
      return;
    }
  }
  for (const key of keys) {
    const other = seen.get(key);
    if (other !== undefined && other !== name.text) {
      blame(errors, name, `\`${name.text}\` is the same variant as \`${other}\``);
      return;
    }
    seen.set(key, name.text);
  }
}

// ---- one meaning for each name

function checkNames(file: ScenarioFile, errors: Errors): void {
  const meanings = new Map<string, string>();
  for (const { name } of MACHINE_PARAMETERS) meanings.set(name, 'a parameter of every scenario');
  const declare = (name: Name, what: string): void => {
    const other = meanings.get(name.text) ?? meaningElsewhere(name.text);
    if (other !== undefined) blame(errors, name, `\`${name.text}\` is ${other} already`);
    else meanings.set(name.text, what);
  };
  for (const { name } of file.parameters) {
    if (!MACHINE_PARAMETERS.some((parameter) => parameter.name === name.text)) declare(name, 'a parameter');
  }
  declareObjects(file.init?.declarations ?? [], declare, errors);
  for (const { name } of file.functions) declare(name, 'a function');
  for (const { parameters } of file.functions) checkFormal(parameters, meanings, errors);

  const invariants = new Set<string>();
  for (const { name, parameters } of file.invariants) {
    if (libraryInvariant(name.text) !== undefined)
      blame(errors, name, `\`${name.text}\` is an invariant of the library`);
    else if (invariants.has(name.text)) blame(errors, name, `there are two invariants \`${name.text}\``);
    invariants.add(name.text);
    checkFormal(parameters, meanings, errors);
  }
}

function meaningElsewhere(name: string): string | undefined {
  if (operationsNamed(name).length > 0 || name === FRAME_WORD || name === 'ptl') return 'an operation';
  return BUILT_IN_NAMES.some((built) => built === name) ? 'a name of the language' : undefined;
}

function checkFormal(
  parameters: readonly FormalParameter[],
  meanings: ReadonlyMap<string, string>,
  errors: Errors,
): void {
  const seen = new Set<string>();
  for (const { name } of parameters) {
    const other = meanings.get(name.text) ?? meaningElsewhere(name.text);
    if (other !== undefined) blame(errors, name, `the parameter \`${name.text}\` shadows what is ${other} already`);
    if (seen.has(name.text)) blame(errors, name, `there are two parameters \`${name.text}\``);
    seen.add(name.text);
  }
}

/** The branches of an `if` declare the same names, so that every variant has them; in one branch each stands once. */
function declareObjects(
  declarations: readonly Declaration[],
  declare: (name: Name, what: string) => void,
  errors: Errors,
): void {
  for (const declaration of declarations) {
    if (declaration.kind === 'tlb' || declaration.kind === 'hardware') continue;
    if (declaration.kind !== 'if') {
      declare(declaration.name, `a ${declaration.kind}`);
      continue;
    }
    const branches = [objectsOf(declaration.then, errors), objectsOf(declaration.otherwise, errors)] as const;
    for (const [here, there] of [branches, [branches[1], branches[0]] as const]) {
      for (const [text, { name, kind }] of here) {
        const other = there.get(text);
        if (other === undefined) {
          blame(errors, name, `\`${text}\` is declared in one branch of the \`if\` only: not every variant has it`);
        } else if (other.kind !== kind) blame(errors, name, `\`${text}\` is a ${other.kind} in the other branch`);
      }
    }
    for (const [, { name, kind }] of branches[0]) declare(name, `a ${kind}`);
  }
}

function objectsOf(
  block: DeclarationBlock | undefined,
  errors: Errors,
): ReadonlyMap<string, { readonly name: Name; readonly kind: string }> {
  const found = new Map<string, { readonly name: Name; readonly kind: string }>();
  const declare = (name: Name, what: string): void => {
    if (found.has(name.text)) blame(errors, name, `\`${name.text}\` is ${found.get(name.text)?.kind} already`);
    found.set(name.text, { name, kind: what.slice(2) });
  };
  declareObjects(block?.declarations ?? [], declare, errors);
  return found;
}

// ---- programs

function checkPrograms({ programs, init }: ScenarioFile, errors: Errors): void {
  const mms = namesOf(init?.declarations ?? [], 'mm');
  programs.forEach(({ name, mm, mode }, n) => {
    if (name.text !== `P${n}`) blame(errors, name, `the programs are P0, P1, … in their order: this one is P${n}`);
    if (mm !== undefined && !mms.has(mm.text)) {
      blame(errors, mm, `there is no mm \`${mm.text}\`${didYouMean(mm.text, mms)}`);
    }
    if (mode === 'user' && mm === undefined) blame(errors, name, 'a user program runs an mm');
  });
  const most = programs[MOST_CPUS];
  if (most !== undefined) blame(errors, most.name, `a scenario has at most ${MOST_CPUS} programs`);
}

function namesOf(declarations: readonly Declaration[], kind: Declaration['kind']): ReadonlySet<string> {
  const found = new Set<string>();
  for (const declaration of allDeclarations(declarations)) {
    if (declaration.kind === kind && 'name' in declaration) found.add(declaration.name.text);
  }
  return found;
}

// ---- the initial state

class Initial {
  readonly #file: ScenarioFile;
  readonly #errors: Errors;
  readonly #all: readonly Declaration[];

  constructor(file: ScenarioFile, errors: Errors) {
    this.#file = file;
    this.#errors = errors;
    this.#all = [...allDeclarations(file.init?.declarations ?? [])];
  }

  check(): void {
    const names = new Names(this.#file);
    const environment = new Environment(names);
    for (const declaration of this.#all) this.#one(declaration, environment);
    const pages = new Map<string, number>();
    for (const [, mm] of names.mmOf) pages.set(mm, (pages.get(mm) ?? 0) + 1);
    for (const declaration of this.#all) {
      if (declaration.kind === 'mm' && (pages.get(declaration.name.text) ?? 0) > MOST_PAGES) {
        blame(this.#errors, declaration.name, `an mm has at most ${MOST_PAGES} pages`);
      }
    }
  }

  #one(declaration: Declaration, environment: Environment): void {
    switch (declaration.kind) {
      case 'if':
        checkCondition(declaration.condition, environment, this.#errors);
        break;
      case 'frame':
        this.#frame(declaration);
        break;
      case 'file':
        if (declaration.driver?.frame !== undefined) this.#known(declaration.driver.frame, 'frame');
        break;
      case 'word':
        this.#word(declaration);
        break;
      case 'hardware':
        this.#hardware(declaration);
        break;
      case 'page':
        this.#page(declaration);
        break;
      case 'vma':
        this.#vma(declaration);
        break;
      case 'tlb':
        this.#tlb(declaration);
        break;
      default:
    }
  }

  #frame({ name, owner, folio, flags, references }: Declaration & { kind: 'frame' }): void {
    if (owner !== undefined) this.#known(owner, 'mm');
    if (folio?.kind === 'cached') this.#index(folio.file, folio.index);
    this.#flags(flags, Object.keys(FOLIO_FLAGS), 'folio');
    if (folio === undefined && flags.length > 0) {
      blame(this.#errors, name, `\`${name.text}\` has no flags: it is no folio (\`anon\`, or \`in FILE @ 0\`)`);
    }
    if (folio !== undefined && references === 0) blame(this.#errors, name, 'a folio that is free is none');
  }

  #word({ name, part }: Declaration & { kind: 'word' }): void {
    if (part === undefined) return;
    if (part.of === 'swap') {
      if (part.index >= BigInt(SWAP_SLOTS)) blame(this.#errors, name, `there are ${SWAP_SLOTS} swap slots`);
      return;
    }
    if (part.of !== 'record') this.#index(part.file, part.index);
    else this.#known(part.file, 'file');
    const found = this.#all.find((each) => each.kind === 'file' && each.name.text === part.file.text);
    if (part.of !== 'backing' && found?.kind === 'file' && found.driver === undefined) {
      blame(this.#errors, part.file, `\`${part.file.text}\` has no driver`);
    }
  }

  #index(file: Name, index: bigint): void {
    this.#known(file, 'file');
    if (index >= MOST_FILE_PAGES) blame(this.#errors, file, `a file has at most ${MOST_FILE_PAGES} pages here`);
  }

  #hardware({ cpu, page, flags }: Declaration & { kind: 'hardware' }): void {
    if (!this.#file.programs.some(({ name }) => name.text === cpu.text)) {
      blame(this.#errors, cpu, `there is no program ${cpu.text}`);
    }
    if (page !== undefined) this.#known(page, 'page');
    this.#flags(flags, Object.keys(HARDWARE_FLAGS), 'CPU');
  }

  #page({ mm, va, entry, name }: Declaration & { kind: 'page' }): void {
    this.#known(mm, 'mm');
    if (entry.kind === 'mapped') {
      this.#known(entry.frame, 'frame');
      this.#flags(entry.flags, PTE_FLAGS, 'PTE');
    }
    if (va !== undefined && (va % (1n << PAGE_BITS) !== 0n || va >= CANONICAL_END || va === 0n)) {
      blame(this.#errors, name, `0x${va.toString(16)} is no user address of a page`);
    }
  }

  #vma({ mm, file, first, last, flags, pgoff }: Declaration & { kind: 'vma' }): void {
    this.#known(mm, 'mm');
    if (file !== undefined) this.#index(file, pgoff);
    for (const page of last === undefined ? [first] : [first, last]) {
      this.#known(page, 'page');
      const found = this.#all.find((each) => each.kind === 'page' && each.name.text === page.text);
      if (found?.kind === 'page' && found.mm.text !== mm.text) {
        blame(this.#errors, page, `\`${page.text}\` is a page of ${found.mm.text}`);
      }
    }
    this.#flags(flags, Object.keys(VMA_FLAGS), 'VMA');
  }

  #tlb({ cpu, page, flags }: Declaration & { kind: 'tlb' }): void {
    const program = this.#file.programs.find(({ name }) => name.text === cpu.text);
    if (program === undefined) blame(this.#errors, cpu, `there is no program ${cpu.text}`);
    this.#known(page, 'page');
    this.#flags(flags, TLB_FLAGS, 'TLB entry');
    const found = this.#all.filter((each) => each.kind === 'page' && each.name.text === page.text);
    for (const each of found) {
      if (each.kind !== 'page') continue;
      if (each.entry.kind !== 'mapped') {
        blame(this.#errors, page, `\`${page.text}\` is not mapped, so no TLB has it`);
      } else if (program !== undefined && program.mm?.text !== each.mm.text) {
        blame(this.#errors, page, `${cpu.text} does not run ${each.mm.text}, the mm of \`${page.text}\``);
      }
    }
  }

  #known(name: Name, kind: Declaration['kind']): void {
    const names = namesOf(this.#all, kind);
    if (!names.has(name.text)) {
      blame(this.#errors, name, `there is no ${kind} \`${name.text}\`${didYouMean(name.text, names)}`);
    }
  }

  #flags(flags: readonly Name[], known: readonly string[], what: string): void {
    const seen = new Set<string>();
    for (const flag of flags) {
      if (!known.includes(flag.text)) {
        const near = didYouMean(flag.text, known);
        blame(this.#errors, flag, `a ${what} has no flag \`${flag.text}\`, but ${known.join(', ')}${near}`);
      } else if (seen.has(flag.text)) blame(this.#errors, flag, `\`${flag.text}\` stands here twice`);
      seen.add(flag.text);
    }
  }
}
