// Memories of races that are over, for those that come: who races one variant after the other needs no new one each time.
//
// Guarantees: a memory that is handed out is zero, and nobody else has it. At most KEPT idle ones of at most LARGEST bytes are held, and those only
// for KEEP_MS: what nobody asks for again goes. Garbage collectors do not see how much a shared memory holds, and threads that wait for
// their next race do not collect at all, so memories that are given up pile up.

import type { CoreMemory } from '../core/exports.ts';
import { createCoreMemory } from '../core/instantiate.ts';

/** Two races may run side by side. */
const KEPT = 2;
const LARGEST = 64 * 2 ** 20;
const KEEP_MS = 3000;
const PAGE = 65536;

const idle: CoreMemory[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** A shared memory of at least `bytes`. @throws RangeError if there is no room. */
export function takeMemory(bytes: number): CoreMemory {
  const memory = bytes <= LARGEST ? idle.pop() : undefined;
  if (memory === undefined) return createCoreMemory(bytes, true);
  new Uint8Array(memory.buffer, 0, Math.min(bytes, memory.buffer.byteLength)).fill(0);
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE);
  if (missing > 0) (memory as WebAssembly.Memory).grow(missing);
  return memory;
}

/** Nobody uses it any more, no thread either. */
export function giveBack(memory: CoreMemory): void {
  if (idle.length >= KEPT || memory.buffer.byteLength > LARGEST) return;
  idle.push(memory);
  clearTimeout(timer);
  timer = setTimeout(() => idle.splice(0), KEEP_MS);
  // Of Node: nobody has to wait for it.
  if (typeof timer === 'object') timer.unref();
}
