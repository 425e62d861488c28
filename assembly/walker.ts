// A CPU's hardware walker: reads the tables, sets A, fills the TLB and the paging-structure cache, asked or unasked.
//
// Guarantees: a walk begins at the table nearest to the leaf that the paging-structure cache knows, and reads each entry from there on once. It
// sets A in what it uses and never D (ADSET, access.ts). What an access may not do is not filled. The tables that it met are
// cached even if the walk faults further down (Intel SDM vol. 3A, 4.10.3.1).
//
// **No walker holds a lock, and none takes an RCU section.** That a table is not freed under it is up to who frees: not before an invalidation
// that covers it is complete (flush/gather.ts). Who forgets that has the walker read, and set A in, whatever the frame has become:
// chaos and explore note it (HW_WATCHED, CPU_STRAYS). So tables under CPUs are changed through an mm, not by map.ts alone.
//
// Not modelled: a walk that sets D in the same locked update as A (it is a second step here), caches of the tables' memory.

import {
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_USER,
  BUILD_EXPLORE,
  BUILD_RELEASE,
  CPU_ASID,
  CPU_EVICTIONS,
  CPU_HARDWARE,
  CPU_MACHINE,
  CPU_MM,
  CPU_PREFETCH,
  CPU_SLOT,
  CPU_SPECULATIONS,
  CPU_STRAYS,
  CPU_TLB,
  CPU_WALK_GLOBAL,
  CPU_WALK_SLOT,
  CPU_WALK_TABLES,
  CPU_WALKS,
  FAULT_ABSENT,
  FAULT_NON_CANONICAL,
  FAULT_PROTECTION,
  FAULT_RESERVED,
  FAULT_UNBACKED,
  FORMAT_X86_64_LA57,
  FRAME_TABLE,
  FRAME_WAITING,
  HW_EVICT,
  HW_NEGATIVE,
  HW_SPECULATE,
  HW_WATCHED,
  MACHINE_LAZY_WB,
  MACHINE_SWDIRTY,
  META_STATE,
  RESULT_DIRTY,
  RESULT_MAPPED,
  RESULT_SHIFT,
} from "./layout";
import { Count, Own, Sequence } from "./assoc";
import { Shared } from "./atomic";
import { WriteBack } from "./dirty";
import { Frames, NO_FRAME } from "./frame";
import { InFlight } from "./inflight";
import { Mm } from "./mm/mm";
import { Point } from "./point";
import { Entry } from "./pte/entry";
import { X86_64, X86_64_LA57 } from "./pte/x86_64";
import { Pwc } from "./pwc";
import { Random } from "./random";
import { Space } from "./space";
import { Tlb } from "./tlb";
import { AGAIN, Walk } from "./walk";

const MAPPED: u64 = (<u64>RESULT_MAPPED) << RESULT_SHIFT;
/** Levels whose entries refer to tables, and more than there are. */
const TABLES: u32 = 5;
const TABLE_BYTES: usize = 16;
/** Outside the explore build the environment may act before one access in so many. */
const RARELY: u32 = 64;

export abstract class Walker {
  /**
   * WALK for `access` (ACCESS_*) to `va`. Returns RESULT_MAPPED and the address of the TLB entry, which is 0 if an invalidation overtook the walk;
   * or the word of a fault, which the TLB holds now if the hardware caches such.
   */
  static walk<F, S>(cpu: usize, va: u64, access: u32): u64 {
    Count.one(cpu + CPU_WALKS);
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    if (load<u32>(cpu, CPU_MACHINE) == MACHINE_LAZY_WB) Tlb.tell<S, WriteBack>(tlb);
    const begun = Tlb.begin<S>(tlb);
    const result = Walker.translate<F, S>(cpu, va, access);
    Walker.remember<S>(cpu, va, begun);
    const mapped = (result & MAPPED) != 0;
    const global = load<u32>(cpu, CPU_WALK_GLOBAL) != 0;
    const slot = <usize>load<u32>(cpu, CPU_WALK_SLOT);
    // Scratch is no part of a state.
    if (BUILD == BUILD_EXPLORE) memory.fill(cpu + CPU_WALK_SLOT, 0, CPU_SLOT - CPU_WALK_SLOT);
    const asid = load<u32>(cpu, CPU_ASID);
    const fetch: u32 = (access & ACCESS_EXECUTE) != 0 ? 1 : 0;
    if (mapped) return MAPPED | <u64>Tlb.fill<S>(tlb, va, asid, fetch, global, result, slot, begun);
    // An entry that is not present: of the page around the address, whatever its level.
    const negative = (load<u32>(cpu, CPU_HARDWARE) & HW_NEGATIVE) != 0 && Walk.cause(result) == FAULT_ABSENT;
    if (negative) Tlb.fill<S>(tlb, va, asid, fetch, false, 0, 0, begun);
    return result;
  }

  private static translate<F, S>(cpu: usize, va: u64, access: u32): u64 {
    if (load<u32>(cpu, CPU_MM) == 0) return Walk.fault(FAULT_ABSENT, 0, 0);
    if (!changetype<F>(0).canonical(va)) return Walk.fault(FAULT_NON_CANONICAL, 0, 0);
    while (true) {
      const result = Walker.descend<F, S>(cpu, va, access);
      if (result != AGAIN) return result;
    }
  }

  /** One descent, from the nearest table known. */
  private static descend<F, S>(cpu: usize, va: u64, access: u32): u64 {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    const space = Mm.space(load<u32>(cpu, CPU_MM));
    let from: i32 = changetype<F>(0).levels - 1;
    let table = changetype<F>(0).rootTable(Space.root(space));
    let above = changetype<F>(0).allRights;
    if (Pwc.any(tlb)) {
      memory.fill(cpu + CPU_WALK_TABLES, 0, TABLES * TABLE_BYTES);
      const known = Pwc.find<S>(tlb, va, load<u32>(cpu, CPU_ASID));
      if (known != 0) {
        from = Pwc.level(known);
        table = Pwc.table(known);
        above = Pwc.rights(known);
      }
    }
    return Walk.resume<F, Hardware>(cpu, from, table, above, va, 0, access, Space.regime(space));
  }

  /** The tables that the walk met go into the paging-structure cache. */
  private static remember<S>(cpu: usize, va: u64, begun: u64): void {
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    if (Pwc.any(tlb)) {
      for (let level: u32 = TABLES - 1; level > 0; --level) {
        const met = cpu + CPU_WALK_TABLES + <usize>level * TABLE_BYTES;
        if (load<u64>(met) == 0 || Pwc.array(tlb, level) == 0) continue;
        Pwc.fill<S>(tlb, va, load<u32>(cpu, CPU_ASID), level, load<u64>(met), load<u64>(met, 8), begun);
      }
    }
  }

  /** Ghost: notes a walk through a table that was freed. */
  static watch(cpu: usize, table: u64): void {
    if ((load<u32>(cpu, CPU_HARDWARE) & HW_WATCHED) == 0) return;
    const index = Frames.indexOf(table);
    const root = Frames.indexOf(Space.root(Mm.space(load<u32>(cpu, CPU_MM))));
    // Tables of an image are not this memory's to count.
    if (index == NO_FRAME || root == NO_FRAME) return;
    if (Shared.quietLoad<u32>(Frames.meta(root) + META_STATE) != FRAME_TABLE) return;
    const state = Shared.quietLoad<u32>(Frames.meta(index) + META_STATE);
    if (state != FRAME_TABLE && state != FRAME_WAITING) store<u32>(cpu, 1, CPU_STRAYS);
  }

  // ---- unasked

  /** SPEC: a walk for a load that no access needs. Nothing faults; the entry lingers. */
  static speculate<S>(cpu: usize, va: u64): void {
    const mm = <usize>load<u32>(cpu, CPU_MM);
    if (mm == 0) return;
    Count.one(cpu + CPU_SPECULATIONS);
    const access: u32 = ACCESS_READ | ACCESS_USER;
    InFlight.begin<S>(cpu);
    InFlight.begun<S>();
    if (Space.format(Mm.space(mm)) == FORMAT_X86_64_LA57) Walker.walk<X86_64_LA57, S>(cpu, va, access);
    else Walker.walk<X86_64, S>(cpu, va, access);
    InFlight.complete<S>(cpu);
  }

  /** Between the early acknowledgement of a request and the invalidation: the hardware walker does not stop. */
  static interlude(cpu: usize): void {
    const hardware = load<u32>(cpu, CPU_HARDWARE);
    const target = load<u64>(cpu, CPU_PREFETCH);
    if ((hardware & HW_SPECULATE) == 0 || target == 0 || load<u32>(cpu, CPU_MM) == 0) return;
    if (Point.choose(2) != 0) Walker.speculate<Own>(cpu, target);
  }

  /** Before an access to `va`: what the environment does, if anything. */
  static environment<S>(cpu: usize, va: u64): void {
    if (BUILD != BUILD_EXPLORE && Random.below(RARELY) != 0) return;
    const hardware = load<u32>(cpu, CPU_HARDWARE);
    const tlb = <usize>load<u32>(cpu, CPU_TLB);
    Sequence.look<S>(tlb);
    const evictions = (hardware & HW_EVICT) != 0 ? Tlb.countValid(tlb) : 0;
    const prefetch = load<u64>(cpu, CPU_PREFETCH);
    const target = prefetch == 0 ? va : prefetch;
    const speculates = (hardware & HW_SPECULATE) != 0 && !Tlb.holds(tlb, target, load<u32>(cpu, CPU_ASID));
    const alternatives = 1 + evictions + (speculates ? 1 : 0);
    if (alternatives == 1) return;
    const choice = Point.choose(alternatives);
    if (choice > evictions) Walker.speculate<S>(cpu, target);
    else if (choice > 0) {
      Count.one(cpu + CPU_EVICTIONS);
      if (load<u32>(cpu, CPU_MACHINE) == MACHINE_LAZY_WB) Tlb.tell<S, WriteBack>(tlb);
      Tlb.evict<S>(tlb, choice - 1);
    }
  }
}

/** The visitor: its `this` is the CPU's block. */
class Hardware {
  @inline
  get touches(): bool {
    return true;
  }

  @inline
  enter(_table: u64, _level: i32, _index: u32): void {}

  /** In the step of the access: was the table that the entry stands in freed? */
  @inline
  note(table: u64, _entry: u64, _level: i32): void {
    if (BUILD != BUILD_RELEASE) Walker.watch(changetype<usize>(this), table);
  }

  @inline
  follow(table: u64, level: i32, rights: u64): void {
    const met = changetype<usize>(this) + <usize>level * TABLE_BYTES;
    store<u64>(met, table, CPU_WALK_TABLES);
    store<u64>(met, rights, CPU_WALK_TABLES + 8);
  }

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

  arrive<F>(slot: usize, entry: u64, above: u64, level: i32, va: u64, access: u32, regime: usize): u64 {
    const format = changetype<F>(0);
    const cpu = changetype<usize>(this);
    let rights = above;
    // Without hardware D an entry is writable only if D was set when it was filled: the handler sets D (arm64 without DBM, Svade).
    const clean = (format.flags(entry, rights, level) & RESULT_DIRTY) == 0;
    if (clean && load<u32>(cpu, CPU_MACHINE) == MACHINE_SWDIRTY) rights = format.readOnly(rights);
    const refused = format.refuse(entry, rights, access, regime);
    if (refused != 0) return Walk.fault(FAULT_PROTECTION, level, refused);
    const touched = format.touch(entry, false);
    if (touched != entry && !Entry.replace<F>(slot, entry, touched)) return AGAIN;
    store<u32>(cpu, <u32>slot, CPU_WALK_SLOT);
    store<u32>(cpu, format.pteGlobal(entry) ? 1 : 0, CPU_WALK_GLOBAL);
    return Walk.mapped<F>(touched, rights, level, va);
  }
}
