// Variants as if both engines had been at them, made by hand but for what was explored: small, with fixed times, and with texts that would do
// harm in a page that does not escape them.

import { explore } from '../../src/explore/explore.ts';
import { type Trace, trace } from '../../src/explore/trace.ts';
import { compile, expectationsOf, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import type { CheckedVariant } from '../../src/report/checked.ts';
import { agreementOf, type StressOutcome, type StressResult } from '../../src/stress/index.ts';

export const HARM = '<script>document.title = "harmed"</script><img src=x onerror=alert(1)> & "quotes" </script>';

const TEXT = `
litmus upload-before-flush
"A driver cleans a page, uploads it, and flushes; ${HARM.replace(/"/g, "'")}"
source "Somebody, 1 Apr 2020, re [PATCH] <b>mm</b> & more"

parameter flush = first | last

variant U0 { flush = first }
variant U1 { flush = last }

init {
  mm A;
  frame F = 0;
  page x in A -> F : W A D;
  tlb P0 : x W D;
  word copy = 0;
  word dirty = 0;
}

P0 user A "a <i>user</i>" {
  *x = 1;
  on fault x { bad_area(); }
}

P1 "driver & co" {
  spin_lock(ptl(x));
  pte = ptep_modify_prot_start(x);
  ptep_modify_prot_commit(x, pte_mkclean(pte));
  spin_unlock(ptl(x));
  if (flush == first) flush_tlb_page(x);
  copy = *kmap_local_page(F);
  if (flush == last) flush_tlb_page(x);
}

afterwards {
  dirty = pte_dirty(ptep_get(x));
  check UPLOAD(x, copy, dirty);
}

expect UPLOAD holds in U0 because "the entry is gone before the upload";
expect UPLOAD violated in U1 because "a store through <stale> entries & no D";

locations [copy, dirty]
`;

const DEADLOCK = `
litmus two-locks
"Two CPUs take two locks in opposite orders."

init { spinlock a; spinlock b; word w = 0; }

P0 { spin_lock(a); spin_lock(b); w = 1; spin_unlock(b); spin_unlock(a); }
P1 { spin_lock(b); spin_lock(a); w = 2; spin_unlock(a); spin_unlock(b); }

locations [w]
`;

/**
 * Four: one as its file expects, with a counterexample; one on which threads contradict the explorer; one of a deadlock of which its file says
 * nothing; one that was not explored and in which a thread died.
 */
export async function checkedVariants(): Promise<readonly CheckedVariant[]> {
  const [upload, locks] = [read(TEXT), read(DEADLOCK)];
  const [first, last] = variantsOf(upload);
  const [only] = variantsOf(locks);
  if (first === undefined || last === undefined || only === undefined) throw new Error('a variant is missing');
  const broken = await explored(upload, last);
  const right = await explored(upload, first);
  const stuck = await explored(locks, only);
  return [
    raced(broken, [
      ['release', [outcome(broken, 0, 1_234_567), outcome(broken, 1, 89, ['UPLOAD'])]],
      ['chaos', [outcome(broken, 0, 4321), outcome(broken, 1, 1234, ['UPLOAD'])]],
    ]),
    raced(right, [['release', [outcome(right, 0, 100_000), outcome(right, 0, 1, ['UPLOAD'])]]]),
    raced(stuck, [['chaos', [outcome(stuck, 0, 700), outcome(stuck, 1, 300), hang()]]], {
      hangs: ['P0 waits at line 7, spin_lock(b), which P1 holds'],
      cut: true,
    }),
    {
      ...raced(right, [['release', [outcome(right, 0, 12)]]], { deaths: ['racer 1: out of <memory>'] }),
      id: undefined,
      expected: [],
      explored: undefined,
      unexplored: 'not within the budget',
      traces: new Map(),
      agreement: undefined,
    },
  ];
}

function read(text: string) {
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new Error(parsed.errors.map(({ line, message }) => `${line}: ${message}`).join('\n'));
  return parsed.scenario;
}

async function explored(
  scenario: CheckedVariant['scenario'],
  { id, variant }: { readonly id: string | undefined; readonly variant: CheckedVariant['variant'] },
): Promise<CheckedVariant> {
  const program = compile(scenario, variant);
  // How many states a search meets is up to its reduction.
  const result = { ...(await explore(program)), seconds: 0.125, states: 1234 };
  const traces = new Map<string, Trace>();
  for (const { invariant, counterexample } of result.verdicts) {
    if (counterexample !== undefined) traces.set(invariant, await trace(program, counterexample.schedule));
  }
  return {
    scenario,
    argument: " 'a file.litmus'",
    id,
    variant,
    expected: expectationsOf(scenario, variant),
    explored: result,
    unexplored: undefined,
    traces,
    races: [],
    agreement: undefined,
  };
}

type Race = readonly [build: 'release' | 'chaos', outcomes: readonly StressOutcome[]];

function raced(checked: CheckedVariant, races: readonly Race[], more: Partial<StressResult> = {}): CheckedVariant {
  if (checked.explored === undefined) throw new Error('it is to be explored');
  const { program } = checked.explored;
  const results = races.map(([build, outcomes]): StressResult => {
    const executions = outcomes.reduce((sum, { count }) => sum + count, 0);
    return {
      program,
      build,
      seed: 1,
      workers: 2,
      crowd: 1,
      outcomes,
      executions,
      seconds: 1,
      hangs: [],
      deaths: [],
      overflow: 0,
      samples: Array.from({ length: 100 }, (_, n) => ({
        executions: Math.round((executions * (n + 1) * (n + 1)) / 10_000),
        seconds: (n + 1) / 100,
      })),
      cut: false,
      ...more,
    };
  });
  return { ...checked, races: results, agreement: agreementOf(results, checked.explored) };
}

/** The `n`th outcome that there is. */
function outcome(
  { explored }: CheckedVariant,
  n: number,
  count: number,
  violated: readonly string[] = [],
): StressOutcome {
  const found = explored?.outcomes[n];
  if (found === undefined) throw new Error(`there is no outcome ${n}`);
  const { text: state, values } = found;
  const text = violated.length === 0 ? state : `${state}; violates ${violated.join(', ')}`;
  return {
    text,
    state,
    values,
    violated,
    count,
    grade: violated.length === 0 ? 'acceptable' : 'forbidden',
    hang: false,
  };
}

function hang(): StressOutcome {
  return { text: 'hang', state: 'hang', values: [], violated: ['DEADLOCK'], count: 1, grade: 'forbidden', hang: true };
}
