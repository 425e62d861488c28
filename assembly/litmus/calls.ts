// Litmus instructions that are whole functions of the core: the same that everybody calls, under their kernel names.
//
// Guarantees: what a function wants of a block of its caller's is the CPU's scratch block, which is the CPU's alone; a function's steps are
// those that its own points make. Arguments: see CALL_* in ops_bits.ts. Flushes go out with the SHOOT_* of the instruction's immediate.

import {
  LITMUS_SCRATCH,
  PATH_PGOFF,
  PATH_SCAN,
  PATH_SHOOT,
  PATH_TOUCHED,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_START,
} from "../layout";
import { ClearRefs } from "../kernel/clear_refs";
import { Ksm } from "../kernel/ksm";
import { Madvise } from "../kernel/madvise";
import { Mkclean, Writeback } from "../kernel/mkclean";
import { Mprotect } from "../kernel/mprotect";
import { Munmap } from "../kernel/munmap";
import { Pagemap } from "../kernel/pagemap";
import { Reaper } from "../kernel/reaper";
import { Userfaultfd } from "../kernel/userfaultfd";
import { X86_64 } from "../pte/x86_64";
import { MappingDirty } from "../range/mapping_dirty";
import { Path } from "../range/path";
import { Block, Code } from "./block";
import {
  CALL_CLEAN_RECORD,
  CALL_CLEAR_REFS,
  CALL_KSM_MERGE,
  CALL_MADV_DONTNEED,
  CALL_MADV_FREE,
  CALL_MKCLEAN,
  CALL_MMPUT,
  CALL_MPROTECT,
  CALL_MUNMAP,
  CALL_PAGEMAP,
  CALL_REAP,
  CALL_UFFD_WP,
  CALL_WP_SHARED,
  CALL_WRITE_BACK,
  FIRST_ARGUMENT,
} from "./ops_bits";

export abstract class Calls {
  static run(p: usize, at: usize): void {
    const path = p + LITMUS_SCRATCH;
    store<u32>(path, <u32>Code.immediate(at), PATH_SHOOT);
    const which = Code.c(at);
    const value = which < <u32>CALL_MPROTECT ? Calls.ofRange(p, path, which) : Calls.other(p, path, which);
    Block.set(p, Code.d(at), value);
  }

  @inline
  private static argument(p: usize, n: u32): u64 {
    return Block.get(p, FIRST_ARGUMENT + n);
  }

  private static ofRange(p: usize, path: usize, which: u32): u64 {
    const cpu = Block.cpu(p);
    const subject = <usize>Calls.argument(p, 0);
    const first = Calls.argument(p, 1);
    const last = Calls.argument(p, 2);
    const options = <u32>Calls.argument(p, 3);
    if (which == CALL_WP_SHARED) MappingDirty.writeProtect(cpu, subject, first, last, path, options);
    else if (which == CALL_CLEAN_RECORD) {
      Calls.giveBitmap(p, path);
      MappingDirty.cleanRecord(cpu, subject, first, last, path, options);
    } else if (which == CALL_CLEAR_REFS) ClearRefs.softDirty<X86_64>(cpu, subject, first, last, path, options);
    else if (which == CALL_PAGEMAP) {
      Calls.giveBitmap(p, path);
      Pagemap.softDirty<X86_64>(cpu, subject, first, last, path);
    } else if (which == CALL_MADV_DONTNEED) Madvise.dontNeed<X86_64>(cpu, subject, first, last, path, options);
    else if (which == CALL_MADV_FREE) Madvise.free<X86_64>(cpu, subject, first, last, path, options);
    return load<u64>(path, PATH_TOUCHED);
  }

  private static other(p: usize, path: usize, which: u32): u64 {
    const cpu = Block.cpu(p);
    const subject = <usize>Calls.argument(p, 0);
    const first = Calls.argument(p, 1);
    const last = Calls.argument(p, 2);
    const options = <u32>Calls.argument(p, 3);
    const extra = Calls.argument(p, 4);
    if (which == CALL_MPROTECT) return Mprotect.range<X86_64>(cpu, subject, first, last, <u32>extra, path, options);
    if (which == CALL_UFFD_WP) return Userfaultfd.writeProtect<X86_64>(cpu, subject, first, last, path, options);
    if (which == CALL_MUNMAP) return Munmap.range<X86_64>(cpu, subject, first, last, path, options);
    if (which == CALL_KSM_MERGE) return <u64>Ksm.merge<X86_64>(cpu, subject, first, <usize>extra, path, options);
    if (which == CALL_WRITE_BACK) return <u64>Writeback.folio(cpu, subject, path, options);
    if (which == CALL_MKCLEAN) return Calls.mkclean(cpu, subject, path, options);
    if (which == CALL_REAP) return <u64>Reaper.reap<X86_64>(cpu, subject, path, options);
    if (which == CALL_MMPUT) return <u64>Reaper.put<X86_64>(cpu, subject, path, options);
    return 0;
  }

  private static mkclean(cpu: usize, folio: usize, path: usize, options: u32): u64 {
    Path.begin(path, cpu, options);
    const cleaned = Mkclean.folio(folio, path);
    Path.finish(path);
    return <u64>cleaned;
  }

  /** Argument 4: the address of the bitmap, whose bit 0 stands for page argument 5. */
  private static giveBitmap(p: usize, path: usize): void {
    store<u32>(path + PATH_SCAN, <u32>Calls.argument(p, 4), SCAN_BITMAP);
    store<u64>(path + PATH_SCAN, 0, SCAN_START);
    store<u64>(path + PATH_SCAN, 0, SCAN_END);
    store<u64>(path, Calls.argument(p, 5), PATH_PGOFF);
  }
}
