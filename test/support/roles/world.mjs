// The playground: 512 pages in each of some 2 MiB regions, spread so that tables of every level come and go.
//
// A page may only ever be mapped to one of two frames, which its number gives; so a translation that never existed shows at once. The
// second frame is never writable. Claims say who saw A or D set: a generation for each page, and the generation in which it
// was last read and written; whoever clears A or D, or unmaps, moves the generation on afterwards.

const GENERATIONS = 16;

export function makeWorld({ world, notes, layout }) {
  const { regions, frames } = world;
  const pages = regions * 512;
  // Two regions to a level-1 table, two such tables to a level-2 table, and so on.
  const places = Array.from({ length: regions }, (_, r) => {
    return (r & 1) * 2 ** 9 + ((r >> 1) & 1) * 2 ** 18 + (r >> 2) * 2 ** 27;
  });
  /** A page for one step: mostly one of the first few of a region, where everybody meets. */
  const meet = (random, region) => region * 512 + (random(4) > 0 ? random(4) : random(512));
  const vpnOf = (page) => places[page >> 9] + (page & 511);
  return {
    pages,
    vpnOf,
    meet,
    vaOf: (page) => BigInt(vpnOf(page)) << 12n,
    generation: (page) => Atomics.load(notes, GENERATIONS + page),
    advance: (page) => Atomics.add(notes, GENERATIONS + page, 1),
    read: (page) => Atomics.load(notes, GENERATIONS + pages + page),
    wrote: (page) => Atomics.load(notes, GENERATIONS + 2 * pages + page),
    claim: (page, generation, write) => {
      Atomics.store(notes, GENERATIONS + pages + page, generation);
      if (write) Atomics.store(notes, GENERATIONS + 2 * pages + page, generation);
    },
    /** What is wrong with a translation of `page`, or undefined. `pfn` and `flags` as the core gives them; no flags: a fault. */
    judge: (page, pfn, flags, cause, write) => {
      if ((flags & layout.RESULT_MAPPED) === 0) {
        const expected = cause === layout.FAULT_ABSENT || cause === layout.FAULT_PROTECTION;
        return expected ? undefined : `page ${page}: fault of cause ${cause}`;
      }
      const which = frames.indexOf(pfn - page);
      if (which < 0) return `page ${page} is at frame 0x${pfn.toString(16)}, where it never was`;
      if (which === 1 && (write || (flags & layout.RESULT_WRITABLE) !== 0))
        return `page ${page} was never writable there`;
      return undefined;
    },
  };
}
