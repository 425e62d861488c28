// Scenarios from TypeScript.

export { CodeBuilder, type Target, type Write } from './code.ts';
export {
  calc,
  type Flag,
  kmap,
  last,
  type Operations,
  op,
  ParameterRef,
  type PtlExpression,
  ptl,
  stored,
  type Value,
  word,
} from './expressions.ts';
export { Ref } from './names.ts';
export {
  at,
  type CpuOptions,
  type Entry,
  type FrameOptions,
  type FunctionRef,
  outcome,
  type Part,
  type PteFlag,
  type ScenarioBuilder,
  type ScenarioOptions,
  type Settings,
  scenario,
  type VmaOptions,
} from './scenario.ts';
