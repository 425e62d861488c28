// The commands, and what all of them share: version, help, how usage errors read.

import { Command } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { complain } from './exit.ts';
import { walkCommand } from './walk.ts';

export function program(): Command {
  const pagewalk = new Command('pagewalk')
    .description('Walks page tables: where addresses go, and who maps what, in images of physical memory.')
    .version(manifest.version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EPILOGUE);
  pagewalk.addCommand(walkCommand());
  for (const command of [pagewalk, ...pagewalk.commands]) {
    command.exitOverride().configureOutput({
      outputError: (text) => complain(text.trim().replace(/^error: /, '')),
    });
  }
  return pagewalk;
}

const EPILOGUE = `
Exit codes: 0 fine (a fault or a hole is an answer), 1 a check failed,
2 bad usage or an image that is not in order, 130 after Ctrl-C.`;
