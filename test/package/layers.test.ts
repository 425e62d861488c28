// A folder is a layer, and imports only go down. Whoever adds a file puts it into one of the two lists.
//
// Type-only imports count too: a layer that needs a type from above it is in the wrong place. Only cycles are judged
// without them, for they do not exist at run time.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

/** Bottom first. A pattern that ends in `/` is a folder. */
const ASSEMBLY = [
  'layout',
  'random',
  'nap',
  'point',
  'control',
  'atomic',
  'agent',
  'lock/',
  'pte/x86_64_bits',
  'pte/x86_64',
  'pte/entry',
  'heap',
  'frame',
  'rcu',
  'space',
  'walk',
  'range/walk',
  'map',
  'list',
  'batch/',
  'assoc',
  'pwc',
  'tlb',
  'loads',
  'mm/',
  'dirty',
  'invalidation',
  'storebuffer',
  'inflight',
  'walker',
  'interrupt',
  'access',
  'cpu',
  'flush/',
  'fault/',
  'range/',
  'kernel/',
  'litmus/',
  'index',
];
const SRC = [
  'units',
  'core/',
  'machine/',
  'litmus/',
  'scenarios/',
  'explore/',
  'stress/',
  'worker',
  'laboratory',
  'image/',
  'report/',
  'index',
  'cli/',
];
/** What TypeScript may take from the core's sources: files that hold integers only. */
const INTEGERS = /^assembly\/(layout|\w+\/\w+_bits)\.ts$/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const files = ['assembly', 'src'].flatMap(sourcesIn).sort();
const imports = files.flatMap(importsOf);

describe.each([
  ['assembly', ASSEMBLY],
  ['src', SRC],
] as const)('%s', (folder, layers) => {
  test('every file has a layer', () => {
    expect(files.filter((file) => file.startsWith(`${folder}/`) && rank(file, folder, layers) < 0)).toEqual([]);
  });

  test('imports only go down', () => {
    const inside = imports.filter(({ from, to }) => from.startsWith(`${folder}/`) && to.startsWith(`${folder}/`));
    expect(inside.length).toBeGreaterThan(0);
    const upward = inside.filter(({ from, to }) => rank(to, folder, layers) > rank(from, folder, layers));
    expect(upward.map(arrow)).toEqual([]);
  });
});

test('files do not import each other in a circle', () => {
  const edges = imports.filter(({ typeOnly }) => !typeOnly);
  expect(files.flatMap((file) => circleFrom(file, edges))).toEqual([]);
});

test('the core imports nothing but itself', () => {
  const outward = imports.filter(({ from, to }) => from.startsWith('assembly/') && !to.startsWith('assembly/'));
  expect(outward.map(arrow)).toEqual([]);
});

test('only core, machine, litmus, explore and stress know the memory map, and of the core they know integers only', () => {
  const inward = imports.filter(({ from, to }) => from.startsWith('src/') && to.startsWith('assembly/'));
  const wrong = inward.filter(
    ({ from, to }) => !/^src\/(core|machine|litmus|explore|stress)\//.test(from) || !INTEGERS.test(to),
  );
  expect(wrong.map(arrow)).toEqual([]);
  for (const file of files.filter((file) => INTEGERS.test(file))) {
    const statements = parse(file).statements.filter((statement) => !isIntegers(statement));
    expect(statements.map((statement) => `${file}: ${statement.getText()}`)).toEqual([]);
  }
});

test('only src/core loads the compiled core', () => {
  const loads = imports.filter(({ to }) => to.startsWith('build/'));
  expect(loads.length).toBeGreaterThan(0);
  const isCore = ({ to }: Import) => to !== 'build/scenarios.js' && to !== 'build/report.js';
  expect(
    loads
      .filter(isCore)
      .filter(({ from }) => !from.startsWith('src/core/'))
      .map(arrow),
  ).toEqual([]);
});

test('the library imports no package but the parser, the report those of its page, and only image and cli Node modules', () => {
  const outside = imports.filter(({ to }) => !/^(assembly|src|build)\//.test(to));
  const wrong = outside.filter(
    ({ from, to }) =>
      !(
        /^src\/cli\//.test(from) ||
        (/^src\/image\//.test(from) && to.startsWith('node:')) ||
        (/^src\/litmus\//.test(from) && to === 'chevrotain') ||
        (/^src\/report\/html/.test(from) && /^(preact|preact\/hooks|preact-render-to-string|d3-scale)$/.test(to))
      ),
  );
  expect(wrong.map(arrow)).toEqual([]);
});

test('nothing below the report prints', () => {
  const below = files.filter((file) => !/^src\/(report|cli)\//.test(file));
  const prints = /\bconsole\s*\.|\bprocess\s*\.\s*(stdout|stderr)\b/;
  expect(below.filter((file) => prints.test(readFileSync(file, 'utf8')))).toEqual([]);
});

test('the public door only re-exports', () => {
  const index = parse('src/index.ts');
  expect(index.statements.length).toBeGreaterThan(0);
  expect(index.statements.filter((statement) => !ts.isExportDeclaration(statement)).map((s) => s.getText())).toEqual(
    [],
  );
});

function sourcesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\.tsx?$/.test(name)).map((name) => posix.join(folder, name));
}

/** Position of a file's layer; -1 without one. */
function rank(file: string, folder: string, layers: readonly string[]): number {
  const path = file.slice(folder.length + 1).replace(/\.tsx?$/, '');
  const isIn = (layer: string) => path === layer || (layer.endsWith('/') && path.startsWith(layer));
  return layers.findIndex(isIn);
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true);
}

/** Every import, export-from and `import()` of a file; relative ones as paths from the root of the repository. */
function importsOf(from: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return;
    found.push({ from, to: resolve(from, specifier.text), typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(parse(from));
  return found;
}

function isTypeOnly(node: ts.ImportDeclaration): boolean {
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  const path = posix.join(dirname(from), specifier);
  return posix.extname(path) === '' ? `${path}.ts` : path;
}

/** `export const NAME = 0x10;`, the one statement that AssemblyScript and TypeScript read alike. */
function isIntegers(statement: ts.Statement): boolean {
  if (!ts.isVariableStatement(statement)) return false;
  return statement.declarationList.declarations.every(
    (d) => d.initializer !== undefined && ts.isNumericLiteral(d.initializer),
  );
}

/** The shortest circle that starts and ends at `file`, as text; each circle is reported by its first file only. */
function circleFrom(file: string, edges: readonly Import[]): string[] {
  const paths = [[file]];
  const seen = new Set<string>();
  for (let path = paths.shift(); path !== undefined; path = paths.shift()) {
    for (const { to } of edges.filter(({ from }) => from === path.at(-1))) {
      if (to === file) return path.every((other) => other >= file) ? [[...path, to].join(' → ')] : [];
      if (seen.has(to)) continue;
      seen.add(to);
      paths.push([...path, to]);
    }
  }
  return [];
}

function arrow({ from, to }: Import): string {
  return `${from} → ${to}`;
}
