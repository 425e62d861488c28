// Words and columns that all reports share.

import type { DecodedEntry, Format, Rights } from '../machine/index.ts';

/** Rights as four letters, `rwxu`, `-` where missing. */
export function perm(rights: Rights): string {
  return PERMS[
    (rights.read ? 8 : 0) | (rights.write ? 4 : 0) | (rights.execute ? 2 : 0) | (rights.user ? 1 : 0)
  ] as string;
}

const PERMS = Array.from({ length: 16 }, (_, bits) =>
  [...'rwxu'].map((letter, n) => ((bits >> (3 - n)) & 1 ? letter : '-')).join(''),
);

/** An address as a column: `0x` and all `digits`. */
export function column(address: bigint, digits: number): string {
  return `0x${address.toString(16).padStart(digits, '0')}`;
}

/** Digits of a virtual address, canonical and so 64 bits wide. */
export const VA_DIGITS = 16;
/** Digits of a physical address, 52 bits. */
export const PA_DIGITS = 13;

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** A size in the largest unit that is not larger, with a decimal if it is not whole: `4 KiB`, `600 KiB`, `1.5 GiB`. */
export function size(bytes: bigint | number): string {
  let unit = 0;
  let scaled = Number(bytes);
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${Number.isInteger(scaled) ? scaled : scaled.toFixed(1)} ${UNITS[unit]}`;
}

/** A page size: `4K`, `2M`, `1G`. */
export function pageSize(bytes: number): string {
  let unit = 0;
  for (let rest = bytes; rest >= 1024; rest /= 1024) unit += 1;
  return `${bytes / 1024 ** unit}${UNITS[unit]?.[0]}`;
}

/** Bytes of the pages that a level maps. */
export function pageBytesOf(format: Format, level: number): number {
  return format.pageBytes[level] ?? 0;
}

/** A number with commas. Not Intl's: a listing calls it for every line. */
export function count(n: number | bigint): string {
  return n < 1000 ? String(n) : String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 hole`, `2 holes`. */
export function plural(n: number | bigint, noun: string): string {
  return `${count(n)} ${noun}${n === 1 || n === 1n ? '' : 's'}`;
}

/** Fields of an entry but for `without`: `P RW A`, those with a number as `PKEY=3`. */
export function fieldNames(decoded: DecodedEntry, without?: ReadonlySet<string>): string {
  return decoded.fields
    .filter(({ name }) => without?.has(name) !== true)
    .map(({ name, value }) => (BigInt(value) === 1n && name !== 'PKEY' ? name : `${name}=${value}`))
    .join(' ');
}
