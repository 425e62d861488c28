// Tokens: what goes in comes out, and what was damaged is told.

import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  Check,
  decodeToken,
  encodeToken,
  mayBeOf,
  programId,
  scenarioId,
  type TokenContent,
  variantsWithId,
} from '../../src/explore/schedule.ts';
import type { LitmusProgram } from '../../src/litmus/program.ts';
import { cleanRace } from '../support/races.ts';

const stretchOf = (cpus: number) =>
  fc
    .record({
      cpu: fc.nat(cpus - 1),
      points: fc.integer({ min: 1, max: 100_000 }),
      choices: fc.array(fc.nat(1000), { maxLength: 4 }),
      check: fc.nat(255),
    })
    .map((stretch) => ({ ...stretch, choices: stretch.choices.slice(0, stretch.points) }));

const contents: fc.Arbitrary<TokenContent> = fc.integer({ min: 1, max: 31 }).chain((cpus) =>
  fc
    .record({
      scenario: fc.nat(0xffffffff),
      program: fc.nat(0xffffff),
      invariant: fc.nat(63),
      stretches: fc.array(stretchOf(cpus), { maxLength: 20 }),
    })
    .map(({ stretches, ...head }) => ({
      ...head,
      cpus,
      schedule: stretches.map(({ cpu, points, choices }) => ({ cpu, points, choices })),
      checks: stretches.map(({ check }) => check),
    })),
);

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('a token', () => {
  property.prop([contents])('says what was put into it', (content) => {
    const token = encodeToken(content);
    expect(token).toMatch(/^2[\w-]+$/);
    expect(decodeToken(token)).toEqual(content);
  });

  property.prop([contents, fc.nat(), fc.nat(62)])('is malformed when a letter was changed', (content, at, by) => {
    const token = encodeToken(content);
    const place = 1 + (at % (token.length - 1));
    const other = LETTERS[(LETTERS.indexOf(token[place] ?? '') + 1 + by) % LETTERS.length];
    const changed = token.slice(0, place) + other + token.slice(place + 1);
    fc.pre(changed !== token);
    expect(decodeToken(changed)).toHaveProperty('malformed');
  });

  // Seeded, for one in 65,536 would pass.
  property.prop([contents, fc.nat()], { seed: 1 })('is malformed when it was cut', (content, at) => {
    const token = encodeToken(content);
    expect(decodeToken(token.slice(0, at % token.length))).toHaveProperty('malformed');
  });

  property.prop([fc.string()])('is never anything else than malformed or a content', (text) => {
    expect(() => decodeToken(text)).not.toThrow();
  });

  test.each([
    ['', 'it is empty'],
    ['2', 'it is not complete'],
    ['1abc', 'its version is "1", and this program reads version "2"'],
    ['2ab c', '" " is no letter of a token'],
    ['2EO5xqWwQvQUDEl5P-hLfExwUprt2', 'its checksum is wrong: a letter was lost or changed'],
  ])('%j is malformed', (token, malformed) => {
    expect(decodeToken(token)).toEqual({ malformed });
  });

  test('of a race of eight stretches has a few dozen letters', () => {
    const schedule = Array.from({ length: 8 }, (_, n) => ({ cpu: n % 3, points: 5 + 7 * n, choices: [] }));
    const checks = schedule.map((_, n) => n);
    const token = encodeToken({ scenario: 1, program: 1, invariant: 5, cpus: 3, schedule, checks });
    expect(token.length).toBeLessThan(60);
  });
});

describe('of which program', () => {
  const program = cleanRace();
  const code = (change: (program: LitmusProgram) => Partial<LitmusProgram>) =>
    programId({ ...program, ...change(program) });

  test('the same scenario gives the same number, in whatever order its parts are', () => {
    const { world } = program;
    const turned = Object.fromEntries(Object.entries(world).reverse()) as unknown as typeof world;
    expect(programId({ ...cleanRace(), world: turned })).toBe(programId(program));
  });

  test('lines, titles and names of registers do not matter', () => {
    const bare = program.cpus.map((cpu) => ({ ...cpu, title: 'x', registers: { 1: 'r' }, lines: [] }));
    expect(code(() => ({ cpus: bare }))).toBe(programId(program));
  });

  test.each<[string, (program: LitmusProgram) => Partial<LitmusProgram>]>([
    ['an instruction', ({ cpus }) => ({ cpus: cpus.map((cpu) => ({ ...cpu, code: cpu.code.slice(1) })) })],
    ['the machine', ({ world }) => ({ world: { ...world, machine: 'nowcheck' } })],
    ['what a word is at the start', ({ world }) => ({ world: { ...world, words: [{ name: 'bit', value: 1n }] } })],
    ['a symbol', ({ symbols }) => ({ symbols: [...symbols].reverse() })],
    ['what runs afterwards', () => ({ afterwards: undefined })],
  ])('%s matters', (_, change) => {
    expect(code(change)).not.toBe(programId(program));
  });

  test('a variant is known by its values, in whatever order', () => {
    expect(scenarioId('a', { x: '1', y: '2' })).toBe(scenarioId('a', { y: '2', x: '1' }));
    expect(scenarioId('a', { x: '1' })).not.toBe(scenarioId('a', { x: '2' }));
    expect(scenarioId('a', { x: '1' })).not.toBe(scenarioId('b', { x: '1' }));
  });
});

property.prop([fc.string(), fc.dictionary(fc.string(), fc.string())])(
  'a number tells by the name alone that it is not of most other scenarios',
  (name, variant) => {
    const id = scenarioId(name, variant);
    expect(mayBeOf(name, id)).toBe(true);
    const others = Array.from({ length: 256 }, (_, n) => `${name}${n}`);
    expect(others.filter((other) => mayBeOf(other, id)).length).toBeLessThan(16);
  },
);

describe('the variant of a number', () => {
  const parameters = [
    { name: 'flush', values: ['early', 'late', 'none'] },
    { name: 'act', values: ['first', 'last'] },
    { name: 'machine', values: ['recheck', 'swdirty'] },
  ];

  test('is found among all, by values in any order', () => {
    for (const flush of ['early', 'late', 'none'])
      for (const act of ['first', 'last'])
        for (const machine of ['recheck', 'swdirty']) {
          const id = scenarioId('race', { machine, act, flush });
          expect(variantsWithId('race', parameters, id)).toEqual([{ flush, act, machine }]);
        }
  });

  test('of none is none', () => {
    expect(variantsWithId('race', parameters, scenarioId('race', { flush: 'never' }))).toEqual([]);
    expect(
      variantsWithId('other', parameters, scenarioId('race', { act: 'first', flush: 'late', machine: 'recheck' })),
    ).toEqual([]);
  });
});

test('a check tells kinds and places apart, and their order', () => {
  const byte = (...accesses: readonly (readonly [number, object])[]) => {
    const check = new Check();
    for (const [kind, place] of accesses) check.add(kind, place);
    return check.byte;
  };
  const [x, y] = [
    { of: 'word', name: 'x' },
    { of: 'word', name: 'y' },
  ];
  const checks = [byte([1, x]), byte([2, x]), byte([1, y]), byte([1, x], [1, y]), byte([1, y], [1, x]), byte()];
  expect(new Set(checks).size).toBe(checks.length);
});
