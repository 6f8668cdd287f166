/* The images of a step, gathered from all over the memory, which takes a fifth of the time of the arithmetic: so those
 * of the next step are brought near, a few cache lines with every tile of this one. */

struct NAME(images) {
    const REAL *all;
    const int64_t *order;  /* of the next ones */
    ptrdiff_t count, size; /* how many they are, and the numbers of each */
    ptrdiff_t row, at;     /* where bringing them is */
};

/* Rows of `x`, of `row` numbers each. */
static void NAME(gather)(const REAL *all, const int64_t *order, ptrdiff_t count, ptrdiff_t size, REAL *x, ptrdiff_t row)
{
    for (ptrdiff_t r = 0; r < count; r++)
        memcpy(x + r * row, all + order[r] * size, size * sizeof(REAL));
}

static void NAME(bring)(struct NAME(images) * next, ptrdiff_t lines)
{
    for (; lines > 0 && next->row < next->count; lines--) {
        __builtin_prefetch(next->all + next->order[next->row] * next->size + next->at, 0, 2);
        next->at += WIDE;
        if (next->at >= next->size + WIDE - 1) { /* an image may begin within a line */
            next->at = 0;
            next->row++;
        }
    }
}
