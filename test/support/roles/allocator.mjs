// Owners of frames: allocate, sign every frame, look whether the signature still stands, free. A pool this small goes round all the time.

export function allocator(stage) {
  const { core, layout, part, random, u32 } = stage;
  const held = [];
  const sign = (pfn, value) => {
    const at = (core.frameAddress(pfn) >>> 0) / 4;
    for (const word of [0, 1, 511, 1023]) Atomics.store(u32, at + word, value);
  };
  for (let round = 0; round < part.rounds; round++) {
    if (held.length < 4 && random(2) === 0) {
      const pfn = core.allocateFrame(layout.FRAME_DATA);
      if (pfn < 0) continue;
      const at = (core.frameAddress(pfn) >>> 0) / 4;
      for (const word of [0, 1, 2, 511, 1023]) {
        if (Atomics.load(u32, at + word) !== 0) stage.error(`frame ${pfn} is not zero, round ${round}`);
      }
      const signature = ((part.index + 1) << 24) | (round & 0xffffff);
      sign(pfn, signature);
      held.push([pfn, signature]);
      stage.count('allocations');
    } else if (held.length > 0) {
      const [pfn, signature] = held.splice(random(held.length), 1)[0];
      const at = (core.frameAddress(pfn) >>> 0) / 4;
      for (const word of [0, 1, 511, 1023]) {
        if (Atomics.load(u32, at + word) !== signature) stage.error(`frame ${pfn} has two owners, round ${round}`);
      }
      if (random(4) === 0) {
        // A second owner comes and goes.
        if (core.getFrame(pfn) !== layout.STATUS_OK) stage.error(`no second reference to frame ${pfn}`);
        if (core.putFrame(pfn) !== layout.STATUS_OK) stage.error(`the second reference to frame ${pfn} does not go`);
      }
      if (core.putFrame(pfn) !== layout.STATUS_OK) stage.error(`frame ${pfn} was freed by somebody else`);
      stage.count('frees');
    }
  }
  for (const [pfn] of held) core.putFrame(pfn);
}

/** Broken: writes to a frame after it freed it. */
export function careless(stage) {
  const { core, layout, part, u32 } = stage;
  for (let round = 0; round < part.rounds; round++) {
    const pfn = core.allocateFrame(layout.FRAME_DATA);
    if (pfn < 0) continue;
    core.putFrame(pfn);
    Atomics.store(u32, (core.frameAddress(pfn) >>> 0) / 4 + 700, 0x12345678);
  }
}
