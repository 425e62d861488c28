// Operations on PTEs: those that read and change one in its table, and the functions of a value.

import {
  OP_COMPARE64,
  OP_EQ,
  OP_EXCHANGE64,
  OP_FRAME_PUT,
  OP_LOAD64,
  OP_PTE,
  OP_STORE64,
  PTE_CLEAR_SOFT_DIRTY,
  PTE_CLEAR_UFFD_WP,
  PTE_DIRTY,
  PTE_IS_SWAP,
  PTE_MKCLEAN,
  PTE_MKDIRTY,
  PTE_MKOLD,
  PTE_MKSOFT_DIRTY,
  PTE_MKUFFD_WP,
  PTE_MKWRITE,
  PTE_MKYOUNG,
  PTE_NONE,
  PTE_PFN,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_SWAP_OFFSET,
  PTE_SWAP_TYPE,
  PTE_UFFD_WP,
  PTE_WITH_PFN,
  PTE_WRITE,
  PTE_WRPROTECT,
  PTE_WRPROTECT_LOSSY,
  PTE_YOUNG,
} from '../../../assembly/litmus/ops_bits.ts';
import { type Call, flushPages, one, operation, pageSymbol, pteFunction, replacePte } from './operation.ts';

const PGTABLE = 'include/linux/pgtable.h';

function exchangeWithNone(call: Call): void {
  const none = call.emitter.set(0n);
  call.emitter.step({ op: OP_EXCHANGE64, d: call.into, a: none, c: pageSymbol(call, 'slot') });
}

const store = one((call) => ({ op: OP_STORE64, a: call.value(1), c: pageSymbol(call, 'slot') }));

function clearFlush(call: Call): void {
  const { emitter, into } = call;
  const old = emitter.set(0n);
  emitter.step({ op: OP_EXCHANGE64, d: old, a: old, c: pageSymbol(call, 'slot') });
  const present = pteFunction(emitter, PTE_PRESENT, old, emitter.temporary());
  const done = emitter.label();
  emitter.ifZero(present, done);
  flushPages(call, 0, 0, `flush_tlb_page(${call.name(0)})`);
  emitter.here(done);
  emitter.move(old, into);
}

const IN_TABLES = [
  operation('ptep_get', ['page x'], {
    gives: true,
    steps: '1',
    kernel: `ptep_get(), ${PGTABLE}`,
    says: 'The PTE.',
    emit: one((call) => ({ op: OP_LOAD64, d: call.into, c: pageSymbol(call, 'slot') })),
  }),
  operation('ptep_get_and_clear', ['page x'], {
    gives: true,
    steps: '1',
    kernel: `ptep_get_and_clear(), ${PGTABLE}`,
    says: 'Exchanges the PTE with none; the value is what it was.',
    emit: exchangeWithNone,
  }),
  operation('ptep_modify_prot_start', ['page x'], {
    gives: true,
    steps: '1',
    kernel: `ptep_modify_prot_start(), ${PGTABLE}`,
    says: 'The same: the PTE is none until it is committed, so no D that the hardware sets meanwhile is lost.',
    emit: exchangeWithNone,
  }),
  operation('ptep_modify_prot_commit', ['page x', 'value pte'], {
    steps: '1',
    kernel: `ptep_modify_prot_commit(), ${PGTABLE}`,
    says: 'Stores the PTE.',
    emit: store,
  }),
  operation('set_pte_at', ['page x', 'value pte'], {
    steps: '1',
    kernel: `set_pte_at(), ${PGTABLE}`,
    says: 'Stores the PTE.',
    emit: store,
  }),
  operation('ptep_set_access_flags', ['page x', 'value pte'], {
    steps: '1',
    kernel: 'ptep_set_access_flags(), arch/x86/mm/pgtable.c',
    says: 'Stores the PTE; no flush.',
    emit: store,
  }),
  operation('ptep_cmpxchg', ['page x', 'value old', 'value new'], {
    gives: true,
    steps: '1',
    kernel: 'try_cmpxchg() on the PTE, arch/x86/include/asm/pgtable.h',
    says: 'Stores `new` if the PTE is `old`; the value is what it was.',
    emit: one((call) => ({
      op: OP_COMPARE64,
      d: call.into,
      a: call.value(2),
      c: pageSymbol(call, 'slot'),
      immediate: BigInt(call.value(1)),
    })),
  }),
  operation('ptep_set_wrprotect', ['page x'], {
    gives: true,
    steps: '1 load, then compare-exchanges until one succeeds',
    kernel: 'ptep_set_wrprotect(), arch/x86/include/asm/pgtable.h (v6.6)',
    says: 'Takes W away; the value is what the PTE was.',
    emit: replacePte(PTE_WRPROTECT),
  }),
  operation('ptep_test_and_clear_young', ['page x'], {
    gives: true,
    steps: '1 load, then compare-exchanges until one succeeds',
    kernel: 'ptep_test_and_clear_young(), arch/arm64/include/asm/pgtable.h',
    says: 'Takes A away; the value is what the PTE was.',
    emit: replacePte(PTE_MKOLD),
  }),
  operation('ptep_clear_flush', ['page x'], {
    gives: true,
    steps: '1 exchange, then `flush_tlb_page` if the PTE was present',
    kernel: 'ptep_clear_flush(), mm/pgtable-generic.c',
    says: 'Exchanges the PTE with none and flushes; the value is what the PTE was.',
    emit: clearFlush,
  }),
];

/** Of the tables themselves. */
const TABLES = [
  operation('pmd_clear', ['page x'], {
    gives: true,
    steps: '1',
    kernel: 'pmd_clear(), arch/x86/include/asm/pgtable.h',
    says: 'Unhooks the table of the page: exchanges the entry that refers to it with none; the value is what it was.',
    emit: (call) => {
      const none = call.emitter.set(0n);
      call.emitter.step({ op: OP_EXCHANGE64, d: call.into, a: none, c: pageSymbol(call, 'pmd') });
    },
  }),
  operation('pte_free', ['value pmd'], {
    steps: '1',
    kernel: 'pte_free(), include/asm-generic/pgalloc.h',
    says: 'Frees the table that an entry referred to.',
    emit: (call) => {
      const { emitter } = call;
      const pfn = pteFunction(emitter, PTE_PFN, call.value(0), emitter.temporary());
      emitter.step({ op: OP_FRAME_PUT, a: pfn });
    },
  }),
];

/** Functions of one PTE. */
function pure<const N extends string>(name: N, which: number, kernel: string, says: string) {
  return operation(name, ['value pte'], {
    gives: true,
    where: 'anywhere',
    steps: '0',
    kernel,
    says,
    emit: (call) => void pteFunction(call.emitter, which, call.value(0), call.into),
  });
}

const X86 = 'arch/x86/include/asm/pgtable.h';
const SWAPOPS = 'include/linux/swapops.h';

const OF_VALUES = [
  pure('pte_none', PTE_NONE, `pte_none(), ${X86}`, '1 if it is none.'),
  pure('pte_present', PTE_PRESENT, `pte_present(), ${X86}`, '1 if P.'),
  pure('pte_write', PTE_WRITE, `pte_write(), ${X86}`, '1 if W.'),
  pure('pte_dirty', PTE_DIRTY, `pte_dirty(), ${X86}`, '1 if D or SavedDirty.'),
  pure('pte_young', PTE_YOUNG, `pte_young(), ${X86}`, '1 if A.'),
  pure('pte_soft_dirty', PTE_SOFT_DIRTY, `pte_soft_dirty(), ${X86}`, '1 if SD.'),
  pure('pte_uffd_wp', PTE_UFFD_WP, `pte_uffd_wp(), ${X86}`, '1 if UFFD.'),
  pure('pte_special', PTE_SPECIAL, `pte_special(), ${X86}`, '1 if SPECIAL.'),
  pure('pte_pfn', PTE_PFN, `pte_pfn(), ${X86}`, 'Its PFN.'),
  pure('pte_mkwrite', PTE_MKWRITE, `pte_mkwrite_novma(), ${X86}`, 'With W.'),
  pure('pte_wrprotect', PTE_WRPROTECT, `pte_wrprotect(), ${X86}`, 'Without W; D becomes SavedDirty.'),
  pure(
    'pte_wrprotect_lossy',
    PTE_WRPROTECT_LOSSY,
    'pte_wrprotect(), arch/arm64/include/asm/pgtable.h before ff1712f953e2',
    'Without W, and D is lost.',
  ),
  pure('pte_mkdirty', PTE_MKDIRTY, `pte_mkdirty(), ${X86}`, 'With D and SD.'),
  pure('pte_mkclean', PTE_MKCLEAN, `pte_mkclean(), ${X86}`, 'Without D.'),
  pure('pte_mkyoung', PTE_MKYOUNG, `pte_mkyoung(), ${X86}`, 'With A.'),
  pure('pte_mkold', PTE_MKOLD, `pte_mkold(), ${X86}`, 'Without A.'),
  pure('pte_mksoft_dirty', PTE_MKSOFT_DIRTY, `pte_mksoft_dirty(), ${X86}`, 'With SD.'),
  pure('pte_clear_soft_dirty', PTE_CLEAR_SOFT_DIRTY, `pte_clear_soft_dirty(), ${X86}`, 'Without SD.'),
  pure('pte_mkuffd_wp', PTE_MKUFFD_WP, `pte_mkuffd_wp(), ${X86}`, 'With UFFD, without W.'),
  pure('pte_clear_uffd_wp', PTE_CLEAR_UFFD_WP, `pte_clear_uffd_wp(), ${X86}`, 'Without UFFD.'),
  pure('is_swap_pte', PTE_IS_SWAP, `is_swap_pte(), ${SWAPOPS}`, '1 if it is neither present nor none.'),
  pure('swp_type', PTE_SWAP_TYPE, `swp_type(), ${SWAPOPS}`, 'Type of a swap entry.'),
  pure('swp_offset', PTE_SWAP_OFFSET, `swp_offset(), ${SWAPOPS}`, 'Offset of a swap entry.'),
  operation('pte_same', ['value a', 'value b'], {
    gives: true,
    where: 'anywhere',
    steps: '0',
    kernel: `pte_same(), ${X86}`,
    says: '1 if all bits are the same, A and D too.',
    emit: (call) => void call.emitter.pure({ op: OP_EQ, d: call.into, a: call.value(0), b: call.value(1) }),
  }),
  operation('pte_with_pfn', ['value pte', 'value pfn'], {
    gives: true,
    where: 'anywhere',
    steps: '0',
    kernel: `pfn_pte() with the protection of another PTE, ${X86}`,
    says: 'The PTE with another PFN.',
    emit: (call) =>
      void call.emitter.pure({
        op: OP_PTE,
        d: call.into,
        a: call.value(0),
        b: call.value(1),
        immediate: BigInt(PTE_WITH_PFN),
      }),
  }),
  operation('swp_entry_to_pte', ['number type', 'value offset'], {
    gives: true,
    where: 'anywhere',
    steps: '0',
    kernel: `swp_entry_to_pte(), ${SWAPOPS}`,
    says: 'A swap entry.',
    emit: (call) =>
      void call.emitter.pure({
        op: OP_PTE,
        d: call.into,
        b: call.value(1),
        immediate: (call.number(0) << 8n) | BigInt(PTE_SWAP),
      }),
  }),
];

export const PTES = [...IN_TABLES, ...TABLES, ...OF_VALUES];
