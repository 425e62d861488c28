// The exports of the core as JavaScript sees them; one for each function of `assembly/index.ts`, where each is described.
//
// i64 crosses as BigInt and arrives signed; u32 results and addresses arrive signed: callers write `>>> 0`.

/** What the core needs of a `WebAssembly.Memory`; spelled out, for only the DOM library declares that namespace. */
export interface CoreMemory {
  readonly buffer: ArrayBufferLike;
}

/** A compiled `WebAssembly.Module`. */
export type CoreModule = object;

export interface CoreExports {
  // ---- layout.ts

  initialize(frames: number, ram: number, meta: number, basePfn: number, heap: number, heapEnd: number): void;

  // ---- agent.ts, point.ts

  attach(mayBlock: boolean): number;
  become(agent: number): void;
  detach(agent: number): number;
  breakLocks(agent: number): number;
  tuneChaos(seed: number, oneIn: number, longest: number): void;
  shareProcessors(are: number): void;
  seedChoices(seed: number): void;
  choose(n: number): number;

  // ---- atomic.ts

  awaitChange(word: number, seen: number): number;
  awaitChangeWide(word: number, seen: bigint): bigint;
  storeAndWake(word: number, value: number): void;
  storeAndWakeWide(word: number, value: bigint): void;

  // ---- lock/rwlock.ts

  readLock(lock: number): void;
  tryReadLock(lock: number): number;
  readUnlock(lock: number): void;
  writeLock(lock: number): void;
  writeUnlock(lock: number): void;
  downgradeLock(lock: number): void;
  lockMayRun(state: number, kind: number): number;

  // ---- frame.ts, rcu.ts, heap.ts

  allocateFrame(state: number): number;
  allocateFrames(count: number, align: number, state: number): number;
  getFrame(pfn: number): number;
  putFrame(pfn: number): number;
  frameAddress(pfn: number): number;
  frameMeta(pfn: number): number;
  countSpoiledFrames(): number;
  nextLiveFrame(pfn: number): number;
  reclaim(): number;
  openDirectory(capacity: number): number;
  backFrame(pfn: number, storage: number): number;
  heapAllocate(bytes: number): number;
  heapFree(address: number): number;

  // ---- space.ts

  createSpace(format: number): number;
  openSpace(format: number, root: bigint): number;
  closeSpace(space: number): void;
  freeRoot(space: number): void;
  setRegime(space: number, flags: number, pkru: number, physicalBits: number): void;

  // ---- walk.ts

  translate(space: number, vpn: number, access: number): number;
  translateWord(space: number, va: bigint, access: number): bigint;
  access(space: number, vpn: number, access: number): number;
  accessWord(space: number, va: bigint, access: number): bigint;
  explain(space: number, va: bigint, access: number): bigint;
  entryAddress(space: number, va: bigint, level: number): number;

  // ---- batch/

  translateBatch(space: number, input: number, output: number, count: number, access: number): number;
  translateRange(space: number, vpn: number, pages: number, output: number, access: number): number;

  // ---- map.ts

  map(space: number, va: bigint, pa: bigint, bytes: bigint, prot: number, topLeaf: number): number;
  unmap(space: number, va: bigint, bytes: bigint): number;
  protect(space: number, va: bigint, bytes: bigint, prot: number): number;
  split(space: number, va: bigint, level: number): number;

  // ---- list.ts

  list(space: number, cursor: number, output: number, capacity: number): void;

  // ---- flush/track.ts

  initializeTracker(tracker: number, policy: number, limit: number, ceiling: number): void;
  resetTracker(tracker: number): void;
  trackRange(tracker: number, vpn: number, pages: number, strideShift: number): void;
  trackPages(tracker: number, vpns: number, count: number, strideShift: number): void;
  planFlush(tracker: number): number;
  plannedInvalidations(tracker: number): number;

  // ---- tlb.ts, pwc.ts, loads.ts

  createTlb(
    arrays: number,
    entries: number,
    pageShift: number,
    levelShift: number,
    inclusion: number,
    seed: number,
  ): number;
  setTlbArray(
    tlb: number,
    n: number,
    sets: number,
    ways: number,
    sizes: number,
    level: number,
    serves: number,
    policy: number,
  ): void;
  disposeTlb(tlb: number): void;
  tlbLookUp(tlb: number, vpn: number, asid: number, fetch: number, shared: boolean): number;
  tlbBegin(tlb: number, shared: boolean): number;
  tlbFill(
    tlb: number,
    va: bigint,
    asid: number,
    fetch: number,
    global: boolean,
    result: bigint,
    slot: number,
    begun: number,
    shared: boolean,
  ): number;
  tlbInvalidatePage(tlb: number, va: bigint, asid: number, scope: number, shared: boolean): void;
  tlbInvalidateRange(
    tlb: number,
    first: bigint,
    last: bigint,
    stride: number,
    asid: number,
    scope: number,
    shared: boolean,
  ): void;
  tlbInvalidateAsid(tlb: number, asid: number, shared: boolean): void;
  tlbInvalidateNotGlobal(tlb: number, shared: boolean): void;
  tlbInvalidateAll(tlb: number, shared: boolean): void;
  tlbDropFaulted(tlb: number, va: bigint, asid: number, shared: boolean): void;
  tlbEvict(tlb: number, n: number, shared: boolean): number;
  tlbNext(tlb: number, entry: number): number;
  tlbCountValid(tlb: number): number;
  tlbArrayOf(tlb: number, entry: number): number;
  pwcFind(tlb: number, va: bigint, asid: number, shared: boolean): number;
  pwcFill(
    tlb: number,
    va: bigint,
    asid: number,
    level: number,
    table: bigint,
    rights: bigint,
    begun: number,
    shared: boolean,
  ): number;
  loadThroughTlb(
    tlb: number,
    space: number,
    asid: number,
    input: number,
    output: number,
    count: number,
    access: number,
    shared: boolean,
  ): number;

  // ---- mm/mm.ts, mm/mapping.ts, mm/vma.ts

  createMm(space: number, splitPtl: boolean): number;
  freeMm(mm: number): void;
  createMapping(): number;
  freeMapping(mapping: number): void;
  insertVma(mm: number, start: bigint, end: bigint, flags: number, mapping: number, pgoff: bigint): number;
  removeVma(vma: number): void;
  lookUpVma(mm: number, va: bigint): number;
  firstVmaIn(mm: number, first: bigint, last: bigint): number;
  firstVmaOf(mapping: number, first: bigint, last: bigint): number;
  nextVmaOf(mapping: number, vma: number, first: bigint, last: bigint): number;

  forkVma(vma: number, mm: number): number;
  openMapping(mapping: number, count: number): number;

  // ---- mm/vma_lock.ts

  mmapWriteLock(mm: number): void;
  mmapWriteUnlock(mm: number): void;
  mmapDowngrade(mm: number): void;
  lockVma(mm: number, va: bigint): number;
  unlockVma(vma: number): void;
  startVmaWrite(vma: number): void;

  // ---- mm/folio.ts, mm/page.ts, mm/rmap.ts

  openFolios(): number;
  setPageWords(words: number): void;
  allocateFolio(): number;
  folioAddress(pfn: number): number;
  tryGetFolio(pfn: number): number;
  putFolio(folio: number): void;
  lockFolio(folio: number): void;
  unlockFolio(folio: number): void;
  addToMapping(mapping: number, index: number, folio: number): number;
  listRmap(folio: number, output: number, capacity: number): number;
  openSwap(slots: number): number;
  setDeferred(mm: number, pages: number): void;
  openZeroPage(): number;
  openStore(mapping: number): number;
  storedPage(mapping: number, index: number): number;

  // ---- fault/

  setHandler(cpu: number, policy: number, shoot: number): void;
  handledLoad(cpu: number, va: bigint): number;
  handledFetch(cpu: number, va: bigint): number;
  handledStore(cpu: number, va: bigint, value: bigint): number;
  handledExchange(cpu: number, va: bigint, value: bigint): number;
  handleFault(cpu: number, va: bigint, access: number): number;
  createDriver(pages: number, byPfn: boolean, pfn: number): number;
  freeDriver(driver: number): void;
  setDriver(mapping: number, driver: number): void;

  // ---- mm/notifier.ts

  registerNotifier(mm: number, first: bigint, last: bigint, capacity: number, sleeps: boolean): number;
  unregisterNotifier(notifier: number): void;
  notifyStart(mm: number, event: number, first: bigint, last: bigint): void;
  notifyStartNonblock(mm: number, event: number, first: bigint, last: bigint): number;
  notifyEnd(mm: number, event: number, first: bigint, last: bigint): void;
  notifySecondary(mm: number, first: bigint, last: bigint): void;
  notifyRelease(mm: number): void;
  notifierReadBegin(notifier: number): bigint;
  notifierReadRetry(notifier: number, sequence: bigint): number;

  // ---- range/

  wrprotectRange(space: number, scan: number): void;
  cleanRange(space: number, scan: number): void;
  clearSoftDirtyRange(space: number, scan: number): void;
  ageRange(space: number, scan: number): void;
  harvestRange(space: number, scan: number, kind: number): void;

  // ---- cpu.ts, flush/shootdown.ts

  createCpu(id: number, tlb: number, machine: number): number;
  setHardware(cpu: number, hardware: number, prefetch: bigint): void;
  freeCpu(cpu: number): void;
  loadMm(cpu: number, mm: number, asid: number): void;
  loadMmUnflushed(cpu: number, mm: number, asid: number): void;
  switchMm(cpu: number, mm: number): void;
  switchMmAllocated(cpu: number, mm: number, asids: number): void;
  createAsids(bits: number, flags: number): number;
  freeAsids(asids: number): void;
  enterUser(cpu: number): void;
  leaveUser(cpu: number): void;
  enterLazy(cpu: number): void;
  leaveLazy(cpu: number, compareFirst?: boolean): number;
  takeInterrupts(cpu: number): void;
  speculate(cpu: number, va: bigint): void;
  evict(cpu: number, va: bigint): void;
  fence(cpu: number, va: bigint): void;
  userLoad(cpu: number, va: bigint): number;
  userFetch(cpu: number, va: bigint): number;
  userStore(cpu: number, va: bigint, value: bigint): number;
  userExchange(cpu: number, va: bigint, value: bigint): number;
  userStores(cpu: number, va: bigint, value: bigint, count: number): number;
  flushMm(
    cpu: number,
    mm: number,
    first: bigint,
    last: bigint,
    stride: number,
    freed: boolean,
    options: number,
  ): number;

  // ---- flush/batched.ts, flush/deferred.ts

  shouldDeferFlush(self: number, mm: number): number;
  deferUnmapFlush(batch: number, self: number, mm: number, va: bigint, writable: boolean): void;
  flushUnmapped(batch: number, self: number, options: number): number;
  flushUnmappedDirty(batch: number, self: number, options: number): number;
  flushBatchedPending(self: number, mm: number, options: number): void;
  createDeferred(capacity: number, flags: number): number;
  freeDeferred(pages: number): void;
  keepMigrated(pages: number, self: number, mm: number, va: bigint, old: number, folio: number): number;
  settleMigrated(pages: number, self: number, folio: number, options: number): number;
  flushMigrated(pages: number, self: number, options: number): number;

  // ---- range/mapping_dirty.ts

  writeProtectMapping(cpu: number, mapping: number, first: bigint, last: bigint, path: number, options: number): void;
  cleanRecordMapping(cpu: number, mapping: number, first: bigint, last: bigint, path: number, options: number): void;

  // ---- flush/gather.ts, range/zap.ts

  gatherMmu(tlb: number, mm: number, cpu: number, fullmm: boolean, shoot: number): void;
  gatherEntry(tlb: number, va: bigint, pageShift: number, level: number): void;
  gatherPage(tlb: number, pfn: number): number;
  gatherTable(tlb: number, va: bigint, pageShift: number, level: number, pa: bigint): void;
  flushGatherTlbOnly(tlb: number): void;
  flushGather(tlb: number): void;
  finishGather(tlb: number): void;
  zapRange(path: number, mm: number, first: bigint, last: bigint): void;

  // ---- range/apply.ts

  applyToPfnRange(path: number, mm: number, first: bigint, last: bigint, alloc: boolean): number;

  // ---- kernel/

  clearRefs(cpu: number, mm: number, first: bigint, last: bigint, path: number, options: number): void;
  pagemapSoftDirty(cpu: number, mm: number, first: bigint, last: bigint, path: number): void;
  mprotect(cpu: number, mm: number, first: bigint, last: bigint, rights: number, path: number, options: number): number;
  uffdWriteProtect(cpu: number, mm: number, first: bigint, last: bigint, path: number, options: number): number;
  madviseDontNeed(cpu: number, mm: number, first: bigint, last: bigint, path: number, options: number): void;
  madviseFree(cpu: number, mm: number, first: bigint, last: bigint, path: number, options: number): void;
  writeBackFolio(cpu: number, folio: number, path: number, options: number): number;
  mkcleanFolio(cpu: number, folio: number, path: number, options: number): number;
  mergePage(cpu: number, mm: number, va: bigint, kfolio: number, path: number, options: number): number;
  reclaimFolio(cpu: number, folio: number, path: number, options: number): number;
  migrateFolio(cpu: number, from: number, to: number, path: number, options: number): number;
  munmap(cpu: number, mm: number, first: bigint, last: bigint, path: number, options: number): number;
  transferFile(cpu: number, mapping: number, path: number, options: number): number;
  forkMm(cpu: number, parent: number, child: number, shoot: number): number;
  reapMm(cpu: number, mm: number, path: number, options: number): number;
  putMm(cpu: number, mm: number, path: number, options: number): number;

  // ---- litmus/

  createIsland(frames: number, heap: number): number;
  enterIsland(island: number): void;
  saveSeat(seat: number): void;
  race(arena: number, racer: number): number;
  runLitmus(block: number): void;

  // ---- pte/entry.ts: by linear address of the entry

  ptepGet(slot: number): bigint;
  setPte(slot: number, pte: bigint): void;
  ptepGetAndClear(slot: number): bigint;
  ptepSetWrprotect(slot: number): void;
  ptepTestAndClearYoung(slot: number): number;
  ptepModifyProtStart(slot: number): bigint;
  ptepModifyProtCommit(slot: number, pte: bigint): void;

  // ---- pte/x86_64.ts: Linux's vocabulary; four and five levels share it

  pteNone(pte: bigint): number;
  ptePresent(pte: bigint): number;
  pteWrite(pte: bigint): number;
  pteDirty(pte: bigint): number;
  pteProtnone(pte: bigint): number;
  pteNeedsFlush(old: bigint, now: bigint): number;
  pteYoung(pte: bigint): number;
  pteExec(pte: bigint): number;
  pteUser(pte: bigint): number;
  pteGlobal(pte: bigint): number;
  pteHuge(pte: bigint): number;
  pteSpecial(pte: bigint): number;
  pteSoftDirty(pte: bigint): number;
  pteUffdWp(pte: bigint): number;
  pteSwpSoftDirty(pte: bigint): number;
  pteSwpUffdWp(pte: bigint): number;
  pteMkwrite(pte: bigint): bigint;
  pteWrprotect(pte: bigint): bigint;
  pteMkdirty(pte: bigint): bigint;
  pteMkclean(pte: bigint): bigint;
  pteMkyoung(pte: bigint): bigint;
  pteMkold(pte: bigint): bigint;
  pteMkexec(pte: bigint): bigint;
  pteMknexec(pte: bigint): bigint;
  pteMkhuge(pte: bigint): bigint;
  pteClrhuge(pte: bigint): bigint;
  pteMkglobal(pte: bigint): bigint;
  pteClrglobal(pte: bigint): bigint;
  pteMkspecial(pte: bigint): bigint;
  pteMksoftDirty(pte: bigint): bigint;
  pteClearSoftDirty(pte: bigint): bigint;
  pteMkuffdWp(pte: bigint): bigint;
  pteClearUffdWp(pte: bigint): bigint;
  ptePkey(pte: bigint): number;
  ptePfn(pte: bigint): number;
  pteSame(a: bigint, b: bigint): number;
  pteModify(pte: bigint, prot: number): bigint;
  swpEntry(type: number, offset: number): bigint;
  swpType(pte: bigint): number;
  swpOffset(pte: bigint): number;
  makePte(pa: bigint, level: number, prot: number): bigint;
}
