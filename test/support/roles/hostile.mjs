// Tables that change under walkers as no kernel changes them: another thread writes anything into them at any moment.
//
// What a walk finds then means nothing. But it ends, it reads nothing outside linear memory, and it writes nothing outside physical memory.
// All meet in a few slots of a few tables, so that an entry often changes between one load of it and the next.

const BUFFER = 2048;
const SLOTS = [0, 1, 2, 511];

/** Fills the slots with entries of every kind, torn ones among them. */
export function scribbler(stage) {
  const { part, world, random, u32 } = stage;
  const { ram, frames, tables, basePfn } = world.ground;
  // P, RW, US, A, D, PS.
  const flags = [0x67, 0x67, 0x67, 0x27, 0x07, 0x01, 0xe7, 0xa7, 0x87, 0x66];
  const values = Array.from({ length: 4096 }, (_, n) => {
    const kind = n & 15;
    // Mostly tables, else any frame, and some that are not there: just beyond the window, and far from it.
    const pfn = kind < 9 ? basePfn + random(tables) : kind < 12 ? basePfn + frames + random(2) : random(2 ** 30);
    return [
      kind === 15 ? random(2 ** 32) : (pfn * 4096 + flags[random(flags.length)]) >>> 0,
      kind === 14 ? random(2 ** 32) : Math.floor(pfn / 2 ** 20) + (kind === 13 ? 2 ** 31 : 0),
    ];
  });
  const low = Uint32Array.from(values, (value) => value[0]);
  const high = Uint32Array.from(values, (value) => value[1]);
  const slots = Uint32Array.from({ length: tables * SLOTS.length }, (_, n) => {
    return ram / 4 + Math.floor(n / SLOTS.length) * 1024 + 2 * SLOTS[n % SLOTS.length];
  });
  for (let round = 0; round < part.rounds; round++) {
    const draw = random(2 ** 32);
    const slot = slots[draw % slots.length];
    const value = (draw >>> 8) & 4095;
    u32[slot] = low[value];
    // The halves of two entries together are one more.
    if (draw >>> 31 === 0) u32[slot + 1] = high[value];
  }
  stage.count('scribbled', part.rounds);
}

/** Walks in all ways that batches know, and singly, until it is stopped. */
export function stray(stage) {
  const { core, layout, world, random, u32 } = stage;
  const { space } = world;
  const input = core.heapAllocate(BUFFER * 8) >>> 0;
  const output = core.heapAllocate(BUFFER * 8) >>> 0;
  const slot = () => SLOTS[random(SLOTS.length)];
  /** Writes address `i`: slots of levels 4 to 0 and an offset. */
  function put(i, l4, l3, l2, l1, l0, offset) {
    u32[input / 4 + 2 * i] = ((l2 & 3) << 30) | (l1 << 21) | (l0 << 12) | offset;
    const top = (l4 << 16) | (l3 << 7) | (l2 >> 2);
    // Canonical for four levels, unless level 4 says otherwise.
    u32[input / 4 + 2 * i + 1] = l4 === 0 && l3 > 255 ? top | 0xffff0000 : top;
  }
  while (!stage.stopped()) {
    const count = 1 + random(BUFFER);
    const mix = random(5);
    const [l4, l3, l2, l1] = [random(2) === 0 ? 0 : slot(), slot(), slot(), slot()];
    for (let i = 0; i < count; i++) {
      // In a row, within a region, within some of a GiB, everywhere, and also where no address is canonical.
      if (mix === 0) put(i, l4, l3, l2, (l1 + (i >> 9)) & 511, i & 511, i & 4095);
      else if (mix === 1) put(i, l4, l3, l2, l1, slot(), random(4096));
      else if (mix === 2) put(i, l4, l3, l2, slot(), slot(), random(4096));
      else put(i, mix === 4 ? random(2 ** 16) : l4, slot(), slot(), slot(), slot(), random(4096));
    }
    const touch = random(2) === 0 ? layout.ACCESS_TOUCH : 0;
    const access = [0, layout.ACCESS_READ | touch, layout.ACCESS_WRITE | touch][random(3)];
    core.translateBatch(space, input, output, count, access);
    const vpn = ((l4 * 512 + l3) * 512 + l2) * 2 ** 18 + l1 * 512;
    core.translateRange(space, vpn, 1 + random(BUFFER - 1), output, access);
    for (let n = 0; n < 64; n++) {
      const page = u32[input / 4 + 2 * random(count) + 1] * 2 ** 20 + random(4) * 512;
      core.translate(space, page, access);
      core.access(space, page, access);
    }
    stage.count('batches');
  }
  core.heapFree(input);
  core.heapFree(output);
}
