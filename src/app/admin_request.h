/* The pure part of requests: patterns, escapes, parameters. */
#pragma once

#include "admin_route.h"

/* Does the path fit? */
bool admin_pattern_matches(const char *pattern, struct view path);
/* What "{name}" takes of a path that fits, escapes and all. */
struct view admin_pattern_part(const char *pattern, struct view path, const char *name);

/* "%2F" and the like taken back; "+" stays. .p NULL: malformed, or out of memory. */
struct view admin_percent_decode(struct arena *arena, struct view text);

/* The first parameter of the query that the route does not know; empty: none. */
struct view admin_query_unknown(const struct admin_route *route, struct view query);
