/* Steps of gradient descent on a multilayer perceptron: gather, forward, loss, backward, update, many in one call. */

#ifndef LINEAR
#define LINEAR 0
#define RELU 1
#define FLOOR 2
#define TANH 3
#define GELU 4
#define DROPOUT 5
#define CROSS_ENTROPY 0
#define MSE 1

/* As arguments.py has it. Of what is not linear `in` and `out` are the same. */
struct layer {
    int64_t kind, in, out;
    int64_t w, b;                      /* of a linear one: where its parameters begin; w is (out, in) */
    int64_t is_limited;                /* whether max_norm is for it */
    double leak, shift, ceiling, keep; /* of ReLU, of dropout */
};

struct network {
    int64_t layers, batch_size, loss;
    double max_norm;
    struct rule rule;
    const struct layer *layer;
};
#endif

/* What a call works in. */
struct NAME(work) {
    REAL **outputs;        /* of each layer (batch, out), and before them the gathered images: rows are padded */
    REAL *gradients[2];    /* of an output, and of the input of its layer */
    REAL *scratch, *masks; /* of one layer; of all dropout layers of a step, one after the other */
    double *exponentials;
};

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
static void NAME(draw_masks)(const struct network *network, ptrdiff_t rows, struct generator *generator, REAL *masks)
{
    for (ptrdiff_t n = 0; n < network->layers; n++) {
        const struct layer *layer = network->layer + n;
        if (layer->kind != DROPOUT)
            continue;
        const REAL keep = layer->keep, factor = 1 / keep;
        NAME(uniform)(generator, masks, rows * layer->in);
        for (ptrdiff_t end = rows * layer->in; end; end--, masks++)
            *masks = *masks < keep ? factor : 0;
    }
}

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

/* The loss of a batch; `out` (rows, outputs) becomes its gradient. */
static double NAME(loss)(const struct network *network, REAL *out, ptrdiff_t row, const int64_t *y, ptrdiff_t rows,
                         ptrdiff_t outputs, double *exponentials)
{
    double sum = 0, share = 1.0 / rows;
    if (network->loss == MSE) {
        for (ptrdiff_t r = 0; r < rows; r++) {
            double error = (double)out[r * row] - y[r];
            sum = FMA_F64(error, error, sum);
            out[r * row] = 2 * share * error;
        }
        return sum * share;
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        REAL *own = out + r * row, largest = own[0];
        for (ptrdiff_t j = 1; j < outputs; j++)
            largest = own[j] > largest ? own[j] : largest;
        for (ptrdiff_t j = 0; j < row; j++)
            exponentials[j] = (double)own[j] - largest;
        exps(exponentials, row);
        double total = 0;
        for (ptrdiff_t j = 0; j < outputs; j++)
            total += exponentials[j];
        sum += own_log(total) - ((double)own[y[r]] - largest);
        for (ptrdiff_t j = 0; j < outputs; j++)
            own[j] = (exponentials[j] / total - (j == y[r])) * share;
    }
    return sum * share;
}

/* The gradients of a linear layer from `dout`, taken by `update` as they come, a tile of registers at a time. */
static void NAME(weight_gradients)(const struct layer *layer, const REAL *x, ptrdiff_t x_row, const REAL *dout,
                                   ptrdiff_t dout_row, ptrdiff_t rows, const struct NAME(update) * update,
                                   REAL *scratch)
{
    for (ptrdiff_t i = 0, vectors, units; i < layer->in; i += vectors * LANES) {
        vectors = some_vectors(layer->in - i, LANES);
        ptrdiff_t columns = MIN(vectors * LANES, layer->in - i);
        for (ptrdiff_t o = 0; o < layer->out; o += units) {
            NAME(vector) sums[GRADIENT_ROWS][GRADIENT_VECTORS];
            units = some_rows(layer->out - o);
            NAME(sum_tile)(rows, dout + o, 1, dout_row, x + i, x_row, units, vectors, sums);
            for (ptrdiff_t n = 0; n < units; n++)
                NAME(take)(update, layer->w + (o + n) * layer->in + i, (REAL *)sums[n], columns);
        }
    }
    memset(scratch, 0, layer->out * sizeof(REAL));
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t o = 0; o < layer->out; o++)
            scratch[o] += dout[r * dout_row + o];
    NAME(take)(update, layer->b, scratch, layer->out);
}

static double NAME(step)(const struct network *network, const REAL *images, const int64_t *labels, const int64_t *order,
                         ptrdiff_t rows, struct NAME(update) * update, struct NAME(images) * next, const struct NAME(work) * work)
{
    const struct layer *layers = network->layer;
    ptrdiff_t count = network->layers, in = layers[0].in, in_row = NAME(padded)(in);
    int64_t y[rows];
    REAL *x = work->outputs[0], *mask = work->masks;
    NAME(gather)(images, order, rows, in, x, in_row);
    for (ptrdiff_t r = 0; r < rows; r++)
        y[r] = labels[order[r]];

    for (ptrdiff_t n = 0; n < count; n++) {
        const struct layer *layer = layers + n;
        ptrdiff_t x_row = NAME(padded)(layer->in), y_row = NAME(padded)(layer->out);
        const REAL *from = work->outputs[n];
        REAL *into = work->outputs[n + 1];
        if (layer->kind == LINEAR)
            NAME(linear)(from, x_row, update->p + layer->w, update->p + layer->b, rows, layer->in, layer->out, into,
                         y_row, work->scratch, next->row < next->count ? next : 0);
        else if (layer->kind == DROPOUT) {
            for (ptrdiff_t r = 0; r < rows; r++, mask += layer->in)
                for (ptrdiff_t i = 0; i < layer->in; i++)
                    into[r * y_row + i] = from[r * x_row + i] * mask[i];
        } else
            NAME(activate)(layer, from, rows * x_row, into);
    }

    ptrdiff_t outputs = layers[count - 1].out;
    REAL *d = work->outputs[count], *other = work->gradients[0];
    double loss = NAME(loss)(network, d, NAME(padded)(outputs), y, rows, outputs, work->exponentials);
    ptrdiff_t first = 0; /* the first layer that has parameters: those before need no gradient */
    while (layers[first].kind != LINEAR)
        first++;
    for (ptrdiff_t n = count - 1; n >= first; n--) {
        const struct layer *layer = layers + n;
        ptrdiff_t x_row = NAME(padded)(layer->in), y_row = NAME(padded)(layer->out);
        if (layer->kind == LINEAR) {
            if (n > first)
                NAME(input_gradient)(d, y_row, update->p + layer->w, rows, layer->in, layer->out, other, x_row,
                                     work->scratch);
            NAME(weight_gradients)(layer, work->outputs[n], x_row, d, y_row, rows, update, work->scratch);
            d = other;
            other = work->gradients[d == work->gradients[0]];
        } else if (layer->kind == DROPOUT) {
            mask -= rows * layer->in;
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t i = 0; i < layer->in; i++)
                    d[r * y_row + i] *= mask[r * layer->in + i];
        } else
            NAME(activate_backward)(layer, work->outputs[n], work->outputs[n + 1], rows * x_row, d);
    }
    return loss;
}

/* A step for each of `steps` coefficients, on so many rows each as a batch has, the last on what is left of `rows`.
 * `parameters` are those of one network, `states` its optimiser's, `gradient` as large, of use where norms are clipped.
 * Fills `losses` (steps), each before its step. */
void NAME(train)(const struct network *network, REAL *parameters, REAL *first_state, REAL *second_state, REAL *gradient,
                 ptrdiff_t parameter_count, const REAL *images, const int64_t *labels, const int64_t *order,
                 ptrdiff_t rows, const struct coefficients *coefficients, struct generator *generator,
                 struct NAME(work) * work, REAL *losses)
{
    const struct rule *rule = &network->rule;
    int clips = rule->clip_norm < __builtin_inf(), limits = network->max_norm < __builtin_inf();
    for (ptrdiff_t done = 0, here; done < rows; done += here, losses++, coefficients++) {
        here = MIN(network->batch_size, rows - done);
        struct NAME(update) update = {rule, rule->l2, rule->beta2, coefficients->decay, coefficients->momentum,
            coefficients->gradient, coefficients->step, coefficients->ahead, coefficients->eps, parameters, {first_state, second_state}, clips ? gradient : 0};
        struct NAME(images) next = {images, order + done + here, MIN(network->batch_size, rows - done - here), network->layer->in, 0, 0};
        NAME(draw_masks)(network, here, generator, work->masks);
        *losses = NAME(step)(network, images, labels, order + done, here, &update, &next, work);
        if (clips) {
            NAME(shorten)(gradient, parameter_count, rule->clip_norm);
            NAME(apply)(&update, 0, gradient, parameter_count);
        }
        for (ptrdiff_t n = 0; limits && n < network->layers; n++) {
            const struct layer *layer = network->layer + n;
            for (ptrdiff_t o = 0; layer->is_limited && o < layer->out; o++)
                NAME(shorten)(parameters + layer->w + o * layer->in, layer->in, network->max_norm);
        }
    }
}
