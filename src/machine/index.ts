// The machine: what people use of physical memory and address spaces.

export type { AsidOptions } from './asids.ts';
export { AsidAllocator } from './asids.ts';
export type { BatchOptions } from './batch.ts';
export { Batch } from './batch.ts';
export type { DirtyMachine, FileVmaOptions, FlushOptions, UserAccess, VmaOptions } from './cpu.ts';
export { Cpu, Mm } from './cpu.ts';
export { DeferredFlush } from './deferred.ts';
export { DirtyDriver } from './driver.ts';
export type { FlushCeiling, FlushPlan, FlushPolicy, FlushRange } from './flushtracker.ts';
export { FLUSH_CEILINGS, FlushTracker } from './flushtracker.ts';
export type { FolioFlags, FolioMapping } from './folio.ts';
export { Folio } from './folio.ts';
export type { DecodedEntry, EntryField, Format, FormatName } from './formats.ts';
export { decodeEntry, FORMATS, formatNamed } from './formats.ts';
export type { CpuOptions, CpuStatistics, UserFault } from './hardware.ts';
export type {
  ClearRefsOptions,
  EntryOptions,
  Forked,
  FreeOptions,
  GatherOptions,
  MergeOptions,
  MigrateOptions,
  PathResult,
  ProtectOptions,
  ReapOptions,
  ReclaimOptions,
  Refusable,
  TransferOptions,
  UserfaultfdOptions,
  WriteBackOptions,
  ZapOptions,
} from './kernel.ts';
export { Kernel } from './kernel.ts';
export type { AgentLocks, LockReport, LockUse, LockWait } from './locks.ts';
export type { Hole, ListOptions, Mapping, Progress } from './mappings.ts';
export type { Audit, FrameInfo, MemoryOptions, SharedHandle } from './memory.ts';
export { PhysicalMemory } from './memory.ts';
export type { Notice, NotifierCounts, NotifierOptions, NotifyEvent } from './notifier.ts';
export { MmuNotifier } from './notifier.ts';
export type { FlushDiscipline, FlushOutcome } from './path.ts';
export type { Protection } from './protection.ts';
export type { PteAddress, PteOperations } from './pte.ts';
export type { HarvestKind, RangeOptions, RangeResult } from './ranges.ts';
export { PageBitmap, RangeOperations } from './ranges.ts';
export type { Regime } from './regime.ts';
export { DEFAULT_REGIME } from './regime.ts';
export type { Access, AccessBits, Fault, FaultCause, Mapped, PageResult, Rights, Translation } from './results.ts';
export { accessBits, decodePageResult, decodeResult, frameOfPage, isMappedPage, NO_ACCESS } from './results.ts';
export { ReverseMap } from './reverse.ts';
export type { FileRangeOptions, FileRangeResult } from './sharedfile.ts';
export { SharedFile } from './sharedfile.ts';
export { SoftTlb } from './softtlb.ts';
export type { Change, ExplainedLevel, Explanation, Fetch, PageSize } from './space.ts';
export { AddressSpace } from './space.ts';
export type { FaultPolicy, Signal, ThreadAccess } from './thread.ts';
export { UserThread } from './thread.ts';
export type {
  ArrayStatistics,
  AsidTag,
  Fill,
  LookUp,
  Replacement,
  Scope,
  StructureEntry,
  TlbArray,
  TlbEntry,
  TlbModel,
  TlbOptions,
  TlbStatistics,
} from './tlb.ts';
export { Tlb } from './tlb.ts';
export type { TlbPreset } from './tlbpresets.ts';
export { TLB_PRESETS } from './tlbpresets.ts';
