// What the C walkers share: the machine they read, the x86-64 format, and the result words of assembly/layout.ts.
//
// They work on the same pages as the core, in the same process: `memory` is the first byte of its linear memory, and the
// address space, its regime and the window of physical memory are read from the same words. `layout.h` is made from
// assembly/layout.ts and assembly/pte/x86_64_bits.ts when the walkers are compiled. Four levels; no sparse directory.
#pragma once
#include <stdint.h>
#include <stdbool.h>
#include "layout.h"

typedef uint64_t u64;
typedef uint32_t u32;

#define P (1ull << X86_PRESENT)
#define RW (1ull << X86_RW)
#define US (1ull << X86_USER)
#define A (1ull << X86_ACCESSED)
#define D (1ull << X86_DIRTY)
#define PS (1ull << X86_PSE)
#define NX (1ull << X86_NX)
#define PKEY_MASK (15ull << X86_PKEY)
#define PFN_MASK 0x000ffffffffff000ull
#define INLINE static inline __attribute__((always_inline))

extern uint8_t *memory;

/** What a walk reads of its space, once for each call. */
typedef struct {
  uint8_t *ram;
  u64 frames, base_pfn, root;
  u64 table_reserved[4], leaf_reserved[4];
  u32 flags, pkru;
} space_t;

/** One batched translation: linear addresses as the core takes them. */
typedef struct {
  u32 space, input, output, count, access, pages;
  u64 va;
} call_t;

typedef u32 walker_t(const call_t *call);

walker_t naive_batch, naive_range, memo_batch, groups_batch, row_range, narrow_range, adaptive_batch;
walker_t tlb_hits, tlb_ways;
walker_t clean_best, clean_exchange, clean_narrow, clean_settled, clean_naive, sum_tables, track_exact, track_halves, track_span, track_doubles;
walker_t ping_pong, mailbox, sums;
walker_t kernel_map, kernel_unmap, kernel_protect, kernel_dirty, kernel_clear_refs;
walker_t zap_gathered;

/** The plain walk of naive.c; the fast walkers take it where one comparison does not judge an entry. */
u64 naive_walk(const space_t *s, u64 va, u32 access);

INLINE u64 word(u32 at) { return *(const u64 *)(memory + at); }
INLINE u32 half(u32 at) { return *(const u32 *)(memory + at); }

INLINE space_t open_space(u32 space) {
  space_t s;
  s.ram = memory + half(CONTROL_RAM);
  s.frames = half(CONTROL_FRAMES);
  s.base_pfn = word(CONTROL_BASE_PFN);
  s.root = word(space + SPACE_ROOT) & PFN_MASK;
  const u32 regime = space + SPACE_REGIME;
  s.flags = half(regime + REGIME_FLAGS);
  s.pkru = half(regime + REGIME_PKRU);
  for (int level = 0; level < 4; ++level) {
    s.table_reserved[level] = word(regime + REGIME_TABLE + 8 * level);
    s.leaf_reserved[level] = word(regime + REGIME_LEAF + 8 * level);
  }
  return s;
}

/** Where the table at `pa` stands, or a null pointer outside physical memory. */
INLINE uint8_t *backing(const space_t *s, u64 pa) {
  const u64 index = (pa >> FRAME_SHIFT) - s->base_pfn;
  return index < s->frames ? s->ram + (index << FRAME_SHIFT) : 0;
}

INLINE u64 load_entry(const u64 *slot) { return __atomic_load_n(slot, __ATOMIC_RELAXED); }

INLINE bool replace_entry(u64 *slot, u64 expected, u64 entry) {
  return __atomic_compare_exchange_n(slot, &expected, entry, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

INLINE u64 offset_of(u64 va, int level) { return (va >> (9 + 9 * level)) & 0xff8; }

INLINE bool is_canonical(u64 va) { return (u64)((int64_t)(va << 16) >> 16) == va; }

// ---- a leaf of level 0 judged by one comparison: the same masks as in assembly/pte/x86_64.ts

typedef struct {
  u64 test, need, touch, table_test, table_need;
} masks_t;

INLINE masks_t masks_of(const space_t *s, u32 access) {
  const u32 cr = s->flags;
  const bool user = access & ACCESS_USER, write = access & ACCESS_WRITE, fetch = access & ACCESS_EXECUTE;
  masks_t m;
  m.touch = !(access & ACCESS_TOUCH) ? 0 : write ? A | D : A;
  m.test = P | s->leaf_reserved[0] | m.touch;
  if (access != 0) {
    if (user) m.test |= US;
    if (fetch) {
      m.test |= NX;
      if (!user && (cr & CR_SMEP)) m.test |= US;
    } else {
      if (!user && (cr & (CR_SMAP | CR_AC)) == CR_SMAP) m.test |= US;
      if (write && (user || (cr & CR_WP))) m.test |= RW;
      if ((cr & CR_PKE) && s->pkru != 0) m.test |= PKEY_MASK;
    }
  }
  m.need = P | m.touch | (user ? US : 0) | (write && !fetch ? m.test & RW : 0);
  m.table_test = P | PS | s->table_reserved[1] | (m.touch & A);
  m.table_need = P | (m.touch & A);
  return m;
}

/** False if protection key 0 is restricted: then no one comparison judges a leaf. */
INLINE bool is_batchable(const space_t *s) { return !(s->flags & CR_PKE) || !(s->pkru & 3); }

/** Rights as masks for a leaf: what to keep of it, and NX to add. */
typedef struct {
  u64 keep, nx;
} rights_t;

INLINE rights_t rights_of(u64 gathered) { return (rights_t){gathered | ~(RW | US), ~gathered & NX}; }

INLINE u64 effective(u64 entry, rights_t rights) { return (entry & rights.keep) | rights.nx; }

INLINE u64 leaf_result(u64 leaf, u64 va) {
  return (leaf & (NX | PFN_MASK)) | ((leaf & (P | RW | US | A | D)) << RESULT_SHIFT) | (va & 0xfff);
}

/** A table on the way to an address: its entries and the rights gathered above it, or a null pointer. */
typedef struct {
  uint8_t *page;
  u64 rights;
} table_t;

/** The table of `level` that a walk for `va` goes through and may remember. */
INLINE table_t find_table(const space_t *s, u64 va, int level, u64 touch) {
  table_t t = {backing(s, s->root), RW | US | NX};
  if (!is_canonical(va)) return (table_t){0, 0};
  for (int up = 3; up > level; --up) {
    if (!t.page) return t;
    const u64 entry = load_entry((u64 *)(t.page + offset_of(va, up)));
    const bool leaf = (entry & PS) && up <= 2;
    if (!(entry & P) || leaf || (entry & s->table_reserved[up]) || (touch & A & ~entry)) return (table_t){0, 0};
    t.rights &= entry ^ NX;
    t.page = backing(s, entry & PFN_MASK);
  }
  return t;
}
