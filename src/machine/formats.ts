// The page-table formats by name, and what the fields of their entries are called.
//
// Guarantees: every bit that is set in an entry appears in what `decodeEntry` returns, under the name its manual uses or
// as a software or reserved bit. How an entry is walked is the core's knowledge, not this file's.

import { FORMAT_X86_64, FORMAT_X86_64_LA57 } from '../../assembly/layout.ts';
import {
  X86_ACCESSED,
  X86_DEVMAP,
  X86_DIRTY,
  X86_GLOBAL,
  X86_NX,
  X86_PAT,
  X86_PAT_LARGE,
  X86_PCD,
  X86_PKEY,
  X86_PRESENT,
  X86_PROTNONE,
  X86_PSE,
  X86_PWT,
  X86_RW,
  X86_SAVED_DIRTY,
  X86_SOFT_DIRTY,
  X86_SPECIAL,
  X86_UFFD_WP,
  X86_USER,
} from '../../assembly/pte/x86_64_bits.ts';

/** Name of a page-table format. */
export type FormatName = 'x86-64' | 'x86-64-la57';

/** What is known of a format without looking at tables. */
export interface Format {
  readonly name: FormatName;
  /** FORMAT_* of the core. */
  readonly id: number;
  /** Bits of a virtual address that are translated; the rest repeats the highest. */
  readonly addressBits: number;
  /** What the manual calls an entry of each level; level 0 is the leaf table. */
  readonly levelNames: readonly string[];
  /** Bytes of a page that is mapped at a level, where one can be. */
  readonly pageBytes: readonly number[];
}

const X86_PAGES = [2 ** 12, 2 ** 21, 2 ** 30] as const;

export const FORMATS: Readonly<Record<FormatName, Format>> = {
  'x86-64': {
    name: 'x86-64',
    id: FORMAT_X86_64,
    addressBits: 48,
    levelNames: ['PTE', 'PDE', 'PDPTE', 'PML4E'],
    pageBytes: X86_PAGES,
  },
  'x86-64-la57': {
    name: 'x86-64-la57',
    id: FORMAT_X86_64_LA57,
    addressBits: 57,
    levelNames: ['PTE', 'PDE', 'PDPTE', 'PML4E', 'PML5E'],
    pageBytes: X86_PAGES,
  },
};

/** The format called `name`. @throws RangeError listing the names there are. */
export function formatNamed(name: string): Format {
  const format = FORMATS[name as FormatName];
  if (format === undefined) {
    throw new RangeError(`"format" must be one of ${Object.keys(FORMATS).join(', ')}, got ${name}`);
  }
  return format;
}

/** One field of an entry that is not zero. */
export interface EntryField {
  readonly name: string;
  readonly value: number | bigint;
}

/** What stands in an entry. */
export interface DecodedEntry {
  readonly entry: bigint;
  /** The level it was found at. */
  readonly level: number;
  /** Its name in the manual: PTE, PDE, … */
  readonly name: string;
  readonly present: boolean;
  /** It maps a page rather than referring to a table. */
  readonly leaf: boolean;
  /** Physical address of the page or table; meaningless unless present. */
  readonly address: bigint;
  /** The fields that are not zero, lowest first, the address apart. */
  readonly fields: readonly EntryField[];
}

/** Names every bit of an entry (Intel SDM vol. 3A, tables 4-14 to 4-20; Linux's names for the software bits). */
export function decodeEntry(format: Format, entry: bigint, level: number): DecodedEntry {
  const bit = (n: number) => ((entry >> BigInt(n)) & 1n) === 1n;
  const present = bit(X86_PRESENT);
  const large = present && bit(X86_PSE) && level > 0 && level < format.pageBytes.length;
  const leaf = level === 0 || large;
  const fields: EntryField[] = [];
  for (let n = 0; n < 64; n++) {
    if (!bit(n) || (n >= 12 && n < 52 && !(large && n === X86_PAT_LARGE))) continue;
    if (n >= X86_PKEY && n < X86_NX && leaf) {
      fields.push({ name: 'PKEY', value: Number((entry >> BigInt(X86_PKEY)) & 15n) });
      n = X86_NX - 1;
      continue;
    }
    fields.push({ name: fieldName(n, present, leaf, large), value: 1 });
  }
  const addressMask = 0x000f_ffff_ffff_f000n;
  const pageMask = large ? BigInt(format.pageBytes[level] ?? 4096) - 1n : 0n;
  const address = entry & addressMask & ~pageMask;
  const name = format.levelNames[level] ?? `level ${level}`;
  return { entry, level, name, present, leaf: present && leaf, address, fields };
}

function fieldName(bit: number, present: boolean, leaf: boolean, large: boolean): string {
  if (!present) return bit === X86_PROTNONE ? 'PROTNONE' : `bit ${bit}`;
  switch (bit) {
    case X86_PRESENT:
      return 'P';
    case X86_RW:
      return 'RW';
    case X86_USER:
      return 'US';
    case X86_PWT:
      return 'PWT';
    case X86_PCD:
      return 'PCD';
    case X86_ACCESSED:
      return 'A';
    case X86_DIRTY:
      return leaf ? 'D' : 'bit 6';
    case X86_PSE:
      return large ? 'PS' : leaf && X86_PAT === X86_PSE ? 'PAT' : 'PS (reserved)';
    case X86_GLOBAL:
      return leaf ? 'G' : 'bit 8';
    case X86_PAT_LARGE:
      return 'PAT';
    case X86_NX:
      return 'NX';
  }
  if (!leaf) return `bit ${bit}`;
  switch (bit) {
    case X86_SPECIAL:
      return 'SPECIAL';
    case X86_UFFD_WP:
      return 'UFFD_WP';
    case X86_SOFT_DIRTY:
      return 'SOFT_DIRTY';
    case X86_DEVMAP:
      return 'DEVMAP';
    case X86_SAVED_DIRTY:
      return 'SAVED_DIRTY';
  }
  return `bit ${bit}`;
}
