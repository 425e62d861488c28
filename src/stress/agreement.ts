// Do both engines agree on a variant? What threads show has to be among what the explorer found.
//
// Guarantees: what is said rests on a search that ended by itself; of any other nothing is said to be impossible. A disagreement is a mistake of
// pagewalk, of whichever engine: both sides are in it.

import { OP_ATOMIC, OP_JOINED_END, OP_LOAD32, OP_LOAD64 } from '../../assembly/litmus/ops_bits.ts';
import type { ExploreResult, Outcome } from '../explore/index.ts';
import type { LitmusProgram } from '../litmus/program.ts';
import type { StressOutcome, StressResult } from './stress.ts';

/** Something that threads showed and no interleaving does. */
export interface Disagreement {
  readonly outcome: StressOutcome;
  /** No execution ends like this; or: none that violates it. */
  readonly what: 'impossible outcome' | 'impossible violation';
  /** Of a violation: the invariants that no execution violates. */
  readonly invariants: readonly string[];
  /** The program stores within steps of several accesses, which threads make one after the other: it may be no mistake. */
  readonly torn: boolean;
}

export interface Agreement {
  readonly disagreements: readonly Disagreement[];
  /** Outcomes that there are and no thread showed. */
  readonly unseen: readonly Outcome[];
  /** Invariants that can be violated, and whether threads did. */
  readonly violable: readonly { readonly invariant: string; readonly seen: boolean }[];
}

/** Compares what one or several races of a variant showed with what its exploration found. */
export function agreementOf(races: readonly StressResult[], explored: ExploreResult): Agreement {
  const possible = new Set(explored.outcomes.map(({ text }) => text));
  const verdicts = explored.verdicts.filter(({ verdict }) => verdict === 'violated').map(({ invariant }) => invariant);
  const violable = new Set(verdicts);
  const outcomes = races.flatMap((race) => race.outcomes);
  const disagreements: Disagreement[] = [];
  const torn = isTorn(explored.program);
  for (const outcome of explored.exhaustive ? outcomes : []) {
    if (!outcome.hang && !possible.has(outcome.state)) {
      disagreements.push({ outcome, what: 'impossible outcome', invariants: [], torn });
    }
    const invariants = outcome.violated.filter((name) => !violable.has(name));
    if (invariants.length > 0) disagreements.push({ outcome, what: 'impossible violation', invariants, torn });
  }
  const shown = new Set(outcomes.map(({ state }) => state));
  const seen = new Set(outcomes.flatMap(({ violated }) => violated));
  return {
    disagreements,
    unseen: explored.outcomes.filter(({ text }) => !shown.has(text)),
    violable: explored.verdicts.flatMap(({ invariant, verdict, counterexample, schedule }) =>
      verdict === 'violated' && (counterexample !== undefined || schedule !== undefined)
        ? [{ invariant, seen: seen.has(invariant) }]
        : [],
    ),
  };
}

/** Does it change memory in an `atomic` block? */
function isTorn({ cpus }: LitmusProgram): boolean {
  return cpus.some(({ code }) => {
    let inside = false;
    return code.some(({ op }) => {
      if (op === OP_ATOMIC) inside = true;
      if (op === OP_JOINED_END) inside = false;
      return inside && op >= OP_LOAD64 && op !== OP_LOAD64 && op !== OP_LOAD32 && op < WORDS_END;
    });
  });
}

/** The first operation behind those on words. */
const WORDS_END = 0x30;
