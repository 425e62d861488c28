// A fault, from its entry to the part that handles it (do_user_addr_fault(), arch/x86/mm/fault.c; handle_mm_fault() and handle_pte_fault(),
// mm/memory.c).
//
// Guarantees: when `handle` returns 0 the access may be tried again: something was changed so that it goes on, or somebody else had changed it
// already, or the entry may be looked at anew. Otherwise it says by which signal the access ends. No lock is held in either case, no heap
// is used, and the references that were taken are given back or stand for an entry.
//
// Locks, in this order: the VMA's lock, or mmap_lock, for reading; the page lock or the driver's lock, as the part says; the page-table lock. The CPU is
// in kernel mode, so it is not waited for and may flush.
//
//   handle                   takes the lock, finds the VMA, asks whether the access is allowed at all
//     handlePte              looks at the entry without its lock
//       none                 anon.ts (first touch of anonymous memory), file.ts (a page of a file)
//       not present          swapin.ts (a swap slot, or a page that is being migrated)
//       present, under its lock:
//         store, not writable   wp.ts: userfaultfd's write-protection; then reuse.ts, cow.ts, or mkwrite.ts
//         else                  nothing is wrong with it (spurious), or A or D is to be set: machines without hardware D
//
// What Linux does depends on its version, and what it does wrong on the variant of the scenario: HANDLER_* in layout.ts.
// Not modelled: large pages (a present one that does not allow the access is a SIGBUS), NUMA hinting, killable waits and VM_FAULT_RETRY with mmap_lock
// dropped, stack growth, memory cgroups.

import {
  DONE,
  HANDLER_MMAP_LOCK,
  SIGNAL_ACCERR,
  SIGNAL_BUS,
  SIGNAL_MAPERR,
  SIGNAL_OOM,
  SIGNAL_USERFAULT,
  VM_EXEC,
  VM_FAULT_ERROR,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
  VM_FAULT_SIGSEGV,
  VM_FAULT_USER,
  VM_READ,
  VM_WRITE,
  VMF_FETCH,
  VMF_FLAGS,
  VMF_SLOT,
  VMF_VMA,
  VMF_VMA_LOCK,
  VMF_WRITE,
} from "../layout";
import { Cpu } from "../cpu";
import { Mm } from "../mm/mm";
import { Vma } from "../mm/vma";
import { VmaLock } from "../mm/vma_lock";
import { Entry } from "../pte/entry";
import { Place, Walk } from "../walk";
import { AnonFault } from "./anon";
import { FileFault } from "./file";
import { SwapFault } from "./swapin";
import { Vmf } from "./vmf";
import { WpFault } from "./wp";

export abstract class Fault {
  /**
   * Handles the fault of `cpu`, which is in kernel mode, at `va` of the mm that it runs. `access` is ACCESS_*, `policy` HANDLER_*, `shoot` SHOOT_* of
   * its flushes. Returns DONE: try again; or SIGNAL_*.
   */
  static handle<F>(cpu: usize, va: u64, access: u32, policy: u32, shoot: u32): u32 {
    const vmf = Vmf.begin(cpu, va, access, policy, shoot);
    const signal = Fault.underLock<F>(vmf, Cpu.mm(cpu), va);
    Vmf.end(vmf);
    return signal;
  }

  /** do_user_addr_fault(): under the VMA's lock, if it can be had, else under mmap_lock. */
  private static underLock<F>(vmf: usize, mm: usize, va: u64): u32 {
    if (!Vmf.does(vmf, HANDLER_MMAP_LOCK)) {
      const vma = VmaLock.lookUp(mm, va);
      if (vma != 0) {
        store<u32>(vmf, load<u32>(vmf, VMF_FLAGS) | VMF_VMA_LOCK, VMF_FLAGS);
        const result = Fault.inVma<F>(vmf, vma);
        VmaLock.endRead(vma);
        if ((result & VM_FAULT_RETRY) == 0) return Fault.signal(result);
        store<u32>(vmf, load<u32>(vmf, VMF_FLAGS) & ~VMF_VMA_LOCK, VMF_FLAGS);
      }
    }
    Mm.readLock(mm);
    const vma = Vma.lookUp(mm, va);
    const result = vma == 0 ? VM_FAULT_SIGSEGV : Fault.inVma<F>(vmf, vma);
    Mm.readUnlock(mm);
    return vma == 0 ? SIGNAL_MAPERR : Fault.signal(result);
  }

  private static inVma<F>(vmf: usize, vma: usize): u32 {
    store<u32>(vmf, <u32>vma, VMF_VMA);
    return Fault.forbidden(vmf) ? VM_FAULT_SIGSEGV : Fault.handlePte<F>(vmf);
  }

  /** access_error() */
  private static forbidden(vmf: usize): bool {
    const flags = Vmf.vmFlags(vmf);
    if (Vmf.is(vmf, VMF_WRITE)) return (flags & VM_WRITE) == 0;
    if (Vmf.is(vmf, VMF_FETCH)) return (flags & VM_EXEC) == 0;
    return (flags & (VM_READ | VM_WRITE | VM_EXEC)) == 0;
  }

  @inline
  private static signal(result: u32): u32 {
    if ((result & VM_FAULT_ERROR) == 0) return DONE;
    if ((result & VM_FAULT_OOM) != 0) return SIGNAL_OOM;
    if ((result & VM_FAULT_USER) != 0) return SIGNAL_USERFAULT;
    return (result & VM_FAULT_SIGBUS) != 0 ? SIGNAL_BUS : SIGNAL_ACCERR;
  }

  /** handle_pte_fault() */
  private static handlePte<F>(vmf: usize): u32 {
    const format = changetype<F>(0);
    const space = Mm.space(Vmf.mm(vmf));
    let slot: usize = 0;
    let pte: u64 = 0;
    while (true) {
      const place = Walk.seek<F>(space, Vmf.address(vmf), 0);
      const level = Place.level(place);
      slot = Place.slot(place);
      if (slot == 0) return VM_FAULT_SIGBUS;
      // ptep_get_lockless(); above the leaf table, too, for a table that is missing is an entry that is none.
      pte = Entry.load<F>(slot);
      if (format.pteNone(pte)) return Fault.missing<F>(vmf, level == 0 ? slot : 0);
      if (level == 0) break;
      if (!format.present(pte) || format.leaf(pte, level)) return VM_FAULT_SIGBUS;
      // Somebody hung a table up there since: go into it.
    }
    store<u32>(vmf, <u32>slot, VMF_SLOT);
    Vmf.setOrig(vmf, pte);
    if (!format.ptePresent(pte)) return SwapFault.handle<F>(vmf);
    Vmf.lockPte(vmf);
    if (!Vmf.same<F>(vmf)) {
      Vmf.unlockPte(vmf);
      return 0;
    }
    if (Vmf.is(vmf, VMF_WRITE) && !format.pteWrite(pte)) return WpFault.handle<F>(vmf);
    Fault.setAccessFlags<F>(vmf);
    Vmf.unlockPte(vmf);
    return 0;
  }

  /** do_pte_missing(): `slot` is 0 if there is no leaf table yet. */
  private static missing<F>(vmf: usize, slot: usize): u32 {
    store<u32>(vmf, <u32>slot, VMF_SLOT);
    return Vma.mapping(Vmf.vma(vmf)) == 0 ? AnonFault.handle<F>(vmf) : FileFault.handle<F>(vmf);
  }

  /**
   * ptep_set_access_flags(): A, and for a store D, which only machines without hardware D leave to the handler. If both are set already somebody
   * else was faster, or a TLB had an older entry: flush_tlb_fix_spurious_fault(), for which nothing is left to do, since the faulting CPU
   * has dropped its entry (Intel SDM vol. 3A, 4.10.4.3).
   */
  private static setAccessFlags<F>(vmf: usize): void {
    // A load needs nothing here: hardware sets A (ptep_set_access_flags() of x86 does nothing without `dirty`).
    if (!Vmf.is(vmf, VMF_WRITE)) return;
    const format = changetype<F>(0);
    const pte = Vmf.orig(vmf);
    const now = format.pteMkdirty(format.pteMkyoung(pte));
    // What hardware may set beside this store is A and D, too.
    if (now != pte) Entry.store<F>(Vmf.slot(vmf), now);
  }
}
