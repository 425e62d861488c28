// What invariants say, in words.

import { conditionText } from '../litmus/format.ts';
import { LIBRARY, type Scenario } from '../litmus/index.ts';

/** What the invariants of a scenario say, by name: its own, those of the library, and its condition. */
export function sentencesOf({ invariants, condition }: Scenario): ReadonlyMap<string, string> {
  const sentences = new Map(LIBRARY.map(({ name, sentence }) => [name, sentence]));
  for (const { name, sentence } of invariants) sentences.set(name.text, sentence);
  if (condition !== undefined) sentences.set(conditionText(condition), 'an outcome contradicts it.');
  return sentences;
}
