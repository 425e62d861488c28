// Several simulated CPUs run by one agent's thread, in turns.
//
// Guarantees: a turn changes between two instructions only, at random, so no access of a CPU that is not running is in flight. A CPU that would
// wait (for a lock, for a word) gives up its turn; one that waits for answers to a flush answers for the others. What is joined to one
// step is not torn. Each CPU has an agent of its own, by which locks know it.
//
// Not to be had: interleavings of two CPUs of one crowd within an instruction, for which each needs a thread. Whole functions of the core
// (OP_CALL) may wait inside for a lock that a CPU of the same crowd holds; scenarios that have them are not run in crowds.

import { CONTROL, LITMUS_CPU } from "../layout";
import { Agent } from "../agent";
import { Shared } from "../atomic";
import { Interrupts } from "../interrupt";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Random } from "../random";
import { Block, Code } from "./block";
import { Litmus } from "./machine";
import {
  OP_ATOMIC,
  OP_AWAIT32,
  OP_AWAIT64,
  OP_JOINED,
  OP_JOINED_END,
  OP_READ_LOCK,
  OP_SPIN_LOCK,
  OP_WRITE_LOCK,
} from "./ops_bits";

/** Most instructions of a turn. */
const LONGEST: u32 = 8;
/** Turns in a row that came to nothing, after which the thread sleeps for a moment. */
const PATIENCE: u32 = 500;
const MOMENT_NS: i64 = 20000;

export abstract class Crowd {
  /**
   * Runs the programs of the `count` blocks at `blocks` (u32 each) to their ends; `agents` are the numbers of the agents, u32 each, `cpus` room for
   * as many u32. At least one.
   */
  static run(blocks: usize, count: u32, agents: usize, cpus: usize): void {
    for (let n: u32 = 0; n < count; ++n) {
      store<u32>(Crowd.at(cpus, n), load<u32>(<usize>load<u32>(Crowd.at(blocks, n)), LITMUS_CPU));
    }
    Interrupts.setCrowd(cpus, count);
    for (let n: u32 = 0; n < count; ++n) {
      Agent.become(load<u32>(Crowd.at(agents, n)));
      Litmus.begin(<usize>load<u32>(Crowd.at(blocks, n)));
    }
    let running: u32 = ((<u32>1) << count) - 1;
    let idle: u32 = 0;
    while (running != 0) {
      const n = Random.below(count);
      if (((running >> n) & 1) == 0) continue;
      Agent.become(load<u32>(Crowd.at(agents, n)));
      const turn = Crowd.turn(<usize>load<u32>(Crowd.at(blocks, n)));
      if (turn == ENDED) running &= ~((<u32>1) << n);
      if (turn != STUCK) idle = 0;
      else if (++idle > PATIENCE) {
        Interrupts.answerForOthers();
        if (Agent.mayBlock()) Shared.nap(CONTROL, load<u32>(CONTROL), false, MOMENT_NS);
      }
    }
    Interrupts.setCrowd(0, 0);
    Agent.become(load<u32>(agents));
  }

  @inline
  private static at(list: usize, n: u32): usize {
    return list + ((<usize>n) << 2);
  }

  private static turn(p: usize): u32 {
    let made: u32 = 0;
    let joined = false;
    for (let left = Random.below(LONGEST) + 1; left > 0 || joined; ) {
      const at = Litmus.compute(p);
      const op = Code.op(at);
      if (op == OP_ATOMIC || op == OP_JOINED) joined = true;
      else if (op == OP_JOINED_END) joined = false;
      if (Crowd.waits(op)) {
        if (!Crowd.attempt(p, at, op)) return made == 0 ? STUCK : MADE;
      } else if (!Litmus.once(p)) {
        Litmus.end(p);
        return ENDED;
      }
      ++made;
      if (left > 0) --left;
    }
    return MADE;
  }

  @inline
  private static waits(op: u32): bool {
    return op == OP_SPIN_LOCK || op == OP_READ_LOCK || op == OP_WRITE_LOCK || op == OP_AWAIT64 || op == OP_AWAIT32;
  }

  /** Makes an instruction that may have to wait, if it has not. */
  private static attempt(p: usize, at: usize, op: u32): bool {
    const address = Block.address(p, Code.c(at), Code.b(at));
    let done = false;
    if (op == OP_SPIN_LOCK) done = Spinlock.tryLock(address);
    else if (op == OP_READ_LOCK) done = RwLock.tryReadLock(address);
    else if (op == OP_WRITE_LOCK) done = RwLock.tryWriteLock(address);
    else {
      const mask = Block.get(p, <u32>Code.immediate(at));
      const word = op == OP_AWAIT64 ? Shared.load<u64>(address) : <u64>Shared.load<u32>(address);
      done = (word & mask) == Block.get(p, Code.a(at));
    }
    if (done) Block.next(p);
    return done;
  }
}

const MADE: u32 = 0;
const STUCK: u32 = 1;
const ENDED: u32 = 2;
