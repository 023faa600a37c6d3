/* The certificates of one TLS port and the names that choose between them. Immutable once made and
 * reference-counted: a reload makes another one and swaps a pointer.
 *
 * A name is looked up exactly, then as a wildcard of one label ("*.example.com"), then the port's
 * default bundle serves it, or with strict_sni nobody does (RFC 6066 3, RFC 6125 6.4.3). */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_problem.h>

#include <stdbool.h>

struct cert_store;

/* Reads and checks every file of every bundle of a port. Reads files: at start or on ET_TASK. NULL
 * with *err: SP_INVALID after at least one problem that is no warning was reported (all of them
 * are, not only the first), SP_NOMEM, or SP_TLS_INTERNAL when the library refuses
 * the port's policy. The caller owns one reference. */
struct cert_store *cert_store_new(const struct tls_port_conf *conf,
                                  const struct cert_reporter *reporter, enum sp_err *err)
    SP_MUST_CHECK;
struct cert_store *cert_store_ref(struct cert_store *store);
void cert_store_unref(struct cert_store *store); /* NULL is accepted */

/* Which bundle a client that asks for `name` (empty: for none) is given; empty: it is refused. The
 * view is valid while the store is. */
struct view cert_store_bundle_for(const struct cert_store *store, struct view name);
