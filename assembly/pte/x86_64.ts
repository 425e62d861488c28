// x86-64 page tables, four levels (IA-32e) or five (LA57): what every bit means, and nothing about how to walk.
//
// A format is a class without fields. The walk is generic over it and calls its methods on a null reference, so that each
// format gets a walk of its own, compiled with its constants, and no format is looked up at run time. A further format
// exports the same methods; those from `levels` to `touch` are all that a walk asks for, the rest is Linux's vocabulary
// (arch/x86/include/asm/pgtable.h), under Linux's names.
//
// Manual: Intel SDM vol. 3A, chapter 4: 4.5 (structures), 4.6 (access rights), 4.7 (error code), 4.8 (A and D).

import {
  ACCESS_EXECUTE,
  ACCESS_TOUCH,
  ACCESS_USER,
  ACCESS_WRITE,
  CR_AC,
  CR_GBPAGES,
  CR_NXE,
  CR_PKE,
  CR_SMAP,
  CR_SMEP,
  CR_WP,
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
  REGIME_FLAGS,
  REGIME_LEAF,
  REGIME_PKRU,
  REGIME_TABLE,
  RESULT_LEVEL_SHIFT,
  RESULT_MAPPED,
  RESULT_SHIFT,
} from "../layout";
import {
  X86_ACCESSED,
  X86_DEVMAP,
  X86_DIRTY,
  X86_FAULT_I,
  X86_FAULT_P,
  X86_FAULT_PK,
  X86_FAULT_RSVD,
  X86_FAULT_U,
  X86_FAULT_W,
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
  X86_SWAP_EXCLUSIVE,
  X86_SWAP_OFFSET,
  X86_SWAP_SOFT_DIRTY,
  X86_SWAP_TYPE,
  X86_SWAP_UFFD_WP,
  X86_UFFD_WP,
  X86_USER,
} from "./x86_64_bits";

const P: u64 = 1 << X86_PRESENT;
const RW: u64 = 1 << X86_RW;
const US: u64 = 1 << X86_USER;
const PWT: u64 = 1 << X86_PWT;
const PCD: u64 = 1 << X86_PCD;
const A: u64 = 1 << X86_ACCESSED;
const D: u64 = 1 << X86_DIRTY;
const PS: u64 = 1 << X86_PSE;
const PAT: u64 = 1 << X86_PAT;
const PAT_LARGE: u64 = 1 << X86_PAT_LARGE;
const G: u64 = 1 << X86_GLOBAL;
const PROTNONE: u64 = 1 << X86_PROTNONE;
const SPECIAL: u64 = 1 << X86_SPECIAL;
const UFFD_WP: u64 = 1 << X86_UFFD_WP;
const SOFT_DIRTY: u64 = 1 << X86_SOFT_DIRTY;
const DEVMAP: u64 = (<u64>1) << X86_DEVMAP;
const SAVED_DIRTY: u64 = (<u64>1) << X86_SAVED_DIRTY;
const PKEY_MASK: u64 = (<u64>15) << X86_PKEY;
const NX: u64 = (<u64>1) << X86_NX;
const SWAP_SOFT_DIRTY: u64 = 1 << X86_SWAP_SOFT_DIRTY;
const SWAP_UFFD_WP: u64 = 1 << X86_SWAP_UFFD_WP;
const SWAP_EXCLUSIVE: u64 = 1 << X86_SWAP_EXCLUSIVE;
/** Bits of a swap entry's offset: from X86_SWAP_OFFSET to X86_SWAP_TYPE. */
const SWAP_OFFSET_BITS: u64 = ((<u64>1) << (X86_SWAP_TYPE - X86_SWAP_OFFSET)) - 1;

/** Bits 12-51. */
const PFN_MASK: u64 = 0x000ffffffffff000;
/** A and D of a none entry do not count: stray updates by the processor (_PAGE_KNL_ERRATUM_MASK). */
const NONE_IGNORES: u64 = A | D;
/** pte_flags_need_flush(): flush_on_clear without A, flush_on_change. */
const FLUSH_ON_CLEAR: u64 = P | D;
const FLUSH_ON_CHANGE: u64 = RW | US | PWT | PCD | PS | G | PAT_LARGE | PKEY_MASK | NX;
/** What `pteModify` keeps beside the PFN: _PAGE_CHG_MASK. */
const KEPT_BY_MODIFY: u64 = PCD | PWT | PAT | SPECIAL | DEVMAP | A | D | SAVED_DIRTY | SOFT_DIRTY | UFFD_WP;

export class FourLevels {
  @inline
  get count(): i32 {
    return 4;
  }
}

export class FiveLevels {
  @inline
  get count(): i32 {
    return 5;
  }
}

export class X86Tables<Depth> {
  // ---- geometry

  @inline
  get levels(): i32 {
    return changetype<Depth>(0).count;
  }

  /** Highest level at which an entry may map a page. */
  @inline
  get topLeaf(): i32 {
    return 2;
  }

  @inline
  shift(level: i32): u64 {
    return <u64>(12 + 9 * level);
  }

  /** Bytes that one entry of `level` covers. */
  @inline
  span(level: i32): u64 {
    return (<u64>1) << this.shift(level);
  }

  /** Byte offset of the entry for `va` in its table of `level`. */
  @inline
  offset(va: u64, level: i32): usize {
    return <usize>(va >> (this.shift(level) - 3)) & 0xff8;
  }

  @inline
  index(va: u64, level: i32): u32 {
    return <u32>(va >> this.shift(level)) & 511;
  }

  @inline
  get entryShift(): i32 {
    return 3;
  }

  /** Entries of a table of any level. */
  @inline
  get entries(): u32 {
    return 512;
  }

  @inline
  canonical(va: u64): bool {
    const unused = <i64>(64 - (12 + 9 * this.levels));
    return <u64>(((<i64>va) << unused) >> unused) == va;
  }

  /** Physical address of the root table in a root register (CR3: PCID or PWT and PCD in bits 0-11, LAM in 61 and 62). */
  @inline
  rootTable(root: u64): u64 {
    return root & PFN_MASK;
  }

  // ---- one entry, as the walk sees it

  @inline
  present(entry: u64): bool {
    return (entry & P) != 0;
  }

  @inline
  leaf(entry: u64, level: i32): bool {
    return level == 0 || ((entry & PS) != 0 && level <= this.topLeaf);
  }

  @inline
  table(entry: u64): u64 {
    return entry & PFN_MASK;
  }

  /** Physical address of the page that a leaf maps. */
  @inline
  page(entry: u64, level: i32): u64 {
    return entry & PFN_MASK & ~(this.span(level) - 1);
  }

  /** The reserved bits that are set in `entry` under this regime; 0 if none is. `leaf` is what `leaf` said of it. */
  @inline
  reserved(entry: u64, level: i32, leaf: bool, regime: usize): u64 {
    const masks = regime + ((<usize>level) << 3);
    if (leaf) return entry & load<u64>(masks, REGIME_LEAF);
    return entry & load<u64>(masks, REGIME_TABLE);
  }

  /** Fills in the masks that `reserved` reads. `physicalBits` is MAXPHYADDR, 12 to 52. */
  setRegime(regime: usize, flags: u32, pkru: u32, physicalBits: u32): void {
    store<u32>(regime + REGIME_FLAGS, flags);
    store<u32>(regime + REGIME_PKRU, pkru);
    const beyond = PFN_MASK & ~(((<u64>1) << physicalBits) - 1);
    const always = beyond | ((flags & CR_NXE) != 0 ? 0 : NX);
    for (let level = 0; level < 5; ++level) {
      const slot = regime + ((<usize>level) << 3);
      const large = level > 0 && level <= this.topLeaf;
      const noLarge = level == 2 && (flags & CR_GBPAGES) == 0;
      // Between PAT_LARGE and the page frame, a large leaf has reserved bits (tables 4-16 and 4-18).
      const low = large ? (this.span(level) - 1) & ~0x1fff : 0;
      store<u64>(slot + REGIME_LEAF, always | low | (noLarge ? PS : 0));
      store<u64>(slot + REGIME_TABLE, always | (level > this.topLeaf ? PS : 0));
    }
  }

  // ---- rights: gathered on the way down as an AND over entries with NX turned round

  @inline
  get allRights(): u64 {
    return RW | US | NX;
  }

  @inline
  narrow(rights: u64, entry: u64): u64 {
    return rights & (entry ^ NX);
  }

  /** `rights` without the right to write. */
  @inline
  readOnly(rights: u64): u64 {
    return rights & ~RW;
  }

  /** The RESULT_* flags of a leaf of `level` under `rights`. */
  @inline
  flags(entry: u64, rights: u64, level: i32): u64 {
    return (
      RESULT_MAPPED |
      (rights & (RW | US)) |
      (entry & (A | D)) |
      ((<u64>level) << RESULT_LEVEL_SHIFT) |
      ((~rights & NX) >> 52)
    );
  }

  /** The error code of an access that the rights forbid (4.6, 4.7), or 0 if it may go on. */
  @inline
  refuse(entry: u64, rights: u64, access: u32, regime: usize): u32 {
    const cr = load<u32>(regime + REGIME_FLAGS);
    const user = (access & ACCESS_USER) != 0;
    const userPage = (rights & US) != 0;
    let refused = user && !userPage;
    if ((access & ACCESS_EXECUTE) != 0) {
      refused = refused || ((cr & CR_NXE) != 0 && (rights & NX) == 0) || (!user && userPage && (cr & CR_SMEP) != 0);
    } else {
      refused = refused || (!user && userPage && (cr & (CR_SMAP | CR_AC)) == CR_SMAP);
      if ((access & ACCESS_WRITE) != 0 && (rights & RW) == 0) refused = refused || user || (cr & CR_WP) != 0;
    }
    const key =
      (cr & CR_PKE) != 0 && userPage && (access & ACCESS_EXECUTE) == 0 && this.keyRefuses(entry, access, regime);
    if (!refused && !key) return 0;
    return X86_FAULT_P | this.faultCode(access, regime) | (key ? X86_FAULT_PK : 0);
  }

  /** Protection keys (4.6.2). */
  private keyRefuses(entry: u64, access: u32, regime: usize): bool {
    const pair = load<u32>(regime + REGIME_PKRU) >> ((<u32>((entry & PKEY_MASK) >> X86_PKEY)) << 1);
    if ((pair & 1) != 0) return true;
    const restricted = (access & ACCESS_USER) != 0 || (load<u32>(regime + REGIME_FLAGS) & CR_WP) != 0;
    return (pair & 2) != 0 && (access & ACCESS_WRITE) != 0 && restricted;
  }

  /** The part of the error code that tells what the access was: of a fault on an entry that is not present, all of it. */
  @inline
  faultCode(access: u32, regime: usize): u32 {
    const fetch = (access & ACCESS_EXECUTE) != 0 && (load<u32>(regime + REGIME_FLAGS) & (CR_NXE | CR_SMEP)) != 0;
    return (
      ((access & ACCESS_WRITE) != 0 ? X86_FAULT_W : 0) |
      ((access & ACCESS_USER) != 0 ? X86_FAULT_U : 0) |
      (fetch ? X86_FAULT_I : 0)
    );
  }

  /** Of a fault on rights that a TLB entry carries. */
  @inline
  protectionCode(access: u32, regime: usize): u32 {
    return X86_FAULT_P | this.faultCode(access, regime);
  }

  @inline
  reservedCode(access: u32, regime: usize): u32 {
    return X86_FAULT_P | X86_FAULT_RSVD | this.faultCode(access, regime);
  }

  /** `entry` as the hardware leaves it after using it: A, and D of a leaf that was written through (4.8). */
  @inline
  touch(entry: u64, write: bool): u64 {
    return write ? entry | A | D : entry | A;
  }

  // ---- the same for batches, as few operations as it takes
  //
  // A leaf of level 0 under packed rights is judged by one comparison: `(effective & leafTest) == leafNeed` says that it is present, has
  // no reserved bit, allows the access, and, where A and D are asked for, has them. Anything else takes the long way.

  /** Rights in three bits: RW and US where an entry has them, bit 0 for NX. */
  @inline
  packRights(rights: u64): u32 {
    return <u32>(rights & (RW | US)) | ((rights & NX) == 0 ? 1 : 0);
  }

  /** `entry` with the rights that the levels above withhold taken away. */
  @inline
  effective(entry: u64, packed: u32): u64 {
    return (entry & (<u64>packed | ~(RW | US))) | ((<u64>packed) << X86_NX);
  }

  leafTest(access: u32, regime: usize): u64 {
    const cr = load<u32>(regime + REGIME_FLAGS);
    const user = (access & ACCESS_USER) != 0;
    let test = P | load<u64>(regime + REGIME_LEAF) | this.touchBits(access);
    if (access == 0) return test;
    if (user) test |= US;
    if ((access & ACCESS_EXECUTE) != 0) {
      test |= NX;
      if (!user && (cr & CR_SMEP) != 0) test |= US;
    } else {
      if (!user && (cr & (CR_SMAP | CR_AC)) == CR_SMAP) test |= US;
      if ((access & ACCESS_WRITE) != 0 && (user || (cr & CR_WP) != 0)) test |= RW;
      // Any restricted key: only key 0, and only if it is unrestricted.
      if ((cr & CR_PKE) != 0 && load<u32>(regime + REGIME_PKRU) != 0) test |= PKEY_MASK;
    }
    return test;
  }

  leafNeed(access: u32, regime: usize): u64 {
    const user = (access & ACCESS_USER) != 0;
    const write = (access & ACCESS_WRITE) != 0;
    const fetch = (access & ACCESS_EXECUTE) != 0;
    return P | this.touchBits(access) | (user ? US : 0) | (write && !fetch ? this.leafTest(access, regime) & RW : 0);
  }

  /** False if protection key 0 is restricted: then no one comparison judges a leaf. */
  @inline
  batchable(_access: u32, regime: usize): bool {
    return (load<u32>(regime + REGIME_FLAGS) & CR_PKE) == 0 || (load<u32>(regime + REGIME_PKRU) & 3) == 0;
  }

  /** What an access asks hardware to set in a leaf. */
  @inline
  touchBits(access: u32): u64 {
    if ((access & ACCESS_TOUCH) == 0) return 0;
    return (access & ACCESS_WRITE) != 0 ? A | D : A;
  }

  /** The result word of an effective leaf of level 0. */
  @inline
  leafResult(effective: u64, va: u64): u64 {
    return (effective & (NX | PFN_MASK)) | ((effective & (P | RW | US | A | D)) << RESULT_SHIFT) | (va & 0xfff);
  }

  /** The bits of a leaf of level 0 that say which frame; they stand in a result word where they stand in the entry. */
  @inline
  leafFrame(entry: u64): u64 {
    return entry & PFN_MASK;
  }

  /** `(entry & tableTest) == tableNeed`: a present entry of level 1 that refers to a table and needs no A bit. */
  @inline
  tableTest(access: u32, regime: usize): u64 {
    return P | PS | load<u64>(regime + REGIME_TABLE + 8) | (this.touchBits(access) & A);
  }

  @inline
  tableNeed(access: u32): u64 {
    return P | (this.touchBits(access) & A);
  }

  /** Packed rights under packed rights of the levels above. */
  @inline
  narrowPacked(packed: u32, entry: u64): u32 {
    return (packed & <u32>entry & <u32>(RW | US)) | ((packed | <u32>(entry >> X86_NX)) & 1);
  }

  // ---- the same for scans, which test many entries at once: of a present entry the predicate holds if and only if one of the bits is set

  @inline
  get presentMask(): u64 {
    return P | PROTNONE;
  }

  /** pteWrite: RW, or Dirty without RW. */
  @inline
  get writeMask(): u64 {
    return RW | D;
  }

  /** pteDirty. */
  @inline
  get dirtyMask(): u64 {
    return D | SAVED_DIRTY;
  }

  /** pteYoung. */
  @inline
  get youngMask(): u64 {
    return A;
  }

  /** pteSoftDirty. */
  @inline
  get softDirtyMask(): u64 {
    return SOFT_DIRTY;
  }

  /** pteUffdWp. */
  @inline
  get uffdWpMask(): u64 {
    return UFFD_WP;
  }

  /**
   * No access sets a bit in this leaf: it is not present, or it has A, and D or no right to write. With CR0.WP clear the supervisor
   * writes through RW=0 as well, and so sets D there.
   */
  @inline
  settled(entry: u64, regime: usize): bool {
    const neverWritten = (entry & RW) == 0 && (load<u32>(regime + REGIME_FLAGS) & CR_WP) != 0;
    return (entry & P) == 0 || ((entry & A) != 0 && ((entry & D) != 0 || neverWritten));
  }

  /** The bits that `settled` looks at. */
  @inline
  get settledMask(): u64 {
    return P | RW | A | D;
  }

  /** A leaf with all of these is settled, whatever the regime. */
  @inline
  get settledAlways(): u64 {
    return P | A | D;
  }

  // ---- entries to be made

  /** An entry that refers to a table: all rights, so that the leaf decides. */
  @inline
  makeTable(pa: u64): u64 {
    return pa | P | RW | US;
  }

  makeLeaf(pa: u64, level: i32, prot: u32): u64 {
    return pa | this.protection(prot, level) | (level > 0 ? PS : 0);
  }

  /** Bits of `prot` (PROT_*) in a leaf. Without PROT_READ there is none in this format: PROTNONE, as Linux does. */
  private protection(prot: u32, level: i32): u64 {
    return (
      this.access(prot) |
      (prot & PROT_GLOBAL ? G : 0) |
      (prot & PROT_ACCESSED ? A : 0) |
      (prot & PROT_DIRTY ? D : 0) |
      (prot & PROT_WRITE_THROUGH ? PWT : 0) |
      (prot & PROT_NO_CACHE ? PCD : 0) |
      (prot & PROT_PAT ? (level > 0 ? PAT_LARGE : PAT) : 0) |
      (prot & PROT_SOFT_DIRTY ? SOFT_DIRTY : 0) |
      (prot & PROT_UFFD_WP ? UFFD_WP : 0) |
      (prot & PROT_SPECIAL ? SPECIAL : 0)
    );
  }

  @inline
  private access(prot: u32): u64 {
    return (
      P |
      (prot & PROT_WRITE ? RW : 0) |
      (prot & PROT_USER ? US : 0) |
      (prot & PROT_EXECUTE ? 0 : NX) |
      (((<u64>prot >> PROT_PKEY_SHIFT) & 15) << X86_PKEY)
    );
  }

  /** A leaf with the rights of `prot` (READ WRITE EXECUTE USER, protection key) and everything else as it was. */
  @inline
  reprotect(entry: u64, prot: u32): u64 {
    return (entry & ~(RW | US | NX | PKEY_MASK)) | this.access(prot);
  }

  /** The entry of the `n`th page of `level - 1` within a leaf of `level`. */
  piece(leaf: u64, level: i32, n: u32): u64 {
    const page = this.page(leaf, level) + <u64>n * this.span(level - 1);
    const attributes = leaf & ~(PFN_MASK | PS);
    const pat = (leaf & PAT_LARGE) != 0;
    if (level == 1) return page | attributes | (pat ? PAT : 0);
    return page | attributes | PS | (pat ? PAT_LARGE : 0);
  }

  /** All bits but A and D: two leaves that agree in them, page apart, are of one kind. */
  @inline
  kind(entry: u64, level: i32): u64 {
    const page = PFN_MASK & ~(this.span(level) - 1);
    return entry & ~(page | A | D);
  }

  /** The entry without A and D. */
  @inline
  untouched(entry: u64): u64 {
    return entry & ~(A | D);
  }

  // ---- Linux's vocabulary

  pteNone(pte: u64): bool {
    return (pte & ~NONE_IGNORES) == 0;
  }

  ptePresent(pte: u64): bool {
    return (pte & (P | PROTNONE)) != 0;
  }

  pteWrite(pte: u64): bool {
    // Dirty without RW is a shadow-stack page, which its processor writes (pte_shstk).
    return (pte & RW) != 0 || (pte & (RW | D)) == D;
  }

  pteDirty(pte: u64): bool {
    return (pte & (D | SAVED_DIRTY)) != 0;
  }

  /** Present for the kernel only: no access is allowed. */
  pteProtnone(pte: u64): bool {
    return (pte & (P | PROTNONE)) == PROTNONE;
  }

  pteYoung(pte: u64): bool {
    return (pte & A) != 0;
  }

  pteExec(pte: u64): bool {
    return (pte & NX) == 0;
  }

  pteUser(pte: u64): bool {
    return (pte & US) != 0;
  }

  pteGlobal(pte: u64): bool {
    return (pte & G) != 0;
  }

  pteHuge(pte: u64): bool {
    return (pte & PS) != 0;
  }

  pteSpecial(pte: u64): bool {
    return (pte & SPECIAL) != 0;
  }

  pteSoftDirty(pte: u64): bool {
    return (pte & SOFT_DIRTY) != 0;
  }

  pteUffdWp(pte: u64): bool {
    return (pte & UFFD_WP) != 0;
  }

  pteSwpSoftDirty(pte: u64): bool {
    return (pte & SWAP_SOFT_DIRTY) != 0;
  }

  pteSwpUffdWp(pte: u64): bool {
    return (pte & SWAP_UFFD_WP) != 0;
  }

  ptePkey(pte: u64): u32 {
    return <u32>((pte & PKEY_MASK) >> X86_PKEY);
  }

  /** The PFN. Of an entry that is not present and not none it is stored inverted, against L1TF (__pte_needs_invert). */
  ptePfn(pte: u64): u64 {
    const inverted = pte != 0 && (pte & P) == 0;
    return ((inverted ? ~pte : pte) & PFN_MASK) >> 12;
  }

  /** All 64 bits: an A or D that the hardware set meanwhile makes entries differ. */
  pteSame(a: u64, b: u64): bool {
    return a == b;
  }

  pteMkwrite(pte: u64): u64 {
    return this.unsaveDirty(pte | RW);
  }

  /** Clears RW. Dirty moves to SAVED_DIRTY, for RW=0 D=1 would make a shadow-stack page of it (v6.6, mksaveddirty_shift). */
  pteWrprotect(pte: u64): u64 {
    return this.saveDirty(pte & ~RW);
  }

  pteMkdirty(pte: u64): u64 {
    return this.saveDirty(pte | D | SOFT_DIRTY);
  }

  pteMkclean(pte: u64): u64 {
    return pte & ~(D | SAVED_DIRTY);
  }

  pteMkyoung(pte: u64): u64 {
    return pte | A;
  }

  pteMkold(pte: u64): u64 {
    return pte & ~A;
  }

  pteMkexec(pte: u64): u64 {
    return pte & ~NX;
  }

  pteMknexec(pte: u64): u64 {
    return pte | NX;
  }

  pteMkhuge(pte: u64): u64 {
    return pte | PS;
  }

  pteClrhuge(pte: u64): u64 {
    return pte & ~PS;
  }

  pteMkglobal(pte: u64): u64 {
    return pte | G;
  }

  pteClrglobal(pte: u64): u64 {
    return pte & ~G;
  }

  pteMkspecial(pte: u64): u64 {
    return pte | SPECIAL;
  }

  pteMksoftDirty(pte: u64): u64 {
    return pte | SOFT_DIRTY;
  }

  pteClearSoftDirty(pte: u64): u64 {
    return pte & ~SOFT_DIRTY;
  }

  /** Sets UFFD_WP and write-protects: pte_mkuffd_wp() is one with pte_wrprotect() since v6.4. */
  pteMkuffdWp(pte: u64): u64 {
    return this.pteWrprotect(pte | UFFD_WP);
  }

  pteClearUffdWp(pte: u64): u64 {
    return pte & ~UFFD_WP;
  }

  /**
   * The same page with the rights of `prot` (PROT_*), A, D, soft-dirty, uffd-wp and caching as they were: pte_modify().
   * Without any right it becomes PROTNONE, its PFN inverted (flip_protnone_guard).
   */
  pteModify(pte: u64, prot: u32): u64 {
    const pfn = this.ptePfn(pte) << 12;
    const kept = pte & KEPT_BY_MODIFY;
    const modified =
      (prot & (PROT_READ | PROT_WRITE | PROT_EXECUTE)) == 0
        ? (this.access(prot) & ~(P | RW)) | PROTNONE | kept | (~pfn & PFN_MASK)
        : this.access(prot) | (prot & PROT_GLOBAL ? G : 0) | kept | pfn;
    // Of an entry that was RW=0, a D is that of a shadow stack and stays.
    return (pte & RW) != 0 ? this.saveDirty(modified) : this.unsaveDirty(modified);
  }

  /**
   * May a TLB not go on with the old entry? pte_needs_flush() (arch/x86/include/asm/tlbflush.h): not if it was not present; A does not count, as in
   * ptep_clear_flush_young(), nor do bits that only software reads.
   */
  pteNeedsFlush(old: u64, now: u64): bool {
    if ((old & P) == 0) return false;
    if (this.ptePfn(old) != this.ptePfn(now)) return true;
    const changed = old ^ now;
    return (changed & old & FLUSH_ON_CLEAR) != 0 || (changed & FLUSH_ON_CHANGE) != 0;
  }

  // ---- entries that are neither present nor none (pgtable_64.h): type, and the offset inverted, so that a small one names high memory (L1TF)

  /** __swp_entry_to_pte(): `type` below 32, `offset` below 2^50. */
  swpEntry(type: u32, offset: u64): u64 {
    return ((<u64>type) << X86_SWAP_TYPE) | ((~offset & SWAP_OFFSET_BITS) << X86_SWAP_OFFSET);
  }

  swpType(pte: u64): u32 {
    return <u32>(pte >> X86_SWAP_TYPE);
  }

  swpOffset(pte: u64): u64 {
    return (~pte >> X86_SWAP_OFFSET) & SWAP_OFFSET_BITS;
  }

  pteSwpMksoftDirty(pte: u64): u64 {
    return pte | SWAP_SOFT_DIRTY;
  }

  pteSwpClearSoftDirty(pte: u64): u64 {
    return pte & ~SWAP_SOFT_DIRTY;
  }

  pteSwpMkuffdWp(pte: u64): u64 {
    return pte | SWAP_UFFD_WP;
  }

  pteSwpClearUffdWp(pte: u64): u64 {
    return pte & ~SWAP_UFFD_WP;
  }

  /** The page was PG_ANON_EXCLUSIVE. */
  pteSwpExclusive(pte: u64): bool {
    return (pte & SWAP_EXCLUSIVE) != 0;
  }

  pteSwpMkexclusive(pte: u64): u64 {
    return pte | SWAP_EXCLUSIVE;
  }

  pteSwpClearExclusive(pte: u64): u64 {
    return pte & ~SWAP_EXCLUSIVE;
  }

  @inline
  private saveDirty(pte: u64): u64 {
    return (pte & (RW | D)) == D ? (pte & ~D) | SAVED_DIRTY : pte;
  }

  @inline
  private unsaveDirty(pte: u64): u64 {
    return (pte & (RW | SAVED_DIRTY)) == (RW | SAVED_DIRTY) ? (pte & ~SAVED_DIRTY) | D : pte;
  }
}

export class X86_64 extends X86Tables<FourLevels> {}
export class X86_64_LA57 extends X86Tables<FiveLevels> {}
