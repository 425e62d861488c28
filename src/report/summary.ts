// What a listing came to.

import type { Format, Hole, Mapping } from '../machine/index.ts';
import { count, pageBytesOf, pageSize, plural, size } from './words.ts';

/** Counts what is listed, record by record. */
export class Summary {
  /** Mappings listed: pages, or with folding runs of pages. */
  mappings = 0;
  holes = 0;
  bytes = 0n;
  seconds = 0;
  /** Bytes by level of the leaf. */
  readonly #byLevel: bigint[] = [];

  add(record: Mapping | Hole): void {
    if (record.kind === 'hole') {
      this.holes += 1;
      return;
    }
    this.mappings += 1;
    this.bytes += record.sizeBytes;
    this.#byLevel[record.level] = (this.#byLevel[record.level] ?? 0n) + record.sizeBytes;
  }

  /** The last line of a JSON listing; `stopped` says that Ctrl-C ended it. */
  json(stopped = false): string {
    const { mappings, bytes, holes } = this;
    const end = stopped ? ',"interrupted":true' : '';
    return `{"mappings":${mappings},"bytes":${bytes},"holes":${holes},"seconds":${this.seconds.toFixed(6)}${end}}`;
  }

  /** The last line of a text listing. */
  text(format: Format, noun: 'range' | 'mapping', stopped = ''): string {
    const pages = this.#byLevel
      .map((bytes, level): [bigint, number] => [bytes, pageBytesOf(format, level)])
      .filter(([bytes]) => bytes > 0n)
      .map(([bytes, pageBytes]) => `${count(bytes / BigInt(pageBytes))} x ${pageSize(pageBytes)}`);
    const made = pages.length === 0 ? '' : ` (${pages.join(', ')})`;
    const parts = [`${plural(this.mappings, noun)}, ${size(this.bytes)}${made}`, plural(this.holes, 'hole')];
    return `${parts.join('; ')}; ${this.seconds.toFixed(3)} s${stopped === '' ? '' : `; ${stopped}`}`;
  }
}
