// Who frees a table waits for the walks that are in it, also for those that no access needs.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { explore } from '../../src/explore/explore.ts';
import { compile } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';

/** The walker goes for a page of which the TLB has nothing, whenever it likes. */
const TEXT = readFileSync('src/scenarios/early-ack-freed-tables.litmus', 'utf8').replace('tlb P0 : x W D;', '');

test.each([
  ['ipi', 'ack-late', 'waited', 'holds'],
  ['broadcast', 'ack-late', 'waited', 'holds'],
  // Nobody waits for a walk then.
  ['broadcast', 'ack-late', 'posted', 'violated'],
])('%s, %s, %s: NOWALK %s', async (shootdown, ack, invalidation, expected) => {
  const parsed = parseScenario(TEXT);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { verdicts } = await explore(compile(parsed.scenario, { shootdown, ack, invalidation }));
  expect(verdicts.find(({ invariant }) => invariant === 'NOWALK')?.verdict).toBe(expected);
});
