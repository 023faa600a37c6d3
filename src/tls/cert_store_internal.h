/* A store as the handshake sees it. */
#pragma once

#include "cert_bundle.h"
#include "client_trust.h"

#include <sallyport/tls/cert_store.h>

/* The bundle for a name as a client sent it; NULL: it is refused. Valid while the store is. */
struct cert_bundle *cert_store_find(const struct cert_store *store, struct view name);

/* What clients have to prove to be given one of its bundles; borrowed. NULL: nothing. */
const struct client_trust *cert_store_trust(const struct cert_store *store,
                                            const struct cert_bundle *bundle);
/* The same as a number (client_trust.h): of the bundle for a host; CLIENT_POLICY_MANY where nobody
 * serves it. And the one of all names, or CLIENT_POLICY_MANY. */
uint64_t cert_store_policy_of(const struct cert_store *store, struct view host);
uint64_t cert_store_policy(const struct cert_store *store);

/* Was it read for this set, rather than taken over? */
bool cert_set_is_new(const struct cert_set *set, const struct cert_bundle *bundle);
