// struct vm_fault (include/linux/mm.h): what the parts of a fault handler know of the fault, in the block of the CPU that faulted.
//
// Guarantees: only the agent that runs the CPU touches it, so nothing here is a step; it is zero again when the handler is done, so that two states
// of a machine do not differ by a fault that is over.

import {
  ACCESS_EXECUTE,
  ACCESS_WRITE,
  CPU_VMF,
  FRAME_BYTES,
  FRAME_SHIFT,
  HANDLER_NO_PTE_SAME,
  VMA_FLAGS,
  VMF_ADDRESS,
  VMF_BYTES,
  VMF_FETCH,
  VMF_FLAGS,
  VMF_FOLIO,
  VMF_ORIG,
  VMF_POLICY,
  VMF_SHOOT,
  VMF_SLOT,
  VMF_VMA,
  VMF_WRITE,
} from "../layout";
import { Shared } from "../atomic";
import { Shootdown } from "../flush/shootdown";
import { Spinlock } from "../lock/spinlock";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { Prot } from "../mm/prot";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";

export abstract class Vmf {
  static begin(cpu: usize, va: u64, access: u32, policy: u32, shoot: u32): usize {
    const vmf = cpu + CPU_VMF;
    const flags = ((access & ACCESS_WRITE) != 0 ? VMF_WRITE : 0) | ((access & ACCESS_EXECUTE) != 0 ? VMF_FETCH : 0);
    store<u32>(vmf, flags, VMF_FLAGS);
    store<u32>(vmf, policy, VMF_POLICY);
    store<u32>(vmf, shoot, VMF_SHOOT);
    store<u64>(vmf, va & ~(<u64>FRAME_BYTES - 1), VMF_ADDRESS);
    return vmf;
  }

  static end(vmf: usize): void {
    memory.fill(vmf, 0, VMF_BYTES);
  }

  // ---- fields

  @inline
  static cpu(vmf: usize): usize {
    return vmf - CPU_VMF;
  }

  @inline
  static vma(vmf: usize): usize {
    return load<u32>(vmf, VMF_VMA);
  }

  @inline
  static mm(vmf: usize): usize {
    return Vma.mm(Vmf.vma(vmf));
  }

  @inline
  static address(vmf: usize): u64 {
    return load<u64>(vmf, VMF_ADDRESS);
  }

  /** Page offset of the address in the VMA's mapping: linear_page_index(). */
  @inline
  static pgoff(vmf: usize): u64 {
    const vma = Vmf.vma(vmf);
    return Vma.pgoff(vma) + ((Vmf.address(vmf) - Vma.start(vma)) >> FRAME_SHIFT);
  }

  /** Is one of these VMF_* set? */
  @inline
  static is(vmf: usize, flags: u32): bool {
    return (load<u32>(vmf, VMF_FLAGS) & flags) != 0;
  }

  /** Does the policy have one of these HANDLER_* bits? */
  @inline
  static does(vmf: usize, bits: u32): bool {
    return (load<u32>(vmf, VMF_POLICY) & bits) != 0;
  }

  /** One of the policy's fields. */
  @inline
  static choice(vmf: usize, field: u32): u32 {
    return load<u32>(vmf, VMF_POLICY) & field;
  }

  @inline
  static orig(vmf: usize): u64 {
    return load<u64>(vmf, VMF_ORIG);
  }

  @inline
  static setOrig(vmf: usize, pte: u64): void {
    store<u64>(vmf, pte, VMF_ORIG);
  }

  @inline
  static slot(vmf: usize): usize {
    return load<u32>(vmf, VMF_SLOT);
  }

  @inline
  static folio(vmf: usize): usize {
    return load<u32>(vmf, VMF_FOLIO);
  }

  @inline
  static setFolio(vmf: usize, folio: usize): void {
    store<u32>(vmf, <u32>folio, VMF_FOLIO);
  }

  /** The VMA's flags, which do not change while it is locked one way or the other. */
  @inline
  static vmFlags(vmf: usize): u32 {
    return Shared.quietLoad<u32>(Vmf.vma(vmf) + VMA_FLAGS);
  }

  /** vma->vm_page_prot, as PROT_*. */
  @inline
  static pageProt(vmf: usize): u32 {
    return Prot.ofVma(Vmf.vmFlags(vmf));
  }

  /** SHOOT_* of the flushes that the handler makes. */
  @inline
  static shoot(vmf: usize): u32 {
    return load<u32>(vmf, VMF_SHOOT);
  }

  // ---- the entry

  /** pte_offset_map_lock(): the entry's page-table lock. Its table stays, for the VMA does. */
  @inline
  static lockPte(vmf: usize): void {
    Spinlock.lock(Mm.ptl(Vmf.mm(vmf), Vmf.slot(vmf)));
  }

  /** pte_unmap_unlock() */
  @inline
  static unlockPte(vmf: usize): void {
    Spinlock.unlock(Mm.ptl(Vmf.mm(vmf), Vmf.slot(vmf)));
  }

  /**
   * pte_same(), under the page-table lock: is the entry what it was? All its bits count (arch/x86/include/asm/pgtable.h), so an A or D that
   * hardware set meanwhile makes it another, and the access is tried again.
   */
  @inline
  static same<F>(vmf: usize): bool {
    return changetype<F>(0).pteSame(Entry.load<F>(Vmf.slot(vmf)), Vmf.orig(vmf));
  }

  /** The same, when the lock was given up after the decision; or not looked at, if the policy says so. */
  @inline
  static unchanged<F>(vmf: usize): bool {
    return Vmf.does(vmf, HANDLER_NO_PTE_SAME) || Vmf.same<F>(vmf);
  }

  /** The folio that the entry `pte` maps, or 0: vm_normal_page(). */
  @inline
  static normalFolio<F>(pte: u64): usize {
    const format = changetype<F>(0);
    return format.pteSpecial(pte) ? 0 : Folio.normal(format.ptePfn(pte) << FRAME_SHIFT);
  }

  /** flush_tlb_page(). Under the page-table lock, or not. */
  static flush(vmf: usize): void {
    const va = Vmf.address(vmf);
    const cpu = Vmf.cpu(vmf);
    Shootdown.flush(cpu, Vmf.mm(vmf), va, va + (FRAME_BYTES - 1), FRAME_SHIFT, false, Vmf.shoot(vmf));
  }
}
