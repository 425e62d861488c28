// Listings that are longer than memory, readers that go away or stall, and Ctrl-C.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { endlessTables } from '../image/tables.ts';
import { useCli } from './harness.ts';

const cli = useCli();
cli.file('endless.ptpg', endlessTables().ptpg());

const ENDLESS = ['walk', 'endless.ptpg', '--root', '0x1000', '--no-fold'];
const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=32' };

test('Ctrl-C ends at once, with a summary of exactly what was listed', async () => {
  const child = cli.start([...ENDLESS, '--json']);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(child.stdout, 'data');
  const pressed = performance.now();
  child.kill('SIGINT');
  const [status] = await once(child, 'close');
  expect(status).toBe(130);
  expect(performance.now() - pressed).toBeLessThan(2000);
  const lines = text.trimEnd().split('\n');
  const last = JSON.parse(lines.at(-1) ?? '');
  expect(last).toMatchObject({ mappings: lines.length - 1, bytes: (lines.length - 1) * 4096, interrupted: true });
});

test('Ctrl-C ends a search that finds nothing for ever', async () => {
  const child = cli.start(['walk', 'endless.ptpg', '--root', '0x1000', '--pa', '0xfffff000', '--json']);
  await sleep(700);
  child.kill('SIGINT');
  const [status] = await once(child, 'close');
  expect(status).toBe(130);
});

test('Ctrl-C ends it although the reader takes nothing', async () => {
  const child = cli.start(ENDLESS);
  await once(child.stdout, 'readable');
  await sleep(200);
  child.kill('SIGINT');
  const [status] = await once(child, 'exit');
  expect(status).toBe(130);
  child.stdout.destroy();
});

test('a reader that goes away ends it quietly', async () => {
  const child = cli.start(ENDLESS);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [status] = await once(child, 'close');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('a million lines pass through a heap of 32 MiB, though the reader dawdles', async () => {
  const child = cli.start([...ENDLESS, '--json', '--limit', '1000000'], SMALL_HEAP);
  let newlines = 0;
  for await (const chunk of child.stdout) {
    for (const byte of chunk as Uint8Array) newlines += byte === 10 ? 1 : 0;
    if (newlines < 100_000) await sleep(1);
  }
  expect(newlines).toBe(1_000_001);
  expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0);
});

test('output that cannot be written is an error', () => {
  const { status, stderr } = cli.runInto('/dev/full', [...ENDLESS, '--limit', '10']);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^pagewalk: writing the output failed: ENOSPC.*\n$/);
});
