/* Everything that is compiled, once for float and once for double: NAME(matmul) is matmul_f32, then matmul_f64. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64 /* a register; there are 32 of them */
#define TILE_ROWS 8
#else
#define VECTOR_BYTES 32 /* a register of AVX; there are 16. Elsewhere the compiler puts two smaller ones together */
#define TILE_ROWS 6
#endif

ptrdiff_t vector_bytes(void) { return VECTOR_BYTES; }

/* Whether a multiply-add is an instruction: without, it is a function that takes a hundred times as long. */
int has_fma(void)
{
#if defined(__FMA__) || defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define FMA_F64 __builtin_fma

#include "team.c"
#include "meeting.c"
#include "random.c"
#include "elementary.c"

#define REAL float
#define NAME(name) name##_f32
#define FMA __builtin_fmaf
#define ROOT __builtin_sqrtf
#if defined(__AVX512F__)
#define VECTOR_FMA _mm512_fmadd_ps
#elif defined(__FMA__)
#define VECTOR_FMA _mm256_fmadd_ps
#endif
#include "all.c"
#undef REAL
#undef NAME
#undef FMA
#undef ROOT
#undef VECTOR_FMA

#define REAL double
#define NAME(name) name##_f64
#define FMA __builtin_fma
#define ROOT __builtin_sqrt
#if defined(__AVX512F__)
#define VECTOR_FMA _mm512_fmadd_pd
#elif defined(__FMA__)
#define VECTOR_FMA _mm256_fmadd_pd
#endif
#include "all.c"

ptrdiff_t work_bytes(void) { return (BLOCK_ROWS + BLOCK_COLUMNS) * DEPTH_BYTES; }
