// What runs in a worker that races, `pagewalk/worker`: the same file for Web Workers and for those of Node.
//
// Guarantees: importing it listens and nothing else; the compiled core comes with the first message. No message is lost: in a page it listens
// before the module's first await, and Node keeps messages until somebody listens.

import { race, type ToRacer } from './stress/worker.ts';

interface Port {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: ToRacer) => void): void;
}

if (typeof postMessage === 'function') {
  addEventListener('message', ({ data }: MessageEvent<ToRacer>) => {
    if (data?.task === 'race') race(data, (answer) => postMessage(answer));
  });
} else void listenInNode();

async function listenInNode(): Promise<void> {
  // A variable, so that a bundler for pages does not look for it.
  const name: string = 'node:worker_threads';
  const { parentPort } = (await import(name)) as { readonly parentPort: Port | null };
  if (parentPort === null) throw new Error('pagewalk/worker is to run in a worker, and this is the main thread');
  parentPort.on('message', (message) => {
    if (message.task === 'race') race(message, (answer) => parentPort.postMessage(answer));
  });
}
