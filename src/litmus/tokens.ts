// The words of a scenario file.
//
// A name may have dashes inside (`before-act`, `clean-against-writer`), so a minus sign needs a space. Words that mean something only where the
// grammar asks for them (`page`, `owner`, …) are names everywhere else.

import { createToken, Lexer, type TokenType } from 'chevrotain';

const NAME = /[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*/;

export const Word = createToken({ name: 'Word', pattern: NAME, label: 'a name' });

/** Reserved: starts a statement or an item. */
function keyword(text: string): TokenType {
  return createToken({ name: `Reserved ${text}`, pattern: text, longer_alt: Word, label: `\`${text}\`` });
}

/** A name elsewhere. */
function contextual(text: string): TokenType {
  return createToken({
    name: `Contextual ${text}`,
    pattern: text,
    longer_alt: Word,
    categories: Word,
    label: `\`${text}\``,
  });
}

function sign(text: string, name: string): TokenType {
  return createToken({ name, pattern: text, label: `\`${text}\`` });
}

const Blank = createToken({ name: 'Blank', pattern: /[ \t\r\n]+/, group: Lexer.SKIPPED, line_breaks: true });
/** As in herd; `(*x` is a load. */
const HerdComment = createToken({
  name: 'HerdComment',
  pattern: /\(\*(?=[\s*])[\s\S]*?\*\)/,
  group: 'comments',
  line_breaks: true,
});
const BlockComment = createToken({
  name: 'BlockComment',
  pattern: /\/\*[\s\S]*?\*\//,
  group: 'comments',
  line_breaks: true,
});
const LineComment = createToken({ name: 'LineComment', pattern: /\/\/[^\n\r]*/, group: 'comments' });

export const Text = createToken({ name: 'Text', pattern: /"(?:[^"\\\n\r]|\\["\\])*"/, label: 'a text in quotes' });
export const Integer = createToken({ name: 'Integer', pattern: /0x[0-9a-fA-F]+|[0-9]+/, label: 'a number' });
export const Cpu = createToken({ name: 'Cpu', pattern: /P[0-9]+/, longer_alt: Word, label: 'a CPU (`P0`)' });

export const Keyword = {
  Litmus: keyword('litmus'),
  Source: keyword('source'),
  Parameter: keyword('parameter'),
  Variant: keyword('variant'),
  Invariant: keyword('invariant'),
  Function: keyword('function'),
  Init: keyword('init'),
  Afterwards: keyword('afterwards'),
  Expect: keyword('expect'),
  Locations: keyword('locations'),
  Exists: keyword('exists'),
  Forall: keyword('forall'),
  If: keyword('if'),
  Else: keyword('else'),
  While: keyword('while'),
  Break: keyword('break'),
  Return: keyword('return'),
  Await: keyword('await'),
  Check: keyword('check'),
  Forbid: keyword('forbid'),
  Permit: keyword('permit'),
  Atomic: keyword('atomic'),
  Ghost: keyword('ghost'),
  Syscall: keyword('syscall'),
  On: keyword('on'),
  Because: keyword('because'),
} as const;

export const Contextual = {
  User: contextual('user'),
  Kernel: contextual('kernel'),
  Asid: contextual('asid'),
  In: contextual('in'),
  At: contextual('at'),
  Max: contextual('max'),
  Fault: contextual('fault'),
  Holds: contextual('holds'),
  Violated: contextual('violated'),
  Mm: contextual('mm'),
  File: contextual('file'),
  Vma: contextual('vma'),
  Frame: contextual('frame'),
  Page: contextual('page'),
  Tlb: contextual('tlb'),
  WordKind: contextual('word'),
  Spinlock: contextual('spinlock'),
  Rwsem: contextual('rwsem'),
  Int: contextual('int'),
  None: contextual('none'),
  Swap: contextual('swap'),
  Owner: contextual('owner'),
  References: contextual('references'),
  Free: contextual('free'),
  SplitPtl: contextual('split-ptl'),
  Deferred: contextual('deferred'),
  DeferredEarly: contextual('deferred-early'),
  Driver: contextual('driver'),
  Anon: contextual('anon'),
  Backing: contextual('backing'),
  Device: contextual('device'),
  Record: contextual('record'),
  Of: contextual('of'),
  Hardware: contextual('hardware'),
} as const;

export const Sign = {
  Arrow: sign('->', 'Arrow'),
  Dots: sign('..', 'Dots'),
  Dot: sign('.', 'Dot'),
  Semicolon: sign(';', 'Semicolon'),
  Colon: sign(':', 'Colon'),
  Comma: sign(',', 'Comma'),
  AtSign: sign('@', 'AtSign'),
  OpenBrace: sign('{', 'OpenBrace'),
  CloseBrace: sign('}', 'CloseBrace'),
  Open: sign('(', 'Open'),
  Close: sign(')', 'Close'),
  OpenSquare: sign('[', 'OpenSquare'),
  CloseSquare: sign(']', 'CloseSquare'),
  Meet: sign('/\\', 'Meet'),
  Join: sign('\\/', 'Join'),
  Tilde: sign('~', 'Tilde'),
  Not: sign('!', 'Not'),
} as const;

/** `=` and `*` and `&` have other uses, too. */
export const Equals = sign('=', 'Equals');
export const Star = sign('*', 'Star');
export const Ampersand = sign('&', 'Ampersand');
export const Bar = sign('|', 'Bar');
export const Assignment = createToken({ name: 'Assignment', pattern: /(?:\+|-|&|\||\^)=/, label: 'an assignment' });
/** `!=` is one in a final condition too. */
export const Compare = createToken({ name: 'Compare', pattern: /==|!=|<=|>=|<(?!<)|>(?!>)/, label: 'a comparison' });
export const Operator = createToken({ name: 'Operator', pattern: /\|\||&&|<<|>>|\^|\+|-/, label: 'an operator' });

function lengthOf({ PATTERN }: TokenType): number {
  return String(PATTERN).length;
}

/** In the order in which they are tried. */
export const TOKENS: TokenType[] = [
  Blank,
  HerdComment,
  BlockComment,
  LineComment,
  Text,
  Integer,
  Cpu,
  // Longer ones first: of `int` not `in` is tried.
  ...[...Object.values(Keyword), ...Object.values(Contextual)].sort((a, b) => lengthOf(b) - lengthOf(a)),
  Word,
  Sign.Arrow,
  Sign.Dots,
  Sign.Meet,
  Sign.Join,
  Assignment,
  Compare,
  Operator,
  Equals,
  Star,
  Ampersand,
  Bar,
  ...Object.values(Sign).filter((token) => ![Sign.Arrow, Sign.Dots, Sign.Meet, Sign.Join].includes(token)),
];

/** What an item of a scenario, and a declaration of the initial state, may begin with. */
export const ITEMS: readonly TokenType[] = [
  Keyword.Parameter,
  Keyword.Variant,
  Keyword.Invariant,
  Keyword.Init,
  Keyword.Function,
  Cpu,
  Keyword.Afterwards,
  Keyword.Expect,
  Keyword.Locations,
  Keyword.Exists,
  Keyword.Forall,
];
export const DECLARATIONS: readonly TokenType[] = [
  Contextual.Mm,
  Contextual.File,
  Contextual.Vma,
  Contextual.Frame,
  Contextual.Page,
  Contextual.Tlb,
  Contextual.Hardware,
  Contextual.WordKind,
  Contextual.Spinlock,
  Contextual.Rwsem,
  Keyword.If,
];
