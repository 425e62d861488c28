// Litmus instructions that are whole functions of the core: the same that everybody calls, under their kernel names.
//
// Guarantees: what a function wants of a block of its caller's, and its bitmap, is the CPU's scratch block, which is the CPU's alone and not what
// an earlier call left there; a function's steps are those that its own points make. Where a caller needs a reference to a folio,
// it is taken here, and given back. Arguments: see CALL_* in ops_bits.ts. Flushes go out with the SHOOT_* of the immediate.

import {
  LITMUS_SCRATCH,
  PATH_BYTES,
  PATH_DEFERRED,
  PATH_PGOFF,
  PATH_SCAN,
  PATH_SHOOT,
  PATH_TOUCHED,
  SCAN_BITMAP,
  SCAN_END,
  SCAN_ORIGIN,
  SCAN_START,
} from "../layout";
import { Fault } from "../fault/fault";
import { Deferred } from "../flush/deferred";
import { ClearRefs } from "../kernel/clear_refs";
import { Ksm } from "../kernel/ksm";
import { Madvise } from "../kernel/madvise";
import { Migrate } from "../kernel/migrate";
import { Mkclean, Writeback } from "../kernel/mkclean";
import { Mprotect } from "../kernel/mprotect";
import { Munmap } from "../kernel/munmap";
import { Pagemap } from "../kernel/pagemap";
import { Reaper } from "../kernel/reaper";
import { Reclaim } from "../kernel/reclaim";
import { Transfer } from "../kernel/transfer";
import { Userfaultfd } from "../kernel/userfaultfd";
import { Folio } from "../mm/folio";
import { Mm } from "../mm/mm";
import { X86_64 } from "../pte/x86_64";
import { MappingDirty } from "../range/mapping_dirty";
import { Path } from "../range/path";
import { Block, Code } from "./block";
import {
  CALL_CLEAN_RECORD,
  CALL_CLEAR_REFS,
  CALL_FAULT,
  CALL_KSM_MERGE,
  CALL_MADV_DONTNEED,
  CALL_MADV_FREE,
  CALL_MKCLEAN,
  CALL_MMPUT,
  CALL_MPROTECT,
  CALL_MUNMAP,
  CALL_PAGEMAP,
  CALL_REAP,
  CALL_RECLAIM,
  CALL_SETTLE,
  CALL_TRANSFER,
  CALL_UFFD_WP,
  CALL_WP_SHARED,
  CALL_WRITE_BACK,
  FIRST_ARGUMENT,
} from "./ops_bits";

/** Behind the path: a bitmap of 64 pages. */
const BITMAP: usize = LITMUS_SCRATCH + PATH_BYTES;
const WORD: usize = 8;

export abstract class Calls {
  static run(p: usize, at: usize): void {
    const path = p + LITMUS_SCRATCH;
    memory.fill(path, 0, PATH_BYTES + WORD);
    store<u32>(path, <u32>Code.immediate(at), PATH_SHOOT);
    const which = Code.c(at);
    let value: u64 = 0;
    if (which < <u32>CALL_MPROTECT) value = Calls.ofRange(p, path, which);
    else if (which < <u32>CALL_KSM_MERGE) value = Calls.ofMapping(p, path, which);
    else if (which < <u32>CALL_RECLAIM) value = Calls.ofFolio(p, path, which);
    else value = Calls.other(p, path, which, <u32>Code.immediate(at));
    // Nothing of it is left: two states do not differ by what is over.
    memory.fill(path, 0, PATH_BYTES + WORD);
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
    if (which == CALL_TRANSFER) return <u64>Transfer.cycle(cpu, subject, path, options);
    if (which == CALL_CLEAN_RECORD || which == CALL_PAGEMAP) {
      Calls.giveBitmap(p, path);
      if (which == CALL_PAGEMAP) Pagemap.softDirty<X86_64>(cpu, subject, first, last, path);
      else MappingDirty.cleanRecord(cpu, subject, first, last, path, options);
      return load<u64>(p, BITMAP);
    }
    if (which == CALL_WP_SHARED) MappingDirty.writeProtect(cpu, subject, first, last, path, options);
    else if (which == CALL_CLEAR_REFS) ClearRefs.softDirty<X86_64>(cpu, subject, first, last, path, options);
    else if (which == CALL_MADV_DONTNEED) Madvise.dontNeed<X86_64>(cpu, subject, first, last, path, options);
    else if (which == CALL_MADV_FREE) Madvise.free<X86_64>(cpu, subject, first, last, path, options);
    return load<u64>(path, PATH_TOUCHED);
  }

  /** Functions that return a status. */
  private static ofMapping(p: usize, path: usize, which: u32): u64 {
    const cpu = Block.cpu(p);
    const mm = <usize>Calls.argument(p, 0);
    const first = Calls.argument(p, 1);
    const last = Calls.argument(p, 2);
    const options = <u32>Calls.argument(p, 3);
    if (which == CALL_UFFD_WP) return Userfaultfd.writeProtect<X86_64>(cpu, mm, first, last, path, options);
    if (which == CALL_MUNMAP) return Munmap.range<X86_64>(cpu, mm, first, last, path, options);
    Calls.giveDeferred(p, path);
    return Mprotect.range<X86_64>(cpu, mm, first, last, <u32>Calls.argument(p, 4), path, options);
  }

  private static ofFolio(p: usize, path: usize, which: u32): u64 {
    const cpu = Block.cpu(p);
    const subject = <usize>Calls.argument(p, 0);
    const options = <u32>Calls.argument(p, 3);
    if (which == CALL_WRITE_BACK) return <u64>Writeback.folio(cpu, subject, path, options);
    if (which == CALL_MKCLEAN) return Calls.mkclean(cpu, subject, path, options);
    if (which == CALL_REAP) return <u64>Reaper.reap<X86_64>(cpu, subject, path, options);
    if (which == CALL_MMPUT) return <u64>Reaper.put<X86_64>(cpu, subject, path, options);
    return <u64>Ksm.merge<X86_64>(cpu, subject, Calls.argument(p, 1), <usize>Calls.argument(p, 4), path, options);
  }

  private static mkclean(cpu: usize, folio: usize, path: usize, options: u32): u64 {
    Path.begin(path, cpu, options);
    const cleaned = Mkclean.folio(folio, path);
    Path.finish(path);
    return <u64>cleaned;
  }

  private static other(p: usize, path: usize, which: u32, shoot: u32): u64 {
    const cpu = Block.cpu(p);
    const options = <u32>Calls.argument(p, 3);
    if (which == CALL_FAULT) {
      return <u64>Fault.handle<X86_64>(cpu, Calls.argument(p, 1), <u32>Calls.argument(p, 4), options, shoot);
    }
    const subject = <usize>Calls.argument(p, 0);
    if (which == CALL_SETTLE) return <u64>Deferred.flush(Mm.deferred(subject), cpu, shoot);
    // isolate_lru_page(): who takes a page off its list has a reference.
    if (!Folio.tryGet(subject)) return 0;
    let done = false;
    if (which == CALL_RECLAIM) done = Reclaim.folio(cpu, subject, path, options);
    else {
      const to = <usize>Calls.argument(p, 4);
      Calls.giveDeferred(p, path);
      done = Migrate.folio(cpu, subject, to, path, options);
      Folio.put(to);
    }
    if (!done) Folio.put(subject);
    return <u64>done;
  }

  /** Argument 5: the page that bit 0 of the bitmap stands for. */
  private static giveBitmap(p: usize, path: usize): void {
    const scan = path + PATH_SCAN;
    store<u32>(scan, <u32>(p + BITMAP), SCAN_BITMAP);
    store<u64>(scan, 0xffffffffffffffff, SCAN_START);
    store<u64>(scan, 0, SCAN_END);
    store<u64>(scan, Calls.argument(p, 5), SCAN_ORIGIN);
    store<u64>(path, Calls.argument(p, 5), PATH_PGOFF);
  }

  /** Argument 6: the mm whose migrations put their flushes off. */
  private static giveDeferred(p: usize, path: usize): void {
    const mm = <usize>Calls.argument(p, 6);
    if (mm != 0) store<u32>(path, <u32>Mm.deferred(mm), PATH_DEFERRED);
  }
}
