// One translation, level by level, with every bit of every entry named.

import type { ExplainedLevel, Explanation, Fault, Format } from '../machine/index.ts';
import { hex, type VirtualAddress } from '../units.ts';
import { column, fieldNames, PA_DIGITS, pageBytesOf, pageSize, perm } from './words.ts';

/**
 * One line: of a page `{"va","pa","size","perm","entry","levels"}` with size of the page and its leaf entry, of a fault
 * `{"va","fault","level","levels"}`.
 */
export function explanationJson(format: Format, va: VirtualAddress, { result, levels, missing }: Explanation): string {
  const steps = levels.map(({ level, name, table, index, entry, fields }) => ({
    level,
    name,
    table: hex(table),
    index,
    entry: hex(entry),
    fields: Object.fromEntries(fields.map((field) => [field.name, Number(field.value)])),
  }));
  if (result.kind === 'fault') {
    const table = missing === undefined ? {} : { table: hex(missing) };
    return JSON.stringify({ va: hex(va), fault: result.cause, level: result.level, ...table, levels: steps });
  }
  return JSON.stringify({
    va: hex(va),
    pa: hex(result.pa),
    size: pageBytesOf(format, result.level),
    perm: perm(result.rights),
    entry: hex(levels.at(-1)?.entry ?? 0n),
    levels: steps,
  });
}

/** Several lines: where the address goes, then the entry of each level. */
export function* explanationText(
  format: Format,
  root: bigint,
  va: VirtualAddress,
  { result, levels, missing }: Explanation,
): Generator<string> {
  if (result.kind === 'fault') yield `${hex(va)} -> fault: ${faultText(format, result)}`;
  else {
    const page = `${pageSize(pageBytesOf(format, result.level))} page`;
    yield `${hex(va)} -> ${hex(result.pa)}  ${perm(result.rights)}  ${page}`;
  }
  yield `  root   ${hex(root)}`;
  for (const step of levels) yield `  ${levelLine(step)}`;
  if (missing !== undefined) yield `  the table at ${hex(missing)} is not in the image`;
}

function levelLine(step: ExplainedLevel): string {
  const at = `${column(step.table, PA_DIGITS)}[${step.index.toString().padStart(3)}]`;
  const leads = !step.present ? 'not present' : `${step.leaf ? 'page ' : 'table'} ${hex(step.address)}`;
  return `${step.name.padEnd(6)} ${at} = ${column(step.entry, 16)}  ${leads.padEnd(20)}  ${fieldNames(step)}`.trimEnd();
}

function faultText(format: Format, { cause, level }: Fault): string {
  const entry = format.levelNames[level] ?? `level ${level}`;
  switch (cause) {
    case 'absent':
      return `the ${entry} is not present`;
    case 'reserved-bit':
      return `the ${entry} has reserved bits set`;
    case 'protection':
      return `the rights do not allow the access (${entry})`;
    case 'table-not-in-memory':
      return `the table of the ${entry} is not in the image`;
    case 'non-canonical':
      return `the address is not canonical for ${format.name}`;
  }
}
