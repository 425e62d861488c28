// What a lock says of its holder, and what happens to the locks of a thread that dies.

import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { layout, makeRig } from '../support/core.ts';

test('a lock that a dead agent held is broken, and only that', async () => {
  const { core, u32, agent } = await makeRig();
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  const other = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  for (const each of [space, other]) core.setRegime(each, layout.CR_NXE, 0, 52);
  // The dead: agent 5 holds the lock of `space` and died while it waited for that of `other`, which somebody else holds.
  const dead = 5;
  const block = layout.AGENTS + dead * layout.AGENT_BYTES;
  u32[(block + layout.AGENT_TAKEN) / 4] = 1;
  u32[(block + layout.AGENT_LOCKS) / 4] = space + layout.SPACE_LOCK;
  u32[(block + layout.AGENT_LOCKS) / 4 + 1] = other + layout.SPACE_LOCK;
  u32[(space + layout.SPACE_LOCK) / 4] = dead + 1;
  u32[(other + layout.SPACE_LOCK) / 4] = agent + 2;

  expect(core.breakLocks(dead)).toBe(1);
  expect(core.detach(dead)).toBe(1);
  expect(u32[(space + layout.SPACE_LOCK) / 4]).toBe(0);
  expect(u32[(other + layout.SPACE_LOCK) / 4]).toBe(agent + 2);
  expect(core.map(space, 0x1000n, 0x1000n, 0x1000n, layout.PROT_READ, 0)).toBe(layout.STATUS_OK);
  expect(core.detach(dead)).toBe(0);
});

test('an agent that holds no lock lists none', async () => {
  const { core, u32, agent } = await makeRig();
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_NXE, 0, 52);
  core.map(space, 0x1000n, 0x1000n, 0x1000n, layout.PROT_READ, 0);
  core.unmap(space, 0x1000n, 0x1000n);
  const locks = (layout.AGENTS + agent * layout.AGENT_BYTES + layout.AGENT_LOCKS) / 4;
  expect([...u32.slice(locks, locks + layout.HELD_LOCKS)]).toEqual(Array(layout.HELD_LOCKS).fill(0));
});

const MAP_FOR_EVER = `
  const { workerData: { module, memory, space }, parentPort } = require('node:worker_threads');
  const core = new WebAssembly.Instance(module, { env: { memory } }).exports;
  parentPort.postMessage(core.attach(true));
  for (;;) {
    core.map(space, 0x200000n, 0x1000n, 0x100000n, 1, 0);
    core.unmap(space, 0x200000n, 0x100000n);
  }
`;

test('a thread that is terminated in the middle of a map hangs nobody', async () => {
  const { core, memory, module } = await makeRig();
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_NXE, 0, 52);
  let broken = 0;
  for (let round = 0; round < 12; round++) {
    const worker = new Worker(MAP_FOR_EVER, { eval: true, workerData: { module, memory, space } });
    const agent = await new Promise<number>((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await worker.terminate();
    broken += core.breakLocks(agent);
    expect(core.detach(agent)).toBe(1);
    expect(core.map(space, 0x40000000n, 0x1000n, 0x1000n, layout.PROT_READ, 0)).toBe(layout.STATUS_OK);
    expect(core.unmap(space, 0x40000000n, 0x1000n)).toBe(layout.STATUS_OK);
  }
  // Almost all of that thread's time is spent under the lock, so some of the twelve died there.
  expect(broken).toBeGreaterThan(0);
});
