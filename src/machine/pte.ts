// PTE operations with Linux's names and semantics, on values and on entries in memory.
//
// Guarantees: each operation is the core's, and atomic exactly where Linux's is. `pte…` take and return the 64 bits of an
// entry; `ptep…` take the address of one, from `AddressSpace.entryAddress`.

import type { CoreExports } from '../core/exports.ts';
import { type Pfn, type PhysicalAddress, physicalAddress } from '../units.ts';
import { type Protection, protectionBits } from './protection.ts';

/** Where an entry stands in the core's memory. */
export type PteAddress = number & { readonly __pteAddress: never };

type Test = (pte: bigint) => boolean;
type Make = (pte: bigint) => bigint;

/** Operations of arch/x86/include/asm/pgtable.h and include/linux/pgtable.h, on x86-64 entries. */
export interface PteOperations {
  readonly pteNone: Test;
  /** P, or PROTNONE. */
  readonly ptePresent: Test;
  readonly pteWrite: Test;
  /** D, or SAVED_DIRTY. */
  readonly pteDirty: Test;
  readonly pteYoung: Test;
  readonly pteExec: Test;
  readonly pteUser: Test;
  readonly pteGlobal: Test;
  readonly pteHuge: Test;
  readonly pteSpecial: Test;
  readonly pteSoftDirty: Test;
  readonly pteUffdWp: Test;
  readonly pteSwpSoftDirty: Test;
  readonly pteSwpUffdWp: Test;
  readonly pteMkwrite: Make;
  /** Clears RW; a set D moves to SAVED_DIRTY. */
  readonly pteWrprotect: Make;
  /** Sets D and soft-dirty; without RW, SAVED_DIRTY in place of D. */
  readonly pteMkdirty: Make;
  /** Clears D and SAVED_DIRTY; soft-dirty stays. */
  readonly pteMkclean: Make;
  readonly pteMkyoung: Make;
  readonly pteMkold: Make;
  readonly pteMkexec: Make;
  readonly pteMknexec: Make;
  readonly pteMkhuge: Make;
  readonly pteClrhuge: Make;
  readonly pteMkglobal: Make;
  readonly pteClrglobal: Make;
  readonly pteMkspecial: Make;
  readonly pteMksoftDirty: Make;
  readonly pteClearSoftDirty: Make;
  /** Sets uffd-wp and write-protects. */
  readonly pteMkuffdWp: Make;
  readonly pteClearUffdWp: Make;
  /** Protection key, 0 to 15. */
  ptePkey(pte: bigint): number;
  /** The frame; of an entry that is not present the stored PFN is inverted, and this turns it back. */
  ptePfn(pte: bigint): Pfn;
  /** All 64 bits agree, A and D included. */
  pteSame(a: bigint, b: bigint): boolean;
  /** The same page with other rights; A, D, soft-dirty, uffd-wp and caching stay. No right at all makes it PROTNONE. */
  pteModify(pte: bigint, protection: Protection): bigint;
  /** A leaf for the page at `pa`, of level 0 (4 KiB), 1 (2 MiB) or 2 (1 GiB). */
  makePte(pa: PhysicalAddress, level: 0 | 1 | 2, protection: Protection): bigint;

  ptepGet(at: PteAddress): bigint;
  /** A store: an A or D that hardware sets between a read of the entry and this store is lost. */
  setPte(at: PteAddress, pte: bigint): void;
  /** Exchange with zero. */
  ptepGetAndClear(at: PteAddress): bigint;
  /** Compare-exchange loop of `pteWrprotect`. */
  ptepSetWrprotect(at: PteAddress): void;
  /** Returns whether A was set. */
  ptepTestAndClearYoung(at: PteAddress): boolean;
  /** Exchange with zero: until the commit the entry is none, and accesses fault. */
  ptepModifyProtStart(at: PteAddress): bigint;
  ptepModifyProtCommit(at: PteAddress, pte: bigint): void;
}

const TESTS = [
  'pteNone',
  'ptePresent',
  'pteWrite',
  'pteDirty',
  'pteYoung',
  'pteExec',
  'pteUser',
  'pteGlobal',
  'pteHuge',
  'pteSpecial',
  'pteSoftDirty',
  'pteUffdWp',
  'pteSwpSoftDirty',
  'pteSwpUffdWp',
] as const;

const MAKERS = [
  'pteMkwrite',
  'pteWrprotect',
  'pteMkdirty',
  'pteMkclean',
  'pteMkyoung',
  'pteMkold',
  'pteMkexec',
  'pteMknexec',
  'pteMkhuge',
  'pteClrhuge',
  'pteMkglobal',
  'pteClrglobal',
  'pteMkspecial',
  'pteMksoftDirty',
  'pteClearSoftDirty',
  'pteMkuffdWp',
  'pteClearUffdWp',
] as const;

/** The operations as calls of `core`. */
export function pteOperations(core: CoreExports): PteOperations {
  const tests = Object.fromEntries(TESTS.map((name) => [name, (pte: bigint) => core[name](pte) !== 0]));
  const makers = Object.fromEntries(MAKERS.map((name) => [name, (pte: bigint) => unsigned(core[name](pte))]));
  return {
    ...(tests as Record<(typeof TESTS)[number], Test>),
    ...(makers as Record<(typeof MAKERS)[number], Make>),
    ptePkey: (pte) => core.ptePkey(pte),
    ptePfn: (pte) => core.ptePfn(pte) as Pfn,
    pteSame: (a, b) => core.pteSame(a, b) !== 0,
    pteModify: (pte, protection) => unsigned(core.pteModify(pte, protectionBits(protection))),
    makePte: (pa, level, protection) => unsigned(core.makePte(physicalAddress(pa), level, protectionBits(protection))),
    ptepGet: (at) => unsigned(core.ptepGet(at)),
    setPte: (at, pte) => core.setPte(at, pte),
    ptepGetAndClear: (at) => unsigned(core.ptepGetAndClear(at)),
    ptepSetWrprotect: (at) => core.ptepSetWrprotect(at),
    ptepTestAndClearYoung: (at) => core.ptepTestAndClearYoung(at) !== 0,
    ptepModifyProtStart: (at) => unsigned(core.ptepModifyProtStart(at)),
    ptepModifyProtCommit: (at, pte) => core.ptepModifyProtCommit(at, pte),
  };
}

function unsigned(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
