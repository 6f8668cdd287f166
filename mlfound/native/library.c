/* Everything that is compiled, once for float and once for double: NAME(matmul) is matmul_f32, then matmul_f64. */

#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64 /* a register; there are 32 of them */
#define TILE_ROWS 8
#else
#define VECTOR_BYTES 32 /* a register of AVX; there are 16. Elsewhere the compiler puts two smaller ones together */
#define TILE_ROWS 6
#endif

ptrdiff_t vector_bytes(void) { return VECTOR_BYTES; }

#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define REAL float
#define NAME(name) name##_f32
#include "matmul.c"
#include "limits.c"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_f64
#include "matmul.c"
#include "limits.c"

ptrdiff_t work_bytes(void) { return (BLOCK_ROWS + BLOCK_COLUMNS) * DEPTH_BYTES; }
