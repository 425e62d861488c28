// Timing: all rows of a table take turns, round by round, so that a slow moment of the machine hits them alike.
//
// Guarantees: every row is warm before the first round (V8 swaps in optimised code between calls, never within one); the
// order of the rows rotates; a sample lasts long enough for the clock; what a row needs set up before a call is outside the
// timed part. The statistics are tinybench's, over the samples that were taken here (`overriddenDuration`).

import { Bench } from 'tinybench';

/** A sample below this is repeated within one measurement, in ms. */
const SAMPLE_MS = 0.4;
const WARM_CALLS = 150;

/**
 * @typedef {{ name: string, count: number, run: () => unknown, before?: () => void, best?: boolean }} Row
 *   `run` does `count` translations; `before` is not timed.
 * @typedef {{ name: string, best: boolean, nanoseconds: number, low: number, high: number, samples: number }} Measured
 *   median, and the quartiles around it, per translation
 */

/**
 * @param {Row[]} rows
 * @param {{ budgetMs: number, warm?: (row: Row) => void }} options
 * @returns {Promise<Measured[]>}
 */
export async function measure(rows, { budgetMs }) {
  const repeats = rows.map((row) => warm(row));
  const once = rows.reduce((sum, row, n) => sum + timed(row, repeats[n]), 0);
  const rounds = Math.max(5, Math.min(301, Math.floor(budgetMs / once)));
  const samples = rows.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < rows.length; k++) {
      const n = (k + round) % rows.length;
      samples[n].push(timed(rows[n], repeats[n]) / repeats[n]);
    }
  }
  const statistics = await statisticsOf(rows, samples);
  return rows.map((row, n) => {
    const sorted = samples[n].toSorted((a, b) => a - b);
    const scale = 1e6 / row.count;
    return {
      name: row.name,
      best: row.best === true,
      nanoseconds: statistics[n].p50 * scale,
      low: sorted[Math.floor((rounds - 1) / 4)] * scale,
      high: sorted[Math.ceil(((rounds - 1) * 3) / 4)] * scale,
      samples: rounds,
    };
  });
}

/** Milliseconds of `repeats` calls, without what comes before each. */
function timed(row, repeats) {
  if (row.before === undefined) {
    const start = performance.now();
    for (let n = 0; n < repeats; n++) row.run();
    return performance.now() - start;
  }
  let sum = 0;
  for (let n = 0; n < repeats; n++) {
    row.before();
    const start = performance.now();
    row.run();
    sum += performance.now() - start;
  }
  return sum;
}

/** Calls a row until it is optimised; returns how many calls make a sample. */
function warm(row) {
  const started = performance.now();
  let last = 0;
  for (let call = 0; call < WARM_CALLS && performance.now() - started < 400; call++) last = timed(row, 1);
  last = Math.min(last, timed(row, 1));
  return Math.max(1, Math.ceil(SAMPLE_MS / Math.max(last, 1e-4)));
}

async function statisticsOf(rows, samples) {
  const bench = new Bench({ time: 0, warmup: false, iterations: samples[0].length });
  rows.forEach((row, n) => {
    let next = 0;
    bench.add(row.name, () => ({ overriddenDuration: samples[n][next++] }));
  });
  await bench.run();
  return bench.tasks.map((task) => task.result.latency);
}

/** Numbers in [0, 1) from a seed (mulberry32, Tommy Ettinger 2017, public domain), 53 bits of two draws. */
export function generator(seed) {
  let state = seed >>> 0;
  const draw = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return () => (draw() * 0x200000 + (draw() >>> 11)) / 0x20000000000000;
}
