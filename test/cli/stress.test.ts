// `pagewalk stress` and `pagewalk check` as people call them: what they print, exit codes, what is complained of, Ctrl-C.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Processors } from '../../src/cli/pinning.ts';
import { expectGolden, useCli } from './harness.ts';

const cli = useCli();
const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/scenarios', name), 'utf8');
const COUNTER = cli.file('counter.litmus', fixture('counter.litmus'));
cli.file('trusting.litmus', fixture('counter.litmus').replace(/expect SUM violated[^;]*;/g, ''));
// It does not expect what happens without a flush.
const writer = readFileSync(join(import.meta.dirname, '../../src/scenarios/clean-against-writer.litmus'), 'utf8');
cli.file('unaware.litmus', writer.replace(/^expect WRITEBACK violated in B3 .*$/m, ''));
const B3 = ['clean-against-writer', '--set', 'flush=none', '--set', 'start=dirty'];
const json = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test.each(['stress', 'check'])('help of %s', (command) => {
  expectGolden(`help-${command}.txt`, cli.run([command, '--help']).stdout);
});

describe('stress', () => {
  test('prints a table of outcomes, what the engines say of each other, and how the forbidden one comes about', () => {
    const { status, stdout, stderr } = cli.run(['stress', ...B3]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^clean-against-writer B3 {2}flush = none, start = dirty$/m);
    expect(stdout).toMatch(/^ {2}release build, 2 threads, seed 1: [\d,]+ executions in \d+\.\d{3} s$/m);
    expect(stdout).toMatch(/^ {4}violates WRITEBACK +[\d,]+ +\S.* +forbidden +as expected: case 4 for ever$/m);
    expect(stdout).toMatch(/^ {4}all well +[\d,]+ +\S.* +acceptable$/m);
    expect(stdout).toContain('both engines agree; caught on threads: WRITEBACK');
    expect(stdout).toContain('WRITEBACK: the shortest interleaving');
    expect(stdout).toMatch(/^pagewalk replay \S+$/m);
    expect(stdout).toMatch(/1 variant, [\d,]+ executions, no surprise, \d+\.\d{3} s\n$/);
  });

  test('says the same as JSON: a line for each outcome, and one for the variant', () => {
    const { status, stdout } = cli.run(['stress', ...B3, '--json', '--seed', '9', '--build', 'both']);
    expect(status).toBe(0);
    const lines = json(stdout);
    const variants = lines.filter((line) => 'executions' in line);
    const outcomes = lines.filter((line) => 'outcome' in line);
    expect(variants).toMatchObject([
      { scenario: 'clean-against-writer', id: 'B3', seed: 9, build: 'release', workers: 2, surprises: [], deaths: [] },
      { scenario: 'clean-against-writer', id: 'B3', seed: 9, build: 'chaos' },
    ]);
    for (const { build, executions } of variants) {
      const own = outcomes.filter((outcome) => outcome.build === build);
      expect(own.reduce((sum, { count }) => sum + count, 0)).toBe(executions);
    }
    expect(outcomes).toContainEqual(
      expect.objectContaining({ outcome: 'violates WRITEBACK', grade: 'forbidden', violated: ['WRITEBACK'] }),
    );
    expect(variants[0].variant).toMatchObject({ flush: 'none', start: 'dirty', machine: 'recheck' });
  });

  test.each([
    { format: [], told: /^ {2}WRITEBACK: the shortest interleaving$[\s\S]*^pagewalk replay \S+$/m },
    { format: ['--json'], told: /^\{.*"forbidden":"WRITEBACK","token":"\w+","interleaving":\{.*\}\}$/m },
  ])('tells what is forbidden while the race goes on $format', async ({ format, told }) => {
    const child = cli.start(['stress', ...B3, '--budget', '1h', ...format]);
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
      // A second one would kill it.
      if (!child.killed && told.test(out)) child.kill('SIGINT');
    });
    const [code] = await once(child, 'exit');
    expect(code).toBe(130);
    expect(out.match(new RegExp(told, 'gm'))).toHaveLength(1);
    expect(out.search(told)).toBeLessThan(out.indexOf(format.length > 0 ? '"executions"' : 'executions in'));
  });

  test('ends with 1 if threads violate what the file does not expect', () => {
    const { status, stdout } = cli.run(['stress', 'unaware.litmus', ...B3.slice(1), '--no-trace']);
    expect(stdout).toMatch(/SURPRISE: threads violated WRITEBACK, which the file does not expect/);
    expect(status).toBe(1);
  });

  test('the budget is for all variants together', () => {
    const { stdout } = cli.run(['stress', COUNTER, '--budget', '300ms', '--no-trace', '--no-explore', '--json']);
    const seconds = json(stdout).flatMap((line) => ('seconds' in line ? [line.seconds as number] : []));
    expect(seconds.length).toBeGreaterThan(1);
    for (const each of seconds) expect(each).toBeGreaterThan(0.05);
  });

  test('Ctrl-C prints what is known and leaves no thread', async () => {
    const child = cli.start(['stress', 'message-passing', '--budget', '1h', '--no-trace']);
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const at = performance.now();
    child.kill('SIGINT');
    const [code] = await once(child, 'exit');
    expect(code).toBe(130);
    expect(performance.now() - at).toBeLessThan(5000);
    expect(out).toMatch(/message-passing MP-sc/);
    expect(out).toMatch(/interrupted: 1 variant not raced/);
  });

  const canPin = process.platform === 'linux' && spawnSync('taskset', ['--version']).status === 0;
  test.runIf(canPin && availableParallelism() > 1)('--pin binds each thread to a processor of its own', async () => {
    const child = cli.start(['stress', 'message-passing', '--budget', '1h', '--pin', '--workers', '2', '--no-trace']);
    const bound = () =>
      readdirSync(`/proc/${child.pid}/task`).flatMap((thread) => {
        const status = readFileSync(`/proc/${child.pid}/task/${thread}/status`, 'utf8');
        return /^Cpus_allowed_list:\s*(\d+)$/m.exec(status)?.[1] ?? [];
      });
    while (bound().length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(new Set(bound()).size).toBe(2);
    child.kill('SIGINT');
    await once(child, 'exit');
  });

  test('no two threads have one processor, also when one of them was ended and another begun', () => {
    const ends: (() => void)[] = [];
    const processors = new Processors([4, 7]);
    const bind = () => {
      let had: number | undefined;
      processors.bind((processor) => {
        had = processor;
        return { onEnd: (listener) => ends.push(listener) };
      });
      return had;
    };
    expect([bind(), bind(), bind()]).toEqual([4, 7, undefined]);
    ends[1]?.();
    expect(bind()).toBe(7);
  });

  test('--pin names what is missing', () => {
    const { status, stderr } = cli.run(['stress', 'message-passing', '--pin', '--workers', '2'], { PATH: '/nowhere' });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(/^pagewalk: --pin: (taskset, of util-linux, is not installed|threads cannot be)/),
    });
  });

  test.each([
    [['--budget', '30'], /--budget <time>.*'30' is invalid. It must be a time with its unit, like 30s, 500ms or 10m/],
    [['--workers', '0'], /--workers <count>.*'0' is invalid. It must be a number from 1 to 8/],
    [['--build', 'explore'], /'explore' is invalid. Allowed choices are release, chaos, both/],
    [['--set', 'flush=never'], /flush of clean-against-writer must be one of/],
    [['--instances', '100'], /--instances <count>.*'100' is invalid. It must be a power of two, at most 65536/],
  ])('%s is refused', (args, complaint) => {
    const { status, stderr } = cli.run(['stress', 'clean-against-writer', ...args]);
    expect(stderr).toMatch(complaint);
    expect(status).toBe(2);
  });
});

describe('check', () => {
  test('a row for each variant: what was proved and what was seen', () => {
    const { status, stdout, stderr } = cli.run(['check', 'clean-against-writer', 'message-passing', '--budget', '8s']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ {2}B0 +holds in all [\d,]+ states +[\d,]+ +1 of 1 outcome$/m);
    expect(stdout).toMatch(/^ {2}B3 +violated: WRITEBACK +[\d,]+ +WRITEBACK .* 1 of 1 outcome$/m);
    expect(stdout).toMatch(/^ {2}MP-sc +holds in all \d+ states/m);
    expect(stdout).toMatch(
      /^clean-against-writer B3 .*violated on threads: WRITEBACK, as expected\npagewalk replay \S+$[\s\S]*^ {2}B3 /m,
    );
    expect(stdout).toMatch(/\d+ variants, \d+ explored to the end in .*, no surprise, \d+\.\d{3} s\n$/);
  });

  test('ends with 1 on a surprise, and says which', () => {
    const { status, stdout } = cli.run(['check', 'trusting.litmus', '--budget', '3s']);
    expect(stdout).toMatch(/SURPRISE: .*SUM.*which the file does not expect/);
    expect(status).toBe(1);
  });

  test('draws how a violation comes about that nobody expects', () => {
    const { stdout } = cli.run(['check', 'unaware.litmus', '--budget', '8s']);
    expect(stdout).toMatch(
      /B3 .*violated on threads: WRITEBACK\n {2}WRITEBACK: the shortest interleaving\n[\s\S]*^pagewalk replay \S+ unaware.litmus$/m,
    );
  });

  test('as JSON', () => {
    const lines = json(cli.run(['check', 'message-passing', '--budget', '2s', '--json']).stdout);
    expect(lines.filter((line) => 'executions' in line)).toHaveLength(2);
  });
});

describe('the report', () => {
  const report = (name: string) => join(cli.directory, name);

  test('is written, and says what the command was', () => {
    const { status, stderr } = cli.run(['check', 'counter.litmus', '--budget', '1s', '--report', 'the report.html']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const html = readFileSync(report('the report.html'), 'utf8');
    expect(html).toContain(`pagewalk check counter.litmus --budget 1s --report 'the report.html'`);
    // A token of a scenario that is not in the catalogue needs its file.
    expect(html).toMatch(/pagewalk replay 2\S+ counter\.litmus</);
    expect(/<h1>(.*?)<\/h1>/.exec(html)?.[1]).toBe('No surprise');
  });

  test('of stress has a column for each build', () => {
    const { status } = cli.run([
      'stress',
      ...B3,
      '--budget',
      '400ms',
      '--build',
      'both',
      '--no-trace',
      '--report',
      'b3.html',
    ]);
    expect(status).toBe(0);
    const html = readFileSync(report('b3.html'), 'utf8');
    for (const build of ['release', 'chaos']) expect(html).toContain(`<th scope="col" class="times">${build}</th>`);
  });

  test.each([
    ['in a folder that is not there', 'no/such/report.html'],
    ['that is a folder', '.'],
  ])('%s is refused before anything is run', (_, path) => {
    const { status, stdout, stderr } = cli.run(['check', 'counter.litmus', '--report', path]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^pagewalk: --report ${path}: `));
    expect(readdirSync(cli.directory).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});
