// Clear soft-dirty: clear_soft_dirty() and clear_soft_dirty_pmd() of fs/proc/task_mmu.c (`echo 4 > clear_refs`).
//
// An entry loses its soft-dirty bit and the right to write, so that the next store faults and sets the bit again. Linux rewrites every
// present entry; here one that is so already is not touched, which comes to the same tables. Linux also clears soft-dirty in swap
// entries (pte_swp_clear_soft_dirty); a scan leaves what is not present alone. A flush is owed (912efa17e512).

/** An operation of Scan.run; see Wrprotect. */
export class ClearSoftDirty {
  @inline
  get changes(): bool {
    return true;
  }

  /** A large page is one entry, if the range takes in all of it. */
  @inline
  get huge(): bool {
    return true;
  }

  @inline
  get inverted(): bool {
    return false;
  }

  @inline
  mask<F>(): u64 {
    return changetype<F>(0).writeMask | changetype<F>(0).softDirtyMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    const format = changetype<F>(0);
    return format.ptePresent(entry) && (format.pteWrite(entry) || format.pteSoftDirty(entry));
  }

  @inline
  clears<F>(): u64 {
    return 0;
  }

  @inline
  after<F>(entry: u64): u64 {
    return changetype<F>(0).pteClearSoftDirty(changetype<F>(0).pteWrprotect(entry));
  }
}
