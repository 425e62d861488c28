// Two projects over one test tree: `node` runs everything but test/browser, `browser` runs that in a real Chromium.
//
// The browser project exists only where a Chromium does (CHROMIUM_PATH, or one of the usual places); otherwise a message
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
    exclude: ['test/browser/**'],
    pool: 'forks',
    testTimeout: 20_000,
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
      provider: playwright({
        launchOptions: {
          ...(chromium === undefined ? {} : { executablePath: chromium }),
          // Without --no-sandbox Chromium refuses to start as root, which is who runs in a container.
          args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'],
        },
      }),
      instances: [{ browser: 'chromium' }],
    },
  },
};

if (chromium === undefined) {
  console.warn('No Chromium was found: the browser tests are left out. CHROMIUM_PATH says where one is.');
}

export default defineConfig({
  test: {
    projects: chromium === undefined ? [node] : [node, browser],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
});
