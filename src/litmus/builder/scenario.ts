// Scenarios built from TypeScript: the same tree that the parser makes, with the types of everything that a name may stand for.
//
//   const race = scenario('upload-before-flush', { says: 'A driver …', parameters: { flush: ['first', 'last'] } });
//   const A = race.mm('A');
//   const x = race.page('x', A, { to: race.frame('F', 0), flags: ['W', 'A', 'D'] });
//   race.cpu('P0', { user: A }, (code) => code.store(x, 1));
//   const built = race.build();
//
// Guarantees: `build` returns plain data, which the formatter prints as a text that reads the same; what the types do not say (that a lock is held
// where it is released) is judged where the scenario is compiled.

import type {
  Body,
  CallExpression,
  Declaration,
  DeclarationBlock,
  EntryDeclaration,
  Expectation,
  FinalCondition,
  FolioDeclaration,
  FormalParameter,
  FunctionDeclaration,
  InvariantDeclaration,
  Kind,
  Location,
  MmOption,
  Name,
  ParameterDeclaration,
  ProgramDeclaration,
  Proposition,
  Quantifier,
  ScenarioFile,
  VariantDeclaration,
  Verdict,
  WordPart,
} from '../ast.ts';
import { CodeBuilder, type Write } from './code.ts';
import { call, numberExpression, ParameterRef, toExpression, type Value } from './expressions.ts';
import { checkedCpu, checkedText, NOWHERE, nameOf, Ref } from './names.ts';

export type ParameterValues = Readonly<Record<string, readonly string[]>>;

export interface ScenarioOptions<P extends ParameterValues> {
  /** One sentence: what the race is. */
  readonly says: string;
  /** Where it comes from: mails, commits, files of the kernel. */
  readonly sources?: readonly string[];
  /** Its parameters with their values; a variant that does not say has the first. */
  readonly parameters?: P;
}

/** What every scenario has, beside its own parameters. */
type Machine = {
  readonly machine: readonly ['recheck', 'nowcheck', 'blind', 'lazy-lost', 'lazy-wb', 'swdirty'];
  readonly invalidation: readonly ['waited', 'posted'];
  readonly shootdown: readonly ['ipi', 'broadcast'];
  readonly memory: readonly ['sc', 'tso'];
};

export type Parameters<P extends ParameterValues> = {
  readonly [N in keyof (P & Machine)]: ParameterRef<(P & Machine)[N][number]>;
};

/** Values of parameters; `*` stands for each. */
export type Settings<P extends ParameterValues> = {
  readonly [N in keyof (P & Machine)]?: (P & Machine)[N][number] | '*';
};

export type PteFlag = 'W' | 'A' | 'D' | 'SD' | 'UFFD' | 'SPECIAL';

/** What the PTE of a page is at the start. */
export type Entry =
  | 'none'
  | { readonly swap: readonly [type: number, offset: number | bigint] }
  | { readonly to: Ref<'frame'>; readonly flags?: readonly PteFlag[] };

export interface FrameOptions {
  /** The mm that owns it, for the invariant ASID. */
  readonly owner?: Ref<'mm'>;
  /** References at the start, by default 1; 0: it is free. Of a folio: those that somebody has beside its entries and its file. */
  readonly references?: number;
  /** It is a folio: an anonymous page, or page `index` of a file. */
  readonly anon?: boolean;
  readonly in?: readonly [file: Ref<'file'>, index: number | bigint];
  readonly flags?: readonly ('PG_dirty' | 'PG_anon_exclusive' | 'PG_ksm')[];
}

/** The first word of a page in a file's backing store or on its driver's device, a driver's record, the first word of a swap slot. */
export type Part =
  | { readonly of: 'backing' | 'device'; readonly file: Ref<'file'>; readonly index?: number | bigint }
  | { readonly of: 'record'; readonly file: Ref<'file'> }
  | { readonly of: 'swap'; readonly index: number | bigint };

export interface VmaOptions {
  /** The pages from the first to the last. */
  readonly pages: readonly [first: Ref<'page'>, last?: Ref<'page'>];
  readonly flags: readonly string[];
  /** The file that it shows, from page `pgoff` on. */
  readonly file?: Ref<'file'>;
  readonly pgoff?: number | bigint;
}

export interface CpuOptions {
  /** A user program, in this mm; `kernel`: a kernel program that has it loaded. Neither: a kernel program without one. */
  readonly user?: Ref<'mm'>;
  readonly kernel?: Ref<'mm'>;
  readonly asid?: number;
  /** Head of its column in diagrams. */
  readonly title?: string;
}

type Formals = Readonly<Record<string, Kind>>;
type Refs<F extends Formals> = { readonly [N in keyof F]: Ref<F[N]> };
type Actual<K extends Kind> = K extends 'int' ? Value : Ref<K>;
/** A function of a scenario: called with what its parameters stand for, in their order. */
export type FunctionRef<F extends Formals> = (args: { readonly [N in keyof F]: Actual<F[N]> }) => CallExpression;

/** Begins a scenario. @throws RangeError if a name is no word of the language */
export function scenario<const P extends ParameterValues = Record<never, never>>(
  name: string,
  options: ScenarioOptions<P>,
): ScenarioBuilder<P> {
  return new ScenarioBuilder(name, options);
}

export class ScenarioBuilder<P extends ParameterValues> {
  readonly parameters: Parameters<P>;
  readonly #name: Name;
  readonly #options: ScenarioOptions<P>;
  readonly #variants: VariantDeclaration[] = [];
  readonly #invariants: InvariantDeclaration[] = [];
  readonly #functions: FunctionDeclaration[] = [];
  readonly #programs: ProgramDeclaration[] = [];
  readonly #expectations: Expectation[] = [];
  #declarations: Declaration[] = [];
  #afterwards: Body | undefined;
  #locations: readonly Location[] = [];
  #condition: FinalCondition | undefined;

  constructor(name: string, options: ScenarioOptions<P>) {
    this.#name = nameOf(name);
    this.#options = options;
    checkedText('says', options.says);
    for (const source of options.sources ?? []) checkedText('source', source);
    const names = [...Object.keys(options.parameters ?? {}), 'machine', 'invalidation', 'shootdown', 'memory'];
    this.parameters = Object.fromEntries(names.map((each) => [each, new ParameterRef(each)])) as Parameters<P>;
  }

  variant(name: string, settings: Settings<P> = {}): this {
    this.#variants.push({
      at: NOWHERE,
      name: nameOf(name),
      settings: Object.entries(settings).map(([parameter, value]) => ({
        parameter: nameOf(parameter),
        value: value === '*' ? { at: NOWHERE, text: '*' } : valueName(String(value)),
      })),
    });
    return this;
  }

  /** An invariant of this scenario: `holds` gets what its parameters stand for. */
  invariant<const F extends Formals>(name: string, takes: F, says: string, holds: (refs: Refs<F>) => Value): this {
    this.#invariants.push({
      at: NOWHERE,
      name: nameOf(name),
      parameters: formalsOf(takes),
      sentence: checkedText('says', says),
      holds: toExpression(holds(refsOf(takes))),
    });
    return this;
  }

  // ---- the state at the start

  mm(name: string, ...options: readonly MmOption[]): Ref<'mm'> {
    this.#declare({ kind: 'mm', name: nameOf(name), options });
    return new Ref('mm', name);
  }

  /** `driver`: somebody hears of first stores; a frame: the file's pages are frames of a device, and this is the first. */
  file(name: string, options: { readonly driver?: boolean | Ref<'frame'> } = {}): Ref<'file'> {
    const { driver = false } = options;
    const frame = typeof driver === 'boolean' ? undefined : nameOf(driver);
    this.#declare({ kind: 'file', name: nameOf(name), driver: driver === false ? undefined : { frame } });
    return new Ref('file', name);
  }

  /** A shared word of its own, or one that is part of something else. */
  word(name: string, value: number | bigint = 0, part?: Part): Ref<'word'> {
    this.#declare({
      kind: 'word',
      name: nameOf(name),
      value: numberExpression(value).value,
      part: part && partOf(part),
    });
    return new Ref('word', name);
  }

  spinlock(name: string): Ref<'spinlock'> {
    this.#declare({ kind: 'spinlock', name: nameOf(name) });
    return new Ref('spinlock', name);
  }

  rwsem(name: string): Ref<'rwsem'> {
    this.#declare({ kind: 'rwsem', name: nameOf(name) });
    return new Ref('rwsem', name);
  }

  /** A frame with `value` in its first word. */
  frame(name: string, value: number | bigint = 0, options: FrameOptions = {}): Ref<'frame'> {
    this.#declare({
      kind: 'frame',
      name: nameOf(name),
      value: numberExpression(value).value,
      references: options.references,
      owner: options.owner && nameOf(options.owner),
      folio: folioOf(options),
      flags: (options.flags ?? []).map(nameOf),
    });
    return new Ref('frame', name);
  }

  /** A page of an mm, at virtual address `at`, or after the one that was declared before it. */
  page(name: string, mm: Ref<'mm'>, entry: Entry, at?: number | bigint): Ref<'page'> {
    const va = at === undefined ? undefined : numberExpression(at).value;
    this.#declare({ kind: 'page', name: nameOf(name), mm: nameOf(mm), va, entry: entryOf(entry) });
    return new Ref('page', name);
  }

  vma(name: string, mm: Ref<'mm'>, { pages: [first, last], flags, file, pgoff = 0 }: VmaOptions): Ref<'vma'> {
    this.#declare({
      kind: 'vma',
      name: nameOf(name),
      mm: nameOf(mm),
      file: file && nameOf(file),
      pgoff: numberExpression(pgoff).value,
      first: nameOf(first),
      last: last && nameOf(last),
      flags: flags.map(nameOf),
    });
    return new Ref('vma', name);
  }

  /** What the TLB of a CPU has of a page. */
  tlb(cpu: string, page: Ref<'page'>, ...flags: readonly ('W' | 'D')[]): this {
    const name = { at: NOWHERE, text: checkedCpu(cpu) };
    return this.#declare({ kind: 'tlb', cpu: name, page: nameOf(page), flags: flags.map(nameOf) });
  }

  /** What the hardware of a CPU does unasked: evicts, speculates (about `page`), caches what is absent; and a paging-structure cache. */
  hardware(cpu: string, flags: readonly ('EVICT' | 'SPECULATE' | 'NEGATIVE' | 'PWC')[], page?: Ref<'page'>): this {
    const name = { at: NOWHERE, text: checkedCpu(cpu) };
    return this.#declare({ kind: 'hardware', cpu: name, page: page && nameOf(page), flags: flags.map(nameOf) });
  }

  /**
   * Declarations that a variant has or has not. What is declared in both branches under one name is one thing; the value is that of the first
   * branch: `const x = race.when(start.is('dirty'), () => race.page('x', …), () => race.page('x', …))`.
   */
  when<T>(condition: Value, then: () => T, otherwise?: () => T): T {
    const [result, first] = this.#block(then);
    const second = otherwise && this.#block(otherwise)[1];
    // biome-ignore lint/suspicious/noThenProperty: no promise: the tree of an `if`
    this.#declare({ kind: 'if', condition: toExpression(condition), then: first, otherwise: second });
    return result;
  }

  #block<T>(write: () => T): [T, DeclarationBlock] {
    const before = this.#declarations;
    this.#declarations = [];
    try {
      return [write(), { declarations: this.#declarations, closing: [] }];
    } finally {
      this.#declarations = before;
    }
  }

  // ---- programs

  /** A function of the scenario, put in where it is called: `takes` says what its parameters stand for. */
  function<const F extends Formals>(
    name: string,
    takes: F,
    body: (code: CodeBuilder, refs: Refs<F>) => unknown,
  ): FunctionRef<F> {
    this.#functions.push({
      at: NOWHERE,
      name: nameOf(name),
      parameters: formalsOf(takes),
      body: CodeBuilder.body((code) => body(code, refsOf(takes))),
    });
    const order = Object.keys(takes);
    return (args) =>
      call(
        name,
        order.map((each) => args[each] as Ref),
      );
  }

  cpu(name: string, options: CpuOptions, body: Write): this {
    const { user, kernel, asid, title = '' } = options;
    const mm = user ?? kernel;
    this.#programs.push({
      at: NOWHERE,
      name: { at: NOWHERE, text: checkedCpu(name) },
      mode: user === undefined ? 'kernel' : 'user',
      mm: mm && nameOf(mm),
      asid,
      title: checkedText('title', title),
      body: CodeBuilder.body(body),
    });
    return this;
  }

  /** What runs when all others have ended. */
  afterwards(body: Write): this {
    this.#afterwards = CodeBuilder.body(body);
    return this;
  }

  // ---- verdicts

  /** In the variants that are named, or those of which the condition holds; without either, in all. */
  expect(
    invariant: string,
    verdict: Verdict,
    where: { readonly in?: readonly string[]; readonly if?: Value } = {},
    because = '',
  ): this {
    const quantifiers = ['exists', '~exists', 'forall'];
    this.#expectations.push({
      at: NOWHERE,
      invariant: quantifiers.includes(invariant) ? { at: NOWHERE, text: invariant } : nameOf(invariant),
      verdict,
      variants: (where.in ?? []).map(nameOf),
      condition: where.if === undefined ? undefined : toExpression(where.if),
      because: checkedText('because', because),
    });
    return this;
  }

  /** Values at the end that outcomes show, beside those of the condition. */
  locations(...locations: readonly (Location | Ref<'word'> | Ref<'frame'>)[]): this {
    this.#locations = locations.map(locationOf);
    return this;
  }

  /** What is asked of the outcomes: `race.condition('exists', outcome.eq(at('P0', 'r0'), 1))`. */
  condition(quantifier: Quantifier, proposition: Proposition): this {
    this.#condition = { at: NOWHERE, quantifier, proposition };
    return this;
  }

  build(): ScenarioFile {
    const { says, sources = [] } = this.#options;
    const parameters: ParameterValues = this.#options.parameters ?? {};
    return {
      name: this.#name,
      sentence: says,
      sources: [...sources],
      parameters: Object.entries(parameters).map(
        ([name, values]): ParameterDeclaration => ({
          at: NOWHERE,
          name: nameOf(name),
          values: values.map(valueName),
        }),
      ),
      variants: [...this.#variants],
      invariants: [...this.#invariants],
      init:
        this.#declarations.length === 0
          ? undefined
          : { at: NOWHERE, declarations: [...this.#declarations], closing: [] },
      functions: [...this.#functions],
      programs: [...this.#programs],
      afterwards: this.#afterwards && { at: NOWHERE, body: this.#afterwards },
      expectations: [...this.#expectations],
      locations: this.#locations.length === 0 ? undefined : { at: NOWHERE, locations: this.#locations },
      condition: this.#condition,
      closing: [],
    };
  }

  #declare(declaration: WithoutPlace<Declaration>): this {
    this.#declarations.push({ at: NOWHERE, ...declaration });
    return this;
  }
}

type WithoutPlace<T> = T extends unknown ? Omit<T, 'at' | 'comments'> : never;

/** Register `name` of a CPU at the end; without a CPU, a word or frame. */
export function at(cpu: string, register: string): Location {
  return { at: NOWHERE, cpu: checkedCpu(cpu), name: nameOf(register).text };
}

type Side = Location | Ref<'word'> | Ref<'frame'> | number | bigint;

/** What may be said of an outcome. */
export const outcome = {
  eq: (left: Side, right: Side) => compare('=', left, right),
  ne: (left: Side, right: Side) => compare('!=', left, right),
  lt: (left: Side, right: Side) => compare('<', left, right),
  le: (left: Side, right: Side) => compare('<=', left, right),
  gt: (left: Side, right: Side) => compare('>', left, right),
  ge: (left: Side, right: Side) => compare('>=', left, right),
  and: (...terms: readonly Proposition[]): Proposition => ({ kind: 'and', terms }),
  or: (...terms: readonly Proposition[]): Proposition => ({ kind: 'or', terms }),
  not: (term: Proposition): Proposition => ({ kind: 'not', term }),
};

function compare(operator: (Proposition & { kind: 'compare' })['operator'], left: Side, right: Side): Proposition {
  return { kind: 'compare', operator, left: sideOf(left), right: sideOf(right) };
}

function sideOf(side: Side) {
  return typeof side === 'number' || typeof side === 'bigint' ? numberExpression(side) : locationOf(side);
}

function locationOf(location: Location | Ref<'word'> | Ref<'frame'>): Location {
  return location instanceof Ref ? { at: NOWHERE, cpu: undefined, name: location.name } : location;
}

/** A value of a parameter is a word or a number. */
function valueName(text: string): Name {
  return /^[0-9]+$/.test(text) ? { at: NOWHERE, text } : nameOf(text);
}

function folioOf({ anon, in: cached }: FrameOptions): FolioDeclaration | undefined {
  if (cached !== undefined) {
    return { kind: 'cached', file: nameOf(cached[0]), index: numberExpression(cached[1]).value };
  }
  return anon === true ? { kind: 'anon' } : undefined;
}

function partOf(part: Part): WordPart {
  if (part.of === 'swap') return { of: 'swap', index: numberExpression(part.index).value };
  if (part.of === 'record') return { of: 'record', file: nameOf(part.file) };
  return { of: part.of, file: nameOf(part.file), index: numberExpression(part.index ?? 0).value };
}

function entryOf(entry: Entry): EntryDeclaration {
  if (entry === 'none') return { kind: 'none' };
  if ('swap' in entry) return { kind: 'swap', type: entry.swap[0], offset: numberExpression(entry.swap[1]).value };
  return { kind: 'mapped', frame: nameOf(entry.to), flags: (entry.flags ?? []).map(nameOf) };
}

function formalsOf(takes: Formals): readonly FormalParameter[] {
  return Object.entries(takes).map(([name, kind]) => ({ kind, name: nameOf(name) }));
}

function refsOf<F extends Formals>(takes: F): Refs<F> {
  return Object.fromEntries(Object.entries(takes).map(([name, kind]) => [name, new Ref(kind, name)])) as Refs<F>;
}
