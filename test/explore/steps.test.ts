// What a step is to the explorer: that it knows all of what a step touches, and takes it for no other.
//
// Each test is a program that it once explored wrongly.

import { describe, expect, test } from 'vitest';
import { type ExploreResult, explore } from '../../src/explore/explore.ts';
import type { Instruction } from '../../src/litmus/program.ts';
import { EMPTY_WORLD, I, load, makeCpu, makeProgram, ops, set, store, words } from '../support/litmus.ts';

const textsOf = ({ outcomes }: ExploreResult) => outcomes.map(({ text }) => text);
const verdictOf = ({ verdicts }: ExploreResult, name: string) =>
  verdicts.find(({ invariant }) => invariant === name)?.verdict;

/** What belongs to the step before it. */
const joined = (...code: Instruction[]) => [I(ops.OP_JOINED), ...code, I(ops.OP_JOINED_END)];
const atomic = (...code: Instruction[]) => [I(ops.OP_ATOMIC), ...code, I(ops.OP_JOINED_END)];

describe.each([false, true])('reduced: %s', (reduce) => {
  // P1 and P2 look at different words of P0's one step. The second word, which is found to be shared in the middle of an atomic block,
  // must not leave what comes next in one block.
  test('a step that touches two words is met by who looks at one of them', async () => {
    const { words: list, symbols } = words(2);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), store(0, 1), ...joined(store(1, 1))]),
        makeCpu('P1', atomic(load(2, 1))),
        makeCpu('P2', [load(2, 0)]),
      ],
      observed: [
        { of: 'register', cpu: 1, register: 2, name: 'b' },
        { of: 'register', cpu: 2, register: 2, name: 'a' },
      ],
    });
    expect(textsOf(await explore(program, { reduce }))).toEqual(['b=0 a=0', 'b=0 a=1', 'b=1 a=0', 'b=1 a=1']);
  });

  test('a choice whose step goes on to touch a word', async () => {
    const { words: list, symbols } = words(1);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), I(ops.OP_CHOOSE, { d: 2, immediate: 2n }), ...joined(store(0, 1))]),
        makeCpu('P1', [load(3, 0), store(0, 3)]),
      ],
      observed: [
        { of: 'register', cpu: 1, register: 3, name: 'r' },
        { of: 'symbol', symbol: 0, bytes: 8, name: 'a' },
      ],
    });
    expect(textsOf(await explore(program, { reduce }))).toEqual(['r=0 a=0', 'r=0 a=1', 'r=1 a=1']);
  });

  test('who waits for 2 and saw 1 waits on', async () => {
    const { words: list, symbols } = words(1);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 2n), set(3, 0xffn), I(ops.OP_AWAIT64, { c: 0, a: 1, immediate: 3n })]),
        makeCpu('P1', [set(1, 1n), store(0, 1)]),
      ],
    });
    const result = await explore(program, { reduce });
    expect(verdictOf(result, 'DEADLOCK')).toBe('violated');
    // Before and after P1's store: about to look; waits since it saw 0. And, after it: waits since it saw 1.
    expect(result.states).toBe(5);
  });

  // Nobody writes the word, so looking at it is no step; waiting for it is.
  test('who waits for what nobody writes has deadlocked, though others read it', async () => {
    const { words: list, symbols } = words(1);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [load(1, 0)]),
        makeCpu('P1', [set(1, 1n), set(3, 1n), I(ops.OP_AWAIT64, { c: 0, a: 1, immediate: 3n })]),
      ],
    });
    expect(verdictOf(await explore(program, { reduce }), 'DEADLOCK')).toBe('violated');
  });

  // P0 begins before anybody is known to write the word, and must come back to the state that it left.
  test('who looks at a word in a loop until it changes', async () => {
    const { words: list, symbols } = words(1);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [makeCpu('P0', [load(1, 0), I(ops.OP_IF_ZERO, { a: 1, c: 0 })]), makeCpu('P1', [set(1, 1n), store(0, 1)])],
      observed: [{ of: 'register', cpu: 0, register: 1, name: 'r' }],
    });
    const result = await explore(program, { reduce });
    expect(textsOf(result)).toEqual(['r=1']);
    expect({ states: result.states, deadlock: verdictOf(result, 'DEADLOCK') }).toEqual({
      states: 3,
      deadlock: 'holds',
    });
  });

  // P0 alone touches a; what is joined to that access is seen by P1.
  test('an access is a step if others can see what is joined to it', async () => {
    const { words: list, symbols } = words(3);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [set(1, 1n), store(2, 1), store(0, 1), ...joined(store(1, 1))]),
        makeCpu('P1', [load(2, 1), load(3, 2)]),
      ],
      observed: [
        { of: 'register', cpu: 1, register: 2, name: 'b' },
        { of: 'register', cpu: 1, register: 3, name: 'c' },
      ],
    });
    expect(textsOf(await explore(program, { reduce }))).toEqual(['b=0 c=0', 'b=0 c=1', 'b=1 c=1']);
  });

  // While nobody is known to share a word, P0 comes to its assertion before its first step; then it is known, and the store is a step.
  test('an exploration that is begun anew knows nothing of violations of the one before', async () => {
    const { words: list, symbols } = words(2);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [
          set(1, 1n),
          store(0, 1),
          ...joined(I(ops.OP_ASSERT, { a: 2, c: ops.FIRST_INVARIANT }), load(3, 1)),
        ]),
        makeCpu('P1', [set(1, 1n), store(1, 1)]),
      ],
      invariants: ['ALWAYS'],
    });
    const { verdicts } = await explore(program, { reduce });
    expect(verdicts.find(({ invariant }) => invariant === 'ALWAYS')?.schedule?.length).toBe(1);
  });

  test('a program may fail before its first step', async () => {
    const { words: list, symbols } = words(1);
    const program = makeProgram({
      world: { ...EMPTY_WORLD, words: list },
      symbols,
      cpus: [
        makeCpu('P0', [I(ops.OP_ASSERT, { a: 0, c: ops.FIRST_INVARIANT }), set(1, 1n), store(0, 1)]),
        makeCpu('P1', [load(1, 0)]),
      ],
      invariants: ['NEVER'],
    });
    const { verdicts } = await explore(program, { reduce });
    expect(verdicts.find(({ invariant }) => invariant === 'NEVER')).toMatchObject({
      invariant: 'NEVER',
      verdict: 'violated',
      schedule: [],
    });
  });

  test('what holds at once has the empty schedule', async () => {
    const program = makeProgram({
      cpus: [makeCpu('P0', [])],
      observed: [{ of: 'register', cpu: 0, register: 1, name: 'r' }],
      condition: {
        quantifier: '~exists',
        text: 'r == 0',
        term: { kind: 'compare', operator: '==', left: { observed: 0 }, right: { value: 0n } },
      },
    });
    const { verdicts } = await explore(program, { reduce });
    expect(verdicts.at(-1)).toMatchObject({ invariant: 'r == 0', verdict: 'violated', schedule: [] });
  });
});
