/* How many threads of each kind a configuration asks for on this machine. */
#pragma once

#include <sallyport/config/config.h>

struct threads_plan {
    int net;  /* data */
    int ssl;  /* handshakes; 0: in the data loops */
    int task; /* blocking work */
    int ssl_nice;
};

/* Processors that this process may run on (its affinity mask); at least 1. */
unsigned threads_plan_cores(void);
/* "auto" is one a core. ssl is 0 where no port speaks TLS: nobody would use them. */
struct threads_plan threads_plan(const struct config *config, unsigned cores);
