/* Two rungs of the matmul ladder: (m, k) times (k, n) is (m, n), row by row; `a` and `b` may have any strides. */

/* The three loops, word for word: what is left is the arithmetic itself, one multiplication after the other. */
void NAME(loops)(const REAL *a, ptrdiff_t a_row, ptrdiff_t a_col, const REAL *b, ptrdiff_t b_row, ptrdiff_t b_col,
                 REAL *c, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            REAL sum = 0;
            for (ptrdiff_t l = 0; l < k; l++)
                sum += a[i * a_row + l * a_col] * b[l * b_row + j * b_col];
            c[i * n + j] = sum;
        }
}

/* The same in tiles. A multiplication needs two numbers, and a core multiplies faster than even its first cache can
 * give them: so each number that is loaded must be used many times, and where it is used often it must be near.
 *
 * Registers: TILE_ROWS rows times two vectors of c are summed in registers over all of k. A step of k loads 2 vectors
 * of b and TILE_ROWS numbers of a for TILE_ROWS x 2 multiply-adds: with 8 rows 10 loads for 16 of them. 16 sums also
 * hide that each multiply-add takes 4 cycles where two begin in every cycle. 16 + 2 + 1 of 32 registers are in use, or
 * with 6 rows 12 + 2 + 1 of 16.
 *
 * First cache: a panel of b, DEPTH x two vectors, is read by every tile of a column: 256 x 128 bytes are its 32 KB.
 * Second cache: BLOCK_ROWS x DEPTH of a are read once for each panel of b: 144 x 1024 bytes = 147 KB.
 * Both are packed, that is copied in the order in which a tile reads them, so that every load is the next one, aligned,
 * and a block lies on few pages. Where a is read a few times only, its whole tiles stay where they are. */

#undef COLUMNS
#undef DEPTH
#define COLUMNS (2 * LANES)
#define DEPTH (DEPTH_BYTES / (ptrdiff_t)sizeof(REAL)) /* 256 floats */
#ifndef BLOCK_ROWS
#define DEPTH_BYTES 1024
#define BLOCK_ROWS 144 /* a multiple of TILE_ROWS */
#define BLOCK_COLUMNS 1024
#define FEW_ROWS 6
#define WORTH_PACKING 128 /* columns: a is then read more often than packing costs */
#endif

/* c += a (rows, depth), of any strides, times a packed (depth, COLUMNS): of a tile `rows` x `columns` are wanted. */
static void NAME(tile)(ptrdiff_t depth, const REAL *restrict a, ptrdiff_t a_row, ptrdiff_t a_col,
                       const REAL *restrict b, REAL *restrict c, ptrdiff_t c_row, ptrdiff_t rows, ptrdiff_t columns,
                       int is_first)
{
    NAME(vector) sum[TILE_ROWS][2] = {0};
    for (ptrdiff_t l = 0; l < depth; l++, a += a_col, b += COLUMNS) {
        NAME(vector) left = *(const NAME(vector) *)b, right = *(const NAME(vector) *)(b + LANES);
#pragma GCC unroll 8
        for (int i = 0; i < TILE_ROWS; i++) {
            NAME(vector) factor = NAME(all)(a[i * a_row]);
            sum[i][0] = NAME(fused)(factor, left, sum[i][0]);
            sum[i][1] = NAME(fused)(factor, right, sum[i][1]);
        }
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        REAL *row = c + i * c_row, *sums = (REAL *)sum[i];
        if (columns == COLUMNS && is_first)
            memcpy(row, sums, sizeof sum[i]);
        else
            for (ptrdiff_t j = 0; j < columns; j++)
                row[j] = is_first ? sums[j] : row[j] + sums[j];
    }
}

/* `rows` of a, each `depth` numbers, in the order (tile, depth, TILE_ROWS), with zeros at the end of the last tile. */
static void NAME(pack_a)(const REAL *a, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t depth, REAL *into)
{
    for (ptrdiff_t first = 0; first < rows; first += TILE_ROWS, into += TILE_ROWS * depth)
        for (ptrdiff_t i = 0; i < TILE_ROWS; i++)
            for (ptrdiff_t l = 0; l < depth; l++)
                into[l * TILE_ROWS + i] = first + i < rows ? a[(first + i) * row + l * col] : 0;
}

/* `columns` of b, each `depth` numbers, in the order (panel, depth, COLUMNS), with zeros at the end of the last one. */
static void NAME(pack_b)(const REAL *b, ptrdiff_t row, ptrdiff_t col, ptrdiff_t depth, ptrdiff_t columns, REAL *into)
{
    for (ptrdiff_t first = 0; first < columns; first += COLUMNS) {
        ptrdiff_t here = MIN(COLUMNS, columns - first);
        for (ptrdiff_t l = 0; l < depth; l++, into += COLUMNS) {
            const REAL *from = b + l * row + first * col;
            if (here == COLUMNS && col == 1)
                memcpy(into, from, COLUMNS * sizeof(REAL));
            else
                for (ptrdiff_t j = 0; j < COLUMNS; j++)
                    into[j] = j < here ? from[j * col] : 0;
        }
    }
}

/* With few rows packing does not pay: c (m <= FEW_ROWS, n) from b where it lies, a vector of a row's columns at a time.
 * Where n is no multiple of LANES the vector reads on into the next row, whose sums are dropped; only in the last rows
 * there is nothing to read on into. */
static void NAME(few_rows)(const REAL *a, ptrdiff_t a_row, ptrdiff_t a_col, const REAL *b, ptrdiff_t b_row, REAL *c,
                           ptrdiff_t m, ptrdiff_t k, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        NAME(vector) sum[FEW_ROWS] = {0};
        ptrdiff_t columns = MIN(LANES, n - j);
        for (ptrdiff_t l = 0; l < k; l++) {
            const REAL *from = b + l * b_row + j;
            NAME(vector) row = {0};
            if (l * b_row + j + LANES <= (k - 1) * b_row + n)
                row = *(const NAME(loose) *)from;
            else
                memcpy(&row, from, columns * sizeof(REAL));
#pragma GCC unroll 6
            for (int i = 0; i < FEW_ROWS; i++)
                sum[i] = NAME(fused)(NAME(all)(a[MIN(i, m - 1) * a_row + l * a_col]), row, sum[i]);
        }
        for (ptrdiff_t i = 0; i < m; i++)
            memcpy(c + i * n + j, &sum[i], columns * sizeof(REAL));
    }
}

/* `work` is aligned memory of `work_bytes`. */
void NAME(tiled)(const REAL *a, ptrdiff_t a_row, ptrdiff_t a_col, const REAL *b, ptrdiff_t b_row, ptrdiff_t b_col,
                 REAL *c, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n, REAL *work)
{
    REAL *packed_a = work, *packed_b = work + BLOCK_ROWS * DEPTH;
    if (m <= FEW_ROWS && b_col == 1) {
        NAME(few_rows)(a, a_row, a_col, b, b_row, c, m, k, n);
        return;
    }
    for (ptrdiff_t j0 = 0; j0 < n; j0 += BLOCK_COLUMNS) {
        ptrdiff_t columns = MIN(BLOCK_COLUMNS, n - j0);
        for (ptrdiff_t l0 = 0; l0 < k; l0 += DEPTH) {
            ptrdiff_t depth = MIN(DEPTH, k - l0);
            NAME(pack_b)(b + l0 * b_row + j0 * b_col, b_row, b_col, depth, columns, packed_b);
            for (ptrdiff_t i0 = 0; i0 < m; i0 += BLOCK_ROWS) {
                const REAL *here = a + i0 * a_row + l0 * a_col;
                ptrdiff_t rows = MIN(BLOCK_ROWS, m - i0);
                ptrdiff_t packed = columns > WORTH_PACKING ? 0 : rows - rows % TILE_ROWS; /* the first row that is */
                NAME(pack_a)(here + packed * a_row, a_row, a_col, rows - packed, depth, packed_a + packed * depth);
                for (ptrdiff_t j = 0; j < columns; j += COLUMNS)
                    for (ptrdiff_t i = 0; i < rows; i += TILE_ROWS) {
                        int is_packed = i >= packed;
                        NAME(tile)(depth, is_packed ? packed_a + i * depth : here + i * a_row, is_packed ? 1 : a_row,
                                   is_packed ? TILE_ROWS : a_col, packed_b + j * depth, c + (i0 + i) * n + j0 + j, n,
                                   MIN(TILE_ROWS, rows - i), MIN(COLUMNS, columns - j), l0 == 0);
                    }
            }
        }
    }
}
