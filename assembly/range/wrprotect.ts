// Write-protect: wp_pte() of mm/mapping_dirty_helpers.c (apply_pt_wrprotect() of the series it comes from).
//
// An entry that the processor may write through loses that right; its dirty state stays (pte_wrprotect() moves Dirty to SavedDirty).
// A flush is owed for what was touched.

/** An operation of Scan.run: a class without fields, like the formats. */
export class Wrprotect {
  /** It changes entries. */
  @inline
  get changes(): bool {
    return true;
  }

  /** It acts on large pages. Not here: wp_clean_pmd_entry() and wp_clean_pud_entry() leave them and warn. */
  @inline
  get huge(): bool {
    return false;
  }

  /** The mask is of bits that an entry must lack. */
  @inline
  get inverted(): bool {
    return false;
  }

  /** A present entry is hit if it has one of these bits. */
  @inline
  mask<F>(): u64 {
    return changetype<F>(0).writeMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    return changetype<F>(0).ptePresent(entry) && this.of<F>(entry);
  }

  /** What the kernel asks, of any entry. */
  @inline
  of<F>(entry: u64): bool {
    return changetype<F>(0).pteWrite(entry);
  }

  /** If all that it does to an entry is to clear bits: these; else 0. */
  @inline
  clears<F>(): u64 {
    return 0;
  }

  @inline
  after<F>(entry: u64): u64 {
    return changetype<F>(0).pteWrprotect(entry);
  }
}
