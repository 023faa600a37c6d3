/* What is looked at in a pair that was read. Each check tells its problems to `load`; false: it can
 * not be used. `file` is the certificates' file. */
#pragma once

#include "cert_file.h"
#include "cert_pair.h"

#include <sallyport/config/config.h>

/* cert_chain.c: each certificate has issued the one before it (RFC 8446 4.4.2), the last is a root,
 * or known to the system. */
bool cert_check_chain(const struct cert_pair *pair, struct view file, struct cert_load *load);
#define CERT_ORDER_MAX 128 /* "31, 32, " */
/* "2, 1, 3": in which order the file's certificates would be a chain that begins with `first` (0
 * is the first of the file). False: in none. */
bool cert_chain_right_order(const struct cert_pair *pair, int first, char *dst, size_t cap);

/* cert_dates.c: of all of them. */
bool cert_check_dates(const struct cert_pair *pair, struct view file, struct cert_load *load);

/* cert_fitness.c: the kind of its key; what OpenSSL's security level refuses; what it is for. */
bool cert_check_key_kind(const struct cert_pair *pair, struct view file, struct cert_load *load);
bool cert_check_strength(const struct cert_pair *pair, struct view file, struct cert_load *load);
void cert_check_purpose(const struct cert_pair *pair, struct view file, struct cert_load *load);

/* cert_coverage.c: it has names, and those that the bundle is given. */
bool cert_check_names(const struct cert_pair *pair, struct view file, struct cert_load *load);

/* cert_permissions.c: who else may read or change what has to be secret. Warns only. */
void cert_check_permissions(const struct cert_file *file, struct cert_load *load);
