// Threads of Node that race, from the sources as they are now.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';
import type { FromRacer, RacerThread, ToRacer } from '../../src/stress/index.ts';

const SOURCE = `
import { parentPort } from 'node:worker_threads';
import { race } from './src/stress/worker.ts';
parentPort.on('message', (message) => race(message, (answer) => parentPort.postMessage(answer)));
`;

export interface Racers {
  readonly spawn: () => RacerThread;
  /** Threads that are there now. */
  readonly alive: number;
  /** The threads themselves, in the order in which they were made. */
  readonly all: readonly Worker[];
}

/** To be called at the top of a test file. */
export function useRacers(): Racers {
  const directory = mkdtempSync(join(tmpdir(), 'pagewalk-'));
  const script = join(directory, 'racer.mjs');
  const all: Worker[] = [];
  let alive = 0;
  beforeAll(async () => {
    await build({
      stdin: { contents: SOURCE, resolveDir: join(import.meta.dirname, '../..'), loader: 'ts' },
      outfile: script,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      logLevel: 'error',
    });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return {
    all,
    get alive() {
      return alive;
    },
    spawn() {
      const worker = new Worker(script);
      all.push(worker);
      alive++;
      let reason = 'it was ended';
      worker.on('error', (error) => {
        reason = error.message;
      });
      worker.on('exit', () => alive--);
      return {
        post: (message: ToRacer) => worker.postMessage(message),
        onMessage: (listener: (message: FromRacer) => void) => worker.on('message', listener),
        onEnd: (listener: (reason: string) => void) => worker.on('exit', () => listener(reason)),
        end: () => worker.terminate(),
      };
    },
  };
}
