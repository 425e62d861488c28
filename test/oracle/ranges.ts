// Range operations on a map of pages, one entry after the other, from the kernel's functions: the dull specification of assembly/range/.
//
// An entry is a BigInt of x86-64; nothing here knows tables, vectors or atomics.

const P = 1n;
const RW = 1n << 1n;
const A = 1n << 5n;
const D = 1n << 6n;
const PROTNONE = 1n << 8n;
const UFFD_WP = 1n << 10n;
const SOFT_DIRTY = 1n << 11n;
const SAVED_DIRTY = 1n << 58n;

export type Operation =
  | 'wrprotect'
  | 'clean'
  | 'clear-soft-dirty'
  | 'age'
  | 'dirty'
  | 'soft-dirty'
  | 'young'
  | 'written';

export const OPERATIONS: readonly Operation[] = [
  'wrprotect',
  'clean',
  'clear-soft-dirty',
  'age',
  'dirty',
  'soft-dirty',
  'young',
  'written',
];

/** A leaf entry and the pages it stands for: 1, 512 or 512 × 512. */
export interface Leaf {
  entry: bigint;
  readonly pages: number;
}

export interface Outcome {
  touched: number;
  first: number | undefined;
  last: number | undefined;
  huge: number;
  warned: number;
  /** Pages whose bits are set. */
  bits: Set<number>;
  /** Pages that a flush must cover, exactly. */
  flush: Set<number>;
}

const present = (e: bigint) => (e & (P | PROTNONE)) !== 0n;
export const dirty = (e: bigint) => (e & (D | SAVED_DIRTY)) !== 0n;
/** pte_write() with pte_shstk(). */
export const write = (e: bigint) => (e & RW) !== 0n || (e & D) !== 0n;

function wrprotect(e: bigint): bigint {
  const readOnly = e & ~RW;
  return (readOnly & D) !== 0n ? (readOnly & ~D) | SAVED_DIRTY : readOnly;
}

/** What becomes of an entry, or undefined if it is not hit. */
export function changed(operation: Operation, e: bigint): bigint | undefined {
  if (!present(e)) return undefined;
  switch (operation) {
    case 'wrprotect':
      return write(e) ? wrprotect(e) : undefined;
    case 'clean':
      return dirty(e) ? e & ~(D | SAVED_DIRTY) : undefined;
    case 'clear-soft-dirty': {
      const now = wrprotect(e) & ~SOFT_DIRTY;
      return now === e ? undefined : now;
    }
    case 'age':
      return (e & A) !== 0n ? e & ~A : undefined;
    case 'dirty':
      return dirty(e) ? e : undefined;
    case 'soft-dirty':
      return (e & SOFT_DIRTY) !== 0n ? e : undefined;
    case 'young':
      return (e & A) !== 0n ? e : undefined;
    case 'written':
      return (e & UFFD_WP) === 0n ? e : undefined;
  }
}

const changes = (operation: Operation) => ['wrprotect', 'clean', 'clear-soft-dirty', 'age'].includes(operation);
const splits = (operation: Operation) => operation === 'wrprotect' || operation === 'clean';

/** Runs an operation over pages [from, to]; the map goes from the first page of each leaf to the leaf. */
export function operate(operation: Operation, leaves: Map<number, Leaf>, from: number, to: number): Outcome {
  const outcome: Outcome = {
    touched: 0,
    first: undefined,
    last: undefined,
    huge: 0,
    warned: 0,
    bits: new Set(),
    flush: new Set(),
  };
  for (const [page, leaf] of [...leaves].sort(([a], [b]) => a - b)) {
    const end = page + leaf.pages - 1;
    if (end < from || page > to) continue;
    const whole = page >= from && end <= to;
    if (leaf.pages > 1 && (leaf.entry & P) === 0n) continue; // no walk gets here
    if (leaf.pages > 1 && changes(operation) && (splits(operation) || !whole)) {
      outcome.huge++;
      if (write(leaf.entry) || dirty(leaf.entry)) outcome.warned++;
      continue;
    }
    const now = changed(operation, leaf.entry);
    if (now === undefined) continue;
    leaf.entry = now;
    outcome.touched++;
    const first = Math.max(page, from);
    const last = Math.min(end, to);
    outcome.first ??= first;
    outcome.last = last;
    for (let n = first; n <= last; n++) {
      outcome.bits.add(n);
      if (changes(operation)) outcome.flush.add(n);
    }
  }
  return outcome;
}
