// The invariants that scenarios check by name.
//
// Three kinds. One with `holds` is an expression that is judged where a program says `check`, in one step. One with `guards` may be forbidden for a
// page: from there until it is permitted again, a store to the page that gets through is the violation, and it is noticed in the very step
// of the store. The others the machine and the engines watch by themselves, in every scenario.

import type { Expression, FormalParameter } from './ast.ts';
import { calc, kmap, last, op, stored } from './builder/expressions.ts';
import { Ref } from './builder/names.ts';

export interface LibraryInvariant {
  readonly name: string;
  /** As in a declaration: `page x, word recorded`. */
  readonly takes: string;
  readonly sentence: string;
  readonly source: string;
  /** Over the parameters. */
  readonly holds?: Expression;
  readonly guards?: true;
}

const S0 = 'Yu Zhao, 20 Nov 2020, re [PATCH 4/6] mm: proc: Invalidate TLB after clearing soft-dirty page state';
const S1 = 'Thomas Hellström, 11 Jun 2019, [PATCH v4 3/9] mm: Add write-protect and clean utilities';
const S2 = 'Nadav Amit, quoted by Byungchul Park, 10 Nov 2023, re [v3 2/3] mm: Defer TLB flush';
const S3 = 'Minchan Kim, 12 Nov 2017, re [PATCH] arch, mm: introduce arch_tlb_gather_mmu_lazy';
const S4 =
  'Linus Torvalds, 7 Jan 2021, re [PATCH 2/2] mm: soft_dirty: userfaultfd: introduce wrprotect_tlb_flush_pending';

/** What `takes` calls the page. */
const x = new Ref('page', 'x');

export const LIBRARY: readonly LibraryInvariant[] = [
  {
    name: 'WP-RETURN',
    takes: 'page x',
    sentence:
      'After a write-protecting function returned, W is 0, and no CPU stores without a fault until the external lock is released.',
    source: S1,
    holds: calc.not(op.pte_write(op.ptep_get(x))),
    guards: true,
  },
  {
    name: 'UPLOAD',
    takes: 'page x, word copy, word recorded',
    sentence: 'At rest the copy equals the last store, or the page is recorded for the next cycle.',
    source: S1,
    holds: calc.or(calc.eq('copy', last(x)), 'recorded'),
  },
  {
    name: 'COVER',
    takes: 'page x, word recorded',
    sentence: 'A page that was stored to since it was cleaned last is recorded, or its PTE is dirty.',
    source: S1,
    holds: calc.or(calc.not(stored(x)), 'recorded', op.pte_dirty(op.ptep_get(x))),
  },
  {
    name: 'WRITEBACK',
    takes: 'page x, word copy',
    sentence: 'At rest, after one more pass of write-back, the copy equals the last store.',
    source: S1,
    holds: calc.eq('copy', last(x)),
  },
  {
    name: 'ALL',
    takes: 'page x, word recorded',
    sentence: 'A page that was stored to is recorded, not merely dirty in its PTE.',
    source: S1,
    holds: calc.or(calc.not(stored(x)), 'recorded'),
  },
  {
    name: 'NONE',
    takes: 'page x',
    sentence: 'D and W are 0, and no CPU stores without a fault until the external lock is released.',
    source: S1,
    holds: calc.and(calc.not(op.pte_write(op.ptep_get(x))), calc.not(op.pte_dirty(op.ptep_get(x)))),
    guards: true,
  },
  {
    name: 'SOFTDIRTY',
    takes: 'page x',
    sentence:
      'A store made after clear_refs returned is seen as soft-dirty by a read of pagemap that comes after the store.',
    source: S0,
    holds: calc.or(calc.not(stored(x)), op.pte_soft_dirty(op.ptep_get(x))),
  },
  {
    name: 'NOTIFY',
    takes: 'page x',
    sentence: 'When page_mkclean_one() has released the page-table lock, no CPU stores without a fault.',
    source: S0,
    guards: true,
  },
  {
    name: 'NOLOST',
    takes: 'page x, int first, int second',
    sentence: 'At rest the frame that the PTE maps holds every store of every CPU: these are its first two words.',
    source: `${S0}; ${S4}`,
    holds: calc.and(
      calc.eq(kmap(op.pte_pfn(op.ptep_get(x))), 'first'),
      calc.eq(kmap(op.pte_pfn(op.ptep_get(x)), 1), 'second'),
    ),
  },
  {
    name: 'COHERENCE',
    takes: 'int loaded, int stored',
    sentence:
      'A load that comes after a store in the order of synchronisation returns that store or a later one; values grow.',
    source: S2,
    holds: calc.ge('loaded', 'stored'),
  },
  {
    name: 'ZERO',
    takes: 'int loaded, int old',
    sentence: 'After MADV_DONTNEED returned to a thread, its load does not see the old contents.',
    source: '99baac21e458, mm: fix MADV_[FREE|DONTNEED] TLB flush miss problem',
    holds: calc.ne('loaded', 'old'),
  },
  {
    name: 'MPROTECT',
    takes: 'page x',
    sentence: 'After mprotect(PROT_READ) returned, no CPU stores.',
    source: '3ea277194daa, mm, mprotect: flush TLB if potentially racing with a parallel reclaim',
    guards: true,
  },
  {
    name: 'SWAP',
    takes: 'page x, word copy',
    sentence: 'At rest, the swap copy of a page that is in swap holds its last store.',
    source: 'mm/rmap.c, try_to_unmap_one(), on deferred flushes',
    holds: calc.or(calc.not(stored(x)), calc.eq('copy', last(x))),
  },
  { name: 'NOUAF', takes: '', sentence: 'No load or store reaches a frame that is free.', source: `${S0}; ${S3}` },
  { name: 'ASID', takes: '', sentence: 'No access of one mm goes through a translation made for another.', source: S3 },
  {
    name: 'NOWALK',
    takes: '',
    sentence: 'No hardware walk reads a page-table page that is free.',
    source: 'arch/x86/mm/tlb.c, flush_tlb_multi(), on freed_tables',
  },
  { name: 'LOCKS', takes: '', sentence: 'No program ends and holds a lock.', source: 'Documentation/locking' },
  {
    name: 'DEADLOCK',
    takes: '',
    sentence: 'Somebody can go on, or all have ended.',
    source: 'Documentation/locking/lockdep-design.rst',
  },
  {
    name: 'FLUSH-OWED',
    takes: '',
    sentence: 'At rest every flush that was owed is paid: tlb_flush_pending is 0.',
    source: 'include/linux/mm_types.h, tlb_flush_pending',
  },
  {
    name: 'DOUBLE-FREE',
    takes: '',
    sentence: 'No frame was freed that was free already.',
    source: 'mm/page_alloc.c, bad_page()',
  },
];

export function libraryInvariant(name: string): LibraryInvariant | undefined {
  return LIBRARY.find((invariant) => invariant.name === name);
}

/** Whether the machine or the engines watch it by themselves. */
export function isBuiltIn({ holds, guards }: LibraryInvariant): boolean {
  return holds === undefined && guards === undefined;
}

export function parametersOfInvariant({ takes }: LibraryInvariant): readonly FormalParameter[] {
  if (takes === '') return [];
  return takes.split(', ').map((text) => {
    const [kind = '', name = ''] = text.split(' ');
    return { kind: kind as FormalParameter['kind'], name: { at: { line: 0, column: 0 }, text: name } };
  });
}
