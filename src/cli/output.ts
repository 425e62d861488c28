// Standard output for listings of any length.
//
// Guarantees: at most BLOCK_CHARS of text and what the stream has taken are held; a slow reader slows the listing down; whoever
// writes gives the event loop a turn at least every TURN_MS while it writes, so that Ctrl-C and a broken pipe are noticed.

const BLOCK_CHARS = 65536;
const TURN_MS = 20;
/** A reader that takes nothing must not keep Ctrl-C waiting. */
const LAST_WORDS_MS = 500;

export class Output {
  /** Ctrl-C came. */
  interrupted = false;
  /** Milliseconds spent waiting for the reader and for the event loop. */
  waitedMs = 0;
  readonly #stream: NodeJS.WriteStream;
  readonly #onTurn: () => void;
  readonly #onInterrupt = () => {
    this.interrupted = true;
    this.#wake();
  };
  #block = '';
  #lines = 0;
  #turnedAt = performance.now();
  #wake: () => void = () => {};

  /** Takes over Ctrl-C until `end`; a second one kills. `onTurn` is called whenever the event loop gets its turn. */
  constructor(stream: NodeJS.WriteStream, onTurn: () => void = () => {}) {
    this.#stream = stream;
    this.#onTurn = onTurn;
    process.once('SIGINT', this.#onInterrupt);
  }

  line(text: string): void {
    this.#block += `${text}\n`;
    this.#lines += 1;
  }

  /** Is it time to call `turn`? */
  get due(): boolean {
    if (this.#block.length >= BLOCK_CHARS) return true;
    return this.#lines % 32 === 0 && this.late;
  }

  /** Has the event loop waited long enough for its turn? */
  get late(): boolean {
    return performance.now() - this.#turnedAt >= TURN_MS;
  }

  /** Writes what was collected, waits until the reader took it, and gives the event loop a turn. */
  async turn(): Promise<void> {
    const start = performance.now();
    const block = this.#block;
    this.#block = '';
    this.#onTurn();
    if (block !== '' && !this.#stream.write(block) && !this.interrupted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#stream.once('drain', resolve);
      });
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#turnedAt = performance.now();
    this.waitedMs += this.#turnedAt - start;
  }

  /** Writes the rest and gives Ctrl-C back. Once that came, it waits for the reader only so long. */
  async end(): Promise<void> {
    const block = this.#block;
    this.#block = '';
    await new Promise<void>((resolve) => {
      this.#wake = () => setTimeout(resolve, LAST_WORDS_MS).unref();
      if (this.interrupted) this.#wake();
      this.#stream.write(block, () => resolve());
    });
    process.removeListener('SIGINT', this.#onInterrupt);
  }
}
