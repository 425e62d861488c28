// An execution as text, in the manner of the diagrams in kernel mails: time goes down, a column for each CPU, beside them what changed.
//
// Guarantees: no line is longer than `width`, which is at least 80 and more only if there are so many CPUs. Without `style` the text is plain.

import type { Diagram, Row } from './diagram.ts';
import { fill, widths, wrap } from './layout.ts';

export interface TextOptions {
  /** Characters a line. Default 80. */
  readonly width?: number;
  /** Wraps a text into the codes that colour it. */
  readonly style?: (format: Style, text: string) => string;
}

export type Style = 'bold' | 'dim' | 'red' | 'cyan' | 'magenta' | 'yellow' | 'green' | 'blue';

const LEAST_WIDTH = 80;
const LEAST_COLUMN = 10;
const GAP = '  ';
const COLOURS: readonly Style[] = ['cyan', 'magenta', 'yellow', 'green', 'blue'];

export function diagramText(diagram: Diagram, options: TextOptions = {}): string[] {
  return new Painter(diagram, options).paint();
}

class Painter {
  readonly #diagram: Diagram;
  readonly #style: (format: Style, text: string) => string;
  readonly #width: number;
  readonly #most: number;
  /** Of the step numbers, of each CPU, of what changed. */
  readonly #columns: readonly number[];

  constructor(diagram: Diagram, { width = LEAST_WIDTH, style = (_, text) => text }: TextOptions) {
    this.#diagram = diagram;
    this.#style = style;
    const { columns, rows } = diagram;
    const longest = (texts: readonly string[]) => Math.max(0, ...texts.map(({ length }) => length));
    const numbers = longest(['step', ...rows.map(({ first }) => String(first ?? ''))]);
    const wanted = columns.map((column, n) => {
      const own = rows.filter((row) => row.column === n);
      return longest([head(column), ...own.flatMap((row) => [cell(row), verdict(row)])]);
    });
    wanted.push(longest(['changes', ...rows.map(({ changes }) => changes.join(', '))]));
    const gaps = GAP.length * wanted.length;
    this.#most = Math.max(width, LEAST_WIDTH);
    const room = this.#most - numbers - gaps;
    this.#columns = [numbers, ...widths(wanted, room, LEAST_COLUMN)];
    this.#width = this.#columns.reduce((sum, n) => sum + n, gaps);
  }

  paint(): string[] {
    const { columns, rows, start, end, verdicts } = this.#diagram;
    const lines = this.#list('start', start);
    const titles = ['step', ...columns.map(head), 'changes'].map((title, n) => wrap(title, this.#columns[n] as number));
    for (let n = 0; n < Math.max(...titles.map(({ length }) => length)); n++) {
      lines.push(this.#line(titles.map((title, column) => this.#paint(column, title[n] ?? '', 'bold'))));
    }
    lines.push(this.#style('dim', this.#columns.map((n) => '-'.repeat(n)).join(GAP)));
    let ended = false;
    for (const row of rows) {
      if (row.column < 0 && !ended) lines.push(this.#style('dim', rule('afterwards', this.#width)));
      ended ||= row.column < 0;
      lines.push(...this.#row(row));
    }
    lines.push(...this.#list('end', end));
    for (const text of verdicts) lines.push(...wrap(text, this.#most).map((line) => this.#style('red', line)));
    return lines;
  }

  #row(row: Row): string[] {
    const { column, first, changes } = row;
    const cpus = this.#columns.length - 2;
    // What runs after all has the room of all.
    const [from, count] = column < 0 ? [1, cpus] : [column + 1, 1];
    const room = this.#columns.slice(from, from + count).reduce((sum, n) => sum + n, GAP.length * (count - 1));
    const texts = wrap(cell(row), room);
    const verdicts = row.violated.length === 0 ? [] : wrap(verdict(row), room);
    const beside = fill(changes, this.#columns.at(-1) as number);
    const lines: string[] = [];
    for (let n = 0; n < Math.max(texts.length + verdicts.length, beside.length); n++) {
      const cells = this.#columns.map((_, k) => this.#paint(k, '', 'dim'));
      if (n === 0) cells[0] = this.#paint(0, String(first ?? '').padStart(this.#columns[0] as number), 'dim');
      const isVerdict = n >= texts.length;
      const text = isVerdict ? verdicts[n - texts.length] : texts[n];
      const colour = COLOURS[column % COLOURS.length] ?? 'bold';
      cells[from] = this.#style(isVerdict ? 'red' : colour, (text ?? '').padEnd(room));
      cells.splice(from + 1, count - 1);
      cells[cells.length - 1] = beside[n] ?? '';
      lines.push(this.#line(cells));
    }
    return lines;
  }

  /** `PTE x: P W, bit = 0` behind a word. */
  #list(word: string, parts: readonly string[]): string[] {
    if (parts.length === 0) return [];
    const indent = (this.#columns[0] as number) + GAP.length + 2;
    const lines = fill(parts, this.#most - indent);
    return lines.map((line, n) => `${this.#style('dim', (n === 0 ? word : '').padEnd(indent))}${line}`);
  }

  #paint(column: number, text: string, style: Style): string {
    const padded = text.padEnd(this.#columns[column] as number);
    return text === '' ? padded : this.#style(style, padded);
  }

  #line(cells: readonly string[]): string {
    return cells.join(GAP).trimEnd();
  }
}

function head({ name, title }: { readonly name: string; readonly title: string }): string {
  return title === '' || title === name ? name : `${name} ${title}`;
}

function cell({ text, notes }: Row): string {
  return notes.length === 0 ? text : `${text}  [${notes.join(', ')}]`;
}

function verdict({ violated }: Row): string {
  return violated.map((name) => `! ${name}`).join(', ');
}

function rule(word: string, width: number): string {
  return `-- ${word} `.padEnd(width, '-');
}
