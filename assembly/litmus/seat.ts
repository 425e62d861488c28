// The seat of a CPU in one instance of an arena: its program's block, what it reports at the end, and the lines that it puts back.
//
// Guarantees: between the end of its program and the next round, a seat's lines are what they were when they were saved; each line of an instance is
// on the list of one seat, so nobody writes what another puts back. A line that has not changed is written only if it is the CPU's alone:
// there it stands in the cache of who writes it, and any other would be taken from somebody.

import {
  ARENA_COLUMNS,
  ARENA_SEATS,
  ARENA_SIZE,
  COLUMN_BYTES,
  COLUMN_REGISTERS,
  COLUMN_REPORTS,
  COLUMN_STRIDE,
  COLUMN_VALUES,
  LITMUS_FAILED,
  REPORT_FAILED,
  REPORT_VALUES,
  SEAT_BLOCK,
  SEAT_BYTES,
  SEAT_LINES,
  SEAT_SAVED,
} from "../layout";
import { Block } from "./block";

export abstract class Seat {
  /** The seats of CPU `c`: one for each instance, SEAT_BYTES from one to the next. */
  @inline
  static first(arena: usize, c: u32): usize {
    return <usize>load<u32>(arena, ARENA_SEATS) + <usize>(c * load<u32>(arena, ARENA_SIZE)) * SEAT_BYTES;
  }

  @inline
  static at(arena: usize, c: u32, instance: u32): usize {
    return Seat.first(arena, c) + <usize>instance * SEAT_BYTES;
  }

  @inline
  static block(seat: usize): usize {
    return <usize>load<u32>(seat, SEAT_BLOCK);
  }

  @inline
  static column(arena: usize, c: u32): usize {
    return <usize>load<u32>(arena, ARENA_COLUMNS) + <usize>c * COLUMN_BYTES;
  }

  @inline
  static reportOf(column: usize, instance: u32): usize {
    return <usize>load<u32>(column, COLUMN_REPORTS) + <usize>(instance * load<u32>(column, COLUMN_STRIDE));
  }

  /** What the CPU of a column, whose program has ended, has to say of round `round` of an instance. */
  static report(column: usize, seat: usize, instance: u32, round: u32): void {
    const block = Seat.block(seat);
    const report = Seat.reportOf(column, instance);
    // REPORT_FAILED and REPORT_ROUND, one word.
    store<u64>(report, <u64>load<u32>(block, LITMUS_FAILED) | ((<u64>(round + 1)) << 32), REPORT_FAILED);
    const values = <usize>load<u32>(column, COLUMN_VALUES);
    for (let v: usize = 0; v < values; ++v) {
      const value = Block.get(block, <u32>load<u8>(column + v, COLUMN_REGISTERS));
      store<u64>(report + (v << 3), value, REPORT_VALUES);
    }
  }

  /** Keeps what the lines are now. */
  static save(seat: usize): void {
    let list = <usize>load<u32>(seat, SEAT_LINES);
    let saved = <usize>load<u32>(seat, SEAT_SAVED);
    for (let n = load<u32>(list) + load<u32>(list, 4); n > 0; --n, list += 4, saved += 64) {
      memory.copy(saved, <usize>load<u32>(list, 8), 64);
    }
  }

  /** Puts the lines back. */
  static restore(seat: usize): void {
    let list = <usize>load<u32>(seat, SEAT_LINES);
    let saved = <usize>load<u32>(seat, SEAT_SAVED);
    const own = load<u32>(list);
    const shared = load<u32>(list, 4);
    list += 8;
    for (let n = own; n > 0; --n, list += 4, saved += 64) {
      const line = <usize>load<u32>(list);
      v128.store(line, v128.load(saved));
      v128.store(line, v128.load(saved, 16), 16);
      v128.store(line, v128.load(saved, 32), 32);
      v128.store(line, v128.load(saved, 48), 48);
    }
    for (let n = shared; n > 0; --n, list += 4, saved += 64) {
      const line = <usize>load<u32>(list);
      const a = v128.load(saved);
      const b = v128.load(saved, 16);
      const c = v128.load(saved, 32);
      const d = v128.load(saved, 48);
      const low = v128.or(v128.xor(a, v128.load(line)), v128.xor(b, v128.load(line, 16)));
      const high = v128.or(v128.xor(c, v128.load(line, 32)), v128.xor(d, v128.load(line, 48)));
      if (!v128.any_true(v128.or(low, high))) continue;
      v128.store(line, a);
      v128.store(line, b, 16);
      v128.store(line, c, 32);
      v128.store(line, d, 48);
    }
  }
}
