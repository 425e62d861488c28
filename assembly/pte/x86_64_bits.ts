// Bit numbers of an x86-64 paging-structure entry, read by the core and by the decoder in TypeScript alike.
//
// Sources: Intel SDM vol. 3A, tables 4-14 to 4-20 (bits 0-12, 59-63); Linux arch/x86/include/asm/pgtable_types.h (the
// software bits) and pgtable_64.h (the layout of swap entries, in which SOFT_DIRTY and UFFD_WP stand elsewhere).

export const X86_PRESENT = 0;
export const X86_RW = 1;
export const X86_USER = 2;
export const X86_PWT = 3;
export const X86_PCD = 4;
export const X86_ACCESSED = 5;
export const X86_DIRTY = 6;
export const X86_PSE = 7; //          in an entry of level 1 and up: maps a large page
export const X86_PAT = 7; //          in an entry of level 0
export const X86_GLOBAL = 8; //       with PRESENT clear: _PAGE_PROTNONE
export const X86_PROTNONE = 8;
export const X86_SPECIAL = 9; //      _PAGE_SOFTW1
export const X86_UFFD_WP = 10; //     _PAGE_SOFTW2
export const X86_SOFT_DIRTY = 11; //  _PAGE_SOFTW3
export const X86_PAT_LARGE = 12; //   in a large leaf
export const X86_DEVMAP = 57; //      _PAGE_SOFTW4 (v6.6 to v6.16)
export const X86_SAVED_DIRTY = 58; // _PAGE_SOFTW5 (v6.6): dirty, kept while RW is clear
export const X86_PKEY = 59; //        four bits, 59-62
export const X86_NX = 63;

export const X86_SWAP_SOFT_DIRTY = 1;
export const X86_SWAP_UFFD_WP = 2;
export const X86_SWAP_EXCLUSIVE = 3;
export const X86_SWAP_OFFSET = 9; //      the offset, inverted, up to bit 58 (__swp_entry)
export const X86_SWAP_TYPE = 59; //       five bits, 59-63

// Page-fault error code (Intel SDM vol. 3A, figure 4-12).
export const X86_FAULT_P = 1;
export const X86_FAULT_W = 2;
export const X86_FAULT_U = 4;
export const X86_FAULT_RSVD = 8;
export const X86_FAULT_I = 16;
export const X86_FAULT_PK = 32;
