/* Steps of gradient descent on a multilayer perceptron: gather, forward, loss, backward, update, many in one call. */

#ifndef CROSS_ENTROPY
#define CROSS_ENTROPY 0
#define MSE 1

/* As training.py has it. */
struct network {
    int64_t layers, batch_size, loss;
    double max_norm;
    struct rule rule;
    const struct layer *layer;
};
#endif

/* Where a step works: rows begin at cache lines. */
struct NAME(work) {
    REAL **outputs;        /* of each layer (batch, out), and before them the gathered images */
    REAL *gradients[2];    /* of an output, and of the input of its layer */
    REAL *scratch, *masks; /* of one layer; of all dropout layers, one after the other */
    double *exponentials;
};

/* The loss of a batch; `out` (rows, outputs) becomes its gradient. */
static double NAME(loss)(int64_t kind, REAL *out, ptrdiff_t row, const int64_t *labels, const int64_t *order,
                         ptrdiff_t rows, ptrdiff_t outputs, double *exponentials)
{
    double sum = 0, share = 1.0 / rows;
    if (kind == MSE) {
        for (ptrdiff_t r = 0; r < rows; r++) {
            double error = (double)out[r * row] - labels[order[r]];
            sum = FMA_F64(error, error, sum);
            out[r * row] = 2 * share * error;
        }
        return sum * share;
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        REAL *own = out + r * row, largest = own[0];
        int64_t label = labels[order[r]];
        for (ptrdiff_t j = 1; j < outputs; j++)
            largest = own[j] > largest ? own[j] : largest;
        for (ptrdiff_t j = 0; j < row; j++)
            exponentials[j] = (double)own[j] - largest;
        exps(exponentials, row);
        double total = 0;
        for (ptrdiff_t j = 0; j < outputs; j++)
            total += exponentials[j];
        sum += own_log(total) - ((double)own[label] - largest);
        for (ptrdiff_t j = 0; j < outputs; j++)
            own[j] = (exponentials[j] / total - (j == label)) * share;
    }
    return sum * share;
}

/* A linear layer, in chunks of rows. The first layer has `images`: each chunk is gathered, and the next one, which may
 * be of the next step, brought near. */
static void NAME(linear_chunks)(const struct layer *layer, const REAL *parameters, REAL *x, ptrdiff_t rows, REAL *y,
                                REAL *scratch, const struct NAME(images) * images)
{
    ptrdiff_t x_row = NAME(padded)(layer->in), y_row = NAME(padded)(layer->out), chunk = NAME(chunk)(layer->in);
    ptrdiff_t tiles = MIN(rows, chunk) / DOT_ROWS * (layer->out / DOT_COLUMNS) + 1;
    for (ptrdiff_t r = 0; r < rows; r += chunk) {
        ptrdiff_t here = MIN(chunk, rows - r);
        struct NAME(images) now = {0};
        struct NAME(ahead) ahead = {&now, 0, here, 0, 0};
        if (images) {
            now = (struct NAME(images)){images->all, images->order + r, images->left - r, images->size};
            ahead.end = MIN(here + chunk, now.left);
            ahead.lines = (ahead.end - here) * (now.size / WIDE + 2) / tiles + 1;
            NAME(gather)(&now, here, x + r * x_row, x_row);
        }
        NAME(linear)(x + r * x_row, x_row, parameters + layer->w, parameters + layer->b, here, layer->in, layer->out,
                     y + r * y_row, y_row, scratch, &ahead);
    }
}

/* Forward: the outputs of all layers. */
static void NAME(forward)(const struct network *network, const REAL *parameters, ptrdiff_t rows,
                          const struct NAME(work) * work, const struct NAME(images) * images)
{
    const REAL *mask = work->masks;
    if (network->layer->kind != LINEAR) {
        NAME(gather)(images, rows, work->outputs[0], NAME(padded)(images->size));
        images = 0;
    }
    for (ptrdiff_t n = 0; n < network->layers; n++, images = 0) {
        const struct layer *layer = network->layer + n;
        REAL *x = work->outputs[n], *y = work->outputs[n + 1];
        if (layer->kind == LINEAR)
            NAME(linear_chunks)(layer, parameters, x, rows, y, work->scratch, images);
        else if (layer->kind == DROPOUT) {
            NAME(drop)(x, NAME(padded)(layer->in), mask, rows, layer->in, y);
            mask += rows * layer->in;
        } else
            NAME(activate)(layer, x, rows * NAME(padded)(layer->in), y);
    }
}

/* Backward from the gradient `d` of the outputs: all weight gradients, of which `update` makes its step. */
static void NAME(backward)(const struct network *network, const struct NAME(update) * update, REAL *d, ptrdiff_t rows,
                           const struct NAME(work) * work)
{
    const struct layer *layers = network->layer, *first = layers;
    const REAL *mask = work->masks;
    REAL *other = work->gradients[0];
    for (; first->kind != LINEAR; first++) /* before the first parameters no gradient is needed */
        ;
    for (ptrdiff_t n = 0; n < network->layers; n++)
        mask += layers[n].kind == DROPOUT ? rows * layers[n].in : 0;
    for (ptrdiff_t n = network->layers - 1; layers + n >= first; n--) {
        const struct layer *layer = layers + n;
        ptrdiff_t x_row = NAME(padded)(layer->in), y_row = NAME(padded)(layer->out);
        if (layer->kind == LINEAR) {
            if (layer > first)
                NAME(input_gradient)(d, y_row, update->p + layer->w, rows, layer->in, layer->out, other, x_row,
                                     work->scratch);
            NAME(weight_gradients)(layer, work->outputs[n], x_row, d, y_row, rows, update, work->scratch);
            d = other;
            other = work->gradients[d == work->gradients[0]];
        } else if (layer->kind == DROPOUT) {
            mask -= rows * layer->in;
            NAME(drop)(d, y_row, mask, rows, layer->in, d);
        } else
            NAME(activate_backward)(layer, work->outputs[n], work->outputs[n + 1], rows * x_row, d);
    }
}

/* Steps with these `coefficients`, each on as many rows as a batch has, the last on what is left of `rows`.
 * `parameters` are of one network, the states of its optimiser, and `gradient`, as large, is needed where norms are
 * clipped. Fills `losses`, each before its step. */
void NAME(train)(const struct network *network, REAL *parameters, REAL *first_state, REAL *second_state, REAL *gradient,
                 ptrdiff_t parameter_count, const REAL *images, const int64_t *labels, const int64_t *order,
                 ptrdiff_t rows, const struct coefficients *coefficients, struct generator *generator,
                 const struct NAME(work) * work, REAL *losses)
{
    const struct layer *layers = network->layer;
    const struct rule *rule = &network->rule;
    const ptrdiff_t size = layers->in, outputs = layers[network->layers - 1].out;
    const int clips = rule->clip_norm < __builtin_inf(), limits = network->max_norm < __builtin_inf();
    for (ptrdiff_t here; rows; rows -= here, order += here, losses++, coefficients++) {
        here = MIN(network->batch_size, rows);
        struct NAME(images) from = {images, order, rows, size};
        struct NAME(update) update =
            NAME(update_of)(rule, coefficients, parameters, first_state, second_state, clips ? gradient : 0);
        REAL *out = work->outputs[network->layers];

        NAME(draw_masks)(layers, network->layers, here, generator, work->masks);
        NAME(forward)(network, parameters, here, work, &from);
        *losses = NAME(loss)(network->loss, out, NAME(padded)(outputs), labels, order, here, outputs,
                             work->exponentials);
        NAME(backward)(network, &update, out, here, work);

        if (clips) {
            NAME(shorten)(gradient, parameter_count, rule->clip_norm);
            NAME(apply)(&update, 0, 0, gradient, 0, 1, parameter_count);
        }
        for (const struct layer *layer = layers; limits && layer < layers + network->layers; layer++)
            for (ptrdiff_t o = 0; layer->is_limited && o < layer->out; o++)
                NAME(shorten)(parameters + layer->w + o * layer->in, layer->in, network->max_norm);
    }
}
