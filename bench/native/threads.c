// Two threads on C11 atomics: what a message to another processor and its answer cost, at the least and with a shootdown's mailbox. And two that
// share nothing: what processors do at a time, of which those have less that share their core.
//
// Each call makes the other thread and ends it; `count` rounds make that a hundredth. The mailbox is that of assembly/interrupt.ts: who sends
// counts the flushes of the mm, fills its slot, says so in a word of the other's, looks whether that is in user mode, and waits for the answer;
// the other looks at its word between two accesses, and drops an entry before it answers.
#include <pthread.h>
#include <stdatomic.h>
#include "walk.h"

typedef struct {
  _Alignas(128) _Atomic u32 ball;
  _Alignas(128) _Atomic u64 generation, mask;
  _Alignas(128) _Atomic u32 mode;
  _Alignas(128) _Atomic u64 pending;
  _Alignas(128) _Atomic u32 state;
  _Atomic u64 first, last, asked;
  _Alignas(128) u64 current, tags[64], drops;
  _Atomic bool ended;
} pair_of_cpus_t;

static pair_of_cpus_t cpus;

static void *hand_back(void *rounds) {
  for (u32 n = 0; n < (u32)(uintptr_t)rounds; ++n) {
    while (atomic_load(&cpus.ball) != 2 * n + 1) {}
    atomic_store(&cpus.ball, 2 * n + 2);
  }
  return 0;
}

u32 ping_pong(const call_t *call) {
  pthread_t other;
  atomic_store(&cpus.ball, 0);
  if (pthread_create(&other, 0, hand_back, (void *)(uintptr_t)call->count)) return 0;
  for (u32 n = 0; n < call->count; ++n) {
    atomic_store(&cpus.ball, 2 * n + 1);
    while (atomic_load(&cpus.ball) != 2 * n + 2) {}
  }
  pthread_join(other, 0);
  return atomic_load(&cpus.ball) / 2;
}

static void answer(void) {
  if (!atomic_exchange(&cpus.pending, 0) || atomic_load(&cpus.state) != 1) return;
  const u64 first = atomic_load_explicit(&cpus.first, memory_order_relaxed);
  const u64 asked = atomic_load_explicit(&cpus.asked, memory_order_relaxed);
  if (asked == cpus.current + 1 && asked == atomic_load(&cpus.generation)) cpus.tags[first >> FRAME_SHIFT & 63] = 0;
  else for (int n = 0; n < 64; ++n) cpus.tags[n] = 0;
  cpus.current = asked;
  ++cpus.drops;
  u32 one = 1;
  atomic_compare_exchange_strong(&cpus.state, &one, 0);
}

static void *run_user(void *unused) {
  (void)unused;
  atomic_store(&cpus.mode, 1);
  while (!atomic_load_explicit(&cpus.ended, memory_order_relaxed))
    if (atomic_load(&cpus.pending)) answer();
  return 0;
}

u32 mailbox(const call_t *call) {
  pthread_t other;
  atomic_store(&cpus.mode, 0);
  atomic_store(&cpus.ended, false);
  atomic_store(&cpus.mask, 2);
  cpus.drops = 0;
  if (pthread_create(&other, 0, run_user, 0)) return 0;
  while (!atomic_load(&cpus.mode)) {}
  for (u32 n = 0; n < call->count; ++n) {
    const u64 generation = atomic_fetch_add(&cpus.generation, 1) + 1;
    if (!(atomic_load(&cpus.mask) & 2) || atomic_load(&cpus.state)) return 0;
    atomic_store_explicit(&cpus.first, (u64)n << FRAME_SHIFT, memory_order_relaxed);
    atomic_store_explicit(&cpus.last, (u64)n << FRAME_SHIFT | 0xfff, memory_order_relaxed);
    atomic_store_explicit(&cpus.asked, generation, memory_order_relaxed);
    atomic_store(&cpus.state, 1);
    atomic_fetch_or(&cpus.pending, 1);
    if (atomic_load(&cpus.mode)) while (atomic_load(&cpus.state)) {}
  }
  atomic_store(&cpus.ended, true);
  pthread_join(other, 0);
  return (u32)cpus.drops;
}

static u64 sum(u32 rounds) {
  u64 a = 1, b = 2, c = 3, d = 4;
  for (u32 n = 0; n < rounds; ++n) {
    a += b ^ 3, b += c ^ 5, c += d ^ 7, d += a ^ 9;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
  }
  return a + b + c + d;
}

static void *sum_there(void *rounds) { return (void *)(uintptr_t)sum((u32)(uintptr_t)rounds); }

u32 sums(const call_t *call) {
  pthread_t other;
  void *there;
  if (pthread_create(&other, 0, sum_there, (void *)(uintptr_t)call->count)) return 0;
  const u64 here = sum(call->count);
  pthread_join(other, &there);
  return here == (u64)(uintptr_t)there;
}
