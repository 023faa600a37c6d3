/* Which data thread a connection moves to when its handshake is over.
 *
 * The one with the same number in its group as the handshake thread: the two tend to run on the
 * same core, and then what OpenSSL has just touched is still in its cache
 * (docs/internals/performance.md). Unless that one has clearly more connections than the one with
 * the fewest: who accepts is up to the kernel, which wakes threads as it likes, and connections
 * stay where they are put. */
#pragma once

#include <sallyport/net/net_handler.h>

struct net_placement {
    struct net_handler *nh; /* of the handshake thread */
    int mate;               /* index of its thread in the data threads' group */
};

void net_placement_init(struct net_placement *p, struct net_handler *nh);
/* The next one's. Thread: the handshake thread. */
struct ethread *net_placement_next(const struct net_placement *p);

/* An index of `open`, the connections of n >= 1 threads. */
int net_placement_choose(const uint32_t *open, int n, int mate);
