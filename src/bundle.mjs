// Bundles the library and the command line into `build/`, and writes the library's declarations.
//
// Guarantees: `build/index.js` and `build/worker.js` run in Node, in pages and in workers, and refer to nothing but their own chunks; the three
// builds of the core lie in a chunk each, so that whoever asks for one loads that one, and so do the texts of the catalogue;
// `build/cli.js` carries its dependencies, so that the package has none, and their licences stand in `build/THIRD-PARTY-NOTICES.txt`. What an
// earlier run left in `build/` does not survive.
import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

for (const stale of ['build/chunks', 'build/types']) rmSync(stale, { recursive: true, force: true });

await inlineScenarios();
await inlineReport();
const { metafile } = await build({
  entryPoints: { index: 'src/index.ts', worker: 'src/worker.ts', cli: 'src/cli/index.ts' },
  outdir: 'build',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'], // neutral leaves them out, and dependencies of the command line have no `exports`
  target: ['es2022', 'node20'],
  sourcemap: true,
  sourcesContent: false, // src/ and assembly/ are in the package; the base64 of the core would be in it twice
  legalComments: 'none',
  metafile: true,
  minifySyntax: true, // names stay, for whoever reads a stack
  minifyWhitespace: true,
  logLevel: 'warning',
  plugins: [{ name: 'node-builtins', setup: importBuiltins }],
});
chmodSync('build/cli.js', 0o755);

checkLibrary(metafile.outputs);
writeNotices(metafile.inputs);
emitDeclarations();
keepForPackage();

for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
  if (!file.endsWith('.map')) console.log(`${file} ${bytes} bytes`);
}

/** The catalogue by name, each file's text and its tree, as a module: what src/scenarios/index.ts imports, in tests too. */
async function inlineScenarios() {
  const contents = "export * from './src/litmus/parse.ts'; export * from './src/scenarios/tree.ts';";
  const reader = { stdin: { contents, resolveDir: root }, bundle: true, write: false, format: 'esm', platform: 'node' };
  const [{ text: code }] = (await build({ ...reader, logLevel: 'warning' })).outputFiles;
  const { parseScenario, packed } = await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`);
  const files = {};
  const names = readdirSync('src/scenarios').filter((name) => name.endsWith('.litmus'));
  for (const name of names.sort()) {
    const path = `src/scenarios/${name}`;
    const text = readFileSync(path, 'utf8');
    const parsed = parseScenario(text, path);
    if (!parsed.ok) {
      for (const { line, column, message } of parsed.errors) console.error(`${path}:${line}:${column}: ${message}`);
      process.exit(1);
    }
    files[name.slice(0, -'.litmus'.length)] = { text, tree: packed(parsed.scenario) };
  }
  writeFileSync('build/scenarios.js', `export const files = ${JSON.stringify(files, null, 2)};\n`);
  const type = 'Readonly<Record<string, { readonly text: string; readonly tree: string }>>';
  writeFileSync('build/scenarios.d.ts', `export declare const files: ${type};\n`);
}

/** What the HTML report carries, as a module: its script and its style, each with the hash by which the page's policy lets it in. */
async function inlineReport() {
  const common = { bundle: true, minify: true, write: false, target: ['es2022'], logLevel: 'warning' };
  const page = { ...common, format: 'iife', charset: 'ascii', legalComments: 'none' };
  // Preact is in the page, so its licence is named there.
  const banner = { js: '/*! With Preact, (c) 2015-present Jason Miller, MIT licence */' };
  const [script, style] = await Promise.all([
    build({ ...page, banner, entryPoints: ['src/report/html/client.tsx'] }),
    build({ ...common, entryPoints: ['src/report/html/style.css'] }),
  ]);
  const parts = { script: script.outputFiles[0].text.trim(), style: style.outputFiles[0].text.trim() };
  const hash = (text) => `sha256-${createHash('sha256').update(text).digest('base64')}`;
  if (/<\/(script|style)/i.test(parts.script + parts.style))
    throw new Error('a part of the report would end its element');
  const all = { ...parts, scriptHash: hash(parts.script), styleHash: hash(parts.style) };
  const names = Object.keys(all);
  writeFileSync(
    'build/report.js',
    names.map((name) => `export const ${name} = ${JSON.stringify(all[name])};\n`).join(''),
  );
  writeFileSync('build/report.d.ts', names.map((name) => `export declare const ${name}: string;\n`).join(''));
}

/**
 * Node's own modules stay imports, also where a CommonJS dependency of the command line calls `require`, which an ES module
 * does not have: the call gets the default export of the module, imported one file further on.
 */
function importBuiltins(plugin) {
  plugin.onResolve({ filter: /^node:/ }, ({ path, kind, namespace }) => {
    if (kind !== 'require-call') return { path, external: true };
    return { path, namespace: namespace === 'required' ? 'imported' : 'required' };
  });
  plugin.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
    contents: `module.exports = require('${path}').default;`,
  }));
  plugin.onLoad({ filter: /.*/, namespace: 'imported' }, ({ path }) => ({
    contents: `export { default } from '${path}';`,
  }));
}

/** The library must load where there is no Node: none of its chunks may import one of Node's modules. */
function checkLibrary(outputs) {
  const seen = new Set();
  const queue = ['build/index.js', 'build/worker.js'];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { path, external } of outputs[file].imports) {
      if (external) throw new Error(`${file} imports ${path}: the library must not need it`);
      queue.push(path);
    }
  }
}

/** The licence of every package that a file of the bundle comes from. */
function writeNotices(inputs) {
  const folders = new Set(
    Object.keys(inputs).flatMap((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  );
  const packages = new Map();
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice)/i.test(file));
    if (files.length === 0) throw new Error(`${folder} has no licence text, and may not be bundled`);
    const text = files.map((file) => readFileSync(`${folder}/${file}`, 'utf8').trim()).join('\n\n');
    packages.set(text, [...(packages.get(text) ?? []), `${name} ${version} (${license})`]);
  }
  const notices = [...packages].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
  const head = 'Packages that are bundled into pagewalk, with their licences.\n';
  writeFileSync('build/THIRD-PARTY-NOTICES.txt', [head, ...notices].join(`\n${'-'.repeat(80)}\n\n`));
}

/** Declarations of what `src/index.ts` and `src/worker.ts` export. tsc keeps `.ts` in their imports; `.js` suits every consumer. */
function emitDeclarations() {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const emit = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: 'build/types' };
  const program = ts.createProgram(['src/index.ts', 'src/worker.ts'], { ...options, ...emit });
  const { diagnostics } = program.emit(undefined, (file, text) => {
    ts.sys.writeFile(file, text.replace(/(['"])(\.{1,2}\/[^'"]+)\.ts\1/g, '$1$2.js$1'));
  });
  const problems = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  if (problems.length === 0) return;
  const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => root, getNewLine: () => '\n' };
  console.error(ts.formatDiagnostics(problems, host));
  process.exit(1);
}

/** `build/.gitignore` keeps everything out of git; npm would read it as keeping everything out of the package too. */
function keepForPackage() {
  const inputs = ['release', 'chaos', 'explore'].flatMap((name) => [
    `${name}.js`,
    `${name}.d.ts`,
    `${name}.wasm`,
    `${name}.wat`,
  ]);
  const own = [
    '.gitignore',
    '.npmignore',
    '.sources',
    'report.html',
    'scenarios.js',
    'scenarios.d.ts',
    'report.js',
    'report.d.ts',
  ];
  const here = [...own, ...inputs].map((file) => `/${file}`);
  writeFileSync('build/.npmignore', [...here, ''].join('\n'));
}
