// What the running kernel takes for the same to real memory: for orientation, nothing is judged by it.
//
// A private mapping of 4 KiB pages, all of them present and written. mprotect() write-protects all entries and flushes; clear_refs makes them
// old (fs/proc/task_mmu.c), those of the rest of the process too, which are few beside them.
#ifdef __linux__
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#endif
#include "walk.h"

#ifdef __linux__
static uint8_t *pages;
static size_t bytes;

/** Maps `pages` pages and writes to them. 0: it cannot. */
u32 kernel_map(const call_t *call) {
  bytes = (size_t)call->pages << FRAME_SHIFT;
  pages = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return 0;
  madvise(pages, bytes, MADV_NOHUGEPAGE);
  for (size_t at = 0; at < bytes; at += 1 << FRAME_SHIFT) pages[at] = 1;
  return 1;
}

u32 kernel_unmap(const call_t *call) {
  (void)call;
  return munmap(pages, bytes) == 0;
}

u32 kernel_protect(const call_t *call) {
  (void)call;
  return mprotect(pages, bytes, PROT_READ) == 0;
}

/** Writable again and dirty: a fault or an access for each page. */
u32 kernel_dirty(const call_t *call) {
  (void)call;
  if (mprotect(pages, bytes, PROT_READ | PROT_WRITE)) return 0;
  for (size_t at = 0; at < bytes; at += 1 << FRAME_SHIFT) ++pages[at];
  return 1;
}

u32 kernel_clear_refs(const call_t *call) {
  (void)call;
  const int file = open("/proc/self/clear_refs", O_WRONLY);
  if (file < 0) return 0;
  const bool done = write(file, "1", 1) == 1;
  close(file);
  return done;
}
#else
u32 kernel_map(const call_t *call) { return 0; }
u32 kernel_unmap(const call_t *call) { return 0; }
u32 kernel_protect(const call_t *call) { return 0; }
u32 kernel_dirty(const call_t *call) { return 0; }
u32 kernel_clear_refs(const call_t *call) { return 0; }
#endif
