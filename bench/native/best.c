// The best known algorithm for each workload, one function each, no adapting:
//   memo_batch    hot, sequential: the last leaf table with its masks, four addresses an iteration
//   groups_batch  random: level-1 tables remembered; a group of walks looks up its leaf entries and prefetches them, then reads them
//   row_range     one contiguous range: along each leaf table, vectorised by the compiler
// Each gives what naive.c gives: a walk that one comparison does not judge is walked there.
#include "walk.h"

#define MAPPED (RESULT_MAPPED * (1ull << RESULT_SHIFT))

static u32 slowly(const space_t *s, const u64 *input, u64 *output, u32 i, u32 access) {
  output[i] = naive_walk(s, input[i], access);
  return output[i] & MAPPED ? 0 : 1;
}

u32 memo_batch(const call_t *call) {
  const space_t s = open_space(call->space);
  if (!is_batchable(&s)) return naive_batch(call);
  const masks_t m = masks_of(&s, call->access);
  const u64 *input = (const u64 *)(memory + call->input);
  u64 *output = (u64 *)(memory + call->output);
  const u32 count = call->count;
  u64 region = 1ull << 63;
  const uint8_t *page = 0;
  rights_t rights = {0, 0};
  u32 faults = 0;
  for (u32 i = 0; i < count;) {
    for (; i + 4 <= count; i += 4) {
      const u64 a = input[i], b = input[i + 1], c = input[i + 2], d = input[i + 3];
      if (((a ^ region) | (b ^ region) | (c ^ region) | (d ^ region)) >> 21) break;
      const u64 ea = effective(load_entry((u64 *)(page + offset_of(a, 0))), rights);
      const u64 eb = effective(load_entry((u64 *)(page + offset_of(b, 0))), rights);
      const u64 ec = effective(load_entry((u64 *)(page + offset_of(c, 0))), rights);
      const u64 ed = effective(load_entry((u64 *)(page + offset_of(d, 0))), rights);
      if (((ea ^ m.need) | (eb ^ m.need) | (ec ^ m.need) | (ed ^ m.need)) & m.test) break;
      output[i] = leaf_result(ea, a);
      output[i + 1] = leaf_result(eb, b);
      output[i + 2] = leaf_result(ec, c);
      output[i + 3] = leaf_result(ed, d);
    }
    if (i >= count) break;
    // One address singly, in the region at hand, in a new one, or on the plain walk.
    const u64 va = input[i];
    if ((va ^ region) >> 21) {
      const table_t t = find_table(&s, va, 0, m.touch);
      if (!t.page) {
        faults += slowly(&s, input, output, i++, call->access);
        continue;
      }
      region = va;
      page = t.page;
      rights = rights_of(t.rights);
    }
    u64 *slot = (u64 *)(page + offset_of(va, 0));
    const u64 entry = load_entry(slot);
    u64 leaf = effective(entry, rights);
    const u64 wrong = (leaf ^ m.need) & m.test;
    if ((wrong & ~m.touch) || (wrong && !replace_entry(slot, entry, entry | m.touch))) {
      faults += slowly(&s, input, output, i++, call->access);
      continue;
    }
    if (wrong) leaf |= m.touch;
    output[i++] = leaf_result(leaf, va);
  }
  return count - faults;
}

#define GROUP 256
#define GIANTS 512

u32 groups_batch(const call_t *call) {
  const space_t s = open_space(call->space);
  if (!is_batchable(&s)) return naive_batch(call);
  const masks_t m = masks_of(&s, call->access);
  const u64 *input = (const u64 *)(memory + call->input);
  u64 *output = (u64 *)(memory + call->output);
  const u32 count = call->count;
  // Level-1 tables by the GiB that they map: few enough to remember.
  u64 tags[GIANTS];
  table_t tables[GIANTS];
  for (u32 n = 0; n < GIANTS; ++n) tags[n] = ~0ull;
  u64 *slots[GROUP];
  u64 gathered[GROUP];
  u32 faults = 0;
  for (u32 from = 0; from < count; from += GROUP) {
    const u32 size = count - from < GROUP ? count - from : GROUP;
    const u64 *in = input + from;
    u64 *out = output + from;
    for (u32 k = 0; k < size; ++k) {
      const u64 va = in[k];
      const u32 n = va >> 30 & (GIANTS - 1);
      if (tags[n] != va >> 30) {
        const table_t found = find_table(&s, va, 1, m.touch);
        slots[k] = 0;
        if (!found.page) continue;
        tags[n] = va >> 30;
        tables[n] = found;
      }
      const u64 entry = load_entry((u64 *)(tables[n].page + offset_of(va, 1)));
      const u64 index = ((entry & PFN_MASK) >> FRAME_SHIFT) - s.base_pfn;
      const bool good = ((entry & m.table_test) == m.table_need) & (index < s.frames);
      slots[k] = good ? (u64 *)(s.ram + (index << FRAME_SHIFT) + offset_of(va, 0)) : 0;
      gathered[k] = tables[n].rights & (entry ^ NX);
      __builtin_prefetch(slots[k]);
    }
    for (u32 k = 0; k < size; ++k) {
      u64 entry = 0, leaf = 0;
      if (slots[k]) {
        entry = load_entry(slots[k]);
        leaf = effective(entry, rights_of(gathered[k]));
      }
      const u64 wrong = (leaf ^ m.need) & m.test;
      if ((wrong & ~m.touch) || (wrong && !replace_entry(slots[k], entry, entry | m.touch))) {
        faults += slowly(&s, in, out, k, call->access);
        continue;
      }
      if (wrong) leaf |= m.touch;
      out[k] = leaf_result(leaf, in[k]);
    }
  }
  return count - faults;
}

typedef u64 pair_t __attribute__((vector_size(16), aligned(8)));

/** One leaf table's worth: writes `row` results and returns the bits that are wrong in any of them. */
INLINE u64 row_wide(const u64 *restrict slot, u64 *restrict out, u32 row, rights_t rights, const masks_t *m) {
  u64 wrong = 0;
  for (u32 k = 0; k < row; ++k) {
    const u64 leaf = effective(slot[k], rights);
    wrong |= (leaf ^ m->need) & m->test;
    out[k] = leaf_result(leaf, 0);
  }
  return wrong;
}

/** The same in vectors of 128 bits, which is what WebAssembly has: it tells what the width is worth. */
INLINE u64 row_narrow(const u64 *restrict slot, u64 *restrict out, u32 row, rights_t rights, const masks_t *m) {
  const pair_t flags = {P | RW | US | A | D, P | RW | US | A | D}, frame = {NX | PFN_MASK, NX | PFN_MASK};
  pair_t wrong = {0, 0};
  u32 k = 0;
  for (; k + 2 <= row; k += 2) {
    const pair_t leaf = (*(const pair_t *)(slot + k) & rights.keep) | rights.nx;
    wrong |= (leaf ^ m->need) & m->test;
    *(pair_t *)(out + k) = (leaf & frame) | ((leaf & flags) << RESULT_SHIFT);
  }
  return wrong[0] | wrong[1] | row_wide(slot + k, out + k, row - k, rights, m);
}

INLINE u32 range(const call_t *call, bool narrow) {
  const space_t s = open_space(call->space);
  if (!is_batchable(&s)) return naive_range(call);
  const masks_t m = masks_of(&s, call->access);
  u64 *output = (u64 *)(memory + call->output);
  u32 faults = 0;
  for (u32 done = 0; done < call->pages;) {
    const u64 va = call->va + ((u64)done << FRAME_SHIFT);
    const table_t t = find_table(&s, va, 0, m.touch);
    u32 row = 512 - ((va >> FRAME_SHIFT) & 511);
    if (row > call->pages - done) row = call->pages - done;
    u64 wrong = ~0ull;
    if (t.page) {
      const u64 *slot = (const u64 *)(t.page + offset_of(va, 0));
      const rights_t rights = rights_of(t.rights);
      wrong = narrow ? row_narrow(slot, output + done, row, rights, &m) : row_wide(slot, output + done, row, rights, &m);
    }
    // Something in this table needs a closer look: its results are made again by the plain walk.
    for (u32 k = 0; wrong && k < row; ++k) {
      output[done + k] = naive_walk(&s, va + ((u64)k << FRAME_SHIFT), call->access);
      faults += output[done + k] & MAPPED ? 0 : 1;
    }
    done += row;
  }
  return call->pages - faults;
}

u32 row_range(const call_t *call) { return range(call, false); }
u32 narrow_range(const call_t *call) { return range(call, true); }
