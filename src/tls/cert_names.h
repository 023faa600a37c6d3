/* Host names to bundles. Filled once, then sorted, then only read. */
#pragma once

#include "cert_bundle.h"

struct cert_name {
    struct view name; /* lower case; "*.example.com" is a wildcard */
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

/* The names that a bundle is served under: conf's, else the DNS names of its certificates. Problems
 * go to `load`; the bytes live in `arena`. */
void cert_names_add_bundle(struct cert_names *names, struct arena *arena,
                           const struct bundle_conf *conf, const struct cert_bundle *bundle,
                           uint32_t index, struct cert_load *load);
/* Sorts; of a name that several bundles have, the first bundle keeps it (a warning). */
void cert_names_finish(struct cert_names *names, const struct cert_bundle *bundles,
                       struct cert_load *load);
/* NULL: no bundle has it, neither exactly nor by a wildcard of one label. `name` is normal. */
const struct cert_name *cert_names_find(const struct cert_names *names, struct view name);
void cert_names_fini(struct cert_names *names);
