/* What backends are told of a client, made of its certificate. */
#pragma once

#include "client_trust.h"

#include <sallyport/net/client_identity.h>

/* `leaf`: verified, or NULL: there is none. `chain`: what it was verified by, itself first; NULL:
 * nobody is told. A chain that does not fit into the trust's max_forward_bytes is left out and
 * counted. NULL with *err: SP_NOMEM, or SP_LIMIT when the rest does not fit. */
struct client_identity *client_identity_new(const struct client_trust *trust, X509 *leaf,
                                            const STACK_OF(X509) * chain, enum sp_err *err)
    SP_MUST_CHECK;
