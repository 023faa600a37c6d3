#include "failing_alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

/* Atomic because threads of the code under test may allocate while a test counts nothing. */
static _Atomic bool armed, hit;
static _Atomic unsigned left;
static _Atomic long live;

static bool fails_now(void)
{
    if (!armed || hit)
        return false;
    if (left-- > 0)
        return false;
    hit = true;
    errno = ENOMEM;
    return true;
}

void failing_alloc_arm(unsigned nth)
{
    armed = true;
    hit = false;
    left = nth;
    live = 0;
}

bool failing_alloc_hit(void)
{
    armed = false;
    return hit;
}

long failing_alloc_live(void)
{
    return live;
}

void *__wrap_malloc(size_t size)
{
    if (fails_now())
        return NULL;
    live++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    if (fails_now())
        return NULL;
    live++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    if (fails_now())
        return NULL;
    live += p == NULL;
    return __real_realloc(p, size);
}

char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = __wrap_malloc(len + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, strlen(s));
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}
