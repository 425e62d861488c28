// Clean and record: clean_record_pte() of mm/mapping_dirty_helpers.c (apply_pt_clean()).
//
// A dirty entry becomes clean and its page gets a bit in the bitmap. Entries that are dirty when the scan begins end up recorded; those
// that become dirty after that stay dirty, are recorded, or both. A flush is owed for what was touched: until it is done a CPU
// may hold a dirty translation and store without setting D again (scenario B of the seed threads).

/** An operation of Scan.run; see Wrprotect. */
export class Clean {
  @inline
  get changes(): bool {
    return true;
  }

  @inline
  get huge(): bool {
    return false;
  }

  @inline
  get inverted(): bool {
    return false;
  }

  @inline
  mask<F>(): u64 {
    return changetype<F>(0).dirtyMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    return changetype<F>(0).ptePresent(entry) && this.of<F>(entry);
  }

  @inline
  of<F>(entry: u64): bool {
    return changetype<F>(0).pteDirty(entry);
  }

  @inline
  clears<F>(): u64 {
    return changetype<F>(0).dirtyMask;
  }

  @inline
  after<F>(entry: u64): u64 {
    return changetype<F>(0).pteMkclean(entry);
  }
}
