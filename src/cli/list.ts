// `pagewalk list`: the scenarios of the catalogue.

import { Command } from 'commander';
import { catalogueJson, catalogueText } from '../report/catalogue.ts';
import { catalogue } from '../scenarios/index.ts';
import { outputStyle, outputWidth } from './drawing.ts';
import { Output } from './output.ts';

export function listCommand(): Command {
  return new Command('list')
    .description('List the scenarios of the catalogue in reading order, with a sentence each.')
    .helpOption('--help', 'print this help')
    .option('--json', 'one JSON object a line')
    .action(list);
}

async function list({ json }: { readonly json?: true }): Promise<void> {
  const output = new Output(process.stdout);
  const scenarios = (await catalogue()).map(({ scenario }) => scenario);
  if (json) for (const scenario of scenarios) output.line(catalogueJson(scenario));
  else for (const line of catalogueText(scenarios, outputWidth(), outputStyle())) output.line(line);
  await output.end();
}
