// TLBs: flushes that the kernel asks for, which mm a CPU runs, what hardware does unasked, and user accesses beside plain ones.

import {
  NO_SYMBOL,
  OP_ENTER_LAZY,
  OP_FLUSH_LOCAL,
  OP_FLUSH_MM,
  OP_GIVE_UP,
  OP_LEAVE_LAZY,
  OP_LOAD_MM,
  OP_LOAD_MM_KEEP,
  OP_TLB_EVICT,
  OP_TLB_FILL,
  OP_USER_EXCHANGE,
  OP_USER_FENCE,
  OP_USER_FETCH,
} from '../../../assembly/litmus/ops_bits.ts';
import {
  addressOf,
  type Call,
  flushPages,
  type Operation,
  one,
  operation,
  pageSymbol,
  shootBits,
  symbol,
} from './operation.ts';
import { FLUSH_OPTIONS } from './options.ts';

function mmHandle(call: Call): number {
  return symbol(call, { of: 'mm', name: call.name(0), field: 'handle' });
}

function loadMm(op: number): Operation['emit'] {
  return (call) => {
    const asid = call.emitter.set(call.number(1));
    call.emitter.step({ op, a: asid, c: mmHandle(call) });
  };
}

const FLUSH = 'the generation, the CPU mask, a request to each CPU in it, and the wait for each';

const FLUSHES = [
  operation('flush_tlb_page', ['page x', 'flags options'], {
    steps: FLUSH,
    kernel: 'flush_tlb_page(), arch/x86/include/asm/tlbflush.h',
    says: 'Flushes a page of its mm.',
    options: FLUSH_OPTIONS,
    emit: (call) => flushPages(call, 0, 0),
  }),
  operation('flush_tlb_range', ['page x', 'page y', 'flags options'], {
    steps: FLUSH,
    kernel: 'flush_tlb_range(), flush_tlb_mm_range(), arch/x86/mm/tlb.c',
    says: 'Flushes from the first page to the second, inclusive.',
    options: FLUSH_OPTIONS,
    emit: (call) => flushPages(call, 0, 1),
  }),
  operation('flush_tlb_mm', ['mm A', 'flags options'], {
    steps: FLUSH,
    kernel: 'flush_tlb_mm(), arch/x86/include/asm/tlbflush.h',
    says: 'Flushes all of an mm.',
    options: FLUSH_OPTIONS,
    emit: one((call) => ({ op: OP_FLUSH_MM, c: mmHandle(call), immediate: shootBits(call) })),
  }),
  operation('flush_tlb_one_user', ['page x'], {
    steps: '1',
    kernel: 'flush_tlb_one_user(), arch/x86/mm/tlb.c',
    says: "Drops the page from this CPU's TLB only.",
    emit: one((call) => ({ op: OP_FLUSH_LOCAL, a: addressOf(call, 0) })),
  }),
];

const SWITCHES = [
  operation('switch_mm', ['mm A', 'number asid'], {
    steps: 'the CPU masks, the flag, the generation',
    kernel: 'switch_mm_irqs_off(), arch/x86/mm/tlb.c',
    says: 'This CPU runs the mm with the ASID from here on, after a flush of the ASID.',
    emit: loadMm(OP_LOAD_MM),
  }),
  operation('switch_mm_keep', ['mm A', 'number asid'], {
    steps: 'the CPU masks, the flag',
    kernel: '',
    says: 'The same without the flush: who recycles ASIDs wrongly.',
    emit: loadMm(OP_LOAD_MM_KEEP),
  }),
  operation('enter_lazy_tlb', [], {
    steps: '1',
    kernel: 'enter_lazy_tlb(), arch/x86/mm/tlb.c',
    says: 'Runs a kernel thread and keeps the mm for later.',
    emit: one(() => ({ op: OP_ENTER_LAZY })),
  }),
  operation('leave_lazy_tlb', [], {
    gives: true,
    steps: 'the flag, then the generation',
    kernel: 'switch_mm_irqs_off() with prev == next, arch/x86/mm/tlb.c',
    says: 'Back to the mm that was kept; 0 if an interrupt took it away meanwhile.',
    emit: one((call) => ({ op: OP_LEAVE_LAZY, d: call.into })),
  }),
  operation('leave_lazy_tlb_late', [], {
    gives: true,
    steps: 'the generation, then the flag',
    kernel: '',
    says: 'The same in the wrong order: compares the generation before it clears the flag.',
    emit: one((call) => ({ op: OP_LEAVE_LAZY, d: call.into, immediate: 1n })),
  }),
];

const UNASKED = [
  operation('tlb_fill', ['page x'], {
    where: 'anywhere',
    steps: 'those of a walk',
    kernel: '',
    says: 'A walk for a load, without an access: prefetch or speculation. Sets A and fills the TLB, never faults.',
    emit: one((call) => ({ op: OP_TLB_FILL, a: addressOf(call, 0) })),
  }),
  operation('tlb_evict', ['page x'], {
    where: 'anywhere',
    steps: '1',
    kernel: '',
    says: "Hardware drops what this CPU's TLB has for the page.",
    emit: one((call) => ({ op: OP_TLB_EVICT, a: addressOf(call, 0) })),
  }),
];

const ACCESSES = [
  operation('xchg', ['page x', 'value new'], {
    gives: true,
    where: 'user',
    steps: 'those of a store',
    kernel: '',
    says: 'Exchanges the first word of a page, through the TLB; the value is what it was.',
    emit: one((call) => ({
      op: OP_USER_EXCHANGE,
      d: call.into,
      a: addressOf(call, 0),
      b: call.value(1),
      c: pageSymbol(call, 'last'),
    })),
  }),
  operation('fetch', ['page x'], {
    where: 'user',
    steps: 'those of a load',
    kernel: '',
    says: 'Fetches an instruction from a page.',
    emit: (call) => {
      const { emitter } = call;
      emitter.step({ op: OP_USER_FETCH, d: emitter.temporary(), a: addressOf(call, 0), c: NO_SYMBOL });
    },
  }),
  operation('mfence', [], {
    where: 'user',
    steps: '1; waits until the store buffer is empty',
    kernel: '',
    says: 'A full barrier.',
    emit: one(() => ({ op: OP_USER_FENCE })),
  }),
  operation('bad_area', [], {
    where: 'handler',
    steps: '1',
    kernel: 'bad_area(), arch/x86/mm/fault.c',
    says: 'The fault is the fault of the program (SIGSEGV): ends the handler, and the access is not made.',
    emit: one(() => ({ op: OP_GIVE_UP })),
  }),
];

export const HARDWARE = [...FLUSHES, ...SWITCHES, ...UNASKED, ...ACCESSES];
