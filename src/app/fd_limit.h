/* How many descriptors the process may open, and how many its configuration could need. */
#pragma once

#include <stdint.h>

/* Lifts the soft limit to the hard one. Returns the limit that holds; failing to lift is no error,
 * what holds then is the old one. */
uint64_t fd_limit_raise(void);

struct fd_demand {
    uint32_t max_connections; /* client side; 0: as many as the limit allows */
    uint32_t n_listeners;     /* endpoints of all ports */
    uint32_t n_threads;
};
/* Each client connection may have an upstream one beside it; the rest are listeners (one a thread
 * at the most), the threads' own, and some for files and resolvers. */
uint64_t fd_limit_needed(const struct fd_demand *demand);
