/* Matrices in block fixed point, as native_amx.c multiplies with them. */

#if defined(__x86_64__) && defined(__linux__) && defined(__has_include)
#if __has_include(<amxint8intrin.h>) || __has_include(<amxintrin.h>) /* gcc, clang */
#define AMX
#endif
#endif

#define SPAN 512 /* inputs of one scale: their digits, of 16 rows and 16 outputs, fit the first cache */
#define DIGITS 3

/* tiles: 3 * in, rounded up to 64, * out, rounded up to 16; scales: [spans][out] */
struct digits {
    const char *tiles;
    const float *scales;
    long in, out;
};

#ifdef AMX

/* y[rows][out] = x[rows][in] w + bias, or added to y, where rows of x and y are so many floats apart; of w its first
   `in` inputs and `out` outputs. room: 3 * SPAN * (rows + 15) + 4 * rows bytes */
void product(const float *x, long x_row, long rows, long in, struct digits w, long out, const float *bias, float *y,
             long y_row, int add, char *room);

#endif
