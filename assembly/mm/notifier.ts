// MMU notifiers: who has translations of its own made from an mm's tables hears of every change (include/linux/mmu_notifier.h,
// mm/mmu_notifier.c).
//
// Guarantees: `start` returns after every notifier of the mm whose interval is touched has been told, `end` likewise; each event is counted, and
// recorded in the notifier's ring while there is room, so that an observer outside the core sees them without being called. A reader that
// began (`readBegin`) before an invalidation of its interval, or during it, is told to retry (`readRetry`): the collision check of
// mmu_interval_read_begin(), whose drawing is in mm/mmu_notifier.c.
//
// Counts and records are for the observer and decide nothing: plain stores. The words of a notifier are under its lock, those of the mm under
// MM_NOTIFY_LOCK; neither is taken inside the other. Both come after mmap_lock, i_mmap_rwsem and anon_vma->rwsem; callers hold no
// page-table lock at start and end (they may at `invalidateSecondary`). Which notifiers an mm has changes at set-up only.

import {
  MM_NOTIFIERS,
  MM_NOTIFY_ACTIVE,
  MM_NOTIFY_LOCK,
  MM_NOTIFY_SEQ,
  MMU_NOTIFY_RELEASE,
  NOTICE_BYTES,
  NOTICE_END,
  NOTICE_EVENT,
  NOTICE_FIRST,
  NOTICE_KIND,
  NOTICE_LAST,
  NOTICE_RELEASE,
  NOTICE_SECONDARY,
  NOTICE_START,
  NOTIFIER_BYTES,
  NOTIFIER_CAPACITY,
  NOTIFIER_DRAINED,
  NOTIFIER_DROPPED,
  NOTIFIER_ENDS,
  NOTIFIER_FIRST,
  NOTIFIER_FLAGS,
  NOTIFIER_LAST,
  NOTIFIER_LOCK,
  NOTIFIER_MM,
  NOTIFIER_NEXT,
  NOTIFIER_REFUSED,
  NOTIFIER_RING,
  NOTIFIER_SECONDARY,
  NOTIFIER_SEQUENCE,
  NOTIFIER_SLEEPS,
  NOTIFIER_STARTS,
  NOTIFIER_WRITTEN,
} from "../layout";
import { Shared } from "../atomic";
import { Heap } from "../heap";
import { Spinlock } from "../lock/spinlock";

export abstract class Notifiers {
  // ---- set-up

  /**
   * Registers a notifier for [first, last] of `mm`, with a ring for `capacity` records (0, or a power of two); `sleeps`: it refuses
   * non-blocking starts. 0 if no heap is left. Nobody runs `mm` meanwhile.
   */
  static register(mm: usize, first: u64, last: u64, capacity: u32, sleeps: bool): usize {
    const notifier = Heap.allocate(NOTIFIER_BYTES + capacity * NOTICE_BYTES);
    if (notifier == 0) return 0;
    memory.fill(notifier, 0, NOTIFIER_BYTES);
    store<u32>(notifier, <u32>mm, NOTIFIER_MM);
    store<u32>(notifier, sleeps ? NOTIFIER_SLEEPS : 0, NOTIFIER_FLAGS);
    store<u64>(notifier, first, NOTIFIER_FIRST);
    store<u64>(notifier, last, NOTIFIER_LAST);
    store<u32>(notifier, capacity == 0 ? 0 : <u32>notifier + NOTIFIER_BYTES, NOTIFIER_RING);
    store<u32>(notifier, capacity, NOTIFIER_CAPACITY);
    // Not the present sequence, which would mean that it is being invalidated (__mmu_interval_notifier_insert()).
    store<u64>(notifier, load<u64>(mm, MM_NOTIFY_SEQ) - 1, NOTIFIER_SEQUENCE);
    store<u32>(notifier, load<u32>(mm, MM_NOTIFIERS), NOTIFIER_NEXT);
    store<u32>(mm, <u32>notifier, MM_NOTIFIERS);
    return notifier;
  }

  /** Takes it out and frees it. */
  static unregister(notifier: usize): void {
    let link = <usize>load<u32>(notifier, NOTIFIER_MM) + MM_NOTIFIERS;
    while (load<u32>(link) != <u32>notifier) {
      if (load<u32>(link) == 0) return;
      link = <usize>load<u32>(link) + NOTIFIER_NEXT;
    }
    store<u32>(link, load<u32>(notifier, NOTIFIER_NEXT));
    Heap.free(notifier);
  }

  // ---- events, from the kernel path that changes entries of [first, last]

  /** mmu_notifier_invalidate_range_start(): before the entries change. */
  @inline
  static start(mm: usize, event: u32, first: u64, last: u64): void {
    if (load<u32>(mm, MM_NOTIFIERS) != 0) Notifiers.begin(mm, event, first, last, true);
  }

  /**
   * mmu_notifier_invalidate_range_start_nonblock(): false if a notifier would have had to sleep. Then nothing may be changed, and those that were
   * told already hear the end.
   */
  @inline
  static startNonblock(mm: usize, event: u32, first: u64, last: u64): bool {
    return load<u32>(mm, MM_NOTIFIERS) == 0 || Notifiers.begin(mm, event, first, last, false);
  }

  /** mmu_notifier_invalidate_range_end(): after the entries changed and were flushed. */
  @inline
  static end(mm: usize, event: u32, first: u64, last: u64): void {
    if (load<u32>(mm, MM_NOTIFIERS) != 0) Notifiers.finish(mm, event, first, last);
  }

  /**
   * mmu_notifier_arch_invalidate_secondary_tlbs(): from the flush itself, for those who have the CPU walk the mm's own tables (an IOMMU with shared
   * virtual addressing), and so must hear of every flush (v6.6; invalidate_range() before).
   */
  static invalidateSecondary(mm: usize, first: u64, last: u64): void {
    for (let at = Notifiers.firstOf(mm); at != 0; at = Notifiers.next(at)) {
      if (!Notifiers.touched(at, first, last)) continue;
      Spinlock.lock(at + NOTIFIER_LOCK);
      Notifiers.record(at, NOTICE_SECONDARY, 0, first, last);
      Notifiers.count(at, NOTIFIER_SECONDARY);
      Spinlock.unlock(at + NOTIFIER_LOCK);
    }
  }

  /** mmu_notifier_release(), from exit_mmap(): the mm goes, its translations with it. */
  static release(mm: usize): void {
    for (let at = Notifiers.firstOf(mm); at != 0; at = Notifiers.next(at)) {
      Spinlock.lock(at + NOTIFIER_LOCK);
      Notifiers.record(at, NOTICE_RELEASE, MMU_NOTIFY_RELEASE, 0, ~(<u64>0));
      Notifiers.count(at, NOTIFIER_STARTS + 4 * MMU_NOTIFY_RELEASE);
      Spinlock.unlock(at + NOTIFIER_LOCK);
    }
  }

  // ---- the reader: who makes translations from the tables

  /** mmu_interval_read_begin(): waits until nothing invalidates the interval; returns what `readRetry` compares. */
  static readBegin(notifier: usize): u64 {
    const mm = <usize>load<u32>(notifier, NOTIFIER_MM);
    Spinlock.lock(mm + MM_NOTIFY_LOCK);
    const sequence = Shared.load<u64>(notifier + NOTIFIER_SEQUENCE);
    const invalidating = sequence == Shared.quietLoad<u64>(mm + MM_NOTIFY_SEQ);
    Spinlock.unlock(mm + MM_NOTIFY_LOCK);
    if (invalidating) Shared.awaitChange<u64>(mm + MM_NOTIFY_SEQ, sequence);
    return sequence;
  }

  /** mmu_interval_read_retry(), under the lock that the reader's own translations are under: true if it must begin again. */
  @inline
  static readRetry(notifier: usize, sequence: u64): bool {
    return Shared.load<u64>(notifier + NOTIFIER_SEQUENCE) != sequence;
  }

  // ---- parts

  /** mn_itree_invalidate() and mn_hlist_invalidate_range_start() in one: every notifier has an interval here. */
  private static begin(mm: usize, event: u32, first: u64, last: u64, mayBlock: bool): bool {
    const sequence = Notifiers.enter(mm, first, last);
    for (let at = Notifiers.firstOf(mm); at != 0; at = Notifiers.next(at)) {
      if (!Notifiers.touched(at, first, last)) continue;
      Spinlock.lock(at + NOTIFIER_LOCK);
      const refused = !mayBlock && (load<u32>(at, NOTIFIER_FLAGS) & NOTIFIER_SLEEPS) != 0;
      if (refused) Notifiers.count(at, NOTIFIER_REFUSED);
      else {
        // mmu_interval_set_seq()
        Shared.store<u64>(at + NOTIFIER_SEQUENCE, sequence);
        Notifiers.record(at, NOTICE_START, event, first, last);
        Notifiers.count(at, <usize>NOTIFIER_STARTS + ((<usize>event) << 2));
      }
      Spinlock.unlock(at + NOTIFIER_LOCK);
      if (!refused) continue;
      Notifiers.tellEnd(mm, event, first, last, at);
      Notifiers.leave(mm);
      return false;
    }
    return true;
  }

  private static finish(mm: usize, event: u32, first: u64, last: u64): void {
    Notifiers.tellEnd(mm, event, first, last, 0);
    Notifiers.leave(mm);
  }

  /** Tells the end to the notifiers before `until`. */
  private static tellEnd(mm: usize, event: u32, first: u64, last: u64, until: usize): void {
    for (let at = Notifiers.firstOf(mm); at != until; at = Notifiers.next(at)) {
      if (!Notifiers.touched(at, first, last)) continue;
      Spinlock.lock(at + NOTIFIER_LOCK);
      Notifiers.record(at, NOTICE_END, event, first, last);
      Notifiers.count(at, <usize>NOTIFIER_ENDS + ((<usize>event) << 2));
      Spinlock.unlock(at + NOTIFIER_LOCK);
    }
  }

  /** mn_itree_inv_start_range(): the sequence is odd while an invalidation touches a watched interval. Returns it. */
  private static enter(mm: usize, first: u64, last: u64): u64 {
    Spinlock.lock(mm + MM_NOTIFY_LOCK);
    Shared.quietStore<u32>(mm + MM_NOTIFY_ACTIVE, Shared.quietLoad<u32>(mm + MM_NOTIFY_ACTIVE) + 1);
    let sequence = Shared.quietLoad<u64>(mm + MM_NOTIFY_SEQ);
    for (let at = Notifiers.firstOf(mm); at != 0; at = Notifiers.next(at)) {
      if (!Notifiers.touched(at, first, last)) continue;
      sequence |= 1;
      Shared.store<u64>(mm + MM_NOTIFY_SEQ, sequence);
      break;
    }
    Spinlock.unlock(mm + MM_NOTIFY_LOCK);
    return sequence;
  }

  /** mn_itree_inv_end(): the last one that is under way makes the sequence even again, and readers go on. */
  private static leave(mm: usize): void {
    Spinlock.lock(mm + MM_NOTIFY_LOCK);
    const active = Shared.quietLoad<u32>(mm + MM_NOTIFY_ACTIVE) - 1;
    Shared.quietStore<u32>(mm + MM_NOTIFY_ACTIVE, active);
    const sequence = Shared.quietLoad<u64>(mm + MM_NOTIFY_SEQ);
    if (active == 0 && (sequence & 1) != 0) Shared.storeAndWake<u64>(mm + MM_NOTIFY_SEQ, sequence + 1);
    Spinlock.unlock(mm + MM_NOTIFY_LOCK);
  }

  /** Under the notifier's lock. */
  private static record(notifier: usize, kind: u32, event: u32, first: u64, last: u64): void {
    const capacity = load<u32>(notifier, NOTIFIER_CAPACITY);
    if (capacity == 0) return;
    const written = load<u32>(notifier, NOTIFIER_WRITTEN);
    if (written - atomic.load<u32>(notifier, NOTIFIER_DRAINED) >= capacity) {
      Notifiers.count(notifier, NOTIFIER_DROPPED);
      return;
    }
    const notice = <usize>load<u32>(notifier, NOTIFIER_RING) + <usize>(written & (capacity - 1)) * NOTICE_BYTES;
    store<u32>(notice, kind, NOTICE_KIND);
    store<u32>(notice, event, NOTICE_EVENT);
    store<u64>(notice, first, NOTICE_FIRST);
    store<u64>(notice, last, NOTICE_LAST);
    // The one who drains reads this word, then the records: no lock, and it decides nothing.
    atomic.store<u32>(notifier, written + 1, NOTIFIER_WRITTEN);
  }

  @inline
  private static count(notifier: usize, field: usize): void {
    store<u32>(notifier + field, load<u32>(notifier + field) + 1);
  }

  @inline
  private static firstOf(mm: usize): usize {
    return load<u32>(mm, MM_NOTIFIERS);
  }

  @inline
  private static next(notifier: usize): usize {
    return load<u32>(notifier, NOTIFIER_NEXT);
  }

  @inline
  private static touched(notifier: usize, first: u64, last: u64): bool {
    return load<u64>(notifier, NOTIFIER_FIRST) <= last && first <= load<u64>(notifier, NOTIFIER_LAST);
  }
}
