// A user thread on a worker: stores counters to words of its own on every page and loads all words, its faults handled, until it is told to stop.
//
// Every word says whose it is, so a load that finds anything else has read a frame that was freed, or another page. What is checked beyond that:
//   exact   its own word is what it stored last; another's is at least what that one had stored before the load began
//   small   the same for its own word, with the values 0 and 1 only, so that pages become alike; another's is one of the two
//   zapped  any word is 0, or was stored after the last time that the pages were taken out
import { parentPort, workerData } from 'node:worker_threads';

const { module, memory, layout, cpu, va, pages, users, id, seed, chaos, mode, notes } = workerData;
const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
const agent = core.attach(true);
if (chaos) core.tuneChaos(seed, 3, 2000);
const reply = (layout.AGENTS + agent * layout.AGENT_BYTES + layout.AGENT_REPLY) / 8;
const words = new BigUint64Array(memory.buffer);
const [STOP, EPOCH, READY, FAILED] = [0, 1, 2, 3];
const field = (n) => 16 + n * users * pages;
const [COMPLETED, WROTE, FLOOR] = [field(0), field(1), field(2)];

let state = seed >>> 0;
const random = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const tag = (user, page) => BigInt(user * 64 + page + 1) << 40n;
const errors = [];
const counts = { stores: 0, loads: 0, refused: 0 };
const last = new BigUint64Array(pages);
const counters = new Int32Array(pages);

function complain(text) {
  Atomics.store(notes, FAILED, 1);
  if (errors.length < 5) errors.push(`user ${id}, seed ${seed}: ${text}`);
}

function store(page) {
  const epoch = Atomics.load(notes, EPOCH);
  const counter = counters[page] + 1;
  const value = mode === 'small' ? BigInt(random(2)) : tag(id, page) | BigInt(counter);
  const status = core.handledStore(cpu, va + BigInt(page * 4096 + id * 8), value);
  if (status !== layout.DONE) {
    counts.refused++;
    return status;
  }
  counts.stores++;
  counters[page] = counter;
  last[page] = value;
  Atomics.store(notes, COMPLETED + id * pages + page, counter);
  Atomics.store(notes, WROTE + id * pages + page, epoch);
  return status;
}

function load(page, user) {
  const at = user * pages + page;
  const least = Atomics.load(notes, (mode === 'zapped' ? FLOOR : COMPLETED) + at);
  const status = core.handledLoad(cpu, va + BigInt(page * 4096 + user * 8));
  if (status !== layout.DONE) {
    counts.refused++;
    return status;
  }
  counts.loads++;
  const value = words[reply];
  const mine = value >> 40n === tag(user, page) >> 40n;
  const counter = Number(value & 0xffffffffn);
  const good =
    mode === 'zapped'
      ? value === 0n || (mine && counter > least)
      : user === id
        ? value === last[page]
        : mode === 'small'
          ? value < 2n
          : mine
            ? counter >= least
            : value === 0n && least === 0;
  if (!good) {
    const own = last[page].toString(16);
    complain(`page ${page}, word ${user} is 0x${value.toString(16)}, least ${least}, own 0x${own}`);
  }
  return status;
}

Atomics.add(notes, READY, 1);
core.enterUser(cpu);
// At least one store: the other thread may have complained, and so have ended the run, before this one was let on a processor.
for (let n = 0; n === 0 || Atomics.load(notes, STOP) === 0; n++) {
  // Out of user mode now and then, where nobody waits for it.
  if (n % 64 === 0) {
    core.leaveUser(cpu);
    core.enterUser(cpu);
  }
  const page = random(pages);
  const status = n === 0 || random(3) > 0 ? store(page) : load(page, random(users));
  if (status === layout.SIGNAL_MAPERR || status === layout.SIGNAL_BUS) complain(`signal ${status}`);
}
core.leaveUser(cpu);
core.detach(agent);
parentPort.postMessage({ errors, counts });
