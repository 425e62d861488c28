// Litmus instructions that are user accesses: the CPU's own (cpu.ts), and beside them what an observer notes.
//
// Guarantees: ghost words change in the step of the access that they tell of (Point.join), so they cost no step; no code of the core reads
// them. A fault enters the handler of the program, in kernel mode; its end goes back to the access, or behind it.

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_USER,
  ACCESS_WRITE,
  FORMAT_X86_64_LA57,
  FRAME_DATA,
  GHOST_GUARD,
  GHOST_LAST,
  GHOST_STORED,
  LITMUS_HANDLER,
  LITMUS_NOWHERE,
  LITMUS_OWNERS,
  LITMUS_RETRY,
  META_STATE,
} from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Frames } from "../frame";
import { Mm } from "../mm/mm";
import { Point } from "../point";
import { X86_64, X86_64_LA57 } from "../pte/x86_64";
import { Space } from "../space";
import { Block, Code } from "./block";
import {
  INVARIANT_ASID,
  INVARIANT_NOUAF,
  NO_SYMBOL,
  OP_ENTER_USER,
  OP_LEAVE_USER,
  OP_TLB_EVICT,
  OP_TLB_FILL,
  OP_USER_EXCHANGE,
  OP_USER_FETCH,
  OP_USER_LOAD,
  OP_USER_STORE,
  REG_FAULT_ACCESS,
  REG_FAULT_VA,
  REG_RESULT,
} from "./ops_bits";

export abstract class User {
  static run(p: usize, at: usize, op: u32): void {
    const cpu = Block.cpu(p);
    if (op <= <u32>OP_USER_FETCH) {
      if (Space.format(Mm.space(Cpu.mm(cpu))) == FORMAT_X86_64_LA57) User.access<X86_64_LA57>(p, cpu, at, op);
      else User.access<X86_64>(p, cpu, at, op);
      return;
    }
    const va = Block.get(p, Code.a(at));
    if (op == OP_TLB_FILL) Cpu.speculate(cpu, va);
    else if (op == OP_TLB_EVICT) Cpu.evict(cpu, va);
    else if (op == OP_ENTER_USER) Cpu.enterUser(cpu);
    else if (op == OP_LEAVE_USER) Cpu.leaveUser(cpu);
    Block.next(p);
  }

  private static access<F>(p: usize, cpu: usize, at: usize, op: u32): void {
    const va = Block.get(p, Code.a(at));
    const access = User.accessOf(op);
    const word = Cpu.translate<F>(cpu, va, access);
    if (word == 0) {
      User.fault(p, cpu, va, access);
      return;
    }
    // DATA
    const value = Block.get(p, Code.b(at));
    if (op == OP_USER_LOAD) Block.set(p, Code.d(at), Shared.load<u64>(word));
    else if (op == OP_USER_STORE) Shared.store<u64>(word, value);
    else if (op == OP_USER_EXCHANGE) Block.set(p, Code.d(at), Shared.exchange<u64>(word, value));
    else Shared.load<u64>(word);
    Cpu.complete(cpu);
    Point.join(true);
    User.judge(p, cpu, word);
    if ((access & ACCESS_WRITE) != 0 && Code.c(at) != NO_SYMBOL)
      User.note(p, <usize>Block.symbol(p, Code.c(at)), value);
    Point.join(false);
    Block.set(p, REG_RESULT, 0);
    Block.next(p);
  }

  @inline
  private static accessOf(op: u32): u32 {
    if (op == OP_USER_LOAD) return ACCESS_USER | ACCESS_READ;
    if (op == OP_USER_FETCH) return ACCESS_USER | ACCESS_EXECUTE;
    return ACCESS_USER | ACCESS_WRITE;
  }

  private static fault(p: usize, cpu: usize, va: u64, access: u32): void {
    const handler = load<u32>(p, LITMUS_HANDLER);
    if (handler == LITMUS_NOWHERE) {
      Block.set(p, REG_RESULT, 1);
      Block.next(p);
      return;
    }
    Block.set(p, REG_FAULT_VA, va);
    Block.set(p, REG_FAULT_ACCESS, access);
    store<u32>(p, Block.pc(p), LITMUS_RETRY);
    Cpu.leaveUser(cpu);
    Block.jump(p, handler);
  }

  /** Was the frame that the access reached free, or another's? */
  private static judge(p: usize, cpu: usize, word: usize): void {
    const index = Frames.indexAt(word);
    if (Shared.load<u32>(Frames.meta(index) + META_STATE) != FRAME_DATA) Block.fail(p, (<u32>1) << INVARIANT_NOUAF);
    const owners = <usize>load<u32>(p, LITMUS_OWNERS);
    if (owners == 0) return;
    const owner = <usize>Shared.load<u64>(owners + ((<usize>index) << 3));
    if (owner != 0 && owner != Cpu.mm(cpu)) Block.fail(p, (<u32>1) << INVARIANT_ASID);
  }

  private static note(p: usize, ghost: usize, value: u64): void {
    Shared.store<u64>(ghost + GHOST_LAST, value);
    Shared.store<u64>(ghost + GHOST_STORED, 1);
    const guard = <u32>Shared.load<u64>(ghost + GHOST_GUARD);
    if (guard != 0) Block.fail(p, guard);
  }
}
