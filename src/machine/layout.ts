// Where the regions of a memory lie whose sizes are chosen when it is made: HEAP, META and RAM of `assembly/layout.ts`.

import { FRAME_BYTES, HEAP, META_BYTES } from '../../assembly/layout.ts';
import { GiB } from '../units.ts';

/** The regions of one memory, as byte addresses in it. */
export interface Regions {
  readonly frames: number;
  readonly heap: number;
  readonly heapEnd: number;
  readonly meta: number;
  readonly ram: number;
  /** First byte after everything. */
  readonly end: number;
}

/** An end address of exactly 4 GiB would wrap to 0: the last 64 KiB stay unused. */
const LARGEST = 4 * GiB - 65536;

/**
 * Lays out a memory of `sizeBytes` of frames and `heapBytes` of heap.
 * @throws RangeError naming the argument if they do not fit the 4 GiB that WebAssembly addresses.
 */
export function layOut(sizeBytes: number, heapBytes: number): Regions {
  if (!Number.isInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % FRAME_BYTES !== 0) {
    throw new RangeError(`"sizeBytes" must be a positive multiple of ${FRAME_BYTES}, got ${sizeBytes}`);
  }
  if (!Number.isInteger(heapBytes) || heapBytes < FRAME_BYTES) {
    throw new RangeError(`"heapBytes" must be at least ${FRAME_BYTES}, got ${heapBytes}`);
  }
  const frames = sizeBytes / FRAME_BYTES;
  const heapEnd = roundUp(HEAP + heapBytes);
  const ram = roundUp(heapEnd + frames * META_BYTES);
  const end = ram + sizeBytes;
  if (end > LARGEST) {
    const most = LARGEST - (end - sizeBytes - frames * META_BYTES);
    const fits = Math.floor(most / (FRAME_BYTES + META_BYTES)) * FRAME_BYTES;
    throw new RangeError(
      `"sizeBytes" of ${sizeBytes} with "heapBytes" of ${heapBytes} exceeds the 4 GiB that WebAssembly addresses; ` +
        `at most ${Math.max(0, fits - FRAME_BYTES)} fit`,
    );
  }
  return { frames, heap: HEAP, heapEnd, meta: heapEnd, ram, end };
}

function roundUp(address: number): number {
  return Math.ceil(address / FRAME_BYTES) * FRAME_BYTES;
}
