/// <reference lib="esnext.disposable" preserve="true" />
// The public door of the library: re-exports only.

export type { Build } from './core/compile.ts';
export { canShare, compileCore } from './core/compile.ts';
export type { CoreMemory, CoreModule } from './core/exports.ts';
export * from './image/index.ts';
export * from './machine/index.ts';
export * from './units.ts';
