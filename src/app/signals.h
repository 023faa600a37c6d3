/* Signals, taken one at a time on the main thread: none of them interrupts anything, and whoever
 * reacts may do whatever an ordinary function may. */
#pragma once

#include <stdint.h>

/* Blocks SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 for this thread and all that it starts from
 * here on, and ignores SIGPIPE. Before any thread is started. */
void signals_block(void);
/* The next one; waits for it, at most timeout_ms (-1: for ever). 0: none came. */
int signals_wait(int64_t timeout_ms);
