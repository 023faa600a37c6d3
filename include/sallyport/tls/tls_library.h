/* Which TLS library runs underneath, and what it and the kernel can do: for `sallyport version`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* As the linked library calls itself: "OpenSSL 3.0.17 1 Jul 2025". Static. */
const char *tls_library_version(void);

struct tls_feature {
    const char *name; /* short, stable, lower case */
    const char *text; /* for a person */
    bool available;
};
#define TLS_FEATURES_MAX 8
/* Probes; returns how many were filled in. */
size_t tls_library_features(struct tls_feature out[TLS_FEATURES_MAX]);
