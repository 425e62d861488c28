// Runs calls of the explore build one scheduling point at a time: Asyncify by hand, several simulated CPUs over one instance.
//
// Guarantees: outside `Cpu.step` no call suspends, so a test may prepare and look at memory through the same instance. A CPU's next
// access is known before it happens (`pending`).

import { type CoreExports, layout, makeRig, type Rig, type RigOptions } from './core.ts';

export type Call = (core: CoreExports) => number | bigint | undefined;

export interface PendingPoint {
  address: number;
  kind: number;
}

interface Asyncify {
  asyncify_start_unwind(buffer: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(buffer: number): void;
  asyncify_stop_rewind(): void;
  asyncify_get_state(): number;
}

const REWINDING = 2;
const BUFFER_BYTES = 8192;
/** More than any call of a test makes. */
const MOST_POINTS = 100_000;

export interface ExploreRig extends Rig {
  cpu(...calls: Call[]): Cpu;
}

export async function makeExploreRig(options: RigOptions = {}): Promise<ExploreRig> {
  let running: Cpu | undefined;
  let rig: Rig | undefined;
  const suspend = (address: number, kind: number): void => {
    if (running === undefined || rig === undefined) return;
    const asyncify = rig.core as unknown as Asyncify;
    if (asyncify.asyncify_get_state() === REWINDING) {
      asyncify.asyncify_stop_rewind();
      return;
    }
    running.pending = { address: address >>> 0, kind };
    rig.u32[running.buffer / 4] = running.buffer + 8;
    rig.u32[running.buffer / 4 + 1] = running.buffer + BUFFER_BYTES;
    asyncify.asyncify_start_unwind(running.buffer);
  };
  const made = await makeRig({ ...options, build: 'explore', suspend });
  rig = made;
  const run = (cpu: Cpu, call: Call) => {
    running = cpu;
    try {
      return call(made.core);
    } finally {
      running = undefined;
    }
  };
  return { ...made, cpu: (...calls) => new Cpu(made, run, calls) };
}

/** One simulated CPU: it makes its calls one after the other. */
export class Cpu {
  pending: PendingPoint | undefined;
  readonly results: (number | bigint | undefined)[] = [];
  readonly buffer: number;
  private readonly rig: Rig;
  private readonly run: (cpu: Cpu, call: Call) => number | bigint | undefined;
  private readonly calls: Call[];

  constructor(rig: Rig, run: (cpu: Cpu, call: Call) => number | bigint | undefined, calls: Call[]) {
    this.rig = rig;
    this.run = run;
    this.calls = calls;
    this.buffer = rig.core.heapAllocate(BUFFER_BYTES) >>> 0;
    if (this.buffer === 0) throw new Error('no room for the stack of a CPU');
    this.advance();
  }

  get done(): boolean {
    return this.pending === undefined;
  }

  /** False while the lock that the CPU is about to try is taken. */
  get runnable(): boolean {
    if (this.pending === undefined) return false;
    const { kind, address } = this.pending;
    const word = this.rig.u32[address / 4] as number;
    if (kind === layout.POINT_LOCK) return word === 0;
    const queued = kind === layout.POINT_READ_LOCK || kind === layout.POINT_WRITE_LOCK;
    return !queued || this.rig.core.lockMayRun(word, kind) !== 0;
  }

  /** Makes the pending access and goes on to the next scheduling point, or to the end of the last call. */
  step(): void {
    const asyncify = this.rig.core as unknown as Asyncify;
    this.pending = undefined;
    asyncify.asyncify_start_rewind(this.buffer);
    this.enter();
    if (this.pending === undefined) this.advance();
  }

  /** Steps to the end; returns the points it passed. */
  finish(): PendingPoint[] {
    const points: PendingPoint[] = [];
    while (this.pending !== undefined) {
      points.push(this.pending);
      this.step();
      if (points.length > MOST_POINTS) throw new Error(`a call does not end: it passed ${MOST_POINTS} points`);
    }
    return points;
  }

  /** Gives the memory of its stack back. */
  free(): void {
    this.rig.core.heapFree(this.buffer);
  }

  private advance(): void {
    while (this.pending === undefined && this.results.length < this.calls.length) this.enter();
  }

  private enter(): void {
    const asyncify = this.rig.core as unknown as Asyncify;
    const result = this.run(this, this.calls[this.results.length] as Call);
    if (this.pending === undefined) this.results.push(result);
    else asyncify.asyncify_stop_unwind();
  }
}

/**
 * Makes every interleaving of the CPUs' steps: `make` sets the scene anew for each, `check` looks at what it came to. A schedule
 * is a string of CPU numbers. Returns how many there were.
 */
export function interleave(make: () => Cpu[], check: (cpus: Cpu[], schedule: string) => void): number {
  let prefix: number[] = [];
  for (let count = 1; ; count++) {
    const cpus = make();
    const taken: number[] = [];
    const options: number[][] = [];
    for (;;) {
      const runnable = cpus.map((_, n) => n).filter((n) => cpus[n]?.runnable);
      if (runnable.length === 0) break;
      const choice = prefix[taken.length] ?? (runnable[0] as number);
      options.push(runnable);
      taken.push(choice);
      cpus[choice]?.step();
    }
    const schedule = taken.join('');
    if (cpus.some((cpu) => !cpu.done)) throw new Error(`deadlock after ${schedule}`);
    check(cpus, schedule);
    for (const cpu of cpus) cpu.free();
    let at = taken.length - 1;
    while (at >= 0 && options[at]?.at(-1) === taken[at]) at--;
    if (at < 0) return count;
    const next = (options[at] as number[])[(options[at] as number[]).indexOf(taken[at] as number) + 1] as number;
    prefix = [...taken.slice(0, at), next];
  }
}
