// Bad usage, bad images and tables that lead nowhere: what is said, the exit code, and that the rest is still listed.

import { describe, expect, test } from 'vitest';
import { endlessTables, P, sampleTables, Tables } from '../image/tables.ts';
import { useCli } from './harness.ts';

const cli = useCli();
const ptpg = sampleTables().ptpg();
cli.file('sample.raw', sampleTables().raw(0x10000));
cli.file('cut.ptpg', ptpg.subarray(0, 16 + 4 * 4104 + 100));
cli.file('version.ptpg', 'PTPG0009xxxxxxxx');
cli.file('empty.raw', '');
cli.file('endless.ptpg', endlessTables().ptpg());
cli.file(
  'loop.raw',
  new Tables()
    .set(0, 0, 0n | P)
    .set(0, 3, 0x1000n | P)
    .set(0x1000, 0, 0n | P)
    .raw(0x2000),
);

const WALK = ['walk', 'sample.raw', '--root', '0x1000'];

const USAGE: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['walk', '--root', '0x1000'], /^missing required argument 'image'$/],
  [['walk', 'sample.raw'], /^required option '--root <address>' not specified$/],
  [['wlak'], /^unknown command 'wlak' \(Did you mean walk\?\)$/],
  [[...WALK, '--no-flod'], /^unknown option '--no-flod' \(Did you mean --no-fold\?\)$/],
  [[...WALK, 'other.raw'], /^too many arguments for 'walk'\. Expected 1 argument but got 2\.$/],
  [
    ['walk', 'x', '--root', '12z'],
    /^option '--root <address>' argument '12z' is invalid\. It must be a value of CR3 like 0x3090000\.$/,
  ],
  [
    [...WALK, '--va', '0x1ffffffffffffffff'],
    /^option '--va <address>' argument '0x1ffffffffffffffff' is invalid\. It must be/,
  ],
  [[...WALK, '--pa', '-1'], /^option '--pa <address>' argument '-1' is invalid\. It must be an address of 52 bits/],
  [
    [...WALK, '--format', 'arm64'],
    /^option '--format <name>' argument 'arm64' is invalid\. Allowed choices are x86-64, x86-64-la57\.$/,
  ],
  [[...WALK, '--limit', '0'], /^option '--limit <count>' argument '0' is invalid\. It must be a number from 1 to/],
  [
    [...WALK, '--physical-bits', '53'],
    /^option '--physical-bits <count>' argument '53' is invalid\. It must be a number from 32 to 52\.$/,
  ],
  [
    [...WALK, '--base', '0x10'],
    /^option '--base <address>' argument '0x10' is invalid\. It must be a multiple of 4096\.$/,
  ],
  [[...WALK, '--type', 'elf'], /^option '--type <kind>' argument 'elf' is invalid\. Allowed choices are raw, ptpg\.$/],
  [[...WALK, '--va', '0', '--from', '0'], /^option '--va <address>' cannot be used with option '--from <address>'$/],
  [[...WALK, '--from', '0x2000', '--to', '0x1fff'], /^--from 0x2000 lies after --to 0x1fff$/],
  [['walk', 'nowhere.raw', '--root', '0'], /^nowhere\.raw: no such file$/],
  [['walk', '.', '--root', '0'], /^\.: is a directory, not a file$/],
  [['walk', 'empty.raw', '--root', '0'], /^empty\.raw: empty: there are no bytes in it$/],
  [['walk', 'version.ptpg', '--root', '0'], /^version\.ptpg: PTPG version "0009" is not known, only "0001"$/],
  [['walk', 'sample.raw', '--root', '0x10000'], /^--root 0x10000 is not in sample\.raw, which holds 16 pages$/],
  [
    ['walk', 'sample.raw', '--root', '0x1000', '--base', '0x100000'],
    /^--root 0x1000 is not in sample\.raw, which holds 16 pages$/,
  ],
];

test.each(USAGE)('%j', (args, message) => {
  const { status, stdout, stderr } = cli.run(args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^pagewalk: .*\n$/);
  expect(stderr.slice('pagewalk: '.length, -1)).toMatch(message);
});

test('without a command: the help, on stderr, and exit code 2', () => {
  const { status, stdout, stderr } = cli.run([]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toBe(cli.run(['--help']).stdout);
});

test('--version', () => {
  expect(cli.run(['--version'])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    stderr: '',
  });
});

describe('a truncated image', () => {
  test('is complained of, what is there is listed, the rest is a hole; exit code 2', () => {
    const { status, stdout, stderr } = cli.run(['walk', 'cut.ptpg', '--root', '0x1000', '--json']);
    expect(stderr).toBe(
      'pagewalk: cut.ptpg: truncated: it says 5 pages and ends 100 bytes into page 5, at byte 16532\n',
    );
    expect(status).toBe(2);
    const whole = lines(cli.run([...WALK, '--json']).stdout);
    const listed = lines(stdout);
    const holes = whole.filter((line) => line.includes('"hole"'));
    // Page 5 is the table of the lower 2 MiB, which two entries refer to.
    expect(listed.filter((line) => line.includes('"table-not-in-memory"') && line.includes('0x4000'))).toHaveLength(2);
    expect(listed).toEqual(expect.arrayContaining(holes));
    expect(listed.at(-1)).toMatch(/^\{"mappings":3,"bytes":2149580800,"holes":5,/);
  });
});

describe('loops', () => {
  test('are holes, and the rest is listed', () => {
    const { status, stdout } = cli.run(['walk', 'loop.raw', '--root', '0', '--json']);
    expect(status).toBe(0);
    expect(
      lines(stdout)
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { hole: 'loop', va: '0x0', size: 2 ** 39, table: '0x0', entry: '0x1' },
      { hole: 'loop', va: '0x18000000000', size: 2 ** 30, table: '0x0', entry: '0x1' },
    ]);
  });

  test('are followed where asked, as far as the levels go', () => {
    const { status, stdout } = cli.run(['walk', 'loop.raw', '--root', '0', '--json', '--no-fold', '--follow-loops']);
    expect(status).toBe(0);
    const listed = lines(stdout)
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { va: string; pa: string });
    // Entry 0 leads back to the table itself: every path of four steps through entries 0 and 3 of it and 0 of the other is a page.
    const paths = (table: number, steps: number): number =>
      steps === 0 ? 1 : table === 0 ? paths(0, steps - 1) + paths(1, steps - 1) : paths(0, steps - 1);
    expect(listed).toHaveLength(paths(0, 4));
    expect(listed[0]).toMatchObject({ va: '0x0', pa: '0x0' });
  });
});

test('--limit says that it stopped', () => {
  const { status, stdout } = cli.run(['walk', 'endless.ptpg', '--root', '0x1000', '--limit', '5']);
  expect(status).toBe(0);
  expect(lines(stdout)).toHaveLength(7);
  expect(lines(stdout).at(-1)).toMatch(/^5 ranges, 20 KiB \(5 x 4K\); 0 holes; .* s; stopped by --limit 5$/);
});

test('a pipe is an image too', () => {
  const { stdout } = cli.run([...WALK, '--json']);
  const piped = cli.runPiped('sample.raw', ['walk', '/dev/stdin', '--root', '0x1000', '--json']);
  expect(piped).toMatchObject({ status: 0, stderr: '' });
  expect(lines(piped.stdout).slice(0, -1)).toEqual(lines(stdout).slice(0, -1));
});

function lines(text: string): string[] {
  return text.trimEnd().split('\n');
}
