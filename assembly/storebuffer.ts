// The store buffer of one CPU: where its user stores wait until the environment lets them reach memory, one at a time and in order.
//
// Guarantees: the abstract machine of x86-TSO (Owens, Sarkar and Sewell, "A better x86 memory model: x86-TSO", 2009, section 3): a store
// joins the end of the buffer, a load of its CPU takes the youngest store to its word that waits there, others see memory only; a
// locked instruction and a fence wait until the buffer is empty (`drain`). So does whatever enters the kernel, and an interrupt before it is
// answered (Intel SDM vol. 3A, 12.10): who waits for an answer knows that stores through the old translation are in memory. Where
// nobody is interrupted (HW_BROADCAST) the stores that wait at that time are waited for (`settle`).
//
// A CPU without a buffer, and every CPU of the other builds, has none of this. All that is in a buffer is shared by its CPU and whoever lets
// the stores go (litmus/user.ts, OP_DRAIN); each function here is one step, or waits for one.
//
// Not modelled: that a buffer may hold more than BUFFER_STORES; loads of part of a word that is waiting; the page walker, which goes to
// memory, past the buffer.

import {
  BUFFER_COUNT,
  BUFFER_ENTRIES,
  BUFFER_ENTRY_BYTES,
  BUFFER_OWED,
  BUFFER_STORES,
  BUFFERED_GHOST,
  BUFFERED_MM,
  BUFFERED_VALUE,
  BUFFERED_WORD,
  BUILD_EXPLORE,
  CPU_BUFFER,
  POINT_EMPTY,
  POINT_FILLED,
  POINT_LOAD,
  POINT_UPDATE,
} from "./layout";
import { Shared } from "./atomic";
import { Point } from "./point";

export abstract class StoreBuffer {
  /** The buffer of `cpu`, 0: it has none. */
  @inline
  static of(cpu: usize): usize {
    return BUILD == BUILD_EXPLORE ? <usize>load<u32>(cpu, CPU_BUFFER) : 0;
  }

  /** Waits until all stores of `cpu`, whose agent calls, are in memory; within a step that runs it does nothing. */
  static drain(cpu: usize): void {
    const buffer = StoreBuffer.of(cpu);
    if (buffer != 0 && !Point.isJoined()) Point.at(buffer + BUFFER_COUNT, POINT_EMPTY);
  }

  /** Waits until those stores of another CPU are in memory that wait now. */
  static settle(cpu: usize): void {
    const buffer = StoreBuffer.of(cpu);
    if (buffer == 0) return;
    Point.at(buffer + BUFFER_OWED, POINT_UPDATE);
    if (load<u32>(buffer, BUFFER_COUNT) == 0) return;
    store<u32>(buffer, load<u32>(buffer, BUFFER_COUNT), BUFFER_OWED);
    Point.at(buffer + BUFFER_OWED, POINT_EMPTY);
  }

  /** A store joins the end. */
  static push(buffer: usize, word: usize, value: u64, ghost: usize, mm: usize): void {
    Point.at(buffer + BUFFER_COUNT, POINT_UPDATE);
    while (load<u32>(buffer, BUFFER_COUNT) == BUFFER_STORES) {
      Shared.awaitChange<u32>(buffer + BUFFER_COUNT, BUFFER_STORES);
    }
    const count = load<u32>(buffer, BUFFER_COUNT);
    const entry = buffer + BUFFER_ENTRIES + <usize>count * BUFFER_ENTRY_BYTES;
    Shared.quietStore<u64>(entry + BUFFERED_VALUE, value);
    Shared.quietStore<u32>(entry + BUFFERED_WORD, <u32>word);
    Shared.quietStore<u32>(entry + BUFFERED_GHOST, <u32>ghost);
    Shared.quietStore<u32>(entry + BUFFERED_MM, <u32>mm);
    Shared.quietStore<u32>(buffer + BUFFER_COUNT, count + 1);
  }

  /** The step of a load: the youngest store to `word` that waits, 0 if the load goes to memory. */
  static find(buffer: usize, word: usize): usize {
    Point.at(buffer + BUFFER_COUNT, POINT_LOAD);
    for (let n = load<u32>(buffer, BUFFER_COUNT); n > 0; --n) {
      const entry = buffer + BUFFER_ENTRIES + <usize>(n - 1) * BUFFER_ENTRY_BYTES;
      if (Shared.quietLoad<u32>(entry + BUFFERED_WORD) == <u32>word) return entry;
    }
    return 0;
  }

  /** The environment: waits until there is a store, and is then at the oldest one; what goes on is its step, up to `shift`. */
  static awaitStore(buffer: usize): usize {
    Point.at(buffer + BUFFER_COUNT, POINT_FILLED);
    return buffer + BUFFER_ENTRIES;
  }

  /** The oldest store has reached memory. */
  static shift(buffer: usize): void {
    const count = load<u32>(buffer, BUFFER_COUNT);
    const owed = load<u32>(buffer, BUFFER_OWED);
    for (let n: u32 = 0; n < count; ++n) {
      const to = buffer + BUFFER_ENTRIES + <usize>n * BUFFER_ENTRY_BYTES;
      const from = to + BUFFER_ENTRY_BYTES;
      const last = n + 1 == count;
      for (let at: usize = 0; at < <usize>BUFFER_ENTRY_BYTES; at += 8) {
        const value = last ? 0 : Shared.quietLoad<u64>(from + at);
        Shared.quietStore<u64>(to + at, value);
      }
    }
    Shared.quietStore<u32>(buffer + BUFFER_COUNT, count - 1);
    if (owed != 0) Shared.quietStore<u32>(buffer + BUFFER_OWED, owed - 1);
  }
}
