/* What a forecast spends its time with, for one core of an x86 processor: a few rows through large weights, and paths
   that attend over a context they share.

   Weights lie in panels: PANEL columns side by side, [in][PANEL], then the next; the last is narrower, of a multiple of
   16. A panel is read once, in order, and multiplied with all rows while it is in the cache. Each product is added up
   over `in` from first to last, whatever the number of rows: a row gives the same digits alone and among many.

   C99 with GNU's vectors (gcc, clang). All arrays are of floats and contiguous where nothing else is said. */

#include <math.h>
#include <string.h>

#include "native_amx.h"

#define PANEL 48
#define AT_ONCE 512 /* rows from one product to the next, which bounds what lies between */
#define EXPORT __attribute__((visibility("default")))

/* B contexts, S paths of each, m fresh rows of each path; H heads. query: [B][H][S * m][width] by the strides given.
   key: for each of B * H, `length` columns in panels of depth `width`; value: `width` columns in panels of depth
   `length`; or both in block fixed point, of `width` inputs and `length`: then there are scales, else they are null.
   own_key, own_value: [B * H * S][room][width], of which `used` are filled, the fresh rows last. causal: row i of the
   context sees rows 0 to i; without paths of its own then. out: [B * S * m][H * width] */
struct attention {
    float *query;
    long query_batch, query_head, query_row;
    const void *key, *value;
    const float *key_scales, *value_scales;
    float *own_key, *own_value, *out;
    long batch, heads, paths, fresh, width, length, used, room, causal;
};

/* Weights in panels, or in block fixed point: then there are scales, else they are null. bias: null for none. */
struct matrix {
    const void *weights;
    const float *scales, *bias;
    long in, out;
};

/* A block of a transformer; `inner` below is what `down` takes. extra: see kokex_direction. */
struct block {
    struct matrix qkv, out, up, down;
    float extra;
};

/* One of the B * H. */
struct head {
    const float *query, *own_key, *own_value;
    union {
        const float *panels;
        struct digits digits;
    } key, value;
    float *out;
};

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

static inline long least(long a, long b) { return a < b ? a : b; }

static inline long rounded(long count) { return (count + 15) / 16 * 16; }

/* The i-th of many such matrices. */
static struct digits digits_of(const char *digits, const float *scales, long i, long in, long out) {
    const long size = DIGITS * ((in + 63) / 64 * 64) * rounded(out), spans = (in + SPAN - 1) / SPAN;
    return (struct digits){digits + i * size, scales + i * spans * out, in, out};
}

static struct head head_of(const struct attention *a, long i) {
    const long batch = i / a->heads, place = i % a->heads, own = i * a->paths * a->room * a->width;
    struct head head = {
        .query = a->query + batch * a->query_batch + place * a->query_head,
        .own_key = a->own_key + own,
        .own_value = a->own_value + own,
        .out = a->out + (batch * a->paths * a->fresh * a->heads + place) * a->width,
    };
    if (a->key_scales) {
        head.key.digits = digits_of(a->key, a->key_scales, i, a->width, a->length);
        head.value.digits = digits_of(a->value, a->value_scales, i, a->length, a->width);
    } else {
        head.key.panels = (const float *)a->key + i * a->width * rounded(a->length);
        head.value.panels = (const float *)a->value + i * rounded(a->width) * a->length;
    }
    return head;
}

/* How many rows of the context, and of its own path, a fresh row sees, and where the latter start. */
static inline long shared_by(const struct attention *a, long row) { return a->causal ? row + 1 : a->length; }
static inline long used_by(const struct attention *a, long row) {
    return a->used ? a->used - (a->fresh - 1 - row % a->fresh) : 0;
}
static inline long own_of(const struct attention *a, long row) { return row / a->fresh * a->room * a->width; }

#if defined(__x86_64__)

#define TILES_OF(r) TILE(r, 1) TILE(r, 2) TILE(r, 3)

#define LANES 16
#define ROWS 9
#define COLUMNS 3
#define NAME(x) x##_512
#define TARGET __attribute__((target("avx512f,fma")))
#define TILES                                                                                                  \
    TILES_OF(1) TILES_OF(2) TILES_OF(3) TILES_OF(4) TILES_OF(5) TILES_OF(6) TILES_OF(7) TILES_OF(8) TILES_OF(9)
#include "native.h"

#define LANES 8
#define ROWS 6
#define COLUMNS 2
#define NAME(x) x##_256
#define TARGET __attribute__((target("avx2,fma")))
#define TILES TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
#include "native.h"

/* Floats of the widest vectors that this processor has; 0: none that these kernels are written for. */
EXPORT int kokex_lanes(void) {
    if (__builtin_cpu_supports("avx512f")) return 16;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 8 : 0;
}

#define CALL(kernel, ...) (lanes == 16 ? kernel##_512(__VA_ARGS__) : kernel##_256(__VA_ARGS__))

EXPORT void kokex_multiply(int lanes, const float *x, long rows, long in, const float *w, long out, const float *bias,
                           float *y, int add) {
    CALL(multiply, x, rows, in, w, out, bias, y, add);
}

/* room: scratch of 16 * (length + used + width + 64) floats, and 3 * SPAN * 16 + 64 bytes */
EXPORT void kokex_attend(int lanes, const struct attention *a, float *room) { CALL(attend, a, room); }

/* What precedes attention. x: rows of [H * width], of m positions each, whose rotations `turns` are, [m][width / 2]
   complex -> queries, [rows][3 * H * width] of which they are the first third, and the newest of `a`'s own keys and
   values. room: H * width floats for each of at most 512 rows, and what a product takes */
EXPORT void kokex_project(int lanes, const struct block *b, const struct attention *a, const float *turns,
                          const float *x, float *room) {
    CALL(project, b, a, turns, x, room);
}

/* What follows it: rows of x are changed. room: as many floats, or `inner` if that is more, and 2 * inner */
EXPORT void kokex_finish(int lanes, const struct block *b, const float *attended, long rows, float *x, float *room) {
    CALL(finish, b, attended, rows, x, room);
}

/* All of it, by `count` blocks with a memory each, for paths that continue a context; neither queries need be given nor a
   place for what they find. room: 4 * H * width floats for each row, and what any of the three takes */
EXPORT void kokex_extend(int lanes, long count, const struct block *b, struct attention *const *a, const float *turns,
                         float *x, float *room) {
    for (long i = 0; i < count; i++) CALL(extend, b + i, *a[i], turns, x, room);
}

/* Rows of x at a length of 1, but for `extra` under the root. */
EXPORT void kokex_direction(int lanes, const float *x, long rows, long width, float extra, float *y) {
    CALL(direction, x, rows, width, extra, y);
}

/* [rows][2 * width], what opens and what is let through -> [rows][width], SwiGLU */
EXPORT void kokex_gate(int lanes, const float *x, long rows, long width, float *y) { CALL(gate, x, rows, width, y); }

/* Of each row the token with the greatest ratio of its probability to its noise among those whose likelier ones sum up
   to no more than top_p. unsure: that sum is nearer to top_p than `close`, so that rounding may decide.
   logits, noise: [rows][count]; room: 2 * (count + 16) floats */
EXPORT void kokex_choose(int lanes, const float *logits, const float *noise, long rows, long count, float top_p,
                         float close, float *room, long *tokens, char *unsure) {
    CALL(choose, logits, noise, rows, count, top_p, close, room, tokens, unsure);
}

#else

EXPORT int kokex_lanes(void) { return 0; }

#endif
