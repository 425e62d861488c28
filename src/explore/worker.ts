// Inside a worker of a pool: explores what it is sent.

import { explore } from './explore.ts';
import type { FromWorker, ToWorker } from './pool.ts';
import { Run } from './run.ts';
import { type Trace, traceOn } from './trace.ts';

/** How often it is told how far an exploration is. */
const EVERY_MS = 100;

/** Answers each message by what it found, or why it failed. */
export async function serve(message: ToWorker, post: (message: FromWorker) => void): Promise<void> {
  const { program, options, traces: wanted, stop } = message;
  let told = performance.now();
  try {
    const result = await explore(program, {
      ...options,
      onProgress: (progress) => {
        if (performance.now() - told >= EVERY_MS) {
          told = performance.now();
          post({ kind: 'progress', progress });
        }
        return Atomics.load(stop, 0) !== 0;
      },
    });
    const traces = new Map<string, Trace>();
    const shown = result.verdicts.filter(({ counterexample }) => wanted && counterexample !== undefined);
    const run = shown.length === 0 ? undefined : await Run.create(program);
    for (const { invariant, counterexample } of shown) {
      if (run !== undefined && counterexample !== undefined)
        traces.set(invariant, traceOn(run, counterexample.schedule));
    }
    post({ kind: 'found', finding: { result, traces } });
  } catch (error) {
    post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
}
