// The locks of an agent that died: each agent's block says which it held or waited for, and each lock says who is inside.
//
// A lock that it held is freed; if it queued for one, it leaves the queue. Not seen is the moment between queueing and saying so: who died in it is
// counted as waiting for ever.

import { HELD_LOCKS, LOCKED_ALONE, LOCKED_HOW } from "../layout";
import { Agent } from "../agent";
import { RwLock } from "./rwlock";
import { Spinlock } from "./spinlock";

export abstract class Broken {
  /** Frees what agent `id`, which runs no more, held. Returns how many locks: what they guard may be half changed. */
  static locksOf(id: i32): u32 {
    let broken: u32 = 0;
    const awaited = Agent.waitOf(id);
    if ((awaited & LOCKED_HOW) != LOCKED_ALONE) RwLock.leaveQueue(<usize>(awaited & ~LOCKED_HOW), awaited & LOCKED_HOW);
    for (let n = 0; n < HELD_LOCKS; ++n) {
      const noted = Agent.lockOf(id, n);
      const how = noted & LOCKED_HOW;
      const lock = <usize>(noted & ~LOCKED_HOW);
      if (lock == 0) continue;
      const was = how == LOCKED_ALONE ? Spinlock.breakFor(lock, id) : RwLock.breakFor(lock, how, id);
      if (was) ++broken;
    }
    return broken;
  }
}
