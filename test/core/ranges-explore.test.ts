// Every interleaving of a range operation with one access, point by point: whatever the entry was, no A and no D gets lost.
//
// The entry takes all states of P, RW, A, D and SavedDirty; the operation is done in every way of updating. What an access that was
// allowed has set must be in the entry afterwards, or have been collected: cleaned into the bitmap, aged, or moved to SavedDirty.

import { expect, test } from 'vitest';
import type { Operation } from '../oracle/ranges.ts';
import { layout, makeSpace } from '../support/core.ts';
import { callScan, prepareScan, readScan } from '../support/scan.ts';
import { interleave, makeExploreRig } from '../support/stepper.ts';

const VA = 0x40000000n;
const [P, RW, A, D, SAVED] = [1n, 2n, 0x20n, 0x40n, 1n << 58n];
const FRAME = 0x1234n << 12n;

const STATES = [0n, RW, A, RW | A, D | RW, A | D | RW, A | SAVED, A | D | RW | SAVED].map((bits) => bits | P | FRAME);
const WAYS = {
  atomic: 0,
  transaction: layout.SCAN_TRANSACTION,
  settled: layout.SCAN_SETTLED,
} as const;

const OPERATIONS = ['wrprotect', 'clean', 'age'] as const satisfies readonly Operation[];
const CASES = [
  ...Object.entries(WAYS).flatMap(([way, flags]) =>
    OPERATIONS.map((operation) => ({ way, flags, operation, wp: true })),
  ),
  // With CR0.WP clear the supervisor writes through RW=0 and sets D there: such an entry is not settled.
  { way: 'settled', flags: WAYS.settled, operation: 'age' as const, wp: false },
];

for (const { way, flags, operation, wp } of CASES) {
  test(`${operation} by ${way} beside a write${wp ? '' : ' with CR0.WP clear'}, whatever the entry was`, {
    timeout: 60_000,
  }, async () => {
    const rig = await makeExploreRig({ frames: 16, heapBytes: 1 << 22 });
    const { core, u64 } = rig;
    const space = makeSpace(rig);
    if (!wp) core.setRegime(space, layout.CR_NXE | layout.CR_GBPAGES, 0, 46);
    expect(core.map(space, VA, 0x1000n, 4096n, layout.PROT_READ | layout.PROT_WRITE, 0)).toBe(layout.STATUS_OK);
    // The A bits above the leaf are set, so that the access has one update to make.
    core.accessWord(space, VA, layout.ACCESS_READ | layout.ACCESS_TOUCH);
    const slot = (core.entryAddress(space, VA, 0) >>> 0) / 8;
    const scan = core.heapAllocate(layout.SCAN_BYTES) >>> 0;
    for (const state of STATES) {
      const count = interleave(
        () => {
          u64[slot] = state;
          prepareScan(rig, scan, { va: VA, last: VA + 0xfffn, flags });
          return [
            rig.cpu((c) => callScan(c, operation, space, scan) as undefined),
            rig.cpu((c) => c.accessWord(space, VA, layout.ACCESS_WRITE | layout.ACCESS_TOUCH)),
          ];
        },
        ([kernel, writer], schedule) => {
          const result = BigInt.asUintN(64, writer?.results[0] as bigint);
          const mapped = ((result >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n;
          const touched = readScan(rig, scan).touched === 1;
          const entry = u64[slot] as bigint;
          const what = `${operation} of 0x${state.toString(16)}, schedule ${schedule}: 0x${entry.toString(16)}`;
          const dirty = (entry & (D | SAVED)) !== 0n;
          const collected = (bit: 'D' | 'A') => touched && operation === (bit === 'D' ? 'clean' : 'age');
          if (mapped && !dirty && !collected('D')) expect.fail(`D was lost: ${what}`);
          if (mapped && (entry & A) === 0n && !collected('A')) expect.fail(`A was lost: ${what}`);
          if ((state & (D | SAVED)) !== 0n && !dirty && !collected('D')) expect.fail(`D went: ${what}`);
          if ((entry & (FRAME | P)) !== (FRAME | P)) expect.fail(`the page went: ${what}`);
          if (operation === 'wrprotect' && (entry & RW) !== 0n) expect.fail(`writable: ${what}`);
          for (const cpu of [kernel, writer]) if (cpu !== undefined) core.heapFree(cpu.buffer);
        },
      );
      expect(count).toBeGreaterThan(1);
    }
  });
}
