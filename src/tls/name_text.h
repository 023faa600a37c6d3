/* The name in a certificate as text. */
#pragma once

#include <openssl/x509.h>

#include <stddef.h>

#define NAME_TEXT_MAX 256

/* As RFC 2253 writes it, most specific first, in printable ASCII: whatever else is in it is escaped
 * there. Always terminates; cut with "..." if need be; "?" without memory. */
void name_text(const X509_NAME *name, char *dst, size_t cap);
/* The whole of it, on the heap of OpenSSL, not terminated; NULL: out of memory. BIO_free() it. */
BIO *name_text_new(const X509_NAME *name);
