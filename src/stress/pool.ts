// Threads that race one variant after the other: a new thread takes longer to begin than a short race.
//
// Guarantees: a thread that came home is given out again; one that did not is ended, by whoever asked for it. After `close` there is none.

import type { RacerThread } from './stress.ts';
import type { FromRacer, ToRacer } from './worker.ts';

export class RacerPool {
  readonly #spawn: () => RacerThread;
  readonly #idle: Seat[] = [];
  readonly #all = new Set<Seat>();

  /** `spawn` makes a thread. */
  constructor(spawn: () => RacerThread) {
    this.#spawn = spawn;
  }

  /** What `StressOptions.spawn` takes: a thread that is idle, or a new one. */
  readonly spawn = (): RacerThread => {
    const seat = this.#idle.pop() ?? this.#hire();
    seat.sitDown();
    return seat;
  };

  /** Has `count` threads begin, for the races to come. */
  prepare(count: number): void {
    while (this.#all.size < count) this.#idle.push(this.#hire());
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    await Promise.all([...this.#all].map((seat) => seat.leave()));
  }

  #hire(): Seat {
    const seat: Seat = new Seat(
      this.#spawn(),
      () => this.#idle.push(seat),
      () => {
        this.#all.delete(seat);
        const n = this.#idle.indexOf(seat);
        if (n >= 0) this.#idle.splice(n, 1);
      },
    );
    this.#all.add(seat);
    return seat;
  }
}

/** A thread, and who sits on it now. */
class Seat implements RacerThread {
  readonly #thread: RacerThread;
  readonly #free: () => void;
  #onMessage: (message: FromRacer) => void = () => {};
  #onEnd: (reason: string) => void = () => {};
  #racing = false;
  #gone = false;

  constructor(thread: RacerThread, free: () => void, gone: () => void) {
    this.#thread = thread;
    this.#free = free;
    thread.onMessage((message) => {
      if (message.kind === 'raced') this.#racing = false;
      this.#onMessage(message);
    });
    thread.onEnd((reason) => {
      this.#gone = true;
      gone();
      this.#onEnd(reason);
    });
  }

  sitDown(): void {
    this.#onMessage = () => {};
    this.#onEnd = () => {};
  }

  post(message: ToRacer): void {
    this.#racing = true;
    this.#thread.post(message);
  }

  onMessage(listener: (message: FromRacer) => void): void {
    this.#onMessage = listener;
  }

  onEnd(listener: (reason: string) => void): void {
    this.#onEnd = listener;
  }

  async end(): Promise<void> {
    if (this.#gone) return;
    if (this.#racing) {
      await this.leave();
      return;
    }
    const ended = this.#onEnd;
    this.sitDown();
    this.#free();
    ended('its race is over');
  }

  async leave(): Promise<void> {
    await this.#thread.end();
  }
}
