// Question: does racing for long leave memory behind? Races of one variant after the other, with rising and falling numbers of threads, and every
// half minute what the process holds: resident memory, the heap, buffers, and threads.
//
//   node bench/soak.mjs [minutes, default 10] [seed, default 1]
//
// Prints a line for each half minute, and at the end the medians of the first and the last third. Exit code 1 if a race violated what its
// scenario expects to hold, or a thread died.

import { Worker } from 'node:worker_threads';
import { catalogue, compile, expectationsOf, racerOf, stress, variantsOf } from '../build/index.js';

const EVERY_MS = 30_000;
const MIB = 2 ** 20;

const minutes = numberArgument(2, 10);
const seed = numberArgument(3, 1);
let threads = 0;
const spawnRacer = () => {
  const worker = new Worker(new URL('../build/worker.js', import.meta.url));
  threads++;
  worker.on('exit', () => threads--);
  return racerOf(worker);
};

const jobs = [];
for (const { scenario } of await catalogue()) {
  for (const { id, variant } of variantsOf(scenario)) {
    const violated = expectationsOf(scenario, variant).filter(({ verdict }) => verdict === 'violated');
    jobs.push({ id, program: await compile(scenario, variant), mayFail: violated.length > 0 });
  }
}

const began = performance.now();
const samples = [];
let executions = 0;
let races = 0;
let surprises = 0;
console.log('minutes  races  executions  resident MiB  heap MiB  buffers MiB  threads');
while (performance.now() - began < minutes * 60_000) {
  const job = jobs[(races * 7 + seed) % jobs.length];
  // 1 2 3 4 3 2 1 2 …
  const workers = 1 + Math.abs(((races + 3) % 6) - 3);
  const build = races % 2 === 0 ? 'release' : 'chaos';
  const result = await stress(job.program, { spawn: spawnRacer, workers, build, budgetMs: 150, seed: seed + races });
  const failed = result.outcomes.some(({ violated, hang }) => violated.length > 0 || hang);
  if (result.deaths.length > 0 || (failed && !job.mayFail)) {
    surprises++;
    console.log(`surprise: ${job.program.name} ${job.id}: ${[...result.deaths, ...result.hangs].join('; ')}`);
    for (const { text, count } of result.outcomes) console.log(`  ${count}  ${text}`);
  }
  races++;
  executions += result.executions;
  if (performance.now() - began >= samples.length * EVERY_MS) sample();
}
sample();
const third = Math.max(1, Math.floor(samples.length / 3));
const [first, last] = [samples.slice(0, third), samples.slice(-third)].map(medians);
console.log(`medians, first third: ${line(first)}; last third: ${line(last)}; threads left: ${threads}`);
process.exitCode = surprises > 0 ? 1 : 0;

function sample() {
  const { rss, heapUsed, arrayBuffers, external } = process.memoryUsage();
  const one = { rss: rss / MIB, heap: heapUsed / MIB, buffers: (arrayBuffers + external) / MIB };
  samples.push(one);
  const at = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(
    `${at.padStart(7)}  ${String(races).padStart(5)}  ${String(executions).padStart(10)}  ${one.rss.toFixed(0).padStart(12)}  ${one.heap.toFixed(0).padStart(8)}  ${one.buffers.toFixed(0).padStart(11)}  ${String(threads).padStart(7)}`,
  );
}

function medians(list) {
  const of = (key) => list.map((each) => each[key]).toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
  return { rss: of('rss'), heap: of('heap'), buffers: of('buffers') };
}

function line({ rss, heap, buffers }) {
  return `${rss.toFixed(0)} MiB resident, ${heap.toFixed(0)} MiB heap, ${buffers.toFixed(0)} MiB buffers`;
}

function numberArgument(n, usual) {
  const text = process.argv[n] ?? String(usual);
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`${n === 2 ? 'minutes' : 'seed'} must be a number above 0, got ${text}`);
}
