// Watches what the steps of an exploration change in memory, and what they depend on.
//
// Guarantees: `watchFootprint` explores a program twice on one machine. The first time it notes every word that any step changed. The second time
// each step is made twice: as it is, and with garbage in all of those words that the step has not said it touches and that are not its CPU's
// alone. What changed unsaid, and what came out differently, is returned.

import { AGENT_BYTES, AGENTS, CPU_BYTES, FRAME_BYTES, LITMUS_BYTES, LITMUS_FAILED } from '../../assembly/layout.ts';
import { type ExploreResult, Explorer } from '../../src/explore/explore.ts';
import { Machine, type Step } from '../../src/explore/machine.ts';
import { Run } from '../../src/explore/run.ts';
import type { LitmusProgram } from '../../src/litmus/program.ts';

export interface Footprint {
  /** What a word that changed though nobody said so belongs to, with the instruction in which it did. */
  readonly undeclared: readonly string[];
  /** Steps that came out differently when words were changed that they had not said they touch. */
  readonly dependent: readonly string[];
  readonly steps: number;
  readonly result: ExploreResult;
}

const GARBAGE = 0x5a5a5a5a;
/** Words that are compared at once. */
const PAGE = 1024;

/** `allowed`: of a word's name, may it change unsaid? */
export async function watchFootprint(
  program: LitmusProgram,
  allowed: (name: string) => boolean,
  maxStates: number,
): Promise<Footprint> {
  const machine = await Machine.create(program);
  const run = await Run.create(program);
  const { u32 } = machine;
  const mutable = new Set<number>();
  const undeclared = new Set<string>();
  const dependent = new Set<string>();
  const begin = machine.begin.bind(machine);
  const step = machine.step.bind(machine);
  let before = new Uint32Array(0);
  let steps = 0;

  const said = (c: number, { granules }: Step): Set<number> => {
    const cpu = machine.cpus[c] as Machine['cpus'][number];
    const words = new Set<number>();
    for (const [first, end] of cpu.ranges) for (let word = first; word < end; word++) words.add(word);
    for (let word = cpu.stack >> 2; word < (cpu.stack + 4096) >> 2; word++) words.add(word);
    words.add((cpu.block + LITMUS_FAILED) >> 2);
    for (const granule of [...(machine.owned[c] as number[]), ...granules]) {
      for (const word of machine.wordsOf(granule)) words.add(word);
    }
    return words;
  };
  const changed = (): number[] => {
    const words: number[] = [];
    for (let first = 0; first < u32.length; first += PAGE) {
      const [now, then] = [u32, before].map(({ buffer }) => Buffer.from(buffer, first * 4, PAGE * 4)) as [
        Buffer,
        Buffer,
      ];
      if (now.equals(then)) continue;
      for (let word = first; word < first + PAGE; word++) if (u32[word] !== before[word]) words.push(word);
    }
    return words;
  };

  const explore = () => {
    before = u32.slice();
    return new Explorer(machine, () => run, { reduce: false, shortest: false, maxStates }).run();
  };

  machine.begin = (c) => {
    before.set(u32);
    const made = begin(c);
    for (const word of changed()) mutable.add(word);
    return made;
  };
  machine.step = (c, choice) => {
    before.set(u32);
    const place = machine.placeOf(c);
    const made = step(c, choice);
    const words = said(c, made);
    for (const word of changed()) {
      mutable.add(word);
      const name = nameOf(machine, word * 4);
      if (!words.has(word) && !allowed(name))
        undeclared.add(`${name} in ${c}:${place} (op ${opOf(program, c, place)})`);
    }
    return made;
  };
  explore();

  machine.begin = begin;
  machine.step = (c, choice) => {
    before.set(u32);
    const place = machine.placeOf(c);
    const made = copyOf(step(c, choice));
    const words = said(c, made);
    const after = [...words].map((word) => u32[word] as number);
    const real = u32.slice();
    u32.set(before);
    for (const word of mutable) {
      // What the CPU has read behind a point, and nobody else wrote yet, it said as well: it is no step so far.
      if (!words.has(word) && !machine.isOwn(c, word >> 1)) u32[word] = (u32[word] as number) ^ GARBAGE;
    }
    let again: Step | undefined;
    try {
      again = copyOf(step(c, choice));
    } catch (error) {
      dependent.add(`${c}:${place} (op ${opOf(program, c, place)}) threw ${error}`);
    }
    const same =
      again !== undefined &&
      JSON.stringify(again) === JSON.stringify(made) &&
      [...words].every((word, n) => u32[word] === after[n] || isStale(machine, c, word));
    if (again !== undefined && !same) {
      const differ = [...words].filter((word, n) => u32[word] !== after[n] && !isStale(machine, c, word));
      const names = differ
        .map((word) => `${nameOf(machine, word * 4)} ${real[word]?.toString(16)} not ${u32[word]?.toString(16)}`)
        .slice(0, 4);
      dependent.add(
        `${c}:${place} (op ${opOf(program, c, place)}) differs in ${names.join(', ') || 'what it touched'}`,
      );
    }
    u32.set(real);
    steps++;
    return made;
  };
  const result = explore();
  return { undeclared: [...undeclared].sort(), dependent: [...dependent].sort(), steps, result };
}

/** Steps are one object that the machine writes anew: what the first of two made has to outlive the second. */
function copyOf(step: Step): Step {
  return JSON.parse(JSON.stringify(step)) as Step;
}

/** Bytes above the top of a stack are what was there before. */
function isStale({ cpus, u32 }: Machine, c: number, word: number): boolean {
  const base = (cpus[c] as Machine['cpus'][number]).stack >> 2;
  return word >= (u32[base] as number) >> 2 && word < base + 1024;
}

function opOf({ cpus, afterwards }: LitmusProgram, c: number, place: number): string {
  const op = [...cpus, ...(afterwards === undefined ? [] : [afterwards])][c]?.code[place]?.op;
  return `0x${op?.toString(16)}`;
}

/** What a linear address belongs to. */
export function nameOf(machine: Machine, address: number): string {
  for (const [n, { agent, stack, block, cpu, tlb, program }] of machine.cpus.entries()) {
    const inside = (base: number, bytes: number) => address >= base && address < base + bytes;
    const at = (what: string, base: number) => `${what} of ${program.name || n} + ${address - base}`;
    if (inside(AGENTS + agent * AGENT_BYTES, AGENT_BYTES)) return at('agent', AGENTS + agent * AGENT_BYTES);
    if (inside(stack, 4096)) return at('stack', stack);
    if (inside(block, LITMUS_BYTES)) return at('block', block);
    if (inside(cpu, CPU_BYTES)) return at('cpu', cpu);
    if (inside(tlb, 8192)) return at('tlb', tlb);
  }
  const frames = machine.core.frameAddress(0) >>> 0;
  if (address >= frames) {
    return `frame ${Math.floor((address - frames) / FRAME_BYTES)} + ${(address - frames) % FRAME_BYTES}`;
  }
  const meta = machine.core.frameMeta(0) >>> 0;
  if (address >= meta) return `meta ${(address - meta) >> 4} + ${(address - meta) & 15}`;
  return `word 0x${address.toString(16)}`;
}
