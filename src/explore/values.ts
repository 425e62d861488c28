// The state of the explored machine that people look at: what stands in PTEs, TLBs, locks, counts and words, decoded.
//
// Guarantees: nothing is changed by looking. A value that looks the same is the same: two values are equal exactly if `isSameValue` says so.

import {
  CPU_LAZY,
  CPU_MM,
  CPU_MODE,
  CPU_PENDING,
  CPU_REQUESTS,
  ENTRY_BYTES,
  ENTRY_RESULT,
  ENTRY_TAG,
  EXPLORED_BYTES,
  FRAME_BAD,
  FRAME_DATA,
  FRAME_FOLIO,
  FRAME_FREE,
  FRAME_TABLE,
  FRAME_VIRGIN,
  FRAME_WAITING,
  GHOST_GUARD,
  GHOST_LAST,
  GHOST_STORED,
  LOCK_SLEEPERS,
  MAPPING_LOCK,
  META_REFS,
  META_STATE,
  MM_CPUMASK,
  MM_FLUSH_PENDING,
  MM_MMAP_LOCK,
  MM_PTL,
  MM_TLB_GEN,
  MM_USERS,
  REQUEST_BYTES,
  REQUEST_STATE,
  SPACE_LOCK,
  SWP_MIGRATION_READ,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
} from '../../assembly/layout.ts';
import {
  X86_ACCESSED,
  X86_DIRTY,
  X86_PRESENT,
  X86_PROTNONE,
  X86_RW,
  X86_SAVED_DIRTY,
  X86_SOFT_DIRTY,
  X86_SPECIAL,
  X86_SWAP_OFFSET,
  X86_SWAP_TYPE,
  X86_UFFD_WP,
} from '../../assembly/pte/x86_64_bits.ts';
import { LITMUS_TLB_WAYS } from '../litmus/world.ts';
import { decodeResult } from '../machine/results.ts';
import { decodeTag } from '../machine/tlb.ts';
import type { Machine, MachineCpu } from './machine.ts';
import { type Place, Places } from './places.ts';

export type PteBit = 'P' | 'W' | 'A' | 'D' | 'SD' | 'UFFD' | 'SPECIAL' | 'SAVED_D' | 'PROTNONE';

export type Value =
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'frame'; readonly state: FrameState }
  | { readonly kind: 'pte'; readonly entry: PteValue }
  | { readonly kind: 'tlb'; readonly entries: readonly TlbValue[] }
  /** Who holds it, and who waits in its queue, by number of the CPU. */
  | {
      readonly kind: 'lock';
      readonly writer: number | undefined;
      readonly readers: readonly number[];
      readonly queue: readonly number[];
    };

/** `waiting`: unhooked, until a grace period is over. */
export type FrameState = 'unused' | 'free' | 'waiting' | 'bad' | 'data' | 'table' | 'folio';

/** What stands in a PTE. US and NX, which all user pages of a scenario have, are not told. */
export type PteValue =
  | { readonly kind: 'none' }
  | { readonly kind: 'mapped'; readonly bits: readonly PteBit[]; readonly frame: string }
  | { readonly kind: 'swap'; readonly type: number; readonly offset: bigint }
  | { readonly kind: 'migration'; readonly type: number; readonly frame: string };

/** A valid entry of a TLB. */
export interface TlbValue {
  /** Page of the scenario that has its address, or the address. */
  readonly page: string;
  readonly asid: number | 'global';
  readonly bits: readonly ('W' | 'D')[];
  readonly frame: string;
}

/** Something that is looked at after each step. */
export interface Watched {
  readonly place: Place;
  readonly address: number;
  /** Its value now; `cpu` has just made a step, -1 at the start. */
  readonly read: (cpu: number) => Value;
}

/** Everything in a scenario that has a value. */
export function watch(machine: Machine): readonly Watched[] {
  const { instance, cpus, view, core } = machine;
  const places = new Places(machine);
  const list: Watched[] = [];
  const known = new Set<number>();
  const add = (address: number, read: Watched['read']) => {
    if (known.has(address)) return;
    known.add(address);
    list.push({ place: places.at(address), address, read });
  };
  const wide = (address: number) => add(address, () => number(view.getBigUint64(address, true)));
  const narrow = (address: number) => add(address, () => number(BigInt(view.getUint32(address, true))));
  const spin = (address: number) => add(address, () => spinlockValue(view.getUint32(address, true)));
  const rw = (address: number) => add(address, new RwLockWatch(view, address).read);
  const names = new Map([...instance.frames].map(([name, pfn]) => [pfn, name]));
  const frameName = (pfn: number) => names.get(pfn) ?? `#${pfn}`;
  const pageName = (cpu: MachineCpu, va: bigint) => pageAt(machine, cpu, va);

  for (const { slot } of instance.pages.values()) {
    add(slot, () => ({ kind: 'pte', entry: pteValue(view.getBigUint64(slot, true), frameName) }));
  }
  for (const [n, cpu] of cpus.entries()) {
    const place: Place = { of: 'tlb', cpu: n, field: 'entries' };
    const entries = () => tlbValue(machine, cpu, pageName, frameName);
    list.push({ place, address: cpu.tlb, read: () => ({ kind: 'tlb', entries: entries() }) });
  }
  for (const { ptl } of instance.pages.values()) spin(ptl);
  for (const mm of instance.mms.values()) {
    rw(mm + MM_MMAP_LOCK);
    spin(mm + MM_PTL);
    narrow(mm + MM_FLUSH_PENDING);
    wide(mm + MM_TLB_GEN);
    wide(mm + MM_CPUMASK);
    narrow(mm + MM_USERS);
  }
  for (const { space } of instance.pages.values()) spin(space + SPACE_LOCK);
  for (const file of instance.files.values()) rw(file + MAPPING_LOCK);
  for (const { name, kind } of instance.program.world.locks) {
    const address = instance.locks.get(name) as number;
    if (kind === 'rw') rw(address);
    else spin(address);
  }
  for (const address of instance.words.values()) wide(address);
  for (const pfn of instance.frames.values()) {
    const data = core.frameAddress(pfn) >>> 0;
    for (let at = 0; at < EXPLORED_BYTES; at += 8) wide(data + at);
    const meta = core.frameMeta(pfn) >>> 0;
    add(meta + META_STATE, () => ({ kind: 'frame', state: STATES[view.getUint32(meta + META_STATE, true)] ?? 'bad' }));
    narrow(meta + META_REFS);
  }
  for (const { cpu } of cpus) {
    narrow(cpu + CPU_MODE);
    narrow(cpu + CPU_LAZY);
    wide(cpu + CPU_PENDING);
    for (const sender of cpus.keys()) narrow(cpu + CPU_REQUESTS + sender * REQUEST_BYTES + REQUEST_STATE);
  }
  for (const { ghost } of instance.pages.values()) {
    for (const field of [GHOST_LAST, GHOST_GUARD, GHOST_STORED]) wide(ghost + field);
  }
  return list;
}

/** Name of the page that has the address in the mm which the CPU has loaded, or the address. */
export function pageAt({ instance, view }: Machine, { cpu }: MachineCpu, va: bigint): string {
  const mm = view.getUint32(cpu + CPU_MM, true);
  const base = va & ~0xfffn;
  const pages = [...instance.pages].filter(([, page]) => (page.va & VA_BITS) === (base & VA_BITS));
  const own = pages.find(([, page]) => page.mm === mm) ?? pages[0];
  return own?.[0] ?? `0x${base.toString(16)}`;
}

export function isSameValue(a: Value, b: Value): boolean {
  if (a.kind === 'number' && b.kind === 'number') return a.value === b.value;
  return textOf(a) === textOf(b);
}

function textOf(value: Value): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part));
}

function number(value: bigint): Value {
  return { kind: 'number', value };
}

const STATES: Readonly<Record<number, FrameState>> = {
  [FRAME_VIRGIN]: 'unused',
  [FRAME_FREE]: 'free',
  [FRAME_WAITING]: 'waiting',
  [FRAME_BAD]: 'bad',
  [FRAME_DATA]: 'data',
  [FRAME_TABLE]: 'table',
  [FRAME_FOLIO]: 'folio',
};

const BITS: readonly (readonly [number, PteBit])[] = [
  [X86_PRESENT, 'P'],
  [X86_RW, 'W'],
  [X86_ACCESSED, 'A'],
  [X86_DIRTY, 'D'],
  [X86_SAVED_DIRTY, 'SAVED_D'],
  [X86_SOFT_DIRTY, 'SD'],
  [X86_UFFD_WP, 'UFFD'],
  [X86_SPECIAL, 'SPECIAL'],
];
const PFN_BITS = (1n << 40n) - 1n;
/** A tag of a TLB has no sign bits (assoc.ts). */
const VA_BITS = (1n << 57n) - 1n;

function pteValue(pte: bigint, frameName: (pfn: number) => string): PteValue {
  if (pte === 0n) return { kind: 'none' };
  const bit = (n: number) => ((pte >> BigInt(n)) & 1n) === 1n;
  if (bit(X86_PRESENT) || bit(X86_PROTNONE)) {
    const bits = BITS.filter(([n]) => bit(n)).map(([, name]) => name);
    if (!bit(X86_PRESENT)) bits.unshift('PROTNONE');
    return { kind: 'mapped', bits, frame: frameName(Number((pte >> 12n) & PFN_BITS)) };
  }
  const type = Number((pte >> BigInt(X86_SWAP_TYPE)) & 31n);
  const offset = BigInt.asUintN(50, ~(pte >> BigInt(X86_SWAP_OFFSET)));
  if (type >= SWP_MIGRATION_READ) return { kind: 'migration', type, frame: frameName(Number(offset & PFN_BITS)) };
  return { kind: 'swap', type, offset };
}

function tlbValue(
  { view }: Machine,
  cpu: MachineCpu,
  pageName: (cpu: MachineCpu, va: bigint) => string,
  frameName: (pfn: number) => string,
): TlbValue[] {
  const { tlb } = cpu;
  const first = view.getUint32(tlb + TLB_HINTS_AT, true) + view.getUint32(tlb + TLB_HINTS_MASK, true) + 4;
  const entries: TlbValue[] = [];
  for (let at = first; at < first + LITMUS_TLB_WAYS * ENTRY_BYTES; at += ENTRY_BYTES) {
    const tag = view.getBigUint64(at + ENTRY_TAG, true);
    if (tag === 0n) continue;
    const { va, asid } = decodeTag(tag);
    const mapped = decodeResult(view.getBigUint64(at + ENTRY_RESULT, true));
    if (mapped.kind !== 'mapped') continue;
    const bits: ('W' | 'D')[] = [];
    if (mapped.rights.write) bits.push('W');
    if (mapped.dirty) bits.push('D');
    entries.push({ page: pageName(cpu, va), asid, bits, frame: frameName(Number(mapped.pa >> 12n)) });
  }
  return entries;
}

function spinlockValue(word: number): Value {
  const holder = word & ~LOCK_SLEEPERS;
  return { kind: 'lock', writer: holder === 0 ? undefined : holder - 1, readers: [], queue: [] };
}

/**
 * A reader-writer lock says how many are inside and how many wait, not who (lock/rwlock.ts): whoever made the step that changed a number is the
 * one who came or went.
 */
class RwLockWatch {
  readonly #view: DataView;
  readonly #address: number;
  #word = 0;
  #writer: number | undefined;
  #readers: readonly number[] = [];
  #queue: readonly number[] = [];

  constructor(view: DataView, address: number) {
    this.#view = view;
    this.#address = address;
  }

  readonly read = (cpu: number): Value => {
    const word = this.#view.getUint32(this.#address, true);
    const before = this.#word;
    this.#word = word;
    if (word !== before) {
      const grew = (count: (word: number) => number) => Math.sign(count(word) - count(before));
      this.#readers = changed(this.#readers, cpu, grew(readersIn));
      this.#queue = changed(this.#queue, cpu, grew(waitersIn));
      this.#writer = hasWriter(word) ? (hasWriter(before) ? this.#writer : cpu) : undefined;
    }
    return { kind: 'lock', writer: this.#writer, readers: this.#readers, queue: this.#queue };
  };
}

function changed(list: readonly number[], cpu: number, by: number): readonly number[] {
  if (by > 0) return [...list, cpu];
  if (by === 0) return list;
  const at = list.indexOf(cpu);
  return list.filter((_, n) => n !== at);
}

// The fields of the state word of lock/rwlock.ts.
const readersIn = (word: number) => word & 0x7f;
const waitersIn = (word: number) => ((word >> 7) & 0x7f) + ((word >> 14) & 0x7f);
const hasWriter = (word: number) => ((word >>> 28) & 1) !== 0;
