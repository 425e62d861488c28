// The core's walk is the manual's: for random tables and random accesses, address, fault, level and A/D updates agree with the oracle.

import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { translate } from '../oracle/x86.ts';
import { layout, trail } from '../support/core.ts';
import { accessFlags, compactOf, wordOf } from '../support/result.ts';
import { agrees, ask, leafBefore, makeStage, readShadow, type Stage, setStage } from '../support/stage.ts';
import { access, processor, tables } from '../support/tables.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await makeStage();
});

const scene = processor.chain((cpu) =>
  fc.record({ cpu: fc.constant(cpu), tables, accesses: fc.array(access(cpu.levels), { minLength: 1, maxLength: 40 }) }),
);
const MANY = { numRuns: 1500 };

test('translateWord finds what the manual says and changes nothing', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      for (const access of accesses) {
        const answer = ask(stage, cpu, access, false);
        const want = wordOf(answer, false, leafBefore(stage, cpu, access));
        const got = BigInt.asUintN(64, stage.rig.core.translateWord(stage.space, access.va, accessFlags(access)));
        expect(got).toBe(want);
      }
      expect(agrees(stage)).toBe(true);
    }),
    MANY,
  );
});

test('accessWord finds the same and sets exactly the A and D bits that hardware sets', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      for (const access of accesses) {
        const want = wordOf(ask(stage, cpu, access, true), true);
        const flags = accessFlags(access) | layout.ACCESS_TOUCH;
        const got = BigInt.asUintN(64, stage.rig.core.accessWord(stage.space, access.va, flags));
        expect(got).toBe(want);
        expect(agrees(stage)).toBe(true);
      }
    }),
    MANY,
  );
});

test('translate and access by page number give the compact form of the same words', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      const { core } = stage.rig;
      for (const { va, kind, user } of accesses) {
        const access = { va: (va >> 12n) << 12n, kind, user };
        const before = leafBefore(stage, cpu, access);
        const vpn = Number(va >> 12n);
        const want = compactOf(wordOf(ask(stage, cpu, access, false), false, before));
        expect(core.translate(stage.space, vpn, accessFlags(access))).toBe(want);
        expect(agrees(stage)).toBe(true);
        const touched = compactOf(wordOf(ask(stage, cpu, access, true), true));
        expect(core.access(stage.space, vpn, accessFlags(access))).toBe(touched);
        expect(agrees(stage)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test('access 0 asks for the mapping, whoever may use it', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      const anyone = { ...cpu, smap: false, pke: false };
      for (const { va } of accesses) {
        const access = { va, kind: 'read', user: false } as const;
        const want = wordOf(ask(stage, anyone, access, false), false, leafBefore(stage, anyone, access));
        expect(BigInt.asUintN(64, stage.rig.core.translateWord(stage.space, va, 0))).toBe(want);
      }
    }),
    MANY,
  );
});

test('explain leaves table, index and entry of every level that the walk came to, and of no other', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      for (const access of accesses) {
        const met: { table: bigint; index: number; entry: bigint | undefined }[] = [];
        const answer = translate(cpu, access, (pa) => {
          const entry = readShadow(stage, pa);
          met.push({ table: pa & ~0xfffn, index: Number(pa & 0xfffn) / 8, entry });
          return entry;
        });
        const want = wordOf(answer, false, met.at(-1)?.entry);
        const got = stage.rig.core.explain(stage.space, access.va, accessFlags(access));
        expect(BigInt.asUintN(64, got)).toBe(want);
        for (let level = 0; level < 5; level++) expect(trail(stage.rig, level)).toEqual(met[cpu.levels - 1 - level]);
      }
      expect(agrees(stage)).toBe(true);
    }),
    MANY,
  );
});

test('entryAddress finds the slot that a walk reads at a level, and 0 where the walk does not come', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      const { core, u64 } = stage.rig;
      for (const { va } of accesses) {
        if (BigInt.asUintN(64, BigInt.asIntN(cpu.levels * 9 + 12, va)) !== va) continue;
        const met: bigint[] = [];
        translate(cpu, { va, kind: 'read', user: false }, (pa) => {
          const entry = readShadow(stage, pa);
          if (entry !== undefined) met.push(entry);
          return entry;
        });
        for (let level = 0; level < cpu.levels; level++) {
          const slot = core.entryAddress(stage.space, va, level) >>> 0;
          const want = met[cpu.levels - 1 - level];
          expect(slot === 0 ? undefined : u64[slot / 8]).toBe(want);
        }
      }
    }),
    { numRuns: 500 },
  );
});
