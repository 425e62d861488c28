// The units of numbers: a number gets its unit when it enters TypeScript and loses it only in `core/`.
//
// Guarantees: a value of one of these types was checked once, so nobody else checks it. Bytes are BigInt (64 bits do not fit
// a double), page and frame numbers are doubles (52 bits do), so that hot calls never make a BigInt.

declare const unit: unique symbol;
type Unit<Base, Name extends string> = Base & { readonly [unit]: Name };

/** A virtual address in bytes, 0 to 2^64-1; upper halves are written sign-extended, as the CPU has them. */
export type VirtualAddress = Unit<bigint, 'VirtualAddress'>;
/** A physical address in bytes, 0 to 2^52-1. */
export type PhysicalAddress = Unit<bigint, 'PhysicalAddress'>;
/** A virtual page number: virtual address / 4096, 0 to 2^52-1. */
export type Vpn = Unit<number, 'Vpn'>;
/** A physical frame number: physical address / 4096, 0 to 2^40-1. */
export type Pfn = Unit<number, 'Pfn'>;

/** What `virtualAddress` and `physicalAddress` take: a BigInt, a safe integer, or a text like `0x7fff0000` or `4096`. */
export type AddressLike = bigint | number | string;

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
/** Bytes of the smallest page and of a frame. */
export const PAGE_BYTES = 4096;

const VA_END = 1n << 64n;
const PA_END = 1n << 52n;
const VPN_END = 2 ** 52;
const PFN_END = 2 ** 40;

/** Checks and brands a virtual address. @throws RangeError naming `name` and the value if it is not one. */
export function virtualAddress(value: AddressLike, name = 'va'): VirtualAddress {
  const va = toBigInt(value, name);
  if (va < 0n || va >= VA_END) throw new RangeError(`"${name}" must be an address of 64 bits, got ${hex(va)}`);
  return va as VirtualAddress;
}

/** Checks and brands a physical address. @throws RangeError naming `name` and the value if it is not one. */
export function physicalAddress(value: AddressLike, name = 'pa'): PhysicalAddress {
  const pa = toBigInt(value, name);
  if (pa < 0n || pa >= PA_END) throw new RangeError(`"${name}" must be an address of 52 bits, got ${hex(pa)}`);
  return pa as PhysicalAddress;
}

/** Checks and brands a virtual page number. @throws RangeError naming `name` and the value if it is not one. */
export function vpn(value: number, name = 'vpn'): Vpn {
  if (!Number.isInteger(value) || value < 0 || value >= VPN_END) {
    throw new RangeError(`"${name}" must be a page number from 0 to 2^52-1, got ${value}`);
  }
  return value as Vpn;
}

/** Checks and brands a frame number. @throws RangeError naming `name` and the value if it is not one. */
export function pfn(value: number, name = 'pfn'): Pfn {
  if (!Number.isInteger(value) || value < 0 || value >= PFN_END) {
    throw new RangeError(`"${name}" must be a frame number from 0 to 2^40-1, got ${value}`);
  }
  return value as Pfn;
}

/** The page that holds `va`. */
export function vpnOf(va: VirtualAddress): Vpn {
  return Number(va >> 12n) as Vpn;
}

/** The frame that holds `pa`. */
export function pfnOf(pa: PhysicalAddress): Pfn {
  return Number(pa >> 12n) as Pfn;
}

/** First byte of a page. */
export function pageAddress(page: Vpn): VirtualAddress {
  return (BigInt(page) << 12n) as VirtualAddress;
}

/** First byte of a frame. */
export function frameAddress(frame: Pfn): PhysicalAddress {
  return (BigInt(frame) << 12n) as PhysicalAddress;
}

/** `0x…` in lower case, without padding. */
export function hex(value: bigint | number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

function toBigInt(value: AddressLike, name: string): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^(0x[0-9a-f_]+|\d+)$/i.test(value)) return BigInt(value.replaceAll('_', ''));
  throw new RangeError(`"${name}" must be a whole number or a text like 0x1000, got ${String(value)}`);
}
