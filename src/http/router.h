/* Which route a request takes: the first one of the configuration whose host and path fit.
 *
 * host: an exact name, "*.x" for exactly one label in front of x, or empty for any. Case, a port
 * and one trailing dot do not count. path: a prefix that ends on a segment border ("/api" fits
 * "/api",
 * "/api/x" and "/api?x", not "/apix"); a trailing slash of the route does not count, "/" and empty
 * fit everything, "*" included.
 *
 * Paths are compared as a backend may read them: %XX decoded once ("%2F" and "%00" excepted), empty
 * segments left out, "." and ".." resolved, so that no spelling of "/admin" goes around a route.
 * What is forwarded is the path as it was sent.
 *
 * Cost: a hash lookup per host form (exact, wildcard, any) and segment, however many routes. */
#pragma once

#include <sallyport/config/config.h>

struct router;

/* `config` is borrowed and must outlive the router. NULL: out of memory. */
struct router *router_new(const struct config *config) SP_MUST_CHECK;
void router_free(struct router *r); /* NULL is accepted */

/* NULL: none fits. Both views come from a parsed head; the authority may be empty. Any thread. */
const struct route_conf *router_find(const struct router *r, struct view authority,
                                     struct view path);
