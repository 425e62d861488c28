// One line on stderr that says how far something long is, where somebody sees it.

const EVERY_MS = 200;

export class Progress {
  readonly #shown: boolean;
  #at = performance.now();
  #dirty = false;

  /** `besideOutput`: also where the output goes to the same terminal, which then clears the line before it writes. */
  constructor(besideOutput = false) {
    this.#shown = process.stderr.isTTY === true && (besideOutput || process.stdout.isTTY !== true);
  }

  /** Calls for the text only if it is shown. */
  show(text: () => string): void {
    if (!this.#shown || performance.now() - this.#at < EVERY_MS) return;
    this.#at = performance.now();
    this.#dirty = true;
    process.stderr.write(`\r\x1b[K${text()}`);
  }

  clear(): void {
    if (this.#dirty) process.stderr.write('\r\x1b[K');
    this.#dirty = false;
  }
}
