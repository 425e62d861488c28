// Who sets D, and when: the dirty-bit machines (MACHINE_*; scenarios in docs name them).
//
// ADSET is the step between finding a writable, clean entry in the TLB and storing through it. What it does to the PTE is the machine's:
//
//   recheck    a locked update that needs P and W in the PTE still, or there is a fault: x86 with shadow stacks, arm64 HAFDBS, RISC-V Svadu
//   nowcheck   needs P only, and the store goes through although W is gone: x86 before (Linux 1f6f66f62e8c)
//   blind      sets D in whatever stands there, none even: the stray updates of Knights Landing (Linux _PAGE_KNL_ERRATUM_MASK)
//   lazy-lost  sets D in the entry only: nobody ever learns of it
//   lazy-wb    as that, and writes it to a PTE that is still present when the entry goes
//   swdirty    does not come here: a clean entry is not writable, and the fault handler sets D (arm64 without DBM, RISC-V Svade)
//
// Whoever re-reads the PTE takes what it says now, the frame included, into the entry and into the access. A slot that became a
// reference to a table sends the access back to a walk.
//
// lazy-wb has to write back when an entry makes room for another, too; here it writes all back before a walk fills. Beside broadcast invalidation
// a D that is set at the same instant may be lost: that machine promises nothing.

import {
  ACCESS_USER,
  ACCESS_WRITE,
  CPU_MACHINE,
  CPU_MM,
  CPU_TLB,
  FAULT_ABSENT,
  FAULT_PROTECTION,
  MACHINE_BLIND,
  MACHINE_LAZY_LOST,
  MACHINE_LAZY_WB,
  MACHINE_NOWCHECK,
  POINT_UPDATE,
  RESULT_ACCESSED,
  RESULT_DIRTY,
  RESULT_SHIFT,
  RESULT_WRITABLE,
} from "./layout";
import { Shared } from "./atomic";
import { Mm } from "./mm/mm";
import { Point } from "./point";
import { Entry } from "./pte/entry";
import { X86_64 } from "./pte/x86_64";
import { Space } from "./space";
import { Tlb } from "./tlb";
import { AGAIN, Walk } from "./walk";

const DIRTY: u64 = (<u64>RESULT_DIRTY) << RESULT_SHIFT;
const PA_BITS: u64 = 0x000fffffffffffff;
/** What a PTE that is read again says anew; the other rights are those of all levels together. */
const REFRESHED: u64 = PA_BITS | ((<u64>(RESULT_WRITABLE | RESULT_ACCESSED | RESULT_DIRTY)) << RESULT_SHIFT);

export abstract class Dirty {
  /** ADSET for `va` through `entry`, which says `result`: what the entry says now, the word of a fault, or AGAIN. */
  static set<F, S>(cpu: usize, entry: usize, va: u64, result: u64): u64 {
    const machine = load<u32>(cpu, CPU_MACHINE);
    const slot = Tlb.slot(entry);
    let dirty = result | DIRTY;
    if (machine == MACHINE_BLIND) Shared.or<u64>(slot, changetype<F>(0).touch(0, true));
    else if (machine != MACHINE_LAZY_LOST && machine != MACHINE_LAZY_WB) {
      Point.atOnce(slot, POINT_UPDATE);
      dirty = Dirty.update<F>(cpu, slot, va, result, machine != MACHINE_NOWCHECK);
      Point.done();
    }
    if ((dirty & DIRTY) != 0 && dirty != AGAIN) Tlb.rewrite<S>(load<u32>(cpu, CPU_TLB), entry, va, dirty);
    return dirty;
  }

  /** The locked update of the PTE. */
  private static update<F>(cpu: usize, slot: usize, va: u64, result: u64, needsW: bool): u64 {
    const format = changetype<F>(0);
    const level = <i32>Tlb.pageLevel(result);
    const regime = Space.regime(Mm.space(load<u32>(cpu, CPU_MM)));
    const access: u32 = ACCESS_WRITE | ACCESS_USER;
    while (true) {
      const pte = Entry.load<F>(slot);
      if (!format.present(pte)) return Walk.fault(FAULT_ABSENT, level, format.faultCode(access, regime));
      if (!format.leaf(pte, level)) return AGAIN;
      const rights = format.narrow(format.allRights, pte);
      const writable = (format.flags(pte, rights, level) & RESULT_WRITABLE) != 0;
      if (needsW && !writable) return Walk.fault(FAULT_PROTECTION, level, format.protectionCode(access, regime));
      const touched = format.touch(pte, true);
      if (!Entry.replace<F>(slot, pte, touched)) continue;
      return (result & ~REFRESHED) | (Walk.mapped<F>(touched, rights, level, va) & REFRESHED);
    }
  }
}

/** `lazy-wb`, told of entries that go: a D that stood only there reaches a PTE that is still present. */
export class WriteBack {
  @inline
  hears(result: u64, slot: usize): bool {
    return (result & DIRTY) != 0 && slot != 0;
  }

  dropped(_block: usize, _tag: u64, _result: u64, slot: usize): void {
    const format = changetype<X86_64>(0);
    while (true) {
      const pte = Entry.load<X86_64>(slot);
      if (!format.present(pte)) return;
      const touched = format.touch(pte, true);
      if (touched == pte || Entry.replace<X86_64>(slot, pte, touched)) return;
    }
  }
}
