// Waiting for a word that another agent changes, and choices of the environment, in all three builds.
//
// Guarantees: who waits goes on when the word has changed, not before, and no wake-up is lost however short the waiter spins; choices
// repeat with their seed, and without one nothing happens; the explore build waits and chooses at points of their own.

import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { control, layout, makeRig } from '../support/core.ts';
import { interleave, makeExploreRig } from '../support/stepper.ts';

const { POINT_CHANGE, POINT_CHANGE_WIDE, POINT_STORE } = layout;

/** Answers every number in the first word with the same in the second, until it is 0. The numbers it saw must ascend. */
const ECHO = `
  const { workerData: { module, memory, word, wide, seed }, parentPort } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  core.attach(true);
  if (seed) core.tuneChaos(seed, 2, 3000);
  let seen = wide ? 1n : 1;
  let skipped = 0;
  for (;;) {
    const now = wide ? core.awaitChangeWide(word, seen) : core.awaitChange(word, seen) >>> 0;
    if (now === (wide ? 0n : 0)) break;
    if (now !== seen + (wide ? 1n : 1)) skipped++;
    seen = now;
    if (wide) core.storeAndWakeWide(word + 64, now);
    else core.storeAndWake(word + 64, now);
  }
  parentPort.postMessage(skipped);
`;

describe.each(['release', 'chaos'] as const)('%s build', (build) => {
  test.each([
    ['u32', false],
    ['u64', true],
  ])('two threads pass a %s to and fro, also when one sleeps meanwhile', { timeout: 60_000 }, async (_, wide) => {
    const { core, module, memory } = await makeRig({ frames: 1, build });
    const word = core.heapAllocate(128) >>> 0;
    const put = (at: number, value: number) =>
      wide ? core.storeAndWakeWide(at, BigInt(value)) : core.storeAndWake(at, value);
    const get = (at: number, seen: number) =>
      wide ? Number(core.awaitChangeWide(at, BigInt(seen))) : core.awaitChange(at, seen) >>> 0;
    put(word, 1);
    put(word + 64, 1);
    const workerData = { module, memory, word, wide, seed: build === 'chaos' ? 17 : 0 };
    const worker = new Worker(ECHO, { eval: true, workerData });
    const skipped = new Promise((resolve) => worker.once('message', resolve));
    let slept = 0;
    for (let n = 2; n < 600; n++) {
      // Every so often long enough for the other side to fall asleep.
      if (n % 20 === 0) {
        for (const end = performance.now() + 200; performance.now() < end && asleep() === 0; );
        if (asleep() > 0) slept++;
      }
      put(word, n);
      expect(get(word + 64, n - 1)).toBe(n);
    }
    put(word, 0);
    expect(await skipped).toBe(0);
    expect(slept).toBeGreaterThan(0);
    expect(asleep()).toBe(0);

    function asleep(): number {
      const counts = { u32: new Uint32Array(memory.buffer) };
      let all = 0;
      for (let n = 0; n < 16; n++) all += Atomics.load(counts.u32, layout.CONTROL_ASLEEP / 4 + n);
      return all;
    }
  });

  test('choices repeat with their seed, and without one nothing happens', async () => {
    const { core } = await makeRig({ frames: 1, build });
    const draw = (n: number) => Array.from({ length: 200 }, () => core.choose(n));
    expect(new Set(draw(4))).toEqual(new Set([0]));
    core.seedChoices(7);
    const first = draw(4);
    expect(new Set(first)).toEqual(new Set([0, 1, 2, 3]));
    core.seedChoices(7);
    expect(draw(4)).toEqual(first);
    core.seedChoices(8);
    expect(draw(4)).not.toEqual(first);
  });
});

describe('explore build', () => {
  test('who waits is not runnable until the word is something else', async () => {
    const rig = await makeExploreRig({ frames: 1 });
    const word = rig.core.heapAllocate(64) >>> 0;
    rig.u32[word / 4] = 5;
    const waiter = rig.cpu((core) => core.awaitChange(word, 5));
    expect(waiter.pending).toEqual({ address: word, kind: POINT_CHANGE });
    expect(waiter.runnable).toBe(false);
    rig.u32[word / 4 + 1] = 1;
    expect(waiter.runnable).toBe(false);
    rig.u32[word / 4] = 6;
    expect(waiter.runnable).toBe(true);
    waiter.step();
    expect(waiter.results).toEqual([6]);
  });

  test('a word that changed between the look and the wait is no reason to wait, and of a u64 both halves count', async () => {
    const rig = await makeExploreRig({ frames: 1 });
    const word = rig.core.heapAllocate(64) >>> 0;
    rig.u64[word / 8] = 5n;
    const late = rig.cpu((core) => core.awaitChangeWide(word, 4n));
    expect(late.runnable).toBe(true);
    const waiter = rig.cpu((core) => core.awaitChangeWide(word, 5n));
    expect(waiter.pending).toEqual({ address: word, kind: POINT_CHANGE_WIDE });
    expect(waiter.runnable).toBe(false);
    rig.u32[word / 4 + 1] = 1;
    expect(waiter.runnable).toBe(true);
  });

  test('two that wait for each other are a deadlock, and with one store too little as well', async () => {
    const rig = await makeExploreRig({ frames: 1 });
    const word = rig.core.heapAllocate(128) >>> 0;
    const make = (stores: boolean) => () => {
      rig.u32[word / 4] = rig.u32[word / 4 + 16] = 0;
      return [
        rig.cpu(
          (core) => core.awaitChange(word, 0),
          (core) => core.storeAndWake(word + 64, 1) as undefined,
        ),
        stores
          ? rig.cpu(
              (core) => core.storeAndWake(word, 1) as undefined,
              (core) => core.awaitChange(word + 64, 0),
            )
          : rig.cpu((core) => core.awaitChange(word + 64, 0)),
      ];
    };
    expect(() => interleave(make(false), () => {})).toThrow(/deadlock/);
    // The first can run only after the store; then the second either waits already or comes later: 1 0 0 1, or with its look between.
    const schedules: string[] = [];
    interleave(make(true), (_, schedule) => schedules.push(schedule));
    expect(schedules).toEqual(['1001']);
  });

  test('every alternative of a choice is taken, and a choice is no time for others to run', async () => {
    const rig = await makeExploreRig({ frames: 1 });
    const word = rig.core.heapAllocate(64) >>> 0;
    const seen: string[] = [];
    const count = interleave(
      () => [rig.cpu((core) => core.choose(3)), rig.cpu((core) => core.storeAndWake(word, 1) as undefined)],
      ([chooser], schedule) => seen.push(`${schedule}=${chooser?.results[0]}`),
    );
    expect(count).toBe(3);
    expect(seen).toEqual(['01=0', '0b1=1', '0c1=2']);
  });

  test('a wake-up is no point', async () => {
    const rig = await makeExploreRig({ frames: 1 });
    const word = rig.core.heapAllocate(64) >>> 0;
    const points = rig.cpu((core) => core.storeAndWake(word, 1) as undefined).finish();
    expect(points).toEqual([{ address: word, kind: POINT_STORE }]);
    expect(control(rig, layout.CONTROL_ASLEEP)).toBe(0);
  });
});
