// Tables met in this call, in the agent's block: leaf tables by region (2 MiB) and level-1 tables by GiB, both direct-mapped.
//
// An entry's tag is the address without the bits that the table translates, and above those, in bits 60 to 63, the packed rights of the
// levels above, so that one comparison says that it is the region and that the rights are those wanted.

import { CACHED_BYTES, CACHED_PAGE, CACHED_RIGHTS, CACHED_TAG, REGIONS, TABLES } from "../layout";
import { Agent } from "../agent";

const RIGHTS_SHIFT = 60;
/** What `differ` shifts out to leave the rights aside. */
const RIGHTS_BITS = 4;
/** A tag that no address has. */
const NO_TAG: u64 = 0xffffffffffffffff;

export abstract class Cached {
  /** Where the leaf table of `region`, an address without the bits below 2 MiB, stands if it is remembered. */
  @inline
  static region(regions: usize, region: u64): usize {
    return regions + <usize>(region & (REGIONS - 1)) * CACHED_BYTES;
  }

  /** The same for the level-1 table of a GiB. */
  @inline
  static gibibyte(tables: usize, gibibyte: u64): usize {
    return tables + <usize>(gibibyte & (TABLES - 1)) * CACHED_BYTES;
  }

  /** Linear address of the table; 0 if walks must go the long way. */
  @inline
  static page(cached: usize): usize {
    return <usize>load<u32>(cached, CACHED_PAGE);
  }

  @inline
  static rights(cached: usize): u32 {
    return load<u32>(cached, CACHED_RIGHTS);
  }

  /** Not 0 if the entry is not that of `name`, a region or GiB; in all bits below `RIGHTS_SHIFT`. */
  @inline
  static differ(cached: usize, name: u64): u64 {
    return (load<u64>(cached, CACHED_TAG) ^ name) << RIGHTS_BITS;
  }

  /** The same, and not 0 if the rights are others than in `wanted`, a `tagged`. */
  @inline
  static differRightly(cached: usize, name: u64, wanted: u64): u64 {
    return load<u64>(cached, CACHED_TAG) ^ name ^ wanted;
  }

  /** The rights where a tag has them. */
  @inline
  static tagged(rights: u32): u64 {
    return (<u64>rights) << RIGHTS_SHIFT;
  }

  @inline
  static remember(cached: usize, name: u64, page: usize, rights: u32): void {
    store<u64>(cached, name | Cached.tagged(rights), CACHED_TAG);
    store<u32>(cached, <u32>page, CACHED_PAGE);
    store<u32>(cached, rights, CACHED_RIGHTS);
  }

  /** Both caches become empty. */
  static forget(): void {
    for (let n = 0; n < REGIONS; ++n) store<u64>(Agent.regions() + <usize>n * CACHED_BYTES, NO_TAG, CACHED_TAG);
    for (let n = 0; n < TABLES; ++n) store<u64>(Agent.tables() + <usize>n * CACHED_BYTES, NO_TAG, CACHED_TAG);
  }
}
