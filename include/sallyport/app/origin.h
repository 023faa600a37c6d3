/* A small HTTP/1.1 backend for trials and tests: shows what arrived, and misbehaves on request.
 * Its pages are listed under every path that it does not know (src/app/origin_paths.c). */
#pragma once

#include <sallyport/base/endpoint.h>

#include <stdint.h>

struct origin_options {
    struct endpoint listen; /* port 0: the system chooses, and the real one is printed */
    const char *name;       /* told in "X-Origin" and in the JSON; borrowed */
    uint32_t threads;       /* >= 1 */
    uint32_t idle_ms;       /* a connection between two requests is closed after that long */
};

/* Serves until SIGTERM or SIGINT. Prints "origin listening on http://..." on standard output once
 * it accepts. The exit status of the process: 0, or 1 when it could not start. */
int origin_run(const struct origin_options *options);
