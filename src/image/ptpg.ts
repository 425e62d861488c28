// The sparse page-table capture: only the pages that hold page tables, each with its physical address.
//
//   offset 0   8 B   "PTPG0001"
//          8   u32   page size, 4096
//         12   u32   number of pages
//         16         for each page: u64 physical address, then its bytes            all little-endian
//
// Guarantees: only the addresses are read when it is opened; of a file that ends too early every whole page is there.

import { hex, PAGE_BYTES, type Pfn } from '../units.ts';
import type { Image } from './image.ts';
import { type ByteSource, ImageError } from './source.ts';

/** The magic without its version. */
export const PTPG_MAGIC = 'PTPG';
const VERSION = '0001';
const HEADER_BYTES = 16;
const ADDRESS_BYTES = 8;
const RECORD_BYTES = ADDRESS_BYTES + PAGE_BYTES;
const PA_END = 1n << 52n;

export function ptpgImage(source: ByteSource): Image {
  const count = readHeader(source);
  const problems: string[] = [];
  const present = Math.min(count, Math.floor((source.sizeBytes - HEADER_BYTES) / RECORD_BYTES));
  const rest = source.sizeBytes - HEADER_BYTES - present * RECORD_BYTES;
  if (present < count) {
    const where = rest === 0 ? `before page ${present + 1}` : `${rest} bytes into page ${present + 1}`;
    problems.push(`${source.name}: truncated: it says ${count} pages and ends ${where}, at byte ${source.sizeBytes}`);
  } else if (rest > 0) {
    problems.push(`${source.name}: ${rest} bytes after the last of ${count} pages are ignored`);
  }
  const offsets = readIndex(source, present, problems);
  return {
    kind: 'ptpg',
    name: source.name,
    pages: offsets.size,
    sizeBytes: source.sizeBytes,
    problems,
    page(pa) {
      const offset = offsets.get(Number(pa >> 12n) as Pfn);
      if (offset === undefined) return undefined;
      const page = source.read(offset, PAGE_BYTES);
      return page.length === PAGE_BYTES ? page : undefined;
    },
    close: () => source.close(),
    [Symbol.asyncDispose]: () => source.close(),
  };
}

function readHeader(source: ByteSource): number {
  const bytes = source.read(0, HEADER_BYTES);
  const magic = String.fromCharCode(...bytes.subarray(0, 8));
  if (!magic.startsWith(PTPG_MAGIC))
    throw new ImageError(`${source.name}: no PTPG capture: it starts with ${quote(magic)}`);
  if (bytes.length < HEADER_BYTES) {
    throw new ImageError(
      `${source.name}: truncated: it ends ${bytes.length} bytes into the ${HEADER_BYTES}-byte header`,
    );
  }
  if (magic !== PTPG_MAGIC + VERSION) {
    throw new ImageError(`${source.name}: PTPG version ${quote(magic.slice(4))} is not known, only "${VERSION}"`);
  }
  const view = viewOf(bytes);
  const pageBytes = view.getUint32(8, true);
  if (pageBytes !== PAGE_BYTES) {
    throw new ImageError(`${source.name}: page size ${pageBytes} at byte 8 is not supported, only ${PAGE_BYTES}`);
  }
  const count = view.getUint32(12, true);
  if (count === 0) throw new ImageError(`${source.name}: empty: the capture holds no pages`);
  return count;
}

/** Offset of each page's bytes by its PFN. A page with a bad address is left out and told of. */
function readIndex(source: ByteSource, pages: number, problems: string[]): Map<Pfn, number> {
  const offsets = new Map<Pfn, number>();
  for (let i = 0; i < pages; i++) {
    const at = HEADER_BYTES + i * RECORD_BYTES;
    const pa = viewOf(source.read(at, ADDRESS_BYTES)).getBigUint64(0, true);
    const pfn = Number(pa >> 12n) as Pfn;
    const bad =
      pa >= PA_END || (pa & 0xfffn) !== 0n ? 'is no page address' : offsets.has(pfn) ? 'was there already' : '';
    if (bad === '') offsets.set(pfn, at + ADDRESS_BYTES);
    else problems.push(`${source.name}: page ${i + 1} of ${pages} is left out: its address ${hex(pa)} ${bad}`);
  }
  return offsets;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
