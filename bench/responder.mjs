// The other thread of the section `workers`: waits for a command in a word of the shared memory, and carries it out.

import { workerData } from 'node:worker_threads';
import { CYCLES, NONE, PARKED, QUIT, RUNNING, USER, WORD } from './commands.mjs';

const { bytes, memory, at, layout } = workerData;
const core = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports;
const agent = core.attach(true);
if (agent < 0) throw new Error('no agent is free');
const words = new Int32Array(memory.buffer, at, WORD.last);
const view = new DataView(memory.buffer);

for (;;) {
  Atomics.store(words, WORD.state, PARKED);
  Atomics.notify(words, WORD.state);
  Atomics.wait(words, WORD.command, NONE);
  const command = Atomics.load(words, WORD.command);
  if (command === QUIT) break;
  if (command === USER) runUser();
  if (command === CYCLES) runCycles();
}
core.detach(agent);

/** Stores in user mode until it is told to stop; answers in between two stores. */
function runUser() {
  const cpu = words[WORD.cpu];
  const va = view.getBigUint64(at + 4 * WORD.va, true);
  core.enterUser(cpu);
  core.userStore(cpu, va, 0n);
  Atomics.store(words, WORD.state, RUNNING);
  while (Atomics.load(words, WORD.command) === USER) core.userStores(cpu, va, 0n, 64);
  core.leaveUser(cpu);
}

/** Writes to the pages of a range as hardware does, then cleans and records them, so many times. */
function runCycles() {
  const [space, input, output, pages, scan, cycles] = words.subarray(WORD.range, WORD.range + 6);
  for (let n = 0; n < cycles; n++) {
    core.translateBatch(space, input, output, pages, layout.ACCESS_WRITE | layout.ACCESS_TOUCH);
    core.cleanRange(space, scan);
  }
  Atomics.store(words, WORD.command, NONE);
}
