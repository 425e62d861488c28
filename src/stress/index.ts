// The stress harness: what people use of it.

export { type Agreement, agreementOf, type Disagreement } from './agreement.ts';
export { RacerPool } from './pool.ts';
export type { Grade, RacerThread, StressOptions, StressOutcome, StressProgress, StressResult } from './stress.ts';
export { INSTANCES, MOST_THREADS, stress } from './stress.ts';
export type { FromRacer, ToRacer } from './worker.ts';
export { race } from './worker.ts';
