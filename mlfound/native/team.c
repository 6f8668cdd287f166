/* Threads that take each step together. Between two meetings every one takes the next part that nobody has begun, so a
 * slow one takes fewer. Each number is computed by one thread in one order: how many there are decides no bit.
 *
 * Every thread comes to every meeting, and between two of them is at most one loop over parts. */

#include <pthread.h>
#include <sched.h>

#define PATIENCE 4000 /* looks, some microseconds, before a thread that waits leaves its core to others */
#define MAX_THREADS 256

struct team {
    int64_t size, arrived;
    ptrdiff_t next; /* the first number whose part nobody has begun */
    char apart[64]; /* who waits looks at another cache line than that in which others work */
    int64_t meetings;
};

struct member {
    struct team *team;
    int64_t number; /* 0 is the thread that called, which also does what cannot be shared */
    void (*work)(const void *with, const struct member *member);
    const void *with;
};

/* The first number of the next `part` of them; after a meeting they begin at 0. */
static ptrdiff_t next_part(const struct member *member, ptrdiff_t part)
{
    return __atomic_fetch_add(&member->team->next, part, __ATOMIC_RELAXED);
}

/* Wait until all are here: what they wrote before can be read after. */
static void meet(const struct member *member)
{
    struct team *team = member->team;
    int64_t before = __atomic_load_n(&team->meetings, __ATOMIC_ACQUIRE);
    int64_t here = __atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL);
    if (here == __atomic_load_n(&team->size, __ATOMIC_ACQUIRE)) {
        team->arrived = team->next = 0;
        __atomic_store_n(&team->meetings, before + 1, __ATOMIC_RELEASE);
    }
    for (int looks = 0; __atomic_load_n(&team->meetings, __ATOMIC_ACQUIRE) == before;)
        if (looks < PATIENCE)
            looks++;
        else
            sched_yield();
}

static void *begin(void *argument)
{
    const struct member *member = argument;
    member->work(member->with, member);
    return 0;
}

/* `work` by so many threads, or by those that can be had. */
static void in_threads(int64_t count, void (*work)(const void *, const struct member *), const void *with)
{
    pthread_t threads[MAX_THREADS];
    struct member members[MAX_THREADS];
    struct team team = {.size = MIN(count, MAX_THREADS)};
    int64_t started = 1;
    for (int64_t n = 0; n < team.size; n++)
        members[n] = (struct member){&team, n, work, with};
    while (started < team.size && !pthread_create(&threads[started], 0, begin, &members[started]))
        started++;
    __atomic_store_n(&team.size, started, __ATOMIC_RELEASE); /* before this thread comes to a meeting */
    begin(&members[0]);
    for (int64_t n = 1; n < started; n++)
        pthread_join(threads[n], 0);
}
