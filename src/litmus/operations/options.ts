// What operations may be told beside their arguments, by name: which variant of a whole function of the core runs, and how flushes go out.
//
// Of a group one is told at most, and the first is what happens if none is. So a parameter whose values are a group's names may stand in their place.
// Variants that kernel threads argue about have the number of the scenario behind them.

import {
  CLEAR_REFS_AFTER_UNLOCK,
  CLEAR_REFS_COUNT_VMAS,
  CLEAR_REFS_DOWNGRADE,
  CLEAR_REFS_GATHER,
  CLEAR_REFS_NO_VMA_LOCK,
  CLEAR_REFS_READ,
  HANDLER_COPY_IN_PTL,
  HANDLER_COPY_NO_FLUSH,
  HANDLER_FLUSH_PENDING,
  HANDLER_FLUSH_VMA_PENDING,
  HANDLER_MKWRITE_HELD,
  HANDLER_MKWRITE_INSIDE,
  HANDLER_MKWRITE_NONE,
  HANDLER_MMAP_LOCK,
  HANDLER_NO_PTE_SAME,
  HANDLER_NO_UFFD_FLUSH,
  HANDLER_REUSE_COUNT,
  HANDLER_REUSE_MAPCOUNT,
  HANDLER_REUSE_NEVER,
  HANDLER_REUSE_UNLOCKED,
  HANDLER_UNPEND,
  KSM_NO_EXCLUSIVE,
  KSM_NO_PENDING,
  KSM_REPLACE_NO_FLUSH,
  MAPPING_BREAK,
  MIGRATE_DEFER_WRITABLE,
  MKCLEAN_DIRTY,
  MKCLEAN_PENDING,
  MKCLEAN_WRITE,
  PATH_COUNT_LATE,
  PATH_FLUSH_IN_PTL,
  PATH_FREE_EARLY,
  PATH_LOSE_DIRTY,
  PATH_NESTED_FULLMM,
  PATH_NO_BATCHED,
  PATH_NO_FLUSH,
  PATH_NO_NESTED,
  PATH_PLAIN,
  PATH_UNCOUNTED,
  REAPER_FULLMM,
  REAPER_FULLMM_UNUSED,
  REAPER_RANGE,
  RECLAIM_FLUSH_NOW,
  RECLAIM_NO_FLUSH,
  RECLAIM_NO_FLUSH_DIRTY,
  SHOOT_EARLY_ACK,
  SHOOT_EARLY_ACK_TABLES,
  SHOOT_ELIDE_FULLMM,
  SHOOT_POSTED,
  SHOOT_SKIP_LAZY,
  SHOOT_SKIP_LAZY_TABLES,
  TRANSFER_EARLY,
  TRANSFER_UNLOCKED,
  UFFD_WP_AFTER_UNLOCK,
  UFFD_WP_RESOLVE,
  UFFD_WP_WRITE,
  VM_EXEC,
  VM_READ,
  VM_WRITE,
  WRITEBACK_ANYWAY,
  WRITEBACK_UNLOCKED,
} from '../../../assembly/layout.ts';

/** What an option sets: bits of the function's options, of its flushes (SHOOT_*), of rights (VM_*). */
export interface Option {
  readonly name: string;
  readonly options?: number;
  readonly shoot?: number;
  readonly rights?: number;
  /** The flush may be put off: the mm's list of migrations is used. */
  readonly defers?: true;
  /** Bit 63 of a flush: tables are freed. */
  readonly freedTables?: true;
}

export type OptionGroup = readonly Option[];

/** How the requests of flushes go out. */
export const SHOOT: readonly OptionGroup[] = [
  [{ name: 'waited' }, { name: 'posted', shoot: SHOOT_POSTED }],
  // Unless tables are freed, or even then (L4).
  [
    { name: 'interrupts-lazy' },
    { name: 'skip-lazy', shoot: SHOOT_SKIP_LAZY },
    { name: 'skip-lazy-tables', shoot: SHOOT_SKIP_LAZY | SHOOT_SKIP_LAZY_TABLES },
  ],
  [
    { name: 'ack-late' },
    { name: 'ack-early', shoot: SHOOT_EARLY_ACK },
    { name: 'ack-early-tables', shoot: SHOOT_EARLY_ACK | SHOOT_EARLY_ACK_TABLES },
  ],
];

/** Of the flushes themselves. */
export const FLUSH_OPTIONS: readonly OptionGroup[] = [
  ...SHOOT,
  [{ name: 'last-level' }, { name: 'freed-tables', freedTables: true }],
];

const ELIDES: OptionGroup = [{ name: 'flushes-fullmm' }, { name: 'elides-fullmm', shoot: SHOOT_ELIDE_FULLMM }];

/** When tlb_flush_pending is counted up: before the entries change; after (A9, E9, E11, I16); never (E3, E4, F6). */
const COUNTING: OptionGroup = [
  { name: 'counts' },
  { name: 'counts-late', options: PATH_COUNT_LATE },
  { name: 'uncounted', options: PATH_UNCOUNTED },
];

/** Where the flush stands; `no-flush`: nowhere (B3, C3, E5, G1). */
const FLUSHING: OptionGroup = [
  { name: 'flushes' },
  { name: 'flushes-in-ptl', options: PATH_FLUSH_IN_PTL },
  { name: 'no-flush', options: PATH_NO_FLUSH },
];

/** Whether others' flushes that are owed are made too (A7 and J0: not), and what becomes of a gather then (H11). */
const NESTED: OptionGroup = [
  { name: 'asks-nested' },
  { name: 'ignores-nested', options: PATH_NO_NESTED },
  { name: 'nested-fullmm', options: PATH_NESTED_FULLMM },
];

/** How entries change: by a transaction; by a load and a store (C7); and D is lost with W (C17, D13). */
const CHANGING: OptionGroup = [
  { name: 'exchanges' },
  { name: 'plain', options: PATH_PLAIN },
  { name: 'loses-dirty', options: PATH_LOSE_DIRTY },
];

/** When pages are freed; before the flush in J2, G10, K4. */
const FREEING: OptionGroup = [{ name: 'frees-late' }, { name: 'frees-early', options: PATH_FREE_EARLY }];

/** flush_tlb_batched_pending(), which came with 3ea277194daa (K1: without). */
const BATCHED: OptionGroup = [{ name: 'asks-batched' }, { name: 'ignores-batched', options: PATH_NO_BATCHED }];

/** Before an entry becomes writable, the flush that a migration put off (G6). */
const SETTLING: OptionGroup = [{ name: 'keeps-deferral' }, { name: 'settles-deferral', defers: true }];

export const MAPPING: readonly OptionGroup[] = [
  COUNTING,
  FLUSHING,
  NESTED,
  CHANGING,
  [{ name: 'goes-on' }, { name: 'breaks', options: MAPPING_BREAK }],
  ...SHOOT,
];

export const CLEAR_REFS: readonly OptionGroup[] = [
  [
    { name: 'write-lock' },
    { name: 'read-lock', options: CLEAR_REFS_READ },
    { name: 'downgrades', options: CLEAR_REFS_DOWNGRADE },
  ],
  [{ name: 'locks-vmas' }, { name: 'no-vma-lock', options: CLEAR_REFS_NO_VMA_LOCK }],
  COUNTING,
  // Whether each VMA counts the flush too, as was proposed in S4.
  [{ name: 'counts-mm' }, { name: 'counts-vmas', options: CLEAR_REFS_COUNT_VMAS }],
  [
    ...FLUSHING,
    { name: 'flushes-after-unlock', options: CLEAR_REFS_AFTER_UNLOCK },
    { name: 'elided', options: CLEAR_REFS_GATHER },
  ],
  CHANGING,
  ...SHOOT,
];

export const DONTNEED: readonly OptionGroup[] = [FREEING, NESTED, BATCHED, ...SHOOT];
export const LAZY_FREE: readonly OptionGroup[] = [COUNTING, FLUSHING, NESTED, CHANGING.slice(0, 2), BATCHED, ...SHOOT];

export const MPROTECT: readonly OptionGroup[] = [
  [{ name: 'may-not-read' }, { name: 'PROT_READ', rights: VM_READ }],
  [{ name: 'may-not-write' }, { name: 'PROT_WRITE', rights: VM_WRITE }],
  [{ name: 'may-not-execute' }, { name: 'PROT_EXEC', rights: VM_EXEC }],
  FLUSHING,
  NESTED,
  BATCHED,
  SETTLING,
  ...SHOOT,
];

export const USERFAULTFD: readonly OptionGroup[] = [
  [{ name: 'read-lock' }, { name: 'write-lock', options: UFFD_WP_WRITE }],
  [{ name: 'protects' }, { name: 'resolves', options: UFFD_WP_RESOLVE }],
  COUNTING,
  [...FLUSHING, { name: 'flushes-after-unlock', options: UFFD_WP_AFTER_UNLOCK }],
  NESTED,
  ...SHOOT,
];

export const MUNMAP: readonly OptionGroup[] = [FREEING, NESTED, BATCHED, ...SHOOT];

export const KSM: readonly OptionGroup[] = [
  [{ name: 'asks-pending' }, { name: 'ignores-pending', options: KSM_NO_PENDING }],
  [{ name: 'asks-exclusive' }, { name: 'ignores-exclusive', options: KSM_NO_EXCLUSIVE }],
  [{ name: 'replace-flushes' }, { name: 'replace-no-flush', options: KSM_REPLACE_NO_FLUSH }],
  ...SHOOT,
];

export const MKCLEAN: readonly OptionGroup[] = [
  [
    { name: 'tests-dirty-or-write' },
    { name: 'tests-write', options: MKCLEAN_WRITE },
    { name: 'tests-dirty', options: MKCLEAN_DIRTY },
  ],
  [{ name: 'ignores-pending' }, { name: 'tests-pending', options: MKCLEAN_PENDING }],
  ...SHOOT,
];

export const WRITEBACK: readonly OptionGroup[] = [
  ...MKCLEAN,
  [{ name: 'page-lock' }, { name: 'no-page-lock', options: WRITEBACK_UNLOCKED }],
  [{ name: 'if-dirty' }, { name: 'anyway', options: WRITEBACK_ANYWAY }],
];

export const REAPER: readonly OptionGroup[] = [
  [
    { name: 'per-vma' },
    { name: 'fullmm', options: REAPER_FULLMM },
    { name: 'fullmm-if-unused', options: REAPER_FULLMM_UNUSED },
    { name: 'whole-range', options: REAPER_RANGE },
  ],
  ELIDES,
  NESTED,
  FREEING,
  ...SHOOT,
];

export const EXIT: readonly OptionGroup[] = [ELIDES, ...SHOOT];

export const RECLAIM: readonly OptionGroup[] = [
  [{ name: 'flush-batched' }, { name: 'flush-now', options: RECLAIM_FLUSH_NOW }],
  [{ name: 'flushes-dirty' }, { name: 'no-flush-dirty', options: RECLAIM_NO_FLUSH_DIRTY }],
  [{ name: 'flushes-before-free' }, { name: 'no-flush-before-free', options: RECLAIM_NO_FLUSH }],
  ...SHOOT,
];

export const MIGRATE: readonly OptionGroup[] = [
  [
    { name: 'flush-at-unmap' },
    { name: 'flush-deferred', defers: true },
    { name: 'defers-writable', defers: true, options: MIGRATE_DEFER_WRITABLE },
  ],
  ...SHOOT,
];

export const TRANSFER: readonly OptionGroup[] = [
  [{ name: 'locked' }, { name: 'unlocked', options: TRANSFER_UNLOCKED }],
  [{ name: 'acts-late' }, { name: 'acts-early', options: TRANSFER_EARLY }],
  COUNTING,
  FLUSHING.slice(0, 2),
  NESTED,
  ...SHOOT,
];

export const FAULT: readonly OptionGroup[] = [
  [
    { name: 'reuse-exclusive' },
    { name: 'reuse-count', options: HANDLER_REUSE_COUNT },
    { name: 'reuse-mapcount', options: HANDLER_REUSE_MAPCOUNT },
    { name: 'reuse-unlocked', options: HANDLER_REUSE_UNLOCKED },
    { name: 'reuse-never', options: HANDLER_REUSE_NEVER },
  ],
  [
    { name: 'mkwrite-linux' },
    { name: 'mkwrite-held', options: HANDLER_MKWRITE_HELD },
    { name: 'mkwrite-inside', options: HANDLER_MKWRITE_INSIDE },
    { name: 'mkwrite-none', options: HANDLER_MKWRITE_NONE },
  ],
  [{ name: 'vma-lock' }, { name: 'mmap-lock', options: HANDLER_MMAP_LOCK }],
  [{ name: 'copies-outside-ptl' }, { name: 'copies-in-ptl', options: HANDLER_COPY_IN_PTL }],
  [{ name: 'copy-flushes' }, { name: 'copy-no-flush', options: HANDLER_COPY_NO_FLUSH }],
  [{ name: 'uffd-flush' }, { name: 'no-uffd-flush', options: HANDLER_NO_UFFD_FLUSH }],
  [
    { name: 'ignores-pending' },
    { name: 'flushes-pending', options: HANDLER_FLUSH_PENDING },
    { name: 'flushes-vma-pending', options: HANDLER_FLUSH_VMA_PENDING },
  ],
  [{ name: 'keeps-deferral' }, { name: 'settles-deferral', options: HANDLER_UNPEND }],
  [{ name: 'pte-same' }, { name: 'no-pte-same', options: HANDLER_NO_PTE_SAME }],
  ...SHOOT,
];
