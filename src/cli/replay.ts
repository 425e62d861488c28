// `pagewalk replay`: the execution that a token holds, once more.

import { Command } from 'commander';
import {
  decodeToken,
  mayBeOf,
  programId,
  type Replay,
  replay as replayToken,
  type TokenContent,
  type Trace,
  variantsWithId,
} from '../explore/index.ts';
import { compile, idOf, type NamedVariant, parametersOf, type Scenario } from '../litmus/index.ts';
import { diagramOf } from '../report/diagram.ts';
import { diagramText } from '../report/diagramtext.ts';
import { differenceText } from '../report/difference.ts';
import { traceJson } from '../report/tracejson.ts';
import { variantText } from '../report/verdicts.ts';
import { catalogue } from '../scenarios/index.ts';
import { outputStyle, outputWidth, writeSvg } from './drawing.ts';
import { complain, EXIT_FAILED, InputError } from './exit.ts';
import { Output } from './output.ts';
import { openScenarios, sentencesOf } from './scenarios.ts';
import { usualOf } from './variants.ts';

interface ReplayCommandOptions {
  readonly json?: true;
  readonly svg?: string;
}

export function replayCommand(): Command {
  return new Command('replay')
    .description('Run what a token of `pagewalk explore` holds, step by step, and draw it.')
    .helpOption('--help', 'print this help')
    .argument('<token>', 'as `explore` printed it')
    .argument('[scenario]', 'a name of the catalogue, or a litmus file (default: found by the token)')
    .option('--json', 'one JSON object, with every step')
    .option('--svg <file>', 'draw it into a file')
    .addHelpText('after', HELP)
    .action(replay);
}

const HELP = `
Exit code 0: the violation is reproduced; 1: the program differs, and it is said
from which step on; 2: the text is no token, or one of no scenario that is known.`;

async function replay(token: string, name: string | undefined, options: ReplayCommandOptions): Promise<void> {
  const content = decodeToken(token);
  if ('malformed' in content) throw new InputError([`${token}: no token: ${content.malformed}`]);
  const scenarios = name === undefined ? await scenariosOf(content) : await openScenarios([name]);
  const found = variantOf(scenarios, content);
  if (found === undefined) {
    throw new InputError([`${token}: a token of no variant of ${name ?? 'the scenarios of the catalogue'}`]);
  }
  const { scenario, variant } = found;
  const id = idOf(scenario, variant);
  const result = await replayToken(compile(scenario, variant), token);
  // Both were asked before.
  if (result.kind === 'malformed' || result.kind === 'foreign') throw new InputError([`${token}: ${result.kind}`]);
  await show(scenario, { id, variant }, result, options);
}

/** Those of the catalogue that the token may be of: hardly more than one, and no other is read. */
async function scenariosOf(content: TokenContent): Promise<readonly Scenario[]> {
  const entries = (await catalogue()).filter(({ name }) => mayBeOf(name, content.scenario));
  return entries.map(({ scenario }) => scenario);
}

/** The variant of which a token is, of all that there are; of several with its number, the one with its program. */
function variantOf(scenarios: readonly Scenario[], { scenario: wanted, program }: TokenContent) {
  const found = scenarios.flatMap((scenario) =>
    variantsWithId(scenario.name.text, parametersOf(scenario), wanted).map((variant) => ({ scenario, variant })),
  );
  const same = found.find(({ scenario, variant }) => programId(compile(scenario, variant)) === program);
  return same ?? found[0];
}

type Shown = Extract<Replay, { readonly trace: Trace }>;

async function show(scenario: Scenario, { id, variant }: NamedVariant, result: Shown, options: ReplayCommandOptions) {
  const output = new Output(process.stdout);
  const sentences = sentencesOf(scenario);
  const diagram = diagramOf(result.trace, (invariant) => sentences.get(invariant));
  const title = variantText(scenario.name.text, id, variant, usualOf(scenario));
  if (options.json) output.line(traceJson(result.trace, diagram));
  else {
    const style = outputStyle();
    output.line(style('bold', title));
    for (const line of diagramText(diagram, { width: outputWidth(), style })) output.line(line);
  }
  await output.end();
  if (options.svg !== undefined) await writeSvg(options.svg, [{ title, diagram }]);
  if (result.kind === 'differs') {
    complain(differenceText(result));
    process.exitCode = EXIT_FAILED;
  } else if (result.changed) {
    complain('the program is not the one of which the token was made, but its steps are the same');
  }
}
