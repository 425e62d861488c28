// The end of an mm: the OOM reaper takes its memory while threads may still run in it (mm/oom_kill.c, __oom_reap_task_mm()), and exit_mmap() (mm/mmap.c)
// takes the rest when nobody does.
//
// Guarantees. reap: private memory of the mm is freed after its flush, so a thread that is not dead yet faults and reads none of it. exit: every
// page, table and VMA of the mm is gone; only the root is left. It is for the last user alone (mmput()), and then processors that tag their
// TLBs need not flush (SHOOT_ELIDE_FULLMM, arm64's tlb_flush() since 5a7862e83000): who gives the ASID away does.
//
// Whether the reaper's gather counts as one of the whole mm is what S3 argues about:
//   0                          a gather for each VMA, as it was merged (687cb0884a71): never the whole mm
//   REAPER_FULLMM              one gather over (0, -1), and so of the whole mm: nothing is flushed where that is elided
//   REAPER_FULLMM_UNUSED       Minchan Kim: (0, -1), and of the whole mm only if mm_users is 0 already
//   REAPER_RANGE               Michal Hocko: (0, -1) without the flag that only exit_mmap() sets
//
// Locks: mmap_lock for reading (the reaper tries only; exit takes it for writing before tables go), page-table locks, and for tables the space's lock.
// Options of path.ts: PATH_FREE_EARLY, PATH_NO_NESTED, PATH_NESTED_FULLMM.

import {
  MMU_NOTIFY_UNMAP,
  PATH_PASSED,
  PATH_WARNED,
  REAPER_FULLMM,
  REAPER_FULLMM_UNUSED,
  REAPER_RANGE,
  VM_HUGETLB,
  VM_PFNMAP,
  VM_SHARED,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { RwLock } from "../lock/rwlock";
import { Mm } from "../mm/mm";
import { Notifiers } from "../mm/notifier";
import { Vma } from "../mm/vma";
import { Gathered } from "../range/gathered";
import { Path } from "../range/path";
import { Tables } from "../range/tables";
import { Zap } from "../range/zap";

const ALL: u64 = 0xffffffffffffffff;
const ONE_GATHER: u32 = REAPER_FULLMM | REAPER_FULLMM_UNUSED | REAPER_RANGE;

export abstract class Reaper {
  /** oom_reap_task_mm(), from CPU `cpu`. False if mmap_lock was taken, or an MMU notifier would have had to sleep: try again. */
  static reap<F>(cpu: usize, mm: usize, path: usize, options: u32): bool {
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    if (!RwLock.tryReadLock(Mm.mmapLock(mm))) return false;
    const one = Path.has(path, ONE_GATHER);
    if (one) Gathered.begin(path, Reaper.fullmm(path, mm));
    let good = true;
    for (let vma = Vma.firstIn(mm, 0, ALL); vma != 0; vma = Vma.nextIn(mm, vma, 0, ALL)) {
      const flags = Shared.load<u32>(vma + VMA_FLAGS);
      if ((flags & (VM_HUGETLB | VM_PFNMAP)) != 0 || (Vma.mapping(vma) != 0 && (flags & VM_SHARED) != 0)) {
        Path.count(path, PATH_PASSED);
        continue;
      }
      if (!one) Gathered.begin(path, false);
      if (Notifiers.startNonblock(mm, MMU_NOTIFY_UNMAP, Vma.start(vma), Vma.end(vma) - 1)) {
        Zap.range<F>(path, Vma.start(vma), Vma.end(vma) - 1);
        Notifiers.end(mm, MMU_NOTIFY_UNMAP, Vma.start(vma), Vma.end(vma) - 1);
      } else {
        Path.count(path, PATH_WARNED);
        good = false;
      }
      if (!one) Gathered.finish(path);
    }
    if (one) Gathered.finish(path);
    RwLock.readUnlock(Mm.mmapLock(mm));
    Path.finish(path);
    return good;
  }

  private static fullmm(path: usize, mm: usize): bool {
    return Path.has(path, REAPER_FULLMM) || (Path.has(path, REAPER_FULLMM_UNUSED) && Mm.users(mm) == 0);
  }

  /** mmput(): gives up one use of the mm; the last one takes it down. True if this was the last one. */
  static put<F>(cpu: usize, mm: usize, path: usize, options: u32): bool {
    if (!Mm.put(mm)) return false;
    Reaper.exit<F>(cpu, mm, path, options);
    return true;
  }

  /** exit_mmap() */
  private static exit<F>(cpu: usize, mm: usize, path: usize, options: u32): void {
    const lock = Mm.mmapLock(mm);
    Path.begin(path, cpu, options);
    Path.enterMm(path, mm, 0);
    Notifiers.release(mm);
    RwLock.readLock(lock);
    Gathered.begin(path, true);
    for (let vma = Vma.firstIn(mm, 0, ALL); vma != 0; vma = Vma.nextIn(mm, vma, 0, ALL)) {
      Zap.range<F>(path, Vma.start(vma), Vma.end(vma) - 1);
    }
    RwLock.readUnlock(lock);
    // The reaper may be in the tables until here.
    Mm.writeLock(mm);
    for (let vma = Vma.firstIn(mm, 0, ALL); vma != 0; vma = Vma.firstIn(mm, 0, ALL)) Reaper.freeVma(path, vma);
    Gathered.finish(path);
    Mm.writeUnlock(mm);
    Path.finish(path);
  }

  /** free_pgtables(), VMA by VMA. */
  private static freeVma(path: usize, vma: usize): void {
    const first = Vma.start(vma);
    const last = Vma.end(vma) - 1;
    Vma.detach(vma);
    Tables.free(path, first, last);
  }
}
