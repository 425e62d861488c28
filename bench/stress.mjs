// Question: how many executions of a race does a second hold, on real threads? ×1.00: store buffering, two CPUs without a shootdown.
//
// Each sample is a race of its own; rows take turns. Before and after it C says how the host treats the two processors: by what a message and its
// answer take, whether they stand near each other, for some hosts move theirs apart under load; by what two threads of sums take, whether
// they have cores of their own, for some hosts give one core to two guests. Targets are for near processors with cores of their own, where
// there were enough; others have rows of their own, and those that were moved during a race have none. Then: what it costs that user accesses
// are judged and stores noted; what a second processor brings on work that shares nothing; how long it takes from the command to its first
// outcome; how often each violation that the explorer proves is caught, in the release and in the chaos build, and which are not; and whether a
// variant that is right ever fails.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { catalogue, compile, expectationsOf, racerOf, stress, variantsOf } from '../build/index.js';
import { load } from './machine.mjs';
import { verdict } from './table.mjs';

const ROUNDS = 7;
/** Most rounds to have ROUNDS samples of each race as they are wanted, and what a row needs. */
const MOST_ROUNDS = 40;
const FEWEST = 3;
/** Nanoseconds of a message there and back, at most, where processors are near each other: half as many again as the targets count on. */
const NEAR_NS = 375;
/** Where they are far, a host has moved them under load, and moves them back when they rest: milliseconds of a rest, and how many rests. */
const REST_MS = 1500;
const MOST_RESTS = 60;
/** Two threads of sums take at most so much longer than they did at best, where processors have cores of their own. */
const OWN_CORES = 1.2;
const SUMS = 1 << 20;
const RACES = [
  { name: 'store buffering', scenario: 'store-buffering', id: 'SB-sc', atMost: 200 },
  { name: 'message passing', scenario: 'message-passing', id: 'MP-sc', atMost: 200 },
  { name: 'store against clean, with its shootdown', scenario: 'clean-against-writer', id: 'B0', atMost: 1000 },
  { name: 'the largest of four CPUs', scenario: 'cow-copy-against-wrprotect', id: 'I0', atMost: 5000 },
];
/** Most of a store against clean with its shootdown, in round trips of so many nanoseconds, or of C's messages where these take longer. */
const ROUND_TRIPS = 3;
const ROUND_TRIP_NS = 250;
const MESSAGES = 4096;
const DISJOINT = 1.8;
const FIRST_OUTCOME_MS = 300;

/** Milliseconds of a race whose outcomes are counted. */
const COUNT_MS = 200;
/** Races for what was not seen, until all of it is. */
const SEARCHES = [
  { build: 'chaos', ms: 500 },
  { build: 'release', ms: 500 },
  { build: 'chaos', ms: 3000 },
  { build: 'chaos', ms: 30_000 },
];
/** Milliseconds of a variant that is right, in each build. */
const RIGHT_MS = 150;

const { RacerPool } = await load('../src/stress/pool.ts');
const { invariantsOf } = await load('../src/explore/invariants.ts');
const { hasCalls } = await load('../src/stress/lines.ts');
const { Processors, processorsFor } = await load('../src/cli/pinning.ts');

/** Two processors to bind threads to, so that each race has both. Where more threads share them, Linux deals them out. */
const bound = boundTo(2);
const processors = new Processors(bound);
const begin = (processor) =>
  racerOf(new Worker(new URL('../build/cli.js', import.meta.url), { workerData: { processor } }));
const racers = new RacerPool(() => processors.bind(begin));
const free = new RacerPool(() => begin(undefined));
const spawnRacer = racers.spawn;

/** None where threads cannot be bound. */
function boundTo(threads) {
  try {
    return processorsFor(threads);
  } catch {
    return [];
  }
}

export const stressing = {
  name: 'stress',
  leafMib: 1,
  async *tables(machine, options) {
    const raceMs = options.quick ? 100 : 400;
    yield await executions(machine, options, raceMs);
    yield await ghosts(options, raceMs);
    if (availableParallelism() > 1) yield await disjoint(options, raceMs);
    yield await firstOutcome(options);
    if (!options.quick) {
      yield await caught(options);
      yield await neverFailing(options);
    }
    await Promise.all([racers.close(), free.close()]);
  },
};

async function programOf(name, id) {
  const entry = (await catalogue()).find((each) => each.name === name);
  return compile(entry.scenario, variantsOf(entry.scenario).find((each) => each.id === id).variant);
}

/** Nanoseconds an execution. */
async function pace(program, raceMs, settings) {
  const { executions, seconds, deaths, hangs } = await stress(program, {
    spawn: spawnRacer,
    budgetMs: raceMs,
    ...settings,
  });
  if (deaths.length > 0 || hangs.length > 0) throw new Error(`${program.name}: ${[...deaths, ...hangs].join('; ')}`);
  return (seconds * 1e9) / executions;
}

async function executions({ native, call }, options, raceMs) {
  const programs = [];
  for (const race of RACES) programs.push(await programOf(race.scenario, race.id));
  const taken = RACES.map(() => []);
  let [rests, best] = [0, Number.POSITIVE_INFINITY];
  const look = () => {
    const seen = native ? { message: mailbox(native, call), sums: sums(native, call) } : { message: 0, sums: 0 };
    best = Math.min(best, seen.sums);
    return seen;
  };
  const isNear = ({ looks }) => looks.every(({ message }) => message <= NEAR_NS);
  const isFar = ({ looks }) => looks.every(({ message }) => message > NEAR_NS);
  const isOwn = ({ looks }) => looks.every(({ sums }) => sums <= OWN_CORES * best);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    for (const [n, program] of programs.entries()) {
      for (; rests < MOST_RESTS && look().message > NEAR_NS; rests++) await setTimeout(REST_MS);
      const before = look();
      const ns = await pace(program, raceMs, { seed: options.seed + round, workers: 2 });
      taken[n].push({ ns, looks: [before, look()] });
    }
    const good = taken.map((samples) => samples.filter((sample) => isNear(sample) && isOwn(sample)).length);
    if (round + 1 >= ROUNDS && good.every((count) => count >= ROUNDS)) break;
  }
  const kinds = [
    rowsOf(taken, (sample) => isNear(sample) && isOwn(sample), native, ''),
    rowsOf(taken, (sample) => isNear(sample) && !isOwn(sample), native, ', cores shared'),
    rowsOf(taken, isFar, native, ', far'),
  ].filter((rows) => rows !== undefined);
  // None, where some races had processors of the one kind and some of another.
  const [rows, ...others] = kinds.length > 0 ? kinds : [rowsOf(taken, () => true, native, '')];
  return {
    title: `executions of a race, release build, two threads${bound.length > 0 ? ' bound to processors' : ''}`,
    parameters: `races of ${raceMs} ms, seed ${options.seed}`,
    baseline: rows[0].name,
    rows: [...rows, ...others.flat()],
    verdicts: [
      ...RACES.map(({ atMost }, n) => verdictOf(rows[n], atMost)),
      verdict(
        rows[RACES.findIndex(({ id }) => id === 'B0')],
        roundTrip(native ? rows.at(-1).nanoseconds : 0),
        ROUND_TRIPS,
      ),
    ],
    notes: [
      ...rows
        .slice(0, RACES.length)
        .map(({ name, nanoseconds }) => `${name}: ${millions(nanoseconds)} million a second`),
      `cores shared: two threads of C that share nothing took ${OWN_CORES} times as long as at best, or longer`,
      `far: C's message took more than ${NEAR_NS} ns there and back`,
    ],
  };
}

/** A row for each race and one of C's messages, of the samples that are `wanted`; undefined where they are too few. */
function rowsOf(taken, wanted, native, suffix) {
  const kept = taken.map((samples) => samples.filter(wanted));
  if (kept.some((samples) => samples.length < FEWEST)) return undefined;
  const rows = kept.map((samples, n) =>
    rowOf(
      `${RACES[n].name} (${RACES[n].id})${suffix}`,
      samples.map(({ ns }) => ns),
    ),
  );
  const messages = kept.flat().flatMap(({ looks }) => looks.map(({ message }) => message));
  return native ? [...rows, rowOf(`C, a mailbox there and back${suffix}`, messages)] : rows;
}

function millions(nanoseconds) {
  return (1000 / nanoseconds).toFixed(2);
}

function roundTrip(messageNs) {
  const name = `a round trip of ${ROUND_TRIP_NS} ns, or of C's where that is longer`;
  return { name, nanoseconds: Math.max(ROUND_TRIP_NS, messageNs) };
}

/** Nanoseconds of the same sums in two threads at a time, in C. */
function sums(native, call) {
  call[3] = SUMS;
  const began = performance.now();
  if (native.sums() === 0) throw new Error('two threads of C do not add up');
  return (performance.now() - began) * 1e6;
}

/** Nanoseconds of a shootdown's message and its answer, by two threads in C. */
function mailbox(native, call) {
  call[3] = MESSAGES;
  const began = performance.now();
  native.mailbox();
  return ((performance.now() - began) * 1e6) / MESSAGES;
}

/** The same races, with accesses judged and stores noted, and without. */
async function ghosts(options, raceMs) {
  const rows = [];
  const notes = [];
  for (const { name, scenario, id } of RACES.slice(0, 3)) {
    const program = await programOf(scenario, id);
    const [noted, blind] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      const settings = { seed: options.seed + round, workers: 2 };
      noted.push(await pace(program, raceMs, settings));
      blind.push(await pace(program, raceMs, { ...settings, blind: true }));
    }
    const [one, other] = [rowOf(`${name} (${id})`, noted), rowOf(`${name} (${id}), without`, blind)];
    rows.push(one, other);
    const cost = one.nanoseconds - other.nanoseconds;
    const part = (100 * cost) / other.nanoseconds;
    notes.push(`${name}: ${cost.toFixed(0)} ns an execution, ${part.toFixed(0)} % of what it takes without`);
  }
  return {
    title: 'what the ghost state of a race costs: user accesses judged and stores noted, or not',
    parameters: `release build, two threads, races of ${raceMs} ms, seed ${options.seed}`,
    baseline: rows[0].name,
    rows,
    verdicts: [],
    notes,
  };
}

/** Two races of one thread each, side by side, against one alone. */
async function disjoint(options, raceMs) {
  const program = await programOf('message-passing', 'MP-sc');
  const one = [];
  const two = [];
  for (let round = 0; round < ROUNDS; round++) {
    const settings = { seed: options.seed + round, workers: 1 };
    one.push(await pace(program, raceMs, settings));
    const both = await Promise.all([pace(program, raceMs, settings), pace(program, raceMs, settings)]);
    two.push(1 / both.reduce((sum, each) => sum + 1 / each, 0));
  }
  const rows = [rowOf('one thread', one), rowOf('two threads, a race each', two)];
  const ratio = rows[0].nanoseconds / rows[1].nanoseconds;
  return {
    title: 'executions of races that share nothing',
    parameters: `races of ${raceMs} ms, both CPUs in one thread, seed ${options.seed}`,
    baseline: rows[0].name,
    rows,
    verdicts: [
      {
        text: `one thread against two (they do ×${ratio.toFixed(2)})`,
        ratio: 1 / ratio,
        atMost: 1 / DISJOINT,
        ok: ratio >= DISJOINT,
      },
    ],
  };
}

async function firstOutcome(options) {
  const samples = [];
  const alone = [];
  for (let round = 0; round < ROUNDS; round++) {
    samples.push(await firstByte(stressArguments(options.seed)));
    alone.push(await firstByte(['-e', 'console.log(0)']));
  }
  const rows = [rowOf('pagewalk stress', samples), rowOf('Node, one line', alone)];
  return {
    title: 'from the command to its first outcome',
    parameters: `one variant, budget 20 ms, not explored`,
    baseline: rows[0].name,
    rows,
    unit: 'ms',
    verdicts: [verdictOf(rows[0], FIRST_OUTCOME_MS, 'ms')],
  };
}

function stressArguments(seed) {
  const cli = fileURLToPath(new URL('../build/cli.js', import.meta.url));
  const set = ['--set', 'memory=sc'];
  return [cli, 'stress', 'message-passing', ...set, '--budget', '20ms', '--no-explore', '--seed', String(seed)];
}

/** Milliseconds until Node has printed something. */
function firstByte(args) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let first;
    child.stdout.once('data', () => {
      first = performance.now() - began;
    });
    child.on('error', reject);
    child.on('exit', () =>
      first === undefined ? reject(new Error(`${args.join(' ')}: nothing was printed`)) : resolve(first),
    );
  });
}

/** Every violation that a file of the catalogue expects, which is what the explorer proves: how often each build shows it. */
async function caught(options) {
  const notes = [];
  const missed = [];
  const seen = { release: 0, chaos: 0, either: 0 };
  let proved = 0;
  for (const { name, scenario } of await catalogue()) {
    for (const { id, variant } of variantsOf(scenario)) {
      const program = await compile(scenario, variant);
      const wanted = violable(scenario, variant, program);
      if (wanted.length === 0) continue;
      const found = { release: tally(), chaos: tally() };
      for (const build of ['release', 'chaos']) await count(found[build], program, build, options.seed);
      const isOpen = () => wanted.some((each) => !found.release.times.has(each) && !found.chaos.times.has(each));
      for (const [n, { build, ms }] of SEARCHES.entries()) {
        if (isOpen()) await count(found[build], program, build, options.seed + 1 + n, { wanted, ms });
      }
      for (const invariant of wanted) {
        proved++;
        const [release, chaos] = [found.release, found.chaos].map(({ times }) => times.get(invariant) ?? 0);
        if (release > 0) seen.release++;
        if (chaos > 0) seen.chaos++;
        const head = `${name} ${id ?? ''} ${variant.machine} ${variant.shootdown}  ${invariant}`;
        if (release + chaos > 0) {
          seen.either++;
          notes.push(`${head}: ${rateOf(release, found.release)} | ${rateOf(chaos, found.chaos)}`);
        } else missed.push(`${head}: ${whyMissed(program, found)}`);
      }
    }
  }
  const row = (text, key) => rowOf(`caught by ${text}, of 100`, [(100 * seen[key]) / proved]);
  const rows = [row('the release build', 'release'), row('the chaos build', 'chaos'), row('either', 'either')];
  return {
    title: 'violations that are proved, and how often threads show them: release | chaos',
    parameters:
      `races of ${COUNT_MS} ms in each build, then for what was not seen up to ` +
      `${SEARCHES.map(({ build, ms }) => `${ms} ms in ${build}`).join(', ')}; ` +
      `two threads in release, one for each CPU in chaos; seed ${options.seed}`,
    baseline: rows[0].name,
    rows,
    unit: '%',
    verdicts: [],
    notes: [...notes, '', `not caught, ${missed.length} of ${proved}:`, ...missed.map((each) => `  ${each}`)],
  };
}

/**
 * Invariants that the file expects to be violated, of those that the program of the variant has: a file says it of all variants of a name. Of an
 * outcome that there is not (exists), nothing can be seen.
 */
function violable(scenario, variant, program) {
  const has = new Set(invariantsOf(program).map(({ name }) => name));
  return expectationsOf(scenario, variant)
    .filter(({ invariant, verdict }) => verdict === 'violated' && has.has(invariant))
    .map(({ invariant }) => invariant);
}

function tally() {
  return { times: new Map(), executions: 0 };
}

/** Races once, and adds up; with `wanted`, until all of these were seen in this race. */
async function count(found, program, build, seed, { wanted, ms = COUNT_MS } = {}) {
  const controller = new AbortController();
  const left = new Set(wanted);
  const onForbidden = ({ violated }) => {
    for (const each of violated) left.delete(each);
    if (wanted !== undefined && left.size === 0) controller.abort();
  };
  const race = await stress(program, {
    ...threadsFor(program, build),
    budgetMs: ms,
    build,
    seed,
    onForbidden,
    signal: controller.signal,
  });
  found.executions += race.executions;
  for (const { violated, count: times } of race.outcomes) {
    for (const each of violated) found.times.set(each, (found.times.get(each) ?? 0) + times);
  }
}

/** Two threads, or one for each CPU: in the chaos build, and for whole functions of the core, of which a thread runs one at a time. */
function threadsFor(program, build) {
  const workers = build === 'chaos' || hasCalls(program) ? program.cpus.length : 2;
  return { workers, processors: availableParallelism(), spawn: workers > bound.length ? free.spawn : spawnRacer };
}

function rateOf(times, { executions }) {
  return times === 0 ? `none of ${executions}` : `${((times / executions) * 1e6).toPrecision(3)} per million`;
}

/** What stands in the way of threads, as far as the program says. */
function whyMissed({ world, cpus }, { release, chaos }) {
  const choices = (world.hardware ?? []).length;
  const reasons = [
    ...(cpus.length > availableParallelism() ? [`${cpus.length} CPUs share ${availableParallelism()} processors`] : []),
    ...(choices > 0 ? ['the TLB has to evict or fill unasked at one place'] : []),
    ...(world.invalidation === 'posted' ? ['an invalidation that nobody waits for has to stay out for the rest'] : []),
  ];
  const why =
    reasons.length > 0 ? reasons.join('; ') : 'nothing in the program stands in the way, and the window was not hit';
  return `none of ${release.executions + chaos.executions}; ${why}`;
}

/** Every variant of which nothing is expected to be violated. */
async function neverFailing(options) {
  const failed = [];
  let variants = 0;
  let executions = 0;
  for (const { name, scenario } of await catalogue()) {
    for (const { id, variant } of variantsOf(scenario)) {
      const program = await compile(scenario, variant);
      if (violable(scenario, variant, program).length > 0) continue;
      variants++;
      for (const build of ['release', 'chaos']) {
        const race = await stress(program, {
          ...threadsFor(program, build),
          budgetMs: RIGHT_MS,
          build,
          seed: options.seed,
        });
        executions += race.executions;
        const forbidden = race.outcomes.filter(({ grade }) => grade === 'forbidden').map(({ text }) => text);
        for (const each of [...forbidden, ...race.deaths]) failed.push(`${name} ${id ?? ''} ${build}: ${each}`);
      }
    }
  }
  const row = rowOf('executions', [executions / 1e6]);
  return {
    title: 'variants that are right, raced',
    parameters: `${variants} variants, ${RIGHT_MS} ms in each build, threads as above, seed ${options.seed}`,
    baseline: row.name,
    rows: [row],
    unit: 'million',
    verdicts: [
      { text: 'outcomes that are forbidden', ratio: failed.length, atMost: 0, ok: failed.length === 0, unit: '' },
    ],
    notes: failed,
  };
}

function rowOf(name, samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.round((sorted.length - 1) * part)];
  return { name, best: false, nanoseconds: at(0.5), low: at(0.25), high: at(0.75), samples: samples.length };
}

function verdictOf(row, atMost, unit = 'ns') {
  return { text: row.name, ratio: row.nanoseconds, atMost, ok: row.nanoseconds <= atMost, unit: `${unit} ` };
}
