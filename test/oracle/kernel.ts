// Kernel paths on a map of pages, one page after the other: the dull specification of assembly/kernel/. Nothing here knows tables, locks, TLBs or
// gathers; who flushes what is said in the end, from the pages that changed.

export interface Flags {
  read: boolean;
  write: boolean;
  exec: boolean;
  shared: boolean;
  mayWrite: boolean;
  softDirty: boolean;
  uffdWp: boolean;
  writeNotify: boolean;
  pfnMap: boolean;
}

/** What a frame holds, and what the kernel notes of it. */
export interface Folio {
  anon: boolean;
  value: bigint;
  refs: number;
  mapcount: number;
  dirty: boolean;
  exclusive: boolean;
  swapBacked: boolean;
  ksm: boolean;
  /** What the backing store has; of file pages. */
  stored: bigint;
}

/** An entry that is not none. */
export type Entry =
  | {
      kind: 'present';
      folio: Folio;
      rights: boolean; // false: PROTNONE
      write: boolean;
      exec: boolean;
      young: boolean;
      dirty: boolean;
      softDirty: boolean;
      uffdWp: boolean;
    }
  | { kind: 'other'; softDirty: boolean; uffdWp: boolean };

export interface Result {
  status?: boolean;
  touched: number;
  first?: number;
  last?: number;
  /** Each flush: a span of pages, or all. `undefined`: not said. */
  flushes: ({ first: number; last: number } | 'all')[] | undefined;
  bits?: number[];
}

type Present = Extract<Entry, { kind: 'present' }>;

export class Pages {
  readonly flags = new Map<number, Flags>();
  readonly entries = new Map<number, Entry>();
  /** Pages of one VMA have one number. */
  private readonly vmas = new Map<number, number>();
  private nextVma = 0;

  mmap(from: number, to: number, flags: Flags): void {
    for (let page = from; page <= to; page++) {
      this.flags.set(page, { ...flags });
      this.vmas.set(page, this.nextVma);
    }
    this.nextVma++;
  }

  /** A VMA that reaches over `page` begins anew there. */
  private split(page: number): void {
    const vma = this.vmas.get(page);
    if (vma === undefined || this.vmas.get(page - 1) !== vma) return;
    for (let n = page; this.vmas.get(n) === vma; n++) this.vmas.set(n, this.nextVma);
    this.nextVma++;
  }

  private pages(from: number, to: number): number[] {
    return Array.from({ length: to - from + 1 }, (_, n) => from + n).filter((page) => this.flags.has(page));
  }

  private flagsOf(page: number): Flags {
    return this.flags.get(page) as Flags;
  }

  // ---- the processor

  store(page: number, value: bigint): boolean {
    const entry = this.entries.get(page);
    if (entry?.kind !== 'present' || !entry.write) return false;
    entry.young = true;
    entry.dirty = true;
    entry.folio.value = value;
    return true;
  }

  load(page: number): bigint | undefined {
    const entry = this.entries.get(page);
    if (entry?.kind !== 'present' || !entry.rights) return undefined;
    entry.young = true;
    return entry.folio.value;
  }

  // ---- paths

  /** Of the VMAs that have a page of the range. */
  clearRefs(from: number, to: number): Result {
    const changed: number[] = [];
    const vmas = new Set(this.pages(from, to).map((page) => this.vmas.get(page)));
    for (const page of [...this.flags.keys()].filter((page) => vmas.has(this.vmas.get(page)))) {
      this.flagsOf(page).softDirty = false;
      const entry = this.entries.get(page);
      if (entry === undefined || this.flagsOf(page).pfnMap) continue;
      if (entry.softDirty || (entry.kind === 'present' && entry.write)) changed.push(page);
      entry.softDirty = false;
      if (entry.kind === 'present') entry.write = false;
    }
    return told(changed, ['all']);
  }

  pagemap(from: number, to: number): number[] {
    return this.pages(from, to).filter((page) => this.flagsOf(page).softDirty || this.entries.get(page)?.softDirty);
  }

  mprotect(from: number, to: number, rights: Pick<Flags, 'read' | 'write' | 'exec'>): Result {
    const changed: number[] = [];
    const flushed: number[] = [];
    this.split(from);
    this.split(to + 1);
    for (let page = from; page <= to; page++) {
      const flags = this.flags.get(page);
      if (flags === undefined || (rights.write && flags.shared && !flags.mayWrite)) {
        return { ...told(changed, span(flushed)), status: false };
      }
      const same = flags.read === rights.read && flags.write === rights.write && flags.exec === rights.exec;
      if (same) continue;
      Object.assign(flags, rights);
      // Private pages are never writable by default; shared ones unless somebody wants to hear of stores.
      const upgrade = flags.write && (!flags.shared || notified(flags));
      this.change(page, flags, upgrade, undefined, changed, flushed);
    }
    return { ...told(changed, span(flushed)), status: true };
  }

  uffdWp(from: number, to: number, resolve: boolean): Result {
    const changed: number[] = [];
    const flushed: number[] = [];
    const pages = this.pages(from, to);
    for (const page of pages) {
      const flags = this.flagsOf(page);
      if (!flags.uffdWp) return { ...told(changed, span(flushed)), status: false };
      this.change(page, flags, resolve && flags.write, !resolve, changed, flushed);
    }
    return { ...told(changed, span(flushed)), status: pages.length > 0 };
  }

  private change(
    page: number,
    flags: Flags,
    upgrade: boolean,
    uffdWp: boolean | undefined,
    changed: number[],
    flushed: number[],
  ): void {
    const entry = this.entries.get(page);
    if (entry === undefined) return;
    const before = { ...entry };
    if (entry.kind === 'present') {
      entry.rights = flags.read || flags.write || flags.exec;
      entry.exec = flags.exec;
      entry.write = flags.write && flags.shared && !notified(flags);
    }
    if (uffdWp !== undefined) entry.uffdWp = uffdWp;
    if (entry.kind === 'present') {
      if (uffdWp === true) entry.write = false;
      if (upgrade && !entry.write && mayBeWritable(entry, flags)) entry.write = true;
    }
    if (!same(before, entry)) changed.push(page);
    if (before.kind !== 'present' || entry.kind !== 'present' || !before.rights) return;
    const kept =
      before.rights === entry.rights && before.write === entry.write && (before.exec === entry.exec || !entry.rights);
    if (!kept) flushed.push(page);
  }

  dontNeed(from: number, to: number): Result {
    const taken = this.pages(from, to).filter((page) => !this.flagsOf(page).pfnMap && this.take(page));
    return told(taken, span(taken));
  }

  free(from: number, to: number): Result {
    const changed: number[] = [];
    for (const page of this.pages(from, to)) {
      const entry = this.entries.get(page);
      if (this.flagsOf(page).shared || entry?.kind !== 'present') continue;
      const { folio } = entry;
      if (folio.dirty && folio.mapcount !== 1) continue;
      folio.dirty = false;
      folio.swapBacked = false;
      if (!entry.young && !entry.dirty) continue;
      entry.young = false;
      entry.dirty = false;
      changed.push(page);
    }
    return told(changed, span(changed));
  }

  /** Which tables go with it, and so what is flushed, is left out. */
  munmap(from: number, to: number): Result {
    const taken = this.pages(from, to).filter((page) => this.take(page));
    this.split(from);
    this.split(to + 1);
    for (let page = from; page <= to; page++) {
      this.flags.delete(page);
      this.vmas.delete(page);
    }
    return { ...told(taken, []), flushes: undefined, status: true };
  }

  reap(): Result {
    const taken = [...this.flags.keys()]
      .sort((a, b) => a - b)
      .filter((page) => !this.flagsOf(page).pfnMap && !this.flagsOf(page).shared && this.take(page));
    return { ...told(taken, []), flushes: undefined, status: true };
  }

  /** Takes a page out; true if it was present. */
  private take(page: number): boolean {
    const entry = this.entries.get(page);
    this.entries.delete(page);
    if (entry?.kind !== 'present') return false;
    if (entry.dirty && !entry.folio.anon) entry.folio.dirty = true;
    entry.folio.mapcount--;
    entry.folio.refs--;
    return true;
  }

  /** Pages of the file have the numbers of their places here. */
  writeProtectFile(from: number, to: number): Result {
    return this.trackFile(from, to, (entry) => {
      const changed = entry.write;
      entry.write = false;
      return changed;
    });
  }

  cleanFile(from: number, to: number): Result {
    return this.trackFile(from, to, (entry) => {
      const changed = entry.dirty;
      entry.dirty = false;
      return changed;
    });
  }

  private trackFile(from: number, to: number, change: (entry: Present) => boolean): Result {
    const pages = this.pages(from, to).filter((page) => this.flagsOf(page).shared && this.flagsOf(page).mayWrite);
    const changed = pages.filter((page) => {
      const entry = this.entries.get(page);
      return entry?.kind === 'present' && change(entry);
    });
    return { ...told(changed, []), flushes: undefined, bits: changed };
  }

  writeBack(page: number): Result {
    const entry = this.entries.get(page) as Present;
    const { folio } = entry;
    if (!folio.dirty) return { ...told([], []), status: false };
    const cleaned = entry.dirty || entry.write;
    const flushes = cleaned ? clearFlush(page, entry) : [];
    folio.dirty = false;
    entry.dirty = false;
    entry.write = false;
    folio.stored = folio.value;
    return { ...told(cleaned ? [page] : [], flushes), status: true };
  }

  /** Merges `page` with the page that `kpage` shows, or makes it the first of its kind. */
  merge(page: number, kpage: number | undefined): Result {
    const entry = this.entries.get(page);
    const kept = kpage === undefined ? undefined : this.entries.get(kpage);
    const flags = this.flags.get(page);
    if (entry?.kind !== 'present' || !entry.folio.anon || flags === undefined)
      return { ...told([], []), status: false };
    const kfolio = kept?.kind === 'present' ? kept.folio : undefined;
    const { folio } = entry;
    if (folio === kfolio) return { ...told([], []), status: true };
    const flushes: { first: number; last: number }[] = [];
    let touched = 0;
    if (entry.write || entry.dirty || folio.exclusive) {
      flushes.push(...clearFlush(page, entry));
      if (folio.refs !== folio.mapcount) return { touched, flushes, status: false };
      touched++;
      folio.exclusive = false;
      if (entry.dirty) folio.dirty = true;
      entry.dirty = false;
      entry.write = false;
    }
    const where = () => (touched === 0 ? {} : { first: page, last: page });
    if (kfolio === undefined) {
      folio.ksm = true;
      folio.dirty = true;
      return { touched, ...where(), flushes, status: true };
    }
    if (folio.value !== kfolio.value) return { touched, ...where(), flushes, status: false };
    flushes.push(...clearFlush(page, entry));
    touched++;
    kfolio.refs++;
    kfolio.mapcount++;
    folio.refs--;
    folio.mapcount--;
    const rights = flags.read || flags.write || flags.exec;
    const fresh = {
      rights,
      write: false,
      exec: flags.exec,
      young: true,
      dirty: false,
      softDirty: false,
      uffdWp: false,
    };
    this.entries.set(page, { kind: 'present', folio: kfolio, ...fresh });
    return { touched, ...where(), flushes, status: true };
  }
}

/** vma_wants_writenotify() */
function notified(flags: Flags): boolean {
  return flags.writeNotify || flags.uffdWp || !flags.softDirty;
}

/** can_change_pte_writable() */
function mayBeWritable(entry: Present, flags: Flags): boolean {
  if (!entry.rights || entry.uffdWp || (!flags.softDirty && !entry.softDirty)) return false;
  return flags.shared ? entry.dirty : entry.folio.anon && entry.folio.exclusive;
}

/** ptep_clear_flush(): a TLB has no PROTNONE entry, and here nobody owes a flush (pte_accessible(), arch/x86/include/asm/pgtable.h). */
function clearFlush(page: number, entry: Present): { first: number; last: number }[] {
  return entry.rights ? [{ first: page, last: page }] : [];
}

function same(a: Entry, b: Entry): boolean {
  return (Object.keys(a) as (keyof Entry)[]).every((key) => a[key] === b[key]);
}

function span(pages: number[]): { first: number; last: number }[] {
  return pages.length === 0 ? [] : [{ first: Math.min(...pages), last: Math.max(...pages) }];
}

function told(pages: number[], flushes: NonNullable<Result['flushes']>): Result {
  if (pages.length === 0) return { touched: 0, flushes };
  return { touched: pages.length, first: Math.min(...pages), last: Math.max(...pages), flushes };
}
