// The grammar of scenario files, from tokens to the tree. docs/litmus.md has it as EBNF.
//
// Guarantees: whatever the tokens, the parser returns; it goes on behind an error where it can, so that several are reported at once. What
// it returns beside errors is not meant for use. Nothing is looked up here: names are judged in check.ts.

import {
  EmbeddedActionsParser,
  type IParserErrorMessageProvider,
  type IToken,
  type ParserMethod,
  tokenLabel,
} from 'chevrotain';
import type {
  Afterwards,
  AssignOperator,
  BinaryOperator,
  Body,
  CallExpression,
  Comments,
  Comparison,
  Declaration,
  DeclarationBlock,
  EntryDeclaration,
  Expectation,
  Expression,
  FinalCondition,
  FolioDeclaration,
  FormalParameter,
  FunctionDeclaration,
  InitBlock,
  InvariantDeclaration,
  Kind,
  Location,
  Locations,
  MmOption,
  Name,
  NameExpression,
  NumberExpression,
  ParameterDeclaration,
  Position,
  ProgramDeclaration,
  Proposition,
  ScenarioFile,
  Setting,
  Statement,
  VariantDeclaration,
  WordExpression,
  WordPart,
} from './ast.ts';
import { PRECEDENCE } from './precedence.ts';
import {
  Ampersand,
  Assignment,
  Bar,
  Compare,
  Contextual,
  Cpu,
  DECLARATIONS,
  Equals,
  Integer,
  ITEMS,
  Keyword,
  Operator,
  Sign,
  Star,
  Text,
  TOKENS,
  Word,
} from './tokens.ts';

/** What an error of the parser carries in its message: what could have stood there. */
const SEPARATOR = '\u0000';

const MORE: Readonly<Record<string, readonly string[]>> = {
  declarationBlock: DECLARATIONS.map(tokenLabel),
  block: ['a statement'],
};

const expectations: IParserErrorMessageProvider = {
  // Where a list ends, one more of its items could have come as well.
  buildMismatchTokenMessage: ({ expected, ruleName }) =>
    [...(MORE[ruleName] ?? []), tokenLabel(expected)].join(SEPARATOR),
  buildNotAllInputParsedMessage: () => ITEMS.map(tokenLabel).join(SEPARATOR),
  buildNoViableAltMessage: ({ expectedPathsPerAlt }) => labels(expectedPathsPerAlt.flat()),
  buildEarlyExitMessage: ({ expectedIterationPaths }) => labels(expectedIterationPaths),
};

function labels(paths: readonly (readonly Parameters<typeof tokenLabel>[0][])[]): string {
  const first = paths.flatMap((path) => (path[0] === undefined ? [] : [tokenLabel(path[0])]));
  return [...new Set(first)].join(SEPARATOR);
}

export function expectedOf(message: string): readonly string[] {
  return message.split(SEPARATOR);
}

/** What the parser itself refuses, beside tokens in the wrong place. */
export interface Refusal {
  readonly at: Position;
  readonly length: number;
  readonly message: string;
}

/** The beginning of an item. */
interface Begun {
  readonly at: Position;
  readonly apart: boolean;
  readonly before: readonly string[];
}

/** An item of a scenario, and the list that it goes into or the place that it takes. */
type Part =
  | { readonly of: 'parameters'; readonly part: ParameterDeclaration }
  | { readonly of: 'variants'; readonly part: VariantDeclaration }
  | { readonly of: 'invariants'; readonly part: InvariantDeclaration }
  | { readonly of: 'functions'; readonly part: FunctionDeclaration }
  | { readonly of: 'programs'; readonly part: ProgramDeclaration }
  | { readonly of: 'expectations'; readonly part: Expectation }
  | { readonly of: 'init'; readonly part: InitBlock }
  | { readonly of: 'afterwards'; readonly part: Afterwards }
  | { readonly of: 'locations'; readonly part: Locations }
  | { readonly of: 'condition'; readonly part: FinalCondition };
type PartOf<K extends Part['of']> = (Part & { of: K })['part'];
type Sorted = Pick<ScenarioFile, Part['of']>;

export class ScenarioParser extends EmbeddedActionsParser {
  refusals: Refusal[] = [];
  #comments: readonly IToken[] = [];
  #nextComment = 0;

  /** `validates`: asks whether the grammar is one, which a test does, and takes as long as reading scenarios. */
  constructor(validates = false) {
    super(TOKENS, {
      recoveryEnabled: true,
      maxLookahead: 2,
      errorMessageProvider: expectations,
      skipValidations: !validates,
    });
    this.performSelfAnalysis();
  }

  read(tokens: IToken[], comments: readonly IToken[]): ScenarioFile | undefined {
    this.refusals = [];
    this.#comments = comments;
    this.#nextComment = 0;
    this.input = tokens;
    return this.scenario();
  }

  // ---- items

  readonly scenario: ParserMethod<[], ScenarioFile> = this.RULE('scenario', (): ScenarioFile => {
    const begun = this.#begin();
    this.CONSUME(Keyword.Litmus);
    const name = this.#name(this.CONSUME(Word));
    const comments = this.#end(begun);
    const sentence = this.SUBRULE(this.text);
    const sources: string[] = [];
    this.MANY(() => {
      this.CONSUME(Keyword.Source);
      sources.push(this.SUBRULE1(this.text));
    });
    const parts: Part[] = [];
    this.MANY1(() => parts.push(this.SUBRULE(this.item)));
    return this.ACTION(() => ({
      name,
      sentence,
      sources,
      ...this.#sorted(parts.filter((part) => part?.part !== undefined)),
      comments,
      closing: this.#commentsBefore(undefined),
    }));
  });

  private readonly item: ParserMethod<[], Part> = this.RULE(
    'item',
    (): Part =>
      this.OR<Part>([
        { ALT: () => ({ of: 'parameters', part: this.SUBRULE(this.parameter) }) },
        { ALT: () => ({ of: 'variants', part: this.SUBRULE(this.variant) }) },
        { ALT: () => ({ of: 'invariants', part: this.SUBRULE(this.invariant) }) },
        { ALT: () => ({ of: 'init', part: this.SUBRULE(this.init) }) },
        { ALT: () => ({ of: 'functions', part: this.SUBRULE(this.functionDeclaration) }) },
        { ALT: () => ({ of: 'programs', part: this.SUBRULE(this.program) }) },
        { ALT: () => ({ of: 'afterwards', part: this.SUBRULE(this.afterwards) }) },
        { ALT: () => ({ of: 'expectations', part: this.SUBRULE(this.expectation) }) },
        { ALT: () => ({ of: 'locations', part: this.SUBRULE(this.locations) }) },
        { ALT: () => ({ of: 'condition', part: this.SUBRULE(this.condition) }) },
      ]),
  );

  private readonly parameter: ParserMethod<[], ParameterDeclaration> = this.RULE(
    'parameter',
    (): ParameterDeclaration => {
      const begun = this.#begin();
      this.CONSUME(Keyword.Parameter);
      const name = this.#name(this.CONSUME(Word));
      this.CONSUME(Equals);
      const values: Name[] = [];
      this.AT_LEAST_ONE_SEP({ SEP: Bar, DEF: () => values.push(this.SUBRULE(this.value)) });
      return { name, values, ...this.#item(begun) };
    },
  );

  private readonly value: ParserMethod<[], Name> = this.RULE(
    'value',
    (): Name => this.#name(this.OR([{ ALT: () => this.CONSUME(Word) }, { ALT: () => this.CONSUME(Integer) }])),
  );

  private readonly variant: ParserMethod<[], VariantDeclaration> = this.RULE('variant', (): VariantDeclaration => {
    const begun = this.#begin();
    this.CONSUME(Keyword.Variant);
    const name = this.#name(this.CONSUME(Word));
    this.CONSUME(Sign.OpenBrace);
    const settings: Setting[] = [];
    this.MANY_SEP({
      SEP: Sign.Comma,
      DEF: () => {
        const parameter = this.#name(this.CONSUME1(Word));
        this.CONSUME(Equals);
        const value = this.OR([{ ALT: () => this.SUBRULE(this.value) }, { ALT: () => this.#name(this.CONSUME(Star)) }]);
        settings.push({ parameter, value });
      },
    });
    this.CONSUME(Sign.CloseBrace);
    return { name, settings, ...this.#item(begun) };
  });

  private readonly invariant: ParserMethod<[], InvariantDeclaration> = this.RULE(
    'invariant',
    (): InvariantDeclaration => {
      const begun = this.#begin();
      this.CONSUME(Keyword.Invariant);
      const name = this.#name(this.CONSUME(Word));
      const parameters = this.SUBRULE(this.formalParameters);
      const sentence = this.SUBRULE(this.text);
      this.CONSUME(Equals);
      const holds = this.SUBRULE(this.expression);
      this.CONSUME(Sign.Semicolon);
      return { name, parameters, sentence, holds, ...this.#item(begun) };
    },
  );

  private readonly formalParameters: ParserMethod<[], FormalParameter[]> = this.RULE(
    'formalParameters',
    (): FormalParameter[] => {
      const parameters: FormalParameter[] = [];
      this.CONSUME(Sign.Open);
      this.MANY_SEP({
        SEP: Sign.Comma,
        DEF: () => {
          const kind = this.OR([
            { ALT: () => this.CONSUME(Contextual.Page) },
            { ALT: () => this.CONSUME(Contextual.Mm) },
            { ALT: () => this.CONSUME(Contextual.Frame) },
            { ALT: () => this.CONSUME(Contextual.File) },
            { ALT: () => this.CONSUME(Contextual.Vma) },
            { ALT: () => this.CONSUME(Contextual.WordKind) },
            { ALT: () => this.CONSUME(Contextual.Spinlock) },
            { ALT: () => this.CONSUME(Contextual.Rwsem) },
            { ALT: () => this.CONSUME(Contextual.Int) },
          ]);
          parameters.push({ kind: kind.image as Kind, name: this.#name(this.CONSUME(Word)) });
        },
      });
      this.CONSUME(Sign.Close);
      return parameters;
    },
  );

  private readonly functionDeclaration: ParserMethod<[], FunctionDeclaration> = this.RULE(
    'functionDeclaration',
    (): FunctionDeclaration => {
      const begun = this.#begin();
      this.CONSUME(Keyword.Function);
      const name = this.#name(this.CONSUME(Word));
      const parameters = this.SUBRULE(this.formalParameters);
      const body = this.SUBRULE(this.block);
      return { name, parameters, body, ...this.#item(begun) };
    },
  );

  private readonly program: ParserMethod<[], ProgramDeclaration> = this.RULE('program', (): ProgramDeclaration => {
    const begun = this.#begin();
    const name = this.#name(this.CONSUME(Cpu));
    let mode: 'user' | 'kernel' = 'kernel';
    let mm: Name | undefined;
    let asid: number | undefined;
    this.OPTION(() => {
      this.OR([
        {
          ALT: () => {
            this.CONSUME(Contextual.User);
            mode = 'user';
          },
        },
        { ALT: () => this.CONSUME(Contextual.Kernel) },
      ]);
      mm = this.#name(this.CONSUME(Word));
      this.OPTION1(() => {
        this.CONSUME(Contextual.Asid);
        asid = this.#number(this.CONSUME(Integer), 4095);
      });
    });
    const title = this.OPTION2(() => this.SUBRULE(this.text)) ?? '';
    const body = this.SUBRULE(this.block);
    return { name, mode, mm, asid, title, body, ...this.#item(begun) };
  });

  private readonly afterwards: ParserMethod<[], Afterwards> = this.RULE('afterwards', (): Afterwards => {
    const begun = this.#begin();
    this.CONSUME(Keyword.Afterwards);
    const body = this.SUBRULE(this.block);
    return { body, ...this.#item(begun) };
  });

  private readonly expectation: ParserMethod<[], Expectation> = this.RULE('expectation', (): Expectation => {
    const begun = this.#begin();
    this.CONSUME(Keyword.Expect);
    const invariant = this.OR([
      { ALT: () => this.#name(this.CONSUME(Word)) },
      { ALT: () => this.#name(this.CONSUME(Keyword.Exists)) },
      { ALT: () => this.#name(this.CONSUME(Keyword.Forall)) },
      {
        ALT: () => {
          const tilde = this.CONSUME(Sign.Tilde);
          this.CONSUME1(Keyword.Exists);
          return { at: position(tilde), text: '~exists' };
        },
      },
    ]);
    const verdict = this.OR1([
      { ALT: () => this.CONSUME(Contextual.Holds) },
      { ALT: () => this.CONSUME(Contextual.Violated) },
    ]);
    const variants: Name[] = [];
    let condition: Expression | undefined;
    this.OPTION(() => {
      this.OR2([
        {
          ALT: () => {
            this.CONSUME(Contextual.In);
            this.AT_LEAST_ONE_SEP({ SEP: Sign.Comma, DEF: () => variants.push(this.#name(this.CONSUME1(Word))) });
          },
        },
        {
          ALT: () => {
            this.CONSUME(Keyword.If);
            condition = this.SUBRULE(this.expression);
          },
        },
      ]);
    });
    const because = this.OPTION1(() => {
      this.CONSUME(Keyword.Because);
      return this.SUBRULE(this.text);
    });
    this.CONSUME(Sign.Semicolon);
    return {
      invariant,
      verdict: verdict.image === 'holds' ? 'holds' : 'violated',
      variants,
      condition,
      because: because ?? '',
      ...this.#item(begun),
    };
  });

  // ---- the final condition

  private readonly locations: ParserMethod<[], Locations> = this.RULE('locations', (): Locations => {
    const begun = this.#begin();
    this.CONSUME(Keyword.Locations);
    this.CONSUME(Sign.OpenSquare);
    const locations: Location[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: Sign.Comma, DEF: () => locations.push(this.SUBRULE(this.location)) });
    this.CONSUME(Sign.CloseSquare);
    return { locations, ...this.#item(begun) };
  });

  private readonly location: ParserMethod<[], Location> = this.RULE('location', (): Location => {
    const cpu = this.OPTION(() => {
      const token = this.CONSUME(Cpu);
      this.CONSUME(Sign.Colon);
      return token;
    });
    const name = this.CONSUME(Word);
    return { at: position(cpu ?? name), cpu: cpu?.image, name: name.image };
  });

  private readonly condition: ParserMethod<[], FinalCondition> = this.RULE('condition', (): FinalCondition => {
    const begun = this.#begin();
    const tilde = this.OPTION(() => this.CONSUME(Sign.Tilde));
    const word = this.OR([{ ALT: () => this.CONSUME(Keyword.Exists) }, { ALT: () => this.CONSUME(Keyword.Forall) }]);
    this.ACTION(() => {
      if (tilde !== undefined && word.image === 'forall') {
        this.#refuse(position(tilde), 1, '`~forall` is no quantifier; write `exists` with the opposite');
      }
    });
    const proposition = this.SUBRULE(this.proposition);
    const quantifier = word.image === 'forall' ? 'forall' : tilde === undefined ? 'exists' : '~exists';
    return { quantifier, proposition, ...this.#item(begun) };
  });

  private readonly proposition: ParserMethod<[], Proposition> = this.RULE('proposition', (): Proposition => {
    const terms: Proposition[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: Sign.Join, DEF: () => terms.push(this.SUBRULE(this.conjunction)) });
    return joined('or', terms);
  });

  private readonly conjunction: ParserMethod<[], Proposition> = this.RULE('conjunction', (): Proposition => {
    const terms: Proposition[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: Sign.Meet, DEF: () => terms.push(this.SUBRULE(this.atom)) });
    return joined('and', terms);
  });

  private readonly atom: ParserMethod<[], Proposition> = this.RULE(
    'atom',
    (): Proposition =>
      this.OR<Proposition>([
        {
          ALT: () => {
            this.CONSUME(Sign.Tilde);
            return { kind: 'not', term: this.SUBRULE(this.atom) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(Sign.Open);
            const inner = this.SUBRULE(this.proposition);
            this.CONSUME(Sign.Close);
            return inner;
          },
        },
        {
          ALT: () => {
            const left = this.SUBRULE(this.compared);
            const operator = this.OR1([{ ALT: () => this.CONSUME(Equals) }, { ALT: () => this.CONSUME(Compare) }]);
            const right = this.SUBRULE1(this.compared);
            const image = operator.image === '==' ? '=' : operator.image;
            return { kind: 'compare', operator: image as Comparison, left, right };
          },
        },
      ]),
  );

  private readonly compared: ParserMethod<[], Location | NumberExpression> = this.RULE(
    'compared',
    (): Location | NumberExpression =>
      this.OR<Location | NumberExpression>([
        { ALT: () => this.SUBRULE(this.location) },
        { ALT: () => this.#numberExpression(this.CONSUME(Integer)) },
      ]),
  );

  // ---- the initial state

  private readonly init: ParserMethod<[], InitBlock> = this.RULE('init', (): InitBlock => {
    const begun = this.#begin();
    this.CONSUME(Keyword.Init);
    const block = this.SUBRULE(this.declarationBlock);
    return { ...block, ...this.#item(begun) };
  });

  private readonly declarationBlock: ParserMethod<[], DeclarationBlock> = this.RULE(
    'declarationBlock',
    (): DeclarationBlock => {
      const declarations: Declaration[] = [];
      this.CONSUME(Sign.OpenBrace);
      this.MANY(() => declarations.push(this.SUBRULE(this.declaration)));
      const closing = this.#commentsBefore(this.LA(1));
      this.CONSUME(Sign.CloseBrace);
      return { declarations, closing };
    },
  );

  private readonly declaration: ParserMethod<[], Declaration> = this.RULE('declaration', (): Declaration => {
    const begun = this.#begin();
    return this.OR<Declaration>([
      {
        ALT: () => {
          this.CONSUME(Contextual.Mm);
          const name = this.#name(this.CONSUME(Word));
          const options: MmOption[] = [];
          this.MANY1(() => {
            this.CONSUME(Sign.Comma);
            const option = this.OR2([
              { ALT: () => this.CONSUME(Contextual.SplitPtl) },
              { ALT: () => this.CONSUME(Contextual.Deferred) },
              { ALT: () => this.CONSUME(Contextual.DeferredEarly) },
            ]);
            options.push(option.image as MmOption);
          });
          this.CONSUME(Sign.Semicolon);
          return { kind: 'mm', name, options, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(Contextual.File);
          const name = this.#name(this.CONSUME1(Word));
          const driver = this.OPTION(() => {
            this.CONSUME1(Sign.Comma);
            this.CONSUME(Contextual.Driver);
            return { frame: this.OPTION4(() => this.#name(this.CONSUME6(Word))) };
          });
          this.CONSUME1(Sign.Semicolon);
          return { kind: 'file', name, driver, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(Contextual.WordKind);
          const name = this.#name(this.CONSUME2(Word));
          const value = this.OPTION1(() => {
            this.CONSUME(Equals);
            return this.#bigint(this.CONSUME(Integer));
          });
          const part = this.OPTION3(() => {
            this.CONSUME2(Sign.Comma);
            return this.SUBRULE(this.wordPart);
          });
          this.CONSUME2(Sign.Semicolon);
          return { kind: 'word', name, value: value ?? 0n, part, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          const kind = this.OR1([
            { ALT: () => this.CONSUME(Contextual.Spinlock) },
            { ALT: () => this.CONSUME(Contextual.Rwsem) },
          ]);
          const name = this.#name(this.CONSUME3(Word));
          this.CONSUME3(Sign.Semicolon);
          return { kind: kind.image === 'rwsem' ? 'rwsem' : 'spinlock', name, ...this.#item(begun) };
        },
      },
      { ALT: () => ({ ...this.SUBRULE(this.frame), ...this.#item(begun) }) },
      { ALT: () => ({ ...this.SUBRULE(this.page), ...this.#item(begun) }) },
      { ALT: () => ({ ...this.SUBRULE(this.vma), ...this.#item(begun) }) },
      { ALT: () => ({ ...this.SUBRULE(this.hardware), ...this.#item(begun) }) },
      {
        ALT: () => {
          this.CONSUME(Contextual.Tlb);
          const cpu = this.#name(this.CONSUME(Cpu));
          this.CONSUME(Sign.Colon);
          const page = this.#name(this.CONSUME4(Word));
          const flags: Name[] = [];
          this.MANY(() => flags.push(this.#name(this.CONSUME5(Word))));
          this.CONSUME4(Sign.Semicolon);
          return { kind: 'tlb', cpu, page, flags, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(Keyword.If);
          this.CONSUME(Sign.Open);
          const condition = this.SUBRULE(this.expression);
          this.CONSUME(Sign.Close);
          const then = this.SUBRULE(this.declarations);
          const otherwise = this.OPTION2(() => {
            this.CONSUME(Keyword.Else);
            return this.SUBRULE1(this.declarations);
          });
          return { kind: 'if', condition, then, otherwise, ...this.#item(begun) };
        },
      },
    ]);
  });

  /** One declaration, or several between braces. */
  private readonly declarations: ParserMethod<[], DeclarationBlock> = this.RULE(
    'declarations',
    (): DeclarationBlock =>
      this.OR<DeclarationBlock>([
        { ALT: () => this.SUBRULE(this.declarationBlock) },
        { ALT: () => ({ declarations: [this.SUBRULE(this.declaration)], closing: [] }) },
      ]),
  );

  private readonly frame: ParserMethod<[], Declaration & { kind: 'frame' }> = this.RULE(
    'frame',
    (): Declaration & { kind: 'frame' } => {
      const start = this.CONSUME(Contextual.Frame);
      const name = this.#name(this.CONSUME(Word));
      let value = 0n;
      let references: number | undefined;
      let owner: Name | undefined;
      let folio: FolioDeclaration | undefined;
      const flags: Name[] = [];
      this.OPTION(() => {
        this.CONSUME(Equals);
        value = this.#bigint(this.CONSUME(Integer));
      });
      this.MANY(() => {
        this.CONSUME(Sign.Comma);
        this.OR([
          {
            ALT: () => {
              this.CONSUME(Contextual.Owner);
              owner = this.#name(this.CONSUME1(Word));
            },
          },
          {
            ALT: () => {
              this.CONSUME(Contextual.References);
              references = this.#number(this.CONSUME1(Integer), 1000);
            },
          },
          {
            ALT: () => {
              this.CONSUME(Contextual.Free);
              references = 0;
            },
          },
          {
            ALT: () => {
              this.CONSUME(Contextual.Anon);
              folio = { kind: 'anon' };
            },
          },
          {
            ALT: () => {
              this.CONSUME(Contextual.In);
              const file = this.#name(this.CONSUME2(Word));
              this.CONSUME(Sign.AtSign);
              folio = { kind: 'cached', file, index: this.#bigint(this.CONSUME2(Integer)) };
            },
          },
        ]);
      });
      this.OPTION1(() => {
        this.CONSUME(Sign.Colon);
        this.MANY1(() => flags.push(this.#name(this.CONSUME3(Word))));
      });
      this.CONSUME(Sign.Semicolon);
      return { kind: 'frame', name, value, references, owner, folio, flags, at: position(start) };
    },
  );

  private readonly wordPart: ParserMethod<[], WordPart> = this.RULE(
    'wordPart',
    (): WordPart =>
      this.OR<WordPart>([
        {
          ALT: () => {
            const of = this.OR1([
              { ALT: () => this.CONSUME(Contextual.Backing) },
              { ALT: () => this.CONSUME(Contextual.Device) },
            ]);
            this.CONSUME(Contextual.Of);
            const file = this.#name(this.CONSUME(Word));
            const index = this.OPTION(() => {
              this.CONSUME(Sign.AtSign);
              return this.#bigint(this.CONSUME(Integer));
            });
            return { of: of.image as 'backing' | 'device', file, index: index ?? 0n };
          },
        },
        {
          ALT: () => {
            this.CONSUME(Contextual.Record);
            this.CONSUME1(Contextual.Of);
            return { of: 'record', file: this.#name(this.CONSUME1(Word)) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(Contextual.Swap);
            this.CONSUME1(Sign.AtSign);
            return { of: 'swap', index: this.#bigint(this.CONSUME1(Integer)) };
          },
        },
      ]),
  );

  private readonly hardware: ParserMethod<[], Declaration & { kind: 'hardware' }> = this.RULE(
    'hardware',
    (): Declaration & { kind: 'hardware' } => {
      const start = this.CONSUME(Contextual.Hardware);
      const cpu = this.#name(this.CONSUME(Cpu));
      const page = this.OPTION(() => {
        this.CONSUME(Sign.Arrow);
        return this.#name(this.CONSUME(Word));
      });
      const flags: Name[] = [];
      this.CONSUME(Sign.Colon);
      this.MANY(() => flags.push(this.#name(this.CONSUME1(Word))));
      this.CONSUME(Sign.Semicolon);
      return { kind: 'hardware', cpu, page, flags, at: position(start) };
    },
  );

  private readonly page: ParserMethod<[], Declaration & { kind: 'page' }> = this.RULE(
    'page',
    (): Declaration & { kind: 'page' } => {
      const start = this.CONSUME(Contextual.Page);
      const name = this.#name(this.CONSUME(Word));
      this.CONSUME(Contextual.In);
      const mm = this.#name(this.CONSUME1(Word));
      const va = this.OPTION(() => {
        this.CONSUME(Contextual.At);
        return this.#bigint(this.CONSUME(Integer));
      });
      const entry = this.OR<EntryDeclaration>([
        {
          ALT: () => {
            this.CONSUME(Sign.Arrow);
            const frame = this.#name(this.CONSUME2(Word));
            const flags: Name[] = [];
            this.OPTION1(() => {
              this.CONSUME(Sign.Colon);
              this.MANY(() => flags.push(this.#name(this.CONSUME3(Word))));
            });
            return { kind: 'mapped', frame, flags };
          },
        },
        {
          ALT: () => {
            this.CONSUME1(Sign.Colon);
            return this.OR1<EntryDeclaration>([
              {
                ALT: () => {
                  this.CONSUME(Contextual.None);
                  return { kind: 'none' };
                },
              },
              {
                ALT: () => {
                  this.CONSUME(Contextual.Swap);
                  this.CONSUME(Sign.Open);
                  const type = this.#number(this.CONSUME1(Integer), 31);
                  this.CONSUME(Sign.Comma);
                  const offset = this.#bigint(this.CONSUME2(Integer));
                  this.CONSUME(Sign.Close);
                  return { kind: 'swap', type, offset };
                },
              },
            ]);
          },
        },
      ]);
      this.CONSUME(Sign.Semicolon);
      return { kind: 'page', name, mm, va, entry, at: position(start) };
    },
  );

  private readonly vma: ParserMethod<[], Declaration & { kind: 'vma' }> = this.RULE(
    'vma',
    (): Declaration & { kind: 'vma' } => {
      const start = this.CONSUME(Contextual.Vma);
      const name = this.#name(this.CONSUME(Word));
      this.CONSUME(Contextual.In);
      const mm = this.#name(this.CONSUME1(Word));
      let file: Name | undefined;
      let pgoff = 0n;
      this.OPTION(() => {
        this.CONSUME(Sign.Arrow);
        file = this.#name(this.CONSUME2(Word));
        this.OPTION1(() => {
          this.CONSUME(Sign.AtSign);
          pgoff = this.#bigint(this.CONSUME(Integer));
        });
      });
      this.CONSUME(Sign.Colon);
      const first = this.#name(this.CONSUME3(Word));
      const last = this.OPTION2(() => {
        this.CONSUME(Sign.Dots);
        return this.#name(this.CONSUME4(Word));
      });
      const flags: Name[] = [];
      this.MANY(() => flags.push(this.#name(this.CONSUME5(Word))));
      this.CONSUME(Sign.Semicolon);
      return { kind: 'vma', name, mm, file, pgoff, first, last, flags, at: position(start) };
    },
  );

  // ---- programs

  private readonly block: ParserMethod<[], Body> = this.RULE('block', (): Body => {
    const statements: Statement[] = [];
    this.CONSUME(Sign.OpenBrace);
    this.MANY(() => statements.push(this.SUBRULE(this.statement)));
    const closing = this.#commentsBefore(this.LA(1));
    this.CONSUME(Sign.CloseBrace);
    return { statements, closing };
  });

  /** One statement, or several between braces. */
  private readonly body: ParserMethod<[], Body> = this.RULE(
    'body',
    (): Body =>
      this.OR<Body>([
        { ALT: () => this.SUBRULE(this.block) },
        { ALT: () => ({ statements: [this.SUBRULE(this.statement)], closing: [] }) },
      ]),
  );

  private readonly statement: ParserMethod<[], Statement> = this.RULE('statement', (): Statement => {
    const begun = this.#begin();
    return this.OR<Statement>([
      {
        ALT: () => {
          this.CONSUME(Keyword.If);
          this.CONSUME(Sign.Open);
          const condition = this.SUBRULE(this.expression);
          this.CONSUME(Sign.Close);
          const then = this.SUBRULE(this.body);
          const otherwise = this.OPTION(() => {
            this.CONSUME(Keyword.Else);
            return this.SUBRULE1(this.body);
          });
          return { kind: 'if', condition, then, otherwise, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          const start = this.CONSUME(Keyword.While);
          this.CONSUME1(Sign.Open);
          const condition = this.SUBRULE1(this.expression);
          this.CONSUME1(Sign.Close);
          const bound = this.OPTION1(() => {
            this.CONSUME(Contextual.Max);
            return this.#number(this.CONSUME(Integer), 255);
          });
          this.ACTION(() => {
            if (bound === undefined) {
              this.#refuse(position(start), 5, 'a loop needs a bound: write `while (…) max 3 { … }`');
            }
          });
          const body = this.SUBRULE2(this.body);
          return { kind: 'while', condition, bound: bound ?? 1, body, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          const word = this.OR1([
            { ALT: () => this.CONSUME(Keyword.Break) },
            { ALT: () => this.CONSUME(Keyword.Return) },
          ]);
          this.CONSUME(Sign.Semicolon);
          return { kind: word.image === 'break' ? 'break' : 'return', ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(Keyword.Await);
          this.CONSUME2(Sign.Open);
          const condition = this.SUBRULE2(this.expression);
          this.CONSUME2(Sign.Close);
          this.CONSUME1(Sign.Semicolon);
          return { kind: 'await', condition, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(Keyword.Check);
          const invariant = this.#name(this.CONSUME(Word));
          const args = this.SUBRULE(this.actualArguments);
          this.CONSUME2(Sign.Semicolon);
          return { kind: 'check', invariant, arguments: args, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          const word = this.OR2([
            { ALT: () => this.CONSUME(Keyword.Forbid) },
            { ALT: () => this.CONSUME(Keyword.Permit) },
          ]);
          const invariant = this.#name(this.CONSUME1(Word));
          this.CONSUME3(Sign.Open);
          const page = this.SUBRULE3(this.expression);
          this.CONSUME3(Sign.Close);
          this.CONSUME3(Sign.Semicolon);
          return { kind: word.image === 'forbid' ? 'forbid' : 'permit', invariant, page, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          const word = this.OR3([
            { ALT: () => this.CONSUME(Keyword.Atomic) },
            { ALT: () => this.CONSUME(Keyword.Ghost) },
            { ALT: () => this.CONSUME(Keyword.Syscall) },
          ]);
          const title = this.OPTION2(() => this.SUBRULE(this.text)) ?? '';
          const body = this.SUBRULE(this.block);
          return { kind: word.image, title, body, ...this.#item(begun) } as Statement;
        },
      },
      {
        ALT: () => {
          this.CONSUME(Keyword.On);
          this.CONSUME(Contextual.Fault);
          const page = this.#name(this.CONSUME2(Word));
          const body = this.SUBRULE1(this.block);
          return { kind: 'fault', page, body, ...this.#item(begun) };
        },
      },
      {
        ALT: () => {
          const left = this.SUBRULE(this.unary);
          const assigned = this.OPTION3(() => {
            const operator = this.OR4([{ ALT: () => this.CONSUME(Equals) }, { ALT: () => this.CONSUME(Assignment) }]);
            return { operator: operator.image as AssignOperator, value: this.SUBRULE4(this.expression) };
          });
          this.CONSUME4(Sign.Semicolon);
          return { ...this.ACTION(() => this.#simple(left, assigned)), ...this.#item(begun) };
        },
      },
    ]);
  });

  #simple(
    left: Expression,
    assigned: { operator: AssignOperator; value: Expression } | undefined,
  ):
    | Pick<Statement & { kind: 'assign' }, 'kind' | 'target' | 'operator' | 'value'>
    | { kind: 'call'; call: CallExpression } {
    if (assigned !== undefined) {
      if (left?.kind === 'name' || left?.kind === 'word' || left?.kind === 'field')
        return { kind: 'assign', target: left, ...assigned };
      this.#refuse(left.at, 1, 'only a register, a shared word or a word of memory can be assigned to');
    } else {
      if (left?.kind === 'call') return { kind: 'call', call: left };
      if (left !== undefined) this.#refuse(left.at, 1, 'this does nothing: a statement is an assignment or a call');
    }
    return { kind: 'call', call: { kind: 'call', at: left?.at ?? NOWHERE, name: '', arguments: [] } };
  }

  // ---- expressions

  private readonly expression: ParserMethod<[], Expression> = this.RULE(
    'expression',
    (): Expression => {
      const operands: Expression[] = [this.SUBRULE(this.unary)];
      const operators: BinaryOperator[] = [];
      this.MANY(() => {
        const operator = this.OR([
          { ALT: () => this.CONSUME(Compare) },
          { ALT: () => this.CONSUME(Operator) },
          { ALT: () => this.CONSUME(Star) },
          { ALT: () => this.CONSUME(Ampersand) },
          { ALT: () => this.CONSUME(Bar) },
        ]);
        operators.push(operator.image as BinaryOperator);
        operands.push(this.SUBRULE1(this.unary));
      });
      return this.ACTION(() => climb(operands, operators));
    },
    IN_ITS_PLACE,
  );

  private readonly unary: ParserMethod<[], Expression> = this.RULE(
    'unary',
    (): Expression =>
      this.OR<Expression>([
        {
          ALT: () => {
            const operator = this.OR1([{ ALT: () => this.CONSUME(Sign.Not) }, { ALT: () => this.CONSUME(Sign.Tilde) }]);
            const operand = this.SUBRULE(this.unary);
            return { kind: 'unary', at: position(operator), operator: operator.image === '!' ? '!' : '~', operand };
          },
        },
        {
          ALT: () => {
            const star = this.CONSUME(Star);
            const base = this.SUBRULE(this.primary);
            return this.ACTION(() => this.#word(position(star), base, 0));
          },
        },
        {
          // As in C before the name of a word or lock; it means nothing.
          ALT: () => {
            this.CONSUME(Ampersand);
            return this.SUBRULE1(this.primary);
          },
        },
        {
          ALT: () => {
            const base = this.SUBRULE2(this.primary);
            let index: number | undefined;
            let field: IToken | undefined;
            this.OPTION(() => {
              this.OR2([
                {
                  ALT: () => {
                    this.CONSUME(Sign.OpenSquare);
                    index = this.#number(this.CONSUME(Integer), 511);
                    this.CONSUME(Sign.CloseSquare);
                  },
                },
                {
                  ALT: () => {
                    this.CONSUME(Sign.Dot);
                    field = this.CONSUME(Word);
                  },
                },
              ]);
            });
            return this.ACTION(() => {
              if (index !== undefined) return this.#word(base.at, base, index);
              if (field === undefined) return base;
              if (base.kind !== 'name') {
                this.#refuse(base.at, 1, 'only a page has fields, as in `x.last`');
                return base;
              }
              return { kind: 'field', at: base.at, page: base, field: field.image };
            });
          },
        },
        {
          ALT: () => {
            this.CONSUME(Sign.Open);
            const inner = this.SUBRULE(this.expression);
            this.CONSUME(Sign.Close);
            return inner;
          },
        },
      ]),
    IN_ITS_PLACE,
  );

  private readonly primary: ParserMethod<[], NumberExpression | NameExpression | CallExpression> = this.RULE(
    'primary',
    (): NumberExpression | NameExpression | CallExpression =>
      this.OR<NumberExpression | NameExpression | CallExpression>([
        { ALT: () => this.#numberExpression(this.CONSUME(Integer)) },
        {
          ALT: () => {
            const name = this.CONSUME(Word);
            const args = this.OPTION(() => this.SUBRULE(this.actualArguments));
            if (args === undefined) return { kind: 'name', at: position(name), name: name.image };
            return { kind: 'call', at: position(name), name: name.image, arguments: args };
          },
        },
      ]),
    IN_ITS_PLACE,
  );

  private readonly actualArguments: ParserMethod<[], Expression[]> = this.RULE('actualArguments', (): Expression[] => {
    const args: Expression[] = [];
    this.CONSUME(Sign.Open);
    this.MANY_SEP({ SEP: Sign.Comma, DEF: () => args.push(this.SUBRULE(this.expression)) });
    this.CONSUME(Sign.Close);
    return args;
  });

  /** Texts that follow each other are one, as in C. */
  private readonly text: ParserMethod<[], string> = this.RULE('text', (): string => {
    let text = '';
    this.AT_LEAST_ONE(() => {
      text += this.CONSUME(Text).image.slice(1, -1).replace(/\\(.)/g, '$1');
    });
    return text;
  });

  // ---- parts

  #sorted(parts: readonly Part[]): Sorted {
    const all = <K extends Part['of']>(of: K) =>
      parts.filter((part): part is Part & { of: K } => part.of === of).map(({ part }) => part as PartOf<K>);
    const one = <K extends Part['of']>(of: K, title: string) => {
      const [first, ...others] = all(of);
      for (const { at } of others) this.#refuse(at, title.length, `a scenario has one \`${title}\``);
      return first;
    };
    return {
      parameters: all('parameters'),
      variants: all('variants'),
      invariants: all('invariants'),
      functions: all('functions'),
      programs: all('programs'),
      expectations: all('expectations'),
      init: one('init', 'init'),
      afterwards: one('afterwards', 'afterwards'),
      locations: one('locations', 'locations'),
      condition: one('condition', 'exists'),
    };
  }

  #word(at: Position, base: Expression, index: number): WordExpression | NameExpression {
    if (base.kind === 'name' || base.kind === 'call') return { kind: 'word', at, base, index };
    this.#refuse(at, 1, 'a number is no address: `*` and `[ ]` stand with a page or with kmap_local_page()');
    return { kind: 'name', at, name: '' };
  }

  #numberExpression(token: IToken): NumberExpression {
    return { kind: 'number', at: position(token), value: this.#bigint(token) };
  }

  #bigint(token: IToken): bigint {
    return this.ACTION(() => {
      const value = BigInt(token.image === '' ? 0 : token.image);
      if (value < 1n << 64n) return value;
      this.#refuse(position(token), token.image.length, 'a number has at most 64 bits');
      return 0n;
    }) as bigint;
  }

  #number(token: IToken, most: number): number {
    return this.ACTION(() => {
      const value = this.#bigint(token);
      if (value <= BigInt(most)) return Number(value);
      this.#refuse(position(token), token.image.length, `this number is at most ${most}`);
      return 0;
    }) as number;
  }

  #name(token: IToken | Name): Name {
    return 'text' in token ? token : { at: position(token), text: token.image };
  }

  #refuse(at: Position, length: number, message: string): void {
    this.refusals.push({ at, length, message });
  }

  // ---- comments: each belongs to the item it stands before, or behind on the last line

  #begin(): Begun {
    const next = this.LA(1);
    const previous = this.LA(0);
    const first = this.#comments[this.#nextComment];
    const begins = first !== undefined && first.startOffset < next.startOffset ? first : next;
    const apart = (begins.startLine ?? 0) - (previous?.endLine ?? begins.startLine ?? 0) > 1;
    return { at: position(next), apart, before: this.#commentsBefore(next) };
  }

  #end({ apart, before }: Begun): Comments | undefined {
    const last = this.LA(0);
    const comment = this.#comments[this.#nextComment];
    let behind: string | undefined;
    if (comment !== undefined && comment.startLine === last.endLine && comment.startOffset < this.LA(1).startOffset) {
      behind = comment.image;
      this.#nextComment += 1;
    }
    return apart || before.length > 0 || behind !== undefined ? { apart, before, behind } : undefined;
  }

  #item(begun: Begun): { at: Position; comments: Comments | undefined } {
    return { at: begun.at, comments: this.#end(begun) };
  }

  /** Those that stand before `token` and were not given away, an empty line as an empty text; undefined: all that are left. */
  #commentsBefore(token: IToken | undefined): string[] {
    const found: string[] = [];
    let line = Number.POSITIVE_INFINITY;
    for (; this.#nextComment < this.#comments.length; this.#nextComment += 1) {
      const comment = this.#comments[this.#nextComment];
      if (comment === undefined || (token !== undefined && comment.startOffset > token.startOffset)) break;
      if ((comment.startLine ?? 0) - line > 1) found.push('');
      found.push(comment.image);
      line = comment.endLine ?? 0;
    }
    if (token !== undefined && (token.startLine ?? 0) - line > 1) found.push('');
    return found;
  }
}

const NOWHERE: Position = { line: 0, column: 0 };

/** What stands for an expression that could not be read: the file is refused, but the parser goes on. */
const IN_ITS_PLACE = { recoveryValueFunc: (): NumberExpression => ({ kind: 'number', at: NOWHERE, value: 0n }) };

function position(token: IToken): Position {
  return { line: token.startLine ?? 0, column: token.startColumn ?? 0 };
}

function joined(kind: 'and' | 'or', terms: readonly Proposition[]): Proposition {
  const [only] = terms;
  return only !== undefined && terms.length === 1 ? only : { kind, terms };
}

/** A tree of operands by precedence; equal ones bind from the left. */
function climb(operands: readonly Expression[], operators: readonly BinaryOperator[]): Expression {
  let next = 0;
  const operand = (): Expression => operands[next] as Expression;
  const level = (least: number): Expression => {
    let left = operand();
    for (let operator = operators[next]; operator !== undefined; operator = operators[next]) {
      const binds = PRECEDENCE[operator];
      if (binds < least) break;
      next += 1;
      const right = level(binds + 1);
      left = { kind: 'binary', at: left.at, operator, left, right };
    }
    return left;
  };
  return level(1);
}

let shared: ScenarioParser | undefined;

/** Building the parser takes some milliseconds: it is built when the first file is read. */
export function parser(): ScenarioParser {
  shared ??= new ScenarioParser();
  return shared;
}
