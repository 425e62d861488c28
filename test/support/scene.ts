// A small machine for tests of flushes: CPUs that run one mm, with a page that some of them have cached writable and dirty.

import type { TlbModel } from '../../src/machine/tlb.ts';
import { layout, makeSpace, type Rig } from './core.ts';
import type { Call } from './stepper.ts';
import { makeTlb } from './tlb.ts';

export const VA = 0x40000000n;
export const LAST = VA | 0xfffn;
/** A neighbour under the same table, which nobody has cached. */
export const NEXT = VA + 0x1000n;

const A = 0x20n;
const D = 0x40n;

export const TINY: TlbModel = { arrays: [{ name: 'L1', level: 1, pages: [0], sets: 1, ways: 2 }] };
/** With a cache for the entries that refer to leaf tables. */
export const CACHING: TlbModel = {
  arrays: [...TINY.arrays, { name: 'PDE', level: 'structures', pages: [1], sets: 1, ways: 1 }],
};

export interface SceneOptions {
  readonly cpus: number;
  /** Numbers of those that hold the page. */
  readonly cached?: readonly number[];
  readonly model?: TlbModel;
  readonly machine?: number;
  readonly hardware?: number;
  readonly prefetch?: bigint;
}

export interface Scene {
  readonly mm: number;
  readonly space: number;
  readonly cpus: number[];
  readonly tlbs: number[];
  /** The PTE of VA, and the first word of its page, as addresses. */
  readonly slot: number;
  readonly word: number;
  /** The entry that refers to the leaf table, and that table's PFN. */
  readonly middle: number;
  readonly table: number;
}

export function makeScene(rig: Rig, options: SceneOptions): Scene {
  const { core, u64 } = rig;
  const { cached = [], model = TINY, machine = layout.MACHINE_RECHECK, hardware = 0, prefetch = 0n } = options;
  const space = makeSpace(rig);
  const [frame] = [VA, NEXT].map((va) => mapFrame(rig, space, va));
  const mm = core.createMm(space, true) >>> 0;
  const slot = core.entryAddress(space, VA, 0) >>> 0;
  const middle = core.entryAddress(space, VA, 1) >>> 0;
  const word = core.frameAddress(frame as number) >>> 0;
  const tlbs = Array.from({ length: options.cpus }, () => makeTlb(rig, model));
  const cpus = tlbs.map((tlb, id) => core.createCpu(id, tlb, machine) >>> 0);
  for (const [id, cpu] of cpus.entries()) {
    core.setHardware(cpu, hardware, prefetch);
    core.loadMm(cpu, mm, 1);
    if (!cached.includes(id)) continue;
    core.enterUser(cpu);
    core.userStore(cpu, VA, 1n);
    core.leaveUser(cpu);
  }
  u64[slot / 8] = (u64[slot / 8] as bigint) | A | D;
  const table = Number(((u64[middle / 8] as bigint) & 0xffffffffff000n) >> 12n);
  return { mm, space, cpus, tlbs, slot, word, middle, table };
}

export function mapFrame(rig: Rig, space: number, va: bigint): number {
  const frame = rig.core.allocateFrame(layout.FRAME_DATA);
  const prot = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_USER | layout.PROT_ACCESSED;
  const status = rig.core.map(space, va, BigInt(frame) << 12n, 0x1000n, prot, 0);
  if (status !== layout.STATUS_OK) throw new Error(`map ended with status ${status}`);
  return frame;
}

// ---- calls of a program

export const enter =
  (cpu: number): Call =>
  (core) =>
    core.enterUser(cpu) as undefined;
export const leave =
  (cpu: number): Call =>
  (core) =>
    core.leaveUser(cpu) as undefined;
export const store =
  (cpu: number, value: bigint, va = VA): Call =>
  (core) =>
    core.userStore(cpu, va, value);
export const load =
  (cpu: number, va = VA): Call =>
  (core) =>
    core.userLoad(cpu, va);
export const flush =
  (cpu: number, mm: number, options = 0, freedTables = false): Call =>
  (core) =>
    core.flushMm(cpu, mm, VA, LAST, 12, freedTables, options);
/** Reads a word of memory as another CPU's kernel sees it, in a step of its own. */
export const look =
  (address: number): Call =>
  (core) =>
    core.ptepGet(address);
