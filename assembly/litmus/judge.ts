// What became of the instances of a round: what is judged when all programs have ended, and how outcomes are counted.
//
// Guarantees: each instance is counted once, by one racer, in a table of that racer's own, so nothing here is shared but what CPUs reported. A
// table is read by others while it grows: a row is whole when its hash stands there, and stays.
//
// Open addressing by a hash of the values and of what was violated. How often an outcome was met is read when its racer has come back.

import {
  ARENA_AFTERWARDS,
  ARENA_BLIND,
  ARENA_CPUS,
  ARENA_FREES,
  ARENA_JUDGE,
  ARENA_MMS,
  ARENA_NEWS,
  ARENA_OBSERVED,
  ARENA_PARTS,
  ARENA_PENDING,
  ARENA_RACING,
  ARENA_RARE,
  ARENA_SIZE,
  ARENA_VALUES,
  CONTROL,
  CONTROL_BAD_FREE,
  FAILED_DOUBLE_FREE,
  FAILED_PENDING,
  OUTCOME_COUNT,
  OUTCOME_FAILED,
  OUTCOME_HASH,
  OUTCOME_ROWS,
  OUTCOME_VALUES,
  RACER_AT,
  RACER_OUTCOMES,
  RACER_OVERFLOW,
  REPORT_FAILED,
  SEAT_BYTES,
  SEAT_ISLAND,
} from "../layout";
import { Island } from "./island";
import { Litmus } from "./machine";
import { Seat } from "./seat";

/** An outcome is rare that one execution in so many has. */
const RARE: u64 = 512;

export abstract class Judge {
  /**
   * Judges the instances of round `round` in which a racer ran CPU ARENA_JUDGE, in whose cache is most of what is looked at; `shift` as in
   * Arena.run.
   */
  static judge(arena: usize, racer: usize, shift: u32, round: u32): void {
    const partSize = load<u32>(arena, ARENA_SIZE) / load<u32>(arena, ARENA_PARTS);
    for (let part: u32 = 0; part < load<u32>(arena, ARENA_PARTS); ++part) {
      if (!Judge.isMine(arena, shift + part)) continue;
      const first = part * partSize;
      if (load<u32>(arena, ARENA_AFTERWARDS) != 0) {
        for (let instance = first; instance < first + partSize; ++instance) Judge.runAfterwards(arena, instance, round);
      }
      for (let instance = first; instance < first + partSize; ++instance) {
        Judge.count(arena, racer, instance, Judge.failures(arena, instance));
      }
    }
  }

  /** Puts back what `afterwards` alone used in them. */
  static restore(arena: usize, shift: u32): void {
    if (load<u32>(arena, ARENA_AFTERWARDS) == 0) return;
    const cpus = load<u32>(arena, ARENA_CPUS);
    const partSize = load<u32>(arena, ARENA_SIZE) / load<u32>(arena, ARENA_PARTS);
    for (let part: u32 = 0; part < load<u32>(arena, ARENA_PARTS); ++part) {
      if (!Judge.isMine(arena, shift + part)) continue;
      let seat = Seat.at(arena, cpus, part * partSize);
      for (let left = partSize; left > 0; --left, seat += SEAT_BYTES) Seat.restore(seat);
    }
  }

  @inline
  private static isMine(arena: usize, at: u32): bool {
    const racing = load<u32>(arena, ARENA_RACING);
    return at % racing == load<u32>(arena, ARENA_JUDGE) % racing;
  }

  private static runAfterwards(arena: usize, instance: u32, round: u32): void {
    const cpus = load<u32>(arena, ARENA_CPUS);
    const seat = Seat.at(arena, cpus, instance);
    Island.enter(load<u32>(seat, SEAT_ISLAND));
    Litmus.run(Seat.block(seat));
    Seat.report(Seat.column(arena, cpus), seat, instance, round);
  }

  private static failures(arena: usize, instance: u32): u32 {
    if (load<u32>(arena, ARENA_BLIND) != 0) return 0;
    const programs = load<u32>(arena, ARENA_CPUS) + load<u32>(arena, ARENA_AFTERWARDS);
    let failed: u32 = 0;
    for (let c: u32 = 0; c < programs; ++c) {
      failed |= load<u32>(Seat.reportOf(Seat.column(arena, c), instance), REPORT_FAILED);
    }
    const mms = load<u32>(arena, ARENA_MMS);
    let pending = <usize>load<u32>(arena, ARENA_PENDING) + ((<usize>(instance * mms)) << 2);
    for (let left = mms; left > 0; --left, pending += 4) {
      if (load<u32>(<usize>load<u32>(pending)) != 0) failed |= (<u32>1) << FAILED_PENDING;
    }
    if (load<u32>(arena, ARENA_FREES) == 0) return failed;
    const island = <usize>load<u32>(Seat.at(arena, 0, instance), SEAT_ISLAND);
    if (load<u32>(island + (CONTROL_BAD_FREE - CONTROL)) != 0) failed |= (<u32>1) << FAILED_DOUBLE_FREE;
    return failed;
  }

  private static count(arena: usize, racer: usize, instance: u32, failed: u32): void {
    const observed = load<u32>(arena, ARENA_OBSERVED);
    let hash: u64 = 0xcbf29ce484222325 ^ failed;
    for (let v: u32 = 0; v < observed; ++v) hash = (hash ^ Judge.value(arena, v, instance)) * 0x9e3779b97f4a7c15;
    hash = (hash ^ (hash >> 29)) | 1;
    const bytes = OUTCOME_VALUES + ((<usize>observed) << 3);
    const table = <usize>load<u32>(racer, RACER_OUTCOMES);
    for (let probe = <u32>(hash >> 7), left: u32 = OUTCOME_ROWS; left > 0; ++probe, --left) {
      const row = table + <usize>(probe & (OUTCOME_ROWS - 1)) * bytes;
      const known = load<u64>(row, OUTCOME_HASH);
      if (known == hash && load<u32>(row, OUTCOME_FAILED) == failed && Judge.equal(arena, instance, row, observed)) {
        const times = load<u64>(row, OUTCOME_COUNT) + 1;
        store<u64>(row, times, OUTCOME_COUNT);
        if (times * load<u32>(arena, ARENA_RACING) * RARE < <u64>load<u32>(racer, RACER_AT)) {
          atomic.add<u32>(arena, 1, ARENA_RARE);
        }
        return;
      }
      if (known != 0) continue;
      store<u32>(row, failed, OUTCOME_FAILED);
      for (let v: u32 = 0; v < observed; ++v) {
        store<u64>(row + ((<usize>v) << 3), Judge.value(arena, v, instance), OUTCOME_VALUES);
      }
      store<u64>(row, 1, OUTCOME_COUNT);
      atomic.store<u64>(row, hash, OUTCOME_HASH);
      atomic.add<u32>(arena, 1, ARENA_NEWS);
      return;
    }
    atomic.store<u32>(racer, load<u32>(racer, RACER_OVERFLOW) + 1, RACER_OVERFLOW);
  }

  private static equal(arena: usize, instance: u32, row: usize, observed: u32): bool {
    for (let v: u32 = 0; v < observed; ++v) {
      if (load<u64>(row + ((<usize>v) << 3), OUTCOME_VALUES) != Judge.value(arena, v, instance)) return false;
    }
    return true;
  }

  /** Observed value `v` of an instance (ARENA_VALUES). */
  @inline
  private static value(arena: usize, v: u32, instance: u32): u64 {
    const p = <usize>load<u32>(arena, ARENA_VALUES) + ((<usize>v) << 3);
    const at = <usize>(load<u32>(p) + instance * load<u32>(p, 4));
    if ((at & 1) == 0) return load<u64>(at);
    const word = <usize>load<u32>(at - 1);
    return (word & 1) != 0 ? <u64>load<u32>(word - 1) : load<u64>(word);
  }
}
