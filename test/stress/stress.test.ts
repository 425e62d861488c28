// Races on real threads: what they show, what they catch, and what becomes of them when something goes wrong.

import { afterEach, describe, expect, test, vi } from 'vitest';
import { explore } from '../../src/explore/index.ts';
import { compile, type Scenario, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import type { Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { catalogue } from '../../src/scenarios/index.ts';
import {
  agreementOf,
  type StressOptions,
  type StressOutcome,
  type StressResult,
  stress,
} from '../../src/stress/index.ts';
import { I, makeCpu, makeProgram, ops } from '../support/litmus.ts';
import { useRacers } from '../support/racers.ts';

const racers = useRacers();
const race = (program: LitmusProgram, options: Partial<StressOptions> = {}) =>
  stress(program, { spawn: racers.spawn, budgetMs: 300, ...options });
const states = ({ outcomes }: StressResult) => outcomes.map(({ state }) => state).sort();

afterEach(() => {
  expect(racers.alive).toBe(0);
  vi.unstubAllGlobals();
});

async function entry(name: string): Promise<Scenario> {
  const found = (await catalogue()).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found.scenario;
}

async function program(name: string, id: string): Promise<LitmusProgram> {
  const scenario = await entry(name);
  const variant = variantsOf(scenario).find((each) => each.id === id);
  if (variant === undefined) throw new Error(`${name} has no variant ${id}`);
  return compile(scenario, variant.variant);
}

/** P0 takes a, waits until P1 has b, and wants b; and the other way round: they always starve. */
function embrace(): LitmusProgram {
  const [a, b, hasA, hasB] = [0, 1, 2, 3];
  const side = (own: number, mine: number, yours: number, other: number) => [
    I(ops.OP_SPIN_LOCK, { c: own }),
    I(ops.OP_SET, { d: 1, immediate: 1n }),
    I(ops.OP_STORE64, { c: mine, a: 1 }),
    I(ops.OP_SET, { d: 2, immediate: (1n << 64n) - 1n }),
    I(ops.OP_AWAIT64, { c: yours, a: 1, immediate: 2n }),
    I(ops.OP_SPIN_LOCK, { c: other }),
    I(ops.OP_SPIN_UNLOCK, { c: other }),
    I(ops.OP_SPIN_UNLOCK, { c: own }),
  ];
  return makeProgram({
    world: {
      ...makeProgram({ cpus: [] }).world,
      locks: [
        { name: 'a', kind: 'spin' },
        { name: 'b', kind: 'spin' },
      ],
      words: [
        { name: 'has_a', value: 0n },
        { name: 'has_b', value: 0n },
      ],
    },
    symbols: [
      { of: 'lock', name: 'a' },
      { of: 'lock', name: 'b' },
      { of: 'word', name: 'has_a' },
      { of: 'word', name: 'has_b' },
    ],
    cpus: [makeCpu('P0', side(a, hasA, hasB, b)), makeCpu('P1', side(b, hasB, hasA, a))],
  });
}

describe.each(['release', 'chaos'] as const)('%s', (build) => {
  test('message passing shows nothing but what there is, and all executions are counted', async () => {
    const result = await race(await program('message-passing', 'MP-sc'), { build });
    expect(states(result)).not.toContain('P1:r0=1 P1:r1=0');
    expect(result.outcomes.reduce((sum, { count }) => sum + count, 0)).toBe(result.executions);
    expect(result).toMatchObject({ build, hangs: [], deaths: [], overflow: 0, cut: false, workers: 2, crowd: 1 });
    expect(result.executions).toBeGreaterThan(0);
  });

  test('a flush that is left out is caught, as that and nothing else', async () => {
    const result = await race(await program('clean-against-writer', 'B3'), { build, budgetMs: 1000 });
    const violated = new Set(result.outcomes.flatMap((outcome) => outcome.violated));
    expect([...violated]).toEqual(['WRITEBACK']);
    expect(result.outcomes.find(({ grade }) => grade === 'forbidden')?.text).toBe('violates WRITEBACK');
  });

  test('use after free is caught: the reaper that does not flush', async () => {
    const result = await race(await program('reaper-fullmm', 'H1'), { build, budgetMs: 1000 });
    expect(new Set(result.outcomes.flatMap(({ violated }) => violated))).toEqual(new Set(['NOUAF']));
  });

  test.each([
    ['clean-against-writer', 'B0'],
    ['reaper-fullmm', 'H0'],
    ['soft-dirty-flush-elided', 'D0'],
    ['wrprotect-then-clean', 'C0'],
  ])('%s %s, which is right, shows no violation', async (name, id) => {
    const result = await race(await program(name, id), { build });
    expect(result.outcomes.filter(({ violated }) => violated.length > 0)).toEqual([]);
    expect(result.hangs).toEqual([]);
    expect(result.executions).toBeGreaterThan(0);
  });
});

// Threads make the accesses of a block one by one. A change of a word in one is one access, or the count of the other CPU would be lost between
// a load and a store.
test('what both CPUs count in blocks is counted in full', async () => {
  const counting = (block: string) => `litmus counting
"Both count."
init { word go = 0; word up = 0; word down = 8; word bits = 6; }
P0 { go = 1; ${block} { up += 1; down -= 3; bits |= 1; } }
P1 { go = 1; ${block} { up += 2; down -= 1; bits &= 3; } }
forall (up = 3 /\\ down = 4 /\\ bits = 3)
`;
  for (const block of ['atomic', 'ghost']) {
    const parsed = parseScenario(counting(block));
    if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join('; '));
    const program = compile(parsed.scenario, {});
    const { verdicts } = await explore(program);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(verdicts.map(() => 'holds'));
    const { outcomes, executions } = await race(program);
    expect(outcomes.filter(({ grade }) => grade === 'forbidden')).toEqual([]);
    expect(executions).toBeGreaterThan(0);
  }
});

describe('both engines', () => {
  test.each([
    ['store-buffering', 'SB-sc'],
    ['load-buffering', 'LB-sc'],
    ['independent-reads', 'IRIW-sc'],
    ['peterson', 'peterson'],
    ['clean-against-writer', 'B5'],
    ['reaper-fullmm', 'H3'],
    ['dontneed-nested', 'J2'],
    ['lazy-tlb', 'L0'],
    ['reclaim-deferred-flush', 'K4'],
  ])('agree on %s %s', async (name, id) => {
    const variant = await program(name, id);
    const explored = await explore(variant, { shortest: false });
    expect(explored.exhaustive).toBe(true);
    const races = [await race(variant), await race(variant, { build: 'chaos', seed: 7 })];
    expect(agreementOf(races, explored).disagreements).toEqual([]);
  });

  test('disagree if the explorer overlooks an outcome, or a violation', async () => {
    const variant = await program('clean-against-writer', 'B3');
    const explored = await explore(variant, { shortest: false });
    const raced = await race(variant, { budgetMs: 1000 });
    const blind = { ...explored, outcomes: [] };
    expect(agreementOf([raced], blind).disagreements[0]).toMatchObject({ what: 'impossible outcome' });
    const trusting = {
      ...explored,
      verdicts: explored.verdicts.map((each) => ({ ...each, verdict: 'holds' as const })),
    };
    expect(agreementOf([raced], trusting).disagreements).toMatchObject([
      { what: 'impossible violation', invariants: ['WRITEBACK'] },
    ]);
    // Nothing is impossible by a search that did not end.
    expect(agreementOf([raced], { ...blind, exhaustive: false }).disagreements).toEqual([]);
  });
});

describe('threads', () => {
  test.each([1, 2, 3, 4])('four CPUs on %i of them', async (workers) => {
    const result = await race(await program('independent-reads', 'IRIW-sc'), { workers });
    expect(result).toMatchObject({ workers, crowd: Math.ceil(4 / workers), hangs: [], deaths: [] });
    expect(result.executions).toBeGreaterThan(0);
    // Both readers disagree on the order.
    expect(states(result)).not.toContain('P2:r0=1 P2:r1=0 P3:r2=1 P3:r3=0');
  });

  // What CPU 0 stores has to come while CPU 2 is in the middle of its function, and after all that CPU 1 does.
  test('the chaos build catches what needs a third thread to sleep', async () => {
    const scenario = await entry('soft-dirty-flush-elided-whole');
    const variant = variantsOf(scenario).find(({ id, variant }) => id === 'D2' && variant['watch'] === 'notify');
    const controller = new AbortController();
    const seen = new Set<string>();
    const onForbidden = ({ violated }: StressOutcome) => {
      for (const each of violated) seen.add(each);
      if (seen.has('NOTIFY')) controller.abort();
    };
    const { signal } = controller;
    await race(compile(scenario, variant?.variant ?? {}), { build: 'chaos', budgetMs: 20_000, onForbidden, signal });
    expect(seen).toContain('NOTIFY');
  });

  test.each([1, 2, 3])(
    'two threads that share a processor, or are told so, get on with %i workers',
    async (workers) => {
      const result = await race(await program('message-passing', 'MP-sc'), { processors: 1, workers });
      expect(result).toMatchObject({ hangs: [], deaths: [], overflow: 0, cut: false });
      expect(result.executions).toBeGreaterThan(1000);
    },
  );

  test('of the chaos build each CPU has a thread, unless one asks for fewer', async () => {
    const four = await program('independent-reads', 'IRIW-sc');
    expect(await race(four)).toMatchObject({ workers: 2, crowd: 2 });
    expect(await race(four, { build: 'chaos' })).toMatchObject({ workers: 4, crowd: 1, hangs: [], deaths: [] });
    expect(await race(four, { build: 'chaos', workers: 2 })).toMatchObject({ workers: 2, crowd: 2 });
  });

  test('a hang is an outcome, and says who waits for whom', async () => {
    const result = await race(embrace(), { hangMs: 300, budgetMs: 5000 });
    expect(result.outcomes).toMatchObject([{ text: 'hang', violated: ['DEADLOCK'], grade: 'forbidden', hang: true }]);
    expect(result.hangs[0]).toMatch(/P0 waits at .*, which P1 holds; P1 waits at .*, which P0 holds/);
    expect(result.cut).toBe(true);
  });

  test('so does one thread that runs both', async () => {
    const result = await race(embrace(), { hangMs: 300, budgetMs: 400, workers: 1 });
    expect(result.hangs[0]).toMatch(/P0 waits at .*, which P1 holds; P1 waits at .*, which P0 holds/);
  });

  // The other goes on to instances to which the one that hangs does not come.
  test.each([0, 1])('a program that never ends, P%i, is a hang, and where it stands is told', async (cpu) => {
    const codes = [[], []] as Instruction[][];
    codes[cpu] = [I(ops.OP_PAUSE), I(ops.OP_JUMP, { c: 1 })];
    const endless = makeProgram({ cpus: codes.map((code, n) => makeCpu(`P${n}`, code)) });
    const result = await race(endless, { hangMs: 200, budgetMs: 300 });
    expect(result.outcomes.map(({ text }) => text)).toContain('hang');
    expect(result.hangs[0]).toBe(`P${cpu} stands at instruction 1`);
  });

  test('one that throws is told, and the race goes on with new ones', async () => {
    let faults = 0;
    // Of the first heat, racer 1 is asked for more agents than there are.
    const spawn = () => {
      const thread = racers.spawn();
      const post: typeof thread.post = (message) =>
        thread.post(message.racer === 1 && faults++ === 0 ? { ...message, crowd: 100 } : message);
      return { ...thread, post };
    };
    const result = await race(await program('message-passing', 'MP-sc'), { spawn });
    expect(result.deaths).toEqual(['racer 1: more agents than a memory takes']);
    expect(result.executions).toBeGreaterThan(0);
    expect(result.cut).toBe(false);
  });

  test('one that is terminated in the middle of a round is told, and the race goes on', async () => {
    let killed = false;
    const result = await race(await program('clean-against-writer', 'B0'), {
      budgetMs: 600,
      onProgress: ({ executions }) => {
        if (killed || executions === 0) return;
        killed = true;
        void racers.all.at(-1)?.terminate();
      },
    });
    expect(killed).toBe(true);
    expect(result.deaths).toEqual([expect.stringMatching(/^racer 1: /)]);
    expect(result.outcomes.every(({ violated }) => violated.length === 0)).toBe(true);
    expect(result.cut).toBe(false);
  });

  test('what is forbidden is told while the race goes on, each outcome once', async () => {
    const controller = new AbortController();
    const told: string[] = [];
    const result = await race(await program('clean-against-writer', 'B3'), {
      budgetMs: 600_000,
      signal: controller.signal,
      onForbidden: ({ text }) => {
        told.push(text);
        controller.abort();
      },
    });
    expect(told).toEqual(['violates WRITEBACK']);
    expect(result.cut).toBe(true);
  });

  test('a signal ends the race, with what was counted', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const result = await race(await program('message-passing', 'MP-sc'), {
      budgetMs: 600_000,
      signal: controller.signal,
    });
    expect(result.cut).toBe(true);
    expect(result.executions).toBeGreaterThan(0);
  });
});

test('a blind race judges nothing, and counts', async () => {
  const result = await race(await program('clean-against-writer', 'B3'), { blind: true });
  expect(result.outcomes.map(({ text }) => text)).toEqual(['all well']);
  expect(result.executions).toBeGreaterThan(0);
});

describe('memory', () => {
  /** Makes threads, and notes over which memories they race; `failing`: the first one fails. */
  function spying(failing = false) {
    const memories: object[] = [];
    const spawn = () => {
      const thread = racers.spawn();
      const post: typeof thread.post = (message) => {
        memories.push(message.memory);
        thread.post(failing && memories.length === 1 ? { ...message, crowd: 100 } : message);
      };
      return { ...thread, post };
    };
    return { memories, spawn };
  }

  test('is that of the race before, and zero: what was counted there is not counted again', async () => {
    const { memories, spawn } = spying();
    const large = await race(await program('clean-against-writer', 'B3'), { spawn, budgetMs: 100 });
    const small = await race(await program('message-passing', 'MP-sc'), { spawn, budgetMs: 100 });
    const grown = await race(await program('reaper-fullmm-whole', 'H0'), { spawn, budgetMs: 100 });
    expect(new Set(memories).size).toBe(1);
    for (const { outcomes, executions, deaths } of [large, small, grown]) {
      expect(deaths).toEqual([]);
      expect(outcomes.reduce((sum, { count }) => sum + count, 0)).toBe(executions);
    }
    expect(states(small)).not.toContain('');
    expect(grown.outcomes.flatMap(({ violated }) => violated)).toEqual([]);
  });

  test('is not used again if a thread may still be in it', async () => {
    const { memories, spawn } = spying(true);
    const result = await race(await program('message-passing', 'MP-sc'), { spawn, budgetMs: 1500 });
    expect(result.deaths).toHaveLength(1);
    expect(memories).toHaveLength(4);
    expect(memories[2]).not.toBe(memories[0]);
  });

  test('of two races side by side is not shared', async () => {
    const one = spying();
    const other = spying();
    const mp = await program('message-passing', 'MP-sc');
    await Promise.all([one, other].map(({ spawn }) => race(mp, { spawn, budgetMs: 100 })));
    expect(one.memories.some((memory) => other.memories.includes(memory))).toBe(false);
  });
});

describe('refused, naming what and why', () => {
  test('a number of instances that is no power of two, and of workers that is none', async () => {
    const mp = await program('message-passing', 'MP-sc');
    await expect(race(mp, { instances: 100 })).rejects.toThrow('"instances" must be a power of two, got 100');
    await expect(race(mp, { workers: 0 })).rejects.toThrow('"workers" must be an integer from 1 to 64, got 0');
    await expect(race(mp, { processors: 0 })).rejects.toThrow('"processors" must be at least 1, got 0');
  });

  test('more instances than memory', async () => {
    await expect(race(await program('wrprotect-against-mkwrite', 'A0'), { instances: 2 ** 16 })).rejects.toThrow(
      /exceeds the 4 GiB that WebAssembly addresses/,
    );
  });

  test('no SharedArrayBuffer', async () => {
    const mp = await program('message-passing', 'MP-sc');
    vi.stubGlobal('SharedArrayBuffer', undefined);
    await expect(race(mp)).rejects.toThrow(/Cross-Origin-Opener-Policy: same-origin/);
  });
});
