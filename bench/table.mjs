// Tables of ratios: measured rows, the ×1.00 row, what the issue asks for and whether it is met.

import { BASE, batchRows, checkRows } from './machine.mjs';
import { generator, measure } from './rounds.mjs';

/**
 * @typedef {{ title: string, parameters: string, baseline: string, rows: import('./rounds.mjs').Measured[],
 *   verdicts: { text: string, ratio: number, atMost: number, ok: boolean }[], unit?: string, notes?: string[] }} Table
 */

/** A batch of addresses, given as page numbers from BASE on; all walkers are compared before they are timed. @returns {Promise<Table>} */
export async function translations(machine, options, { title, count, address, best, targets, access = 0 }) {
  const random = generator(options.seed);
  for (let i = 0; i < count; i++) {
    // An offset within the page, so that it has to be carried over.
    machine.addresses[i] = BASE + BigInt(address(random, i)) * 4096n + BigInt(i & 0xfff);
  }
  const rows = batchRows(machine, count, access, { best, bigintCount: Math.min(count, options.quick ? 4096 : 65536) });
  checkRows(machine, rows);
  return table(options, {
    title,
    rows,
    parameters: `${count} addresses a call, seed ${options.seed}`,
    judge: judge(targets),
  });
}

/** Times the rows. The first is the ×1.00 row. @returns {Promise<Table>} */
export async function table(options, { title, rows, parameters, judge, unit, notes }) {
  const measured = await measure(rows, { budgetMs: options.budgetMs });
  return { title, parameters, baseline: rows[0].name, rows: measured, verdicts: judge(measured), unit, notes };
}

/** The targets of the issue, each a ratio of medians: the core against C naive, the best C, and Uint32Array pairs. */
export function judge(targets) {
  return (measured) => {
    const core = measured.find((row) => row.name === 'core');
    const best = measured.filter((row) => row.best).toSorted((a, b) => a.nanoseconds - b.nanoseconds)[0];
    const others = {
      naive: measured.find((row) => row.name === 'C, naive'),
      best,
      pairs: measured.find((row) => row.name === 'TypeScript, Uint32Array pairs'),
    };
    return Object.entries(targets).flatMap(([key, atMost]) => {
      const other = others[key];
      return other === undefined ? [] : [verdict(core, other, atMost)];
    });
  };
}

/** Is `row` at most `atMost` times `other`? */
export function verdict(row, other, atMost) {
  const ratio = row.nanoseconds / other.nanoseconds;
  return { text: `${row.name} against ${other.name}`, ratio, atMost, ok: ratio <= atMost };
}

/** @param {Table} table */
export function print({ title, parameters, baseline, rows, verdicts, notes, unit = 'ns' }) {
  const base = rows.find((row) => row.name === baseline);
  const width = Math.max(...rows.map((row) => row.name.length));
  const lines = [`${title} (${parameters}; medians of ${rows[0].samples}, quartiles)`];
  for (const row of rows) {
    const ratio = `×${(row.nanoseconds / base.nanoseconds).toFixed(2)}`;
    const spread = `${figure(row.low)} to ${figure(row.high)}`;
    lines.push(
      `  ${row.name.padEnd(width)}  ${figure(row.nanoseconds).padStart(7)} ${unit}  ${ratio.padStart(7)}  ${spread}`,
    );
  }
  for (const { text, ratio, atMost, ok, unit: of = '×' } of verdicts) {
    lines.push(`  ${ok ? 'ok  ' : 'miss'}  ${text}: ${of}${ratio.toFixed(3)}, at most ${atMost.toFixed(2)}`);
  }
  for (const note of notes ?? []) lines.push(`  ${note}`);
  return `${lines.join('\n')}\n`;
}

/** One object for each row. @param {Table} table */
export function jsonRows({ title, parameters, baseline, rows, unit = 'ns' }) {
  const base = rows.find((row) => row.name === baseline);
  return rows.map((row) => ({
    table: title,
    parameters,
    row: row.name,
    unit,
    median: row.nanoseconds,
    low: row.low,
    high: row.high,
    samples: row.samples,
    baseline,
    ratio: row.nanoseconds / base.nanoseconds,
  }));
}

export function figure(value) {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}
