// Compiles the C walkers with the machine's own compiler and loads them into this process.
//
// Guarantees: nothing is written outside a fresh temporary directory, which is removed again; without a compiler, or if it
// fails, there is a reason instead of an addon and the rows in C are skipped.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = [
  'addon.c',
  'naive.c',
  'best.c',
  'adaptive.c',
  'tlb.c',
  'ranges.c',
  'gather.c',
  'threads.c',
  'kernel.c',
];
const FLAGS = ['-std=gnu11', '-O3', '-march=native', '-shared', '-fPIC', '-fvisibility=hidden', '-pthread', '-w'];
const LAYOUTS = ['../../assembly/layout.ts', '../../assembly/pte/x86_64_bits.ts'];

/** @returns {{ walkers: Record<string, Function>, compiler: string } | { reason: string }} */
export function compileWalkers() {
  const directory = mkdtempSync(join(tmpdir(), 'pagewalk-bench-'));
  try {
    writeFileSync(join(directory, 'layout.h'), layoutHeader());
    const addon = join(directory, 'walkers.node');
    const sources = SOURCES.map((name) => fileURLToPath(new URL(name, import.meta.url)));
    let reason = 'no C compiler (tried $CC, cc, gcc, clang)';
    for (const compiler of [process.env.CC, 'cc', 'gcc', 'clang']) {
      if (!compiler) continue;
      const dynamic = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
      const made = spawnSync(compiler, [...FLAGS, ...dynamic, '-I', directory, '-o', addon, ...sources], {
        encoding: 'utf8',
      });
      if (made.error) continue;
      if (made.status !== 0) {
        reason = `${compiler} failed: ${/error: .*/.exec(made.stderr)?.[0] ?? `status ${made.status}`}`;
        continue;
      }
      const module = { exports: {} };
      process.dlopen(module, addon);
      return { walkers: module.exports, compiler: describe(compiler) };
    }
    return { reason };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The integers that the core and the C walkers must agree on, as `#define`s. */
function layoutHeader() {
  const lines = LAYOUTS.flatMap((path) => readFileSync(new URL(path, import.meta.url), 'utf8').split('\n'));
  return lines
    .flatMap((line) => /^export const (\w+) = (\w+);/.exec(line)?.slice(1).join(' ') ?? [])
    .map((pair) => `#define ${pair}\n`)
    .join('');
}

function describe(compiler) {
  const version = spawnSync(compiler, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
  return `${version.replace(/\s*\(.*?\)/, '')} ${FLAGS.slice(1, 3).join(' ')}`;
}
