// A litmus program: one variant of a scenario, compiled. What the parser and the builder make, and what both engines run.
//
// Guarantees: it is plain data (structured cloning and JSON keep it, BigInts apart) and holds no address: code refers to symbols, and each
// instance of the scenario has a table of what they stand for. Two scenarios that say the same give equal programs.

import { OP_CALL, OP_DRAIN, OP_HALT } from '../../assembly/litmus/ops_bits.ts';
import type { DirtyMachine } from '../machine/cpu.ts';

/** The values of a scenario's parameters in one variant, by name, in the order of their declaration. */
export type Variant = Readonly<Record<string, string>>;

export interface LitmusProgram {
  /** Kebab-case name of the scenario. */
  readonly name: string;
  /** The number of the variant in the scenario's table (`A0`), where it has one. */
  readonly id: string | undefined;
  readonly variant: Variant;
  readonly world: World;
  readonly symbols: readonly LitmusSymbol[];
  /** One for each CPU of the scenario, in the order of its columns; with `memory: 'tso'` then one for the store buffer of each user CPU. */
  readonly cpus: readonly CpuProgram[];
  /** Runs on a CPU of its own when all others have ended. */
  readonly afterwards: CpuProgram | undefined;
  /** Names of the invariants that the programs assert: number FIRST_INVARIANT + n is the nth. */
  readonly invariants: readonly string[];
  /** What an outcome lists, in this order. */
  readonly observed: readonly Observed[];
  /** exists, ~exists, forall: judged on every outcome. */
  readonly condition: Condition | undefined;
}

export interface CpuProgram {
  /** As the scenario calls it: `P0`. */
  readonly name: string;
  /** What the head of its column says: `user`, `clear_refs`, … */
  readonly title: string;
  /** A user CPU is in user mode when it starts; a kernel CPU makes no user access but by entering user mode; see `hardware`. */
  readonly mode: 'user' | 'kernel';
  /** The mm it has loaded when it starts. */
  readonly mm: string | undefined;
  readonly asid: number;
  /** It is no CPU but the environment, which lets the stores in the buffer of this CPU reach memory: it never ends, and waits while there are none. */
  readonly drains?: number;
  readonly code: readonly Instruction[];
  /** Place of the fault handler's first instruction. */
  readonly handler: number | undefined;
  /** Registers that have names in the scenario, by number. */
  readonly registers: Readonly<Record<number, string>>;
  /** For each place: where in the file it comes from and how a diagram shows it; undefined: part of the one before. */
  readonly lines: readonly (SourceLine | undefined)[];
}

/** Places of a CPU in a whole function of the kernel, as far as sizes are compared. */
const PLACES_OF_CALL = 20;

/**
 * How many states a program has, by a rule of thumb: as many as places that its CPUs can be in together. Over the catalogue it puts variants in
 * nearly the order of the time that exploring them takes (rank correlation 0.7).
 */
export function sizeOf({ cpus }: LitmusProgram): number {
  return cpus.reduce((size, { code }) => {
    const calls = code.filter(({ op }) => op === OP_CALL).length;
    return size * (1 + code.length + PLACES_OF_CALL * calls);
  }, 1);
}

/** The program that drains the store buffer of CPU number `cpu`, called `name`; `symbol`: the number of the buffer's symbol. */
export function bufferProgram(name: string, cpu: number, symbol: number, line?: SourceLine): CpuProgram {
  return {
    name: `${name} buffer`,
    title: `store buffer of ${name}`,
    mode: 'kernel',
    mm: undefined,
    asid: 1,
    drains: cpu,
    code: [{ op: OP_DRAIN, c: symbol }, { op: OP_HALT }],
    handler: undefined,
    registers: {},
    lines: line === undefined ? [] : [line],
  };
}

export interface SourceLine {
  /** 1-based. */
  readonly line: number;
  /** As written, without indentation and semicolon. */
  readonly text: string;
}

/** One instruction; the fields are those of `assembly/litmus/ops_bits.ts`. */
export interface Instruction {
  readonly op: number;
  readonly d?: number;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly immediate?: bigint;
}

/** What a symbol stands for. Addresses are linear addresses of the instance's memory. */
export type LitmusSymbol =
  | { readonly of: 'word'; readonly name: string } //                      address of a shared word
  | { readonly of: 'lock'; readonly name: string } //                      address of a lock
  | { readonly of: 'mm'; readonly name: string; readonly field: MmField }
  | { readonly of: 'page'; readonly name: string; readonly field: PageField }
  | { readonly of: 'frame'; readonly name: string; readonly field: FrameField }
  | { readonly of: 'vma'; readonly name: string; readonly field: VmaField }
  | { readonly of: 'file'; readonly name: string; readonly field: FileField }
  | { readonly of: 'folio'; readonly name: string; readonly field: FolioField }
  | { readonly of: 'cpu'; readonly number: number; readonly field: CpuField }
  | { readonly of: 'scratch'; readonly offset: number }; //                 address in the CPU's scratch block

/** `handle`: address of the block; the others: address of the field. */
export type MmField = 'handle' | 'mmap_lock' | 'tlb_flush_pending' | 'tlb_gen' | 'cpumask' | 'users' | 'flush_batched';
/**
 * `va`: virtual address. `slot`, `pmd`, `ptl`: addresses of its PTE, of the entry that refers to
 * its table, and of the lock over the PTE. `last`, `guard`, `stored`: the page's ghost words,
 * one after the other: the value that was stored last; the invariants that a store violates now (bit n is invariant number n); 1 once
 * something was stored.
 */
export type PageField = 'va' | 'slot' | 'pmd' | 'ptl' | 'last' | 'guard' | 'stored';
/** `pfn`: its number. `data`: address of its first word. */
export type FrameField = 'pfn' | 'data';
export type VmaField = 'handle' | 'lock' | 'start' | 'end' | 'flags';
export type FileField = 'handle' | 'i_mmap_lock' | 'driver_lock';
export type FolioField = 'handle' | 'lock' | 'flags' | 'mapcount';
export type CpuField = 'handle' | 'lazy' | 'mode' | 'buffer';

/** The state in which a scenario begins. */
export interface World {
  readonly machine: DirtyMachine;
  /** When an invalidation counts as complete. */
  readonly invalidation: 'waited' | 'posted';
  /** How CPUs are asked to invalidate. */
  readonly shootdown: 'ipi' | 'broadcast';
  readonly memory: 'sc' | 'tso';
  readonly mms: readonly MmSpec[];
  readonly files: readonly FileSpec[];
  readonly frames: readonly FrameSpec[];
  readonly vmas: readonly VmaSpec[];
  readonly pages: readonly PageSpec[];
  readonly words: readonly WordSpec[];
  readonly locks: readonly { readonly name: string; readonly kind: 'spin' | 'rw' }[];
  /** What TLBs hold at the start. */
  readonly entries: readonly EntrySpec[];
  /** What the hardware of CPUs does beside what programs ask of it. */
  readonly hardware?: readonly HardwareSpec[];
  /** Words of a page that are copied and compared by whole functions: those that programs name; undefined: 8. */
  readonly pageWords?: number;
}

export interface MmSpec {
  readonly name: string;
  readonly splitPtl: boolean;
  /** Flushes of migrations may be put off; `early`: frames are given up before they are made. */
  readonly deferred?: 'late' | 'early';
}

export interface FileSpec {
  readonly name: string;
  /** Who hears of first stores; with `frame`, its pages are frames of a device. */
  readonly driver?: { readonly frame: string | undefined };
}

/** Slots of the swap area of a scenario. */
export const SWAP_SLOTS = 4;

export interface WordSpec {
  readonly name: string;
  readonly value: bigint;
  readonly part?:
    | { readonly of: 'backing' | 'device'; readonly file: string; readonly index: number }
    | { readonly of: 'record'; readonly file: string }
    | { readonly of: 'swap'; readonly index: number };
}

export interface HardwareSpec {
  readonly cpu: number;
  /** HW_* */
  readonly flags: number;
  /** Walks go by a paging-structure cache, and it is watched whether they read tables that were freed. */
  readonly structures: boolean;
  /** The page that it speculates about. */
  readonly page: string | undefined;
}

export interface FrameSpec {
  readonly name: string;
  /** Its first word. */
  readonly value: bigint;
  /** The mm that owns it, for the invariant ASID. */
  readonly owner: string | undefined;
  /** References at the start; 0: it is free. Of a folio: those beside its entries' and its file's. */
  readonly references: number;
  /** An anonymous page, or a page of a file. */
  readonly folio?: { readonly file: string | undefined; readonly index: number /** PG_* */; readonly flags: number };
}

export interface VmaSpec {
  readonly name: string;
  readonly mm: string;
  readonly start: bigint;
  readonly end: bigint;
  /** VM_* */
  readonly flags: number;
  readonly file: string | undefined;
  readonly pgoff: bigint;
}

export interface PageSpec {
  readonly name: string;
  readonly mm: string;
  readonly va: bigint;
  /** What its PTE is: none, a swap entry, or a mapping of `frame`. */
  readonly entry:
    | { readonly kind: 'none' }
    | { readonly kind: 'swap'; readonly type: number; readonly offset: bigint }
    | {
        readonly kind: 'mapped';
        readonly frame: string;
        readonly write: boolean;
        readonly dirty: boolean;
        readonly accessed: boolean;
        readonly softDirty: boolean;
        readonly uffdWp: boolean;
        readonly special: boolean;
      };
}

export interface EntrySpec {
  readonly cpu: number;
  readonly page: string;
  readonly write: boolean;
  readonly dirty: boolean;
}

/** A value that an outcome shows. */
export type Observed =
  | { readonly of: 'register'; readonly cpu: number; readonly register: number; readonly name: string }
  | { readonly of: 'symbol'; readonly symbol: number; readonly bytes: 4 | 8; readonly name: string };

/** Judged on an outcome: numbers are indices into `observed`. */
export type Term =
  | {
      readonly kind: 'compare';
      readonly operator: '==' | '!=' | '<' | '<=';
      readonly left: Operand;
      readonly right: Operand;
    }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Term[] }
  | { readonly kind: 'not'; readonly term: Term };

export type Operand = { readonly observed: number } | { readonly value: bigint };

export interface Condition {
  readonly quantifier: 'exists' | '~exists' | 'forall';
  readonly term: Term;
  /** As written. */
  readonly text: string;
}
