// Instances of the core over a memory: one for each agent.

import type { CoreExports, CoreMemory, CoreModule } from './exports.ts';

/** What the explore build imports; each suspends, so it is called once more when its CPU goes on. */
export interface Points {
  /** At each scheduling point: the address and the POINT_* kind of the access to come. */
  suspend(address: number, kind: number): void;
  /** At each choice of the environment: which of `n` alternatives is taken; 0 is "nothing happens". */
  choose(n: number): number;
}

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
export function instantiateCore(module: CoreModule, memory: CoreMemory, points?: Points): CoreExports {
  const imports = {
    env: { memory: memory as WebAssembly.Memory },
    ...(points === undefined ? {} : { point: { suspend: points.suspend, choose: points.choose } }),
  };
  const instance = new WebAssembly.Instance(module as WebAssembly.Module, imports);
  return instance.exports as unknown as CoreExports;
}
