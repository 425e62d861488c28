// A kernel that write-protects, cleans, ages and clears soft-dirty while processors write, and the processors.
//
// Claims, two for each page: a generation of D and one of A. Who wrote a page notes the generation of D that it read before the access;
// the kernel moves the generation on after it has collected D. So a claim of the present generation means: an access that began
// after the last collection ended has set D, and the next collection, or a look at the entry, must find it. The same for A. A
// word for each page says that it is write-protected, and since when: no store lands while it stays the same.

const PAGES = 1024;
const NOTES = 16;
const D_GENERATION = NOTES;
const A_GENERATION = NOTES + PAGES;
const WROTE = NOTES + 2 * PAGES;
const READ = NOTES + 3 * PAGES;
const PROTECTED = NOTES + 4 * PAGES;
const VPN = 0x40000;
const BATCH = 64;

export function writer(stage) {
  const { core, layout, world, random, notes, u32 } = stage;
  const input = core.heapAllocate(BATCH * 16) >>> 0;
  const output = input + BATCH * 8;
  const picked = new Int32Array(BATCH);
  const before = new Int32Array(3 * BATCH);
  while (!stage.stopped()) {
    const write = random(4) > 0;
    const start = random(PAGES);
    const scattered = random(2) === 0;
    for (let i = 0; i < BATCH; i++) {
      const page = scattered ? random(PAGES) : (start + i) % PAGES;
      picked[i] = page;
      before[3 * i] = Atomics.load(notes, D_GENERATION + page);
      before[3 * i + 1] = Atomics.load(notes, A_GENERATION + page);
      before[3 * i + 2] = Atomics.load(notes, PROTECTED + page);
      u32[input / 4 + 2 * i] = (VPN + page) * 4096;
      u32[input / 4 + 2 * i + 1] = 0;
    }
    const access = (write ? layout.ACCESS_WRITE : layout.ACCESS_READ) | layout.ACCESS_TOUCH;
    core.translateBatch(world.space, input, output, BATCH, access);
    for (let i = 0; i < BATCH; i++) {
      const page = picked[i];
      if (((u32[output / 4 + 2 * i + 1] >>> 20) & layout.RESULT_MAPPED) === 0) {
        stage.count('faults');
        continue;
      }
      stage.count(write ? 'writes' : 'reads');
      Atomics.store(notes, READ + page, before[3 * i + 1]);
      if (!write) continue;
      Atomics.store(notes, WROTE + page, before[3 * i]);
      const since = before[3 * i + 2];
      if (since > 0 && Atomics.load(notes, PROTECTED + page) === since)
        stage.error(`page ${page}: a store landed on it`);
    }
  }
  core.heapFree(input);
}

/** `plain`: it changes entries by a load and a store, so hardware updates in between are lost. */
function kernel(stage, plain) {
  const { core, layout, part, world, random, notes, u32, u64 } = stage;
  const { space } = world;
  const scan = core.heapAllocate(layout.SCAN_BYTES) >>> 0;
  const bitmap = core.heapAllocate(PAGES / 8) >>> 0;
  const bits = u32.subarray(bitmap / 4, bitmap / 4 + PAGES / 32);
  const slots = Array.from(
    { length: PAGES },
    (_, n) => (core.entryAddress(space, BigInt(VPN + n) << 12n, 0) >>> 0) / 8,
  );
  const has = (page) => ((bits[page >> 5] >>> (page & 31)) & 1) === 1;
  const claimed = new Uint8Array(PAGES);

  const operations = {
    wrprotect: [
      (block) => core.wrprotectRange(space, block),
      (e) => ((e & 0x40n) === 0n ? e & ~2n : (e & ~0x42n) | (1n << 58n)),
    ],
    softDirty: [(block) => core.clearSoftDirtyRange(space, block)],
    clean: [(block) => core.cleanRange(space, block), (e) => e & ~(0x40n | (1n << 58n))],
    age: [(block) => core.ageRange(space, block), (e) => e & ~0x20n],
    dirty: [(block) => core.harvestRange(space, block, layout.HARVEST_DIRTY)],
  };

  function scanRange(name, from, to, flags) {
    const [operation, store] = operations[name];
    bits.fill(0);
    if (plain && store !== undefined) {
      for (let page = from; page <= to; page++) {
        const entry = u64[slots[page]];
        if (store(entry) === entry) continue;
        for (let spin = random(20); spin > 0; spin--) Atomics.load(notes, PROTECTED + page);
        u64[slots[page]] = store(entry);
        bits[page >> 5] |= 1 << (page & 31);
      }
      return;
    }
    u64[(scan + layout.SCAN_VA) / 8] = BigInt(VPN + from) << 12n;
    u64[(scan + layout.SCAN_LAST) / 8] = (BigInt(VPN + to) << 12n) + 0xfffn;
    u64[(scan + layout.SCAN_ORIGIN) / 8] = BigInt(VPN);
    u32[(scan + layout.SCAN_BITMAP) / 4] = bitmap;
    u32[(scan + layout.SCAN_TRACKER) / 4] = 0;
    u32[(scan + layout.SCAN_FLAGS) / 4] = flags;
    operation(scan);
    stage.count('touched', u32[(scan + layout.SCAN_TOUCHED) / 4]);
    let set = 0;
    for (let page = 0; page < PAGES; page++) if (has(page)) set += page >= from && page <= to ? 1 : PAGES;
    if (set !== u32[(scan + layout.SCAN_TOUCHED) / 4]) stage.error(`${name}: ${set} bits for what was touched`);
  }

  /** Notes which pages of the range are claimed now. */
  function claims(from, to, claim, generation) {
    for (let page = from; page <= to; page++) {
      claimed[page] = Atomics.load(notes, claim + page) === Atomics.load(notes, generation + page) ? 1 : 0;
      if (claimed[page]) stage.count('claims');
    }
  }

  function expectBits(from, to, what) {
    for (let page = from; page <= to; page++) if (claimed[page] && !has(page)) stage.error(`page ${page}: ${what}`);
  }

  for (let round = 1; round <= part.rounds && !stage.failed(); round++) {
    const length = random(3) === 0 ? PAGES : 1 + random(200);
    const from = random(PAGES - length + 1);
    const to = from + length - 1;
    const flags = [0, layout.SCAN_SETTLED, layout.SCAN_TRANSACTION, layout.SCAN_SETTLED | layout.SCAN_TRANSACTION][
      random(4)
    ];
    const name = ['wrprotect', 'softDirty', 'clean', 'clean', 'age', 'unprotect', 'unprotect'][random(7)];
    stage.count(name);
    if (name === 'unprotect') {
      for (let page = from; page <= to; page++) Atomics.store(notes, PROTECTED + page, 0);
      core.protect(space, BigInt(VPN + from) << 12n, BigInt(length) << 12n, layout.PROT_READ | layout.PROT_WRITE);
    } else if (name === 'wrprotect' || name === 'softDirty') {
      claims(from, to, WROTE, D_GENERATION);
      scanRange(name, from, to, flags);
      for (let page = from; page <= to; page++) Atomics.store(notes, PROTECTED + page, round);
      scanRange('dirty', from, to, 0);
      expectBits(from, to, `D was lost by ${name}`);
    } else {
      const young = name === 'age';
      claims(from, to, young ? READ : WROTE, young ? A_GENERATION : D_GENERATION);
      scanRange(name, from, to, flags);
      expectBits(from, to, young ? 'A was lost' : 'D was lost before the clean');
      for (let page = from; page <= to; page++) Atomics.add(notes, (young ? A_GENERATION : D_GENERATION) + page, 1);
    }
  }
}

export const ranger = (stage) => kernel(stage, false);
export const plainRanger = (stage) => kernel(stage, true);
