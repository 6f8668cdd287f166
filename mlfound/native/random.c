/* torch's generator of a CPU: the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), in the state that
 * `Generator.get_state()` gives and `set_state` takes. */

#define STATE_WORDS 624
#define MIDDLE 397

struct generator {
    uint64_t seed;
    int32_t left, seeded; /* `left` is one more than the words that are left */
    uint64_t next;
    uint64_t words[STATE_WORDS]; /* of 32 bits each; behind them is what torch's normal numbers need */
};

static inline uint64_t twisted(uint64_t first, uint64_t second)
{
    uint64_t y = (first & 0x80000000) | (second & 0x7fffffff);
    return (y >> 1) ^ (-(second & 1) & 0x9908b0df);
}

static void renew(struct generator *generator)
{
    uint64_t *w = generator->words;
    for (int i = 0; i < STATE_WORDS - MIDDLE; i++)
        w[i] = w[i + MIDDLE] ^ twisted(w[i], w[i + 1]);
    for (int i = STATE_WORDS - MIDDLE; i < STATE_WORDS - 1; i++)
        w[i] = w[i + MIDDLE - STATE_WORDS] ^ twisted(w[i], w[i + 1]);
    w[STATE_WORDS - 1] = w[MIDDLE - 1] ^ twisted(w[STATE_WORDS - 1], w[0]);
    generator->left = STATE_WORDS + 1;
    generator->next = 0;
}

void draw(struct generator *generator, uint32_t *into, ptrdiff_t count)
{
    while (count) {
        if (generator->left == 1)
            renew(generator);
        ptrdiff_t here = MIN(count, generator->left - 1);
        for (ptrdiff_t i = 0; i < here; i++) {
            uint32_t y = generator->words[generator->next + i];
            y ^= y >> 11;
            y ^= (y << 7) & 0x9d2c5680;
            y ^= (y << 15) & 0xefc60000;
            into[i] = y ^ (y >> 18);
        }
        generator->left -= here;
        generator->next += here;
        into += here;
        count -= here;
    }
}
