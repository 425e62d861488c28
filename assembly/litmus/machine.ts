// Runs litmus programs: one simulated CPU each, instruction by instruction, by the functions of the core that everybody calls.
//
// Guarantees: an instruction makes the steps that `ops_bits.ts` says, and no other access to a word that CPUs share. `run` returns when the
// program has ended; in the explore build it is suspended at each scheduling point in between.
//
// Instructions are spread over a function for each group: Asyncify finds its way back through all calls of a function that was
// suspended, so few calls in each make a step cheap.

import {
  BUILD_EXPLORE,
  CPU_MODE,
  LITMUS_ENDED,
  LITMUS_FAILED,
  LITMUS_RETRY,
  LITMUS_STATE,
  LITMUS_USER,
  MODE_USER,
  POINT_ATOMIC,
} from "../layout";
import { Agent } from "../agent";
import { Cpu } from "../cpu";
import { Point } from "../point";
import { StoreBuffer } from "../storebuffer";
import { Block, Code } from "./block";
import { Calls } from "./calls";
import { Kernel } from "./kernel";
import {
  INSTRUCTION_BYTES,
  INVARIANT_LOCKS,
  OP_ADD,
  OP_AND,
  OP_ASSERT,
  OP_ATOMIC,
  OP_AWAIT64,
  OP_CHOOSE,
  OP_EQ,
  OP_GIVE_UP,
  OP_HALT,
  OP_IF_NOT,
  OP_IF_ZERO,
  OP_JOINED,
  OP_JOINED_END,
  OP_JUMP,
  OP_LE,
  OP_LOAD32,
  OP_LT,
  OP_MOVE,
  OP_MUL,
  OP_NE,
  OP_NOT,
  OP_OR,
  OP_PAUSE,
  OP_RETRY,
  OP_SET,
  OP_SHL,
  OP_SHR,
  OP_SUB,
  OP_SYMBOL,
  OP_XOR,
} from "./ops_bits";
import { Pte } from "./pte";
import { User } from "./user";
import { Words } from "./words";

export abstract class Litmus {
  /** Runs the program of block `p` from its place to its end. */
  static run(p: usize): void {
    while (Litmus.once(p)) {}
    Litmus.end(p);
  }

  /**
   * Under threads: whoever runs the CPU of `p` has come to it. Until then a user CPU is not in user mode, unless it is expected, so nobody waits
   * for it; what was asked of it meanwhile it does now, as if the interrupt had come before its first access.
   */
  static begin(p: usize): void {
    if (load<u8>(p, LITMUS_USER) != 0) Cpu.enterUser(Block.cpu(p));
  }

  /** Nobody runs the CPU of `p` yet, and it is in user mode: whoever asks something of it waits until somebody does. */
  static expect(p: usize): void {
    if (load<u8>(p, LITMUS_USER) != 0) store<u32>(Block.cpu(p), MODE_USER, CPU_MODE);
  }

  /** Makes the instructions at the place of `p` that compute and no more; returns where the next one stands. */
  @inline
  static compute(p: usize): usize {
    let at = Block.instruction(p);
    if (!Code.computes(at)) return at;
    do {
      if (Code.op(at) == <u32>OP_SET) Block.set(p, Code.d(at), Code.immediate(at));
      else if (Code.op(at) == <u32>OP_SYMBOL) Block.set(p, Code.d(at), Block.symbol(p, Code.c(at)));
      else Litmus.evaluate(p, at, Code.op(at));
      at += INSTRUCTION_BYTES;
    } while (Code.computes(at));
    Block.arrive(p, at);
    return at;
  }

  /** Makes the next instruction of `p` that does not only compute; false if that is the end. */
  @inline
  static once(p: usize): bool {
    const at = Litmus.compute(p);
    const op = Code.op(at);
    const group = op >> 4;
    if (group == 0) {
      if (op == OP_HALT) return false;
      Litmus.flow(p, at, op);
    } else if (group == 4) User.run(p, at, op);
    else {
      // All but loads of words, and what is no step, are locked or the kernel's.
      if ((op > <u32>OP_LOAD32 && op < <u32>OP_AWAIT64) || (group != 2 && group != 7)) StoreBuffer.drain(Block.cpu(p));
      if (group == 2) Words.access(p, at, op);
      else if (group == 3) Words.lock(p, at, op);
      else if (group == 5) Kernel.flush(p, at, op);
      else if (group == 6) Kernel.frame(p, at, op);
      else if (group == 7) Block.set(p, Code.d(at), Pte.compute(p, at));
      else if (group == 8) Calls.run(p, at);
      Block.next(p);
    }
    return true;
  }

  static end(p: usize): void {
    if (load<u8>(p, LITMUS_USER) != 0) Cpu.leaveUser(Block.cpu(p));
    if (Agent.holdsLocks()) Block.fail(p, (<u32>1) << INVARIANT_LOCKS);
    // The next instance that its agent runs has locks of its own.
    if (BUILD != BUILD_EXPLORE && (load<u32>(p, LITMUS_FAILED) & ((<u32>1) << INVARIANT_LOCKS)) != 0) {
      Agent.forgetLocks();
    }
    store<u8>(p, LITMUS_ENDED, LITMUS_STATE);
  }

  private static flow(p: usize, at: usize, op: u32): void {
    switch (op) {
      case OP_JUMP:
        Block.jump(p, Code.c(at));
        return;
      case OP_IF_ZERO:
        Litmus.branch(p, at, Block.get(p, Code.a(at)) == 0);
        return;
      case OP_IF_NOT:
        Litmus.branch(p, at, Block.get(p, Code.a(at)) != 0);
        return;
      case OP_RETRY:
      case OP_GIVE_UP:
        Cpu.enterUser(Block.cpu(p));
        Block.jump(p, load<u32>(p, LITMUS_RETRY));
        if (op == OP_GIVE_UP) Block.next(p);
        return;
      case OP_CHOOSE:
        Block.set(p, Code.d(at), Point.choose(<u32>Code.immediate(at)));
        break;
      case OP_ASSERT:
        if (Block.get(p, Code.a(at)) == 0) Block.fail(p, (<u32>1) << Code.c(at));
        break;
      case OP_JOINED:
        Point.join(true);
        break;
      case OP_JOINED_END:
        Point.join(false);
        break;
      case OP_ATOMIC:
        StoreBuffer.drain(Block.cpu(p));
        Point.at(p, POINT_ATOMIC);
        Point.join(true);
        break;
      case OP_PAUSE:
        Point.at(p, POINT_ATOMIC);
        break;
    }
    Block.next(p);
  }

  @inline
  private static branch(p: usize, at: usize, taken: bool): void {
    if (taken) Block.jump(p, Code.c(at));
    else Block.next(p);
  }

  private static evaluate(p: usize, at: usize, op: u32): void {
    const a = Block.get(p, Code.a(at));
    const b = Block.get(p, Code.b(at));
    let value: u64 = 0;
    switch (op) {
      case OP_MOVE:
        value = a;
        break;
      case OP_ADD:
        value = a + b;
        break;
      case OP_SUB:
        value = a - b;
        break;
      case OP_AND:
        value = a & b;
        break;
      case OP_OR:
        value = a | b;
        break;
      case OP_XOR:
        value = a ^ b;
        break;
      case OP_SHL:
        value = a << b;
        break;
      case OP_SHR:
        value = a >> b;
        break;
      case OP_EQ:
        value = <u64>(a == b);
        break;
      case OP_NE:
        value = <u64>(a != b);
        break;
      case OP_LT:
        value = <u64>(a < b);
        break;
      case OP_LE:
        value = <u64>(a <= b);
        break;
      case OP_MUL:
        value = a * b;
        break;
      case OP_NOT:
        value = <u64>(a == 0);
        break;
    }
    Block.set(p, Code.d(at), value);
  }
}
