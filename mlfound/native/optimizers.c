/* The update of some parameters by their gradient: the rules of foundations/optimizers.py, number by number. */

#ifndef SGD
#define SGD 0
#define RMSPROP 1
#define ADAM 2

/* What does not change from step to step; as training.py has it. */
struct rule {
    int64_t kind;
    double l2, beta2, clip_norm; /* an infinite norm clips nothing */
    int64_t has_velocity;        /* of RMSprop */
};

/* Of one step; as foundations.optimizers.Coefficients has it. */
struct coefficients {
    double decay, momentum, gradient, step, ahead, eps, correction;
};
#endif

struct NAME(update) {
    const struct rule *rule;
    REAL l2, beta2, decay, momentum, gradient_share, step, ahead, eps;
    REAL *p, *states[2], *gradient; /* of the whole network, all in one order; no gradient where none is kept */
};

static struct NAME(update)
    NAME(update_of)(const struct rule *rule, const struct coefficients *c, REAL *p, REAL *first, REAL *second, REAL *g)
{
    return (struct NAME(update)){rule,    rule->l2, rule->beta2, c->decay, c->momentum,     c->gradient,
                                 c->step, c->ahead, c->eps,      p,        {first, second}, g};
}

/* The parameters from number `at` on, of which `g` is the gradient: `rows` of `count` numbers each, `row` apart, and
 * those of g `g_row`. */
static inline __attribute__((always_inline)) void NAME(rule)(const struct NAME(update) * update, ptrdiff_t at,
                                                             ptrdiff_t row, const REAL *from, ptrdiff_t from_row,
                                                             ptrdiff_t rows, ptrdiff_t count)
{
    const REAL l2 = update->l2, decay = update->decay, momentum = update->momentum, gradient = update->gradient_share,
               step = update->step, ahead = update->ahead, eps = update->eps, beta2 = update->beta2, rest = 1 - beta2;
    const int64_t kind = update->rule->kind, has_velocity = update->rule->has_velocity;
    for (; rows; rows--, at += row, from += from_row) {
        const REAL *restrict g = from;
        REAL *restrict p = update->p + at, *restrict s = update->states[0] + at, *restrict v = update->states[1] + at;
        if (kind == SGD)
            for (ptrdiff_t i = 0; i < count; i++) {
                REAL own = FMA(ahead, s[i], p[i] * decay), slope = FMA(l2, p[i], g[i]);
                s[i] = FMA(momentum, s[i], gradient * slope);
                p[i] = FMA(step, s[i], own);
            }
        else if (kind == ADAM)
            for (ptrdiff_t i = 0; i < count; i++) {
                REAL slope = FMA(l2, p[i], g[i]);
                s[i] = FMA(gradient, slope - s[i], s[i]);
                v[i] = FMA(rest, FMA(slope, slope, -v[i]), v[i]);
                p[i] = FMA(step, s[i] / (ROOT(v[i]) + eps), p[i] * decay);
            }
        else if (has_velocity)
            for (ptrdiff_t i = 0; i < count; i++) {
                REAL slope = FMA(l2, p[i], g[i]);
                s[i] = FMA(rest * slope, slope, beta2 * s[i]);
                v[i] = FMA(momentum, v[i], slope / (ROOT(s[i]) + eps));
                p[i] = FMA(step, v[i], p[i] * decay);
            }
        else
            for (ptrdiff_t i = 0; i < count; i++) {
                REAL slope = FMA(l2, p[i], g[i]);
                s[i] = FMA(rest * slope, slope, beta2 * s[i]);
                p[i] = FMA(step, slope / (ROOT(s[i]) + eps), p[i] * decay);
            }
    }
}

static void NAME(apply)(const struct NAME(update) * update, ptrdiff_t at, ptrdiff_t row, const REAL *g, ptrdiff_t g_row,
                        ptrdiff_t rows, ptrdiff_t count)
{
    if (count == GRADIENT_VECTORS * LANES) /* of a whole tile: known when it is compiled */
        NAME(rule)(update, at, row, g, g_row, rows, GRADIENT_VECTORS * LANES);
    else
        NAME(rule)(update, at, row, g, g_row, rows, count);
}

/* A part of the gradient is ready: it is used at once, or kept until the norm of the whole is known. */
static inline void NAME(take)(const struct NAME(update) * update, ptrdiff_t at, ptrdiff_t row, const REAL *g,
                              ptrdiff_t g_row, ptrdiff_t rows, ptrdiff_t count)
{
    if (!update->gradient)
        NAME(apply)(update, at, row, g, g_row, rows, count);
    else
        for (ptrdiff_t n = 0; n < rows; n++)
            memcpy(update->gradient + at + n * row, g + n * g_row, count * sizeof(REAL));
}

/* The sum of squares in double, in 16 lanes that are added in a fixed tree. */
static double NAME(square_sum)(const REAL *x, ptrdiff_t count)
{
    double lanes[16] = {0};
    ptrdiff_t whole = count / 16 * 16;
    for (ptrdiff_t i = 0; i < whole; i += 16)
        for (int l = 0; l < 16; l++)
            lanes[l] = FMA_F64(x[i + l], x[i + l], lanes[l]);
    for (ptrdiff_t i = whole; i < count; i++)
        lanes[i - whole] = FMA_F64(x[i], x[i], lanes[i - whole]);
    for (int half = 8; half; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

/* By what x must be multiplied to be at most as long as `limit`. */
static REAL NAME(shortening)(const REAL *x, ptrdiff_t count, double limit)
{
    return limit / at_least(__builtin_sqrt(NAME(square_sum)(x, count)), limit);
}

static void NAME(scale)(REAL *x, ptrdiff_t count, REAL factor)
{
    for (ptrdiff_t i = 0; i < count; i++)
        x[i] *= factor;
}
