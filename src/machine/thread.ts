// A thread of a process: user accesses whose faults the kernel handles, as it would.
//
// Guarantees: an access was made, or the answer says by which signal it ended; nothing is thrown at what a program may do. The faults are the core's
// (assembly/fault/): under the locks, with the flushes and in the order of mm/memory.c. What Linux does is the default; the options are what
// kernel threads argue about, and what is wrong on purpose. A `UserThread` belongs to the thread that runs its CPU.

import {
  DONE,
  HANDLER_COPY_IN_PTL,
  HANDLER_COPY_NO_FLUSH,
  HANDLER_FLUSH_PENDING,
  HANDLER_FLUSH_VMA_PENDING,
  HANDLER_MKWRITE_HELD,
  HANDLER_MKWRITE_INSIDE,
  HANDLER_MKWRITE_LINUX,
  HANDLER_MKWRITE_NONE,
  HANDLER_MMAP_LOCK,
  HANDLER_NO_PTE_SAME,
  HANDLER_NO_UFFD_FLUSH,
  HANDLER_NO_ZERO_PAGE,
  HANDLER_REUSE_COUNT,
  HANDLER_REUSE_EXCLUSIVE,
  HANDLER_REUSE_MAPCOUNT,
  HANDLER_REUSE_NEVER,
  HANDLER_REUSE_UNLOCKED,
  HANDLER_UNPEND,
  SIGNAL_ACCERR,
  SIGNAL_BUS,
  SIGNAL_MAPERR,
  SIGNAL_OOM,
  SIGNAL_USERFAULT,
} from '../../assembly/layout.ts';
import { type AddressLike, virtualAddress } from '../units.ts';
import { type Cpu, type FlushOptions, shootBits } from './cpu.ts';
import { openFolios } from './folio.ts';
import { faultOf, type UserFault } from './hardware.ts';
import { choice } from './path.ts';

/** How faults are handled. The defaults are what Linux does (v6.14); the flush options are those of the flushes that a handler makes. */
export interface FaultPolicy extends FlushOptions {
  /**
   * When a store makes a private page writable as it is, in place of a copy: if it is PG_anon_exclusive, or nobody else has a reference
   * (`exclusive`, 6c287605fd56); if nobody else has a reference (`count`, 09854ba94c6a); if no other entry maps it, under its page lock (`mapcount`,
   * before v5.9) or without (`unlocked`); `never`. Default `exclusive`.
   */
  readonly reuse?: 'exclusive' | 'count' | 'mapcount' | 'unlocked' | 'never';
  /** Where the page is copied: with the page-table lock given up and the entry compared again, or under it. Default `unlocked`. */
  readonly copy?: 'unlocked' | 'in-ptl';
  /** Take the old entry out of all TLBs before the copy is mapped (ptep_clear_flush()). Default true. */
  readonly copyFlush?: boolean;
  /**
   * What a store to a write-protected page flushes first if somebody owes a flush: in VMAs of userfaultfd (`userfaultfd`, 6ce64428d626), in every one
   * (`always`), if the VMA's own count says so (`vma`), or nothing (`never`). Default `userfaultfd`.
   */
  readonly flushBefore?: 'userfaultfd' | 'always' | 'vma' | 'never';
  /**
   * How long page_mkwrite() keeps the page lock, and pfn_mkwrite() the driver's: the first until the entry is writable, the second while it records
   * (`linux`); both until the entry is writable (`held`); both while they record (`inside`); not at all (`none`). Default `linux`.
   */
  readonly mkwrite?: 'linux' | 'held' | 'inside' | 'none';
  /** Which lock a fault takes first: the VMA's own, as since v6.4, or mmap_lock. Default `vma`. */
  readonly lock?: 'vma' | 'mmap';
  /** Carry out what a migration deferred before an entry becomes writable (see DeferredFlush). Default false. */
  readonly settleDeferred?: boolean;
  /** Look at the entry again after the page-table lock was given up (pte_same()). Without it two faults overwrite each other. Default true. */
  readonly compareAgain?: boolean;
  /** A load of anonymous memory that was never stored to maps the zero page. Default true. */
  readonly zeroPage?: boolean;
}

/** Why an access did not go through. `fault` is what the hardware said last. */
export type Signal =
  /** No VMA is there (`SEGV_MAPERR`), or it forbids the access (`SEGV_ACCERR`). */
  | {
      readonly kind: 'signal';
      readonly signal: 'SIGSEGV';
      readonly code: 'SEGV_MAPERR' | 'SEGV_ACCERR';
      readonly fault: UserFault;
    }
  /** The file has no such page. */
  | { readonly kind: 'signal'; readonly signal: 'SIGBUS'; readonly code: 'BUS_ADRERR'; readonly fault: UserFault }
  /** No frame is left. */
  | { readonly kind: 'out-of-memory'; readonly fault: UserFault }
  /** The page is write-protected by userfaultfd: make the access again when its monitor has resolved. */
  | { readonly kind: 'userfault'; readonly fault: UserFault };

/** What an access of a thread came to. */
export type ThreadAccess = { readonly kind: 'done'; readonly value: bigint } | Signal;

const REUSES = {
  exclusive: HANDLER_REUSE_EXCLUSIVE,
  count: HANDLER_REUSE_COUNT,
  mapcount: HANDLER_REUSE_MAPCOUNT,
  unlocked: HANDLER_REUSE_UNLOCKED,
  never: HANDLER_REUSE_NEVER,
} as const;
const COPIES = { unlocked: 0, 'in-ptl': HANDLER_COPY_IN_PTL } as const;
const FLUSHES_BEFORE = {
  userfaultfd: 0,
  always: HANDLER_FLUSH_PENDING,
  vma: HANDLER_FLUSH_VMA_PENDING,
  never: HANDLER_NO_UFFD_FLUSH,
} as const;
const MKWRITES = {
  linux: HANDLER_MKWRITE_LINUX,
  held: HANDLER_MKWRITE_HELD,
  inside: HANDLER_MKWRITE_INSIDE,
  none: HANDLER_MKWRITE_NONE,
} as const;
const LOCKS = { vma: 0, mmap: HANDLER_MMAP_LOCK } as const;

/** A thread of the mm that its CPU runs. */
export class UserThread {
  readonly cpu: Cpu;

  /** The CPU's faults are handled so from here on. @throws RangeError if an option is none, or the heap has no room for folios. */
  constructor(cpu: Cpu, policy: FaultPolicy = {}) {
    openFolios(cpu.memory);
    this.cpu = cpu;
    cpu.memory.core.setHandler(cpu.handle, policyBits(policy), shootBits(policy));
  }

  /** Loads the word of 8 bytes around `va`. */
  read(va: AddressLike): ThreadAccess {
    return this.#answer(this.#core.handledLoad(this.cpu.handle, virtualAddress(va)));
  }

  /** Stores a word of 8 bytes. */
  write(va: AddressLike, value: bigint): ThreadAccess {
    const status = this.#core.handledStore(this.cpu.handle, virtualAddress(va), value);
    return status === DONE ? { kind: 'done', value } : this.#signal(status);
  }

  /** Exchanges a word atomically; the value is what was there. */
  exchange(va: AddressLike, value: bigint): ThreadAccess {
    return this.#answer(this.#core.handledExchange(this.cpu.handle, virtualAddress(va), value));
  }

  /** Fetches the 8 bytes of code around `va`. */
  fetch(va: AddressLike): ThreadAccess {
    return this.#answer(this.#core.handledFetch(this.cpu.handle, virtualAddress(va)));
  }

  get #core() {
    return this.cpu.memory.core;
  }

  #answer(status: number): ThreadAccess {
    if (status !== DONE) return this.#signal(status);
    const { memory } = this.cpu;
    return { kind: 'done', value: memory.view.getBigUint64(memory.reply, true) };
  }

  #signal(status: number): Signal {
    const fault = faultOf(this.cpu.memory.view, this.cpu.handle);
    switch (status) {
      case SIGNAL_MAPERR:
        return { kind: 'signal', signal: 'SIGSEGV', code: 'SEGV_MAPERR', fault };
      case SIGNAL_ACCERR:
        return { kind: 'signal', signal: 'SIGSEGV', code: 'SEGV_ACCERR', fault };
      case SIGNAL_BUS:
        return { kind: 'signal', signal: 'SIGBUS', code: 'BUS_ADRERR', fault };
      case SIGNAL_OOM:
        return { kind: 'out-of-memory', fault };
      case SIGNAL_USERFAULT:
        return { kind: 'userfault', fault };
      default:
        throw new Error(`the core answered with status ${status}`);
    }
  }
}

function policyBits(policy: FaultPolicy): number {
  const {
    reuse = 'exclusive',
    copy = 'unlocked',
    flushBefore = 'userfaultfd',
    mkwrite = 'linux',
    lock = 'vma',
  } = policy;
  const { copyFlush = true, settleDeferred = false, compareAgain = true, zeroPage = true } = policy;
  return (
    choice('reuse', reuse, REUSES) |
    choice('copy', copy, COPIES) |
    choice('flushBefore', flushBefore, FLUSHES_BEFORE) |
    choice('mkwrite', mkwrite, MKWRITES) |
    choice('lock', lock, LOCKS) |
    (copyFlush ? 0 : HANDLER_COPY_NO_FLUSH) |
    (settleDeferred ? HANDLER_UNPEND : 0) |
    (compareAgain ? 0 : HANDLER_NO_PTE_SAME) |
    (zeroPage ? 0 : HANDLER_NO_ZERO_PAGE)
  );
}
