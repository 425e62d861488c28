// Random small programs over few words and locks, so that they collide: for tests of the explorer against a dull oracle.
//
// Guarantees: a program is well formed (what it unlocks it has locked, an atomic block ends), and it ends or runs in a circle over
// finitely many states. It may deadlock, forget a lock, and violate what it asserts.

import fc from 'fast-check';
import type { Instruction, LitmusProgram } from '../../src/litmus/program.ts';
import { EMPTY_WORLD, I, makeCpu, makeProgram, ops } from './litmus.ts';

export interface Shape {
  readonly words: number;
  readonly spins: number;
  readonly rws: number;
  readonly cpus: readonly [number, number];
  /** Most statements of a CPU. */
  readonly statements: number;
  /** Without several accesses in one step, which threads cannot make, and loops that may never end. */
  readonly tame?: true;
}

/** Registers 1 to VALUES are those that programs compute with; the next ones are for the statements' own use. */
const VALUES = 3;
const [LEFT, RIGHT] = [VALUES + 1, VALUES + 2];

type Block = readonly Instruction[];

/** A statement is code at place 0: jumps are moved when it is put somewhere. */
function statement(shape: Shape, depth: number): fc.Arbitrary<Block> {
  const word = fc.nat(shape.words - 1);
  const register = fc.integer({ min: 1, max: VALUES });
  const small = fc.bigInt(0n, 2n);
  const access: fc.Arbitrary<Block> = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(word, register).map(([c, d]) => [I(ops.OP_LOAD64, { d, c })]) },
    { weight: 3, arbitrary: fc.tuple(word, small).map(([c, v]) => [setTo(v), I(ops.OP_STORE64, { c, a: LEFT })]) },
    fc.tuple(word, register).map(([c, a]) => [I(ops.OP_STORE64, { c, a })]),
    fc.tuple(word, register).map(([c, d]) => [I(ops.OP_LOAD32, { d, c })]),
    fc.tuple(word, small).map(([c, v]) => [setTo(v), I(ops.OP_STORE32, { c, a: LEFT })]),
    fc.tuple(word, register, small).map(([c, d, v]) => [setTo(v), I(ops.OP_EXCHANGE64, { d, c, a: LEFT })]),
    fc
      .tuple(word, register, small, small)
      .map(([c, d, from, to]) => [
        setTo(to),
        setTo(from, RIGHT),
        I(ops.OP_COMPARE64, { d, c, a: LEFT, immediate: BigInt(RIGHT) }),
      ]),
    fc.tuple(word, register).map(([c, d]) => [setTo(1n), I(ops.OP_FETCH_ADD64, { d, c, a: LEFT })]),
    fc.tuple(word, register, small).map(([c, d, v]) => [setTo(v), I(ops.OP_FETCH_OR64, { d, c, a: LEFT })]),
    fc.tuple(word, register, small).map(([c, d, v]) => [setTo(v), I(ops.OP_FETCH_AND64, { d, c, a: LEFT })]),
  );
  const assertion: fc.Arbitrary<Block> = fc
    .tuple(register, small, fc.boolean())
    .map(([a, v, equal]) => [
      setTo(v),
      I(equal ? ops.OP_EQ : ops.OP_NE, { d: RIGHT, a, b: LEFT }),
      I(ops.OP_ASSERT, { a: RIGHT, c: ops.FIRST_INVARIANT + Number(v) }),
    ]);
  const inStep = fc.array(fc.oneof({ weight: 3, arbitrary: access }, assertion), { minLength: 1, maxLength: 3 });
  const wait: fc.Arbitrary<Block> = fc
    .tuple(word, small, fc.boolean())
    .map(([c, v, narrow]) => [
      setTo(v),
      setTo(narrow ? 0xffffffffn : (1n << 64n) - 1n, RIGHT),
      I(narrow ? ops.OP_AWAIT32 : ops.OP_AWAIT64, { c, a: LEFT, immediate: BigInt(RIGHT) }),
    ]);
  const wild: fc.WeightedArbitrary<Block>[] = [
    { weight: 2, arbitrary: inStep.map((blocks) => [I(ops.OP_ATOMIC), ...blocks.flat(), I(ops.OP_JOINED_END)]) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(access, inStep)
        .map(([first, blocks]) => [...first, I(ops.OP_JOINED), ...blocks.flat(), I(ops.OP_JOINED_END)]),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(register, word)
        .map(([d, c]) => [I(ops.OP_LOAD64, { d, c }), I(ops.OP_IF_ZERO, { a: d, c: 0 })]),
    },
  ];
  const simple: fc.WeightedArbitrary<Block>[] = [
    { weight: 12, arbitrary: access },
    { weight: 2, arbitrary: assertion },
    ...(shape.tame ? [] : wild),
    { weight: 1, arbitrary: wait },
    { weight: 1, arbitrary: fc.tuple(register, small).map(([d, v]) => [I(ops.OP_CHOOSE, { d, immediate: v + 1n })]) },
    { weight: 1, arbitrary: fc.constant([I(ops.OP_PAUSE)]) },
    { weight: 1, arbitrary: fc.tuple(register, register, register).map(([d, a, b]) => [I(ops.OP_ADD, { d, a, b })]) },
  ];
  if (depth === 0) return fc.oneof(...simple);
  const body = fc.array(statement(shape, depth - 1), { minLength: 1, maxLength: 2 }).map(concat);
  const nested: fc.WeightedArbitrary<Block>[] = [
    {
      weight: 2,
      arbitrary: fc
        .tuple(register, body)
        .map(([a, code]) => concat([[I(ops.OP_IF_ZERO, { a, c: code.length + 1 })], code])),
    },
  ];
  if (shape.spins > 0) {
    const lock = fc.nat(shape.spins - 1).map((n) => shape.words + n);
    nested.push(
      {
        weight: 3,
        arbitrary: fc
          .tuple(lock, body, fc.integer({ min: 0, max: 9 }))
          .map(([c, code, n]) =>
            concat([[I(ops.OP_SPIN_LOCK, { c })], code, n > 0 ? [I(ops.OP_SPIN_UNLOCK, { c })] : []]),
          ),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(lock, body)
          .map(([c, code]) =>
            concat([
              [I(ops.OP_SPIN_TRYLOCK, { d: RIGHT, c }), I(ops.OP_IF_ZERO, { a: RIGHT, c: code.length + 3 })],
              code,
              [I(ops.OP_SPIN_UNLOCK, { c })],
            ]),
          ),
      },
    );
  }
  if (shape.rws > 0) {
    const lock = fc.nat(shape.rws - 1).map((n) => shape.words + shape.spins + n);
    nested.push({
      weight: 4,
      arbitrary: fc
        .tuple(lock, body, fc.constantFrom('read', 'write', 'downgrade'), body)
        .map(([c, first, how, second]) => {
          if (how === 'read') return concat([[I(ops.OP_READ_LOCK, { c })], first, [I(ops.OP_READ_UNLOCK, { c })]]);
          const writing = concat([[I(ops.OP_WRITE_LOCK, { c })], first]);
          if (how === 'write') return concat([writing, [I(ops.OP_WRITE_UNLOCK, { c })]]);
          return concat([writing, [I(ops.OP_DOWNGRADE, { c })], second, [I(ops.OP_READ_UNLOCK, { c })]]);
        }),
    });
  }
  return fc.oneof(...simple, ...nested);
}

export function programs(shape: Shape): fc.Arbitrary<LitmusProgram> {
  const code = fc.array(statement(shape, 2), { minLength: 1, maxLength: shape.statements }).map(concat);
  const [fewest, most] = shape.cpus;
  const names = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`);
  const [words, spins, rws] = [names('w', shape.words), names('s', shape.spins), names('r', shape.rws)];
  return fc.tuple(fc.array(code, { minLength: fewest, maxLength: most }), fc.nat(2)).map(([cpus, value]) =>
    makeProgram({
      world: {
        ...EMPTY_WORLD,
        words: words.map((name, n) => ({ name, value: n === 0 ? BigInt(value) : 0n })),
        locks: [
          ...spins.map((name) => ({ name, kind: 'spin' as const })),
          ...rws.map((name) => ({ name, kind: 'rw' as const })),
        ],
      },
      symbols: [
        ...words.map((name) => ({ of: 'word' as const, name })),
        ...[...spins, ...rws].map((name) => ({ of: 'lock' as const, name })),
      ],
      cpus: cpus.map((each, n) => makeCpu(`P${n}`, each)),
      invariants: ['ZERO', 'ONE', 'TWO'],
      observed: [
        ...cpus.flatMap((_, cpu) =>
          Array.from({ length: RIGHT }, (_, n) => ({
            of: 'register' as const,
            cpu,
            register: n + 1,
            name: `${cpu}:r${n + 1}`,
          })),
        ),
        ...words.map((name, symbol) => ({ of: 'symbol' as const, symbol, bytes: 8 as const, name })),
      ],
    }),
  );
}

/** As a person would write it. */
export function textOf({ cpus, symbols, world }: LitmusProgram): string {
  const names = new Map(Object.entries(ops).flatMap(([name, op]) => (/^OP_/.test(name) ? [[op, name.slice(3)]] : [])));
  const lines = cpus.map(({ name, code }) => {
    const body = code.map(({ op, ...rest }, place) => {
      const fields = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
      return `  ${place} ${[names.get(op), ...fields].join(' ')}`;
    });
    return [name, ...body].join('\n');
  });
  const at = symbols.map((symbol, n) => `${n}:${'name' in symbol ? symbol.name : ''}`).join(' ');
  return [at, world.words.map(({ name, value }) => `${name}=${value}`).join(' '), ...lines].join('\n');
}

function setTo(immediate: bigint, d = LEFT): Instruction {
  return I(ops.OP_SET, { d, immediate });
}

/** One after the other, each with its jumps moved to where it stands. */
function concat(blocks: readonly Block[]): Block {
  const code: Instruction[] = [];
  for (const block of blocks) {
    const from = code.length;
    for (const each of block) {
      const jumps = each.op === ops.OP_IF_ZERO || each.op === ops.OP_IF_NOT || each.op === ops.OP_JUMP;
      code.push(jumps ? { ...each, c: (each.c ?? 0) + from } : each);
    }
  }
  return code;
}
