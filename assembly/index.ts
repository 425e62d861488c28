// The export list, grouped by file; nothing else. A space knows its format, so each call that walks has one branch here and is a
// walk of that format from there on.
//
// Numbers: addresses in linear memory are u32; page and frame numbers are doubles, which hold them exactly and cross the
// boundary fast; u64 crosses as BigInt, in calls that are rare.

import {
  CONTROL_BASE_PFN,
  CONTROL_EPOCH,
  CONTROL_FRAMES,
  CONTROL_HEAP,
  CONTROL_HEAP_END,
  CONTROL_MAGIC,
  CONTROL_META,
  CONTROL_ORIGIN,
  CONTROL_PAGE_WORDS,
  CONTROL_RAM,
  DONE,
  FORMAT_X86_64_LA57,
  FRAME_SHIFT,
  HARVEST_DIRTY,
  HARVEST_SOFT_DIRTY,
  HARVEST_WRITTEN,
  HARVEST_YOUNG,
  MAGIC,
} from "./layout";
import { Agent } from "./agent";
import { Broadcast, Own } from "./assoc";
import { Shared } from "./atomic";
import { Batch } from "./batch/translate";
import { Cpu } from "./cpu";
import { Driver } from "./fault/driver";
import { User } from "./fault/user";
import { Batched } from "./flush/batched";
import { Deferred } from "./flush/deferred";
import { Gather } from "./flush/gather";
import { Shootdown } from "./flush/shootdown";
import { Tracker } from "./flush/track";
import { Frames, NO_FRAME } from "./frame";
import { Heap } from "./heap";
import { ClearRefs } from "./kernel/clear_refs";
import { Fork } from "./kernel/fork";
import { Ksm } from "./kernel/ksm";
import { Madvise } from "./kernel/madvise";
import { Migrate } from "./kernel/migrate";
import { Mkclean, Writeback } from "./kernel/mkclean";
import { Mprotect } from "./kernel/mprotect";
import { Munmap } from "./kernel/munmap";
import { Pagemap } from "./kernel/pagemap";
import { Reaper } from "./kernel/reaper";
import { Reclaim } from "./kernel/reclaim";
import { Transfer } from "./kernel/transfer";
import { Userfaultfd } from "./kernel/userfaultfd";
import { Lister } from "./list";
import { Arena } from "./litmus/arena";
import { Island } from "./litmus/island";
import { Litmus } from "./litmus/machine";
import { Seat } from "./litmus/seat";
import { Loads } from "./loads";
import { Broken } from "./lock/broken";
import { RwLock } from "./lock/rwlock";
import { Mapper } from "./map";
import { Asids } from "./mm/asid";
import { Folio } from "./mm/folio";
import { Mapping } from "./mm/mapping";
import { Mm } from "./mm/mm";
import { Notifiers } from "./mm/notifier";
import { Rmap } from "./mm/rmap";
import { SwapArea } from "./mm/swap";
import { Vma } from "./mm/vma";
import { VmaLock } from "./mm/vma_lock";
import { ZeroPage } from "./mm/zero";
import { Point } from "./point";
import { Entry } from "./pte/entry";
import { X86_64, X86_64_LA57 } from "./pte/x86_64";
import { Pwc } from "./pwc";
import { Random } from "./random";
import { Age } from "./range/age";
import { Apply } from "./range/apply";
import { Clean } from "./range/clean";
import { Collect } from "./range/collect";
import { HarvestDirty, HarvestSoftDirty, HarvestWritten, HarvestYoung } from "./range/harvest";
import { MappingDirty } from "./range/mapping_dirty";
import { Path } from "./range/path";
import { Scan } from "./range/scan";
import { ClearSoftDirty } from "./range/soft_dirty";
import { Wrprotect } from "./range/wrprotect";
import { Zap } from "./range/zap";
import { Rcu } from "./rcu";
import { Space } from "./space";
import { Silent, Tlb } from "./tlb";
import { Place, Walk } from "./walk";

// ---- layout.ts

/** Lays out an empty memory. `basePfn` is the PFN of the first of `frames` frames at `ram`. */
export function initialize(frames: u32, ram: u32, meta: u32, basePfn: f64, heap: u32, heapEnd: u32): void {
  store<u32>(CONTROL_FRAMES, frames);
  store<u32>(CONTROL_RAM, ram);
  store<u32>(CONTROL_META, meta);
  store<u32>(CONTROL_ORIGIN, ram - ((<u32>(<i64>basePfn)) << FRAME_SHIFT));
  store<u64>(CONTROL_BASE_PFN, <u64>(<i64>basePfn));
  store<u32>(CONTROL_HEAP, heap);
  store<u32>(CONTROL_HEAP_END, heapEnd);
  store<u32>(CONTROL_EPOCH, 1);
  Heap.initialize();
  atomic.store<u32>(CONTROL_MAGIC, MAGIC);
}

// ---- agent.ts, point.ts, lock/broken.ts

/** Makes this instance an agent; returns its number, or -1 when there are too many. */
export function attach(mayBlock: bool): i32 {
  return Agent.attach(mayBlock);
}

/** Runs for another agent from here on, which this instance attached: the explorer's one instance runs all CPUs. */
export function become(agent: i32): void {
  Agent.become(agent);
}

export function detach(agent: i32): bool {
  return Agent.detach(agent);
}

/** Frees the locks that `agent`, which runs no more, held; returns how many. Call it before `detach`. */
export function breakLocks(agent: i32): u32 {
  return Broken.locksOf(agent);
}

/** Chaos build: seeds the delays at scheduling points. */
export function tuneChaos(seed: u32, oneIn: u32, longest: u32): void {
  if (BUILD == 1) Point.tune(seed, oneIn, longest);
}

/** Says whether there are more threads than processors: then who waits sleeps at once. */
export function shareProcessors(are: bool): void {
  Shared.share(are);
}

/** Seeds what the environment does (Point.choose): unasked evictions and fills. 0: it does nothing. */
export function seedChoices(seed: u32): void {
  Random.seed(seed);
}

/** One choice of the environment among `n`. */
export function choose(n: u32): u32 {
  return Point.choose(n);
}

// ---- atomic.ts

/** Waits until the u32 at `p` is not `seen`; returns what it is then. */
export function awaitChange(p: usize, seen: u32): u32 {
  return Shared.awaitChange<u32>(p, seen);
}

export function awaitChangeWide(p: usize, seen: u64): u64 {
  return Shared.awaitChange<u64>(p, seen);
}

export function storeAndWake(p: usize, value: u32): void {
  Shared.storeAndWake<u32>(p, value);
}

export function storeAndWakeWide(p: usize, value: u64): void {
  Shared.storeAndWake<u64>(p, value);
}

// ---- lock/rwlock.ts: by address of 16 zero bytes

export function readLock(lock: usize): void {
  RwLock.readLock(lock);
}

export function tryReadLock(lock: usize): bool {
  return RwLock.tryReadLock(lock);
}

export function readUnlock(lock: usize): void {
  RwLock.readUnlock(lock);
}

export function writeLock(lock: usize): void {
  RwLock.writeLock(lock);
}

export function writeUnlock(lock: usize): void {
  RwLock.writeUnlock(lock);
}

export function downgradeLock(lock: usize): void {
  RwLock.downgrade(lock);
}

/** Would a queued reader or writer (POINT_READ_LOCK, POINT_WRITE_LOCK) get a lock whose word is `state`? */
export function lockMayRun(state: u32, kind: i32): bool {
  return RwLock.mayRun(state, kind);
}

// ---- frame.ts, rcu.ts, heap.ts

/** PFN of a new frame in `state`, or -1 when none is left. */
export function allocateFrame(state: u32): f64 {
  return pfnOf(Frames.allocate(state));
}

export function allocateFrames(count: u32, align: u32, state: u32): f64 {
  return pfnOf(Frames.allocateVirgin(count, align, state));
}

export function getFrame(pfn: f64): i32 {
  return Frames.get(indexOf(pfn));
}

export function putFrame(pfn: f64): i32 {
  return Frames.put(indexOf(pfn));
}

/** Linear address of the bytes of frame `pfn`, or 0 if nothing backs it. */
export function frameAddress(pfn: f64): usize {
  return Frames.backing((<u64>(<i64>pfn)) << FRAME_SHIFT);
}

/** Linear address of the metadata of frame `pfn` (META_*), or 0 outside the window. */
export function frameMeta(pfn: f64): usize {
  const index = indexOf(pfn);
  return index == NO_FRAME ? 0 : Frames.meta(index);
}

export function countSpoiledFrames(): u32 {
  return Frames.countSpoiled();
}

/** The first live frame from `pfn` on, or -1. */
export function nextLiveFrame(pfn: f64): f64 {
  const index = indexOf(pfn);
  return index == NO_FRAME ? -1 : pfnOf(Frames.nextLive(index));
}

/** Frees what has waited long enough; returns the frames that still wait. */
export function reclaim(): u32 {
  return Rcu.reclaim();
}

export function openDirectory(capacity: u32): i32 {
  return Frames.openDirectory(capacity);
}

/** Backs `pfn`, outside the window, with the bytes of frame `storage`, inside it. */
export function backFrame(pfn: f64, storage: f64): i32 {
  return Frames.back(<u64>(<i64>pfn), indexOf(storage));
}

export function heapAllocate(bytes: u32): usize {
  return Heap.allocate(bytes);
}

/** False if `address` is no block that is handed out. */
export function heapFree(address: usize): bool {
  return Heap.free(address);
}

// ---- space.ts

export function createSpace(format: u32): usize {
  return Space.create(format);
}

export function openSpace(format: u32, root: u64): usize {
  return Space.open(format, root);
}

/** Frees a space's block. Its tables are the caller's: `unmap` frees all but the root. */
export function closeSpace(space: usize): void {
  Space.close(space);
}

/** Frees the root table of a space that `createSpace` made. */
export function freeRoot(space: usize): void {
  Space.freeTable(space, Space.root(space));
  Rcu.reclaim();
}

export function setRegime(space: usize, flags: u32, pkru: u32, physicalBits: u32): void {
  if (la57(space)) changetype<X86_64_LA57>(0).setRegime(Space.regime(space), flags, pkru, physicalBits);
  else changetype<X86_64>(0).setRegime(Space.regime(space), flags, pkru, physicalBits);
}

// ---- walk.ts

/**
 * A translation without side effects, as a compact result; `access` 0 asks for the mapping, whoever may use it. One walk between two
 * readings of the clock, written out: a call of `translateWord` cost 0.6 ns of 15.
 */
export function translate(space: usize, vpn: f64, access: u32): f64 {
  const va = (<u64>(<i64>vpn)) << FRAME_SHIFT;
  while (true) {
    const clock = Rcu.clock();
    const result = la57(space)
      ? Walk.translate<X86_64_LA57>(space, va, access)
      : Walk.translate<X86_64>(space, va, access);
    if (Rcu.clock() == clock) return Walk.compact(result);
  }
}

/** As `translate`, of any address, as a result word. */
export function translateWord(space: usize, va: u64, access: u32): u64 {
  while (true) {
    const clock = Rcu.clock();
    const result = la57(space)
      ? Walk.translate<X86_64_LA57>(space, va, access)
      : Walk.translate<X86_64>(space, va, access);
    if (Rcu.clock() == clock) return result;
  }
}

/** An access as hardware makes it, A and D included, as a compact result. */
export function access(space: usize, vpn: f64, access: u32): f64 {
  return Walk.compact(accessWord(space, (<u64>(<i64>vpn)) << FRAME_SHIFT, access));
}

export function accessWord(space: usize, va: u64, access: u32): u64 {
  Rcu.readLock();
  const result = la57(space) ? Walk.access<X86_64_LA57>(space, va, access) : Walk.access<X86_64>(space, va, access);
  Rcu.readUnlock();
  return result;
}

/** As `translateWord`, and the entries on the way stand in the agent's trail. */
export function explain(space: usize, va: u64, access: u32): u64 {
  Rcu.readLock();
  const result = la57(space) ? Walk.explain<X86_64_LA57>(space, va, access) : Walk.explain<X86_64>(space, va, access);
  Rcu.readUnlock();
  return result;
}

/** Linear address of the entry for `va` at `level`, or 0 if the walk ends above it. */
export function entryAddress(space: usize, va: u64, level: i32): usize {
  const place = la57(space) ? Walk.seek<X86_64_LA57>(space, va, level) : Walk.seek<X86_64>(space, va, level);
  return Place.level(place) == level ? Place.slot(place) : 0;
}

// ---- batch/

export function translateBatch(space: usize, input: usize, output: usize, count: u32, access: u32): u32 {
  Rcu.readLock();
  const mapped = la57(space)
    ? Batch.translate<X86_64_LA57>(space, input, output, count, access)
    : Batch.translate<X86_64>(space, input, output, count, access);
  Rcu.readUnlock();
  return mapped;
}

export function translateRange(space: usize, vpn: f64, pages: u32, output: usize, access: u32): u32 {
  const va = (<u64>(<i64>vpn)) << FRAME_SHIFT;
  Rcu.readLock();
  const mapped = la57(space)
    ? Batch.translateRange<X86_64_LA57>(space, va, pages, output, access)
    : Batch.translateRange<X86_64>(space, va, pages, output, access);
  Rcu.readUnlock();
  return mapped;
}

// ---- map.ts

export function map(space: usize, va: u64, pa: u64, bytes: u64, prot: u32, topLeaf: i32): i32 {
  if (la57(space)) return Mapper.map<X86_64_LA57>(space, va, pa, bytes, prot, topLeaf);
  return Mapper.map<X86_64>(space, va, pa, bytes, prot, topLeaf);
}

export function unmap(space: usize, va: u64, bytes: u64): i32 {
  return la57(space) ? Mapper.unmap<X86_64_LA57>(space, va, bytes) : Mapper.unmap<X86_64>(space, va, bytes);
}

export function protect(space: usize, va: u64, bytes: u64, prot: u32): i32 {
  if (la57(space)) return Mapper.protect<X86_64_LA57>(space, va, bytes, prot);
  return Mapper.protect<X86_64>(space, va, bytes, prot);
}

export function split(space: usize, va: u64, level: i32): i32 {
  return la57(space) ? Mapper.split<X86_64_LA57>(space, va, level) : Mapper.split<X86_64>(space, va, level);
}

// ---- list.ts

export function list(space: usize, cursor: usize, output: usize, capacity: u32): void {
  Rcu.readLock();
  if (la57(space)) Lister.list<X86_64_LA57>(space, cursor, output, capacity);
  else Lister.list<X86_64>(space, cursor, output, capacity);
  Rcu.readUnlock();
}

// ---- flush/track.ts

export function initializeTracker(tracker: usize, policy: u32, limit: u32, ceiling: u32): void {
  Tracker.initialize(tracker, policy, limit, ceiling);
}

export function resetTracker(tracker: usize): void {
  Tracker.reset(tracker);
}

/** Adds `pages` pages of 4 KiB from `vpn`, mapped by pages of 2^`strideShift` bytes. */
export function trackRange(tracker: usize, vpn: f64, pages: f64, strideShift: u32): void {
  if (pages <= 0) return;
  const first = (<u64>(<i64>vpn)) << FRAME_SHIFT;
  Tracker.add(tracker, first, first + (((<u64>(<i64>pages)) << FRAME_SHIFT) - 1), strideShift);
}

/** Adds `count` pages of 2^`strideShift` bytes, aligned as such, whose page numbers stand at `vpns` as doubles. */
export function trackPages(tracker: usize, vpns: usize, count: u32, strideShift: u32): void {
  Tracker.addPages(tracker, vpns, count, strideShift);
}

export function planFlush(tracker: usize): u32 {
  return Tracker.plan(tracker);
}

export function plannedInvalidations(tracker: usize): f64 {
  return <f64>(<i64>Tracker.invalidations(tracker));
}

// ---- tlb.ts, pwc.ts, loads.ts: `shared` says that other CPUs invalidate in it

export function createTlb(
  arrays: u32,
  entries: u32,
  pageShift: u32,
  levelShift: u32,
  inclusion: u32,
  seed: u32,
): usize {
  return Tlb.create(arrays, entries, pageShift, levelShift, inclusion, seed);
}

export function setTlbArray(
  tlb: usize,
  n: u32,
  sets: u32,
  ways: u32,
  sizes: u32,
  level: u32,
  serves: u32,
  policy: u32,
): void {
  Tlb.setArray(tlb, n, sets, ways, sizes, level, serves, policy);
}

export function disposeTlb(tlb: usize): void {
  Tlb.dispose(tlb);
}

/** Address of the entry that translates page `vpn`, or 0. */
export function tlbLookUp(tlb: usize, vpn: f64, asid: u32, fetch: u32, shared: bool): usize {
  const va = (<u64>(<i64>vpn)) << FRAME_SHIFT;
  return shared ? Tlb.lookUp<Broadcast>(tlb, va, asid, fetch) : Tlb.lookUp<Own>(tlb, va, asid, fetch);
}

export function tlbBegin(tlb: usize, shared: bool): f64 {
  return <f64>(<i64>(shared ? Tlb.begin<Broadcast>(tlb) : Tlb.begin<Own>(tlb)));
}

export function tlbFill(
  tlb: usize,
  va: u64,
  asid: u32,
  fetch: u32,
  global: bool,
  result: u64,
  slot: usize,
  begun: f64,
  shared: bool,
): usize {
  const sequence = <u64>(<i64>begun);
  if (shared) return Tlb.fill<Broadcast>(tlb, va, asid, fetch, global, result, slot, sequence);
  return Tlb.fill<Own>(tlb, va, asid, fetch, global, result, slot, sequence);
}

export function tlbInvalidatePage(tlb: usize, va: u64, asid: u32, scope: u32, shared: bool): void {
  if (shared) Tlb.invalidatePage<Broadcast, Silent>(tlb, va, asid, scope);
  else Tlb.invalidatePage<Own, Silent>(tlb, va, asid, scope);
}

export function tlbInvalidateRange(
  tlb: usize,
  first: u64,
  last: u64,
  stride: u32,
  asid: u32,
  scope: u32,
  shared: bool,
): void {
  if (shared) Tlb.invalidateRange<Broadcast, Silent>(tlb, first, last, stride, asid, scope);
  else Tlb.invalidateRange<Own, Silent>(tlb, first, last, stride, asid, scope);
}

export function tlbInvalidateAsid(tlb: usize, asid: u32, shared: bool): void {
  if (shared) Tlb.invalidateAsid<Broadcast, Silent>(tlb, asid);
  else Tlb.invalidateAsid<Own, Silent>(tlb, asid);
}

export function tlbInvalidateNotGlobal(tlb: usize, shared: bool): void {
  if (shared) Tlb.invalidateNotGlobal<Broadcast, Silent>(tlb);
  else Tlb.invalidateNotGlobal<Own, Silent>(tlb);
}

export function tlbInvalidateAll(tlb: usize, shared: bool): void {
  if (shared) Tlb.invalidateAll<Broadcast, Silent>(tlb);
  else Tlb.invalidateAll<Own, Silent>(tlb);
}

export function tlbDropFaulted(tlb: usize, va: u64, asid: u32, shared: bool): void {
  if (shared) Tlb.dropFaulted<Broadcast, Silent>(tlb, va, asid);
  else Tlb.dropFaulted<Own, Silent>(tlb, va, asid);
}

export function tlbEvict(tlb: usize, n: u32, shared: bool): bool {
  return shared ? Tlb.evict<Broadcast>(tlb, n) : Tlb.evict<Own>(tlb, n);
}

/** The valid entry after `entry`, the first after 0; 0 after the last. */
export function tlbNext(tlb: usize, entry: usize): usize {
  return Tlb.next(tlb, entry);
}

export function tlbCountValid(tlb: usize): u32 {
  return Tlb.countValid(tlb);
}

export function tlbArrayOf(tlb: usize, entry: usize): usize {
  return Tlb.arrayOf(tlb, entry);
}

export function pwcFind(tlb: usize, va: u64, asid: u32, shared: bool): usize {
  return shared ? Pwc.find<Broadcast>(tlb, va, asid) : Pwc.find<Own>(tlb, va, asid);
}

export function pwcFill(
  tlb: usize,
  va: u64,
  asid: u32,
  level: u32,
  table: u64,
  rights: u64,
  begun: f64,
  shared: bool,
): bool {
  const sequence = <u64>(<i64>begun);
  if (shared) return Pwc.fill<Broadcast>(tlb, va, asid, level, table, rights, sequence);
  return Pwc.fill<Own>(tlb, va, asid, level, table, rights, sequence);
}

/** Loads the words around `count` addresses at `input` into `output` through the TLB; returns how many it did. */
export function loadThroughTlb(
  tlb: usize,
  space: usize,
  asid: u32,
  input: usize,
  output: usize,
  count: u32,
  access: u32,
  shared: bool,
): u32 {
  if (la57(space)) {
    if (shared) return Loads.run<X86_64_LA57, Broadcast>(tlb, space, asid, input, output, count, access);
    return Loads.run<X86_64_LA57, Own>(tlb, space, asid, input, output, count, access);
  }
  if (shared) return Loads.run<X86_64, Broadcast>(tlb, space, asid, input, output, count, access);
  return Loads.run<X86_64, Own>(tlb, space, asid, input, output, count, access);
}

// ---- mm/mm.ts, mm/mapping.ts, mm/vma.ts

export function createMm(space: usize, splitPtl: bool): usize {
  return Mm.create(space, splitPtl);
}

export function freeMm(mm: usize): void {
  Mm.free(mm);
}

export function createMapping(): usize {
  return Mapping.create();
}

export function freeMapping(mapping: usize): void {
  Mapping.free(mapping);
}

export function insertVma(mm: usize, start: u64, end: u64, flags: u32, mapping: usize, pgoff: u64): usize {
  return Vma.declare(mm, start, end, flags, mapping, pgoff);
}

/** The first VMA of `mm` that has a byte of [first, last], or 0. */
export function firstVmaIn(mm: usize, first: u64, last: u64): usize {
  return Vma.firstIn(mm, first, last);
}

export function removeVma(vma: usize): void {
  Vma.withdraw(vma);
}

/** The VMA that holds `va`, or 0. The caller holds mmap_lock. */
export function lookUpVma(mm: usize, va: u64): usize {
  return Vma.lookUp(mm, va);
}

/** The first VMA over `mapping` that shows one of its pages first to last, or 0. The caller holds i_mmap_rwsem. */
export function firstVmaOf(mapping: usize, first: u64, last: u64): usize {
  return Vma.firstOf(mapping, first, last);
}

/** The next such VMA after `vma`, or 0. */
export function nextVmaOf(mapping: usize, vma: usize, first: u64, last: u64): usize {
  return Vma.nextOf(mapping, vma, first, last);
}

/** The VMA of a fork in `mm`, or 0. */
export function forkVma(vma: usize, mm: usize): usize {
  return Vma.fork(vma, mm);
}

/** Gives a file room for `count` cached pages. */
export function openMapping(mapping: usize, count: u32): bool {
  return Mapping.open(mapping, count);
}

// ---- mm/vma_lock.ts, and mmap_lock as those who change VMAs take it

export function mmapWriteLock(mm: usize): void {
  Mm.writeLock(mm);
}

export function mmapWriteUnlock(mm: usize): void {
  Mm.writeUnlock(mm);
}

export function mmapDowngrade(mm: usize): void {
  Mm.downgrade(mm);
}

/** The VMA that holds `va`, read-locked, or 0. */
export function lockVma(mm: usize, va: u64): usize {
  return VmaLock.lookUp(mm, va);
}

export function unlockVma(vma: usize): void {
  VmaLock.endRead(vma);
}

/** The caller holds mmap_lock for writing. */
export function startVmaWrite(vma: usize): void {
  VmaLock.startWrite(vma);
}

// ---- mm/folio.ts, mm/page.ts, mm/rmap.ts, mm/swap.ts: folios by the PFN of their frame

/** Makes the folios of all frames, if there are none. */
export function openFolios(): i32 {
  return Folio.open();
}

/** How many words of a page are copied and compared; 0: all. */
export function setPageWords(words: u32): void {
  store<u32>(CONTROL_PAGE_WORDS, words);
}

/** A folio with one reference, or -1. */
export function allocateFolio(): f64 {
  const folio = Folio.allocate();
  return folio == 0 ? -1 : pfnOf(Folio.frame(folio));
}

/** Linear address of the folio (FOLIO_*) of frame `pfn`, or 0 if it has none. */
export function folioAddress(pfn: f64): usize {
  return Folio.normal((<u64>(<i64>pfn)) << FRAME_SHIFT);
}

/** The folio of frame `pfn` with a reference more; 0 if it has none, or is being freed: folio_try_get(). */
export function tryGetFolio(pfn: f64): usize {
  const pa = (<u64>(<i64>pfn)) << FRAME_SHIFT;
  const folio = Folio.normal(pa);
  if (folio == 0 || !Folio.tryGet(folio)) return 0;
  // It may have come back as something else before it was held.
  if (Folio.normal(pa) == folio) return folio;
  Folio.put(folio);
  return 0;
}

export function putFolio(folio: usize): void {
  Folio.put(folio);
}

export function lockFolio(folio: usize): void {
  Folio.lock(folio);
}

export function unlockFolio(folio: usize): void {
  Folio.unlock(folio);
}

/** Puts a folio into a file's page cache as page `index`; false if a page is there. */
export function addToMapping(mapping: usize, index: f64, folio: usize): bool {
  return Mapping.add(mapping, <u64>(<i64>index), folio);
}

/**
 * The places that map a folio, by the reverse map: for each, up to `capacity`, u32 mm, u32 0, u64 va at `output`. Returns how many there are.
 * The caller holds the page lock.
 */
export function listRmap(folio: usize, output: usize, capacity: u32): u32 {
  store<u32>(Agent.reply(), 0);
  store<u32>(Agent.reply(), capacity, 4);
  Rmap.walk<ListRmap>(folio, output);
  return load<u32>(Agent.reply());
}

/** Visitor of Rmap.walk: notes who really maps it. */
class ListRmap {
  one<F>(folio: usize, vma: usize, va: u64, output: usize): bool {
    const mm = Vma.mm(vma);
    const slot = Rmap.pageOf<F>(mm, va, folio, false);
    if (slot == 0) return true;
    Rmap.done(mm, slot);
    const found = load<u32>(Agent.reply());
    if (found < load<u32>(Agent.reply(), 4)) {
      const record = output + ((<usize>found) << 4);
      store<u64>(record, mm);
      store<u64>(record, va, 8);
    }
    store<u32>(Agent.reply(), found + 1);
    return true;
  }
}

/** Makes the swap area; false if no heap is left. */
export function openSwap(slots: u32): bool {
  return SwapArea.open(slots);
}

/** The list of migrations whose flush is deferred that faults of `mm` settle (HANDLER_UNPEND); 0: none. */
export function setDeferred(mm: usize, pages: usize): void {
  Mm.setDeferred(mm, pages);
}

/** Makes the zero page, if there is none; false if no frame is left. */
export function openZeroPage(): bool {
  return ZeroPage.open();
}

/** Gives a file a backing store of zeros. */
export function openStore(mapping: usize): bool {
  return Mapping.openStore(mapping);
}

/** Address of page `index` in the backing store, or 0. */
export function storedPage(mapping: usize, index: f64): usize {
  return Mapping.stored(mapping, <u64>(<i64>index));
}

// ---- fault/: a user access with its faults handled returns DONE or SIGNAL_*, what was read in the reply block

export function setHandler(cpu: usize, policy: u32, shoot: u32): void {
  User.setPolicy(cpu, policy, shoot);
}

export function handledLoad(cpu: usize, va: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return User.load<X86_64_LA57>(cpu, va);
  return User.load<X86_64>(cpu, va);
}

export function handledFetch(cpu: usize, va: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return User.fetch<X86_64_LA57>(cpu, va);
  return User.fetch<X86_64>(cpu, va);
}

export function handledStore(cpu: usize, va: u64, value: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return User.store<X86_64_LA57>(cpu, va, value);
  return User.store<X86_64>(cpu, va, value);
}

export function handledExchange(cpu: usize, va: u64, value: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return User.exchange<X86_64_LA57>(cpu, va, value);
  return User.exchange<X86_64>(cpu, va, value);
}

/** Handles a fault of `cpu`, which is in kernel mode, at `va`, with `access` ACCESS_* and the policy that it was given. */
export function handleFault(cpu: usize, va: u64, access: u32): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return User.fault<X86_64_LA57>(cpu, va, access);
  return User.fault<X86_64>(cpu, va, access);
}

/** A driver for a file of `pages` pages, with `byPfn` over the frames from `pfn` on. */
export function createDriver(pages: u32, byPfn: bool, pfn: f64): usize {
  return Driver.create(pages, byPfn, <u64>(<i64>pfn));
}

export function freeDriver(driver: usize): void {
  Driver.free(driver);
}

/** Who hears of the first store to a page of `mapping`. */
export function setDriver(mapping: usize, driver: usize): void {
  Mapping.setDriver(mapping, driver);
}

// ---- mm/notifier.ts

export function registerNotifier(mm: usize, first: u64, last: u64, capacity: u32, sleeps: bool): usize {
  return Notifiers.register(mm, first, last, capacity, sleeps);
}

export function unregisterNotifier(notifier: usize): void {
  Notifiers.unregister(notifier);
}

export function notifyStart(mm: usize, event: u32, first: u64, last: u64): void {
  Notifiers.start(mm, event, first, last);
}

/** False if a notifier refused. */
export function notifyStartNonblock(mm: usize, event: u32, first: u64, last: u64): bool {
  return Notifiers.startNonblock(mm, event, first, last);
}

export function notifyEnd(mm: usize, event: u32, first: u64, last: u64): void {
  Notifiers.end(mm, event, first, last);
}

export function notifySecondary(mm: usize, first: u64, last: u64): void {
  Notifiers.invalidateSecondary(mm, first, last);
}

export function notifyRelease(mm: usize): void {
  Notifiers.release(mm);
}

export function notifierReadBegin(notifier: usize): u64 {
  return Notifiers.readBegin(notifier);
}

export function notifierReadRetry(notifier: usize, sequence: u64): bool {
  return Notifiers.readRetry(notifier, sequence);
}

// ---- range/: `scan` is a block drawn in layout.ts (SCAN_*); the lock of the space is the page-table lock for now

/** Write-protects the present leaves of a range. */
export function wrprotectRange(space: usize, scan: usize): void {
  Space.lock(space);
  const changed = la57(space)
    ? Scan.run<X86_64_LA57, Wrprotect>(space, scan)
    : Scan.run<X86_64, Wrprotect>(space, scan);
  Space.unlock(space, changed);
}

/** Cleans the dirty leaves of a range and records them. */
export function cleanRange(space: usize, scan: usize): void {
  Space.lock(space);
  const changed = la57(space) ? Scan.run<X86_64_LA57, Clean>(space, scan) : Scan.run<X86_64, Clean>(space, scan);
  Space.unlock(space, changed);
}

export function clearSoftDirtyRange(space: usize, scan: usize): void {
  Space.lock(space);
  const changed = la57(space)
    ? Scan.run<X86_64_LA57, ClearSoftDirty>(space, scan)
    : Scan.run<X86_64, ClearSoftDirty>(space, scan);
  Space.unlock(space, changed);
}

/** Tests and clears young. */
export function ageRange(space: usize, scan: usize): void {
  Space.lock(space);
  const changed = la57(space) ? Scan.run<X86_64_LA57, Age>(space, scan) : Scan.run<X86_64, Age>(space, scan);
  Space.unlock(space, changed);
}

/** Notes in the bitmap which pages are of a kind (HARVEST_*), and changes nothing. */
export function harvestRange(space: usize, scan: usize, kind: u32): void {
  Space.lock(space);
  if (la57(space)) harvest<X86_64_LA57>(space, scan, kind);
  else harvest<X86_64>(space, scan, kind);
  Space.unlock(space, false);
}

function harvest<F>(space: usize, scan: usize, kind: u32): void {
  if (kind == HARVEST_DIRTY) Scan.run<F, HarvestDirty>(space, scan);
  else if (kind == HARVEST_SOFT_DIRTY) Scan.run<F, HarvestSoftDirty>(space, scan);
  else if (kind == HARVEST_YOUNG) Scan.run<F, HarvestYoung>(space, scan);
  else if (kind == HARVEST_WRITTEN) Scan.run<F, HarvestWritten>(space, scan);
}

// ---- cpu.ts, flush/shootdown.ts

export function createCpu(id: u32, tlb: usize, machine: u32): usize {
  return Cpu.create(id, tlb, machine);
}

/** What the hardware does unasked (HW_*) and for which page (Cpu.setHardware). */
export function setHardware(cpu: usize, hardware: u32, prefetch: u64): void {
  Cpu.setHardware(cpu, hardware, prefetch);
}

export function freeCpu(cpu: usize): void {
  Cpu.free(cpu);
}

export function loadMm(cpu: usize, mm: usize, asid: u32): void {
  Cpu.loadMm(cpu, mm, asid);
}

/** As `loadMm`, but what stands under `asid` is taken to be current. */
export function loadMmUnflushed(cpu: usize, mm: usize, asid: u32): void {
  Cpu.loadMmUnflushed(cpu, mm, asid);
}

/** Runs `mm` under a PCID of the CPU's own. */
export function switchMm(cpu: usize, mm: usize): void {
  Cpu.switchMm(cpu, mm);
}

/** Runs `mm` under the number that `asids` gives it. */
export function switchMmAllocated(cpu: usize, mm: usize, asids: usize): void {
  Cpu.switchMmAllocated(cpu, mm, asids);
}

/** An allocator of 2^`bits` ASIDs for all CPUs (mm/asid.ts); 0 if no heap is left. */
export function createAsids(bits: u32, flags: u32): usize {
  return Asids.create(bits, flags);
}

export function freeAsids(asids: usize): void {
  Asids.free(asids);
}

export function enterUser(cpu: usize): void {
  Cpu.enterUser(cpu);
}

export function leaveUser(cpu: usize): void {
  Cpu.leaveUser(cpu);
}

export function enterLazy(cpu: usize): void {
  Cpu.enterLazy(cpu);
}

/** `compareFirst` is the wrong order. */
export function leaveLazy(cpu: usize, compareFirst: bool): bool {
  return Cpu.leaveLazy(cpu, compareFirst);
}

/** The hardware fetches a translation of `va` that nobody asked for. */
export function speculate(cpu: usize, va: u64): void {
  Cpu.speculate(cpu, va);
}

/** The hardware drops the translation of `va`. */
export function evict(cpu: usize, va: u64): void {
  Cpu.evict(cpu, va);
}

/** After a spurious fault: this CPU walks anew for `va`. */
export function fence(cpu: usize, va: u64): void {
  Cpu.fence(cpu, va);
}

/** Between two user accesses: answers what is pending. */
export function takeInterrupts(cpu: usize): void {
  Cpu.takeInterrupts(cpu);
}

/** Loads the word of 8 bytes at `va` in user mode: DONE, the word in the reply block, or FAULTED. */
export function userLoad(cpu: usize, va: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return Cpu.load<X86_64_LA57>(cpu, va);
  return Cpu.load<X86_64>(cpu, va);
}

/** As `userLoad`, an instruction fetch. */
export function userFetch(cpu: usize, va: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return Cpu.fetch<X86_64_LA57>(cpu, va);
  return Cpu.fetch<X86_64>(cpu, va);
}

export function userStore(cpu: usize, va: u64, value: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return Cpu.store<X86_64_LA57>(cpu, va, value);
  return Cpu.store<X86_64>(cpu, va, value);
}

export function userExchange(cpu: usize, va: u64, value: u64): u32 {
  if (la57(Mm.space(Cpu.mm(cpu)))) return Cpu.exchange<X86_64_LA57>(cpu, va, value);
  return Cpu.exchange<X86_64>(cpu, va, value);
}

/** Stores `value`, `value` + 1, ... at `va` until a store faults or `count` are done; returns how many were. */
export function userStores(cpu: usize, va: u64, value: u64, count: u32): u32 {
  let done: u32 = 0;
  while (done < count && userStore(cpu, va, value + done) == DONE) ++done;
  return done;
}

/** See Shootdown.flush: [first, last] of `mm` in steps of 2^`stride` (64: all), from `cpu`. Returns the CPUs interrupted. */
export function flushMm(cpu: usize, mm: usize, first: u64, last: u64, stride: u32, freed: bool, options: u32): u32 {
  return Shootdown.flush(cpu, mm, first, last, stride, freed, options);
}

// ---- flush/batched.ts: `batch` is a block of UBC_BYTES

export function shouldDeferFlush(self: usize, mm: usize): bool {
  return Batched.shouldDefer(self, mm);
}

export function deferUnmapFlush(batch: usize, self: usize, mm: usize, va: u64, writable: bool): void {
  Batched.setPending(batch, self, mm, va, writable);
}

export function flushUnmapped(batch: usize, self: usize, options: u32): u32 {
  return Batched.flush(batch, self, options);
}

export function flushUnmappedDirty(batch: usize, self: usize, options: u32): u32 {
  return Batched.flushDirty(batch, self, options);
}

/** What others deferred for `mm`, under the page-table lock. */
export function flushBatchedPending(self: usize, mm: usize, options: u32): void {
  Batched.flushPending(self, mm, options);
}

// ---- flush/deferred.ts: folios by address

export function createDeferred(capacity: u32, flags: u32): usize {
  return Deferred.create(capacity, flags);
}

export function freeDeferred(pages: usize): void {
  Deferred.free(pages);
}

export function keepMigrated(pages: usize, self: usize, mm: usize, va: u64, old: usize, folio: usize): bool {
  return Deferred.keep(pages, self, mm, va, old, folio);
}

export function settleMigrated(pages: usize, self: usize, folio: usize, options: u32): bool {
  return Deferred.settle(pages, self, folio, options);
}

export function flushMigrated(pages: usize, self: usize, options: u32): u32 {
  return Deferred.flush(pages, self, options);
}

// ---- range/mapping_dirty.ts: `path` is a block drawn in layout.ts (PATH_*)

/** wp_shared_mapping_range(): pages first to last of `mapping`, from CPU `cpu`. */
export function writeProtectMapping(
  cpu: usize,
  mapping: usize,
  first: u64,
  last: u64,
  path: usize,
  options: u32,
): void {
  MappingDirty.writeProtect(cpu, mapping, first, last, path, options);
}

/** clean_record_shared_mapping_range(): bit 0 of the bitmap stands for page PATH_PGOFF. */
export function cleanRecordMapping(cpu: usize, mapping: usize, first: u64, last: u64, path: usize, options: u32): void {
  MappingDirty.cleanRecord(cpu, mapping, first, last, path, options);
}

// ---- flush/gather.ts, range/zap.ts: `tlb` is a block of GATHER_BYTES, that of a path at PATH_GATHER

export function gatherMmu(tlb: usize, mm: usize, cpu: usize, fullmm: bool, shoot: u32): void {
  Gather.begin(tlb, mm, cpu, fullmm, shoot);
}

export function gatherEntry(tlb: usize, va: u64, pageShift: u32, level: u32): void {
  Gather.removeEntry(tlb, va, pageShift, level);
}

/** True if a flush is due. */
export function gatherPage(tlb: usize, pfn: f64): bool {
  return Gather.removePage(tlb, indexOf(pfn));
}

export function gatherTable(tlb: usize, va: u64, pageShift: u32, level: u32, pa: u64): void {
  Gather.removeTable(tlb, va, pageShift, level, pa);
}

export function flushGatherTlbOnly(tlb: usize): void {
  Gather.flushTlbOnly(tlb);
}

export function flushGather(tlb: usize): void {
  Gather.flush(tlb);
}

export function finishGather(tlb: usize): void {
  Gather.finish(tlb);
}

/** Takes the pages of [first, last] out of `mm`, into the gather of the path. */
export function zapRange(path: usize, mm: usize, first: u64, last: u64): void {
  Path.enterMm(path, mm, 0);
  Zap.range<X86_64>(path, first, last);
}

// ---- range/apply.ts

/** apply_to_pfn_range() with a visitor that copies entries; see Collect. */
export function applyToPfnRange(path: usize, mm: usize, first: u64, last: u64, alloc: bool): i32 {
  Path.begin(path, 0, 0);
  Path.enterMm(path, mm, 0);
  return Apply.toPfnRange<X86_64, Collect>(path, first, last, alloc);
}

// ---- kernel/: entries of four and five levels mean the same, so each path is compiled once. From CPU `cpu`, for [first, last] of `mm`, both page-aligned but for the low bits of `last`; `path` is a block of PATH_BYTES

/** clear_refs_write() of soft-dirty; options CLEAR_REFS_* and PATH_*. */
export function clearRefs(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): void {
  ClearRefs.softDirty<X86_64>(cpu, mm, first, last, path, options);
}

/** Sets the bits of the pages that pagemap tells to be soft-dirty. */
export function pagemapSoftDirty(cpu: usize, mm: usize, first: u64, last: u64, path: usize): void {
  Pagemap.softDirty<X86_64>(cpu, mm, first, last, path);
}

/** `rights` is VM_READ, VM_WRITE, VM_EXEC. STATUS_OK, STATUS_HOLE, STATUS_NOT_ALLOWED, or STATUS_NO_MEMORY. */
export function mprotect(cpu: usize, mm: usize, first: u64, last: u64, rights: u32, path: usize, options: u32): i32 {
  return Mprotect.range<X86_64>(cpu, mm, first, last, rights, path, options);
}

/** UFFDIO_WRITEPROTECT; options UFFD_WP_* and PATH_*. */
export function uffdWriteProtect(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): i32 {
  return Userfaultfd.writeProtect<X86_64>(cpu, mm, first, last, path, options);
}

export function madviseDontNeed(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): void {
  Madvise.dontNeed<X86_64>(cpu, mm, first, last, path, options);
}

export function madviseFree(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): void {
  Madvise.free<X86_64>(cpu, mm, first, last, path, options);
}

/** Writes a page of a file back; false if it was clean. Options MKCLEAN_* and WRITEBACK_*. */
export function writeBackFolio(cpu: usize, folio: usize, path: usize, options: u32): bool {
  return Writeback.folio(cpu, folio, path, options);
}

/** folio_mkclean() of who holds the page lock: true if an entry was cleaned. */
export function mkcleanFolio(cpu: usize, folio: usize, path: usize, options: u32): bool {
  Path.begin(path, cpu, options);
  const cleaned = Mkclean.folio(folio, path);
  Path.finish(path);
  return cleaned;
}

/** KSM merges the page at `va` with `kfolio`, or makes one for others of it (0); false if it could not. Options KSM_*. */
export function mergePage(cpu: usize, mm: usize, va: u64, kfolio: usize, path: usize, options: u32): bool {
  return Ksm.merge<X86_64>(cpu, mm, va, kfolio, path, options);
}

/** Reclaims a page, the caller's reference with it; false if it stays. Options RECLAIM_*. */
export function reclaimFolio(cpu: usize, folio: usize, path: usize, options: u32): bool {
  return Reclaim.folio(cpu, folio, path, options);
}

/** Moves a page to a new frame, the caller's reference with it; false if it stays. Options MIGRATE_*; PATH_DEFERRED in the path. */
export function migrateFolio(cpu: usize, from: usize, to: usize, path: usize, options: u32): bool {
  return Migrate.folio(cpu, from, to, path, options);
}

/** STATUS_OK, or STATUS_NO_MEMORY if a VMA could not be split. */
export function munmap(cpu: usize, mm: usize, first: u64, last: u64, path: usize, options: u32): i32 {
  return Munmap.range<X86_64>(cpu, mm, first, last, path, options);
}

/** A driver's cycle over its file: write-protect, take the record, copy to the device. Returns the pages copied. */
export function transferFile(cpu: usize, mapping: usize, path: usize, options: u32): u32 {
  return Transfer.cycle(cpu, mapping, path, options);
}

/** Makes `child`, which is empty, a copy of `parent`; false if there is no room. */
export function forkMm(cpu: usize, parent: usize, child: usize, shoot: u32): bool {
  if (la57(Mm.space(parent))) return Fork.mm<X86_64_LA57>(cpu, parent, child, shoot);
  return Fork.mm<X86_64>(cpu, parent, child, shoot);
}

/** The OOM reaper; false if it has to try again. */
export function reapMm(cpu: usize, mm: usize, path: usize, options: u32): bool {
  return Reaper.reap<X86_64>(cpu, mm, path, options);
}

/** mmput(): true if this was the last user, and the mm was taken down. */
export function putMm(cpu: usize, mm: usize, path: usize, options: u32): bool {
  return Reaper.put<X86_64>(cpu, mm, path, options);
}

// ---- litmus/

/** Runs the program of the CPU whose block (LITMUS_*) is `p` to its end. */
export function runLitmus(p: usize): void {
  Litmus.run(p);
}

/** An island with `frames` frames and a heap of `heap` bytes; 0 if there is no room. */
export function createIsland(frames: u32, heap: u32): usize {
  return Island.create(frames, heap);
}

/** CPUs, frames and heap are those of `island` from here on, for this instance of the core; 0: those of the memory. */
export function enterIsland(island: usize): void {
  Island.enter(island);
}

/** Keeps what the lines of a seat (SEAT_*) are, to which each round goes back. */
export function saveSeat(seat: usize): void {
  Seat.save(seat);
}

/** Runs some rounds of an arena as racer `n`. False: its ARENA_STOP is set; else it is to be called again. */
export function race(arena: usize, n: u32): bool {
  return Arena.race(arena, n);
}

// ---- pte/entry.ts: by linear address of the entry

export function ptepGet(slot: usize): u64 {
  return Entry.load<X86_64>(slot);
}

export function setPte(slot: usize, pte: u64): void {
  Entry.store<X86_64>(slot, pte);
}

export function ptepGetAndClear(slot: usize): u64 {
  return Entry.getAndClear<X86_64>(slot);
}

export function ptepSetWrprotect(slot: usize): void {
  Entry.setWrprotect<X86_64>(slot);
}

export function ptepTestAndClearYoung(slot: usize): bool {
  return Entry.testAndClearYoung<X86_64>(slot);
}

export function ptepModifyProtStart(slot: usize): u64 {
  return Entry.modifyProtStart<X86_64>(slot);
}

export function ptepModifyProtCommit(slot: usize, pte: u64): void {
  Entry.modifyProtCommit<X86_64>(slot, pte);
}

// ---- pte/x86_64.ts: Linux's vocabulary; four and five levels share it

export function pteNone(pte: u64): bool {
  return changetype<X86_64>(0).pteNone(pte);
}

export function ptePresent(pte: u64): bool {
  return changetype<X86_64>(0).ptePresent(pte);
}

export function pteWrite(pte: u64): bool {
  return changetype<X86_64>(0).pteWrite(pte);
}

export function pteDirty(pte: u64): bool {
  return changetype<X86_64>(0).pteDirty(pte);
}

export function pteProtnone(pte: u64): bool {
  return changetype<X86_64>(0).pteProtnone(pte);
}

export function pteNeedsFlush(old: u64, now: u64): bool {
  return changetype<X86_64>(0).pteNeedsFlush(old, now);
}

export function pteYoung(pte: u64): bool {
  return changetype<X86_64>(0).pteYoung(pte);
}

export function pteExec(pte: u64): bool {
  return changetype<X86_64>(0).pteExec(pte);
}

export function pteUser(pte: u64): bool {
  return changetype<X86_64>(0).pteUser(pte);
}

export function pteGlobal(pte: u64): bool {
  return changetype<X86_64>(0).pteGlobal(pte);
}

export function pteHuge(pte: u64): bool {
  return changetype<X86_64>(0).pteHuge(pte);
}

export function pteSpecial(pte: u64): bool {
  return changetype<X86_64>(0).pteSpecial(pte);
}

export function pteSoftDirty(pte: u64): bool {
  return changetype<X86_64>(0).pteSoftDirty(pte);
}

export function pteUffdWp(pte: u64): bool {
  return changetype<X86_64>(0).pteUffdWp(pte);
}

export function pteSwpSoftDirty(pte: u64): bool {
  return changetype<X86_64>(0).pteSwpSoftDirty(pte);
}

export function pteSwpUffdWp(pte: u64): bool {
  return changetype<X86_64>(0).pteSwpUffdWp(pte);
}

export function pteMkwrite(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkwrite(pte);
}

export function pteWrprotect(pte: u64): u64 {
  return changetype<X86_64>(0).pteWrprotect(pte);
}

export function pteMkdirty(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkdirty(pte);
}

export function pteMkclean(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkclean(pte);
}

export function pteMkyoung(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkyoung(pte);
}

export function pteMkold(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkold(pte);
}

export function pteMkexec(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkexec(pte);
}

export function pteMknexec(pte: u64): u64 {
  return changetype<X86_64>(0).pteMknexec(pte);
}

export function pteMkhuge(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkhuge(pte);
}

export function pteClrhuge(pte: u64): u64 {
  return changetype<X86_64>(0).pteClrhuge(pte);
}

export function pteMkglobal(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkglobal(pte);
}

export function pteClrglobal(pte: u64): u64 {
  return changetype<X86_64>(0).pteClrglobal(pte);
}

export function pteMkspecial(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkspecial(pte);
}

export function pteMksoftDirty(pte: u64): u64 {
  return changetype<X86_64>(0).pteMksoftDirty(pte);
}

export function pteClearSoftDirty(pte: u64): u64 {
  return changetype<X86_64>(0).pteClearSoftDirty(pte);
}

export function pteMkuffdWp(pte: u64): u64 {
  return changetype<X86_64>(0).pteMkuffdWp(pte);
}

export function pteClearUffdWp(pte: u64): u64 {
  return changetype<X86_64>(0).pteClearUffdWp(pte);
}

export function ptePkey(pte: u64): u32 {
  return changetype<X86_64>(0).ptePkey(pte);
}

export function ptePfn(pte: u64): f64 {
  return <f64>(<i64>changetype<X86_64>(0).ptePfn(pte));
}

export function pteSame(a: u64, b: u64): bool {
  return changetype<X86_64>(0).pteSame(a, b);
}

export function pteModify(pte: u64, prot: u32): u64 {
  return changetype<X86_64>(0).pteModify(pte, prot);
}

/** The entry of `type` (SWP_*) and offset, neither present nor none. */
export function swpEntry(type: u32, offset: f64): u64 {
  return changetype<X86_64>(0).swpEntry(type, <u64>(<i64>offset));
}

export function swpType(pte: u64): u32 {
  return changetype<X86_64>(0).swpType(pte);
}

export function swpOffset(pte: u64): f64 {
  return <f64>(<i64>changetype<X86_64>(0).swpOffset(pte));
}

/** A leaf of `level` for the page at `pa` with the rights and attributes of `prot` (PROT_*). */
export function makePte(pa: u64, level: i32, prot: u32): u64 {
  return changetype<X86_64>(0).makeLeaf(pa, level, prot);
}

function la57(space: usize): bool {
  return Space.format(space) == FORMAT_X86_64_LA57;
}

function pfnOf(index: u32): f64 {
  return index == NO_FRAME ? -1 : <f64>(<i64>(Frames.basePfn() + index));
}

function indexOf(pfn: f64): u32 {
  return Frames.indexOf((<u64>(<i64>pfn)) << FRAME_SHIFT);
}
