// What the three builds of the core may contain.
//
// Static data would be written over live state by every further instance, a start function would run once for each of
// them, and a table would mean an indirect call, which no code of the core makes. A scheduling point costs nothing in the
// release build only if nothing of it is left there.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const BUILDS = ['release', 'chaos', 'explore'] as const;

describe.each(BUILDS)('%s build', (build) => {
  const text = readFileSync(`build/${build}.wat`, 'utf8');
  const bytes = readFileSync(`build/${build}.wasm`);

  test.each(['data', 'start', 'table', 'elem'])('has no (%s', (section) => {
    expect(text).not.toMatch(new RegExp(`\\(${section}\\b`));
  });

  test('is inlined byte for byte', async () => {
    const { base64 } = (await import(`../../build/${build}.js`)) as { base64: string };
    expect(Buffer.from(base64, 'base64').equals(bytes)).toBe(true);
  });

  test('changes no byte of a memory when it is instantiated over it', () => {
    const memory = new WebAssembly.Memory({ initial: 8, maximum: 65536, shared: true });
    const words = new Uint32Array(memory.buffer).fill(0x5a5a5a5a);
    const point = { suspend() {}, choose: () => 0 };
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory }, point });
    expect(words.every((word) => word === 0x5a5a5a5a)).toBe(true);
  });

  test('imports shared memory, and only explore imports what suspends', () => {
    const points = build === 'explore' ? ['point.choose function', 'point.suspend function'] : [];
    expect(imports(bytes)).toEqual(['env.memory memory', ...points]);
    expect(text).toMatch(/\(import "env" "memory" \(memory [^)]*\bshared\)\)/);
  });

  test('exports what src/core/exports.ts declares, and functions only', () => {
    const declared = [...readFileSync('src/core/exports.ts', 'utf8').matchAll(/^ {2}(\w+)\(/gm)].map(
      ([, name]) => name,
    );
    const exports = WebAssembly.Module.exports(new WebAssembly.Module(bytes));
    const own = exports.filter(({ name }) => !name.startsWith('asyncify_'));
    expect(own.map(({ name }) => name).sort()).toEqual(declared.sort());
    expect(exports.every(({ kind }) => kind === 'function')).toBe(true);
  });

  test('waits in functions that keep nothing meanwhile (Nap.take)', () => {
    const waiting = text.split(/\n (?=\(func )/).filter((part) => part.includes('memory.atomic.wait'));
    // The explorer suspends in place of waiting.
    expect(waiting.length > 0).toBe(build !== 'explore');
    for (const part of waiting) expect(part).toMatch(/^\(func \$assembly\/nap\/Nap\.take/);
  });

  test('Asyncify is in explore only', () => {
    const asyncify = WebAssembly.Module.exports(new WebAssembly.Module(bytes))
      .map(({ name }) => name)
      .filter((name) => name.startsWith('asyncify_'));
    const verbs = ['get_state', 'start_rewind', 'start_unwind', 'stop_rewind', 'stop_unwind'];
    expect(asyncify.sort()).toEqual(build === 'explore' ? verbs.map((verb) => `asyncify_${verb}`) : []);
  });
});

test('nothing of a scheduling point is left in the release build', () => {
  expect(readFileSync('build/release.wat', 'utf8')).not.toMatch(/point/i);
  expect(readFileSync('build/release.wasm', 'latin1')).not.toMatch(/point/i);
});

test('the chaos build has its delay, so the test above can fail', () => {
  expect(readFileSync('build/chaos.wat', 'utf8')).toMatch(/assembly\/point\/Point\.delay/);
});

test('the parser is in a chunk of its own, which nothing loads before there is a text to read', () => {
  const chunks = readdirSync('build/chunks').filter((name) => name.endsWith('.js'));
  const parser = chunks.filter((name) => readFileSync(`build/chunks/${name}.map`, 'utf8').includes('/chevrotain/'));
  expect(parser).toHaveLength(1);
  const statically = new RegExp(`(from|import)\\s*"\\./(chunks/)?${parser[0]}"`);
  const files = [...chunks.map((name) => `chunks/${name}`), 'index.js', 'worker.js', 'cli.js'];
  expect(files.filter((file) => statically.test(readFileSync(`build/${file}`, 'utf8')))).toEqual([]);
});

function imports(bytes: Uint8Array<ArrayBuffer>): string[] {
  return WebAssembly.Module.imports(new WebAssembly.Module(bytes))
    .map(({ module, name, kind }) => `${module}.${name} ${kind}`)
    .sort();
}
