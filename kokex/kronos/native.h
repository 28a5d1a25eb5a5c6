/* The kernels of native.c for one width of vectors: included once for each.

   LANES: floats of a vector. ROWS x COLUMNS: the vectors of a tile, as many as the registers hold beside what they are
   multiplied with. NAME(x): x for this width. TARGET: the attribute that lets the compiler use it. */

typedef float NAME(floats) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int NAME(ints) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define V NAME(floats)
#define INLINE static inline __attribute__((always_inline)) TARGET

/* to[rows][columns] = x[rows][depth] w[depth][columns]. `ahead`: what is to be multiplied with after this; a row of it
   is fetched at every `pace`th of ours, or none where it is null. */
INLINE void NAME(tile)(const int rows, const int vectors, const float *x, long x_row, const float *w, long w_row,
                       long depth, const float *ahead, long pace, float *to, long to_row) {
    V sums[ROWS][COLUMNS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++) sums[r][c] = (V){0};
    for (long k = 0; k < depth;) {
        const long stop = k + pace < depth ? k + pace : depth;
        if (ahead) {
#pragma GCC unroll 4
            for (int c = 0; c < vectors; c++) __builtin_prefetch(ahead + c * LANES, 0, 2);
            ahead += w_row;
        }
        for (; k < stop; k++) {
            V part[COLUMNS];
#pragma GCC unroll 4
            for (int c = 0; c < vectors; c++) part[c] = *(const V *)(w + k * w_row + c * LANES);
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
                for (int c = 0; c < vectors; c++) sums[r][c] += x[r * x_row + k] * part[c];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++) *(V *)(to + r * to_row + c * LANES) = sums[r][c];
}

/* The same with one panel: `columns` is a multiple of 16 and at most PANEL, rows at most ROWS. */
static TARGET void NAME(panel)(int rows, int columns, const float *x, long x_row, const float *w, long depth,
                               const float *ahead, long pace, float *to, long to_row) {
    for (int c = 0; c < columns; c += COLUMNS * LANES) {
        const int left = (columns - c) / LANES, vectors = left < COLUMNS ? left : COLUMNS;
        const float *next = ahead ? ahead + c : 0;
#define TILE(r, v) \
    case r * 4 + v: NAME(tile)(r, v, x, x_row, w + c, columns, depth, next, pace, to + c, to_row); break;
        switch (rows * 4 + vectors) {
            TILES
        }
#undef TILE
    }
}

/* y[rows][out] = x[rows][in] w + bias, or added to y. */
static TARGET void NAME(multiply)(const float *x, long rows, long in, const float *w, long out, const float *bias,
                                  float *y, int add) {
    const long padded = rounded(out), blocks = (rows + ROWS - 1) / ROWS;
    float product[ROWS * PANEL];
    for (long n = 0; n < padded; n += PANEL) {
        const int columns = least(PANEL, padded - n), width = least(columns, out - n);
        const float *panel = w + n * in, *next = n + PANEL < padded ? panel + columns * in : 0;
        for (long block = 0, row = 0, count; block < blocks; block++, row += count) {
            count = (rows - row) / (blocks - block);
            /* Each block fetches its share of the next panel, so that memory never waits for arithmetic. */
            const float *ahead = next ? next + block * in / blocks * least(PANEL, padded - n - PANEL) : 0;
            NAME(panel)(count, columns, x + row * in, in, panel, in, ahead, blocks, product, columns);
            for (long r = 0; r < count; r++) {
                float *to = y + (row + r) * out + n;
                const float *from = product + r * columns;
                if (bias && add) for (int c = 0; c < width; c++) to[c] += from[c] + bias[n + c];
                else if (bias) for (int c = 0; c < width; c++) to[c] = from[c] + bias[n + c];
                else if (add) for (int c = 0; c < width; c++) to[c] += from[c];
                else for (int c = 0; c < width; c++) to[c] = from[c];
            }
        }
    }
}

/* e to the power of x, which is at most 88; 0 below -87. The polynomial is that of Cephes' expf. */
INLINE V NAME(power)(V x) {
    const V n = x * 1.44269504f + 12582912.0f - 12582912.0f; /* rounds to the nearest whole number */
    const V r = x - n * 0.693359375f + n * 2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const NAME(ints) exponent = (__builtin_convertvector(n, NAME(ints)) + 127) << 23;
    return (V)((NAME(ints))(p * (V)exponent) & (x >= -87.0f));
}

INLINE float NAME(total)(V x) {
    float part[LANES];
    *(V *)part = x;
    four sum = *(four *)part;
    for (int i = 4; i < LANES; i += 4) sum += *(four *)(part + i);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

INLINE float NAME(dot)(const float *x, const float *y, long count) {
    V sums = {0};
    long i = 0;
    for (; i + LANES <= count; i += LANES) sums += *(const V *)(x + i) * *(const V *)(y + i);
    float sum = NAME(total)(sums);
    for (; i < count; i++) sum += x[i] * y[i];
    return sum;
}

/* scores[count] -> their exponentials, less the largest; the sum. count: a multiple of 16 */
INLINE V NAME(exponentials)(float *scores, long count, float largest) {
    V sums = {0};
    for (long i = 0; i < count; i += LANES) {
        const V e = NAME(power)(*(V *)(scores + i) - largest);
        *(V *)(scores + i) = e;
        sums += e;
    }
    return sums;
}

/* Of count, a multiple of 16. */
INLINE float NAME(largest)(const float *scores, long count) {
    V top = (V){0} - INFINITY;
    for (long i = 0; i < count; i += LANES) {
        const V next = *(const V *)(scores + i);
        const NAME(ints) more = next > top;
        top = (V)(((NAME(ints))next & more) | ((NAME(ints))top & ~more));
    }
    float most = top[0];
    for (int i = 1; i < LANES; i++) most = top[i] > most ? top[i] : most;
    return most;
}

/* Rows of queries through the keys of the context, the first `seen` of them at least. */
static TARGET void NAME(ask)(const struct attention *a, const struct head *of, const float *query, long count,
                             long seen, float *scores, long to_row, void *room) {
#ifdef AMX
    if (a->key_scales) {
        product(query, a->query_row, count, a->width, of->key.digits, seen, 0, scores, to_row, 0, room);
        return;
    }
#endif
    for (long n = 0; n < seen; n += PANEL)
        NAME(panel)(count, least(PANEL, rounded(a->length) - n), query, a->query_row, of->key.panels + n * a->width,
                    a->width, 0, a->width, scores + n, to_row);
}

/* Rows of scores through the values of the context, the first `seen` of them. */
static TARGET void NAME(answer)(const struct attention *a, const struct head *of, const float *scores, long count,
                                long from_row, long seen, float *sum, void *room) {
    const long wide = rounded(a->width);
#ifdef AMX
    if (a->key_scales) {
        product(scores, from_row, count, seen, of->value.digits, a->width, 0, sum, wide, 0, room);
        return;
    }
#endif
    for (long n = 0; n < wide; n += PANEL)
        NAME(panel)(count, least(PANEL, wide - n), scores, from_row, of->value.panels + n * a->length, seen, 0, seen,
                    sum + n, wide);
}

/* The exponentials of the scores of `count` rows from `row` on, [count][padded length + padded used], and of each row
   what its sum is to be divided by. */
static TARGET void NAME(score)(const struct attention *a, const struct head *of, long row, long count, float *scores,
                               float *scale, void *room) {
    const long padded = rounded(a->length), spare = rounded(a->used), to_row = padded + spare;
    const long seen = shared_by(a, row + count - 1);
    const long scored = rounded(seen);
    const float *query = of->query + row * a->query_row;
    NAME(ask)(a, of, query, count, seen, scores, to_row, room);
    for (long r = 0; r < count; r++, scores += to_row, query += a->query_row) {
        const float *key = of->own_key + own_of(a, row + r);
        const long used = used_by(a, row + r);
        for (long i = shared_by(a, row + r); i < scored; i++) scores[i] = -INFINITY;
        for (long j = 0; j < used; j++) scores[padded + j] = NAME(dot)(query, key + j * a->width, a->width);
        for (long j = used; j < spare; j++) scores[padded + j] = -INFINITY;
        const float shared = NAME(largest)(scores, scored), own = NAME(largest)(scores + padded, spare);
        const float top = own > shared ? own : shared;
        scale[r] = 1.0f / NAME(total)(NAME(exponentials)(scores, scored, top) +
                                      NAME(exponentials)(scores + padded, spare, top));
    }
}

/* The values, weighed by those scores. */
static TARGET void NAME(mix)(const struct attention *a, const struct head *of, long row, long count,
                             const float *scores, const float *scale, float *sum, void *room) {
    const long padded = rounded(a->length), wide = rounded(a->width), from_row = padded + rounded(a->used);
    NAME(answer)(a, of, scores, count, from_row, shared_by(a, row + count - 1), sum, room);
    for (long r = 0; r < count; r++, scores += from_row, sum += wide) {
        const float *value = of->own_value + own_of(a, row + r);
        float *to = of->out + (row + r) * a->heads * a->width;
        for (long j = 0, used = used_by(a, row + r); j < used; j++, value += a->width)
            for (long c = 0; c < a->width; c++) sum[c] += scores[padded + j] * value[c];
        for (long c = 0; c < a->width; c++) to[c] = sum[c] * scale[r];
    }
}

static TARGET void NAME(attend)(const struct attention *a, float *room) {
    const long most = a->key_scales ? 16 : ROWS; /* at once: what a tile has */
    const long rows = a->paths * a->fresh, blocks = (rows + most - 1) / most;
    float *sum = room + most * (rounded(a->length) + rounded(a->used)), scale[16];
    void *rest = sum + most * rounded(a->width);
    for (long i = 0; i < a->batch * a->heads; i++) {
        const struct head of = head_of(a, i);
        for (long block = 0, row = 0, count; block < blocks; block++, row += count) {
            count = (rows - row) / (blocks - block);
            NAME(score)(a, &of, row, count, room, scale, rest);
            NAME(mix)(a, &of, row, count, room, scale, sum, rest);
        }
    }
}

static TARGET void NAME(direction)(const float *x, long rows, long width, float extra, float *y) {
    for (long r = 0; r < rows; r++, x += width, y += width) {
        const float scale = 1.0f / sqrtf(NAME(dot)(x, x, width) + extra);
        for (long c = 0; c < width; c++) y[c] = x[c] * scale;
    }
}

static TARGET void NAME(gate)(const float *x, long rows, long width, float *y) {
    for (long r = 0; r < rows; r++, x += 2 * width, y += width) {
        long c = 0;
        for (; c + LANES <= width; c += LANES) {
            const V open = *(const V *)(x + c);
            const V kept = open / (1.0f + NAME(power)(-open)) * *(const V *)(x + width + c);
            *(V *)(y + c) = (V)((NAME(ints))kept & (open >= -87.0f));
        }
        for (; c < width; c++) y[c] = x[c] / (1.0f + expf(-x[c])) * x[width + c];
    }
}

/* Pairs of x by as many complex numbers -> y, which may be x */
static TARGET void NAME(rotate)(const float *x, const float *turns, long width, float *y) {
    for (long c = 0; c < width; c += 2) {
        const float one = x[c], two = x[c + 1], cosine = turns[c], sine = turns[c + 1];
        y[c] = one * cosine - two * sine;
        y[c + 1] = two * cosine + one * sine;
    }
}

static TARGET void NAME(apply)(const struct matrix *w, const float *x, long rows, float *y, int add, void *room) {
#ifdef AMX
    if (w->scales) {
        const struct digits digits = {w->weights, w->scales, w->in, w->out};
        product(x, w->in, rows, w->in, digits, w->out, w->bias, y, w->out, add, room);
        return;
    }
#endif
    NAME(multiply)(x, rows, w->in, w->weights, w->out, w->bias, y, add);
}

static TARGET void NAME(project)(const struct block *b, const struct attention *a, const float *turns, const float *x,
                                 float *room) {
    const long d = a->heads * a->width, rows = a->batch * a->paths * a->fresh;
    for (long start = 0, count; start < rows; start += count) {
        count = least(AT_ONCE, rows - start);
        float *query = a->query + start * 3 * d;
        NAME(direction)(x + start * d, count, d, b->extra, room);
        NAME(apply)(&b->qkv, room, count, query, 0, room + count * d);
        for (long row = start; row < start + count; row++, query += 3 * d) {
            const long path = row / a->fresh, batch = path / a->paths, fresh = row % a->fresh;
            const float *turn = turns + fresh * a->width;
            for (long h = 0; h < a->heads; h++) {
                float *one = query + h * a->width;
                const long paths = (batch * a->heads + h) * a->paths + path % a->paths;
                const long own = (paths * a->room + a->used - a->fresh + fresh) * a->width;
                NAME(rotate)(one, turn, a->width, one);
                NAME(rotate)(one + d, turn, a->width, a->own_key + own);
                memcpy(a->own_value + own, one + 2 * d, sizeof(float) * a->width);
            }
        }
    }
}

static TARGET void NAME(finish)(const struct block *b, const float *attended, long rows, float *x, float *room) {
    const long d = b->out.out, inner = b->down.in;
    for (long count; rows > 0; rows -= count, x += count * d, attended += count * d) {
        count = least(AT_ONCE, rows);
        float *row = room, *both = row + count * (d > inner ? d : inner), *rest = both + count * 2 * inner;
        NAME(apply)(&b->out, attended, count, x, 1, rest);
        NAME(direction)(x, count, d, b->extra, row);
        NAME(apply)(&b->up, row, count, both, 0, rest);
        NAME(gate)(both, count, inner, row);
        NAME(apply)(&b->down, row, count, x, 1, rest);
    }
}

static TARGET void NAME(extend)(const struct block *b, struct attention a, const float *turns, float *x, float *room) {
    const long d = a.heads * a.width, rows = a.batch * a.paths * a.fresh;
    a.out = room;
    a.query = a.out + rows * d;
    a.query_row = 3 * d;
    a.query_head = a.width;
    a.query_batch = a.paths * a.fresh * a.query_row;
    room = a.query + rows * 3 * d;
    NAME(project)(b, &a, turns, x, room);
    NAME(attend)(&a, room);
    NAME(finish)(b, a.out, rows, x, room);
}

static TARGET void NAME(choose)(const float *logits, const float *noise, long rows, long count, float top_p,
                                float close, float *room, long *tokens, char *unsure) {
    const long padded = rounded(count);
    float *odds = room + padded;
    for (long r = 0; r < rows; r++, logits += count, noise += count) {
        for (long i = 0; i < count; i++) room[i] = logits[i];
        for (long i = count; i < padded; i++) room[i] = -INFINITY;
        const float all = NAME(total)(NAME(exponentials)(room, padded, NAME(largest)(room, padded)));
        for (long i = 0; i < count; i++) odds[i] = room[i] / noise[i];
        for (long i = count; i < padded; i++) odds[i] = -1.0f;
        for (;; odds[tokens[r]] = -1.0f) { /* until one is in the nucleus, which the likeliest always is */
            const float best = NAME(largest)(odds, padded);
            for (tokens[r] = 0; odds[tokens[r]] != best && tokens[r] < count - 1;) tokens[r]++; /* none: not a number */
            const V chosen = (V){0} + room[tokens[r]];
            V likelier = {0};
            for (long i = 0; i < padded; i += LANES) {
                const V each = *(const V *)(room + i);
                likelier += (V)((NAME(ints))each & (each > chosen));
            }
            const float beyond = NAME(total)(likelier) / all - top_p;
            unsure[r] = beyond > -close && beyond < close && top_p < 1.0f;
            if (!(beyond >= close)) break;
        }
    }
}

#undef V
#undef INLINE
#undef LANES
#undef ROWS
#undef COLUMNS
#undef NAME
#undef TARGET
#undef TILES
