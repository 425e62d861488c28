// Litmus instructions that compute with PTEs: the format's own operations, by number.

import { FRAME_SHIFT } from "../layout";
import { X86_64 } from "../pte/x86_64";
import { X86_RW } from "../pte/x86_64_bits";
import { Block, Code } from "./block";
import {
  PTE_CLEAR_SOFT_DIRTY,
  PTE_CLEAR_UFFD_WP,
  PTE_DIRTY,
  PTE_MKCLEAN,
  PTE_MKDIRTY,
  PTE_MKOLD,
  PTE_MKSOFT_DIRTY,
  PTE_MKUFFD_WP,
  PTE_MKWRITE,
  PTE_MKYOUNG,
  PTE_NONE,
  PTE_PFN,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WITH_PFN,
  PTE_WRITE,
  PTE_WRPROTECT,
  PTE_WRPROTECT_LOSSY,
  PTE_YOUNG,
} from "./ops_bits";

const PFN_BITS: u64 = 0x000ffffffffff000;

export abstract class Pte {
  static compute(p: usize, at: usize): u64 {
    const pte = Block.get(p, Code.a(at));
    const which = <u32>Code.immediate(at) & 0xff;
    if (which < <u32>PTE_MKWRITE) return Pte.ask(which, pte);
    return Pte.change(which, pte, Block.get(p, Code.b(at)));
  }

  private static ask(which: u32, pte: u64): u64 {
    const format = changetype<X86_64>(0);
    if (which == PTE_PRESENT) return <u64>format.ptePresent(pte);
    // Not pteWrite(): Dirty without RW is no shadow stack here, but what a processor without them leaves that does not re-check W.
    if (which == PTE_WRITE) return (pte >> X86_RW) & 1;
    if (which == PTE_DIRTY) return <u64>format.pteDirty(pte);
    if (which == PTE_YOUNG) return <u64>format.pteYoung(pte);
    if (which == PTE_SOFT_DIRTY) return <u64>format.pteSoftDirty(pte);
    if (which == PTE_UFFD_WP) return <u64>format.pteUffdWp(pte);
    if (which == PTE_NONE) return <u64>format.pteNone(pte);
    if (which == PTE_PFN) return format.ptePfn(pte);
    if (which == PTE_SPECIAL) return <u64>format.pteSpecial(pte);
    return 0;
  }

  private static change(which: u32, pte: u64, other: u64): u64 {
    const format = changetype<X86_64>(0);
    if (which == PTE_MKWRITE) return format.pteMkwrite(pte);
    if (which == PTE_WRPROTECT) return format.pteWrprotect(pte);
    if (which == PTE_MKDIRTY) return format.pteMkdirty(pte);
    if (which == PTE_MKCLEAN) return format.pteMkclean(pte);
    if (which == PTE_MKYOUNG) return format.pteMkyoung(pte);
    if (which == PTE_MKOLD) return format.pteMkold(pte);
    if (which == PTE_MKSOFT_DIRTY) return format.pteMksoftDirty(pte);
    if (which == PTE_CLEAR_SOFT_DIRTY) return format.pteClearSoftDirty(pte);
    if (which == PTE_MKUFFD_WP) return format.pteMkuffdWp(pte);
    if (which == PTE_CLEAR_UFFD_WP) return format.pteClearUffdWp(pte);
    // What arm64 did before ff1712f953e2: the dirty state that hardware keeps in the write permission goes with it.
    if (which == PTE_WRPROTECT_LOSSY) return format.pteMkclean(format.pteWrprotect(pte));
    if (which == PTE_WITH_PFN) return (pte & ~PFN_BITS) | ((other << FRAME_SHIFT) & PFN_BITS);
    return 0;
  }
}
