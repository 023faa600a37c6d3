/* What a request target says to the origin: "/page/argument?name=value&flag=1". Pure functions over
 * the bytes of the target, which the views point into. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct origin_target {
    struct view page;     /* first segment, without slashes; empty for "/" */
    struct view argument; /* what follows "/page/", further slashes included; empty: none */
    struct view query;    /* behind "?" */
};
struct origin_target origin_target_of(struct view path);

/* Digits with an optional k, m or g (times 1024); at most `max`. */
bool origin_number(struct view text, uint64_t max, uint64_t *out);
/* The value of `name` in the query; .p is NULL when it is not there. Nothing is decoded. */
struct view origin_query(const struct origin_target *t, struct view name);
/* The same as a number: `otherwise` when it is missing or not one up to `max`. */
uint64_t origin_query_number(const struct origin_target *t, struct view name, uint64_t max,
                             uint64_t otherwise);
/* "name=1". */
bool origin_query_flag(const struct origin_target *t, struct view name);
