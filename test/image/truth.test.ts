// Two real kernels' page tables against what QEMU's two walkers and the kernels themselves say about them, leaf by leaf.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Image, openImage } from '../../src/image/index.ts';
import { type AddressSpace, type FormatName, type Mapping, PhysicalMemory } from '../../src/machine/index.ts';
import { hex, physicalAddress } from '../../src/units.ts';

const CAPTURES = new URL('../fixtures/captures/', import.meta.url);

const CASES = [
  { name: 'x86_64-4l-nopti', format: 'x86-64', mappings: 9350, pagemap: 6618, addresses: 18506 },
  { name: 'x86_64-5l-nopti', format: 'x86-64-la57', mappings: 9344, pagemap: 6617, addresses: 18500 },
] as const;

interface Registers {
  readonly roots: Readonly<Record<string, string>>;
  readonly counts: Readonly<Record<string, unknown>>;
}

interface Counts {
  readonly mappings: number;
  readonly by_size: Readonly<Record<string, number>>;
}

interface TlbLine {
  readonly va: string;
  readonly pa: string;
  readonly size: number;
  readonly flags: string;
}

interface PagemapLine {
  readonly va: string;
  readonly pa: string | null;
  readonly vma: string;
  readonly mark?: string;
}

describe.each(CASES)('$name', ({ name, format, mappings, pagemap, addresses }) => {
  const registers: Registers = JSON.parse(readFileSync(new URL(`${name}.registers.json`, CAPTURES), 'utf8'));
  let image: Image;
  let memory: PhysicalMemory;

  beforeAll(async () => {
    image = await openImage(new URL(`${name}.ptpg.gz`, CAPTURES).pathname);
    memory = await PhysicalMemory.createSparse({ pages: image.pages });
  });
  afterAll(() => image.close());

  test('what `info tlb` lists is what the walk lists: address, frame, size, flags of the leaf, and nothing else', () => {
    const truth = lines(`${name}.truth-tlb.current.jsonl.gz`).map((line): string => {
      const { va, pa, size, flags } = JSON.parse(line) as TlbLine;
      return [va, pa, size, flags].join(' ');
    });
    const listed = leaves(open('current')).map(({ va, pa, sizeBytes, entry }) =>
      [hex(va), hex(pa), sizeBytes, qemuFlags(entry, sizeBytes)].join(' '),
    );
    expect(truth).toHaveLength(mappings);
    expect(listed.sort()).toEqual(truth.sort());
  });

  test('folding covers the same bytes with the same rights', () => {
    const pages = leaves(open('current')).flatMap(pagesOf);
    const folded = leaves(open('current'), true);
    expect(folded.length).toBeLessThan(mappings / 10);
    expect(folded.flatMap(pagesOf)).toEqual(pages);
  });

  test('the user half is what the kernel itself tells in /proc/PID/pagemap, but for PROT_NONE and /dev/mem', () => {
    const frames = new Map<string, string>();
    for (const leaf of leaves(open('current')).filter(({ va }) => va < 1n << 63n)) {
      for (let at = 0n; at < leaf.sizeBytes; at += 4096n) frames.set(hex(leaf.va + at), hex(leaf.pa + at));
    }
    const seen = { present: 0, absent: 0, protNone: 0, devMem: 0 };
    const truth = lines(`${name}.truth-pagemap.jsonl.gz`).map((line) => JSON.parse(line) as PagemapLine);
    for (const { va, pa, vma, mark } of truth) {
      const frame = frames.get(va) ?? null;
      frames.delete(va);
      if (frame === pa) seen[pa === null ? 'absent' : 'present'] += 1;
      else if (vma === '---p' && frame === null) seen.protNone += 1;
      else if (mark === 'devmem_vga' && pa === null) seen.devMem += 1;
      else expect.unreachable(`${va}: the tables say ${frame}, pagemap says ${pa} in a VMA ${vma}`);
    }
    expect(truth).toHaveLength(pagemap);
    expect([...frames]).toEqual([]);
    // 512 pages of a huge page and 4 small ones that were touched and then mprotect()ed; two pages of the VGA buffer.
    expect({ protNone: seen.protNone, devMem: seen.devMem }).toEqual({ protNone: 516, devMem: 2 });
    expect(seen.present + seen.absent).toBe(pagemap - 518);
  });

  test('every address of `gva2gpa` goes where QEMU says, or nowhere', () => {
    const space = open('current');
    const wrong: string[] = [];
    const truth = lines(`${name}.gva2gpa.tsv.gz`);
    for (const line of truth) {
      const [va = '', pa = ''] = line.split('\t');
      const result = space.translate(`0x${va}`, undefined, (table) => image.page(table));
      const said = result.kind === 'mapped' ? result.pa.toString(16) : '-';
      if (said !== pa) wrong.push(`${va}: QEMU ${pa}, pagewalk ${said}`);
    }
    expect(truth).toHaveLength(addresses);
    expect(wrong).toEqual([]);
  });

  test.each(Object.keys(registers.roots))('counts of root %s', (root) => {
    const { mappings: total, by_size } = registers.counts[root] as Counts;
    const bySize: Record<string, number> = {};
    const listed = leaves(open(root));
    for (const { sizeBytes } of listed) bySize[String(sizeBytes)] = (bySize[String(sizeBytes)] ?? 0) + 1;
    expect(listed).toHaveLength(total);
    expect(bySize).toEqual(by_size);
  });

  function open(root: string): AddressSpace {
    const address = physicalAddress(registers.roots[root] ?? '');
    return memory.openAddressSpace({ format: format as FormatName, root: address });
  }

  /** All mappings; a hole would be an error. */
  function leaves(space: AddressSpace, fold = false): Mapping[] {
    const records = [...space.mappings({ fold, fetch: (table) => image.page(table) })];
    return records.map((record) => {
      if (record.kind === 'hole') throw new Error(`hole at ${hex(record.va)}: ${record.why}`);
      return record;
    });
  }
});

function lines(file: string): string[] {
  return gunzipSync(readFileSync(new URL(file, CAPTURES)))
    .toString()
    .trimEnd()
    .split('\n');
}

/** `XGPDACTUW` as QEMU's print_pte() writes it, of the leaf alone. */
function qemuFlags(entry: bigint, sizeBytes: bigint): string {
  const bit = (n: bigint) => ((entry >> n) & 1n) === 1n;
  const flags = { X: bit(63n), G: bit(8n), P: sizeBytes > 4096n, D: bit(6n), A: bit(5n) };
  const more = { C: bit(4n), T: bit(3n), U: bit(2n), W: bit(1n) };
  return Object.entries({ ...flags, ...more })
    .map(([letter, set]) => (set ? letter : '-'))
    .join('');
}

function pagesOf({ va, pa, sizeBytes, rights }: Mapping): string[] {
  const pages: string[] = [];
  for (let at = 0n; at < sizeBytes; at += 4096n)
    pages.push(`${hex(va + at)} ${hex(pa + at)} ${JSON.stringify(rights)}`);
  return pages;
}
