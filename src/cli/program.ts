// The commands, and what all of them share: version, help, how usage errors read.

import { Command } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { checkCommand } from './check.ts';
import { complain } from './exit.ts';
import { exploreCommand } from './explore.ts';
import { listCommand } from './list.ts';
import { replayCommand } from './replay.ts';
import { stressCommand } from './stress.ts';
import { walkCommand } from './walk.ts';

/** `script`: this program's own file, for its threads. */
export function program(script: URL): Command {
  const pagewalk = new Command('pagewalk')
    .description(
      'Walks page tables in images of physical memory, and explores the races of the code that changes page tables.',
    )
    .version(manifest.version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EPILOGUE);
  pagewalk.addCommand(walkCommand());
  pagewalk.addCommand(listCommand());
  pagewalk.addCommand(exploreCommand(script));
  pagewalk.addCommand(replayCommand());
  pagewalk.addCommand(stressCommand(script));
  pagewalk.addCommand(checkCommand(script));
  for (const command of [pagewalk, ...pagewalk.commands]) {
    command.exitOverride().configureOutput({
      outputError: (text) => complain(text.trim().replace(/^error: /, '')),
    });
  }
  return pagewalk;
}

const EPILOGUE = `
Exit codes: 0 fine (a fault or a hole is an answer), 1 a check failed,
2 bad usage or an input that is not in order, 130 after Ctrl-C.`;
