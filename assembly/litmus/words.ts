// Litmus instructions on words and locks: one step each.

import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Spinlock } from "../lock/spinlock";
import { Block, Code } from "./block";
import {
  OP_AWAIT32,
  OP_AWAIT64,
  OP_COMPARE32,
  OP_COMPARE64,
  OP_DOWNGRADE,
  OP_EXCHANGE32,
  OP_EXCHANGE64,
  OP_FETCH_ADD32,
  OP_FETCH_ADD64,
  OP_FETCH_AND64,
  OP_FETCH_OR64,
  OP_LOAD32,
  OP_LOAD64,
  OP_READ_LOCK,
  OP_READ_UNLOCK,
  OP_SPIN_LOCK,
  OP_SPIN_TRYLOCK,
  OP_SPIN_UNLOCK,
  OP_STORE32,
  OP_STORE64,
  OP_WRITE_LOCK,
  OP_WRITE_UNLOCK,
} from "./ops_bits";

export abstract class Words {
  static access(p: usize, at: usize, op: u32): void {
    const c = Code.c(at);
    const loads = op == OP_LOAD64 || op == OP_LOAD32;
    const address = Block.address(p, c, loads ? Code.a(at) : Code.b(at));
    const value = Block.get(p, Code.a(at));
    if (op == OP_STORE64) Shared.store<u64>(address, value);
    else if (op == OP_STORE32) Shared.store<u32>(address, <u32>value);
    else if (op == OP_AWAIT64 || op == OP_AWAIT32) Words.await(p, at, op, address, value);
    else Block.set(p, Code.d(at), Words.update(p, at, op, address, value));
    // OP_AWAIT may wait for this word.
    if (!loads) Shared.wake(address);
  }

  private static update(p: usize, at: usize, op: u32, address: usize, value: u64): u64 {
    switch (op) {
      case OP_LOAD64:
        return Shared.load<u64>(address);
      case OP_LOAD32:
        return Shared.load<u32>(address);
      case OP_EXCHANGE64:
        return Shared.exchange<u64>(address, value);
      case OP_EXCHANGE32:
        return Shared.exchange<u32>(address, <u32>value);
      case OP_FETCH_ADD64:
        return Shared.fetchAdd<u64>(address, value);
      case OP_FETCH_ADD32:
        return Shared.fetchAdd<u32>(address, <u32>value);
      case OP_FETCH_AND64:
        return Shared.and<u64>(address, value);
      case OP_FETCH_OR64:
        return Shared.or<u64>(address, value);
      case OP_COMPARE64:
        return Shared.compareExchange<u64>(address, Block.get(p, <u32>Code.immediate(at)), value);
      case OP_COMPARE32:
        return Shared.compareExchange<u32>(address, <u32>Block.get(p, <u32>Code.immediate(at)), <u32>value);
      default:
        return 0;
    }
  }

  private static await(p: usize, at: usize, op: u32, address: usize, value: u64): void {
    const mask = Block.get(p, <u32>Code.immediate(at));
    if (op == OP_AWAIT64) {
      let word = Shared.load<u64>(address);
      while ((word & mask) != value) word = Shared.awaitChange<u64>(address, word);
    } else {
      let word = Shared.load<u32>(address);
      while ((<u64>word & mask) != value) word = Shared.awaitChange<u32>(address, word);
    }
  }

  static lock(p: usize, at: usize, op: u32): void {
    const lock = Block.address(p, Code.c(at), Code.b(at));
    if (op == OP_SPIN_LOCK) Spinlock.lock(lock);
    else if (op == OP_SPIN_UNLOCK) Spinlock.unlock(lock);
    else if (op == OP_SPIN_TRYLOCK) Block.set(p, Code.d(at), <u64>Spinlock.tryLock(lock));
    else if (op == OP_READ_LOCK) RwLock.readLock(lock);
    else if (op == OP_READ_UNLOCK) RwLock.readUnlock(lock);
    else if (op == OP_WRITE_LOCK) RwLock.writeLock(lock);
    else if (op == OP_WRITE_UNLOCK) RwLock.writeUnlock(lock);
    else if (op == OP_DOWNGRADE) RwLock.downgrade(lock);
  }
}
