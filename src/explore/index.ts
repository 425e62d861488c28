// The explorer: what people use of it.

export type { Counterexample, ExploreOptions, ExploreResult, Outcome, Progress, Verdict } from './explore.ts';
export { explore } from './explore.ts';
export type { Invariant } from './invariants.ts';
export { invariantsOf } from './invariants.ts';
export type { FrameField, Place } from './places.ts';
export type { Sampling } from './random.ts';
export type { Difference, Replay } from './replay.ts';
export { replay } from './replay.ts';
export type { MalformedToken, Schedule, Stretch, TokenContent } from './schedule.ts';
export { decodeToken, mayBeOf, programId, scenarioId, variantsWithId } from './schedule.ts';
export type {
  Change,
  Column,
  Fault,
  Phase,
  State,
  StepKind,
  Trace,
  TraceAccess,
  TraceStep,
  Violation,
  Waiting,
} from './trace.ts';
export { trace } from './trace.ts';
export type { FrameState, PteBit, PteValue, TlbValue, Value } from './values.ts';
export { isSameValue } from './values.ts';
