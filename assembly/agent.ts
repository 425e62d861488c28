// Who runs this instance: one agent, one block of linear memory that no other agent writes.
//
// A WebAssembly global belongs to one instance, so it may say which agent this is and nothing that agents share.

import {
  AGENT_BYTES,
  AGENT_EPOCH,
  AGENT_REGIONS,
  AGENT_REPLY,
  AGENT_TABLES,
  AGENT_TAKEN,
  AGENT_TRAIL,
  AGENT_WALKS,
  AGENTS,
  CONTROL_AGENTS,
  MAX_AGENTS,
} from "./layout";
import { Shared } from "./atomic";

let block: usize = 0;
let blocking: bool = false;

export abstract class Agent {
  /** Takes a free block for this instance. Returns its number, or -1 if all MAX_AGENTS are taken. */
  static attach(mayBlock: bool): i32 {
    for (let id = 0; id < MAX_AGENTS; ++id) {
      const candidate = Agent.blockOf(id);
      if (Shared.compareExchange<u32>(candidate + AGENT_TAKEN, 0, 1) != 0) continue;
      Shared.add<u32>(CONTROL_AGENTS, 1);
      block = candidate;
      blocking = mayBlock;
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
    Shared.store<u32>(gone + AGENT_EPOCH, 0);
    Shared.store<u32>(gone + AGENT_TAKEN, 0);
    Shared.sub<u32>(CONTROL_AGENTS, 1);
    if (gone == block) block = 0;
    return true;
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
  static regions(): usize {
    return block + AGENT_REGIONS;
  }

  @inline
  static tables(): usize {
    return block + AGENT_TABLES;
  }
}
