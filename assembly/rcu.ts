// Grace periods: a table page that was unhooked is freed only when no agent can still be walking through it.
//
// Guarantees: between `readLock` and `readUnlock` no table page that the agent could reach when it entered is reused.
// Nobody waits: an unhooked page joins a queue, and whoever changes tables next frees what has come of age. An agent that
// died inside a section holds the queue up until `Agent.detach` clears its epoch.
//
// A reader that changes nothing can do without a section: it notes the clock, walks, and walks again if the clock moved,
// for a page is reused only after the clock was advanced past its unhooking. That costs two loads (a section costs two
// exchanges) and is what a single translation does.
//
// The scheme is epoch-based (Fraser 2004, "Practical lock-freedom", 5.2.3), in the role of Linux's CONFIG_MMU_GATHER_RCU_TABLE_FREE
// (mm/mmu_gather.c, tlb_remove_table): unhook, grace period, free.

import {
  AGENT_EPOCH,
  CONTROL_AGENTS,
  CONTROL_EPOCH,
  CONTROL_RCU_HEAD,
  CONTROL_RCU_LOCK,
  CONTROL_RCU_TAIL,
  CONTROL_RCU_WAITING,
  MAX_AGENTS,
  META_NEXT,
  META_REFS,
} from "./layout";
import { Agent } from "./agent";
import { Shared } from "./atomic";
import { Control } from "./control";
import { Frames } from "./frame";
import { Spinlock } from "./lock/spinlock";

/** The clock starts at 1 and goes in twos, so that it is never 0, which means "outside", not even when it wraps. */
const TICK: u32 = 2;

export abstract class Rcu {
  /** The clock; a walk that began and ended at the same reading met no reused table page. */
  @inline
  static clock(): u32 {
    return Shared.load<u32>(Control.word(CONTROL_EPOCH));
  }

  /** Opens a section; not nestable. The exchange orders the epoch before every load of the section. */
  @inline
  static readLock(): void {
    Shared.exchange<u32>(Agent.epoch(), Shared.load<u32>(Control.word(CONTROL_EPOCH)));
  }

  @inline
  static readUnlock(): void {
    Shared.store<u32>(Agent.epoch(), 0);
  }

  /** Frees frame `index`, already unhooked and marked waiting, once no section is left that began before this call. */
  static defer(index: u32): void {
    // Sections that open from here on cannot reach the frame: they read an epoch later than this one.
    const epoch = Shared.add<u32>(Control.word(CONTROL_EPOCH), TICK);
    const meta = Frames.meta(index);
    Spinlock.lock(Control.word(CONTROL_RCU_LOCK));
    Shared.quietStore<u32>(meta + META_REFS, epoch); // a waiting frame has no references: the field holds its epoch
    Shared.quietStore<u32>(meta + META_NEXT, 0);
    const tail = Shared.quietLoad<u32>(Control.word(CONTROL_RCU_TAIL));
    if (tail == 0) Shared.quietStore<u32>(Control.word(CONTROL_RCU_HEAD), index + 1);
    else Shared.quietStore<u32>(Frames.meta(tail - 1) + META_NEXT, index + 1);
    Shared.quietStore<u32>(Control.word(CONTROL_RCU_TAIL), index + 1);
    Shared.quietStore<u32>(
      Control.word(CONTROL_RCU_WAITING),
      Shared.quietLoad<u32>(Control.word(CONTROL_RCU_WAITING)) + 1,
    );
    Spinlock.unlock(Control.word(CONTROL_RCU_LOCK));
  }

  /** Frees the waiting frames that have come of age. Returns how many still wait. */
  static reclaim(): u32 {
    if (Shared.load<u32>(Control.word(CONTROL_RCU_HEAD)) == 0) return 0;
    Spinlock.lock(Control.word(CONTROL_RCU_LOCK));
    const oldest = Rcu.oldestSection();
    let head = Shared.quietLoad<u32>(Control.word(CONTROL_RCU_HEAD));
    let waiting = Shared.quietLoad<u32>(Control.word(CONTROL_RCU_WAITING));
    while (head != 0) {
      const meta = Frames.meta(head - 1);
      // Epochs are compared by difference, so that the clock may wrap.
      if (<i32>(Shared.quietLoad<u32>(meta + META_REFS) - oldest) >= 0) break;
      const next = Shared.quietLoad<u32>(meta + META_NEXT);
      Frames.release(head - 1);
      head = next;
      --waiting;
    }
    Shared.quietStore<u32>(Control.word(CONTROL_RCU_HEAD), head);
    if (head == 0) Shared.quietStore<u32>(Control.word(CONTROL_RCU_TAIL), 0);
    Shared.quietStore<u32>(Control.word(CONTROL_RCU_WAITING), waiting);
    Spinlock.unlock(Control.word(CONTROL_RCU_LOCK));
    return waiting;
  }

  /** The earliest epoch in which some agent still reads; the clock itself when nobody does. */
  private static oldestSection(): u32 {
    let oldest = Shared.load<u32>(Control.word(CONTROL_EPOCH));
    if (Shared.load<u32>(CONTROL_AGENTS) == 0) return oldest;
    for (let id = 0; id < MAX_AGENTS; ++id) {
      const epoch = Shared.load<u32>(Agent.blockOf(id) + AGENT_EPOCH);
      if (epoch != 0 && <i32>(epoch - oldest) < 0) oldest = epoch;
    }
    return oldest;
  }
}
