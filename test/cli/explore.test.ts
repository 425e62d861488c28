// `pagewalk explore`, `replay` and `list` as people call them: reports byte for byte, exit codes, what is complained of, Ctrl-C.

import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { parametersOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import { catalogue } from '../../src/scenarios/index.ts';
import { expectGolden, useCli } from './harness.ts';

const cli = useCli();
const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/scenarios', name), 'utf8');
const COUNTER = cli.file('counter.litmus', fixture('counter.litmus'));
const HOPEFUL = cli.file('hopeful.litmus', fixture('hopeful.litmus'));
const ENDLESS = cli.file('endless.litmus', fixture('endless.litmus'));
const scenario = parsed(COUNTER);
cli.file('broken.litmus', fixture('counter.litmus').replace('how = locked | plain', 'how locked | plain'));
cli.file('typo.litmus', fixture('counter.litmus').replace('check SUM(total)', 'check SUM(totl)'));

const json = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const tokenOf = (args: readonly string[]) =>
  json(cli.run(['explore', ...args, '--json']).stdout).find(({ token }) => token !== null).token as string;

function parsed(name: string) {
  const read = parseScenario(fixture(name), name);
  if (!read.ok) throw new Error(JSON.stringify(read.errors));
  return read.scenario;
}

describe('golden', () => {
  test.each([
    ['counter', [COUNTER]],
    ['counter-json', [COUNTER, '--json']],
    ['counter-plain', [COUNTER, '--set', 'how=plain', '--invariant', 'SUM']],
    ['counter-no-trace', [COUNTER, '--no-trace']],
    [
      'counter-walks',
      [COUNTER, '--set', 'how=plain', '--random', 'walk', '--seed', '7', '--runs', '100', '--no-trace'],
    ],
    ['counter-pct', [COUNTER, '--set', 'how=locked', '--random', 'pct', '--runs', '100', '--no-trace']],
    ['counter-bounded', [COUNTER, '--set', 'how=plain', '--preemptions', '0', '--no-trace']],
    ['counter-states', [COUNTER, '--set', 'how=locked', '--max-states', '3', '--no-trace']],
  ])('explore/%s', (name, args) => {
    const { stdout, stderr } = cli.run(['explore', ...args]);
    expect(stderr).toBe('');
    expectGolden(`explore/${name}.txt`, stdout);
  });

  test.each(['explore', 'replay', 'list'])('help of %s', (command) => {
    expectGolden(`help-${command}.txt`, cli.run([command, '--help']).stdout);
  });

  test('replay, as text and as JSON', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    const { status, stdout, stderr } = cli.run(['replay', token, COUNTER]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expectGolden('explore/replay.txt', stdout);
    expectGolden('explore/replay-json.txt', cli.run(['replay', token, COUNTER, '--json']).stdout);
  });

  test('SVG of explore and of replay', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    cli.run(['explore', COUNTER, '--set', 'how=*', '--svg', 'explored.svg']);
    cli.run(['replay', token, COUNTER, '--svg', 'replayed.svg']);
    expectGolden('explore/explored.svg', readFileSync(join(cli.directory, 'explored.svg'), 'utf8'));
    expectGolden('explore/replayed.svg', readFileSync(join(cli.directory, 'replayed.svg'), 'utf8'));
  });
});

describe('explore', () => {
  test('ends with 0 if all is as the file expects, and with 1 if not, saying where', () => {
    expect(cli.run(['explore', COUNTER, '--no-trace']).status).toBe(0);
    const { status, stdout } = cli.run(['explore', HOPEFUL, '--no-trace']);
    expect(status).toBe(1);
    expect(stdout).toContain('DIFFERS from the file, by which it is to hold: it was never seen to fail');
    expect(stdout).toContain('DIFFERS from the file, which does not expect it');
    expect(stdout).toMatch(/, 2 differences, /);
  });

  test('a bound that was hit is no "holds": an expectation that is not decided is a difference', () => {
    const { status, stdout } = cli.run(['explore', COUNTER, '--set', 'how=locked', '--max-states', '3', '--no-trace']);
    expect(status).toBe(1);
    expect(stdout).not.toMatch(/holds? in all/);
    const objects = json(cli.run(['explore', COUNTER, '--max-states', '3', '--json']).stdout);
    expect(objects.every(({ exhaustive, verdict }) => !exhaustive && verdict !== 'holds')).toBe(true);
  });

  test('random executions contradict only by a violation', () => {
    expect(cli.run(['explore', COUNTER, '--set', 'how=locked', '--random', 'pct', '--runs', '20']).status).toBe(0);
    expect(cli.run(['explore', HOPEFUL, '--set', 'how=plain', '--random', 'walk', '--runs', '200']).status).toBe(1);
  });

  test('--memory tso is --set memory=tso: store buffering becomes possible', () => {
    const found = (args: readonly string[]) =>
      json(cli.run(['explore', 'store-buffering', '--json', ...args]).stdout).map(({ variant, invariant, verdict }) => [
        variant,
        invariant,
        verdict,
      ]);
    expect(found(['--memory', 'tso'])).toEqual(found(['--set', 'memory=tso']));
    const verdictOf = (model: string) =>
      found(['--memory', model]).find(([, invariant]) => String(invariant).startsWith('exists'))?.[2];
    expect([verdictOf('sc'), verdictOf('tso')]).toEqual(['violated', 'holds']);
  });

  test('without reduction the verdicts are the same', () => {
    const verdicts = (args: readonly string[]) =>
      json(cli.run(['explore', COUNTER, '--json', ...args]).stdout).map(({ id, invariant, verdict }) => [
        id,
        invariant,
        verdict,
      ]);
    expect(verdicts(['--no-reduce'])).toEqual(verdicts([]));
  });

  test('with one worker and with three, the output is the same', () => {
    const masked = (workers: string) =>
      cli.run(['explore', COUNTER, '--workers', workers]).stdout.replace(/[\d.]+ s$/m, 'S s');
    expect(masked('3')).toBe(masked('1'));
  });

  test('--set reaches what the file names no variant for, * every value, --all everything', () => {
    const ids = (args: readonly string[]) => [
      ...new Set(
        json(cli.run(['explore', COUNTER, '--invariant', 'SUM', '--json', ...args]).stdout).map(
          ({ id, variant }) => `${id} ${variant.how} ${variant.machine}`,
        ),
      ),
    ];
    expect(ids(['--set', 'machine=nowcheck'])).toEqual(['null locked nowcheck']);
    expect(ids(['--set', 'how=*'])).toEqual(['N0 locked recheck', 'N1 plain recheck', 'N2 forgets-unlock recheck']);
    expect(ids(['--set', 'how=plain', '--set', 'how=locked'])).toEqual(['N1 plain recheck', 'N0 locked recheck']);
    const all = json(cli.run(['explore', COUNTER, '--invariant', 'SUM', '--json', '--all']).stdout);
    expect(all.length).toBe(parametersOf(scenario).reduce((product, { values }) => product * values.length, 1));
    expect(new Set(all.map(({ variant }) => JSON.stringify(variant))).size).toBe(all.length);
  });

  test('--invariant leaves the others out', () => {
    const objects = json(cli.run(['explore', COUNTER, '--invariant', 'SUM', '--invariant', 'LOCKS', '--json']).stdout);
    expect(new Set(objects.map(({ invariant }) => invariant))).toEqual(new Set(['SUM', 'LOCKS']));
  });

  test('the JSON has what its description says, in that order', () => {
    const [first] = json(cli.run(['explore', COUNTER, '--json']).stdout);
    expect(Object.keys(first)).toEqual([
      'scenario',
      'id',
      'variant',
      'invariant',
      'verdict',
      'exhaustive',
      'states',
      'transitions',
      'seconds',
      'steps',
      'token',
    ]);
  });

  test('what cannot be explored is an error of that variant, and the others are explored', () => {
    // More shared words than a state has room for.
    const words = Array.from({ length: 140 }, (_, n) => `w${n}`);
    const touch = words.map((word) => `${word} = 1;`).join(' ');
    const file = cli.file(
      'wide.litmus',
      `litmus wide "Too many words." parameter how = few | many
       init { ${words.map((word) => `word ${word} = 0;`).join(' ')} }
       P0 "all" { if (how == many) { ${touch} } w0 = 1; }
       P1 "all" { if (how == many) { ${touch} } w0 = 2; }`,
    );
    const { status, stdout, stderr } = cli.run(['explore', file, '--set', 'how=*', '--json']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^pagewalk: wide {2}how = many: the CPUs share more than 128 words of 8 bytes\n$/);
    const objects = json(stdout);
    expect(objects.filter(({ error }) => error !== undefined)).toMatchObject([
      { variant: { how: 'many' }, verdict: 'unknown' },
    ]);
    expect(
      objects.filter(({ variant, verdict }) => variant.how === 'few' && verdict === 'holds').length,
    ).toBeGreaterThan(5);
  });
});

describe('complaints', () => {
  const bad: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['explore', 'nowhere.litmus'], /^nowhere\.litmus: no such file$/],
    [
      ['explore', 'clean-against-writr'],
      /^clean-against-writr: no scenario of the catalogue and no file; did you mean `clean-against-writer`\?$/,
    ],
    [['explore', '.'], /^\.: is a directory, not a file$/],
    [['explore', 'broken.litmus'], /^broken\.litmus:6:15: expected `=`, found `locked`$/],
    [['explore', 'typo.litmus'], /^typo\.litmus:\d+:\d+: there is no word `totl`; did you mean `total`\?$/],
    [
      ['explore', COUNTER, '--set', 'how'],
      /^option '--set <parameter=value>' argument 'how' is invalid\. It must be a parameter and its value/,
    ],
    [
      ['explore', COUNTER, '--set', 'how=never'],
      /^--set how=never: how of counter must be one of locked, plain, forgets-unlock$/,
    ],
    [['explore', COUNTER, '--set', 'hwo=plain'], /^--set hwo=plain: counter has no parameter hwo, only how, machine, /],
    [['explore', COUNTER, '--invariant', 'SMU'], /^--invariant SMU is none of SUM, /],
    [
      ['explore', COUNTER, '--max-states', '0'],
      /^option '--max-states <count>' argument '0' is invalid\. It must be a number from 1 to/,
    ],
    [['explore', COUNTER, '--timeout', 'soon'], /^option '--timeout <seconds>' argument 'soon' is invalid/],
    [['explore', COUNTER, '--workers', '0'], /^option '--workers <count>' argument '0' is invalid/],
    [
      ['explore', COUNTER, '--random', 'dice'],
      /^option '--random <kind>' argument 'dice' is invalid\. Allowed choices are walk, pct\.$/,
    ],
    [['explore', COUNTER, '--all', '--set', 'how=plain'], /cannot be used with option/],
    [['explore', COUNTER, '--preemptions', '1', '--random', 'walk'], /cannot be used with option/],
    [['explore', COUNTER, '--no-rduce'], /^unknown option '--no-rduce' \(Did you mean --no-reduce\?\)$/],
    [['explore', COUNTER, '--svg', 'no/such/folder.svg'], /^--svg no\/such\/folder\.svg: ENOENT/],
    [['replay'], /^missing required argument 'token'$/],
    [['replay', 'hello'], /^hello: no token: its version is "h", and this program reads version "2"$/],
    [['replay', '1EO5xqWwQvQ'], /^1EO5xqWwQvQ: no token: its version is "1"/],
    [['replay', '2EO5xqWwQvQ', COUNTER], /^2EO5xqWwQvQ: no token: it is not complete$/],
    [['list', 'x'], /^too many arguments for 'list'/],
  ];

  test.each(bad)('%j', (args, message) => {
    const { status, stderr } = cli.run(args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^pagewalk: .*\n$/);
    expect(stderr.slice('pagewalk: '.length, -1)).toMatch(message);
  });

  test('every error of a file is told', () => {
    const file = cli.file(
      'two.litmus',
      fixture('counter.litmus').replace('n = total', 'n = totl').replace('SUM(total)', 'SUM(sum)'),
    );
    expect(cli.run(['explore', file]).stderr.trimEnd().split('\n').length).toBe(2);
  });
});

describe('replay', () => {
  test('a letter that was changed is told', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    const changed = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
    const { status, stderr } = cli.run(['replay', changed, COUNTER]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/no token: its checksum is wrong: a letter was lost or changed/);
  });

  test('a token of a scenario that is not there is told', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    expect(cli.run(['replay', token])).toMatchObject({
      status: 2,
      stderr: `pagewalk: ${token}: a token of no variant of the scenarios of the catalogue\n`,
    });
    expect(cli.run(['replay', token, HOPEFUL]).status).toBe(2);
  });

  test('a program that differs ends it with 1, and the step is told', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    const file = cli.file(
      'longer.litmus',
      fixture('counter.litmus').replace('  n = total;', '  total = 0;\n  n = total;'),
    );
    const { status, stderr } = cli.run(['replay', token, file]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^pagewalk: at step 1 the program differs: in this step, P\d accesses something else\n$/);
  });

  test('a program that was mended violates nothing at the end', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    const file = cli.file('mended.litmus', fixture('counter.litmus').replace('= t == 2', '= t <= 2'));
    const { status, stderr } = cli.run(['replay', token, file]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^pagewalk: at step \d+ the program differs: all steps were made, and SUM is not violated\n$/,
    );
  });

  test('a program that was changed elsewhere is told, and reproduces it', () => {
    const token = tokenOf([COUNTER, '--set', 'how=plain']);
    const file = cli.file(
      'spare.litmus',
      fixture('counter.litmus').replace('word total = 0;', 'word total = 0; word spare = 0;'),
    );
    const { status, stderr } = cli.run(['replay', token, file]);
    expect(status).toBe(0);
    expect(stderr).toBe(
      'pagewalk: the program is not the one of which the token was made, but its steps are the same\n',
    );
  });

  test('finds the scenario of the catalogue by the token alone', () => {
    const [object] = json(
      cli.run(['explore', 'clean-against-writer', '--set', 'flush=none', '--invariant', 'WRITEBACK', '--json']).stdout,
    );
    const { status, stdout } = cli.run(['replay', object.token]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^clean-against-writer B3 {2}flush = none/);
    expect(stdout).toContain('! WRITEBACK');
  });
});

describe('list', () => {
  test('each scenario has its name, its variants and its sentence, in reading order', async () => {
    const { status, stdout } = cli.run(['list']);
    expect(status).toBe(0);
    const flat = stdout.replace(/\s+/g, ' ');
    let at = 0;
    for (const { name, scenario } of await catalogue()) {
      const next = flat.indexOf(name, at);
      expect(next, name).toBeGreaterThanOrEqual(at);
      at = flat.indexOf(scenario.sentence, next);
      expect(at, scenario.sentence).toBeGreaterThan(next);
    }
    expect(stdout.split('\n').every((line) => line.length <= 100)).toBe(true);
  });

  test('as JSON it says all that explore takes', async () => {
    const objects = json(cli.run(['list', '--json']).stdout);
    expect(objects.map(({ scenario }) => scenario)).toEqual((await catalogue()).map(({ name }) => name));
    expect(objects[0]).toMatchObject({
      parameters: { machine: ['recheck', 'nowcheck', 'blind', 'lazy-lost', 'lazy-wb', 'swdirty'] },
      variants: [{ id: 'A0' }, ...objects[0].variants.slice(1)],
    });
  });
});

describe('Ctrl-C', () => {
  test('prints what is known, ends with 130, and leaves no thread', async () => {
    const child = cli.start(['explore', COUNTER, ENDLESS, '--no-trace', '--workers', '1']);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    while (!text.includes('counter N2')) await sleep(20);
    await sleep(1000);
    child.kill('SIGINT');
    const [status] = await once(child, 'close');
    expect(status).toBe(130);
    expect(text).toMatch(/interrupted(\s+after\s+[\d,]+\s+states|: 1 variant not explored)/);
    expect(text).not.toMatch(/endless[\s\S]*holds? in all/);
  });

  test('ends it although the reader takes nothing', async () => {
    const child = cli.start(['explore', COUNTER, ENDLESS, '--workers', '1']);
    await once(child.stdout, 'readable');
    child.kill('SIGINT');
    const [status] = await once(child, 'exit');
    expect(status).toBe(130);
    child.stdout.destroy();
  });

  test('as JSON what was interrupted is unknown', async () => {
    const child = cli.start(['explore', COUNTER, ENDLESS, '--json', '--workers', '1']);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    while (!text.includes('"id":"N2"')) await sleep(20);
    await sleep(500);
    child.kill('SIGINT');
    const [status] = await once(child, 'close');
    expect(status).toBe(130);
    for (const { scenario: name, verdict, exhaustive } of json(text)) {
      if (name === 'endless') expect({ verdict, exhaustive }).toEqual({ verdict: 'unknown', exhaustive: false });
    }
  });
});

test('the fixtures are right', () => {
  for (const name of ['counter.litmus', 'hopeful.litmus', 'endless.litmus']) {
    expect(parseScenario(fixture(name), name)).toMatchObject({ ok: true });
  }
  expect(existsSync(join(cli.directory, 'explored.svg'))).toBe(true);
});
