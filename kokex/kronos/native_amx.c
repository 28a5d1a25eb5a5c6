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

#define EXPORT __attribute__((visibility("default")))

#if defined(__x86_64__) && defined(__linux__) && defined(__has_include)
#if __has_include(<amxint8intrin.h>)
#define AMX
#endif
#endif

#ifdef AMX

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("avx512f,amx-tile,amx-int8")))

#define SIDE 16   /* rows of a tile, and its groups of four */
#define DEPTH 64  /* inputs of a tile */
#define TILE (SIDE * DEPTH)
#define SPAN 512 /* inputs of one scale: their digits, of 16 rows and 16 outputs, fit the first cache */
#define DIGITS 3
#define LINE 64   /* bytes of the cache's */
#define AHEAD (DIGITS * TILE / LINE / 6) /* lines to fetch with each of six products */

static inline long least(long a, long b) { return a < b ? a : b; }

static inline long tiles(long count, long each) { return (count + each - 1) / each; }

static inline __mmask16 first(long count) { return count >= 16 ? 0xffff : count > 0 ? (1 << count) - 1 : 0; }

/* `in` inputs, at most SPAN, of rows `apart` floats from each other -> their digits, `step` rows to a tile and all tiles
   of those side by side, and what sums[0] is to be multiplied with. A row with something that is no finite number is
   none throughout. */
static TARGET void cut(const float *x, long rows, long apart, long in, long step, char *to, float *scales) {
    const __m512i half = _mm512_set1_epi32(0x808080), magnitude = _mm512_set1_epi32(0x7fffffff);
    const long wide = tiles(in, DEPTH) * DEPTH, size = step * DEPTH;
    for (long row = 0; row < rows; row++, x += apart) {
        __m512i most = _mm512_setzero_si512(); /* bits: as whole numbers they are in order, and NaN is the greatest */
        for (long k = 0; k < in; k += 16)
            most = _mm512_max_epi32(most, _mm512_and_epi32(_mm512_maskz_loadu_epi32(first(in - k), x + k), magnitude));
        const int bits = _mm512_reduce_max_epi32(most);
        float top;
        memcpy(&top, &bits, sizeof top);
        if (top < 0x1p-100f) top = 0x1p-100f; /* whose reciprocal is still finite */
        const float limit = 8355700.0f;       /* 127, 127, 127 is 8355711; the rest is for rounding */
        scales[row] = bits < 0x7f800000 ? top / limit * 65536.0f : __builtin_nanf("");
        const __m512 scale = _mm512_set1_ps(limit / top);
        char *place = to + row / step * wide * DIGITS * step + row % step * DEPTH;
        for (long k = 0; k < wide; k += 16) {
            const __m512 part = _mm512_maskz_loadu_ps(first(in - k), x + k);
            /* Half of its range is added to each digit, which makes carries of the signs, and is taken off each. */
            __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(part, scale)), half);
            q = _mm512_xor_epi32(q, half);
            char *tile = place + k / DEPTH * DIGITS * size + k % DEPTH;
            _mm_storeu_si128((__m128i *)tile, _mm512_cvtepi32_epi8(_mm512_srli_epi32(q, 16)));
            _mm_storeu_si128((__m128i *)(tile + size), _mm512_cvtepi32_epi8(_mm512_srli_epi32(q, 8)));
            _mm_storeu_si128((__m128i *)(tile + 2 * size), _mm512_cvtepi32_epi8(q));
        }
    }
}

/* A block of the result: what the tiles summed up, and where it goes. */
struct block {
    int sums[DIGITS][SIDE][16] __attribute__((aligned(LINE)));
    const float *row_scales, *scales, *bias;
    float *to;
    long rows, width, done;
};

/* Of the block the rows up to `stop`. */
static inline __attribute__((always_inline)) TARGET void finish(struct block *b, long stop, long out, int add) {
    const __m512 digit = _mm512_set1_ps(1.0f / 256.0f);
    const __mmask16 columns = first(b->width);
    const __m512 scales = _mm512_maskz_loadu_ps(columns, b->scales);
    const __m512 bias = b->bias ? _mm512_maskz_loadu_ps(columns, b->bias) : _mm512_setzero_ps();
    for (; b->done < stop; b->done++) {
        float *to = b->to + b->done * out;
        __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(b->sums[2][b->done]));
        sum = _mm512_fmadd_ps(sum, digit, _mm512_cvtepi32_ps(_mm512_load_si512(b->sums[1][b->done])));
        sum = _mm512_fmadd_ps(sum, digit, _mm512_cvtepi32_ps(_mm512_load_si512(b->sums[0][b->done])));
        sum = _mm512_fmadd_ps(_mm512_mul_ps(sum, scales), _mm512_set1_ps(b->row_scales[b->done]), bias);
        if (add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(columns, to));
        _mm512_mask_storeu_ps(to, columns, sum);
    }
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
    if (!__builtin_cpu_supports("avx512f") || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const unsigned both = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    return (d & both) == both && syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
}

/* weight[out][in] -> digits[3 * in, rounded up to 64, * out, rounded up to 16], scales[spans][out] */
EXPORT TARGET void kokex_cut(const float *weight, long out, long in, char *digits, float *scales) {
    int (*tile)[SIDE] = (int (*)[SIDE])digits;
    for (long start = 0; start < in; start += SPAN, scales += out) {
        const long span = least(SPAN, in - start), panel = tiles(span, DEPTH) * DIGITS;
        for (long n = 0; n < out; n += SIDE) {
            memset(tile, 0, panel * TILE);
            cut(weight + n * in + start, least(SIDE, out - n), in, span, SIDE, (char *)tile, scales + n);
            for (long i = 0; i < panel; i++, tile += SIDE) /* as rows have it: [output][inputs / 4][4] */
                for (int r = 0; r < SIDE; r++)
                    for (int c = 0; c < r; c++) {
                        const int kept = tile[r][c];
                        tile[r][c] = tile[c][r];
                        tile[c][r] = kept;
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

/* One span of what follows. x: digits of its rows, step * blocks of them; to: y, bias and scales as the first block has
   them. */
static TARGET void multiply(const char *x, long rows, long step, long deep, const char *w, long out, struct block to,
                            int add) {
    const long blocks = tiles(rows, step), size = step * DEPTH, panel = deep * DIGITS * TILE;
    const long pace = tiles(AHEAD, blocks);
    struct block both[2] = {to, to}, *now = both, *before = both + 1; /* one is finished while the tiles sum up the other */
    for (long n = 0; n < out; n += SIDE, w += panel) {
        for (long block = 0; block < blocks; block++) {
            const char *a = x + block * deep * DIGITS * size, *b = w;
            /* Each block fetches its share of the next panel, so that memory never waits for arithmetic. */
            const char *ahead = w + panel + panel * block / blocks;
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
                finish(before, before->rows * (k + 1) / deep, out, add);
                FETCH;
                LOAD(5, a + 2 * size, blocks > 1);
                _tile_dpbssd(2, 3, 7);
                FETCH;
                _tile_dpbssd(2, 5, 6);
#undef FETCH
            }
            _tile_stored(0, now->sums[0], LINE);
            _tile_stored(1, now->sums[1], LINE);
            _tile_stored(2, now->sums[2], LINE);
            now->row_scales = to.row_scales + block * step;
            now->scales = to.scales + n;
            now->bias = to.bias ? to.bias + n : 0;
            now->to = to.to + block * step * out + n;
            now->rows = least(step, rows - block * step);
            now->width = least(SIDE, out - n);
            now->done = 0;
            struct block *const last = now;
            now = before;
            before = last;
        }
    }
    finish(before, before->rows, out, add);
}

/* y[rows][out] = x[rows][in] w + bias, or added to y. room: 3 * 512 * (rows + 15) + 4 * rows bytes */
EXPORT TARGET void kokex_multiply_cut(const float *x, long rows, long in, const char *w, const float *scales, long out,
                                      const float *bias, float *y, int add, char *room) {
    const long blocks = tiles(rows, SIDE), step = tiles(rows, blocks);
    float *row_scales = (float *)(room + blocks * step * DIGITS * SPAN);
    struct block to = {.row_scales = row_scales, .scales = scales, .bias = bias, .to = y};
    for (long start = 0; start < in; start += SPAN) {
        const long span = least(SPAN, in - start), deep = tiles(span, DEPTH);
        cut(x + start, rows, in, span, step, room, row_scales);
        configure(step);
        multiply(room, rows, step, deep, w, out, to, add || start);
        w += tiles(out, SIDE) * deep * DIGITS * TILE;
        to.scales += out;
        to.bias = 0;
    }
    _tile_release();
}

#else

EXPORT int kokex_tiles(void) { return 0; }

#endif
