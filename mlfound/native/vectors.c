/* Vectors as wide as the processor's, and a multiply-add that is rounded once, wherever it runs.
 *
 * The compiler is told never to fuse a multiplication and an addition by itself (-ffp-contract=off): where both are one
 * operation it says fma, and so every processor gives the same bits. One without such an operation does it slowly. */

#undef LANES
#undef WIDE
#define LANES (VECTOR_BYTES / (ptrdiff_t)sizeof(REAL))
#define WIDE (WIDE_BYTES / (ptrdiff_t)sizeof(REAL))
#define WIDE_BYTES 64 /* a cache line: what is to be the same everywhere is in so wide lanes */

/* Rows of a matrix in our own memory begin at multiples of WIDE. */
static inline ptrdiff_t NAME(padded)(ptrdiff_t count) { return (count + WIDE - 1) / WIDE * WIDE; }

typedef REAL NAME(vector) __attribute__((vector_size(VECTOR_BYTES)));
/* the same at any address, as rows of a matrix lie */
typedef REAL NAME(loose) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

/* a b + c, lane by lane */
static inline NAME(vector) NAME(fused)(NAME(vector) a, NAME(vector) b, NAME(vector) c)
{
#ifdef VECTOR_FMA
    return (NAME(vector))VECTOR_FMA(a, b, c);
#else
    for (int i = 0; i < LANES; i++)
        c[i] = FMA(a[i], b[i], c[i]);
    return c;
#endif
}

/* `value` in every lane */
static inline NAME(vector) NAME(all)(REAL value) { return value - (NAME(vector)){0}; }

/* A vector in a register. Compilers would rather load it again for every use, which takes longer than the use. */
static inline NAME(vector) NAME(loaded)(const REAL *from)
{
    NAME(vector) vector = *(const NAME(vector) *)from;
#if defined(__AVX__)
    __asm__("" : "+v"(vector));
#endif
    return vector;
}
