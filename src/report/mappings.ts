// Mappings and holes, one line each: as a table for people and as JSON for programs.
//
// Guarantees: a line depends on its record alone, so a listing of any length can be streamed; columns have fixed widths.

import { decodeEntry, type Format, type Hole, type Mapping } from '../machine/index.ts';
import { hex, type PhysicalAddress } from '../units.ts';
import { column, count, fieldNames, PA_DIGITS, pageBytesOf, pageSize, perm, size, VA_DIGITS } from './words.ts';

/** `{"va":"0x…","pa":"0x…","size":4096,"perm":"rw-u","entry":"0x…"}`, or of a hole `{"hole":"…",…}`. */
export function jsonLine(record: Mapping | Hole): string {
  const { va, sizeBytes, entry } = record;
  if (record.kind === 'hole') {
    return `{"hole":"${record.why}","va":"${hex(va)}","size":${sizeBytes},"table":"${hex(record.table)}","entry":"${hex(entry)}"}`;
  }
  return `{"va":"${hex(va)}","pa":"${hex(record.pa)}","size":${sizeBytes},"perm":"${perm(record.rights)}","entry":"${hex(entry)}"}`;
}

const RANGE_WIDTH = 2 * (VA_DIGITS + 2) + 1;
const PA_WIDTH = PA_DIGITS + 2;
const SIZE_WIDTH = 9;
const PAGES_WIDTH = 12;

/** The line above a table. */
export function tableHead(): string {
  const cells = [
    'virtual addresses'.padEnd(RANGE_WIDTH),
    'physical'.padEnd(PA_WIDTH),
    'size'.padStart(SIZE_WIDTH),
    'perm',
    'pages'.padStart(PAGES_WIDTH),
    'attributes',
  ];
  return cells.join('  ');
}

/** Told by the columns `perm` and `pages`. */
const SHOWN = new Set(['P', 'RW', 'US', 'NX', 'PS']);
/** In a run these may differ from page to page. */
const SHOWN_OF_RUN = new Set([...SHOWN, 'A', 'D']);

/** Texts made before: a listing has millions of entries, of few kinds. */
const attributeTexts = new Map<number, string>();
const MOST_TEXTS = 4096;

function attributesOf(format: Format, { entry, level }: Mapping, run: boolean): string {
  // The bits that are no address (bit 12, PAT of large pages, among them), the level, the format.
  const bits = Number(entry & 0x1fffn) + Number(entry >> 52n) * 2 ** 13;
  const key = bits + ((format.id * 8 + level) * 2 + (run ? 1 : 0)) * 2 ** 25;
  let text = attributeTexts.get(key);
  if (text === undefined) {
    text = fieldNames(decodeEntry(format, entry, level), run ? SHOWN_OF_RUN : SHOWN);
    if (attributeTexts.size >= MOST_TEXTS) attributeTexts.clear();
    attributeTexts.set(key, text);
  }
  return text;
}

/** The lines above the table of who maps `frame`. */
export function frameHead(frame: PhysicalAddress): string {
  return `frame ${hex(frame)} is mapped by\n${tableHead()}`;
}

export function frameUnmapped(frame: PhysicalAddress): string {
  return `frame ${hex(frame)} is mapped nowhere`;
}

/** A line of a table. With `frame` it says where in a large page that frame is. */
export function tableLine(format: Format, record: Mapping | Hole, frame?: PhysicalAddress): string {
  const range = `${column(record.va, VA_DIGITS)}-${column(record.va + record.sizeBytes - 1n, VA_DIGITS)}`;
  const bytes = size(record.sizeBytes).padStart(SIZE_WIDTH);
  if (record.kind === 'hole') return `${range}  ${'-'.padEnd(PA_WIDTH)}  ${bytes}  hole: ${holeText(record)}`;
  const pageBytes = pageBytesOf(format, record.level);
  const pages = Number(record.sizeBytes) / pageBytes; // exact: both are multiples of 4096 below 2^65
  const attributes = attributesOf(format, record, pages > 1);
  const made = `${count(pages)} x ${pageSize(pageBytes)}`.padStart(PAGES_WIDTH);
  const cells = [range, column(record.pa, PA_DIGITS), bytes, perm(record.rights), made, attributes];
  if (frame !== undefined && record.level > 0) cells.push(`(the frame is at ${hex(record.va + frame - record.pa)})`);
  return cells.join('  ').trimEnd();
}

function holeText({ why, table, entry }: Hole): string {
  switch (why) {
    case 'table-not-in-memory':
      return `the table at ${hex(table)} is not in the image (entry ${hex(entry)})`;
    case 'loop':
      return `the table at ${hex(table)} is its own ancestor (entry ${hex(entry)})`;
    case 'reserved-bits':
      return `reserved bits are set in the entry ${hex(entry)}`;
  }
}
