/* OpenSSL's allocations through malloc() of this program, where failing_alloc.h stands in front of
 * it. */
#pragma once

#include <openssl/crypto.h>

#include <stdbool.h>
#include <stdlib.h>

static inline void *hooked_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static inline void *hooked_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

static inline void hooked_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* First of all in main(): false when OpenSSL has allocated already. */
static inline bool openssl_take_allocator(void)
{
    return CRYPTO_set_mem_functions(hooked_malloc, hooked_realloc, hooked_free) == 1;
}
