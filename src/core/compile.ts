// The compiled core: the bytes are part of the package, so nothing has to be found at run time.
//
// Guarantees: nothing is decoded or compiled before the first call; each build is compiled once in a thread; without
// SharedArrayBuffer the same module is made to import plain memory.

import type { CoreModule } from './exports.ts';

/** `release` runs at full speed, `chaos` with random delays at scheduling points, `explore` suspends at them. */
export type Build = 'release' | 'chaos' | 'explore';

const compiled = new Map<string, Promise<CoreModule>>();

/** Compiles a build of the core, for shared or for plain memory, once in this thread. */
export function compileCore(build: Build = 'release', shared = canShare()): Promise<CoreModule> {
  const key = `${build} ${shared}`;
  let module = compiled.get(key);
  if (module === undefined) {
    module = bytesOf(build).then((bytes) => WebAssembly.compile(shared ? bytes : unshare(bytes)));
    compiled.set(key, module);
  }
  return module;
}

/** Can memory be shared between threads here? In a page that takes cross-origin isolation. */
export function canShare(): boolean {
  return typeof SharedArrayBuffer === 'function';
}

async function bytesOf(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const { base64 } =
    build === 'release'
      ? await import('../../build/release.js')
      : build === 'chaos'
        ? await import('../../build/chaos.js')
        : await import('../../build/explore.js');
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * The same module with the shared flag of its imported memory cleared (WebAssembly binary format, 5.5.5 and, for the flag, the
 * threads proposal). Atomic instructions work on plain memory too; only waiting does not.
 */
function unshare(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const name = [...'\x03env\x06memory\x02'].map((c) => c.charCodeAt(0));
  const at = bytes.findIndex((_, i) => name.every((byte, k) => bytes[i + k] === byte));
  const flags = at + name.length;
  if (at < 0 || bytes[flags] !== 3) throw new Error('the core does not import a shared memory: it is damaged');
  const copy = bytes.slice();
  copy[flags] = 1;
  return copy;
}
