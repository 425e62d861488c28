// The instructions of litmus programs: what `src/litmus/` compiles to and `machine.ts` runs.
//
// An instruction is 16 bytes: u8 operation, u8 d, u8 a, u8 b (numbers of registers), u32 c (a symbol, a place in the code, or what the
// operation says), u64 immediate. A CPU has 32 registers of 64 bits, 0 at the start. "Place" is the number of an instruction.
//
// A memory operand is the address that symbol `c` stands for; if `c` is NO_SYMBOL, the address in register a (loads) or b (others).
// The symbol table belongs to an instance of a scenario, the code to all of them: that is what makes a program data that any number
// of instances share.
//
// Integers only: AssemblyScript and TypeScript read this file alike.

export const NO_SYMBOL = 0xffff;
export const INSTRUCTION_BYTES = 16;
export const REGISTERS = 32;

/** What a fault handler finds in its registers. */
export const REG_FAULT_VA = 29;
export const REG_FAULT_ACCESS = 30; // ACCESS_*
export const REG_RESULT = 31; //       user accesses without a handler: 0 done, 1 faulted

// ---- flow

export const OP_HALT = 0x00; //    the program ends; a user CPU leaves user mode
export const OP_JUMP = 0x01; //    to place c
export const OP_IF_ZERO = 0x02; // to place c if a is 0
export const OP_IF_NOT = 0x03; //  to place c if a is not 0
export const OP_RETRY = 0x04; //   end of a fault handler: user mode again, and the access that faulted once more
export const OP_GIVE_UP = 0x05; // end of a fault handler: user mode again, behind the access, which was not made (SIGSEGV)
export const OP_CHOOSE = 0x06; //  d = one of 0 to immediate - 1: the environment's choice
export const OP_ASSERT = 0x07; //  invariant number c is violated if a is 0
export const OP_ATOMIC = 0x08; //  up to OP_JOINED_END, all accesses are one step
export const OP_JOINED = 0x09; //  up to OP_JOINED_END, all accesses are part of the step of the access before
export const OP_JOINED_END = 0x0a;
export const OP_PAUSE = 0x0b; //   a step that touches nothing

// ---- registers: no step

export const OP_SET = 0x10; //     d = immediate
export const OP_SYMBOL = 0x11; //  d = what symbol c stands for: an address, a frame number, a virtual address
export const OP_MOVE = 0x12; //    d = a
export const OP_ADD = 0x13; //     d = a + b, modulo 2^64; and so on
export const OP_SUB = 0x14;
export const OP_AND = 0x15;
export const OP_OR = 0x16;
export const OP_XOR = 0x17;
export const OP_SHL = 0x18;
export const OP_SHR = 0x19;
export const OP_EQ = 0x1a; //      d = 1 if a == b, else 0
export const OP_NE = 0x1b;
export const OP_LT = 0x1c; //      unsigned
export const OP_LE = 0x1d;
export const OP_MUL = 0x1e;
export const OP_NOT = 0x1f; //     d = 1 if a is 0, else 0

// ---- memory: one step each, behind a scheduling point

export const OP_LOAD64 = 0x20; //     d = [c]
export const OP_LOAD32 = 0x21;
export const OP_STORE64 = 0x22; //    [c] = a
export const OP_STORE32 = 0x23;
export const OP_EXCHANGE64 = 0x24; // d = [c], [c] = a
export const OP_EXCHANGE32 = 0x25;
export const OP_COMPARE64 = 0x26; //  d = [c]; if that is what register immediate holds, [c] = a
export const OP_COMPARE32 = 0x27;
export const OP_FETCH_ADD64 = 0x28; // d = [c], [c] += a
export const OP_FETCH_ADD32 = 0x29;
export const OP_FETCH_AND64 = 0x2a;
export const OP_FETCH_OR64 = 0x2b;
export const OP_AWAIT64 = 0x2c; //    not runnable until ([c] & register immediate) == a
export const OP_AWAIT32 = 0x2d;

// ---- locks: [c], or the address in register b

export const OP_SPIN_LOCK = 0x30;
export const OP_SPIN_UNLOCK = 0x31;
export const OP_SPIN_TRYLOCK = 0x32; // d = 1 if it was taken
export const OP_READ_LOCK = 0x33;
export const OP_READ_UNLOCK = 0x34;
export const OP_WRITE_LOCK = 0x35;
export const OP_WRITE_UNLOCK = 0x36;
export const OP_DOWNGRADE = 0x37;

// ---- user accesses: c is the ghost record of the page or NO_SYMBOL; a fault enters the CPU's handler, or sets REG_RESULT without one

export const OP_USER_LOAD = 0x40; //     d = word at virtual address a
export const OP_USER_STORE = 0x41; //    word at virtual address a = b
export const OP_USER_EXCHANGE = 0x42; // both, atomically
export const OP_USER_FETCH = 0x43; //    an instruction fetch at virtual address a
export const OP_USER_FENCE = 0x44; //    mfence: with store buffers, waits until the own one is empty
export const OP_TLB_FILL = 0x45; //      a speculative walk for a load of virtual address a: fills, sets A, never faults
export const OP_TLB_EVICT = 0x46; //     drops what the own TLB has for virtual address a
export const OP_ENTER_USER = 0x47;
export const OP_LEAVE_USER = 0x48;
export const OP_DRAIN = 0x49; //         explore: lets the oldest store of the buffer at c reach memory, and comes again; else no operation

// ---- mm: flushes run on the CPU that asks

export const OP_FLUSH_RANGE = 0x50; // mm c: pages from virtual address a to the page of b; immediate: SHOOT_* options, bit 63 freed tables
export const OP_FLUSH_MM = 0x51; //    mm c, all of it; immediate likewise
export const OP_FLUSH_LOCAL = 0x52; // the own TLB only, virtual address a
export const OP_LOAD_MM = 0x53; //     runs mm c (NO_SYMBOL: none) with ASID a from here on, after a flush of that ASID: switch_mm
export const OP_LOAD_MM_KEEP = 0x54; // the same without the flush: who recycles ASIDs wrongly
export const OP_ENTER_LAZY = 0x55;
export const OP_LEAVE_LAZY = 0x56; //  d = 1 if the mm is still loaded; immediate 1: compares before it clears the flag

// ---- frames: by PFN

export const OP_FRAME_ALLOCATE = 0x60; // d = PFN of a new frame, its words 0
export const OP_FRAME_GET = 0x61; //      one more reference to frame a
export const OP_FRAME_PUT = 0x62; //      one less; the last one frees it
export const OP_FRAME_DATA = 0x63; //     d = address of the first word of frame a: no step
export const OP_FRAME_OWN = 0x64; //      frame a belongs to mm c from here on (NO_SYMBOL: to nobody): ghost, no step

// ---- pure functions on PTEs: d = f(a, b), immediate says which; no step

export const OP_PTE = 0x70;

export const PTE_PRESENT = 0;
export const PTE_WRITE = 1;
export const PTE_DIRTY = 2; //          Dirty or SavedDirty
export const PTE_YOUNG = 3;
export const PTE_SOFT_DIRTY = 4;
export const PTE_UFFD_WP = 5;
export const PTE_NONE = 6;
export const PTE_PFN = 7;
export const PTE_SPECIAL = 8;
export const PTE_MKWRITE = 16;
export const PTE_WRPROTECT = 17;
export const PTE_MKDIRTY = 18;
export const PTE_MKCLEAN = 19;
export const PTE_MKYOUNG = 20;
export const PTE_MKOLD = 21;
export const PTE_MKSOFT_DIRTY = 22;
export const PTE_CLEAR_SOFT_DIRTY = 23;
export const PTE_MKUFFD_WP = 24;
export const PTE_CLEAR_UFFD_WP = 25;
export const PTE_WRPROTECT_LOSSY = 26; // clears RW and D, as arm64 did before ff1712f953e2
export const PTE_WITH_PFN = 27; //       a with the PFN b
export const PTE_SWAP = 32; //           a swap entry of type a (immediate >> 8) and offset b: not present; keeps nothing of the PTE
export const PTE_IS_SWAP = 33; //        neither present nor none
export const PTE_SWAP_TYPE = 34;
export const PTE_SWAP_OFFSET = 35;

// ---- whole functions of the core: arguments in registers 16 to 23, d = what they return, c says which (CALL_*)

export const OP_CALL = 0x80; // immediate: SHOOT_* of its flushes

export const FIRST_ARGUMENT = 16;

// Argument 0 is what it is about (the mm, the file or the folio), 1 and 2 the first and last byte or page, 3 the options (of the function, and
// PATH_*), 4 to 6 what stands here. d = what the function returns, or where it returns nothing how many entries it touched.
export const CALL_WP_SHARED = 0; //     wp_shared_mapping_range(): pages of a file
export const CALL_CLEAN_RECORD = 1; //  clean_record_shared_mapping_range(): 5 the page of bit 0; d = the first word of the bitmap, the CPU's own
export const CALL_CLEAR_REFS = 2; //    clear_refs_write() of soft-dirty: bytes of an mm, and so below
export const CALL_PAGEMAP = 3; //       pagemap's soft-dirty: 5 the page number of bit 0; d as for CALL_CLEAN_RECORD
export const CALL_MADV_DONTNEED = 4; //
export const CALL_MADV_FREE = 5; //
export const CALL_TRANSFER = 6; //      a driver's cycle over its file; d = pages that were copied
export const CALL_MPROTECT = 16; //     4 the rights: VM_READ, VM_WRITE, VM_EXEC; 6 as for CALL_MIGRATE
export const CALL_UFFD_WP = 17; //      UFFDIO_WRITEPROTECT
export const CALL_MUNMAP = 18; //
export const CALL_KSM_MERGE = 19; //    try_to_merge_one_page() of the page at argument 1; 4 the folio to merge it with, 0: becomes one
export const CALL_WRITE_BACK = 20; //   of a folio: clear_page_dirty_for_io(), and its words to the backing store
export const CALL_MKCLEAN = 21; //      folio_mkclean()
export const CALL_REAP = 22; //         the OOM reaper, of an mm
export const CALL_MMPUT = 23; //        the last user takes the mm down
export const CALL_RECLAIM = 24; //      of a folio: unmapped with its flush put off, written out, freed; d = 1 if it is gone
export const CALL_MIGRATE = 25; //      of a folio to the one at 4, whose reference goes; 6 the mm in which flushes are put off, 0: none is
export const CALL_SETTLE = 26; //       the flushes of migrations of an mm that were put off, and the frames that were kept
export const CALL_FAULT = 27; //        handle_mm_fault() at address 1; 3 is HANDLER_*, 4 is ACCESS_*; d = SIGNAL_*, 0: make the access again

// ---- invariants that the machine itself watches; those of a scenario follow

export const INVARIANT_NOUAF = 0; //  a load or store reached a frame that was free
export const INVARIANT_ASID = 1; //   an access of one mm reached a frame of another
export const INVARIANT_NOWALK = 2; // a hardware walk read a table that was free
export const INVARIANT_LOCKS = 3; //  a program ended and held a lock
export const FIRST_INVARIANT = 4;
