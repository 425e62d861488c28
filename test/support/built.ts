// Scenarios of the catalogue, built from TypeScript.

import { litmus, type Scenario } from '../../src/index.ts';

const { at, calc, kmap, op, outcome, ptl, scenario } = litmus;
const { and, eq, le, ne, not, or } = calc;

export function storeBuffering(): Scenario {
  const race = scenario('store-buffering', {
    says: 'SB: each CPU stores to one word and loads the other. Both loads see nothing only where stores wait in a buffer.',
    sources: ['Owens, Sarkar, Sewell 2009, A Better x86 Memory Model: x86-TSO'],
    parameters: { fence: ['absent', 'present'] },
  });
  const { fence } = race.parameters;
  race.variant('SB-sc').variant('SB-tso', { memory: 'tso' });
  race.variant('SB-tso-mfence', { memory: 'tso', fence: 'present' });

  const A = race.mm('A');
  const X = race.frame('X', 0);
  const Y = race.frame('Y', 0);
  const x = race.page('x', A, { to: X, flags: ['W', 'A', 'D'] });
  const y = race.page('y', A, { to: Y, flags: ['W', 'A', 'D'] });
  for (const cpu of ['P0', 'P1']) race.tlb(cpu, x, 'W', 'D').tlb(cpu, y, 'W', 'D');

  for (const [cpu, mine, other] of [['P0', x, y] as const, ['P1', y, x] as const]) {
    race.cpu(cpu, { user: A }, (code) =>
      code
        .store(mine, 1)
        .if(fence.is('present'), (then) => then.do(op.mfence()))
        .load('r0', other),
    );
  }
  return race
    .expect(
      'exists',
      'violated',
      { in: ['SB-sc'] },
      'one of the stores comes first, and the other CPU loads after its own',
    )
    .expect('exists', 'holds', { in: ['SB-tso'] }, 'both loads pass the stores in the buffers')
    .expect('exists', 'violated', { in: ['SB-tso-mfence'] }, 'mfence empties the buffer')
    .condition('exists', outcome.and(outcome.eq(at('P0', 'r0'), 0), outcome.eq(at('P1', 'r0'), 0)))
    .build();
}

export function peterson(): Scenario {
  const race = scenario('peterson', {
    says:
      "Peterson's lock for two: mutual exclusion from loads and stores alone; and a broken one, that gives the turn away " +
      'before it says what it wants.',
    sources: ['G. L. Peterson 1981, Myths about the mutual exclusion problem'],
    parameters: { order: ['flag-first', 'turn-first'] },
  });
  const { order } = race.parameters;
  race.variant('peterson').variant('peterson-broken', { order: 'turn-first' });
  race.invariant('EXCLUSION', { count: 'word' }, 'At most one CPU is inside.', ({ count }) => le(count, 1));

  const want0 = race.word('want0');
  const want1 = race.word('want1');
  const turn = race.word('turn');
  const inside = race.word('inside');

  const enter = race.function(
    'enter',
    { mine: 'word', other: 'word', us: 'int', them: 'int' },
    (code, { mine, other, us, them }) =>
      code
        .if(order.is('turn-first'), (then) => then.set(turn, them))
        .set(mine, 1)
        .if(order.is('flag-first'), (then) => then.set(turn, them))
        .set('entered', 0)
        .while(not('entered'), 3, (loop) => loop.if(or(eq(other, 0), eq(turn, us)), (then) => then.set('entered', 1)))
        .if('entered', (then) => then.do(op.atomic_inc(inside)).check('EXCLUSION', inside).do(op.atomic_dec(inside)))
        .set(mine, 0),
  );
  race.cpu('P0', {}, (code) => code.do(enter({ mine: want0, other: want1, us: 0, them: 1 })));
  race.cpu('P1', {}, (code) => code.do(enter({ mine: want1, other: want0, us: 1, them: 0 })));
  return race
    .expect('EXCLUSION', 'holds', { in: ['peterson'] }, 'the later of two who want to enter gave the turn away')
    .expect(
      'EXCLUSION',
      'violated',
      { in: ['peterson-broken'] },
      'one finds no wish of the other, and the other finds its turn',
    )
    .build();
}

export function lazyTlb(): Scenario {
  const race = scenario('lazy-tlb', {
    says: "A CPU runs a kernel thread and keeps the user's mm loaded; flushes skip it, and it catches up when it goes back.",
    sources: [
      '145f573b89a6, x86/mm/tlb: Make lazy TLB mode lazier; arch/x86/mm/tlb.c, flush_tlb_multi() and switch_mm_irqs_off()',
    ],
    parameters: { order: ['flag-first', 'generation-first'] },
  });
  const { order } = race.parameters;
  race.variant('L0', { order: 'flag-first' }).variant('L1', { order: 'generation-first' });

  const A = race.mm('A');
  const x = race.page('x', A, { to: race.frame('F', 1), flags: ['W', 'A', 'D'] });
  race.tlb('P0', x, 'W', 'D');

  race.cpu('P0', { user: A, title: "kernel thread, then the user's again" }, (code) =>
    code
      .syscall('kernel thread', (kernel) =>
        kernel.do(op.enter_lazy_tlb()).if(
          order.is('flag-first'),
          (then) => then.do(op.leave_lazy_tlb()),
          (otherwise) => otherwise.do(op.leave_lazy_tlb_late()),
        ),
      )
      .load('r0', x)
      .onFault(x, (handler) => handler.do(op.bad_area())),
  );
  race.cpu('P1', { title: 'munmap' }, (code) =>
    code
      .do(op.inc_tlb_flush_pending(A), op.spin_lock(ptl(x)))
      .set('old', op.ptep_get_and_clear(x))
      .do(
        op.spin_unlock(ptl(x)),
        op.flush_tlb_page(x, 'skip-lazy'),
        op.put_page(op.pte_pfn('old')),
        op.dec_tlb_flush_pending(A),
      ),
  );
  return race
    .expect(
      'NOUAF',
      'holds',
      { in: ['L0'] },
      'either the flusher sees the flag cleared and interrupts, or the CPU sees the new generation',
    )
    .expect(
      'NOUAF',
      'violated',
      { in: ['L1'] },
      'the CPU compares, the flusher skips it as lazy, and then it clears the flag',
    )
    .locations(at('P0', 'r0'))
    .build();
}

export function cleanAgainstWriter(): Scenario {
  const race = scenario('clean-against-writer', {
    says: 'apply_as_clean() cleans a PTE and records the page while a CPU stores to it without any lock.',
    sources: [
      'Thomas Hellström, 11 Jun 2019, [PATCH v4 3/9] mm: Add write-protect and clean utilities, cases 1 to 4',
      'Nadav Amit, 11 Jun 2019, in reply: the flush must be done while the page-table lock is taken',
    ],
    parameters: {
      flush: ['before-act', 'inside-ptl', 'after-act', 'none'],
      start: ['dirty', 'clean', 'clean-uncached'],
    },
  });
  const { flush, start, machine } = race.parameters;
  race
    .variant('B0', { flush: 'before-act', start: '*' })
    .variant('B1', { flush: 'after-act', start: 'dirty' })
    .variant('B2', { flush: 'inside-ptl', start: '*' })
    .variant('B3', { flush: 'none', start: 'dirty' })
    .variant('B4', { machine: 'lazy-lost', start: 'clean' })
    .variant('B5', { machine: 'lazy-wb', start: 'clean' })
    .variant('B7', { machine: 'swdirty', start: '*' })
    .variant('B8', { flush: 'after-act', machine: 'swdirty', start: 'dirty' })
    .variant('B9', { invalidation: 'posted', start: 'dirty' })
    .variant('B10', { machine: 'nowcheck', start: '*' });

  const A = race.mm('A');
  const F = race.frame('F', 0);
  const x = race.when(
    start.is('dirty'),
    () => race.page('x', A, { to: F, flags: ['W', 'A', 'D'] }),
    () => race.page('x', A, { to: F, flags: ['W', 'A'] }),
  );
  race.when(
    start.is('dirty'),
    () => race.tlb('P0', x, 'W', 'D'),
    () => race.when(start.is('clean'), () => race.tlb('P0', x, 'W')),
  );
  const bitmap = race.word('bitmap');
  const recorded = race.word('recorded');
  const copy = race.word('copy');

  const handlePteFault = race.function('handle_pte_fault', { p: 'page' }, (code, { p }) =>
    code
      .do(op.spin_lock(ptl(p)))
      .set('entry', op.ptep_get(p))
      .if(op.pte_write('entry'), (then) =>
        then.do(op.ptep_set_access_flags(p, op.pte_mkyoung(op.pte_mkdirty('entry')))),
      )
      .do(op.spin_unlock(ptl(p))),
  );
  const clean = race.function('clean', { p: 'page' }, (code, { p }) =>
    code
      .set('touched', 0)
      .do(op.inc_tlb_flush_pending(A), op.spin_lock(ptl(p)))
      .set('pte', op.ptep_get(p))
      .if(op.pte_dirty('pte'), (then) =>
        then
          .set('pte', op.ptep_modify_prot_start(p))
          .do(op.ptep_modify_prot_commit(p, op.pte_mkclean('pte')), op.set_bit(0, bitmap))
          .ghost((ghost) => ghost.set(recorded, 1))
          .set('touched', 1),
      )
      .if(and(flush.is('inside-ptl'), 'touched'), (then) => then.do(op.flush_tlb_page(p)))
      .do(op.spin_unlock(ptl(p)))
      .if(and(flush.is('before-act'), 'touched'), (then) => then.do(op.flush_tlb_page(p))),
  );
  const act = race.function('act', { p: 'page' }, (code) =>
    code.if(op.test_and_clear_bit(0, bitmap), (then) => then.set('word0', kmap(F)).set(copy, 'word0')),
  );

  race.cpu('P0', { user: A }, (code) =>
    code
      .store(x, 1)
      .store(x, 2)
      .if(machine.is('lazy-wb'), (then) => then.syscall('context switch', (kernel) => kernel.do(op.flush_tlb_page(x))))
      .onFault(x, (handler) => handler.do(handlePteFault({ p: x }))),
  );
  race.cpu('P1', { title: 'apply_as_clean' }, (code) =>
    code
      .do(clean({ p: x }))
      .if(flush.is('after-act'), (then) =>
        then.do(act({ p: x })).if('touched', (touched) => touched.do(op.flush_tlb_page(x))),
      )
      .do(op.dec_tlb_flush_pending(A))
      .check('COVER', x, recorded)
      .if(flush.isNot('after-act'), (then) => then.do(act({ p: x }))),
  );
  race.afterwards((code) =>
    code.do(clean({ p: x }), op.dec_tlb_flush_pending(A), act({ p: x })).check('WRITEBACK', x, copy),
  );
  return race
    .expect(
      'COVER',
      'holds',
      { in: ['B0', 'B1', 'B2', 'B3', 'B7', 'B8', 'B9', 'B10'] },
      'the four cases: each store is before the clean, or finds the PTE and sets D again, or went through an entry that was ' +
        'dirty when the page was recorded',
    )
    .expect(
      'COVER',
      'violated',
      { in: ['B4', 'B5'] },
      'case 3: the store set D in the entry only, and nothing was touched, so nothing is flushed',
    )
    .expect(
      'WRITEBACK',
      'holds',
      { in: ['B0', 'B2', 'B5', 'B7', 'B10'] },
      'after the flush the next store walks, and sets D',
    )
    .expect(
      'WRITEBACK',
      'violated',
      { in: ['B1', 'B8', 'B9'] },
      'case 4 after the upload: D is 0 and the bit is consumed',
    )
    .expect('WRITEBACK', 'violated', { in: ['B3'] }, 'case 4 for ever')
    .expect('WRITEBACK', 'violated', { in: ['B4'] }, 'the D of the entry never comes to the PTE')
    .build();
}

/** One of everything that the language has and the others do not use. */
export function everything(): Scenario {
  const race = scenario('one-of-everything', { says: 'All constructs.', parameters: { rounds: ['1', '2'] } });
  const A = race.mm('A', 'split-ptl', 'deferred');
  const B = race.mm('B');
  const f = race.file('f');
  const d = race.file('d', { driver: true });
  const F = race.frame('F', 0x1234n, { owner: A, references: 3 });
  race.frame('C', 1, { in: [f, 4], flags: ['PG_dirty'] });
  race.frame('K', 2, { anon: true, references: 1 });
  race.file('e', { driver: F });
  race.word('copy', 1, { of: 'device', file: d });
  race.word('kept', 1, { of: 'backing', file: f, index: 4 });
  race.word('rec', 1, { of: 'record', file: d });
  race.word('slot', 1, { of: 'swap', index: 2 });
  const G = race.frame('G', 0, { references: 0 });
  const x = race.page('x', A, { to: F, flags: ['SD'] }, 0x7000n);
  const y = race.page('y', A, 'none');
  const z = race.page('z', B, { swap: [1, 7n] });
  race.hardware('P0', ['EVICT', 'SPECULATE'], x).hardware('P1', ['PWC']);
  race.vma('v', A, { pages: [x, y], flags: ['VM_READ', 'VM_SHARED'], file: f, pgoff: 3 });
  race.vma('u', B, { pages: [z], flags: ['VM_READ'] });
  const w = race.word('w', 5);
  const l = race.spinlock('l');
  const s = race.rwsem('s');
  race.cpu('P0', { user: A, asid: 7 }, (code) =>
    code
      .load('r0', x, 1)
      .store(x, calc.plus('r0', 1), 2)
      .set('r1', op.xchg(x, 9))
      .syscall('', (kernel) => kernel.await(eq(w, 5)).atomic((one) => one.set(w, litmus.last(x)), 'both'))
      .set(w, 'r1')
      .onFault(x, (handler) => handler.do(op.bad_area())),
  );
  race.cpu('P1', { kernel: B, title: 'kernel "quoted"' }, (code) =>
    code
      .set('old', op.xchg(w, race.parameters.rounds.value))
      .change(w, '|=', calc.shiftLeft(1, 'old'))
      .do(op.spin_lock(l), op.down_write(s), op.downgrade_write(s), op.up_read(s), op.spin_unlock(l))
      .set(kmap(F, 3), G)
      .while(1, 2, (loop) => loop.if(calc.gt(w, 6), (then) => then.break()).do(op.cpu_relax()))
      .forbid('NOTIFY', z)
      .permit('NOTIFY', z)
      .atomic((one) => one.check('SOFTDIRTY', x).set('seen', litmus.stored(x)))
      .if(and('seen', ne('seen', 2)), (then) => then.return())
      .do(op.set_owner(calc.bitOr(calc.complement('old'), 1), A)),
  );
  return race
    .expect('NOUAF', 'holds', { if: race.parameters.rounds.is('1') })
    .locations(F, w)
    .condition(
      'forall',
      outcome.or(outcome.not(outcome.lt(at('P0', 'r1'), 3)), outcome.and(outcome.ge(w, 1), outcome.ne(2, w))),
    )
    .build();
}
