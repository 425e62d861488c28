// Runs the command line as a child process, bundled from the sources as they are now.

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Cli {
  /** A directory for files of the test; gone afterwards. Runs start in it. */
  readonly directory: string;
  /** Writes a file there and returns its name. */
  file(name: string, bytes: Uint8Array | string): string;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Run;
  /** As `run`, with a pipe as standard input through which a file of the directory comes. */
  runPiped(name: string, args: readonly string[]): Run;
  /** As `run`, with the standard output going to a file or device. */
  runInto(path: string, args: readonly string[]): Omit<Run, 'stdout'>;
  start(args: readonly string[], env?: Readonly<Record<string, string>>): ChildProcessByStdio<null, Readable, Readable>;
}

/** To be called at the top of a test file. */
export function useCli(): Cli {
  const directory = mkdtempSync(join(tmpdir(), 'pagewalk-'));
  const script = join(directory, 'cli.mjs');
  beforeAll(async () => {
    await build({
      entryPoints: [join(root, 'src/cli/index.ts')],
      outfile: script,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      // commander is CommonJS and requires Node's modules
      banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
      logLevel: 'error',
    });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const options = { cwd: directory, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
  return {
    directory,
    file(name, bytes) {
      writeFileSync(join(directory, name), bytes);
      return name;
    },
    run(args, env = {}) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
        ...options,
        env: { ...process.env, ...env },
      });
      return { status, stdout, stderr };
    },
    runPiped(name, args) {
      const line = ['-c', 'cat "$0" | "$@"', name, process.execPath, script, ...args];
      const { status, stdout, stderr } = spawnSync('sh', line, options);
      return { status, stdout, stderr };
    },
    runInto(path, args) {
      const out = openSync(path, 'w');
      const { status, stderr } = spawnSync(process.execPath, [script, ...args], {
        ...options,
        stdio: ['ignore', out, 'pipe'],
      });
      closeSync(out);
      return { status, stderr };
    },
    start(args, env = {}) {
      return spawn(process.execPath, [script, ...args], {
        cwd: directory,
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    },
  };
}

/** Expects `actual`, its time masked, to be the golden file, byte for byte. UPDATE_GOLDEN=1 writes it instead. */
export function expectGolden(name: string, actual: string): void {
  const path = join(root, 'test/golden', name);
  const masked = actual.replace(/"seconds":\d+\.\d+/g, '"seconds":S').replace(/\d+\.\d{3} s$/gm, 'S s');
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, masked);
  }
  expect(masked).toBe(readFileSync(path, 'utf8'));
}

/** Path of a capture under `test/fixtures`. */
export function capture(name: string): string {
  return join(root, 'test/fixtures/captures', name);
}
