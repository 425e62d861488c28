// The block of one CPU of a litmus program (LITMUS_* in layout.ts): its registers, its place, the instruction there, what failed.
//
// Guarantees: only the agent that runs the CPU touches it, so nothing here is a step.

import { LITMUS_CODE, LITMUS_CPU, LITMUS_FAILED, LITMUS_PC, LITMUS_REGISTERS, LITMUS_SYMBOLS } from "../layout";
import { INSTRUCTION_BYTES, NO_SYMBOL } from "./ops_bits";

export abstract class Block {
  @inline
  static get(p: usize, register: u32): u64 {
    return load<u64>(p + ((<usize>register) << 3), LITMUS_REGISTERS);
  }

  @inline
  static set(p: usize, register: u32, value: u64): void {
    store<u64>(p + ((<usize>register) << 3), value, LITMUS_REGISTERS);
  }

  @inline
  static cpu(p: usize): usize {
    return load<u32>(p, LITMUS_CPU);
  }

  @inline
  static pc(p: usize): u32 {
    return load<u32>(p, LITMUS_PC);
  }

  @inline
  static jump(p: usize, place: u32): void {
    store<u32>(p, place, LITMUS_PC);
  }

  @inline
  static next(p: usize): void {
    store<u32>(p, load<u32>(p, LITMUS_PC) + 1, LITMUS_PC);
  }

  /** Its place is that of the instruction at `at`. */
  @inline
  static arrive(p: usize, at: usize): void {
    store<u32>(p, <u32>((at - <usize>load<u32>(p, LITMUS_CODE)) / INSTRUCTION_BYTES), LITMUS_PC);
  }

  /** Address of the instruction at its place. */
  @inline
  static instruction(p: usize): usize {
    return <usize>load<u32>(p, LITMUS_CODE) + <usize>Block.pc(p) * INSTRUCTION_BYTES;
  }

  /** What symbol `c` stands for. */
  @inline
  static symbol(p: usize, c: u32): u64 {
    return load<u64>(<usize>load<u32>(p, LITMUS_SYMBOLS) + ((<usize>c) << 3));
  }

  /** A memory operand: the address that symbol `c` stands for, or without one that in `register`. */
  @inline
  static address(p: usize, c: u32, register: u32): usize {
    return <usize>(c == NO_SYMBOL ? Block.get(p, register) : Block.symbol(p, c));
  }

  static fail(p: usize, invariants: u32): void {
    store<u32>(p, load<u32>(p, LITMUS_FAILED) | invariants, LITMUS_FAILED);
  }
}

/** The fields of an instruction. */
export abstract class Code {
  @inline
  static op(at: usize): u32 {
    return load<u8>(at);
  }

  /** No step, and no way to anywhere but the next instruction: the operations of registers. */
  @inline
  static computes(at: usize): bool {
    return Code.op(at) >> 4 == 1;
  }

  @inline
  static d(at: usize): u32 {
    return load<u8>(at, 1);
  }

  @inline
  static a(at: usize): u32 {
    return load<u8>(at, 2);
  }

  @inline
  static b(at: usize): u32 {
    return load<u8>(at, 3);
  }

  @inline
  static c(at: usize): u32 {
    return load<u32>(at, 4);
  }

  @inline
  static immediate(at: usize): u64 {
    return load<u64>(at, 8);
  }
}
