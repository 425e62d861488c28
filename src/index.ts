/// <reference lib="esnext.disposable" preserve="true" />
// The public door of the library: re-exports only.

export type { Build } from './core/compile.ts';
export { canShare, compileCore } from './core/compile.ts';
export type { CoreMemory, CoreModule } from './core/exports.ts';
export type {
  Counterexample,
  ExploreOptions,
  ExploreResult,
  Outcome,
  Progress as ExploreProgress,
  Verdict as InvariantVerdict,
} from './explore/explore.ts';
export type { Place } from './explore/places.ts';
export type { Sampling } from './explore/random.ts';
export type { Difference, Replay } from './explore/replay.ts';
export type { Schedule, Stretch } from './explore/schedule.ts';
export type { Trace, TraceStep } from './explore/trace.ts';
export * from './image/index.ts';
export type { VariantOption } from './laboratory.ts';
export { catalogue, compile, explore, parseScenario, replay, ScenarioError, stress, trace } from './laboratory.ts';
export * as litmus from './litmus/builder/index.ts';
export type { LitmusError } from './litmus/errors.ts';
export { format as formatScenario } from './litmus/format.ts';
export type { Expected, NamedVariant, Parameter } from './litmus/parameters.ts';
export { allCombinations, expectationsOf, parametersOf, variantsOf } from './litmus/parameters.ts';
export type { Parsed, Scenario } from './litmus/parse.ts';
export type { LitmusProgram, Variant } from './litmus/program.ts';
export * from './machine/index.ts';
export type { CatalogueEntry } from './scenarios/index.ts';
export { type Agreement, agreementOf, type Disagreement } from './stress/agreement.ts';
export type {
  Grade,
  RacerThread,
  StressOptions,
  StressOutcome,
  StressProgress,
  StressResult,
} from './stress/stress.ts';
export { type NodeWorkerLike, racerOf, type WebWorkerLike } from './stress/threads.ts';
export * from './units.ts';
