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
  LITMUS_FAULTED,
  REPORT_FAILED,
  REPORT_VALUES,
  SEAT_BLOCK,
  SEAT_BYTES,
  SEAT_LINES,
  SEAT_SAVED,
} from "../layout";
import { Block } from "./block";

/** The list of SEAT_LINES has the lines behind three counts: the CPU's own, those of several, and its own that only a fault writes. */
const LINES: usize = 12;

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
    const list = <usize>load<u32>(seat, SEAT_LINES);
    const count = load<u32>(list) + load<u32>(list, 4) + load<u32>(list, 8);
    let saved = <usize>load<u32>(seat, SEAT_SAVED);
    for (let n: u32 = 0; n < count; ++n, saved += 64) {
      memory.copy(saved, <usize>load<u32>(list + ((<usize>n) << 2), LINES), 64);
    }
  }

  /**
   * Has the CPU's own lines under way, all at once: its program comes to them one by one, from each by what stands there to the next. Nothing
   * is made of what is loaded.
   */
  @inline
  static touch(seat: usize): void {
    const list = <usize>load<u32>(seat, SEAT_LINES);
    const own = list + LINES;
    const shared = own + ((<usize>load<u32>(list)) << 2);
    for (let at = own; at < shared; at += 4) load<u8>(<usize>load<u32>(at));
  }

  /** Puts the lines back. */
  static restore(seat: usize): void {
    const list = <usize>load<u32>(seat, SEAT_LINES);
    const faulted = load<u8>(Seat.block(seat), LITMUS_FAULTED) != 0;
    const own = list + LINES;
    const shared = own + ((<usize>load<u32>(list)) << 2);
    const rare = shared + ((<usize>load<u32>(list, 4)) << 2);
    let saved = <usize>load<u32>(seat, SEAT_SAVED);
    for (let at = own; at < shared; at += 4, saved += 64) Seat.write(<usize>load<u32>(at), saved);
    for (let at = shared; at < rare; at += 4, saved += 64) Seat.writeChanged(<usize>load<u32>(at), saved);
    if (!faulted) return;
    const end = rare + ((<usize>load<u32>(list, 8)) << 2);
    for (let at = rare; at < end; at += 4, saved += 64) Seat.write(<usize>load<u32>(at), saved);
  }

  @inline
  private static write(line: usize, saved: usize): void {
    v128.store(line, v128.load(saved));
    v128.store(line, v128.load(saved, 16), 16);
    v128.store(line, v128.load(saved, 32), 32);
    v128.store(line, v128.load(saved, 48), 48);
  }

  @inline
  private static writeChanged(line: usize, saved: usize): void {
    const a = v128.load(saved);
    const b = v128.load(saved, 16);
    const c = v128.load(saved, 32);
    const d = v128.load(saved, 48);
    const low = v128.or(v128.xor(a, v128.load(line)), v128.xor(b, v128.load(line, 16)));
    const high = v128.or(v128.xor(c, v128.load(line, 32)), v128.xor(d, v128.load(line, 48)));
    if (!v128.any_true(v128.or(low, high))) return;
    v128.store(line, a);
    v128.store(line, b, 16);
    v128.store(line, c, 32);
    v128.store(line, d, 48);
  }
}
