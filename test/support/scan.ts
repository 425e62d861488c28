// Drives the range operations of the core through their exports and reads the block they fill in.

import type { Operation } from '../oracle/ranges.ts';
import { layout, type Rig } from './core.ts';

export interface ScanOptions {
  va: bigint;
  last: bigint;
  flags?: number;
  bitmap?: number;
  /** Number of the page of bit 0. */
  origin?: bigint;
  tracker?: number;
}

export interface Scanned {
  touched: number;
  first: bigint;
  last: bigint;
  huge: number;
  warned: number;
  start: bigint;
  end: bigint;
}

const KINDS: Partial<Record<Operation, number>> = {
  dirty: layout.HARVEST_DIRTY,
  'soft-dirty': layout.HARVEST_SOFT_DIRTY,
  young: layout.HARVEST_YOUNG,
  written: layout.HARVEST_WRITTEN,
};
export const NONE_SET = (1n << 64n) - 1n;

/** Fills in the block at `scan`. */
export function prepareScan(rig: Rig, scan: number, options: ScanOptions): void {
  const { u32, u64 } = rig;
  u64[(scan + layout.SCAN_VA) / 8] = options.va;
  u64[(scan + layout.SCAN_LAST) / 8] = options.last;
  u64[(scan + layout.SCAN_ORIGIN) / 8] = BigInt.asUintN(64, options.origin ?? 0n);
  u64[(scan + layout.SCAN_START) / 8] = NONE_SET;
  u64[(scan + layout.SCAN_END) / 8] = 0n;
  u32[(scan + layout.SCAN_BITMAP) / 4] = options.bitmap ?? 0;
  u32[(scan + layout.SCAN_TRACKER) / 4] = options.tracker ?? 0;
  u32[(scan + layout.SCAN_FLAGS) / 4] = options.flags ?? 0;
}

export function callScan(core: Rig['core'], operation: Operation, space: number, scan: number): void {
  const kind = KINDS[operation];
  if (kind !== undefined) core.harvestRange(space, scan, kind);
  else if (operation === 'wrprotect') core.wrprotectRange(space, scan);
  else if (operation === 'clean') core.cleanRange(space, scan);
  else if (operation === 'age') core.ageRange(space, scan);
  else core.clearSoftDirtyRange(space, scan);
}

export function readScan(rig: Rig, scan: number): Scanned {
  const word = (field: number) => rig.u64[(scan + field) / 8] as bigint;
  return {
    touched: Number(word(layout.SCAN_TOUCHED)),
    first: word(layout.SCAN_FIRST),
    last: word(layout.SCAN_FINAL),
    huge: rig.u32[(scan + layout.SCAN_HUGE) / 4] as number,
    warned: rig.u32[(scan + layout.SCAN_WARNED) / 4] as number,
    start: word(layout.SCAN_START),
    end: word(layout.SCAN_END),
  };
}
