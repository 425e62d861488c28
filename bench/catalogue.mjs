// Question: how long does the whole catalogue take, every variant explored to its end, its violations with their shortest schedules?
//
// The command line as it ships, with a worker for each of two processors, once. Not with --quick, for it takes minutes on a machine that has other
// things to do.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SECONDS = 90;
const WORKERS = 2;
const CLI = fileURLToPath(new URL('../build/cli.js', import.meta.url));

export const catalogue = {
  name: 'catalogue',
  leafMib: 1,
  async *tables(_machine, { quick }) {
    if (quick) return;
    const start = performance.now();
    const variants = await explored();
    const seconds = (performance.now() - start) / 1000;
    const bounded = variants.filter(({ exhaustive }) => !exhaustive).length;
    if (bounded > 0) throw new Error(`${bounded} variants were not explored to their end`);
    const sum = (of) => variants.reduce((total, each) => total + of(each), 0);
    const [states, transitions] = [sum((each) => each.states), sum((each) => each.transitions)];
    const name = `${variants.length} variants`;
    yield {
      title: 'exploration, whole catalogue',
      parameters: `${WORKERS} workers`,
      baseline: name,
      rows: [{ name, samples: 1, nanoseconds: seconds, low: seconds, high: seconds }],
      unit: 's',
      verdicts: [{ text: 'seconds', unit: '', ratio: seconds, atMost: SECONDS, ok: seconds <= SECONDS }],
      notes: [
        `${states.toLocaleString('en')} states, ${transitions.toLocaleString('en')} transitions, all to their end`,
      ],
    };
  },
};

/** Of each variant, what is said of it with its first invariant. */
async function explored() {
  const args = [CLI, 'explore', '--no-trace', '--json', '--workers', `${WORKERS}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 28 });
  const variants = new Map();
  for (const line of stdout.trim().split('\n')) {
    const each = JSON.parse(line);
    const key = JSON.stringify([each.scenario, each.id, each.variant]);
    if (!variants.has(key)) variants.set(key, each);
  }
  return [...variants.values()];
}
