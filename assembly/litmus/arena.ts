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
//   judge 0 1 2 …      judge 64 65 …            a part each (judge.ts): `afterwards`, what is owed, the outcome
//   ----------------- meet ------------------
//   its CPUs           its CPUs                 back to the start (seat.ts)
//
// A cache line that goes from one processor to the other and back costs as much as some tens of instructions, so few do. What a CPU
// alone uses is restored by who runs it, and what several use by who runs the CPU that most likely wrote it; reports of a CPU stand together;
// which CPUs of an instance an agent runs changes only every TURN rounds.
//
// From one instance to the next an agent goes on to the next CPU, so that all have as much to do, whose program ever is the longest: who
// comes early to one instance comes late to the next, and they stay together.
//
// How close agents come to each other decides what is seen (Alglave, Maranget, Sarkar, Sewell, "Litmus: Running Tests Against Hardware",
// TACAS 2011: synchronisation, strides, random delays), so a round takes one of several ways, the arms of a bandit: whether they wait for
// each other before every instance, or every second, fourth or eighth, how long each then dawdles at most, and in the chaos build how strong its
// delays are, or whether threads sleep instead: once in a program, at a point that is chosen among all that it meets, as the change points of a
// randomised scheduler are (Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs",
// ASPLOS 2010). Half of the rounds take any way; the others prefer those that brought rare outcomes lately.

import {
  ARENA_ARM,
  ARENA_ARRIVED,
  ARENA_BLIND,
  ARENA_CPUS,
  ARENA_EARLY,
  ARENA_INTERVAL,
  ARENA_LAST,
  ARENA_MEETING,
  ARENA_PARTS,
  ARENA_RACERS,
  ARENA_RACING,
  ARENA_RARE,
  ARENA_ROUNDS,
  ARENA_SCORES,
  ARENA_SEED,
  ARENA_SIZE,
  ARENA_STOP,
  ARENA_TURN,
  BUILD_CHAOS,
  BUILD_EXPLORE,
  COLUMN_POINTS,
  CONTROL,
  MOST_ARMS,
  RACER_AT,
  RACER_BLOCKS,
  RACER_BYTES,
  RACER_CROWD,
  RACER_FIRST_AGENT,
  RACER_INSTANCE,
  SEAT_BYTES,
  SEAT_ISLAND,
} from "../layout";
import { Shared } from "../atomic";
import { Point } from "../point";
import { Random } from "../random";
import { Crowd } from "./crowd";
import { Island } from "./island";
import { Judge } from "./judge";
import { Litmus } from "./machine";
import { Seat } from "./seat";
import { User } from "./user";

/** Of so many rounds one begins with user CPUs in user mode: at most and at least. */
const OFTEN: u32 = 4;
const SELDOM: u32 = 128;
/** Chaos: where a thread may sleep, it does in one of so many executions, or where threads share processors. */
const SLEEPY: u32 = 16;
const SLEEPY_SHARING: u32 = 2;
/** Rounds after which the agents change CPUs in an instance. */
const TURN: u32 = 64;

export abstract class Arena {
  /**
   * Runs TURN rounds as racer `n`; false: ARENA_STOP is set, and all have come back after the same round. Called again and again, because V8 goes
   * on in unoptimised code in a function that never returns. The instance of the core has a seed.
   */
  static race(arena: usize, n: u32): bool {
    if (BUILD == BUILD_EXPLORE) return false;
    const racer = Arena.racer(arena, n);
    User.watch(load<u32>(arena, ARENA_BLIND) == 0);
    let last = false;
    for (let left = TURN; left > 0 && !last; --left) last = !Arena.round(arena, racer, n);
    Island.enter(0);
    return !last;
  }

  private static round(arena: usize, racer: usize, n: u32): bool {
    if (n == 0) Arena.prepare(arena);
    Arena.meet(arena);
    if (load<u32>(arena, ARENA_LAST) != 0) return false;
    // Read now: racer 0 prepares the next round while others still restore.
    const shift = n + load<u32>(arena, ARENA_TURN);
    const round = load<u32>(arena, ARENA_ROUNDS);
    Arena.run(arena, racer, n, shift, round);
    Arena.meet(arena);
    Judge.judge(arena, racer, shift, round);
    if (n == 0) Arena.plan(arena, round + 1);
    Arena.meet(arena);
    if (n == 0) atomic.add<u32>(arena, 1, ARENA_ROUNDS);
    Judge.restore(arena, shift);
    Arena.restore(arena, shift, load<u32>(arena, ARENA_EARLY) != 0);
    return true;
  }

  @inline
  private static racer(arena: usize, n: u32): usize {
    return arena + ARENA_RACERS + <usize>n * RACER_BYTES;
  }

  private static prepare(arena: usize): void {
    store<u32>(arena, atomic.load<u32>(arena, ARENA_STOP), ARENA_LAST);
    store<u32>(arena, Random.next(), ARENA_SEED);
    store<u32>(arena, Arena.chooseArm(arena), ARENA_ARM);
    store<u32>(arena, load<u32>(arena, ARENA_ROUNDS) / TURN, ARENA_TURN);
  }

  /**
   * Is round `next` to begin with user CPUs in user mode? Threads then meet at every flush: on processors of their own in no time, and on one by
   * going to sleep and being woken, which is why there are few such rounds as long as one of them was like that.
   */
  private static plan(arena: usize, next: u32): void {
    const slept = Shared.naps() > load<u32>(arena, ARENA_SIZE) / 16;
    let interval = max<u32>(load<u32>(arena, ARENA_INTERVAL), OFTEN);
    if (load<u32>(arena, ARENA_EARLY) != 0) {
      interval = slept ? min<u32>(interval * 2, SELDOM) : max<u32>(interval / 2, OFTEN);
    }
    store<u32>(arena, interval, ARENA_INTERVAL);
    store<u32>(arena, next % interval == 0 ? 1 : 0, ARENA_EARLY);
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

  /** `shift`: racer `n` runs CPU (shift + part) % ARENA_RACING of the instances of a part, and those that follow at that distance. */
  private static run(arena: usize, racer: usize, n: u32, shift: u32, round: u32): void {
    const size = load<u32>(arena, ARENA_SIZE);
    const racing = load<u32>(arena, ARENA_RACING);
    const cpus = load<u32>(arena, ARENA_CPUS);
    const seed = load<u32>(arena, ARENA_SEED);
    const arm = load<u32>(arena, ARENA_ARM);
    const level = (arm >> 4) & 3;
    const sleepy = level == 3 || (level != 0 && Shared.shares());
    Arena.strengthen(level);
    const parts = load<u32>(arena, ARENA_PARTS);
    const partSize = size / parts;
    const partBits = ctz(parts);
    const shifted = shift % racing;
    // The size is a power of two, so an odd stride meets each instance once.
    const stride = (seed >> 16) | 1;
    const between = ((<u32>1) << (arm & 3)) - 1;
    const dawdle = Arena.longest((arm >> 2) & 3);
    const at = load<u32>(racer, RACER_AT);
    for (let k: u32 = 0, i = seed; k < size; ++k, i += stride) {
      // An odd stride: each comes from another part than the one before.
      const part = i & (parts - 1);
      const instance = part * partSize + ((i & (size - 1)) >> partBits);
      let cpu = shifted + part;
      while (cpu >= racing) cpu -= racing;
      const seat = Seat.at(arena, cpu, instance);
      store<u32>(racer, instance, RACER_INSTANCE);
      Island.enter(load<u32>(seat, SEAT_ISLAND));
      const block = Seat.block(seat);
      const column = Seat.column(arena, cpu);
      Seat.touch(seat);
      if ((k & between) == 0) Arena.keepUp(arena, n, racing, at + k);
      if (dawdle != 0) Arena.linger(dawdle);
      if (BUILD == BUILD_CHAOS && sleepy) Arena.planSleep(column);
      if (cpu + racing >= cpus) {
        Litmus.begin(block);
        Litmus.run(block);
        Arena.advance(racer, at + k + 1);
        Seat.report(column, seat, instance, round);
      } else {
        Arena.runCrowd(arena, racer, instance, cpu, round);
        Arena.advance(racer, at + k + 1);
      }
      if (BUILD == BUILD_CHAOS && sleepy) store<u32>(column, Point.met(), COLUMN_POINTS);
    }
    if (sleepy) Point.plan(0);
  }

  private static runCrowd(arena: usize, racer: usize, instance: u32, firstCpu: u32, round: u32): void {
    const racing = load<u32>(arena, ARENA_RACING);
    const count = (load<u32>(arena, ARENA_CPUS) - firstCpu + racing - 1) / racing;
    const blocks = racer + RACER_BLOCKS;
    for (let m: u32 = 0, c = firstCpu; m < count; ++m, c += racing) {
      store<u32>(blocks + ((<usize>m) << 2), <u32>Seat.block(Seat.at(arena, c, instance)));
    }
    Crowd.run(blocks, count, racer + RACER_FIRST_AGENT, racer + RACER_CROWD);
    for (let m: u32 = 0, c = firstCpu; m < count; ++m, c += racing) {
      Seat.report(Seat.column(arena, c), Seat.at(arena, c, instance), instance, round);
    }
  }

  /**
   * The lines of the CPUs that it ran. `early`: in the next round user CPUs are in user mode from its beginning, so who flushes waits for a thread
   * that has not come, and both go on from there at once.
   */
  private static restore(arena: usize, shift: u32, early: bool): void {
    const size = load<u32>(arena, ARENA_SIZE);
    const racing = load<u32>(arena, ARENA_RACING);
    const cpus = load<u32>(arena, ARENA_CPUS);
    const parts = load<u32>(arena, ARENA_PARTS);
    const partSize = size / parts;
    for (let part: u32 = 0; part < parts; ++part) {
      for (let c = (shift + part) % racing; c < cpus; c += racing) {
        let seat = Seat.at(arena, c, part * partSize);
        for (let left = partSize; left > 0; --left, seat += SEAT_BYTES) {
          Seat.restore(seat);
          if (early) Litmus.expect(Seat.block(seat));
        }
      }
    }
  }

  /** Waits for the others to come as far. All have come through equally many when a round begins. */
  private static keepUp(arena: usize, self: u32, racing: u32, at: u32): void {
    for (let n: u32 = 0; n < racing; ++n) {
      if (n == self) continue;
      const other = Arena.racer(arena, n);
      let their = atomic.load<u32>(other, RACER_AT);
      while (<i32>(their - at) < 0) their = Shared.awaitChange<u32>(other + RACER_AT, their);
    }
  }

  /** Says that a racer has come through `at` instances. A plain store: it may be late for somebody who falls asleep, and who sleeps looks again. */
  @inline
  private static advance(racer: usize, at: u32): void {
    store<u32>(racer, at, RACER_AT);
    Shared.wake(racer + RACER_AT);
  }

  /** Chaos: how its points delay. */
  @inline
  private static strengthen(level: u32): void {
    Point.strengthen(5 - level, (<u32>128) << (level * 2));
  }

  @inline
  private static longest(level: u32): u32 {
    return level == 0 ? 0 : (<u32>4) << (level << 1);
  }

  /** Chaos: whether and where it sleeps in the program that begins, which has as many points as it had last: before it, or at any of them alike. */
  private static planSleep(column: usize): void {
    const often = Shared.shares() ? SLEEPY_SHARING : SLEEPY;
    Point.plan(0);
    if (Random.below(often) == 0) Point.sleep();
    if (Random.below(often) == 0) Point.plan(Random.below(load<u32>(column, COLUMN_POINTS)) + 1);
  }

  /** For less than `longest` loads, and mostly for much less: what is near is to be met in all ways, and time is for executions. */
  @inline
  private static linger(longest: u32): void {
    const x = Random.next();
    for (let left = Random.scale(x, longest) >> ((x & 3) << 1); left > 0; --left) atomic.load<u32>(CONTROL);
  }
}
