// Diagrams, byte for byte, and what holds of all of them.

import { describe, expect, test } from 'vitest';
import { explore } from '../../src/explore/explore.ts';
import { type Trace, trace } from '../../src/explore/trace.ts';
import { libraryInvariant } from '../../src/litmus/invariants.ts';
import type { LitmusProgram } from '../../src/litmus/program.ts';
import { diagramOf } from '../../src/report/diagram.ts';
import { diagramsSvg } from '../../src/report/diagramsvg.ts';
import { diagramText, type Style } from '../../src/report/diagramtext.ts';
import { traceJson } from '../../src/report/tracejson.ts';
import { expectGolden } from '../cli/harness.ts';
import { EMPTY_WORLD, makeCpu, makeProgram, ops, set, store, words } from '../support/litmus.ts';
import { cleanRace } from '../support/races.ts';

const sentenceOf = (name: string) => libraryInvariant(name)?.sentence;

async function violation(program: LitmusProgram, invariant: string): Promise<Trace> {
  const { verdicts } = await explore(program);
  const schedule = verdicts.find((verdict) => verdict.invariant === invariant)?.counterexample?.schedule;
  if (schedule === undefined) throw new Error(`${invariant} is not violated`);
  return trace(program, schedule);
}

const RACES: readonly (readonly [string, LitmusProgram])[] = [
  ['flush-after-act', cleanRace({ flush: 'after' })],
  ['no-flush', cleanRace({ flush: 'none', dirty: false })],
  ['three-bystanders', cleanRace({ flush: 'after', bystanders: 3 })],
];

describe.each(RACES)('%s', (name, program) => {
  const diagram = async () => diagramOf(await violation(program, 'WRITEBACK'), sentenceOf);

  test.each([80, 120])('as text of %i columns', async (width) => {
    const lines = diagramText(await diagram(), { width });
    expect(lines.filter((line) => line.length > width)).toEqual([]);
    expectGolden(`diagram/${name}-${width}.txt`, `${lines.join('\n')}\n`);
  });

  test('as SVG', async () => {
    const svg = diagramsSvg([{ title: `${name}: WRITEBACK`, diagram: await diagram() }]);
    expectWellFormed(svg);
    expect(svg).not.toMatch(/<script|href|url\(|@import/);
    expectGolden(`diagram/${name}.svg`, svg);
  });

  test('colours change nothing but colours', async () => {
    const style = (format: Style, text: string) => `<${format}>${text}</${format}>`;
    const painted = diagramText(await diagram(), { width: 100, style }).map((line) =>
      line.replace(/<\/?\w+>/g, '').trimEnd(),
    );
    expect(painted).toEqual(diagramText(await diagram(), { width: 100 }));
  });
});

test('as JSON, with every step', async () => {
  const found = await violation(cleanRace({ flush: 'after' }), 'WRITEBACK');
  const text = traceJson(found, diagramOf(found, sentenceOf));
  expect(JSON.parse(text).steps.length).toBe(found.steps.length);
  expectGolden('diagram/flush-after-act.json', `${JSON.stringify(JSON.parse(text), null, 1)}\n`);
});

test('several in one SVG, and none', () => {
  const empty = { columns: [], start: [], rows: [], end: [], verdicts: [] };
  const two = diagramsSvg([
    { title: 'a < b', diagram: empty },
    { title: '"c" & d', diagram: empty },
  ]);
  expectWellFormed(two);
  expect(two).toContain('<title id="title">a &lt; b; &quot;c&quot; &amp; d</title>');
  expectWellFormed(diagramsSvg([]));
});

test('a deadlock ends with a row for each CPU that waits', async () => {
  const eat = (first: number, second: number) => [
    { op: ops.OP_SPIN_LOCK, c: first },
    { op: ops.OP_SPIN_LOCK, c: second },
    { op: ops.OP_SPIN_UNLOCK, c: second },
    { op: ops.OP_SPIN_UNLOCK, c: first },
  ];
  const program = makeProgram({
    world: { ...EMPTY_WORLD, locks: ['left', 'right'].map((name) => ({ name, kind: 'spin' })) },
    symbols: ['left', 'right'].map((name) => ({ of: 'lock', name })),
    cpus: [makeCpu('P0', eat(0, 1)), makeCpu('P1', eat(1, 0))],
  });
  const { rows, verdicts } = diagramOf(await violation(program, 'DEADLOCK'), sentenceOf);
  expect(rows.slice(-2)).toMatchObject([
    { column: 0, first: undefined, notes: ['waits for right for ever'] },
    { column: 1, first: undefined, notes: ['waits for left for ever'] },
  ]);
  expect(verdicts).toEqual(['DEADLOCK is violated: Somebody can go on, or all have ended.']);
});

test('a program without lines is told by its accesses', async () => {
  const { words: list, symbols } = words(2);
  const program = makeProgram({
    world: { ...EMPTY_WORLD, words: list },
    symbols,
    cpus: [makeCpu('P0', [set(1, 7n), store(0, 1), { op: ops.OP_LOAD64, d: 2, c: 1 }, store(1, 1)])],
  });
  const { rows } = diagramOf(await trace(program, [{ cpu: 0, points: 3, choices: [] }]));
  expect(rows).toMatchObject([
    { text: 'store a', changes: ['a: 0 → 7'] },
    { text: 'reads b: 0', changes: [] },
    { text: 'store b', changes: ['b: 0 → 7'] },
  ]);
});

/** Every element is closed, in order, and no & stands alone. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [tag, slash, name, rest] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*)>/g)) {
    if (slash === '/') expect(open.pop(), tag).toBe(name);
    else if (!rest?.endsWith('/')) open.push(name ?? '');
  }
  expect(open).toEqual([]);
  expect(svg.replace(/<style>[^<]*<\/style>/, '')).not.toMatch(/&(?!(amp|lt|gt|quot);)/);
}
