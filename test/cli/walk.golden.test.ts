// What `pagewalk walk` prints, byte for byte.

import { describe, expect, test } from 'vitest';
import { sampleTables } from '../image/tables.ts';
import { capture, expectGolden, useCli } from './harness.ts';

const cli = useCli();
cli.file('sample.raw', sampleTables().raw(0x10000));

const SAMPLE = ['walk', 'sample.raw', '--root', '0x1000'];
const FOUR = ['walk', capture('x86_64-4l-nopti.ptpg.gz'), '--root', '0x3090000'];
const FIVE = ['walk', capture('x86_64-5l-nopti.ptpg.gz'), '--root', '0x2c66000', '--format', 'x86-64-la57'];

const CASES: Readonly<Record<string, readonly string[]>> = {
  'sample-text': SAMPLE,
  'sample-json': [...SAMPLE, '--json'],
  'sample-no-fold-text': [...SAMPLE, '--no-fold'],
  'sample-no-fold-json': [...SAMPLE, '--no-fold', '--json'],
  'sample-follow-loops': [...SAMPLE, '--follow-loops'],
  'sample-no-nx': [...SAMPLE, '--no-nx'],
  'sample-physical-bits': [...SAMPLE, '--physical-bits', '32', '--json'],
  'sample-va-text': [...SAMPLE, ...['0x3123', '0x40000123', '0x409000', '0x28000000000', '0x800000000000'].flatMap(va)],
  'sample-va-json': [...SAMPLE, '--json', ...['0x3123', '0x40a000', '0x28000000000', '0x600000'].flatMap(va)],
  'sample-pa-text': [...SAMPLE, '--pa', '0x103abc', '--pa', '0x40001000', '--pa', '0xdead000'],
  'sample-pa-json': [...SAMPLE, '--json', '--pa', '0x103abc'],
  'sample-va-and-pa': [...SAMPLE, '--va', '0', '--pa', '0x100000'],
  '4l-text': FOUR,
  '4l-json': [...FOUR, '--json'],
  '4l-no-fold-range': [...FOUR, '--no-fold', '--from', '0x7fd111000000', '--to', '0x7fd1116a9fff'],
  '4l-va': [...FOUR, ...['0x401abc', '0x7fd110600123', '0x7fd111620000', '0xffffffffff5fd0f0', '0'].flatMap(va)],
  '4l-pa': [...FOUR, '--pa', '0x6f00000'],
  '5l-text': FIVE,
  '5l-json-limit': [...FIVE, '--json', '--no-fold', '--limit', '20'],
  '5l-va': [...FIVE, ...['0xffffff00000000', '0x4000000000000', '0xff10000000000000'].flatMap(va), '--json'],
};

const HELP: Readonly<Record<string, readonly string[]>> = {
  help: ['--help'],
  'help-walk': ['walk', '--help'],
};

describe('golden', () => {
  test.each(Object.entries(CASES))('walk/%s', (name, args) => {
    const { status, stdout, stderr } = cli.run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expectGolden(`walk/${name}.txt`, stdout);
  });

  test.each(Object.entries(HELP))('%s', (name, args) => {
    const { status, stdout, stderr } = cli.run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expectGolden(`${name}.txt`, stdout);
  });

  test('help command prints the same help', () => {
    expect(cli.run(['help', 'walk']).stdout).toBe(cli.run(['walk', '--help']).stdout);
  });

  test('--root takes a raw CR3: PCID, LAM and no-flush bits do not count', () => {
    const plain = cli.run([...FOUR, '--json', '--va', '0x401000']);
    const flagged = cli.run(['walk', FOUR[1] ?? '', '--root', '0xe000000003090fff', '--json', '--va', '0x401000']);
    expect(flagged.stdout).toBe(plain.stdout);
    expect(flagged.status).toBe(0);
  });
});

function va(address: string): string[] {
  return ['--va', address];
}
