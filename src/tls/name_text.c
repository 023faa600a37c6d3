#include "name_text.h"

#include <openssl/err.h>

#include <string.h>

/* The escapes leave no byte outside of 0x20..0x7e: RFC 2253's own, controls, and from 0x80 on. */
BIO *name_text_new(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        return bio;
    BIO_free(bio);
    ERR_clear_error();
    return NULL;
}

void name_text(const X509_NAME *name, char *dst, size_t cap)
{
    BIO *bio = name_text_new(name);
    char *text = dst;
    size_t len = bio == NULL ? 0 : (size_t)BIO_get_mem_data(bio, &text);
    size_t fits = len < cap ? len : cap - 1;

    if (fits > 0)
        memcpy(dst, text, fits);
    dst[fits] = '\0';
    if (fits < len && cap > 4)
        memcpy(dst + cap - 4, "...", 4);
    if (bio == NULL && cap > 1)
        memcpy(dst, "?", 2);
    BIO_free(bio);
}
