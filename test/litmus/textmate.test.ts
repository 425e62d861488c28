// The TextMate grammar sees in every file of the catalogue what the lexer sees: comments, texts, numbers, reserved words, CPUs, operations.
import { readdirSync, readFileSync } from 'node:fs';
import { Lexer } from 'chevrotain';
import { describe, expect, test } from 'vitest';
import { operationsNamed } from '../../src/litmus/operations/index.ts';
import { Cpu, Integer, Keyword, Text, TOKENS, Word } from '../../src/litmus/tokens.ts';

interface Pattern {
  readonly name: string;
  readonly match?: string;
  readonly begin?: string;
  readonly end?: string;
}

const { patterns, scopeName } = JSON.parse(readFileSync('docs/litmus.tmLanguage.json', 'utf8')) as {
  patterns: Pattern[];
  scopeName: string;
};
const lexer = new Lexer(TOKENS);
const keywords: unknown[] = Object.values(Keyword);

describe.each(readdirSync('src/scenarios').filter((name) => name.endsWith('.litmus')))('%s', (name) => {
  const text = readFileSync(`src/scenarios/${name}`, 'utf8');

  test('has the scopes that its words are', () => {
    const scopes = scopesOf(text);
    const { tokens, groups } = lexer.tokenize(text);
    const wrong = [...tokens, ...(groups['comments'] ?? [])].flatMap((token) => {
      const wanted = wantedFor(token.tokenType, token.image, text, token.startOffset);
      const found = scopes[token.startOffset] ?? '';
      return found.startsWith(wanted) && (wanted !== '' || !/^(keyword\.control|support|string|comment)/.test(found))
        ? []
        : [`${token.startLine}: ${token.image} is ${found}, not ${wanted}`];
    });
    expect(wrong).toEqual([]);
  });
});

test('the scope is that of the document', () => {
  expect(readFileSync('docs/litmus.md', 'utf8')).toContain(`\`${scopeName}\``);
});

/** Scope that a token is to have, or begins with; '': none of those that are judged. */
function wantedFor(type: unknown, image: string, text: string, offset: number): string {
  if (keywords.includes(type)) return 'keyword.control';
  if (type === Text) return 'string.quoted';
  if (type === Integer) return 'constant.numeric';
  if (type === Cpu) return 'entity.name.function.cpu';
  if (/^(\(\*|\/\*|\/\/)/.test(image)) return 'comment';
  const isKnown = operationsNamed(image).length > 0 || image === 'ptl' || image === 'kmap_local_page';
  const isCall = type === Word && text[offset + image.length] === '(' && isKnown;
  return isCall ? 'support.function' : '';
}

/** By offset in the text; as editors do it: at each place the pattern that matches first, and of those at one place the first of the list. */
function scopesOf(text: string): string[] {
  const scopes: string[] = [];
  const compiled = patterns.map(({ name, match, begin, end }) => ({
    name,
    start: new RegExp(match ?? begin ?? '', 'gm'),
    end: end === undefined ? undefined : new RegExp(end, 'gm'),
  }));
  for (let at = 0; at < text.length; ) {
    let best: { from: number; to: number; name: string } | undefined;
    for (const { name, start, end } of compiled) {
      start.lastIndex = at;
      const found = start.exec(text);
      if (found === null || (best !== undefined && found.index >= best.from)) continue;
      let to = found.index + found[0].length;
      if (end !== undefined) {
        end.lastIndex = to;
        const closing = end.exec(text);
        to = closing === null ? text.length : closing.index + closing[0].length;
      }
      best = { from: found.index, to, name };
    }
    if (best === undefined) break;
    for (let n = best.from; n < best.to; n++) scopes[n] = best.name;
    at = Math.max(best.to, at + 1);
  }
  return scopes;
}
