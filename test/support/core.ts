// A memory with one instance of the core over it, for tests that speak to the exports themselves.
//
// Guarantees: the addresses are chosen here and nowhere else in the tests; physical memory is read and written without the core, so
// that an oracle can be fed from it.

import * as layout from '../../assembly/layout.ts';
import { type Build, compileCore } from '../../src/core/compile.ts';
import type { CoreExports, CoreMemory, CoreModule } from '../../src/core/exports.ts';
import { createCoreMemory, instantiateCore, type Points } from '../../src/core/instantiate.ts';

export type { CoreExports };
export { layout };

export interface RigOptions {
  frames?: number;
  basePfn?: number;
  heapBytes?: number;
  build?: Build;
  shared?: boolean;
  points?: Points;
}

export interface Rig {
  core: CoreExports;
  module: CoreModule;
  memory: CoreMemory;
  agent: number;
  frames: number;
  basePfn: number;
  ram: number;
  meta: number;
  heap: number;
  heapEnd: number;
  bytes: Uint8Array;
  /** All of linear memory as u32 and as u64 words. */
  u32: Uint32Array;
  u64: BigUint64Array;
}

const align = (n: number) => Math.ceil(n / layout.FRAME_BYTES) * layout.FRAME_BYTES;

/** Lays out a fresh memory and attaches an instance to it. */
export async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const { frames = 256, basePfn = 0, heapBytes = 1 << 20, build = 'release', shared = true, points } = options;
  const module = await compileCore(build);
  const heap = layout.HEAP;
  const heapEnd = align(heap + heapBytes);
  const meta = heapEnd;
  const ram = align(meta + frames * layout.META_BYTES);
  const memory = createCoreMemory(ram + frames * layout.FRAME_BYTES, shared);
  const core = instantiateCore(module, memory, points);
  core.initialize(frames, ram, meta, basePfn, heap, heapEnd);
  const agent = core.attach(true);
  const bytes = new Uint8Array(memory.buffer);
  const u32 = new Uint32Array(memory.buffer);
  const u64 = new BigUint64Array(memory.buffer);
  return { core, module, memory, agent, frames, basePfn, ram, meta, heap, heapEnd, bytes, u32, u64 };
}

/** Index into `rig.u64` of the word at physical address `pa`, or undefined outside the window. */
export function wordAt(rig: Rig, pa: bigint): number | undefined {
  const index = (pa >> 12n) - BigInt(rig.basePfn);
  if (index < 0n || index >= BigInt(rig.frames)) return undefined;
  return (rig.ram + Number(index) * layout.FRAME_BYTES + Number(pa & 0xff8n)) / 8;
}

/** Reads physical memory past the core. */
export function readPhysical(rig: Rig, pa: bigint): bigint | undefined {
  const word = wordAt(rig, pa);
  return word === undefined ? undefined : rig.u64[word];
}

/** The bytes of `count` frames from the one with index `first`. */
export function framesOf(rig: Rig, first: number, count: number): Uint8Array {
  const at = rig.ram + first * layout.FRAME_BYTES;
  return rig.bytes.subarray(at, at + count * layout.FRAME_BYTES);
}

/** A word of CONTROL. */
export function control(rig: Rig, address: number): number {
  return Atomics.load(rig.u32, address / 4);
}

/** The two words of the agent's reply block. */
export function reply(rig: Rig): [bigint, bigint] {
  const at = (layout.AGENTS + rig.agent * layout.AGENT_BYTES + layout.AGENT_REPLY) / 8;
  return [rig.u64[at] as bigint, rig.u64[at + 1] as bigint];
}

/** Level `level` of the agent's trail: undefined if the walk did not come there, no entry if its table is not in memory. */
export function trail(
  rig: Rig,
  level: number,
): { table: bigint; index: number; entry: bigint | undefined } | undefined {
  const at = layout.AGENTS + rig.agent * layout.AGENT_BYTES + layout.AGENT_TRAIL + level * layout.TRAIL_STRIDE;
  const state = rig.u32[(at + layout.TRAIL_STATE) / 4];
  if (state === 0) return undefined;
  return {
    table: rig.u64[(at + layout.TRAIL_TABLE) / 8] as bigint,
    index: rig.u32[(at + layout.TRAIL_INDEX) / 4] as number,
    entry: state === layout.TRAIL_READ ? rig.u64[(at + layout.TRAIL_ENTRY) / 8] : undefined,
  };
}

/** A space of four or five levels whose regime has every switch that tests of map and unmap want. */
export function makeSpace(rig: Rig, levels: 4 | 5 = 4): number {
  const space = rig.core.createSpace(levels === 4 ? layout.FORMAT_X86_64 : layout.FORMAT_X86_64_LA57);
  if (space === 0) throw new Error('no room for a space');
  rig.core.setRegime(space, layout.CR_WP | layout.CR_NXE | layout.CR_GBPAGES, 0, 46);
  return space;
}
