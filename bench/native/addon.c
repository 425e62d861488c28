// The walkers as functions of JavaScript: each takes no arguments and reads its call from a block in linear memory, so that
// crossing over costs as little as it can. Node-API is declared by hand: no headers are needed to compile this.
#include <stddef.h>
#include "walk.h"

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
extern int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_get_typedarray_info(napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *);
extern int napi_get_value_uint32(napi_env, napi_value, u32 *);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_create_uint32(napi_env, u32, napi_value *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);

uint8_t *memory;
static const call_t *call;

/** attach(bytes, at): `bytes` views the whole linear memory, `at` is the address of the block that holds a call. */
static napi_value attach(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  void *data = 0;
  u32 at = 0;
  napi_get_cb_info(env, info, &argc, argv, 0, 0);
  if (napi_get_typedarray_info(env, argv[0], 0, 0, &data, 0, 0) != 0 || napi_get_value_uint32(env, argv[1], &at) != 0) return 0;
  memory = data;
  call = (const call_t *)(memory + at);
  return argv[0];
}

static napi_value run(napi_env env, napi_callback_info info) {
  void *walker;
  napi_value result = 0;
  napi_get_cb_info(env, info, 0, 0, 0, &walker);
  napi_create_uint32(env, ((walker_t *)walker)(call), &result);
  return result;
}

static void define(napi_env env, napi_value exports, const char *name, napi_callback callback, void *data) {
  napi_value function;
  if (napi_create_function(env, name, (size_t)-1, callback, data, &function) == 0) {
    napi_set_named_property(env, exports, name, function);
  }
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  define(env, exports, "attach", attach, 0);
  define(env, exports, "naiveBatch", run, naive_batch);
  define(env, exports, "naiveRange", run, naive_range);
  define(env, exports, "memoBatch", run, memo_batch);
  define(env, exports, "groupsBatch", run, groups_batch);
  define(env, exports, "rowRange", run, row_range);
  define(env, exports, "narrowRange", run, narrow_range);
  define(env, exports, "adaptiveBatch", run, adaptive_batch);
  define(env, exports, "tlbHits", run, tlb_hits);
  define(env, exports, "tlbWays", run, tlb_ways);
  define(env, exports, "cleanBest", run, clean_best);
  define(env, exports, "cleanExchange", run, clean_exchange);
  define(env, exports, "cleanNarrow", run, clean_narrow);
  define(env, exports, "cleanSettled", run, clean_settled);
  define(env, exports, "cleanNaive", run, clean_naive);
  define(env, exports, "sumTables", run, sum_tables);
  define(env, exports, "trackExact", run, track_exact);
  define(env, exports, "trackHalves", run, track_halves);
  define(env, exports, "trackSpan", run, track_span);
  define(env, exports, "trackDoubles", run, track_doubles);
  define(env, exports, "zapGathered", run, zap_gathered);
  define(env, exports, "pingPong", run, ping_pong);
  define(env, exports, "mailbox", run, mailbox);
  define(env, exports, "sums", run, sums);
  define(env, exports, "kernelMap", run, kernel_map);
  define(env, exports, "kernelUnmap", run, kernel_unmap);
  define(env, exports, "kernelProtect", run, kernel_protect);
  define(env, exports, "kernelDirty", run, kernel_dirty);
  define(env, exports, "kernelClearRefs", run, kernel_clear_refs);
  return exports;
}
