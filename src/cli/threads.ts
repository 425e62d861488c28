// The threads of Node as workers of a pool. They run this program's own file, which asks `isWorker` first.

import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { FromWorker, PoolWorker, ToWorker } from '../explore/pool.ts';
import { serve } from '../explore/worker.ts';

/** Is this thread one that `spawnThread` made? */
export const isWorker = !isMainThread;

/** A thread that runs `script` from its beginning. */
export function spawnThread(script: URL): PoolWorker {
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

/** In a worker: explores what comes, until it is ended. */
export function work(): void {
  const port = parentPort;
  port?.on('message', (message: ToWorker) => {
    void serve(message, (answer: FromWorker) => port.postMessage(answer));
  });
}
