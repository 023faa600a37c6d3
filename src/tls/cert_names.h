/* Host names to the bundles of a store. Filled once, then sorted, then only read. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct cert_name {
    struct view name; /* lower case; "*.example.com" is a wildcard; borrowed from the bundle */
    uint32_t bundle;  /* index of the bundle in its store */
};

struct cert_names {
    struct cert_name *v; /* owned; sorted after cert_names_finish() */
    uint32_t n, cap;
};

/* The longest DNS name, and so the longest SNI that can match. */
#define CERT_NAME_MAX 253

/* Lower case and without a final dot, as names are compared; empty: it is no host name. `dst` has
 * room for CERT_NAME_MAX. A leading "*." is kept. */
struct view cert_name_normal(struct view name, char *dst);

/* Room for so many, once. */
bool cert_names_reserve(struct cert_names *names, uint32_t n) SP_MUST_CHECK;
void cert_names_add(struct cert_names *names, struct view normal, uint32_t bundle);
/* Sorts; of a name that several bundles have, the first bundle wins and stands first. */
void cert_names_finish(struct cert_names *names);

/* The entries of exactly this name, the one that wins first; *n of them, 0: none. */
const struct cert_name *cert_names_exact(const struct cert_names *names, struct view name,
                                         uint32_t *n);
/* The same for the wildcard of one label that covers a name. `name` is normal. */
const struct cert_name *cert_names_wildcard(const struct cert_names *names, struct view name,
                                            uint32_t *n);
void cert_names_fini(struct cert_names *names);
