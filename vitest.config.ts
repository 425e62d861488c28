// Three projects over one test tree: `browser` runs test/browser in a real Chromium, `page` runs test/page in Node, which drives that Chromium
// (pages of their own servers and files), and `node` runs everything else.
//
// The first two exist only where a Chromium does (CHROMIUM_PATH, or one of the usual places); otherwise a message
// says that it was left out, and the rest still runs.
import { existsSync } from 'node:fs';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';

const chromium = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== undefined && existsSync(path));

const node: TestProjectConfiguration = {
  test: {
    name: 'node',
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**', 'test/page/**'],
    pool: 'forks',
    testTimeout: 20_000,
  },
};

const launchOptions = {
  ...(chromium === undefined ? {} : { executablePath: chromium }),
  // Without --no-sandbox Chromium refuses to start as root, which is who runs in a container.
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'],
};

const page: TestProjectConfiguration = {
  test: {
    name: 'page',
    include: ['test/page/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 30_000,
    provide: { launchOptions },
  },
};

const browser: TestProjectConfiguration = {
  // Shared memory in a page takes cross-origin isolation. vitest honours these headers here and ignores them in a plugin.
  server: {
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    },
  },
  test: {
    name: 'browser',
    include: ['test/browser/**/*.test.ts'],
    testTimeout: 20_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions }),
      instances: [{ browser: 'chromium' }],
    },
  },
};

if (chromium === undefined) {
  console.warn('No Chromium was found: the browser tests are left out. CHROMIUM_PATH says where one is.');
}

declare module 'vitest' {
  interface ProvidedContext {
    /** How to start the Chromium that was found. */
    launchOptions: typeof launchOptions;
  }
}

export default defineConfig({
  test: {
    projects: chromium === undefined ? [node] : [node, page, browser],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
});
