// Harvest: which pages are dirty, soft-dirty, young or written, as a bitmap; nothing is changed and no flush is owed.
//
// The categories are those of PAGEMAP_SCAN (pagemap_page_category(), fs/proc/task_mmu.c): written means present and not write-protected
// by userfaultfd. A large page has a bit for each of its 4 KiB pages in the range, as in pagemap. What is not present has none:
// pagemap tells soft-dirty of swap entries as well.

/** An operation of Scan.run; see Wrprotect. */
export class HarvestDirty {
  @inline
  get changes(): bool {
    return false;
  }

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
    return changetype<F>(0).dirtyMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    const format = changetype<F>(0);
    return format.ptePresent(entry) && format.pteDirty(entry);
  }

  @inline
  clears<F>(): u64 {
    return 0;
  }

  @inline
  after<F>(entry: u64): u64 {
    return entry;
  }
}

/** An operation of Scan.run; see Wrprotect. */
export class HarvestSoftDirty {
  @inline
  get changes(): bool {
    return false;
  }

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
    return changetype<F>(0).softDirtyMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    const format = changetype<F>(0);
    return format.ptePresent(entry) && format.pteSoftDirty(entry);
  }

  @inline
  clears<F>(): u64 {
    return 0;
  }

  @inline
  after<F>(entry: u64): u64 {
    return entry;
  }
}

/** An operation of Scan.run; see Wrprotect. */
export class HarvestYoung {
  @inline
  get changes(): bool {
    return false;
  }

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
    return 0;
  }

  @inline
  after<F>(entry: u64): u64 {
    return entry;
  }
}

/** An operation of Scan.run; see Wrprotect. */
export class HarvestWritten {
  @inline
  get changes(): bool {
    return false;
  }

  @inline
  get huge(): bool {
    return true;
  }

  @inline
  get inverted(): bool {
    return true;
  }

  @inline
  mask<F>(): u64 {
    return changetype<F>(0).uffdWpMask;
  }

  @inline
  hit<F>(entry: u64): bool {
    const format = changetype<F>(0);
    return format.ptePresent(entry) && !format.pteUffdWp(entry);
  }

  @inline
  clears<F>(): u64 {
    return 0;
  }

  @inline
  after<F>(entry: u64): u64 {
    return entry;
  }
}
