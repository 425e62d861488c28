// Processes as programs see them: for each a map from page to what is on it. The dull specification of assembly/fault/, fork and whatever moves pages
// beneath a program. Nothing here knows entries, frames, folios, TLBs or locks: a fork copies the maps, and a store changes one of them.

export type Kind =
  /** private memory */
  | 'anon'
  /** the same, registered with userfaultfd */
  | 'uffd'
  /** pages of the file, page n of the address space being page n of the file */
  | 'shared'
  /** a private copy of the file */
  | 'copy';

export interface Area {
  readonly kind: Kind;
  /** The file wants to hear of the first store. */
  readonly notify: boolean;
  read: boolean;
  write: boolean;
  /** New since soft-dirty was cleared: all its pages count as soft-dirty. */
  fresh: boolean;
}

export type Outcome = { done: bigint } | 'MAPERR' | 'ACCERR' | 'USERFAULT';

export class Process {
  /** What may be accessed, page by page. */
  readonly areas = new Map<number, Area>();
  /** Private pages that were stored to. */
  readonly own = new Map<number, bigint>();
  /** Pages that were accessed since they were taken out: those that userfaultfd can mark. */
  readonly known = new Set<number>();
  readonly marked = new Set<number>();
  /** Pages stored to since soft-dirty was cleared: pagemap has to tell them. */
  readonly dirty = new Set<number>();
  /** And those that it may tell. */
  readonly touched = new Set<number>();

  forget(page: number): void {
    for (const set of [this.own, this.known, this.marked, this.dirty]) set.delete(page);
  }

  fork(): Process {
    const child = new Process();
    for (const [page, area] of this.areas) child.areas.set(page, { ...area });
    for (const [page, value] of this.own) child.own.set(page, value);
    for (const name of ['known', 'dirty', 'touched'] as const) for (const page of this[name]) child[name].add(page);
    // Pages of a shared mapping are left to the child's faults, and what is noted of them with them.
    for (const [page, { kind }] of this.areas) if (kind === 'shared') child.forget(page);
    return child;
  }
}

export class Machine {
  /** The file, page by page. */
  readonly file: bigint[];
  readonly processes = new Map<number, Process>();

  constructor(pages: number) {
    this.file = Array.from({ length: pages }, () => 0n);
  }

  value(process: Process, page: number): bigint {
    const { kind } = process.areas.get(page) as Area;
    if (kind === 'shared') return this.file[page] as bigint;
    return process.own.get(page) ?? (kind === 'copy' ? (this.file[page] as bigint) : 0n);
  }

  load(process: Process, page: number): Outcome {
    const area = process.areas.get(page);
    if (area === undefined) return 'MAPERR';
    if (!area.read && !area.write) return 'ACCERR';
    process.known.add(page);
    process.touched.add(page);
    return { done: this.value(process, page) };
  }

  /** What the outcome tells is what was there before. */
  store(process: Process, page: number, value: bigint): Outcome {
    const area = process.areas.get(page);
    if (area === undefined) return 'MAPERR';
    if (!area.write) return 'ACCERR';
    if (area.kind === 'uffd' && process.marked.has(page)) return 'USERFAULT';
    const before = this.value(process, page);
    process.known.add(page);
    process.touched.add(page);
    process.dirty.add(page);
    if (area.kind === 'shared') this.file[page] = value;
    else process.own.set(page, value);
    return { done: before };
  }

  /** False at a hole; what lies before it is changed. */
  protect(process: Process, from: number, to: number, read: boolean, write: boolean): boolean {
    for (let page = from; page <= to; page++) {
      const area = process.areas.get(page);
      if (area === undefined) return false;
      process.areas.set(page, { ...area, read, write });
    }
    return true;
  }

  clearSoftDirty(process: Process): void {
    process.dirty.clear();
    process.touched.clear();
    for (const [page, area] of process.areas) process.areas.set(page, { ...area, fresh: false });
  }
}
