// Between the oracle's vocabulary and the core's: an answer as a result word, a processor as a regime, an access as flags.

import type { Access, Answer, Processor } from '../oracle/x86.ts';
import { layout } from './core.ts';

const CAUSES = {
  absent: layout.FAULT_ABSENT,
  reserved: layout.FAULT_RESERVED,
  protection: layout.FAULT_PROTECTION,
  unbacked: layout.FAULT_UNBACKED,
  'non-canonical': layout.FAULT_NON_CANONICAL,
} as const;

/** The result word that says what the oracle said. `before` is the leaf entry before A and D were set in it. */
export function wordOf(answer: Answer, touch: boolean, before?: bigint): bigint {
  if (answer.cause !== 'mapped') {
    return (
      (BigInt(CAUSES[answer.cause]) << BigInt(layout.FAULT_CAUSE_SHIFT)) |
      (BigInt(answer.level) << BigInt(layout.FAULT_LEVEL_SHIFT)) |
      (BigInt(answer.code) << BigInt(layout.FAULT_CODE_SHIFT))
    );
  }
  const entry = touch ? answer.entry : (before ?? answer.entry);
  const flags =
    layout.RESULT_MAPPED |
    (answer.write ? layout.RESULT_WRITABLE : 0) |
    (answer.user ? layout.RESULT_USER : 0) |
    (answer.execute ? 0 : layout.RESULT_NO_EXECUTE) |
    ((entry & 0x20n) !== 0n ? layout.RESULT_ACCESSED : 0) |
    ((entry & 0x40n) !== 0n ? layout.RESULT_DIRTY : 0) |
    (answer.level << layout.RESULT_LEVEL_SHIFT);
  return answer.pa | (BigInt(flags) << BigInt(layout.RESULT_SHIFT));
}

/** ACCESS_* of an access, without ACCESS_TOUCH. */
export function accessFlags(access: Access): number {
  const kind = { read: layout.ACCESS_READ, write: layout.ACCESS_WRITE, execute: layout.ACCESS_EXECUTE }[access.kind];
  return kind | (access.user ? layout.ACCESS_USER : 0);
}

/** CR_* of a processor. */
export function regimeFlags(cpu: Processor): number {
  return (
    (cpu.wp ? layout.CR_WP : 0) |
    (cpu.nxe ? layout.CR_NXE : 0) |
    (cpu.smep ? layout.CR_SMEP : 0) |
    (cpu.smap ? layout.CR_SMAP : 0) |
    (cpu.ac ? layout.CR_AC : 0) |
    (cpu.pke ? layout.CR_PKE : 0) |
    (cpu.gigabytePages ? layout.CR_GBPAGES : 0)
  );
}

export function formatOf(cpu: Processor): number {
  return cpu.levels === 4 ? layout.FORMAT_X86_64 : layout.FORMAT_X86_64_LA57;
}

/** The compact form of a result word: the flags in place of the offset. */
export function compactOf(word: bigint): number {
  return Number((word & 0x000ffffffffff000n) | (word >> BigInt(layout.RESULT_SHIFT)));
}
