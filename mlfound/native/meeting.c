/* How processes that map the same memory wait for each other: the ranks of a training on one machine.
 *
 * Each rank counts its meetings where only it writes; a meeting is over when all have counted as far. */

#include <time.h>

#define COUNT_NUMBERS 16 /* from one count to the next: two cache lines, which are fetched together */
#define YIELDS 1000      /* after the PATIENCE of team.c: less than a millisecond */
#define NAPS 100         /* a hundredth of a second, or a little more */
static const struct timespec NAP = {0, 50000};

/* This rank has come to meeting `number`: what it wrote before can be read after. */
void arrive(int64_t *counts, ptrdiff_t rank, int64_t number)
{
    __atomic_store_n(counts + rank * COUNT_NUMBERS, number, __ATOMIC_RELEASE);
}

/* Whether all have come to meeting `number`, or come soon; a rank that waits looks, then leaves its core to others, then
 * sleeps. */
int all_come(const int64_t *counts, ptrdiff_t ranks, int64_t number)
{
    ptrdiff_t waited = 0;
    for (ptrdiff_t rank = 0; rank < ranks; rank++)
        while (__atomic_load_n(counts + rank * COUNT_NUMBERS, __ATOMIC_ACQUIRE) < number) {
            waited++;
            if (waited > PATIENCE + YIELDS + NAPS)
                return 0;
            if (waited > PATIENCE + YIELDS)
                nanosleep(&NAP, 0);
            else if (waited > PATIENCE)
                sched_yield();
        }
    return 1;
}
