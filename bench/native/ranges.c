// Clean and record over a range of leaf tables, several ways, and what reading them costs.
//
// The best is what the machine's compiler makes of it: vectors as wide as the processor has, and `lock and`. Two more say what of that
// WebAssembly lacks: V8 makes a compare-exchange of each atomic operation, and vectors have 128 bits.
//
// Each takes the pages from `va` on, clears the dirty bits of present entries and sets their bits in the bitmap at `output`. One thread
// at a time runs here, but the atomics are those that walkers elsewhere would need. Between the tables all use one look-up.
#include "walk.h"
#ifdef __SSE2__
#include <immintrin.h>
#endif

#define SAVED_DIRTY (1ull << X86_SAVED_DIRTY)
#define PROTNONE (1ull << X86_PROTNONE)
#define DIRTY (D | SAVED_DIRTY)

typedef struct {
  u64 *bitmap;
  u64 touched, first, last;
} clean_t;

INLINE bool is_hit(u64 entry) { return (entry & (P | PROTNONE)) && (entry & DIRTY); }

/** The least that a compiler may use. */
typedef enum { WIDE, WIDE_EXCHANGE, NARROW_EXCHANGE } means_t;
typedef u64 pair_t __attribute__((vector_size(16), aligned(8)));

INLINE u64 any_of(const u64 *block, means_t means) {
  if (means == NARROW_EXCHANGE) {
    pair_t any = {0, 0};
    for (int i = 0; i < 64; i += 2) any |= *(const pair_t *)(block + i);
    return any[0] | any[1];
  }
  u64 any = 0;
  for (int i = 0; i < 64; ++i) any |= block[i];
  return any;
}

/** Which of 64 entries have a dirty bit. */
INLINE u64 dirty_word(const u64 *block, means_t means) {
  u64 word = 0;
#ifdef __SSE2__
  if (means == NARROW_EXCHANGE) {
    const __m128i mask = _mm_set1_epi64x((long long)DIRTY);
    for (int n = 0; n < 64; n += 16) {
      __m128i e[8];
      for (int k = 0; k < 8; ++k) e[k] = _mm_and_si128(_mm_loadu_si128((const __m128i *)(block + n + 2 * k)), mask);
      const __m128i low = _mm_packs_epi32(_mm_packs_epi32(e[0], e[1]), _mm_packs_epi32(e[2], e[3]));
      const __m128i high = _mm_packs_epi32(_mm_packs_epi32(e[4], e[5]), _mm_packs_epi32(e[6], e[7]));
      const u32 clean = (u32)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_packs_epi16(low, high), _mm_setzero_si128()));
      word |= (u64)(clean ^ 0xffff) << n;
    }
    return word;
  }
#endif
#ifdef __AVX512F__
  const __m512i mask = _mm512_set1_epi64((long long)DIRTY);
  for (int n = 0; n < 8; ++n) word |= (u64)_mm512_test_epi64_mask(_mm512_loadu_si512(block + 8 * n), mask) << (8 * n);
#else
  for (int n = 0; n < 64; ++n) word |= (u64)((block[n] & DIRTY) != 0) << n;
#endif
  return word;
}

INLINE void clear_dirty(u64 *slot, u64 entry, means_t means) {
  if (means == WIDE) __atomic_and_fetch(slot, ~DIRTY, __ATOMIC_SEQ_CST);
  else
    while (!replace_entry(slot, entry, entry & ~DIRTY)) entry = load_entry(slot);
}

INLINE void note(clean_t *c, u64 page, u64 word) {
  c->bitmap[page >> 6] |= word;
  c->touched += (u64)__builtin_popcountll(word);
  if (c->first > page) c->first = page + (u64)__builtin_ctzll(word);
  c->last = page + 63 - (u64)__builtin_clzll(word);
}

/** 64 entries are judged at once; each hit is one atomic. With `settled`, 64 that are all dirty and young take vector stores. */
INLINE u32 clean(const call_t *call, means_t means, bool settled) {
  const space_t s = open_space(call->space);
  clean_t c = {(u64 *)(memory + call->output), 0, ~0ull, 0};
  for (u64 page = 0; page < call->pages; page += 512) {
    u64 *const table = (u64 *)find_table(&s, call->va + (page << FRAME_SHIFT), 0, 0).page;
    if (!table) continue;
    for (u64 n = 0; n < 512; n += 64) {
      u64 *const block = table + n;
      if (!(any_of(block, means) & DIRTY)) continue;
      if (settled) {
        u64 all = ~0ull;
        for (int i = 0; i < 64; ++i) all &= block[i];
        if ((all & (P | A | D)) == (P | A | D)) {
          for (int i = 0; i < 64; ++i) block[i] &= ~DIRTY;
          note(&c, page + n, ~0ull);
          continue;
        }
      }
      u64 word = dirty_word(block, means);
      for (u64 left = word; left != 0; left &= left - 1) {
        u64 *const slot = block + __builtin_ctzll(left);
        const u64 entry = load_entry(slot);
        if (is_hit(entry)) clear_dirty(slot, entry, means);
        else word &= ~(left & -left);
      }
      if (word) note(&c, page + n, word);
    }
  }
  return (u32)c.touched;
}

u32 clean_best(const call_t *call) { return clean(call, WIDE, false); }
u32 clean_exchange(const call_t *call) { return clean(call, WIDE_EXCHANGE, false); }
u32 clean_narrow(const call_t *call) { return clean(call, NARROW_EXCHANGE, false); }
u32 clean_settled(const call_t *call) { return clean(call, WIDE, true); }

// ---- a callback for each entry, as walk_page_range() has it

typedef int pte_entry_t(u64 *slot, u64 page, clean_t *c);

static int clean_entry(u64 *slot, u64 page, clean_t *c) {
  const u64 entry = load_entry(slot);
  if (!is_hit(entry)) return 0;
  const u64 old = __atomic_exchange_n(slot, 0, __ATOMIC_SEQ_CST); // ptep_modify_prot_start()
  *(volatile u64 *)slot = old & ~DIRTY;                           // ptep_modify_prot_commit()
  c->bitmap[page >> 6] |= 1ull << (page & 63);
  ++c->touched;
  if (page < c->first) c->first = page;
  if (page >= c->last) c->last = page;
  return 0;
}

u32 clean_naive(const call_t *call) {
  pte_entry_t *volatile entry = clean_entry;
  const space_t s = open_space(call->space);
  clean_t c = {(u64 *)(memory + call->output), 0, ~0ull, 0};
  for (u64 page = 0; page < call->pages; page += 512) {
    u64 *const table = (u64 *)find_table(&s, call->va + (page << FRAME_SHIFT), 0, 0).page;
    for (u64 n = 0; table && n < 512; ++n)
      if (entry(table + n, page + n, &c)) return 0;
  }
  return (u32)c.touched;
}

/** The bound: every entry read once. `input` is the first table, the tables lie in a row. */
u32 sum_tables(const call_t *call) {
  const u64 *const entries = (const u64 *)(memory + call->input);
  u64 sum = 0;
  for (u64 n = 0; n < call->pages; ++n) sum += entries[n];
  return (u32)sum;
}

// ---- flush tracking, as assembly/flush/track.ts: page numbers as doubles at `input`, a tracker of at most 16 ranges

typedef struct {
  u64 first, last;
} run_t;

typedef struct {
  u32 count, adds, limit;
  run_t runs[17];
} tracker_t;

static void insert(tracker_t *t, u64 first, u64 last) {
  u32 from = 0;
  while (from < t->count && t->runs[from].last < first && t->runs[from].last + 1 < first) ++from;
  u32 to = from;
  while (to < t->count && !(t->runs[to].first > last && t->runs[to].first - 1 > last)) ++to;
  if (to > from) {
    const u64 end = t->runs[to - 1].last;
    if (first < t->runs[from].first) t->runs[from].first = first;
    t->runs[from].last = last > end ? last : end;
    if (to > from + 1) __builtin_memmove(t->runs + from + 1, t->runs + to, (t->count - to) * sizeof(run_t));
    t->count -= to - from - 1;
    return;
  }
  __builtin_memmove(t->runs + from + 1, t->runs + from, (t->count - from) * sizeof(run_t));
  t->runs[from] = (run_t){first, last};
  if (++t->count <= t->limit) return;
  u32 best = 0;
  u64 smallest = ~0ull;
  for (u32 n = 0; n + 1 < t->count; ++n) {
    const u64 gap = t->runs[n + 1].first - t->runs[n].last;
    if (gap < smallest) {
      smallest = gap;
      best = n;
    }
  }
  t->runs[best].last = t->runs[best + 1].last;
  __builtin_memmove(t->runs + best + 1, t->runs + best + 2, (t->count - best - 2) * sizeof(run_t));
  --t->count;
}

/** The same, the place found by halves and without a branch, as the core does it. */
static void insert_by_halves(tracker_t *t, u64 first, u64 last) {
  const run_t *at = t->runs;
  const u64 before = first == 0 ? 0 : first - 1;
  for (u32 n = t->count; n > 0;) {
    const u32 half = (n + 1) >> 1;
    at = at[half - 1].last < before ? at + half : at;
    n -= half;
  }
  const u32 from = (u32)(at - t->runs);
  if ((from < t->count) & (first >= at->first) & (last <= at->last)) return;
  insert(t, first, last);
}

INLINE void add(tracker_t *t, bool exact, bool halves, u64 first, u64 last) {
  ++t->adds;
  if (t->count == 0) {
    t->runs[0] = (run_t){first, last};
    t->count = 1;
    return;
  }
  if (!exact) {
    if (first < t->runs[0].first) t->runs[0].first = first;
    if (last > t->runs[0].last) t->runs[0].last = last;
    return;
  }
  run_t *const top = t->runs + t->count - 1;
  if (first >= top->first && first <= top->last + 1 && top->last != ~0ull) {
    if (last > top->last) top->last = last;
    return;
  }
  if (halves) insert_by_halves(t, first, last);
  else insert(t, first, last);
}

INLINE u32 track(const call_t *call, bool exact, bool halves) {
  const double *const pages = (const double *)(memory + call->input);
  static tracker_t tracker;
  tracker.count = tracker.adds = 0;
  tracker.limit = 16;
  for (u32 n = 0; n < call->count; ++n) {
    const u64 first = (u64)(int64_t)pages[n] << FRAME_SHIFT;
    add(&tracker, exact, halves, first, first | 0xfff);
  }
  return tracker.count + (u32)(tracker.runs[0].first >> FRAME_SHIFT);
}

u32 track_exact(const call_t *call) { return track(call, true, false); }
u32 track_halves(const call_t *call) { return track(call, true, true); }
u32 track_span(const call_t *call) { return track(call, false, false); }

/** The span of all pages as one range: the least and the greatest of the doubles, in vectors of the width that WebAssembly has. */
u32 track_doubles(const call_t *call) {
  const double *const pages = (const double *)(memory + call->input);
#ifdef __SSE2__
  __m128d low = _mm_set1_pd(pages[0]), high = low;
  for (u32 n = 0; n + 4 <= call->count; n += 4) {
    const __m128d a = _mm_loadu_pd(pages + n), b = _mm_loadu_pd(pages + n + 2);
    low = _mm_min_pd(low, _mm_min_pd(a, b));
    high = _mm_max_pd(high, _mm_max_pd(a, b));
  }
  for (u32 n = call->count & ~3u; n < call->count; ++n) {
    low = _mm_min_pd(low, _mm_set1_pd(pages[n]));
    high = _mm_max_pd(high, _mm_set1_pd(pages[n]));
  }
  const double first = low[0] < low[1] ? low[0] : low[1], last = high[0] > high[1] ? high[0] : high[1];
#else
  double first = pages[0], last = first;
  for (u32 n = 0; n < call->count; ++n) {
    first = pages[n] < first ? pages[n] : first;
    last = pages[n] > last ? pages[n] : last;
  }
#endif
  static tracker_t tracker;
  tracker.count = tracker.adds = 0;
  add(&tracker, false, false, (u64)(int64_t)first << FRAME_SHIFT, (u64)(int64_t)last << FRAME_SHIFT | 0xfff);
  tracker.adds += call->count - 1;
  return tracker.count + (u32)(tracker.runs[0].first >> FRAME_SHIFT);
}
