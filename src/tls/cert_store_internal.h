/* A store as the handshake sees it. */
#pragma once

#include "cert_bundle.h"

#include <sallyport/tls/cert_store.h>

/* The bundle for a name as a client sent it; NULL: it is refused. Valid while the store is. */
struct cert_bundle *cert_store_find(const struct cert_store *store, struct view name);

/* Was it read for this set, rather than taken over? */
bool cert_set_is_new(const struct cert_set *set, const struct cert_bundle *bundle);
