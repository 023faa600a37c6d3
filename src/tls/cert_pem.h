/* What stands in a file in PEM form: certificates and the block of a private key, in the order of
 * the file. Text between the blocks and blocks of other kinds are passed over, as OpenSSL does. */
#pragma once

#include "cert_file.h"

#include <openssl/x509.h>

/* A leaf and what it was issued by; no client takes as many. */
#define CERT_CHAIN_MAX 32

/* A block as it stands in the file: encrypted or not. */
struct pem_block {
    char *label;        /* "EC PRIVATE KEY" */
    char *header;       /* "Proc-Type: ...", or empty */
    unsigned char *der; /* all three owned by OpenSSL's allocator; wiped */
    long len;
};
void pem_block_fini(struct pem_block *block); /* an empty one is accepted */

struct cert_pem {
    STACK_OF(X509) * certs; /* owned; NULL: none */
    struct pem_block key;   /* the first one; der NULL: none */
};

enum cert_pem_want {
    CERT_PEM_CERTS = 1,      /* at least one */
    CERT_PEM_KEY = 2,        /* likewise */
    CERT_PEM_AUTHORITIES = 4 /* with CERTS: a list of any length */
};

/* `want` is bits of cert_pem_want. False after a problem was reported, and *pem is empty. */
bool cert_pem_read(struct cert_pem *pem, const struct cert_file *file, unsigned want,
                   struct cert_load *load) SP_MUST_CHECK;
void cert_pem_fini(struct cert_pem *pem);
