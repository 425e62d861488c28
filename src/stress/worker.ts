// Inside a thread that races: an instance of the core over the arena's memory, and agents of its own.

import { ARENA_RACERS, RACER_AGENTS, RACER_BYTES, RACER_FIRST_AGENT } from '../../assembly/layout.ts';
import type { CoreMemory, CoreModule } from '../core/exports.ts';
import { instantiateCore } from '../core/instantiate.ts';

/** What a thread is to run. */
export interface ToRacer {
  readonly task: 'race';
  readonly module: CoreModule;
  readonly memory: CoreMemory;
  /** Address of the arena, and which racer this is. */
  readonly arena: number;
  readonly racer: number;
  /** CPUs that it runs at a time, at most. */
  readonly crowd: number;
  readonly seed: number;
  /** There are more threads than processors. */
  readonly sharing: boolean;
  /** Of the chaos build: delays once in 2^oneIn points, for up to `longest` loads. */
  readonly delays: { readonly oneIn: number; readonly longest: number } | undefined;
}

export type FromRacer =
  | { readonly kind: 'ready' } //                                  it is about to race
  | { readonly kind: 'raced' } //                                  the arena was stopped, and it came back
  | { readonly kind: 'failed'; readonly message: string };

/** Says that it is ready, races until the arena is stopped, and says how that ended. */
export function race(message: ToRacer, post: (answer: FromRacer) => void): void {
  post(raced(message, () => post({ kind: 'ready' })));
}

function raced(message: ToRacer, begin: () => void): FromRacer {
  const { module, memory, arena, racer, crowd, seed, sharing, delays } = message;
  try {
    const core = instantiateCore(module, memory);
    const view = new DataView(memory.buffer);
    const at = arena + ARENA_RACERS + racer * RACER_BYTES;
    const agents = Array.from({ length: crowd }, () => core.attach(true));
    if (agents.includes(-1)) throw new RangeError('more agents than a memory takes');
    for (const [n, agent] of agents.entries()) view.setUint32(at + RACER_FIRST_AGENT + 4 * n, agent, true);
    view.setUint32(at + RACER_AGENTS, crowd, true);
    core.become(agents[0] as number);
    core.shareProcessors(sharing ? 1 : 0);
    // Seed 0 would be none.
    core.seedChoices(seed | 1);
    if (delays !== undefined) core.tuneChaos(seed | 1, delays.oneIn, delays.longest);
    begin();
    while (core.race(arena, racer) !== 0) {}
    for (const agent of agents) core.detach(agent);
    return { kind: 'raced' };
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}
