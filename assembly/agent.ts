// Who runs this instance: one agent, one block of linear memory that no other agent writes.
//
// A WebAssembly global belongs to one instance, so it may say which agent this is and nothing that agents share.

import {
  AGENT_AWAITS,
  AGENT_BYTES,
  AGENT_EPOCH,
  AGENT_LARGE,
  AGENT_LOCKS,
  AGENT_REGIONS,
  AGENT_REPLY,
  AGENT_TABLES,
  AGENT_TAKEN,
  AGENT_TRAIL,
  AGENT_WAITS,
  AGENT_WALKS,
  AGENTS,
  BUILD_EXPLORE,
  CONTROL_AGENTS,
  HELD_LOCKS,
  MAX_AGENTS,
  NOBODY,
} from "./layout";
import { Shared } from "./atomic";
import { Point } from "./point";

// Before an instance is attached it is nobody: MAX_AGENTS, with the block at NOBODY. As literals, for anything else would make
// the compiler add a start function; `become` refuses to compile if they are stale.
let self: i32 = 64;
let block: usize = 0x202000;
let blocking: bool = false;

export abstract class Agent {
  /** Takes a free block for this instance. Returns its number, or -1 if all MAX_AGENTS are taken. */
  static attach(mayBlock: bool): i32 {
    for (let id = 0; id < MAX_AGENTS; ++id) {
      const candidate = Agent.blockOf(id);
      if (Shared.compareExchange<u32>(candidate + AGENT_TAKEN, 0, 1) != 0) continue;
      Shared.add<u32>(CONTROL_AGENTS, 1);
      Agent.become(id);
      blocking = mayBlock;
      Shared.maySleep(mayBlock);
      return id;
    }
    return -1;
  }

  /**
   * Gives block `id` back, also on behalf of an agent that died: its epoch is cleared, so that nobody waits for it.
   * Returns false if the block was free.
   */
  static detach(id: i32): bool {
    const gone = Agent.blockOf(id);
    if (id < 0 || id >= MAX_AGENTS || Shared.load<u32>(gone + AGENT_TAKEN) == 0) return false;
    memory.fill(gone + AGENT_LOCKS, 0, HELD_LOCKS * 4);
    store<u32>(gone, 0, AGENT_AWAITS);
    store<u32>(gone, 0, AGENT_WAITS);
    Shared.store<u32>(gone + AGENT_EPOCH, 0);
    Shared.store<u32>(gone + AGENT_TAKEN, 0);
    Shared.sub<u32>(CONTROL_AGENTS, 1);
    if (gone == block) Agent.become(MAX_AGENTS);
    return true;
  }

  /** The `n`th lock that this agent holds, address plus LOCKED_*, or 0. */
  @inline
  static heldLock(n: i32): u32 {
    return load<u32>(block + AGENT_LOCKS + ((<usize>n) << 2));
  }

  /** Makes this instance run for agent `id`, which is attached: what the explorer does, whose one instance runs all CPUs. */
  static become(id: i32): void {
    if (MAX_AGENTS != 64 || NOBODY != 0x202000) ERROR("stale initial values");
    self = id;
    block = Agent.blockOf(id);
    // Whoever ran before may have been given up in the middle of an atomic block (src/explore/machine.ts, Restart).
    Point.join(false);
    Shared.noteSleepAt(block + AGENT_AWAITS);
  }

  /** What this agent writes into the locks it holds: never 0. */
  @inline
  static number(): u32 {
    return <u32>(self + 1);
  }

  // ---- the locks this agent holds or waits for, noted before it tries; `how` is LOCKED_*

  @inline
  static noteLock(p: usize, how: u32): void {
    for (let slot = block + AGENT_LOCKS, n = HELD_LOCKS; n > 0; --n, slot += 4) {
      if (load<u32>(slot) != 0) continue;
      store<u32>(slot, <u32>p | how);
      return;
    }
  }

  @inline
  static forgetLock(p: usize, how: u32): void {
    for (let slot = block + AGENT_LOCKS, n = HELD_LOCKS; n > 0; --n, slot += 4) {
      if (load<u32>(slot) != (<u32>p | how)) continue;
      store<u32>(slot, 0);
      return;
    }
  }

  /** Does this agent hold a lock, or wait for one? */
  static holdsLocks(): bool {
    if (HELD_LOCKS != 12) ERROR("three vectors of locks are looked at");
    const p = block + AGENT_LOCKS;
    return v128.any_true(v128.or(v128.or(v128.load(p), v128.load(p, 16)), v128.load(p, 32)));
  }

  /** Of the locks it holds none is noted any more: what they guarded was set up anew. */
  static forgetLocks(): void {
    memory.fill(block + AGENT_LOCKS, 0, HELD_LOCKS * 4);
  }

  /** This agent queues for a lock; 0: it does so no longer. The explorer knows who is suspended where. */
  @inline
  static noteWait(note: u32): void {
    if (BUILD != BUILD_EXPLORE) atomic.store<u32>(block, note, AGENT_WAITS);
  }

  /** What agent `id` queues for, address plus LOCKED_*, or 0. */
  @inline
  static waitOf(id: i32): u32 {
    return load<u32>(Agent.blockOf(id), AGENT_WAITS);
  }

  /** The `n`th lock that agent `id` holds or waits for, address plus LOCKED_*, or 0. */
  @inline
  static lockOf(id: i32, n: i32): u32 {
    return load<u32>(Agent.blockOf(id) + AGENT_LOCKS + ((<usize>n) << 2));
  }

  @inline
  static blockOf(id: i32): usize {
    return <usize>AGENTS + <usize>id * AGENT_BYTES;
  }

  @inline
  static mayBlock(): bool {
    return blocking;
  }

  @inline
  static epoch(): usize {
    return block + AGENT_EPOCH;
  }

  @inline
  static reply(): usize {
    return block + AGENT_REPLY;
  }

  @inline
  static trail(): usize {
    return block + AGENT_TRAIL;
  }

  @inline
  static walks(): usize {
    return block + AGENT_WALKS;
  }

  @inline
  static large(): usize {
    return block + AGENT_LARGE;
  }

  @inline
  static regions(): usize {
    return block + AGENT_REGIONS;
  }

  @inline
  static tables(): usize {
    return block + AGENT_TABLES;
  }
}
