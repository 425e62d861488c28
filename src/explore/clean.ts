// Makes an execution that violates an invariant easy to read: without steps of no influence, and with the fewest changes of CPU.
//
// Guarantees: what comes out was run, and violates the same invariant. Its order of dependent steps is that of the execution it came from,
// unless whole stretches could be left out (`shrink`).
//
// Two steps of different CPUs are independent if neither writes what the other accesses. Executions that differ in the order of neighbours
// that are independent are the same but for that order (Mazurkiewicz 1977). Among them is looked for one with the fewest preemptions
// (a CPU is left that could go on), and of those for one with the fewest changes of CPU: a shortest path through the sets of steps that may have been
// made, where a CPU runs on until its next step depends on another's. To stop earlier never helps: steps made sooner disable none.

import { isJudgedAtTheEnd } from './invariants.ts';
import { admits, type Run, type RunStep, stretchesOf } from './run.ts';
import type { Schedule } from './schedule.ts';

/** More sets of steps than this are not compared: the order stays as it was. */
const MOST_SETS = 20_000;
/** Most executions that `shrink` tries. */
const MOST_TRIALS = 400;
/** More steps than an execution needs to come to its end after something was left out of it. */
const MOST_STEPS = 5_000;

/**
 * The cleaned schedule of the execution that `run` has just made, which violates `invariant`. Afterwards `run` has made the cleaned one. `shortest`:
 * no shorter one is to be looked for.
 */
export function clean(run: Run, invariant: number, shortest: boolean): Schedule {
  if (!run.violates(invariant)) throw new Error('internal error: what is to be cleaned violates nothing');
  if (!shortest) shrink(run, invariant);
  if (!isJudgedAtTheEnd(invariant)) repeat(run, causesOf(run.steps, run.cpus, run.afterwards));
  repeat(run, ordered(run));
  if (!run.violates(invariant)) {
    throw new Error('internal error: in another order of independent steps the invariant is not violated');
  }
  return run.schedule();
}

/** How often a CPU was left that could have gone on. */
export function preemptionsOf(run: Run, schedule: Schedule): number {
  let preemptions = 0;
  run.restart();
  for (const [n, { cpu, points, choices }] of schedule.entries()) {
    let chosen = 0;
    for (let k = 0; k < points; k++) run.step(cpu, run.stand(cpu).choices > 0 ? choices[chosen++] : 0);
    if (n < schedule.length - 1 && run.mayRun(cpu)) preemptions++;
  }
  return preemptions;
}

// ---- what has no influence

/** The steps without which the last one would be another: those that it depends on, directly or not, and itself. */
function causesOf(steps: readonly RunStep[], cpus: number, afterwards: number): readonly RunStep[] {
  const needs = dependencies(steps, cpus, afterwards);
  const position = positionsOf(steps, cpus);
  // Of each CPU, how many of its steps are needed.
  const needed = new Array<number>(cpus).fill(0);
  for (let n = steps.length - 1; n >= 0; n--) {
    const { cpu } = steps[n] as RunStep;
    if (n < steps.length - 1 && (position[n] as number) >= (needed[cpu] as number)) continue;
    needed[cpu] = Math.max(needed[cpu] as number, (position[n] as number) + 1);
    for (const [other, count] of (needs[n] as readonly number[]).entries())
      needed[other] = Math.max(needed[other] as number, count);
  }
  return steps.filter(({ cpu }, n) => (position[n] as number) < (needed[cpu] as number));
}

/** Leaves out CPUs, stretches and ends of stretches as long as the invariant is still violated; `run` ends with the execution that is left. */
function shrink(run: Run, invariant: number): void {
  let best = run.steps.slice();
  let trials = 0;
  const improves = (): boolean => {
    for (const schedule of smallerOnes(stretchesOf(best), run.cpus)) {
      if (++trials > MOST_TRIALS) return false;
      if (!follow(run, schedule, invariant) || run.steps.length >= best.length) continue;
      best = run.steps.slice();
      return true;
    }
    return false;
  };
  while (improves());
  repeat(run, best);
}

/** The same without something, much first. */
function* smallerOnes(schedule: Schedule, cpus: number): Generator<Schedule> {
  for (let c = 0; c < cpus; c++) {
    if (schedule.some(({ cpu }) => cpu === c)) yield schedule.filter(({ cpu }) => cpu !== c);
  }
  for (let n = schedule.length - 1; n >= 0; n--) yield schedule.filter((_, other) => other !== n);
  for (const [n, stretch] of schedule.entries()) {
    for (const points of new Set([stretch.points >> 1, stretch.points - 1])) {
      if (points > 0) yield schedule.map((other, k) => (k === n ? { ...stretch, points } : other));
    }
  }
}

/** Runs a schedule as far as it goes: who cannot go on is passed over; at its end, on to the end of the execution. */
function follow(run: Run, schedule: Schedule, invariant: number): boolean {
  run.restart();
  for (const { cpu, points, choices } of schedule) {
    let chosen = 0;
    for (let n = 0; n < points && run.mayRun(cpu); n++) {
      run.step(cpu, run.stand(cpu).choices > 0 ? (choices[chosen++] ?? 0) : 0);
      if (!isJudgedAtTheEnd(invariant) && run.violates(invariant)) return true;
    }
  }
  let cpu = schedule.at(-1)?.cpu ?? 0;
  while (!run.isOver && run.steps.length < MOST_STEPS) {
    while (!run.mayRun(cpu)) cpu = (cpu + 1) % run.cpus;
    run.step(cpu);
    if (!isJudgedAtTheEnd(invariant) && run.violates(invariant)) return true;
  }
  return run.violates(invariant);
}

/** Makes the same steps, in this order. `steps` may be those of the run itself. */
function repeat(run: Run, before: readonly RunStep[]): void {
  const steps = before.slice();
  run.restart();
  for (const { cpu, choice } of steps) {
    if (!run.mayRun(cpu)) throw new Error('internal error: a step of the execution cannot be made');
    run.step(cpu, choice);
  }
}

// ---- in which order

/** What depends on what: of each step, how many steps of each CPU must come before it. */
function dependencies(steps: readonly RunStep[], cpus: number, afterwards: number): readonly (readonly number[])[] {
  const made = new Array<number>(cpus).fill(0);
  const writer = new Map<number, readonly [cpu: number, count: number]>();
  const readers = new Map<number, (readonly [cpu: number, count: number])[]>();
  return steps.map(({ cpu, touched }) => {
    const needs = new Array<number>(cpus).fill(0);
    const need = ([other, count]: readonly [number, number]) => {
      if (other !== cpu) needs[other] = Math.max(needs[other] as number, count);
    };
    if (cpu === afterwards) for (let other = 0; other < cpus; other++) need([other, made[other] as number]);
    const count = (made[cpu] as number) + 1;
    made[cpu] = count;
    for (const { granule, wrote } of touched) {
      const last = writer.get(granule);
      if (last !== undefined) need(last);
      if (!wrote) continue;
      for (const reader of readers.get(granule) ?? []) need(reader);
    }
    for (const { granule, wrote } of touched) {
      if (wrote) {
        writer.set(granule, [cpu, count]);
        readers.delete(granule);
      } else readers.set(granule, [...(readers.get(granule) ?? []), [cpu, count]]);
    }
    return needs;
  });
}

/** Of each step, how many steps its CPU made before it. */
function positionsOf(steps: readonly RunStep[], cpus: number): readonly number[] {
  const made = new Array<number>(cpus).fill(0);
  return steps.map(({ cpu }) => (made[cpu] as number)++);
}

/** A set of steps that may have been made, the CPU that made the last, and at what cost. */
interface Node {
  readonly made: readonly number[];
  readonly cpu: number;
  readonly cost: number;
  readonly before: Node | undefined;
}

/** A preemption costs more than any number of changes of CPU. */
const PREEMPTION = 1 << 16;

/** The steps of a run in an order that respects what depends on what, with the fewest preemptions. */
function ordered(run: Run): readonly RunStep[] {
  const { steps, cpus } = run;
  const needs = dependencies(steps, cpus, run.afterwards);
  const words = new Words(run);
  const own: number[][] = Array.from({ length: cpus }, () => []);
  for (const [n, { cpu }] of steps.entries()) own[cpu]?.push(n);

  const isFree = (made: readonly number[], c: number): boolean => {
    const needed = needs[own[c]?.[made[c] as number] ?? -1];
    return needed?.every((count, other) => (made[other] as number) >= count) ?? false;
  };
  /** Could CPU `c` go on, by what the words are after these steps? */
  const goesOn = (made: readonly number[], c: number): boolean => {
    if (c === run.afterwards) return false;
    const { kind, address, seen } = steps[own[c]?.[made[c] as number] ?? -1]?.from ?? run.stand(c);
    return kind !== 0 && admits(run.machine, kind, address, seen, words.after(made, address >>> 3));
  };

  const queue = new Queue();
  queue.add({ made: new Array<number>(cpus).fill(0), cpu: -1, cost: 0, before: undefined });
  const seen = new Set<string>();
  for (let node = queue.take(); node !== undefined && seen.size < MOST_SETS; node = queue.take()) {
    const { made, cpu, cost } = node;
    if (made.every((count, c) => count === own[c]?.length)) return orderOf(node, steps, own);
    const key = `${made.join()},${cpu}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const leaving = cpu < 0 ? 0 : 1 + (goesOn(made, cpu) ? PREEMPTION : 0);
    for (let c = 0; c < cpus; c++) {
      if (c === cpu || !isFree(made, c)) continue;
      const after = made.slice();
      while (isFree(after, c)) after[c] = (after[c] as number) + 1;
      queue.add({ made: after, cpu: c, cost: cost + leaving, before: node });
    }
  }
  return steps;
}

function orderOf(last: Node, steps: readonly RunStep[], own: readonly (readonly number[])[]): readonly RunStep[] {
  const nodes: Node[] = [];
  for (let node: Node | undefined = last; node !== undefined; node = node.before) nodes.unshift(node);
  return nodes.flatMap(({ cpu, made, before }) => {
    if (before === undefined) return [];
    const list = own[cpu] as readonly number[];
    return list.slice(before.made[cpu], made[cpu]).map((n) => steps[n] as RunStep);
  });
}

/** What words are after some of the steps of a run: those that write one are in the same order in all executions compared here. */
class Words {
  readonly #run: Run;
  readonly #writes = new Map<number, { readonly cpu: number; readonly at: number; readonly words: Pair }[]>();

  constructor(run: Run) {
    this.#run = run;
    const position = positionsOf(run.steps, run.cpus);
    for (const [n, { cpu, touched }] of run.steps.entries()) {
      for (const { granule, wrote, low, high } of touched) {
        if (!wrote) continue;
        const list = this.#writes.get(granule) ?? [];
        list.unshift({ cpu, at: position[n] as number, words: [low, high] });
        this.#writes.set(granule, list);
      }
    }
  }

  /** The words of a granule when each CPU has made so many steps. */
  after(made: readonly number[], granule: number): Pair {
    const last = this.#writes.get(granule)?.find(({ cpu, at }) => at < (made[cpu] as number));
    return last?.words ?? this.#run.initially(granule);
  }
}

type Pair = readonly [number, number];

/** Nodes, the cheapest first: a binary heap. */
class Queue {
  readonly #heap: Node[] = [];

  add(node: Node): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as Node).cost <= node.cost) break;
      heap[at] = heap[parent] as Node;
      at = parent;
    }
    heap[at] = node;
  }

  take(): Node | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Node).cost < (heap[child] as Node).cost) child++;
      if ((heap[child] as Node).cost >= last.cost) break;
      heap[at] = heap[child] as Node;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
