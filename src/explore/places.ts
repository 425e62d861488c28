// What an address of the explored machine is: the PTE of a page, a lock, a request of one CPU to another.
//
// Guarantees: the same word of the same scenario has the same place in every process, whatever addresses it got; so places, not addresses,
// are what tokens check and traces show. Whatever has no name of its own is told by its distance from what it lies in.

import {
  AGENT_BYTES,
  AGENT_EPOCH,
  AGENTS,
  BUFFER_BYTES,
  BUFFER_COUNT,
  BUFFER_OWED,
  CONTROL,
  CONTROL_ASLEEP,
  CONTROL_BAD_FREE,
  CONTROL_BAD_PFN,
  CONTROL_BAD_POISON,
  CONTROL_CPUS,
  CONTROL_EPOCH,
  CONTROL_FREE_HEAD,
  CONTROL_HEAP_FREE,
  CONTROL_HEAP_LOCK,
  CONTROL_LIVE,
  CONTROL_RCU_HEAD,
  CONTROL_RCU_LOCK,
  CONTROL_RCU_TAIL,
  CONTROL_RCU_WAITING,
  CONTROL_VIRGIN,
  CPU_BUFFER,
  CPU_BYTES,
  CPU_IN_FLIGHT,
  CPU_LAZY,
  CPU_MODE,
  CPU_PENDING,
  CPU_REQUESTS,
  FRAME_BYTES,
  GHOST_BYTES,
  GHOST_GUARD,
  GHOST_LAST,
  GHOST_STORED,
  HEAP,
  MAPPING_BYTES,
  MAPPING_LOCK,
  MAX_AGENTS,
  META_BYTES,
  META_GENERATION,
  META_NEXT,
  META_REFS,
  META_STATE,
  MM_BYTES,
  MM_CPUMASK,
  MM_FLUSH_PENDING,
  MM_MMAP_LOCK,
  MM_NOTIFY_ACTIVE,
  MM_NOTIFY_LOCK,
  MM_NOTIFY_SEQ,
  MM_PTL,
  MM_TLB_GEN,
  MM_USERS,
  MM_VMAS,
  NOBODY,
  REQUEST_BYTES,
  REQUEST_STATE,
  RWLOCK_BYTES,
  SPACE_BYTES,
  SPACE_GENERATION,
  SPACE_LOCK,
  TLB_DESCRIPTORS,
  VMA_BYTES,
} from '../../assembly/layout.ts';
import type { Machine } from './machine.ts';

/** `field`: of a block, its field in the kernel's words, or `+0x10`, the distance from its start. */
export type Place =
  | { readonly of: 'page'; readonly name: string; readonly field: 'pte' | 'ptl' | 'last' | 'guard' | 'stored' }
  /** The entry of a level above the leaf on the way to a page. */
  | { readonly of: 'table'; readonly name: string; readonly level: number }
  | { readonly of: 'word'; readonly name: string }
  | { readonly of: 'lock'; readonly name: string }
  | { readonly of: 'mm'; readonly name: string; readonly field: string }
  | { readonly of: 'vma'; readonly name: string; readonly field: string }
  | { readonly of: 'file'; readonly name: string; readonly field: string }
  /** `data`: word `index` of its contents. A frame without a name is called by its PFN. */
  | { readonly of: 'frame'; readonly name: string; readonly field: FrameField; readonly index: number }
  | { readonly of: 'cpu'; readonly cpu: number; readonly field: string }
  /** What CPU `sender` asks of CPU `cpu`. */
  | { readonly of: 'request'; readonly cpu: number; readonly sender: number; readonly field: string }
  | { readonly of: 'tlb'; readonly cpu: number; readonly field: string }
  /** The stores of CPU `cpu` that wait. */
  | { readonly of: 'buffer'; readonly cpu: number; readonly field: string }
  | { readonly of: 'agent'; readonly cpu: number; readonly field: string }
  /** What all share: allocator, grace periods. */
  | { readonly of: 'kernel'; readonly field: string };

export type FrameField = 'data' | 'references' | 'state' | 'generation' | 'next' | 'owner';

interface Span {
  readonly start: number;
  readonly end: number;
  readonly place: (offset: number) => Place;
}

/** Names the words of one machine. */
export class Places {
  readonly #spans: readonly Span[];
  readonly #known = new Map<number, Place>();

  constructor(machine: Machine) {
    this.#spans = spansOf(machine);
  }

  /** What the word at a linear address is. */
  at(address: number): Place {
    let place = this.#known.get(address);
    if (place === undefined) {
      // The first that has it: what is part of something larger stands before it.
      const span = this.#spans.find(({ start, end }) => address >= start && address < end);
      place = span?.place(address - span.start) ?? { of: 'kernel', field: plus(address) };
      this.#known.set(address, place);
    }
    return place;
  }
}

function spansOf(machine: Machine): readonly Span[] {
  const { core, instance, cpus } = machine;
  const spans: Span[] = [];
  const add = (start: number, bytes: number, place: Span['place']) => spans.push({ start, end: start + bytes, place });

  for (const [name, { slot }] of instance.pages) add(slot, 8, () => ({ of: 'page', name, field: 'pte' }));
  for (const [name, { ptl, ghost }] of instance.pages) {
    add(ptl, 4, () => ({ of: 'page', name, field: 'ptl' }));
    add(ghost, GHOST_BYTES, (offset) => ({ of: 'page', name, field: GHOST_FIELDS[offset] ?? 'last' }));
  }
  for (const [name, { space, va }] of instance.pages) {
    for (let level = 1; level < LEVELS; level++) {
      const entry = core.entryAddress(space, va, level) >>> 0;
      if (entry !== 0) add(entry, 8, () => ({ of: 'table', name, level }));
    }
  }
  for (const [name, at] of instance.words) add(at, 8, () => ({ of: 'word', name }));
  for (const [name, at] of instance.locks) add(at, RWLOCK_BYTES, () => ({ of: 'lock', name }));
  for (const [name, mm] of instance.mms)
    add(mm, MM_BYTES, (offset) => ({ of: 'mm', name, field: fieldAt(MM_FIELDS, offset) }));
  for (const [mm, at] of instance.mms) {
    const space = [...instance.pages.values()].find((page) => page.mm === at)?.space;
    if (space !== undefined)
      add(space, SPACE_BYTES, (offset) => ({ of: 'mm', name: mm, field: fieldAt(SPACE_FIELDS, offset) }));
  }
  for (const [name, at] of instance.files)
    add(at, MAPPING_BYTES, (offset) => ({ of: 'file', name, field: fieldAt(FILE_FIELDS, offset) }));
  for (const [name, at] of instance.vmas) add(at, VMA_BYTES, (offset) => ({ of: 'vma', name, field: plus(offset) }));
  for (const [n, { cpu, tlb }] of cpus.entries()) {
    add(cpu + CPU_REQUESTS, MAX_AGENTS * REQUEST_BYTES, (offset) => ({
      of: 'request',
      cpu: n,
      sender: Math.floor(offset / REQUEST_BYTES),
      field: fieldAt(REQUEST_FIELDS, offset % REQUEST_BYTES),
    }));
    const buffer = machine.view.getUint32(cpu + CPU_BUFFER, true);
    add(buffer, buffer === 0 ? 0 : BUFFER_BYTES, (offset) => ({
      of: 'buffer',
      cpu: n,
      field: fieldAt(BUFFER_FIELDS, offset),
    }));
    add(cpu, CPU_BYTES, (offset) => ({ of: 'cpu', cpu: n, field: fieldAt(CPU_FIELDS, offset) }));
    add(tlb, TLB_DESCRIPTORS, (offset) => ({ of: 'tlb', cpu: n, field: plus(offset) }));
    add(AGENTS + n * AGENT_BYTES, AGENT_BYTES, (offset) => ({
      of: 'agent',
      cpu: n,
      field: fieldAt(AGENT_FIELDS, offset),
    }));
  }

  const names = new Map([...instance.frames].map(([name, pfn]) => [pfn, name]));
  const nameOf = (pfn: number) => names.get(pfn) ?? `#${pfn}`;
  const frames = core.frameMeta(0) >>> 0;
  const ram = core.frameAddress(0) >>> 0;
  const count = (machine.view.byteLength - ram) >>> 12;
  if (instance.owners !== 0) {
    const bytes = (Math.max(...instance.frames.values()) + 1) * 8;
    add(instance.owners, bytes, (offset) => ({ of: 'frame', name: nameOf(offset >>> 3), field: 'owner', index: 0 }));
  }
  add(frames, count * META_BYTES, (offset) => ({
    of: 'frame',
    name: nameOf(Math.floor(offset / META_BYTES)),
    field: META_FIELDS[offset % META_BYTES] ?? 'state',
    index: 0,
  }));
  add(ram, count * FRAME_BYTES, (offset) => ({
    of: 'frame',
    name: nameOf(Math.floor(offset / FRAME_BYTES)),
    field: 'data',
    index: (offset % FRAME_BYTES) >>> 3,
  }));
  add(CONTROL, NOBODY - CONTROL, (offset) => ({ of: 'kernel', field: fieldAt(KERNEL_FIELDS, CONTROL + offset) }));
  add(HEAP, frames - HEAP, (offset) => ({ of: 'kernel', field: `heap${plus(offset)}` }));
  return spans;
}

/** More than any format has. */
const LEVELS = 5;

const GHOST_FIELDS: Readonly<Record<number, 'last' | 'guard' | 'stored'>> = {
  [GHOST_LAST]: 'last',
  [GHOST_GUARD]: 'guard',
  [GHOST_STORED]: 'stored',
};
const META_FIELDS: Readonly<Record<number, FrameField>> = {
  [META_STATE]: 'state',
  [META_REFS]: 'references',
  [META_GENERATION]: 'generation',
  [META_NEXT]: 'next',
};

/** Fields by their offset. */
type Fields = Readonly<Record<number, string>>;

const MM_FIELDS: Fields = {
  [MM_USERS]: 'mm_users',
  [MM_FLUSH_PENDING]: 'tlb_flush_pending',
  [MM_MMAP_LOCK]: 'mmap_lock',
  [MM_TLB_GEN]: 'tlb_gen',
  [MM_CPUMASK]: 'cpumask',
  [MM_VMAS]: 'mm_mt',
  [MM_PTL]: 'page_table_lock',
  [MM_NOTIFY_LOCK]: 'notifier_lock',
  [MM_NOTIFY_ACTIVE]: 'active_invalidate_ranges',
  [MM_NOTIFY_SEQ]: 'invalidate_seq',
};
const SPACE_FIELDS: Fields = { [SPACE_LOCK]: 'tables_lock', [SPACE_GENERATION]: 'tables_generation' };
const FILE_FIELDS: Fields = { [MAPPING_LOCK]: 'i_mmap_rwsem' };
const CPU_FIELDS: Fields = {
  [CPU_MODE]: 'mode',
  [CPU_LAZY]: 'is_lazy',
  [CPU_IN_FLIGHT]: 'in_flight',
  [CPU_PENDING]: 'pending',
};
const BUFFER_FIELDS: Fields = { [BUFFER_COUNT]: 'count', [BUFFER_OWED]: 'owed' };
const REQUEST_FIELDS: Fields = { [REQUEST_STATE]: 'state' };
const AGENT_FIELDS: Fields = { [AGENT_EPOCH]: 'rcu' };
const KERNEL_FIELDS: Fields = {
  [CONTROL_FREE_HEAD]: 'free_list',
  [CONTROL_VIRGIN]: 'virgin_frames',
  [CONTROL_LIVE]: 'live_frames',
  [CONTROL_BAD_FREE]: 'double_frees',
  [CONTROL_BAD_POISON]: 'bad_poison',
  [CONTROL_BAD_PFN]: 'bad_pfn',
  [CONTROL_HEAP_LOCK]: 'heap_lock',
  [CONTROL_HEAP_FREE]: 'heap_free',
  [CONTROL_EPOCH]: 'rcu_clock',
  [CONTROL_RCU_LOCK]: 'rcu_lock',
  [CONTROL_RCU_HEAD]: 'rcu_head',
  [CONTROL_RCU_TAIL]: 'rcu_tail',
  [CONTROL_RCU_WAITING]: 'rcu_waiting',
  [CONTROL_CPUS]: 'cpus',
  [CONTROL_ASLEEP]: 'asleep',
};

function fieldAt(fields: Fields, offset: number): string {
  return fields[offset] ?? plus(offset);
}

function plus(offset: number): string {
  return `+0x${offset.toString(16)}`;
}
