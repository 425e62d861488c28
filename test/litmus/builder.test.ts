// What is built from TypeScript is what is read from a text: the same tree, the same text, the same programs.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compile as compileBuilt, explore, formatScenario, litmus, replay, ScenarioError } from '../../src/index.ts';
import { compile, type LitmusProgram, type Scenario, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { cleanAgainstWriter, everything, lazyTlb, peterson, storeBuffering } from '../support/built.ts';
import { bareTree } from '../support/trees.ts';

describe.each([
  ['store-buffering', storeBuffering],
  ['peterson', peterson],
  ['lazy-tlb', lazyTlb],
  ['clean-against-writer', cleanAgainstWriter],
] as const)('%s', (name, build) => {
  const text = readFileSync(`src/scenarios/${name}.litmus`, 'utf8');
  const written = read(text);
  const bare = text.replace(/\(\*(?=[\s*])[\s\S]*?\*\)|\/\/[^\n]*/g, '');
  const built = build();

  test('is the same tree', () => {
    expect(bareTree(built)).toEqual(bareTree(written));
  });

  test('prints the text without its comments', () => {
    // An empty line in the text is a comment that says nothing.
    const parsed = read(formatScenario(built));
    expect(formatScenario(parsed)).toBe(formatScenario(built));
    expect(formatScenario(built).replace(/\n+/g, '\n')).toBe(formatScenario(read(bare)).replace(/\n+/g, '\n'));
  });

  test.each(variantsOf(written).map((each) => [each.id, each] as const))(
    'compiles to the same program: %s',
    async (_, each) => {
      const program = await compileBuilt(built, each.variant);
      expect(program).toEqual(compile(read(formatScenario(built)), each.variant));
      expect(withoutLines(program)).toEqual(withoutLines(compile(written, each.variant)));
    },
  );
});

test('a scenario with every construct reads as it was built', () => {
  const built = everything();
  expect(bareTree(read(formatScenario(built)))).toEqual(bareTree(built));
});

test('what is built is explored, and replayed by its token', async () => {
  const race = lazyTlb();
  const { verdicts, exhaustive } = await explore(race, { variant: { order: 'generation-first' } });
  const found = verdicts.find(({ verdict }) => verdict === 'violated');
  expect([exhaustive, found?.invariant]).toEqual([true, 'NOUAF']);
  expect(await replay(race, found?.counterexample?.token ?? '')).toMatchObject({
    kind: 'reproduced',
    invariant: 'NOUAF',
    changed: false,
  });
  expect(await replay(peterson(), found?.counterexample?.token ?? '')).toEqual({ kind: 'foreign' });
  expect(await replay(race, 'nonsense')).toMatchObject({ kind: 'malformed' });
});

test('what breaks a rule is said with the text that was built', async () => {
  const race = litmus.scenario('unlocks-what-it-has-not', { says: 'Wrong.' });
  const l = race.spinlock('l');
  race.cpu('P0', {}, (code) => code.do(litmus.op.spin_unlock(l)));
  const error = await compileBuilt(race.build()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ScenarioError);
  const { errors, text, message } = error as ScenarioError;
  expect(errors).toHaveLength(1);
  expect(text.split('\n')[(errors[0]?.line ?? 0) - 1]).toBe('  spin_unlock(l);');
  expect(message).toBe('scenario unlocks-what-it-has-not: line 10: `l` is not held here on every path');
});

test.each([
  [
    'a name',
    () => litmus.scenario('two words', { says: '' }),
    '"name" must be a word of the language, got "two words"',
  ],
  ['a CPU', () => begun().cpu('Q0', {}, () => {}), '"cpu" must be P0, P1, …, got "Q0"'],
  ['a number', () => begun().word('w', -1), '"value" must be an integer from 0 to 2^64 - 1, got -1'],
  ['a text', () => begun().cpu('P0', { title: 'a\nb' }, () => {}), '"title" must be one line, got "a\\nb"'],
  ['an index', () => litmus.kmap('pfn', 512), '"index" must be the number of a word of a page, 0 to 511, got 512'],
  [
    'a bound',
    () => begun().cpu('P0', {}, (code) => code.while(1, 0, () => {})),
    '"most" must be a number of rounds, at least 1, got 0',
  ],
] as const)('%s that is none is refused where it is given', (_, wrong, message) => {
  expect(wrong).toThrow(new RangeError(message));
});

test('the types know what operations take', () => {
  const race = begun();
  const A = race.mm('A');
  const x = race.page('x', A, 'none');
  const { op } = litmus;
  // @ts-expect-error: a page, not an mm
  op.ptep_get(A);
  // @ts-expect-error: two arguments
  op.set_pte_at(x);
  // @ts-expect-error: no operation of that name
  expect(op.ptep_gett(x).name).toBe('ptep_gett');
  // @ts-expect-error: a value that the parameter does not have
  race.variant('V', { shootdown: 'mail' });
  expect(bareTree(op.set_pte_at(x, op.ptep_get(x)))).toMatchObject({ kind: 'call', name: 'set_pte_at' });
});

function begun() {
  return litmus.scenario('s', { says: 's' });
}

/** Comments and empty lines move lines. */
function withoutLines(program: LitmusProgram) {
  const of = (cpu: LitmusProgram['cpus'][0]) => ({ ...cpu, lines: cpu.lines.map((line) => line?.text) });
  return { ...program, cpus: program.cpus.map(of), afterwards: program.afterwards && of(program.afterwards) };
}

function read(text: string): Scenario {
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.scenario;
}
