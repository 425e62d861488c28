// Frames and their contents, shared words, and choices.

import {
  NO_SYMBOL,
  OP_AND,
  OP_CHOOSE,
  OP_COMPARE64,
  OP_EQ,
  OP_EXCHANGE64,
  OP_FETCH_ADD64,
  OP_FETCH_AND64,
  OP_FETCH_OR64,
  OP_FRAME_ALLOCATE,
  OP_FRAME_GET,
  OP_FRAME_OWN,
  OP_FRAME_PUT,
  OP_NE,
  OP_PAUSE,
  OP_STORE64,
} from '../../../assembly/litmus/ops_bits.ts';
import { type Call, frameWord, loadAt, type Operation, one, operation, symbol } from './operation.ts';

function copyPage(call: Call): void {
  const { emitter } = call;
  const [to, from] = [call.value(0), call.value(1)];
  for (let n = 0; n < Number(call.number(2)); n += 1) {
    const mark = emitter.mark();
    const source = frameWord(emitter, from, n);
    loadAt(emitter, source, source, `load word ${n}`);
    emitter.step({ op: OP_STORE64, a: source, b: frameWord(emitter, to, n), c: NO_SYMBOL }, `store word ${n}`);
    emitter.release(mark);
  }
}

function comparePages(call: Call): void {
  const { emitter, into } = call;
  const [left, right] = [call.value(0), call.value(1)];
  const same = emitter.set(1n);
  const done = emitter.label();
  for (let n = 0; n < Number(call.number(2)); n += 1) {
    const mark = emitter.mark();
    const [a, b] = [frameWord(emitter, left, n), frameWord(emitter, right, n)];
    loadAt(emitter, a, a, `word ${n} of the first`);
    loadAt(emitter, b, b, `word ${n} of the second`);
    emitter.pure({ op: OP_EQ, d: same, a, b });
    emitter.release(mark);
    emitter.ifZero(same, done);
  }
  emitter.here(done);
  emitter.move(same, into);
}

const FRAMES = [
  operation('alloc_page', [], {
    gives: true,
    steps: '1',
    kernel: 'alloc_page(), include/linux/gfp.h',
    says: 'PFN of a frame that was free, with one reference, its words 0.',
    emit: one((call) => ({ op: OP_FRAME_ALLOCATE, d: call.into })),
  }),
  operation('get_page', ['value pfn'], {
    steps: '1',
    kernel: 'get_page(), include/linux/mm.h',
    says: 'One more reference.',
    emit: one((call) => ({ op: OP_FRAME_GET, a: call.value(0) })),
  }),
  operation('put_page', ['value pfn'], {
    steps: '1',
    kernel: 'put_page(), include/linux/mm.h',
    says: 'One reference less; the last one frees the frame.',
    emit: one((call) => ({ op: OP_FRAME_PUT, a: call.value(0) })),
  }),
  operation('set_owner', ['value pfn', 'mm A'], {
    where: 'anywhere',
    steps: '0; ghost',
    kernel: '',
    says: 'From here on the frame belongs to the mm, for the invariant ASID.',
    emit: (call) =>
      void call.emitter.pure({
        op: OP_FRAME_OWN,
        a: call.value(0),
        c: symbol(call, { of: 'mm', name: call.name(1), field: 'handle' }),
      }),
  }),
  operation('copy_user_highpage', ['value to', 'value from', 'number words'], {
    steps: '2 for each word: load, store',
    kernel: 'copy_user_highpage(), include/linux/highmem.h',
    says: 'Copies the first words of a frame, one after the other.',
    emit: copyPage,
  }),
  operation('pages_identical', ['value a', 'value b', 'number words'], {
    gives: true,
    steps: '2 for each word, until one differs',
    kernel: 'pages_identical(), mm/ksm.c',
    says: '1 if the first words of two frames are the same.',
    emit: comparePages,
  }),
];

function exchange(call: Call): void {
  const c = symbol(call, { of: 'word', name: call.name(0) });
  call.emitter.step({ op: OP_EXCHANGE64, d: call.into, a: call.value(1), c });
}

function add(by: bigint): Operation['emit'] {
  return (call) => {
    const register = call.emitter.set(by & 0xffffffffffffffffn);
    const c = symbol(call, { of: 'word', name: call.name(0) });
    call.emitter.step({ op: OP_FETCH_ADD64, d: register, a: register, c });
  };
}

/** Changes a bit of a word; the value, if wanted, is what it was. */
function changeBit(op: number, mask: (bit: bigint) => bigint, gives: boolean): Operation['emit'] {
  return (call) => {
    const { emitter, into } = call;
    const bit = 1n << call.number(0);
    const operand = emitter.set(mask(bit));
    const c = symbol(call, { of: 'word', name: call.name(1) });
    emitter.step({ op, d: operand, a: operand, c });
    if (!gives) return;
    const tested = emitter.set(bit);
    emitter.pure({ op: OP_AND, d: into, a: operand, b: tested });
    emitter.pure({ op: OP_NE, d: into, a: into, b: emitter.set(0n, tested) });
  };
}

const clearing = (bit: bigint) => ~bit & 0xffffffffffffffffn;
const setting = (bit: bigint) => bit;
const ATOMIC = 'include/linux/atomic/atomic-instrumented.h';
const BITOPS = 'include/asm-generic/bitops/atomic.h';

const WORDS = [
  operation('xchg', ['word w', 'value new'], {
    gives: true,
    where: 'anywhere',
    steps: '1',
    kernel: `xchg(), ${ATOMIC}`,
    says: 'Exchanges a word; the value is what it was.',
    emit: exchange,
  }),
  operation('cmpxchg', ['word w', 'value old', 'value new'], {
    gives: true,
    where: 'anywhere',
    steps: '1',
    kernel: `cmpxchg(), ${ATOMIC}`,
    says: 'Stores `new` if the word is `old`; the value is what it was.',
    emit: one((call) => ({
      op: OP_COMPARE64,
      d: call.into,
      a: call.value(2),
      c: symbol(call, { of: 'word', name: call.name(0) }),
      immediate: BigInt(call.value(1)),
    })),
  }),
  operation('atomic_inc', ['word w'], {
    where: 'anywhere',
    steps: '1',
    kernel: `atomic_inc(), ${ATOMIC}`,
    says: 'Adds 1.',
    emit: add(1n),
  }),
  operation('atomic_dec', ['word w'], {
    where: 'anywhere',
    steps: '1',
    kernel: `atomic_dec(), ${ATOMIC}`,
    says: 'Subtracts 1.',
    emit: add(-1n),
  }),
  operation('atomic_fetch_add', ['value i', 'word w'], {
    gives: true,
    where: 'anywhere',
    steps: '1',
    kernel: `atomic_fetch_add(), ${ATOMIC}`,
    says: 'Adds to a word; the value is what it was.',
    emit: one((call) => ({
      op: OP_FETCH_ADD64,
      d: call.into,
      a: call.value(0),
      c: symbol(call, { of: 'word', name: call.name(1) }),
    })),
  }),
  operation('set_bit', ['number n', 'word w'], {
    where: 'anywhere',
    steps: '1',
    kernel: `set_bit(), ${BITOPS}`,
    says: 'Sets bit n.',
    emit: changeBit(OP_FETCH_OR64, setting, false),
  }),
  operation('clear_bit', ['number n', 'word w'], {
    where: 'anywhere',
    steps: '1',
    kernel: `clear_bit(), ${BITOPS}`,
    says: 'Clears bit n.',
    emit: changeBit(OP_FETCH_AND64, clearing, false),
  }),
  operation('test_and_set_bit', ['number n', 'word w'], {
    gives: true,
    where: 'anywhere',
    steps: '1',
    kernel: `test_and_set_bit(), ${BITOPS}`,
    says: 'Sets bit n; the value is what it was.',
    emit: changeBit(OP_FETCH_OR64, setting, true),
  }),
  operation('test_and_clear_bit', ['number n', 'word w'], {
    gives: true,
    where: 'anywhere',
    steps: '1',
    kernel: `test_and_clear_bit(), ${BITOPS}`,
    says: 'Clears bit n; the value is what it was.',
    emit: changeBit(OP_FETCH_AND64, clearing, true),
  }),
];

const OTHERS = [
  operation('choose', ['number n'], {
    gives: true,
    where: 'anywhere',
    steps: '1, with n ways to go on',
    kernel: '',
    says: "One of 0 to n - 1: the environment's choice.",
    emit: (call) => void call.emitter.step({ op: OP_CHOOSE, d: call.into, immediate: call.number(0) }),
  }),
  operation('cpu_relax', [], {
    where: 'anywhere',
    steps: '1',
    kernel: 'cpu_relax(), arch/x86/include/asm/vdso/processor.h',
    says: 'A step that touches nothing.',
    emit: one(() => ({ op: OP_PAUSE })),
  }),
];

export const MEMORY = [...FRAMES, ...WORDS, ...OTHERS];
