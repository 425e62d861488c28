// Folios: what the kernel knows of a frame that holds a page of a process or of a file (struct folio).
//
// Guarantees: reading changes nothing, and what is told of a page that others use may be a moment old; `mappings` takes the page lock meanwhile.

import {
  FOLIO_ANON,
  FOLIO_FLAGS,
  FOLIO_INDEX,
  FOLIO_MAPCOUNT,
  FOLIO_MAPPING,
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_FLUSH_DEFERRED,
  PG_KSM,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PG_WRITEBACK,
  STATUS_OK,
} from '../../assembly/layout.ts';
import type { Pfn, VirtualAddress } from '../units.ts';
import type { PhysicalMemory } from './memory.ts';

/** What a folio is marked as, by the names of include/linux/page-flags.h. */
export interface FolioFlags {
  /** Its words differ from those in the backing store, as far as somebody noticed. */
  readonly dirty: boolean;
  readonly writeback: boolean;
  readonly uptodate: boolean;
  /** Nobody shares it: a store need not copy (PG_anon_exclusive). */
  readonly anonExclusive: boolean;
  readonly swapCache: boolean;
  /** Without it an anonymous page may be dropped while it is clean (MADV_FREE). */
  readonly swapBacked: boolean;
  /** Made by same-page merging: never reused. */
  readonly ksm: boolean;
  /** A CPU may read the frame that it was migrated from still. */
  readonly flushDeferred: boolean;
}

/** A place that maps a folio: the mm by its `handle`. */
export interface FolioMapping {
  readonly mm: number;
  readonly va: VirtualAddress;
}

/** One u32 of the mm, one unused, one u64 address: what `listRmap` writes. */
const RECORD_BYTES = 16;

export class Folio {
  readonly memory: PhysicalMemory;
  readonly frame: Pfn;
  /** Address of its block. @internal */
  readonly handle: number;

  private constructor(memory: PhysicalMemory, frame: Pfn, handle: number) {
    this.memory = memory;
    this.frame = frame;
    this.handle = handle;
  }

  /** The folio of `frame`; undefined if no mm counts that frame: a page table, a device's frame, a free one. */
  static at(memory: PhysicalMemory, frame: Pfn): Folio | undefined {
    const handle = memory.core.folioAddress(frame) >>> 0;
    return handle === 0 ? undefined : new Folio(memory, frame, handle);
  }

  /** References: of entries, of the page cache, of whoever looks at it. */
  get references(): number {
    return this.memory.frameInfo(this.frame).references;
  }

  /** Entries that map it. */
  get mapcount(): number {
    return this.#u32(FOLIO_MAPCOUNT);
  }

  /** Of private memory, not of a file. */
  get anonymous(): boolean {
    return (this.#u32(FOLIO_MAPPING) & FOLIO_ANON) !== 0;
  }

  /** Its page in the file; of anonymous memory, the number of the page that it was first mapped at. */
  get index(): number {
    return Number(this.memory.view.getBigUint64(this.handle + FOLIO_INDEX, true));
  }

  get flags(): FolioFlags {
    const flags = this.#u32(FOLIO_FLAGS);
    return {
      dirty: (flags & PG_DIRTY) !== 0,
      writeback: (flags & PG_WRITEBACK) !== 0,
      uptodate: (flags & PG_UPTODATE) !== 0,
      anonExclusive: (flags & PG_ANON_EXCLUSIVE) !== 0,
      swapCache: (flags & PG_SWAPCACHE) !== 0,
      swapBacked: (flags & PG_SWAPBACKED) !== 0,
      ksm: (flags & PG_KSM) !== 0,
      flushDeferred: (flags & PG_FLUSH_DEFERRED) !== 0,
    };
  }

  /** Who maps it, by the reverse map, under the page lock: of a thread that does not hold it, nor runs a CPU in user mode. */
  mappings(): FolioMapping[] {
    const { core, view } = this.memory;
    const capacity = Math.max(1, this.mapcount + 8);
    const output = this.memory.heapAllocate(RECORD_BYTES * capacity);
    core.lockFolio(this.handle);
    const count = core.listRmap(this.handle, output, capacity);
    core.unlockFolio(this.handle);
    const found = Array.from({ length: Math.min(count, capacity) }, (_, n) => ({
      mm: view.getUint32(output + RECORD_BYTES * n, true),
      va: view.getBigUint64(output + RECORD_BYTES * n + 8, true) as VirtualAddress,
    }));
    core.heapFree(output);
    return found;
  }

  #u32(field: number): number {
    return this.memory.view.getUint32(this.handle + field, true);
  }
}

/**
 * Makes the folios of all frames of `memory`, and its zero page, if there are none yet: what faults need. At set-up, in one thread.
 * @throws RangeError if the heap has no room: 64 bytes for each frame. @internal
 */
export function openFolios(memory: PhysicalMemory): void {
  if (memory.core.openFolios() !== STATUS_OK) {
    throw new RangeError(
      `the heap has no ${64 * memory.frames} bytes left for folios: make the memory with more "heapBytes"`,
    );
  }
  // Without a frame for it, a load gets a page of its own.
  memory.core.openZeroPage();
}
