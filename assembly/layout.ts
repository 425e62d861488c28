// Every address in linear memory is decided here: one map, read by the core and by TypeScript alike.
//
//   0          nothing: address 0 means "none", so nothing may live there
//   CONTROL    one page of words that all agents share (drawn below)
//   AGENTS     MAX_AGENTS + 1 blocks of AGENT_BYTES: what one instance of the core owns (drawn below)
//   HEAP       control blocks that come and go: address spaces, batch buffers, the sparse directory
//   META       16 bytes for each frame of RAM, in PFN order
//   RAM        the frames themselves, 4 KiB each, aligned to FRAME_BYTES
//
// HEAP, META and RAM have sizes chosen when a memory is made, so their bases stand in CONTROL; `src/machine/layout.ts`
// computes them, nobody else does. Nothing is touched before it is used: a 4 GiB memory costs what was written to it.
//
// The file holds integers only, without annotation and below 2^31: that is what AssemblyScript and TypeScript read alike.

// ---- CONTROL: words on lines of their own where agents contend for them ------------------------------------------

export const CONTROL = 0x1000;
export const CONTROL_MAGIC = 0x1000; //        u32   MAGIC once a memory is initialised
export const CONTROL_FRAMES = 0x1004; //       u32   frames of RAM
export const CONTROL_RAM = 0x1008; //          u32   address of frame 0
export const CONTROL_META = 0x100c; //         u32   address of the metadata of frame 0
export const CONTROL_BASE_PFN = 0x1010; //     u64   PFN of frame 0
export const CONTROL_HEAP = 0x1018; //         u32   first byte of HEAP
export const CONTROL_HEAP_END = 0x101c; //     u32   first byte after HEAP
export const CONTROL_DIRECTORY = 0x1020; //    u32   sparse directory: address of its slots, 0 without one
export const CONTROL_DIRECTORY_MASK = 0x1024; // u32 its number of slots, a power of two, minus one
export const CONTROL_DIRECTORY_USED = 0x1028; // u32 its slots in use
export const CONTROL_ORIGIN = 0x102c; //       u32   what to add to a physical address in the window, modulo 2^32
export const CONTROL_FOLIOS = 0x1030; //       u32   folio of frame 0 (mm/folio.ts), 0 while nobody has asked for folios
export const CONTROL_PAGE_WORDS = 0x1034; //   u32   words of a page that mm/page.ts copies and compares; 0: all 512
export const CONTROL_SWAP = 0x1038; //         u32   the swap area (mm/swap.ts), 0 without one
export const CONTROL_ZERO = 0x103c; //         u32   the zero page: index + 1 of its frame, 0 while there is none
export const CONTROL_FREE_HEAD = 0x1040; //    u64   free frames, a stack: low word index + 1, high word a tag against ABA
export const CONTROL_VIRGIN = 0x1080; //       u32   index of the first frame that was never handed out
export const CONTROL_LIVE = 0x10c0; //         u32   frames handed out now
export const CONTROL_BAD_FREE = 0x10c4; //     u32   frees of a frame that was free already (refused)
export const CONTROL_BAD_POISON = 0x10c8; //   u32   free frames found written to (taken out of use)
export const CONTROL_BAD_PFN = 0x10cc; //      u32   index of the frame that the last of these was about
export const CONTROL_HEAP_LOCK = 0x1100; //    u32   spinlock over the heap's free list
export const CONTROL_HEAP_FREE = 0x1104; //    u32   first free block, 0 when there is none
export const CONTROL_AGENTS = 0x1140; //       u32   agents attached now
export const CONTROL_EPOCH = 0x1180; //        u32   grace-period clock of rcu.ts
export const CONTROL_RCU_LOCK = 0x11c0; //     u32   spinlock over the frames that wait for a grace period
export const CONTROL_RCU_HEAD = 0x11c4; //     u32   oldest waiting frame, index + 1
export const CONTROL_RCU_TAIL = 0x11c8; //     u32   youngest waiting frame, index + 1
export const CONTROL_RCU_WAITING = 0x11cc; //  u32   how many wait

export const CONTROL_POOL_LOCK = 0x1200; //    u32   spinlock over the free lists of mm/pool.ts
export const CONTROL_POOL_VMAS = 0x1204; //    u32   first free VMA, 0 when there is none
export const CONTROL_POOL_ANON = 0x1208; //    u32   first free anon_vma

export const CONTROL_CPUS = 0x1400; //         u32 × 64  address of simulated CPU n, 0 where there is none

export const CONTROL_CONTEXTS = 0x13c0; //     u64   mms made so far: what the next one's context is numbered by (last_mm_ctx_id)
export const CONTROL_ASLEEP = 0x1500; //       u32 × 16  agents that sleep in Shared.awaitChange, by bits 2-5 of the word's address

export const MAGIC = 0x50574b31;

// ---- AGENTS: one block for each instance of the core -------------------------------------------------------------

export const AGENTS = 0x2000;
export const MAX_AGENTS = 64;
export const NOBODY = 0x202000; // one block more, AGENTS + MAX_AGENTS * AGENT_BYTES: for instances that are no agent
export const HELD_LOCKS = 12;
export const AGENT_BYTES = 0x8000;

export const AGENT_EPOCH = 0x0; //       u32   epoch in which this agent reads tables, 0 outside; a line of its own
export const AGENT_TAKEN = 0x40; //      u32   1 while an instance owns the block
export const AGENT_LOCKS = 0x48; //      u32 × HELD_LOCKS  the locks it holds or waits for, address plus LOCKED_*, 0 where none
export const AGENT_WAITS = 0x7c; //      u32   the one of them that it queues for, 0 while it does not
export const AGENT_AWAITS = 0x78; //     u32   address of the word for whose change it sleeps, 0 while it does not
export const AGENT_REPLY = 0x80; //      64 B  what a call returns beside its result, by call (drawn in its docstring)
export const AGENT_TRAIL = 0xc0; //      the entries that the last explain met: TRAIL_STRIDE bytes a level, level 0 first
export const AGENT_WALKS = 0x400; //     batch/: one u32 for each walk in flight, BATCH_WALKS of them
export const AGENT_LARGE = 0x800; //     batch/: the large page that others are compared with (drawn below)
export const AGENT_REGIONS = 0x1000; //  batch/: leaf tables met lately, REGIONS of CACHED_BYTES
export const AGENT_TABLES = 0x5000; //   batch/: level-1 tables met lately, TABLES of CACHED_BYTES

export const BATCH_WALKS = 256;
export const REGIONS = 1024;
export const TABLES = 512;
export const CACHED_TAG = 0; //     u64   virtual address without the bits that the table translates
export const CACHED_PAGE = 8; //    u32   linear address of the table, 0 if walks must go the long way
export const CACHED_RIGHTS = 12; // u32   rights that the levels above leave, as the format packs them
export const CACHED_BYTES = 16;
export const LARGE_ENTRY = 0; //    u64   an entry of level 1 that maps a page and passed
export const LARGE_CHANGE = 8; //   u64   by what its result word differs from it; 0: there is none
export const LARGE_FIXED = 16; //   u64   the bits in which an entry has to agree
export const LARGE_RIGHTS = 24; //  u32   packed rights of the levels above

export const TRAIL_TABLE = 0; //         u64   physical address of the table
export const TRAIL_ENTRY = 8; //         u64   the entry
export const TRAIL_STATE = 16; //        u32   0 if the walk did not come to this level, else TRAIL_*
export const TRAIL_INDEX = 20; //        u32   index of the entry in its table
export const TRAIL_STRIDE = 24;
export const TRAIL_LEVELS = 5;
export const TRAIL_ENTERED = 1; // the table is not in physical memory
export const TRAIL_READ = 2; //    the entry was read

export const HEAP = 0x20a000; // NOBODY + AGENT_BYTES

// ---- META: one frame ---------------------------------------------------------------------------------------------

export const FRAME_BYTES = 4096;
export const FRAME_SHIFT = 12;
export const META_BYTES = 16;
export const META_STATE = 0; //       u32   FRAME_*
export const META_REFS = 4; //        u32   references; the frame is freed when the last one goes
export const META_GENERATION = 8; //  u32   how many times the frame was handed out
export const META_NEXT = 12; //       u32   while free or waiting: index + 1 of the next such frame

export const FRAME_VIRGIN = 0; //  never handed out, never touched
export const FRAME_FREE = 1; //    free, filled with POISON
export const FRAME_WAITING = 2; // unhooked, waits for a grace period before it is freed
export const FRAME_BAD = 3; //     was written to while free; never handed out again
export const FRAME_DATA = 4;
export const FRAME_TABLE = 5;
export const FRAME_FOLIO = 6; //   data that the mm code counts: has a folio (mm/folio.ts)

/** Byte that fills a free frame: as a PTE of any format it is not present (bit 0 is clear). Linux's PAGE_POISON. */
export const POISON = 0xaa;

/** Explore build: bytes of a frame that are filled when it is freed or handed out. */
export const EXPLORED_BYTES = 64;

// ---- SPACE: one address space (a block in HEAP) ------------------------------------------------------------------

export const SPACE_LOCK = 0; //        u32   spinlock: who changes the tables holds it
export const SPACE_FORMAT = 4; //      u32   FORMAT_*
export const SPACE_ROOT = 8; //        u64   physical address of the root table
export const SPACE_GENERATION = 16; // u32   grows with every change of a live entry: software TLBs compare it
export const SPACE_TABLES = 20; //     u32   table pages this space allocated, the root among them
export const SPACE_REGIME = 64; //     the regime below: by what rules the hardware reads these tables
export const SPACE_BYTES = 192;

export const REGIME_FLAGS = 0; //      u32   CR_*
export const REGIME_PKRU = 4; //       u32   protection-key rights, two bits a key: access-disable, write-disable
export const REGIME_TABLE = 8; //      u64 × 5  reserved bits of an entry that refers to a table, by level
export const REGIME_LEAF = 48; //      u64 × 5  reserved bits of an entry that maps a page, by level

export const CR_WP = 1; //      CR0.WP: a supervisor write respects RW
export const CR_NXE = 2; //     EFER.NXE: bit 63 is execute-disable; without it, it is reserved
export const CR_SMEP = 4; //    CR4.SMEP: the supervisor does not execute user pages
export const CR_SMAP = 8; //    CR4.SMAP: the supervisor does not touch user pages unless EFLAGS.AC is set
export const CR_AC = 16; //     EFLAGS.AC
export const CR_PKE = 32; //    CR4.PKE: protection keys of user pages count
export const CR_GBPAGES = 64; // CPUID: 1 GiB pages exist; without them PS in a level-2 entry is reserved

// ---- mm: mm_struct, VMA, address_space and the nodes of their interval trees (blocks in HEAP) -----------------------

export const NODE_FIRST = 0; //   u64   the interval, both ends inclusive
export const NODE_LAST = 8; //    u64
export const NODE_MAX = 16; //    u64   highest last element of the node and all below it
export const NODE_LEFT = 24; //   u32   nodes that come before it; 0: none
export const NODE_RIGHT = 28; //  u32   nodes that come after it
export const NODE_BYTES = 32;

export const MM_SPACE = 0; //          u32   SPACE_*: root, format, regime
export const MM_USERS = 4; //          u32   mm_users
export const MM_SPLIT_PTL = 12; //     u32   1: a page-table lock for each leaf table
export const MM_MMAP_LOCK = 16; //     RWLOCK_BYTES
export const MM_CPUMASK = 40; //       u64   mm_cpumask: CPUs whose TLBs may hold translations
export const MM_VMAS = 48; //          u32   interval tree of its VMAs by address
export const MM_NOTIFIERS = 64; //     u32   MMU notifiers of this mm: the first one; changes at set-up only
export const MM_NOTIFY_LOCK = 68; //   u32   spinlock over the next two (notifier_subscriptions->lock)
export const MM_NOTIFY_ACTIVE = 72; // u32   invalidations between start and end (active_invalidate_ranges)
export const MM_NOTIFY_SEQ = 80; //    u64   invalidate_seq: odd while one of them touches a watched interval
export const MM_VMAS_SEQ = 88; //      u32   odd while MM_VMAS changes: for look-ups without mmap_lock
export const MM_LOCK_SEQ = 92; //      u32   mm_lock_seq: grows when a writer that locked VMAs lets go of mmap_lock
export const MM_VMAS_LOCKED = 96; //   u32   1 while VMAs are write-locked
export const MM_DEFERRED = 100; //    u32   migrations whose flush is deferred (flush/deferred.ts): their list, 0 without one
export const MM_CTX_ID = 104; //       u64   context.ctx_id (x86): unique among all mms ever, never 0
export const MM_ASID = 112; //         u64   context.id (arm64): ASID in bits 0-15, generation of the allocator above; 0: none yet
export const MM_ASIDS = 120; //        u32   ASIDS_* that its number goes back to when the mm does (ASIDS_RECYCLE); 0: to none
//                                     in a line of its own, for who flushes writes it while other CPUs read the rest at each access:
export const MM_TLB_GEN = 128; //      u64   context.tlb_gen
export const MM_FLUSH_PENDING = 136; // u32  tlb_flush_pending
export const MM_PTL = 140; //          u32   page_table_lock
export const MM_FLUSH_BATCHED = 144; // u32  tlb_flush_batched: bits 0-14 unmaps deferred so far, 16-30 up to which they are flushed
export const MM_BYTES = 192;

export const POOL_NEXT = 12; //        u32   in a block of mm/pool.ts that is free: the next one

export const VMA_MM = 0; //            u32
export const VMA_MAPPING = 4; //       u32   MAPPING_*, 0 for anonymous memory
export const VMA_FLAGS = 8; //         u32   VM_*
//           POOL_NEXT = 12            u32
export const VMA_START = 16; //        u64   first byte
export const VMA_END = 24; //          u64   first byte after it
export const VMA_PGOFF = 32; //        u64   page of the mapping that VMA_START shows; of anonymous memory: its page number
export const VMA_BY_ADDRESS = 40; //   NODE_BYTES
export const VMA_BY_OFFSET = 72; //    NODE_BYTES
export const VMA_BY_ANON = 104; //     NODE_BYTES
export const VMA_ANON = 136; //        u32   ANON_*, 0 for a shared mapping
export const VMA_LOCK = 144; //        RWLOCK_BYTES  vm_lock
export const VMA_LOCK_SEQ = 160; //    u32   vm_lock_seq: write-locked while it is the mm's MM_LOCK_SEQ
export const VMA_DETACHED = 164; //    u32   1: out of its trees, or not in them yet
export const VMA_FLUSH_PENDING = 168; // u32   flushes owed for entries that were write-protected (wrprotect_tlb_flush_pending of S4)
export const VMA_BYTES = 172;

// Linux's numbers (include/linux/mm.h).
export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_MAYWRITE = 0x20;
export const VM_PFNMAP = 0x400;
export const VM_UFFD_WP = 0x1000;
export const VM_IO = 0x4000;
export const VM_HUGETLB = 0x400000;
export const VM_SOFTDIRTY = 0x8000000; // all its pages count as soft-dirty: it is new since the last clear_refs
export const VM_MIXEDMAP = 0x10000000;
export const VM_WRITENOTIFY = 0x40000000; // not Linux's: the file has a page_mkwrite() or pfn_mkwrite()

export const MAPPING_LOCK = 0; //      RWLOCK_BYTES  i_mmap_rwsem
export const MAPPING_VMAS = 16; //     u32   interval tree of the VMAs over it by page offset
export const MAPPING_PAGES = 20; //    u32   its pages: address of a u32 for each, index + 1 of its frame, 0 where none is cached
export const MAPPING_COUNT = 24; //    u32   how many pages it has
export const MAPPING_DRIVER = 28; //   u32   DRIVER_*, 0 without one (vm_ops)
export const MAPPING_STORE = 32; //    u32   backing store: address of the words of page 0, 0 without one
export const MAPPING_STRIDE = 36; //   u32   bytes from one page to the next there
export const MAPPING_BYTES = 40;

export const ANON_VMAS = 0; //         u32   interval tree of its VMAs by page offset
export const ANON_COUNT = 4; //        u32   how many they are
//           POOL_NEXT = 12            u32
export const ANON_LOCK = 16; //        RWLOCK_BYTES  anon_vma->rwsem
export const ANON_BYTES = 32;

// ---- Folios (mm/folio.ts): struct folio of one frame each ------------------------------------------------------------
//
// They lie in an array of their own in HEAP, made once, at the address in CONTROL_FOLIOS: a frame finds its folio by its index, META stays
// at 16 bytes for memories that have no use for folios, and no operation allocates. The reference count is the frame's
// (META_REFS). A line each, for the flags of neighbours change at once.

export const FOLIO_LOCK = 0; //        u32   the page lock (PG_locked), a spinlock's word: 0, or who holds it
export const FOLIO_FLAGS = 4; //       u32   PG_*
export const FOLIO_MAPCOUNT = 8; //    u32   entries that map it (Linux's _mapcount is one less)
export const FOLIO_MAPPING = 12; //    u32   the MAPPING_* that it is a page of, or an ANON_* plus FOLIO_ANON; 0: neither
export const FOLIO_INDEX = 16; //      u64   its page offset there
export const FOLIO_SWAP = 24; //       u64   its swap entry's offset, while PG_SWAPCACHE
export const FOLIO_BACKING = 32; //    u32   address of its page's words in the backing store, 0 without one
export const FOLIO_BYTES = 64;
export const FOLIO_ANON = 1; //        PAGE_MAPPING_ANON

export const PG_DIRTY = 1;
export const PG_WRITEBACK = 2;
export const PG_ANON_EXCLUSIVE = 4;
export const PG_UPTODATE = 8;
export const PG_SWAPCACHE = 16;
export const PG_SWAPBACKED = 32; // without it an anonymous folio may be dropped when clean (MADV_FREE)
export const PG_FLUSH_DEFERRED = 128; // a flush of the frame that it was migrated from is deferred (flush/deferred.ts)
export const PG_KSM = 64; //       PAGE_MAPPING_KSM: shared by same-page merging, never reused

// ---- Swap (mm/swap.ts): one area, a block in HEAP; behind the words of all slots stands what is in them ------------------

export const SWAP_SLOTS = 0; //        u32   how many
export const SWAP_PAGES = 4; //        u32   address of the words of slot 0
export const SWAP_STRIDE = 8; //       u32   bytes from one page to the next
export const SWAP_FIRST = 16; //       SLOT_BYTES for each

export const SLOT_MAP = 0; //          u32   swap_map: entries that refer to it, and SLOT_HAS_CACHE; 0: free
export const SLOT_CACHE = 4; //        u32   swap cache: index + 1 of the frame that holds its page, 0 while none does
export const SLOT_BYTES = 8;
export const SLOT_HAS_CACHE = 0x10000; // SWAP_HAS_CACHE

// ---- MMU notifiers (mm/notifier.ts): one block in HEAP each -----------------------------------------------------------

export const NOTIFIER_NEXT = 0; //       u32   the next one of its mm
export const NOTIFIER_MM = 4; //         u32
export const NOTIFIER_LOCK = 8; //       u32   spinlock over what follows
export const NOTIFIER_FLAGS = 12; //     u32   NOTIFIER_*
export const NOTIFIER_FIRST = 16; //     u64   the interval that it watches
export const NOTIFIER_LAST = 24; //      u64
export const NOTIFIER_SEQUENCE = 32; //  u64   invalidate_seq of the last invalidation that touched it
export const NOTIFIER_RING = 40; //      u32   address of its records, 0 without any
export const NOTIFIER_CAPACITY = 44; //  u32   how many have room, a power of two or 0
export const NOTIFIER_WRITTEN = 48; //   u32   records written, modulo 2^32
export const NOTIFIER_DRAINED = 52; //   u32   and taken out
export const NOTIFIER_DROPPED = 56; //   u32   records for which there was no room
export const NOTIFIER_REFUSED = 60; //   u32   non-blocking starts that it refused
export const NOTIFIER_STARTS = 64; //    u32 × MMU_EVENTS  invalidations begun, by event
export const NOTIFIER_ENDS = 96; //      u32 × MMU_EVENTS  and ended
export const NOTIFIER_SECONDARY = 128; // u32  flushes of secondary TLBs (arch_invalidate_secondary_tlbs)
export const NOTIFIER_BYTES = 136;

export const NOTIFIER_SLEEPS = 1; // it needs to sleep: a non-blocking start is refused

export const NOTICE_KIND = 0; //    u32   NOTICE_*
export const NOTICE_EVENT = 4; //   u32   MMU_NOTIFY_*
export const NOTICE_FIRST = 8; //   u64   first byte
export const NOTICE_LAST = 16; //   u64   last byte
export const NOTICE_BYTES = 24;

export const NOTICE_START = 1; //     invalidate_range_start
export const NOTICE_END = 2; //       invalidate_range_end
export const NOTICE_SECONDARY = 3; // arch_invalidate_secondary_tlbs
export const NOTICE_RELEASE = 4; //   release: the mm goes

// enum mmu_notifier_event (include/linux/mmu_notifier.h), in its order.
export const MMU_NOTIFY_UNMAP = 0;
export const MMU_NOTIFY_CLEAR = 1;
export const MMU_NOTIFY_PROTECTION_VMA = 2;
export const MMU_NOTIFY_PROTECTION_PAGE = 3;
export const MMU_NOTIFY_SOFT_DIRTY = 4;
export const MMU_NOTIFY_RELEASE = 5;
export const MMU_NOTIFY_MIGRATE = 6;
export const MMU_NOTIFY_EXCLUSIVE = 7;
export const MMU_EVENTS = 8;

// ---- Entries that are not present and not none (include/linux/swap.h, swapops.h): type and offset ----------------------

export const SWP_SWAPFILE = 0; //                 offset: number of a swap slot
export const SWP_MIGRATION_READ = 24; //          offset: PFN, and SWP_MIGRATION_* bits above it
export const SWP_MIGRATION_READ_EXCLUSIVE = 25; // as that, of an anonymous page that was PG_ANON_EXCLUSIVE
export const SWP_MIGRATION_WRITE = 26; //         the entry was writable
export const SWP_MIGRATION_YOUNG_BIT = 40; //     SWP_MIG_YOUNG_BIT: A of the entry that was
export const SWP_MIGRATION_DIRTY_BIT = 41; //     SWP_MIG_DIRTY_BIT: D

// ---- Simulated CPUs (cpu.ts, interrupt.ts): one block in HEAP --------------------------------------------------------

export const CPU_ID = 0; //          u32   0 to 63: its bit in an mm's mask
export const CPU_TLB = 4; //         u32   TLB_*
export const CPU_MACHINE = 8; //     u32   MACHINE_*: what sets D
export const CPU_MM = 12; //         u32   the mm whose tables it walks; 0: none
export const CPU_ASID = 16; //       u32   its tag in the TLB
export const CPU_HARDWARE = 20; //   u32   HW_*
export const CPU_GENERATION = 24; // u64   up to which of that mm's flushes the TLB is current
export const CPU_PREFETCH = 32; //   u64   HW_SPECULATE: the page that it goes for; 0: that of the access to come
export const CPU_POLICY = 40; //     u32   HANDLER_* of its faults
export const CPU_SHOOT = 44; //      u32   SHOOT_* of the flushes that they make
export const CPU_BUFFER = 48; //     u32   explore: BUFFER_*, where its user stores wait; 0: they are visible at once
export const CPU_MODE = 64; //       u32   MODE_*
export const CPU_LAZY = 68; //       u32   1: it runs a kernel thread and keeps the mm for later (is_lazy)
export const CPU_IN_FLIGHT = 72; //  u32   HW_BROADCAST: odd while an access may have been translated and is not performed
export const CPU_PENDING = 80; //    u64   senders whose slot is to be looked at; in one line with the mode, which a sender wants to know next
export const CPU_REQUESTS = 128; //  REQUEST_BYTES for each sender
//                                         what the last fault was:
export const CPU_FAULT_VA = 4224; //     u64   address, all its bits
export const CPU_FAULT_ACCESS = 4232; // u32   ACCESS_*
export const CPU_FAULT_CAUSE = 4236; //  u32   FAULT_*; 0: none since it entered user mode
export const CPU_FAULT_LEVEL = 4240; //  u32   level of the entry that it was about
export const CPU_FAULT_CODE = 4244; //   u32   the architecture's error code
export const CPU_FAULT_CACHED = 4248; // u32   1: a TLB entry said so, which may have been stale
//                                         counters, none of them in the explore build:
export const CPU_FAULTS = 4256; //       u64
export const CPU_WALKS = 4264; //        u64   walks, those that speculate among them
export const CPU_SPECULATIONS = 4272; // u64   fills that no access asked for
export const CPU_EVICTIONS = 4280; //    u64   entries dropped that nobody asked for
export const CPU_FLUSHES = 4288; //      u64   flushes that it asked for
export const CPU_SENT = 4296; //         u64   requests sent to others
export const CPU_INTERRUPTS = 4304; //   u64   requests of others answered
export const CPU_FULL = 4312; //         u64   invalidations of all of an mm
export const CPU_PARTIAL = 4320; //      u64   invalidations of a range
export const CPU_AVOIDED = 4328; //      u64   flushes that found its TLB current already
export const CPU_STRAYS = 4336; //       u32   chaos and explore: 1 once a walk read a table that was freed
//                                         the walk that is under way:
export const CPU_WALK_SLOT = 4352; //    u32   linear address of the leaf entry
export const CPU_WALK_GLOBAL = 4356; //  u32   1: it is a global one
export const CPU_WALK_TABLES = 4360; //  (u64 table, u64 rights) × 5  by level of the entry that refers to it; 0: not met
//                                         which mms have entries under a PCID of its own (mm/asid.ts):
export const CPU_SLOT = 4440; //         u32   the slot that is loaded (loaded_mm_asid)
export const CPU_NEXT_SLOT = 4444; //    u32   the slot to be given away next, plus one (next_asid)
export const CPU_SLOTS = 4448; //        (u64 ctx_id, u64 tlb_gen) × PCID_SLOTS  (ctxs)
export const CPU_VMF = 4544; //          VMF_BYTES: the fault that it handles (fault/)
export const CPU_BYTES = 4592;

export const PCID_SLOTS = 6; // TLB_NR_DYN_ASIDS

export const HW_EVICT = 1; //      may drop any entry at any time
export const HW_SPECULATE = 2; //  may fill one that no access needs
export const HW_NEGATIVE = 4; //   caches what is not present, and a fault drops nothing (RISC-V without Svvptc)
export const HW_BROADCAST = 8; //  others invalidate in its TLB (arm64 TLBI, x86 INVLPGB)
export const HW_WATCHED = 16; //   chaos and explore: walks through freed tables are noted (CPU_STRAYS)

export const REQUEST_MM = 0; //          u32   0: whatever mm is loaded, as far as it is behind
export const REQUEST_STRIDE = 4; //      u32   log2 of the step, or REQUEST_ALL
export const REQUEST_FIRST = 8; //       u64
export const REQUEST_LAST = 16; //       u64
export const REQUEST_GENERATION = 24; // u64   tlb_gen that the mm has with this flush
export const REQUEST_STATE = 32; //      u32   REQUEST_IDLE, ...
export const REQUEST_EARLY = 36; //      u32   1: may be acknowledged before it is carried out
export const REQUEST_BYTES = 64; // a line: what one sender writes no other takes away
export const REQUEST_ALL = 64; // in place of a stride: all of the mm
export const REQUEST_IDLE = 0; //    answered: the sender may write the slot
export const REQUEST_ONE = 1; //     waits for an answer
export const REQUEST_SEVERAL = 2; // further ones of this sender came meanwhile, of which nothing is noted: invalidate all

export const MODE_KERNEL = 0; // makes no user access; requests may wait
export const MODE_USER = 1; //   answers between two accesses

export const MACHINE_RECHECK = 0; //   D is set by a locked update that needs P and W still (x86 with shadow stacks)
export const MACHINE_NOWCHECK = 1; //  needs P only
export const MACHINE_BLIND = 2; //     needs nothing
export const MACHINE_LAZY_LOST = 3; // sets D in the TLB entry only
export const MACHINE_LAZY_WB = 4; //   as that, and writes it to a present PTE when the entry goes
export const MACHINE_SWDIRTY = 5; //   does not set D: an entry is writable only if D was set when it was filled

export const DONE = 0; //    what a user access returns
export const FAULTED = 1;

export const SHOOT_POSTED = 1; //    do not wait for the answers
export const SHOOT_SKIP_LAZY = 2; // leave lazy CPUs alone unless tables are freed
export const SHOOT_ELIDE_FULLMM = 4; // a gather of a whole mm that frees no table does not flush (arm64)
export const SHOOT_EARLY_ACK = 8; // CPUs acknowledge before they invalidate, unless tables are freed
export const SHOOT_EARLY_ACK_TABLES = 16; // even then: wrong, for a walker may still be in them
export const SHOOT_CONCURRENT = 32; // the CPU that flushes sends first and invalidates while the others do
export const SHOOT_SKIP_LAZY_TABLES = 64; // SHOOT_SKIP_LAZY even if tables are freed: wrong, for the same reason
export const SHOOT_CEILING = 8; //   from this bit on: most single invalidations before all is flushed; 0: no ceiling

// ---- Faults (fault/): struct vm_fault, in the block of the CPU that faulted, zero while it handles none ----------------------

export const VMF_VMA = 0; //      u32
export const VMF_FLAGS = 4; //    u32   VMF_*
export const VMF_POLICY = 8; //   u32   HANDLER_*
export const VMF_SHOOT = 12; //   u32   SHOOT_* of the flushes that it makes
export const VMF_ADDRESS = 16; // u64   first byte of the page
export const VMF_ORIG = 24; //    u64   the entry as it was when the handler looked
export const VMF_SLOT = 32; //    u32   where the entry stands
export const VMF_FOLIO = 36; //   u32   the folio that it mapped, or that is to be mapped; 0: none
export const VMF_COPY = 40; //    u32   the folio that was made for a copy
export const VMF_BYTES = 48;

export const VMF_WRITE = 1; //    FAULT_FLAG_WRITE
export const VMF_FETCH = 2; //    FAULT_FLAG_INSTRUCTION
export const VMF_VMA_LOCK = 4; // FAULT_FLAG_VMA_LOCK: under the VMA's lock, not mmap_lock

// What the parts of a handler return (enum vm_fault_reason, include/linux/mm_types.h): 0 is good, or "try the access again".
export const VM_FAULT_OOM = 1;
export const VM_FAULT_SIGBUS = 2;
export const VM_FAULT_MAJOR = 4; //      read from swap or a file
export const VM_FAULT_SIGSEGV = 0x40;
export const VM_FAULT_NOPAGE = 0x100; // the entry was set, or is to be looked at anew
export const VM_FAULT_LOCKED = 0x200; // the page lock is held
export const VM_FAULT_RETRY = 0x400; //  under mmap_lock instead
export const VM_FAULT_USER = 0x8000; //  not Linux's: who registered with userfaultfd has to act first
export const VM_FAULT_ERROR = 0x8043; // those that end the access: OOM, SIGBUS, SIGSEGV, USER

// What a user access with a handler returns, beside DONE.
export const SIGNAL_MAPERR = 2; //  SIGSEGV, SEGV_MAPERR: no VMA
export const SIGNAL_ACCERR = 3; //  SIGSEGV, SEGV_ACCERR: the VMA forbids it
export const SIGNAL_BUS = 4; //     SIGBUS: a page that the file does not have
export const SIGNAL_OOM = 5; //     no frame is left
export const SIGNAL_USERFAULT = 6; // write-protected by userfaultfd: its monitor has to resolve

// How faults are handled; 0 is what Linux does today (v6.14). First, when a write fault makes the page writable as it is in place of copying it:
export const HANDLER_REUSE = 7; //           the field
export const HANDLER_REUSE_EXCLUSIVE = 0; // if it is PG_ANON_EXCLUSIVE, or nobody else has a reference (6c287605fd56, v5.19; I18)
export const HANDLER_REUSE_COUNT = 1; //     if nobody else has a reference (09854ba94c6a, v5.9; I4, I11, I14)
export const HANDLER_REUSE_MAPCOUNT = 2; //  if no other entry maps it, under its page lock, as before (I3, I10, I13)
export const HANDLER_REUSE_UNLOCKED = 3; //  the same, page lock or not: who merges it is not heeded (E18)
export const HANDLER_REUSE_NEVER = 4;
// What page_mkwrite() holds (the page lock) and pfn_mkwrite() (the driver's), and for how long:
export const HANDLER_MKWRITE = 0x18; //       the field
export const HANDLER_MKWRITE_LINUX = 0; //    the page lock until the entry is writable; the driver's only while it records (vmwgfx)
export const HANDLER_MKWRITE_HELD = 0x8; //   until the entry is writable, both (A0)
export const HANDLER_MKWRITE_INSIDE = 0x10; // only while it records, both (A2)
export const HANDLER_MKWRITE_NONE = 0x18; //  not at all (A1)
export const HANDLER_MMAP_LOCK = 0x20; //        mmap_lock for reading, never the VMA's lock, as before v6.4 (I6 against I19)
export const HANDLER_COPY_IN_PTL = 0x40; //      copies under the page-table lock (I1, I5, I15)
export const HANDLER_COPY_NO_FLUSH = 0x80; //    installs the copy without ptep_clear_flush() (I21)
export const HANDLER_NO_UFFD_FLUSH = 0x100; //   no flush before the copy if userfaultfd's is pending, as before 6ce64428d626 (I0)
export const HANDLER_FLUSH_PENDING = 0x200; //   that flush in every VMA (I9, I10, I11, I16)
export const HANDLER_FLUSH_VMA_PENDING = 0x400; // a flush before the copy if the VMA's own count says so (Andrea Arcangeli in S4: I12, I13, I14)
export const HANDLER_UNPEND = 0x800; //          before an entry becomes writable, the flush that a migration deferred (G3, G6)
export const HANDLER_NO_PTE_SAME = 0x1000; //    does not look at the entry again after the lock was away: a negative control
export const HANDLER_NO_ZERO_PAGE = 0x2000; //   a load of anonymous memory gets a page, not the zero page (mm_forbids_zeropage())

// ---- Drivers (fault/driver.ts): who is told of the first store to a page of its file; one block in HEAP -------------------

export const DRIVER_LOCK = 0; //     u32   spinlock over the record: a reservation lock (dma_resv), "the external lock" of S1
export const DRIVER_FLAGS = 4; //    u32   DRIVER_*
export const DRIVER_RECORD = 8; //   u32   address of a bit for each page: written to since it was taken last
export const DRIVER_PAGES = 12; //   u32   pages
export const DRIVER_PFN = 16; //     u64   DRIVER_BY_PFN: PFN of page 0, the others follow
export const DRIVER_DEVICE = 24; //  u32   address of the device's copy of page 0
export const DRIVER_STRIDE = 28; //  u32   bytes from one page to the next there
export const DRIVER_BYTES = 32;

// Options of a driver's cycle (kernel/transfer.ts); also those of wp_shared_mapping_range().
export const TRANSFER_EARLY = 0x100000; //    acts before the flush (A3)
export const TRANSFER_UNLOCKED = 0x200000; // takes no lock (A1, A4)

export const DRIVER_BY_PFN = 1; // its pages are frames without folios: pfn_mkwrite(), not page_mkwrite()

// ---- Gathers (flush/gather.ts): one block ---------------------------------------------------------------------------

export const GATHER_MM = 0; //              u32
export const GATHER_CPU = 4; //             u32   who carries out the flushes
export const GATHER_SHOOT = 8; //           u32   SHOOT_*
export const GATHER_FULLMM = 12; //         u32   the whole mm goes
export const GATHER_START = 16; //          u64   lowest address that was cleared
export const GATHER_END = 24; //            u64   last byte of the highest page that was
export const GATHER_CLEARED = 32; //        u32   bit n: entries of level n were cleared (cleared_ptes, _pmds, _puds, _p4ds)
export const GATHER_FREED_TABLES = 36; //   u32   freed_tables
export const GATHER_NEED_FLUSH_ALL = 40; // u32   need_flush_all
export const GATHER_TABLES = 44; //         u32   tables that wait for the flush: index + 1 of the first, linked by META_NEXT
export const GATHER_BATCH_COUNT = 48; //    u32   batch pages in use
export const GATHER_LAST_BATCH = 52; //     u32   the batch page being filled: index + 1
export const GATHER_LOCAL_USED = 56; //     u32   pages noted in the block itself
export const GATHER_FLUSHES = 60; //        u32   flushes that were carried out
export const GATHER_FREED = 64; //          u32   pages whose reference was given up
export const GATHER_INTERRUPTED = 68; //    u32   CPUs that were interrupted for them
export const GATHER_LOCAL = 72; //          u32 × GATHER_BUNDLE  frames
export const GATHER_BYTES = 104;

export const GATHER_BUNDLE = 8; //       MMU_GATHER_BUNDLE: pages in the block on the stack
export const GATHER_MAX_BATCH = 510; //  MAX_GATHER_BATCH: (4096 - 16) / 8
export const GATHER_MAX_BATCHES = 19; // MAX_GATHER_BATCH_COUNT: 10000 / 510

// ---- Deferred flushes (flush/batched.ts, flush/deferred.ts) and ASIDs (mm/asid.ts): blocks ----------------------------

export const UBC_CPUS = 0; //      u64   CPUs that have to be flushed (struct tlbflush_unmap_batch)
export const UBC_REQUIRED = 8; //  u32   flush_required
export const UBC_WRITABLE = 12; // u32   a writable entry may be among them
export const UBC_BYTES = 16;

export const DEFER_LOCK = 0; //      u32   spinlock
export const DEFER_COUNT = 4; //     u32   pages whose flush is deferred
export const DEFER_CAPACITY = 8; //  u32
export const DEFER_FLAGS = 12; //    u32   DEFER_FREE_EARLY
export const DEFER_CPUS = 16; //     u64   CPUs that have to be flushed
export const DEFER_FLUSHES = 24; //  u32   flushes that were carried out
export const DEFER_PAGES = 32; //    (u32 old folio, u32 new folio) × capacity
export const DEFER_PAGE_BYTES = 8;
export const DEFER_FREE_EARLY = 1; // wrong: an old frame is given up before its flush (scenario G10)

export const ASIDS_LOCK = 0; //          u32   cpu_asid_lock
export const ASIDS_BITS = 4; //          u32   asid_bits, 1 to 16
export const ASIDS_GENERATION = 8; //    u64   asid_generation: a multiple of 2^16
export const ASIDS_CURRENT = 16; //      u32   cur_idx
export const ASIDS_FLAGS = 20; //        u32   ASIDS_NO_FLUSH, ASIDS_RECYCLE
export const ASIDS_FLUSH_PENDING = 24; // u64  CPUs that flush everything before they use their next ASID (tlb_flush_pending)
export const ASIDS_ROLLOVERS = 32; //    u32   how often the numbers ran out
export const ASIDS_ACTIVE = 64; //       u64 × 64  what each CPU runs, 0 since a roll-over (active_asids)
export const ASIDS_RESERVED = 576; //    u64 × 64  what each CPU ran at the last roll-over (reserved_asids)
export const ASIDS_MAP = 1088; //        u64 × 2^bits / 64  a bit for each number in use
export const ASIDS_NO_FLUSH = 1; // wrong: CPUs do not flush after a roll-over
export const ASIDS_RECYCLE = 2; //  the number of an mm that goes is free at once, not with the next roll-over

// ---- Formats -----------------------------------------------------------------------------------------------------

export const FORMAT_X86_64 = 1;
export const FORMAT_X86_64_LA57 = 2;

// ---- Accesses, protections, results ------------------------------------------------------------------------------

export const ACCESS_READ = 1;
export const ACCESS_WRITE = 2;
export const ACCESS_EXECUTE = 4;
export const ACCESS_USER = 8;
/** Set A and D as the hardware does. Without it the walk changes nothing. */
export const ACCESS_TOUCH = 16;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXECUTE = 4;
export const PROT_USER = 8;
export const PROT_GLOBAL = 16;
export const PROT_ACCESSED = 32;
export const PROT_DIRTY = 64;
export const PROT_WRITE_THROUGH = 128;
export const PROT_NO_CACHE = 256;
export const PROT_PAT = 512;
export const PROT_SOFT_DIRTY = 1024;
export const PROT_UFFD_WP = 2048;
export const PROT_SPECIAL = 4096;
export const PROT_PKEY_SHIFT = 16; // four bits

// A result word, u64: what a walk found, the same for every format.
//   mapped   bits 0-11 offset in the frame, 12-51 PFN, and from RESULT_SHIFT on the RESULT_* flags
//   fault    RESULT_MAPPED clear; bits 12-27 the architecture's error code, 28-31 the level it stopped at, 32-35 FAULT_*
// The flags stand where an x86-64 PTE shifted left by 52 has them, so that format pays nothing. A single translation
// returns the same word as a double: the flags in the low 12 bits in place of the offset.
export const RESULT_SHIFT = 52;
export const RESULT_MAPPED = 1;
export const RESULT_WRITABLE = 2;
export const RESULT_USER = 4;
export const RESULT_UNREADABLE = 8; // execute-only, where a format has it
export const RESULT_ACCESSED = 32;
export const RESULT_DIRTY = 64;
export const RESULT_LEVEL_SHIFT = 7; // three bits: level of the leaf
export const RESULT_NO_EXECUTE = 2048;

export const FAULT_CODE_SHIFT = 12;
export const FAULT_LEVEL_SHIFT = 28;
export const FAULT_CAUSE_SHIFT = 32;
export const FAULT_ABSENT = 1; //        an entry on the way is not present
export const FAULT_RESERVED = 2; //      a reserved bit is set
export const FAULT_PROTECTION = 3; //    the rights of all levels together do not allow the access
export const FAULT_UNBACKED = 4; //      an entry refers to a table outside physical memory
export const FAULT_NON_CANONICAL = 5; // the address is none (#GP on x86)

// ---- Mapping lists -----------------------------------------------------------------------------------------------

export const CURSOR_NEXT = 0; //     u64   virtual address to go on from
export const CURSOR_LAST = 8; //     u64   last byte to look at, inclusive
export const CURSOR_PA = 16; //      u64   only mappings that reach a byte from here ...
export const CURSOR_PA_LAST = 24; // u64   ... to here, inclusive
export const CURSOR_FOLD = 32; //    u32   1: contiguous leaves of the same kind make one record
export const CURSOR_LOOPS = 36; //   u32   1: walk into a table that is its own ancestor
export const CURSOR_USED = 40; //    u32   records written
export const CURSOR_STATE = 44; //   u32   LIST_*
export const CURSOR_BYTES = 64;

export const RUN_VA = 0; //     u64   first byte, canonical
export const RUN_PA = 8; //     u64   first byte; of a hole: the address of the table that is not there
export const RUN_SIZE = 16; //  u64   bytes
export const RUN_ENTRY = 24; // u64   the first leaf entry; of a hole: the entry that leads nowhere
export const RUN_FLAGS = 32; // u32   RESULT_* flags that all levels leave; of a hole: 0
export const RUN_HOLE = 36; //  u32   0, or HOLE_*
export const RUN_BYTES = 40;

export const LIST_MORE = 0; //    no room or no time was left: take the records and call again
export const LIST_DONE = 1; //    all was looked at
export const LIST_MISSING = 2; // the last record is a hole whose table is not in memory; the cursor stands before it

export const HOLE_UNBACKED = 1; // the table is not in physical memory
export const HOLE_LOOP = 2; //     the table is its own ancestor
export const HOLE_RESERVED = 3; // the entry has reserved bits set

// ---- Range-flush trackers (flush/track.ts): one block ---------------------------------------------------------------

export const TRACK_POLICY = 0; //   u32   TRACK_EXACT, TRACK_SPAN, TRACK_FULL
export const TRACK_LIMIT = 4; //    u32   most ranges of a plan
export const TRACK_CEILING = 8; //  u32   most invalidations of a plan; 0: no ceiling
export const TRACK_COUNT = 12; //   u32   ranges now
export const TRACK_STRIDE = 16; //  u32   log2 of the smallest page that was added
export const TRACK_ADDS = 20; //    u32   ranges that were added since the reset
export const TRACK_RANGES = 64; //  (u64 first byte, u64 last byte) × (limit + 1), ascending and disjoint

export const TRACK_EXACT = 0;
export const TRACK_SPAN = 1;
export const TRACK_FULL = 2;

export const PLAN_NONE = 0;
export const PLAN_RANGES = 1;
export const PLAN_FULL = 2;

// ---- TLB: one CPU's TLBs and paging-structure caches (assoc.ts, tlb.ts, pwc.ts): one block ---------------------------
//
//   block      what all arrays share (TLB_*)
//   arrays     TLB_MAX_ARRAYS descriptors of ARRAY_BYTES
//   ways       TLB_HINTS_AT: u32 addresses of entries, by page number: where a page was found last
//   entries    of one array after the other; a set is ARRAY_WAYS entries of ENTRY_BYTES

export const TLB_SEQUENCE = 0; //      u64   broadcast invalidations: started << 8 | in progress; a line of its own
export const TLB_FLUSHES = 64; //      u64 × 5  invalidations asked for: one page, a range, an ASID, all but globals, all
export const TLB_CLOCK = 128; //       u64   grows with every use of an entry; what true LRU compares
export const TLB_RANDOM = 136; //      u32   xorshift32, never 0
export const TLB_ARRAYS = 140; //      u32   arrays
export const TLB_PAGE_SHIFT = 144; //  u32   log2 of the smallest page
export const TLB_LEVEL_SHIFT = 148; // u32   log2 of the entries of a table: each level adds it to the page
export const TLB_INCLUSION = 152; //   u32   INCLUSION_*
export const TLB_SPLINTERED = 156; //  u32   1 once an entry smaller than its page was filled
export const TLB_HINTS_AT = 160; //    u32   address of the ways
export const TLB_HINTS_MASK = 164; //  u32   their number, a power of two, minus one, times 4
export const TLB_ENTRIES = 168; //     u32   entries of all arrays together
export const TLB_FILLED = 172; //      u32   bit n: pages of level n were filled, bit n + 8: global ones; the others are not looked for
export const TLB_ACCESSES = 176; //    u64   look-ups
export const TLB_MISSES = 184; //      u64   look-ups that found nothing in any level
export const TLB_REFUSED = 192; //     u64   fills and refills that an invalidation overtook
export const TLB_SERVING = 256; //     u32 × 2 × 2 × 8  array for fetches or not, level 1 or 2, page level; 0 without one
export const TLB_STRUCTURES = 384; //  u32 × 8  paging-structure cache for entries of a level; 0 without one
export const TLB_DESCRIPTORS = 448;
export const TLB_MAX_ARRAYS = 16;

export const ARRAY_ENTRIES = 0; //     u32   address of the first entry
export const ARRAY_SET_MASK = 4; //    u32   sets, a power of two, minus one
export const ARRAY_WAYS = 8; //        u32
export const ARRAY_POLICY = 12; //     u32   POLICY_*
export const ARRAY_SIZES = 16; //      u32   bit n: it takes pages of level n, or entries of level n of the tables
export const ARRAY_LEVEL = 20; //      u32   1 or 2; 0: a paging-structure cache
export const ARRAY_SERVES = 24; //     u32   SERVES_*
export const ARRAY_HITS = 32; //       u64
export const ARRAY_FILLS = 40; //      u64   entries written where none for that page stood
export const ARRAY_EVICTIONS = 48; //  u64   entries that made room, were dropped unasked, or were overtaken
export const ARRAY_INVALIDATED = 64; // u64  entries dropped because somebody asked; any CPU counts here
export const ARRAY_BYTES = 128;

export const ENTRY_TAG = 0; //         u64   0: invalid; see Tag in assoc.ts
export const ENTRY_RESULT = 8; //      u64   result word of the first byte; in a paging-structure cache: table | level
export const ENTRY_SLOT = 16; //       u32   linear address of the PTE it came from
export const ENTRY_HOST = 20; //       u32   linear address of the first byte, 0 if its frames are not in a row
export const ENTRY_RIGHTS = 16; //     u64   in a paging-structure cache, in place of the two: rights of the levels above
export const ENTRY_STAMP = 24; //      u64   LRU: when it was used last; tree-PLRU: the tree, in the first entry of a set
export const ENTRY_BYTES = 32;

export const POLICY_LRU = 0;
export const POLICY_TREE = 1;
export const POLICY_RANDOM = 2;

export const INCLUSION_NONE = 0; //      a fill goes into both levels, each evicts as it likes
export const INCLUSION_INCLUSIVE = 1; // as above, and what level 2 evicts leaves level 1 too
export const INCLUSION_EXCLUSIVE = 2; // a fill goes into level 1, what that evicts moves to level 2

export const SERVES_DATA = 1;
export const SERVES_FETCH = 2;

export const SCOPE_GLOBAL = 1; //     global entries too
export const SCOPE_STRUCTURES = 2; // all paging-structure entries of the ASID
export const SCOPE_WAY = 4; //        the paging-structure entries on the way to the address

export const FLUSH_PAGE = 0;
export const FLUSH_RANGE = 1;
export const FLUSH_ASID = 2;
export const FLUSH_NOT_GLOBAL = 3;
export const FLUSH_ALL = 4;

// ---- Range scans (range/scan.ts): what a call is given and gives back, a block of the caller's -----------------------

export const SCAN_VA = 0; //        u64   in: first byte, a multiple of 4 KiB
export const SCAN_LAST = 8; //      u64   in: last byte, inclusive
export const SCAN_ORIGIN = 16; //   u64   in: number of the page that has bit 0 of the bitmap, modulo 2^64
export const SCAN_BITMAP = 24; //   u32   in: the bitmap, a multiple of 8; 0 without one
export const SCAN_TRACKER = 28; //  u32   in: the tracker to feed; 0 without one
export const SCAN_FLAGS = 32; //    u32   in: SCAN_*
export const SCAN_HUGE = 36; //     u32   out: present entries above level 0 that were left as they were
export const SCAN_WARNED = 40; //   u32   out: those of them that were writable or dirty
export const SCAN_START = 48; //    u64   in and out: no bit below it was set ...
export const SCAN_END = 56; //      u64   in and out: ... and none from here on; start >= end: none
export const SCAN_TOUCHED = 64; //  u64   out: entries that were changed, or found by a harvest
export const SCAN_FIRST = 72; //    u64   out: first byte that they map, meaningless if there are none
export const SCAN_FINAL = 80; //    u64   out: last byte that they map
export const SCAN_SPARE = 120; //   u64   scratch: a constant on its way to a vector
export const SCAN_HITS = 128; //    u64 × 8  scratch: the entries of one table that were hit
export const SCAN_BYTES = 192;

export const SCAN_TRANSACTION = 1; // each change is ptep_modify_prot_start and commit: exchange with none, then store
export const SCAN_SETTLED = 2; //    entries that no walker can write are changed by plain stores

export const HARVEST_DIRTY = 0;
export const HARVEST_SOFT_DIRTY = 1;
export const HARVEST_YOUNG = 2;
export const HARVEST_WRITTEN = 3; // not write-protected by userfaultfd

// ---- Kernel paths (range/path.ts and all that uses it): what a call is given and gives back, a block of the caller's --------

export const PATH_CPU = 0; //          u32   who runs it and sends its flushes
export const PATH_MM = 4; //           u32   the mm it is in just now
export const PATH_VMA = 8; //          u32   and the VMA, 0 without one
export const PATH_OPTIONS = 12; //     u32   PATH_* and those of the path
export const PATH_SHOOT = 16; //       u32   in: SHOOT_* of its flushes
export const PATH_FLUSH = 20; //       u32   out: FLUSH_*
export const PATH_FLUSHES = 24; //     u32   out: flushes that were carried out
export const PATH_INTERRUPTED = 28; // u32   out: CPUs that were interrupted for them
export const PATH_PASSED = 32; //      u32   out: VMAs that were passed over
export const PATH_WARNED = 36; //      u32   out: of those, and of large pages: for how many the kernel warns
export const PATH_HUGE = 40; //        u32   out: large pages that were left as they were
export const PATH_TOUCHED = 48; //     u64   out: entries that were changed, in all mms
export const PATH_FIRST = 56; //       u64   out: first byte that they map, all ones if there are none; of file ranges: first page
export const PATH_LAST = 64; //        u64   out: last byte that they map; of file ranges: last page
export const PATH_FROM = 72; //        u64   scratch: of the mm, what was changed and not flushed: first byte, all ones if nothing
export const PATH_TO = 80; //          u64   scratch: last byte
export const PATH_AT = 88; //          u64   out: where the visitor of an apply stopped
export const PATH_PGOFF = 96; //       u64   in: page of the mapping that bit 0 of the bitmap stands for
export const PATH_PROT = 104; //       u32   scratch: PROT_* that entries get
export const PATH_CHANGE = 108; //     u32   scratch: CHANGE_*
export const PATH_OUTPUT = 112; //     u32   in: a buffer of u64
export const PATH_CAPACITY = 116; //   u32   in: how many words it has; out: how many are left
export const PATH_STOP = 44; //        i32   scratch: why the visitor of an apply stopped
export const PATH_PTE = 120; //        u64   scratch: an entry
export const PATH_SCAN = 128; //       SCAN_BYTES: bitmap, tracker, start and end are the caller's
export const PATH_GATHER = 320; //     GATHER_BYTES
export const PATH_BATCH = 424; //      UBC_BYTES
export const PATH_DEFERRED = 440; //   u32   in: where flushes of migration are deferred (flush/deferred.ts), 0: they are not
export const PATH_SLOT = 444; //       u32   scratch: swap slot
export const PATH_BYTES = 448;

// Options of all paths that defer a flush. 0 is what Linux does.
export const PATH_UNCOUNTED = 1; //    not counted in tlb_flush_pending (what S0 would leave out: E3, E4, F6)
export const PATH_COUNT_LATE = 2; //   counted when the entries have changed already: breaks rule 1 of mm.ts (A9, E9, I16)
export const PATH_NO_FLUSH = 4; //     not flushed: the caller owes it (B3, C3, D1, E5)
export const PATH_FLUSH_IN_PTL = 8; // flushed table by table before the page-table lock is released (Nadav Amit in S1: A5, B2, F2, I2)
export const PATH_PLAIN = 16; //       entries change by a load and a store, without a transaction (C7)
export const PATH_LOSE_DIRTY = 32; //  pte_wrprotect() loses D, as arm64's did before ff1712f953e2 (C17, D13)
export const PATH_NO_NESTED = 64; //   does not ask whether somebody else owes a flush of the mm (S1 v4: A7; before 99baac21e458: J0)

export const FLUSH_NONE = 0; // nothing was changed, nothing flushed
export const FLUSH_DONE = 1;
export const FLUSH_OWED = 2; // entries were changed, and some of it is not flushed
export const PATH_NESTED_FULLMM = 128; // if somebody does, a gather becomes one of the whole mm and frees no table (H11)
export const PATH_FREE_EARLY = 256; // pages are freed before the flush (J2, G10, K4)
export const PATH_NO_BATCHED = 512; // does not flush for who unmapped in a batch: flush_tlb_batched_pending() (before 3ea277194daa: K1)

// Options of reclaim (kernel/reclaim.ts): what of its flushes is left out.
export const RECLAIM_FLUSH_NOW = 0x1000; //      none: each entry is flushed when it goes (K2)
export const RECLAIM_NO_FLUSH_DIRTY = 0x2000; // try_to_unmap_flush_dirty() before the page is written out (K3)
export const RECLAIM_NO_FLUSH = 0x4000; //       try_to_unmap_flush() before it is freed (K4)

// Options of migration (kernel/migrate.ts); with PATH_DEFERRED, entries that are not writable are not flushed now.
export const MIGRATE_DEFER_WRITABLE = 0x1000; // nor are writable ones (G9)

// Options of clear_refs_write() (kernel/clear_refs.ts); also PATH_UNCOUNTED, _COUNT_LATE, _NO_FLUSH, _FLUSH_IN_PTL, _PLAIN, _LOSE_DIRTY.
export const CLEAR_REFS_READ = 0x1000; //         mmap_lock for reading (D1, I0)
export const CLEAR_REFS_DOWNGRADE = 0x2000; //    for writing, and downgraded before the walk, as before 29a951dfb3c3 (I0)
export const CLEAR_REFS_AFTER_UNLOCK = 0x4000; // flushes when mmap_lock was released (I7)
export const CLEAR_REFS_NO_VMA_LOCK = 0x10000; // leaves the VMAs unlocked: faults that take no mmap_lock run beside it (I19)
export const CLEAR_REFS_COUNT_VMAS = 0x20000; //  each VMA too counts the flush as owed (Andrea Arcangeli in S4: I12, I13, I14)
export const CLEAR_REFS_GATHER = 0x8000; //       the flush is left to a gather in which nothing was cleared (0758cd830494: D1, I8)

// Options of UFFDIO_WRITEPROTECT (kernel/userfaultfd.ts).
export const UFFD_WP_RESOLVE = 0x1000; //      takes the mark away, in place of setting it
export const UFFD_WP_WRITE = 0x2000; //        mmap_lock for writing (I6)
export const UFFD_WP_AFTER_UNLOCK = 0x4000; // flushes when mmap_lock was released (I7)

export const CHANGE_TRY_WRITABLE = 1; //    MM_CP_TRY_CHANGE_WRITABLE
export const CHANGE_UFFD_WP = 4; //         MM_CP_UFFD_WP
export const CHANGE_UFFD_WP_RESOLVE = 8; // MM_CP_UFFD_WP_RESOLVE

// Options of the OOM reaper (kernel/reaper.ts): how much its gather is about.
export const REAPER_FULLMM = 0x1000; //        (0, -1), and so the whole mm (H1)
export const REAPER_FULLMM_UNUSED = 0x2000; // (0, -1), the whole mm only if mm_users is 0 (Minchan Kim: H4, H5)
export const REAPER_RANGE = 0x4000; //         (0, -1), the whole mm only for exit_mmap() (Michal Hocko: H6, H7)

// Options of write-back (kernel/mkclean.ts): which entries page_vma_mkclean_one() looks at.
export const MKCLEAN_WRITE = 0x1000; //      those with W only (D2, D4)
export const MKCLEAN_DIRTY = 0x2000; //      those with D only (D3, D5)
export const MKCLEAN_PENDING = 0x4000; //    and all, if somebody owes the mm a flush (S0; F1)
export const WRITEBACK_UNLOCKED = 0x8000; // without the page lock (F7)
export const WRITEBACK_ANYWAY = 0x10000; //  of a clean folio too

// Options of KSM (kernel/ksm.ts).
export const KSM_NO_PENDING = 0x1000; //       write_protect_page() does not ask for tlb_flush_pending (before b3a81d0841a95: E0)
export const KSM_NO_EXCLUSIVE = 0x2000; //     nor for PG_ANON_EXCLUSIVE (before v5.19)
export const KSM_REPLACE_NO_FLUSH = 0x4000; // replace_page() does not flush (E19)

// Options of wp_shared_mapping_range() and clean_record_shared_mapping_range() (range/mapping_dirty.ts).
export const MAPPING_BREAK = 0x1000; //      ends at the first VMA that does not qualify, as walk_page_mapping() does
export const MAPPING_V4 = 0x2000; //         v4's rule: VM_WRITE counts, not VM_MAYWRITE; VMAs without VM_IO are passed over, with a warning
export const MAPPING_EVERY_PTE = 0x4000; //  judges entries that are not present too, as the kernel does: of swap entries RW is soft-dirty
export const MAPPING_ATOMIC = 0x8000; //     entries change by one atomic instead of the transaction
export const MAPPING_SETTLED = 0x10000; //   SCAN_SETTLED

// ---- Store buffers (storebuffer.ts): in HEAP, for a CPU of the explore build -----------------------------------------------

export const BUFFER_COUNT = 0; //   u32   stores that wait
export const BUFFER_OWED = 4; //    u32   how many of them, the oldest, somebody waits for
export const BUFFER_ENTRIES = 8; // BUFFER_ENTRY_BYTES each, the oldest first; behind the last one zeros
export const BUFFER_STORES = 6; //  most stores that wait
export const BUFFER_BYTES = 152;

export const BUFFERED_VALUE = 0; // u64
export const BUFFERED_WORD = 8; //  u32   linear address
export const BUFFERED_GHOST = 12; // u32  GHOST_* of the page, 0: none
export const BUFFERED_MM = 16; //   u32   the mm through which the address was translated
export const BUFFER_ENTRY_BYTES = 24;

// ---- Litmus programs (litmus/): a block for each CPU of an instance of a scenario, and one for the instance -------------

export const LITMUS_PC = 0; //        u32   place of the instruction that is being made
export const LITMUS_STATE = 4; //     u8    LITMUS_*
export const LITMUS_USER = 5; //      u8    1: a user CPU, of which others may ask something
export const LITMUS_FAULTED = 6; //   u8    under threads: 1 once an access faulted
export const LITMUS_CODE = 8; //      u32   address of the instructions
export const LITMUS_SYMBOLS = 12; //  u32   address of the symbol table: a u64 for each symbol
export const LITMUS_CPU = 16; //      u32   CPU_*: the simulated CPU
export const LITMUS_HANDLER = 20; //  u32   place of the fault handler, or NOWHERE
export const LITMUS_RETRY = 24; //    u32   place of the access that faulted
export const LITMUS_FAILED = 28; //   u32   invariants that were violated, a bit each
export const LITMUS_OWNERS = 32; //   u32   ghost: address of a u64 for each frame of RAM, the mm that owns it; 0 without
export const LITMUS_REGISTERS = 40; // u64 × 32  the first three in the line of all this, which is all that a short program changes
export const LITMUS_SCRATCH = 320; // what whole functions of the core need of a block of their caller's
export const LITMUS_BYTES = 1344;

export const LITMUS_RUNNING = 0;
export const LITMUS_ENDED = 1;

export const LITMUS_NOWHERE = 0x7fffffff;

export const GHOST_LAST = 0; //    u64   what was stored to the page last
export const GHOST_GUARD = 8; //   u64   invariants that a store to it violates now, a bit each
export const GHOST_STORED = 16; // u64   1 once something was stored to it
export const GHOST_KIND = 24; //   u32   under threads: GHOST_SHARED, GHOST_GUARDED
export const GHOST_LOCK = 28; //   u32   1 while it is taken
export const GHOST_BYTES = 32;

export const GHOST_SHARED = 1; //  several CPUs store to the page, so a store and its note are made under GHOST_LOCK
export const GHOST_GUARDED = 2; // a program sets GHOST_GUARD

// ---- Islands (litmus/island.ts): what an instance of a scenario has of its own where a memory has one for all: a block that is
//      laid out as CONTROL is, from its first byte on, and then a heap

export const ISLAND_BYTES = 0x600;

// ---- Arenas (litmus/arena.ts): many instances of one scenario, raced by several agents -----------------------------------
//
//   arena      ARENA_*, the words that change while it runs on lines of their own
//   racers     ARENA_RACERS: one for each agent that races (RACER_*)
//   seats      ARENA_SEATS: one for each CPU in each instance (SEAT_*), those of a CPU one after the other; those of `afterwards` last
//   columns    ARENA_COLUMNS: one for each CPU, `afterwards` last (COLUMN_*): where its reports stand, one for each instance (REPORT_*)
//   values     ARENA_VALUES: u32 × 2 for each observed value, where that of instance 0 stands and how far it is from one instance to the next;
//              bit 0 of the first: there stands, as a u32, the address of the value, which has 4 bytes if its bit 0 is set
//   pending    ARENA_PENDING: for each instance the addresses of its mms' tlb_flush_pending, u32 each
//
// What CPUs report stands apart from what they run, in the order of the instances: who judges reads it line after line.

export const ARENA_SIZE = 0; //         u32   instances, a power of two
export const ARENA_CPUS = 4; //         u32   CPUs that run programs, without `afterwards`
export const ARENA_RACING = 8; //       u32   agents that race
export const ARENA_SEATS = 12; //       u32   address
export const ARENA_COLUMNS = 16; //     u32   address
export const ARENA_VALUES = 20; //      u32   address
export const ARENA_OBSERVED = 24; //    u32   values of an outcome
export const ARENA_AFTERWARDS = 28; //  u32   1: a program runs when all others have ended
export const ARENA_PENDING = 32; //     u32   address
export const ARENA_MMS = 36; //         u32   mms whose tlb_flush_pending is judged
export const ARENA_FREES = 40; //       u32   1: frames may be freed twice
export const ARENA_PARTS = 44; //       u32   parts of equal size that the instances lie in, a power of two: in one, a racer runs the same CPUs
export const ARENA_BLIND = 48; //       u32   1: nothing is noted of user accesses and nothing is judged
export const ARENA_JUDGE = 52; //       u32   the CPU whose racer judges an instance
export const ARENA_SEED = 64; //        u32   what the order of a round is made from
export const ARENA_ARM = 68; //         u32   how the agents of a round behave to each other: one of MOST_ARMS ways
export const ARENA_TURN = 72; //        u32   by how much the CPUs are shifted against the racers
export const ARENA_LAST = 76; //        u32   1: the round that has begun is none, all leave
export const ARENA_EARLY = 80; //       u32   1: user CPUs are in user mode from the beginning of the round
export const ARENA_INTERVAL = 84; //    u32   so many rounds lie between two of these; 0: there was none yet
export const ARENA_STOP = 128; //       u32   set by who ends it: no further round begins
export const ARENA_ARRIVED = 192; //    u32   agents at the meeting
export const ARENA_MEETING = 316; //    u32   counts the meetings; at the end of its line, where few words are that others are woken for (Shared.asleep)
export const ARENA_ROUNDS = 320; //     u32   rounds that were completed
export const ARENA_RARE = 384; //       u32   rare outcomes of the round
export const ARENA_NEWS = 388; //       u32   counts outcomes that a racer had not met before
export const ARENA_SCORES = 448; //     u32 × MOST_ARMS  rare outcomes that each way brought lately, times 256
export const ARENA_RACERS = 704;

export const MOST_ARMS = 64;

export const MOST_RACERS = 8;
export const MOST_LITMUS_CPUS = 16;

export const RACER_AT = 0; //           u32   instances it has come through: it lives while this grows
export const RACER_INSTANCE = 4; //     u32   the instance that it runs
export const RACER_AGENTS = 8; //       u32   agents of its own: one for each CPU that it may run at a time
export const RACER_OUTCOMES = 12; //    u32   address of its table of outcomes
export const RACER_OVERFLOW = 16; //    u32   outcomes that found no row
export const RACER_FIRST_AGENT = 64; // u32 × MOST_LITMUS_CPUS  its agents
export const RACER_BLOCKS = 128; //     u32 × MOST_LITMUS_CPUS  the blocks that it runs in this round
export const RACER_CROWD = 192; //      u32 × MOST_LITMUS_CPUS  and their CPUs
export const RACER_BYTES = 256;
export const ARENA_BYTES = 2752; //     ARENA_RACERS + MOST_RACERS * RACER_BYTES

export const OUTCOME_ROWS = 4096; //    of the table of a racer; a power of two
export const OUTCOME_HASH = 0; //       u64   0: the row is free
export const OUTCOME_COUNT = 8; //      u64
export const OUTCOME_FAILED = 16; //    u32   invariants violated, a bit each
export const OUTCOME_VALUES = 24; //    u64 × ARENA_OBSERVED
export const FAILED_PENDING = 30; //    bits of OUTCOME_FAILED that no program asserts: a flush is owed,
export const FAILED_DOUBLE_FREE = 31; // a frame was freed twice

export const SEAT_ISLAND = 0; //        u32
export const SEAT_BLOCK = 4; //         u32   LITMUS_*
export const SEAT_LINES = 8; //         u32   address of a list, u32 each: how many of three kinds, then the lines of 64 bytes that go back
export const SEAT_SAVED = 12; //        u32   what they were, one after the other
export const SEAT_BYTES = 16;

export const COLUMN_REPORTS = 0; //     u32   address of the reports
export const COLUMN_STRIDE = 4; //      u32   from one to the next
export const COLUMN_VALUES = 8; //      u32   how many registers a report holds
export const COLUMN_REGISTERS = 12; //  u8 × COLUMN_MOST  which
export const COLUMN_MOST = 32;
export const COLUMN_POINTS = 44; //     u32   chaos: scheduling points that the program met last
export const COLUMN_BYTES = 48;

export const REPORT_FAILED = 0; //      u32   invariants that the program violated, a bit each
export const REPORT_ROUND = 4; //       u32   the round in which it came to its end, plus one
export const REPORT_VALUES = 8; //      u64 × COLUMN_VALUES

// ---- Status of calls that change tables or frames ----------------------------------------------------------------

export const STATUS_OK = 0;
export const STATUS_NO_MEMORY = 1; //     no free frame for a table page
export const STATUS_MAPPED = 2; //        something is mapped there already
export const STATUS_UNBACKED = 3; //      a table on the way is outside physical memory, or a frame is
export const STATUS_NOT_LIVE = 4; //      the frame is free: a double free
export const STATUS_UNREPRESENTABLE = 5; // an entry for this address and protection would have reserved bits set
export const STATUS_NON_CANONICAL = 6; // the range leaves the canonical addresses
export const STATUS_RESERVED = 7; //      an entry on the way has reserved bits set
export const STATUS_NOT_ALLOWED = 8; //   a right that the VMA may not have
export const STATUS_HOLE = 9; //          no VMA is there

// ---- Locks -------------------------------------------------------------------------------------------------------

export const LOCKED_ALONE = 0; // how an agent wants the lock that it notes: a spinlock,
export const LOCKED_READ = 1; //  a reader-writer lock for reading,
export const LOCKED_WRITE = 2; // and for writing
export const LOCKED_HOW = 3; //   locks are at multiples of 4

export const LOCK_SLEEPERS = 0x10000; // in the word of a spinlock, beside the holder's number

export const RWLOCK_WRITER = 4; //  u32   number of the writer inside, or 0
export const RWLOCK_READERS = 8; // u64   readers inside, a bit for each number modulo 64
export const RWLOCK_BYTES = 16; //  the state is the u32 at 0

// ---- Scheduling points -------------------------------------------------------------------------------------------

export const BUILD_RELEASE = 0;
export const BUILD_CHAOS = 1;
export const BUILD_EXPLORE = 2;

export const POINT_LOAD = 1;
export const POINT_STORE = 2;
export const POINT_UPDATE = 3; // an atomic read-modify-write
export const POINT_LOCK = 4; //   about to try a lock: not runnable while the word is taken
export const POINT_READ_LOCK = 5; //  queued for a reader-writer lock: runnable when RwLock.mayRun says so
export const POINT_WRITE_LOCK = 6;
export const POINT_CHANGE = 7; //      has read the u32, which did not do: not runnable until it differs from what it is now
export const POINT_CHANGE_WIDE = 8; // as that, for a u64
export const POINT_ATOMIC = 9; //      several accesses follow that are one step: each is told of, with POINT_JOINED
export const POINT_EMPTY = 10; //   waits until the u32 is 0: not runnable before
export const POINT_FILLED = 11; //  waits until the u32 is not 0, and then writes it
export const POINT_KIND = 0xff;
export const POINT_JOINED = 0x100; //  beside a kind: the access is part of the step that runs, and only told of
export const POINT_NARROW = 0x200; //  beside a kind: of the 8 bytes around it touches the u32 only
export const POINT_ADD = 0x400; //     beside POINT_UPDATE: adds, and makes nothing of what the word was: two such may change places
export const POINT_READER = 0x800; //  beside POINT_UPDATE: a reader of a lock comes, queues or leaves: two such may change places
