// Litmus instructions that are user accesses: the CPU's own (cpu.ts), and beside them what an observer notes.
//
// Guarantees: ghost words change in the step of the access that they tell of (Point.join), so they cost no step; no code of the core reads
// them. A fault enters the handler of the program, in kernel mode; its end goes back to the access, or behind it.

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_USER,
  ACCESS_WRITE,
  BUFFERED_GHOST,
  BUFFERED_MM,
  BUFFERED_VALUE,
  BUFFERED_WORD,
  BUILD_EXPLORE,
  BUILD_RELEASE,
  CPU_STRAYS,
  FRAME_DATA,
  FRAME_FOLIO,
  GHOST_GUARD,
  GHOST_GUARDED,
  GHOST_KIND,
  GHOST_LAST,
  GHOST_LOCK,
  GHOST_SHARED,
  GHOST_STORED,
  LITMUS_FAULTED,
  LITMUS_HANDLER,
  LITMUS_NOWHERE,
  LITMUS_OWNERS,
  LITMUS_RETRY,
  META_STATE,
} from "../layout";
import { Shared } from "../atomic";
import { Cpu } from "../cpu";
import { Frames } from "../frame";
import { Point } from "../point";
import { X86_64 } from "../pte/x86_64";
import { StoreBuffer } from "../storebuffer";
import { Block, Code } from "./block";
import {
  INVARIANT_ASID,
  INVARIANT_NOUAF,
  INVARIANT_NOWALK,
  NO_SYMBOL,
  OP_DRAIN,
  OP_ENTER_USER,
  OP_LEAVE_USER,
  OP_TLB_EVICT,
  OP_TLB_FILL,
  OP_USER_EXCHANGE,
  OP_USER_FENCE,
  OP_USER_FETCH,
  OP_USER_LOAD,
  OP_USER_STORE,
  REG_FAULT_ACCESS,
  REG_FAULT_VA,
  REG_RESULT,
} from "./ops_bits";

/** Of this instance of the core: user accesses are judged, and stores noted. */
let watched: bool = true;

export abstract class User {
  /** False: from here on this instance does neither, so that one can measure what they cost. */
  static watch(on: bool): void {
    watched = on;
  }

  static run(p: usize, at: usize, op: u32): void {
    const cpu = Block.cpu(p);
    if (op <= <u32>OP_USER_FETCH) {
      User.access(p, cpu, at, op);
      return;
    }
    const va = Block.get(p, Code.a(at));
    if (op == OP_TLB_FILL) Cpu.speculate(cpu, va);
    else if (op == OP_TLB_EVICT) Cpu.evict(cpu, va);
    else if (op == OP_ENTER_USER) Cpu.enterUser(cpu);
    else if (op == OP_LEAVE_USER) Cpu.leaveUser(cpu);
    else if (op == OP_USER_FENCE) StoreBuffer.drain(cpu);
    else if (op == OP_DRAIN && BUILD == BUILD_EXPLORE) {
      User.release(p, <usize>Block.symbol(p, Code.c(at)));
      return;
    }
    User.lookForStrays(p, cpu);
    Block.next(p);
  }

  /** Spaces of programs have four levels (src/litmus/world.ts). */
  private static access(p: usize, cpu: usize, at: usize, op: u32): void {
    const va = Block.get(p, Code.a(at));
    const access = User.accessOf(op);
    if (op == OP_USER_EXCHANGE) StoreBuffer.drain(cpu);
    const word = Cpu.translate<X86_64>(cpu, va, access);
    User.lookForStrays(p, cpu);
    if (word == 0) {
      User.fault(p, cpu, va, access);
      return;
    }
    const buffer = StoreBuffer.of(cpu);
    if (buffer != 0 && op != OP_USER_EXCHANGE) User.buffered(p, cpu, at, op, word, buffer);
    else User.data(p, cpu, at, op, word);
    Block.set(p, REG_RESULT, 0);
    Block.next(p);
  }

  /** DATA. */
  private static data(p: usize, cpu: usize, at: usize, op: u32, word: usize): void {
    const c = Code.c(at);
    const stores = op == OP_USER_STORE || op == OP_USER_EXCHANGE;
    const ghost = !stores || c == NO_SYMBOL || !User.isWatched() ? <usize>0 : <usize>Block.symbol(p, c);
    if (BUILD != BUILD_EXPLORE && ghost != 0) User.lockGhost(ghost);
    const value = Block.get(p, Code.b(at));
    if (op == OP_USER_LOAD) Block.set(p, Code.d(at), Shared.load<u64>(word));
    else if (op == OP_USER_STORE) Shared.store<u64>(word, value);
    else if (op == OP_USER_EXCHANGE) Block.set(p, Code.d(at), Shared.exchange<u64>(word, value));
    else Shared.load<u64>(word);
    // Noted while the access is in flight: who waits for it finds the note.
    Point.join(true);
    if (User.isWatched()) User.judge(p, Cpu.mm(cpu), word);
    if (ghost != 0) User.note(p, ghost, value);
    Point.join(false);
    if (BUILD != BUILD_EXPLORE && ghost != 0) User.unlockGhost(ghost);
    Cpu.complete(cpu);
  }

  @inline
  private static isWatched(): bool {
    return BUILD == BUILD_EXPLORE || watched;
  }

  /** DATA where stores wait in a buffer: what is noted of one, is when it reaches memory (`release`). */
  private static buffered(p: usize, cpu: usize, at: usize, op: u32, word: usize, buffer: usize): void {
    if (op == OP_USER_STORE) {
      const ghost = Code.c(at) == NO_SYMBOL ? 0 : <usize>Block.symbol(p, Code.c(at));
      StoreBuffer.push(buffer, word, Block.get(p, Code.b(at)), ghost, Cpu.mm(cpu));
      Cpu.complete(cpu);
      return;
    }
    const waiting = StoreBuffer.find(buffer, word);
    const value = Shared.quietLoad<u64>(waiting != 0 ? waiting + BUFFERED_VALUE : word);
    if (op == OP_USER_LOAD) Block.set(p, Code.d(at), value);
    Cpu.complete(cpu);
    Point.join(true);
    if (waiting == 0) User.judge(p, Cpu.mm(cpu), word);
    Point.join(false);
  }

  /** The oldest store of a buffer reaches memory: one step, and the program is at the same place again. */
  private static release(p: usize, buffer: usize): void {
    const entry = StoreBuffer.awaitStore(buffer);
    Point.join(true);
    const word = <usize>Shared.load<u32>(entry + BUFFERED_WORD);
    const value = Shared.load<u64>(entry + BUFFERED_VALUE);
    const ghost = <usize>Shared.load<u32>(entry + BUFFERED_GHOST);
    Shared.store<u64>(word, value);
    User.judge(p, <usize>Shared.load<u32>(entry + BUFFERED_MM), word);
    if (ghost != 0) User.note(p, ghost, value);
    StoreBuffer.shift(buffer);
    Point.join(false);
  }

  @inline
  private static accessOf(op: u32): u32 {
    if (op == OP_USER_LOAD) return ACCESS_USER | ACCESS_READ;
    if (op == OP_USER_FETCH) return ACCESS_USER | ACCESS_EXECUTE;
    return ACCESS_USER | ACCESS_WRITE;
  }

  private static fault(p: usize, cpu: usize, va: u64, access: u32): void {
    if (BUILD != BUILD_EXPLORE) store<u8>(p, 1, LITMUS_FAULTED);
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

  /** Did a walk of the CPU read a table that was freed? The release build notes none (HW_WATCHED). */
  @inline
  private static lookForStrays(p: usize, cpu: usize): void {
    if (BUILD != BUILD_RELEASE && load<u32>(cpu, CPU_STRAYS) != 0) Block.fail(p, (<u32>1) << INVARIANT_NOWALK);
  }

  /** Was the frame that the access reached free, or another's? */
  private static judge(p: usize, mm: usize, word: usize): void {
    const index = Frames.indexAt(word);
    const state = Shared.load<u32>(Frames.meta(index) + META_STATE);
    if (state != FRAME_DATA && state != FRAME_FOLIO) Block.fail(p, (<u32>1) << INVARIANT_NOUAF);
    const owners = <usize>load<u32>(p, LITMUS_OWNERS);
    if (owners == 0) return;
    const owner = <usize>Shared.load<u64>(owners + ((<usize>index) << 3));
    if (owner != 0 && owner != mm) Block.fail(p, (<u32>1) << INVARIANT_ASID);
  }

  /** Where several CPUs store to a page, the last store has to be the one that was noted last. Who holds it waits for nobody. */
  @inline
  private static lockGhost(ghost: usize): void {
    if ((load<u32>(ghost, GHOST_KIND) & GHOST_SHARED) == 0) return;
    while (atomic.cmpxchg<u32>(ghost, 0, 1, GHOST_LOCK) != 0) {}
  }

  @inline
  private static unlockGhost(ghost: usize): void {
    if ((load<u32>(ghost, GHOST_KIND) & GHOST_SHARED) != 0) atomic.store<u32>(ghost, 0, GHOST_LOCK);
  }

  /**
   * Who waited for the access, or took a lock after it, finds the words. Who sets the guard has not waited, so either it finds them or the guard
   * is found here.
   */
  private static note(p: usize, ghost: usize, value: u64): void {
    Shared.quietStore<u64>(ghost + GHOST_LAST, value);
    Shared.quietStore<u64>(ghost + GHOST_STORED, 1);
    if (BUILD != BUILD_EXPLORE) {
      if ((load<u32>(ghost, GHOST_KIND) & GHOST_GUARDED) == 0) return;
      // The guard is loaded after both are seen.
      atomic.store<u64>(ghost, 1, GHOST_STORED);
    }
    const guard = <u32>Shared.load<u64>(ghost + GHOST_GUARD);
    if (guard != 0) Block.fail(p, guard);
  }
}
