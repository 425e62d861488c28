// Loads through a TLB that hit: the core's block in linear memory, read and updated as assembly/loads.ts does it.
//   tlb_hits   the same algorithm: a hint names the entry, its tag decides
//   tlb_ways   without hints: the set is indexed and all its ways are compared, four at a time
// A load that misses, or that the entry refuses, ends the call. True LRU, pages of 4 KiB.
#include "walk.h"

#define PAGES 0x01fffffffffff000ull
#define FLAGS_SHIFT (RESULT_SHIFT - 32)

INLINE u64 key_of(const call_t *call) {
  const u32 asid = (u32)call->va;
  return (asid & 0x1ff) | ((u64)(asid >> 9) << 57) | 1ull << 11;
}

/** Where the array for data of 4 KiB stands: page level 0, TLB level 1, no fetch. */
INLINE u32 array_of(u32 tlb) { return half(tlb + TLB_SERVING); }

INLINE bool allowed(const uint8_t *entry, u32 test, u32 need) {
  return (*(const u32 *)(entry + ENTRY_RESULT + 4) & test) == need;
}

INLINE void set_word(u32 at, u64 value) { *(u64 *)(memory + at) = value; }

INLINE u32 finish(u32 tlb, u32 array, u64 clock, u32 done) {
  set_word(tlb + TLB_CLOCK, clock);
  set_word(tlb + TLB_ACCESSES, word(tlb + TLB_ACCESSES) + done);
  set_word(array + ARRAY_HITS, word(array + ARRAY_HITS) + done);
  return done;
}

/** The word that `entry` leads to, as an atomic load, and the note that it was used. */
INLINE bool load_through(uint8_t *base, uint8_t *entry, u64 va, u64 clock, u32 test, u32 need, u64 *output) {
  if (!allowed(entry, test, need)) return false;
  const u32 host = *(const u32 *)(entry + ENTRY_HOST);
  if (host == 0) return false;
  *(u64 *)(entry + ENTRY_STAMP) = clock;
  *output = __atomic_load_n((const u64 *)(base + host + (va & 0xff8)), __ATOMIC_RELAXED);
  return true;
}

u32 tlb_hits(const call_t *call) {
  const u32 tlb = call->pages, array = array_of(tlb), count = call->count;
  const u32 need = (RESULT_MAPPED | RESULT_USER) << FLAGS_SHIFT, test = need | RESULT_UNREADABLE << FLAGS_SHIFT;
  const u64 key = key_of(call), *input = (const u64 *)(memory + call->input);
  u64 *output = (u64 *)(memory + call->output), clock = word(tlb + TLB_CLOCK);
  uint8_t *const base = memory;
  const uint8_t *hints = base + half(tlb + TLB_HINTS_AT);
  const u32 mask = half(tlb + TLB_HINTS_MASK);
  u32 i = 0;
  for (; i < count; ++i) {
    const u64 va = input[i];
    uint8_t *entry = base + *(const u32 *)(hints + ((va >> 10) & mask));
    if (load_entry((const u64 *)entry) != ((va & PAGES) | key)) break;
    if (!load_through(base, entry, va, clock + 1, test, need, output + i)) break;
    ++clock;
  }
  return finish(tlb, array, clock, i);
}

u32 tlb_ways(const call_t *call) {
  const u32 tlb = call->pages, array = array_of(tlb), count = call->count;
  const u32 need = (RESULT_MAPPED | RESULT_USER) << FLAGS_SHIFT, test = need | RESULT_UNREADABLE << FLAGS_SHIFT;
  const u64 key = key_of(call), *input = (const u64 *)(memory + call->input);
  u64 *output = (u64 *)(memory + call->output), clock = word(tlb + TLB_CLOCK);
  uint8_t *const base = memory;
  uint8_t *entries = base + half(array + ARRAY_ENTRIES);
  const u32 sets = half(array + ARRAY_SET_MASK), ways = half(array + ARRAY_WAYS);
  u32 i = 0;
  for (; i < count; ++i) {
    const u64 va = input[i], tag = (va & PAGES) | key;
    uint8_t *entry = entries + ((va >> 12) & sets) * ways * ENTRY_BYTES;
    uint8_t *end = entry + ways * ENTRY_BYTES, *found = 0;
    for (; entry + 4 * ENTRY_BYTES <= end && !found; entry += 4 * ENTRY_BYTES) {
      // Sums, not branches: which way it is cannot be predicted.
      const u32 b = load_entry((const u64 *)(entry + ENTRY_BYTES)) == tag;
      const u32 c = load_entry((const u64 *)(entry + 2 * ENTRY_BYTES)) == tag;
      const u32 d = load_entry((const u64 *)(entry + 3 * ENTRY_BYTES)) == tag;
      if ((load_entry((const u64 *)entry) == tag) | b | c | d) found = entry + (b + 2 * c + 3 * d) * ENTRY_BYTES;
    }
    for (; entry != end && !found; entry += ENTRY_BYTES) {
      if (load_entry((const u64 *)entry) == tag) found = entry;
    }
    if (!found || !load_through(base, found, va, clock + 1, test, need, output + i)) break;
    ++clock;
  }
  return finish(tlb, array, clock, i);
}
