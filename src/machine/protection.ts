// Rights and attributes of a mapping, as options instead of bits.

import {
  PROT_ACCESSED,
  PROT_DIRTY,
  PROT_EXECUTE,
  PROT_GLOBAL,
  PROT_NO_CACHE,
  PROT_PAT,
  PROT_PKEY_SHIFT,
  PROT_READ,
  PROT_SOFT_DIRTY,
  PROT_SPECIAL,
  PROT_UFFD_WP,
  PROT_USER,
  PROT_WRITE,
  PROT_WRITE_THROUGH,
} from '../../assembly/layout.ts';

/** What a leaf entry is to allow, and its attributes. Whatever is left out is off; x86 cannot take `read` away from a present page. */
export interface Protection {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly execute?: boolean;
  /** User mode may use the page. */
  readonly user?: boolean;
  /** The translation survives a change of address space. */
  readonly global?: boolean;
  readonly accessed?: boolean;
  readonly dirty?: boolean;
  readonly writeThrough?: boolean;
  readonly noCache?: boolean;
  readonly pat?: boolean;
  readonly softDirty?: boolean;
  readonly uffdWp?: boolean;
  readonly special?: boolean;
  /** Protection key, 0 to 15. */
  readonly pkey?: number;
}

const BITS: readonly (readonly [Exclude<keyof Protection, 'pkey'>, number])[] = [
  ['read', PROT_READ],
  ['write', PROT_WRITE],
  ['execute', PROT_EXECUTE],
  ['user', PROT_USER],
  ['global', PROT_GLOBAL],
  ['accessed', PROT_ACCESSED],
  ['dirty', PROT_DIRTY],
  ['writeThrough', PROT_WRITE_THROUGH],
  ['noCache', PROT_NO_CACHE],
  ['pat', PROT_PAT],
  ['softDirty', PROT_SOFT_DIRTY],
  ['uffdWp', PROT_UFFD_WP],
  ['special', PROT_SPECIAL],
];

/** PROT_* bits. @throws RangeError if the protection key is none. */
export function protectionBits(protection: Protection): number {
  const pkey = protection.pkey ?? 0;
  if (!Number.isInteger(pkey) || pkey < 0 || pkey > 15) {
    throw new RangeError(`"pkey" must be from 0 to 15, got ${pkey}`);
  }
  let bits = pkey << PROT_PKEY_SHIFT;
  for (const [name, bit] of BITS) if (protection[name]) bits |= bit;
  return bits;
}
