// Symmetry of CPUs that run the same program: states that differ by who of them is where are one.
//
// Guarantees: a permutation of CPUs is used only as long as it was seen to be an automorphism of all that was met: the starts correspond, and each step
// that was ever learnt was made by all images of its CPU in the image of its state, and did the image of what it did. What corresponds to
// what is not guessed from contents (a stack is full of addresses): local states correspond because corresponding steps led to them. Shared
// words stay what they are, but for spinlocks, which name their holder. Where that is not so, some image does something else, and `Asymmetric`
// is thrown: the program is explored without. So every state is met up to such a permutation (Emerson and Sistla, "Symmetry and Model
// Checking", 1996), with persistent sets as they are (Emerson, Jha, Peled, "Combining Partial Order and Symmetry Reductions", 1997).
//
// Where it applies: two to MOST CPUs with equal programs, modes, mms, ASIDs, TLB entries and hardware. Not where they
// flush, or are flushed: requests are sent, answered and waited for in the order of the CPUs' numbers, and so a state in which the second has
// got one and the first not has no image. Not with store buffers, whose drains are CPUs too.

import { LOCK_SLEEPERS, MM_PTL, POINT_CHANGE, POINT_CHANGE_WIDE } from '../../assembly/layout.ts';
import type { CpuProgram, LitmusProgram } from '../litmus/program.ts';
import type { MachineCpu } from './machine.ts';
import type { Effect, Local, StateSpace } from './space.ts';

/** Most CPUs that are permuted: all permutations of them are tried for each state. */
const MOST = 4;

/** By CPU, the CPU that takes its place. */
export type Permutation = readonly number[];

/** Thrown when CPUs that seemed to be alike are not. */
export class Asymmetric extends Error {}

/** The permutations of the CPUs of a program that may be symmetries, the identity first; only that if none may. */
export function permutationsOf(program: LitmusProgram): readonly Permutation[] {
  const { cpus, afterwards } = program;
  const identity = [...cpus, ...(afterwards === undefined ? [] : [afterwards])].map((_, n) => n);
  if (program.world.memory === 'tso') return [identity];
  const classes = new Map<string, number[]>();
  for (const [n, cpu] of cpus.entries()) {
    const text = textOf(program, cpu, n);
    classes.set(text, [...(classes.get(text) ?? []), n]);
  }
  // The largest class: a second one is rare.
  const [alike = []] = [...classes.values()].sort((a, b) => b.length - a.length);
  const moved = alike.slice(0, MOST);
  return arrangements(moved).map((arranged) => {
    const permutation = identity.slice();
    for (const [n, cpu] of moved.entries()) permutation[cpu] = arranged[n] as number;
    return permutation;
  });
}

/** What distinguishes a CPU at the start: its program, and what the world gives it. */
function textOf({ world }: LitmusProgram, { code, handler, mode, mm, asid, drains }: CpuProgram, n: number): string {
  const own = [...world.entries, ...(world.hardware ?? [])].filter(({ cpu }) => cpu === n);
  const given = own.map((each) => ({ ...each, cpu: 0 }));
  return JSON.stringify([code, handler, mode, mm, asid, drains, given], (_, part) =>
    typeof part === 'bigint' ? `${part}n` : part,
  );
}

function arrangements(list: readonly number[]): number[][] {
  if (list.length === 0) return [[]];
  return list.flatMap((first) => arrangements(list.filter((each) => each !== first)).map((rest) => [first, ...rest]));
}

export class Symmetry {
  readonly permutations: readonly Permutation[];
  readonly #space: StateSpace;
  /** Of two permutations, the number of the one that does the second and then the first. */
  readonly #after: readonly (readonly number[])[];
  readonly #inverse: readonly number[];
  /** By permutation: the images of local states, and of values of slots, by number. */
  readonly #locals: number[][];
  readonly #values: number[][][];
  /** Addresses of spinlocks, by 4. */
  readonly #spinlocks = new Set<number>();
  #closing = false;

  /** `permutations`: a group, the identity first. */
  constructor(space: StateSpace, permutations: readonly Permutation[]) {
    this.#space = space;
    this.permutations = permutations;
    const numberOf = new Map(permutations.map((permutation, n) => [permutation.join(), n]));
    this.#after = permutations.map((second) =>
      permutations.map((first) => numberOf.get(first.map((cpu) => second[cpu]).join()) as number),
    );
    this.#inverse = this.#after.map((firsts) => firsts.indexOf(0));
    this.#locals = permutations.map(() => []);
    this.#values = permutations.map(() => []);
    const { instance } = space.machine;
    for (const mm of instance.mms.values()) this.#spinlocks.add((mm + MM_PTL) >>> 2);
    for (const { ptl } of instance.pages.values()) this.#spinlocks.add(ptl >>> 2);
    for (const { name, kind } of instance.program.world.locks)
      if (kind === 'spin') this.#spinlocks.add((instance.locks.get(name) as number) >>> 2);
  }

  /** The start, in which every CPU that has an image stands like it. @throws Asymmetric */
  begin(initial: Uint32Array): void {
    for (const [p, permutation] of this.permutations.entries())
      for (const [c, image] of permutation.entries()) this.#relate(p, initial[c] as number, initial[image] as number);
  }

  /** A step was learnt: so are its images, which must do the images of what it did. @throws Asymmetric */
  learnt(state: Uint32Array, at: number, c: number, choice: number, effect: Effect): void {
    if (this.#closing) return;
    this.#closing = true;
    const from = state.slice(at, at + this.#space.width);
    const made: Effect[] = [];
    try {
      for (const [p, permutation] of this.permutations.entries())
        made.push(p === 0 ? effect : this.#space.step(this.image(from, 0, p), 0, permutation[c] as number, choice));
    } finally {
      this.#closing = false;
    }
    for (const [p, image] of made.entries()) {
      if (!this.#isImage(p, effect, image)) throw new Asymmetric();
      for (const [q, firsts] of this.#after.entries())
        this.#relate(q, image.local, (made[firsts[p] as number] as Effect).local);
    }
  }

  /** The image of a state under permutation number `p`. */
  image(state: Uint32Array, at: number, p: number): Uint32Array {
    const { cpus, granules, width } = this.#space;
    const image = new Uint32Array(width);
    const permutation = this.permutations[p] as Permutation;
    for (let c = 0; c < cpus; c++) image[permutation[c] as number] = this.local(p, state[at + c] as number);
    for (let slot = 0, end = granules.length; slot < end; slot++)
      image[cpus + slot] = this.value(p, slot, state[at + cpus + slot] as number);
    return image;
  }

  /** The image of a local state, by number. */
  local(p: number, local: number): number {
    return this.#locals[p]?.[local] as number;
  }

  /** The image of a value of a slot, by number. */
  value(p: number, slot: number, value: number): number {
    let values = this.#values[p]?.[slot];
    if (values === undefined) {
      values = [];
      (this.#values[p] as number[][])[slot] = values;
    }
    let image = values[value];
    if (image === undefined) {
      image = this.#space.valueOf(slot, this.#wordsUnder(p, slot, value));
      values[value] = image;
    }
    return image;
  }

  /** A set of CPUs, a bit each, under permutation `p`. */
  set(p: number, set: number): number {
    const permutation = this.permutations[p] as Permutation;
    let image = 0;
    for (let left = set; left !== 0; left &= left - 1)
      image |= 1 << (permutation[31 - Math.clz32(left & -left)] as number);
    return image;
  }

  inverse(p: number): number {
    return this.#inverse[p] as number;
  }

  #wordsUnder(p: number, slot: number, value: number): readonly number[] {
    const words = this.#space.words(slot, value);
    const granule = this.#space.granules[slot] as number;
    const permutation = this.permutations[p] as Permutation;
    return words.map((word, half) => {
      if (half > 1 || !this.#spinlocks.has(granule * 2 + half)) return word;
      const { cpus } = this.#space.machine;
      const holder = cpus.findIndex(({ agent }) => agent + 1 === (word & ~LOCK_SLEEPERS));
      if (holder < 0) return word;
      return ((cpus[permutation[holder] as number] as MachineCpu).agent + 1) | (word & LOCK_SLEEPERS);
    });
  }

  /** Is `image` what permutation `p` makes of `effect`, but for where it leads? */
  #isImage(p: number, effect: Effect, image: Effect): boolean {
    const same = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((n, i) => n === b[i]);
    return (
      effect.fails === image.fails &&
      effect.points === image.points &&
      same(effect.touched, image.touched) &&
      same(effect.how, image.how) &&
      same(effect.slots, image.slots) &&
      same(
        effect.slots.map((slot, n) => this.value(p, slot, effect.values[n] as number)),
        image.values,
      )
    );
  }

  /** Notes that under permutation `p` a local state becomes `image`, by number. */
  #relate(p: number, number: number, image: number): void {
    const locals = this.#locals[p] as number[];
    const known = locals[number];
    if (known === image) return;
    const { locals: all } = this.#space;
    if (known !== undefined || !this.#stands(p, all[number] as Local, all[image] as Local)) throw new Asymmetric();
    locals[number] = image;
  }

  /** Do two local states stand before corresponding steps? */
  #stands(p: number, a: Local, b: Local): boolean {
    if (this.permutations[p]?.[a.cpu] !== b.cpu) return false;
    if (a.kind !== b.kind || a.half !== b.half || a.choices !== b.choices || a.place !== b.place || a.how !== b.how)
      return false;
    if (a.slot !== b.slot) return false;
    if (a.kind === POINT_CHANGE_WIDE) return this.value(p, a.slot, a.seen) === b.seen;
    if (a.kind !== POINT_CHANGE) return true;
    return a.seen === b.seen && !this.#spinlocks.has((this.#space.granules[a.slot] as number) * 2 + a.half);
  }
}
