// A dull TLB: sets as lists of ways, recency as a list, tree-PLRU as a tree of flags, invalidation by asking each entry.
//
// Guarantees: it says what assembly/tlb.ts documents and shares no code with it: no tags, no stamps, no hints, no sequence.

import type { TlbArray, TlbModel } from '../../src/machine/tlb.ts';

export interface Page {
  pa: bigint;
  level: number;
  /** What else stands in the result word. */
  flags: bigint;
}

export interface OracleEntry {
  va: bigint;
  size: bigint;
  asid: number | 'global';
  /** Of a translation. */
  page?: Page;
  slot?: number;
  /** Of a paging-structure entry. */
  table?: bigint;
  rights?: bigint;
}

interface OracleSet {
  ways: (OracleEntry | undefined)[];
  /** Ways, the least recently used first. */
  recency: number[];
  /** Node 1 is the root; true: the right half is older. */
  tree: boolean[];
}

export interface OracleArray {
  model: TlbArray;
  sets: OracleSet[];
  hits: number;
  fills: number;
  evictions: number;
  invalidated: number;
}

export interface Where {
  array: OracleArray;
  set: OracleSet;
  way: number;
}

export interface Scope {
  global: boolean;
  structures: 'all' | 'on-the-way' | 'none';
}

const LOW57 = (1n << 57n) - 1n;

/** Marsaglia's xorshift of 32 bits. */
export class Xorshift {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  below(n: number): number {
    let x = this.state;
    x = (x ^ (x << 13)) >>> 0;
    x = (x ^ (x >>> 17)) >>> 0;
    x = (x ^ (x << 5)) >>> 0;
    this.state = x;
    return Number((BigInt(x) * BigInt(n)) >> 32n);
  }
}

export class OracleTlb {
  readonly arrays: OracleArray[];
  accesses = 0;
  misses = 0;
  private readonly model: TlbModel;
  private readonly random: Xorshift;

  constructor(model: TlbModel, seed: number) {
    this.model = model;
    this.random = new Xorshift(seed);
    this.arrays = model.arrays.map((array) => ({
      model: array,
      sets: Array.from({ length: array.sets }, () => ({
        ways: Array<undefined>(array.ways).fill(undefined),
        recency: Array.from({ length: array.ways }, (_, way) => way),
        tree: [],
      })),
      hits: 0,
      fills: 0,
      evictions: 0,
      invalidated: 0,
    }));
  }

  lookUp(va: bigint, asid: number, fetch: boolean): OracleEntry | undefined {
    this.accesses++;
    for (const level of [1, 2]) {
      for (let size = 0; size < 5; size++) {
        const array = this.serving(level, fetch, size);
        if (array === undefined) continue;
        const found = this.find(array, va, size, asid) ?? this.find(array, va, size, 'global');
        if (found === undefined) continue;
        array.hits++;
        this.touch(found);
        return level === 1 ? found.set.ways[found.way] : this.refill(found, va, fetch);
      }
    }
    this.misses++;
    return undefined;
  }

  fill(va: bigint, asid: number | 'global', fetch: boolean, page: Page, slot: number): void {
    if (this.model.inclusion !== 'exclusive') this.place(2, va, asid, fetch, page, slot);
    this.place(1, va, asid, fetch, page, slot);
  }

  findStructure(va: bigint, asid: number): OracleEntry | undefined {
    for (let level = 1; level <= 4; level++) {
      const array = this.structures(level);
      const found = array && this.find(array, va, level, asid);
      if (array === undefined || found === undefined) continue;
      array.hits++;
      this.touch(found);
      return found.set.ways[found.way];
    }
    return undefined;
  }

  fillStructure(va: bigint, asid: number, level: number, table: bigint, rights: bigint): boolean {
    const array = this.structures(level);
    if (array === undefined) return false;
    const size = this.bytes(level);
    this.put(array, this.setOf(array, va, level), { va: va & LOW57 & ~(size - 1n), size, asid, table, rights });
    return true;
  }

  invalidateRange(addresses: readonly bigint[], asid: number, scope: Scope): void {
    this.invalidate((entry) => {
      const structure = entry.table !== undefined;
      if (structure && scope.structures === 'all') return entry.asid === asid;
      if (structure && scope.structures === 'none') return false;
      if (entry.asid !== asid && !(scope.global && entry.asid === 'global')) return false;
      const size = entry.page === undefined ? entry.size : this.bytes(entry.page.level);
      const first = entry.va & ~(size - 1n);
      return addresses.some((va) => (va & LOW57) >= first && (va & LOW57) < first + size);
    });
  }

  invalidateAsid(asid: number): void {
    this.invalidate((entry) => entry.asid === asid);
  }

  invalidateNotGlobal(): void {
    this.invalidate((entry) => entry.asid !== 'global');
  }

  invalidateAll(): void {
    this.invalidate(() => true);
  }

  evict(n: number): boolean {
    const where = this.valid()[n];
    if (where === undefined) return false;
    this.leave(where.array, where.set.ways[where.way] as OracleEntry);
    where.set.ways[where.way] = undefined;
    where.array.evictions++;
    return true;
  }

  /** Valid entries in order of array, set and way. */
  valid(): Where[] {
    return this.arrays.flatMap((array) =>
      array.sets.flatMap((set) => set.ways.flatMap((entry, way) => (entry === undefined ? [] : [{ array, set, way }]))),
    );
  }

  private refill(found: Where, va: bigint, fetch: boolean): OracleEntry | undefined {
    const { asid, page, slot } = found.set.ways[found.way] as Required<OracleEntry>;
    if (this.model.inclusion === 'exclusive') {
      found.set.ways[found.way] = undefined;
      found.array.evictions++;
    }
    return this.place(1, va, asid, fetch, page, slot);
  }

  private place(
    level: number,
    va: bigint,
    asid: number | 'global',
    fetch: boolean,
    page: Page,
    slot: number,
  ): OracleEntry | undefined {
    let size = page.level;
    while (size >= 0 && this.serving(level, fetch, size) === undefined) size--;
    const array = this.serving(level, fetch, size);
    if (array === undefined) return undefined;
    const bytes = this.bytes(size);
    const whole = this.bytes(page.level);
    const piece = (page.pa & ~(whole - 1n)) + (va & (whole - 1n) & ~(bytes - 1n));
    const entry = { va: va & LOW57 & ~(bytes - 1n), size: bytes, asid, page: { ...page, pa: piece }, slot };
    this.put(array, this.setOf(array, va, size), entry, fetch);
    return entry;
  }

  /** Over itself, into an invalid way, or in place of a victim. */
  private put(array: OracleArray, set: OracleSet, entry: OracleEntry, fetch = false): void {
    let way = set.ways.findIndex(
      (each) => each?.va === entry.va && each.size === entry.size && each.asid === entry.asid,
    );
    if (way < 0) {
      way = set.ways.indexOf(undefined);
      if (way < 0) {
        way = this.victim(array, set);
        const victim = set.ways[way] as OracleEntry;
        this.leave(array, victim);
        if (this.model.inclusion === 'exclusive' && array.model.level === 1) this.moveDown(victim, fetch);
        array.evictions++;
      }
      array.fills++;
    }
    set.ways[way] = entry;
    this.touch({ array, set, way });
  }

  private victim(array: OracleArray, set: OracleSet): number {
    const { ways, replacement } = array.model;
    if (replacement === 'random') {
      return this.random.below(ways);
    }
    if (replacement !== 'tree-plru') return set.recency[0] as number;
    let node = 1;
    while (node < ways) node = 2 * node + (set.tree[node] ? 1 : 0);
    return node - ways;
  }

  private touch({ array, set, way }: Where): void {
    set.recency = [...set.recency.filter((each) => each !== way), way];
    for (let node = way + array.model.ways; node > 1; node >>= 1) set.tree[node >> 1] = node % 2 === 0;
  }

  /** Inclusive: what leaves level 2 leaves level 1. */
  private leave(array: OracleArray, entry: OracleEntry): void {
    if (this.model.inclusion !== 'inclusive' || array.model.level !== 2) return;
    for (const upper of this.arrays.filter(({ model }) => model.level === 1)) {
      for (const set of upper.sets) {
        const way = set.ways.findIndex((e) => e?.va === entry.va && e.size === entry.size && e.asid === entry.asid);
        if (way < 0) continue;
        set.ways[way] = undefined;
        upper.evictions++;
      }
    }
  }

  /** Exclusive: what leaves level 1 goes to level 2. */
  private moveDown(entry: OracleEntry, fetch: boolean): void {
    const size = [0, 1, 2, 3, 4].find((level) => this.bytes(level) === entry.size) as number;
    const array = this.serving(2, fetch, size);
    if (array !== undefined) this.put(array, this.setOf(array, entry.va, size), entry, fetch);
  }

  private invalidate(covers: (entry: OracleEntry) => boolean): void {
    for (const { array, set, way } of this.valid()) {
      if (!covers(set.ways[way] as OracleEntry)) continue;
      set.ways[way] = undefined;
      array.invalidated++;
    }
  }

  private find(array: OracleArray, va: bigint, size: number, asid: number | 'global'): Where | undefined {
    const set = this.setOf(array, va, size);
    const bytes = this.bytes(size);
    const first = va & LOW57 & ~(bytes - 1n);
    const way = set.ways.findIndex((e) => e?.va === first && e.size === bytes && e.asid === asid);
    return way < 0 ? undefined : { array, set, way };
  }

  private serving(level: number, fetch: boolean, size: number): OracleArray | undefined {
    return this.arrays.find(({ model }) => {
      const serves = model.serves ?? 'both';
      return (
        model.level === level && model.pages.includes(size) && (serves === 'both' || (serves === 'fetch') === fetch)
      );
    });
  }

  private structures(level: number): OracleArray | undefined {
    return this.arrays.find(({ model }) => model.level === 'structures' && model.pages.includes(level));
  }

  private setOf(array: OracleArray, va: bigint, size: number): OracleSet {
    return array.sets[Number((va / this.bytes(size)) % BigInt(array.model.sets))] as OracleSet;
  }

  private bytes(level: number): bigint {
    return 1n << BigInt((this.model.pageShift ?? 12) + level * (this.model.levelShift ?? 9));
  }
}
