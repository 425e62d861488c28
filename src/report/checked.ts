// A variant as both engines found it: what every report of `pagewalk check` is made from.

import type { ExploreResult, Trace } from '../explore/index.ts';
import type { Expected, Scenario, Variant } from '../litmus/index.ts';
import type { Agreement, StressResult } from '../stress/index.ts';

export interface CheckedVariant {
  readonly scenario: Scenario;
  /** What `pagewalk replay` needs beside the token, with a space before it; nothing of a scenario of the catalogue. */
  readonly argument?: string;
  /** Its number in the scenario's table. */
  readonly id: string | undefined;
  readonly variant: Variant;
  /** What its file expects of it. */
  readonly expected: readonly Expected[];
  /** Undefined if it was not explored, and then why. */
  readonly explored: ExploreResult | undefined;
  readonly unexplored: string | undefined;
  /** Of each violated invariant that has a counterexample, by name. */
  readonly traces: ReadonlyMap<string, Trace>;
  /** Races, of one build or several. */
  readonly races: readonly StressResult[];
  /** Undefined if one of the two engines did not run. */
  readonly agreement: Agreement | undefined;
}
