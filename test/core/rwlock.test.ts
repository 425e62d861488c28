// The reader-writer lock: readers share, a writer is alone, nobody starves, a downgrade lets no writer in between.
//
// Guarantees: small programs run through every interleaving of the explore build; real threads run for long; a broken use of the lock
// is caught by the same check.

import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { layout, makeRig } from '../support/core.ts';
import { type Call, type ExploreRig, interleave, makeExploreRig } from '../support/stepper.ts';

interface Scene {
  rig: ExploreRig;
  lock: number;
  word: number;
}

async function makeScene(): Promise<Scene> {
  const rig = await makeExploreRig({ frames: 4 });
  const lock = rig.core.heapAllocate(64) >>> 0;
  const word = rig.core.heapAllocate(64) >>> 0;
  return { rig, lock, word };
}

function reset({ rig, lock, word }: Scene): void {
  rig.bytes.fill(0, lock, lock + layout.RWLOCK_BYTES);
  rig.bytes.fill(0, word, word + 8);
}

/** Every word of the lock is 0: nobody is inside, nobody waits, nobody is named. */
function expectFree({ rig, lock }: Scene): void {
  expect([...rig.bytes.slice(lock, lock + layout.RWLOCK_BYTES)]).toEqual(Array(layout.RWLOCK_BYTES).fill(0));
}

const set =
  (at: number, value: bigint): Call =>
  (core) => {
    core.setPte(at, value);
    return undefined;
  };
const get =
  (at: number): Call =>
  (core) =>
    core.ptepGet(at);

const write = ({ lock, word }: Scene, value: bigint): Call[] => [
  (core) => core.writeLock(lock) as undefined,
  set(word, value),
  get(word),
  (core) => core.writeUnlock(lock) as undefined,
];
const read = ({ lock, word }: Scene): Call[] => [
  (core) => core.readLock(lock) as undefined,
  get(word),
  get(word),
  (core) => core.readUnlock(lock) as undefined,
];

describe('every interleaving', () => {
  test('two writers: what one writes, the other does not overwrite before it is done', async () => {
    const scene = await makeScene();
    const runs = interleave(
      () => {
        reset(scene);
        return [scene.rig.cpu(...write(scene, 1n)), scene.rig.cpu(...write(scene, 2n))];
      },
      ([one, two], schedule) => {
        expect({ schedule, one: one?.results[2], two: two?.results[2] }).toEqual({ schedule, one: 1n, two: 2n });
        expectFree(scene);
      },
    );
    expect(runs).toBeGreaterThan(2);
  });

  test('a reader sees one value all the time it is inside, beside a writer and another reader', async () => {
    const scene = await makeScene();
    const sights = new Set<string>();
    interleave(
      () => {
        reset(scene);
        // Brute force knows no equal states: the writer and the second reader do no more than they must.
        const [enter, look, , leave] = read(scene) as [Call, Call, Call, Call];
        const writer = write(scene, 1n).filter((_, n) => n !== 2);
        return [scene.rig.cpu(...read(scene)), scene.rig.cpu(...writer), scene.rig.cpu(enter, look, leave)];
      },
      ([one, , two], schedule) => {
        expect({ schedule, again: one?.results[2] }).toEqual({ schedule, again: one?.results[1] });
        sights.add(`${one?.results[1]} ${two?.results[1]}`);
        expectFree(scene);
      },
    );
    // Each reader comes before the writer in some interleaving and after it in another, whatever the other reader does.
    expect([...sights].sort()).toEqual(['0 0', '0 1', '1 0', '1 1']);
  });

  test('two readers may be inside at once', async () => {
    const scene = await makeScene();
    let together = 0;
    interleave(
      () => {
        reset(scene);
        const inside: Call = (core) => {
          const readers = scene.rig.u32[scene.lock / 4] as number;
          if ((readers & 0x7f) === 2) together++;
          return core.ptepGet(scene.word);
        };
        const reader: Call[] = [
          (core) => core.readLock(scene.lock) as undefined,
          inside,
          (core) => core.readUnlock(scene.lock) as undefined,
        ];
        return [scene.rig.cpu(...reader), scene.rig.cpu(...reader)];
      },
      () => expectFree(scene),
    );
    expect(together).toBeGreaterThan(0);
  });

  test('a downgrade lets no other writer in between', async () => {
    const scene = await makeScene();
    const { lock, word } = scene;
    interleave(
      () => {
        reset(scene);
        const downgrader: Call[] = [
          (core) => core.writeLock(lock) as undefined,
          set(word, 1n),
          (core) => core.downgradeLock(lock) as undefined,
          get(word),
          (core) => core.readUnlock(lock) as undefined,
        ];
        return [scene.rig.cpu(...downgrader), scene.rig.cpu(...write(scene, 2n))];
      },
      ([one], schedule) => {
        expect({ schedule, kept: one?.results[3] }).toEqual({ schedule, kept: 1n });
        expectFree(scene);
      },
    );
  });

  test('the check barks: a writer that takes the lock as a reader is overwritten', async () => {
    const scene = await makeScene();
    let overwritten = 0;
    interleave(
      () => {
        reset(scene);
        const wrong = write(scene, 1n);
        wrong[0] = (core) => core.readLock(scene.lock) as undefined;
        wrong[3] = (core) => core.readUnlock(scene.lock) as undefined;
        const other = write(scene, 2n);
        other[0] = wrong[0];
        other[3] = wrong[3] as Call;
        return [scene.rig.cpu(...wrong), scene.rig.cpu(...other)];
      },
      ([one]) => {
        if (one?.results[2] !== 1n) overwritten++;
      },
    );
    expect(overwritten).toBeGreaterThan(0);
  });

  test('a reader that takes the lock again behind a waiting writer deadlocks, as in the kernel', async () => {
    const scene = await makeScene();
    const { lock } = scene;
    const run = () =>
      interleave(
        () => {
          reset(scene);
          const recursive: Call[] = [
            (core) => core.readLock(lock) as undefined,
            (core) => core.readLock(lock) as undefined,
            (core) => core.readUnlock(lock) as undefined,
            (core) => core.readUnlock(lock) as undefined,
          ];
          return [scene.rig.cpu(...recursive), scene.rig.cpu(...write(scene, 1n))];
        },
        () => undefined,
      );
    expect(run).toThrow(/deadlock/);
  });
});

const CREW = `
  const { workerData: { module, memory, lock, word, rounds, seed }, parentPort } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  core.attach(true);
  if (seed) core.tuneChaos(seed, 3, 200);
  const words = new Uint32Array(memory.buffer);
  const [a, b] = [word / 4, word / 4 + 8];
  let torn = 0, increments = 0, downgrades = 0;
  for (let n = 0; n < rounds; n++) {
    if (n % 4 !== 0) {
      core.readLock(lock);
      const first = words[a];
      if (words[b] !== first || words[a] !== first) torn++;
      core.readUnlock(lock);
      continue;
    }
    core.writeLock(lock);
    words[a]++;
    words[b]++;
    increments++;
    if (n % 8 !== 0) { core.writeUnlock(lock); continue; }
    const mine = words[a];
    core.downgradeLock(lock);
    downgrades++;
    if (words[a] !== mine) torn++;
    core.readUnlock(lock);
  }
  parentPort.postMessage({ torn, increments, downgrades });
`;

for (const build of ['release', 'chaos'] as const) {
  test(`${build}: plain increments of three threads under the lock are all there, and no reader sees half of one`, async () => {
    const { core, memory, module, u32, bytes } = await makeRig({ build });
    const lock = core.heapAllocate(64) >>> 0;
    const word = core.heapAllocate(128) >>> 0;
    bytes.fill(0, lock, lock + layout.RWLOCK_BYTES);
    bytes.fill(0, word, word + 128);
    const rounds = build === 'release' ? 40_000 : 4_000;
    const reports = await Promise.all(
      [1, 2, 3].map((n) => {
        const seed = build === 'chaos' ? n : 0;
        const workerData = { module, memory, lock, word, rounds, seed };
        const worker = new Worker(CREW, { eval: true, workerData });
        return new Promise<{ torn: number; increments: number; downgrades: number }>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    const total = reports.reduce((sum, { increments }) => sum + increments, 0);
    expect(reports.map(({ torn }) => torn)).toEqual([0, 0, 0]);
    expect(u32[word / 4]).toBe(total);
    expect([...bytes.slice(lock, lock + layout.RWLOCK_BYTES)]).toEqual(Array(layout.RWLOCK_BYTES).fill(0));
  });
}
