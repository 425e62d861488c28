// Threads bound to processors, by util-linux's taskset(1) on Linux: Node has no way of its own, and macOS has none.
//
// Guarantees: who asks for it gets it, or an error that says why not; nobody's threads but this program's are bound.

import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { plural } from '../report/words.ts';
import { InputError } from './exit.ts';

/**
 * A processor for each of `threads` threads, of those that this process may run on.
 * @throws InputError if threads cannot be bound here, or there are fewer processors
 */
export function processorsFor(threads: number): readonly number[] {
  if (process.platform !== 'linux') throw refused(`threads cannot be bound to processors on ${process.platform}`);
  const { error, status } = spawnSync('taskset', ['--version'], { stdio: 'ignore' });
  if (error !== undefined || status !== 0) throw refused('taskset, of util-linux, is not installed');
  const allowed = allowedTo('self');
  if (allowed.length < threads) {
    throw refused(`${plural(threads, 'thread')}, and this process may run on ${plural(allowed.length, 'processor')}`);
  }
  return allowed.slice(0, threads);
}

interface Ending {
  onEnd(listener: () => void): void;
}

/** Gives each thread a processor that no other has; one comes back when its thread has ended. */
export class Processors {
  readonly #free: number[];

  constructor(processors: readonly number[]) {
    this.#free = [...processors].reverse();
  }

  /** What `make` makes with a processor that is free, or without one if there is none. */
  bind<T extends Ending>(make: (processor: number | undefined) => T): T {
    const processor = this.#free.pop();
    const thread = make(processor);
    if (processor !== undefined) thread.onEnd(() => this.#free.push(processor));
    return thread;
  }
}

/** Binds the calling thread. @throws Error if it is not bound to `processor` alone then */
export function pinThread(processor: number): void {
  const thread = basename(readlinkSync('/proc/thread-self'));
  const { stderr } = spawnSync('taskset', ['--cpu-list', '--pid', String(processor), thread], { encoding: 'utf8' });
  if (allowedTo('thread-self').join() === String(processor)) return;
  throw new Error(`could not be bound to processor ${processor}: ${stderr?.trim() || 'taskset failed'}`);
}

/** The processors that the process or thread `who` of /proc may run on: a list like 0-3,8 (proc_pid_status(5)). */
function allowedTo(who: 'self' | 'thread-self'): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${who}/status`, 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
}

function refused(reason: string): InputError {
  return new InputError([`--pin: ${reason}`]);
}
