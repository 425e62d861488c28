// One line on stderr that says how far a long listing is, where somebody sees it and nothing else is written there.

const EVERY_MS = 200;

export class Progress {
  readonly #shown = process.stderr.isTTY === true && process.stdout.isTTY !== true;
  #at = performance.now();
  #dirty = false;

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
