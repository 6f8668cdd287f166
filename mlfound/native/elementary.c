/* exp, log, tanh and erfc in double, with errors of a few units in the last place.
 *
 * Not libm's: its results differ from version to version. Here is nothing but IEEE operations in a fixed order, without
 * a branch, so that the compiler works on a vector at a time and still gives the same bits. */

#define LOG2_E 1.4426950408889634074
#define ROOT_HALF 0.70710678118654752440
#define INVERSE_ROOT_2_PI 0.39894228040143267794
#define LN2_HIGH 6.93147180369123816490e-01 /* its last bits are 0: times a small integer it is exact */
#define LN2_LOW 1.90821492927058770002e-10
#define ROUNDER 0x1.8p52 /* added to a small number it leaves the nearest integer in the last bits */

static inline double from_bits(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int64_t to_bits(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The larger and the smaller of two; a nan of x stays. */
static inline double at_least(double x, double low) { return x < low ? low : x; }
static inline double at_most(double x, double high) { return x > high ? high : x; }

/* exp(x) = 2^n exp(r), with |r| <= ln 2 / 2: gives exp(r) - 1 by its series, and 2^n. |x| is at most 708 here, beyond
 * which there is no 2^n. */
static inline double reduced(double x, double *power)
{
    static const double inverse_factorials[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                                1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                                1.0 / 120,        1.0 / 24,        1.0 / 6,        1.0 / 2};
    double shifted = FMA_F64(at_most(at_least(x, -708), 708), LOG2_E, ROUNDER), n = shifted - ROUNDER;
    double r = FMA_F64(-n, LN2_LOW, FMA_F64(-n, LN2_HIGH, at_most(at_least(x, -708), 708))), sum = 0;
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        sum = FMA_F64(sum, r, inverse_factorials[i]);
    *power = from_bits((int64_t)((uint64_t)(to_bits(shifted) - to_bits(ROUNDER) + 1023) << 52));
    return FMA_F64(r * r, sum, r);
}

static inline double own_exp(double x)
{
    double power, rest = reduced(x, &power);
    return FMA_F64(power, rest, power);
}

/* exp(x) - 1 without the loss of digits near 0 */
static inline double own_expm1(double x)
{
    double power, rest = reduced(x, &power);
    return FMA_F64(power, rest, power - 1);
}

/* (e^2x - 1) / (e^2x + 1) */
static inline double own_tanh(double x)
{
    double e = own_expm1(2 * at_most(at_least(x, -30), 30));
    return e / (e + 2);
}

/* For positive normal x = 2^n m, with m from sqrt(1/2) to sqrt(2): ln m = 2 artanh(s), s = (m - 1) / (m + 1). */
static inline double own_log(double x)
{
    int64_t bits = to_bits(x), n = (bits - to_bits(0x1.6a09e667f3bcdp-1)) >> 52;
    double m = from_bits(bits - n * ((int64_t)1 << 52)), s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int i = 21; i > 0; i -= 2)
        sum = FMA_F64(sum, square, 1.0 / i);
    sum = FMA_F64((double)n, LN2_LOW, 2 * s * sum);
    return x - x == 0 ? FMA_F64((double)n, LN2_HIGH, sum) : x;
}

/* For z >= 0 it is t exp(-z^2 + P(t)) with t = 2 / (2 + z): P in Chebyshev polynomials of 2 t - 1, whose coefficients
 * are the cosine transform of ln(erfc(z) / t) + z^2 at 60 nodes, in 40 digits; those left out are below 2e-15. */
static inline double own_erfc(double x)
{
    static const double chebyshev[] = {
        7.1060976136092369878e-15,  3.8109052551892320552e-16,  -1.1270822361367252366e-13, 3.1309213993429580783e-13,
        8.9448792730907257167e-13,  -6.8860275264975533984e-12, 2.3940380830391147447e-12,  9.646791102015526802e-11,
        -2.2736512229318358557e-10, -9.9136415649303308674e-10, 5.0593434955514689418e-09,  6.5290544390988514964e-09,
        -8.5238095914926542525e-08, 1.5626441722066143178e-08,  1.3036558355805232018e-06,  -1.6242900046470255135e-06,
        -2.0278578112534243154e-05, 4.2523324806907771645e-05,  3.6683949785276145187e-04,  -9.465953444820368665e-04,
        -9.5615147868086316419e-03, 1.9476473204185836312e-02,  6.4196979235649026025e-01,
    };
    double z = x < 0 ? -x : x, t = 2 / (2 + z), twice = FMA_F64(4, t, -2), sum = 0, before = 0;
#pragma GCC unroll 23
    for (int i = 0; i < 23; i++) { /* Clenshaw's recurrence */
        double next = FMA_F64(twice, sum, chebyshev[i] - before);
        before = sum;
        sum = next;
    }
    double p = FMA_F64(twice / 2, sum, -1.3026537197817094342 / 2 - before);
    double positive = t * own_exp(FMA_F64(-z, z, p));
    return x < 0 ? 2 - positive : positive;
}

/* Of many numbers, in place. They are functions of their own so that each is compiled once. */

#define BLOCK 64
#define EACH(name, result)                                                                                             \
    __attribute__((noinline)) void name(double *x, ptrdiff_t count)                                             \
    {                                                                                                                  \
        for (ptrdiff_t i = 0; i < count; i++)                                                                          \
            x[i] = result;                                                                                             \
    }

static inline double below(double x) { return own_erfc(-x * ROOT_HALF) / 2; } /* P(u < x) for u from N(0, 1) */

EACH(exps, own_exp(x[i]))
EACH(tanhs, own_tanh(x[i]))
EACH(gelus, x[i] * below(x[i]))
EACH(gelu_slopes, FMA_F64(x[i] * INVERSE_ROOT_2_PI, own_exp(x[i] * x[i] / -2), below(x[i])))
