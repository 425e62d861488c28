// Question: what do A and D updates cost? ×1.00: the core without them.
//
// A write by the user over neighbouring pages, four ways: without ACCESS_TOUCH; with it, all bits set already; with it, every A and D
// of every leaf missing (cleared again before each call, outside the timed part); and the last in C, by the same compare-exchange.

import { BASE, batchRows, checkRows } from './machine.mjs';
import { table, verdict } from './table.mjs';

const ALL_SET = 1.25;
const MISSING = 1.1;

export const touch = {
  name: 'touch',
  leafMib: 1,
  async *tables(machine, options) {
    const { layout } = machine;
    const count = options.batch;
    const write = layout.ACCESS_WRITE | layout.ACCESS_USER;
    for (let i = 0; i < count; i++) machine.addresses[i] = BASE + BigInt(i) * 4096n;
    const forget = forgetful(machine, count);
    const rowsOf = (access) => batchRows(machine, count, access, { best: ['memoBatch'], bigintCount: 0 });
    checkRows(machine, rowsOf(write | layout.ACCESS_TOUCH), forget);
    const set = (rows) => new Map(rows.map((row) => [row.name, row]));
    const plain = set(rowsOf(write));
    const touching = set(rowsOf(write | layout.ACCESS_TOUCH));
    const missing = (name, label, best) => {
      const row = touching.get(name);
      return row === undefined ? [] : [{ ...row, name: label, best, before: forget }];
    };
    const rows = [
      { ...plain.get('core'), name: 'core, A and D not asked for' },
      { ...touching.get('core'), name: 'core, all set' },
      ...missing('core', 'core, all missing'),
      ...missing('C, naive', 'C naive, all missing'),
      ...missing('C, last leaf table', 'C last leaf table, all missing'),
      ...missing('C, as the core', 'C as the core, all missing'),
    ];
    // What is missing is timed apart, for clearing the bits moves the tables out of the caches of a processor that writes them.
    const settled = rows.slice(0, 2);
    const moving = rows.slice(2);
    const parameters = `sequential, ${count} addresses a call`;
    yield await table(options, {
      title: 'A and D, all bits set',
      rows: settled,
      parameters,
      judge: ([without, all]) => [verdict(all, without, ALL_SET)],
    });
    yield await table(options, {
      title: 'A and D, every bit missing',
      rows: moving,
      parameters,
      judge: ([core, ...others]) => {
        const same = others.find((row) => row.name.startsWith('C as the core'));
        return same === undefined ? [] : [verdict(core, same, MISSING)];
      },
    });
    machine.core.translateBatch(machine.space, machine.input, machine.output, count, write | layout.ACCESS_TOUCH);
  },
};

/** Clears A and D of the leaves of the first `count` pages. */
function forgetful({ core, memory, space }, count) {
  const words = new Uint32Array(memory.buffer);
  const tables = [];
  for (let page = 0; page < count; page += 512) {
    tables.push(core.entryAddress(space, BASE + BigInt(page) * 4096n, 0) >>> 2);
  }
  return () => {
    for (const at of tables) for (let n = 0; n < 512; n++) words[at + 2 * n] &= ~0x60;
  };
}
