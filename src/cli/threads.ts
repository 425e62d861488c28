// The threads of Node as workers of a pool. They run this program's own file, which does in them what work.ts says.

import { Worker } from 'node:worker_threads';
import type { FromWorker, PoolWorker, ToWorker } from '../explore/pool.ts';
import type { FromRacer, RacerThread, ToRacer } from '../stress/index.ts';

/** A thread that explores, of the program that `script` is. */
export function spawnThread(script: URL): PoolWorker {
  return threadOf<ToWorker, FromWorker>(script);
}

/** A thread that races, bound to `processor` if that is given. */
export function spawnRacer(script: URL, processor?: number): RacerThread {
  return threadOf<ToRacer, FromRacer>(script, processor);
}

interface Thread<To, From> {
  post(message: To): void;
  onMessage(listener: (message: From) => void): void;
  onEnd(listener: (reason: string) => void): void;
  end(): Promise<unknown>;
}

/** A thread that runs `script` from its beginning. */
function threadOf<To, From>(script: URL, processor?: number): Thread<To, From> {
  const worker = new Worker(script, { stdout: false, stderr: false, workerData: { processor } });
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
