// Grace periods: a table page that was unhooked stays as it is until no agent can be walking through it any more, and no longer.

import { expect, test } from 'vitest';
import { control, framesOf, layout, makeRig, makeSpace, type Rig } from '../support/core.ts';

const PAGE = 0x1000n;

/** The epoch word of agent `id`: a section is open while it is not 0. */
const epochOf = (id: number) => (layout.AGENTS + id * layout.AGENT_BYTES + layout.AGENT_EPOCH) / 4;
const open = (rig: Rig, id: number) => {
  rig.u32[epochOf(id)] = control(rig, layout.CONTROL_EPOCH);
};
const close = (rig: Rig, id: number) => {
  rig.u32[epochOf(id)] = 0;
};
const waiting = (rig: Rig) => control(rig, layout.CONTROL_RCU_WAITING);

async function makeScene() {
  const rig = await makeRig({ frames: 16 });
  const space = makeSpace(rig);
  const other = rig.core.attach(true);
  const map = () => rig.core.map(space, 0n, 0x100000n, PAGE, layout.PROT_READ, 0);
  const unmap = () => rig.core.unmap(space, 0n, PAGE);
  map();
  const table = Number(((rig.core.entryAddress(space, 0n, 0) >>> 0) - rig.ram) / 4096);
  return { rig, space, other, map, unmap, table };
}

test('without a section open, unhooked tables are free at once', async () => {
  const { rig, unmap } = await makeScene();
  expect(unmap()).toBe(layout.STATUS_OK);
  expect(waiting(rig)).toBe(0);
  expect(control(rig, layout.CONTROL_LIVE)).toBe(1);
});

test('a section that was open keeps unhooked tables as they are; its end lets them go', async () => {
  const { rig, other, unmap, table } = await makeScene();
  open(rig, other);
  unmap();
  expect(waiting(rig)).toBe(3);
  expect(rig.core.reclaim()).toBe(3);
  expect(control(rig, layout.CONTROL_LIVE)).toBe(4);
  expect(framesOf(rig, table, 1).every((byte) => byte === 0)).toBe(true);
  // It waits, so it is nobody's to free.
  expect(rig.core.putFrame(table)).toBe(layout.STATUS_NOT_LIVE);
  close(rig, other);
  expect(rig.core.reclaim()).toBe(0);
  expect(control(rig, layout.CONTROL_LIVE)).toBe(1);
  expect(framesOf(rig, table, 1).every((byte) => byte === layout.POISON)).toBe(true);
});

test('a section that opened after the unhooking holds nothing up', async () => {
  const { rig, other, unmap } = await makeScene();
  const first = rig.core.attach(true);
  open(rig, first);
  unmap();
  open(rig, other);
  expect(rig.core.reclaim()).toBe(3);
  close(rig, first);
  expect(rig.core.reclaim()).toBe(0);
  close(rig, other);
});

test('the oldest section counts, whichever agent has it', async () => {
  const { rig, other, map, unmap } = await makeScene();
  const third = rig.core.attach(true);
  open(rig, other);
  unmap();
  map();
  open(rig, third);
  unmap();
  expect(rig.core.reclaim()).toBe(6);
  close(rig, other);
  expect(rig.core.reclaim()).toBe(3);
  close(rig, third);
  expect(rig.core.reclaim()).toBe(0);
});

test('an agent that died in a section holds the queue up until it is detached', async () => {
  const { rig, other, unmap } = await makeScene();
  open(rig, other);
  unmap();
  expect(rig.core.reclaim()).toBe(3);
  expect(rig.core.detach(other)).toBe(1);
  expect(rig.core.reclaim()).toBe(0);
  expect(rig.core.detach(other)).toBe(0);
});

test('the clock may wrap: it is never 0, and sections on both sides of the wrap keep their order', async () => {
  const { rig, other, map, unmap } = await makeScene();
  rig.u32[layout.CONTROL_EPOCH / 4] = 0xfffffffd;
  for (let n = 0; n < 6; n++) {
    open(rig, other);
    unmap();
    expect(control(rig, layout.CONTROL_EPOCH)).not.toBe(0);
    expect(rig.core.reclaim()).toBe(3);
    close(rig, other);
    expect(rig.core.reclaim()).toBe(0);
    map();
  }
  expect(control(rig, layout.CONTROL_EPOCH)).toBeLessThan(0xffff);
});

test('out of frames, a map first takes back what has waited long enough', async () => {
  const rig = await makeRig({ frames: 5 });
  const space = makeSpace(rig);
  const other = rig.core.attach(true);
  const map = (va: bigint) => rig.core.map(space, va, 0x100000n, PAGE, layout.PROT_READ, 0);
  expect(map(0n)).toBe(layout.STATUS_OK);
  open(rig, other);
  rig.core.unmap(space, 0n, PAGE);
  expect(map(0n)).toBe(layout.STATUS_NO_MEMORY);
  close(rig, other);
  expect(map(0n)).toBe(layout.STATUS_OK);
});

test('there are as many agents as there are blocks, and a block that is given back is taken again', async () => {
  const rig = await makeRig();
  const ids = Array.from({ length: layout.MAX_AGENTS - 1 }, () => rig.core.attach(false));
  expect(new Set([...ids, rig.agent]).size).toBe(layout.MAX_AGENTS);
  expect(rig.core.attach(false)).toBe(-1);
  expect(rig.core.detach(ids[7] as number)).toBe(1);
  expect(rig.core.attach(false)).toBe(ids[7]);
  for (const id of [-1, layout.MAX_AGENTS, 0x7fffffff]) expect(rig.core.detach(id)).toBe(0);
});
