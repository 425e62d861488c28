// The threads of Node as workers of a pool. They run this program's own file, which asks `isWorker` first.

import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { FromWorker, PoolWorker, ToWorker } from '../explore/pool.ts';
import { serve } from '../explore/worker.ts';
import { type FromRacer, type RacerThread, race, type ToRacer } from '../stress/index.ts';

/** Is this thread one that `spawnThread` made? */
export const isWorker = !isMainThread;

/** A thread that explores, of the program that `script` is. */
export function spawnThread(script: URL): PoolWorker {
  return threadOf<ToWorker, FromWorker>(script);
}

/** A thread that races. */
export function spawnRacer(script: URL): RacerThread {
  return threadOf<ToRacer, FromRacer>(script);
}

interface Thread<To, From> {
  post(message: To): void;
  onMessage(listener: (message: From) => void): void;
  onEnd(listener: (reason: string) => void): void;
  end(): Promise<unknown>;
}

/** A thread that runs `script` from its beginning. */
function threadOf<To, From>(script: URL): Thread<To, From> {
  const worker = new Worker(script, { stdout: false, stderr: false });
  let reason = 'it ended by itself';
  worker.on('error', (error) => {
    reason = error.message;
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on('message', listener),
    onEnd: (listener) => worker.on('exit', () => listener(reason)),
    end: () => worker.terminate(),
  };
}

/** In a worker: explores or races what comes, until it is ended. */
export function work(): void {
  const port = parentPort;
  port?.on('message', (message: ToWorker | ToRacer) => {
    if ('task' in message) race(message, (answer: FromRacer) => port.postMessage(answer));
    else void serve(message, (answer: FromWorker) => port.postMessage(answer));
  });
}
