// `list` finds every mapping and no other: on random tables it agrees with a plain recursion, whole or in pieces, folded or not.

import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { type Processor, translate } from '../oracle/x86.ts';
import { type Found, findAll } from '../oracle/x86-list.ts';
import { framesOf, layout, makeRig, makeSpace } from '../support/core.ts';
import { EVERYTHING, fold, halves, type ListOptions, listAll, type Run } from '../support/list.ts';
import { agrees, makeStage, readShadow, type Stage, setStage } from '../support/stage.ts';
import { access, processor, tables } from '../support/tables.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await makeStage();
});

const few = tables.map(({ entries }) => ({ entries: entries.slice(0, 36) }));
const scene = processor.chain((cpu) =>
  fc.record({ cpu: fc.constant(cpu), tables: few, accesses: fc.array(access(cpu.levels), { maxLength: 20 }) }),
);
const capacity = fc.constantFrom(1, 2, 3, 7, 500);

/** What list must say about the range, leaf by leaf. */
function expected(cpu: Processor, { from, last, loops = false, pa = 0n, paLast = EVERYTHING }: ListOptions): Run[] {
  const slots = new Map<bigint, [number, bigint][] | undefined>();
  const slotsOf = (table: bigint) => {
    if (slots.has(table)) return slots.get(table);
    const used: [number, bigint][] = [];
    const backed = readShadow(stage, table) !== undefined;
    for (let n = 0; backed && n < 512; n++) {
      const entry = readShadow(stage, table + BigInt(n) * 8n) as bigint;
      if (entry !== 0n) used.push([n, entry]);
    }
    slots.set(table, backed ? used : undefined);
    return slots.get(table);
  };
  return findAll(cpu, slotsOf, loops)
    .filter(({ va, size }) => va <= last && va + size > from)
    .map((found) => runOf(found, from))
    .filter((run) => run.hole !== 0 || (run.pa <= paLast && run.pa + run.size > pa));
}

function runOf(found: Found, from: bigint): Run {
  const { entry } = found;
  const skipped = from > found.va ? from - found.va : 0n;
  const [va, size] = [found.va + skipped, found.size - skipped];
  if (found.kind === 'loop') return { va, pa: found.table, size, entry, flags: 0, hole: layout.HOLE_LOOP };
  if (found.kind === 'unbacked') return { va, pa: found.table, size, entry, flags: 0, hole: layout.HOLE_UNBACKED };
  if (found.kind === 'reserved') return { va, pa: 0n, size, entry, flags: 0, hole: layout.HOLE_RESERVED };
  const pa = found.pa + skipped;
  const flags =
    layout.RESULT_MAPPED |
    (found.write ? layout.RESULT_WRITABLE : 0) |
    (found.user ? layout.RESULT_USER : 0) |
    (found.execute ? 0 : layout.RESULT_NO_EXECUTE) |
    Number(entry & 0x60n) |
    (found.level << layout.RESULT_LEVEL_SHIFT);
  return { va, pa, size, entry, flags, hole: 0 };
}

test('leaf by leaf, list is the plain recursion, with any capacity, and changes nothing', () => {
  fc.assert(
    fc.property(scene, capacity, fc.boolean(), ({ cpu, tables }, capacity, loops) => {
      setStage(stage, tables, cpu);
      for (const half of halves(cpu.levels)) {
        const options = { ...half, capacity, loops };
        expect(listAll(stage.rig, stage.space, options)).toEqual(expected(cpu, options));
      }
      expect(agrees(stage)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('folded, list joins as much as can be joined', () => {
  fc.assert(
    fc.property(scene, capacity, fc.boolean(), ({ cpu, tables }, capacity, loops) => {
      setStage(stage, tables, cpu);
      for (const half of halves(cpu.levels)) {
        const want = fold(expected(cpu, { ...half, loops }));
        // A call that ends for want of room cuts a run; joined again, the pieces are the runs.
        const pieces = listAll(stage.rig, stage.space, { ...half, capacity, loops, fold: true });
        expect(fold(pieces)).toEqual(want);
      }
    }),
    { numRuns: 300 },
  );
});

test('a part of a half begins in the middle of a page and ends with the page around its last byte', () => {
  fc.assert(
    fc.property(scene, capacity, fc.boolean(), ({ cpu, tables, accesses }, capacity, folds) => {
      setStage(stage, tables, cpu);
      const width = cpu.levels * 9 + 12;
      const vas = accesses.map(({ va }) => BigInt.asUintN(64, BigInt.asIntN(width, va)));
      for (const [i, a] of vas.entries()) {
        const b = vas[(i + 1) % vas.length] as bigint;
        if (a >> 63n !== b >> 63n) continue;
        const from = (a < b ? a : b) & ~0xfffn;
        const options = { from, last: a < b ? b : a, capacity, fold: folds };
        const got = listAll(stage.rig, stage.space, options);
        const want = expected(cpu, options);
        expect(folds ? fold(got) : got).toEqual(folds ? fold(want) : want);
      }
    }),
    { numRuns: 200 },
  );
});

test('with a range of physical memory, list gives the mappings that reach it, and every hole', () => {
  const range = fc.tuple(fc.bigInt({ min: 0n, max: 1n << 40n }), fc.constantFrom(0n, 4095n, 1n << 21n, 1n << 39n));
  fc.assert(
    fc.property(scene, range, capacity, fc.boolean(), ({ cpu, tables, accesses }, [start, size], capacity, folds) => {
      setStage(stage, tables, cpu);
      // One range anywhere, and one around a page that is mapped.
      const answers = accesses.map((a) => translate(cpu, a, (pa) => readShadow(stage, pa)));
      const mapped = answers.find((a) => a.cause === 'mapped');
      const starts = mapped?.cause === 'mapped' ? [start, mapped.pa] : [start];
      for (const pa of starts) {
        for (const half of halves(cpu.levels)) {
          const options = { ...half, capacity, pa, paLast: pa + size, fold: folds };
          const got = listAll(stage.rig, stage.space, options);
          const want = expected(cpu, options);
          expect(folds ? fold(got) : got).toEqual(folds ? fold(want) : want);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('an address translates to what the one record that holds it says, and not at all where no record does', () => {
  fc.assert(
    fc.property(scene, ({ cpu, tables, accesses }) => {
      setStage(stage, tables, cpu);
      const { core } = stage.rig;
      const runs = halves(cpu.levels).flatMap((half) =>
        listAll(stage.rig, stage.space, { ...half, fold: true, loops: true }),
      );
      const wordOf = (va: bigint) => BigInt.asUintN(64, core.translateWord(stage.space, va, 0));
      const isMapped = (word: bigint) => ((word >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n;
      const rights = layout.RESULT_WRITABLE | layout.RESULT_USER | layout.RESULT_NO_EXECUTE;
      for (const { va } of accesses) {
        const holders = runs.filter((run) => va >= run.va && va < run.va + run.size);
        expect(holders.length).toBeLessThanOrEqual(1);
        const word = wordOf(va);
        const run = holders[0];
        if (run === undefined || run.hole !== 0) expect(isMapped(word)).toBe(false);
        else expect(word & 0xfffffffffffffn).toBe(run.pa + (va - run.va));
      }
      for (const run of runs.slice(0, 200)) {
        for (const offset of [0n, run.size - 1n]) {
          const word = wordOf(run.va + offset);
          expect(isMapped(word)).toBe(run.hole === 0);
          if (run.hole !== 0) continue;
          expect(word & 0xfffffffffffffn).toBe(run.pa + offset);
          expect(Number(word >> BigInt(layout.RESULT_SHIFT)) & rights).toBe(run.flags & rights);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('a root outside memory is one hole over the whole range', async () => {
  const rig = await makeRig();
  const space = rig.core.openSpace(layout.FORMAT_X86_64, 0x7000000000n);
  rig.core.setRegime(space, layout.CR_NXE, 0, 46);
  const [half] = halves(4) as [{ from: bigint; last: bigint }];
  const hole = { va: 0n, pa: 0x7000000000n, size: 1n << 47n, entry: 0n, flags: 0, hole: layout.HOLE_UNBACKED };
  expect(listAll(rig, space, half)).toEqual([hole]);
});

test('a list that stops at a missing table goes on inside it once the table is there', async () => {
  const rig = await makeRig({ frames: 16 });
  const { core, u32, u64 } = rig;
  const space = makeSpace(rig);
  core.map(space, 0n, 0x100000n, 0x1000n, layout.PROT_READ, 0);
  const slot = (core.entryAddress(space, 0n, 1) >>> 0) / 8;
  const table = ((u64[slot] as bigint) >> 12n) & 0xffffffffffn;
  u64[slot] = ((u64[slot] as bigint) & 0xfffn) | (0x5000n << 12n);
  const cursor = core.heapAllocate(layout.CURSOR_BYTES) >>> 0;
  const output = core.heapAllocate(10 * layout.RUN_BYTES) >>> 0;
  u64.fill(0n, cursor / 8, cursor / 8 + 8);
  u64[(cursor + layout.CURSOR_LAST) / 8] = 0xffffffn;
  u64[(cursor + layout.CURSOR_PA_LAST) / 8] = EVERYTHING;
  core.list(space, cursor, output, 10);
  expect(u32[(cursor + layout.CURSOR_STATE) / 4]).toBe(layout.LIST_MISSING);
  expect(u64[(output + layout.RUN_PA) / 8]).toBe(0x5000000n);
  core.openDirectory(4);
  const storage = core.allocateFrame(layout.FRAME_TABLE);
  framesOf(rig, storage, 1).set(framesOf(rig, Number(table), 1));
  expect(core.backFrame(0x5000, storage)).toBe(layout.STATUS_OK);
  u32[(cursor + layout.CURSOR_USED) / 4] = 0;
  core.list(space, cursor, output, 10);
  expect(u32[(cursor + layout.CURSOR_STATE) / 4]).toBe(layout.LIST_DONE);
  expect(u32[(cursor + layout.CURSOR_USED) / 4]).toBe(1);
  expect(u64[(output + layout.RUN_PA) / 8]).toBe(0x100000n);
});
