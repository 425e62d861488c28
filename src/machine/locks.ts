// Who holds which lock and who waits for whom: how a hang is explained.
//
// Guarantees: reading changes nothing and takes no lock, so it works while everything hangs. While threads run it is a glance: what it says of
// locks that are being taken may be a moment old. A deadlock is reported only if it was there twice.
//
// Each agent's block lists the locks it holds or waits for, and the lock says who is inside (assembly/lock/). In the explore build nobody is
// named and no wait noted: there the explorer knows who is suspended where.

import {
  AGENT_AWAITS,
  AGENT_BYTES,
  AGENT_LOCKS,
  AGENT_TAKEN,
  AGENT_WAITS,
  AGENTS,
  CONTROL_FOLIOS,
  CONTROL_FRAMES,
  CONTROL_HEAP_LOCK,
  CONTROL_META,
  CONTROL_POOL_LOCK,
  CONTROL_RCU_LOCK,
  FOLIO_BYTES,
  FOLIO_LOCK,
  HELD_LOCKS,
  LOCK_SLEEPERS,
  LOCKED_HOW,
  LOCKED_READ,
  LOCKED_WRITE,
  MAX_AGENTS,
  META_BYTES,
  META_NEXT,
  RWLOCK_READERS,
  RWLOCK_WRITER,
} from '../../assembly/layout.ts';
import { hex, pfn } from '../units.ts';

/** A lock, and how an agent has or wants it: a lock of one holder, or a reader-writer lock. */
export interface LockUse {
  /** Where its word stands in the memory. */
  readonly address: number;
  /** What it guards, as far as that is known. */
  readonly name: string;
  readonly how: 'alone' | 'reading' | 'writing';
}

/** A lock that an agent waits for, and whom: agents that are inside, or that queued before it. */
export interface LockWait extends LockUse {
  readonly for: readonly number[];
}

/** One agent: a PhysicalMemory object that is joined, mostly a thread. */
export interface AgentLocks {
  readonly agent: number;
  readonly holds: readonly LockUse[];
  readonly waitsFor: LockWait | undefined;
  /** Address of the word for whose change it sleeps: an answer to a flush, a migration entry that goes. */
  readonly awaits: number | undefined;
}

export interface LockReport {
  /** All agents that hold a lock or wait. */
  readonly agents: readonly AgentLocks[];
  /** Agents that wait for each other in a circle, each for the next, the last for the first. */
  readonly deadlocks: readonly (readonly number[])[];
  /** Locks whose holder is not joined any more: it ended without letting go (`releaseAgent` breaks them). */
  readonly abandoned: readonly LockUse[];
}

/** Reads the locks of the memory in `view`; `names` gives names by address. */
export function readLocks(view: DataView, names: ReadonlyMap<number, string>): LockReport {
  const agents = glance(view, names);
  const again = new Map(glance(view, names).map((each) => [each.agent, JSON.stringify(each)]));
  const stuck = agents.filter((each) => again.get(each.agent) === JSON.stringify(each));
  const joined = (agent: number) => view.getUint32(blockOf(agent) + AGENT_TAKEN, true) !== 0;
  const abandoned = stuck.flatMap(({ waitsFor }) => (waitsFor?.for.some((agent) => !joined(agent)) ? [waitsFor] : []));
  return {
    agents,
    deadlocks: circles(stuck),
    abandoned: abandoned.map(({ address, name, how }) => ({ address, name, how })),
  };
}

function glance(view: DataView, names: ReadonlyMap<number, string>): AgentLocks[] {
  const joined = Array.from({ length: MAX_AGENTS }, (_, agent) => agent).filter(
    (agent) => view.getUint32(blockOf(agent) + AGENT_TAKEN, true) !== 0,
  );
  const waits = joined.flatMap((agent) => {
    const note = view.getUint32(blockOf(agent) + AGENT_WAITS, true);
    return note === 0 ? [] : [{ agent, ...useOf(view, names, note) }];
  });
  return joined.flatMap((agent) => {
    const awaits = view.getUint32(blockOf(agent) + AGENT_AWAITS, true);
    const wait = waits.find((each) => each.agent === agent);
    const noted = Array.from({ length: HELD_LOCKS }, (_, n) =>
      view.getUint32(blockOf(agent) + AGENT_LOCKS + 4 * n, true),
    );
    const holds = noted.filter((note) => note !== 0).map((note) => useOf(view, names, note));
    const waited = holds.findIndex(({ address, how }) => address === wait?.address && how === wait.how);
    if (waited >= 0) holds.splice(waited, 1);
    if (holds.length === 0 && wait === undefined && awaits === 0) return [];
    const waitsFor = wait && {
      address: wait.address,
      name: wait.name,
      how: wait.how,
      for: inTheWay(view, waits, wait),
    };
    return [{ agent, holds, waitsFor, awaits: awaits || undefined }];
  });
}

/** What a note in an agent's block says. */
function useOf(view: DataView, names: ReadonlyMap<number, string>, note: number): LockUse {
  const address = (note & ~LOCKED_HOW) >>> 0;
  return { address, name: nameOf(view, names, address), how: HOWS[note & LOCKED_HOW] ?? 'alone' };
}

type Waiting = LockUse & { readonly agent: number };

const HOWS: Readonly<Record<number, LockUse['how']>> = {
  0: 'alone',
  [LOCKED_READ]: 'reading',
  [LOCKED_WRITE]: 'writing',
};

/** The agents that the lock itself says are inside in this manner. */
function inside(view: DataView, address: number, how: LockUse['how']): number[] {
  if (how === 'alone') return numbered(view.getUint32(address, true) & (LOCK_SLEEPERS - 1));
  if (how === 'writing') return numbered(view.getUint32(address + RWLOCK_WRITER, true));
  const readers = view.getBigUint64(address + RWLOCK_READERS, true);
  return Array.from({ length: MAX_AGENTS }, (_, agent) => agent).filter(
    (agent) => ((readers >> BigInt((agent + 1) & 63)) & 1n) === 1n,
  );
}

/** A lock names its holder by agent + 1. */
function numbered(number: number): number[] {
  return number === 0 ? [] : [number - 1];
}

function inTheWay(view: DataView, waits: readonly Waiting[], { agent, address, how }: Waiting): number[] {
  if (how === 'alone') return inside(view, address, how);
  const writer = inside(view, address, 'writing');
  if (how === 'writing') return [...writer, ...inside(view, address, 'reading')];
  if (writer.length > 0) return writer;
  // A reader queues behind writers that wait.
  const ahead = waits.filter((other) => other.address === address && other.how === 'writing' && other.agent !== agent);
  return ahead.map((other) => other.agent);
}

/** Circles of who waits for whom, each once. */
function circles(agents: readonly AgentLocks[]): number[][] {
  const next = new Map(agents.map(({ agent, waitsFor }) => [agent, waitsFor?.for ?? []]));
  const found = new Map<string, number[]>();
  const visit = (agent: number, path: readonly number[]): void => {
    const seen = path.indexOf(agent);
    if (seen >= 0) {
      const circle = path.slice(seen);
      const first = circle.indexOf(Math.min(...circle));
      const turned = [...circle.slice(first), ...circle.slice(0, first)];
      found.set(turned.join(), turned);
      return;
    }
    for (const other of next.get(agent) ?? []) visit(other, [...path, agent]);
  };
  for (const { agent } of agents) visit(agent, []);
  return [...found.values()];
}

function nameOf(view: DataView, names: ReadonlyMap<number, string>, address: number): string {
  const name = names.get(address) ?? CONTROL_LOCKS[address];
  if (name !== undefined) return name;
  const frames = view.getUint32(CONTROL_FRAMES, true);
  const meta = address - META_NEXT - view.getUint32(CONTROL_META, true);
  if (meta >= 0 && meta % META_BYTES === 0 && meta / META_BYTES < frames) {
    return `page-table lock of frame ${hex(pfn(meta / META_BYTES))}`;
  }
  const folios = view.getUint32(CONTROL_FOLIOS, true);
  const folio = address - FOLIO_LOCK - folios;
  if (folios !== 0 && folio >= 0 && folio % FOLIO_BYTES === 0 && folio / FOLIO_BYTES < frames) {
    return `page lock of frame ${hex(pfn(folio / FOLIO_BYTES))}`;
  }
  return `lock at 0x${address.toString(16)}`;
}

const CONTROL_LOCKS: Readonly<Record<number, string>> = {
  [CONTROL_HEAP_LOCK]: 'heap lock',
  [CONTROL_RCU_LOCK]: 'RCU lock',
  [CONTROL_POOL_LOCK]: 'pool lock',
};

function blockOf(agent: number): number {
  return AGENTS + agent * AGENT_BYTES;
}
