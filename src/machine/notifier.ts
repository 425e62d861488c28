// MMU notifiers: who has translations of his own made from an mm's tables (a device, a hypervisor) hears of every change.
//
// Guarantees: every event that touches the interval is counted, and noted while there is room, in the order in which the notifier was told; `drain`
// takes the notes out without stopping anybody. `retryNeeded` says whether an invalidation of the interval came since `begin`
// (mmu_interval_read_begin() and mmu_interval_read_retry(), mm/mmu_notifier.c). Make one, and dispose of it, while no thread runs the mm.

import {
  MMU_EVENTS,
  MMU_NOTIFY_CLEAR,
  MMU_NOTIFY_EXCLUSIVE,
  MMU_NOTIFY_MIGRATE,
  MMU_NOTIFY_PROTECTION_PAGE,
  MMU_NOTIFY_PROTECTION_VMA,
  MMU_NOTIFY_RELEASE,
  MMU_NOTIFY_SOFT_DIRTY,
  MMU_NOTIFY_UNMAP,
  NOTICE_BYTES,
  NOTICE_END,
  NOTICE_EVENT,
  NOTICE_FIRST,
  NOTICE_KIND,
  NOTICE_LAST,
  NOTICE_RELEASE,
  NOTICE_SECONDARY,
  NOTICE_START,
  NOTIFIER_CAPACITY,
  NOTIFIER_DRAINED,
  NOTIFIER_DROPPED,
  NOTIFIER_ENDS,
  NOTIFIER_REFUSED,
  NOTIFIER_RING,
  NOTIFIER_SECONDARY,
  NOTIFIER_STARTS,
  NOTIFIER_WRITTEN,
} from '../../assembly/layout.ts';
import { type AddressLike, type VirtualAddress, virtualAddress } from '../units.ts';
import type { Mm } from './cpu.ts';
import type { FlushRange } from './flushtracker.ts';

/** Why entries change, by the names of enum mmu_notifier_event (include/linux/mmu_notifier.h). */
export type NotifyEvent =
  | 'unmap'
  | 'clear'
  | 'protection-vma'
  | 'protection-page'
  | 'soft-dirty'
  | 'release'
  | 'migrate'
  | 'exclusive';

/** What a notifier was told; the range is that of the event, both ends inclusive. */
export type Notice =
  /** invalidate_range_start: entries are about to change. `end`: they have. */
  | { readonly kind: 'start' | 'end'; readonly event: NotifyEvent; readonly range: FlushRange }
  /** arch_invalidate_secondary_tlbs: a flush was carried out. */
  | { readonly kind: 'secondary'; readonly range: FlushRange }
  /** The mm goes. */
  | { readonly kind: 'release' };

const EVENTS: Readonly<Record<number, NotifyEvent>> = {
  [MMU_NOTIFY_UNMAP]: 'unmap',
  [MMU_NOTIFY_CLEAR]: 'clear',
  [MMU_NOTIFY_PROTECTION_VMA]: 'protection-vma',
  [MMU_NOTIFY_PROTECTION_PAGE]: 'protection-page',
  [MMU_NOTIFY_SOFT_DIRTY]: 'soft-dirty',
  [MMU_NOTIFY_RELEASE]: 'release',
  [MMU_NOTIFY_MIGRATE]: 'migrate',
  [MMU_NOTIFY_EXCLUSIVE]: 'exclusive',
};
const EVERYTHING = (1n << 64n) - 1n;
const MOST = 2 ** 16;

export interface NotifierOptions {
  /** How many notes have room, a power of two up to 2^16. Default 256. */
  readonly capacity?: number;
  /** It needs to sleep, so who may not (the OOM reaper) leaves the range alone. Default false. */
  readonly sleeps?: boolean;
}

/** How often a notifier was told of what. */
export interface NotifierCounts {
  readonly starts: Readonly<Record<NotifyEvent, number>>;
  readonly ends: Readonly<Record<NotifyEvent, number>>;
  readonly secondary: number;
  /** Starts that it refused because it sleeps. */
  readonly refused: number;
  /** Notes for which there was no room. */
  readonly dropped: number;
}

export class MmuNotifier {
  readonly mm: Mm;
  readonly #handle: number;
  readonly #view: DataView;

  /** Watches `range` of `mm`, or all of it. @throws RangeError if the range is empty, an option is none, or there is no room. */
  constructor(
    mm: Mm,
    range?: { readonly va: AddressLike; readonly sizeBytes: AddressLike },
    options: NotifierOptions = {},
  ) {
    const { capacity = 256, sleeps = false } = options;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MOST || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`"capacity" must be a power of two up to 2^16, got ${capacity}`);
    }
    const first = range === undefined ? 0n : virtualAddress(range.va);
    const bytes = range === undefined ? 0n : virtualAddress(range.sizeBytes, 'sizeBytes');
    if (range !== undefined && bytes === 0n) throw new RangeError('"sizeBytes" must be above 0, got 0');
    const last = range === undefined ? EVERYTHING : first + bytes - 1n;
    const { core, view } = mm.space.memory;
    this.mm = mm;
    this.#view = view;
    this.#handle = core.registerNotifier(mm.handle, first, last, capacity, sleeps) >>> 0;
    if (this.#handle === 0) throw new RangeError('no heap is left for a notifier');
  }

  /** Takes out what it was told since the last time. */
  drain(): Notice[] {
    const [ring, capacity] = [this.#u32(NOTIFIER_RING), this.#u32(NOTIFIER_CAPACITY)];
    // Written by whoever tells, after the note.
    const words = new Uint32Array(this.#view.buffer);
    const written = Atomics.load(words, (this.#handle + NOTIFIER_WRITTEN) / 4);
    const notices: Notice[] = [];
    let drained = this.#u32(NOTIFIER_DRAINED);
    for (; drained !== written; drained = (drained + 1) >>> 0) {
      notices.push(this.#notice(ring + (drained & (capacity - 1)) * NOTICE_BYTES));
    }
    Atomics.store(words, (this.#handle + NOTIFIER_DRAINED) / 4, drained);
    return notices;
  }

  get counts(): NotifierCounts {
    const byEvent = (field: number) =>
      Object.fromEntries(
        Array.from({ length: MMU_EVENTS }, (_, n) => [EVENTS[n] as NotifyEvent, this.#u32(field + 4 * n)]),
      ) as Record<NotifyEvent, number>;
    return {
      starts: byEvent(NOTIFIER_STARTS),
      ends: byEvent(NOTIFIER_ENDS),
      secondary: this.#u32(NOTIFIER_SECONDARY),
      refused: this.#u32(NOTIFIER_REFUSED),
      dropped: this.#u32(NOTIFIER_DROPPED),
    };
  }

  /** Waits until nothing invalidates the interval; what it returns goes to `retryNeeded` when translations were made from the tables. */
  begin(): bigint {
    return this.mm.space.memory.core.notifierReadBegin(this.#handle);
  }

  /** True if the interval was invalidated since: do not use what was made, begin again. */
  retryNeeded(sequence: bigint): boolean {
    return this.mm.space.memory.core.notifierReadRetry(this.#handle, sequence) !== 0;
  }

  /** Takes it out of its mm. */
  dispose(): void {
    this.mm.space.memory.core.unregisterNotifier(this.#handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #notice(at: number): Notice {
    const kind = this.#view.getUint32(at + NOTICE_KIND, true);
    const range = {
      first: this.#view.getBigUint64(at + NOTICE_FIRST, true) as VirtualAddress,
      last: this.#view.getBigUint64(at + NOTICE_LAST, true) as VirtualAddress,
    };
    if (kind === NOTICE_SECONDARY) return { kind: 'secondary', range };
    if (kind === NOTICE_RELEASE) return { kind: 'release' };
    if (kind !== NOTICE_START && kind !== NOTICE_END) throw new Error(`a note of kind ${kind}`);
    const event = EVENTS[this.#view.getUint32(at + NOTICE_EVENT, true)] as NotifyEvent;
    return { kind: kind === NOTICE_START ? 'start' : 'end', event, range };
  }

  #u32(field: number): number {
    return this.#view.getUint32(this.#handle + field, true);
  }
}
