// What a thread of the command line does: it explores or races what comes, until it is ended.
//
// Guarantees: a thread that races loads nothing of the explorer. Node keeps messages until somebody listens.

import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, ToWorker } from '../explore/pool.ts';
import { type FromRacer, race, type ToRacer } from '../stress/worker.ts';
import { pinThread } from './pinning.ts';

export function work(): void {
  const port = parentPort;
  const { processor } = workerData as { readonly processor?: number };
  if (processor !== undefined) pinThread(processor);
  port?.on('message', (message: ToWorker | ToRacer) => {
    if ('task' in message) race(message, (answer: FromRacer) => port.postMessage(answer));
    else void explore(message, (answer: FromWorker) => port.postMessage(answer));
  });
}

async function explore(message: ToWorker, post: (answer: FromWorker) => void): Promise<void> {
  const { serve } = await import('../explore/worker.ts');
  await serve(message, post);
}
