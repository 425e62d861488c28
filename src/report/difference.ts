// Where a program differs from the one of which a token was made.

import type { Replay } from '../explore/index.ts';
import { namingOf, placeText } from './states.ts';

/** One sentence, which names the step. */
export function differenceText({ step, why, trace, changed }: Extract<Replay, { readonly kind: 'differs' }>): string {
  const program = changed ? 'the program differs' : 'the program is the same, but not what it does';
  return `at step ${step} ${program}: ${reason()}`;

  function reason(): string {
    switch (why.kind) {
      case 'no-cpu':
        return 'the token has a CPU more';
      case 'has-ended':
        return `${why.cpu} has ended`;
      case 'waits':
        return `${why.cpu} waits for ${placeText(why.place, namingOf(trace))}`;
      case 'no-choice':
        return `${why.cpu} has no such choice`;
      case 'other-accesses': {
        const steps = why.last === step ? 'this step' : `the steps from here to ${why.last}`;
        return `in ${steps}, ${why.cpu} accesses something else`;
      }
      case 'not-violated':
        return `all steps were made, and ${why.invariant} is not violated`;
    }
  }
}
