// What a CPU's hardware is like, what a fault of it was, and what it counts: how the words of its block are written and read.
//
// Guarantees: nothing here is thrown but for what is no option; a fault is an answer.

import {
  ACCESS_EXECUTE,
  ACCESS_WRITE,
  CPU_AVOIDED,
  CPU_EVICTIONS,
  CPU_FAULT_ACCESS,
  CPU_FAULT_CACHED,
  CPU_FAULT_CAUSE,
  CPU_FAULT_CODE,
  CPU_FAULT_LEVEL,
  CPU_FAULT_VA,
  CPU_FAULTS,
  CPU_FLUSHES,
  CPU_FULL,
  CPU_INTERRUPTS,
  CPU_PARTIAL,
  CPU_SENT,
  CPU_SPECULATIONS,
  CPU_WALKS,
  HW_BROADCAST,
  HW_EVICT,
  HW_NEGATIVE,
  HW_SPECULATE,
} from '../../assembly/layout.ts';
import { type AddressLike, type VirtualAddress, virtualAddress } from '../units.ts';
import type { DirtyMachine } from './cpu.ts';
import { type Fault, faultCause } from './results.ts';

export interface CpuOptions {
  /** What sets D. Default `recheck`. */
  readonly machine?: DirtyMachine;
  /**
   * How others invalidate in its TLB. `interrupt`: they send a request, which it answers between two accesses (x86, RISC-V). `broadcast`: they do it
   * themselves and wait for accesses in flight (arm64 TLBI and DSB, AMD INVLPGB and TLBSYNC). All CPUs of a machine are alike.
   * Default `interrupt`.
   */
  readonly invalidation?: 'interrupt' | 'broadcast';
  /** It may drop any entry before any access, if `memory.seedEnvironment` was called. Default false. */
  readonly evicts?: boolean;
  /** It may fetch a translation that no access needs, likewise: of the page named, or with `true` of the one it is about to access. Default false. */
  readonly speculates?: boolean | AddressLike;
  /**
   * It caches entries that are not present, and a fault drops nothing: who makes an entry present, or grants a right, calls `fence` (RISC-V without
   * Svvptc; arch/riscv/include/asm/pgtable.h, update_mmu_cache_range). Default false.
   */
  readonly cachesAbsent?: boolean;
}

/** The options as the core takes them. @throws RangeError naming what is none. */
export function hardwareOf(options: CpuOptions): { bits: number; prefetch: bigint } {
  const { invalidation = 'interrupt', evicts = false, speculates = false, cachesAbsent = false } = options;
  if (invalidation !== 'interrupt' && invalidation !== 'broadcast') {
    throw new RangeError(`"invalidation" must be interrupt or broadcast, got ${String(invalidation)}`);
  }
  const bits =
    (invalidation === 'broadcast' ? HW_BROADCAST : 0) |
    (evicts ? HW_EVICT : 0) |
    (speculates === false ? 0 : HW_SPECULATE) |
    (cachesAbsent ? HW_NEGATIVE : 0);
  return { bits, prefetch: typeof speculates === 'boolean' ? 0n : virtualAddress(speculates, 'speculates') };
}

/** A user access that faulted: what the handler of a page fault is told. */
export interface UserFault extends Fault {
  readonly va: VirtualAddress;
  readonly access: 'user-read' | 'user-write' | 'user-execute';
  /** A TLB entry refused the access, not the tables: it may have been stale, and the fault spurious. */
  readonly cached: boolean;
}

/** The last fault of the CPU whose block is at `handle`. */
export function faultOf(view: DataView, handle: number): UserFault {
  const access = view.getUint32(handle + CPU_FAULT_ACCESS, true);
  return {
    kind: 'fault',
    cause: faultCause(view.getUint32(handle + CPU_FAULT_CAUSE, true)),
    level: view.getUint32(handle + CPU_FAULT_LEVEL, true),
    code: view.getUint32(handle + CPU_FAULT_CODE, true),
    va: view.getBigUint64(handle + CPU_FAULT_VA, true) as VirtualAddress,
    access:
      (access & ACCESS_EXECUTE) !== 0 ? 'user-execute' : (access & ACCESS_WRITE) !== 0 ? 'user-write' : 'user-read',
    cached: view.getUint32(handle + CPU_FAULT_CACHED, true) !== 0,
  };
}

/** What a CPU counted since it was made. What its TLB counts is the TLB's. */
export interface CpuStatistics {
  /** User accesses that faulted. */
  readonly faults: number;
  /** Walks: refills of the TLB, walks that faulted, and speculation. */
  readonly walks: number;
  /** Translations fetched unasked. */
  readonly speculations: number;
  /** Entries dropped unasked, beside those that made room. */
  readonly evictions: number;
  readonly flush: {
    /** Flushes that it asked for. */
    readonly asked: number;
    /** Requests that it sent to other CPUs. */
    readonly sent: number;
    /** Requests of others that it answered. */
    readonly answered: number;
    /** Times that it invalidated all of an mm. */
    readonly full: number;
    /** Times that it invalidated a range. */
    readonly partial: number;
    /** Requests, own flushes and switches of mm that found its TLB current. */
    readonly avoided: number;
  };
}

/** What the CPU whose block is at `handle` has counted. */
export function statisticsOf(view: DataView, handle: number): CpuStatistics {
  const at = (offset: number) => Number(view.getBigUint64(handle + offset, true));
  return {
    faults: at(CPU_FAULTS),
    walks: at(CPU_WALKS),
    speculations: at(CPU_SPECULATIONS),
    evictions: at(CPU_EVICTIONS),
    flush: {
      asked: at(CPU_FLUSHES),
      sent: at(CPU_SENT),
      answered: at(CPU_INTERRUPTS),
      full: at(CPU_FULL),
      partial: at(CPU_PARTIAL),
      avoided: at(CPU_AVOIDED),
    },
  };
}
