// The harness on Web Workers, in a page that is cross-origin isolated, and in one that is not.
//
// Needs a build in build/, as `npm test` makes it. How often an outcome is seen is up to the machine, so a race goes on, in seconds, until it
// has shown what it is to show.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import {
  agreementOf,
  catalogue,
  explore,
  racerOf,
  type Scenario,
  type StressResult,
  stress,
  variantsOf,
} from 'pagewalk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useChromium } from './chromium.ts';

const open = useChromium();
const servers: ChildProcess[] = [];
let isolated: string;
let plain: string;

beforeAll(async () => {
  [isolated, plain] = await Promise.all([serve(), serve('--plain')]);
});

afterAll(() => {
  for (const server of servers) server.kill();
});

/** Scenario, and the number of its variant. */
const RACES = [
  ['message-passing', 'MP-sc'],
  ['clean-against-writer', 'B3'],
  ['dining-philosophers', 'philosophers-eat'],
] as const;

describe.each(RACES)('%s %s', (name, id) => {
  test('shows on Web Workers what it shows in Node, and nothing that the explorer does not know', async () => {
    const { scenario, variant } = await raceOf(name, id);
    const explored = await explore(scenario, { variant });
    expect(explored.exhaustive).toBe(true);
    const inNode = await stress(scenario, { variant, spawn: spawnInNode, budgetMs: 1000 });
    expect(agreementOf([inNode], explored).disagreements).toEqual([]);

    const { page, complaints, race } = await openRacing();
    const wanted = statesOf([inNode], inNode.executions / 1000);
    const races: StressResult[] = [];
    for (let seed = 1; seed <= 8; seed++) {
      races.push(await race({ name, id, seed }));
      if (isSubset(wanted, statesOf(races))) break;
    }
    expect(races.every(({ executions }) => executions > 0)).toBe(true);
    expect(races.flatMap(({ deaths }) => deaths)).toEqual([]);
    expect(agreementOf(races, explored).disagreements).toEqual([]);
    // What Node's threads showed more often than once in a thousand times.
    expect([...statesOf(races)]).toEqual(expect.arrayContaining([...wanted]));
    expect(complaints).toEqual([]);
    await page.close();
  });
});

test('a worker whose script is not there is told, and no race is left behind', async () => {
  const { page, race } = await openRacing();
  const { deaths, executions, cut } = await race({ name: 'message-passing', id: 'MP-sc', script: '/no-such-file.js' });
  expect(deaths[0]).toMatch(/^racer \d: its script could not be loaded$/);
  expect({ executions, cut }).toEqual({ executions: 0, cut: true });
  await page.close();
});

test('the page of the examples races', async () => {
  const { page, complaints } = await open(isolated);
  await page.waitForFunction(() => document.querySelectorAll('option').length > 0);
  await page.click('button');
  await page.waitForFunction(() =>
    /^[\d,]+ executions/.test(document.querySelector('[role=status]')?.textContent ?? ''),
  );
  const grades = await page.locator('tbody td:nth-child(3)').allTextContents();
  expect(grades.length).toBeGreaterThan(0);
  expect(grades).not.toContain('forbidden');
  expect(complaints).toEqual([]);
  await page.close();
});

test('a page that is not isolated is told which headers to send', async () => {
  const { page, complaints } = await open(plain);
  expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(false);
  await page.waitForFunction(() => document.querySelectorAll('option').length > 0);
  await page.click('button');
  const said = page.locator('[role=status]');
  await said.filter({ hasText: 'SharedArrayBuffer' }).waitFor();
  expect(await said.textContent()).toContain('Cross-Origin-Opener-Policy: same-origin');
  expect(await said.textContent()).toContain('Cross-Origin-Embedder-Policy: require-corp');
  expect(complaints).toEqual([]);
  await page.close();
});

async function raceOf(name: string, id: string) {
  const scenario = (await catalogue()).find((entry) => entry.name === name)?.scenario as Scenario;
  const found = variantsOf(scenario).find((each) => each.id === id);
  if (found === undefined) throw new Error(`${name} has no variant ${id}`);
  return { scenario, variant: found.variant };
}

function spawnInNode() {
  return racerOf(new Worker(new URL('../../build/worker.js', import.meta.url)));
}

/** What test/page/race.js takes. */
interface Race {
  readonly name: string;
  readonly id: string;
  readonly seed: number;
  readonly script: string;
  readonly budgetMs: number;
}

/** A page in which `race` races on Web Workers. */
async function openRacing() {
  const opened = await open(isolated);
  await opened.page.addScriptTag({ type: 'module', url: '/test/page/race.js' });
  await opened.page.waitForFunction(() => 'race' in globalThis);
  const race = (what: Partial<Race> & Pick<Race, 'name' | 'id'>): Promise<StressResult> =>
    opened.page.evaluate(
      (what) => (globalThis as unknown as { race(what: object): Promise<StressResult> }).race(what),
      { script: '/build/worker.js', budgetMs: 1000, seed: 1, ...what },
    );
  return { ...opened, race };
}

/** States seen more often than so many times. */
function statesOf(races: readonly StressResult[], times = 0): ReadonlySet<string> {
  return new Set(
    races.flatMap(({ outcomes }) => outcomes.flatMap(({ state, count }) => (count > times ? [state] : []))),
  );
}

function isSubset(part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean {
  return [...part].every((each) => whole.has(each));
}

/** Starts the server of the examples at a free port; the address of its page. */
async function serve(...options: string[]): Promise<string> {
  const server = spawn(process.execPath, ['examples/serve.js', ...options], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers.push(server);
  const [address] = await once(createInterface(server.stdout), 'line');
  return String(address);
}
