// Violations that threads show, told while they race: each once, with how it comes about.
//
// Guarantees: what a round showed is told as soon as the variant is explored, which begins, in a thread beside the race, when the first violation
// is seen, if it was not done before. What is told stands before whatever is printed of the variant after `settled`.

import type { Finding } from '../explore/pool.ts';
import { sentencesOf } from '../report/sentences.ts';
import type { Witness } from '../report/witness.ts';
import type { Variation } from './checker.ts';

export class Witnesses {
  readonly #variation: Variation;
  readonly #explore: () => Promise<Finding | string | undefined>;
  readonly #tell: (witness: Witness) => Promise<void>;
  readonly #told = new Set<string>();
  #telling: Promise<void> = Promise.resolve();

  /** `explore` is asked once for each invariant, and answers the same each time. */
  constructor(
    variation: Variation,
    explore: () => Promise<Finding | string | undefined>,
    tell: (witness: Witness) => Promise<void>,
  ) {
    this.#variation = variation;
    this.#explore = explore;
    this.#tell = tell;
  }

  /** Threads violated these invariants. */
  readonly add = (invariants: readonly string[]): void => {
    for (const invariant of invariants) {
      if (this.#told.has(invariant)) continue;
      this.#told.add(invariant);
      const explored = this.#explore();
      this.#telling = this.#telling.then(async () => {
        const witness = this.#witness(invariant, await explored);
        if (witness !== undefined) await this.#tell(witness);
      });
    }
  };

  /** All that was seen is told. */
  settled(): Promise<void> {
    return this.#telling;
  }

  #witness(invariant: string, finding: Finding | string | undefined): Witness | undefined {
    if (finding === undefined || typeof finding === 'string') return undefined;
    const verdict = finding.result.verdicts.find((each) => each.invariant === invariant);
    const trace = finding.traces.get(invariant);
    if (verdict?.counterexample === undefined || trace === undefined) return undefined;
    const { scenario, id, variant, argument } = this.#variation;
    return {
      scenario: scenario.name.text,
      id,
      variant,
      invariant,
      token: verdict.counterexample.token,
      trace,
      argument,
      sentences: sentencesOf(scenario),
    };
  }
}
