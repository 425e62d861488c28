// Files as byte sources, in Node alone. Loaded when a path is opened, so nothing here reaches a browser.
//
// Guarantees: a regular file is never read as a whole; what cannot be sought in (a pipe) is.

import type { ByteSource } from './source.ts';
import { ImageError, sourceOf } from './source.ts';

type Fs = typeof import('node:fs');

/** Opens the file at `path`. @throws ImageError naming the path and why it cannot be read. */
export async function openSource(path: string): Promise<ByteSource> {
  const fs = await nodeFs(path);
  try {
    const fd = fs.openSync(path, 'r');
    const stat = fs.fstatSync(fd);
    if (stat.isFile()) return fileSource(fs, fd, path, stat.size);
    try {
      return sourceOf(fs.readFileSync(fd), path);
    } finally {
      fs.closeSync(fd);
    }
  } catch (cause) {
    throw new ImageError(`${path}: ${reason(cause)}`, { cause });
  }
}

function fileSource(fs: Fs, fd: number, path: string, sizeBytes: number): ByteSource {
  let open = true;
  return {
    name: path,
    sizeBytes,
    read(offset, lengthBytes) {
      const bytes = new Uint8Array(Math.max(0, Math.min(lengthBytes, sizeBytes - offset)));
      let filled = 0;
      try {
        while (filled < bytes.length) {
          const got = fs.readSync(fd, bytes, filled, bytes.length - filled, offset + filled);
          if (got === 0) break;
          filled += got;
        }
      } catch (cause) {
        throw new ImageError(`${path}: reading at byte ${offset} failed: ${reason(cause)}`, { cause });
      }
      return filled === bytes.length ? bytes : bytes.subarray(0, filled);
    },
    async close() {
      if (open) fs.closeSync(fd);
      open = false;
    },
  };
}

async function nodeFs(path: string): Promise<Fs> {
  // Not a literal: bundlers for the web would look for it.
  const name: string = 'node:fs';
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Fs;
  } catch (cause) {
    throw new ImageError(`${path}: files can be opened in Node only; hand the bytes to imageOf() instead`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'no permission to read it',
  EPERM: 'no permission to read it',
  EISDIR: 'is a directory, not a file',
  ENOTDIR: 'a part of the path is no directory',
};

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return REASONS[code] ?? cause.message;
}
