// The readers: what they give, and what they say of images that are not in order.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { type Image, type ImageOptions, imageOf, openImage } from '../../src/image/index.ts';
import { PhysicalMemory } from '../../src/machine/index.ts';
import { physicalAddress } from '../../src/units.ts';
import { P, RW, sampleTables, Tables, US } from './tables.ts';

const directory = mkdtempSync(join(tmpdir(), 'pagewalk-image-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const ptpg = sampleTables().ptpg();
const raw = sampleTables().raw(0x10000);
const RECORD = 4104;

describe('what an image holds', () => {
  test.each([
    ['raw', raw, 'raw', 16],
    ['ptpg', ptpg, 'ptpg', 5],
    ['gzipped ptpg', gzipSync(ptpg), 'ptpg', 5],
  ] as const)('%s: from bytes and from a file', async (name, bytes, kind, pages) => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    for (const image of [await imageOf(bytes), await openImage(path)]) {
      expect({ kind: image.kind, pages: image.pages, problems: image.problems }).toEqual({ kind, pages, problems: [] });
      for (const [pa, page] of sampleTables().pages()) expect(image.page(physicalAddress(pa + 0x123))).toEqual(page);
      expect(image.page(physicalAddress(0x10000))).toBeUndefined();
      expect(image.page(physicalAddress(2n ** 52n - 1n))).toBeUndefined();
      await image.close();
    }
  });

  test('raw with a base', async () => {
    const image = await imageOf(raw, { base: physicalAddress(0x80000000) });
    expect(image.page(physicalAddress(0x80001000))).toEqual(raw.slice(0x1000, 0x2000));
    expect(image.page(physicalAddress(0x1000))).toBeUndefined();
    await expect(imageOf(raw, { base: physicalAddress(12) })).rejects.toThrow('"base" must be page-aligned, got 0xc');
  });

  test('kind raw reads anything as raw', async () => {
    const image = await imageOf(ptpg, { kind: 'raw' });
    expect(image.kind).toBe('raw');
    expect(image.page(physicalAddress(0))?.subarray(0, 4)).toEqual(ptpg.subarray(0, 4));
  });

  test('tables beyond 4 GiB in a sparse file of 6 GiB', async () => {
    const base = 5 * 2 ** 30;
    const tables = new Tables()
      .set(base, 511, BigInt(base + 0x1000) | P | RW | US)
      .set(base + 0x1000, 0, BigInt(base + 0x2000) | P | RW | US)
      .set(base + 0x2000, 0, BigInt(base + 0x3000) | P | RW | US)
      .set(base + 0x3000, 1, 0x123456789000n | P | RW | US);
    const path = join(directory, 'large.raw');
    const file = openSync(path, 'w');
    ftruncateSync(file, 6 * 2 ** 30);
    for (const [pa, bytes] of tables.pages()) writeSync(file, bytes, 0, bytes.length, pa);
    closeSync(file);
    const image = await openImage(path);
    expect(image.sizeBytes).toBe(6 * 2 ** 30);
    const memory = await PhysicalMemory.createSparse({ pages: 16 });
    const space = memory.openAddressSpace({ format: 'x86-64', root: physicalAddress(base) });
    const records = [...space.mappings({ fetch: (table) => image.page(table) })];
    expect(records).toMatchObject([
      { kind: 'mapping', va: 0xffffff8000001000n, pa: 0x123456789000n, sizeBytes: 4096n },
    ]);
    await image.close();
  });
});

describe('truncated', () => {
  test.each([
    [16 + 2 * RECORD, 2, 'truncated: it says 5 pages and ends before page 3, at byte 8224'],
    [16 + 2 * RECORD + 3, 2, 'truncated: it says 5 pages and ends 3 bytes into page 3, at byte 8227'],
    [16 + 2 * RECORD + 8 + 4095, 2, 'truncated: it says 5 pages and ends 4103 bytes into page 3, at byte 12327'],
    [16, 0, 'truncated: it says 5 pages and ends before page 1, at byte 16'],
  ])('ptpg cut to %i bytes keeps its %i whole pages', async (length, pages, problem) => {
    const image = await imageOf(ptpg.subarray(0, length), { name: 'cut' });
    expect(image.problems).toEqual([`cut: ${problem}`]);
    expect(image.pages).toBe(pages);
    if (pages > 0) expect(image.page(physicalAddress(0x1000))).toEqual(raw.slice(0x1000, 0x2000));
  });

  test('gzip that ends early keeps what it gave', async () => {
    const image = await imageOf(noisy().subarray(0, -3000), { name: 'cut.gz' });
    expect(image.problems[0]).toMatch(/^cut\.gz: the gzip data ends early or is damaged \(.+\)$/);
    expect(image.problems[1]).toMatch(
      /^cut\.gz: truncated: it says 8 pages and ends \d+ bytes into page 8, at byte \d+$/,
    );
    expect(image.pages).toBe(7);
  });

  test('of gzip that ends early the reason is told where Node wraps it into an error without a message', async () => {
    const cause = new Error('unexpected end of file');
    class Wrapping {
      readonly writable = new WritableStream();
      readonly readable = new ReadableStream({ start: (controller) => controller.error(new TypeError('', { cause })) });
    }
    vi.stubGlobal('DecompressionStream', Wrapping);
    try {
      await expect(imageOf(noisy(), { name: 'cut.gz' })).rejects.toThrow('(unexpected end of file)');
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('raw of no whole number of pages', async () => {
    const image = await imageOf(raw.subarray(0, 0x2345), { name: 'cut' });
    expect(image.pages).toBe(2);
    expect(image.problems).toEqual([
      'cut: 9029 bytes are no whole number of 4096-byte pages: the file ends 837 bytes into the page at 0x2000',
    ]);
    expect(image.page(physicalAddress(0x2000))).toBeUndefined();
  });

  test('bytes after the last page, and pages with bad addresses', async () => {
    const bytes = new Uint8Array(ptpg.length + 7);
    bytes.set(ptpg);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(16 + RECORD, 0x1234n, true);
    view.setBigUint64(16 + 2 * RECORD, 0x1000n, true);
    view.setBigUint64(16 + 3 * RECORD, 1n << 52n, true);
    const image = await imageOf(bytes, { name: 'odd' });
    expect(image.pages).toBe(2);
    expect(image.problems).toEqual([
      'odd: 7 bytes after the last of 5 pages are ignored',
      'odd: page 2 of 5 is left out: its address 0x1234 is no page address',
      'odd: page 3 of 5 is left out: its address 0x1000 was there already',
      'odd: page 4 of 5 is left out: its address 0x10000000000000 is no page address',
    ]);
  });
});

describe('refused', () => {
  const CASES: readonly (readonly [string, Uint8Array, ImageOptions, string])[] = [
    ['empty', new Uint8Array(0), {}, 'x: empty: there are no bytes in it'],
    ['no pages', withWord(12, 0), {}, 'x: empty: the capture holds no pages'],
    ['another version', withText(4, '0002'), {}, 'x: PTPG version "0002" is not known, only "0001"'],
    ['another page size', withWord(8, 16384), {}, 'x: page size 16384 at byte 8 is not supported, only 4096'],
    ['half a header', ptpg.subarray(0, 11), {}, 'x: truncated: it ends 11 bytes into the 16-byte header'],
    ['no ptpg', text('not at all'), { kind: 'ptpg' }, 'x: no PTPG capture: it starts with "not at a"'],
    ['ELF', text('\x7fELF'), {}, 'x: is an ELF file (a core dump?), not an image of type raw or ptpg'],
    [
      'zstd',
      text('\x28\xb5\x2f\xfd'),
      {},
      'x: is compressed with zstd; decompress it first, not an image of type raw or ptpg',
    ],
    ['gzipped raw', gzipSync(raw), {}, 'x: no PTPG capture in the gzip data; decompress a raw image first'],
  ];

  test.each(CASES)('%s', async (_, bytes, options, message) => {
    await expect(imageOf(bytes, { ...options, name: 'x' })).rejects.toThrow(message);
    const path = join(directory, 'refused');
    writeFileSync(path, bytes);
    await expect(openImage(path, options)).rejects.toThrow(message.replace(/^x/, path));
  });

  test('damaged gzip', async () => {
    await expect(imageOf(gzipSync(ptpg).subarray(0, 12))).rejects.toThrow('the gzip data ends early or is damaged');
  });

  test('no such file, a directory', async () => {
    await expect(openImage(join(directory, 'nowhere'))).rejects.toThrow(/nowhere: no such file$/);
    await expect(openImage(directory)).rejects.toThrow(/: is a directory, not a file$/);
  });
});

test('an image is an async disposable', async () => {
  const image: Image = await imageOf(raw);
  await image[Symbol.asyncDispose]();
});

function text(characters: string): Uint8Array {
  return Uint8Array.from(characters, (c) => c.charCodeAt(0));
}

function withText(at: number, characters: string): Uint8Array {
  const bytes = ptpg.slice();
  bytes.set(text(characters), at);
  return bytes;
}

function withWord(at: number, word: number): Uint8Array {
  const bytes = ptpg.slice();
  new DataView(bytes.buffer).setUint32(at, word, true);
  return bytes;
}

/** A capture of eight pages that do not compress. */
function noisy(): Uint8Array {
  const tables = new Tables();
  let word = 1n;
  for (let n = 0; n < 8 * 512; n++) {
    word = (word * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
    tables.set((1 + Math.floor(n / 512)) * 0x1000, n % 512, word);
  }
  return gzipSync(tables.ptpg());
}
