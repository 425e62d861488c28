// Locks and counts.

import {
  OP_DOWNGRADE,
  OP_FETCH_ADD32,
  OP_FETCH_ADD64,
  OP_LOAD32,
  OP_LOAD64,
  OP_LT,
  OP_READ_LOCK,
  OP_READ_UNLOCK,
  OP_SPIN_LOCK,
  OP_SPIN_TRYLOCK,
  OP_SPIN_UNLOCK,
  OP_WRITE_LOCK,
  OP_WRITE_UNLOCK,
} from '../../../assembly/litmus/ops_bits.ts';
import type { LitmusSymbol, MmField } from '../program.ts';
import { type Call, type Declared, one, operation, symbol } from './operation.ts';

/** What a lock operation does to the lock that is its argument: for the check that what is released is held. */
export type LockEffect = 'take' | 'try' | 'release' | 'downgrade';

export interface LockUse {
  readonly effect: LockEffect;
  /** A lock is held in one of these. */
  readonly as: 'spin' | 'read' | 'write';
  /** What names the lock in the world of symbols: those of the same family and name are the same lock. */
  readonly of: 'spinlock' | 'rwsem' | 'mmap_lock' | 'vma' | 'i_mmap' | 'folio' | 'driver';
}

const uses = new Map<string, LockUse>();

/** undefined for an operation that is none on locks. */
export function lockUse(operation: string): LockUse | undefined {
  return uses.get(operation);
}

interface Family {
  readonly of: LockUse['of'];
  readonly takes: string;
  readonly symbol: (call: Call) => LitmusSymbol;
}

const FAMILIES = {
  spinlock: { of: 'spinlock', takes: 'spinlock lock', symbol: (call) => call.lock(0) },
  rwsem: { of: 'rwsem', takes: 'rwsem lock', symbol: (call) => call.lock(0) },
  mmap_lock: { of: 'mmap_lock', takes: 'mm A', symbol: (call) => mmSymbol(call, 'mmap_lock') },
  vma: { of: 'vma', takes: 'vma v', symbol: (call) => ({ of: 'vma', name: call.name(0), field: 'lock' }) },
  i_mmap: {
    of: 'i_mmap',
    takes: 'file f',
    symbol: (call) => ({ of: 'file', name: call.name(0), field: 'i_mmap_lock' }),
  },
  driver: {
    of: 'driver',
    takes: 'file f',
    symbol: (call) => ({ of: 'file', name: call.name(0), field: 'driver_lock' }),
  },
  folio: { of: 'folio', takes: 'frame F', symbol: (call) => ({ of: 'folio', name: call.name(0), field: 'lock' }) },
} as const satisfies Readonly<Record<LockUse['of'], Family>>;

function mmSymbol(call: Call, field: MmField): LitmusSymbol {
  return { of: 'mm', name: call.name(0), field };
}

function lock<const N extends string, const F extends LockUse['of']>(
  name: N,
  of: F,
  op: number,
  effect: LockEffect,
  as: LockUse['as'],
  kernel: string,
  says: string,
): Declared<N, readonly [(typeof FAMILIES)[F]['takes']]> {
  const family: Family = FAMILIES[of];
  uses.set(name, { effect, as, of });
  const gives = effect === 'try';
  const takes = family.takes as (typeof FAMILIES)[F]['takes'];
  return operation(name, [takes], {
    gives,
    steps: effect === 'take' ? '1; waits' : '1',
    kernel,
    says,
    emit: one((call) => ({ op, ...(gives ? { d: call.into } : {}), c: symbol(call, family.symbol(call)) })),
  });
}

const MMAP = 'include/linux/mmap_lock.h';
const RWSEM = 'kernel/locking/rwsem.c';
const FS = 'include/linux/fs.h';

const ON_LOCKS = [
  lock('spin_lock', 'spinlock', OP_SPIN_LOCK, 'take', 'spin', 'spin_lock(), include/linux/spinlock.h', 'Takes it.'),
  lock(
    'spin_unlock',
    'spinlock',
    OP_SPIN_UNLOCK,
    'release',
    'spin',
    'spin_unlock(), include/linux/spinlock.h',
    'Releases it.',
  ),
  lock(
    'spin_trylock',
    'spinlock',
    OP_SPIN_TRYLOCK,
    'try',
    'spin',
    'spin_trylock(), include/linux/spinlock.h',
    '1 if it was free, and is taken.',
  ),
  lock('down_read', 'rwsem', OP_READ_LOCK, 'take', 'read', `down_read(), ${RWSEM}`, 'Takes it, with other readers.'),
  lock('up_read', 'rwsem', OP_READ_UNLOCK, 'release', 'read', `up_read(), ${RWSEM}`, 'Releases it.'),
  lock('down_write', 'rwsem', OP_WRITE_LOCK, 'take', 'write', `down_write(), ${RWSEM}`, 'Takes it, alone.'),
  lock('up_write', 'rwsem', OP_WRITE_UNLOCK, 'release', 'write', `up_write(), ${RWSEM}`, 'Releases it.'),
  lock(
    'downgrade_write',
    'rwsem',
    OP_DOWNGRADE,
    'downgrade',
    'write',
    `downgrade_write(), ${RWSEM}`,
    'From writer to reader, and no other writer between.',
  ),
  lock(
    'mmap_read_lock',
    'mmap_lock',
    OP_READ_LOCK,
    'take',
    'read',
    `mmap_read_lock(), ${MMAP}`,
    'Takes mmap_lock, with other readers.',
  ),
  lock(
    'mmap_read_unlock',
    'mmap_lock',
    OP_READ_UNLOCK,
    'release',
    'read',
    `mmap_read_unlock(), ${MMAP}`,
    'Releases it.',
  ),
  lock(
    'mmap_write_lock',
    'mmap_lock',
    OP_WRITE_LOCK,
    'take',
    'write',
    `mmap_write_lock(), ${MMAP}`,
    'Takes mmap_lock, alone.',
  ),
  lock(
    'mmap_write_unlock',
    'mmap_lock',
    OP_WRITE_UNLOCK,
    'release',
    'write',
    `mmap_write_unlock(), ${MMAP}`,
    'Releases it.',
  ),
  lock(
    'mmap_write_downgrade',
    'mmap_lock',
    OP_DOWNGRADE,
    'downgrade',
    'write',
    `mmap_write_downgrade(), ${MMAP}`,
    'From writer to reader, and no other writer between.',
  ),
  lock(
    'vma_start_read',
    'vma',
    OP_READ_LOCK,
    'take',
    'read',
    'vma_start_read(), include/linux/mmap_lock.h',
    "Takes the VMA's lock, with other readers; the kernel's gives up where this waits.",
  ),
  lock(
    'vma_end_read',
    'vma',
    OP_READ_UNLOCK,
    'release',
    'read',
    'vma_end_read(), include/linux/mmap_lock.h',
    'Releases it.',
  ),
  lock(
    'vma_start_write',
    'vma',
    OP_WRITE_LOCK,
    'take',
    'write',
    'vma_start_write(), include/linux/mmap_lock.h',
    "Takes the VMA's lock, alone.",
  ),
  lock(
    'vma_end_write',
    'vma',
    OP_WRITE_UNLOCK,
    'release',
    'write',
    'vma_end_write_all(), include/linux/mmap_lock.h',
    'Releases it; in the kernel mmap_write_unlock() does.',
  ),
  lock(
    'i_mmap_lock_read',
    'i_mmap',
    OP_READ_LOCK,
    'take',
    'read',
    `i_mmap_lock_read(), ${FS}`,
    'Takes i_mmap_rwsem, with other readers.',
  ),
  lock(
    'i_mmap_unlock_read',
    'i_mmap',
    OP_READ_UNLOCK,
    'release',
    'read',
    `i_mmap_unlock_read(), ${FS}`,
    'Releases it.',
  ),
  lock(
    'i_mmap_lock_write',
    'i_mmap',
    OP_WRITE_LOCK,
    'take',
    'write',
    `i_mmap_lock_write(), ${FS}`,
    'Takes i_mmap_rwsem, alone.',
  ),
  lock(
    'i_mmap_unlock_write',
    'i_mmap',
    OP_WRITE_UNLOCK,
    'release',
    'write',
    `i_mmap_unlock_write(), ${FS}`,
    'Releases it.',
  ),
  lock(
    'folio_lock',
    'folio',
    OP_SPIN_LOCK,
    'take',
    'spin',
    'folio_lock(), include/linux/pagemap.h',
    'Takes the page lock.',
  ),
  lock(
    'folio_trylock',
    'folio',
    OP_SPIN_TRYLOCK,
    'try',
    'spin',
    'folio_trylock(), include/linux/pagemap.h',
    '1 if it was free, and is taken.',
  ),
  lock('folio_unlock', 'folio', OP_SPIN_UNLOCK, 'release', 'spin', 'folio_unlock(), mm/filemap.c', 'Releases it.'),
  lock(
    'dma_resv_lock',
    'driver',
    OP_SPIN_LOCK,
    'take',
    'spin',
    'dma_resv_lock(), include/linux/dma-resv.h',
    "Takes the lock of a file's driver.",
  ),
  lock(
    'dma_resv_unlock',
    'driver',
    OP_SPIN_UNLOCK,
    'release',
    'spin',
    'dma_resv_unlock(), include/linux/dma-resv.h',
    'Releases it.',
  ),
];

/** Adds to a u32 of an mm. */
function count<const N extends string>(name: N, field: MmField, by: bigint, kernel: string, says: string) {
  return operation(name, ['mm A'], {
    steps: '1',
    kernel,
    says,
    emit: (call) => {
      const register = call.emitter.set(by & 0xffffffffn);
      call.emitter.step({ op: OP_FETCH_ADD32, d: register, a: register, c: symbol(call, mmSymbol(call, field)) });
    },
  });
}

/** Whether a u32 of an mm is more than `than`. */
function moreThan<const N extends string>(name: N, field: MmField, than: bigint, kernel: string, says: string) {
  return operation(name, ['mm A'], {
    gives: true,
    steps: '1',
    kernel,
    says,
    emit: ({ emitter, into, ...call }) => {
      const c = emitter.symbols.number({ of: 'mm', name: call.name(0), field });
      const read = emitter.step({ op: OP_LOAD32, d: emitter.temporary(), c });
      emitter.pure({ op: OP_LT, d: into, a: emitter.set(than), b: read });
    },
  });
}

const MM_TYPES = 'include/linux/mm_types.h';

const COUNTS = [
  count(
    'inc_tlb_flush_pending',
    'tlb_flush_pending',
    1n,
    `inc_tlb_flush_pending(), ${MM_TYPES}`,
    'One more flush is owed.',
  ),
  count('dec_tlb_flush_pending', 'tlb_flush_pending', -1n, `dec_tlb_flush_pending(), ${MM_TYPES}`, 'One less.'),
  moreThan(
    'mm_tlb_flush_pending',
    'tlb_flush_pending',
    0n,
    `mm_tlb_flush_pending(), ${MM_TYPES}`,
    '1 if a flush is owed.',
  ),
  moreThan(
    'mm_tlb_flush_nested',
    'tlb_flush_pending',
    1n,
    `mm_tlb_flush_nested(), ${MM_TYPES}`,
    '1 if more than one flush is owed.',
  ),
  operation('inc_mm_tlb_gen', ['mm A'], {
    gives: true,
    steps: '1',
    kernel: 'inc_mm_tlb_gen(), arch/x86/include/asm/tlbflush.h',
    says: 'Advances the generation; the value is what it was before.',
    emit: (call) => {
      const { emitter, into } = call;
      const d = emitter.set(1n);
      emitter.step({ op: OP_FETCH_ADD64, d, a: d, c: symbol(call, mmSymbol(call, 'tlb_gen')) });
      emitter.move(d, into);
    },
  }),
  operation('mm_tlb_gen', ['mm A'], {
    gives: true,
    steps: '1',
    kernel: 'atomic64_read(&mm->context.tlb_gen), arch/x86/mm/tlb.c',
    says: 'The generation.',
    emit: one((call) => ({ op: OP_LOAD64, d: call.into, c: symbol(call, mmSymbol(call, 'tlb_gen')) })),
  }),
  operation('mm_users', ['mm A'], {
    gives: true,
    steps: '1',
    kernel: 'atomic_read(&mm->mm_users)',
    says: 'How many users the mm has.',
    emit: one((call) => ({ op: OP_LOAD32, d: call.into, c: symbol(call, mmSymbol(call, 'users')) })),
  }),
  count('mmget', 'users', 1n, 'mmget(), include/linux/sched/mm.h', 'One more user.'),
];

export const LOCKS = [...ON_LOCKS, ...COUNTS];
