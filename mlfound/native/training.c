/* Steps of gradient descent on a multilayer perceptron: gather, forward, loss, backward, update, many in one call. */

#ifndef CROSS_ENTROPY
#define CROSS_ENTROPY 0
#define MSE 1

/* As training.py has it. */
struct network {
    int64_t layers, batch_size, loss, threads;
    double max_norm;
    struct rule rule;
    const struct layer *layer;
};

/* What a thread takes at once where all are alike: rows of outputs, and numbers of a gradient. */
#define ROWS 4
#define NUMBERS 4096
#endif

/* Where a step works: rows begin at cache lines. */
struct NAME(work) {
    REAL **outputs;        /* of each layer (batch, out), and before them the gathered images */
    REAL *gradients[2];    /* of an output, and of the input of its layer */
    REAL *scratch, *masks; /* of one layer, for each thread; of all dropout layers, one after the other */
    double *exponentials;
    int64_t scratch_size; /* numbers of a thread */
};

/* Steps with these `coefficients`, each on as many rows as a batch has, the last on what is left of `rows`.
 * `parameters` are of one network, the states of its optimiser, and `gradient`, as large, is needed where norms are
 * clipped. Fills `losses`, each before its step. As training.py has it. */
struct NAME(training) {
    const struct network *network;
    REAL *parameters, *first_state, *second_state, *gradient;
    ptrdiff_t parameter_count;
    const REAL *images;
    const int64_t *labels, *order;
    ptrdiff_t rows;
    const struct coefficients *coefficients;
    struct generator *generator;
    const struct NAME(work) * work;
    REAL *losses;
};

/* A step as one of its threads has it. */
struct NAME(step) {
    const struct NAME(training) * training;
    const struct member *member;
    struct NAME(images) images;
    struct NAME(update) update;
    ptrdiff_t rows;
    REAL *scratch;
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

/* The factors of all dropout layers, which follow each other in one stream of random numbers: by one thread. */
static void NAME(draw_all_masks)(const struct NAME(step) * step)
{
    const struct NAME(training) *all = step->training;
    if (!step->member->number)
        NAME(draw_masks)(all->network->layer, all->network->layers, step->rows, all->generator, all->work->masks);
}

/* Rows of the images from `first` on, by all threads. */
static void NAME(gather_rows)(const struct NAME(step) * step, ptrdiff_t first, ptrdiff_t rows)
{
    ptrdiff_t row = NAME(padded)(step->images.size);
    REAL *x = step->training->work->outputs[0];
    for (ptrdiff_t r; (r = next_part(step->member, ROWS)) < rows;)
        NAME(gather)(&step->images, first + r, MIN(ROWS, rows - r), x + (first + r) * row, row);
}

/* Layer `n`, a linear one, in chunks of rows. Where it is the first each chunk is gathered, and the next one, which may
 * be of the next step, brought near: by one thread, with each of its tiles, to a cache that most processors share. */
static void NAME(linear_chunks)(const struct NAME(step) * step, ptrdiff_t n)
{
    const struct NAME(work) *work = step->training->work;
    const struct layer *layer = step->training->network->layer + n;
    const struct NAME(images) *images = &step->images;
    const ptrdiff_t threads = step->training->network->threads;
    const REAL *w = step->update.p + layer->w, *b = step->update.p + layer->b;
    ptrdiff_t x_row = NAME(padded)(layer->in), y_row = NAME(padded)(layer->out), chunk = NAME(chunk)(layer->in);
    ptrdiff_t tiles = MIN(step->rows, chunk) / DOT_ROWS * (layer->out / DOT_COLUMNS);
    for (ptrdiff_t r = 0; r < step->rows; r += chunk) {
        ptrdiff_t here = MIN(chunk, step->rows - r);
        struct NAME(ahead) ahead = {images, 0, r + here, 0, 0};
        if (!n) {
            NAME(gather_rows)(step, r, here);
            meet(step->member);
            if (!r)
                NAME(draw_all_masks)(step);
            ahead.end = step->member->number ? 0 : MIN(ahead.row + chunk, images->left);
            ahead.lines = (ahead.end - ahead.row) * (images->size / WIDE + 2) * threads / (tiles + threads) + 1;
        }
        NAME(linear)(work->outputs[n] + r * x_row, x_row, w, b, here, layer->in, layer->out,
                     work->outputs[n + 1] + r * y_row, y_row, step->scratch, step->member, &ahead);
        meet(step->member);
    }
}

/* Forward: the outputs of all layers. */
static void NAME(forward)(const struct NAME(step) * step)
{
    const struct network *network = step->training->network;
    const struct NAME(work) *work = step->training->work;
    const REAL *masks = work->masks;
    if (network->layer->kind != LINEAR) {
        NAME(gather_rows)(step, 0, step->rows);
        NAME(draw_all_masks)(step);
        meet(step->member);
    }
    for (ptrdiff_t n = 0; n < network->layers; n++) {
        const struct layer *layer = network->layer + n;
        ptrdiff_t row = NAME(padded)(layer->in);
        if (layer->kind == LINEAR) {
            NAME(linear_chunks)(step, n);
            continue;
        }
        for (ptrdiff_t r; (r = next_part(step->member, ROWS)) < step->rows;) {
            REAL *x = work->outputs[n] + r * row, *y = work->outputs[n + 1] + r * row;
            ptrdiff_t rows = MIN(ROWS, step->rows - r);
            if (layer->kind == DROPOUT)
                NAME(drop)(x, row, masks + r * layer->in, rows, layer->in, y);
            else
                NAME(activate)(layer, x, rows * row, y);
        }
        masks += layer->kind == DROPOUT ? step->rows * layer->in : 0;
        meet(step->member);
    }
}

/* The gradients of a linear layer's parameters from `d`, which `update` takes, and `dx`, that of its input, if it is
 * wanted. Each thread has some columns of the weights to itself: it reads them for `dx` before it updates them. */
static void NAME(linear_backward)(const struct NAME(step) * step, const struct layer *layer, const REAL *x,
                                  const REAL *d, REAL *dx)
{
    ptrdiff_t x_row = NAME(padded)(layer->in), d_row = NAME(padded)(layer->out);
    if (!step->member->number)
        NAME(bias_gradients)(layer, d, d_row, step->rows, &step->update, step->scratch);
    for (ptrdiff_t i, columns; (i = next_part(step->member, GRADIENT_VECTORS * LANES)) < layer->in;) {
        columns = MIN(GRADIENT_VECTORS * LANES, layer->in - i);
        if (dx)
            NAME(input_gradient)(d, d_row, step->update.p + layer->w, step->rows, layer->in, layer->out, i, columns,
                                 dx, x_row, step->scratch);
        NAME(weight_gradients)(layer, x, x_row, d, d_row, step->rows, i, columns, &step->update);
    }
    meet(step->member);
}

/* Backward from the gradient of the outputs, which is in their place: all parameters' gradients, of which `update`
 * makes its step. */
static void NAME(backward)(const struct NAME(step) * step)
{
    const struct network *network = step->training->network;
    const struct NAME(work) *work = step->training->work;
    const struct layer *layers = network->layer, *first = layers;
    const REAL *masks = work->masks;
    REAL *d = work->outputs[network->layers], *other = work->gradients[0];
    for (; first->kind != LINEAR; first++) /* before the first parameters no gradient is needed */
        ;
    for (ptrdiff_t n = 0; n < network->layers; n++)
        masks += layers[n].kind == DROPOUT ? step->rows * layers[n].in : 0;
    for (ptrdiff_t n = network->layers - 1; layers + n >= first; n--) {
        const struct layer *layer = layers + n;
        ptrdiff_t row = NAME(padded)(layer->in);
        if (layer->kind == LINEAR) {
            NAME(linear_backward)(step, layer, work->outputs[n], d, layer > first ? other : 0);
            d = other;
            other = work->gradients[d == work->gradients[0]];
            continue;
        }
        masks -= layer->kind == DROPOUT ? step->rows * layer->in : 0;
        for (ptrdiff_t r; (r = next_part(step->member, ROWS)) < step->rows;) {
            REAL *own = d + r * row;
            ptrdiff_t rows = MIN(ROWS, step->rows - r);
            if (layer->kind == DROPOUT)
                NAME(drop)(own, row, masks + r * layer->in, rows, layer->in, own);
            else
                NAME(activate_backward)(layer, work->outputs[n] + r * row, work->outputs[n + 1] + r * row, rows * row,
                                        own);
        }
        meet(step->member);
    }
}

/* What comes after the gradients: clipping, with the update that waited for it, and the limit of weights. */
static void NAME(finish)(const struct NAME(step) * step)
{
    const struct NAME(training) *all = step->training;
    const struct network *network = all->network;
    if (step->update.gradient) {
        REAL factor = NAME(shortening)(all->gradient, all->parameter_count, network->rule.clip_norm);
        meet(step->member); /* all have read the gradient that is scaled now */
        for (ptrdiff_t at; (at = next_part(step->member, NUMBERS)) < all->parameter_count;) {
            ptrdiff_t count = MIN(NUMBERS, all->parameter_count - at);
            NAME(scale)(all->gradient + at, count, factor);
            NAME(apply)(&step->update, at, 0, all->gradient + at, 0, 1, count);
        }
        meet(step->member);
    }
    for (ptrdiff_t n = 0; n < network->layers && network->max_norm < __builtin_inf(); n++) {
        const struct layer *layer = network->layer + n;
        if (!layer->is_limited)
            continue;
        for (ptrdiff_t o; (o = next_part(step->member, 1)) < layer->out;) {
            REAL *w = all->parameters + layer->w + o * layer->in;
            NAME(scale)(w, layer->in, NAME(shortening)(w, layer->in, network->max_norm));
        }
        meet(step->member);
    }
}

/* All steps, as one of the threads takes them. */
static void NAME(steps)(const void *with, const struct member *member)
{
    const struct NAME(training) *all = with;
    const struct network *network = all->network;
    const struct NAME(work) *work = all->work;
    const int64_t *order = all->order;
    const ptrdiff_t outputs = network->layer[network->layers - 1].out;
    for (ptrdiff_t left = all->rows, here, n = 0; left; left -= here, order += here, n++) {
        here = MIN(network->batch_size, left);
        REAL *kept = network->rule.clip_norm < __builtin_inf() ? all->gradient : 0;
        struct NAME(step) step = {
            .training = all,
            .member = member,
            .images = {all->images, order, left, network->layer->in},
            .update = NAME(update_of)(&network->rule, all->coefficients + n, all->parameters, all->first_state,
                                      all->second_state, kept),
            .rows = here,
            .scratch = work->scratch + member->number * work->scratch_size,
        };

        NAME(forward)(&step);
        if (!member->number)
            all->losses[n] = NAME(loss)(network->loss, work->outputs[network->layers], NAME(padded)(outputs),
                                        all->labels, order, here, outputs, work->exponentials);
        meet(member);
        NAME(backward)(&step);
        NAME(finish)(&step);
    }
}

void NAME(train)(const struct NAME(training) * training)
{
    in_threads(training->network->threads, NAME(steps), training);
}
