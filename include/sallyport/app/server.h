/* The proxy as a whole: everything that a configuration asks for, from the sockets up, wired
 * together, run until a signal says stop, and taken apart again.
 *
 * Thread: the program's main thread, which has no loop of its own; it waits for signals. */
#pragma once

#include <sallyport/config/config.h>

/* Runs until SIGTERM or SIGINT. The exit status of the process: 0 after a drain or a second signal,
 * 1 when it could not start (a message that names file, key and reason stands on standard error).
 * Takes its own reference of the configuration. */
int server_run(struct config *config);
