// TLBs of real processors, as their makers describe them.
//
// Guarantees: each number has its source beside it; what the source does not say is what assembly/tlb.ts takes by default (LRU, levels that
// are not inclusive) and is named here as unknown. Not modelled: entries that AMD and Arm coalesce from neighbouring pages,
// hashed set indices (Intel's STLB), the store-only DTLB of Ice Lake and later, and that hyper-threads share the arrays.
//
// Intel: Intel 64 and IA-32 Architectures Optimization Reference Manual (248966), tables "TLB Parameters" of chapter 2. AMD: Software
// Optimization Guides. Arm: Technical Reference Manuals. The sizes of paging-structure caches are mostly unpublished: each comment says
// what is measured and what is a guess.

import type { TlbModel } from './tlb.ts';

/** Page levels of x86-64 and of arm64 with 4 KiB granules: 4 KiB, 2 MiB, 1 GiB. */
const K4 = 0;
const M2 = 1;
const G1 = 2;

/**
 * 32 PDEs and 4 PDPTEs: measured on Skylake by van Schaik et al., "RevAnC" (EuroSec 2017). The PML4E cache's size, the associativity, and that
 * later cores have the same are guesses.
 */
const INTEL_STRUCTURES = [
  { name: 'PDE cache', level: 'structures', pages: [1], sets: 1, ways: 32 },
  { name: 'PDPTE cache', level: 'structures', pages: [2], sets: 1, ways: 4 },
  { name: 'PML4E cache', level: 'structures', pages: [3], sets: 1, ways: 4 },
] as const;

export const TLB_PRESETS = {
  /**
   * Intel Skylake (client and server). 248966-045, table 2-15: ITLB 4 KiB 128 entries 8-way, 2 MiB 8 entries a thread (taken as fully
   * associative); DTLB 4 KiB 64 4-way, 2 MiB 32 4-way, 1 GiB 4 4-way; STLB 4 KiB and 2 MiB 1536 12-way, 1 GiB 16 4-way. The
   * ITLB has no 1 GiB entries: such a page is fetched through pieces of 2 MiB.
   */
  'intel-skylake': {
    arrays: [
      { name: 'ITLB 4K', level: 1, serves: 'fetch', pages: [K4], sets: 16, ways: 8 },
      { name: 'ITLB 2M', level: 1, serves: 'fetch', pages: [M2], sets: 1, ways: 8 },
      { name: 'DTLB 4K', level: 1, serves: 'data', pages: [K4], sets: 16, ways: 4 },
      { name: 'DTLB 2M', level: 1, serves: 'data', pages: [M2], sets: 8, ways: 4 },
      { name: 'DTLB 1G', level: 1, serves: 'data', pages: [G1], sets: 1, ways: 4 },
      { name: 'STLB', level: 2, pages: [K4, M2], sets: 128, ways: 12 },
      { name: 'STLB 1G', level: 2, pages: [G1], sets: 4, ways: 4 },
      ...INTEL_STRUCTURES,
    ],
  },

  /**
   * Intel Golden Cove (Alder Lake, Sapphire Rapids). 248966-046 and later, section on Golden Cove: ITLB 4 KiB 256 entries 8-way, 2 MiB 32
   * 8-way; DTLB of loads 4 KiB 96 6-way, 2 MiB 32 4-way, 1 GiB 8 fully associative; STLB 2048 16-way.
   * How the STLB is divided among the page sizes is not modelled: any entry may hold any.
   */
  'intel-golden-cove': {
    arrays: [
      { name: 'ITLB 4K', level: 1, serves: 'fetch', pages: [K4], sets: 32, ways: 8 },
      { name: 'ITLB 2M', level: 1, serves: 'fetch', pages: [M2], sets: 4, ways: 8 },
      { name: 'DTLB 4K', level: 1, serves: 'data', pages: [K4], sets: 16, ways: 6 },
      { name: 'DTLB 2M', level: 1, serves: 'data', pages: [M2], sets: 8, ways: 4 },
      { name: 'DTLB 1G', level: 1, serves: 'data', pages: [G1], sets: 1, ways: 8 },
      { name: 'STLB', level: 2, pages: [K4, M2, G1], sets: 128, ways: 16 },
      ...INTEL_STRUCTURES,
    ],
  },

  /**
   * AMD Zen 2. Software Optimization Guide for AMD Family 17h Models 30h and Greater (56305), 2.7 and 2.8: ITLB 64 entries fully associative, all
   * page sizes, backed by 512 8-way for 4 KiB and 2 MiB (1 GiB pages are smashed into 2 MiB); DTLB 64 fully associative, all
   * sizes, backed by 2048 16-way for 4 KiB and 2 MiB. Page-directory entries live in the second level there and have an array
   * of their own here, whose size is a guess.
   */
  'amd-zen2': {
    arrays: [
      { name: 'L1 ITLB', level: 1, serves: 'fetch', pages: [K4, M2, G1], sets: 1, ways: 64 },
      { name: 'L1 DTLB', level: 1, serves: 'data', pages: [K4, M2, G1], sets: 1, ways: 64 },
      { name: 'L2 ITLB', level: 2, serves: 'fetch', pages: [K4, M2], sets: 64, ways: 8 },
      { name: 'L2 DTLB', level: 2, serves: 'data', pages: [K4, M2], sets: 128, ways: 16 },
      { name: 'PDC', level: 'structures', pages: [1, 2, 3], sets: 1, ways: 64 },
    ],
  },

  /**
   * AMD Zen 4. Software Optimization Guide for the AMD Zen4 Microarchitecture (57647), 2.7 and 2.8: ITLB 64 entries fully associative, backed by
   * 512 8-way; DTLB 72 fully associative, all sizes, backed by 3072 24-way for 4 KiB and 2 MiB. As for Zen 2, the size of the
   * cache for directory entries is a guess.
   */
  'amd-zen4': {
    arrays: [
      { name: 'L1 ITLB', level: 1, serves: 'fetch', pages: [K4, M2, G1], sets: 1, ways: 64 },
      { name: 'L1 DTLB', level: 1, serves: 'data', pages: [K4, M2, G1], sets: 1, ways: 72 },
      { name: 'L2 ITLB', level: 2, serves: 'fetch', pages: [K4, M2], sets: 64, ways: 8 },
      { name: 'L2 DTLB', level: 2, serves: 'data', pages: [K4, M2], sets: 128, ways: 24 },
      { name: 'PDC', level: 'structures', pages: [1, 2, 3], sets: 1, ways: 64 },
    ],
  },

  /**
   * Arm Cortex-A76 and Neoverse N1, which share the design. Technical Reference Manuals 100798 and 100616, chapter "Memory Management Unit",
   * TLB organization: instruction and data 48 entries each, fully associative, for all page sizes; a unified second level of
   * 1280 entries, 5-way. That level also keeps walks; the size of that share is not published, the 64 here are a guess.
   */
  'arm-neoverse-n1': {
    arrays: [
      { name: 'L1 ITLB', level: 1, serves: 'fetch', pages: [K4, M2, G1], sets: 1, ways: 48 },
      { name: 'L1 DTLB', level: 1, serves: 'data', pages: [K4, M2, G1], sets: 1, ways: 48 },
      { name: 'L2 TLB', level: 2, pages: [K4, M2, G1], sets: 256, ways: 5 },
      { name: 'walk cache', level: 'structures', pages: [1, 2, 3], sets: 1, ways: 64 },
    ],
  },

  /**
   * OpenHW CVA6 (Ariane), Sv39. core/include/cv64a6_imafdc_sv39_config_pkg.sv: InstrTlbEntries and DataTlbEntries 16; its TLB is fully associative
   * with tree-PLRU. No second level and no paging-structure cache in that configuration.
   */
  'openhw-cva6': {
    arrays: [
      { name: 'ITLB', level: 1, serves: 'fetch', pages: [K4, M2, G1], sets: 1, ways: 16, replacement: 'tree-plru' },
      { name: 'DTLB', level: 1, serves: 'data', pages: [K4, M2, G1], sets: 1, ways: 16, replacement: 'tree-plru' },
    ],
  },
} as const satisfies Record<string, TlbModel>;

export type TlbPreset = keyof typeof TLB_PRESETS;
