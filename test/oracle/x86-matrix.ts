// The oracle again, for the access matrix: numbers only, one page and the entry above it, every other entry permissive and accessed.
//
// `test/core/access-matrix.test.ts` checks it against the oracle in BigInt. Bits of an entry are numbered here on their own, so that an
// entry is a small integer and all of them can be counted through.

export const P = 1;
export const RW = 2;
export const US = 4;
export const A = 8;
export const D = 16;
export const NX = 32;
/** A bit beyond MAXPHYADDR. */
export const RESERVED = 64;
/** Protection key 1 in place of 0. */
export const KEY = 128;
/** Ignored by walks. */
export const PAT = 256;

/** The switches, resolved to booleans once for many judgements. */
export interface Switches {
  wp: boolean;
  nxe: boolean;
  smep: boolean;
  smap: boolean;
  ac: boolean;
  pke: boolean;
  pkru: number;
}

export const MAPPED = 1 << 24;
export const CAUSE_SHIFT = 16;
export const LEVEL_SHIFT = 12;
const ABSENT = 1;
const RESERVED_SET = 2;
const FORBIDDEN = 3;

/**
 * `upper` is the entry above the leaf, or the leaf itself if `lower` is undefined (a large page of `level`); `level` is that of the leaf.
 * Returns MAPPED with the rights that both leave (RW, US, NX), or cause, level and error code.
 */
export function judge(
  cpu: Switches,
  upper: number,
  lower: number | undefined,
  level: number,
  write: boolean,
  fetch: boolean,
  user: boolean,
): number {
  const code = (write ? 2 : 0) + (user ? 4 : 0) + (fetch && (cpu.nxe || cpu.smep) ? 16 : 0);
  const bad = cpu.nxe ? RESERVED : RESERVED | NX;
  const above = lower === undefined ? level : level + 1;
  if ((upper & P) === 0) return (ABSENT << CAUSE_SHIFT) | (above << LEVEL_SHIFT) | code;
  if ((upper & bad) !== 0) return (RESERVED_SET << CAUSE_SHIFT) | (above << LEVEL_SHIFT) | code | 9;
  if (lower !== undefined) {
    if ((lower & P) === 0) return (ABSENT << CAUSE_SHIFT) | (level << LEVEL_SHIFT) | code;
    if ((lower & bad) !== 0) return (RESERVED_SET << CAUSE_SHIFT) | (level << LEVEL_SHIFT) | code | 9;
  }
  const leaf = lower ?? upper;
  const rights = (upper & leaf & (RW | US)) | ((upper | leaf) & NX);
  const userPage = (rights & US) !== 0;
  let refused = user && !userPage;
  if (!user && userPage) refused = fetch ? cpu.smep : cpu.smap && !cpu.ac;
  if (fetch && (rights & NX) !== 0) refused = true;
  const guarded = user || cpu.wp;
  if (write && (rights & RW) === 0 && guarded) refused = true;
  let key = false;
  if (cpu.pke && userPage && !fetch) {
    const pair = (leaf & KEY) !== 0 ? cpu.pkru >> 2 : cpu.pkru;
    key = (pair & 1) !== 0 || ((pair & 2) !== 0 && write && guarded);
  }
  if (refused || key) return (FORBIDDEN << CAUSE_SHIFT) | (level << LEVEL_SHIFT) | code | 1 | (key ? 32 : 0);
  return MAPPED | rights;
}

/** The entry that the small integer stands for. `reservedBit` is the bit that RESERVED sets. */
export function entryOf(bits: number, pa: bigint, reservedBit: bigint, large: boolean): bigint {
  const bit = (flag: number, n: bigint) => ((bits & flag) !== 0 ? 1n << n : 0n);
  return (
    pa |
    bit(P, 0n) |
    bit(RW, 1n) |
    bit(US, 2n) |
    bit(A, 5n) |
    bit(D, 6n) |
    bit(NX, 63n) |
    bit(RESERVED, reservedBit) |
    bit(KEY, 59n) |
    bit(PAT, large ? 12n : 7n) |
    (large ? 0x80n : 0n)
  );
}
