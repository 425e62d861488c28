// Texts in columns: nothing is lost, nothing is too wide.

import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { fill, widths, wrap } from '../../src/report/layout.ts';

const words = fc
  .array(fc.stringMatching(/^[a-z(),_.]{1,30}$/), { minLength: 1, maxLength: 12 })
  .map((list) => list.join(' '));
const bare = (text: string) => text.replace(/\s/g, '');

describe('wrap', () => {
  property.prop([words, fc.integer({ min: 8, max: 60 })])('keeps every letter within the width', (text, width) => {
    const lines = wrap(text, width);
    expect(lines.every((line) => line.length <= width)).toBe(true);
    expect(bare(lines.join(''))).toBe(bare(text));
  });

  test.each([
    ['short', 10, ['short']],
    ['spin_lock(ptl(x))', 12, ['spin_lock(', '  ptl(x))']],
    ['one two three', 10, ['one two', '  three']],
    ['abcdefghijkl', 8, ['abcdefgh', 'ijkl']],
    ['  indented by two', 12, ['  indented', '    by two']],
  ])('%j in %i columns', (text, width, lines) => {
    expect(wrap(text, width)).toEqual(lines);
  });
});

test('fill puts what fits beside each other', () => {
  expect(fill(['a: 0 → 1', 'b = 2', 'c: free → P1'], 16)).toEqual(['a: 0 → 1, b = 2,', 'c: free → P1']);
  expect(fill([], 16)).toEqual([]);
});

describe('widths', () => {
  property.prop([fc.array(fc.nat(80), { minLength: 1, maxLength: 8 }), fc.integer({ min: 80, max: 200 })])(
    'gives nobody more than is wanted, and together no more than there is',
    (wanted, total) => {
      const least = 8;
      const given = widths(wanted, total, least);
      for (const [n, width] of given.entries()) expect(width).toBeLessThanOrEqual(Math.max(wanted[n] ?? 0, least));
      const sum = given.reduce((total, width) => total + width, 0);
      expect(sum).toBeLessThanOrEqual(Math.max(total, least * wanted.length));
    },
  );

  test('the narrow get what they want, the others share the rest', () => {
    expect(widths([5, 100, 100], 65, 8)).toEqual([5, 30, 30]);
  });
});
