// The HTML report: byte for byte but for its script and style, and what holds of every one. How it looks and works: test/page/report.test.ts.
//
// Needs a build in build/, as `npm test` makes it.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { modelOf } from '../../src/report/html/model.ts';
import { pack, unpack, walkOf } from '../../src/report/html/walk.ts';
import { reportHtml } from '../../src/report/html.ts';
import { expectGolden } from '../cli/harness.ts';
import { checkedVariants, HARM } from '../support/checked.ts';

const ABOUT = {
  version: '1.2.3',
  date: '2 January 2026, 03:04 UTC',
  machine: '2 processors & <more>',
  seconds: 12.34,
  command: 'pagewalk check --report "a b.html"',
};

describe('of a few variants', async () => {
  const checked = await checkedVariants();
  const html = reportHtml(checked, ABOUT);
  const markup = html.replace(/(<(?:style|script)>)[\s\S]*?(<\/(?:style|script)>)/g, '$1$2');

  test('is what it was', () => {
    const readable = markup.replace(/'sha256-[^']*'/g, "'sha256'").replace(/></g, '>\n<');
    expectGolden('report/few.html', readable);
  });

  test('equal findings give equal bytes', () => {
    expect(reportHtml(checked, ABOUT) === html).toBe(true);
  });

  test('refers to nothing outside itself', () => {
    expect(markup.match(/<[^<>]*\s(src|srcset|action|poster|formaction)=/i)).toBe(null);
    expect(
      [...markup.matchAll(/href="([^"]*)"/g)].map(([, to]) => to).filter((to) => !/^(#|data:,$)/.test(to ?? '')),
    ).toEqual([]);
    expect(/<style>([\s\S]*?)<\/style>/.exec(html)?.[1]?.match(/@import|url\(/)).toBe(null);
    expect(markup.match(/<[^<>]*\s(style|on\w+)=/)).toBe(null);
  });

  test('its policy lets in its own script and style only', () => {
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
    expect(policy).toMatch(/^default-src 'none'; /);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    for (const element of ['script', 'style']) {
      const content = new RegExp(`<${element}>([\\s\\S]*?)</${element}>`).exec(html)?.[1] ?? '';
      expect(content.length).toBeGreaterThan(1000);
      expect(policy).toContain(`${element}-src 'sha256-${createHash('sha256').update(content).digest('base64')}'`);
    }
  });

  test('texts of scenarios stay texts', () => {
    const harm = HARM.replace(/"/g, "'");
    expect(checked[0]?.scenario.sentence).toContain(harm);
    expect(html.includes(harm)).toBe(false);
    expect(markup.match(/<(img|i>|b>mm|stale|more|memory)/)).toBe(null);
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html.match(/<\/script/g)).toHaveLength(2);
  });

  test('every id is given once, and every link in it leads somewhere', () => {
    const ids = [...markup.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const targets = [...markup.matchAll(/href="#([^"]*)"/g)].map(([, id]) => id);
    expect(targets.filter((id) => !ids.includes(id))).toEqual([]);
  });

  test('every surprise is told at the top and with its variant', () => {
    expect(/<h1>(.*?)<\/h1>/.exec(html)?.[1]).toBe('3 surprises');
    expect(html.match(/the explorer says that it holds/g)).toHaveLength(2);
    expect(html.match(/out of &lt;memory>/g)?.length).toBeGreaterThan(1);
  });

  test('a walk is the same after it was stored', () => {
    const traces = checked.flatMap(({ traces }) => [...traces.values()]);
    const walks = traces.map((trace) => walkOf(trace, () => undefined));
    expect(walks.length).toBeGreaterThan(1);
    const packed = JSON.parse(JSON.stringify(pack(walks)));
    expect(walks.map((_, n) => unpack(packed, n))).toEqual(walks);
  });

  test('the last state of a walk is the end of its execution', () => {
    const trace = checked[0]?.traces.get('UPLOAD');
    if (trace === undefined) throw new Error('UPLOAD is not violated');
    const { places, steps, rows } = walkOf(trace, () => undefined);
    const values = places.map(({ value }) => value);
    for (const { changes } of steps) for (const [place, value] of changes) values[place] = value;
    const shown = Object.fromEntries(places.map(({ name }, n) => [name, values[n]]));
    // The store is in the page, not in the copy, and nothing says so any more.
    expect(shown).toMatchObject({ F: '1', copy: '0', dirty: '0', 'PTE x': 'P W A' });
    expect(steps.length).toBe(trace.steps.length);
    for (const { row, cpu, column } of steps) if (row >= 0) expect([cpu, rows[row]?.column]).toEqual([cpu, column]);
  });
});

test('of nothing it says so', () => {
  expect(/<h1>(.*?)<\/h1>/.exec(reportHtml([], ABOUT))?.[1]).toBe('Nothing was checked');
});

test('what a bound left open contradicts no file', async () => {
  const [first] = await checkedVariants();
  if (first?.explored === undefined) throw new Error('it was not explored');
  const verdicts = first.explored.verdicts.map((verdict) => ({ ...verdict, verdict: 'unknown' as const }));
  const explored = { ...first.explored, verdicts, exhaustive: false, stopped: 'time' as const };
  const model = modelOf([{ ...first, explored, traces: new Map(), races: [], agreement: undefined }], ABOUT);
  const upload = model.scenarios[0]?.variants[0]?.verdicts.find(({ invariant }) => invariant === 'UPLOAD');
  expect(upload).toMatchObject({ found: 'unknown', differs: false, judgement: 'the file expects it to be violated' });
  expect(model.totals).toMatchObject({ surprises: 0, unknown: verdicts.length, holds: 0 });
});

test('of many surprises the first are told, and the others are folded away', async () => {
  const surprising = (await checkedVariants()).filter(({ races }) => races.some(({ deaths }) => deaths.length > 0));
  const html = reportHtml(Array.from({ length: 40 }, () => surprising).flat(), ABOUT);
  const section = /<section class="surprises"[\s\S]*?<\/section>/.exec(html)?.[0] ?? '';
  expect(section.match(/<li>/g)).toHaveLength(40);
  expect(section).toContain('<summary>25 further variants</summary>');
});
