// How the command line ends and complains.

/** A check failed: a verdict is not the expected one, a token is not reproduced. */
export const EXIT_FAILED = 1;
/** Bad usage, or an input that is not in order. */
export const EXIT_INPUT = 2;
/** Ctrl-C: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

/** An input that is not in order: a line for each thing that is wrong with it. */
export class InputError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** One line on stderr. */
export function complain(message: string): void {
  process.stderr.write(`pagewalk: ${message.replaceAll('\n', ' ')}\n`);
}
