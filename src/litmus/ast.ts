// A scenario as it was written: what the parser and the builder make, and what is checked, printed and compiled.
//
// Guarantees: plain data, equal for equal texts but for positions and comments; nothing is resolved in it, so every variant of a scenario is
// compiled from the same tree.

/** 1-based, of the first character; line 0 in what the builder made. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * What surrounds an item: an empty line, comments on the lines before it and behind it on its last line, with their delimiters. An empty
 * text stands for an empty line between comments.
 */
export interface Comments {
  readonly apart: boolean;
  readonly before: readonly string[];
  readonly behind: string | undefined;
}

export interface Item {
  readonly at: Position;
  readonly comments?: Comments | undefined;
}

/** A name where it is used or declared. */
export interface Name {
  readonly at: Position;
  readonly text: string;
}

export interface ScenarioFile {
  readonly name: Name;
  readonly sentence: string;
  readonly sources: readonly string[];
  readonly parameters: readonly ParameterDeclaration[];
  readonly variants: readonly VariantDeclaration[];
  readonly invariants: readonly InvariantDeclaration[];
  readonly init: InitBlock | undefined;
  readonly functions: readonly FunctionDeclaration[];
  readonly programs: readonly ProgramDeclaration[];
  readonly afterwards: Afterwards | undefined;
  readonly expectations: readonly Expectation[];
  readonly locations: Locations | undefined;
  readonly condition: FinalCondition | undefined;
  /** Comments of the head, and those at the end that stand with no item. */
  readonly comments?: Comments | undefined;
  readonly closing: readonly string[];
}

export interface InitBlock extends Item, DeclarationBlock {}

export interface Afterwards extends Item {
  readonly body: Body;
}

export interface Locations extends Item {
  readonly locations: readonly Location[];
}

export interface ParameterDeclaration extends Item {
  readonly name: Name;
  /** The first one is what a variant has that does not say. */
  readonly values: readonly Name[];
}

export interface VariantDeclaration extends Item {
  readonly name: Name;
  readonly settings: readonly Setting[];
}

export interface Setting {
  readonly parameter: Name;
  /** `*`: the variant stands for all values. */
  readonly value: Name;
}

export interface InvariantDeclaration extends Item {
  readonly name: Name;
  readonly parameters: readonly FormalParameter[];
  readonly sentence: string;
  readonly holds: Expression;
}

/** What a parameter of a function or an invariant stands for. */
export type Kind = 'page' | 'mm' | 'frame' | 'file' | 'vma' | 'word' | 'spinlock' | 'rwsem' | 'int';

export interface FormalParameter {
  readonly kind: Kind;
  readonly name: Name;
}

export interface FunctionDeclaration extends Item {
  readonly name: Name;
  readonly parameters: readonly FormalParameter[];
  readonly body: Body;
}

export interface ProgramDeclaration extends Item {
  readonly name: Name;
  readonly mode: 'user' | 'kernel';
  readonly mm: Name | undefined;
  readonly asid: number | undefined;
  readonly title: string;
  readonly body: Body;
}

/** What stands between braces, and the comments before the closing one. */
export interface Body {
  readonly statements: readonly Statement[];
  readonly closing: readonly string[];
}

// ---- the state in which a scenario begins

export type Declaration = Item &
  (
    | { readonly kind: 'mm'; readonly name: Name; readonly options: readonly MmOption[] }
    | { readonly kind: 'file'; readonly name: Name; readonly driver: FileDriver | undefined }
    | {
        readonly kind: 'word';
        readonly name: Name;
        readonly value: bigint;
        /** Undefined: a word of its own. */
        readonly part: WordPart | undefined;
      }
    | { readonly kind: 'spinlock'; readonly name: Name }
    | { readonly kind: 'rwsem'; readonly name: Name }
    | {
        readonly kind: 'frame';
        readonly name: Name;
        readonly value: bigint;
        /** Undefined: it does not say. */
        readonly references: number | undefined;
        readonly owner: Name | undefined;
        /** Undefined: a frame that no mm counts. */
        readonly folio: FolioDeclaration | undefined;
        /** PG_* */
        readonly flags: readonly Name[];
      }
    | {
        readonly kind: 'page';
        readonly name: Name;
        readonly mm: Name;
        readonly va: bigint | undefined;
        readonly entry: EntryDeclaration;
      }
    | {
        readonly kind: 'vma';
        readonly name: Name;
        readonly mm: Name;
        readonly file: Name | undefined;
        readonly pgoff: bigint;
        readonly first: Name;
        readonly last: Name | undefined;
        readonly flags: readonly Name[];
      }
    | { readonly kind: 'tlb'; readonly cpu: Name; readonly page: Name; readonly flags: readonly Name[] }
    | {
        readonly kind: 'hardware';
        readonly cpu: Name;
        /** The page that it speculates about. */
        readonly page: Name | undefined;
        readonly flags: readonly Name[];
      }
    | {
        readonly kind: 'if';
        readonly condition: Expression;
        readonly then: DeclarationBlock;
        readonly otherwise: DeclarationBlock | undefined;
      }
  );

/** `deferred`: migrations may put their flushes off; `deferred-early`: and then give frames up before they are made. */
export type MmOption = 'split-ptl' | 'deferred' | 'deferred-early';

/** A file has a driver that hears of first stores: its pages are in the page cache, or with `frame` frames of a device. */
export interface FileDriver {
  readonly frame: Name | undefined;
}

/** An anonymous page, or a page of a file. */
export type FolioDeclaration =
  | { readonly kind: 'anon' }
  | { readonly kind: 'cached'; readonly file: Name; readonly index: bigint };

/**
 * A word that is part of something else: the first word of a page in the backing store of a file, or on a driver's device; a driver's record,
 * a bit for each page; the first word of a swap slot.
 */
export type WordPart =
  | { readonly of: 'backing' | 'device'; readonly file: Name; readonly index: bigint }
  | { readonly of: 'record'; readonly file: Name }
  | { readonly of: 'swap'; readonly index: bigint };

export interface DeclarationBlock {
  readonly declarations: readonly Declaration[];
  readonly closing: readonly string[];
}

export type EntryDeclaration =
  | { readonly kind: 'none' }
  | { readonly kind: 'swap'; readonly type: number; readonly offset: bigint }
  | { readonly kind: 'mapped'; readonly frame: Name; readonly flags: readonly Name[] };

// ---- programs

export type Statement = Item &
  (
    | {
        readonly kind: 'assign';
        readonly target: NameExpression | WordExpression | FieldExpression;
        readonly operator: AssignOperator;
        readonly value: Expression;
      }
    | { readonly kind: 'call'; readonly call: CallExpression }
    | {
        readonly kind: 'if';
        readonly condition: Expression;
        readonly then: Body;
        readonly otherwise: Body | undefined;
      }
    | { readonly kind: 'while'; readonly condition: Expression; readonly bound: number; readonly body: Body }
    | { readonly kind: 'break' | 'return' }
    | { readonly kind: 'await'; readonly condition: Expression }
    | { readonly kind: 'check'; readonly invariant: Name; readonly arguments: readonly Expression[] }
    | { readonly kind: 'forbid' | 'permit'; readonly invariant: Name; readonly page: Expression }
    | { readonly kind: 'atomic'; readonly title: string; readonly body: Body }
    | { readonly kind: 'ghost'; readonly title: string; readonly body: Body }
    | { readonly kind: 'syscall'; readonly title: string; readonly body: Body }
    | { readonly kind: 'fault'; readonly page: Name; readonly body: Body }
  );

export type AssignOperator = '=' | '+=' | '-=' | '&=' | '|=' | '^=';

export type BinaryOperator =
  | '||'
  | '&&'
  | '|'
  | '^'
  | '&'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '<<'
  | '>>'
  | '+'
  | '-'
  | '*';

export interface NumberExpression {
  readonly kind: 'number';
  readonly at: Position;
  readonly value: bigint;
}
export interface NameExpression {
  readonly kind: 'name';
  readonly at: Position;
  readonly name: string;
}
export interface CallExpression {
  readonly kind: 'call';
  readonly at: Position;
  readonly name: string;
  readonly arguments: readonly Expression[];
}
/** A word in memory: `*x` or `x[1]` of a page through the TLB, `*kmap_local_page(pfn)` of a frame. */
export interface WordExpression {
  readonly kind: 'word';
  readonly at: Position;
  readonly base: NameExpression | CallExpression;
  readonly index: number;
}
/** What the oracle knows of a page: `x.last`. */
export interface FieldExpression {
  readonly kind: 'field';
  readonly at: Position;
  readonly page: NameExpression;
  readonly field: string;
}

export type Expression =
  | NumberExpression
  | NameExpression
  | CallExpression
  | WordExpression
  | FieldExpression
  | { readonly kind: 'unary'; readonly at: Position; readonly operator: '!' | '~'; readonly operand: Expression }
  | {
      readonly kind: 'binary';
      readonly at: Position;
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    };

// ---- verdicts

export type Verdict = 'holds' | 'violated';

export interface Expectation extends Item {
  readonly invariant: Name;
  readonly verdict: Verdict;
  /** Variants by name; none with `condition`, or for all. */
  readonly variants: readonly Name[];
  readonly condition: Expression | undefined;
  readonly because: string;
}

/** A value at the end: `P0:r0`, or a word or frame by name. */
export interface Location {
  readonly at: Position;
  readonly cpu: string | undefined;
  readonly name: string;
}

export type Quantifier = 'exists' | '~exists' | 'forall';

export interface FinalCondition extends Item {
  readonly quantifier: Quantifier;
  readonly proposition: Proposition;
}

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type Proposition =
  | {
      readonly kind: 'compare';
      readonly operator: Comparison;
      readonly left: Location | NumberExpression;
      readonly right: Location | NumberExpression;
    }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Proposition[] }
  | { readonly kind: 'not'; readonly term: Proposition };
