/* Layers forward and backward: what foundations/layers.py and activations.py say, number by number. */

#ifndef LINEAR
#define LINEAR 0
#define RELU 1
#define FLOOR 2
#define TANH 3
#define GELU 4
#define DROPOUT 5

/* As training.py has it. Of what is not linear `in` and `out` are the same. */
struct layer {
    int64_t kind, in, out;
    int64_t w, b;                      /* of a linear one: where its parameters begin; w is (out, in) */
    int64_t is_limited;                /* whether max_norm is for its weights */
    double leak, shift, ceiling, keep; /* of an activation; of dropout */
};
#endif

/* `work` of every x. */
static void NAME(in_doubles)(void (*work)(double *, ptrdiff_t), const REAL *x, ptrdiff_t count, REAL *y)
{
    double block[BLOCK];
    for (ptrdiff_t first = 0; first < count; first += BLOCK) {
        ptrdiff_t here = MIN(BLOCK, count - first);
        for (ptrdiff_t i = 0; i < here; i++)
            block[i] = x[first + i];
        work(block, here);
        for (ptrdiff_t i = 0; i < here; i++)
            y[first + i] = block[i];
    }
}

static void NAME(activate)(const struct layer *layer, const REAL *restrict x, ptrdiff_t count, REAL *restrict y)
{
    const REAL leak = layer->leak, shift = layer->shift, ceiling = layer->ceiling;
    if (layer->kind == RELU)
        for (ptrdiff_t i = 0; i < count; i++) {
            REAL own = (x[i] < 0 ? leak * x[i] : x[i]) - shift;
            y[i] = own > ceiling ? ceiling : own;
        }
    else if (layer->kind == FLOOR)
        for (ptrdiff_t i = 0; i < count; i++)
            y[i] = x[i] < -shift ? -shift : x[i];
    else
        NAME(in_doubles)(layer->kind == TANH ? tanhs : gelus, x, count, y);
}

/* d <- d times the slope at the input x, where the output was y. */
static void NAME(activate_backward)(const struct layer *layer, const REAL *restrict x, const REAL *restrict y,
                                    ptrdiff_t count, REAL *restrict d)
{
    const REAL leak = layer->leak, shift = layer->shift, ceiling = layer->ceiling;
    if (layer->kind == RELU)
        for (ptrdiff_t i = 0; i < count; i++) {
            REAL own = (x[i] < 0 ? leak * x[i] : x[i]) - shift;
            d[i] *= own > ceiling ? 0 : x[i] > 0 ? 1 : leak;
        }
    else if (layer->kind == FLOOR)
        for (ptrdiff_t i = 0; i < count; i++)
            d[i] *= x[i] > -shift ? 1 : 0;
    else if (layer->kind == TANH)
        for (ptrdiff_t i = 0; i < count; i++)
            d[i] *= FMA(-y[i], y[i], 1);
    else {
        REAL slopes[BLOCK];
        for (ptrdiff_t first = 0; first < count; first += BLOCK) {
            ptrdiff_t here = MIN(BLOCK, count - first);
            NAME(in_doubles)(gelu_slopes, x + first, here, slopes);
            for (ptrdiff_t i = 0; i < here; i++)
                d[first + i] *= slopes[i];
        }
    }
}

/* x or a gradient, in rows of `row` numbers, times a mask, in rows of `size`. */
static void NAME(drop)(const REAL *x, ptrdiff_t row, const REAL *mask, ptrdiff_t rows, ptrdiff_t size, REAL *y)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t i = 0; i < size; i++)
            y[r * row + i] = x[r * row + i] * mask[r * size + i];
}

/* From 0 up to 1, as torch makes them of its generator's words: of one for a float, of two for a double. */
static void NAME(uniform)(struct generator *generator, REAL *into, ptrdiff_t count)
{
    uint32_t words[2 * BLOCK];
    for (ptrdiff_t here; count; count -= here, into += here) {
        here = MIN(BLOCK, count);
        draw(generator, words, here * sizeof(REAL) / 4);
        for (ptrdiff_t i = 0; i < here; i++)
            into[i] = sizeof(REAL) == 4
                          ? (words[i] & 0xffffff) * 0x1p-24
                          : (((uint64_t)words[2 * i] << 32 | words[2 * i + 1]) & 0x1fffffffffffff) * 0x1p-53;
    }
}

/* The factors of all dropout layers for so many rows: see `functions.dropout_mask`. */
static void NAME(draw_masks)(const struct layer *layer, ptrdiff_t count, ptrdiff_t rows, struct generator *generator,
                             REAL *masks)
{
    for (; count; count--, layer++) {
        if (layer->kind != DROPOUT)
            continue;
        const REAL keep = layer->keep, factor = 1 / keep;
        NAME(uniform)(generator, masks, rows * layer->in);
        for (ptrdiff_t end = rows * layer->in; end; end--, masks++)
            *masks = *masks < keep ? factor : 0;
    }
}

/* The gradients of the weights from some `columns` of the inputs, from number `first` on: `update` takes them as they
 * come, a tile of registers at a time. */
static void NAME(weight_gradients)(const struct layer *layer, const REAL *x, ptrdiff_t x_row, const REAL *dout,
                                   ptrdiff_t dout_row, ptrdiff_t rows, ptrdiff_t first, ptrdiff_t columns,
                                   const struct NAME(update) * update)
{
    for (ptrdiff_t i = first, vectors, units; i < first + columns; i += vectors * LANES) {
        vectors = some_vectors(first + columns - i, LANES);
        for (ptrdiff_t o = 0; o < layer->out; o += units) {
            NAME(vector) sums[GRADIENT_ROWS][GRADIENT_VECTORS];
            ptrdiff_t at = layer->w + o * layer->in + i;
            struct NAME(target) target = {
                {update->p + at, update->states[0] + at, update->states[1] + at}, layer->in};
            units = some(layer->out - o, GRADIENT_ROWS);
            NAME(sum_tile)(rows, dout + o, 1, dout_row, x + i, x_row, units, vectors, &target, sums);
            NAME(take)(update, at, layer->in, (REAL *)sums, GRADIENT_VECTORS * LANES, units,
                       MIN(vectors * LANES, first + columns - i));
        }
    }
}

/* Those of the biases. */
static void NAME(bias_gradients)(const struct layer *layer, const REAL *dout, ptrdiff_t dout_row, ptrdiff_t rows,
                                 const struct NAME(update) * update, REAL *scratch)
{
    memset(scratch, 0, layer->out * sizeof(REAL));
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t o = 0; o < layer->out; o++)
            scratch[o] += dout[r * dout_row + o];
    NAME(take)(update, layer->b, 0, scratch, 0, 1, layer->out);
}
