/* While the files of a client_trust are read: what its two parts share. */
#pragma once

#include "client_trust.h"

struct trust_reading {
    struct client_trust *trust;
    const struct client_auth_conf *conf;
    struct cert_load *load;
    EVP_MD_CTX *digest;
    STACK_OF(X509) * authorities; /* each with its own reference */
    bool lists_speak_for_all;     /* none of them for a part of an authority's certificates only */
};

/* client_trust_read.c */
bool trust_out_of_memory(struct trust_reading *r, struct view file); /* false */
bool trust_at_end(void); /* did the last PEM call stop because nothing more is there? */
bool trust_is_past(const ASN1_TIME *time);
void trust_expires(struct trust_reading *r, const ASN1_TIME *time); /* NULL: never */

/* client_trust_lists.c: the file's lists, after the authorities. */
bool trust_take_lists(struct trust_reading *r, BIO *bio);
/* Is it on a list of the one that issued it? */
bool trust_is_revoked(const struct trust_reading *r, X509 *ca);
/* What a handshake is to look at, when all is read. */
bool trust_set_rules(struct trust_reading *r);
