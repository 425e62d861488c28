// Workers as threads that race: Web Workers of a page, and Node's.
//
// Guarantees: whoever listens hears of the end exactly once, also of a worker that its host ends without a word, as pages do. A worker that
// fails is ended. Nothing here starts a worker, so a bundler sees each one where its program makes it.

import type { RacerThread } from './stress.ts';
import type { FromRacer } from './worker.ts';

/** A Web Worker, as far as it is needed. */
export interface WebWorkerLike {
  postMessage(message: unknown): void;
  addEventListener(
    type: string,
    listener: (event: { readonly data?: unknown; readonly message?: unknown }) => void,
  ): void;
  terminate(): void;
}

/** A `Worker` of `node:worker_threads`, as far as it is needed. */
export interface NodeWorkerLike {
  postMessage(message: unknown): void;
  // biome-ignore lint/suspicious/noExplicitAny: what a listener takes depends on the event.
  on(event: string, listener: (...values: any[]) => void): unknown;
  terminate(): Promise<unknown>;
}

/**
 * A worker that runs the module `pagewalk/worker`, as a thread for `stress`:
 * `spawn: () => racerOf(new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }))`, where `worker.js` says
 * `import 'pagewalk/worker'`. In Node the URL may be `import.meta.resolve('pagewalk/worker')` itself.
 */
export function racerOf(worker: WebWorkerLike | NodeWorkerLike): RacerThread {
  return 'on' in worker ? ofNode(worker) : ofPage(worker);
}

function ofNode(worker: NodeWorkerLike): RacerThread {
  let reason = 'it ended by itself';
  worker.on('error', (error: Error) => {
    reason = error.message;
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on('message', listener),
    onEnd: (listener) => worker.on('exit', () => listener(reason)),
    end: () => worker.terminate(),
  };
}

function ofPage(worker: WebWorkerLike): RacerThread {
  const listeners: ((reason: string) => void)[] = [];
  let ended: string | undefined;
  const end = (reason: string) => {
    if (ended !== undefined) return;
    ended = reason;
    worker.terminate();
    for (const listener of listeners) listener(reason);
  };
  // Of a script that cannot be loaded a page tells nothing.
  worker.addEventListener('error', ({ message }) =>
    end(typeof message === 'string' && message !== '' ? message : 'its script could not be loaded'),
  );
  worker.addEventListener('messageerror', () => end('a message could not be read: memory is not shared with it'));
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener('message', ({ data }) => listener(data as FromRacer)),
    onEnd: (listener) => {
      if (ended === undefined) listeners.push(listener);
      else listener(ended);
    },
    end: async () => end('it was ended'),
  };
}
