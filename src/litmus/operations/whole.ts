// Whole functions of the core: the code that ships, from beginning to end, each of its accesses a step. What they may be told: options.ts.

import {
  CALL_CLEAN_RECORD,
  CALL_CLEAR_REFS,
  CALL_FAULT,
  CALL_KSM_MERGE,
  CALL_MADV_DONTNEED,
  CALL_MADV_FREE,
  CALL_MIGRATE,
  CALL_MKCLEAN,
  CALL_MMPUT,
  CALL_MPROTECT,
  CALL_MUNMAP,
  CALL_PAGEMAP,
  CALL_REAP,
  CALL_RECLAIM,
  CALL_SETTLE,
  CALL_TRANSFER,
  CALL_UFFD_WP,
  CALL_WP_SHARED,
  CALL_WRITE_BACK,
  FIRST_ARGUMENT,
  OP_CALL,
  OP_MOVE,
  OP_OR,
  OP_SHR,
  REG_FAULT_ACCESS,
  REG_FAULT_VA,
} from '../../../assembly/litmus/ops_bits.ts';
import type { LitmusSymbol } from '../program.ts';
import { type Call, type Declared, type Operation, operation } from './operation.ts';
import {
  CLEAR_REFS,
  DONTNEED,
  EXIT,
  FAULT,
  KSM,
  LAZY_FREE,
  MAPPING,
  MIGRATE,
  MKCLEAN,
  MPROTECT,
  MUNMAP,
  type Option,
  type OptionGroup,
  REAPER,
  RECLAIM,
  SHOOT,
  TRANSFER,
  USERFAULTFD,
  WRITEBACK,
} from './options.ts';

const ALL = (1n << 64n) - 1n;
const REST_OF_PAGE = 0xfffn;

/** Puts what a symbol stands for, or a number, into argument `n`. */
function give(call: Call, n: number, what: LitmusSymbol | bigint): void {
  const { emitter } = call;
  if (typeof what === 'bigint') emitter.set(what, FIRST_ARGUMENT + n);
  else emitter.valueOf(what, FIRST_ARGUMENT + n);
}

const mmOf = (name: string): LitmusSymbol => ({ of: 'mm', name, field: 'handle' });
const fileOf = (name: string): LitmusSymbol => ({ of: 'file', name, field: 'handle' });
const folioOf = (name: string): LitmusSymbol => ({ of: 'folio', name, field: 'handle' });
const vaOf = (name: string): LitmusSymbol => ({ of: 'page', name, field: 'va' });

/** The pages from argument 0 to argument 1 of the call, as the bytes of their mm. */
function givePages(call: Call): void {
  give(call, 0, mmOf(call.mmOf(0)));
  give(call, 1, vaOf(call.name(0)));
  give(call, 2, vaOf(call.name(1)));
  const last = FIRST_ARGUMENT + 2;
  const mark = call.emitter.mark();
  call.emitter.pure({ op: OP_OR, d: last, a: last, b: call.emitter.set(REST_OF_PAGE) });
  call.emitter.release(mark);
}

/** Pages of a file: its number of the first, and how many. */
function giveFilePages(call: Call): void {
  const [first, count] = [call.number(1), call.number(2)];
  give(call, 0, fileOf(call.name(0)));
  give(call, 1, first);
  give(call, 2, first + (count < 1n ? 0n : count - 1n));
}

function makeCall(call: Call, which: number, groups: readonly OptionGroup[]): void {
  const told = toldOf(call, groups);
  give(call, 3, sum(told, 'options'));
  call.emitter.step({ op: OP_CALL, d: call.into, c: which, immediate: sum(told, 'shoot') });
}

function toldOf(call: Call, groups: readonly OptionGroup[]): readonly Option[] {
  const flags = call.flags();
  return groups.flat().filter(({ name }) => flags.includes(name));
}

function sum(told: readonly Option[], field: 'options' | 'shoot' | 'rights'): bigint {
  return BigInt(told.reduce((bits, option) => bits | (option[field] ?? 0), 0));
}

/** The list of migrations whose flush is put off is that of `mm`, if the call is told to use it. */
function giveDeferred(call: Call, groups: readonly OptionGroup[], mm: string): void {
  const defers = toldOf(call, groups).some((option) => option.defers);
  give(call, 6, defers ? mmOf(mm) : 0n);
}

const STEPS = 'every access that it makes';

function whole<const N extends string, const T extends readonly string[]>(
  name: N,
  takes: T,
  which: number,
  options: readonly OptionGroup[],
  kernel: string,
  says: string,
  prepare: (call: Call) => void,
  more: Partial<Pick<Operation, 'where'>> = {},
): Declared<N, T> {
  return operation(name, takes, {
    gives: true,
    steps: STEPS,
    whole: true,
    kernel,
    says,
    options,
    emit: (call) => {
      prepare(call);
      makeCall(call, which, options);
    },
    ...more,
  });
}

export const WHOLE = [
  whole(
    'wp_shared_mapping_range',
    ['file f', 'number first', 'number nr', 'flags options'],
    CALL_WP_SHARED,
    MAPPING,
    'wp_shared_mapping_range(), mm/mapping_dirty_helpers.c',
    'Write-protects pages of a file in every mm that shows them shared and writable; the value is how many entries changed.',
    giveFilePages,
  ),
  whole(
    'clean_record_shared_mapping_range',
    ['file f', 'number first', 'number nr', 'flags options'],
    CALL_CLEAN_RECORD,
    MAPPING,
    'clean_record_shared_mapping_range(), mm/mapping_dirty_helpers.c',
    'Cleans them; the value has a bit for each page of the file that was dirty.',
    (call) => {
      giveFilePages(call);
      give(call, 5, 0n);
    },
  ),
  whole(
    'clear_refs_write',
    ['mm A', 'flags options'],
    CALL_CLEAR_REFS,
    CLEAR_REFS,
    'clear_refs_write() of soft-dirty, fs/proc/task_mmu.c',
    'Takes soft-dirty and W from all of an mm; the value is how many entries changed.',
    (call) => {
      give(call, 0, mmOf(call.name(0)));
      give(call, 1, 0n);
      give(call, 2, ALL);
    },
  ),
  whole(
    'pagemap_read',
    ['page x', 'page y'],
    CALL_PAGEMAP,
    [],
    'pagemap_read(), fs/proc/task_mmu.c',
    'The value has a bit for each page from the first on that is soft-dirty.',
    (call) => {
      givePages(call);
      const origin = FIRST_ARGUMENT + 5;
      const mark = call.emitter.mark();
      call.emitter.valueOf(vaOf(call.name(0)), origin);
      call.emitter.pure({ op: OP_SHR, d: origin, a: origin, b: call.emitter.set(12n) });
      call.emitter.release(mark);
    },
  ),
  whole(
    'madvise_dontneed_single_vma',
    ['page x', 'page y', 'flags options'],
    CALL_MADV_DONTNEED,
    DONTNEED,
    'madvise_dontneed_single_vma(), MADV_DONTNEED, mm/madvise.c',
    'Discards pages.',
    givePages,
  ),
  whole(
    'madvise_free_single_vma',
    ['page x', 'page y', 'flags options'],
    CALL_MADV_FREE,
    LAZY_FREE,
    'madvise_free_single_vma(), MADV_FREE, mm/madvise.c',
    'Anonymous pages become old and clean: they may be dropped unless they are stored to.',
    givePages,
  ),
  whole(
    'do_mprotect',
    ['page x', 'page y', 'flags options'],
    CALL_MPROTECT,
    MPROTECT,
    'do_mprotect_pkey(), mm/mprotect.c',
    'Gives pages the rights that it is told; the value is 0, or says why not.',
    (call) => {
      givePages(call);
      give(call, 4, sum(toldOf(call, MPROTECT), 'rights'));
      giveDeferred(call, MPROTECT, call.mmOf(0));
    },
  ),
  whole(
    'mwriteprotect_range',
    ['page x', 'page y', 'flags options'],
    CALL_UFFD_WP,
    USERFAULTFD,
    'mwriteprotect_range(), UFFDIO_WRITEPROTECT, mm/userfaultfd.c',
    'Write-protects pages for a monitor, or gives them back.',
    givePages,
  ),
  whole(
    'do_munmap',
    ['page x', 'page y', 'flags options'],
    CALL_MUNMAP,
    MUNMAP,
    'do_vmi_align_munmap(), mm/vma.c',
    'Unmaps pages, with their VMA and their tables.',
    givePages,
  ),
  whole(
    'try_to_merge_one_page',
    ['page x', 'frame K', 'flags options'],
    CALL_KSM_MERGE,
    KSM,
    'try_to_merge_one_page(), mm/ksm.c',
    'Merges a page with another of the same contents; the value is 1 if it was done.',
    (call) => {
      give(call, 0, mmOf(call.mmOf(0)));
      give(call, 1, vaOf(call.name(0)));
      give(call, 4, folioOf(call.name(1)));
    },
  ),
  whole(
    'write_cache_pages',
    ['frame F', 'flags options'],
    CALL_WRITE_BACK,
    WRITEBACK,
    'write_cache_pages(), folio_clear_dirty_for_io(), mm/page-writeback.c',
    'Writes a page of a file to its backing store; the value is 1 if it was dirty.',
    (call) => give(call, 0, folioOf(call.name(0))),
  ),
  whole(
    'folio_mkclean',
    ['frame F', 'flags options'],
    CALL_MKCLEAN,
    MKCLEAN,
    'folio_mkclean(), mm/rmap.c',
    'Cleans and write-protects the entries of a page, whose lock is held; the value is 1 if one was.',
    (call) => give(call, 0, folioOf(call.name(0))),
  ),
  whole(
    'oom_reap_task_mm',
    ['mm A', 'flags options'],
    CALL_REAP,
    REAPER,
    'oom_reap_task_mm(), mm/oom_kill.c',
    'Frees the private memory of an mm; the value is 0 if mmap_lock was taken.',
    (call) => give(call, 0, mmOf(call.name(0))),
  ),
  whole(
    'mmput',
    ['mm A', 'flags options'],
    CALL_MMPUT,
    EXIT,
    'mmput(), kernel/fork.c; exit_mmap(), mm/mmap.c',
    'One user less; the last one takes the mm down, and the value is 1 then.',
    (call) => give(call, 0, mmOf(call.name(0))),
  ),
  whole(
    'shrink_folio',
    ['frame F', 'flags options'],
    CALL_RECLAIM,
    RECLAIM,
    'shrink_folio_list(), mm/vmscan.c; try_to_unmap(), mm/rmap.c',
    'Reclaims a page: unmapped with its flush put off, written out, freed; the value is 1 if it is gone.',
    (call) => give(call, 0, folioOf(call.name(0))),
  ),
  whole(
    'migrate_pages',
    ['frame F', 'frame T', 'mm A', 'flags options'],
    CALL_MIGRATE,
    MIGRATE,
    'migrate_pages_batch(), mm/migrate.c',
    'Moves a page to a frame that nobody uses; flushes that are put off are those of the mm. The value is 1 if it was done.',
    (call) => {
      give(call, 0, folioOf(call.name(0)));
      give(call, 4, folioOf(call.name(1)));
      giveDeferred(call, MIGRATE, call.name(2));
    },
  ),
  whole(
    'migrc_flush',
    ['mm A', 'flags options'],
    CALL_SETTLE,
    SHOOT,
    'migrc_flush_start() and _end(), of "mm: Defer TLB flush by keeping both src and dst folios at migration"',
    'Makes the flushes of migrations that were put off, and gives up the frames that were kept.',
    (call) => give(call, 0, mmOf(call.name(0))),
  ),
  whole(
    'driver_cycle',
    ['file f', 'flags options'],
    CALL_TRANSFER,
    TRANSFER,
    'vmw_bo_dirty_scan_mkwrite(), vmw_bo_dirty_transfer_to_res(), drivers/gpu/drm/vmwgfx/vmwgfx_page_dirty.c',
    'Write-protects the pages of a file, takes the record of those that were stored to, and copies them to the device.',
    (call) => give(call, 0, fileOf(call.name(0))),
  ),
  whole(
    'handle_mm_fault',
    ['flags options'],
    CALL_FAULT,
    FAULT,
    'do_user_addr_fault(), arch/x86/mm/fault.c; handle_mm_fault(), mm/memory.c',
    'Handles the fault; the value is 0 if the access is to be made again, else the signal that ends it.',
    (call) => {
      call.emitter.pure({ op: OP_MOVE, d: FIRST_ARGUMENT + 1, a: REG_FAULT_VA });
      call.emitter.pure({ op: OP_MOVE, d: FIRST_ARGUMENT + 4, a: REG_FAULT_ACCESS });
    },
    { where: 'handler' },
  ),
];
