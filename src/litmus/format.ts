// A scenario as text, in the one form that all files of the catalogue have.
//
// Guarantees: what is printed reads as the same tree; comments stay with the items they belong to; printing what was printed changes nothing.

import type {
  Body,
  Comments,
  Declaration,
  DeclarationBlock,
  Expectation,
  Expression,
  FinalCondition,
  FormalParameter,
  Item,
  Location,
  NumberExpression,
  Proposition,
  ScenarioFile,
  Statement,
  WordPart,
} from './ast.ts';
import { PRECEDENCE } from './precedence.ts';

const WIDTH = 110;
const INDENT = '  ';

/** Another way to write a name: what a formal parameter stands for. */
export type Rename = (name: string) => string;
const asWritten: Rename = (name) => name;

/** The canonical text of a scenario. */
export function format(file: ScenarioFile): string {
  const out = new Lines();
  out.comments(file.comments);
  out.add(`litmus ${file.name.text}${behind(file.comments)}`);
  out.blank();
  out.text('', file.sentence, '');
  for (const source of file.sources) out.text('source ', source, '');
  section(out, file.parameters, ({ name, values }) => {
    out.add(`parameter ${name.text} = ${values.map(({ text }) => text).join(' | ')}`);
  });
  section(out, file.variants, ({ name, settings }) => {
    const inside = settings.map(({ parameter, value }) => `${parameter.text} = ${value.text}`).join(', ');
    out.add(`variant ${name.text} ${inside === '' ? '{}' : `{ ${inside} }`}`);
  });
  section(out, file.invariants, ({ name, parameters, sentence, holds }) => {
    out.text(`invariant ${name.text}${formal(parameters)} `, sentence, '');
    out.append(` = ${expressionText(holds)};`);
  });
  if (file.init !== undefined) {
    section(out, [file.init], (init) => declarationBlock(out, 'init {', init));
  }
  for (const item of file.functions) {
    section(out, [item], ({ name, parameters, body }) => {
      block(out, `function ${name.text}${formal(parameters)} {`, body);
    });
  }
  for (const item of file.programs) {
    section(out, [item], ({ name, mode, mm, asid, title, body }) => {
      const runs = mm === undefined ? '' : ` ${mode} ${mm.text}${asid === undefined ? '' : ` asid ${asid}`}`;
      block(out, `${name.text}${runs}${title === '' ? '' : ` ${quoted(title)}`} {`, body);
    });
  }
  if (file.afterwards !== undefined) section(out, [file.afterwards], ({ body }) => block(out, 'afterwards {', body));
  section(out, file.expectations, (item) => expectation(out, item));
  if (file.locations !== undefined) {
    section(out, [file.locations], ({ locations }) => {
      out.add(`locations [${locations.map(locationText).join(', ')}]`);
    });
  }
  if (file.condition !== undefined) {
    section(out, [file.condition], (condition) => out.add(conditionText(condition)));
  }
  if (file.closing.length > 0) {
    out.blank();
    out.comments({ apart: false, before: file.closing, behind: undefined });
  }
  return out.toString();
}

/** What a statement shows on its own line: of a block the head only. */
export function headText(statement: Statement, rename: Rename = asWritten): string {
  switch (statement.kind) {
    case 'assign': {
      const { target, operator, value } = statement;
      return `${expressionText(target, rename)} ${operator} ${expressionText(value, rename)}`;
    }
    case 'call':
      return expressionText(statement.call, rename);
    case 'if':
      return `if (${expressionText(statement.condition, rename)})`;
    case 'while':
      return `while (${expressionText(statement.condition, rename)}) max ${statement.bound}`;
    case 'break':
    case 'return':
      return statement.kind;
    case 'await':
      return `await (${expressionText(statement.condition, rename)})`;
    case 'check':
      return `check ${statement.invariant.text}(${statement.arguments.map((arg) => expressionText(arg, rename)).join(', ')})`;
    case 'forbid':
    case 'permit':
      return `${statement.kind} ${statement.invariant.text}(${expressionText(statement.page, rename)})`;
    case 'atomic':
    case 'ghost':
    case 'syscall':
      return `${statement.kind}${statement.title === '' ? '' : ` ${quoted(statement.title)}`}`;
    case 'fault':
      return `on fault ${statement.page.text}`;
  }
}

export function expressionText(expression: Expression, rename: Rename = asWritten): string {
  switch (expression.kind) {
    case 'number':
      return numberText(expression);
    case 'name':
      return rename(expression.name);
    case 'call':
      return `${expression.name}(${expression.arguments.map((arg) => expressionText(arg, rename)).join(', ')})`;
    case 'word': {
      const base = expressionText(expression.base, rename);
      return expression.index === 0 ? `*${base}` : `${base}[${expression.index}]`;
    }
    case 'field':
      return `${expressionText(expression.page, rename)}.${expression.field}`;
    case 'unary': {
      const operand = expressionText(expression.operand, rename);
      return `${expression.operator}${expression.operand.kind === 'binary' ? `(${operand})` : operand}`;
    }
    case 'binary': {
      const binds = PRECEDENCE[expression.operator];
      const side = (operand: Expression, least: number) => {
        const text = expressionText(operand, rename);
        return operand.kind === 'binary' && PRECEDENCE[operand.operator] < least ? `(${text})` : text;
      };
      return `${side(expression.left, binds)} ${expression.operator} ${side(expression.right, binds + 1)}`;
    }
  }
}

export function conditionText({ quantifier, proposition }: FinalCondition): string {
  return `${quantifier} (${propositionText(proposition)})`;
}

function propositionText(proposition: Proposition): string {
  switch (proposition.kind) {
    case 'compare': {
      const side = (operand: Location | NumberExpression) =>
        'value' in operand ? numberText(operand) : locationText(operand);
      return `${side(proposition.left)} ${proposition.operator} ${side(proposition.right)}`;
    }
    case 'not':
      return `~${proposition.term.kind === 'not' ? '' : '('}${propositionText(proposition.term)}${proposition.term.kind === 'not' ? '' : ')'}`;
    case 'and':
      return proposition.terms
        .map((term) =>
          term.kind === 'and' || term.kind === 'or' ? `(${propositionText(term)})` : propositionText(term),
        )
        .join(' /\\ ');
    case 'or':
      return proposition.terms
        .map((term) => (term.kind === 'or' ? `(${propositionText(term)})` : propositionText(term)))
        .join(' \\/ ');
  }
}

export function locationText({ cpu, name }: Location): string {
  return cpu === undefined ? name : `${cpu}:${name}`;
}

function numberText({ value }: NumberExpression): string {
  return value < 4096n ? value.toString() : `0x${value.toString(16)}`;
}

function formal(parameters: readonly FormalParameter[]): string {
  return `(${parameters.map(({ kind, name }) => `${kind} ${name.text}`).join(', ')})`;
}

// ---- items

/** Items of one kind, an empty line before the first. */
function section<T extends Item>(out: Lines, items: readonly T[], write: (item: T) => void): void {
  items.forEach((item, n) => {
    if (n === 0 || item.comments?.apart) out.blank();
    out.comments(item.comments);
    write(item);
    out.append(behind(item.comments));
  });
}

function expectation(out: Lines, { invariant, verdict, variants, condition, because }: Expectation): void {
  const where =
    variants.length > 0
      ? ` in ${variants.map(({ text }) => text).join(', ')}`
      : condition === undefined
        ? ''
        : ` if ${expressionText(condition)}`;
  const head = `expect ${invariant.text} ${verdict}${where}`;
  if (because === '') {
    out.add(`${head};`);
    return;
  }
  const line = `${head} because ${quoted(because)};`;
  if (line.length <= WIDTH) {
    out.add(line);
    return;
  }
  out.add(head);
  out.indented(() => out.text('because ', because, ';'));
}

function declarationBlock(out: Lines, head: string, { declarations, closing }: DeclarationBlock): void {
  out.add(head);
  out.indented(() => {
    declarations.forEach((declaration, n) => {
      if (n > 0 && declaration.comments?.apart) out.blank();
      out.comments(declaration.comments);
      writeDeclaration(out, declaration);
      out.append(behind(declaration.comments));
    });
    out.comments({ apart: false, before: closing, behind: undefined });
  });
  out.add('}');
}

function writeDeclaration(out: Lines, declaration: Declaration): void {
  if (declaration.kind !== 'if') {
    out.add(declarationText(declaration));
    return;
  }
  const branches: Branch<DeclarationBlock>[] = [];
  let rest: DeclarationBlock | undefined = { declarations: [declaration], closing: [] };
  while (rest !== undefined) {
    const [only]: readonly Declaration[] = rest.declarations;
    const chained = rest.declarations.length === 1 && rest.closing.length === 0;
    if (!chained || only?.kind !== 'if' || (only !== declaration && !isBare(only))) {
      branches.push({ head: '', body: rest });
      break;
    }
    branches.push({ head: `if (${expressionText(only.condition)})`, body: only.then });
    rest = only.otherwise;
  }
  writeBranches(out, branches, shortDeclaration, declarationBlock);
}

/** A block of one declaration without comments, on one line. */
function shortDeclaration({ declarations, closing }: DeclarationBlock): string | undefined {
  const [only] = declarations;
  if (only === undefined || declarations.length > 1 || closing.length > 0 || !isBare(only)) return undefined;
  return only.kind === 'if' ? undefined : declarationText(only);
}

function declarationText(declaration: Exclude<Declaration, { kind: 'if' }>): string {
  switch (declaration.kind) {
    case 'mm':
      return `mm ${[declaration.name.text, ...declaration.options].join(', ')};`;
    case 'file': {
      const { name, driver } = declaration;
      const frame = driver?.frame === undefined ? '' : ` ${driver.frame.text}`;
      return `file ${name.text}${driver === undefined ? '' : `, driver${frame}`};`;
    }
    case 'spinlock':
    case 'rwsem':
      return `${declaration.kind} ${declaration.name.text};`;
    case 'word':
      return `word ${declaration.name.text} = ${numberText({ kind: 'number', at: declaration.at, value: declaration.value })}${partText(declaration.part)};`;
    case 'frame': {
      const { name, value, references, owner, folio, flags } = declaration;
      const belongs =
        folio === undefined ? '' : folio.kind === 'anon' ? ', anon' : `, in ${folio.file.text} @ ${folio.index}`;
      const owned = owner === undefined ? '' : `, owner ${owner.text}`;
      const counted = references === undefined ? '' : references === 0 ? ', free' : `, references ${references}`;
      const flagged = flags.length === 0 ? '' : ` :${flags.map(({ text }) => ` ${text}`).join('')}`;
      return `frame ${name.text} = ${value}${belongs}${owned}${counted}${flagged};`;
    }
    case 'page': {
      const { name, mm, va, entry } = declaration;
      const head = `page ${name.text} in ${mm.text}${va === undefined ? '' : ` at 0x${va.toString(16)}`}`;
      if (entry.kind === 'none') return `${head} : none;`;
      if (entry.kind === 'swap') return `${head} : swap(${entry.type}, ${entry.offset});`;
      const flags = entry.flags.map(({ text }) => ` ${text}`).join('');
      return `${head} -> ${entry.frame.text}${flags === '' ? '' : ` :${flags}`};`;
    }
    case 'vma': {
      const { name, mm, file, pgoff, first, last, flags } = declaration;
      const shows = file === undefined ? '' : ` -> ${file.text} @ ${pgoff}`;
      const over = `${first.text}${last === undefined ? '' : ` .. ${last.text}`}`;
      return `vma ${name.text} in ${mm.text}${shows} : ${over}${flags.map(({ text }) => ` ${text}`).join('')};`;
    }
    case 'hardware': {
      const { cpu, page, flags } = declaration;
      return `hardware ${cpu.text}${page === undefined ? '' : ` -> ${page.text}`} :${flags.map(({ text }) => ` ${text}`).join('')};`;
    }
    case 'tlb':
      return `tlb ${declaration.cpu.text} : ${declaration.page.text}${declaration.flags.map(({ text }) => ` ${text}`).join('')};`;
  }
}

function partText(part: WordPart | undefined): string {
  if (part === undefined) return '';
  switch (part.of) {
    case 'swap':
      return `, swap @ ${part.index}`;
    case 'record':
      return `, record of ${part.file.text}`;
    default:
      return `, ${part.of} of ${part.file.text}${part.index === 0n ? '' : ` @ ${part.index}`}`;
  }
}

// ---- statements

function block(out: Lines, head: string, body: Body): void {
  if (body.statements.length === 0 && body.closing.length === 0) {
    out.add(`${head}}`);
    return;
  }
  out.add(head);
  out.indented(() => {
    body.statements.forEach((statement, n) => {
      if (n > 0 && statement.comments?.apart) out.blank();
      out.comments(statement.comments);
      writeStatement(out, statement);
      out.append(behind(statement.comments));
    });
    out.comments({ apart: false, before: body.closing, behind: undefined });
  });
  out.add('}');
}

function writeStatement(out: Lines, statement: Statement): void {
  const head = headText(statement);
  switch (statement.kind) {
    case 'if':
      writeIf(out, statement);
      return;
    case 'while': {
      const short = shortStatement(statement.body);
      if (short === undefined || head.length + short.length >= WIDTH - 10) block(out, `${head} {`, statement.body);
      else out.add(`${head} ${short}`);
      return;
    }
    case 'atomic':
    case 'ghost':
    case 'syscall':
    case 'fault':
      block(out, `${head} {`, statement.body);
      return;
    default:
      out.add(`${head};`);
  }
}

function writeIf(out: Lines, statement: Statement & { kind: 'if' }): void {
  const branches: Branch<Body>[] = [];
  let rest: Body | undefined = { statements: [statement], closing: [] };
  while (rest !== undefined) {
    const [only]: readonly Statement[] = rest.statements;
    const chained = rest.statements.length === 1 && rest.closing.length === 0;
    if (!chained || only?.kind !== 'if' || (only !== statement && !isBare(only))) {
      branches.push({ head: '', body: rest });
      break;
    }
    branches.push({ head: headText(only), body: only.then });
    rest = only.otherwise;
  }
  writeBranches(out, branches, shortStatement, block);
}

/** `if`, `else if`, …, and `else`, which has no head. */
interface Branch<B> {
  readonly head: string;
  readonly body: B;
}

/** Each on a line if all are short, else all between braces. */
function writeBranches<B>(
  out: Lines,
  branches: readonly Branch<B>[],
  short: (body: B) => string | undefined,
  write: (out: Lines, head: string, body: B) => void,
): void {
  const headOf = ({ head }: Branch<B>, n: number) => (n === 0 ? head : `else${head === '' ? '' : ` ${head}`}`);
  const texts = branches.map((branch) => short(branch.body));
  const fits = branches.every((branch, n) => {
    const text = texts[n];
    return text !== undefined && headOf(branch, n).length + text.length < WIDTH - 10;
  });
  branches.forEach((branch, n) => {
    const head = headOf(branch, n);
    if (fits) out.add(`${head} ${texts[n]}`);
    else if (n === 0) write(out, `${head} {`, branch.body);
    else out.glue('} ', () => write(out, `${head} {`, branch.body));
  });
}

/** A body of one simple statement without comments, on one line. */
function shortStatement({ statements, closing }: Body): string | undefined {
  const [only] = statements;
  if (only === undefined || statements.length > 1 || closing.length > 0 || !isBare(only)) return undefined;
  if (['if', 'while', 'atomic', 'ghost', 'syscall', 'fault'].includes(only.kind)) return undefined;
  return `${headText(only)};`;
}

// ---- comments and lines

function isBare({ comments }: Item): boolean {
  return comments === undefined || (comments.before.length === 0 && comments.behind === undefined);
}

function behind(comments: Comments | undefined): string {
  return comments?.behind === undefined ? '' : ` ${comments.behind}`;
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

class Lines {
  readonly #lines: string[] = [];
  #indent = '';

  add(line: string): void {
    this.#lines.push(`${this.#indent}${line}`);
  }

  /** To the last line. */
  append(text: string): void {
    this.#lines.push(`${this.#lines.pop() ?? ''}${text}`);
  }

  blank(): void {
    if (this.#lines.length > 0 && this.#lines.at(-1) !== '') this.#lines.push('');
  }

  indented(write: () => void): void {
    const before = this.#indent;
    this.#indent += INDENT;
    write();
    this.#indent = before;
  }

  /** What `write` writes begins on the last line, whose closing brace becomes `start`. */
  glue(start: string, write: () => void): void {
    this.#lines.pop();
    const place = this.#lines.length;
    write();
    this.#lines[place] = `${this.#indent}${start}${(this.#lines[place] ?? '').trimStart()}`;
  }

  /** An empty one among them is an empty line. */
  comments(comments: Comments | undefined): void {
    for (const comment of comments?.before ?? []) {
      if (comment === '') this.blank();
      else this.add(comment);
    }
  }

  /** `head`, a text in quotes, `tail`: in pieces on lines of their own where it is too long. */
  text(head: string, text: string, tail: string): void {
    const room = WIDTH - this.#indent.length - head.length - tail.length - 2;
    const pieces: string[] = [];
    let rest = text;
    while (rest.length > room) {
      const space = rest.lastIndexOf(' ', room - 1);
      if (space <= 0) break;
      pieces.push(rest.slice(0, space + 1));
      rest = rest.slice(space + 1);
    }
    pieces.push(rest);
    const margin = ' '.repeat(head.length);
    pieces.forEach((piece, n) => {
      this.add(`${n === 0 ? head : margin}${quoted(piece)}${n === pieces.length - 1 ? tail : ''}`);
    });
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
