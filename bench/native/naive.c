// The ×1.00 row in C: one address after the other, four dependent loads each, every check at its place.
#include "walk.h"

#define COLD __attribute__((noinline, cold))
#define UNLIKELY(condition) __builtin_expect((condition), 0)

COLD static u64 fault(u32 cause, int level, u32 code) {
  return (u64)cause << FAULT_CAUSE_SHIFT | (u64)level << FAULT_LEVEL_SHIFT | (u64)code << FAULT_CODE_SHIFT;
}

COLD static u32 fault_code(const space_t *s, u32 access) {
  const bool fetch = (access & ACCESS_EXECUTE) && (s->flags & (CR_NXE | CR_SMEP));
  return (access & ACCESS_WRITE ? X86_FAULT_W : 0) | (access & ACCESS_USER ? X86_FAULT_U : 0) | (fetch ? X86_FAULT_I : 0);
}

static bool key_refuses(const space_t *s, u64 entry, u32 access) {
  const u32 pair = s->pkru >> ((entry & PKEY_MASK) >> X86_PKEY << 1);
  if (pair & 1) return true;
  return (pair & 2) && (access & ACCESS_WRITE) && ((access & ACCESS_USER) || (s->flags & CR_WP));
}

/** The error code of an access that the rights forbid, or 0 (SDM vol. 3A, 4.6 and 4.7). */
static u32 refuse(const space_t *s, u64 entry, u64 rights, u32 access) {
  const u32 cr = s->flags;
  const bool user = access & ACCESS_USER, user_page = rights & US;
  bool refused = user && !user_page;
  if (access & ACCESS_EXECUTE) {
    refused |= ((cr & CR_NXE) && !(rights & NX)) || (!user && user_page && (cr & CR_SMEP));
  } else {
    refused |= !user && user_page && (cr & (CR_SMAP | CR_AC)) == CR_SMAP;
    refused |= (access & ACCESS_WRITE) && !(rights & RW) && (user || (cr & CR_WP));
  }
  const bool key = (cr & CR_PKE) && user_page && !(access & ACCESS_EXECUTE) && key_refuses(s, entry, access);
  if (!refused && !key) return 0;
  return X86_FAULT_P | fault_code(s, access) | (key ? X86_FAULT_PK : 0);
}

INLINE u64 walk(const space_t *s, u64 va, u32 access) {
  if (UNLIKELY(!is_canonical(va))) return fault(FAULT_NON_CANONICAL, 0, 0);
again:;
  u64 table = s->root, rights = RW | US | NX;
#pragma GCC unroll 4
  for (int level = 3; level >= 0; --level) {
    const u64 index = (table >> FRAME_SHIFT) - s->base_pfn;
    if (UNLIKELY(index >= s->frames)) return fault(FAULT_UNBACKED, level, 0);
    u64 *slot = (u64 *)(s->ram + (index << FRAME_SHIFT) + offset_of(va, level));
    u64 entry = load_entry(slot);
    if (UNLIKELY(!(entry & P))) return fault(FAULT_ABSENT, level, fault_code(s, access));
    const bool leaf = level == 0 || (level <= 2 && (entry & PS));
    if (UNLIKELY(entry & (leaf ? s->leaf_reserved[level] : s->table_reserved[level]))) {
      return fault(FAULT_RESERVED, level, X86_FAULT_P | X86_FAULT_RSVD | fault_code(s, access));
    }
    rights &= entry ^ NX;
    if (leaf && access != 0) {
      const u32 refused = refuse(s, entry, rights, access);
      if (UNLIKELY(refused)) return fault(FAULT_PROTECTION, level, refused);
    }
    if (access & ACCESS_TOUCH) {
      const u64 touched = entry | A | (leaf && (access & ACCESS_WRITE) ? D : 0);
      if (UNLIKELY(touched != entry) && !replace_entry(slot, entry, touched)) goto again;
      entry = touched;
    }
    if (leaf) {
      const u64 inside = (1ull << (12 + 9 * level)) - 1;
      const u64 flags = RESULT_MAPPED | (rights & (RW | US)) | (entry & (A | D)) | (u64)level << RESULT_LEVEL_SHIFT |
                        (~rights & NX) >> RESULT_SHIFT;
      return (entry & PFN_MASK & ~inside) | (va & inside) | flags << RESULT_SHIFT;
    }
    table = entry & PFN_MASK;
  }
  __builtin_unreachable();
}

u64 naive_walk(const space_t *s, u64 va, u32 access) { return walk(s, va, access); }

INLINE u32 batch(const call_t *call, u32 access) {
  const space_t s = open_space(call->space);
  const u64 *restrict input = (const u64 *)(memory + call->input);
  u64 *restrict output = (u64 *)(memory + call->output);
  const u32 count = call->count;
  u32 mapped = 0;
  for (u32 i = 0; i < count; ++i) {
    const u64 result = walk(&s, input[i], access);
    output[i] = result;
    mapped += result >> RESULT_SHIFT & RESULT_MAPPED;
  }
  return mapped;
}

/** A loop of its own for translations that ask for no access, so that they do not pay for what they do not ask. */
u32 naive_batch(const call_t *call) { return call->access == 0 ? batch(call, 0) : batch(call, call->access); }

u32 naive_range(const call_t *call) {
  const space_t s = open_space(call->space);
  u64 *restrict output = (u64 *)(memory + call->output);
  const u32 pages = call->pages, access = call->access;
  u64 va = call->va;
  u32 mapped = 0;
  for (u32 i = 0; i < pages; ++i, va += 1ull << FRAME_SHIFT) {
    const u64 result = access == 0 ? walk(&s, va, 0) : walk(&s, va, access);
    output[i] = result;
    mapped += result >> RESULT_SHIFT & RESULT_MAPPED;
  }
  return mapped;
}
