/* The control socket: HTTP/1.1 and JSON over a unix socket, for the commands and for curl.
 *
 *     curl --unix-socket run/sallyport.sock http://localhost/status
 *
 * Who may ask: root, the user that the proxy runs as, and the owner of the socket file. What there
 * is to ask for is a table (src/app/admin_routes.c); a noun's rows stand in src/app/admin_<noun>.c,
 * its commands in src/cli. */
#pragma once

#include <stdio.h>

/* Of a request. */
#define ADMIN_MAX_BODY_BYTES ((size_t)16 * 1024 * 1024)

/* Every route with its help: for a terminal, and as Markdown for the manual. */
void admin_print_reference(FILE *out);
void admin_print_markdown(FILE *out);
