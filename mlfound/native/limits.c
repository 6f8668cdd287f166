/* What a core can do at best: the two limits of the roofline (Williams, Waterman and Patterson 2009). */

#ifndef SUMS
static volatile double used; /* or the compiler would leave out an unused result */
#define SUMS 12 /* more than the 8 that are in flight: two multiply-adds begin in each cycle, and each takes 4 */
#endif

/* 2 SUMS LANES operations a round, all in registers: no product can be faster. */
void NAME(multiply_adds)(ptrdiff_t rounds)
{
    NAME(vector) sum[SUMS] = {0}, x = {0};
    x += (REAL)rounds / 1000000;
    for (int i = 0; i < SUMS; i++)
        sum[i] += (REAL)i; /* or the compiler would see that all are the same, and make one */
    for (ptrdiff_t round = 0; round < rounds; round++)
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++)
            sum[i] = NAME(fused)(sum[i], x, x);
    for (int i = 0; i < SUMS; i++)
        used += sum[i][0];
}

/* Reads `count` numbers, a multiple of 4 LANES, again and again: from memory, or from the cache that they fit in. */
void NAME(read)(const REAL *x, ptrdiff_t count, ptrdiff_t rounds)
{
    NAME(vector) sum[4] = {0};
    for (ptrdiff_t round = 0; round < rounds; round++)
        for (ptrdiff_t n = 0; n < count; n += 4 * LANES)
            for (int i = 0; i < 4; i++)
                sum[i] += *(const NAME(vector) *)(x + n + i * LANES);
    for (int i = 0; i < 4; i++)
        used += sum[i][0];
}
