// Age: test and clear young, ptep_test_and_clear_young() and pmdp_test_and_clear_young() as reclaim and DAMON use them.
//
// Counts the entries that were used since the last time, and forgets it. x86 does not flush for it (ptep_clear_flush_young,
// arch/x86/mm/pgtable.c): a use through a TLB that still holds the page goes unnoticed, which costs accuracy and no data.

/** An operation of Scan.run; see Wrprotect. */
export class Age {
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
    return changetype<F>(0).youngMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    const format = changetype<F>(0);
    return format.ptePresent(entry) && format.pteYoung(entry);
  }

  @inline
  clears<F>(): u64 {
    return changetype<F>(0).youngMask;
  }

  @inline
  after<F>(entry: u64): u64 {
    return changetype<F>(0).pteMkold(entry);
  }
}
