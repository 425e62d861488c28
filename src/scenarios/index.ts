// The catalogue: the races of the seed threads as litmus files, in reading order.
//
// Guarantees: importing this reads nothing. The texts come with the bundle, as a chunk that is loaded when it is asked for; each is parsed when its
// scenario is first asked for, and once.

import { parseScenario, type Scenario } from '../litmus/index.ts';

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
  read ??= import('../../build/scenarios.js').then(({ texts }) => {
    const entries = Object.entries(texts).map(([name, text]) => new Entry(name, text));
    return entries.sort((a, b) => (readsBefore(a, b) ? -1 : 1));
  });
  return read;
}

class Entry implements CatalogueEntry {
  readonly name: string;
  readonly text: string;
  #scenario: Scenario | undefined;

  constructor(name: string, text: string) {
    this.name = name;
    this.text = text;
  }

  get scenario(): Scenario {
    this.#scenario ??= parsed(this.name, this.text);
    return this.#scenario;
  }
}

function parsed(name: string, text: string): Scenario {
  const read = parseScenario(text, `${name}.litmus`);
  if (read.ok) return read.scenario;
  const [first] = read.errors;
  throw new Error(`${name}.litmus:${first?.line}:${first?.column}: ${first?.message}`);
}

function readsBefore(a: CatalogueEntry, b: CatalogueEntry): boolean {
  const [letter, other] = [letterOf(a), letterOf(b)];
  if (letter === other) return a.name < b.name;
  return other === '' || (letter !== '' && letter < other);
}

/** Of its first variant: not parsed, for of most entries nobody wants more. */
function letterOf({ text }: CatalogueEntry): string {
  return /^variant\s+([A-Z]+)\d/m.exec(text)?.[1] ?? '';
}
