// The walk: the only code that goes down from one level of a page table to the next.
//
// Guarantees: it reads each entry once, atomically, and follows what it read; it ends after as many steps as the format
// has levels, whatever the tables say; it never leaves physical memory. What it does on the way is the visitor's: look, touch like
// hardware, note, or stop early; format and visitor are type parameters, so each pair is a walk of its own.
//
// Callers that may run beside an unmap hold an RCU section or compare the RCU clock (rcu.ts).

import {
  ACCESS_WRITE,
  FAULT_ABSENT,
  FAULT_CAUSE_SHIFT,
  FAULT_CODE_SHIFT,
  FAULT_LEVEL_SHIFT,
  FAULT_NON_CANONICAL,
  FAULT_PROTECTION,
  FAULT_RESERVED,
  FAULT_UNBACKED,
  RESULT_SHIFT,
  TRAIL_ENTERED,
  TRAIL_ENTRY,
  TRAIL_INDEX,
  TRAIL_LEVELS,
  TRAIL_READ,
  TRAIL_STATE,
  TRAIL_STRIDE,
  TRAIL_TABLE,
} from "./layout";
import { Agent } from "./agent";
import { Frames } from "./frame";
import { Entry } from "./pte/entry";
import { Space } from "./space";

/** A walk that lost a race for an A or D bit: begin again. No result word looks like this. */
export const AGAIN: u64 = 0xffffffffffffffff;
/** A level above all: the walk begins at the root. */
const FROM_ROOT: i32 = 7;

export abstract class Walk {
  /**
   * Goes down from the root towards `va` until an entry that refers to no table, or to level `stop`.
   * Returns what the visitor made of the end: `unbacked`, `absent`, `reserved` or `arrive`.
   */
  @inline
  static descend<F, V>(space: usize, va: u64, stop: i32, access: u32): u64 {
    const table = changetype<F>(0).rootTable(Space.root(space));
    const regime = Space.regime(space);
    return Walk.resume<F, V>(0, FROM_ROOT, table, changetype<F>(0).allRights, va, stop, access, regime);
  }

  /**
   * As `descend`, from `table` of level `from`, to which entries that leave the rights `above` led. A visitor that has fields stands at
   * `visitor`.
   */
  @inline
  static resume<F, V>(
    visitor: usize,
    from: i32,
    table: u64,
    above: u64,
    va: u64,
    stop: i32,
    access: u32,
    regime: usize,
  ): u64 {
    const levels = changetype<F>(0).levels;
    if (levels == 5) return Walk.at<F, V, Level4>(visitor, from, table, above, va, stop, access, regime);
    if (levels == 4) return Walk.at<F, V, Level3>(visitor, from, table, above, va, stop, access, regime);
    if (levels == 3) return Walk.at<F, V, Level2>(visitor, from, table, above, va, stop, access, regime);
    return Walk.at<F, V, Level1>(visitor, from, table, above, va, stop, access, regime);
  }

  /**
   * One table of the descent, and through `below` all that follow. The level is a type, so that each walk is laid out level after
   * level with its shifts and masks as constants: measured, 13 ns instead of 22 for a walk of four levels in a loop.
   */
  @inline
  static at<F, V, L>(
    self: usize,
    from: i32,
    table: u64,
    above: u64,
    va: u64,
    stop: i32,
    access: u32,
    regime: usize,
  ): u64 {
    const format = changetype<F>(0);
    const visitor = changetype<V>(self);
    const level = changetype<L>(0).number;
    let next = table;
    let rights = above;
    if (level <= from) {
      visitor.enter(table, level, format.index(va, level));
      const page = Frames.backing(table);
      if (page == 0) return visitor.unbacked(level);
      const slot = page + format.offset(va, level);
      const entry = Entry.load<F>(slot);
      visitor.note(table, entry, level);
      if (!format.present(entry)) return visitor.absent<F>(slot, level, access, regime);
      const leaf = format.leaf(entry, level);
      if (format.reserved(entry, level, leaf, regime) != 0) return visitor.reserved<F>(slot, level, access, regime);
      rights = format.narrow(above, entry);
      if (leaf || level == stop) return visitor.arrive<F>(slot, entry, rights, level, va, access, regime);
      if (visitor.touches) {
        const touched = format.touch(entry, false);
        if (touched != entry && !Entry.replace<F>(slot, entry, touched)) return AGAIN;
      }
      next = format.table(entry);
      visitor.follow(next, level, rights);
    }
    return changetype<L>(0).below<F, V>(self, from, next, rights, va, stop, access, regime);
  }

  /** Where `va` leads, changing nothing: a result word. `access` 0 asks for the mapping, whoever may use it. */
  static translate<F>(space: usize, va: u64, access: u32): u64 {
    if (!changetype<F>(0).canonical(va)) return Walk.fault(FAULT_NON_CANONICAL, 0, 0);
    return Walk.descend<F, Look>(space, va, 0, access);
  }

  /**
   * An access as hardware makes it: it sets A in every entry it uses and, for a write, D in the leaf, each by a
   * compare-exchange against the entry it decided on; if that lost a race, it begins again (SDM vol. 3A, 4.8: the updates
   * are locked).
   */
  static access<F>(space: usize, va: u64, access: u32): u64 {
    if (!changetype<F>(0).canonical(va)) return Walk.fault(FAULT_NON_CANONICAL, 0, 0);
    while (true) {
      const result = Walk.descend<F, Touch>(space, va, 0, access);
      if (result != AGAIN) return result;
    }
  }

  /** As `translate`, and notes every entry it met in the agent's trail. */
  static explain<F>(space: usize, va: u64, access: u32): u64 {
    Trail.clear();
    if (!changetype<F>(0).canonical(va)) return Walk.fault(FAULT_NON_CANONICAL, 0, 0);
    return Walk.descend<F, Trace>(space, va, 0, access);
  }

  /**
   * The slot of the entry for `va` at level `stop`, or above it where the walk ends earlier: a word for `Place`.
   * What stands in the slot is the caller's to look at.
   */
  static seek<F>(space: usize, va: u64, stop: i32): u64 {
    return Walk.descend<F, Seek>(space, va, stop, 0);
  }

  /** As `seek` to level 0, and notes every entry it met in the agent's trail. */
  static survey<F>(space: usize, va: u64): u64 {
    return Walk.descend<F, Survey>(space, va, 0, 0);
  }

  @inline
  static fault(cause: u32, level: i32, code: u32): u64 {
    return (
      ((<u64>cause) << FAULT_CAUSE_SHIFT) | ((<u64>level) << FAULT_LEVEL_SHIFT) | ((<u64>code) << FAULT_CODE_SHIFT)
    );
  }

  /** FAULT_* of a result word that is not mapped. */
  @inline
  static cause(result: u64): u32 {
    return <u32>(result >> FAULT_CAUSE_SHIFT) & 15;
  }

  @inline
  static faultLevel(result: u64): u32 {
    return <u32>(result >> FAULT_LEVEL_SHIFT) & 15;
  }

  @inline
  static faultCode(result: u64): u32 {
    return <u32>(result >> FAULT_CODE_SHIFT) & 0xffff;
  }

  /** The result word of a leaf. */
  @inline
  static mapped<F>(entry: u64, rights: u64, level: i32, va: u64): u64 {
    const format = changetype<F>(0);
    const pa = format.page(entry, level) | (va & (format.span(level) - 1));
    return pa | (format.flags(entry, rights, level) << RESULT_SHIFT);
  }

  /** A result word as a double: PFN, and the flags in place of the offset. Exact, for it has at most 52 bits. */
  @inline
  static compact(result: u64): f64 {
    return <f64>(<i64>((result & 0x000ffffffffff000) | (result >> RESULT_SHIFT)));
  }
}

// ---- levels: classes without fields, each of which knows the next

class Level4 {
  @inline
  get number(): i32 {
    return 4;
  }

  @inline
  below<F, V>(self: usize, from: i32, table: u64, above: u64, va: u64, stop: i32, access: u32, regime: usize): u64 {
    return Walk.at<F, V, Level3>(self, from, table, above, va, stop, access, regime);
  }
}

class Level3 {
  @inline
  get number(): i32 {
    return 3;
  }

  @inline
  below<F, V>(self: usize, from: i32, table: u64, above: u64, va: u64, stop: i32, access: u32, regime: usize): u64 {
    return Walk.at<F, V, Level2>(self, from, table, above, va, stop, access, regime);
  }
}

class Level2 {
  @inline
  get number(): i32 {
    return 2;
  }

  @inline
  below<F, V>(self: usize, from: i32, table: u64, above: u64, va: u64, stop: i32, access: u32, regime: usize): u64 {
    return Walk.at<F, V, Level1>(self, from, table, above, va, stop, access, regime);
  }
}

class Level1 {
  @inline
  get number(): i32 {
    return 1;
  }

  @inline
  below<F, V>(self: usize, from: i32, table: u64, above: u64, va: u64, stop: i32, access: u32, regime: usize): u64 {
    return Walk.at<F, V, Level0>(self, from, table, above, va, stop, access, regime);
  }
}

class Level0 {
  @inline
  get number(): i32 {
    return 0;
  }

  /** Never asked: every present entry of a leaf table is a leaf. */
  @inline
  below<F, V>(
    _self: usize,
    _from: i32,
    _table: u64,
    _above: u64,
    _va: u64,
    _stop: i32,
    _access: u32,
    _regime: usize,
  ): u64 {
    return AGAIN;
  }
}

/** What `seek` returns: address of the slot, level, and whether the walk ended at a table that nothing backs. */
export abstract class Place {
  @inline
  static of(slot: usize, level: i32): u64 {
    return ((<u64>level) << 32) | <u64>slot;
  }

  /** 0 if the table is not in physical memory. */
  @inline
  static slot(place: u64): usize {
    return <usize>place;
  }

  @inline
  static level(place: u64): i32 {
    return <i32>(place >> 32);
  }
}

/** The tables and entries of the last walk that was noted, by level: TRAIL_STRIDE bytes each, level 0 first. */
export abstract class Trail {
  @inline
  static at(level: i32): usize {
    return Agent.trail() + <usize>level * TRAIL_STRIDE;
  }

  @inline
  static enter(table: u64, level: i32, index: u32): void {
    store<u64>(Trail.at(level), table, TRAIL_TABLE);
    store<u32>(Trail.at(level), index, TRAIL_INDEX);
    store<u32>(Trail.at(level), TRAIL_ENTERED, TRAIL_STATE);
  }

  @inline
  static note(entry: u64, level: i32): void {
    store<u64>(Trail.at(level), entry, TRAIL_ENTRY);
    store<u32>(Trail.at(level), TRAIL_READ, TRAIL_STATE);
  }

  static clear(): void {
    for (let level = 0; level < TRAIL_LEVELS; ++level) store<u32>(Trail.at(level), 0, TRAIL_STATE);
  }

  @inline
  static table(level: i32): u64 {
    return load<u64>(Trail.at(level), TRAIL_TABLE);
  }

  @inline
  static entry(level: i32): u64 {
    return load<u64>(Trail.at(level), TRAIL_ENTRY);
  }
}

// ---- visitors: classes without fields, called on a null reference like the formats, or on the address of a block (`resume`). None
// extends another, for a method that is overridden would be called through its object's header, and these have none.

/** Changes nothing. */
class Look {
  @inline
  get touches(): bool {
    return false;
  }

  @inline
  enter(_table: u64, _level: i32, _index: u32): void {}

  @inline
  note(_table: u64, _entry: u64, _level: i32): void {}

  @inline
  follow(_table: u64, _level: i32, _rights: u64): void {}

  @inline
  unbacked(level: i32): u64 {
    return Walk.fault(FAULT_UNBACKED, level, 0);
  }

  @inline
  absent<F>(_slot: usize, level: i32, access: u32, regime: usize): u64 {
    return Walk.fault(FAULT_ABSENT, level, changetype<F>(0).faultCode(access, regime));
  }

  @inline
  reserved<F>(_slot: usize, level: i32, access: u32, regime: usize): u64 {
    return Walk.fault(FAULT_RESERVED, level, changetype<F>(0).reservedCode(access, regime));
  }

  @inline
  arrive<F>(_slot: usize, entry: u64, rights: u64, level: i32, va: u64, access: u32, regime: usize): u64 {
    const refused = access == 0 ? 0 : changetype<F>(0).refuse(entry, rights, access, regime);
    if (refused != 0) return Walk.fault(FAULT_PROTECTION, level, refused);
    return Walk.mapped<F>(entry, rights, level, va);
  }
}

/** Sets A and D. */
class Touch {
  @inline
  get touches(): bool {
    return true;
  }

  @inline
  enter(_table: u64, _level: i32, _index: u32): void {}

  @inline
  note(_table: u64, _entry: u64, _level: i32): void {}

  @inline
  follow(_table: u64, _level: i32, _rights: u64): void {}

  @inline
  unbacked(level: i32): u64 {
    return Walk.fault(FAULT_UNBACKED, level, 0);
  }

  @inline
  absent<F>(_slot: usize, level: i32, access: u32, regime: usize): u64 {
    return changetype<Look>(0).absent<F>(0, level, access, regime);
  }

  @inline
  reserved<F>(_slot: usize, level: i32, access: u32, regime: usize): u64 {
    return changetype<Look>(0).reserved<F>(0, level, access, regime);
  }

  @inline
  arrive<F>(slot: usize, entry: u64, rights: u64, level: i32, va: u64, access: u32, regime: usize): u64 {
    const refused = changetype<F>(0).refuse(entry, rights, access, regime);
    if (refused != 0) return Walk.fault(FAULT_PROTECTION, level, refused);
    const touched = changetype<F>(0).touch(entry, (access & ACCESS_WRITE) != 0);
    if (touched != entry && !Entry.replace<F>(slot, entry, touched)) return AGAIN;
    return Walk.mapped<F>(touched, rights, level, va);
  }
}

/** Changes nothing and notes every level in the agent's trail. */
class Trace {
  @inline
  get touches(): bool {
    return false;
  }

  @inline
  enter(table: u64, level: i32, index: u32): void {
    Trail.enter(table, level, index);
  }

  @inline
  note(_table: u64, entry: u64, level: i32): void {
    Trail.note(entry, level);
  }

  @inline
  follow(_table: u64, _level: i32, _rights: u64): void {}

  @inline
  unbacked(level: i32): u64 {
    return Walk.fault(FAULT_UNBACKED, level, 0);
  }

  @inline
  absent<F>(_slot: usize, level: i32, access: u32, regime: usize): u64 {
    return changetype<Look>(0).absent<F>(0, level, access, regime);
  }

  @inline
  reserved<F>(_slot: usize, level: i32, access: u32, regime: usize): u64 {
    return changetype<Look>(0).reserved<F>(0, level, access, regime);
  }

  @inline
  arrive<F>(_slot: usize, entry: u64, rights: u64, level: i32, va: u64, access: u32, regime: usize): u64 {
    return changetype<Look>(0).arrive<F>(0, entry, rights, level, va, access, regime);
  }
}

/** Hands out the slot where the walk ends, whatever stands there. */
class Seek {
  @inline
  get touches(): bool {
    return false;
  }

  @inline
  enter(_table: u64, _level: i32, _index: u32): void {}

  @inline
  note(_table: u64, _entry: u64, _level: i32): void {}

  @inline
  follow(_table: u64, _level: i32, _rights: u64): void {}

  @inline
  unbacked(level: i32): u64 {
    return Place.of(0, level);
  }

  @inline
  absent<F>(slot: usize, level: i32, _access: u32, _regime: usize): u64 {
    return Place.of(slot, level);
  }

  @inline
  reserved<F>(slot: usize, level: i32, _access: u32, _regime: usize): u64 {
    return Place.of(slot, level);
  }

  @inline
  arrive<F>(slot: usize, _entry: u64, _rights: u64, level: i32, _va: u64, _access: u32, _regime: usize): u64 {
    return Place.of(slot, level);
  }
}

/** As Seek, and notes every level in the agent's trail. */
class Survey {
  @inline
  get touches(): bool {
    return false;
  }

  @inline
  enter(table: u64, level: i32, index: u32): void {
    Trail.enter(table, level, index);
  }

  @inline
  note(_table: u64, entry: u64, level: i32): void {
    Trail.note(entry, level);
  }

  @inline
  follow(_table: u64, _level: i32, _rights: u64): void {}

  @inline
  unbacked(level: i32): u64 {
    return Place.of(0, level);
  }

  @inline
  absent<F>(slot: usize, level: i32, _access: u32, _regime: usize): u64 {
    return Place.of(slot, level);
  }

  @inline
  reserved<F>(slot: usize, level: i32, _access: u32, _regime: usize): u64 {
    return Place.of(slot, level);
  }

  @inline
  arrive<F>(slot: usize, _entry: u64, _rights: u64, level: i32, _va: u64, _access: u32, _regime: usize): u64 {
    return Place.of(slot, level);
  }
}
