// The package as a user gets it: packed, installed into an empty folder without network, and used from there.
//
// Needs a build in build/, as `npm test` makes it; packing runs no scripts, so tests beside this one keep their build.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const CAPTURE = resolve('test/fixtures/captures/x86_64-4l-nopti.ptpg.gz');

/**
 * What a page downloads to translate its first address: the library and the release core in base64, minified by the user's bundler.
 * At 0.1.0 that was 86 KB, 25 KB after gzip; the machine (TLBs, locks, mm, range operations) about doubles the core, and the kernel paths over
 * it add as much again.
 */
const BUDGET_BYTES = 400_000;

let home: string;
let packed: string[];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'pagewalk-'));
  const { stdout } = await npm('.', 'pack', '--ignore-scripts', '--json', '--pack-destination', home);
  // npm 11 and later key the report by package name.
  const report = Object.values(JSON.parse(stdout)) as { filename: string; files: { path: string }[] }[];
  const [{ filename, files }] = report as [(typeof report)[0]];
  packed = files.map(({ path }) => path);
  await writeFile(join(home, 'package.json'), '{ "private": true, "type": "module" }\n');
  await npm(home, 'install', '--offline', '--no-audit', '--no-fund', join(home, filename));
}, 120_000);

afterAll(() => rm(home, { recursive: true, force: true }));

test('it brings no other package', async () => {
  const installed = await readdir(join(home, 'node_modules'));
  expect(installed.filter((name) => !name.startsWith('.'))).toEqual(['pagewalk']);
});

test('it holds what a user reads or runs, and nothing else', () => {
  const wanted =
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|src\/.*\.(tsx?|css|litmus)|assembly\/.*\.ts|build\/(index|worker|cli)\.js(\.map)?|build\/THIRD-PARTY-NOTICES\.txt|build\/chunks\/.*\.js(\.map)?|build\/types\/.*\.d\.ts)$/;
  expect(packed.filter((path) => !wanted.test(path))).toEqual([]);
  for (const path of [
    'LICENSE',
    'README.md',
    'build/index.js',
    'build/worker.js',
    'build/cli.js',
    'build/types/src/index.d.ts',
  ]) {
    expect(packed).toContain(path);
  }
});

test('the licence of everything that is bundled is in it', async () => {
  const notices = await readFile(join(home, 'node_modules/pagewalk/build/THIRD-PARTY-NOTICES.txt'), 'utf8');
  const maps = (await readdir(join(home, 'node_modules/pagewalk/build'), { recursive: true })).filter((file) =>
    file.endsWith('.js.map'),
  );
  const bundled = new Set<string>();
  for (const file of maps) {
    const { sources } = JSON.parse(await readFile(join(home, 'node_modules/pagewalk/build', file), 'utf8')) as {
      sources: string[];
    };
    for (const source of sources) {
      const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
      if (name !== undefined) bundled.add(name);
    }
  }
  expect([...bundled]).toContain('chevrotain');
  expect([...bundled].filter((name) => !notices.includes(`\n${name} `))).toEqual([]);
  expect(notices).toContain('Apache License');
});

test('the library explores a race of the catalogue, and one of the user’s, and replays what it finds', async () => {
  const said = await node(`
    import { catalogue, explore, parseScenario, replay } from 'pagewalk';
    const race = (await catalogue()).find(({ name }) => name === 'lazy-tlb').scenario;
    const { verdicts } = await explore(race, { variant: { order: 'generation-first' } });
    const found = verdicts.find(({ verdict }) => verdict === 'violated');
    const again = await replay(race, found.counterexample.token);
    const own = await parseScenario('litmus own "s" init { word w = 0; } P0 { w = 1; } P1 { r0 = w; } exists (P1:r0 = 2)');
    const result = await explore(own.scenario);
    console.log(found.invariant, again.kind, result.exhaustive, result.outcomes.map(({ text }) => text).join(' | '));
    const wrong = await parseScenario('litmus own "s" P0 { x = y; }', 'own.litmus');
    console.log(wrong.errors.length > 0, wrong.errors[0].file, wrong.errors[0].line);
  `);
  expect(said).toBe('NOUAF reproduced true P1:r0=0 | P1:r0=1\ntrue own.litmus 1\n');
});

test('the library races on threads of Node that run pagewalk/worker', async () => {
  // A file: threads inherit the options of the process, and --eval is none for them.
  await writeFile(
    join(home, 'race.mjs'),
    `
    import { Worker } from 'node:worker_threads';
    import { agreementOf, catalogue, explore, racerOf, stress } from 'pagewalk';
    const race = (await catalogue()).find(({ name }) => name === 'store-buffering').scenario;
    const spawn = () => racerOf(new Worker(new URL(import.meta.resolve('pagewalk/worker'))));
    const raced = await stress(race, { spawn, budgetMs: 200 });
    const { disagreements } = agreementOf([raced], await explore(race));
    console.log(raced.executions > 0, raced.deaths.length, disagreements.length);
  `,
  );
  const { stdout: said } = await run(process.execPath, ['race.mjs'], { cwd: home });
  expect(said).toBe('true 0 0\n');
});

test('outside a worker pagewalk/worker says that it is to run in one', async () => {
  const said = await node(`
    process.on('unhandledRejection', ({ message }) => console.log(message));
    import 'pagewalk/worker';
  `);
  expect(said).toBe('pagewalk/worker is to run in a worker, and this is the main thread\n');
});

test('a bundler keeps pagewalk/worker, which is imported for what it does, and makes one file of it that runs in a worker', async () => {
  const { outputFiles } = await build({
    stdin: { contents: `import 'pagewalk/worker';`, resolveDir: home },
    bundle: true,
    format: 'esm',
    minify: true,
    platform: 'browser',
    write: false,
  });
  expect(outputFiles.map(({ text }) => text).join('')).toMatch(/addEventListener\("message"/);
});

const TRANSLATE = `
  const { PhysicalMemory } = await import('pagewalk');
  const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
  const space = memory.createAddressSpace();
  space.map(0x7000, 0xabc000, 4096, { read: true, user: true });
  const found = space.translate(0x7123, 'user-read');
  console.log(found.kind, found.pa.toString(16));
`;

test('the library translates an address', async () => {
  expect(await node(TRANSLATE)).toBe('mapped abc123\n');
});

test('without SharedArrayBuffer one thread still translates', async () => {
  const withoutSharing = `delete globalThis.SharedArrayBuffer; ${TRANSLATE}`;
  expect(await node(withoutSharing)).toBe('mapped abc123\n');
});

test('without SharedArrayBuffer sharing fails with one error that says what to do', async () => {
  const message = await node(`
    delete globalThis.SharedArrayBuffer;
    const { PhysicalMemory } = await import('pagewalk');
    const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20 });
    const messages = new Set();
    try { memory.share(); } catch (error) { messages.add(error.message); }
    await PhysicalMemory.create({ shared: true }).catch((error) => messages.add(error.message));
    console.log([...messages].join('|'));
  `);
  expect(message).not.toContain('|');
  expect(message).toMatch(/SharedArrayBuffer is missing.*Cross-Origin-Opener-Policy.*shared: false/);
});

test('importing it compiles nothing', async () => {
  const compiled = await node(`
    let compiled = 0;
    for (const name of ['compile', 'instantiate']) {
      const original = WebAssembly[name];
      WebAssembly[name] = (...rest) => { compiled++; return original(...rest); };
    }
    const { Module } = WebAssembly;
    WebAssembly.Module = class extends Module { constructor(...rest) { compiled++; super(...rest); } };
    await import('pagewalk');
    console.log(compiled);
  `);
  expect(compiled).toBe('0\n');
});

test('importing it loads neither the parser nor the explorer nor the texts of the catalogue', async () => {
  const code = await readFile(join(home, 'node_modules/pagewalk/build/index.js'), 'utf8');
  const loaded = [code];
  const seen = new Set<string>();
  for (const text of loaded) {
    for (const [, path = ''] of text.matchAll(
      /^(?:import|export|\} from)[^;(]*?["'](?:\.\/chunks|\.)\/(.*?\.js)["'];/gms,
    )) {
      if (seen.has(path)) continue;
      seen.add(path);
      loaded.push(await readFile(join(home, 'node_modules/pagewalk/build/chunks', path), 'utf8'));
    }
  }
  expect(seen.size).toBeGreaterThan(1);
  const all = loaded.join('\n');
  expect(all).not.toContain('EmbeddedActionsParser');
  expect(all).not.toContain('asyncify_start_unwind');
  expect(all).not.toContain('litmus clean-against-writer');
});

test('a core that the caller compiled is used as it is', async () => {
  const found = await node(`
    const { compileCore, PhysicalMemory } = await import('pagewalk');
    const module = await compileCore();
    WebAssembly.compile = () => { throw new Error('compiled again'); };
    const memory = await PhysicalMemory.create({ sizeBytes: 1 << 20, module });
    console.log(memory.createAddressSpace().translate(0x7123).kind);
  `);
  expect(found).toBe('fault\n');
});

test.each(['nodenext', 'bundler'])(
  'its types need ES2022 only (%s resolution)',
  async (resolution) => {
    const file = `consumer-${resolution}.ts`;
    await writeFile(
      join(home, file),
      `import { PhysicalMemory, racerOf, stress, type StressResult, type Translation, hex } from 'pagewalk';
     const memory: PhysicalMemory = await PhysicalMemory.create();
     const found: Translation = memory.createAddressSpace({ format: 'x86-64-la57' }).translate(0x1000n, 'read');
     export const text: string = found.kind === 'mapped' ? hex(found.pa) : found.cause;
     export const raced = (program: StressResult['program'], worker: Parameters<typeof racerOf>[0]): Promise<StressResult> =>
       stress(program, { spawn: () => racerOf(worker) });
     // @ts-expect-error: a format that does not exist
     memory.createAddressSpace({ format: 'vax' });
    `,
    );
    const tsc = resolve('node_modules/typescript/bin/tsc');
    const module = resolution === 'bundler' ? 'esnext' : 'nodenext';
    const options = ['--strict', '--noEmit', '--skipLibCheck', 'false', '--target', 'es2022', '--lib', 'es2022'];
    const { stdout } = await run(
      process.execPath,
      [tsc, ...options, '--module', module, '--moduleResolution', resolution, file],
      { cwd: home },
    ).catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  },
  60_000,
);

test('a bundler takes the library without configuration, and within the size budget', async () => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export { PhysicalMemory } from 'pagewalk';`, resolveDir: home },
    outdir: join(home, 'bundle'),
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    platform: 'browser',
    write: false,
    metafile: true,
  });
  // What the entry imports, and the core that it asks for; the other chunks lie there and nobody loads them.
  const names = Object.keys(metafile.outputs);
  const wanted = names.filter((name) => /\/(stdin|release-[\w-]+)\.js$/.test(name));
  expect(wanted).toHaveLength(2);
  for (const name of wanted) {
    for (const { path, kind } of metafile.outputs[name]?.imports ?? []) {
      if (kind === 'import-statement' && !wanted.includes(path)) wanted.push(path);
    }
  }
  const loaded = outputFiles.filter(({ path }) => wanted.some((name) => path.endsWith(name.replace(/^.*\//, '/'))));
  const bytes = loaded.reduce((sum, { contents }) => sum + contents.length, 0);
  const gzipped = loaded.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
  console.log(`the library with the release core: ${bytes} bytes minified, ${gzipped} after gzip`);
  expect(bytes).toBeLessThan(BUDGET_BYTES);
});

test('the pagewalk command prints its help and its version', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect((await pagewalk('--help')).stdout).toMatch(/^Usage: pagewalk/);
  expect((await pagewalk('--version')).stdout).toBe(`${version}\n`);
});

test('the pagewalk command walks a capture', async () => {
  const { stdout } = await pagewalk('walk', CAPTURE, '--root', '0x3090000', '--json');
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { mappings: number; holes: number };
  expect(last.mappings).toBeGreaterThan(0);
  expect(last.holes).toBe(0);
});

function npm(cwd: string, ...parameters: string[]) {
  return run('npm', parameters, { cwd, env: plainEnvironment() });
}

function pagewalk(...parameters: string[]) {
  return npm(home, 'exec', '--offline', '--no', '--', 'pagewalk', ...parameters);
}

/** Runs a module in the folder the package is installed in. */
async function node(code: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: home });
  return stdout;
}

/** Without what `npm test` tells its scripts: it would bind the inner npm to this repository. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const told = /^(npm_(package|lifecycle|config_local_prefix|command|execpath)|INIT_CWD)/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !told.test(name)));
}
