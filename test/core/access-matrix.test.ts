// Every combination of entry bits, kind of access and control switches, in the manner of kvm-unit-tests' x86/access.c: none is sampled.
//
// Pruned is only what cannot matter: EFLAGS.AC without SMAP, PKRU without PKE, D and the key of an entry that refers to a table. For 4 KiB pages
// each combination goes four ways through the core (single access, batch with and without A/D, range with A/D).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Access, type Processor, translate } from '../oracle/x86.ts';
import {
  CAUSE_SHIFT,
  D,
  entryOf,
  judge,
  KEY,
  LEVEL_SHIFT,
  MAPPED,
  NX,
  PAT,
  RESERVED,
  RW,
  type Switches,
  US,
} from '../oracle/x86-matrix.ts';
import { layout, makeRig } from '../support/core.ts';
import { accessFlags, regimeFlags } from '../support/result.ts';

const BITS = 40;
const RESERVED_BIT = 45n;
const PAGES = 0x100n; // first PFN that the leaf table maps

const KINDS: Omit<Access, 'va'>[] = [true, false].flatMap((user) =>
  (['read', 'write', 'execute'] as const).map((kind) => ({ kind, user })),
);

/** PKRU without restriction; key 1 without access, without writes, without both; key 0 without writes, without access. */
const PKRUS = [0, 4, 8, 12, 2, 1];

function* switches(): Generator<Switches> {
  for (let n = 0; n < 8; n++) {
    for (const [smap, ac] of [
      [false, false],
      [true, false],
      [true, true],
    ] as const) {
      const base = { wp: (n & 1) !== 0, nxe: (n & 2) !== 0, smep: (n & 4) !== 0, smap, ac };
      yield { ...base, pke: false, pkru: 0 };
      for (const pkru of PKRUS) yield { ...base, pke: true, pkru };
    }
  }
}

const cpuOf = (s: Switches, levels: 4 | 5, gigabytePages = true): Processor => ({
  ...s,
  cr3: 0n,
  levels,
  physicalBits: BITS,
  gigabytePages,
});

/** Tables 0 to levels-1, the leaf table last; all entries on the way to index 0 permissive and accessed. */
async function makeTower(levels: 4 | 5) {
  const rig = await makeRig({ frames: 8 });
  const space = rig.core.openSpace(levels === 4 ? layout.FORMAT_X86_64 : layout.FORMAT_X86_64_LA57, 0n);
  const slot = (table: number, index = 0) => (rig.ram + table * 4096 + index * 8) / 8;
  for (let table = 0; table < levels - 1; table++) rig.u64[slot(table)] = (BigInt(table + 1) << 12n) | 0x27n;
  const input = rig.core.heapAllocate(4096) >>> 0;
  const output = rig.core.heapAllocate(4096) >>> 0;
  for (let i = 0; i < 512; i++) rig.u64[input / 8 + i] = BigInt(i) << 12n;
  return { rig, space, slot, input, output };
}

/** What the core must leave in `result words` and entries for one row of 512 leaf entries under one upper entry. */
class Row {
  readonly hi = new Uint32Array(512);
  readonly lo = new Uint32Array(512);
  /** The high word where A and D are not set on the way. */
  readonly hiLook = new Uint32Array(512);
  readonly entry = new Uint32Array(512);
  mapped = 0;

  /** `flags` of a mapped result stand in bits 20 to 31 of the high word. */
  fill(cpu: Switches, upper: number, { kind, user }: Omit<Access, 'va'>, template: Uint32Array): void {
    const [write, fetch] = [kind === 'write', kind === 'execute'];
    this.mapped = 0;
    for (let leaf = 0; leaf < 512; leaf++) {
      const verdict = judge(cpu, upper, leaf, 0, write, fetch, user);
      const entry = template[leaf * 2] as number;
      this.entry[leaf] = entry;
      if (verdict < MAPPED) {
        this.lo[leaf] = ((verdict & 0xfff) << 12) | ((verdict >> LEVEL_SHIFT) << 28);
        this.hi[leaf] = verdict >> CAUSE_SHIFT;
        this.hiLook[leaf] = verdict >> CAUSE_SHIFT;
        continue;
      }
      this.mapped++;
      const rights = 1 | (verdict & (RW | US)) | ((verdict & NX) !== 0 ? 2048 : 0);
      this.entry[leaf] = entry | 0x20 | (write ? 0x40 : 0);
      this.lo[leaf] = (Number(PAGES) + leaf) << 12;
      this.hi[leaf] = (rights | ((this.entry[leaf] as number) & 0x60)) << 20;
      this.hiLook[leaf] = (rights | (entry & 0x60)) << 20;
    }
  }
}

/** Goes through all small pages; `ways` 4 for every way through the core, 1 for the batch with A and D alone. */
async function smallPages(levels: 4 | 5, ways: 1 | 4): Promise<number> {
  const { rig, space, slot, input, output } = await makeTower(levels);
  const { core, u32 } = rig;
  const leafTable = slot(levels - 1) * 2;
  const upperSlot = slot(levels - 2) * 2;
  const template = new Uint32Array(1024);
  const words = new BigUint64Array(template.buffer);
  for (let i = 0; i < 512; i++) words[i] = entryOf(i, (PAGES + BigInt(i)) << 12n, RESERVED_BIT, false);
  const results = u32.subarray(output / 4, output / 4 + 1024);
  const table = u32.subarray(leafTable, leafTable + 1024);
  const row = new Row();
  let count = 0;
  for (const cpu of switches()) {
    core.setRegime(space, regimeFlags(cpuOf(cpu, levels)), cpu.pkru, BITS);
    for (const access of KINDS) {
      const flags = accessFlags({ va: 0n, ...access });
      for (let bits = 0; bits < 128; bits++) {
        if ((bits & D) !== 0) continue;
        row.fill(cpu, bits, access, template);
        const upper = entryOf(bits, BigInt(levels - 1) << 12n, RESERVED_BIT, false);
        const used = (bits & 1) !== 0 && (bits & (cpu.nxe ? RESERVED : RESERVED | NX)) === 0;
        for (let way = 0; way < ways; way++) {
          const touch = way !== 1;
          table.set(template);
          rig.u64[upperSlot / 2] = upper;
          let mapped = row.mapped;
          if (way === 0) {
            mapped = core.translateBatch(space, input, output, 512, flags | layout.ACCESS_TOUCH);
          } else if (way === 1) {
            mapped = core.translateBatch(space, input, output, 512, flags);
          } else if (way === 2) {
            mapped = core.translateRange(space, 0, 512, output, flags | layout.ACCESS_TOUCH);
          } else {
            for (let i = 0; i < 512; i++) {
              const compact = core.access(space, i, flags);
              const hi = row.hi[i] as number;
              const want = hi < 16 ? hi * 2 ** 32 + (row.lo[i] as number) : (row.lo[i] as number) + (hi >>> 20);
              if (compact !== want) fail(levels, cpu, access, bits, i, way);
            }
          }
          if (mapped !== row.mapped) fail(levels, cpu, access, bits, -1, way);
          const hi = touch ? row.hi : row.hiLook;
          for (let i = 0; i < 512; i++) {
            if (way < 3 && (results[i * 2] !== row.lo[i] || results[i * 2 + 1] !== hi[i])) {
              fail(levels, cpu, access, bits, i, way);
            }
            const entry = touch ? row.entry[i] : template[i * 2];
            if (table[i * 2] !== entry || table[i * 2 + 1] !== template[i * 2 + 1]) {
              fail(levels, cpu, access, bits, i, way);
            }
          }
          const wantUpper = touch && used ? Number(upper & 0xffffffffn) | 0x20 : Number(upper & 0xffffffffn);
          if (u32[upperSlot] !== wantUpper >>> 0) fail(levels, cpu, access, bits, -2, way);
        }
        count += 512;
      }
    }
  }
  return count;
}

function fail(levels: number, cpu: Switches, access: object, upper: number, leaf: number, way: number): never {
  throw new Error(`${JSON.stringify({ levels, cpu, access, upper, leaf, way })}: the core and the oracle differ`);
}

test('4 KiB pages under every PDE: each combination, four ways through the core', { timeout: 120_000 }, async () => {
  const count = await smallPages(4, 4);
  console.log(`access matrix, 4 KiB pages: ${count} combinations, each four ways`);
  expect(count).toBe(512 * 64 * 6 * 168);
});

test('4 KiB pages with five levels: each combination in batches', { timeout: 120_000 }, async () => {
  const count = await smallPages(5, 1);
  console.log(`access matrix, 4 KiB pages, five levels: ${count} combinations`);
  expect(count).toBe(512 * 64 * 6 * 168);
});

test('2 MiB and 1 GiB pages: each combination, each reserved bit, with and without 1 GiB pages', {
  timeout: 60_000,
}, async () => {
  const { rig, space, slot } = await makeTower(4);
  const { core } = rig;
  let count = 0;
  for (const level of [1, 2]) {
    const at = slot(3 - level);
    // Above MAXPHYADDR, and the first and last bit between the PAT bit and the frame.
    for (const reservedBit of [RESERVED_BIT, 13n, level === 1 ? 20n : 29n]) {
      for (const gigabytePages of [true, false]) {
        for (const cpu of switches()) {
          core.setRegime(space, regimeFlags(cpuOf(cpu, 4, gigabytePages)), cpu.pkru, BITS);
          for (const access of KINDS) {
            const [write, fetch] = [access.kind === 'write', access.kind === 'execute'];
            const flags = accessFlags({ va: 0n, ...access });
            for (let bits = 0; bits < 512; bits++) {
              const entry = entryOf(bits, 0x40000000n, reservedBit, true);
              const reserved = level === 2 && !gigabytePages ? bits | RESERVED : bits;
              const verdict = judge(cpu, reserved, undefined, level, write, fetch, access.user);
              rig.u64[at] = entry;
              const got = core.access(space, 5, flags);
              let want = entry;
              if (verdict >= MAPPED) {
                want = entry | 0x20n | (write ? 0x40n : 0n);
                const rights = 1 | (verdict & (RW | US)) | ((verdict & NX) !== 0 ? 2048 : 0);
                const touched = rights | Number(want & 0x60n) | (level << layout.RESULT_LEVEL_SHIFT);
                if (got !== 0x40000000 + 5 * 4096 + touched) fail(4, cpu, access, bits, level, Number(reservedBit));
              } else {
                const level = (verdict >> LEVEL_SHIFT) & 15;
                const word = (verdict >> CAUSE_SHIFT) * 2 ** 32 + level * 2 ** 28 + (verdict & 0xfff) * 4096;
                if (got !== word) fail(4, cpu, access, bits, level, Number(reservedBit));
              }
              if (rig.u64[at] !== want) fail(4, cpu, access, bits, level, Number(reservedBit));
              count++;
            }
          }
        }
      }
    }
    rig.u64[at] = (BigInt(4 - level) << 12n) | 0x27n;
  }
  console.log(`access matrix, large pages: ${count} combinations`);
  expect(count).toBe(2 * 3 * 2 * 168 * 6 * 512);
});

test('the oracle of the matrix is the oracle in BigInt', () => {
  const cases = fc.record({
    cpu: fc.constantFrom(...switches()),
    upper: fc.nat({ max: 511 }),
    lower: fc.option(fc.nat({ max: 511 }), { nil: undefined }),
    level: fc.constantFrom(1, 2),
    access: fc.constantFrom(...KINDS),
    levels: fc.constantFrom(4 as const, 5 as const),
  });
  fc.assert(
    fc.property(cases, ({ cpu, upper, lower, level, access, levels }) => {
      const large = lower === undefined;
      const bottom = large ? level : 0;
      const top = large ? level : 1;
      const bits = large ? upper : upper & ~(PAT | KEY);
      const read = (pa: bigint): bigint => {
        const depth = levels - 1 - Number(pa >> 12n);
        if (depth > top) return (((pa >> 12n) + 1n) << 12n) | 0x27n;
        if (depth === top) return entryOf(bits, large ? 0x40000000n : BigInt(levels - 1) << 12n, RESERVED_BIT, large);
        return entryOf(lower as number, PAGES << 12n, RESERVED_BIT, false);
      };
      const answer = translate(cpuOf(cpu, levels), { va: 0n, ...access }, read);
      const [write, fetch] = [access.kind === 'write', access.kind === 'execute'];
      const verdict = judge(cpu, bits, lower, bottom, write, fetch, access.user);
      if (answer.cause === 'mapped') {
        const rights = (answer.write ? RW : 0) | (answer.user ? US : 0) | (answer.execute ? 0 : NX);
        expect(verdict).toBe(MAPPED | rights);
        return;
      }
      const cause = ['mapped', 'absent', 'reserved', 'protection'].indexOf(answer.cause);
      expect(verdict).toBe((cause << CAUSE_SHIFT) | (answer.level << LEVEL_SHIFT) | answer.code);
    }),
    { numRuns: 20000 },
  );
});
