// Folios, files' cached pages, and the reverse map: from a folio to the entries that map it, in several mms.

import { beforeEach, describe, expect, test } from 'vitest';
import { control, layout, makeRig, makeSpace, type Rig } from '../support/core.ts';

const VA = 0x400000n;
const PAGE = 4096n;
const { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_SWAPBACKED, PG_UPTODATE } = layout;

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig({ frames: 64, basePfn: 0x100 });
  expect(rig.core.openFolios()).toBe(layout.STATUS_OK);
});

const word = (address: number) => rig.u32[address / 4] as number;
const refs = (pfn: number) => word((rig.core.frameMeta(pfn) >>> 0) + layout.META_REFS);

function makeFolio(): { pfn: number; folio: number } {
  const pfn = rig.core.allocateFolio();
  return { pfn, folio: rig.core.folioAddress(pfn) >>> 0 };
}

/** What the reverse map finds, as text. */
function mappers(folio: number): string[] {
  const output = rig.core.heapAllocate(16 * 16) >>> 0;
  rig.core.lockFolio(folio);
  const count = rig.core.listRmap(folio, output, 16) >>> 0;
  rig.core.unlockFolio(folio);
  const found = Array.from({ length: count }, (_, n) => {
    const va = rig.u64[(output + n * 16 + 8) / 8] as bigint;
    return `${word(output + n * 16)} 0x${va.toString(16)}`;
  });
  rig.core.heapFree(output);
  return found;
}

function mapAt(mm: number, va: bigint, pfn: number): void {
  const space = word(mm + layout.MM_SPACE);
  expect(rig.core.map(space, va, BigInt(pfn) << 12n, PAGE, layout.PROT_READ, 0)).toBe(layout.STATUS_OK);
}

describe('a folio', () => {
  test('is found from its frame, and other frames have none', () => {
    const { pfn, folio } = makeFolio();
    expect(folio).not.toBe(0);
    expect(refs(pfn)).toBe(1);
    expect(rig.core.folioAddress(rig.core.allocateFrame(layout.FRAME_DATA))).toBe(0);
    expect(rig.core.folioAddress(0x99)).toBe(0);
    rig.core.putFolio(folio);
    expect(rig.core.folioAddress(pfn)).toBe(0);
  });

  test('comes without the flags and the mapping of the one before it', () => {
    const { pfn, folio } = makeFolio();
    rig.u32.fill(0xffffffff, folio / 4 + 1, (folio + layout.FOLIO_BYTES) / 4);
    rig.core.putFolio(folio);
    const again = makeFolio();
    expect(again).toEqual({ pfn, folio });
    expect([...rig.u32.subarray(folio / 4, (folio + layout.FOLIO_BYTES) / 4)].every((w) => w === 0)).toBe(true);
  });

  test('put once too often is refused and counted, and no frame comes twice', () => {
    const { folio } = makeFolio();
    rig.core.putFolio(folio);
    rig.core.putFolio(folio);
    expect(control(rig, layout.CONTROL_BAD_FREE)).toBe(1);
    expect(makeFolio().pfn).not.toBe(makeFolio().pfn);
  });
});

describe('the page cache', () => {
  test('holds a reference, refuses a second page at the same place, and gives its pages up with the file', () => {
    const mapping = rig.core.createMapping() >>> 0;
    expect(rig.core.openMapping(mapping, 4)).toBe(1);
    const [first, second] = [makeFolio(), makeFolio()];
    expect(rig.core.addToMapping(mapping, 2, first.folio)).toBe(1);
    expect(refs(first.pfn)).toBe(2);
    expect(rig.core.addToMapping(mapping, 2, second.folio)).toBe(0);
    expect(refs(second.pfn)).toBe(1);
    expect(word(second.folio + layout.FOLIO_MAPPING)).toBe(0);
    rig.core.putFolio(first.folio);
    rig.core.freeMapping(mapping);
    expect(rig.core.folioAddress(first.pfn)).toBe(0);
  });
});

describe('the reverse map', () => {
  test('finds a page of a file in every mm that maps it, at its own address, and not where it is not mapped', () => {
    const mapping = rig.core.createMapping() >>> 0;
    rig.core.openMapping(mapping, 8);
    const { pfn, folio } = makeFolio();
    rig.core.addToMapping(mapping, 5, folio);
    const [one, two] = [0, 1].map(() => rig.core.createMm(makeSpace(rig), true) >>> 0) as [number, number];
    const five = rig.core.createMm(makeSpace(rig, 5), false) >>> 0;
    rig.core.insertVma(one, VA, VA + 8n * PAGE, layout.VM_SHARED, mapping, 0n);
    rig.core.insertVma(two, VA, VA + 2n * PAGE, layout.VM_SHARED, mapping, 4n);
    rig.core.insertVma(two, VA + 16n * PAGE, VA + 17n * PAGE, layout.VM_SHARED, mapping, 5n);
    rig.core.insertVma(five, 1n << 52n, (1n << 52n) + 2n * PAGE, layout.VM_SHARED, mapping, 5n);
    expect(mappers(folio)).toEqual([]);
    mapAt(one, VA + 5n * PAGE, pfn);
    mapAt(two, VA + PAGE, pfn);
    mapAt(two, VA + 16n * PAGE, pfn + 1);
    mapAt(five, 1n << 52n, pfn);
    expect(new Set(mappers(folio))).toEqual(
      new Set([`${one} 0x405000`, `${two} 0x401000`, `${five} 0x10000000000000`]),
    );
  });

  test('finds an anonymous page in the mm and its forks, and in no VMA that shares nothing with them', () => {
    const [parent, child, other] = [0, 1, 2].map(() => rig.core.createMm(makeSpace(rig), true) >>> 0) as [
      number,
      number,
      number,
    ];
    const flags = layout.VM_READ | layout.VM_WRITE;
    const vma = rig.core.insertVma(parent, VA, VA + 4n * PAGE, flags, 0, 0n) >>> 0;
    const fork = rig.core.forkVma(vma, child) >>> 0;
    rig.core.insertVma(other, VA, VA + 4n * PAGE, flags, 0, 0n);
    const { pfn, folio } = makeFolio();
    // As the fault handler does: page number and anon_vma of the VMA.
    rig.u32[(folio + layout.FOLIO_MAPPING) / 4] = word(vma + layout.VMA_ANON) | layout.FOLIO_ANON;
    rig.u64[(folio + layout.FOLIO_INDEX) / 8] = (VA >> 12n) + 1n;
    for (const mm of [parent, child, other]) mapAt(mm, VA + PAGE, pfn);
    expect(new Set(mappers(folio))).toEqual(new Set([`${parent} 0x401000`, `${child} 0x401000`]));
    rig.core.removeVma(vma);
    expect(mappers(folio)).toEqual([`${child} 0x401000`]);
    // The anon_vma goes with its last VMA and stays an anon_vma: the folio that still names it is found nowhere.
    rig.core.removeVma(fork);
    expect(mappers(folio)).toEqual([]);
    const reused = rig.core.insertVma(other, VA + 8n * PAGE, VA + 9n * PAGE, flags, 0, 0n) >>> 0;
    expect(word(reused + layout.VMA_ANON)).toBe(word(vma + layout.VMA_ANON));
    expect(mappers(folio)).toEqual([]);
  });

  test('flags of folios are bits of their own', () => {
    const flags = [PG_DIRTY, layout.PG_WRITEBACK, PG_ANON_EXCLUSIVE, PG_UPTODATE, layout.PG_SWAPCACHE, PG_SWAPBACKED];
    flags.push(layout.PG_KSM, layout.PG_FLUSH_DEFERRED);
    expect(new Set(flags).size).toBe(flags.length);
    expect(flags.every((flag) => (flag & (flag - 1)) === 0)).toBe(true);
  });
});

describe('entries that are not present', () => {
  test('keep type and offset apart, in every bit, and are neither present nor none', () => {
    const { core } = rig;
    for (const type of [layout.SWP_SWAPFILE, layout.SWP_MIGRATION_READ, layout.SWP_MIGRATION_WRITE, 31]) {
      for (const offset of [0, 1, 0x12345, 2 ** 40 - 1, 2 ** 41 + 5, 2 ** 50 - 2]) {
        const pte = core.swpEntry(type, offset);
        expect([core.swpType(pte) >>> 0, core.swpOffset(pte)]).toEqual([type, offset]);
        expect([core.ptePresent(pte), core.pteNone(pte)]).toEqual([0, 0]);
      }
    }
  });
});
