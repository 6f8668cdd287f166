/* How processes that map the same memory wait for each other: the ranks of a training on one machine.
 *
 * Each rank counts its meetings where only it writes; a meeting is over when all have counted as far. */

#include <time.h>

#define COUNT_NUMBERS 16 /* from one count to the next: two cache lines, which are fetched together */
#define AWAKE 1000000    /* nanoseconds, after which a rank that waits sleeps */
#define WAIT 10000000    /* and after which its caller sees whether the others live, and to signals */
static const struct timespec NAP = {0, 50000};

/* This rank has come to meeting `number`: what it wrote before can be read after. */
void arrive(int64_t *counts, ptrdiff_t rank, int64_t number)
{
    __atomic_store_n(counts + rank * COUNT_NUMBERS, number, __ATOMIC_RELEASE);
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Whether all come to meeting `number` before WAIT is over. Who waits looks, as the threads of team.c do, then leaves
 * its core to others, then sleeps. */
int all_come(const int64_t *counts, ptrdiff_t ranks, int64_t number)
{
    int64_t looks = 0, began = 0;
    for (ptrdiff_t rank = 0; rank < ranks; rank++)
        while (__atomic_load_n(counts + rank * COUNT_NUMBERS, __ATOMIC_ACQUIRE) < number) {
            if (looks++ < PATIENCE)
                continue;
            int64_t now = nanoseconds();
            began = began ? began : now;
            if (now - began > WAIT)
                return 0;
            if (now - began > AWAKE)
                nanosleep(&NAP, 0);
            else
                sched_yield();
        }
    return 1;
}
