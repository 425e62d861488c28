// A raw image: the byte at offset N is the byte at physical address base + N. Any size; pages are read one at a time.

import { hex, PAGE_BYTES, type PhysicalAddress } from '../units.ts';
import type { Image } from './image.ts';
import { type ByteSource, ImageError } from './source.ts';

export function rawImage(source: ByteSource, base: PhysicalAddress): Image {
  const first = Number(base);
  if (first % PAGE_BYTES !== 0) throw new ImageError(`"base" must be page-aligned, got ${hex(base)}`);
  const pages = Math.floor(source.sizeBytes / PAGE_BYTES);
  const rest = source.sizeBytes % PAGE_BYTES;
  const problems: string[] = [];
  if (rest !== 0) {
    problems.push(
      `${source.name}: ${source.sizeBytes} bytes are no whole number of ${PAGE_BYTES}-byte pages: ` +
        `the file ends ${rest} bytes into the page at ${hex(first + pages * PAGE_BYTES)}`,
    );
  }
  return {
    kind: 'raw',
    name: source.name,
    pages,
    sizeBytes: source.sizeBytes,
    problems,
    page(pa) {
      const offset = Math.floor(Number(pa) / PAGE_BYTES) * PAGE_BYTES - first;
      if (offset < 0 || offset >= pages * PAGE_BYTES) return undefined;
      const page = source.read(offset, PAGE_BYTES);
      return page.length === PAGE_BYTES ? page : undefined;
    },
    close: () => source.close(),
    [Symbol.asyncDispose]: () => source.close(),
  };
}
