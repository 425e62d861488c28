// A kernel: maps, unmaps, protects, splits and ages the regions that it owns, and checks before it clears A or D that nobody's is lost.
//
// It alone changes its regions, so it knows what is mapped where; tables above them it shares with the other mappers.
import { makeWorld } from './world.mjs';

export function mapper(stage) {
  const { core, layout, part, world, random, u64 } = stage;
  const { space, regions, frames } = world;
  const places = makeWorld(stage);
  /** For each page 0, or 1 + which of its two frames it is mapped to. */
  const mapped = new Uint8Array(places.pages);
  const owned = Array.from({ length: regions }, (_, r) => r).filter((r) => r % part.of === part.index);

  function check(page) {
    if (mapped[page] === 0) return;
    const generation = places.generation(page);
    const read = places.read(page) === generation;
    const wrote = places.wrote(page) === generation;
    const compact = core.translate(space, places.vpnOf(page), 0);
    const pfn = Math.floor(compact / 4096);
    if (compact % 2 === 0 || pfn !== frames[mapped[page] - 1] + page) {
      stage.error(`page ${page} is not where it was mapped`);
      return;
    }
    if (read && (compact & layout.RESULT_ACCESSED) === 0) stage.error(`page ${page}: A was lost`);
    if (wrote && (compact & layout.RESULT_DIRTY) === 0) stage.error(`page ${page}: D was lost`);
    if (read || wrote) stage.count('claims');
  }

  /** A random part of a region: its first page and its length, often all of it. */
  function pick() {
    const region = owned[random(owned.length)];
    const at = places.meet(random, region);
    const room = (region + 1) * 512 - at;
    const kind = random(8);
    if (kind === 0) return [region * 512, 512];
    return [at, 1 + random(kind === 1 ? room : Math.min(4, room))];
  }

  function expectOk(what, status) {
    if (status === layout.STATUS_OK) return true;
    if (status === layout.STATUS_NO_MEMORY) stage.count('out of frames');
    else stage.error(`${what}: status ${status}`);
    return false;
  }

  function map() {
    const [at, length] = pick();
    const which = random(2);
    const prot = layout.PROT_READ | (which === 0 && random(3) > 0 ? layout.PROT_WRITE : 0);
    const pa = BigInt(frames[which] + at) << 12n;
    const status = core.map(space, places.vaOf(at), pa, BigInt(length) << 12n, prot, random(2));
    if (mapped.subarray(at, at + length).some((which) => which !== 0)) {
      if (status !== layout.STATUS_MAPPED) stage.error(`map over a page: status ${status}`);
    } else if (expectOk('map', status)) {
      mapped.fill(which + 1, at, at + length);
      stage.count('maps');
    } else {
      // Out of frames in the middle: for a moment there were pages, and accesses to them.
      for (let page = at; page < at + length; page++) places.advance(page);
    }
  }

  function unmap() {
    const [at, length] = pick();
    for (let page = at; page < at + length; page++) check(page);
    if (!expectOk('unmap', core.unmap(space, places.vaOf(at), BigInt(length) << 12n))) return;
    mapped.fill(0, at, at + length);
    for (let page = at; page < at + length; page++) places.advance(page);
    stage.count('unmaps');
  }

  function protect() {
    const [at, length] = pick();
    const writable = !mapped.subarray(at, at + length).includes(2) && random(2) === 0;
    const prot = layout.PROT_READ | (writable ? layout.PROT_WRITE : 0);
    if (expectOk('protect', core.protect(space, places.vaOf(at), BigInt(length) << 12n, prot))) stage.count('protects');
  }

  function split() {
    const [at] = pick();
    if (expectOk('split', core.split(space, places.vaOf(at), 0))) stage.count('splits');
  }

  /**
   * Takes A, or A and D, out of a leaf, as reclaim or soft-dirty tracking do. A large leaf stands in a table that other mappers share: it
   * must not be none without the lock, for they would find the table empty and free it. So only small ones go through none.
   */
  function age() {
    const [at] = pick();
    if (mapped[at] === 0) return;
    const small = core.entryAddress(space, places.vaOf(at), 0) >>> 0;
    const slot = small !== 0 ? small : core.entryAddress(space, places.vaOf(at), 1) >>> 0;
    const generation = places.generation(at);
    const read = places.read(at) === generation;
    const wrote = places.wrote(at) === generation;
    if (small === 0 || random(2) === 0) {
      if (core.ptepTestAndClearYoung(slot) === 0 && read) stage.error(`page ${at}: A was lost before it was collected`);
    } else {
      const old = BigInt.asUintN(64, core.ptepModifyProtStart(slot));
      if (wrote && (old & 0x40n) === 0n) stage.error(`page ${at}: D was lost before it was collected`);
      if (Atomics.load(u64, slot / 8) !== 0n) stage.error(`page ${at}: somebody wrote to an entry that was none`);
      core.ptepModifyProtCommit(slot, old & ~0x60n);
    }
    const first = small !== 0 ? at : at & ~511;
    for (let page = first; page < first + (small !== 0 ? 1 : 512); page++) places.advance(page);
    stage.count('agings');
  }

  const steps = [map, map, map, unmap, unmap, protect, protect, split, age, age, age];
  for (let round = 0; round < part.rounds && !stage.failed(); round++) steps[random(steps.length)]();
  for (const region of owned) {
    for (let page = region * 512; page < region * 512 + 512; page++) check(page);
    expectOk('last unmap', core.unmap(space, places.vaOf(region * 512), 1n << 21n));
  }
}
