/* Products of matrices in block fixed point, on the tiles of an x86 processor that multiply whole numbers (AMX).

   512 inputs of a row have one scale and whole numbers of 24 bits, each written as three signed digits to the base of
   256: q = (d0 * 256 + d1) * 256 + d2, -128 <= d <= 127. Weights are cut so once, by output; the rows that are
   multiplied with them as they come. Of the nine products of digits the six count that reach what single precision
   can hold:

       sums[0] = d0 e0    sums[1] = d0 e1 + d1 e0    sums[2] = d0 e2 + d1 e1 + d2 e0

   Whole numbers add up exactly, in any order: a row gives the same digits alone and among many. A tile multiplies so
   much faster than AVX-512 that six products take a third of its time, and a weight is read as three bytes instead of
   four. The scheme is that of Ootomo, Ozaki and Yokota (DGEMM on Integer Matrix Multiplication Unit, 2024, arXiv
   2306.11975); the tiles are described in Intel's Software Developer's Manual, volume 1, "Programming with Intel
   Advanced Matrix Extensions".

   How weights lie: 512 inputs, then the next; of those 16 outputs, then the next; of those the inputs by 64; of those
   the digits; a digit of 16 x 64 is a tile, [inputs / 4][output][4]. What is left is filled with zeros. */

#include "native_amx.h"

#define EXPORT __attribute__((visibility("default")))

#ifdef AMX

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("avx512f,avx512bw,amx-tile,amx-int8")))

#define SIDE 16   /* rows of a tile, and its groups of four */
#define DEPTH 64  /* inputs of a tile */
#define TILE (SIDE * DEPTH)
#define LINE 64   /* bytes of the cache's */
#define AHEAD (DIGITS * TILE / LINE / 6) /* lines to fetch with each of six products */

static inline long least(long a, long b) { return a < b ? a : b; }

static inline long tiles(long count, long each) { return (count + each - 1) / each; }

static inline __mmask16 first(long count) { return count >= 16 ? 0xffff : count > 0 ? (1 << count) - 1 : 0; }

/* `in` inputs, at most SPAN, of rows that are `x_row` floats apart -> their digits, `step` rows to a tile and all tiles
   of those side by side, and what sums[0] is to be multiplied with. A row with something that is no finite number is
   none throughout. */
static TARGET void cut(const float *x, long x_row, long rows, long in, long step, char *to, float *scales) {
    const __m512i half = _mm512_set1_epi32(0x808080), magnitude = _mm512_set1_epi32(0x7fffffff);
    const long wide = tiles(in, DEPTH) * DEPTH, size = step * DEPTH;
    for (long row = 0; row < rows; row++, x += x_row) {
        __m512i most = _mm512_setzero_si512(); /* bits: as whole numbers they are in order, NaN above all */
        for (long k = 0; k < in; k += 16)
            most = _mm512_max_epi32(most, _mm512_and_epi32(_mm512_maskz_loadu_epi32(first(in - k), x + k), magnitude));
        const int bits = _mm512_reduce_max_epi32(most);
        float top;
        memcpy(&top, &bits, sizeof top);
        if (top < 0x1p-100f) top = 0x1p-100f; /* whose reciprocal is still finite */
        const float limit = 8355700.0f;       /* 127, 127, 127 is 8355711; the rest is for rounding */
        scales[row] = bits < 0x7f800000 ? top / limit * 65536.0f : __builtin_nanf("");
        const __m512 scale = _mm512_set1_ps(limit / top);
        char *tile = to + row / step * wide * DIGITS * step + row % step * DEPTH;
        for (long k = 0; k < in; k += DEPTH, tile += DIGITS * size) {
            __m512i q[4];
            for (int i = 0; i < 4; i++) {
                const __m512 part = _mm512_maskz_loadu_ps(first(in - k - 16 * i), x + k + 16 * i);
                /* Half of its range is added to each digit, which makes carries of the signs, and taken off below. */
                q[i] = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(part, scale)), half);
            }
            for (int digit = 0; digit < DIGITS; digit++) {
                const __m512i shift = _mm512_set1_epi32(8 * (DIGITS - 1 - digit)), byte = _mm512_set1_epi32(0xff);
                __m512i each[4];
                for (int i = 0; i < 4; i++) each[i] = _mm512_and_epi32(_mm512_srlv_epi32(q[i], shift), byte);
                /* Which shuffles the 64 inputs, but those of rows and of weights alike. */
                const __m512i packed = _mm512_packus_epi16(_mm512_packus_epi32(each[0], each[1]),
                                                           _mm512_packus_epi32(each[2], each[3]));
                _mm512_storeu_si512(tile + digit * size, _mm512_xor_si512(packed, _mm512_set1_epi8(-128)));
            }
        }
    }
}

/* A patch of the result, of one tile's rows and outputs: what was summed up, and where it goes. */
struct patch {
    const int (*sums)[SIDE][16];
    const float *row_scales;
    float *to;
    long to_row, rows;
    int add;
    __mmask16 columns;
    __m512 scales, bias;
};

/* A row of it. */
static inline __attribute__((always_inline)) TARGET void finish(const struct patch *p, long row) {
    const __m512 digit = _mm512_set1_ps(1.0f / 256.0f);
    __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(p->sums[2][row]));
    sum = _mm512_fmadd_ps(sum, digit, _mm512_cvtepi32_ps(_mm512_load_si512(p->sums[1][row])));
    sum = _mm512_fmadd_ps(sum, digit, _mm512_cvtepi32_ps(_mm512_load_si512(p->sums[0][row])));
    sum = _mm512_fmadd_ps(_mm512_mul_ps(sum, p->scales), _mm512_set1_ps(p->row_scales[row]), p->bias);
    float *to = p->to + row * p->to_row;
    if (p->add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(p->columns, to));
    _mm512_mask_storeu_ps(to, p->columns, sum);
}

static TARGET void configure(long rows) {
    struct {
        unsigned char palette, start, reserved[14];
        unsigned short bytes[16];
        unsigned char rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = DEPTH;
        config.rows[i] = i < 6 ? rows : SIDE; /* 0 to 2: sums, 3 to 5: digits of rows; 6, 7: of weights */
    }
    __asm__ volatile("" ::: "memory"); /* gcc's intrinsics do not say what they read */
    _tile_loadconfig(&config);
}

/* Whether this processor has such tiles and the system lets this process use them: it has to be asked. */
EXPORT TARGET int kokex_tiles(void) {
    enum { ASK = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    unsigned a, b, c, d;
    if (!__builtin_cpu_supports("avx512bw") || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const unsigned both = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    return (d & both) == both && syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
}

/* [output][inputs / 4][4], as it is for rows -> [inputs / 4][output][4]: blocks of 1, 2, 4 and 8 across the diagonal
   change places. */
static TARGET void turn(char *tile) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i row[SIDE];
    for (int r = 0; r < SIDE; r++) row[r] = _mm512_loadu_si512(tile + r * DEPTH);
    for (int side = 1; side < SIDE; side *= 2) {
        const __mmask16 right = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(side));
        const __m512i above = _mm512_mask_add_epi32(lane, right, lane, _mm512_set1_epi32(SIDE - side));
        const __m512i below = _mm512_mask_add_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(side)), right, lane,
                                                    _mm512_set1_epi32(SIDE));
        for (int r = 0; r < SIDE; r++) {
            if (r & side) continue;
            const __m512i kept = row[r];
            row[r] = _mm512_permutex2var_epi32(kept, above, row[r + side]);
            row[r + side] = _mm512_permutex2var_epi32(kept, below, row[r + side]);
        }
    }
    for (int r = 0; r < SIDE; r++) _mm512_storeu_si512(tile + r * DEPTH, row[r]);
}

/* x[in][..], `count` outputs of it, at most 16 -> to[output][in] */
static TARGET void column(const float *x, long x_row, long count, long in, float to[SIDE][SPAN]) {
    char tile[TILE];
    for (long k = 0; k < in; k += SIDE) {
        for (long r = 0; r < SIDE; r++) {
            const __mmask16 there = k + r < in ? first(count) : 0;
            _mm512_storeu_ps(tile + r * DEPTH, _mm512_maskz_loadu_ps(there, x + (k + r) * x_row));
        }
        turn(tile);
        for (long r = 0; r < SIDE; r++) _mm512_storeu_ps(to[r] + k, _mm512_loadu_ps(tile + r * DEPTH));
    }
}

/* `count` matrices, [out][in] each or turned, [in][out] -> what `struct digits` holds of each, one after the other */
EXPORT TARGET void kokex_cut(const float *x, long count, long out, long in, int turned, char *digits, float *scales) {
    float columns[SIDE][SPAN];
    for (long i = 0; i < count; i++, x += out * in) {
        for (long start = 0; start < in; start += SPAN, scales += out) {
            const long span = least(SPAN, in - start), panel = tiles(span, DEPTH) * DIGITS;
            for (long n = 0; n < out; n += SIDE) {
                const long outputs = least(SIDE, out - n);
                const float *from = turned ? columns[0] : x + n * in + start;
                if (turned) column(x + start * out + n, out, outputs, span, columns);
                memset(digits, 0, panel * TILE);
                cut(from, turned ? SPAN : in, outputs, span, SIDE, digits, scales + n);
                for (long each = 0; each < panel; each++, digits += TILE) turn(digits);
            }
        }
    }
}

/* What is read once must not push out of the cache what is read again. */
#define LOAD(tile, from, once)                           \
    do {                                                 \
        if (once) _tile_stream_loadd(tile, from, DEPTH); \
        else _tile_loadd(tile, from, DEPTH);             \
    } while (0)

/* Where a product goes: y[rows][..], of outputs with these scales and biases. */
struct result {
    const float *row_scales, *scales, *bias;
    float *y;
    long y_row;
    int add;
};

/* One span of what follows. x: digits of its rows, `step` to a tile, `deep` tiles each; w: panels of 16 outputs, so
   many bytes from one to the next. */
static TARGET void multiply(const char *x, long rows, long step, long deep, const char *w, long panel, long out,
                            struct result to) {
    const long blocks = tiles(rows, step), size = step * DEPTH, pace = tiles(AHEAD, blocks);
    const long share = tiles(step, deep);
    int sums[2][DIGITS][SIDE][16] __attribute__((aligned(LINE)));
    struct patch before = {.rows = 0}; /* is finished while the tiles are busy with the next */
    int turn = 0;
    for (long n = 0; n < out; n += SIDE, w += panel) {
        const __mmask16 columns = first(out - n);
        const __m512 scales = _mm512_maskz_loadu_ps(columns, to.scales + n);
        const __m512 bias = to.bias ? _mm512_maskz_loadu_ps(columns, to.bias + n) : _mm512_setzero_ps();
        for (long block = 0; block < blocks; block++) {
            const char *a = x + block * deep * DIGITS * size, *b = w;
            /* Each block fetches its share of the next panel, so that memory never waits for arithmetic. */
            const char *ahead = w + panel + panel * block / blocks;
            long row = 0;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            for (long k = 0; k < deep; k++, a += DIGITS * size, b += DIGITS * TILE) {
#define FETCH for (long i = 0; i < pace; i++, ahead += LINE) _mm_prefetch(ahead, _MM_HINT_T1)
                FETCH;
                LOAD(6, b, blocks == 1);
                LOAD(3, a, blocks > 1);
                _tile_dpbssd(0, 3, 6);
                FETCH;
                LOAD(7, b + TILE, blocks == 1);
                _tile_dpbssd(1, 3, 7);
                FETCH;
                LOAD(4, a + size, blocks > 1);
                _tile_dpbssd(2, 4, 7);
                FETCH;
                LOAD(7, b + 2 * TILE, blocks == 1);
                _tile_dpbssd(1, 4, 6);
                for (const long stop = least(before.rows, share * (k + 1)); row < stop; row++) finish(&before, row);
                FETCH;
                LOAD(5, a + 2 * size, blocks > 1);
                _tile_dpbssd(2, 3, 7);
                FETCH;
                _tile_dpbssd(2, 5, 6);
#undef FETCH
            }
            int (*const now)[SIDE][16] = sums[turn ^= 1];
            _tile_stored(0, now[0], LINE);
            _tile_stored(1, now[1], LINE);
            _tile_stored(2, now[2], LINE);
            before = (struct patch){
                .sums = (const int (*)[SIDE][16])now, .row_scales = to.row_scales + block * step,
                .to = to.y + block * step * to.y_row + n, .to_row = to.y_row, .rows = least(step, rows - block * step),
                .add = to.add, .columns = columns, .scales = scales, .bias = bias,
            };
        }
    }
    for (long row = 0; row < before.rows; row++) finish(&before, row);
}

TARGET void product(const float *x, long x_row, long rows, long in, struct digits w, long out, const float *bias,
                    float *y, long y_row, int add, char *room) {
    const long step = tiles(rows, tiles(rows, SIDE));
    float *row_scales = (float *)(room + 3 * SPAN * tiles(rows, step) * step);
    struct result to = {row_scales, w.scales, bias, y, y_row, add};
    configure(step);
    for (long start = 0; start < in; start += SPAN) {
        const long span = least(SPAN, in - start), panel = tiles(least(SPAN, w.in - start), DEPTH) * DIGITS * TILE;
        cut(x + start, x_row, rows, span, step, room, row_scales);
        __asm__ volatile("" ::: "memory"); /* gcc's intrinsics do not say what they read */
        multiply(room, rows, step, tiles(span, DEPTH), w.tiles, panel, out, to);
        w.tiles += tiles(w.out, SIDE) * panel;
        to.scales += w.out;
        to.bias = 0;
        to.add = 1;
    }
    _tile_release();
}

EXPORT void kokex_multiply_cut(const float *x, long rows, long in, const char *digits, const float *scales, long out,
                               const float *bias, float *y, int add, char *room) {
    product(x, in, rows, in, (struct digits){digits, scales, in, out}, out, bias, y, out, add, room);
}

#else

EXPORT int kokex_tiles(void) { return 0; }

#endif
