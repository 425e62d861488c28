// Compiles the core three times (release, chaos, explore), checks what each module may contain, and writes it to
// `build/` as .wasm, as text, and as a JavaScript module that holds the bytes in base64.
//
// Guarantees: `build/` changes only when all three are good, file by file by renaming, so whoever reads it meanwhile finds whole
// files. Nothing is compiled if what was compiled last was made of the same sources. The checks repeat in `test/package/builds.test.ts`;
// here they stop a bad build before anyone runs it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const TARGETS = ['release', 'chaos', 'explore'];
const STAMP = 'build/.sources';

if (isMainThread) await compileAll();
else await compile(workerData.target, workerData.fresh);

/** The targets are compiled side by side, a thread each. */
async function compileAll() {
  const made = fingerprint();
  const outputs = TARGETS.flatMap((target) => ['wasm', 'wat', 'js', 'd.ts'].map((kind) => `build/${target}.${kind}`));
  if (outputs.every(existsSync) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === made) return;
  const fresh = mkdtempSync('build/.fresh-');
  try {
    await Promise.all(TARGETS.map((target) => inThread(target, fresh)));
    rmSync(STAMP, { force: true });
    for (const file of readdirSync(fresh)) renameSync(`${fresh}/${file}`, `build/${file}`);
    writeFileSync(STAMP, made);
  } catch (error) {
    console.error(String(error.message));
    process.exitCode = 1;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function inThread(target, fresh) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { target, fresh } });
    worker.once('error', reject);
    worker.once('exit', resolve);
  });
}

/** A hash of all that a build depends on. */
function fingerprint() {
  const hash = createHash('sha256');
  const sources = readdirSync('assembly', { recursive: true }).filter((name) => /\.(ts|mjs)$/.test(name));
  for (const file of [...sources.sort().map((name) => `assembly/${name}`), 'asconfig.json', 'package-lock.json']) {
    hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

async function compile(target, fresh) {
  const { default: asc } = await import('assemblyscript/asc');
  const [module, text] = [`${fresh}/${target}.wasm`, `${fresh}/${target}.wat`];
  const options = ['--config', 'asconfig.json', '--target', target, '--outFile', module, '--textFile', text];
  const { error, stderr } = await asc.main(options);
  if (error) throw new Error(stderr.toString());
  if (target === 'explore') asyncify(module, text);
  const bytes = readFileSync(module);
  const problems = check(bytes, target);
  if (problems.length > 0) throw new Error(`${target}.wasm has ${problems.join('; ')}`);
  writeFileSync(`${fresh}/${target}.js`, `export const base64 =\n  '${bytes.toString('base64')}';\n`);
  writeFileSync(`${fresh}/${target}.d.ts`, 'export declare const base64: string;\n');
  console.log(`build/${target}.wasm ${bytes.length} bytes`);
}

/**
 * Binaryen's Asyncify over the imports that suspend, between optimisations. A function that was suspended saves all locals that matter at one
 * of its calls, what they held last included; so functions are kept apart (asconfig.json, and no inlining of those with one caller), or
 * states of the explorer would differ by what an instruction before left in locals that are dead.
 */
function asyncify(module, text) {
  const tool = (name) => fileURLToPath(new URL(`bin/${name}`, import.meta.resolve('binaryen')));
  const features = ['--enable-threads', '--enable-simd', '--enable-bulk-memory', '--enable-nontrapping-float-to-int'];
  const apart = ['--one-caller-inline-max-function-size', '1'];
  const passes = ['-O3', ...apart, '--asyncify', '--pass-arg=asyncify-imports@point.suspend,point.choose', '-O3'];
  const run = (name, ...options) =>
    execFileSync(process.execPath, [tool(name), module, ...options], { stdio: 'inherit' });
  run('wasm-opt', ...features, ...passes, '-o', module);
  run('wasm-dis', '-o', text);
}

function check(bytes, target) {
  const module = new WebAssembly.Module(bytes);
  const imports = WebAssembly.Module.imports(module).map((i) => `${i.module}.${i.name}`);
  const allowed = target === 'explore' ? ['env.memory', 'point.choose', 'point.suspend'] : ['env.memory'];
  const sections = sectionIds(bytes);
  return [
    sections.includes(11) && 'a data section: every further instance would write it over live memory again',
    sections.includes(8) && 'a start function: it would run once for each instance',
    sections.includes(4) && 'a table: no indirect calls are expected',
    imports.sort().join() !== allowed.join() && `imports ${imports.join(', ')} instead of ${allowed.join(', ')}`,
  ].filter(Boolean);
}

function sectionIds(bytes) {
  const ids = [];
  let at = 8;
  while (at < bytes.length) {
    ids.push(bytes[at++]);
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    at += size;
  }
  return ids;
}
