/* The images of a step, gathered from all over the memory, which takes a fifth of the time of the arithmetic: so while
 * a chunk of rows is worked on, the next one is brought near, a few cache lines with every tile. */

struct NAME(images) {
    const REAL *all;
    const int64_t *order; /* of the rows of this step, and of those that follow */
    ptrdiff_t left, size; /* how many these are, and the numbers of each */
};

/* Images from number `first` on: rows of `x`, of `row` numbers each. */
static void NAME(gather)(const struct NAME(images) * images, ptrdiff_t first, ptrdiff_t rows, REAL *x, ptrdiff_t row)
{
    const int64_t *order = images->order + first;
    for (ptrdiff_t r = 0; r < rows; r++)
        memcpy(x + r * row, images->all + order[r] * images->size, images->size * sizeof(REAL));
}

/* Some rows on their way: where they end, how far they are, and how many cache lines come at once. */
struct NAME(ahead) {
    const struct NAME(images) * images;
    ptrdiff_t end, row, at, lines;
};

static void NAME(bring)(struct NAME(ahead) * ahead)
{
    const struct NAME(images) *images = ahead->images;
    for (ptrdiff_t n = 0; n < ahead->lines && ahead->row < ahead->end; n++) {
        __builtin_prefetch(images->all + images->order[ahead->row] * images->size + ahead->at, 0, 2);
        ahead->at += WIDE;
        if (ahead->at >= images->size + WIDE - 1) { /* an image may begin within a line */
            ahead->at = 0;
            ahead->row++;
        }
    }
}
