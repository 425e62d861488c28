// The entry of every worker: an instance of the core over the shared memory, and one role to play.
import { parentPort, workerData } from 'node:worker_threads';
import { allocator, careless } from './allocator.mjs';
import { freeAtOnce, plainStore } from './broken.mjs';
import { scribbler, stray } from './hostile.mjs';
import { mapper } from './mapper.mjs';
import { plainRanger, ranger, writer } from './ranges.mjs';
import { walker } from './walker.mjs';

const ROLES = {
  mapper,
  walker,
  allocator,
  careless,
  'plain-store': plainStore,
  'free-at-once': freeAtOnce,
  ranger,
  'plain-ranger': plainRanger,
  writer,
  scribbler,
  stray,
};

const { module, memory, layout, part, world, notes, chaos } = workerData;
const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
const agent = core.attach(true);
if (chaos) core.tuneChaos(part.seed | 1, 4, 400);

// mulberry32
let state = part.seed | 0;
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
}

const errors = [];
const counts = {};
const stage = {
  core,
  layout,
  part,
  world,
  notes,
  random,
  u32: new Uint32Array(memory.buffer),
  u64: new BigUint64Array(memory.buffer),
  stopped: () => Atomics.load(notes, 0) !== 0,
  /** Somebody, anybody, reported an error. */
  failed: () => Atomics.load(notes, 1) !== 0,
  count: (what, n = 1) => {
    counts[what] = (counts[what] ?? 0) + n;
  },
  error: (text) => {
    Atomics.add(notes, 1, 1);
    if (errors.length < 5) errors.push(text);
  },
};

// All begin together: a mapper that is done before a walker came shows nothing.
if (Atomics.sub(notes, 2, 1) === 1) Atomics.notify(notes, 2);
for (let missing = Atomics.load(notes, 2); missing > 0; missing = Atomics.load(notes, 2))
  Atomics.wait(notes, 2, missing);

ROLES[part.role](stage);
core.detach(agent);
parentPort.postMessage({ role: part.role, seed: part.seed, errors, counts });
