// What is wrong with a scenario is said with its place and what would be right; nothing that is wrong brings the compiler down.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';

const GOOD = `litmus small-one
"A CPU cleans what another stores to."
parameter flush = early | late
variant V0 { flush = early }
init {
  mm A;
  frame F = 0;
  page x in A -> F : W A D;
  word bit = 0;
  spinlock ext;
}
function clean(page p) {
  spin_lock(ptl(p));
  pte = ptep_get(p);
  if (pte_dirty(pte)) bit = 1;
  spin_unlock(ptl(p));
}
P0 user A {
  *x = 1;
  r0 = *x;
  on fault x { clean(x); }
}
P1 "kernel" {
  clean(x);
  if (flush == early) flush_tlb_page(x);
  check COVER(x, bit);
}
expect COVER holds in V0 because "so it is";
exists (P0:r0 = 1 /\\ bit = 1)
`;

test('the one that the others are made of is right', () => {
  expect(parseScenario(GOOD)).toMatchObject({ ok: true });
});

describe('errors', () => {
  // What is put in place of what, the place of the error, and what it says.
  test.each<[string, string, string, string]>([
    // syntax
    ['litmus small-one', 'litmus', '2:1', 'expected a name, found `"A CPU cleans what another stores to."`'],
    ['{ flush = early }', '{ flush early }', '4:20', 'expected `=`, found `early`'],
    ['  mm A;', '  mm A', '7:3', 'expected `;`, found `frame`'],
    ['on fault x {', 'on x {', '21:6', 'expected `fault`, found `x`'],
    ['"kernel"', '"kernel', '23:4', 'a text in quotes ends on its line'],
    ['bit = 1 )', 'bit = 1 )', '28:1', ''],
    ['/\\ bit = 1)', '/\\ bit)', '29:25', 'expected `=` or a comparison, found `)`'],
    ['*x = 1;', '$x = 1;', '19:3', '"$" means nothing here'],
    ['bit = 1;', '1 = 1;', '15:23', 'only a register, a shared word or a word of memory can be assigned to'],
    ['clean(x);\n  if', 'bit;\n  if', '24:3', 'this does nothing: a statement is an assignment or a call'],
    ['if (pte_dirty(pte))', 'while (pte_dirty(pte))', '15:3', 'a loop needs a bound: write `while (…) max 3 { … }`'],
    // declarations
    ['page x in A', 'page x in B', '8:13', 'there is no mm `B`; did you mean `A`?'],
    ['-> F', '-> G', '8:18', 'there is no frame `G`; did you mean `F`?'],
    ['W A D;', 'W A X;', '8:26', 'a PTE has no flag `X`, but W, A, D, SD, UFFD, SPECIAL; did you mean `W`?'],
    ['word bit', 'word x', '9:8', '`x` is a page already'],
    ['word bit = 0', 'word ptep_get = 0', '9:8', '`ptep_get` is an operation already'],
    [
      '{ flush = early }',
      '{ flush = erly }',
      '4:22',
      '`flush` has no value `erly`, but early, late; did you mean `early`?',
    ],
    ['{ flush = early }', '{ flsh = early }', '4:14', 'there is no parameter `flsh`; did you mean `flush`?'],
    ['parameter flush', 'parameter machine', '3:11', 'every scenario has the parameter `machine`'],
    ['early | late', 'early | machine', '3:27', '`machine` is a parameter, and can be no value'],
    ['r0 = *x;', 'await (bit == 1);', '20:3', 'who waits is in the kernel: `syscall "futex" { await (…); }`'],
    ['variant V0', 'variant V1 {}\nvariant V0', '5:9', '`V0` is the same variant as `V1`'],
    ['function clean(page p)', 'function clean(page x)', '12:21', 'the parameter `x` shadows what is a page already'],
    ['P1 "kernel"', 'P2 "kernel"', '23:1', 'the programs are P0, P1, … in their order: this one is P1'],
    ['P0 user A', 'P0 user B', '18:9', 'there is no mm `B`; did you mean `A`?'],
    [
      'mm A;',
      'if (flush == early) mm A;',
      '6:26',
      '`A` is declared in one branch of the `if` only: not every variant has it',
    ],
    // code
    ['clean(x);\n  if', 'claen(x);\n  if', '24:3', 'there is no operation or function `claen`; did you mean `clean`?'],
    ['clean(x);\n  if', 'clean(x, 1);\n  if', '24:3', '`clean` takes 1 argument, not 2: clean(page p)'],
    ['clean(x);\n  if', 'clean(F);\n  if', '24:9', '`clean` needs a page here, not `F`, a frame'],
    ['clean(x);\n  if', 'clean(y);\n  if', '24:9', 'there is no page `y`; did you mean `x`?'],
    [
      'clean(x);\n  if',
      'set_pte_at(x);\n  if',
      '24:3',
      '`set_pte_at` takes 2 arguments, not 1: set_pte_at(page x, value pte)',
    ],
    ['flush == early', 'flush == soon', '25:16', '`flush` has no value `soon`, but early, late'],
    [
      'flush_tlb_page(x)',
      'flush_tlb_page(x, lazily)',
      '25:41',
      '`flush_tlb_page` may be told waited, posted, interrupts-lazy, skip-lazy, skip-lazy-tables, ack-late, ack-early, ack-early-tables, last-level, freed-tables',
    ],
    [
      'flush_tlb_page(x)',
      'flush_tlb_page(x, posted, waited)',
      '25:49',
      '`flush_tlb_page` is told one of waited, posted, and was told already',
    ],
    [
      'flush_tlb_page(x)',
      'flush_tlb_page(x, flush)',
      '25:41',
      '`flush_tlb_page` may be told waited, posted, interrupts-lazy, skip-lazy, skip-lazy-tables, ack-late, ack-early, ack-early-tables, last-level, freed-tables (a value of `flush` is `early`)',
    ],
    ['frame F = 0;', 'frame F = 0 : PG_dirty;', '7:9', '`F` has no flags: it is no folio (`anon`, or `in FILE @ 0`)'],
    [
      'frame F = 0;',
      'frame F = 0, anon : PG_dirt;',
      '7:23',
      'a folio has no flag `PG_dirt`, but PG_dirty, PG_anon_exclusive, PG_ksm; did you mean `PG_dirty`?',
    ],
    ['frame F = 0;', 'frame F = 0, in f @ 0;', '7:19', 'there is no file `f`'],
    ['word bit = 0;', 'word bit = 0, swap @ 9;', '9:8', 'there are 4 swap slots'],
    ['spinlock ext;', 'file f;\n  word w = 0, record of f;', '11:25', '`f` has no driver'],
    ['spinlock ext;', 'hardware P7 : EVICT;', '10:12', 'there is no program P7'],
    [
      'spinlock ext;',
      'hardware P0 : EVICTS;',
      '10:17',
      'a CPU has no flag `EVICTS`, but EVICT, SPECULATE, NEGATIVE, PWC; did you mean `EVICT`?',
    ],
    ['clean(x);\n  if', 'handle_mm_fault();\n  if', '24:3', '`handle_mm_fault` stands in a fault handler'],
    ['check COVER', 'check COVR', '26:9', 'there is no invariant `COVR`; did you mean `COVER`?'],
    ['check COVER(x, bit)', 'check NOTIFY(x)', '26:9', '`NOTIFY` is watched between `forbid NOTIFY(x)` and `permit`'],
    ['check COVER(x, bit)', 'check NOUAF()', '26:9', '`NOUAF` is watched by itself'],
    [
      'check COVER(x, bit)',
      'forbid COVER(x)',
      '26:10',
      '`COVER` does not forbid stores; these do: WP-RETURN, NONE, NOTIFY, MPROTECT',
    ],
    ['r0 = *x;', 'ptep_get(x);', '20:3', '`ptep_get` stands in kernel code: in `syscall { … }` or a fault handler'],
    [
      'clean(x);\n  if',
      '*x = 1;\n  if',
      '24:3',
      'kernel code reads and writes frames: `*kmap_local_page(pfn)`; `*x` goes through the TLB',
    ],
    [
      'pte = ptep_get(p);',
      'pte = ptep_get(p) + x;',
      '14:23',
      '`x` is a page: its PTE is `ptep_get(x)`, a load is `r = *x`',
    ],
    ['pte_dirty(pte)', 'pte_dirty(ptte)', '15:17', 'nothing is called `ptte` here; did you mean `pte`?'],
    [
      'pte_dirty(pte)',
      'pte_dirty(pte-bit)',
      '15:17',
      'nothing is called `pte-bit` here; a minus sign has spaces around it',
    ],
    [
      'bit = 1;',
      'spin_lock(ptl(p)) = 1;',
      '15:23',
      'only a register, a shared word or a word of memory can be assigned to',
    ],
    ['bit = 1;', 'F = 1;', '15:23', '`F` is a frame and cannot be assigned to'],
    ['bit = 1;', 'bit = spin_unlock(ext);', '15:29', '`spin_unlock` has no value'],
    ['bit = 1;', 'clean(p);', '15:23', '`clean` calls itself: functions are put in where they are called'],
    ['bit = 1;', 'break;', '15:23', '`break` stands in no loop that it could leave'],
    ['bit = 1;', 'atomic { spin_lock(ext); }', '15:32', '`spin_lock` cannot be part of another step'],
    [
      'bit = 1;',
      'await (pte == 1);',
      '15:23',
      'what is waited for is a shared word: `await (w == 1)`, `await ((w & 3) == 1)` or `await (!w)`',
    ],
    ['bit = 1;', 'x.stored = 0;', '15:23', 'what the oracle knows changes in a `ghost` or `atomic` block only'],
    ['bit = 1;', 'bit = choose(0);', '15:36', 'n of `choose` is from 1 to 16, not 0'],
    ['bit = 1;', 'faulted = 1;', '15:23', '`faulted` is set by the machine'],
    ['init {', 'function idle() {}\ninit {', '5:10', 'nothing calls `idle`'],
    // paths
    [
      'pte = ptep_get(p);',
      'if (flush == early) pte = ptep_get(p);',
      '15:17',
      'the register `pte` is not set here on every path',
    ],
    ['spin_lock(ptl(p));', 'spin_lock(ext);', '16:3', '`ptl(x)` is not held here on every path'],
    ['spin_lock(ptl(p));', 'if (bit) spin_lock(ptl(p));', '16:3', '`ptl(x)` is not held here on every path'],
    ['bit = 1;', 'btt = 1;', '15:23', 'the register `btt` is set and never read'],
    // conclusions
    ['expect COVER', 'expect CVER', '28:8', 'no program checks `CVER`; did you mean `COVER`?'],
    ['in V0', 'in V1', '28:23', 'there is no variant `V1`; did you mean `V0`?'],
    [
      'in V0',
      'if bit == 1',
      '28:23',
      'only parameters are known here: compare one with a value, as in `machine == recheck`',
    ],
    ['P0:r0 = 1', 'P0:r1 = 1', '29:9', 'P0 has no register `r1`; did you mean `r0`?'],
    ['P0:r0 = 1', 'P7:r0 = 1', '29:9', 'there is no program P7'],
    ['P0:r0 = 1', 'r0 = 1', '29:9', 'there is no word or frame `r0`; a register is `P0:r0`'],
  ])('%s → %s', (old, wrong, place, message) => {
    if (message === '') return;
    expect(GOOD).toContain(old);
    const parsed = parseScenario(GOOD.replace(old, wrong), 'small.litmus');
    const told = parsed.ok ? [] : parsed.errors.map((error) => `${error.line}:${error.column} ${error.message}`);
    expect(told).toContain(`${place} ${message}`);
    if (!parsed.ok) expect(parsed.errors.every(({ file, length }) => file === 'small.litmus' && length > 0)).toBe(true);
  });

  test('several are told at once, in the order of the text', () => {
    const parsed = parseScenario(
      GOOD.replace('mm A;', 'mm A').replace('word bit = 0;', 'word bit = ;').replace('on fault x', 'on x'),
    );
    const lines = parsed.ok ? [] : parsed.errors.map(({ line }) => line);
    expect(lines).toEqual([7, 9, 21]);
  });

  test('an error of syntax says what it found and what it expected', () => {
    const parsed = parseScenario(GOOD.replace('mm A;', 'mmm A;'));
    expect(parsed).toMatchObject({
      ok: false,
      errors: [
        { line: 6, column: 3, length: 3, found: '`mmm`', expected: expect.arrayContaining(['`mm`', '`page`', '`}`']) },
      ],
    });
  });

  test('an empty text is an error at its beginning', () => {
    expect(parseScenario('')).toMatchObject({ ok: false, errors: [{ line: 1, column: 1, expected: ['`litmus`'] }] });
  });
});

describe('whatever the text, it is read or refused', () => {
  const files = readdirSync('src/scenarios').filter((name) => name.endsWith('.litmus'));
  const texts = [GOOD, ...files.map((name) => readFileSync(`src/scenarios/${name}`, 'utf8'))];
  const tokens = [...new Set(texts.flatMap((text) => text.match(/"[^"]*"|[\w-]+|[^\s\w]/g) ?? []))];

  /** Compiles what was accepted: that must not fail either. */
  const readAll = (text: string) => {
    const parsed = parseScenario(text);
    if (!parsed.ok) {
      expect(parsed.errors.length).toBeGreaterThan(0);
      return;
    }
    for (const { variant } of variantsOf(parsed.scenario).slice(0, 20)) compile(parsed.scenario, variant);
  };

  test('with words taken out, put in, or exchanged', () => {
    const edit = fc.record({
      at: fc.nat(),
      what: fc.constantFrom('drop', 'double', 'insert', 'replace', 'swap'),
      token: fc.constantFrom(...tokens),
    });
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 4 }), (text, edits) => {
        const parts = text.match(/\(\*[\s\S]*?\*\)|\/\/[^\n]*|"[^"]*"|[\w-]+|\s+|[^\s\w]/g) ?? [];
        for (const { at, what, token } of edits) {
          const place = at % parts.length;
          const here = parts[place] ?? '';
          const there = parts[(place + 2) % parts.length] ?? '';
          const put = {
            drop: [],
            double: [here, ' ', here],
            insert: [here, ' ', token, ' '],
            replace: [token],
            swap: [there],
          };
          parts.splice(place, 1, ...put[what as keyof typeof put]);
        }
        readAll(parts.join(''));
      }),
      { numRuns: 300 },
    );
  });

  test('with characters changed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.nat(),
        fc.string({ maxLength: 3 }),
        fc.nat(8),
        (text, at, put, drop) => {
          const place = at % text.length;
          readAll(text.slice(0, place) + put + text.slice(place + drop));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('made of words alone', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...tokens), { maxLength: 60 }), (words) => readAll(words.join(' '))),
      { numRuns: 300 },
    );
  });
});
