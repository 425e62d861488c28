// What scenarios compile to.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as bits from '../../assembly/litmus/ops_bits.ts';
import { compile, type LitmusProgram, type Scenario, sizeOf, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { catalogue } from '../../src/scenarios/index.ts';

const NAMES = new Map(Object.entries(bits).flatMap(([name, op]) => (name.startsWith('OP_') ? [[op, name]] : [])));

describe('clean-against-writer', () => {
  const scenario = read(readFileSync('src/scenarios/clean-against-writer.litmus', 'utf8'));

  test('has the variants of its table, and each compiles', () => {
    const named = variantsOf(scenario);
    expect([...new Set(named.map(({ id }) => id))]).toEqual([
      'B0',
      'B1',
      'B2',
      'B3',
      'B4',
      'B5',
      'B7',
      'B8',
      'B9',
      'B10',
    ]);
    for (const { id, variant } of named) {
      const program = compile(scenario, variant);
      expect(program).toMatchObject({ name: 'clean-against-writer', id, invariants: ['COVER', 'WRITEBACK'] });
      expect(compile(scenario, variant)).toEqual(program);
    }
  });

  test('a variant without a flush has no instruction for one', () => {
    const flushes = (flush: string) =>
      steps(compile(scenario, { flush }), 1).filter((name) => name === 'OP_FLUSH_RANGE').length;
    expect([flushes('before-act'), flushes('inside-ptl'), flushes('after-act'), flushes('none')]).toEqual([1, 1, 1, 0]);
  });

  test('steps carry the text they come from', () => {
    const [, driver] = compile(scenario, {}).cpus;
    const shown = driver?.lines.flatMap((line) => (line === undefined ? [] : [line.text]));
    expect(shown?.slice(0, 5)).toEqual([
      'touched = 0',
      'inc_tlb_flush_pending(A)',
      'spin_lock(ptl(x))',
      'pte = ptep_get(x)',
      'if (pte_dirty(pte))',
    ]);
  });
});

function read(text: string): Scenario {
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.scenario;
}

function steps(program: LitmusProgram, cpu: number): (string | undefined)[] {
  return program.cpus[cpu]?.code.map(({ op }) => NAMES.get(op)) ?? [];
}

test('sizes put variants in the order in which they are worth exploring, whole functions among them', async () => {
  const sizes = (await catalogue())
    .filter(({ name }) => ['coherent-reads', 'dontneed-nested-whole', 'cow-copy-against-wrprotect'].includes(name))
    .map(({ name, scenario }) => [sizeOf(compile(scenario, variantsOf(scenario)[0]?.variant ?? {})), name] as const);
  const order = sizes.sort(([a], [b]) => a - b).map(([, name]) => name);
  expect(order).toEqual(['coherent-reads', 'dontneed-nested-whole', 'cow-copy-against-wrprotect']);
});
