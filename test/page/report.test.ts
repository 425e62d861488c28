// The HTML report in a real Chromium, opened from a file: light, dark, as narrow as a phone, by keyboard, without JavaScript, and printed.
//
// Needs a build in build/, as `npm test` makes it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportHtml } from '../../src/report/html.ts';
import { checkedVariants } from '../support/checked.ts';
import { useChromium } from './chromium.ts';

const open = useChromium();
const directory = mkdtempSync(join(tmpdir(), 'pagewalk-'));
const file = join(directory, 'report.html');
const url = pathToFileURL(file).href;

beforeAll(async () => {
  const about = {
    version: '1.2.3',
    date: '2 January 2026, 03:04 UTC',
    machine: 'a machine',
    seconds: 12,
    command: 'pagewalk check',
  };
  writeFileSync(file, reportHtml(await checkedVariants(), about));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const WIDE = { viewport: { width: 1280, height: 800 } };
const VIEWS: readonly (readonly [string, BrowserContextOptions])[] = [
  ['light', { ...WIDE, colorScheme: 'light' }],
  ['dark', { ...WIDE, colorScheme: 'dark' }],
  ['on a phone', { viewport: { width: 360, height: 740 }, colorScheme: 'light', hasTouch: true }],
  ['on a phone, dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true }],
];

describe.each(VIEWS)('%s', (_, options) => {
  test('it is drawn without a complaint, and nothing reaches over its sides', async () => {
    const { page, complaints } = await open(url, options);
    await openAll(page);
    expect(await page.title()).toBe('pagewalk: surprises');
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    expect(await page.evaluate(reachingOver)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('texts can be told from what is under them', async () => {
    const { page } = await open(url, options);
    await openAll(page);
    expect(await page.evaluate(pale)).toEqual([]);
    await page.close();
  });
});

test('light and dark differ', async () => {
  const papers: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await open(url, { ...WIDE, colorScheme });
    papers.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    await page.close();
  }
  expect(papers).toEqual(['rgb(255, 255, 255)', 'rgb(13, 17, 23)']);
});

describe('a counterexample', () => {
  test('is walked through by keys, buttons, slider and rows', async () => {
    const { page, complaints } = await open(url, WIDE);
    await page.locator('summary', { hasText: 'U1' }).focus();
    await page.keyboard.press('Enter');
    const stepper = page.locator('.stepper').first();
    await stepper.waitFor();
    const where = () => stepper.locator('.where').textContent();
    const slider = stepper.getByRole('slider');
    // It opens at its last step, which violates.
    const last = Number(/^step (\d+) of \1$/.exec((await where()) ?? '')?.[1]);
    expect(last).toBeGreaterThan(10);
    // Tab comes to it from what is before.
    await stepper.getByRole('button', { name: 'To the start' }).focus();
    await page.keyboard.press('ArrowLeft');
    expect(await where()).toBe(`step ${last - 1} of ${last}`);
    await page.keyboard.press('Home');
    expect(await where()).toBe(`step 0 of ${last}`);
    expect(await stateOf(stepper, 'PTE x')).toBe('P W A D');
    expect(await stateOf(stepper, 'P0')).toBe('x W D');
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    expect(await where()).toBe(`step 1 of ${last}`);
    expect(await stateOf(stepper, 'ptl(x)')).toMatch(/^P1/);
    await stepper.getByRole('button', { name: 'Step on' }).click();
    expect(await where()).toBe(`step 2 of ${last}`);
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/^step 2 of \d+: P1 /);
    await stepper.locator('.diagram tbody tr').last().getByRole('button').click();
    expect(await where()).toBe(`step ${last} of ${last}`);
    expect(await stepper.getByRole('status').textContent()).toContain('violates UPLOAD');
    expect(await stepper.locator('[aria-current=step]').count()).toBe(1);
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowRight');
    expect(await where()).toBe(`step ${last} of ${last}`);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('shows after each step what that step changed', async () => {
    const { page } = await open(url, WIDE);
    await openAll(page);
    const stepper = page.locator('.stepper').first();
    await stepper.getByRole('slider').focus();
    await page.keyboard.press('Home');
    const seen: string[] = [];
    const last = Number(await stepper.getByRole('slider').getAttribute('max'));
    for (let n = 1; n <= last; n++) {
      await page.keyboard.press('ArrowRight');
      expect(await stepper.locator('.state caption').textContent()).toBe(`State after step ${n}`);
      seen.push(...(await stepper.locator('.state tr.changed').allTextContents()));
    }
    // Taken, cleared, written back without D, released; then the store, and who reads D.
    expect(seen).toEqual(
      expect.arrayContaining(['ptl(x)P1was free', 'PTE xnonewas P W A D', 'PTE xP W Awas none', 'F1was 0']),
    );
    await page.close();
  });

  test('of a deadlock ends with who waits', async () => {
    const { page } = await open(`${url}#two-locks-only`, WIDE);
    const stepper = page.locator('#two-locks-only .stepper');
    await stepper.waitFor();
    expect(await stepper.locator('.diagram tbody tr', { hasText: 'for ever' }).count()).toBe(2);
    await page.close();
  });
});

test('every picture has its numbers in a table', async () => {
  const { page } = await open(url, WIDE);
  await openAll(page);
  const figures = page.locator('figure');
  expect(await figures.count()).toBeGreaterThan(2);
  for (const figure of await figures.all()) expect(await figure.locator('table tbody tr').count()).toBeGreaterThan(1);
  expect(
    await page.evaluate(() => [...document.querySelectorAll('svg.bar')].every((bar) => bar.closest('table'))),
  ).toBe(true);
  // Grades are told by a word, not by the colour of a bar alone.
  for (const row of await page.locator('.outcomes tbody tr:not(.unseen)').all()) {
    expect(await row.locator('.grade').textContent()).toMatch(/^(acceptable|interesting|forbidden)$/);
  }
  await page.close();
});

test('what has the focus can be seen, and everything has a name', async () => {
  const { page } = await open(url, WIDE);
  await openAll(page);
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll('button, a, input, summary, section[tabindex]')]
      .filter((element) => {
        const labels = element instanceof HTMLInputElement ? [...(element.labels ?? [])].map((l) => l.textContent) : [];
        return ![element.getAttribute('aria-label'), element.textContent, ...labels].some((text) => text?.trim());
      })
      .map((element) => element.outerHTML.slice(0, 100)),
  );
  expect(nameless).toEqual([]);
  await page.keyboard.press('Tab');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
  expect(outline).toBe('solid');
  const levels = await page.evaluate(() =>
    [...document.querySelectorAll('h1, h2, h3, h4, h5')].map(({ tagName }) => Number(tagName[1])),
  );
  expect(levels.filter((level, n) => n > 0 && level > (levels[n - 1] ?? 0) + 1)).toEqual([]);
  await page.close();
});

test('variants are filtered by words and by surprises', async () => {
  const { page } = await open(url, WIDE);
  const shown = () => page.locator('details.variant:visible').count();
  expect(await shown()).toBe(4);
  await page.getByRole('searchbox').fill('upload last');
  expect(await shown()).toBe(1);
  expect(await page.locator('#filter output').textContent()).toBe('1 of 4 variants');
  await page.getByRole('searchbox').fill('');
  await page.getByLabel('only surprises').check();
  expect(await shown()).toBe(2);
  expect(await page.locator('.card:visible').count()).toBe(1);
  await page.close();
});

test('without JavaScript the tables and the diagrams are there', async () => {
  const { page } = await open(url, { ...WIDE, javaScriptEnabled: false });
  await page.locator('summary', { hasText: 'U1' }).click();
  const variant = page.locator('details[open]', { hasText: 'flush = last' });
  expect(await variant.locator('.verdicts tbody tr').count()).toBe(1);
  expect(await variant.locator('.outcomes tbody tr').count()).toBe(3);
  expect(await variant.locator('.counterexample').innerText()).toContain('UPLOAD is violated');
  expect(await variant.locator('.token').innerText()).toMatch(/^pagewalk replay 2\S+ 'a file\.litmus'$/);
  expect(await page.locator('#filter').isVisible()).toBe(false);
  await page.close();
});

test('nothing moves for who asked for that, and what is only for the screen is not printed', async () => {
  const { page } = await open(url, { ...WIDE, reducedMotion: 'reduce' });
  await openAll(page);
  const row = page.locator('.diagram tbody tr').first();
  expect(await row.evaluate((element) => getComputedStyle(element).transitionDuration)).toBe('0s');
  expect(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior)).toBe('auto');
  await page.emulateMedia({ media: 'print' });
  for (const name of ['#filter', '.controls', '.token button']) {
    expect(await page.locator(name).first().isVisible(), name).toBe(false);
  }
  expect(await page.locator('.diagram').first().isVisible()).toBe(true);
  expect(await page.evaluate(() => getComputedStyle(document.body).color)).toBe('rgb(28, 33, 40)');
  await page.close();
});

async function openAll(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Open all' }).click();
  await page.locator('.stepper').last().waitFor();
}

async function stateOf(stepper: ReturnType<Page['locator']>, name: string): Promise<string | null> {
  const row = stepper
    .locator('.state tbody tr')
    .filter({ has: stepper.page().locator('th', { hasText: new RegExp(`^${name.replace(/[()]/g, '\\$&')}$`) }) });
  return row.locator('code').textContent();
}

// ---- in the page

/** Elements that reach over the right side, but for those inside of what scrolls by itself. */
function reachingOver(): string[] {
  const scrolls = (element: Element | null): boolean =>
    element !== null && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 && !scrolls(element.parentElement))
    .map((element) => element.outerHTML.slice(0, 100));
}

/** Texts whose contrast to their background is below 4.5 to 1 (WCAG 2.2, 1.4.3), but for steps that are still to come. */
function pale(): string[] {
  const numbers = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (color: string) => {
    const [r = 0, g = 0, b = 0] = numbers(color).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = (element: Element | null): string => {
    if (element === null) return 'rgb(255, 255, 255)';
    const { backgroundColor } = getComputedStyle(element);
    return (numbers(backgroundColor)[3] ?? 1) === 0 ? under(element.parentElement) : backgroundColor;
  };
  const found = new Set<string>();
  for (const element of document.querySelectorAll('body *:not(script):not(noscript)')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
    if (!own || element.closest('tr.ahead, :disabled, svg') !== null) continue;
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(under(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...found];
}
