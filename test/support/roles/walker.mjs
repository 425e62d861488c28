// A processor: accesses and translations of random pages by every call that walks, each judged, each access that set A or D claimed.
import { makeWorld } from './world.mjs';

const BUFFER = 4096;

export function walker(stage) {
  const { core, layout, world, random, u32 } = stage;
  const { space } = world;
  const places = makeWorld(stage);
  const input = core.heapAllocate(BUFFER * 8) >>> 0;
  const output = core.heapAllocate(BUFFER * 8) >>> 0;
  const picked = new Int32Array(BUFFER);
  const generations = new Int32Array(BUFFER);

  function judge(page, pfn, flags, cause, write, generation, touch) {
    const wrong = places.judge(page, pfn, flags, cause, write);
    if (wrong !== undefined) stage.error(wrong);
    if ((flags & layout.RESULT_MAPPED) === 0) return stage.count('faults');
    stage.count('mapped');
    if (!touch) return undefined;
    if ((flags & layout.RESULT_ACCESSED) === 0) stage.error(`page ${page}: an access without A`);
    if (write && (flags & layout.RESULT_DIRTY) === 0) stage.error(`page ${page}: a write without D`);
    return places.claim(page, generation, write);
  }

  function single(touch) {
    const page = places.meet(random, random(world.regions));
    const write = random(2) === 1;
    const generation = places.generation(page);
    const call = touch ? core.access : core.translate;
    const compact = call(space, places.vpnOf(page), write ? layout.ACCESS_WRITE : layout.ACCESS_READ);
    const cause = Math.floor(compact / 2 ** layout.FAULT_CAUSE_SHIFT) & 15;
    judge(page, Math.floor(compact / 4096), compact % 4096, cause, write, generation, touch);
  }

  function batch() {
    const count = 1 + random(BUFFER);
    const write = random(2) === 1;
    const touch = random(3) > 0;
    const range = random(4) === 0;
    const mix = random(3);
    const start = random(places.pages);
    const region = start & ~511;
    const length = range ? Math.min(count, 512 - (start & 511)) : count;
    for (let i = 0; i < length; i++) {
      let page = start + i;
      if (!range) page = [(start + i) % places.pages, region + random(512), random(places.pages)][mix];
      picked[i] = page;
      generations[i] = places.generation(page);
      const vpn = places.vpnOf(page);
      u32[input / 4 + i * 2] = vpn * 4096;
      u32[input / 4 + i * 2 + 1] = Math.floor(vpn / 2 ** 20);
    }
    const access = (write ? layout.ACCESS_WRITE : layout.ACCESS_READ) | (touch ? layout.ACCESS_TOUCH : 0);
    if (range) core.translateRange(space, places.vpnOf(start), length, output, access);
    else core.translateBatch(space, input, output, length, access);
    for (let i = 0; i < length; i++) {
      const low = u32[output / 4 + i * 2];
      const high = u32[output / 4 + i * 2 + 1];
      const flags = high >>> (layout.RESULT_SHIFT - 32);
      const pfn = (high & 0xfffff) * 2 ** 20 + (low >>> 12);
      judge(picked[i], pfn, flags, high & 15, write, generations[i], touch);
    }
  }

  for (let round = 0; stage.part.rounds === 0 ? !stage.stopped() : round < stage.part.rounds; round++) {
    if (random(3) === 0) batch();
    else for (let n = 0; n < 200; n++) single(random(2) === 0);
  }
  core.heapFree(input);
  core.heapFree(output);
}
