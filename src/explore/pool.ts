// Explorations on several threads: each worker explores one variant at a time, and whoever asks waits for none of them.
//
// Guarantees: what `explore` returns arrives, in the order in which it was asked for. A worker that dies is an error of the variant that it was
// exploring; the others go on. After `cancel`, what runs ends within 0.7 s with what it knows, or is ended; after `close` there is no
// worker. What a worker is, the caller says (`spawn`): a thread of Node, a Web Worker.

import type { LitmusProgram } from '../litmus/program.ts';
import type { ExploreOptions, ExploreResult, Progress } from './explore.ts';
import type { Trace } from './trace.ts';

/** What can be sent to a worker. */
export type PoolOptions = Omit<ExploreOptions, 'onProgress'>;

/** What an exploration found, and how each violation came about. */
export interface Finding {
  readonly result: ExploreResult;
  /** Of each violated invariant that has a counterexample, by name. */
  readonly traces: ReadonlyMap<string, Trace>;
}

/** A thread that runs `serve` of worker.ts. */
export interface PoolWorker {
  post(message: ToWorker): void;
  onMessage(listener: (message: FromWorker) => void): void;
  /** It is gone, whatever the reason, also when it was ended. */
  onEnd(listener: (reason: string) => void): void;
  end(): Promise<unknown>;
}

export interface ToWorker {
  readonly program: LitmusProgram;
  readonly options: PoolOptions;
  /** Whether traces are wanted. */
  readonly traces: boolean;
  /** The exploration is to end when its first word is not 0. */
  readonly stop: Int32Array;
}

export type FromWorker =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'found'; readonly finding: Finding }
  | { readonly kind: 'failed'; readonly message: string };

/** An exploration was ended before it knew anything. */
export class Cancelled extends Error {}

interface Job {
  readonly message: ToWorker;
  readonly onProgress: (progress: Progress) => void;
  readonly resolve: (finding: Finding) => void;
  readonly reject: (error: Error) => void;
}

/** How long a worker may take to say what it knows. */
const LAST_WORDS_MS = 700;

export class Pool {
  readonly #spawn: () => PoolWorker;
  readonly #size: number;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #queue: Job[] = [];
  readonly #working = new Map<PoolWorker, Job | undefined>();
  #closed = false;

  constructor(spawn: () => PoolWorker, size: number) {
    this.#spawn = spawn;
    this.#size = size;
  }

  /** @throws Cancelled; Error if the exploration fails or its worker dies. */
  explore(
    program: LitmusProgram,
    options: PoolOptions = {},
    { traces = true, onProgress = () => {} }: { traces?: boolean; onProgress?: (progress: Progress) => void } = {},
  ): Promise<Finding> {
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#isCancelled) {
        reject(new Cancelled());
        return;
      }
      this.#queue.push({ message: { program, options, traces, stop: this.#stop }, onProgress, resolve, reject });
      this.#next();
    });
  }

  /** Nothing is begun any more, and what runs comes to its end. */
  cancel(): void {
    Atomics.store(this.#stop, 0, 1);
    for (const job of this.#queue.splice(0)) job.reject(new Cancelled());
    setTimeout(() => {
      for (const [worker, job] of this.#working) if (job !== undefined) void worker.end();
    }, LAST_WORDS_MS);
  }

  /** Ends all workers. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.reject(new Cancelled());
    await Promise.all([...this.#working.keys()].map((worker) => worker.end()));
  }

  get #isCancelled(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }

  /** Gives the next exploration to a worker that has none. */
  #next(): void {
    const job = this.#queue[0];
    if (job === undefined) return;
    const [idle] = [...this.#working].find(([, working]) => working === undefined) ?? [];
    if (idle === undefined && this.#working.size >= this.#size) return;
    this.#queue.shift();
    const worker = idle ?? this.#hire();
    this.#working.set(worker, job);
    worker.post(job.message);
    this.#next();
  }

  #hire(): PoolWorker {
    const worker = this.#spawn();
    worker.onMessage((message) => {
      const job = this.#working.get(worker);
      if (message.kind === 'progress') {
        job?.onProgress(message.progress);
        return;
      }
      this.#working.set(worker, undefined);
      if (message.kind === 'found') job?.resolve(message.finding);
      else job?.reject(new Error(message.message));
      this.#next();
    });
    worker.onEnd((reason) => {
      const job = this.#working.get(worker);
      this.#working.delete(worker);
      job?.reject(this.#isCancelled || this.#closed ? new Cancelled() : new Error(`its worker died: ${reason}`));
      this.#next();
    });
    return worker;
  }
}
