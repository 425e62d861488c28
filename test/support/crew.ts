// Real workers over one memory: each an agent of its own, playing a role from `roles/` until it is done or told to stop.
//
// Guarantees: a role reports what it saw as text, with the seed that repeats its choices; when `run` returns, no worker is left and
// every agent block is given back.

import { Worker } from 'node:worker_threads';
import { layout, type Rig } from './core.ts';

/** Pages of the playground and where they are; `roles/world.mjs` computes the rest. */
export interface World {
  space: number;
  regions: number;
  /** First PFN of each of the two frames that a page may be mapped to, multiples of 512. */
  frames: [number, number];
  /** For `roles/hostile.mjs`: address of physical memory, its first PFN, its frames, and how many of them are scribbled on. */
  ground?: { ram: number; basePfn: number; frames: number; tables: number };
}

export interface Part {
  role:
    | 'mapper'
    | 'walker'
    | 'allocator'
    | 'careless'
    | 'plain-store'
    | 'free-at-once'
    | 'ranger'
    | 'plain-ranger'
    | 'writer'
    | 'scribbler'
    | 'stray';
  seed: number;
  /** Rounds of work; 0: until all parts with rounds are done. */
  rounds: number;
  /** Which of how many parts of this role it is: mappers own regions by it. */
  index?: number;
  of?: number;
}

export interface Report {
  role: Part['role'];
  seed: number;
  errors: string[];
  counts: Record<string, number>;
}

/** Words of the notes: a flag that stops everybody, the errors so far, who is not ready yet, and three words for each page. */
export const NOTES = { stop: 0, errors: 1, missing: 2, generations: 16 };

export async function run(rig: Rig, parts: Part[], world?: World, chaos = false): Promise<Report[]> {
  const pages = (world?.regions ?? 0) * 512;
  const notes = new Int32Array(new SharedArrayBuffer((NOTES.generations + 3 * pages) * 4));
  notes.fill(-1, NOTES.generations + pages);
  notes[NOTES.missing] = parts.length;
  let working = parts.filter((part) => part.rounds > 0).length;
  const finish = () => {
    if (--working === 0) Atomics.store(notes, NOTES.stop, 1);
  };
  return Promise.all(
    parts.map(
      (part) =>
        new Promise<Report>((resolve, reject) => {
          const workerData = {
            module: rig.module,
            memory: rig.memory,
            layout: { ...layout },
            part,
            world,
            notes,
            chaos,
          };
          const worker = new Worker(new URL('./roles/worker.mjs', import.meta.url), { workerData });
          let report: Report | undefined;
          worker.on('message', (message: Report) => {
            report = message;
            if (part.rounds > 0) finish();
          });
          worker.on('error', (error) => {
            Atomics.store(notes, NOTES.stop, 1);
            reject(error);
          });
          worker.on('exit', () => {
            if (report) resolve(report);
            else reject(new Error(`${part.role} ended without a report`));
          });
        }),
    ),
  );
}
