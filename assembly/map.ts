// Map, unmap, protect and split ranges.
//
// Guarantees: a call holds the space's lock from beginning to end, so calls of several agents do not mix. A mapping that is
// refused leaves the tables as they were. Walkers beside it see each entry before or after its change and never a
// third thing: entries change by exchange and compare-exchange, and an A or D bit that hardware sets meanwhile is
// kept. A table page is unhooked, then freed after a grace period.
//
// Flushing TLBs is not this file's business: it is a library's map and unmap, not a kernel's.
//
// Reply (in the agent's reply block): +0 u64 leaf entries that were changed, +8 u64 the address that a refusal is about.

import {
  STATUS_MAPPED,
  STATUS_NO_MEMORY,
  STATUS_NON_CANONICAL,
  STATUS_OK,
  STATUS_RESERVED,
  STATUS_UNBACKED,
  STATUS_UNREPRESENTABLE,
} from "./layout";
import { Agent } from "./agent";
import { Frames, NO_FRAME } from "./frame";
import { Entry } from "./pte/entry";
import { NOWHERE, Range } from "./range/walk";
import { Rcu } from "./rcu";
import { Space } from "./space";
import { Place, Walk } from "./walk";

export abstract class Mapper {
  /**
   * Maps `bytes` from `va` to physical memory from `pa`, with pages of level `topLeaf` or below, as large as alignment
   * allows. All three are multiples of 4 KiB. Refused with STATUS_MAPPED if an entry of the range is not none.
   */
  static map<F>(space: usize, va: u64, pa: u64, bytes: u64, prot: u32, topLeaf: i32): i32 {
    const format = changetype<F>(0);
    const status = Mapper.check<F>(va, bytes);
    if (status != STATUS_OK) return Reply.refuse(va, status);
    const end = pa + (bytes - format.span(0));
    const representable = end >= pa && format.page(pa, 0) == pa && format.page(end, 0) == end;
    if (!representable || format.reserved(format.makeLeaf(end, 0, prot), 0, true, Space.regime(space)) != 0) {
      return Reply.refuse(va, STATUS_UNREPRESENTABLE);
    }
    Space.lock(space);
    const taken = Range.each<F, Taken>(space, va, va + (bytes - 1), 0);
    if (taken != NOWHERE) {
      Space.unlock(space, false);
      return Reply.refuse(taken, STATUS_MAPPED);
    }
    Reply.clear();
    const done = Mapper.fill<F>(space, va, pa, bytes, prot, topLeaf);
    if (done != bytes) Range.each<F, Clear>(space, va, va + done + (format.span(0) - 1), 0);
    Space.unlock(space, done != bytes);
    Rcu.reclaim();
    return done == bytes ? STATUS_OK : Reply.refuse(va + done, STATUS_NO_MEMORY);
  }

  /**
   * Removes every entry of the range; a large page that reaches over its edge is split first. Table pages left without an
   * entry are freed. Replies with the number of present leaves that went.
   */
  static unmap<F>(space: usize, va: u64, bytes: u64): i32 {
    return Mapper.change<F, Clear>(space, va, bytes, 0);
  }

  /** Gives every present leaf of the range the rights of `prot`; pages at its edges are split. Replies with the leaves changed. */
  static protect<F>(space: usize, va: u64, bytes: u64, prot: u32): i32 {
    return Mapper.change<F, Reprotect>(space, va, bytes, prot);
  }

  /** Replaces the large page around `va` by pages one level smaller, until they are of `level`. */
  static split<F>(space: usize, va: u64, level: i32): i32 {
    const status = Mapper.check<F>(va, changetype<F>(0).span(0));
    if (status != STATUS_OK) return Reply.refuse(va, status);
    Reply.clear();
    Space.lock(space);
    const result = Mapper.splitTo<F>(space, va, level);
    Space.unlock(space, true);
    return result == STATUS_OK ? result : Reply.refuse(va, result);
  }

  @inline
  private static change<F, V>(space: usize, va: u64, bytes: u64, argument: u32): i32 {
    const status = Mapper.check<F>(va, bytes);
    if (status != STATUS_OK) return Reply.refuse(va, status);
    Reply.clear();
    Space.lock(space);
    const edges = Mapper.splitEdges<F>(space, va, bytes);
    if (edges == STATUS_OK) Range.each<F, V>(space, va, va + (bytes - 1), argument);
    Space.unlock(space, true);
    Rcu.reclaim();
    return edges == STATUS_OK ? edges : Reply.refuse(va, edges);
  }

  /** Both ends canonical, and no gap between them. */
  private static check<F>(va: u64, bytes: u64): i32 {
    const format = changetype<F>(0);
    const last = va + (bytes - 1);
    if (bytes == 0 || last < va || !format.canonical(va) || !format.canonical(last)) return STATUS_NON_CANONICAL;
    return (va ^ last) >> 63 == 0 ? STATUS_OK : STATUS_NON_CANONICAL;
  }

  // ---- map

  /** Returns the bytes that were mapped: less than `bytes` if no frame was left for a table. */
  private static fill<F>(space: usize, va: u64, pa: u64, bytes: u64, prot: u32, topLeaf: i32): u64 {
    const format = changetype<F>(0);
    const step = (<usize>1) << format.entryShift;
    let done: u64 = 0;
    while (done < bytes) {
      const level = Mapper.levelFor<F>(va + done, pa + done, bytes - done, topLeaf);
      const span = format.span(level);
      let slot = Mapper.makeSlot<F>(space, va + done, level);
      if (slot == 0) break;
      // Along this table, as far as free slots and pages of this size go.
      let room = format.entries - format.index(va + done, level);
      do {
        Entry.store<F>(slot, format.makeLeaf(pa + done, level, prot));
        Reply.countLeaf();
        done += span;
        slot += step;
      } while (--room > 0 && bytes - done >= span && Entry.load<F>(slot) == 0);
    }
    return done;
  }

  /** The largest page that fits here. */
  @inline
  private static levelFor<F>(va: u64, pa: u64, bytes: u64, topLeaf: i32): i32 {
    const format = changetype<F>(0);
    let level = topLeaf < format.topLeaf ? topLeaf : format.topLeaf;
    while (level > 0 && (((va | pa) & (format.span(level) - 1)) != 0 || bytes < format.span(level))) --level;
    return level;
  }

  /** The empty slot for `va` at `level`, with tables allocated on the way; 0 if no frame is left. */
  private static makeSlot<F>(space: usize, va: u64, level: i32): usize {
    const format = changetype<F>(0);
    while (true) {
      const place = Walk.seek<F>(space, va, level);
      const slot = Place.slot(place);
      if (Place.level(place) == level) {
        if (Entry.load<F>(slot) == 0) return slot;
        // Tables without an entry hang where a large page is to go: they make way.
        Range.each<F, Clear>(space, va, va + (format.span(level) - 1), 0);
        continue;
      }
      const table = Space.allocateTable(space);
      if (table == NO_FRAME) return 0;
      Entry.store<F>(slot, format.makeTable(Frames.physical(table)));
    }
  }

  // ---- split

  private static splitEdges<F>(space: usize, va: u64, bytes: u64): i32 {
    const first = Mapper.splitAt<F>(space, va);
    if (first != STATUS_OK) return first;
    const end = va + bytes;
    return end == 0 || !changetype<F>(0).canonical(end) ? STATUS_OK : Mapper.splitAt<F>(space, end);
  }

  /** Makes `va` the beginning of a page: larger ones around it are split. */
  private static splitAt<F>(space: usize, va: u64): i32 {
    const format = changetype<F>(0);
    let level = 0;
    while (level < format.levels && (va & (format.span(level + 1) - 1)) == 0) ++level;
    return level == format.levels ? STATUS_OK : Mapper.splitTo<F>(space, va, level);
  }

  private static splitTo<F>(space: usize, va: u64, target: i32): i32 {
    const format = changetype<F>(0);
    const step = (<usize>1) << format.entryShift;
    while (true) {
      const place = Walk.seek<F>(space, va, 0);
      const slot = Place.slot(place);
      const level = Place.level(place);
      if (slot == 0) return STATUS_UNBACKED;
      let leaf = Entry.load<F>(slot);
      if (level <= target || !format.present(leaf)) return STATUS_OK;
      if (!format.leaf(leaf, level) || format.reserved(leaf, level, true, Space.regime(space)) != 0)
        return STATUS_RESERVED;
      const table = Space.allocateTable(space);
      if (table == NO_FRAME) return STATUS_NO_MEMORY;
      do {
        leaf = Entry.load<F>(slot);
        let piece = Frames.address(table);
        for (let n: u32 = 0; n < format.entries; ++n) {
          // Nobody walks the new table yet: plain stores.
          if (format.entryShift == 3) store<u64>(piece, format.piece(leaf, level, n));
          else store<u32>(piece, <u32>format.piece(leaf, level, n));
          piece += step;
        }
      } while (!Entry.replace<F>(slot, leaf, format.makeTable(Frames.physical(table))));
    }
  }
}

/** The reply block as map, unmap, protect and split fill it. */
abstract class Reply {
  @inline
  static clear(): void {
    store<u64>(Agent.reply(), 0);
  }

  @inline
  static countLeaf(): void {
    store<u64>(Agent.reply(), load<u64>(Agent.reply()) + 1);
  }

  @inline
  static refuse(va: u64, status: i32): i32 {
    store<u64>(Agent.reply(), 0);
    store<u64>(Agent.reply(), va, 8);
    return status;
  }
}

// ---- visitors of Range.each

/** Stops at the first entry that is not none, and at a table that is not there. */
class Taken {
  @inline
  unbacked(_va: u64): bool {
    return false;
  }

  @inline
  entry<F>(_slot: usize, entry: u64, _va: u64, _level: i32, _argument: u64): bool {
    return entry == 0;
  }

  @inline
  row<F>(_space: usize, _va: u64, _level: i32): bool {
    return true;
  }
}

/** Clears entries, and frees the tables that become empty. */
class Clear {
  @inline
  unbacked(_va: u64): bool {
    return true;
  }

  @inline
  entry<F>(slot: usize, entry: u64, _va: u64, _level: i32, _argument: u64): bool {
    if (entry != 0 && changetype<F>(0).present(Entry.getAndClear<F>(slot))) Reply.countLeaf();
    return true;
  }

  /** The table of `level` around `va`, if it holds nothing, goes, and so on upwards; the root stays. */
  row<F>(space: usize, va: u64, level: i32): bool {
    const format = changetype<F>(0);
    for (; level < format.levels - 1; ++level) {
      const place = Walk.seek<F>(space, va, level + 1);
      const slot = Place.slot(place);
      if (slot == 0 || Place.level(place) != level + 1) break;
      const entry = Entry.load<F>(slot);
      if (!Range.passable<F>(space, entry, level + 1)) break;
      const page = Frames.backing(format.table(entry));
      if (page == 0 || !Clear.isEmpty(page)) break;
      Entry.exchange<F>(slot, 0);
      Space.freeTable(space, format.table(entry));
    }
    return true;
  }

  private static isEmpty(page: usize): bool {
    for (let at = page; at < page + 4096; at += 64) {
      const a = v128.or(v128.load(at), v128.load(at, 16));
      const b = v128.or(v128.load(at, 32), v128.load(at, 48));
      if (v128.any_true(v128.or(a, b))) return false;
    }
    return true;
  }
}

/** Changes the rights of present leaves; an A or D that is set meanwhile stays. */
class Reprotect {
  @inline
  unbacked(_va: u64): bool {
    return true;
  }

  @inline
  entry<F>(slot: usize, entry: u64, _va: u64, level: i32, prot: u64): bool {
    const format = changetype<F>(0);
    let old = entry;
    while (format.present(old) && format.leaf(old, level)) {
      const now = format.reprotect(old, <u32>prot);
      if (now == old) break;
      if (Entry.replace<F>(slot, old, now)) {
        Reply.countLeaf();
        break;
      }
      old = Entry.load<F>(slot);
    }
    return true;
  }

  @inline
  row<F>(_space: usize, _va: u64, _level: i32): bool {
    return true;
  }
}
