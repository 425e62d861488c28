// Instances of the core over a memory: one for each agent.

import type { CoreExports, CoreMemory, CoreModule } from './exports.ts';

/** What the explore build calls at each scheduling point: the address and the POINT_* kind of the access to come. */
export type Suspend = (address: number, kind: number) => void;

/** A memory of `bytes` for the core, shared where it can be; nothing of it is touched. @throws RangeError if there is no room. */
export function createCoreMemory(bytes: number, shared: boolean): CoreMemory {
  const pages = Math.ceil(bytes / 65536);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: 65536, shared });
  } catch (cause) {
    throw new RangeError(`a memory of ${bytes} bytes does not fit this process: ${String(cause)}`, { cause });
  }
}

/** Makes an instance of `module` over `memory`. It is no agent yet: see `attach`. */
export function instantiateCore(module: CoreModule, memory: CoreMemory, suspend?: Suspend): CoreExports {
  const imports = {
    env: { memory: memory as WebAssembly.Memory },
    ...(suspend === undefined ? {} : { point: { suspend } }),
  };
  const instance = new WebAssembly.Instance(module as WebAssembly.Module, imports);
  return instance.exports as unknown as CoreExports;
}
