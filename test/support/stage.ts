// A stage for random tables: a rig whose frames are the pool of tables, and a shadow of it that the oracle writes to.
//
// Guarantees: the oracle reads the shadow, never the core's memory, so an A or D bit that the core forgets or invents shows
// as a difference between the two.

import { type Access, type Answer, type Processor, translate } from '../oracle/x86.ts';
import { framesOf, layout, makeRig, type Rig } from './core.ts';
import { formatOf, regimeFlags } from './result.ts';
import { BASE_PFN, type Density, FAR_PFN, fullTree, POOL, type Tables } from './tables.ts';

/** Frames of the pool, and one that backs FAR_PFN through the directory. */
const FRAMES = POOL + 1;

export interface Stage {
  rig: Rig;
  space: number;
  shadow: BigUint64Array;
  /** Two buffers in the heap for batches, of `BUFFER` words each. */
  input: number;
  output: number;
}

export const BUFFER = 8192;

export async function makeStage(): Promise<Stage> {
  const rig = await makeRig({ frames: FRAMES, basePfn: BASE_PFN });
  const { core } = rig;
  const space = core.openSpace(layout.FORMAT_X86_64, 0n);
  core.openDirectory(4);
  core.backFrame(FAR_PFN, BASE_PFN + POOL);
  const input = core.heapAllocate(BUFFER * 8) >>> 0;
  const output = core.heapAllocate(BUFFER * 8) >>> 0;
  return { rig, space, shadow: new BigUint64Array(FRAMES * 512), input, output };
}

/** Writes the tables into memory and shadow, and opens the space anew as the processor would see it. */
export function setStage(stage: Stage, tables: Tables | Density, cpu: Processor): void {
  const { rig } = stage;
  stage.shadow.fill(0n);
  for (const { table, slot, entry } of 'entries' in tables ? tables.entries : fullTree(tables).entries)
    stage.shadow[table * 512 + slot] = entry;
  framesOf(rig, 0, FRAMES).set(new Uint8Array(stage.shadow.buffer));
  rig.core.closeSpace(stage.space);
  stage.space = rig.core.openSpace(formatOf(cpu), cpu.cr3) >>> 0;
  rig.core.setRegime(stage.space, regimeFlags(cpu), cpu.pkru, cpu.physicalBits);
}

function index(pa: bigint): number | undefined {
  const pfn = pa >> 12n;
  const frame = pfn === BigInt(FAR_PFN) ? POOL : Number(pfn) - BASE_PFN;
  return frame >= 0 && frame < FRAMES ? frame * 512 + Number((pa >> 3n) & 511n) : undefined;
}

/** Reads the shadow. */
export function readShadow(stage: Stage, pa: bigint): bigint | undefined {
  const at = index(pa);
  return at === undefined ? undefined : stage.shadow[at];
}

/** What the oracle says; its A and D updates go into the shadow if `touch`. */
export function ask(stage: Stage, cpu: Processor, access: Access, touch: boolean): Answer {
  const answer = translate(cpu, access, (pa) => readShadow(stage, pa));
  if (touch) for (const [pa, entry] of answer.writes) stage.shadow[index(pa) as number] = entry;
  return answer;
}

/** The leaf entry as it stands, of a mapped answer that changed nothing. */
export function leafBefore(stage: Stage, cpu: Processor, access: Access): bigint | undefined {
  let last: bigint | undefined;
  translate(cpu, access, (pa) => {
    last = readShadow(stage, pa);
    return last;
  });
  return last;
}

/** True if the pool is bit for bit what the shadow says. */
export function agrees(stage: Stage): boolean {
  const pool = framesOf(stage.rig, 0, FRAMES);
  return Buffer.compare(pool, new Uint8Array(stage.shadow.buffer)) === 0;
}
