// The core's own algorithm, assembly/batch/, in C, path by path and with its thresholds: what is left of a difference is
// what WebAssembly and its compiler cost. The far path prefetches, which WebAssembly cannot, and judges each leaf on its own; large
// pages take the plain walk.
#include "walk.h"

#define WINDOW 256
#define TOO_MANY_CHANGES 48
#define TOO_MANY_MISSES 64
#define FAR_GROUPS 128
#define BURST 8
#define LONGEST_BURST 512
#define MIXED 64
#define NO_REGION (1ull << 63)

typedef struct {
  u64 tag;
  table_t table;
} cached_t;

static cached_t regions[REGIONS], tables[TABLES];

/** A translation on its way: where its addresses are, how far it came, how many are not mapped. */
typedef struct {
  space_t space;
  masks_t masks;
  const u64 *input;
  u64 *output;
  u32 count, access, done, faults;
} batch_t;

static void slowly(batch_t *b) {
  const u64 result = naive_walk(&b->space, b->input[b->done], b->access);
  b->output[b->done++] = result;
  b->faults += result >> RESULT_SHIFT & RESULT_MAPPED ? 0 : 1;
}

/** One address in a known leaf table. Returns false if it must go the long way. */
INLINE bool judge(const masks_t *m, uint8_t *page, rights_t rights, u64 va, u64 *out) {
  u64 *slot = (u64 *)(page + offset_of(va, 0));
  const u64 entry = load_entry(slot);
  u64 leaf = effective(entry, rights);
  const u64 wrong = (leaf ^ m->need) & m->test;
  if (wrong) {
    if (wrong & ~m->touch || !replace_entry(slot, entry, entry | m->touch)) return false;
    leaf |= m->touch;
  }
  *out = leaf_result(leaf, va);
  return true;
}

/** A leaf that passed: others with the same flags differ from it, and their results from its result, by the frame alone. */
typedef struct {
  u64 entry, change, flags;
  bool good;
} pattern_t;

INLINE pattern_t pattern_of(const masks_t *m, uint8_t *page, rights_t rights, u64 va) {
  const u64 entry = load_entry((u64 *)(page + offset_of(va, 0))) | m->touch;
  const u64 leaf = effective(entry, rights);
  return (pattern_t){entry, entry ^ leaf_result(leaf, 0), ~PFN_MASK | m->test, !((leaf ^ m->need) & m->test)};
}

/** Those that agree with the pattern but for A and D, which are set. Returns the first that does not. */
static u32 touching(const masks_t *m, pattern_t p, uint8_t *page, u64 region, const u64 *input, u64 *output, u32 i, u32 stop) {
  const u64 judged = p.flags & ~m->touch;
  for (; i < stop; ++i) {
    const u64 va = input[i];
    u64 *slot = (u64 *)(page + offset_of(va, 0));
    const u64 entry = load_entry(slot), touched = entry | m->touch;
    if ((va ^ region) >> 21 | ((entry ^ p.entry) & judged)) break;
    if (touched != entry && !replace_entry(slot, entry, touched)) break;
    output[i] = (touched ^ p.change) | (va & 0xfff);
  }
  return i;
}

static void near_path(batch_t *b) {
  const masks_t m = b->masks;
  const u64 *input = b->input;
  u64 *output = b->output;
  const u32 count = b->count;
  u64 region = NO_REGION;
  uint8_t *page = memory;
  rights_t rights = {0, 0};
  pattern_t p = {0};
  u32 i = b->done, changes = 0, window = i + WINDOW, burst = BURST;
  while (i < count) {
    const u32 began = i;
    for (; p.good && i + 4 <= count; i += 4) {
      const u64 v0 = input[i], v1 = input[i + 1], v2 = input[i + 2], v3 = input[i + 3];
      const u64 e0 = load_entry((u64 *)(page + offset_of(v0, 0))), e1 = load_entry((u64 *)(page + offset_of(v1, 0)));
      const u64 e2 = load_entry((u64 *)(page + offset_of(v2, 0))), e3 = load_entry((u64 *)(page + offset_of(v3, 0)));
      const u64 away = (v0 ^ region) | (v1 ^ region) | (v2 ^ region) | (v3 ^ region);
      const u64 other = (e0 ^ p.entry) | (e1 ^ p.entry) | (e2 ^ p.entry) | (e3 ^ p.entry);
      if (away >> 21 | (other & p.flags)) break;
      output[i] = (e0 ^ p.change) | (v0 & 0xfff);
      output[i + 1] = (e1 ^ p.change) | (v1 & 0xfff);
      output[i + 2] = (e2 ^ p.change) | (v2 & 0xfff);
      output[i + 3] = (e3 ^ p.change) | (v3 & 0xfff);
    }
    burst = i != began ? BURST : burst < LONGEST_BURST ? burst << 1 : LONGEST_BURST;
    const u32 stop = count - i < burst ? count : i + burst;
    if (m.touch && p.good) {
      i = touching(&m, p, page, region, input, output, i, stop);
      if (i == stop) continue;
    }
    const u32 until = count - i < MIXED ? count : i + MIXED;
    for (; i + 4 <= until; i += 4) {
      const u64 v0 = input[i], v1 = input[i + 1], v2 = input[i + 2], v3 = input[i + 3];
      if (((v0 ^ region) | (v1 ^ region) | (v2 ^ region) | (v3 ^ region)) >> 21) break;
      const u64 e0 = effective(load_entry((u64 *)(page + offset_of(v0, 0))), rights);
      const u64 e1 = effective(load_entry((u64 *)(page + offset_of(v1, 0))), rights);
      const u64 e2 = effective(load_entry((u64 *)(page + offset_of(v2, 0))), rights);
      const u64 e3 = effective(load_entry((u64 *)(page + offset_of(v3, 0))), rights);
      if (((e0 ^ m.need) | (e1 ^ m.need) | (e2 ^ m.need) | (e3 ^ m.need)) & m.test) break;
      output[i] = leaf_result(e0, v0);
      output[i + 1] = leaf_result(e1, v1);
      output[i + 2] = leaf_result(e2, v2);
      output[i + 3] = leaf_result(e3, v3);
    }
    u64 va = 0;
    for (; i < stop; ++i) {
      va = input[i];
      if ((va ^ region) >> 21 || !judge(&m, page, rights, va, &output[i])) break;
    }
    if (i >= stop) {
      p = pattern_of(&m, page, rights, input[i - 1]);
      continue;
    }
    b->done = i;
    slowly(b);
    i = b->done;
    if (!((va ^ region) >> 21)) continue;
    const table_t found = find_table(&b->space, va, 0, m.touch);
    region = va;
    page = found.page ? found.page : memory;
    rights = rights_of(found.rights);
    p = pattern_of(&m, page, rights, va);
    if (i >= window) {
      changes = 0;
      window = i + WINDOW;
    }
    if (++changes == TOO_MANY_CHANGES) break;
  }
  b->done = i;
}

static void cached_path(batch_t *b) {
  const masks_t m = b->masks;
  u32 misses = 0, window = b->done + WINDOW;
  pattern_t p = {0};
  u64 wanted = 0;
  while (b->done < b->count) {
    bool hit = true;
    u64 va = 0, last = NO_REGION;
    u32 same = 0, i = b->done;
    const u32 stop = b->count < window ? b->count : window;
    const u64 *input = b->input;
    u64 *output = b->output;
    for (; p.good && i + 4 <= stop; i += 4) {
      const u64 v0 = input[i], v1 = input[i + 1], v2 = input[i + 2], v3 = input[i + 3];
      const cached_t *c0 = &regions[v0 >> 21 & (REGIONS - 1)], *c1 = &regions[v1 >> 21 & (REGIONS - 1)];
      const cached_t *c2 = &regions[v2 >> 21 & (REGIONS - 1)], *c3 = &regions[v3 >> 21 & (REGIONS - 1)];
      const u64 miss = (c0->tag ^ v0 >> 21) | (c1->tag ^ v1 >> 21) | (c2->tag ^ v2 >> 21) | (c3->tag ^ v3 >> 21);
      const u64 rights = (c0->table.rights ^ wanted) | (c1->table.rights ^ wanted) | (c2->table.rights ^ wanted) |
                         (c3->table.rights ^ wanted);
      if (miss | rights) break;
      const u64 e0 = load_entry((u64 *)(c0->table.page + offset_of(v0, 0)));
      const u64 e1 = load_entry((u64 *)(c1->table.page + offset_of(v1, 0)));
      const u64 e2 = load_entry((u64 *)(c2->table.page + offset_of(v2, 0)));
      const u64 e3 = load_entry((u64 *)(c3->table.page + offset_of(v3, 0)));
      if (((e0 ^ p.entry) | (e1 ^ p.entry) | (e2 ^ p.entry) | (e3 ^ p.entry)) & p.flags) break;
      output[i] = (e0 ^ p.change) | (v0 & 0xfff);
      output[i + 1] = (e1 ^ p.change) | (v1 & 0xfff);
      output[i + 2] = (e2 ^ p.change) | (v2 & 0xfff);
      output[i + 3] = (e3 ^ p.change) | (v3 & 0xfff);
      same += v0 >> 21 == v3 >> 21 ? 4 : 0;
    }
    for (; i < stop; ++i) {
      va = b->input[i];
      const u64 region = va >> 21;
      const cached_t *cached = &regions[region & (REGIONS - 1)];
      hit = cached->tag == region;
      if (!hit) break;
      same += region == last;
      last = region;
      if (!judge(&m, cached->table.page, rights_of(cached->table.rights), va, &b->output[i])) break;
    }
    b->done = i;
    if (i == stop) {
      if (same > WINDOW - TOO_MANY_CHANGES) return;
      misses = 0;
      window = i + WINDOW;
      const cached_t *last_hit = &regions[input[i - 1] >> 21 & (REGIONS - 1)];
      wanted = last_hit->table.rights;
      p = pattern_of(&m, last_hit->table.page, rights_of(wanted), input[i - 1]);
      continue;
    }
    slowly(b);
    if (hit) continue;
    cached_t *cached = &regions[va >> 21 & (REGIONS - 1)];
    cached->table = find_table(&b->space, va, 0, m.touch);
    cached->tag = cached->table.page ? va >> 21 : NO_REGION;
    if (++misses == TOO_MANY_MISSES) return;
  }
}

static void far_path(batch_t *b) {
  const masks_t m = b->masks;
  const space_t *s = &b->space;
  u64 *slots[BATCH_WALKS];
  u64 gathered[BATCH_WALKS];
  for (u32 group = 0; group < FAR_GROUPS && b->done < b->count; ++group) {
    const u32 from = b->done, size = b->count - from < BATCH_WALKS ? b->count - from : BATCH_WALKS;
    u32 same = 0;
    u64 last = NO_REGION;
    for (u32 k = 0; k < size; ++k) {
      const u64 va = b->input[from + k];
      cached_t *cached = &tables[va >> 30 & (TABLES - 1)];
      if (cached->tag != va >> 30) {
        const table_t found = find_table(s, va, 1, m.touch);
        slots[k] = 0;
        if (!found.page) continue;
        *cached = (cached_t){va >> 30, found};
      }
      same += !((va ^ last) >> 21);
      last = va;
      const u64 entry = load_entry((u64 *)(cached->table.page + offset_of(va, 1)));
      const u64 frame = ((entry & PFN_MASK) >> FRAME_SHIFT) - s->base_pfn;
      const bool good = ((entry & m.table_test) == m.table_need) & (frame < s->frames);
      slots[k] = good ? (u64 *)(s->ram + (frame << FRAME_SHIFT) + offset_of(va, 0)) : 0;
      gathered[k] = cached->table.rights & (entry ^ NX);
      __builtin_prefetch(slots[k]);
    }
    for (u32 k = 0; k < size; ++k) {
      const u64 va = b->input[from + k];
      uint8_t *page = (uint8_t *)slots[k] - offset_of(va, 0);
      if (slots[k] && judge(&m, page, rights_of(gathered[k]), va, &b->output[from + k])) continue;
      b->done = from + k;
      slowly(b);
    }
    b->done = from + size;
    if (same > WINDOW - TOO_MANY_CHANGES) return;
  }
}

u32 adaptive_batch(const call_t *call) {
  batch_t b = {.space = open_space(call->space), .count = call->count, .access = call->access};
  if (!is_batchable(&b.space)) return naive_batch(call);
  b.masks = masks_of(&b.space, call->access);
  b.input = (const u64 *)(memory + call->input);
  b.output = (u64 *)(memory + call->output);
  near_path(&b);
  if (b.done < b.count) {
    for (u32 n = 0; n < REGIONS; ++n) regions[n].tag = NO_REGION;
    for (u32 n = 0; n < TABLES; ++n) tables[n].tag = NO_REGION;
  }
  while (b.done < b.count) {
    cached_path(&b);
    if (b.done < b.count) far_path(&b);
    if (b.done < b.count) near_path(&b);
  }
  return b.count - b.faults;
}
