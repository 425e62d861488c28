// How the command line ends and complains.

/** Bad usage, or an image that is not in order. */
export const EXIT_INPUT = 2;
/** Ctrl-C: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

/** One line on stderr. */
export function complain(message: string): void {
  process.stderr.write(`pagewalk: ${message.replaceAll('\n', ' ')}\n`);
}
