// Migration of one page: from one frame to another, under whatever maps it (mm/migrate.c, migrate_pages_batch(), migrate_folio_unmap(), migrate_folio_move();
// mm/rmap.c, try_to_migrate_one()).
//
// Guarantees: if it returns true, every entry that mapped the page maps the new frame with the same rights, A, D, soft-dirty and uffd-wp, or what a change of
// rights made of them meanwhile; the words are the same, and no store to the old frame was lost. The old frame is given up. Otherwise entries
// are as they were.
//
//   lock both pages
//   each entry -> migration entry, flushed in a batch                      [PATH_DEFERRED: not flushed if it is not writable]
//   flush                                                                  [MIGRATE_DEFER_WRITABLE: nor if it is (G9)]
//   nobody else has a reference? copy
//   each migration entry -> the new frame                                  [PATH_DEFERRED: the old frame is kept until a flush for many]
//   give the old frame up
//
// With PATH_DEFERRED this is migrc, which S2 is about: a CPU may read the old frame for a while, which nobody can tell as long as nobody can write to
// the new one. So whoever makes an entry writable settles that first (Deferred.settle).
//
// Locks, in the order of mm/rmap.c: the page locks; i_mmap_rwsem or anon_vma->rwsem for reading; the page-table lock. The caller has a reference to each
// page. Not modelled: pages in the swap cache (refused), lists of pages, buffers.

import {
  FOLIO_ANON,
  FRAME_BYTES,
  MIGRATE_DEFER_WRITABLE,
  MMU_NOTIFY_CLEAR,
  PATH_BATCH,
  PATH_DEFERRED,
  PATH_FLUSHES,
  PATH_INTERRUPTED,
  PATH_OUTPUT,
  PATH_SHOOT,
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_KSM,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PROT_ACCESSED,
  UBC_REQUIRED,
  VMA_FLAGS,
} from "../layout";
import { Shared } from "../atomic";
import { Batched } from "../flush/batched";
import { Deferred } from "../flush/deferred";
import { Folio } from "../mm/folio";
import { Mapping } from "../mm/mapping";
import { Notifiers } from "../mm/notifier";
import { Page } from "../mm/page";
import { Prot } from "../mm/prot";
import { Rmap } from "../mm/rmap";
import { Swap } from "../mm/swapops";
import { Vma } from "../mm/vma";
import { Entry } from "../pte/entry";
import { Path } from "../range/path";

const CARRIED: u32 = PG_UPTODATE | PG_SWAPBACKED | PG_DIRTY | PG_KSM;

export abstract class Migrate {
  /** Moves `from` to `to`, a page that nobody knows yet, from CPU `cpu`. The caller's reference to `from` goes if it returns true. */
  static folio(cpu: usize, from: usize, to: usize, path: usize, options: u32): bool {
    Path.begin(path, cpu, options);
    Batched.begin(path + PATH_BATCH);
    if (!Folio.tryLock(from)) return false;
    Folio.lock(to);
    let moved = false;
    if (!Folio.test(from, PG_SWAPCACHE)) {
      Rmap.walk<ToMigration>(from, path);
      Migrate.flush(path);
      moved = Folio.mapcount(from) == 0 && Migrate.move(from, to);
      // remove_migration_ptes(): in a page that did not move, to where they were.
      store<u32>(path, <u32>from, PATH_OUTPUT);
      Rmap.walk<FromMigration>(moved ? to : from, path);
    }
    Folio.unlock(to);
    Folio.unlock(from);
    if (moved) Folio.put(from);
    Path.finish(path);
    return moved;
  }

  /** try_to_unmap_flush() */
  private static flush(path: usize): void {
    const batch = path + PATH_BATCH;
    if (load<u32>(batch, UBC_REQUIRED) == 0) return;
    const interrupted = Batched.flush(batch, Path.cpu(path), load<u32>(path, PATH_SHOOT));
    store<u32>(path, load<u32>(path, PATH_INTERRUPTED) + interrupted, PATH_INTERRUPTED);
    Path.count(path, PATH_FLUSHES);
  }

  /** folio_migrate_mapping(), folio_migrate_copy(), folio_migrate_flags(): false if somebody else has a reference. */
  private static move(from: usize, to: usize): bool {
    const mapping = Folio.mapping(from);
    const cached = mapping != 0 && (mapping & FOLIO_ANON) == 0;
    const references: u32 = cached ? 2 : 1;
    if (!Folio.freezeRefs(from, references)) return false;
    const index = Folio.index(from);
    if (cached) Mapping.replace(mapping, from, to);
    else Folio.setMapping(to, mapping, index);
    Folio.setBacking(to, Folio.backing(from));
    // The file's reference went to the new page.
    Folio.unfreezeRefs(from, 1);
    Page.copy(Folio.address(to), Folio.address(from));
    Folio.set(to, Folio.flags(from) & CARRIED);
    Folio.clear(from, PG_DIRTY);
    return true;
  }
}

class ToMigration {
  /** try_to_migrate_one() */
  one<F>(folio: usize, vma: usize, va: u64, path: usize): bool {
    const format = changetype<F>(0);
    const mm = Vma.mm(vma);
    const end = va + (FRAME_BYTES - 1);
    Path.enterMm(path, mm, vma);
    Notifiers.start(mm, MMU_NOTIFY_CLEAR, va, end);
    const slot = Rmap.pageOf<F>(mm, va, folio, false);
    if (slot != 0) {
      const old = ToMigration.clear<F>(path, mm, slot, va, end);
      if (format.pteDirty(old)) Folio.set(folio, PG_DIRTY);
      const exclusive = Folio.isAnon(folio) && Folio.testAndClear(folio, PG_ANON_EXCLUSIVE);
      Entry.store<F>(slot, Swap.migrationFor<F>(old, format.pteWrite(old), exclusive));
      Folio.removeRmap(folio);
      Folio.put(folio);
      Path.note(path, 1, va, end);
      Rmap.done(mm, slot);
    }
    Notifiers.end(mm, MMU_NOTIFY_CLEAR, va, end);
    return true;
  }

  private static clear<F>(path: usize, mm: usize, slot: usize, va: u64, end: u64): u64 {
    const format = changetype<F>(0);
    const cpu = Path.cpu(path);
    const defers = load<u32>(path, PATH_DEFERRED) != 0;
    if (!defers && !Batched.shouldDefer(cpu, mm)) return Path.clearFlush<F>(path, slot, va, end);
    const old = Entry.getAndClear<F>(slot);
    if (defers && (!format.pteWrite(old) || Path.has(path, MIGRATE_DEFER_WRITABLE))) return old;
    if (format.present(old)) Batched.setPending(path + PATH_BATCH, cpu, mm, va, format.pteDirty(old));
    return old;
  }
}

class FromMigration {
  /** remove_migration_pte(): PATH_OUTPUT has the old folio, which may be the new one. */
  one<F>(folio: usize, vma: usize, va: u64, path: usize): bool {
    const mm = Vma.mm(vma);
    const from = <usize>load<u32>(path, PATH_OUTPUT);
    const slot = Rmap.pageOf<F>(mm, va, from, true);
    if (slot == 0) return true;
    const entry = Entry.load<F>(slot);
    Path.enterMm(path, mm, vma);
    Folio.get(folio);
    Folio.addRmap(
      folio,
      Folio.isAnon(folio) && (Swap.isWritableMigration<F>(entry) || Swap.isExclusiveMigration<F>(entry)),
    );
    if (folio != from) FromMigration.keep<F>(path, mm, va, from, folio, entry);
    Swap.restore<F>(slot, FromMigration.entryFor<F>(folio, Shared.load<u32>(vma + VMA_FLAGS), entry));
    Rmap.done(mm, slot);
    return true;
  }

  /** The old frame stays until a flush for many: of entries that were not flushed when they went. Without room, they are flushed now. */
  private static keep<F>(path: usize, mm: usize, va: u64, from: usize, folio: usize, entry: u64): void {
    const deferred: usize = load<u32>(path, PATH_DEFERRED);
    if (deferred == 0 || (Swap.isWritableMigration<F>(entry) && !Path.has(path, MIGRATE_DEFER_WRITABLE))) return;
    Folio.get(from);
    if (Deferred.keep(deferred, Path.cpu(path), mm, va, from, folio)) return;
    Path.flush(path, va, va + (FRAME_BYTES - 1), 12);
    Folio.put(from);
  }

  private static entryFor<F>(folio: usize, flags: u32, entry: u64): u64 {
    const format = changetype<F>(0);
    const prot = Prot.ofVma(flags);
    // mk_pte(): with A, as all of x86's protections have it.
    let pte = format.pteModify(format.makeLeaf(Folio.physical(folio), 0, prot | PROT_ACCESSED), prot);
    pte = format.pteWrprotect(pte);
    if (!Swap.migrationYoung<F>(entry)) pte = format.pteMkold(pte);
    const softDirty = format.pteSwpSoftDirty(entry);
    if (Folio.test(folio, PG_DIRTY) && Swap.migrationDirty<F>(entry)) pte = format.pteMkdirty(pte);
    pte = softDirty ? format.pteMksoftDirty(pte) : format.pteClearSoftDirty(pte);
    if (Swap.isWritableMigration<F>(entry)) return format.pteMkwrite(pte);
    return format.pteSwpUffdWp(entry) ? format.pteMkuffdWp(pte) : pte;
  }
}
