// From text to the tree: runs the lexer and the parser, and makes their complaints errors.

import { type ILexingError, type IRecognitionException, type IToken, Lexer } from 'chevrotain';
import type { ScenarioFile } from './ast.ts';
import type { Errors } from './errors.ts';
import { expectedOf, parser } from './grammar.ts';
import { TOKENS } from './tokens.ts';

let shared: Lexer | undefined;

/** The tree of `text`, or undefined with at least one error in `errors`. */
export function readSyntax(text: string, errors: Errors): ScenarioFile | undefined {
  shared ??= new Lexer(TOKENS, { skipValidations: true });
  const lexed = shared.tokenize(text);
  for (const error of lexed.errors) addLexingError(error, text, errors);
  const reader = parser();
  const file = reader.read(lexed.tokens, lexed.groups['comments'] ?? []);
  for (const error of reader.errors) addSyntaxError(error, lexed.tokens.at(-1), errors);
  for (const { at, length, message } of reader.refusals) errors.add(at, length, message);
  return errors.isEmpty ? file : undefined;
}

function addLexingError({ line, column, length, offset }: ILexingError, text: string, errors: Errors): void {
  const found = text.slice(offset, offset + Math.min(length, 20));
  const quote = found.startsWith('"');
  const message = quote ? 'a text in quotes ends on its line' : `${JSON.stringify(found)} means nothing here`;
  errors.add({ line: line ?? 1, column: column ?? 1 }, length, message, { found });
}

function addSyntaxError(error: IRecognitionException, last: IToken | undefined, errors: Errors): void {
  const { token } = error;
  // The end of the file has no place of its own: it is behind the last token.
  const atEnd = Number.isNaN(token.startLine ?? Number.NaN);
  const line = (atEnd ? last?.endLine : token.startLine) ?? 1;
  const column = (atEnd ? (last?.endColumn ?? 0) + 1 : token.startColumn) ?? 1;
  const found = atEnd ? 'the end of the file' : `\`${token.image}\``;
  const expected = expectedOf(error.message);
  const message = `expected ${either(expected)}, found ${found}`;
  errors.add({ line, column }, atEnd ? 1 : token.image.length, message, { found, expected });
}

function either(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? 'something else';
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
