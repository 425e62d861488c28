// Races a scenario on real threads: rounds over many instances of it, in which every agent runs its CPUs.
//
// Guarantees: a round runs each instance once, from the state that was saved, and counts its outcome. No agent judges or restores what another
// uses: they meet in between. All agents of a round go through the instances in the same order, so who waits for a CPU of
// an instance waits for somebody who comes there too. Nothing here is said to anybody before the end; whoever watches reads the words
// of the racers, and sets ARENA_STOP.
//
//   racer 0            racer 1
//   choose the order
//   ----------------- meet ------------------
//   instances 5 2 7 … instances 5 2 7 …         each its CPUs, reporting what failed and what their registers hold
//   ----------------- meet ------------------
//   judge 0 1 2 …      judge 8 9 …              a share each: `afterwards`, outcome, back to the start what all share
//   ----------------- meet ------------------
//   its CPUs           its CPUs                 back to the start
//
// What a CPU alone uses is restored by who runs it, so it stays in one processor's cache; a line that has not changed is not written.
// Which CPUs an agent runs changes every TURN rounds.
//
// How close agents come to each other decides what is seen (Alglave, Maranget, Sarkar, Sewell, "Litmus: Running Tests Against Hardware",
// TACAS 2011: synchronisation, strides, random delays), so a round takes one of several ways, the arms of a bandit: whether they wait for
// each other before each instance, how long each then dawdles at most, and in the chaos build how strong its delays are. Half of the
// rounds take any; the others prefer those that brought rare outcomes lately.
//
// Outcomes are counted in a table of each racer's own: open addressing by a hash of the values and of what was violated.

import {
  ARENA_AFTERWARDS,
  ARENA_ARM,
  ARENA_ARRIVED,
  ARENA_BLOCK_BYTES,
  ARENA_COPIES,
  ARENA_CPUS,
  ARENA_INSTANCES,
  ARENA_LAST,
  ARENA_MEETING,
  ARENA_OBSERVED,
  ARENA_PENDING,
  ARENA_RACERS,
  ARENA_RACING,
  ARENA_RARE,
  ARENA_RECORD_BYTES,
  ARENA_ROUNDS,
  ARENA_SCORES,
  ARENA_SEED,
  ARENA_SIZE,
  ARENA_STOP,
  ARENA_TURN,
  BUILD_CHAOS,
  BUILD_EXPLORE,
  CONTROL,
  CONTROL_BAD_FREE,
  FAILED_DOUBLE_FREE,
  FAILED_PENDING,
  LITMUS_FAILED,
  MOST_ARMS,
  OUTCOME_COUNT,
  OUTCOME_FAILED,
  OUTCOME_HASH,
  OUTCOME_ROWS,
  OUTCOME_VALUES,
  PART_BYTES,
  PART_LINES,
  PART_LIST,
  PART_SAVED,
  RACER_AT,
  RACER_BLOCKS,
  RACER_BYTES,
  RACER_CROWD,
  RACER_FIRST_AGENT,
  RACER_INSTANCE,
  RACER_OUTCOMES,
  RACER_OVERFLOW,
  RECORD_BLOCKS,
  RECORD_FAILED,
  RECORD_ISLAND,
  RECORD_PARTS,
  RECORD_STARTS,
  RECORD_VALUES,
} from "../layout";
import { Shared } from "../atomic";
import { Point } from "../point";
import { Random } from "../random";
import { Block } from "./block";
import { Crowd } from "./crowd";
import { Island } from "./island";
import { Litmus } from "./machine";

/** How long an agent waits for the others before an instance, in loads: one of them may wait for a lock of the instance before. */
const PATIENCE: u32 = 400;
/** An outcome is rare that one execution in so many has. */
const RARE: u64 = 512;
/** Rounds after which the agents change CPUs. */
const TURN: u32 = 64;

export abstract class Arena {
  /** Runs rounds as racer `n` until ARENA_STOP is set. The instance of the core has a seed. */
  static race(arena: usize, n: u32): void {
    if (BUILD == BUILD_EXPLORE) return;
    const racer = Arena.racer(arena, n);
    while (true) {
      if (n == 0) Arena.prepare(arena);
      Arena.meet(arena);
      if (load<u32>(arena, ARENA_LAST) != 0) break;
      // Read now: racer 0 prepares the next round while others still restore.
      const first = (n + load<u32>(arena, ARENA_TURN)) % load<u32>(arena, ARENA_RACING);
      Arena.run(arena, racer, n, first);
      Arena.meet(arena);
      Arena.judge(arena, racer, n);
      Arena.meet(arena);
      Arena.restoreCpus(arena, first);
    }
    Island.enter(0);
  }

  /** Saves what an instance is at the start. `cpus`: of the programs, `afterwards` too. */
  static save(record: usize, cpus: u32, blockBytes: u32): void {
    for (let part: u32 = 0; part <= cpus; ++part) {
      const at = record + RECORD_PARTS + <usize>part * PART_BYTES;
      const list = <usize>load<u32>(at, PART_LIST);
      let saved = <usize>load<u32>(at, PART_SAVED);
      for (let n = load<u32>(at, PART_LINES), line = list; n > 0; --n, line += 4, saved += 64) {
        memory.copy(saved, <usize>load<u32>(line), 64);
      }
    }
    for (let c: u32 = 0; c < cpus; ++c) {
      const at = record + ((<usize>c) << 2);
      memory.copy(load<u32>(at, RECORD_STARTS), load<u32>(at, RECORD_BLOCKS), blockBytes);
    }
  }

  @inline
  private static racer(arena: usize, n: u32): usize {
    return arena + ARENA_RACERS + <usize>n * RACER_BYTES;
  }

  @inline
  private static record(arena: usize, n: u32): usize {
    return <usize>load<u32>(arena, ARENA_INSTANCES) + <usize>n * <usize>load<u32>(arena, ARENA_RECORD_BYTES);
  }

  private static prepare(arena: usize): void {
    store<u32>(arena, atomic.load<u32>(arena, ARENA_STOP), ARENA_LAST);
    store<u32>(arena, Random.next(), ARENA_SEED);
    store<u32>(arena, Arena.chooseArm(arena), ARENA_ARM);
    store<u32>(arena, load<u32>(arena, ARENA_ROUNDS) / TURN, ARENA_TURN);
  }

  /** Takes account of the round that is over, and chooses how the next one goes. */
  private static chooseArm(arena: usize): u32 {
    const arms: u32 = BUILD == BUILD_CHAOS ? MOST_ARMS : MOST_ARMS / 4;
    const last = arena + ((<usize>load<u32>(arena, ARENA_ARM)) << 2);
    const rare = min<u32>(atomic.xchg<u32>(arena, 0, ARENA_RARE), 1 << 16);
    const score = load<u32>(last, ARENA_SCORES);
    store<u32>(last, score - (score >> 3) + (rare << 5), ARENA_SCORES);
    if (Random.below(2) == 0) return Random.below(arms);
    let sum: u32 = 0;
    for (let arm: u32 = 0; arm < arms; ++arm) sum += load<u32>(arena + ((<usize>arm) << 2), ARENA_SCORES) + 1;
    let left = Random.below(sum);
    for (let arm: u32 = 0; arm < arms; ++arm) {
      const share = load<u32>(arena + ((<usize>arm) << 2), ARENA_SCORES) + 1;
      if (left < share) return arm;
      left -= share;
    }
    return 0;
  }

  /** Waits until all racers are here. */
  private static meet(arena: usize): void {
    const meeting = atomic.load<u32>(arena, ARENA_MEETING);
    if (atomic.add<u32>(arena, 1, ARENA_ARRIVED) + 1 == load<u32>(arena, ARENA_RACING)) {
      atomic.store<u32>(arena, 0, ARENA_ARRIVED);
      atomic.store<u32>(arena, meeting + 1, ARENA_MEETING);
      Shared.wake(arena + ARENA_MEETING);
    } else {
      let now = meeting;
      while (now == meeting) now = Shared.awaitChange<u32>(arena + ARENA_MEETING, meeting);
    }
  }

  // ---- run

  /** `firstCpu`: that racer `n` runs; the others follow at a distance of ARENA_RACING. */
  private static run(arena: usize, racer: usize, n: u32, firstCpu: u32): void {
    const size = load<u32>(arena, ARENA_SIZE);
    const racing = load<u32>(arena, ARENA_RACING);
    const cpus = load<u32>(arena, ARENA_CPUS);
    const seed = load<u32>(arena, ARENA_SEED);
    const arm = load<u32>(arena, ARENA_ARM);
    Point.strengthen(6 - ((arm >> 3) & 3), (<u32>32) << (((arm >> 3) & 3) * 2));
    const count = firstCpu < cpus ? (cpus - firstCpu + racing - 1) / racing : 0;
    // Sizes are powers of two, so an odd stride meets each instance once.
    const stride = (seed >> 16) | 1;
    const dawdle = Arena.longest((arm >> 1) & 3);
    const first = load<u32>(racer, RACER_AT);
    const blocks = racer + RACER_BLOCKS;
    for (let k: u32 = 0, i = seed; k < size; ++k, i += stride) {
      const instance = i & (size - 1);
      const record = Arena.record(arena, instance);
      store<u32>(racer, instance, RACER_INSTANCE);
      Island.enter(load<u32>(record, RECORD_ISLAND));
      if ((arm & 1) != 0) Arena.keepUp(arena, n, racing, first + k);
      if (dawdle != 0) Arena.linger(Random.below(dawdle));
      if (count == 1) Litmus.run(load<u32>(record + ((<usize>firstCpu) << 2), RECORD_BLOCKS));
      else if (count > 1) {
        for (let m: u32 = 0, c = firstCpu; m < count; ++m, c += racing) {
          store<u32>(blocks + ((<usize>m) << 2), load<u32>(record + ((<usize>c) << 2), RECORD_BLOCKS));
        }
        Crowd.run(blocks, count, racer + RACER_FIRST_AGENT, racer + RACER_CROWD);
      }
      for (let c = firstCpu; c < cpus; c += racing) Arena.report(arena, record, c);
      atomic.store<u32>(racer, first + k + 1, RACER_AT);
    }
  }

  /** What a CPU whose program has ended has to say goes into the record, and its block back to the start: it is nobody else's. */
  private static report(arena: usize, record: usize, c: u32): void {
    const block = <usize>load<u32>(record + ((<usize>c) << 2), RECORD_BLOCKS);
    const failed = load<u32>(block, LITMUS_FAILED);
    const copies = <usize>load<u32>(arena, ARENA_COPIES);
    let copy = copies + <usize>load<u32>(copies + ((<usize>c) << 3));
    for (let left = load<u32>(copies + ((<usize>c) << 3), 4); left > 0; --left, copy += 4) {
      const which = load<u32>(copy);
      const value = Block.get(block, which >> 16);
      store<u64>(load<u32>(record + ((<usize>(which & 0xffff)) << 2), RECORD_VALUES), value);
    }
    memory.copy(block, load<u32>(record + ((<usize>c) << 2), RECORD_STARTS), load<u32>(arena, ARENA_BLOCK_BYTES));
    // RECORD_FAILED and RECORD_ENDED, one word.
    atomic.or<u64>(record, <u64>failed | ((<u64>1) << (c + 32)), RECORD_FAILED);
  }

  /** Waits for the others to come as far, for a while. All have come through equally many when a round begins. */
  private static keepUp(arena: usize, self: u32, racing: u32, at: u32): void {
    for (let n: u32 = 0; n < racing; ++n) {
      if (n == self) continue;
      const other = Arena.racer(arena, n);
      for (let left = PATIENCE; left > 0 && <i32>(atomic.load<u32>(other, RACER_AT) - at) < 0; --left) {}
    }
  }

  @inline
  private static longest(level: u32): u32 {
    return level == 0 ? 0 : (<u32>4) << (level << 1);
  }

  @inline
  private static linger(loads: u32): void {
    for (let left = loads; left > 0; --left) atomic.load<u32>(CONTROL);
  }

  // ---- judge

  private static judge(arena: usize, racer: usize, n: u32): void {
    const size = load<u32>(arena, ARENA_SIZE);
    const racing = load<u32>(arena, ARENA_RACING);
    const cpus = load<u32>(arena, ARENA_CPUS);
    const afterwards = load<u32>(arena, ARENA_AFTERWARDS) != 0;
    for (let instance = (size * n) / racing; instance < (size * (n + 1)) / racing; ++instance) {
      const record = Arena.record(arena, instance);
      if (afterwards) {
        Island.enter(load<u32>(record, RECORD_ISLAND));
        Litmus.run(load<u32>(record + ((<usize>cpus) << 2), RECORD_BLOCKS));
        Arena.report(arena, record, cpus);
      }
      Arena.count(arena, racer, record, Arena.failures(arena, record));
      store<u64>(record, 0, RECORD_FAILED);
      if (afterwards) Arena.restore(record, cpus + 1);
      Arena.restore(record, 0);
    }
    if (n == 0) atomic.add<u32>(arena, 1, ARENA_ROUNDS);
  }

  private static failures(arena: usize, record: usize): u32 {
    let failed = load<u32>(record, RECORD_FAILED);
    const values = record + RECORD_VALUES;
    const observed = load<u32>(arena, ARENA_OBSERVED);
    for (let m: u32 = 0; m < load<u32>(arena, ARENA_PENDING); ++m) {
      const pending = <usize>load<u32>(values + ((<usize>(observed + m)) << 2));
      if (load<u32>(pending) != 0) failed |= (<u32>1) << FAILED_PENDING;
    }
    const island = <usize>load<u32>(record, RECORD_ISLAND);
    if (load<u32>(island + (CONTROL_BAD_FREE - CONTROL)) != 0) failed |= (<u32>1) << FAILED_DOUBLE_FREE;
    return failed;
  }

  private static count(arena: usize, racer: usize, record: usize, failed: u32): void {
    const observed = load<u32>(arena, ARENA_OBSERVED);
    let hash: u64 = 0xcbf29ce484222325 ^ failed;
    for (let v: u32 = 0; v < observed; ++v) hash = (hash ^ Arena.value(record, v)) * 0x9e3779b97f4a7c15;
    hash = (hash ^ (hash >> 29)) | 1;
    const bytes = OUTCOME_VALUES + ((<usize>observed) << 3);
    const table = <usize>load<u32>(racer, RACER_OUTCOMES);
    for (let probe = <u32>(hash >> 7), left: u32 = OUTCOME_ROWS; left > 0; ++probe, --left) {
      const row = table + <usize>(probe & (OUTCOME_ROWS - 1)) * bytes;
      const known = load<u64>(row, OUTCOME_HASH);
      if (known == hash && load<u32>(row, OUTCOME_FAILED) == failed && Arena.equal(record, row, observed)) {
        const times = load<u64>(row, OUTCOME_COUNT) + 1;
        atomic.store<u64>(row, times, OUTCOME_COUNT);
        if (times * load<u32>(arena, ARENA_RACING) * RARE < <u64>load<u32>(racer, RACER_AT)) {
          atomic.add<u32>(arena, 1, ARENA_RARE);
        }
        return;
      }
      if (known != 0) continue;
      store<u32>(row, failed, OUTCOME_FAILED);
      for (let v: u32 = 0; v < observed; ++v) {
        store<u64>(row + ((<usize>v) << 3), Arena.value(record, v), OUTCOME_VALUES);
      }
      atomic.store<u64>(row, 1, OUTCOME_COUNT);
      // Last: who sees it sees the row.
      atomic.store<u64>(row, hash, OUTCOME_HASH);
      return;
    }
    atomic.store<u32>(racer, load<u32>(racer, RACER_OVERFLOW) + 1, RACER_OVERFLOW);
  }

  private static equal(record: usize, row: usize, observed: u32): bool {
    for (let v: u32 = 0; v < observed; ++v) {
      if (load<u64>(row + ((<usize>v) << 3), OUTCOME_VALUES) != Arena.value(record, v)) return false;
    }
    return true;
  }

  @inline
  private static value(record: usize, v: u32): u64 {
    const at = <usize>load<u32>(record + ((<usize>v) << 2), RECORD_VALUES);
    return (at & 1) != 0 ? <u64>load<u32>(at - 1) : load<u64>(at);
  }

  // ---- back to the start

  private static restoreCpus(arena: usize, first: u32): void {
    const size = load<u32>(arena, ARENA_SIZE);
    const racing = load<u32>(arena, ARENA_RACING);
    const cpus = load<u32>(arena, ARENA_CPUS);
    for (let instance: u32 = 0; instance < size; ++instance) {
      const record = Arena.record(arena, instance);
      for (let c = first; c < cpus; c += racing) Arena.restore(record, c + 1);
    }
  }

  /** The lines of a part (RECORD_PARTS). */
  private static restore(record: usize, part: u32): void {
    const at = record + RECORD_PARTS + <usize>part * PART_BYTES;
    let saved = <usize>load<u32>(at, PART_SAVED);
    let list = <usize>load<u32>(at, PART_LIST);
    for (let n = load<u32>(at, PART_LINES); n > 0; --n, list += 4, saved += 64) {
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
