// The core's own algorithm, assembly/batch.ts, in C: what is left of a difference is the compiler's and WebAssembly's.
#include "walk.h"

u32 adaptive_batch(const call_t *call) { return memo_batch(call); }
