// Litmus instructions of the kernel: flushes, which mm a CPU runs, and frames.

import { FRAME_DATA, FRAME_SHIFT, LITMUS_OWNERS, META_REFS, POINT_NARROW, POINT_UPDATE, REQUEST_ALL } from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Shootdown } from "../flush/shootdown";
import { Frames, NO_FRAME } from "../frame";
import { Point } from "../point";
import { Block, Code } from "./block";
import {
  NO_SYMBOL,
  OP_ENTER_LAZY,
  OP_FLUSH_LOCAL,
  OP_FLUSH_MM,
  OP_FLUSH_RANGE,
  OP_FRAME_ALLOCATE,
  OP_FRAME_DATA,
  OP_FRAME_GET,
  OP_FRAME_OWN,
  OP_FRAME_PUT,
  OP_LEAVE_LAZY,
  OP_LOAD_MM,
  OP_LOAD_MM_KEEP,
} from "./ops_bits";

const PAGE: u64 = 1 << FRAME_SHIFT;
const FREED_TABLES: u64 = 63;

export abstract class Kernel {
  static flush(p: usize, at: usize, op: u32): void {
    const cpu = Block.cpu(p);
    const c = Code.c(at);
    if (op == OP_FLUSH_RANGE || op == OP_FLUSH_MM) {
      const mm = <usize>Block.symbol(p, c);
      const options = Code.immediate(at);
      const freed = options >> FREED_TABLES != 0;
      const first = op == OP_FLUSH_MM ? 0 : Block.get(p, Code.a(at));
      const last = op == OP_FLUSH_MM ? 0 : Block.get(p, Code.b(at)) | (PAGE - 1);
      const stride: u32 = op == OP_FLUSH_MM ? REQUEST_ALL : FRAME_SHIFT;
      Shootdown.flush(cpu, mm, first, last, stride, freed, <u32>options);
    } else if (op == OP_FLUSH_LOCAL) {
      Cpu.fence(cpu, Block.get(p, Code.a(at)));
    }
    if (op == OP_ENTER_LAZY) Cpu.enterLazy(cpu);
    else if (op == OP_LEAVE_LAZY) Block.set(p, Code.d(at), <u64>Cpu.leaveLazy(cpu, Code.immediate(at) != 0));
    else if (op == OP_LOAD_MM || op == OP_LOAD_MM_KEEP) {
      const mm = c == NO_SYMBOL ? <usize>0 : <usize>Block.symbol(p, c);
      if (op == OP_LOAD_MM) Cpu.loadMm(cpu, mm, <u32>Block.get(p, Code.a(at)));
      else Cpu.loadMmUnflushed(cpu, mm, <u32>Block.get(p, Code.a(at)));
    }
  }

  /** Frames come and go in one step: what the allocator does inside has its own tests. */
  static frame(p: usize, at: usize, op: u32): void {
    const index = Frames.indexOf(Block.get(p, Code.a(at)) << FRAME_SHIFT);
    if (op == OP_FRAME_ALLOCATE || op == OP_FRAME_GET || op == OP_FRAME_PUT) {
      const counts = op != OP_FRAME_ALLOCATE && index != NO_FRAME;
      const word = counts ? Frames.meta(index) + META_REFS : Frames.freeList();
      Point.at(word, counts ? POINT_UPDATE | POINT_NARROW : POINT_UPDATE);
      Point.join(true);
      if (op == OP_FRAME_ALLOCATE)
        Block.set(p, Code.d(at), Frames.physical(Frames.allocate(FRAME_DATA)) >> FRAME_SHIFT);
      else if (op == OP_FRAME_GET) Frames.get(index);
      else Frames.put(index);
      Point.join(false);
    }
    if (op == OP_FRAME_DATA) Block.set(p, Code.d(at), Frames.address(index));
    else if (op == OP_FRAME_OWN) {
      const owners = <usize>load<u32>(p, LITMUS_OWNERS);
      Point.join(true);
      const owner: u64 = Code.c(at) == NO_SYMBOL ? 0 : Block.symbol(p, Code.c(at));
      Shared.store<u64>(owners + ((<usize>index) << 3), owner);
      Point.join(false);
    }
  }
}
