// Zap: entries out of leaf tables, their frames into batches, one flush, a reference less for each; as range/zap.ts and flush/gather.ts.
//
// The flush is of an mm that no other CPU runs, so it is a generation counted up. The frames are the core's own, whose references outlast this.
#include <stdlib.h>
#include "walk.h"

typedef struct batch {
  struct batch *next;
  u32 used, frames[GATHER_MAX_BATCH];
} batch_t;

u32 zap_gathered(const call_t *call) {
  const space_t s = open_space(call->space);
  static u64 generation;
  u64 start = ~0ull, end = 0;
  batch_t *first = malloc(sizeof(batch_t)), *batch = first;
  first->next = 0;
  first->used = 0;
  for (u64 page = 0; page < call->pages; page += 512) {
    u64 *const table = (u64 *)find_table(&s, call->va + (page << FRAME_SHIFT), 0, 0).page;
    for (u64 n = 0; table && n < 512 && page + n < call->pages; ++n) {
      if (!load_entry(table + n)) continue;
      const u64 gone = __atomic_exchange_n(table + n, 0, __ATOMIC_SEQ_CST);
      if (!(gone & (P | 1ull << X86_PROTNONE))) continue;
      const u64 va = call->va + ((page + n) << FRAME_SHIFT);
      if (va < start) start = va;
      if (va + 0xfff > end) end = va + 0xfff;
      const u64 index = ((gone & PFN_MASK) >> FRAME_SHIFT) - s.base_pfn;
      if (index >= s.frames) continue;
      if (batch->used == GATHER_MAX_BATCH) {
        batch = batch->next = malloc(sizeof(batch_t));
        batch->next = 0;
        batch->used = 0;
      }
      batch->frames[batch->used++] = (u32)index;
    }
  }
  if (end > start) __atomic_fetch_add(&generation, 1, __ATOMIC_SEQ_CST);
  u32 *const meta = (u32 *)(memory + half(CONTROL_META));
  u32 given = 0;
  while (first) {
    for (u32 n = 0; n < first->used; ++n) {
      u32 *const refs = meta + (first->frames[n] * META_BYTES + META_REFS) / 4;
      u32 old = __atomic_load_n(refs, __ATOMIC_SEQ_CST);
      while (!__atomic_compare_exchange_n(refs, &old, old - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
      ++given;
    }
    batch_t *const next = first->next;
    free(first);
    first = next;
  }
  return given;
}
