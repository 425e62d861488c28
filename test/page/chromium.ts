// A real Chromium for tests that open pages of their own, and what such a page complained about.
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright';
import { afterAll, beforeAll, inject } from 'vitest';

export interface Opened {
  readonly page: Page;
  /** What it wrote to the console as an error or a warning, and exceptions that nobody caught. */
  readonly complaints: readonly string[];
}

/** To be called at the top of a test file: opens pages, each in a context of its own, and closes all at the end. */
export function useChromium(): (url: string, options?: BrowserContextOptions) => Promise<Opened> {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch(inject('launchOptions'));
  }, 60_000);
  afterAll(() => browser.close());
  return async (url, options) => {
    const page = await (await browser.newContext(options)).newPage();
    page.setDefaultTimeout(10_000);
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(url);
    return { page, complaints };
  };
}
