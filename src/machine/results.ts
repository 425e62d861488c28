// What a walk can find, as unions, and how the core's result words are read.
//
// Guarantees: nothing here is thrown; a fault is an answer.

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_USER,
  ACCESS_WRITE,
  FAULT_ABSENT,
  FAULT_CAUSE_SHIFT,
  FAULT_CODE_SHIFT,
  FAULT_LEVEL_SHIFT,
  FAULT_NON_CANONICAL,
  FAULT_PROTECTION,
  FAULT_RESERVED,
  FAULT_UNBACKED,
  RESULT_ACCESSED,
  RESULT_DIRTY,
  RESULT_LEVEL_SHIFT,
  RESULT_MAPPED,
  RESULT_NO_EXECUTE,
  RESULT_SHIFT,
  RESULT_UNREADABLE,
  RESULT_USER,
  RESULT_WRITABLE,
} from '../../assembly/layout.ts';
import type { Pfn, PhysicalAddress } from '../units.ts';

/** What an access does, from the supervisor's side or, with the prefix, from user mode. */
export type Access = 'read' | 'write' | 'execute' | 'user-read' | 'user-write' | 'user-execute';

/** What all levels together allow. */
export interface Rights {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  /** User mode may use the page. */
  readonly user: boolean;
}

export interface Mapped {
  readonly kind: 'mapped';
  /** Where the byte lies. */
  readonly pa: PhysicalAddress;
  /** Level of the leaf; 0 is a 4 KiB page. */
  readonly level: number;
  readonly rights: Rights;
  /** A of the leaf, as the walk left it. */
  readonly accessed: boolean;
  /** D of the leaf, as the walk left it. */
  readonly dirty: boolean;
}

/** Why a walk ended without a page. */
export type FaultCause =
  /** an entry on the way is not present */
  | 'absent'
  /** a reserved bit is set in an entry on the way */
  | 'reserved-bit'
  /** the rights do not allow the access */
  | 'protection'
  /** an entry refers to a table outside physical memory: hardware would read whatever is there */
  | 'table-not-in-memory'
  /** the address is not canonical: #GP on x86 */
  | 'non-canonical';

export interface Fault {
  readonly kind: 'fault';
  readonly cause: FaultCause;
  /** Level of the entry that stopped the walk. */
  readonly level: number;
  /** The architecture's error code: of x86, bit 0 P, 1 W/R, 2 U/S, 3 RSVD, 4 I/D, 5 PK (Intel SDM vol. 3A, 4.7). */
  readonly code: number;
}

export type Translation = Mapped | Fault;

const CAUSES: Readonly<Record<number, FaultCause>> = {
  [FAULT_ABSENT]: 'absent',
  [FAULT_RESERVED]: 'reserved-bit',
  [FAULT_PROTECTION]: 'protection',
  [FAULT_UNBACKED]: 'table-not-in-memory',
  [FAULT_NON_CANONICAL]: 'non-canonical',
};

/** The cause with number `cause` (FAULT_*). */
export function faultCause(cause: number): FaultCause {
  return CAUSES[cause] ?? 'absent';
}

const ACCESS_BITS: Readonly<Record<Access, number>> = {
  read: ACCESS_READ,
  write: ACCESS_WRITE,
  execute: ACCESS_EXECUTE,
  'user-read': ACCESS_READ | ACCESS_USER,
  'user-write': ACCESS_WRITE | ACCESS_USER,
  'user-execute': ACCESS_EXECUTE | ACCESS_USER,
};

/** An access as the core takes it. */
export type AccessBits = number & { readonly __accessBits: never };

/** No access: the mapping, whoever may use it. */
export const NO_ACCESS = 0 as AccessBits;

/** What `…Page` calls take in place of an access, to be made once. @throws RangeError naming what was passed. */
export function accessBits(access: Access | undefined): AccessBits {
  if (access === undefined) return NO_ACCESS;
  const bits = ACCESS_BITS[access];
  if (bits === undefined) {
    throw new RangeError(`"access" must be one of ${Object.keys(ACCESS_BITS).join(', ')}, got ${String(access)}`);
  }
  return bits as AccessBits;
}

/** The rights in RESULT_* flags. */
export function rightsOf(flags: number): Rights {
  return {
    read: (flags & RESULT_UNREADABLE) === 0,
    write: (flags & RESULT_WRITABLE) !== 0,
    execute: (flags & RESULT_NO_EXECUTE) === 0,
    user: (flags & RESULT_USER) !== 0,
  };
}

/** The level in RESULT_* flags. */
export function levelOf(flags: number): number {
  return (flags >> RESULT_LEVEL_SHIFT) & 7;
}

export function isAccessed(flags: number): boolean {
  return (flags & RESULT_ACCESSED) !== 0;
}

export function isDirty(flags: number): boolean {
  return (flags & RESULT_DIRTY) !== 0;
}

/** Reads a result word: what batches write and `translateWord` returns. */
export function decodeResult(word: bigint): Translation {
  const flags = Number((word >> BigInt(RESULT_SHIFT)) & 0xfffn);
  if ((flags & RESULT_MAPPED) === 0) {
    return {
      kind: 'fault',
      cause: faultCause(Number((word >> BigInt(FAULT_CAUSE_SHIFT)) & 15n)),
      level: Number((word >> BigInt(FAULT_LEVEL_SHIFT)) & 15n),
      code: Number((word >> BigInt(FAULT_CODE_SHIFT)) & 0xffffn),
    };
  }
  return {
    kind: 'mapped',
    pa: (word & 0x000f_ffff_ffff_ffffn) as PhysicalAddress,
    level: levelOf(flags),
    rights: rightsOf(flags),
    accessed: isAccessed(flags),
    dirty: isDirty(flags),
  };
}

/**
 * A translation of one page as a double, for calls that must not allocate: PFN × 4096 + RESULT_* flags, or a fault.
 * `isMappedPage` tells which; `&` with a number below 2^32 is exact on it.
 */
export type PageResult = number & { readonly __pageResult: never };

export function isMappedPage(result: PageResult): boolean {
  return (result & RESULT_MAPPED) !== 0;
}

/** The frame of a mapped page. */
export function frameOfPage(result: PageResult): Pfn {
  return Math.floor(result / 4096) as Pfn;
}

/** Everything in a page result; `pa` is the first byte of the page's frame. */
export function decodePageResult(result: PageResult): Translation {
  const word = BigInt(result);
  return decodeResult((word & 0x000f_ffff_ffff_f000n) | ((word & 0xfffn) << BigInt(RESULT_SHIFT)));
}
