// The heap of control blocks: first fit, neighbours merge, blocks never overlap; against a model that is a sorted list of holes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layout, makeRig, type Rig } from '../support/core.ts';

const HEADER = 64;
const BYTES = 1 << 14;
const round = (bytes: number) => Math.ceil(bytes / 64) * 64 + HEADER;

/** First fit over holes in address order. A rest that could hold no byte stays with the block. */
class Model {
  holes: { at: number; bytes: number }[];
  readonly used = new Map<number, number>();

  constructor(at: number, bytes: number) {
    this.holes = [{ at, bytes }];
  }

  allocate(bytes: number): number {
    const need = round(bytes);
    const n = this.holes.findIndex((hole) => hole.bytes >= need);
    const hole = this.holes[n];
    if (hole === undefined) return 0;
    const rest = hole.bytes - need;
    const taken = rest > HEADER ? need : hole.bytes;
    if (rest > HEADER) this.holes[n] = { at: hole.at + need, bytes: rest };
    else this.holes.splice(n, 1);
    this.used.set(hole.at + HEADER, taken);
    return hole.at + HEADER;
  }

  free(address: number): void {
    this.holes.push({ at: address - HEADER, bytes: this.used.get(address) as number });
    this.used.delete(address);
    this.holes.sort((a, b) => a.at - b.at);
    for (let n = this.holes.length - 1; n > 0; n--) {
      const [before, after] = this.holes.slice(n - 1, n + 1) as [Model['holes'][0], Model['holes'][0]];
      if (before.at + before.bytes !== after.at) continue;
      before.bytes += after.bytes;
      this.holes.splice(n, 1);
    }
  }
}

const allocate = (rig: Rig, bytes: number) => rig.core.heapAllocate(bytes) >>> 0;

test('any sequence of allocate and free gives the addresses that first fit gives', async () => {
  const commands = fc.array(
    fc.oneof(
      fc.record({ bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(0, 1, 63, 64, 65, 2000, 16000)) }),
      fc.record({ free: fc.nat(200) }),
    ),
    { maxLength: 120, size: 'max' },
  );
  await fc.assert(
    fc.asyncProperty(commands, async (commands) => {
      const rig = await makeRig({ frames: 1, heapBytes: BYTES });
      const model = new Model(rig.heap, rig.heapEnd - rig.heap);
      for (const command of commands) {
        if ('bytes' in command) {
          const at = allocate(rig, command.bytes);
          expect(at).toBe(model.allocate(command.bytes));
          expect(at % 64).toBe(0);
          // Owners may write all that they asked for.
          if (at !== 0) rig.bytes.fill(0xff, at, at + command.bytes);
        } else {
          const blocks = [...model.used.keys()];
          const block = blocks[command.free % blocks.length];
          if (block === undefined) continue;
          rig.core.heapFree(block);
          model.free(block);
        }
      }
      // When all is free again, the heap is one block.
      for (const block of [...model.used.keys()]) rig.core.heapFree(block);
      expect(allocate(rig, BYTES - HEADER)).toBe(rig.heap + HEADER);
    }),
    { numRuns: 200 },
  );
});

test('a request that cannot be met returns 0 and takes nothing', async () => {
  const rig = await makeRig({ frames: 1, heapBytes: BYTES });
  for (const bytes of [BYTES, BYTES - HEADER + 1, 0x7fffffff, 0xffffffff, 0xffffffc0])
    expect(allocate(rig, bytes)).toBe(0);
  expect(allocate(rig, BYTES - HEADER)).toBe(rig.heap + HEADER);
});

test('without heap or without a frame there is no space, and nothing is lost', async () => {
  const rig = await makeRig({ frames: 2, heapBytes: 4096 });
  const all: number[] = [];
  for (let at = allocate(rig, 64); at !== 0; at = allocate(rig, 64)) all.push(at);
  expect(rig.core.createSpace(layout.FORMAT_X86_64)).toBe(0);
  expect(rig.u32[layout.CONTROL_LIVE / 4]).toBe(0);
  for (const at of all) rig.core.heapFree(at);
  const first = rig.core.createSpace(layout.FORMAT_X86_64);
  expect(first).not.toBe(0);
  expect(rig.core.createSpace(layout.FORMAT_X86_64_LA57)).not.toBe(0);
  expect(rig.core.createSpace(layout.FORMAT_X86_64)).toBe(0);
});

test('a block that is given back twice, or was never handed out, is refused', async () => {
  const { core } = await makeRig();
  const block = core.heapAllocate(100) >>> 0;
  expect(core.heapFree(block)).toBe(1);
  expect(core.heapFree(block)).toBe(0);
  expect(core.heapFree(block + 64)).toBe(0);
  expect(core.heapFree(0)).toBe(0);
  expect(core.heapAllocate(100) >>> 0).toBe(block);
});
