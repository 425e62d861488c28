// Which lines of memory the programs of an instance may change: what a round has to put back, and who does.
//
// Guarantees: a line that may change is on the list of exactly one CPU; a test compares whole memories. What nothing depends on is left out:
// statistics, what a walk notes for itself, hints, clocks. Who puts a line back is a matter of speed only: a CPU's own lines stand in
// the cache of the processor that runs it, and a line of several is best put back where it was written.

import {
  CONTROL,
  CONTROL_FOLIOS,
  CONTROL_FREE_HEAD,
  CONTROL_HEAP_FREE,
  CONTROL_LIVE,
  CPU_BYTES,
  CPU_FAULT_VA,
  CPU_FAULTS,
  CPU_MODE,
  CPU_PENDING,
  CPU_REQUESTS,
  CPU_SLOT,
  CPU_STRAYS,
  ENTRY_BYTES,
  EXPLORED_BYTES,
  FOLIO_BYTES,
  GHOST_BYTES,
  LITMUS_BYTES,
  LITMUS_REGISTERS,
  MAPPING_BYTES,
  META_BYTES,
  MM_BYTES,
  MM_SPACE,
  REQUEST_BYTES,
  RWLOCK_BYTES,
  SPACE_BYTES,
  TLB_HINTS_AT,
  TLB_HINTS_MASK,
  VMA_BYTES,
} from '../../assembly/layout.ts';
import {
  NO_SYMBOL,
  OP_CALL,
  OP_DOWNGRADE,
  OP_ENTER_LAZY,
  OP_ENTER_USER,
  OP_FLUSH_MM,
  OP_FLUSH_RANGE,
  OP_FRAME_ALLOCATE,
  OP_FRAME_GET,
  OP_FRAME_OWN,
  OP_FRAME_PUT,
  OP_LEAVE_LAZY,
  OP_LEAVE_USER,
  OP_LOAD_MM,
  OP_LOAD_MM_KEEP,
  OP_SPIN_LOCK,
  OP_STORE64,
  OP_USER_EXCHANGE,
  OP_USER_FETCH,
  OP_USER_LOAD,
  OP_USER_STORE,
  REG_FAULT_VA,
  REGISTERS,
} from '../../assembly/litmus/ops_bits.ts';
import type { CoreExports } from '../core/exports.ts';
import type { CpuProgram, Instruction, LitmusProgram, PageSpec } from '../litmus/program.ts';
import { type Instance, type InstanceCpu, type InstancePage, LITMUS_TLB_WAYS, mostEntries } from '../litmus/world.ts';

export const LINE = 64;

/** What one CPU puts back, addresses of lines: `own` nobody else touches, nor `faulted`, which only a fault writes. */
export interface SeatLines {
  readonly own: readonly number[];
  readonly shared: readonly number[];
  readonly faulted: readonly number[];
}

/** Where an instance stands: the memory, its island, and its frames `first` to `first + frames - 1`. */
export interface Site {
  readonly core: CoreExports;
  readonly view: DataView;
  readonly island: number;
  readonly first: number;
  readonly frames: number;
}

/** For each CPU of the instance, `afterwards` last, which puts back what it alone uses; `effects`: those of its program. */
export function linesOf(instance: Instance, site: Site, effects: Effects): readonly SeatLines[] {
  const count = instance.program.cpus.length;
  const seats = instance.cpus.map((cpu) => ownLines(cpu, instance, site, effects));
  const taken = new Set(seats.flatMap(({ own, shared, faulted }) => [...own, ...shared, ...faulted]));
  const uses = usesOf(instance, site, effects);
  for (const line of sharedLines(instance, site, effects, uses)) {
    if (taken.has(line)) continue;
    taken.add(line);
    const much = uses.get(line);
    let cpu = 0;
    for (let other = 1; other < count; other++) {
      const more = (much?.[other] ?? 0) - (much?.[cpu] ?? 0);
      const fewer = (seats[cpu]?.shared.length ?? 0) - (seats[other]?.shared.length ?? 0);
      if (more > 0 || (more === 0 && fewer > 0)) cpu = other;
    }
    seats[cpu]?.shared.push(line);
  }
  return seats;
}

/** The CPU that used most of what `afterwards` looks at: whose processor is to judge. */
export function judgeOf(seats: readonly SeatLines[], cpus: number): number {
  return range(0, cpus).reduce((a, b) => ((seats[b]?.shared.length ?? 0) > (seats[a]?.shared.length ?? 0) ? b : a));
}

/** What instructions do beside computing and storing to words that they name. */
export interface Effects {
  /** Whole functions, which may do anything to what the kernel has. */
  readonly calls: boolean;
  /** Stores to addresses in registers: to any word that has a name. */
  readonly anywhere: boolean;
  /** Frames come and go. */
  readonly frames: boolean;
  readonly owners: boolean;
  /** Requests between CPUs, and generations. */
  readonly flushes: boolean;
  /** CPUs change their mm. */
  readonly loads: boolean;
  /** CPUs enter and leave user mode in the middle of their programs. */
  readonly modes: boolean;
  /** A store may reach a frame that its page did not show at the start: PTEs change, or nothing says which page it is. */
  readonly strays: boolean;
}

export function effectsOf(program: LitmusProgram): Effects {
  const all = programsOf(program).flatMap(({ code }) => code);
  const has = (...ops: number[]) => all.some(({ op }) => ops.includes(op));
  const calls = has(OP_CALL);
  return {
    calls,
    anywhere: calls || all.some((each) => storesToWord(each) && (each.c ?? NO_SYMBOL) === NO_SYMBOL),
    frames: calls || has(OP_FRAME_ALLOCATE, OP_FRAME_GET, OP_FRAME_PUT),
    owners: calls || has(OP_FRAME_OWN),
    flushes: calls || has(OP_FLUSH_RANGE, OP_FLUSH_MM),
    loads: calls || has(OP_LOAD_MM, OP_LOAD_MM_KEEP, OP_ENTER_LAZY, OP_LEAVE_LAZY),
    modes: calls || has(OP_ENTER_USER, OP_LEAVE_USER),
    strays:
      calls || all.some((each) => storesToWord(each) || (storesToPage(each) && (each.c ?? NO_SYMBOL) === NO_SYMBOL)),
  };
}

/** May frames be freed twice, or tables that are walked? */
export function freesFrames(program: LitmusProgram): boolean {
  return effectsOf(program).frames;
}

export function hasCalls(program: LitmusProgram): boolean {
  return effectsOf(program).calls;
}

export function programsOf({ cpus, afterwards }: LitmusProgram): readonly CpuProgram[] {
  return afterwards === undefined ? cpus : [...cpus, afterwards];
}

/** Stores to words, and locks. */
function storesToWord({ op }: Instruction): boolean {
  return op >= OP_STORE64 && op <= OP_DOWNGRADE;
}

function storesToPage({ op }: Instruction): boolean {
  return op === OP_USER_STORE || op === OP_USER_EXCHANGE;
}

// ---- what one CPU uses

function ownLines(
  { block, cpu, tlb, program }: InstanceCpu,
  instance: Instance,
  { view }: Site,
  { calls, frames, flushes, loads, modes }: Effects,
): { readonly own: number[]; readonly shared: number[]; readonly faulted: number[] } {
  const own = new Lines();
  const shared = new Lines();
  const faulted = new Lines();
  own.add(block, LITMUS_REGISTERS);
  if (calls) own.add(block, LITMUS_BYTES);
  const accesses = program.code.some(({ op }) => op >= OP_USER_LOAD && op <= OP_USER_FETCH);
  for (const { d = 0 } of program.code) own.add(block + LITMUS_REGISTERS + 8 * d, 8);
  for (const register of accesses ? range(REG_FAULT_VA, REGISTERS) : []) {
    faulted.add(block + LITMUS_REGISTERS + 8 * register, 8);
  }
  (flushes || loads || modes ? own : faulted).add(cpu + CPU_MODE, CPU_PENDING + 8 - CPU_MODE);
  if (instance.program.world.mms.length === 0) return { own: own.list, shared: [], faulted: faulted.list };
  if (flushes || loads) own.add(cpu, CPU_MODE);
  if (flushes) shared.add(cpu + CPU_REQUESTS, REQUEST_BYTES * instance.cpus.length);
  if (accesses || calls) (calls ? own : faulted).add(cpu + CPU_FAULT_VA, CPU_FAULTS - CPU_FAULT_VA);
  if (frames) own.add(cpu + CPU_STRAYS, 4);
  if (loads) own.add(cpu + CPU_SLOT, CPU_BYTES - CPU_SLOT);
  if (tlb !== 0) {
    // The ways before the entries are hints, right or wrong.
    const entries = view.getUint32(tlb + TLB_HINTS_AT, true) + view.getUint32(tlb + TLB_HINTS_MASK, true) + 4;
    const { world } = instance.program;
    const divided = calls || world.hardware?.some(({ structures }) => structures) === true;
    // The lowest way that is free is filled.
    const ways = divided ? LITMUS_TLB_WAYS : Math.min(LITMUS_TLB_WAYS, mostEntries(instance.program));
    own.add(entries, ways * ENTRY_BYTES);
  }
  const always = own.list;
  return { own: always, shared: shared.list, faulted: faulted.list.filter((line) => !always.includes(line)) };
}

// ---- what all may use

function sharedLines(
  instance: Instance,
  { core, view, island, first, frames }: Site,
  effects: Effects,
  uses: ReadonlyMap<number, readonly number[]>,
): readonly number[] {
  const { calls, anywhere } = effects;
  const u32 = (address: number) => view.getUint32(address, true);
  const word = (address: number) => island + address - CONTROL;
  const lines = new Lines();
  for (const line of uses.keys()) lines.add(line, 1);
  for (const { name, entry } of instance.program.world.pages) {
    const { slot } = instance.pages.get(name) as InstancePage;
    if (anywhere || hardwareSets(entry)) lines.add(slot, 8);
  }
  if (effects.flushes || effects.loads) for (const mm of instance.mms.values()) lines.add(mm, MM_BYTES);
  if (effects.owners && instance.owners !== 0) lines.add(instance.owners + first * 8, frames * 8);
  if (effects.frames) {
    lines.add(word(CONTROL_FREE_HEAD), 8);
    lines.add(word(CONTROL_LIVE), 8);
    lines.add(core.frameMeta(first) >>> 0, frames * META_BYTES);
    for (const pfn of range(first, first + frames)) lines.add(core.frameAddress(pfn) >>> 0, EXPLORED_BYTES);
  }
  if (anywhere) {
    for (const mm of instance.mms.values()) lines.add(mm, MM_BYTES);
    for (const pfn of instance.frames.values()) lines.add(core.frameAddress(pfn) >>> 0, EXPLORED_BYTES);
    for (const each of instance.words.values()) lines.add(each, 8);
    for (const lock of instance.locks.values()) lines.add(lock, RWLOCK_BYTES);
    for (const { ghost } of instance.pages.values()) lines.add(ghost, GHOST_BYTES);
    for (const file of instance.files.values()) lines.add(file, MAPPING_BYTES);
    for (const vma of instance.vmas.values()) lines.add(vma, VMA_BYTES);
  }
  if (calls) {
    // Whole functions may change anything, and allocate.
    lines.add(island, u32(word(CONTROL_HEAP_FREE)) + LINE - island);
    for (const mm of instance.mms.values()) lines.add(u32(mm + MM_SPACE), SPACE_BYTES);
  }
  const folios = u32(CONTROL_FOLIOS);
  if (folios !== 0 && (effects.frames || anywhere)) lines.add(folios + first * FOLIO_BYTES, frames * FOLIO_BYTES);
  return lines.list;
}

/** Is there a bit in the entry of a page, as it stands at the start, that an access sets? One machine sets D in any entry (MACHINE_BLIND). */
function hardwareSets(entry: PageSpec['entry']): boolean {
  return !(entry.kind === 'mapped' && entry.accessed && entry.dirty);
}

/** Of each line to which an instruction stores that names it: how much each CPU, `afterwards` last, uses it. */
function usesOf(instance: Instance, { core }: Site, { strays }: Effects): ReadonlyMap<number, readonly number[]> {
  const uses = new Map<number, number[]>();
  const { symbols, world } = instance.program;
  const programs = programsOf(instance.program);
  const use = (address: number, bytes: number, cpu: number, much: number) => {
    const lines = new Lines();
    lines.add(address, bytes);
    for (const line of lines.list) {
      const each = uses.get(line) ?? programs.map(() => 0);
      each[cpu] = (each[cpu] ?? 0) + much;
      uses.set(line, each);
    }
  };
  for (const [cpu, { code, handler = code.length }] of programs.entries()) {
    for (const [place, instruction] of code.entries()) {
      const { c = NO_SYMBOL, op } = instruction;
      const symbol = c === NO_SYMBOL ? undefined : symbols[c];
      if (symbol === undefined || symbol.of === 'scratch') continue;
      const address = Number(instance.symbols[c]);
      // Faults are few.
      const much = place < handler ? 16 : 1;
      if (storesToWord(instruction)) use(address, op >= OP_SPIN_LOCK ? RWLOCK_BYTES : 8, cpu, much);
      if (!storesToPage(instruction) || symbol.of !== 'page') continue;
      // The ghost words, and the frame that the page shows at the start.
      use(address, GHOST_BYTES, cpu, much);
      const entry = world.pages.find(({ name }) => name === symbol.name)?.entry;
      const pfn = entry?.kind === 'mapped' ? instance.frames.get(entry.frame) : undefined;
      if (pfn !== undefined) use(core.frameAddress(pfn) >>> 0, EXPLORED_BYTES, cpu, much);
    }
    for (const pfn of strays && code.some(storesToPage) ? instance.frames.values() : []) {
      use(core.frameAddress(pfn) >>> 0, EXPLORED_BYTES, cpu, 1);
    }
  }
  return uses;
}

/** Lines of memory, each once. */
class Lines {
  readonly #lines = new Set<number>();

  add(start: number, bytes: number): void {
    for (let line = start - (start % LINE); line < start + bytes; line += LINE) this.#lines.add(line);
  }

  get list(): number[] {
    return [...this.#lines];
  }
}

export function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, n) => first + n);
}
