// The catalogue: the races of the seed threads as litmus files, in reading order.
//
// Guarantees: importing this reads nothing. The texts and their trees come with the bundle, as a chunk that is loaded when it is asked for; the
// build has parsed and checked them, so whoever races the catalogue does without the parser.

import type { Scenario } from '../litmus/index.ts';
import { unpacked } from './tree.ts';

export interface CatalogueEntry {
  /** That of the scenario and of its file. */
  readonly name: string;
  /** What stands in its file. */
  readonly text: string;
  readonly scenario: Scenario;
}

let read: Promise<readonly CatalogueEntry[]> | undefined;

/** All scenarios of the package in reading order: by the letter of their variants (A0, B0, …), those without one last, then by name. */
export function catalogue(): Promise<readonly CatalogueEntry[]> {
  read ??= import('../../build/scenarios.js').then(({ files }) => {
    const entries = Object.entries(files).map(([name, { text, tree }]) => new Entry(name, text, tree));
    return entries.sort((a, b) => (readsBefore(a, b) ? -1 : 1));
  });
  return read;
}

class Entry implements CatalogueEntry {
  readonly name: string;
  readonly text: string;
  readonly #tree: string;
  #scenario: Scenario | undefined;

  constructor(name: string, text: string, tree: string) {
    this.name = name;
    this.text = text;
    this.#tree = tree;
  }

  get scenario(): Scenario {
    this.#scenario ??= unpacked(this.#tree);
    return this.#scenario;
  }
}

function readsBefore(a: CatalogueEntry, b: CatalogueEntry): boolean {
  const [letter, other] = [letterOf(a), letterOf(b)];
  if (letter === other) return a.name < b.name;
  return other === '' || (letter !== '' && letter < other);
}

/** Of its first variant: from the text, for of most entries nobody wants the tree. */
function letterOf({ text }: CatalogueEntry): string {
  return /^variant\s+([A-Z]+)\d/m.exec(text)?.[1] ?? '';
}
