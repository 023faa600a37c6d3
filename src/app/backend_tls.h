/* How connections to the servers of a configuration's backends are secured: authorities and our own
 * certificates are read, and a TLS client is made for each server. */
#pragma once

#include <sallyport/app/certificates.h>
#include <sallyport/config/config.h>
#include <sallyport/net/tls_client.h>

struct backend_tls {
    struct tls_client **clients; /* owned references, in the order of upstream_set_options.tls */
    uint32_t n;
};

/* False: at least one problem that is no warning was reported (all of them are, each once), and
 * *out is empty. Blocks on files. */
bool backend_tls_make(struct backend_tls *out, const struct config *config,
                      const struct certificates_reporter *reporter) SP_MUST_CHECK;
/* Harmless for an empty one, and twice. */
void backend_tls_fini(struct backend_tls *b);

/* "/backends/NAME/tls/key", for a certificates_problem; what is too long is cut. */
#define CERTIFICATES_POINTER_MAX 512
struct view certificates_pointer(char dst[CERTIFICATES_POINTER_MAX], const char *before,
                                 struct view name, const char *after, const char *key);
