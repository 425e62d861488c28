// Executions as an SVG: one under the other, each with a lifeline for each CPU, time going down, and beside it what changed.
//
// Guarantees: one self-contained file without scripts or fonts of its own; it follows the reader's light or dark theme, and says in words what it
// shows (title, desc) to who does not see it. Equal diagrams give equal bytes.

import type { Diagram, Row } from './diagram.ts';
import { fill, wrap } from './layout.ts';

export interface TitledDiagram {
  readonly title: string;
  readonly diagram: Diagram;
}

/** Of a monospaced font of 12 pixels, in pixels. */
const LETTER = 7.25;
const LINE = 16;
const PAD = 6;
const GAP = 16;
const MARGIN = 16;
/** Letters a line of a column, and of what changed. */
const MOST_LETTERS = 36;
const LEAST_LETTERS = 14;
const STEP_LETTERS = 6;
/** Colours of the columns, by name of a class. */
const COLOURS = 5;

export function diagramsSvg(diagrams: readonly TitledDiagram[]): string {
  const drawn = diagrams.map(({ title, diagram }) => new Drawing(title, diagram));
  const width = Math.max(320, ...drawn.map((drawing) => drawing.width)) + 2 * MARGIN;
  let y = MARGIN;
  const groups = drawn.map((drawing) => {
    const group = `<g transform="translate(${MARGIN} ${y})">\n${drawing.lines.join('\n')}\n</g>`;
    y += drawing.height + 2 * MARGIN;
    return group;
  });
  if (drawn.length === 0) groups.push(`<text x="${MARGIN}" y="${MARGIN + LINE}">Nothing is violated.</text>`);
  const height = Math.max(y, 3 * MARGIN);
  const titles = diagrams.map(({ title }) => title).join('; ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escaped(titles === '' ? 'Nothing is violated' : titles)}</title>`,
    `<desc id="desc">${escaped(diagrams.map(({ diagram }) => spoken(diagram)).join(' '))}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...groups,
    '</svg>',
    '',
  ].join('\n');
}

const STYLE = `
svg { --paper: #ffffff; --ink: #1f2328; --faint: #6e7781; --line: #d0d7de; --bad: #cf222e;
  --c0: #0969da; --c1: #8250df; --c2: #9a6700; --c3: #1a7f37; --c4: #bf3989; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --faint: #8b949e; --line: #30363d; --bad: #ff7b72;
    --c0: #58a6ff; --c1: #bc8cff; --c2: #d29922; --c3: #3fb950; --c4: #f778ba; }
}
text { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, monospace; fill: var(--ink); white-space: pre; }
.paper { fill: var(--paper); } .title { font-weight: bold; } .faint { fill: var(--faint); } .bad { fill: var(--bad); }
.life { stroke: var(--line); stroke-dasharray: 3 3; } .rule { stroke: var(--line); }
.box { fill: var(--paper); stroke-width: 1.2; } .box.wrong { stroke: var(--bad); stroke-width: 2; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); } .s4 { stroke: var(--c4); }
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); } .f4 { fill: var(--c4); }
`;

class Drawing {
  readonly lines: string[] = [];
  readonly width: number;
  height = 0;
  readonly #letters: readonly number[];
  readonly #left: readonly number[];
  readonly #changesAt: number;
  readonly #changesLetters: number;

  constructor(title: string, diagram: Diagram) {
    const { columns, rows } = diagram;
    const longest = (texts: readonly string[]) => Math.max(0, ...texts.map(({ length }) => length));
    const within = (letters: number) => Math.min(MOST_LETTERS, Math.max(LEAST_LETTERS, letters));
    this.#letters = columns.map(({ name, title: head }, n) => {
      const own = rows.filter(({ column }) => column === n);
      return within(longest([`${name} ${head}`, ...own.flatMap((row) => textsOf(row))]));
    });
    this.#changesLetters = within(longest(rows.map(({ changes }) => changes.join(', '))));
    let x = STEP_LETTERS * LETTER;
    this.#left = this.#letters.map((letters) => {
      const left = x;
      x += boxWidth(letters) + GAP;
      return left;
    });
    this.#changesAt = x;
    this.width = Math.ceil(x + this.#changesLetters * LETTER);
    this.#paint(title, diagram);
  }

  #paint(title: string, diagram: Diagram): void {
    const { columns, rows, start, end, verdicts } = diagram;
    this.#text(0, title, 'title');
    this.#list('start', start);
    this.height += PAD;
    const top = this.height;
    for (const [n, { name, title: head }] of columns.entries()) {
      const text = head === '' || head === name ? name : `${name} ${head}`;
      this.#put(this.#left[n] as number, top + LINE, text, `title f${n % COLOURS}`);
    }
    this.#put(0, top + LINE, 'step', 'faint');
    this.#put(this.#changesAt, top + LINE, 'changes', 'faint');
    this.height = top + LINE + PAD;
    const lifeline = this.lines.length;
    const lifelineTop = this.height;
    let afterwards = false;
    for (const row of rows) {
      if (row.column < 0 && !afterwards) this.#life(lifeline, lifelineTop);
      if (row.column < 0 && !afterwards) this.#rule('afterwards');
      afterwards ||= row.column < 0;
      this.#row(row);
    }
    if (!afterwards) this.#life(lifeline, lifelineTop);
    this.height += PAD;
    this.#list('end', end);
    for (const verdict of verdicts) for (const line of wrap(verdict, this.#room)) this.#text(0, line, 'bad');
    this.height += PAD;
  }

  /** The dashed lines from the heads down to here, under all that was drawn since. */
  #life(at: number, top: number): void {
    const lines = this.#left.map((left, n) => {
      const x = round(left + boxWidth(this.#letters[n] as number) / 2);
      return `<line class="life" x1="${x}" y1="${top}" x2="${x}" y2="${this.height}"/>`;
    });
    this.lines.splice(at, 0, '<g>', ...lines, '</g>');
  }

  #rule(word: string): void {
    this.height += PAD;
    this.lines.push(`<line class="rule" x1="0" y1="${this.height}" x2="${this.width}" y2="${this.height}"/>`);
    this.#text(0, word, 'faint');
    this.height += PAD;
  }

  #row(row: Row): void {
    const { column, first, changes, violated } = row;
    const all = this.#changesAt - (this.#left[0] as number) - GAP;
    const letters = column < 0 ? Math.floor((all - 2 * PAD) / LETTER) : (this.#letters[column] as number);
    const left = this.#left[Math.max(0, column)] as number;
    const width = column < 0 ? all : boxWidth(letters);
    const [text = '', ...more] = textsOf(row);
    const own = wrap(text, letters);
    const notes = more.flatMap((line) => wrap(line, letters));
    const beside = fill(changes, this.#changesLetters);
    const lines = Math.max(own.length + notes.length, beside.length);
    const top = this.height;
    const height = (own.length + notes.length) * LINE + PAD;
    const colour = column < 0 ? '' : ` s${column % COLOURS}`;
    const wrong = violated.length > 0 ? ' wrong' : '';
    const stroke = colour === '' && wrong === '' ? ' rule' : colour;
    this.lines.push(
      `<rect class="box${stroke}${wrong}" x="${round(left)}" y="${top}" width="${round(width)}" height="${height}" rx="4"/>`,
    );
    this.#put(0, top + LINE, String(first ?? ''), 'faint');
    for (const [n, line] of own.entries()) this.#put(left + PAD, top + LINE * (n + 1), line, '');
    for (const [n, line] of notes.entries()) {
      this.#put(left + PAD, top + LINE * (own.length + n + 1), line, line.startsWith('!') ? 'bad' : 'faint');
    }
    for (const [n, line] of beside.entries()) this.#put(this.#changesAt, top + LINE * (n + 1), line, '');
    this.height = top + lines * LINE + PAD + 4;
  }

  get #room(): number {
    return Math.max(40, Math.floor(this.width / LETTER));
  }

  #list(word: string, parts: readonly string[]): void {
    if (parts.length === 0) return;
    const indent = 7;
    for (const [n, line] of fill(parts, this.#room - indent).entries()) {
      if (n === 0) this.#put(0, this.height + LINE, word, 'faint');
      this.#text(indent * LETTER, line, '');
    }
  }

  #text(x: number, text: string, style: string): void {
    this.height += LINE;
    this.#put(x, this.height, text, style);
  }

  #put(x: number, y: number, text: string, style: string): void {
    const named = style === '' ? '' : ` class="${style}"`;
    this.lines.push(`<text${named} x="${round(x)}" y="${y}">${escaped(text)}</text>`);
  }
}

/** The text of a row, its notes, and what it violates: a line each. */
function textsOf({ text, notes, violated }: Row): string[] {
  return [text, ...(notes.length === 0 ? [] : [notes.join(', ')]), ...violated.map((name) => `! ${name}`)];
}

function boxWidth(letters: number): number {
  return letters * LETTER + 2 * PAD;
}

/** What the diagram shows, in sentences. */
function spoken({ columns, start, rows, end, verdicts }: Diagram): string {
  const steps = rows.map(({ column, text, notes, changes, violated }) => {
    const who = columns[column]?.name ?? 'Afterwards';
    const beside = [...notes, ...changes, ...violated.map((name) => `violates ${name}`)];
    return `${who}: ${text.trim()}${beside.length === 0 ? '' : ` (${beside.join('; ')})`}.`;
  });
  return [`At the start ${start.join('; ')}.`, ...steps, `At the end ${end.join('; ')}.`, ...verdicts].join(' ');
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&${NAMES[letter]};`);
}

const NAMES: Readonly<Record<string, string>> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
