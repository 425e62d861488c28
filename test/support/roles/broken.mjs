// Kernels with a bug, against which the checks of walkers and mappers must bark: no test of races is worth anything that never fails.
import { makeWorld } from './world.mjs';

const P = 1n;
const RW = 2n;
const D = 0x40n;

/** Write-protects by a load and a plain store: an A or D that hardware sets in between is lost. */
export function plainStore(stage) {
  const { core, layout, part, world, random, u64 } = stage;
  const places = makeWorld(stage);
  core.map(
    world.space,
    places.vaOf(0),
    BigInt(world.frames[0]) << 12n,
    1n << 21n,
    layout.PROT_READ | layout.PROT_WRITE,
    0,
  );
  for (let round = 0; round < part.rounds && !stage.failed(); round++) {
    const page = random(16);
    const slot = (core.entryAddress(world.space, places.vaOf(page), 0) >>> 0) / 8;
    const generation = places.generation(page);
    const wrote = places.wrote(page) === generation;
    const old = Atomics.load(u64, slot);
    if (wrote && (old & D) === 0n) stage.error(`page ${page}: D was lost`);
    for (let spin = random(50); spin > 0; spin--) places.generation(page);
    Atomics.store(u64, slot, old ^ RW);
    if (random(4) > 0) continue;
    // Collects D as it should be collected.
    Atomics.and(u64, slot, ~D);
    places.advance(page);
  }
  core.unmap(world.space, places.vaOf(0), 1n << 21n);
}

/** Unhooks a leaf table and frees it at once, without a grace period; the next region is mapped with the same frame. */
export function freeAtOnce(stage) {
  const { core, layout, part, world, u64 } = stage;
  const places = makeWorld(stage);
  const tables = world.space / 4 + layout.SPACE_TABLES / 4;
  for (let round = 0; round < part.rounds && !stage.failed(); round++) {
    const first = (round % world.regions) * 512;
    const pa = BigInt(world.frames[0] + first) << 12n;
    core.map(world.space, places.vaOf(first), pa, 1n << 21n, layout.PROT_READ | layout.PROT_WRITE, 0);
    for (let spin = 0; spin < 2000; spin++) places.generation(first);
    const slot = (core.entryAddress(world.space, places.vaOf(first), 1) >>> 0) / 8;
    const entry = Atomics.exchange(u64, slot, 0n);
    if ((entry & P) === 0n) continue;
    core.putFrame(Number((entry >> 12n) & 0xffffffffffn));
    stage.u32[tables] -= 1;
    for (let page = first; page < first + 512; page++) places.advance(page);
  }
}
