// Question: how many executions of a race does a second hold, on real threads? ×1.00: store buffering, two CPUs without a shootdown.
//
// Each sample is a race of its own, with new threads; rows take turns. Then: what a second processor brings on work that shares nothing; how long
// it takes from the command to its first outcome; and how often each violation that the explorer proves is caught, in the release and
// in the chaos build.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { catalogue, compile, expectationsOf, racerOf, stress, variantsOf } from '../build/index.js';

const ROUNDS = 7;
const RACES = [
  { name: 'store buffering', scenario: 'store-buffering', id: 'SB-sc', atMost: 200 },
  { name: 'message passing', scenario: 'message-passing', id: 'MP-sc', atMost: 200 },
  { name: 'store against clean, with its shootdown', scenario: 'clean-against-writer', id: 'B0', atMost: 1000 },
  { name: 'the largest of four CPUs', scenario: 'cow-copy-against-wrprotect', id: 'I0', atMost: 5000 },
];
const DISJOINT = 1.8;
const FIRST_OUTCOME_MS = 300;

const spawnRacer = () => racerOf(new Worker(new URL('../build/worker.js', import.meta.url)));

export const stressing = {
  name: 'stress',
  leafMib: 1,
  async *tables(_machine, options) {
    const raceMs = options.quick ? 100 : 400;
    yield await executions(options, raceMs);
    if (availableParallelism() > 1) yield await disjoint(options, raceMs);
    yield await firstOutcome(options);
    if (!options.quick) yield* await caught(options);
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

async function executions(options, raceMs) {
  const programs = [];
  for (const race of RACES) programs.push(await programOf(race.scenario, race.id));
  const samples = RACES.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [n, program] of programs.entries()) {
      samples[n].push(await pace(program, raceMs, { seed: options.seed + round, workers: 2 }));
    }
  }
  const rows = RACES.map(({ name, id }, n) => rowOf(`${name} (${id})`, samples[n]));
  return {
    title: 'executions of a race, release build, two threads',
    parameters: `races of ${raceMs} ms, seed ${options.seed}`,
    baseline: rows[0].name,
    rows,
    verdicts: RACES.map(({ atMost }, n) => verdictOf(rows[n], atMost)),
    notes: rows.map(({ name, nanoseconds }) => `${name}: ${(1000 / nanoseconds).toFixed(2)} million a second`),
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
  for (let round = 0; round < ROUNDS; round++) samples.push(await firstByte(options.seed));
  const rows = [rowOf('pagewalk stress', samples)];
  return {
    title: 'from the command to its first outcome',
    parameters: `one variant, budget 20 ms, not explored`,
    baseline: rows[0].name,
    rows,
    unit: 'ms',
    verdicts: [verdictOf(rows[0], FIRST_OUTCOME_MS, 'ms')],
  };
}

function firstByte(seed) {
  const cli = fileURLToPath(new URL('../build/cli.js', import.meta.url));
  const set = ['--set', 'memory=sc'];
  const args = [cli, 'stress', 'message-passing', ...set, '--budget', '20ms', '--no-explore', '--seed', String(seed)];
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let first;
    child.stdout.once('data', () => {
      first = performance.now() - began;
    });
    child.on('error', reject);
    child.on('exit', () => (first === undefined ? reject(new Error('stress printed nothing')) : resolve(first)));
  });
}

/** Every violation that a file of the catalogue expects, which is what the explorer proves: how often each build shows it. */
async function* caught(options) {
  const raceMs = 200;
  const notes = [];
  let proved = 0;
  const seen = { release: 0, chaos: 0 };
  for (const { name, scenario } of await catalogue()) {
    for (const { id, variant } of variantsOf(scenario)) {
      const violable = expectationsOf(scenario, variant).filter(({ verdict }) => verdict === 'violated');
      if (violable.length === 0) continue;
      const program = await compile(scenario, variant);
      const rates = [];
      for (const build of ['release', 'chaos']) {
        const race = await stress(program, { spawn: spawnRacer, budgetMs: raceMs, build, seed: options.seed });
        rates.push({ build, race });
      }
      for (const { invariant } of violable) {
        proved++;
        const columns = rates.map(({ build, race }) => {
          const times = race.outcomes.reduce(
            (sum, { violated, count }) => sum + (violated.includes(invariant) ? count : 0),
            0,
          );
          if (times > 0) seen[build]++;
          return times === 0
            ? `none of ${race.executions}`
            : `${((times / race.executions) * 1e6).toPrecision(3)} per million`;
        });
        notes.push(`${name} ${id ?? ''} ${variant.machine} ${variant.shootdown}  ${invariant}: ${columns.join(' | ')}`);
      }
    }
  }
  yield {
    title: 'violations that are proved, and how often threads show them: release | chaos',
    parameters: `races of ${raceMs} ms, two threads, seed ${options.seed}`,
    baseline: 'caught by the release build, of 100',
    rows: ['release', 'chaos'].map((build) =>
      rowOf(`caught by the ${build} build, of 100`, [(100 * seen[build]) / proved]),
    ),
    unit: '%',
    verdicts: [],
    notes,
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
