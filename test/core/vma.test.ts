// VMAs in their trees: by address in their mm, by page offset in their mapping; against a list that is searched from end to end.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layout, makeRig, makeSpace } from '../support/core.ts';

const PAGE = 4096n;
const rig = await makeRig({ heapBytes: 1 << 22 });
const { core } = rig;
const space = makeSpace(rig);

interface Model {
  vma: number;
  mm: number;
  start: bigint;
  end: bigint;
  pgoff: bigint;
}

interface Command {
  kind: 'insert' | 'remove';
  mm: number;
  page: bigint;
  pages: bigint;
  pgoff: bigint;
  which: number;
}

// Few pages and page offsets, so that VMAs touch, overlap and begin at the same page of the file.
const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom('insert', 'insert', 'insert', 'remove'),
  mm: fc.nat(2),
  page: fc.bigInt({ min: 0n, max: 200n }),
  pages: fc.bigInt({ min: 1n, max: 30n }),
  pgoff: fc.bigInt({ min: 0n, max: 60n }),
  which: fc.nat(1000),
});

const offsetsOf = ({ start, end, pgoff }: Model): [bigint, bigint] => [pgoff, pgoff + (end - start) / PAGE - 1n];

function vmasOf(mapping: number, first: bigint, last: bigint): number[] {
  const found: number[] = [];
  for (let vma = core.firstVmaOf(mapping, first, last) >>> 0; vma !== 0; ) {
    found.push(vma);
    vma = core.nextVmaOf(mapping, vma, first, last) >>> 0;
  }
  return found;
}

test('after any insertions and removals, look-ups by address and by page offset find what a search of a list finds', () => {
  const queries = fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 100n }), fc.bigInt({ min: 0n, max: 20n })), {
    minLength: 5,
    maxLength: 5,
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), queries, (commands, queries) => {
      const mms = [0, 1, 2].map(() => core.createMm(space, false) >>> 0);
      const mapping = core.createMapping() >>> 0;
      const models: Model[] = [];
      for (const { kind, mm: which, page, pages, pgoff, which: victim } of commands) {
        if (kind === 'remove') {
          const [gone] = models.splice(victim % Math.max(1, models.length), 1);
          if (gone !== undefined) core.removeVma(gone.vma);
          continue;
        }
        const mm = mms[which] as number;
        const [start, end] = [page * PAGE, (page + pages) * PAGE];
        const taken = models.some((model) => model.mm === mm && model.start < end && start < model.end);
        const vma = core.insertVma(mm, start, end, layout.VM_SHARED, mapping, pgoff) >>> 0;
        expect(vma === 0).toBe(taken);
        if (vma !== 0) models.push({ vma, mm, start, end, pgoff });
      }
      for (const [first, span] of queries) {
        const last = first + span;
        const want = models
          .filter((model) => offsetsOf(model)[0] <= last && offsetsOf(model)[1] >= first)
          .sort((a, b) => Number(a.pgoff - b.pgoff) || a.vma - b.vma)
          .map(({ vma }) => vma);
        expect(vmasOf(mapping, first, last)).toEqual(want);
        for (const mm of mms) {
          const va = first * PAGE + 5n;
          const at = models.find((model) => model.mm === mm && model.start <= va && va < model.end);
          expect(core.lookUpVma(mm, va) >>> 0).toBe(at?.vma ?? 0);
        }
      }
      for (const { vma } of models) core.removeVma(vma);
      expect(vmasOf(mapping, 0n, 1000n)).toEqual([]);
      for (const mm of mms) core.freeMm(mm);
      core.freeMapping(mapping);
    }),
    { numRuns: 400 },
  );
});

test('one file mapped at different offsets by several mms is found through each of them', () => {
  const [one, two] = [core.createMm(space, true) >>> 0, core.createMm(space, true) >>> 0];
  const mapping = core.createMapping() >>> 0;
  const low = core.insertVma(one, 0x10000n, 0x14000n, layout.VM_SHARED, mapping, 0n) >>> 0;
  const high = core.insertVma(two, 0x7f0000000000n, 0x7f0000004000n, layout.VM_SHARED, mapping, 2n) >>> 0;
  expect(vmasOf(mapping, 0n, 1n)).toEqual([low]);
  expect(vmasOf(mapping, 2n, 3n)).toEqual([low, high]);
  expect(vmasOf(mapping, 4n, 9n)).toEqual([high]);
  expect(vmasOf(mapping, 6n, 6n)).toEqual([]);
});
