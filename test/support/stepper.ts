// Runs calls of the explore build one scheduling point at a time: Asyncify by hand, several simulated CPUs over one instance.
//
// Guarantees: outside `Cpu.step` no call suspends, so a test may prepare and look at memory through the same instance. A CPU's next
// access is known before it happens (`pending`).

import { createHash } from 'node:crypto';
import { type CoreExports, layout, makeRig, type Rig, type RigOptions } from './core.ts';

export type Call = (core: CoreExports) => number | bigint | undefined;

export interface PendingPoint {
  address: number;
  kind: number;
  /** At a choice of the environment, which has no address and kind 0: how many alternatives there are. */
  choices?: number;
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
    if (running === undefined || rig === undefined || (kind & layout.POINT_JOINED) !== 0) return;
    const asyncify = rig.core as unknown as Asyncify;
    if (asyncify.asyncify_get_state() === REWINDING) {
      asyncify.asyncify_stop_rewind();
      return;
    }
    park(rig, running, { address: address >>> 0, kind: kind & layout.POINT_KIND });
  };
  const choose = (n: number): number => {
    if (running === undefined || rig === undefined) return 0;
    const asyncify = rig.core as unknown as Asyncify;
    if (asyncify.asyncify_get_state() === REWINDING) {
      asyncify.asyncify_stop_rewind();
      return running.choice;
    }
    park(rig, running, { address: 0, kind: 0, choices: n });
    return 0;
  };
  const made = await makeRig({ ...options, build: 'explore', points: { suspend, choose } });
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

/** Unwinds the stack of `cpu`, which goes on from `pending`. */
function park(rig: Rig, cpu: Cpu, pending: PendingPoint): void {
  cpu.pending = pending;
  cpu.seen = wordsAt(rig, pending);
  rig.u32[cpu.buffer / 4] = cpu.buffer + 8;
  rig.u32[cpu.buffer / 4 + 1] = cpu.buffer + BUFFER_BYTES;
  (rig.core as unknown as Asyncify).asyncify_start_unwind(cpu.buffer);
}

/** What the word of a CPU that waits for a change is now; otherwise nothing. */
function wordsAt(rig: Rig, { address, kind }: PendingPoint): string {
  const words = kind === layout.POINT_CHANGE ? 1 : kind === layout.POINT_CHANGE_WIDE ? 2 : 0;
  return rig.u32.subarray(address / 4, address / 4 + words).join();
}

/** One simulated CPU: it makes its calls one after the other. */
export class Cpu {
  pending: PendingPoint | undefined;
  /** The word that it waits for, as it was when it began to. */
  seen = '';
  /** The alternative that `choose` returns. */
  choice = 0;
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

  /** False while the lock that the CPU is about to try is taken, or the word that it waits for is what it was. */
  get runnable(): boolean {
    if (this.pending === undefined) return false;
    const { kind, address } = this.pending;
    const word = this.rig.u32[address / 4] as number;
    if (kind === layout.POINT_LOCK) return word === 0;
    if (kind === layout.POINT_CHANGE || kind === layout.POINT_CHANGE_WIDE)
      return wordsAt(this.rig, this.pending) !== this.seen;
    const queued = kind === layout.POINT_READ_LOCK || kind === layout.POINT_WRITE_LOCK;
    return !queued || this.rig.core.lockMayRun(word, kind) !== 0;
  }

  /**
   * Makes the pending access, or takes alternative `choice`, and goes on to the next scheduling point, or to the end of the last
   * call.
   */
  step(choice = 0): void {
    const asyncify = this.rig.core as unknown as Asyncify;
    this.pending = undefined;
    this.choice = choice;
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
 * Makes every interleaving of the CPUs' steps, and every choice of the environment: `make` sets the scene anew for each, `check` looks at what
 * it came to. A schedule is a string of CPU numbers; alternatives other than the first stand behind them as letters from b on. Returns how
 * many there were.
 */
export function interleave(make: () => Cpu[], check: (cpus: Cpu[], schedule: string) => void): number {
  let prefix: string[] = [];
  for (let count = 1; ; count++) {
    const cpus = make();
    const taken: string[] = [];
    const options: string[][] = [];
    for (;;) {
      const open = alternatives(cpus);
      if (open.length === 0) break;
      const option = prefix[taken.length] ?? (open[0] as string);
      options.push(open);
      taken.push(option);
      cpus[Number.parseInt(option, 10)]?.step(Math.max(0, LETTERS.indexOf(option.at(-1) as string)));
    }
    const schedule = taken.join('');
    if (cpus.some((cpu) => !cpu.done)) throw new Error(`deadlock after ${schedule}`);
    check(cpus, schedule);
    for (const cpu of cpus) cpu.free();
    let at = taken.length - 1;
    while (at >= 0 && options[at]?.at(-1) === taken[at]) at--;
    if (at < 0) return count;
    const next = (options[at] as string[])[(options[at] as string[]).indexOf(taken[at] as string) + 1] as string;
    prefix = [...taken.slice(0, at), next];
  }
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** Who may go on now. A CPU before a choice makes it at once: nobody sees it but that CPU. */
function alternatives(cpus: Cpu[]): string[] {
  const chooser = cpus.findIndex((cpu) => cpu.pending?.choices !== undefined);
  const choices = cpus[chooser]?.pending?.choices ?? 0;
  if (choices > 0) return Array.from({ length: choices }, (_, n) => `${chooser}${n === 0 ? '' : LETTERS[n]}`);
  return cpus.map((_, n) => `${n}`).filter((_, n) => cpus[n]?.runnable);
}

/**
 * Comes to every state that the CPUs can reach, once each: what `interleave` shows, without going the same way twice. `check` looks at
 * where they end, with one schedule that leads there. The memory is as before afterwards.
 */
export function everyState(
  rig: Rig,
  make: () => Cpu[],
  check: (cpus: Cpu[], schedule: string) => void,
): { states: number; ends: number } {
  const cpus = make();
  const memory = new Snapshots(rig, cpus);
  const seen = new Set<string>();
  let ends = 0;
  const visit = (schedule: string): void => {
    const key = memory.key();
    if (seen.has(key)) return;
    seen.add(key);
    const open = alternatives(cpus);
    if (open.length === 0) {
      if (cpus.some((cpu) => !cpu.done)) throw new Error(`deadlock after ${schedule}`);
      ends++;
      check(cpus, schedule);
      return;
    }
    const here = memory.save();
    for (const option of open) {
      cpus[Number.parseInt(option, 10)]?.step(Math.max(0, LETTERS.indexOf(option.at(-1) as string)));
      visit(schedule + option);
      memory.restore(here);
    }
  };
  visit('');
  for (const cpu of cpus) cpu.free();
  return { states: seen.size, ends };
}

/** Agent blocks are large, and what a call of a test uses of one is at its beginning. */
const AGENT_USED_BYTES = 0x400;

/** All that decides how the CPUs go on: memory, and of each stack what is in use. */
class Snapshots {
  private readonly rig: Rig;
  private readonly cpus: Cpu[];
  /** Where from and where to, in words. */
  private readonly parts: [number, number][];

  constructor(rig: Rig, cpus: Cpu[]) {
    this.rig = rig;
    this.cpus = cpus;
    const agent = layout.AGENTS + rig.agent * layout.AGENT_BYTES;
    const cuts = cpus.map(({ buffer }) => buffer).sort((a, b) => a - b);
    const starts = [rig.heap, ...cuts.map((cut) => cut + BUFFER_BYTES)];
    this.parts = [
      [layout.CONTROL, layout.CONTROL + 0x1000],
      [agent, agent + AGENT_USED_BYTES],
      ...starts.map((start, n): [number, number] => [start, cuts[n] ?? rig.heapEnd]),
      [rig.meta, rig.bytes.length],
    ].map(([from, to]) => [(from as number) / 4, (to as number) / 4]);
  }

  key(): string {
    const hash = createHash('sha1');
    for (const [from, to] of this.parts) hash.update(this.rig.u32.subarray(from, to));
    for (const cpu of this.cpus) {
      hash.update(JSON.stringify([cpu.pending, cpu.seen, cpu.results.map(String)]));
      hash.update(this.stack(cpu));
    }
    return hash.digest('base64');
  }

  save() {
    const words = this.parts.map(([from, to]) => this.rig.u32.slice(from, to));
    const cpus = this.cpus.map((cpu) => {
      const { pending, seen, choice, results } = cpu;
      return { pending, seen, choice, results: [...results], stack: this.stack(cpu).slice() };
    });
    return { words, cpus };
  }

  restore({ words, cpus }: ReturnType<Snapshots['save']>): void {
    for (const [n, [from]] of this.parts.entries()) this.rig.u32.set(words[n] as Uint32Array, from);
    for (const [n, { pending, seen, choice, results, stack }] of cpus.entries()) {
      const cpu = this.cpus[n] as Cpu;
      Object.assign(cpu, { pending, seen, choice });
      cpu.results.splice(0, cpu.results.length, ...results);
      this.rig.u32.set(stack, cpu.buffer / 4);
    }
  }

  /** What Asyncify wrote: above its stack pointer nothing counts. */
  private stack(cpu: Cpu): Uint32Array {
    const from = cpu.buffer / 4;
    const top = cpu.done ? from : (this.rig.u32[from] as number) / 4;
    return this.rig.u32.subarray(from, top);
  }
}

/** A CPU that makes more steps than this in a row looks again and again for what another has to do (folio_try_get() of a frozen folio): that one goes on. */
const LONGEST_RUN = 400;

/**
 * As `interleave`, but only schedules with at most `most` preemptions: switches away from a CPU that could have gone on. Most races need two or
 * three (Musuvathi and Qadeer, PLDI 2007), and calls of a hundred steps have too many schedules otherwise. Makes no choices of the environment.
 */
export function interleaveBounded(
  make: () => Cpu[],
  check: (cpus: Cpu[], schedule: string) => void,
  most: number,
): number {
  let prefix: number[] = [];
  for (let count = 1; ; count++) {
    const cpus = make();
    const taken: number[] = [];
    const options: number[][] = [];
    let [current, left, run] = [-1, most, 0];
    for (;;) {
      const runnable = cpus.map((_, n) => n).filter((n) => cpus[n]?.runnable);
      if (runnable.length === 0) break;
      if (run > LONGEST_RUN && runnable.length > 1) runnable.splice(runnable.indexOf(current), 1);
      const goesOn = runnable.includes(current);
      const open = goesOn ? [current, ...(left > 0 ? runnable.filter((n) => n !== current) : [])] : runnable;
      const option = prefix[taken.length] ?? (open[0] as number);
      if (goesOn && option !== current) left--;
      options.push(open);
      taken.push(option);
      run = option === current ? run + 1 : 0;
      current = option;
      cpus[option]?.step();
      if (taken.length > MOST_POINTS) throw new Error(`no end after ${taken.slice(0, 200).join('')}`);
    }
    const schedule = taken.join('');
    if (cpus.some((cpu) => !cpu.done)) throw new Error(`deadlock after ${schedule}`);
    check(cpus, schedule);
    for (const cpu of cpus) cpu.free();
    let at = taken.length - 1;
    while (at >= 0 && options[at]?.at(-1) === taken[at]) at--;
    if (at < 0) return count;
    const open = options[at] as number[];
    prefix = [...taken.slice(0, at), open[open.indexOf(taken[at] as number) + 1] as number];
  }
}
