// The explorer knows all that a step changes and all that it depends on.
//
// It remembers steps by what they say they touch. Here every word of memory is looked at after each of them; and each is made again with
// garbage in all mutable words that it has not said it touches.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CPU_FAULT_VA,
  CPU_FAULTS,
  HW_EVICT,
  HW_SPECULATE,
  VM_READ,
  VM_UFFD_WP,
  VM_WRITE,
} from '../../assembly/layout.ts';
import { compile, type Instruction, type LitmusProgram, parametersOf, variantsOf } from '../../src/litmus/index.ts';
import { parseScenario } from '../../src/litmus/parse.ts';
import type { LitmusSymbol, World } from '../../src/litmus/program.ts';
import { watchFootprint } from '../support/footprint.ts';
import { EMPTY_WORLD, I, makeCpu, makeProgram, ops, set } from '../support/litmus.ts';

const MACHINES = ['recheck', 'nowcheck', 'blind', 'lazy-lost', 'lazy-wb', 'swdirty'] as const;
const SHOOTDOWNS = ['ipi', 'broadcast'] as const;
const MOST_STATES = 450;
const MOST_STATES_OF_WHOLE = 100;
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

/**
 * What may change unsaid: when TLB entries were used last, which says which of them makes room, and none has to (machine.ts, mayMakeRoom); and what
 * the last fault of a CPU was, which is for who looks at it from outside. That no step reads it is tested here, by garbage.
 */
const isAllowed = (name: string) => {
  const [, field] = /^cpu of \S+ \+ (\d+)$/.exec(name) ?? [];
  if (field !== undefined && Number(field) >= CPU_FAULT_VA && Number(field) < CPU_FAULTS) return true;
  const [, offset] = /^tlb of \S+ \+ (\d+)$/.exec(name) ?? [];
  return offset !== undefined && [24, 28].includes((Number(offset) - FIRST_ENTRY) % 32);
};
/** Offset of the first entry in the block of a litmus TLB: descriptors of 16 arrays and 64 ways before it (layout.ts). */
const FIRST_ENTRY = 448 + 16 * 128 + 64 * 4;

async function check(program: LitmusProgram, maxStates = MOST_STATES): Promise<void> {
  const { undeclared, dependent, steps } = await watchFootprint(program, isAllowed, maxStates);
  expect({ undeclared, dependent }).toEqual({ undeclared: [], dependent: [] });
  expect(steps).toBeGreaterThan(5);
}

const FOLDER = 'src/scenarios';
describe.each(readdirSync(FOLDER).filter((name) => name.endsWith('.litmus')))(`%s (sample of seed ${SEED})`, (name) => {
  const parsed = parseScenario(readFileSync(`${FOLDER}/${name}`, 'utf8'));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { variant } = variantsOf(parsed.scenario)[0] ?? { variant: {} };
  const anyOf = fc.record(
    Object.fromEntries(parametersOf(parsed.scenario).map((each) => [each.name, fc.constantFrom(...each.values)])),
  );
  const sample = fc.sample(anyOf, { seed: SEED, numRuns: 1 });
  test.each(sample.map((any) => [Object.values(any).join(' '), any] as const))('%s', async (_, any) => {
    await check(compile(parsed.scenario, any), MOST_STATES_OF_WHOLE);
  });
  if (name.endsWith('-whole.litmus')) {
    // Whole functions of the core touch much.
    test.each(SHOOTDOWNS)('%s', async (shootdown) => {
      await check(compile(parsed.scenario, { ...variant, shootdown }), MOST_STATES_OF_WHOLE);
    });
    test.each(SHOOTDOWNS)('%s, with store buffers', async (shootdown) => {
      await check(compile(parsed.scenario, { ...variant, shootdown, memory: 'tso' }), MOST_STATES_OF_WHOLE);
    });
    return;
  }
  test.each(SHOOTDOWNS)('%s', async (shootdown) => check(compile(parsed.scenario, { ...variant, shootdown })), 120_000);
  test('D written back, broadcast', async () => {
    await check(compile(parsed.scenario, { ...variant, machine: 'lazy-wb', shootdown: 'broadcast' }));
  });
  test.each(SHOOTDOWNS)('%s, with store buffers', async (shootdown) => {
    await check(compile(parsed.scenario, { ...variant, shootdown, memory: 'tso' }));
  });
});

describe.each(SHOOTDOWNS)('programs by hand, %s', (shootdown) => {
  test.each(MACHINES)('user accesses, faults, fills and evictions on %s', async (machine) => {
    const user = [
      I(ops.OP_SYMBOL, { d: 1, c: VA }),
      set(2, 5n),
      I(ops.OP_USER_LOAD, { d: 3, a: 1, c: ops.NO_SYMBOL }),
      I(ops.OP_USER_STORE, { a: 1, b: 2, c: LAST }),
      I(ops.OP_USER_EXCHANGE, { d: 3, a: 1, b: 2, c: LAST }),
      I(ops.OP_USER_FETCH, { a: 1, c: ops.NO_SYMBOL }),
      I(ops.OP_TLB_EVICT, { a: 1 }),
      I(ops.OP_TLB_FILL, { a: 1 }),
      I(ops.OP_USER_STORE, { a: 1, b: 2, c: LAST }),
    ];
    // The handler maps the page again, once it is allowed to: until then the access is given up.
    const handler = [
      I(ops.OP_SPIN_LOCK, { c: PTL }),
      I(ops.OP_LOAD64, { d: 4, c: SLOT }),
      I(ops.OP_SPIN_UNLOCK, { c: PTL }),
      I(ops.OP_GIVE_UP),
    ];
    await check(
      makeProgram({
        world: world({ machine, shootdown, entries: [{ cpu: 0, page: 'x', write: true, dirty: false }] }),
        symbols: SYMBOLS,
        cpus: [
          userCpu('P0', user, handler),
          makeCpu('P1', [
            I(ops.OP_SPIN_LOCK, { c: PTL }),
            set(1, 0n),
            I(ops.OP_EXCHANGE64, { d: 2, c: SLOT, a: 1 }),
            I(ops.OP_PTE, { d: 2, a: 2, immediate: BigInt(ops.PTE_MKCLEAN) }),
            I(ops.OP_STORE64, { c: SLOT, a: 2 }),
            I(ops.OP_SPIN_UNLOCK, { c: PTL }),
            I(ops.OP_SYMBOL, { d: 6, c: VA }),
            I(ops.OP_FLUSH_RANGE, { c: MM, a: 6, b: 6, immediate: 0n }),
          ]),
        ],
      }),
    );
  });

  test('two that flush at once, a lazy CPU, and an mm that is left and loaded again', async () => {
    const touch = [I(ops.OP_SYMBOL, { d: 1, c: VA }), I(ops.OP_USER_LOAD, { d: 3, a: 1, c: ops.NO_SYMBOL })];
    await check(
      makeProgram({
        world: world({ shootdown, entries: [{ cpu: 0, page: 'x', write: true, dirty: true }] }),
        symbols: SYMBOLS,
        cpus: [
          userCpu('P0', touch, [I(ops.OP_GIVE_UP)]),
          {
            ...makeCpu('P1', [
              I(ops.OP_ENTER_LAZY),
              I(ops.OP_LEAVE_LAZY, { d: 2 }),
              I(ops.OP_FLUSH_MM, { c: MM, immediate: 0n }),
              set(4, 2n),
              I(ops.OP_LOAD_MM, { c: ops.NO_SYMBOL, a: 4 }),
              I(ops.OP_LOAD_MM_KEEP, { c: MM, a: 4 }),
            ]),
            mm: 'A',
          },
          makeCpu('P2', [
            I(ops.OP_SYMBOL, { d: 6, c: VA }),
            I(ops.OP_FLUSH_LOCAL, { a: 6 }),
            I(ops.OP_FLUSH_RANGE, { c: MM, a: 6, b: 6, immediate: 1n << 63n }),
          ]),
        ],
      }),
    );
  });

  test('D that stands in several entries is written back when they go, unasked too', async () => {
    const page = world({}).pages[0] as World['pages'][number];
    const pages = [page, { ...page, name: 'y', va: 0x8000n }];
    const touch = [I(ops.OP_SYMBOL, { d: 1, c: VA }), set(2, 5n), I(ops.OP_USER_STORE, { a: 1, b: 2, c: LAST })];
    await check(
      makeProgram({
        world: world({
          machine: 'lazy-wb',
          shootdown,
          pages,
          entries: pages.map(({ name }) => ({ cpu: 0, page: name, write: true, dirty: true })),
          hardware: [{ cpu: 0, flags: HW_EVICT | HW_SPECULATE, structures: false, page: 'y' }],
        }),
        symbols: SYMBOLS,
        cpus: [
          userCpu('P0', touch, [I(ops.OP_GIVE_UP)]),
          makeCpu('P1', [I(ops.OP_FLUSH_MM, { c: MM, immediate: 0n })]),
        ],
      }),
    );
  });

  test('frames, and locks of all kinds', async () => {
    const frames = [
      I(ops.OP_FRAME_ALLOCATE, { d: 1 }),
      I(ops.OP_FRAME_OWN, { a: 1, c: MM }),
      I(ops.OP_FRAME_GET, { a: 1 }),
      I(ops.OP_FRAME_DATA, { d: 2, a: 1 }),
      I(ops.OP_STORE64, { b: 2, c: ops.NO_SYMBOL, a: 1 }),
      I(ops.OP_FRAME_PUT, { a: 1 }),
      I(ops.OP_FRAME_PUT, { a: 1 }),
    ];
    const locks = [
      I(ops.OP_WRITE_LOCK, { c: MMAP_LOCK }),
      I(ops.OP_DOWNGRADE, { c: MMAP_LOCK }),
      I(ops.OP_SPIN_TRYLOCK, { d: 3, c: PTL }),
      I(ops.OP_IF_ZERO, { a: 3, c: 5 }),
      I(ops.OP_SPIN_UNLOCK, { c: PTL }),
      I(ops.OP_READ_UNLOCK, { c: MMAP_LOCK }),
      I(ops.OP_READ_LOCK, { c: MMAP_LOCK }),
      I(ops.OP_READ_UNLOCK, { c: MMAP_LOCK }),
    ];
    await check(
      makeProgram({
        world: world({ shootdown }),
        symbols: SYMBOLS,
        cpus: [makeCpu('P0', frames), makeCpu('P1', frames), makeCpu('P2', locks), makeCpu('P3', locks)],
      }),
    );
  });

  test.each([
    ['clear_refs', ops.CALL_CLEAR_REFS, 0n],
    ['madvise(MADV_DONTNEED)', ops.CALL_MADV_DONTNEED, 0n],
    ['mprotect(PROT_READ)', ops.CALL_MPROTECT, BigInt(VM_READ)],
    ['userfaultfd write-protect', ops.CALL_UFFD_WP, 0n],
    ['munmap', ops.CALL_MUNMAP, 0n],
  ])('%s as a whole beside a writer', async (_, which, extra) => {
    const F = ops.FIRST_ARGUMENT;
    await check(
      makeProgram({
        world: world({ shootdown, entries: [{ cpu: 0, page: 'x', write: true, dirty: true }] }),
        symbols: SYMBOLS,
        cpus: [
          userCpu(
            'P0',
            [I(ops.OP_SYMBOL, { d: 1, c: VA }), set(2, 5n), I(ops.OP_USER_STORE, { a: 1, b: 2, c: LAST })],
            [I(ops.OP_GIVE_UP)],
          ),
          makeCpu('P1', [
            I(ops.OP_SYMBOL, { d: F, c: MM }),
            I(ops.OP_SYMBOL, { d: F + 1, c: VA }),
            set(2, 0xfffn),
            I(ops.OP_ADD, { d: F + 2, a: F + 1, b: 2 }),
            set(F + 4, extra),
            I(ops.OP_CALL, { d: 3, c: which, immediate: 0n }),
          ]),
        ],
      }),
    );
  });
});

const SYMBOLS: LitmusSymbol[] = [
  { of: 'page', name: 'x', field: 'va' },
  { of: 'page', name: 'x', field: 'slot' },
  { of: 'page', name: 'x', field: 'ptl' },
  { of: 'page', name: 'x', field: 'last' },
  { of: 'mm', name: 'A', field: 'handle' },
  { of: 'mm', name: 'A', field: 'mmap_lock' },
];
const [VA, SLOT, PTL, LAST, MM, MMAP_LOCK] = [0, 1, 2, 3, 4, 5];

function world(parts: Partial<World>): World {
  return {
    ...EMPTY_WORLD,
    mms: [{ name: 'A', splitPtl: true }],
    frames: [{ name: 'F', value: 0n, owner: 'A', references: 1 }],
    vmas: [
      {
        name: 'v',
        mm: 'A',
        start: 0x7000n,
        end: 0x8000n,
        flags: VM_READ | VM_WRITE | VM_UFFD_WP,
        file: undefined,
        pgoff: 7n,
      },
    ],
    pages: [
      {
        name: 'x',
        mm: 'A',
        va: 0x7000n,
        entry: {
          kind: 'mapped',
          frame: 'F',
          write: true,
          dirty: false,
          accessed: true,
          softDirty: false,
          uffdWp: false,
          special: false,
        },
      },
    ],
    ...parts,
  };
}

function userCpu(name: string, code: readonly Instruction[], handler: readonly Instruction[]) {
  return {
    ...makeCpu(name, []),
    code: [...code, I(ops.OP_HALT), ...handler],
    mode: 'user' as const,
    mm: 'A',
    handler: code.length + 1,
  };
}
