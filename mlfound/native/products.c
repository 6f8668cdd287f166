/* The products of a linear layer, whose weights are (out, in). In all of them a row of `x` or `dout` is one image.
 *
 * Each number is summed in an order that depends on neither the processor's width nor the tile: a dot product in WIDE
 * lanes, which are then added in a fixed tree; a gradient from the first term to the last. So the bits are the same
 * everywhere. All tiles are of registers, as in matmul.c; the matrices lie as they are. */

#ifndef PIECES
#define PIECES (WIDE_BYTES / VECTOR_BYTES)
#define CHUNK_BYTES (256 * 1024) /* of images: they stay in the second cache while all weights pass by */
#if VECTOR_BYTES == 64
#define DOT_ROWS 4
#define DOT_COLUMNS 6
#define GRADIENT_ROWS 6
#define GRADIENT_VECTORS 4
#else
#define DOT_ROWS 4
#define DOT_COLUMNS 3
#define GRADIENT_ROWS 4
#define GRADIENT_VECTORS 3
#endif

/* Where so many are left: how many the next tile has, `most`, 2 or 1. */
static inline ptrdiff_t some(ptrdiff_t left, ptrdiff_t most) { return left >= most ? most : left >= 2 ? 2 : 1; }
static inline ptrdiff_t some_vectors(ptrdiff_t columns, ptrdiff_t lanes)
{
    return columns > (GRADIENT_VECTORS - 1) * lanes ? GRADIENT_VECTORS : 1;
}

/* Of so many outputs: those that a thread takes at once, some parts for each. */
static inline ptrdiff_t part_of(ptrdiff_t out, const struct member *member)
{
    ptrdiff_t tiles = out / DOT_COLUMNS / (4 * member->team->size);
    return MAX(MIN(tiles, 4), 1) * DOT_COLUMNS;
}
#endif

/* out (rows, columns) = x (rows, depth) w^T (columns, depth): both have zeros up to the next multiple of WIDE, which
 * `depth` is. A vector holds LANES of the WIDE lanes, so there are PIECES passes. */
static inline __attribute__((always_inline)) void NAME(dots)(ptrdiff_t depth, const REAL *x, ptrdiff_t x_row,
                                                             const REAL *w, ptrdiff_t w_row, int rows, int columns,
                                                             REAL out[DOT_ROWS][DOT_COLUMNS])
{
    REAL lanes[DOT_ROWS * DOT_COLUMNS][WIDE] __attribute__((aligned(WIDE_BYTES)));
    for (int piece = 0; piece < PIECES; piece++) {
        NAME(vector) sum[DOT_ROWS][DOT_COLUMNS] = {0};
        for (ptrdiff_t l = piece * LANES; l < depth; l += WIDE) {
            NAME(vector) right[DOT_COLUMNS];
#pragma GCC unroll 6
            for (int j = 0; j < columns; j++)
                right[j] = NAME(loaded)(w + j * w_row + l);
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++) {
                NAME(vector) left = NAME(loaded)(x + i * x_row + l);
#pragma GCC unroll 6
                for (int j = 0; j < columns; j++)
                    sum[i][j] = NAME(fused)(left, right[j], sum[i][j]);
            }
        }
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                *(NAME(vector) *)(lanes[i * columns + j] + piece * LANES) = sum[i][j];
    }
    REAL half[DOT_ROWS * DOT_COLUMNS][WIDE / 2], quarter[DOT_ROWS * DOT_COLUMNS][4], sums[DOT_ROWS * DOT_COLUMNS];
    for (int n = 0; n < rows * columns; n++)
        for (int i = 0; i < WIDE / 2; i++)
            half[n][i] = lanes[n][i] + lanes[n][i + WIDE / 2];
    for (int n = 0; n < rows * columns; n++)
        for (int i = 0; i < 4; i++)
            quarter[n][i] = WIDE == 8 ? half[n][i] : half[n][i] + half[n][i + 4];
    for (int n = 0; n < rows * columns; n++)
        sums[n] = (quarter[n][0] + quarter[n][2]) + (quarter[n][1] + quarter[n][3]);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            out[i][j] = sums[i * columns + j];
}

/* The same where `rows` is DOT_ROWS or 1, and `columns` what `some` says: known when it is compiled, so that the sums
 * stay in registers. */
static void NAME(dot_tile)(ptrdiff_t depth, const REAL *x, ptrdiff_t x_row, const REAL *w, ptrdiff_t w_row,
                           ptrdiff_t rows, ptrdiff_t columns, REAL out[DOT_ROWS][DOT_COLUMNS])
{
    if (rows == DOT_ROWS && columns == DOT_COLUMNS)
        NAME(dots)(depth, x, x_row, w, w_row, DOT_ROWS, DOT_COLUMNS, out);
    else if (rows == DOT_ROWS && columns == 2)
        NAME(dots)(depth, x, x_row, w, w_row, DOT_ROWS, 2, out);
    else if (rows == DOT_ROWS)
        NAME(dots)(depth, x, x_row, w, w_row, DOT_ROWS, 1, out);
    else if (columns == DOT_COLUMNS)
        NAME(dots)(depth, x, x_row, w, w_row, 1, DOT_COLUMNS, out);
    else if (columns == 2)
        NAME(dots)(depth, x, x_row, w, w_row, 1, 2, out);
    else
        NAME(dots)(depth, x, x_row, w, w_row, 1, 1, out);
}

/* So many rows of `in` numbers stay in the second cache while all weights pass by. */
static inline ptrdiff_t NAME(chunk)(ptrdiff_t in)
{
    return MAX(CHUNK_BYTES / (NAME(padded)(in) * (ptrdiff_t)sizeof(REAL)) / DOT_ROWS, 1) * DOT_ROWS;
}

/* y (rows, out) = x (rows, in) w^T + b, for a chunk of rows. A few rows of w, copied where they do not begin at a
 * multiple of WIDE, stay in the first cache while the chunk passes by. */
static void NAME(linear)(const REAL *x, ptrdiff_t x_row, const REAL *w, const REAL *b, ptrdiff_t rows, ptrdiff_t in,
                         ptrdiff_t out, REAL *y, ptrdiff_t y_row, REAL *scratch, const struct member *member,
                         struct NAME(ahead) * ahead)
{
    ptrdiff_t depth = NAME(padded)(in), part = part_of(out, member);
    int is_aligned = in == depth && (uintptr_t)w % WIDE_BYTES == 0;
    for (ptrdiff_t o, columns, here; (o = next_part(member, part)) < out;)
        for (ptrdiff_t end = MIN(o + part, out); o < end; o += columns) {
            const REAL *own = w + o * in;
            columns = some(end - o, DOT_COLUMNS);
            if (!is_aligned) {
                for (ptrdiff_t j = 0; j < columns; j++) {
                    memcpy(scratch + j * depth, own + j * in, in * sizeof(REAL));
                    memset(scratch + j * depth + in, 0, (depth - in) * sizeof(REAL));
                }
                own = scratch;
            }
            for (ptrdiff_t r = 0; r < rows; r += here) {
                REAL sums[DOT_ROWS][DOT_COLUMNS];
                here = rows - r >= DOT_ROWS ? DOT_ROWS : 1;
                NAME(bring)(ahead);
                NAME(dot_tile)(depth, x + r * x_row, x_row, own, depth, here, columns, sums);
                for (ptrdiff_t i = 0; i < here; i++)
                    for (ptrdiff_t j = 0; j < columns; j++)
                        y[(r + i) * y_row + o + j] = sums[i][j] + b[o + j];
            }
        }
}

/* What a tile of sums will change, in matrices with rows of `row` numbers: brought near meanwhile, for it takes as long
 * to come as the sums do. */
struct NAME(target) {
    const REAL *matrices[3];
    ptrdiff_t row;
};

/* out (rows, vectors x LANES) = a (rows, depth), of any strides, times b (depth, vectors x LANES). */
static inline __attribute__((always_inline)) void NAME(sums)(ptrdiff_t depth, const REAL *a, ptrdiff_t a_row,
                                                             ptrdiff_t a_col, const REAL *b, ptrdiff_t b_row, int rows,
                                                             int vectors, const struct NAME(target) * target,
                                                             NAME(vector) out[GRADIENT_ROWS][GRADIENT_VECTORS])
{
    NAME(vector) sum[GRADIENT_ROWS][GRADIENT_VECTORS] = {0};
    for (ptrdiff_t l = 0; l < depth; l++, a += a_col, b += b_row) {
        NAME(vector) right[GRADIENT_VECTORS];
        if (target && l < rows * vectors)
            for (int n = 0; n < 3; n++)
                __builtin_prefetch(target->matrices[n] + l / vectors * target->row + l % vectors * LANES, 1);
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            right[j] = NAME(loaded)(b + j * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            NAME(vector) left = NAME(all)(a[i * a_row]);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[i][j] = NAME(fused)(left, right[j], sum[i][j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            out[i][j] = sum[i][j];
}

/* The same where `vectors` is GRADIENT_VECTORS or 1, and `rows` is what `some` says. */
static void NAME(sum_tile)(ptrdiff_t depth, const REAL *a, ptrdiff_t a_row, ptrdiff_t a_col, const REAL *b,
                           ptrdiff_t b_row, ptrdiff_t rows, ptrdiff_t vectors,
                           const struct NAME(target) * target, NAME(vector) out[GRADIENT_ROWS][GRADIENT_VECTORS])
{
    if (vectors == GRADIENT_VECTORS && rows == GRADIENT_ROWS)
        NAME(sums)(depth, a, a_row, a_col, b, b_row, GRADIENT_ROWS, GRADIENT_VECTORS, target, out);
    else if (vectors == GRADIENT_VECTORS && rows == 2)
        NAME(sums)(depth, a, a_row, a_col, b, b_row, 2, GRADIENT_VECTORS, target, out);
    else if (vectors == GRADIENT_VECTORS)
        NAME(sums)(depth, a, a_row, a_col, b, b_row, 1, GRADIENT_VECTORS, target, out);
    else if (rows == GRADIENT_ROWS)
        NAME(sums)(depth, a, a_row, a_col, b, b_row, GRADIENT_ROWS, 1, target, out);
    else if (rows == 2)
        NAME(sums)(depth, a, a_row, a_col, b, b_row, 2, 1, target, out);
    else
        NAME(sums)(depth, a, a_row, a_col, b, b_row, 1, 1, target, out);
}

/* Some `columns` of dx (rows, in) = dout (rows, out) w, from number `first` on. Those of w, copied, stay in the second
 * cache while all rows pass by. The numbers between the end of a row and the next multiple of WIDE are unspecified. */
static void NAME(input_gradient)(const REAL *dout, ptrdiff_t dout_row, const REAL *w, ptrdiff_t rows, ptrdiff_t in,
                                 ptrdiff_t out, ptrdiff_t first, ptrdiff_t columns, REAL *dx, ptrdiff_t dx_row,
                                 REAL *scratch)
{
    const ptrdiff_t width = GRADIENT_VECTORS * LANES;
    for (ptrdiff_t i = first, vectors, here; i < first + columns; i += vectors * LANES) {
        vectors = some_vectors(first + columns - i, LANES);
        ptrdiff_t whole = MIN(vectors * LANES, first + columns - i);
        for (ptrdiff_t o = 0; o < out; o++) {
            memcpy(scratch + o * width, w + o * in + i, whole * sizeof(REAL));
            memset(scratch + o * width + whole, 0, (vectors * LANES - whole) * sizeof(REAL));
        }
        for (ptrdiff_t r = 0; r < rows; r += here) {
            NAME(vector) sums[GRADIENT_ROWS][GRADIENT_VECTORS];
            here = some(rows - r, GRADIENT_ROWS);
            NAME(sum_tile)(out, dout + r * dout_row, dout_row, 1, scratch, width, here, vectors, 0, sums);
            for (ptrdiff_t n = 0; n < here; n++)
                memcpy(dx + (r + n) * dx_row + i, sums[n], vectors * sizeof(NAME(vector)));
        }
    }
}
