// The rules by which hardware reads tables: control registers and what the processor model brings.

import { CR_AC, CR_GBPAGES, CR_NXE, CR_PKE, CR_SMAP, CR_SMEP, CR_WP } from '../../assembly/layout.ts';

/** Control-register bits that change what a walk does (Intel SDM vol. 3A, 4.1.3 and 4.6). */
export interface Regime {
  /** CR0.WP: the supervisor, too, may write only where RW is set. Default true. */
  readonly wp: boolean;
  /** EFER.NXE: bit 63 means no execution; without it, it is reserved. Default true. */
  readonly nxe: boolean;
  /** CR4.SMEP: the supervisor does not execute user pages. Default false. */
  readonly smep: boolean;
  /** CR4.SMAP: the supervisor does not touch user pages, unless `ac`. Default false. */
  readonly smap: boolean;
  /** EFLAGS.AC. Default false. */
  readonly ac: boolean;
  /** CR4.PKE: protection keys count for user pages. Default false. */
  readonly pke: boolean;
  /** Rights of the protection keys, two bits each: access-disable, write-disable. Default 0. */
  readonly pkru: number;
  /** The processor has 1 GiB pages. Default true. */
  readonly gbPages: boolean;
  /** MAXPHYADDR: address bits above it are reserved, 32 to 52. Default 52. */
  readonly physicalBits: number;
}

export const DEFAULT_REGIME: Regime = {
  wp: true,
  nxe: true,
  smep: false,
  smap: false,
  ac: false,
  pke: false,
  pkru: 0,
  gbPages: true,
  physicalBits: 52,
};

/** CR_* bits. @throws RangeError naming what is out of range. */
export function regimeBits(regime: Regime): number {
  const { physicalBits, pkru } = regime;
  if (!Number.isInteger(physicalBits) || physicalBits < 32 || physicalBits > 52) {
    throw new RangeError(`"physicalBits" must be from 32 to 52, got ${physicalBits}`);
  }
  if (!Number.isInteger(pkru) || pkru < 0 || pkru > 0xffff_ffff) {
    throw new RangeError(`"pkru" must be a number of 32 bits, got ${pkru}`);
  }
  return (
    (regime.wp ? CR_WP : 0) |
    (regime.nxe ? CR_NXE : 0) |
    (regime.smep ? CR_SMEP : 0) |
    (regime.smap ? CR_SMAP : 0) |
    (regime.ac ? CR_AC : 0) |
    (regime.pke ? CR_PKE : 0) |
    (regime.gbPages ? CR_GBPAGES : 0)
  );
}
