/* How many descriptors the process may open. */
#include "fd_limit.h"

#include <sys/resource.h>

#define FDS_PER_CONNECTION 2  /* the client's and the backend's */
#define FDS_PER_THREAD     8  /* epoll, eventfd, resolver sockets */
#define FDS_OF_PROCESS     64 /* standard streams, logs, files being read */

uint64_t fd_limit_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit lifted = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &lifted) == 0)
        return lifted.rlim_cur;
    return limit.rlim_cur;
}

uint64_t fd_limit_needed(const struct fd_demand *demand)
{
    uint64_t threads = demand->n_threads;

    return (uint64_t)demand->max_connections * FDS_PER_CONNECTION +
           demand->n_listeners * (threads + 1) + threads * FDS_PER_THREAD + FDS_OF_PROCESS;
}
