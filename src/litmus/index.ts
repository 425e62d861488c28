// Scenarios: text or builder to data, data to programs. The parser is apart, in parse.ts: only texts of others need it, and it
// takes long to load and to begin.

export type * from './ast.ts';
export * from './builder/index.ts';
export { AFTERWARDS, compile } from './compile.ts';
export type { LitmusError } from './errors.ts';
export { format } from './format.ts';
export { isBuiltIn, LIBRARY, type LibraryInvariant, libraryInvariant } from './invariants.ts';
export { OPERATIONS, type Operation, signature } from './operations/index.ts';
export {
  allCombinations,
  type Expected,
  expectationsOf,
  idOf,
  MACHINE_PARAMETERS,
  type NamedVariant,
  type Parameter,
  parametersOf,
  variantsOf,
  variantWith,
} from './parameters.ts';
export type { Parsed, Scenario } from './parse.ts';
export { type CpuProgram, type Instruction, type LitmusProgram, sizeOf, type Variant } from './program.ts';
