// npm run bench: tables of ratios for the core against C and TypeScript, on the same pages in the same process.
//
// Guarantees: nothing is timed before every walker agreed with the core on its results; the command line holds all parameters
// and seeds, so that a line of results.md can be repeated.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { catalogue } from './catalogue.mjs';
import { explore } from './explore.mjs';
import { gather } from './gather.mjs';
import { hot } from './hot.mjs';
import { kernel } from './kernel.mjs';
import { large } from './large.mjs';
import { listing } from './listing.mjs';
import { checkAgreement, createMachine, describeMachine } from './machine.mjs';
import { random } from './random.mjs';
import { range } from './range.mjs';
import { ranges } from './ranges.mjs';
import { sequential } from './sequential.mjs';
import { single } from './single.mjs';
import { skewed } from './skewed.mjs';
import { stressing } from './stress.mjs';
import { jsonRows, print } from './table.mjs';
import { tlb } from './tlb.mjs';
import { touch } from './touch.mjs';
import { tracking } from './tracking.mjs';
import { workers } from './workers.mjs';

const SECTIONS = [
  hot,
  sequential,
  random,
  skewed,
  range,
  large,
  touch,
  single,
  listing,
  tlb,
  tracking,
  ranges,
  kernel,
  gather,
  workers,
  explore,
  catalogue,
  stressing,
];

const HELP = `npm run bench -- [SECTION ...] [options]

Sections: ${SECTIONS.map((section) => section.name).join(', ')}; all without any.

  --seed N       seed of the addresses (default 1)
  --batch N      addresses a call, hot and sequential (default 16384)
  --far N        addresses a pass, random and skewed (default 1048576)
  --budget MS    milliseconds of samples for each table (default 6000, with --quick 1200)
  --quick        a run of less than a minute
  --json         one object for each row, one a line
  --write        also write bench/results.md; takes all sections
  --help`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    batch: { type: 'string', default: '16384' },
    far: { type: 'string', default: String(2 ** 20) },
    budget: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(HELP);
} else {
  await main();
}

async function main() {
  const sections = positionals.length === 0 ? SECTIONS : positionals.map(sectionNamed);
  if (values.write && positionals.length > 0)
    throw new Error('--write takes all sections, so that results.md is whole');
  const options = {
    seed: count('seed'),
    batch: count('batch'),
    far: count('far'),
    quick: values.quick,
    budgetMs: values.budget === undefined ? (values.quick ? 1200 : 6000) : count('budget'),
  };
  const say = (text) => values.json || process.stdout.write(text);
  const started = performance.now();
  const machine = await createMachine({ leafMib: Math.max(...sections.map((section) => section.leafMib)) });
  const description = describeMachine(machine);
  say(`${description}\n${await checkAgreement(machine, options.seed)} results agree\n\n`);
  const tables = [];
  for (const section of sections) {
    for await (const table of section.tables(machine, options)) {
      tables.push(table);
      say(`${print(table)}\n`);
      if (values.json) for (const row of jsonRows(table)) console.log(JSON.stringify(row));
    }
  }
  const verdicts = tables.flatMap((table) => table.verdicts);
  say(
    `${verdicts.filter((v) => v.ok).length} of ${verdicts.length} targets met, ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
  );
  if (values.write) writeResults(description, tables, options);
}

function writeResults(description, tables, options) {
  const date = new Date().toISOString().slice(0, 10);
  const command = `npm run bench -- --seed ${options.seed} --batch ${options.batch} --far ${options.far}`;
  const body = tables.map((table) => `\`\`\`text\n${print(table)}\`\`\`\n`).join('\n');
  writeFileSync(
    new URL('results.md', import.meta.url),
    `# Results\n\n${date} · ${description}\n\n\`${command}\`\n\n${body}`,
  );
}

function sectionNamed(name) {
  const section = SECTIONS.find((candidate) => candidate.name === name);
  if (section === undefined) throw new Error(`no section "${name}": ${SECTIONS.map((known) => known.name).join(', ')}`);
  return section;
}

function count(name) {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} must be a positive integer, got ${values[name]}`);
  return value;
}
