// What the parser does not ask of its own grammar each time it begins.

import { Lexer } from 'chevrotain';
import { expect, test } from 'vitest';
import { ScenarioParser } from '../../src/litmus/grammar.ts';
import { TOKENS } from '../../src/litmus/tokens.ts';

test('the tokens are valid', () => {
  expect(new Lexer(TOKENS).lexerDefinitionErrors).toEqual([]);
});

test('the grammar is valid: no alternative is hidden by another, no rule runs into itself', () => {
  expect(() => new ScenarioParser(true)).not.toThrow();
});
