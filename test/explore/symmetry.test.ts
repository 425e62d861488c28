// Taking states for one that differ by who of several equal CPUs is where changes nothing that is said.
//
// Guarantees: verdicts and outcomes are those of the search without it, and of random programs those of every interleaving. That no scenario of the
// catalogue has equal CPUs is told here, so that one which has some does not go untested.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type ExploreResult, explore } from '../../src/explore/explore.ts';
import { permutationsOf, Symmetry } from '../../src/explore/symmetry.ts';
import { compile, type LitmusProgram, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { interleave } from '../oracle/interleave.ts';
import { ops } from '../support/litmus.ts';
import { programs, textOf } from '../support/programs.ts';

const RUNS = Number(process.env['RUNS'] ?? 100);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

/** Programs whose first CPU is there so often, and beside it another one or none. */
const alike = fc
  .tuple(programs({ words: 2, spins: 1, rws: 1, cpus: [2, 2], statements: 2 }), fc.constantFrom([2, 0], [3, 0], [2, 1]))
  .map(([program, [equal, other]]): LitmusProgram => {
    const [first, second] = program.cpus as [LitmusProgram['cpus'][number], LitmusProgram['cpus'][number]];
    const cpus = [...Array(equal).fill(first), ...Array(other).fill(second)];
    const named = cpus.map((cpu, n) => ({ ...cpu, name: `P${n}`, title: `P${n}` }));
    const shown = named.flatMap((_, cpu) =>
      [1, 2].map((register) => ({ of: 'register' as const, cpu, register, name: `${cpu}:r${register}` })),
    );
    const words = program.observed.filter(({ of }) => of === 'symbol');
    return { ...program, cpus: named, observed: [...shown, ...words] };
  });

test(`random programs of equal CPUs, of seed ${SEED}`, async () => {
  let used = 0;
  await fc.assert(
    fc.asyncProperty(alike, async (program) => {
      const { outcomes, violated, deadlock } = interleave(program);
      const names = violated.map((n) => program.invariants[n - ops.FIRST_INVARIANT] ?? 'LOCKS');
      const truth = { outcomes, violated: [...names, ...(deadlock ? ['DEADLOCK'] : [])].sort() };
      for (const reduce of [true, false]) {
        const result = await explore(program, { reduce, symmetry: true, shortest: false });
        expect(said(result), textOf(program)).toEqual(truth);
        if (result.symmetries > 1) used++;
      }
    }),
    { numRuns: RUNS, seed: SEED },
  );
  expect(used).toBe(2 * RUNS);
}, 600_000);

/** CPUs that clean a page, each if it is dirty, and one that stores to it; `then`: what cleaners do next. */
function cleaners(count: number, then: string): LitmusProgram {
  const clean = Array.from({ length: count }, (_, n) => `P${n + 1} { clean(x); ${then} }`);
  const parsed = parseScenario(`litmus cleaners "Equal CPUs."
    init { mm A; frame F = 0; page x in A -> F : W A D; word cleaned = 0; }
    function clean(page p) {
      spin_lock(ptl(p));
      pte = ptep_get(p);
      if (pte_dirty(pte)) {
        pte = ptep_modify_prot_start(p);
        ptep_modify_prot_commit(p, pte_mkclean(pte));
        cleaned += 1;
      }
      spin_unlock(ptl(p));
    }
    P0 user A { *x = 1; *x = 2; on fault x { spin_lock(ptl(x)); spin_unlock(ptl(x)); } }
    ${clean.join('\n')}
    locations [cleaned]`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return compile(parsed.scenario, variantsOf(parsed.scenario)[0]?.variant ?? {});
}

describe('CPUs that clean the same page', () => {
  test.each([
    [2, 2],
    [3, 6],
    [4, 24],
  ])('%i of them have %i permutations', async (count, symmetries) => {
    const program = cleaners(count, '');
    for (const reduce of [true, false]) {
      const without = await explore(program, { reduce, symmetry: false, shortest: false });
      const result = await explore(program, { reduce, symmetry: true, shortest: false });
      expect([without.symmetries, result.symmetries]).toEqual([1, symmetries]);
      expect([without.exhaustive, result.exhaustive]).toEqual([true, true]);
      expect(said(result)).toEqual(said(without));
      expect(result.states).toBeLessThan(without.states);
      // No state has more images than there are permutations.
      expect(result.states * symmetries).toBeGreaterThanOrEqual(without.states);
    }
  });

  test('are not alike where each flushes, for they are answered in the order of their numbers', async () => {
    const program = cleaners(2, 'flush_tlb_page(x);');
    const result = await explore(program, { shortest: false });
    expect(result.symmetries).toBe(1);
    expect(said(result)).toEqual(said(await explore(program, { reduce: false, shortest: false })));
  });

  test('are not alike for who does not see that a lock names its holder', async () => {
    const spy = vi.spyOn(Symmetry.prototype, 'value').mockImplementation((_p, _slot, value) => value);
    const result = await explore(cleaners(2, ''), { shortest: false });
    spy.mockRestore();
    expect(result.symmetries).toBe(1);
  });
});

test('no scenario of the catalogue has equal CPUs', () => {
  const found: string[] = [];
  for (const name of readdirSync('src/scenarios').filter((file) => file.endsWith('.litmus'))) {
    const parsed = parseScenario(readFileSync(`src/scenarios/${name}`, 'utf8'));
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
    for (const { id, variant } of variantsOf(parsed.scenario))
      if (permutationsOf(compile(parsed.scenario, variant)).length > 1) found.push(`${name} ${id}`);
  }
  expect(found).toEqual([]);
});

function said({ outcomes, verdicts }: ExploreResult) {
  return {
    outcomes: outcomes.map(({ text }) => text),
    violated: verdicts.flatMap(({ verdict, invariant }) => (verdict === 'violated' ? [invariant] : [])).sort(),
  };
}
