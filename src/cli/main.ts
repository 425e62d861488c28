// The command line in the main thread: which command runs, and how it ends.
//
// Exit codes: 0 fine (a fault or a hole is an answer), 1 a check failed, 2 bad usage or bad input, 130 after Ctrl-C.
// A reader that goes away (`| head`) ends it quietly.

import { CommanderError } from 'commander';
import { ImageError } from '../image/index.ts';
import { complain, EXIT_INPUT, InputError } from './exit.ts';
import { program } from './program.ts';

/** `script`: this program's own file, for its threads. */
export async function main(script: URL): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    complain(`writing the output failed: ${error.message}`);
    process.exit(EXIT_INPUT);
  });
  process.stderr.on('error', () => {});
  try {
    await program(script).parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_INPUT;
    } else if (error instanceof InputError) {
      for (const line of error.lines) complain(line);
      process.exitCode = EXIT_INPUT;
    } else if (error instanceof ImageError || error instanceof RangeError) {
      complain(error.message);
      process.exitCode = EXIT_INPUT;
    } else {
      throw error;
    }
  }
}
