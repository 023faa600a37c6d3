/* What a certificate is called in a message. */
#pragma once

#include <openssl/x509.h>

#include <stddef.h>

#define CERT_WORDS_MAX 128

/* "CN=shop.example,O=Shop" (RFC 2253, UTF-8, nothing that a terminal obeys), cut with "..."; "": it
 * is empty. */
void cert_words_name(const X509_NAME *name, char *dst, size_t cap);
/* Its subject; without one, as public authorities issue them, its first DNS name. */
void cert_words_subject(const X509 *cert, char *dst, size_t cap);
/* "2026-11-23 04:10:00 UTC". */
void cert_words_time(const ASN1_TIME *time, char *dst, size_t cap);
/* "ECDSA P-256", "RSA 2048", "Ed25519", or OpenSSL's name for it. */
void cert_words_key(EVP_PKEY *key, char *dst, size_t cap);
