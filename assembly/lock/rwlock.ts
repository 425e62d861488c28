// A fair reader-writer lock with downgrade: the kind of mmap_lock and i_mmap_rwsem (kernel/locking/rwsem.c).
//
// Guarantees: readers share, a writer is alone. Fair by phases (Brandenburg and Anderson 2010, "Spin-Based Reader-Writer
// Synchronization for Multiprocessor Real-Time Systems"): a reader that comes while a writer waits queues behind it, and when a
// writer leaves, the readers that wait go before the next writer. So neither starves, and, as in the kernel, a reader that takes
// the lock again behind a waiting writer deadlocks. When nobody holds it or waits, the word is 0 again, so two states of a
// machine that differ in the past only are equal. Waiters spin for a while, then sleep on the word.
//
// Two words. The state, in fields of 7 bits: readers inside, readers that wait, writers that wait, readers that
// are let in before the next writer, and a bit for the writer inside. Beside it the writer's number, and 64 bits for the readers
// inside: who to name when everything hangs. They decide nothing and are no scheduling points.

import {
  BUILD_EXPLORE,
  LOCKED_READ,
  LOCKED_WRITE,
  POINT_NARROW,
  POINT_READ_LOCK,
  POINT_READER,
  POINT_UPDATE,
  POINT_WRITE_LOCK,
  RWLOCK_READERS,
  RWLOCK_WRITER,
} from "../layout";
import { Agent } from "../agent";
import { Shared } from "../atomic";
import { Point } from "../point";

const SPINS = 20000;

const READER: u32 = 1;
const READERS: u32 = 0x7f;
const WAITING_READER: u32 = 1 << 7;
const WAITING_READERS: u32 = 0x7f << 7;
const WAITING_WRITER: u32 = 1 << 14;
const WAITING_WRITERS: u32 = 0x7f << 14;
const ADMITTED: u32 = 1 << 21;
const ADMITTED_ALL: u32 = 0x7f << 21;
const WRITER: u32 = 1 << 28;

/**
 * A reader comes, queues or leaves. What it does depends on the fields of writers only, and it changes those of readers by an addition: so two
 * readers may do this in either order. Not who was queued and gets in (POINT_READ_LOCK), for not all are admitted at once.
 */
const READERS_UPDATE: i32 = POINT_UPDATE | POINT_READER | POINT_NARROW;

export abstract class RwLock {
  static readLock(p: usize): void {
    Agent.noteLock(p, LOCKED_READ);
    Point.at(p, READERS_UPDATE);
    if (!RwLock.enter(p)) RwLock.queueReader(p);
    RwLock.nameReader(p, true);
  }

  /** down_read_trylock(): takes it for reading unless a writer is inside or waits. */
  static tryReadLock(p: usize): bool {
    Point.at(p, READERS_UPDATE);
    if (!RwLock.enter(p)) return false;
    Agent.noteLock(p, LOCKED_READ);
    RwLock.nameReader(p, true);
    return true;
  }

  static readUnlock(p: usize): void {
    RwLock.nameReader(p, false);
    RwLock.readerLeaves(p);
    Agent.forgetLock(p, LOCKED_READ);
  }

  static writeLock(p: usize): void {
    Agent.noteLock(p, LOCKED_WRITE);
    Point.at(p, POINT_UPDATE | POINT_NARROW);
    if (atomic.cmpxchg<u32>(p, 0, WRITER) != 0) RwLock.queueWriter(p);
    RwLock.nameWriter(p, Agent.number());
  }

  /** down_write_trylock() */
  static tryWriteLock(p: usize): bool {
    if (Shared.compareExchange<u32>(p, 0, WRITER) != 0) return false;
    Agent.noteLock(p, LOCKED_WRITE);
    RwLock.nameWriter(p, Agent.number());
    return true;
  }

  static writeUnlock(p: usize): void {
    RwLock.leave(p, 0);
    Agent.forgetLock(p, LOCKED_WRITE);
  }

  /** The writer becomes a reader, without letting another writer in between: mmap_write_downgrade(). */
  static downgrade(p: usize): void {
    RwLock.nameReader(p, true);
    RwLock.leave(p, READER);
    Agent.forgetLock(p, LOCKED_WRITE);
    Agent.noteLock(p, LOCKED_READ);
  }

  /** Would who queues at a point of `kind` get the lock in this state? What the explorer asks before it runs that CPU. */
  static mayRun(state: u32, kind: i32): bool {
    if (kind == POINT_WRITE_LOCK) return (state & (READERS | WRITER | ADMITTED_ALL)) == 0;
    return (state & WRITER) == 0 && ((state & WAITING_WRITERS) == 0 || (state & ADMITTED_ALL) != 0);
  }

  /** Frees it if agent `id`, which runs no more, was inside in the manner of `how` (LOCKED_*). What it guards may be half changed. */
  static breakFor(p: usize, how: u32, id: i32): bool {
    if (how == LOCKED_WRITE) {
      if (atomic.load<u32>(p, RWLOCK_WRITER) != <u32>(id + 1)) return false;
      RwLock.leave(p, 0);
      return true;
    }
    const bit = (<u64>1) << (<u32>(id + 1) & 63);
    if ((atomic.and<u64>(p, ~bit, RWLOCK_READERS) & bit) == 0) return false;
    RwLock.readerLeaves(p);
    return true;
  }

  /** Takes somebody who runs no more out of the queue in which it stood in the manner of `how`. */
  static leaveQueue(p: usize, how: u32): void {
    while (true) {
      const state = Shared.load<u32>(p);
      let next = state - (how == LOCKED_WRITE ? WAITING_WRITER : WAITING_READER);
      // No more are let in than wait.
      const waiting = (next & WAITING_READERS) / WAITING_READER;
      if ((next & ADMITTED_ALL) / ADMITTED > waiting) next = (next & ~ADMITTED_ALL) | (waiting * ADMITTED);
      if (Shared.compareExchange<u32>(p, state, next) == state) break;
    }
    RwLock.wake(p);
  }

  /**
   * A reader that has not queued goes inside, unless a writer is there or waits. A function of its own, and for its loop not inlined: what it read
   * would stay in the caller's frame while that queues, and tell apart states of the explorer that are equal.
   */
  private static enter(p: usize): bool {
    let state = atomic.load<u32>(p);
    while (RwLock.readersMayCome(state)) {
      const seen = atomic.cmpxchg<u32>(p, state, state + READER);
      if (seen == state) return true;
      state = seen;
    }
    return false;
  }

  /** A reader that has not queued. */
  @inline
  private static readersMayCome(state: u32): bool {
    return (state & (WRITER | WAITING_WRITERS)) == 0;
  }

  @inline
  private static readerLeaves(p: usize): void {
    Point.at(p, READERS_UPDATE);
    const left = atomic.sub<u32>(p, READER) - READER;
    if ((left & READERS) == 0 && (left & WAITING_WRITERS) != 0) RwLock.wake(p);
  }

  /** The writer goes, `becomes` (0 or READER) in its place; the readers that wait now are let in. */
  private static leave(p: usize, becomes: u32): void {
    RwLock.nameWriter(p, 0);
    while (true) {
      const state = Shared.load<u32>(p);
      const admitted = ((state & WAITING_READERS) / WAITING_READER) * ADMITTED;
      const next = (state & ~WRITER & ~ADMITTED_ALL) + becomes + admitted;
      if (Shared.compareExchange<u32>(p, state, next) != state) continue;
      if ((next & (WAITING_READERS | WAITING_WRITERS)) != 0) RwLock.wake(p);
      return;
    }
  }

  private static queueReader(p: usize): void {
    atomic.add<u32>(p, WAITING_READER);
    Agent.noteWait(<u32>p | LOCKED_READ);
    let spins = SPINS;
    while (true) {
      Point.at(p, POINT_READ_LOCK | POINT_NARROW);
      const state = atomic.load<u32>(p);
      if (RwLock.mayRun(state, POINT_READ_LOCK)) {
        const admitted = (state & ADMITTED_ALL) != 0 ? ADMITTED : 0;
        if (atomic.cmpxchg<u32>(p, state, state + READER - WAITING_READER - admitted) != state) continue;
        Agent.noteWait(0);
        // The last one that was let in: writers may try.
        if (admitted != 0 && (state & ADMITTED_ALL) == ADMITTED && (state & WAITING_WRITERS) != 0) RwLock.wake(p);
        return;
      }
      spins = RwLock.pause(p, state, spins);
    }
  }

  private static queueWriter(p: usize): void {
    atomic.add<u32>(p, WAITING_WRITER);
    Agent.noteWait(<u32>p | LOCKED_WRITE);
    let spins = SPINS;
    while (true) {
      Point.at(p, POINT_WRITE_LOCK | POINT_NARROW);
      const state = atomic.load<u32>(p);
      if (RwLock.mayRun(state, POINT_WRITE_LOCK)) {
        if (atomic.cmpxchg<u32>(p, state, state + WRITER - WAITING_WRITER) != state) continue;
        Agent.noteWait(0);
        return;
      }
      spins = RwLock.pause(p, state, spins);
    }
  }

  /** Spins on until `spins` is used up, then sleeps until the word is not `state` any more. */
  @inline
  private static pause(p: usize, state: u32, spins: i32): i32 {
    if (BUILD == BUILD_EXPLORE || spins > 0) return spins - 1;
    if (Agent.mayBlock()) Shared.nap(p, state, false);
    return 0;
  }

  /** Wakes all who sleep: the word says who of them may go on. */
  @inline
  private static wake(p: usize): void {
    atomic.notify(p, -1);
  }

  /** The explorer needs no names here: it has the blocks of all agents, and two states must not differ by a name. */
  @inline
  private static nameWriter(p: usize, number: u32): void {
    if (BUILD != BUILD_EXPLORE) atomic.store<u32>(p, number, RWLOCK_WRITER);
  }

  @inline
  private static nameReader(p: usize, inside: bool): void {
    if (BUILD == BUILD_EXPLORE) return;
    const bit = (<u64>1) << (Agent.number() & 63);
    if (inside) atomic.or<u64>(p, bit, RWLOCK_READERS);
    else atomic.and<u64>(p, ~bit, RWLOCK_READERS);
  }
}
