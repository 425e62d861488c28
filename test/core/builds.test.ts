// What the three builds may contain: no static data, nothing that runs at instantiation, and no scheduling point in release.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compileCore } from '../../src/core/compile.ts';

const DATA_SECTION = 11;
const START_SECTION = 8;
const TABLE_SECTION = 4;
const BUILDS = ['release', 'chaos', 'explore'] as const;

const file = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url));

function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++] as number);
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++] as number;
      size |= (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    at += size;
  }
  return ids;
}

describe.each(BUILDS)('%s', (build) => {
  test('has no static data: a further instance must not write over live memory', () => {
    const ids = sectionIds(file(`build/${build}.wasm`));
    expect(ids).not.toContain(DATA_SECTION);
    expect(file(`build/${build}.wat`).toString()).not.toContain('(data');
  });

  test('runs nothing at instantiation and calls nothing indirectly', () => {
    const ids = sectionIds(file(`build/${build}.wasm`));
    expect(ids).not.toContain(START_SECTION);
    expect(ids).not.toContain(TABLE_SECTION);
  });

  test('imports its memory, and only explore imports the scheduler', async () => {
    const module = (await compileCore(build)) as WebAssembly.Module;
    const imports = WebAssembly.Module.imports(module).map((each) => `${each.module}.${each.name}`);
    expect(imports.sort()).toEqual(build === 'explore' ? ['env.memory', 'point.suspend'] : ['env.memory']);
  });

  test('exports what the binding names, and nothing else but Asyncify', async () => {
    const module = (await compileCore(build)) as WebAssembly.Module;
    const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
    const source = file('src/core/exports.ts').toString().split('interface CoreExports')[1] as string;
    const named = [...source.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name as string);
    const asyncify = exported.filter((name) => name.startsWith('asyncify_'));
    expect(asyncify.length).toBe(build === 'explore' ? 5 : 0);
    expect(exported.filter((name) => !asyncify.includes(name)).sort()).toEqual(named.sort());
  });
});

test('release contains no trace of a scheduling point, explore does', () => {
  expect(file('build/release.wat').toString()).not.toMatch(/suspend|[pP]oint[/.]/);
  expect(file('build/explore.wat').toString()).toMatch(/suspend/);
});
