// Compiles the core three times (release, chaos, explore), checks what each module may contain, and writes it to
// `build/` as .wasm, as text, and as a JavaScript module that holds the bytes in base64.
// The static-data check repeats in `test/core/builds.test.ts`; here it stops a bad build before anyone runs it.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

for (const target of ['release', 'chaos', 'explore']) {
  const { error, stderr } = await asc.main(['--config', 'asconfig.json', '--target', target]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
  if (target === 'explore') asyncify(target);
  const bytes = readFileSync(`build/${target}.wasm`);
  const problems = check(bytes, target);
  if (problems.length > 0) {
    console.error(`build/${target}.wasm has ${problems.join('; ')}`);
    process.exit(1);
  }
  writeFileSync(`build/${target}.js`, `export const base64 =\n  '${bytes.toString('base64')}';\n`);
  writeFileSync(`build/${target}.d.ts`, 'export declare const base64: string;\n');
  console.log(`build/${target}.wasm ${bytes.length} bytes`);
}

/** Binaryen's Asyncify over the import that suspends, between optimisations. */
function asyncify(target) {
  const tool = (name) => fileURLToPath(new URL(`bin/${name}`, import.meta.resolve('binaryen')));
  const features = ['--enable-threads', '--enable-simd', '--enable-bulk-memory', '--enable-nontrapping-float-to-int'];
  const passes = ['-O3', '--asyncify', '--pass-arg=asyncify-imports@point.suspend', '-O3'];
  const module = `build/${target}.wasm`;
  const run = (name, ...options) =>
    execFileSync(process.execPath, [tool(name), module, ...options], { stdio: 'inherit' });
  run('wasm-opt', ...features, ...passes, '-o', module);
  run('wasm-dis', '-o', `build/${target}.wat`);
}

function check(bytes, target) {
  const module = new WebAssembly.Module(bytes);
  const imports = WebAssembly.Module.imports(module).map((i) => `${i.module}.${i.name}`);
  const allowed = target === 'explore' ? ['env.memory', 'point.suspend'] : ['env.memory'];
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
